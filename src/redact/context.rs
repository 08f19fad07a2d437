//! Words that turn a bare number into somebody's number.
//!
//! Nine digits prove nothing; nine digits after "social security" do. All words of all types are looked for in one
//! walk over the few bytes around a candidate, and the answer is a set of bits, so twenty types cost one look.

use std::sync::LazyLock;

pub(crate) const CARD: u64 = 1;
pub(crate) const IBAN: u64 = 1 << 1;
pub(crate) const SSN: u64 = 1 << 2;
pub(crate) const ITIN: u64 = 1 << 3;
pub(crate) const NHS: u64 = 1 << 4;
pub(crate) const STEUER: u64 = 1 << 5;
pub(crate) const BSN: u64 = 1 << 6;
pub(crate) const CPF: u64 = 1 << 7;
pub(crate) const CNPJ: u64 = 1 << 8;
pub(crate) const AADHAAR: u64 = 1 << 9;
pub(crate) const PAN: u64 = 1 << 10;
pub(crate) const TFN: u64 = 1 << 11;
pub(crate) const ABN: u64 = 1 << 12;
pub(crate) const MEDICARE: u64 = 1 << 13;
pub(crate) const NRIC: u64 = 1 << 14;
pub(crate) const PESEL: u64 = 1 << 15;
pub(crate) const RRN: u64 = 1 << 16;
pub(crate) const MY_NUMBER: u64 = 1 << 17;
pub(crate) const SIN: u64 = 1 << 18;
pub(crate) const PASSPORT: u64 = 1 << 19;
pub(crate) const DRIVER: u64 = 1 << 20;
pub(crate) const BIRTH: u64 = 1 << 21;
pub(crate) const PHONE: u64 = 1 << 22;
pub(crate) const ROUTING: u64 = 1 << 23;
pub(crate) const ACCOUNT: u64 = 1 << 24;
/// Words that may speak of a phone, or of any number.
pub(crate) const PHONE_MAYBE: u64 = 1 << 25;

/// Words of numbers that are looked for only where the config asks. Their checks tell them apart, so one bit serves many.
pub(crate) const MORE_TAX: u64 = 1 << 26;
pub(crate) const MORE_PERSON: u64 = 1 << 27;
pub(crate) const MORE_HEALTH: u64 = 1 << 28;
pub(crate) const MORE_COMPANY: u64 = 1 << 29;
pub(crate) const MORE_VEHICLE: u64 = 1 << 30;
pub(crate) const MORE_CODE: u64 = 1 << 31;

/// Characters before a candidate in which a word counts.
const BEFORE: usize = 50;
/// Characters after it.
const AFTER: usize = 20;

/// The words, lower case, with and without accents. ASCII words of up to three letters must stand whole, longer ones
/// may go on ("phone" in "phones"); words of other scripts have no boundaries.
#[rustfmt::skip]
const WORDS: &[(u64, &[&str])] = &[
    (CARD, &["card", "credit", "debit", "visa", "mastercard", "maestro", "amex", "karte", "carte", "tarjeta", "carta", "cartão"]),
    (IBAN, &["iban"]),
    (SSN, &["ssn", "social security", "social"]),
    (ITIN, &["itin", "taxpayer", "tax id"]),
    (NHS, &["nhs", "health service", "health number"]),
    (STEUER, &["steuer-id", "steuerid", "steueridentifikationsnummer", "steuernummer", "steuer id", "idnr", "tin"]),
    (BSN, &["bsn", "burgerservicenummer", "sofinummer"]),
    (CPF, &["cpf"]),
    (CNPJ, &["cnpj"]),
    (AADHAAR, &["aadhaar", "aadhar", "uidai", "आधार"]),
    (PAN, &["pan", "permanent account"]),
    (TFN, &["tfn", "tax file"]),
    (ABN, &["abn", "business number"]),
    (MEDICARE, &["medicare"]),
    (NRIC, &["nric", "fin"]),
    (PESEL, &["pesel"]),
    (RRN, &["rrn", "resident registration", "주민등록"]),
    (MY_NUMBER, &["my number", "mynumber", "individual number", "マイナンバー", "個人番号"]),
    (SIN, &["sin", "social insurance", "nas", "assurance sociale"]),
    (PASSPORT, &["passport", "travel document", "reisepass", "passnummer", "passeport", "pasaporte", "passaporto", "passaporte",
        "paspoort", "paszport", "여권", "パスポート", "旅券", "护照", "護照"]),
    (DRIVER, &["driver", "driving", "licence", "license", "dl", "führerschein", "fuehrerschein", "permis", "patente",
        "prawo jazdy", "rijbewijs", "운전면허", "運転免許", "驾驶证", "驾照"]),
    (BIRTH, &["born", "birth", "dob", "d.o.b", "geboren", "geb", "geburtsdatum", "geburtstag", "né", "née", "naissance", "nacido",
        "nacida", "nacimiento", "nato", "nata", "nascita", "nascimento", "nascido", "nascida", "geboortedatum", "urodz", "ur",
        "生年月日", "생년월일", "출생", "出生", "bday"]),
    (PHONE, &["phone", "tel", "tél", "tlf", "telf", "call", "cell", "mobile", "fax", "whatsapp", "contact", "reach", "dial", "sms",
        "text me", "messages to", "hotline", "telefon", "telephone", "anruf", "rufen", "mobil", "handy", "téléphone", "appel",
        "portable", "llam", "llám", "teléfono", "móvil", "celular", "ligue", "telefone", "chiama", "cellulare", "telefoon", "bel", "ring",
        "電話", "전화", "手机", "手機", "电话", "携帯", "휴대폰"]),
    (PHONE_MAYBE, &["number", "line", "desk", "office", "answering"]),
    (MORE_TAX, &["vat", "tax number", "tax no", "tax reference", "ust-id", "ustid", "ust-idnr", "umsatzsteuer", "partita iva", "p.iva", "p. iva", "btw",
        "tva", "numéro fiscal", "numero fiscal", "nif", "contribuinte", "ein", "employer identification", "utr", "unique taxpayer", "gstin",
        "gst", "spi", "afm", "αφμ"]),
    (MORE_PERSON, &["personnummer", "personal number", "personal id", "national id", "national number", "identity number", "id number",
        "identity card", "hetu", "henkilötunnus", "cpr", "fødselsnummer", "fodselsnummer", "rijksregister", "registre national", "ahv", "avs",
        "sozialversicherung", "svnr", "rentenversicherung", "rvnr", "seguridad social", "nuss", "rodné číslo", "rodne cislo", "cnp", "egn",
        "егн", "tckn", "kimlik", "amka", "αμκα", "personalausweis", "ausweis", "身份证", "身份證", "บัตรประชาชน"]),
    (MORE_HEALTH, &["npi", "provider identifier", "mbi", "beneficiary"]),
    (MORE_COMPANY, &["orgnr", "org.nr", "organisationsnummer", "acn", "company number", "uen", "entity number", "brn",
        "business registration", "사업자등록번호"]),
    (MORE_VEHICLE, &["vin", "vehicle identification", "chassis", "fahrgestell"]),
    (MORE_CODE, &["cvv", "cvc", "security code", "swift", "bic"]),
    (ROUTING, &["routing", "aba", "rtn", "transit"]),
    (ACCOUNT, &["account", "acct", "a/c", "bank", "konto", "compte", "cuenta", "conto", "rekening"]),
];

/// The words by their first two bytes: few words of a text share those with any of them.
static BY_LEAD: LazyLock<Vec<Vec<(&'static [u8], u64)>>> = LazyLock::new(|| {
    let mut table = vec![Vec::new(); LEADS];
    for &(bits, words) in WORDS {
        for word in words {
            if let [lead, second, ..] = *word.as_bytes()
                && let Some(slot) = table.get_mut(slot(lead, second))
            {
                slot.push((word.as_bytes(), bits));
            }
        }
    }
    table
});

/// Places in the table of words.
const LEADS: usize = 1 << 10;

/// The place of words that begin so, in either case. Others may share it.
fn slot(lead: u8, second: u8) -> usize {
    usize::from(lead & 0x1f) << 5 | usize::from(second & 0x1f)
}

/// Bytes that are read before a stretch where reading begins anew: some candidates begin before the one that was asked about last.
const SLACK: usize = 16;
/// Words that are remembered before those that are far behind are forgotten.
const REMEMBERED: usize = 64;
/// What is farther behind than any window reaches, in bytes.
const FAR: usize = 1024;

/// The words of a text, each byte read once: in a list of numbers the windows of neighbours overlap almost wholly.
#[derive(Debug, Default)]
pub(crate) struct Words {
    /// The stretch that was read.
    from: usize,
    to: usize,
    found: Vec<Found>,
    /// The redaction token that was read last: where it begins and ends.
    token: (usize, usize),
    /// One past the last byte so far that is no character of its own or ends a blank line. Behind it windows are counted in bytes.
    hard: usize,
}

/// A word in the text.
#[derive(Clone, Copy, Debug)]
struct Found {
    start: usize,
    end: usize,
    bits: u64,
    /// Where the redaction token begins that the word is part of; `usize::MAX` for none.
    token: usize,
}

impl Words {
    /// Which types have one of their words near `start..end`.
    pub(crate) fn around(&mut self, text: &str, start: usize, end: usize) -> u64 {
        let (mut from, mut to) = (start.saturating_sub(BEFORE), text.len().min(end + AFTER));
        if !self.is_simple(text.as_bytes(), from, to) {
            (from, to) = (before(text, start), after(text, end));
            self.read(text.as_bytes(), from, to);
        }
        // A word after it counts where it begins near: "(Australian Business Number)" is long.
        self.within(from, start, start) | self.within(end, to, text.len())
    }

    /// Reads on to there, and answers whether from the one position to the other each byte is a character and no line is blank.
    fn is_simple(&mut self, bytes: &[u8], from: usize, to: usize) -> bool {
        // A blank line may end with the byte behind.
        self.read(bytes, from, bytes.len().min(to + 1));
        self.hard <= from
    }

    /// Which types have one of their words near any candidate between two positions, or between them.
    pub(crate) fn near(&mut self, text: &str, start: usize, end: usize) -> u64 {
        let mut from = start.saturating_sub(BEFORE);
        if !self.is_simple(text.as_bytes(), from, text.len().min(end + AFTER)) {
            from = before(text, start);
            // A window of twenty characters, of four bytes at most, behind the last end.
            self.read(text.as_bytes(), from, text.len().min(end + 4 * AFTER));
        }
        self.found.iter().rev().take_while(|found| found.start >= from).fold(0, |all, found| all | found.bits)
    }

    /// The bits of the words that begin between two positions and end by `limit`.
    fn within(&self, from: usize, to: usize, limit: usize) -> u64 {
        let near = self.found.iter().rev().take_while(|found| found.start >= from);
        // A redaction token names a type; its name is no context for what stands beside it.
        let counts = |found: &&Found| found.start < to && found.end <= limit && (found.token == usize::MAX || found.token < from);
        near.filter(counts).fold(0, |all, found| all | found.bits)
    }

    /// Reads on until the stretch holds this one.
    fn read(&mut self, bytes: &[u8], from: usize, to: usize) {
        if from < self.from || from > self.to {
            let begin = from.saturating_sub(SLACK);
            self.found.clear();
            (self.from, self.to, self.token, self.hard) = (begin, begin, (0, 0), begin);
        }
        if self.found.len() >= REMEMBERED {
            self.from = self.from.max(from.saturating_sub(FAR));
            self.found.retain(|found| found.start >= self.from);
        }
        let mut prev = self.to.checked_sub(1).and_then(|p| bytes.get(p)).copied().unwrap_or(b' ');
        for at in self.to..to {
            let Some(&here) = bytes.get(at) else { break };
            if here >= 0x80 || (here == b'\n' && prev == b'\n') {
                self.hard = at + 1;
            }
            if here == b'[' && at >= self.token.1 {
                self.token = (at, token_end(bytes, at));
            }
            let starts = if here < 0x80 { here.is_ascii_alphabetic() && !prev.is_ascii_alphanumeric() } else { here >= 0xC0 };
            if starts {
                let token = if at < self.token.1 { self.token.0 } else { usize::MAX };
                words_at(bytes, at, false, |end, bits| self.found.push(Found { start: at, end, bits, token }));
            }
            prev = here;
        }
        self.to = self.to.max(to);
    }
}

/// Numbers of a person at some office: of these `…_id` and `…_card` name the number itself.
const IDS: u64 = SSN
    | ITIN
    | NHS
    | STEUER
    | BSN
    | CPF
    | CNPJ
    | AADHAAR
    | PAN
    | TFN
    | ABN
    | MEDICARE
    | NRIC
    | PESEL
    | RRN
    | MY_NUMBER
    | SIN
    | PASSPORT
    | MORE_TAX
    | MORE_PERSON
    | MORE_HEALTH
    | MORE_COMPANY;

/// What may stand at the end of a key without naming anything, and for which types that is so.
const GENERIC: &[(&[u8], u64)] = &[
    (b"number", u64::MAX),
    (b"value", u64::MAX),
    (b"num", u64::MAX),
    (b"no", u64::MAX),
    (b"nr", u64::MAX),
    (b"id", IDS),
    (b"card", IDS),
    (b"code", IDS),
    (b"date", BIRTH),
    (b"el", BIRTH),
    (b"le", BIRTH),
    (b"il", BIRTH),
    (b"am", BIRTH),
    (b"on", BIRTH),
];

/// The bits of a key: the words at its end, with or without a trailing "number" or the like. `customer_phone_number` is a phone,
/// `account_created_at` is no account.
pub(crate) fn of_key(key: &str) -> u64 {
    let mut tail = key;
    let mut mask = u64::MAX;
    let mut found = 0;
    loop {
        tail = tail.trim_end_matches(|c: char| c.is_ascii_digit() || matches!(c, '_' | '-' | ' ' | '.'));
        let named = (suffixes(tail) | last_word(tail)) & mask;
        // The number of an order is none to call: only a key that is "number" as a whole may speak of phones.
        found |= if whole_word(tail) { named } else { named & !PHONE_MAYBE };
        let bytes = tail.as_bytes();
        let generic = GENERIC.iter().find_map(|&(word, of)| {
            let at = bytes.len().checked_sub(word.len()).filter(|&at| at > 0)?;
            (starts_word(bytes, at) && bytes.get(at..)?.eq_ignore_ascii_case(word)).then_some((at, of))
        });
        let Some((at, of)) = generic else { break };
        mask &= of;
        tail = tail.get(..at).unwrap_or_default();
    }
    found | before_of(key)
}

/// Whether a key is one word.
fn whole_word(key: &str) -> bool {
    key.bytes().all(|b| b.is_ascii_lowercase()) || key.bytes().all(|b| b.is_ascii_uppercase())
}

/// Whether a word of a key begins there: behind a sign, or at a capital behind a small letter.
fn starts_word(bytes: &[u8], at: usize) -> bool {
    let prev = at.checked_sub(1).and_then(|p| bytes.get(p)).copied().unwrap_or(b'_');
    let capital = bytes.get(at).is_some_and(u8::is_ascii_uppercase);
    (prev < 0x80 && !prev.is_ascii_alphanumeric()) || (capital && (prev.is_ascii_lowercase() || prev >= 0x80))
}

/// The bits of `permis_de_conduire`, `cpfDoCliente`: the word that names stands first.
fn before_of(key: &str) -> u64 {
    let bytes = key.as_bytes();
    let end = (1..bytes.len()).find(|&at| {
        let rest = bytes.get(at..).unwrap_or_default().trim_ascii_start();
        let rest = rest.strip_prefix(b"_").or_else(|| rest.strip_prefix(b"-")).unwrap_or(rest);
        let from = bytes.len() - rest.len();
        starts_word(bytes, from)
            && [&b"de"[..], b"do", b"da", b"del", b"di", b"of"].iter().any(|of| {
                rest.get(..of.len()).is_some_and(|head| head.eq_ignore_ascii_case(of))
                    && (starts_word(bytes, from + of.len()) || matches!(rest.get(of.len()), Some(b'_' | b'-' | b' ')))
            })
    });
    end.and_then(|end| key.get(..end)).map_or(0, suffixes)
}

/// The bits of the words that begin where the last word of the key begins.
fn last_word(tail: &str) -> u64 {
    let bytes = tail.as_bytes();
    for at in (0..bytes.len()).rev() {
        let here = bytes.get(at).copied().unwrap_or(0);
        let prev = at.checked_sub(1).and_then(|p| bytes.get(p)).copied().unwrap_or(b'_');
        let starts =
            here.is_ascii_alphabetic() && (!prev.is_ascii_alphanumeric() || (here.is_ascii_uppercase() && prev.is_ascii_lowercase()));
        if starts || here >= 0xC0 {
            let mut found = 0;
            words_at(bytes, at, true, |_, bits| found |= bits);
            if starts || found != 0 {
                return found;
            }
        }
    }
    0
}

/// The bits of the words that the last words of the key are, once both are squeezed: `socialSecurity`, `customer_tax-id`.
fn suffixes(tail: &str) -> u64 {
    let squeeze = |c: &char| !matches!(c, '-' | '_' | ' ');
    let bytes = tail.as_bytes();
    let starts = (0..bytes.len()).filter(|&at| at == 0 || (bytes.get(at).is_some_and(u8::is_ascii_alphabetic) && starts_word(bytes, at)));
    starts.filter_map(|at| tail.get(at..)).fold(0, |all, suffix| {
        let is_it = |word: &&str| word.chars().filter(squeeze).eq(suffix.chars().filter(squeeze).flat_map(char::to_lowercase));
        WORDS.iter().filter(|(_, words)| words.iter().any(&is_it)).fold(all, |all, (bits, _)| all | bits)
    })
}

/// Past the `]` of a redaction token that opens here; past the `[` alone if it is none.
fn token_end(bytes: &[u8], open: usize) -> usize {
    let token = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || *b == b'_' || *b == b':' || b.is_ascii_lowercase();
    let inside = bytes.get(open + 1..).unwrap_or_default().iter().take(80).take_while(|b| token(b)).count();
    let close = open + 1 + inside;
    let capital = bytes.get(open + 1).is_some_and(u8::is_ascii_uppercase)
        && bytes.get(open + 2).is_some_and(|b| b.is_ascii_uppercase() || *b == b'_');
    if capital && bytes.get(close) == Some(&b']') { close + 1 } else { open + 1 }
}

/// Every word that starts exactly here: its end and its bits.
fn words_at(bytes: &[u8], at: usize, key: bool, mut each: impl FnMut(usize, u64)) {
    let (Some(&lead), Some(&second)) = (bytes.get(at), bytes.get(at + 1)) else { return };
    for &(word, bits) in BY_LEAD.get(slot(lead, second)).into_iter().flatten() {
        let end = at + word.len();
        let Some(here) = bytes.get(at..end) else { continue };
        if !same(here, word, key) {
            continue;
        }
        let short = word.len() <= 3 && word.is_ascii();
        // Only a Latin letter goes on with a Latin word; an ideograph or a full-width colon ends it: `DOB：`, `SINは`.
        let goes_on =
            bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || (word.is_ascii() && matches!(b, 0xC3..=0xC9 | 0xCC | 0xCD)));
        let camel = key && bytes.get(end).is_some_and(u8::is_ascii_uppercase);
        if !(short && goes_on) || camel || digits_follow(bytes, end) {
            each(end, bits);
        }
    }
}

/// `tel0301234`, `SSN123456789`: the digits glued to a word are the number itself.
fn digits_follow(bytes: &[u8], end: usize) -> bool {
    bytes.get(end).is_some_and(u8::is_ascii_digit)
}

/// Equal but for ASCII case; in a key any of `-_. ` stands for any other.
fn same(here: &[u8], word: &[u8], key: bool) -> bool {
    here.iter().zip(word).all(|(h, w)| {
        h.eq_ignore_ascii_case(w) || (*w == b' ' && matches!(h, b'_' | b'-' | b'\n' | b'\t' | 0xA0)) || (key && *w == b'-' && *h == b'_')
    })
}

/// Where the window before `start` begins: at most [`BEFORE`] characters back, and behind a blank line.
fn before(text: &str, start: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = start;
    let mut chars = 0;
    while at > 0 && chars < BEFORE {
        at -= 1;
        let here = bytes.get(at).copied().unwrap_or(0);
        if here == b'\n' && at > 0 && bytes.get(at - 1).is_some_and(|&b| b == b'\n') {
            return at + 1;
        }
        if here & 0xC0 != 0x80 {
            chars += 1;
        }
    }
    at
}

/// Where the window after `end` stops.
fn after(text: &str, end: usize) -> usize {
    let bytes = text.as_bytes();
    let mut at = end;
    let mut chars = 0;
    while at < bytes.len() && chars < AFTER {
        let here = bytes.get(at).copied().unwrap_or(0);
        if here == b'\n' && bytes.get(at + 1).is_some_and(|&b| b == b'\n') {
            return at;
        }
        at += 1;
        if bytes.get(at).is_none_or(|b| b & 0xC0 != 0x80) {
            chars += 1;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::{ABN, ACCOUNT, BIRTH, CARD, CPF, DRIVER, ITIN, MEDICARE, PHONE, SIN, SSN, STEUER, Words, of_key};
    use crate::redact::detectors::testing::Source;

    fn at(text: &str) -> u64 {
        let start = text.find('#').unwrap();
        Words::default().around(text, start, start + 1)
    }

    #[test]
    fn a_word_counts_before_and_shortly_after() {
        assert_eq!(at("your SSN is #"), SSN);
        assert_eq!(at("Konto: #"), ACCOUNT);
        assert_eq!(at("# (date of birth)"), BIRTH);
        assert_eq!(at("電話#"), PHONE);
        assert_eq!(at("tax  id #") | at("tax\nid #"), ITIN);
    }

    #[test]
    fn short_words_stand_whole_and_prefixes_start_words() {
        assert_eq!(at("since #"), 0);
        assert_eq!(at("sin #"), SIN);
        assert_eq!(at("microphone #"), 0);
        assert_eq!(at("phones #"), PHONE);
        assert_eq!(at("finally tell #"), 0);
    }

    #[test]
    fn a_blank_line_and_distance_end_the_window() {
        assert_eq!(at("phone\n\n#"), 0);
        assert_eq!(at(&format!("phone {} #", "x ".repeat(26))), 0);
        assert_eq!(at("[PHONE] #"), 0);
    }

    #[test]
    fn what_was_read_before_does_not_change_the_answer() {
        let parts =
            ["phone ", "[PHONE] ", "[SSN", "ssn", "card: ", "12 ", "\n", "\n\n", "é", "生年月日", "tel0", "x", "account ", "tax id ", "["];
        let mut source = Source::new(3);
        for _ in 0..200 {
            let text: String = (0..60).map(|_| parts[source.below(parts.len() as u64) as usize]).collect();
            let mut words = Words::default();
            let mut at = 0;
            while at < text.len() {
                // Mostly on, now and then back.
                let start = at.saturating_sub(source.below(40) as usize);
                let end = (start + source.below(20) as usize).min(text.len());
                if text.is_char_boundary(start) && text.is_char_boundary(end) {
                    assert_eq!(words.around(&text, start, end), Words::default().around(&text, start, end), "{start}..{end} of {text}");
                }
                at += source.below(30) as usize;
            }
        }
    }

    #[test]
    fn a_key_counts_by_its_last_word() {
        assert_eq!(of_key("customerPhone"), PHONE);
        assert_eq!(of_key("phone_number"), PHONE);
        assert_eq!(of_key("account_created_at"), 0);
        assert_eq!(of_key("bankAccountNumber"), ACCOUNT);
        assert_eq!(of_key("social_security"), SSN);
        assert_eq!(of_key("dateOfBirth"), BIRTH);
        assert_eq!(of_key("total"), 0);
        for (key, bits) in [
            ("customer_tax_id", ITIN),
            ("taxId", ITIN),
            ("new_SOCIAL_SECURITY", SSN),
            ("birthDate", BIRTH),
            ("birth_date", BIRTH),
            ("IDNR", STEUER),
            ("australianBusinessNumber", ABN),
            ("medicareCardNumber", MEDICARE | CARD),
            ("permis_de_conduire", DRIVER),
            ("cpfDoCliente", CPF),
            ("phone2", PHONE),
            ("order_number", 0),
            ("account_number", ACCOUNT),
            ("account_id", 0),
            ("driver_id", 0),
            ("created_on", 0),
            ("mode", 0),
            ("model_id", 0),
        ] {
            assert_eq!(of_key(key), bits, "{key}");
        }
    }
}
