//! Check digits, as the registries publish them.

/// Up to 24 digits, without separators.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Digits {
    values: [u8; 24],
    len: usize,
}

impl Digits {
    /// The ASCII digits among the bytes; `None` if there are more than 24.
    pub(crate) fn of(bytes: &[u8]) -> Option<Digits> {
        let mut digits = Digits { values: [0; 24], len: 0 };
        for b in bytes.iter().filter(|b| b.is_ascii_digit()) {
            *digits.values.get_mut(digits.len)? = b - b'0';
            digits.len += 1;
        }
        Some(digits)
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        self.values.get(..self.len).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// The digit at a place; 0 past the end.
    pub(crate) fn at(&self, at: usize) -> u32 {
        self.as_slice().get(at).copied().map_or(0, u32::from)
    }

    /// The number that the digits `from..to` write.
    pub(crate) fn number(&self, from: usize, to: usize) -> u64 {
        self.as_slice().get(from..to).unwrap_or_default().iter().fold(0u64, |n, &d| n.saturating_mul(10).saturating_add(u64::from(d)))
    }

    /// The sum of digit times weight, from the first digit on.
    pub(crate) fn weighted(&self, weights: &[u32]) -> u32 {
        self.as_slice().iter().zip(weights).map(|(&d, w)| u32::from(d) * w).sum()
    }

    pub(crate) fn all_equal(&self) -> bool {
        self.as_slice().windows(2).all(|pair| pair.first() == pair.last())
    }
}

/// Luhn's formula (ISO/IEC 7812-1, annex B).
pub(crate) fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &d)| {
            let doubled = u32::from(d) * (1 + place as u32 % 2);
            doubled / 10 + doubled % 10
        })
        .sum();
    sum.is_multiple_of(10) && digits.len() > 1
}

/// The remainder modulo 97 of letters and digits, the first four moved to the end (ISO 13616), separators left out.
pub(crate) fn mod97(bytes: &[u8]) -> u32 {
    let clean = || bytes.iter().copied().filter(u8::is_ascii_alphanumeric);
    clean().skip(4).chain(clean().take(4)).fold(0u32, |rest, b| match b {
        b'0'..=b'9' => (rest * 10 + u32::from(b - b'0')) % 97,
        _ => (rest * 100 + u32::from(b.to_ascii_uppercase() - b'A') + 10) % 97,
    })
}

/// Verhoeff's scheme: the dihedral group of order ten, and a permutation per place.
pub(crate) fn verhoeff(digits: &[u8]) -> bool {
    const PERMUTE: [u8; 10] = [1, 5, 7, 6, 2, 8, 3, 0, 9, 4];
    let compose = |a: u8, b: u8| match (a < 5, b < 5) {
        (true, true) => (a + b) % 5,
        (true, false) => 5 + (a + b - 5) % 5,
        (false, true) => 5 + (a - 5 + 5 - b) % 5,
        (false, false) => (a + 5 - b) % 5,
    };
    let check = digits.iter().rev().enumerate().fold(0, |check, (place, &digit)| {
        let permuted = (0..place % 8).fold(digit, |d, _| PERMUTE.get(usize::from(d)).copied().unwrap_or(0));
        compose(check, permuted)
    });
    check == 0
}

/// Damm's scheme: a quasigroup of order ten.
pub(crate) fn damm(digits: &[u8]) -> bool {
    const TABLE: [[u8; 10]; 10] = [
        [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
        [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
        [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
        [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
        [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
        [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
        [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
        [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
        [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
        [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
    ];
    let next = |interim: u8, digit: &u8| TABLE.get(usize::from(interim)).and_then(|row| row.get(usize::from(*digit))).copied().unwrap_or(0);
    digits.iter().fold(0, next) == 0
}

/// ISO 7064 MOD 11,10 with its check digit at the end.
pub(crate) fn mod11_10(digits: &[u8]) -> bool {
    let Some((&check, body)) = digits.split_last() else { return false };
    let product = body.iter().fold(10u32, |product, &digit| {
        let sum = (u32::from(digit) + product) % 10;
        (if sum == 0 { 10 } else { sum }) * 2 % 11
    });
    !body.is_empty() && (11 - product) % 10 == u32::from(check)
}

/// ISO 7064 MOD 11-2 over the digits among the bytes; the last sign may be X for ten.
pub(crate) fn mod11_2(bytes: &[u8]) -> bool {
    let signs = || bytes.iter().filter(|b| b.is_ascii_alphanumeric());
    let count = signs().count();
    let mut rest = 0u32;
    for (at, b) in signs().enumerate() {
        let value = match b {
            b'0'..=b'9' => u32::from(b - b'0'),
            b'X' | b'x' if at + 1 == count => 10,
            _ => return false,
        };
        // The check sign has the weight 1.
        rest = if at + 1 == count { (rest + value) % 11 } else { (rest + value) * 2 % 11 };
    }
    count > 1 && rest == 1
}

/// Whether year, month and day are a day of the calendar.
pub(crate) fn real_date(year: u32, month: u32, day: u32) -> bool {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 => 28 + u32::from(leap),
        1..=12 => 31,
        _ => 0,
    };
    (1..=days).contains(&day)
}

#[cfg(test)]
mod tests {
    use super::{Digits, luhn, mod97, real_date};

    #[test]
    fn published_examples_hold_and_their_neighbours_do_not() {
        assert!(luhn(Digits::of(b"4111 1111 1111 1111").unwrap().as_slice()));
        assert!(!luhn(Digits::of(b"4111 1111 1111 1112").unwrap().as_slice()));
        assert_eq!(mod97(b"GB82 WEST 1234 5698 7654 32"), 1);
        assert_ne!(mod97(b"GB82 WEST 1234 5698 7654 33"), 1);
        assert!(real_date(2000, 2, 29) && !real_date(1900, 2, 29) && !real_date(2001, 4, 31) && !real_date(2001, 13, 1));
    }

    #[test]
    fn too_many_digits_are_no_number() {
        assert!(Digits::of(&[b'1'; 25]).is_none());
    }
}
