//! Keys and tokens whose issuer gave them a form that nothing else has.
//!
//! One row per form: how it begins, what may follow, how much of it. Adding one is adding a row; the trigger is taken
//! from the row.

use super::placeholder::{Written, is_placeholder};
use super::{Detector, Probe, Set};
use crate::redact::Kind;
use crate::redact::text::{Out, Text, is_base64url, is_word};

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Window(windows, find) };

/// Longest body that is walked before a form is believed.
const BODY: usize = 1024;

/// One form.
struct Form {
    subtype: &'static str,
    lead: &'static [u8],
    /// Which three bytes of the lead wake the detector: the first that are rare in text.
    wake: usize,
    class: fn(u8) -> bool,
    /// Shortest and longest body.
    len: (usize, usize),
    check: fn(&[u8]) -> bool,
}

const fn form(subtype: &'static str, lead: &'static [u8], wake: usize, class: fn(u8) -> bool, min: usize, max: usize) -> Form {
    Form { subtype, lead, wake, class, len: (min, max), check: any }
}

impl Form {
    const fn with(self, check: fn(&[u8]) -> bool) -> Form {
        Form { check, ..self }
    }
}

fn any(_: &[u8]) -> bool {
    true
}
fn alnum(b: u8) -> bool {
    b.is_ascii_alphanumeric()
}
fn letters(b: u8) -> bool {
    b.is_ascii_alphabetic()
}
fn hex(b: u8) -> bool {
    b.is_ascii_digit() || matches!(b, b'a'..=b'f')
}
fn capitals(b: u8) -> bool {
    b.is_ascii_uppercase() || b.is_ascii_digit()
}
fn uuid(b: u8) -> bool {
    hex(b) || b == b'-'
}
fn url(b: u8) -> bool {
    is_base64url(b)
}
fn url_dot(b: u8) -> bool {
    is_base64url(b) || b == b'.'
}
fn path(b: u8) -> bool {
    alnum(b) || b == b'/'
}
fn base64(b: u8) -> bool {
    alnum(b) || matches!(b, b'+' | b'/' | b'=')
}
fn percent(b: u8) -> bool {
    alnum(b) || matches!(b, b'%' | b'+' | b'/' | b'=')
}
fn openai(body: &[u8]) -> bool {
    body.windows(8).any(|w| w == b"T3BlbkFJ")
}
fn mixed(body: &[u8]) -> bool {
    // Words joined by dashes are a class or a package, whatever digits and capitals they have.
    let long = body.split(|b| matches!(b, b'-' | b'_')).any(|part| part.len() >= 16);
    openai(body)
        || (long
            && body.iter().any(u8::is_ascii_digit)
            && body.iter().any(u8::is_ascii_uppercase)
            && body.iter().any(u8::is_ascii_lowercase))
}
fn digit(body: &[u8]) -> bool {
    body.iter().any(u8::is_ascii_digit)
}
fn parts(body: &[u8], sep: u8, lens: &[usize]) -> bool {
    body.split(|&b| b == sep).map(<[u8]>::len).eq(lens.iter().copied())
}

/// Forms, the more telling lead before the shorter one.
static FORMS: &[Form] = &[
    form("anthropic", b"sk-ant-", 0, url, 40, 255).with(|b| b.windows(2).any(|w| w == b"0x" || w.first().is_some_and(u8::is_ascii_digit))),
    form("openai", b"sk-proj-", 0, url, 20, 255).with(openai),
    form("openai", b"sk-svcacct-", 0, url, 20, 255).with(openai),
    form("openai", b"sk-admin-", 0, url, 20, 255).with(openai),
    form("openrouter", b"sk-or-v1-", 0, hex, 64, 64),
    form("langfuse", b"sk-lf-", 0, uuid, 36, 36).with(|b| parts(b, b'-', &[8, 4, 4, 4, 12])),
    form("sk", b"sk-", 0, url, 32, 255).with(mixed),
    form("stripe", b"sk_live_", 0, alnum, 10, 99),
    form("stripe", b"sk_test_", 0, alnum, 10, 99),
    form("stripe", b"sk_prod_", 0, alnum, 10, 99),
    form("stripe", b"rk_live_", 0, alnum, 10, 99),
    form("stripe", b"rk_test_", 0, alnum, 10, 99),
    form("stripe", b"rk_prod_", 0, alnum, 10, 99),
    form("aws_access_key_id", b"AKIA", 0, capitals, 16, 16),
    form("aws_access_key_id", b"ASIA", 0, capitals, 16, 16),
    form("aws_access_key_id", b"ABIA", 0, capitals, 16, 16),
    form("aws_access_key_id", b"ACCA", 0, capitals, 16, 16),
    form("gcp_api_key", b"AIza", 0, url, 35, 35),
    form("google_oauth_token", b"ya29.", 0, url_dot, 30, 512),
    form("google_client_secret", b"GOCSPX-", 0, url, 28, 28),
    form("github_token", b"ghp_", 0, alnum, 36, 255),
    form("github_token", b"gho_", 0, alnum, 36, 255),
    form("github_token", b"ghu_", 0, alnum, 36, 255),
    form("github_token", b"ghs_", 0, alnum, 36, 255),
    form("github_token", b"ghr_", 0, alnum, 36, 255),
    form("github_token", b"github_pat_", 5, is_word, 82, 82).with(|b| parts(b, b'_', &[22, 59])),
    form("gitlab_token", b"glpat-", 0, url_dot, 20, 255),
    form("gitlab_token", b"glptt-", 0, url_dot, 20, 255),
    form("gitlab_token", b"gldt-", 0, url_dot, 20, 255),
    form("gitlab_token", b"glrt-", 0, url_dot, 20, 255),
    form("gitlab_token", b"glsoat-", 0, url_dot, 20, 255),
    form("slack_token", b"xoxa-", 0, url, 20, 255),
    form("slack_token", b"xoxb-", 0, url, 20, 255),
    form("slack_token", b"xoxe-", 0, url, 20, 255),
    form("slack_token", b"xoxe.", 0, url_dot, 20, 255),
    form("slack_token", b"xoxp-", 0, url, 20, 255),
    form("slack_token", b"xoxr-", 0, url, 20, 255),
    form("slack_token", b"xoxs-", 0, url, 20, 255),
    form("slack_token", b"xapp-1-", 2, url, 20, 255),
    form("slack_webhook", b"https://hooks.slack.com/services/T", 12, path, 20, 255),
    form("groq", b"gsk_", 0, alnum, 52, 52),
    form("xai", b"xai-", 0, alnum, 80, 80),
    form("perplexity", b"pplx-", 0, alnum, 48, 48),
    form("replicate_token", b"r8_", 0, alnum, 37, 37),
    form("huggingface_token", b"hf_", 0, letters, 34, 34),
    form("twilio_key", b"SK", 0, hex, 32, 32).with(digit),
    form("sendgrid_key", b"SG.", 0, url_dot, 66, 66).with(|b| parts(b, b'.', &[22, 43])),
    form("mailgun_key", b"key-", 1, hex, 32, 32).with(digit),
    form("npm_token", b"npm_", 1, alnum, 36, 36),
    form("pypi_token", b"pypi-AgEIcHlwaS5vcmc", 5, url, 16, 512),
    form("digitalocean_token", b"dop_v1_", 3, hex, 64, 64),
    form("digitalocean_token", b"doo_v1_", 3, hex, 64, 64),
    form("digitalocean_token", b"dor_v1_", 3, hex, 64, 64),
    form("databricks_token", b"dapi", 0, hex, 32, 32),
    form("shopify_token", b"shpat_", 0, hex, 32, 32),
    form("shopify_token", b"shpss_", 0, hex, 32, 32),
    form("shopify_token", b"shpca_", 0, hex, 32, 32),
    form("shopify_token", b"shppa_", 0, hex, 32, 32),
    form("vault_token", b"hvs.", 0, url, 90, 512),
    form("vault_token", b"hvb.", 0, url, 90, 512),
    form("linear_key", b"lin_api_", 2, alnum, 40, 40),
    form("notion_token", b"ntn_", 0, alnum, 46, 46).with(|b| b.get(..11).is_some_and(|head| head.iter().all(u8::is_ascii_digit))),
    form("notion_token", b"secret_", 4, alnum, 43, 43),
    form("grafana_token", b"glsa_", 0, is_word, 41, 41).with(|b| parts(b, b'_', &[32, 8])),
    form("grafana_token", b"glc_", 0, base64, 32, 400),
    form("postman_key", b"PMAK-", 0, url, 59, 59).with(|b| parts(b, b'-', &[24, 34])),
    form("newrelic_key", b"NRAK-", 0, capitals, 27, 27),
];

fn windows() -> Vec<[Set; 3]> {
    let mut all = Vec::new();
    for form in FORMS {
        let window = match form.lead.get(form.wake..) {
            // Families that differ in one letter share a trigger.
            Some(&[b'g', b'h', b'p' | b'o' | b'u' | b's' | b'r', ..]) => [Set::One(b'g'), Set::One(b'h'), Set::Of(b"pousr")],
            Some(&[b'g', b'l', b'p' | b'd' | b'r' | b's' | b'c', ..]) => [Set::One(b'g'), Set::One(b'l'), Set::Of(b"pdrsc")],
            Some(&[b'h', b'v', ..]) => [Set::One(b'h'), Set::One(b'v'), Set::Of(b"sb")],
            Some(&[b'A', b'K' | b'S' | b'B', b'I', ..]) => [Set::One(b'A'), Set::Of(b"KSB"), Set::One(b'I')],
            Some(&[b's' | b'r', b'k', b'_', ..]) => [Set::Of(b"sr"), Set::One(b'k'), Set::One(b'_')],
            Some(&[a, b, c, ..]) => [Set::One(a), Set::One(b), Set::One(c)],
            // `SK` and 32 hexadecimal digits.
            Some(&[a, b]) => [Set::One(a), Set::One(b), Set::Of(b"0123456789abcdef")],
            _ => continue,
        };
        if !all.contains(&window) {
            all.push(window);
        }
    }
    all.extend([TELEGRAM, AZURE_CLIENT, AZURE_SAS]);
    all
}

/// `:AA` behind the number of a bot.
const TELEGRAM: [Set; 3] = [Set::Digit, Set::One(b':'), Set::One(b'A')];
/// `8Q~` inside the secret of an Azure application.
const AZURE_CLIENT: [Set; 3] = [Set::Of(b"78"), Set::One(b'Q'), Set::One(b'~')];
/// `sig=` of a shared access URL.
const AZURE_SAS: [Set; 3] = [Set::One(b'i'), Set::One(b'g'), Set::One(b'=')];

fn find(text: &Text<'_>, at: usize, out: &mut Out<'_>) -> usize {
    match text.at(at) {
        b':' => telegram(text, at, out),
        b'Q' if text.at(at + 1) == b'~' => azure_client(text, at, out),
        b'g' if text.at(at + 1) == b'=' => azure_sas(text, at, out),
        _ => {}
    }
    for form in FORMS {
        let Some(start) = at.checked_sub(1 + form.wake) else { continue };
        if text.starts_with(start, form.lead)
            && let Some(end) = body(text, form, start)
        {
            out.secret(text, Kind::ApiKey, form.subtype, start, end);
            return end;
        }
    }
    at + 1
}

/// Where a key of this form that starts here ends.
fn body(text: &Text<'_>, form: &Form, start: usize) -> Option<usize> {
    let before = text.before(start);
    if is_word(before) || (before == b'-' && form.lead.ends_with(b"-")) {
        return None;
    }
    let from = start + form.lead.len();
    let mut end = text.run(from, form.len.1.min(BODY), form.class);
    let (min, max) = form.len;
    // A key is not longer than its form: more of the same means something else.
    let ends = !is_word(text.at(end));
    // Dots and dashes at the end belong to the sentence.
    if min != max {
        while end > from && matches!(text.before(end), b'.' | b'-' | b'/') {
            end -= 1;
        }
    }
    let body = text.slice(from, end);
    let whole = ends && body.len() >= min && (form.check)(body);
    let cut = text.cut && end == text.bytes.len() && body.len() >= 16;
    let plain = std::str::from_utf8(body).unwrap_or_default();
    ((whole || cut) && !is_placeholder(plain, Written::Quoted)).then_some(end)
}

/// `1234567890:AA…`, 35 characters behind the colon.
fn telegram(text: &Text<'_>, at: usize, out: &mut Out<'_>) {
    let start = text.run_back(at, 11, |b| b.is_ascii_digit());
    let end = text.run(at + 1, 48, is_base64url);
    if (8..=10).contains(&(at - start)) && end - at - 1 == 35 && text.starts_with(at, b":AA") && text.bounded(start, end) {
        out.secret(text, Kind::ApiKey, "telegram_bot_token", start, end);
    }
}

/// Three characters, a 7 or 8, `Q~`, 31 to 34 more.
fn azure_client(text: &Text<'_>, at: usize, out: &mut Out<'_>) {
    let Some(start) = at.checked_sub(4) else { return };
    let class = |b: u8| is_base64url(b) || matches!(b, b'.' | b'~');
    let end = text.run(at + 2, 40, class);
    let mut end = end;
    while end > at && text.before(end) == b'.' {
        end -= 1;
    }
    let head = text.slice(start, at);
    if head.iter().all(|&b| class(b)) && (31..=34).contains(&(end - at - 2)) && !is_word(text.before(start)) {
        out.secret(text, Kind::ApiKey, "azure_client_secret", start, end);
    }
}

/// The signature of a URL that also has `sv=` and `se=`.
fn azure_sas(text: &Text<'_>, at: usize, out: &mut Out<'_>) {
    let from = at + 2;
    let end = text.run(from, 120, percent);
    let url_from = text.run_back(at, 1024, |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'<' | b'>'));
    let url_to = text.run(end, 1024, |b| b.is_ascii_graphic() && !matches!(b, b'"' | b'\'' | b'<' | b'>'));
    let around = text.slice(url_from, url_to);
    let has = |name: &[u8]| around.windows(name.len()).any(|w| w == name);
    if end - from >= 40 && text.starts_with(at.saturating_sub(2), b"sig=") && has(b"sv=") && has(b"se=") {
        out.secret(text, Kind::ApiKey, "azure_sas", from, end);
    }
}

#[cfg(test)]
mod tests {
    use super::{FORMS, windows};
    use crate::redact::Kind::ApiKey;
    use crate::redact::detectors::testing::{Source, found, none};

    #[test]
    fn every_lead_is_woken_by_its_window() {
        let windows = windows();
        for form in FORMS.iter().filter(|f| f.lead.len() >= 3) {
            let at = &form.lead[form.wake..form.wake + 3];
            assert!(windows.iter().any(|w| w.iter().zip(at).all(|(set, &b)| set.has(b))), "{}", form.subtype);
        }
    }

    #[test]
    fn keys_of_many_issuers_are_found_whole() {
        let mut source = Source::new(11);
        for form in FORMS.iter().filter(|f| f.len.0 == f.len.1) {
            let Some(body) = (0..200).find_map(|_| {
                let mut body: Vec<u8> = std::iter::repeat_with(|| source.byte()).filter(|&b| (form.class)(b)).take(form.len.0).collect();
                for (place, sep) in [(8, b'-'), (13, b'-'), (18, b'-'), (23, b'-')].into_iter().filter(|_| form.subtype == "langfuse") {
                    body[place] = sep;
                }
                let seps: &[(usize, u8)] = match form.subtype {
                    "github_token" => &[(22, b'_')],
                    "sendgrid_key" => &[(22, b'.')],
                    "grafana_token" => &[(32, b'_')],
                    "postman_key" => &[(24, b'-')],
                    _ => &[],
                };
                for b in body.iter_mut().filter(|b| !b.is_ascii_alphanumeric()) {
                    *b = if form.subtype == "langfuse" { b'-' } else { b'7' };
                }
                for &(place, sep) in seps {
                    body[place] = sep;
                }
                for (place, sep) in [(8, b'-'), (13, b'-'), (18, b'-'), (23, b'-')].into_iter().filter(|_| form.subtype == "langfuse") {
                    body[place] = sep;
                }
                if form.lead == b"ntn_" {
                    body[..11].fill(b'4');
                }
                (form.check)(&body).then_some(body)
            }) else {
                panic!("no body for {}", form.subtype)
            };
            let key = String::from_utf8([form.lead, &body].concat()).unwrap();
            assert_eq!(found(&format!("key \"{key}\" leaked")), [(ApiKey, key.as_str())], "{}", form.subtype);
            let short = String::from_utf8([form.lead, &body[..body.len() - 2]].concat()).unwrap();
            none(&format!("see {short} there"));
            none(&format!("see x{key} there"));
        }
    }

    #[test]
    fn published_examples_are_found() {
        for hit in [
            "AKIAIOSFODNN7EXAMPLE",
            "ghp_FAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKE",
            "sk-ant-api03-FAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKEfakeFAKE-EXAMPLEAA",
            "sk-proj-FAKEfakeFAKEfakeFAKET3BlbkFJFAKEfakeFAKEfakeFAKE",
            "7195677560:AAwUrmTtSFOP-10KRgA3EXOI5x5oJH0eWce",
            "abc8Q~0123456789abcdefghijklmnopqrstuv",
            "https://hooks.slack.com/services/T00000000/B00000000/FAKEfakeFAKEfake24",
        ] {
            assert_eq!(found(&format!("it is {hit}, sorry")), [(ApiKey, hit)]);
        }
        let url = "https://x.blob.core.windows.net/c?sv=2022-11-02&se=2030-01-01&sig=abcDEF0123456789abcDEF0123456789abcDEF01234%3D";
        assert_eq!(found(url), [(ApiKey, "abcDEF0123456789abcDEF0123456789abcDEF01234%3D")]);
    }

    #[test]
    fn classes_packages_and_public_keys_stay() {
        for text in [
            "sk-spinner-pulse-container-large at line 570",
            ".sk-loading-dots-container-32px-Primary-Blue",
            "pk-lf-01234567-89ab-cdef-0123-456789abcdef",
            "pk_live_0123456789abcdef",
            "risk-assessment-of-the-2024-Budget-proposal",
            "AKIAXXXXXXXXXXXXXXXX",
            "sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
            "ghp_tooshort",
            "config=yes&sig=1",
        ] {
            none(text);
        }
    }
}
