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
