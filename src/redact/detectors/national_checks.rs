//! The checks of national numbers, as their registries publish them. Each takes the letters and digits of one number, without signs.

use super::checks::{luhn, mod11_2, mod11_10, real_date};

/// The digits as values; `None` where something else is among them or there are not so many.
fn read<const N: usize>(id: &[u8]) -> Option<[u32; N]> {
    let mut digits = [0; N];
    (id.len() == N).then_some(())?;
    for (slot, b) in digits.iter_mut().zip(id) {
        *slot = char::from(*b).to_digit(10)?;
    }
    Some(digits)
}

fn weigh(digits: &[u32], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| digit * weight).sum()
}

fn number(digits: &[u32]) -> u64 {
    digits.iter().fold(0, |n, &digit| n * 10 + u64::from(digit))
}

fn at(digits: &[u32], place: usize) -> u32 {
    digits.get(place).copied().unwrap_or(0)
}

fn two(digits: &[u32], place: usize) -> u32 {
    at(digits, place) * 10 + at(digits, place + 1)
}

fn bytes(digits: &[u32]) -> Vec<u8> {
    digits.iter().filter_map(|&digit| u8::try_from(digit).ok()).collect()
}

/// Whether two digits each of year, month and day are a day in this century or the last.
fn date(year: u32, month: u32, day: u32) -> bool {
    real_date(1900 + year, month, day) || real_date(2000 + year, month, day)
}

/// CMS: Luhn behind the prefix 80840.
pub(super) fn us_npi(id: &[u8]) -> bool {
    let Some(digits) = read::<10>(id) else { return false };
    matches!(at(&digits, 0), 1 | 2) && luhn(&[&[8, 0, 8, 4, 0], &bytes(&digits)[..]].concat())
}

/// IRS: prefixes that were given to a campus.
pub(super) fn us_ein(id: &[u8]) -> bool {
    let Some(digits) = read::<9>(id) else { return false };
    !matches!(two(&digits, 0), 0 | 7..=9 | 17..=19 | 28..=29 | 49 | 69..=70 | 78..=79 | 89 | 96..=97)
}

/// CMS: which places are letters; S, L, O, I, B and Z are never used.
pub(super) fn us_mbi(id: &[u8]) -> bool {
    let letter = |b: u8| b.is_ascii_uppercase() && !b"SLOIBZ".contains(&b);
    id.len() == 11
        && id.iter().enumerate().all(|(place, &b)| match place {
            0 => matches!(b, b'1'..=b'9'),
            1 | 4 | 7 | 8 => letter(b),
            2 | 5 => letter(b) || b.is_ascii_digit(),
            _ => b.is_ascii_digit(),
        })
}

/// Decreto del Ministero delle Finanze 23/12/1976: Luhn; the province stands in places 8 to 10.
pub(super) fn it_partita_iva(id: &[u8]) -> bool {
    let Some(digits) = read::<11>(id) else { return false };
    let province = number(digits.get(7..10).unwrap_or_default());
    luhn(&bytes(&digits)) && number(&digits) > 0 && (matches!(province, 1..=100 | 120 | 121 | 888 | 999))
}

/// Tesorería General de la Seguridad Social: the rest of province and number by 97.
pub(super) fn es_nuss(id: &[u8]) -> bool {
    let Some(digits) = read::<12>(id) else { return false };
    let (province, own) = (u64::from(two(&digits, 0)), number(digits.get(2..10).unwrap_or_default()));
    let whole = if own < 10_000_000 { own + province * 10_000_000 } else { province * 100_000_000 + own };
    matches!(province, 1..=53 | 66) && whole % 97 == u64::from(two(&digits, 10))
}

/// Direction générale des finances publiques: the first ten digits by 511.
pub(super) fn fr_nif(id: &[u8]) -> bool {
    let Some(digits) = read::<13>(id) else { return false };
    at(&digits, 0) <= 3 && number(digits.get(..10).unwrap_or_default()) % 511 == number(digits.get(10..).unwrap_or_default())
}

/// Zentrale Ausgleichsstelle: 756, and a check digit as in EAN-13.
pub(super) fn ch_ahv(id: &[u8]) -> bool {
    let Some(digits) = read::<13>(id) else { return false };
    let sum = weigh(&digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3]);
    id.starts_with(b"756") && (10 - sum % 10) % 10 == at(&digits, 12)
}

/// Dachverband der Sozialversicherungsträger: the fourth digit checks the others; a day of birth follows.
pub(super) fn at_svnr(id: &[u8]) -> bool {
    let Some(digits) = read::<10>(id) else { return false };
    let sum = weigh(&digits, &[3, 7, 9, 0, 5, 8, 4, 2, 1, 6]);
    let month = two(&digits, 6);
    at(&digits, 0) > 0 && sum % 11 == at(&digits, 3) && (1..=31).contains(&two(&digits, 4)) && (1..=15).contains(&month)
}

/// Skatteverket: a day of birth, for coordination numbers with 60 added, and Luhn over ten digits.
pub(super) fn se_personnummer(id: &[u8]) -> bool {
    let ten = if id.len() == 12 { id.get(2..).unwrap_or_default() } else { id };
    let century = id.len() == 10 || id.starts_with(b"19") || id.starts_with(b"20");
    let Some(digits) = read::<10>(ten) else { return false };
    let day = two(&digits, 4);
    century && date(two(&digits, 0), two(&digits, 2), if day > 60 { day - 60 } else { day }) && luhn(&bytes(&digits))
}

/// Bolagsverket: Luhn, and a third digit that no month begins with.
pub(super) fn se_orgnr(id: &[u8]) -> bool {
    let Some(digits) = read::<10>(id) else { return false };
    matches!(at(&digits, 0), 1..=3 | 5..=9) && at(&digits, 2) >= 2 && luhn(&bytes(&digits))
}

/// CPR-kontoret: a day of birth; since 2007 the last digit need not check.
pub(super) fn dk_cpr(id: &[u8]) -> bool {
    let Some(digits) = read::<10>(id) else { return false };
    date(two(&digits, 4), two(&digits, 2), two(&digits, 0))
}

/// Skatteetaten: a day of birth (40 added for D-numbers) and two digits modulo 11.
pub(super) fn no_fnr(id: &[u8]) -> bool {
    let Some(digits) = read::<11>(id) else { return false };
    let day = two(&digits, 0);
    let month = two(&digits, 2);
    let first = weigh(&digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]);
    let second = weigh(&digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]);
    let real = date(two(&digits, 4), if month > 40 { month - 40 } else { month }, if day > 40 { day - 40 } else { day });
    real && first.is_multiple_of(11) && second.is_multiple_of(11)
}

/// Autoridade Tributária: weights 9 to 2 modulo 11.
pub(super) fn pt_nif(id: &[u8]) -> bool {
    let Some(digits) = read::<9>(id) else { return false };
    let check = match weigh(&digits, &[9, 8, 7, 6, 5, 4, 3, 2]) % 11 {
        0 | 1 => 0,
        rest => 11 - rest,
    };
    matches!(at(&digits, 0), 1..=3 | 5 | 6 | 8 | 9) && check == at(&digits, 8)
}

/// ΑΑΔΕ: powers of two modulo 11.
pub(super) fn gr_afm(id: &[u8]) -> bool {
    let Some(digits) = read::<9>(id) else { return false };
    number(&digits) > 0 && weigh(&digits, &[256, 128, 64, 32, 16, 8, 4, 2]) % 11 % 10 == at(&digits, 8)
}

/// ΗΔΙΚΑ: a day of birth and Luhn.
pub(super) fn gr_amka(id: &[u8]) -> bool {
    let Some(digits) = read::<11>(id) else { return false };
    date(two(&digits, 4), two(&digits, 2), two(&digits, 0)) && luhn(&bytes(&digits))
}

/// Zákon o evidenci obyvatel: a day of birth (50 added to the month for women, 20 where numbers ran out), divisible by 11.
pub(super) fn cz_rodne_cislo(id: &[u8]) -> bool {
    let Some(digits) = read::<10>(id) else { return false };
    let month = two(&digits, 2) % 50;
    let month = if month > 20 { month - 20 } else { month };
    let whole = number(&digits);
    let exception = number(digits.get(..9).unwrap_or_default()) % 11 == 10 && at(&digits, 9) == 0;
    date(two(&digits, 0), month, two(&digits, 4)) && (whole.is_multiple_of(11) || exception)
}

/// Direcția pentru Evidența Persoanelor: sex, day of birth, county, and 279146358279 modulo 11.
pub(super) fn ro_cnp(id: &[u8]) -> bool {
    let Some(digits) = read::<13>(id) else { return false };
    let check = match weigh(&digits, &[2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9]) % 11 {
        10 => 1,
        rest => rest,
    };
    let county = matches!(two(&digits, 7), 1..=48 | 51 | 52 | 70..=83 | 90..=99);
    at(&digits, 0) > 0 && county && date(two(&digits, 1), two(&digits, 3), two(&digits, 5)) && check == at(&digits, 12)
}

/// ГРАО: a day of birth whose month tells the century, powers of two modulo 11.
pub(super) fn bg_egn(id: &[u8]) -> bool {
    let Some(digits) = read::<10>(id) else { return false };
    let check = weigh(&digits, &[2, 4, 8, 5, 10, 9, 7, 3, 6]) % 11 % 10;
    date(two(&digits, 0), two(&digits, 2) % 20, two(&digits, 4)) && check == at(&digits, 9)
}

/// Nüfus ve Vatandaşlık İşleri: two digits from sums of odd and even places.
pub(super) fn tr_tckn(id: &[u8]) -> bool {
    let Some(digits) = read::<11>(id) else { return false };
    let odd = weigh(&digits, &[1, 0, 1, 0, 1, 0, 1, 0, 1]);
    let even = weigh(&digits, &[0, 1, 0, 1, 0, 1, 0, 1]);
    let sum = weigh(&digits, &[1; 10]);
    at(&digits, 0) > 0 && (odd * 7 + 100 - even) % 10 == at(&digits, 9) && sum % 10 == at(&digits, 10)
}

/// Department of Home Affairs: a day of birth, a digit for citizenship, Luhn.
pub(super) fn za_id(id: &[u8]) -> bool {
    let Some(digits) = read::<13>(id) else { return false };
    date(two(&digits, 0), two(&digits, 2), two(&digits, 4)) && at(&digits, 10) <= 2 && luhn(&bytes(&digits))
}

/// Department of Provincial Administration: weights 13 to 2 modulo 11.
pub(super) fn th_tnin(id: &[u8]) -> bool {
    let Some(digits) = read::<13>(id) else { return false };
    let sum = weigh(&digits, &[13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2]);
    (1..=8).contains(&at(&digits, 0)) && (11 - sum % 11) % 10 == at(&digits, 12)
}

/// ASIC: weights 8 to 1 modulo 10.
pub(super) fn au_acn(id: &[u8]) -> bool {
    let Some(digits) = read::<9>(id) else { return false };
    number(&digits) > 0 && (10 - weigh(&digits, &[8, 7, 6, 5, 4, 3, 2, 1]) % 10) % 10 == at(&digits, 8)
}

/// 국세청: weights 1 3 7, and the tens of five times the ninth digit.
pub(super) fn kr_brn(id: &[u8]) -> bool {
    let Some(digits) = read::<10>(id) else { return false };
    let sum = weigh(&digits, &[1, 3, 7, 1, 3, 7, 1, 3, 5]) + at(&digits, 8) * 5 / 10;
    number(digits.get(..3).unwrap_or_default()) > 100 && (10 - sum % 10) % 10 == at(&digits, 9)
}

/// GB 11643: a province, a day of birth, ISO 7064 MOD 11-2.
pub(super) fn cn_resident_id(id: &[u8]) -> bool {
    let Some(digits) = id.get(..17).and_then(read::<17>) else { return false };
    let (year, province) = (u32::try_from(number(digits.get(6..10).unwrap_or_default())).unwrap_or(0), two(&digits, 0));
    id.len() == 18
        && matches!(province, 11..=15 | 21..=23 | 31..=37 | 41..=46 | 50..=54 | 61..=65 | 71 | 81..=83)
        && (1900..2100).contains(&year)
        && real_date(year, two(&digits, 10), two(&digits, 12))
        && mod11_2(id)
}

/// HMRC: the first digit checks the other nine.
pub(super) fn uk_utr(id: &[u8]) -> bool {
    let Some(digits) = read::<10>(id) else { return false };
    let sum = weigh(digits.get(1..).unwrap_or_default(), &[6, 7, 8, 9, 10, 5, 4, 3, 2]);
    let check = [2, 1, 9, 8, 7, 6, 5, 4, 3, 2, 1].get((sum % 11) as usize).copied();
    check == Some(at(&digits, 0))
}

/// Service public fédéral Intérieur: 97 less the rest, with a 2 in front for births from 2000 on.
pub(super) fn be_national_number(id: &[u8]) -> bool {
    let Some(digits) = read::<11>(id) else { return false };
    let (body, check) = (number(digits.get(..9).unwrap_or_default()), u64::from(two(&digits, 9)));
    let month = two(&digits, 2);
    date(two(&digits, 0), if month > 40 { month - 40 } else { month }, two(&digits, 4))
        && (97 - body % 97 == check || 97 - (2_000_000_000 + body) % 97 == check)
}

/// Digi- ja väestötietovirasto: a day of birth, a sign for the century, and 31 signs to check by.
pub(super) fn fi_hetu(id: &[u8]) -> bool {
    let (Some(head), Some(&century), Some(tail), Some(check)) =
        (id.get(..6).and_then(read::<6>), id.get(6), id.get(7..10).and_then(read::<3>), id.get(10))
    else {
        return false;
    };
    let sign = b"0123456789ABCDEFHJKLMNPRSTUVWXY".get(((number(&head) * 1000 + number(&tail)) % 31) as usize);
    matches!(century, b'+' | b'-' | b'A'..=b'F' | b'U'..=b'Y')
        && date(two(&head, 4), two(&head, 2), two(&head, 0))
        && (2..=899).contains(&number(&tail))
        && sign == Some(check)
}

/// Bundeszentralamt für Steuern: ISO 7064 MOD 11,10 behind the country.
pub(super) fn de_vat(id: &[u8]) -> bool {
    let Some(digits) = id.strip_prefix(b"DE").and_then(read::<9>) else { return false };
    at(&digits, 0) > 0 && mod11_10(&bytes(&digits))
}

/// Versicherungsnummern-, Kontoführungs- und Vergabeverordnung: the letter counts as its place, sums of digits modulo 10.
pub(super) fn de_rvnr(id: &[u8]) -> bool {
    let (Some(head), Some(letter @ b'A'..=b'Z'), Some(tail)) =
        (id.get(..8).and_then(read::<8>), id.get(8), id.get(9..).and_then(read::<3>))
    else {
        return false;
    };
    let place = u32::from(letter - b'A') + 1;
    let mut digits = head.to_vec();
    digits.extend([place / 10, place % 10, at(&tail, 0), at(&tail, 1)]);
    let sum: u32 =
        digits.iter().zip([2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1]).map(|(digit, weight)| digit * weight / 10 + digit * weight % 10).sum();
    let day = two(&head, 2);
    (1..=31).contains(&(if day > 50 { day - 50 } else { day })) && matches!(two(&head, 4), 0..=12) && sum % 10 == at(&tail, 2)
}

/// ICAO Doc 9303 part 3: weights 7 3 1 modulo 10, over the signs a German card or passport uses.
pub(super) fn de_id_card(id: &[u8]) -> bool {
    let used = |b: &u8| b.is_ascii_digit() || b"CFGHJKLMNPRTVWXYZ".contains(b);
    let values = id.iter().take(9).filter_map(|b| char::from(*b).to_digit(36));
    let sum: u32 = values.zip([7, 3, 1].into_iter().cycle()).map(|(value, weight)| value * weight).sum();
    id.len() == 10
        && id.iter().all(used)
        && id.first().is_some_and(u8::is_ascii_uppercase)
        && id.last().and_then(|b| char::from(*b).to_digit(10)) == Some(sum % 10)
}

/// GSTN: a state, a PAN, an entity, Z, and Luhn over 36 signs.
pub(super) fn in_gstin(id: &[u8]) -> bool {
    let shaped = id.len() == 15
        && id.iter().enumerate().all(|(place, b)| match place {
            0 | 1 | 7..=10 => b.is_ascii_digit(),
            13 => *b == b'Z',
            12 | 14 => b.is_ascii_alphanumeric(),
            _ => b.is_ascii_uppercase(),
        });
    let sum: u32 = id
        .iter()
        .take(14)
        .enumerate()
        .filter_map(|(place, b)| {
            let product = char::from(*b).to_digit(36)? * (1 + place as u32 % 2);
            Some(product / 36 + product % 36)
        })
        .sum();
    let state = id.get(..2).and_then(read::<2>).map_or(0, |digits| two(&digits, 0));
    shaped && matches!(state, 1..=38 | 97 | 99) && id.last().and_then(|b| char::from(*b).to_digit(36)) == Some((36 - sum % 36) % 36)
}

/// ACRA: three forms, each with its weights and letters.
pub(super) fn sg_uen(id: &[u8]) -> bool {
    let Some((&check, body)) = id.split_last() else { return false };
    let letter = |table: &[u8], at: u32| table.get(at as usize) == Some(&check);
    match body.len() {
        8 => read::<8>(body).is_some_and(|digits| letter(b"XMKECAWLJDB", weigh(&digits, &[10, 4, 9, 3, 8, 2, 7, 1]) % 11)),
        9 if body.first().is_some_and(u8::is_ascii_digit) => {
            read::<9>(body).is_some_and(|digits| letter(b"ZKCMDNERGWH", weigh(&digits, &[10, 8, 6, 4, 9, 7, 5, 3, 1]) % 11))
        }
        9 => {
            const SIGNS: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWX0123456789";
            let place = |b: &u8| SIGNS.iter().position(|sign| sign == b).and_then(|at| u32::try_from(at).ok());
            let values: Vec<u32> = body.iter().filter_map(place).collect();
            let shaped = matches!(body, [b'R' | b'S' | b'T', a, b, c, d, rest @ ..]
                if a.is_ascii_digit() && b.is_ascii_digit() && c.is_ascii_uppercase() && d.is_ascii_uppercase() && rest.iter().all(u8::is_ascii_digit));
            let sum = weigh(&values, &[4, 3, 5, 3, 10, 2, 2, 5, 7]);
            shaped && values.len() == 9 && letter(SIGNS, (sum + 6) % 11)
        }
        _ => false,
    }
}

/// ISO 3779 and 49 CFR 565: letters count by a table, places by weights; the ninth sign is the rest modulo 11.
pub(super) fn vin(id: &[u8]) -> bool {
    let value = |b: u8| match b {
        b'0'..=b'9' => Some(u32::from(b - b'0')),
        b'A'..=b'H' => Some(u32::from(b - b'A') + 1),
        b'J'..=b'N' => Some(u32::from(b - b'J') + 1),
        b'P' => Some(7),
        b'R' => Some(9),
        b'S'..=b'Z' => Some(u32::from(b - b'S') + 2),
        _ => None,
    };
    let values: Vec<u32> = id.iter().filter_map(|&b| value(b)).collect();
    let rest = weigh(&values, &[8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2]) % 11;
    let check = id.get(8).map(|b| if *b == b'X' { 10 } else { value(*b).filter(|_| b.is_ascii_digit()).unwrap_or(99) });
    id.len() == 17
        && values.len() == 17
        && check == Some(rest)
        && id.iter().any(u8::is_ascii_uppercase)
        && id.iter().skip(13).all(u8::is_ascii_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_without_a_place_in_the_table_of_examples_hold_too() {
        assert!(es_nuss(b"281234567840") && !es_nuss(b"281234567841"));
        assert!(fr_nif(b"3023217600053") && !fr_nif(b"3023217600054"));
        assert!(gr_afm(b"094259216") && !gr_afm(b"094259217"));
        assert!(no_fnr(b"15108695088") && !no_fnr(b"15108695089"));
        assert!(de_rvnr(b"15070649C103") && !de_rvnr(b"15070649C104"));
        assert!(se_orgnr(b"5560360793") && !se_orgnr(b"5560360794"));
        assert!(uk_utr(b"1955839661") && !uk_utr(b"2955839661"));
        assert!(gr_amka(b"01013099997") && !gr_amka(b"01013099998"));
        assert!(sg_uen(b"00192200M") && sg_uen(b"197401143C") && sg_uen(b"S16FC0121D") && sg_uen(b"T01FC6132D") && !sg_uen(b"00192200N"));
    }

    #[test]
    fn anything_else_is_refused_without_a_fault() {
        let all: [fn(&[u8]) -> bool; 8] = [us_npi, ch_ahv, cn_resident_id, fi_hetu, de_rvnr, in_gstin, sg_uen, vin];
        for check in all {
            for id in [&b""[..], b"1", b"ABC", &[0xff; 17], b"00000000000000000", b"IIIIIIIIIIIIIIIII"] {
                check(id);
            }
        }
    }
}
