//! Whether bytes are text.
//!
//! Nearly every key and most values are short ASCII, and the functions of the standard library are made for long texts: the call and the
//! choice of a method take longer than the look. So short texts are looked at here, eight bytes at a time.

/// The highest bit of each byte: not set in ASCII.
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Whether it is UTF-8.
#[inline]
pub(crate) fn is_utf8(text: &[u8]) -> bool {
    if text.len() < 64 && is_ascii(text) {
        return true;
    }
    // What is ASCII is skipped in larger steps than a decoder takes. The first byte that is not begins a character.
    let rest = text.get(ascii_prefix(text)..).unwrap_or_default();
    rest.is_empty() || std::str::from_utf8(rest).is_ok()
}

/// Whether it is ASCII; for short texts.
#[inline]
pub(crate) fn is_ascii(text: &[u8]) -> bool {
    let mut all = 0u64;
    if let Some(last) = text.last_chunk::<8>() {
        // The last eight bytes overlap what the loop has seen, rather than being looked at one by one.
        all = u64::from_le_bytes(*last);
        text.as_chunks::<8>().0.iter().for_each(|chunk| all |= u64::from_le_bytes(*chunk));
    } else {
        text.iter().for_each(|byte| all |= u64::from(*byte));
    }
    all & HIGH == 0
}

/// Number of bytes before the first that is not ASCII.
pub(crate) fn ascii_prefix(bytes: &[u8]) -> usize {
    let mut length = 0;
    for block in bytes.as_chunks::<32>().0 {
        let all = block.as_chunks::<8>().0.iter().fold(0, |all, chunk| all | u64::from_le_bytes(*chunk));
        if all & HIGH != 0 {
            break;
        }
        length += 32;
    }
    let rest = bytes.get(length..).unwrap_or_default();
    let (chunks, last) = rest.as_chunks::<8>();
    for chunk in chunks {
        let high = u64::from_le_bytes(*chunk) & HIGH;
        if high != 0 {
            return length + high.trailing_zeros() as usize / 8;
        }
        length += 8;
    }
    length + last.iter().take_while(|byte| byte.is_ascii()).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_byte_that_is_not_ascii_is_found_wherever_it_stands() {
        for length in 0..100 {
            assert_eq!(ascii_prefix(&vec![b'a'; length]), length);
            assert!(is_ascii(&vec![b'a'; length]));
            for at in 0..length {
                let mut text = vec![b'a'; length];
                text[at] = 0x80;
                assert_eq!(ascii_prefix(&text), at, "{length}");
                assert!(!is_ascii(&text) && !is_utf8(&text), "{at} of {length}");
            }
        }
    }

    proptest! {
        #[test]
        fn text_is_what_the_standard_library_takes_for_text(
            before in "[ -~]{0,90}",
            text in ".{0,8}",
            byte in proptest::option::of(any::<u8>()),
            after in "[ -~]{0,40}",
        ) {
            let mut bytes = (before + &text).into_bytes();
            bytes.extend(byte);
            bytes.extend(after.bytes());
            prop_assert_eq!(is_utf8(&bytes), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
