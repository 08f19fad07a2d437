//! Invented values of every type, valid and nearly so, made from the published formats.
//!
//! The check digits are computed here a second time and in another way than the detectors do it: a mistake must be made twice
//! to stay unseen.

use crate::redact::detectors::testing::Source;

/// A value, and what stands around it for it to be found.
pub(super) struct Made {
    pub(super) text: String,
    /// Whether a word of its type must be near.
    pub(super) words: bool,
}

/// How a type is made.
pub(super) struct Maker {
    pub(super) kind: &'static str,
    pub(super) valid: fn(&mut Source) -> Made,
    /// Of the same shape, but not of the type.
    pub(super) near: Option<fn(&mut Source) -> String>,
    /// Words that name the type in several languages.
    pub(super) words: &'static [&'static str],
}

const fn maker(
    kind: &'static str,
    valid: fn(&mut Source) -> Made,
    near: Option<fn(&mut Source) -> String>,
    words: &'static [&'static str],
) -> Maker {
    Maker { kind, valid, near, words }
}

const DIGITS: &str = "0123456789";
const HEX: &str = "0123456789abcdef";
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const ALNUM: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const URL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const CAPITALS: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// Every type that is found by default.
pub(super) static MAKERS: &[Maker] = &[
    maker("EMAIL", email, Some(no_email), &["e-mail", "mail", "correo", "メール"]),
    maker("CREDIT_CARD", card, Some(no_card), &["card", "Kreditkarte", "carte", "tarjeta", "カード"]),
    maker("IBAN", iban, Some(no_iban), &["IBAN", "account", "Konto", "compte"]),
    maker("US_SSN", ssn, Some(no_ssn), &["SSN", "ssn", "social security number", "Social Security"]),
    maker("US_ITIN", itin, None, &["ITIN", "itin", "taxpayer id", "tax id"]),
    maker("UK_NINO", nino, Some(no_nino), &["NI number", "National Insurance"]),
    maker("UK_NHS", nhs, Some(no_nhs), &["NHS number", "nhs id", "health service number", "NHS no."]),
    maker("DE_STEUER_ID", steuer, Some(no_steuer), &["Steuer-ID", "Steuer-IdNr.", "Steueridentifikationsnummer", "IdNr"]),
    maker("FR_NIR", nir, Some(no_nir), &["NIR", "numéro de sécurité sociale", "n° sécu"]),
    maker("ES_NIF", nif, Some(no_nif), &["NIF", "DNI", "mi DNI"]),
    maker("ES_NIE", nie, Some(no_nie), &["NIE", "mi NIE"]),
    maker("IT_CODICE_FISCALE", codice, Some(no_codice), &["codice fiscale", "CF", "C.F."]),
    maker("NL_BSN", bsn, Some(no_bsn), &["BSN", "burgerservicenummer", "sofinummer"]),
    maker("BR_CPF", cpf, Some(no_cpf), &["CPF", "cpf", "CPF do cliente"]),
    maker("BR_CNPJ", cnpj, Some(no_cnpj), &["CNPJ", "cnpj", "CNPJ da empresa"]),
    maker("IN_AADHAAR", aadhaar, Some(no_aadhaar), &["Aadhaar", "aadhaar no", "UIDAI", "आधार"]),
    maker("IN_PAN", pan, Some(no_pan), &["PAN", "pan card", "PAN number"]),
    maker("AU_TFN", tfn, Some(no_tfn), &["TFN", "tax file number"]),
    maker("AU_ABN", abn, Some(no_abn), &["ABN", "Australian Business Number"]),
    maker("AU_MEDICARE", medicare, Some(no_medicare), &["Medicare", "medicare card", "Medicare number"]),
    maker("SG_NRIC", nric, Some(no_nric), &["NRIC", "FIN", "nric/fin"]),
    maker("PL_PESEL", pesel, Some(no_pesel), &["PESEL", "numer PESEL"]),
    maker("KR_RRN", rrn, Some(no_rrn), &["RRN", "주민등록번호", "resident registration number"]),
    maker("JP_MY_NUMBER", my_number, Some(no_my_number), &["マイナンバー", "個人番号", "My Number", "individual number"]),
    maker("CA_SIN", sin, Some(no_sin), &["SIN", "social insurance number", "NAS", "numéro d'assurance sociale"]),
    maker(
        "PASSPORT",
        passport,
        None,
        &["passport", "Reisepass", "passeport", "pasaporte", "passaporto", "paspoort", "paszport", "パスポート", "护照", "여권"],
    ),
    maker(
        "DRIVER_LICENSE",
        licence,
        None,
        &["driver's license", "driving licence", "Führerschein", "permis de conduire", "patente", "prawo jazdy"],
    ),
    maker(
        "DATE_OF_BIRTH",
        birth,
        None,
        &[
            "born",
            "date of birth",
            "DOB",
            "geboren am",
            "né le",
            "née le",
            "nacido el",
            "nato il",
            "geboortedatum",
            "nascimento",
            "生年月日",
            "출생",
        ],
    ),
    maker("US_ABA_ROUTING", routing, None, &["routing number", "ABA", "RTN", "routing/transit"]),
    maker(
        "BANK_ACCOUNT",
        account,
        None,
        &["account", "bank account", "acct", "Kontonummer", "numéro de compte", "cuenta", "conto", "rekening"],
    ),
    maker("PHONE", international, Some(no_phone), &["phone", "Tel.", "téléphone", "teléfono", "電話", "전화", "手机", "telefon"]),
    maker(
        "PHONE",
        national,
        None,
        &[
            "phone",
            "call",
            "Tel.",
            "mobile",
            "fax",
            "téléphone",
            "teléfono",
            "telefone",
            "telefoon",
            "telefon",
            "cellulare",
            "電話",
            "전화",
            "电话",
        ],
    ),
    maker("PHONE", american, Some(no_american), &["phone", "call", "cell"]),
    maker("IP_ADDRESS", v4, Some(no_v4), &["ip", "client", "Adresse"]),
    maker("IP_ADDRESS", v6, Some(no_v6), &["ip", "peer", "host"]),
    maker("MAC_ADDRESS", mac, Some(no_mac), &["mac", "device", "wlan0"]),
    maker("CRYPTO", crypto, Some(no_crypto), &["wallet", "address", "tip jar"]),
    maker("URL_CREDENTIAL", url_credential, Some(no_url_credential), &["url", "dsn"]),
    maker("JWT", jwt, Some(no_jwt), &["jwt", "token"]),
    maker("PRIVATE_KEY", private_key, Some(no_private_key), &["key"]),
    maker("API_KEY", api_key, Some(no_api_key), &["key", "token", "credential"]),
    maker("API_KEY", named_key, Some(no_named_key), &["api key"]),
    maker("AUTH_TOKEN", auth_token, Some(no_auth_token), &["Authorization", "authorization", "header"]),
    maker("PASSWORD", password, Some(no_password), &["pw"]),
];

fn bare(text: String) -> Made {
    Made { text, words: false }
}

fn worded(text: String) -> Made {
    Made { text, words: true }
}

fn pick<'a>(s: &mut Source, of: &[&'a str]) -> &'a str {
    of[s.below(of.len() as u64) as usize]
}

fn chance(s: &mut Source, of: u64) -> bool {
    s.below(of) == 0
}

fn between(s: &mut Source, from: u64, to: u64) -> u64 {
    from + s.below(to - from + 1)
}

fn of(s: &mut Source, alphabet: &str, count: usize) -> String {
    let all = alphabet.as_bytes();
    (0..count).map(|_| char::from(all[s.below(all.len() as u64) as usize])).collect()
}

/// `#` is a digit, `%` one from 1, `&` one from 2 to 9, `^` a capital, `~` a small letter; all else stands for itself.
pub(super) fn fill(s: &mut Source, pattern: &str) -> String {
    pattern
        .chars()
        .map(|c| match c {
            '#' => char::from(b'0' + s.below(10) as u8),
            '%' => char::from(b'1' + s.below(9) as u8),
            '&' => char::from(b'2' + s.below(8) as u8),
            '^' => char::from(b'A' + s.below(26) as u8),
            '~' => char::from(b'a' + s.below(26) as u8),
            c => c,
        })
        .collect()
}

fn values(text: &str) -> Vec<u32> {
    text.chars().filter_map(|c| c.to_digit(36)).collect()
}

/// `12345678` as `12-34 5678` by the lengths.
fn grouped(text: &str, lens: &[usize], sep: &str) -> String {
    let mut at = 0;
    let parts: Vec<&str> = lens
        .iter()
        .map(|len| {
            at += len;
            &text[at - len..at]
        })
        .collect();
    parts.join(sep)
}

/// The text with its last digit one higher.
fn off_by_one(text: &str) -> String {
    let at = text.rfind(|c: char| c.is_ascii_digit()).unwrap();
    let digit = (text.as_bytes()[at] - b'0' + 1) % 10;
    format!("{}{digit}{}", &text[..at], &text[at + 1..])
}

fn luhn_digit(body: &str) -> char {
    let mut sum = 0;
    for (place, d) in values(body).iter().rev().enumerate() {
        sum += if place % 2 == 0 { [0, 2, 4, 6, 8, 1, 3, 5, 7, 9][*d as usize] } else { *d };
    }
    char::from_digit((10 - sum % 10) % 10, 10).unwrap()
}

fn weigh(text: &str, weights: &[u32]) -> u32 {
    values(text).iter().zip(weights).map(|(d, w)| d * w).sum()
}

/// Tries until one is found: the share that fits is never small.
fn until(s: &mut Source, make: impl Fn(&mut Source) -> Option<String>) -> String {
    (0..10_000).find_map(|_| make(s)).expect("one of many fits")
}

const FIRST: &[&str] = &[
    "jane",
    "bob",
    "maria",
    "j.doe",
    "anna-lena",
    "x",
    "o.connor",
    "info",
    "sales+eu",
    "li_wei",
    "k.nowak99",
    "JOSE",
    "m.müller",
    "Ana.Silva",
];
const HOSTS: &[&str] = &[
    "example.org",
    "mail.example.co.uk",
    "gmail.com",
    "corp.io",
    "uni-bonn.de",
    "sub.domain.museum",
    "web.de",
    "x.co",
    "empresa.com.br",
    "firm.technology",
    "icloud.com",
    "a-b.dev",
];

fn email(s: &mut Source) -> Made {
    let number = if chance(s, 2) { s.below(1000).to_string() } else { String::new() };
    bare(format!("{}{number}@{}", pick(s, FIRST), pick(s, HOSTS)))
}

fn no_email(s: &mut Source) -> String {
    let name = pick(s, &["user", "react", "root", "pkg", "lodash"]);
    match s.below(5) {
        0 => format!("{name}@{}", pick(s, &["localhost", "host", "server01", "desktop-7"])),
        1 => fill(s, &format!("{name}@%.##.#")),
        2 => format!("@{name}.decorator"),
        3 => format!("git@github.com:{name}/repo.git"),
        _ => format!("{name}@{}x.png", between(s, 2, 3)),
    }
}

fn card(s: &mut Source) -> Made {
    let (prefix, len) = match s.below(14) {
        0..=2 => ("4".to_owned(), 16),
        3 => ("4".to_owned(), 13),
        4 | 5 => (between(s, 51, 55).to_string(), 16),
        6 => (between(s, 2221, 2720).to_string(), 16),
        7 => (pick(s, &["34", "37"]).to_owned(), 15),
        8 => (pick(s, &["6011", "644", "649", "65"]).to_owned(), 16),
        9 => (pick(s, &["300", "305", "36", "38", "3095"]).to_owned(), 14),
        10 => (between(s, 3528, 3589).to_string(), 16),
        11 => ("62".to_owned(), between(s, 16, 19) as usize),
        12 => (pick(s, &["50", "56", "58", "6"]).to_owned(), 16),
        _ => (pick(s, &["2200", "2204", "81", "82", "60"]).to_owned(), 16),
    };
    let body = prefix.clone() + &of(s, DIGITS, len - prefix.len() - 1);
    let number = format!("{body}{}", luhn_digit(&body));
    let sep = pick(s, &["", " ", "-"]);
    let text = match len {
        16 => grouped(&number, &[4, 4, 4, 4], sep),
        15 => grouped(&number, &[4, 6, 5], sep),
        14 => grouped(&number, &[4, 6, 4], sep),
        19 => grouped(&number, &[4, 4, 4, 4, 3], sep),
        _ => number,
    };
    bare(text)
}

fn no_card(s: &mut Source) -> String {
    let made = card(s).text;
    off_by_one(&made)
}

const IBANS: &[(&str, &str)] = &[
    ("DE", "##################"),
    ("GB", "^^^^##############"),
    ("FR", "##########^^########^##"),
    ("ES", "####################"),
    ("IT", "^######################"),
    ("NL", "^^^^##########"),
    ("CH", "#################"),
    ("BE", "############"),
    ("AT", "################"),
    ("PL", "########################"),
    ("PT", "#####################"),
    ("SE", "####################"),
    ("NO", "###########"),
    ("DK", "##############"),
    ("FI", "##############"),
    ("IE", "^^^^##############"),
    ("LU", "################"),
    ("MT", "^^^^#####^^^^^^^^^^^^^^^^^^"),
    ("SA", "####################"),
    ("AE", "###################"),
    ("TR", "######################"),
    ("BR", "#######################^#"),
    ("QA", "^^^^^^^^^^^^^^^^^^^^^^^^^"),
    ("KW", "^^^^######################"),
    ("IL", "###################"),
];

fn iban_solid(s: &mut Source) -> String {
    let (country, pattern) = IBANS[s.below(IBANS.len() as u64) as usize];
    let body = if country == "TR" { fill(s, "#####0################") } else { fill(s, pattern) };
    let mut rest = 0u64;
    for v in values(&format!("{body}{country}00")) {
        rest = (rest * if v > 9 { 100 } else { 10 } + u64::from(v)) % 97;
    }
    format!("{country}{:02}{body}", 98 - rest)
}

fn iban(s: &mut Source) -> Made {
    let solid = iban_solid(s);
    bare(match s.below(4) {
        0 => solid,
        1 => solid.to_lowercase(),
        by => {
            let lens: Vec<usize> = solid.as_bytes().chunks(4).map(<[u8]>::len).collect();
            grouped(&solid, &lens, if by == 2 { " " } else { "-" })
        }
    })
}

fn no_iban(s: &mut Source) -> String {
    let solid = iban_solid(s);
    let check: u32 = solid[2..4].parse().unwrap();
    // 2 to 98 are issued; the neighbour is one of them, too.
    format!("{}{:02}{}", &solid[..2], if check == 98 { 2 } else { check + 1 }, &solid[4..])
}

fn ssn(s: &mut Source) -> Made {
    let area = match between(s, 1, 897) {
        666 => 665,
        area => area,
    };
    let (group, serial) = (between(s, 1, 99), between(s, 1, 9999));
    match s.below(5) {
        0 => worded(format!("{area:03}{group:02}{serial:04}")),
        1 => bare(format!("{area:03} {group:02} {serial:04}")),
        2 => bare(format!("{area:03}.{group:02}.{serial:04}")),
        _ => bare(format!("{area:03}-{group:02}-{serial:04}")),
    }
}

fn no_ssn(s: &mut Source) -> String {
    match s.below(4) {
        0 => fill(s, "000-%#-###%"),
        1 => fill(s, "666-%#-###%"),
        2 => fill(s, "&##-00-###%"),
        _ => fill(s, "1##-%#-0000"),
    }
}

fn itin(s: &mut Source) -> Made {
    let groups: Vec<u64> = (50..=65).chain(70..=88).chain(90..=92).chain(94..=99).collect();
    let group = groups[s.below(groups.len() as u64) as usize];
    let (area, serial) = (between(s, 900, 999), s.below(10_000));
    if chance(s, 3) { worded(format!("{area}{group:02}{serial:04}")) } else { bare(format!("{area}-{group:02}-{serial:04}")) }
}

fn nino_pair(s: &mut Source) -> String {
    until(s, |s| {
        let pair = of(s, UPPER, 2);
        let (a, b) = pair.split_at(1);
        let bad = "DFIQUV".contains(a) || "DFIOQUV".contains(b) || ["BG", "GB", "KN", "NK", "NT", "TN", "ZZ"].contains(&pair.as_str());
        (!bad).then_some(pair)
    })
}

fn nino(s: &mut Source) -> Made {
    let pair = nino_pair(s);
    let last = of(s, "ABCD", 1);
    bare(match s.below(4) {
        0 => fill(s, &format!("{pair}######{last}")),
        1 => fill(s, &format!("{pair}######{last}")).to_lowercase(),
        2 => fill(s, &format!("{pair} ###### {last}")),
        _ => fill(s, &format!("{pair} ## ## ## {last}")),
    })
}

fn no_nino(s: &mut Source) -> String {
    let pair = pick(s, &["DA", "FB", "IC", "QE", "UG", "VH", "AO", "BG", "GB", "NK", "ZZ"]);
    fill(s, &format!("{pair}######A"))
}

fn nhs_solid(s: &mut Source) -> String {
    until(s, |s| {
        let body = fill(s, "%########");
        let sum = weigh(&body, &[10, 9, 8, 7, 6, 5, 4, 3, 2]);
        match (11 - sum % 11) % 11 {
            10 => None,
            check => Some(format!("{body}{check}")),
        }
    })
}

fn nhs(s: &mut Source) -> Made {
    let solid = nhs_solid(s);
    worded(grouped(&solid, &[3, 3, 4], pick(s, &["", " ", "-"])))
}

fn no_nhs(s: &mut Source) -> String {
    off_by_one(&nhs_solid(s))
}

fn steuer_solid(s: &mut Source) -> String {
    until(s, |s| {
        let body = fill(s, "%#########");
        let counts: Vec<usize> = ('0'..='9').map(|d| body.matches(d).count()).collect();
        let repeated: Vec<usize> = counts.into_iter().filter(|&n| n > 1).collect();
        if repeated != [2] && repeated != [3] {
            return None;
        }
        let mut product = 10;
        for d in values(&body) {
            let mut sum = (d + product) % 10;
            if sum == 0 {
                sum = 10;
            }
            product = sum * 2 % 11;
        }
        Some(format!("{body}{}", (11 - product) % 10))
    })
}

fn steuer(s: &mut Source) -> Made {
    let solid = steuer_solid(s);
    worded(grouped(&solid, &[2, 3, 3, 3], pick(s, &["", " "])))
}

fn no_steuer(s: &mut Source) -> String {
    off_by_one(&steuer_solid(s))
}

fn nir_solid(s: &mut Source) -> String {
    let sex = between(s, 1, 2);
    let year = s.below(100);
    let month = between(s, 1, 12);
    let place = match s.below(4) {
        0 => pick(s, &["2A", "2B"]).to_owned(),
        _ => format!("{:02}", between(s, 1, 95)),
    };
    let rest = fill(s, "######");
    let body = format!("{sex}{year:02}{month:02}{place}{rest}");
    let number: u64 = body.replace("2A", "19").replace("2B", "18").parse().unwrap();
    format!("{body}{:02}", 97 - number % 97)
}

fn nir(s: &mut Source) -> Made {
    let solid = nir_solid(s);
    bare(grouped(&solid, &[1, 2, 2, 2, 3, 3, 2], pick(s, &["", " "])))
}

fn no_nir(s: &mut Source) -> String {
    off_by_one(&nir_solid(s))
}

const LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

fn nif(s: &mut Source) -> Made {
    let number = s.below(100_000_000);
    let letter = char::from(LETTERS[(number % 23) as usize]);
    let text = format!("{number:08}{}{letter}", pick(s, &["", "", "-"]));
    bare(if chance(s, 5) { text.to_lowercase() } else { text })
}

fn no_nif(s: &mut Source) -> String {
    let number = s.below(100_000_000);
    format!("{number:08}{}", char::from(LETTERS[((number + 1) % 23) as usize]))
}

fn nie(s: &mut Source) -> Made {
    let (lead, number) = (s.below(3), s.below(10_000_000));
    let letter = char::from(LETTERS[((lead * 10_000_000 + number) % 23) as usize]);
    let sep = pick(s, &["", "", "-"]);
    bare(format!("{}{sep}{number:07}{sep}{letter}", ["X", "Y", "Z"][lead as usize]))
}

fn no_nie(s: &mut Source) -> String {
    let number = s.below(10_000_000);
    format!("X{number:07}{}", char::from(LETTERS[((number + 2) % 23) as usize]))
}

fn codice_body(s: &mut Source) -> String {
    let month = of(s, "ABCDEHLMPRST", 1);
    let day = between(s, 1, 31) + 40 * s.below(2);
    fill(s, &format!("^^^^^^##{month}{day:02}^###"))
}

fn codice_check(body: &str) -> char {
    const ODD: &[u32] = &[1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let mut sum = 0;
    for (place, c) in body.chars().enumerate() {
        let value = if c.is_ascii_digit() { c as u32 - '0' as u32 } else { c as u32 - 'A' as u32 };
        sum += if place % 2 == 0 { ODD[value as usize] } else { value };
    }
    char::from(b'A' + (sum % 26) as u8)
}

fn codice(s: &mut Source) -> Made {
    let body = codice_body(s);
    let text = format!("{body}{}", codice_check(&body));
    bare(if chance(s, 6) { text.to_lowercase() } else { text })
}

fn no_codice(s: &mut Source) -> String {
    let body = codice_body(s);
    let check = codice_check(&body);
    format!("{body}{}", if check == 'Z' { 'A' } else { char::from(check as u8 + 1) })
}

fn bsn_solid(s: &mut Source) -> String {
    until(s, |s| {
        let body = fill(s, "%#######");
        let check = weigh(&body, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11;
        (check < 10).then(|| format!("{body}{check}"))
    })
}

fn bsn(s: &mut Source) -> Made {
    worded(bsn_solid(s))
}

fn no_bsn(s: &mut Source) -> String {
    off_by_one(&bsn_solid(s))
}

fn cpf_solid(s: &mut Source) -> String {
    let mut text = fill(s, "%########");
    for len in [9, 10] {
        let weights: Vec<u32> = (2..=len as u32 + 1).rev().collect();
        let check = match weigh(&text, &weights) % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        };
        text.push_str(&check.to_string());
    }
    text
}

fn cpf_printed(solid: &str) -> String {
    format!("{}.{}.{}-{}", &solid[..3], &solid[3..6], &solid[6..9], &solid[9..])
}

fn cpf(s: &mut Source) -> Made {
    let solid = cpf_solid(s);
    if chance(s, 3) { worded(solid) } else { bare(cpf_printed(&solid)) }
}

fn no_cpf(s: &mut Source) -> String {
    let solid = off_by_one(&cpf_solid(s));
    cpf_printed(&solid)
}

fn cnpj_solid(s: &mut Source, letters: bool) -> String {
    let mut text = if letters { of(s, CAPITALS, 12) } else { fill(s, "%#######000%") };
    for len in [12usize, 13] {
        let sum: u32 = text.bytes().rev().enumerate().map(|(place, b)| u32::from(b - b'0') * (2 + place as u32 % 8)).sum();
        debug_assert_eq!(text.len(), len);
        let check = match sum % 11 {
            0 | 1 => 0,
            rest => 11 - rest,
        };
        text.push_str(&check.to_string());
    }
    text
}

fn cnpj_printed(solid: &str) -> String {
    format!("{}.{}.{}/{}-{}", &solid[..2], &solid[2..5], &solid[5..8], &solid[8..12], &solid[12..])
}

fn cnpj(s: &mut Source) -> Made {
    match s.below(4) {
        0 => worded(cnpj_solid(s, false)),
        1 => bare(cnpj_printed(&cnpj_solid(s, true))),
        _ => bare(cnpj_printed(&cnpj_solid(s, false))),
    }
}

fn no_cnpj(s: &mut Source) -> String {
    let solid = off_by_one(&cnpj_solid(s, false));
    cnpj_printed(&solid)
}

/// Verhoeff's tables as he printed them.
fn verhoeff_digit(body: &str) -> u32 {
    const D: [[u32; 10]; 10] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
        [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
        [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
        [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
        [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
        [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
        [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
        [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
        [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
    ];
    const P: [[u32; 10]; 8] = [
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
        [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
        [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
        [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
        [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
        [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
        [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
        [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
    ];
    const INVERSE: [u32; 10] = [0, 4, 3, 2, 1, 5, 6, 7, 8, 9];
    let mut c = 0;
    for (place, d) in values(body).iter().rev().enumerate() {
        c = D[c as usize][P[(place + 1) % 8][*d as usize] as usize];
    }
    INVERSE[c as usize]
}

fn aadhaar_solid(s: &mut Source) -> String {
    let body = fill(s, "&##########");
    format!("{body}{}", verhoeff_digit(&body))
}

fn aadhaar(s: &mut Source) -> Made {
    let solid = aadhaar_solid(s);
    worded(grouped(&solid, &[4, 4, 4], pick(s, &["", " ", "-", ":"])))
}

fn no_aadhaar(s: &mut Source) -> String {
    off_by_one(&aadhaar_solid(s))
}

fn pan(s: &mut Source) -> Made {
    let kind = of(s, "ABCFGHJLPT", 1);
    bare(fill(s, &format!("^^^{kind}^####^")))
}

fn no_pan(s: &mut Source) -> String {
    let kind = of(s, "DEIMNOQRSUVWXYZ", 1);
    fill(s, &format!("^^^{kind}^####^"))
}

fn tfn_solid(s: &mut Source) -> String {
    until(s, |s| {
        let text = fill(s, "%########");
        weigh(&text, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11).then_some(text)
    })
}

fn tfn(s: &mut Source) -> Made {
    let solid = tfn_solid(s);
    worded(grouped(&solid, &[3, 3, 3], pick(s, &["", " "])))
}

fn no_tfn(s: &mut Source) -> String {
    off_by_one(&tfn_solid(s))
}

fn abn_solid(s: &mut Source) -> String {
    until(s, |s| {
        let text = fill(s, "%##########");
        (weigh(&text, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) % 89 == 10).then_some(text)
    })
}

fn abn(s: &mut Source) -> Made {
    let solid = abn_solid(s);
    worded(grouped(&solid, &[2, 3, 3, 3], pick(s, &["", " "])))
}

fn no_abn(s: &mut Source) -> String {
    off_by_one(&abn_solid(s))
}

fn medicare_solid(s: &mut Source) -> String {
    let lead = between(s, 2, 6);
    let body = fill(s, &format!("{lead}#######"));
    let check = weigh(&body, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10;
    fill(s, &format!("{body}{check}%"))
}

fn medicare(s: &mut Source) -> Made {
    let solid = medicare_solid(s);
    worded(grouped(&solid, &[4, 5, 1], pick(s, &["", " "])))
}

fn no_medicare(s: &mut Source) -> String {
    let solid = medicare_solid(s);
    let wrong = (solid.as_bytes()[8] - b'0' + 1) % 10;
    format!("{}{wrong}{}", &solid[..8], &solid[9..])
}

fn nric_check(series: char, digits: &str) -> char {
    let sum = weigh(digits, &[2, 7, 6, 5, 4, 3, 2]);
    let (table, plus) = match series {
        'S' => (&b"JZIHGFEDCBA"[..], 0),
        'T' => (&b"JZIHGFEDCBA"[..], 4),
        'F' => (&b"XWUTRQPNMLK"[..], 0),
        _ => (&b"XWUTRQPNMLK"[..], 4),
    };
    char::from(table[((sum + plus) % 11) as usize])
}

fn nric(s: &mut Source) -> Made {
    let series = pick(s, &["S", "T", "F", "G"]);
    let digits = fill(s, "#######");
    bare(format!("{series}{digits}{}", nric_check(series.chars().next().unwrap(), &digits)))
}

fn no_nric(s: &mut Source) -> String {
    let digits = fill(s, "#######");
    let check = nric_check('S', &digits);
    format!("S{digits}{}", if check == 'J' { 'A' } else { 'J' })
}

fn pesel_solid(s: &mut Source) -> String {
    let (year, month, day) = (between(s, 1930, 2020), between(s, 1, 12), between(s, 1, 28));
    let body = fill(s, &format!("{:02}{:02}{day:02}####", year % 100, month + if year >= 2000 { 20 } else { 0 }));
    let check = (10 - weigh(&body, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3]) % 10) % 10;
    format!("{body}{check}")
}

fn pesel(s: &mut Source) -> Made {
    worded(pesel_solid(s))
}

fn no_pesel(s: &mut Source) -> String {
    off_by_one(&pesel_solid(s))
}

fn rrn(s: &mut Source) -> Made {
    let (year, month, day) = (between(s, 1940, 2019), between(s, 1, 12), between(s, 1, 28));
    let sex = between(s, 1, 2) + if year >= 2000 { 2 } else { 0 } + 4 * s.below(2);
    let text = fill(s, &format!("{:02}{month:02}{day:02}-{sex}######", year % 100));
    if chance(s, 4) { worded(text.replace('-', "")) } else { bare(text) }
}

fn no_rrn(s: &mut Source) -> String {
    fill(s, "%#13##-1######").replacen("13", "19", 1)
}

fn my_number_solid(s: &mut Source) -> String {
    let body = fill(s, "%##########");
    let check = match weigh(&body, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    format!("{body}{check}")
}

fn my_number(s: &mut Source) -> Made {
    let solid = my_number_solid(s);
    worded(grouped(&solid, &[4, 4, 4], pick(s, &["", " ", "-"])))
}

fn no_my_number(s: &mut Source) -> String {
    off_by_one(&my_number_solid(s))
}

fn sin_solid(s: &mut Source) -> String {
    let lead = of(s, "1234567", 1);
    let body = fill(s, &format!("{lead}#######"));
    format!("{body}{}", luhn_digit(&body))
}

fn sin(s: &mut Source) -> Made {
    let solid = sin_solid(s);
    worded(grouped(&solid, &[3, 3, 3], pick(s, &["", " ", "-"])))
}

fn no_sin(s: &mut Source) -> String {
    off_by_one(&sin_solid(s))
}

fn passport(s: &mut Source) -> Made {
    let pattern = pick(s, &["#########", "^########", "C01X##T4#", "^#######", "##^^#####", "M########", "^^#######"]);
    worded(fill(s, pattern))
}

fn licence(s: &mut Source) -> Made {
    let pattern =
        pick(s, &["^#######", "^############", "#########", "^###-####-####", "^########", "##^^######", "^^#######^", "###-###-###"]);
    worded(fill(s, pattern))
}

const MONTHS: &[&[&str]] = &[
    &["January", "Jan", "Januar", "janvier", "enero", "gennaio", "janeiro", "januari", "stycznia"],
    &["May", "Mai", "mai", "mayo", "maggio", "maio", "mei", "maja"],
    &["August", "Aug", "août", "agosto", "augustus", "sierpnia"],
    &["December", "Dec", "Dezember", "décembre", "diciembre", "dicembre", "dezembro", "grudnia"],
];

fn birth(s: &mut Source) -> Made {
    let (y, m, d) = (between(s, 1930, 2015), between(s, 1, 12), between(s, 1, 28));
    let names = MONTHS[s.below(MONTHS.len() as u64) as usize];
    let month = pick(s, names);
    worded(match s.below(9) {
        0 | 1 => format!("{y}-{m:02}-{d:02}"),
        2 => format!("{d:02}/{m:02}/{y}"),
        3 => format!("{m:02}/{d:02}/{y}"),
        4 => format!("{d:02}.{m:02}.{y}"),
        5 => format!("{d} {month} {y}"),
        6 => format!("{} {d}, {y}", pick(s, &["May", "January", "Dec", "March", "Oct", "September"])),
        7 => format!("{d}. {} {y}", pick(s, &["Mai", "März", "Juni", "Oktober"])),
        _ => format!("{y}年{m}月{d}日"),
    })
}

fn routing(s: &mut Source) -> Made {
    worded(until(s, |s| {
        let district = pick(s, &["01", "06", "12", "21", "26", "32", "61", "72", "80"]);
        let text = fill(s, &format!("{district}#######"));
        weigh(&text, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10).then_some(text)
    }))
}

fn account(s: &mut Source) -> Made {
    let len = between(s, 8, 14) as usize;
    let first = fill(s, "&");
    worded(first + &of(s, DIGITS, len - 1))
}

const INTERNATIONAL: &[&str] = &[
    "+1 &0&-&##-####",
    "+1 (&0&) &##-####",
    "+1&0&&######",
    "+1-&0&-&##-####",
    "+1.&0&.&##.####",
    "+44 20 7### ####",
    "+44 (0)20 7### ####",
    "+447### ######",
    "+447#########",
    "+44 161 ### ####",
    "+49 30 ######",
    "+49 (0)30 #######",
    "+49 151 ########",
    "+4915########",
    "+49 89 ### ## ##",
    "+33 6 ## ## ## ##",
    "+33 1 ## ## ## ##",
    "+336########",
    "+34 6## ### ###",
    "+34 9## ## ## ##",
    "+39 3## #######",
    "+39 06 #### ####",
    "+31 6 ########",
    "+31 20 ### ####",
    "+41 79 ### ## ##",
    "+46 70 ### ## ##",
    "+32 4## ## ## ##",
    "+43 664 #######",
    "+55 11 9####-####",
    "+55 (21) 9####-####",
    "+91 9#### #####",
    "+91-98########",
    "+61 4## ### ###",
    "+61 2 #### ####",
    "+65 8### ####",
    "+48 5## ### ###",
    "+82 10-####-####",
    "+82-2-###-####",
    "+81 90-####-####",
    "+81-3-####-####",
    "+86 138 #### ####",
    "+86138########",
    "+52 55 #### ####",
    "+27 82 ### ####",
    "+972 5#-###-####",
    "+353 87 ### ####",
    "+351 91# ### ###",
    "+45 ## ## ## ##",
    "+47 4## ## ###",
    "+358 40 ### ####",
    "+971 50 ### ####",
    "+90 532 ### ## ##",
    "+7 916 ###-##-##",
    "+380 67 ### ## ##",
    "+30 69# ### ####",
    "+420 6## ### ###",
    "+36 30 ### ####",
    "+234 803 ### ####",
    "+254 7## ######",
    "+63 917 ### ####",
    "+62 812-####-####",
    "+66 8# ### ####",
    "+84 9# ### ## ##",
    "+64 21 ### ####",
    "+54 9 11 ####-####",
    "+56 9 #### ####",
    "+57 3## ### ####",
    "+852 6### ####",
    "+886 9## ### ###",
];

fn international(s: &mut Source) -> Made {
    let pattern = pick(s, INTERNATIONAL);
    bare(fill(s, pattern))
}

const NATIONAL: &[&str] = &[
    "07### ######",
    "020 7### ####",
    "(01###) ######",
    "0161 ### ####",
    "030 ########",
    "0151 ########",
    "089/#######",
    "0171-#######",
    "06 ## ## ## ##",
    "01.##.##.##.##",
    "06########",
    "6## ### ###",
    "9## ## ## ##",
    "3## #######",
    "06 #### ####",
    "06-########",
    "020-#######",
    "079 ### ## ##",
    "070-### ## ##",
    "0470 ## ## ##",
    "0664 #######",
    "(11) 9####-####",
    "(21) &###-####",
    "9#### #####",
    "98########",
    "04## ### ###",
    "(02) 9### ####",
    "8### ####",
    "9### ####",
    "5## ### ###",
    "22 ### ## ##",
    "010-####-####",
    "02-###-####",
    "090-####-####",
    "03-####-####",
    "0120-###-###",
    "138########",
    "159 #### ####",
    "55 #### ####",
    "082 ### ####",
    "05#-###-####",
    "&0& &## ####",
    "&0&&######",
    "0800 ### ####",
    "0041 79 ### ## ##",
];

fn national(s: &mut Source) -> Made {
    let pattern = pick(s, NATIONAL);
    worded(fill(s, pattern))
}

fn american(s: &mut Source) -> Made {
    let pattern = pick(s, &["&0&-&##-####", "(&0&) &##-####", "(&0&)&##-####", "&0&.&##.####", "1-&0&-&##-####"]);
    bare(fill(s, pattern))
}

fn no_american(s: &mut Source) -> String {
    let pattern = pick(s, &["1##-&##-####", "&11-&##-####", "&0&-1##-####", "0##-&##-####"]);
    fill(s, pattern)
}

fn no_phone(s: &mut Source) -> String {
    let pattern = pick(s, &["+999 ### ### ###", "+1 1## ### ####", "+49 ###", "+210 ### ####", "+1 &0& 0## ####"]);
    fill(s, pattern)
}

fn v4(s: &mut Source) -> Made {
    let first = until(s, |s| {
        let a = between(s, 1, 223);
        (a != 127 && a != 169).then(|| a.to_string())
    });
    bare(format!("{first}.{}.{}.{}", s.below(256), s.below(256), s.below(256)))
}

fn no_v4(s: &mut Source) -> String {
    let (a, b, c) = (s.below(256), s.below(256), s.below(256));
    match s.below(8) {
        0 => format!("127.{a}.{b}.{c}"),
        1 => "0.0.0.0".to_owned(),
        2 => format!("version {}.{a}.{b}.{c}", between(s, 1, 20)),
        3 => format!("v{}.{a}.{b}.{c}", between(s, 1, 20)),
        4 => format!("{a}.{b}.{c}.{}", between(s, 256, 999)),
        5 => format!("{a}.{b}.{c}"),
        6 => format!("1.{a}.{b}.{c}.5"),
        _ => format!("255.255.{a}.0"),
    }
}

fn v6(s: &mut Source) -> Made {
    let part = |s: &mut Source| format!("{:x}", between(s, 1, 0xffff));
    let digit = |s: &mut Source| format!("{:x}", between(s, 0x1000, 0x9fff));
    bare(match s.below(5) {
        0 => format!("2001:{}:{}::{}", digit(s), part(s), part(s)),
        1 => (0..8).map(|at| if at == 0 { "2a02".to_owned() } else { part(s) }).collect::<Vec<_>>().join(":"),
        2 => format!("2600:{}:{}:{}::", digit(s), part(s), part(s)),
        3 => format!("fd00:{}::1", digit(s)),
        _ => format!("::ffff:{}", v4(s).text),
    })
}

fn no_v6(s: &mut Source) -> String {
    let (h, m, t) = (s.below(24), s.below(60), s.below(60));
    match s.below(6) {
        0 => "::1".to_owned(),
        1 => format!("{h:02}:{m:02}:{t:02}"),
        2 => pick(s, &["io::fs", "dead::beef", "abc::def::new", "a::b", "Foo::bar"]).to_owned(),
        3 => format!("fe80::{:x}", between(s, 1, 0xffff)),
        4 => format!("{h}:{m}:{t}:{m}"),
        _ => format!("ff02::{}", between(s, 1, 9)),
    }
}

fn mac(s: &mut Source) -> Made {
    let solid = format!("0{}", of(s, HEX, 11));
    let text = match s.below(3) {
        0 => grouped(&solid, &[2; 6], "-"),
        1 => grouped(&solid, &[2; 6], ":").to_uppercase(),
        _ => grouped(&solid, &[2; 6], ":"),
    };
    bare(text)
}

fn no_mac(s: &mut Source) -> String {
    let hex = of(s, HEX, 40);
    match s.below(4) {
        0 => "00:00:00:00:00:00".to_owned(),
        1 => "ff:ff:ff:ff:ff:ff".to_owned(),
        2 => grouped(&hex, &[2; 20], ":").to_uppercase(),
        _ => grouped(&hex, &[2; 5], ":"),
    }
}

fn crypto(s: &mut Source) -> Made {
    bare(match s.below(6) {
        0 => format!("0x{}", of(s, HEX, 40)),
        1 => "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed".to_owned(),
        2 => "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2".to_owned(),
        3 => "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy".to_owned(),
        4 => "bc1q3vg5cx5udx25gylenvjv4v7dzxd4qftvy80pla".to_owned(),
        _ => "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0".to_owned(),
    })
}

fn no_crypto(s: &mut Source) -> String {
    match s.below(3) {
        0 => format!("0x{}", of(s, HEX, 64)),
        1 => "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN3".to_owned(),
        _ => "bc1q3vg5cx5udx25gylenvjv4v7dzxd4qftvy80plb".to_owned(),
    }
}

fn url_credential(s: &mut Source) -> Made {
    let user = of(s, LOWER, 6);
    let length = between(s, 8, 16) as usize;
    let pass = of(s, ALNUM, length) + pick(s, &["", "7", "_9"]);
    bare(format!("{user}:{pass}"))
}

fn no_url_credential(s: &mut Source) -> String {
    let pass = pick(s, &["${DB_PASS}", "<password>", "{{ secret }}", "****", "$PASS", "password", "changeme"]);
    format!("{}:{pass}", of(s, LOWER, 5))
}

fn base64url(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let bits = chunk.iter().fold(0u32, |n, b| n << 8 | u32::from(*b)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            out.push(char::from(URL_ORDER[(bits >> (18 - 6 * place) & 63) as usize]));
        }
    }
    out
}

const URL_ORDER: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn jwt(s: &mut Source) -> Made {
    let header = pick(
        s,
        &[r#"{"alg":"HS256","typ":"JWT"}"#, r#"{"typ":"JWT","alg":"RS256"}"#, r#"{"alg":"ES256","kid":"k1"}"#, r#"{"alg":"HS256"}"#],
    );
    let claims = format!("{{\"sub\":\"{}\",\"iat\":17{}}}", of(s, DIGITS, 8), of(s, DIGITS, 8));
    bare(format!("{}.{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()), of(s, URL, 43)))
}

fn no_jwt(s: &mut Source) -> String {
    let cursor = format!("{{\"after\":{},\"dir\":\"next\"}}", s.below(1_000_000));
    base64url(cursor.as_bytes())
}

fn pem(s: &mut Source, label: &str) -> String {
    let lines: Vec<String> = (0..4).map(|_| of(s, ALNUM, 64)).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", lines.join("\n"))
}

fn private_key(s: &mut Source) -> Made {
    let label = pick(
        s,
        &["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY", "PGP PRIVATE KEY BLOCK"],
    );
    bare(pem(s, label))
}

fn no_private_key(s: &mut Source) -> String {
    let label = pick(s, &["CERTIFICATE", "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE REQUEST"]);
    pem(s, label)
}

fn api_key(s: &mut Source) -> Made {
    let lower_hex = |s: &mut Source, n| of(s, HEX, n);
    bare(match s.below(40) {
        0 => format!("AKIA{}", of(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        1 => format!("ASIA{}", of(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", 16)),
        2 => format!("AIza{}", of(s, URL, 34) + "A"),
        3 => format!("ghp_{}", of(s, ALNUM, 36)),
        4 => format!("ghs_{}", of(s, ALNUM, 36)),
        5 => format!("github_pat_{}_{}", of(s, ALNUM, 22), of(s, ALNUM, 59)),
        6 => format!("glpat-{}", of(s, ALNUM, 20)),
        7 => format!("xoxb-{}-{}-{}", of(s, DIGITS, 12), of(s, DIGITS, 12), of(s, ALNUM, 24)),
        8 => format!("xapp-1-A{}-{}-{}", of(s, CAPITALS, 10), of(s, DIGITS, 13), lower_hex(s, 64)),
        9 => format!("sk_live_{}", of(s, ALNUM, 24)),
        10 => format!("rk_test_{}", of(s, ALNUM, 24)),
        11 => format!("sk-ant-api03-{}AA", of(s, URL, 93)),
        12 => format!("sk-ant-admin01-{}AA", of(s, URL, 93)),
        13 => format!("sk-proj-{}T3BlbkFJ{}", of(s, URL, 74), of(s, ALNUM, 74)),
        14 => format!("sk-{}T3BlbkFJ{}", of(s, ALNUM, 20), of(s, ALNUM, 20)),
        15 => format!("sk-or-v1-{}", lower_hex(s, 64)),
        16 => format!("sk-lf-{}-{}-{}-{}-{}", lower_hex(s, 8), lower_hex(s, 4), lower_hex(s, 4), lower_hex(s, 4), lower_hex(s, 12)),
        17 => format!("gsk_{}", of(s, ALNUM, 52)),
        18 => format!("xai-{}", of(s, ALNUM, 80)),
        19 => format!("pplx-{}", of(s, ALNUM, 48)),
        20 => format!("r8_{}", of(s, ALNUM, 37)),
        21 => format!("hf_{}{}", of(s, LOWER, 17), of(s, UPPER, 17)),
        22 => format!("SK{}1", lower_hex(s, 31)),
        23 => format!("SG.{}.{}", of(s, URL, 21) + "a", of(s, ALNUM, 43)),
        24 => format!("npm_{}", of(s, ALNUM, 36)),
        25 => format!("pypi-AgEIcHlwaS5vcmc{}", of(s, URL, 80) + "A"),
        26 => format!("dop_v1_{}", lower_hex(s, 64)),
        27 => format!("dapi{}7", lower_hex(s, 31)),
        28 => format!("shpat_{}", lower_hex(s, 32)),
        29 => format!("hvs.{}", of(s, ALNUM, 95)),
        30 => format!("lin_api_{}", of(s, ALNUM, 40)),
        31 => format!("ntn_{}{}", of(s, DIGITS, 11), of(s, ALNUM, 35)),
        32 => format!("glsa_{}_{}", of(s, ALNUM, 32), lower_hex(s, 8)),
        33 => format!("PMAK-{}-{}", lower_hex(s, 24), lower_hex(s, 34)),
        34 => format!("NRAK-{}", of(s, CAPITALS, 27)),
        35 => format!("{}:AA{}", of(s, "123456789", 10), of(s, ALNUM, 33)),
        36 => format!("GOCSPX-{}", of(s, ALNUM, 28)),
        37 => format!("ya29.{}", of(s, URL, 60) + "a"),
        38 => format!("{}8Q~{}", of(s, ALNUM, 3), of(s, ALNUM, 34)),
        _ => format!("https://hooks.slack.com/services/T{}/B{}/{}", of(s, CAPITALS, 8), of(s, CAPITALS, 8), of(s, ALNUM, 24)),
    })
}

fn no_api_key(s: &mut Source) -> String {
    match s.below(9) {
        0 => format!("AKIA{}", of(s, UPPER, 9)),
        1 => format!("ghp_{}", of(s, ALNUM, 12)),
        2 => format!("pk_live_{}", of(s, ALNUM, 24)),
        3 => "sk-loading-spinner-container-large-primary-v2".to_owned(),
        4 => format!("pk-lf-{}", of(s, HEX, 8)),
        5 => format!("call_{}", of(s, ALNUM, 24)),
        6 => format!("msg_{}", of(s, ALNUM, 24)),
        7 => format!("chatcmpl-{}", of(s, ALNUM, 29)),
        _ => format!("toolu_{}", of(s, ALNUM, 24)),
    }
}

fn named_key(s: &mut Source) -> Made {
    let length = between(s, 20, 60) as usize;
    bare(of(s, ALNUM, length) + "k7")
}

fn no_named_key(s: &mut Source) -> String {
    pick(s, &["${KEY}", "YOUR_API_KEY", "<api key>", "{{ key }}", "None", "xxxxxxxxxxxxxxxxxxxxxxxx", "process.env.KEY", "short1"])
        .to_owned()
}

fn auth_token(s: &mut Source) -> Made {
    let length = between(s, 20, 48) as usize;
    bare(of(s, ALNUM, length) + "7")
}

fn no_auth_token(s: &mut Source) -> String {
    pick(s, &["of good news", "token", "<token>", "${TOKEN}", "{{token}}", "YOUR_TOKEN_GOES_HERE_1"]).to_owned()
}

fn password(s: &mut Source) -> Made {
    let words = ["quiet", "horse", "staple", "correct", "Coffee", "Winter", "sunset"];
    let (one, other, sign) = (pick(s, &words), pick(s, &words), pick(s, &["!", "*", "_9", "$", "+1"]));
    bare(match s.below(4) {
        0 => fill(s, &format!("{one}-{other}-##")),
        1 => fill(s, &format!("{one}###{sign}")),
        2 => fill(s, "^~~~~##!~"),
        _ => of(s, ALNUM, 10) + "1x",
    })
}

fn no_password(s: &mut Source) -> String {
    pick(
        s,
        &[
            "${DB_PASS}",
            "<your password>",
            "{{ vault }}",
            "None",
            "null",
            "********",
            "changeme",
            "os.environ['PW']",
            "xxxxxxxx",
            "$PASSWORD",
            "str",
            "[REDACTED]",
        ],
    )
    .to_owned()
}
