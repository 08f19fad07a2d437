//! Addresses of the two chains people paste: their own check sums tell them from any other long word.

use super::{Detector, Probe, Word};
use crate::redact::Kind;
use crate::redact::text::{Out, Text};
use sha2::{Digest, Sha256};

/// The detector.
pub(super) const DETECTOR: Detector = Detector { probe: Probe::Word(find) };

fn find(text: &Text<'_>, word: Word, out: &mut Out<'_>) {
    let (start, end) = (word.start, word.end);
    let value = text.slice(start, end);
    let holds = match value {
        [b'1' | b'3', ..] if (25..=34).contains(&value.len()) => base58_holds(value),
        [b'b' | b'B', b'c' | b'C', b'1', ..] => bech32_holds(value),
        [b'0', b'x', hex @ ..] if hex.len() == 40 => ethereum_holds(hex),
        _ => false,
    };
    if holds && text.stands_alone(start, end) {
        out.found(text, Kind::Crypto, start, end);
    }
}

/// Base58Check: the last four bytes are the head of a double SHA-256 of the rest.
fn base58_holds(value: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    let mut bytes = [0u8; 25];
    for b in value {
        let Some(digit) = ALPHABET.iter().position(|a| a == b) else { return false };
        let mut carry = digit as u32;
        for byte in bytes.iter_mut().rev() {
            carry += u32::from(*byte) * 58;
            *byte = carry as u8;
            carry >>= 8;
        }
        if carry != 0 {
            return false;
        }
    }
    let (body, check) = bytes.split_at(21);
    matches!(body.first(), Some(0 | 5)) && Sha256::digest(Sha256::digest(body)).starts_with(check)
}

/// BIP 173 and 350: a polynomial over 32 symbols, with one constant for version 0 and another for later ones.
fn bech32_holds(value: &[u8]) -> bool {
    const ALPHABET: &[u8] = b"qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    let mixed = value.iter().any(u8::is_ascii_lowercase) && value.iter().any(u8::is_ascii_uppercase);
    if mixed || !(14..=90).contains(&value.len()) {
        return false;
    }
    // "bc" expanded: high bits, zero, low bits.
    let mut sum = [3u32, 3, 0, 2, 3].into_iter().fold(1, polymod);
    let mut version = None;
    for b in value.get(3..).unwrap_or_default() {
        let Some(symbol) = ALPHABET.iter().position(|a| a == &b.to_ascii_lowercase()) else { return false };
        version.get_or_insert(symbol);
        sum = polymod(sum, symbol as u32);
    }
    sum == if version == Some(0) { 1 } else { 0x2bc8_30a3 }
}

fn polymod(sum: u32, value: u32) -> u32 {
    const GENERATOR: [u32; 5] = [0x3b6a_57b2, 0x2650_8e6d, 0x1ea1_19fa, 0x3d42_33dd, 0x2a14_62b3];
    let top = sum >> 25;
    let next = ((sum & 0x1ff_ffff) << 5) ^ value;
    GENERATOR.iter().enumerate().fold(next, |sum, (bit, word)| if top >> bit & 1 == 1 { sum ^ word } else { sum })
}

/// One case throughout, or the mixed case of EIP-55: a letter is a capital where the hash of the address says so.
fn ethereum_holds(hex: &[u8]) -> bool {
    if !hex.iter().all(u8::is_ascii_hexdigit) || hex.iter().all(|b| *b == b'0') {
        return false;
    }
    let lower = hex.to_ascii_lowercase();
    if !hex.iter().any(u8::is_ascii_uppercase) || !hex.iter().any(u8::is_ascii_lowercase) {
        return true;
    }
    let hash = keccak256(&lower);
    hex.iter().enumerate().all(|(at, b)| {
        let byte = hash.get(at / 2).copied().unwrap_or(0);
        let nibble = if at % 2 == 0 { byte >> 4 } else { byte & 15 };
        !b.is_ascii_alphabetic() || b.is_ascii_uppercase() == (nibble >= 8)
    })
}

/// Keccak-256 as Ethereum uses it, of at most 135 bytes: one block.
fn keccak256(message: &[u8]) -> [u8; 32] {
    let mut block = [0u8; 136];
    for (slot, b) in block.iter_mut().zip(message.iter().take(135)) {
        *slot = *b;
    }
    block[message.len().min(135)] = 1;
    block[135] |= 0x80;
    let mut lanes = [0u64; 25];
    for (lane, bytes) in lanes.iter_mut().zip(block.as_chunks::<8>().0) {
        *lane = u64::from_le_bytes(*bytes);
    }
    permute(&mut lanes);
    let mut out = [0; 32];
    for (slot, b) in out.iter_mut().zip(lanes.iter().flat_map(|lane| lane.to_le_bytes())) {
        *slot = b;
    }
    out
}

/// Keccak-f[1600], FIPS 202 section 3; the round constants come from its shift register.
fn permute(a: &mut [u64; 25]) {
    let mut register = 1u8;
    for _ in 0..24 {
        let mut parity = [0u64; 5];
        for (at, lane) in a.iter().enumerate() {
            parity[at % 5] ^= lane;
        }
        for (at, lane) in a.iter_mut().enumerate() {
            *lane ^= parity[(at + 4) % 5] ^ parity[(at + 1) % 5].rotate_left(1);
        }
        let (mut x, mut y, mut moved) = (1, 0, a[1]);
        for step in 0..24u32 {
            (x, y) = (y, (2 * x + 3 * y) % 5);
            let turned = moved.rotate_left((step + 1) * (step + 2) / 2 % 64);
            moved = std::mem::replace(&mut a[x + 5 * y], turned);
        }
        for row in a.as_chunks_mut::<5>().0 {
            let old = *row;
            for x in 0..5 {
                row[x] = old[x] ^ (!old[(x + 1) % 5] & old[(x + 2) % 5]);
            }
        }
        for bit in 0..7 {
            if register & 1 == 1 {
                a[0] ^= 1 << ((1u32 << bit) - 1);
            }
            register = (register << 1) ^ if register & 0x80 == 0 { 0 } else { 0x71 };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::keccak256;
    use crate::redact::Kind::Crypto;
    use crate::redact::detectors::testing::{found, none};

    #[test]
    fn keccak_of_nothing_is_as_published() {
        assert_eq!(keccak256(b"")[..8], [0xc5, 0xd2, 0x46, 0x01, 0x86, 0xf7, 0x23, 0x3c]);
    }

    #[test]
    fn addresses_of_every_kind_are_found() {
        for hit in [
            "1HtJ8pPUjzkWnWCp6M581BHZCxyU9sLddf",
            "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
            "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            "bc1q3vg5cx5udx25gylenvjv4v7dzxd4qftvy80pla",
            "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
            "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed",
        ] {
            assert_eq!(found(&format!("send to {hit}.")), [(Crypto, hit)]);
        }
    }

    #[test]
    fn neighbours_and_hashes_stay() {
        for text in [
            "1HtJ8pPUjzkWnWCp6M581BHZCxyU9sLddg",
            "bc1q3vg5cx5udx25gylenvjv4v7dzxd4qftvy80plb",
            "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
            "0x3e6fd9f92de47c288c11446bdf14aee89cac3b59e851dd8b1f3915e36c8c3dfb",
            "0x0000000000000000000000000000000000000000",
        ] {
            none(text);
        }
    }
}
