//! Numbers of persons and companies that are looked for only where the config asks: each proves itself by a published check.
//!
//! A check digit lets one number in ten pass, so most of these need a word nearby unless the profile is `wide`. One row a number: how it
//! is grouped, and what must hold. A new one is a row here, its type, and its words.

use super::national_checks as check;
use super::printed::{digits, read};
use super::{Detector, Number, Probe, Word};
use crate::redact::Kind;
use crate::redact::text::{Out, Text};

/// Those of digits.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Number(number) };
/// Those with letters.
pub(super) const DETECTOR_WORD: Detector = Detector { probe: Probe::Word(word) };

/// A number of digits.
struct Row {
    kind: Kind,
    /// Lengths of its groups, solid or with one of the signs between them.
    groups: &'static [usize],
    seps: &'static [u8],
    holds: fn(&[u8]) -> bool,
}

const fn row(kind: Kind, groups: &'static [usize], seps: &'static [u8], holds: fn(&[u8]) -> bool) -> Row {
    Row { kind, groups, seps, holds }
}

static ROWS: &[Row] = &[
    row(Kind::UsNpi, &[10], b"", check::us_npi),
    row(Kind::ItPartitaIva, &[11], b"", check::it_partita_iva),
    row(Kind::EsNuss, &[2, 8, 2], b" -/", check::es_nuss),
    row(Kind::FrNif, &[2, 2, 3, 3, 3], b" ", check::fr_nif),
    row(Kind::ChAhv, &[3, 4, 4, 2], b".", check::ch_ahv),
    row(Kind::AtSvnr, &[4, 6], b" -", check::at_svnr),
    row(Kind::SePersonnummer, &[6, 4], b"-+", check::se_personnummer),
    row(Kind::SePersonnummer, &[8, 4], b"-+", check::se_personnummer),
    row(Kind::SeOrgnr, &[6, 4], b"-", check::se_orgnr),
    row(Kind::DkCpr, &[6, 4], b"-", check::dk_cpr),
    row(Kind::NoFnr, &[6, 5], b" ", check::no_fnr),
    row(Kind::PtNif, &[3, 3, 3], b" ", check::pt_nif),
    row(Kind::GrAfm, &[9], b"", check::gr_afm),
    row(Kind::GrAmka, &[11], b"", check::gr_amka),
    row(Kind::CzRodneCislo, &[6, 4], b"/", check::cz_rodne_cislo),
    row(Kind::RoCnp, &[13], b"", check::ro_cnp),
    row(Kind::BgEgn, &[10], b"", check::bg_egn),
    row(Kind::TrTckn, &[11], b"", check::tr_tckn),
    row(Kind::ZaId, &[6, 4, 3], b" ", check::za_id),
    row(Kind::ThTnin, &[1, 4, 5, 2, 1], b"- ", check::th_tnin),
    row(Kind::AuAcn, &[3, 3, 3], b" ", check::au_acn),
    row(Kind::KrBrn, &[3, 2, 5], b"-", check::kr_brn),
    row(Kind::CnResidentId, &[18], b"", check::cn_resident_id),
    row(Kind::UkUtr, &[5, 5], b" ", check::uk_utr),
    row(Kind::UsEin, &[2, 7], b"-", check::us_ein),
];

/// Those whose form alone says what they are, once their check holds.
const fn plain(kind: Kind) -> bool {
    matches!(kind, Kind::ChAhv | Kind::CnResidentId | Kind::FiHetu | Kind::InGstin | Kind::DeVat | Kind::Vin)
}

fn number(text: &Text<'_>, number: &Number, out: &mut Out<'_>) {
    if !text.limits.optional() {
        return;
    }
    let start = number.start;
    for row in ROWS.iter().filter(|row| text.limits.wants(row.kind)) {
        if let Some(id) = read(text, start, row.groups, row.seps, digits)
            && text.stands_alone(start, id.end)
            && !(id.grouped && text.in_digit_row(start, id.end))
            && (row.holds)(id.chars())
        {
            report(text, row.kind, start, id.end, out);
        }
    }
    belgian(text, start, out);
    finnish(text, start, out);
}

fn word(text: &Text<'_>, word: Word, out: &mut Out<'_>) {
    if !text.limits.optional() {
        return;
    }
    let (start, end) = (word.start, word.end);
    finnish(text, start, out);
    let value = text.slice(start, end);
    if !text.stands_alone(start, end) || value.iter().any(u8::is_ascii_lowercase) {
        return;
    }
    let forms: [(Kind, fn(&[u8]) -> bool); 8] = [
        (Kind::DeVat, check::de_vat),
        (Kind::DeRvnr, check::de_rvnr),
        (Kind::DeIdCard, check::de_id_card),
        (Kind::UsMbi, check::us_mbi),
        (Kind::InGstin, check::in_gstin),
        (Kind::SgUen, check::sg_uen),
        (Kind::CnResidentId, check::cn_resident_id),
        (Kind::Vin, check::vin),
    ];
    for (kind, holds) in forms {
        if text.limits.wants(kind) && holds(value) {
            report(text, kind, start, end, out);
        }
    }
}

fn report(text: &Text<'_>, kind: Kind, start: usize, end: usize, out: &mut Out<'_>) {
    if plain(kind) { out.found(text, kind, start, end) } else { out.found_in_context(text, kind, start, end, true) }
}

/// `85.07.30-033.28`, solid or so.
fn belgian(text: &Text<'_>, start: usize, out: &mut Out<'_>) {
    if !text.limits.wants(Kind::BeNationalNumber) {
        return;
    }
    let end = start + 15;
    let value = text.slice(start, end);
    let signs = value.len() == 15
        && value.iter().enumerate().all(|(at, b)| match at {
            2 | 5 | 12 => *b == b'.',
            8 => *b == b'-',
            _ => b.is_ascii_digit(),
        });
    let solid = || text.run(start, 12, |b| b.is_ascii_digit());
    let end = if signs { end } else { solid() };
    let plain: Vec<u8> = text.slice(start, end).iter().copied().filter(u8::is_ascii_digit).collect();
    if text.stands_alone(start, end) && check::be_national_number(&plain) {
        report(text, Kind::BeNationalNumber, start, end, out);
    }
}

/// `131052-308T`: the sign is the century.
fn finnish(text: &Text<'_>, start: usize, out: &mut Out<'_>) {
    let end = start + 11;
    let value = text.slice(start, end);
    if text.limits.wants(Kind::FiHetu) && value.len() == 11 && check::fi_hetu(value) && text.stands_alone(start, end) {
        report(text, Kind::FiHetu, start, end, out);
    }
}

#[cfg(test)]
mod tests {
    use crate::redact::Kind;
    use crate::redact::detectors::Limits;
    use crate::redact::detectors::testing::found_with;

    /// Published or computed examples, with the word that is near them and a neighbour whose check fails.
    const EXAMPLES: &[(Kind, &str, &str, &str)] = &[
        (Kind::UsNpi, "NPI", "1234567893", "1234567894"),
        (Kind::ItPartitaIva, "partita IVA", "07643520567", "07643520568"),
        (Kind::ChAhv, "AHV", "756.9217.0769.85", "756.9217.0769.84"),
        (Kind::AtSvnr, "SVNR", "1237 010180", "2237 010180"),
        (Kind::SePersonnummer, "personnummer", "811228-9874", "811228-9873"),
        (Kind::DkCpr, "CPR", "070761-4285", "073261-4285"),
        (Kind::PtNif, "NIF", "123456789", "123456788"),
        (Kind::CzRodneCislo, "rodné číslo", "736028/5163", "736028/5164"),
        (Kind::RoCnp, "CNP", "1800101221144", "1800101221145"),
        (Kind::BgEgn, "EGN", "7523169263", "7523169264"),
        (Kind::TrTckn, "TCKN", "10000000146", "10000000147"),
        (Kind::ZaId, "id number", "8001015009087", "8001015009088"),
        (Kind::ThTnin, "national id", "1101700230708", "1101700230709"),
        (Kind::AuAcn, "ACN", "004 085 616", "004 085 617"),
        (Kind::KrBrn, "business registration", "220-81-62517", "220-81-62518"),
        (Kind::CnResidentId, "身份证", "11010519491231002X", "11010519491231003X"),
        (Kind::BeNationalNumber, "rijksregisternummer", "85.07.30-033.28", "85.07.30-033.29"),
        (Kind::FiHetu, "hetu", "131052-308T", "131052-308U"),
        (Kind::DeVat, "USt-ID", "DE136695976", "DE136695977"),
        (Kind::DeIdCard, "Personalausweis", "T220001293", "T220001294"),
        (Kind::InGstin, "GSTIN", "27AAPFU0939F1ZV", "27AAPFU0939F1ZW"),
        (Kind::Vin, "VIN", "1M8GDM9AXKP042788", "1M8GDM9A1KP042788"),
        (Kind::UsMbi, "Medicare beneficiary", "1EG4TE5MK73", "1SG4TE5MK73"),
        (Kind::UsEin, "EIN", "12-3456789", "07-3456789"),
    ];

    #[test]
    fn published_examples_are_found_where_they_are_asked_for_and_their_neighbours_are_not() {
        for &(kind, word, hit, near) in EXAMPLES {
            let mut limits = Limits::default();
            let of_kind = |text: &str, limits: &Limits| found_with(text, None, limits).into_iter().filter(|(k, _)| *k == kind).count();
            let text = format!("{word} {hit}, ok");
            assert_eq!(of_kind(&text, &limits), 0, "{kind} is off");
            limits.set(kind, crate::redact::When::On);
            assert_eq!(of_kind(&text, &limits), 1, "{text}");
            assert_eq!(of_kind(&format!("{word} {near}, ok"), &limits), 0, "{near}");
            assert_eq!(of_kind(&format!("x{hit}"), &limits), 0, "{hit}");
            let wide = Limits::new(true, false);
            // Numbers of two countries may look the same; one of them it is.
            let text = format!("ref {hit}, ok");
            assert!(found_with(&text, None, &wide).iter().any(|(_, found)| *found == hit), "{hit} in the wide profile");
        }
    }
}
