//! The protobuf wire format, read and written without building messages.
//!
//! Decoding a span into structs costs some fifty allocations, and nine spans out of ten are thrown away. So spans
//! stay encoded from socket to socket, and this is the one place that knows what a tag, a varint and a length are.
//! What is accepted is what prost accepts: at most ten bytes a varint, tags that fit 32 bits, no field number 0,
//! groups with matching ends.

use std::fmt;

/// Groups (a wire format of proto2 that unknown fields may still use) nest at most this deep; prost stops at 100 too.
const MAX_GROUPS: u32 = 100;

/// Where and how bytes are not a protobuf message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A varint, a fixed value or a length runs past the end of its message.
    #[error("a field is cut off")]
    Truncated,
    /// A varint of more than ten bytes or 64 bits.
    #[error("a varint is longer than 64 bits")]
    Varint,
    /// Field number 0, a tag over 32 bits, or wire type 6 or 7.
    #[error("a field has an invalid tag")]
    Tag,
    /// An end-group tag without its start, or the other way round.
    #[error("a group does not end where it should")]
    Group,
    /// A known field with the wire type of another kind of field.
    #[error("{0} has the wrong wire type")]
    WireType(FieldName),
    /// A string field that is not UTF-8.
    #[error("{0} is not UTF-8")]
    Utf8(FieldName),
    /// Values inside values past the limit.
    #[error("values are nested deeper than {0} levels")]
    Depth(u32),
    /// More parts than one request may have.
    #[error("more than {1} {0} in one request; send smaller ones")]
    TooMany(&'static str, usize),
    /// More bytes than a position in a request can address.
    #[error("the request is larger than 4 GiB")]
    Size,
}

/// A field of a known message, for messages to people: `Span.name`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FieldName {
    /// The message type.
    pub message: &'static str,
    /// The field number in it.
    pub number: u32,
}

impl fmt::Display for FieldName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "field {} of {}", self.number, self.message)
    }
}

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'a> {
    /// Wire type 0.
    Varint(u64),
    /// Wire type 1.
    Fixed64(u64),
    /// Wire type 2: strings, bytes, messages, packed fields.
    Len(&'a [u8]),
    /// Wire types 3 and 4, skipped whole.
    Group,
    /// Wire type 5.
    Fixed32(u32),
}

/// One field of a message, with the bytes it takes, tag included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Field<'a> {
    /// Field number, at least 1.
    pub number: u32,
    /// What it holds.
    pub value: Value<'a>,
    /// Position of its tag in the message.
    pub start: usize,
    /// Position behind its last byte.
    pub end: usize,
}

/// Walks the fields of one message, in the order they stand.
#[derive(Clone, Debug)]
pub struct Fields<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Fields<'a> {
    /// A walk from the start of `message`.
    pub fn new(message: &'a [u8]) -> Fields<'a> {
        Fields { bytes: message, at: 0 }
    }

    /// The next field, or `None` at the end of the message.
    ///
    /// # Errors
    /// Where the bytes are not a field. The walk must not go on after that.
    // Always: it is the whole of every hot loop, and a call would pass the field through memory.
    #[inline(always)]
    pub fn try_next(&mut self) -> Result<Option<Field<'a>>, Malformed> {
        if self.at >= self.bytes.len() {
            return Ok(None);
        }
        let start = self.at;
        let (number, kind) = tag(self.bytes, &mut self.at)?;
        let value = match kind {
            0 => Value::Varint(varint(self.bytes, &mut self.at)?),
            2 => Value::Len(slice(self.bytes, &mut self.at)?),
            1 => Value::Fixed64(u64::from_le_bytes(array(self.bytes, &mut self.at)?)),
            5 => Value::Fixed32(u32::from_le_bytes(array(self.bytes, &mut self.at)?)),
            3 => {
                skip_group(self.bytes, &mut self.at, number)?;
                Value::Group
            }
            4 => return Err(Malformed::Group),
            _ => return Err(Malformed::Tag),
        };
        Ok(Some(Field { number, value, start, end: self.at }))
    }
}

/// For messages that were validated: the walk ends at the first byte that is no field.
impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    #[inline(always)]
    fn next(&mut self) -> Option<Field<'a>> {
        match self.try_next() {
            Ok(field) => field,
            Err(_) => {
                self.at = self.bytes.len();
                None
            }
        }
    }
}

/// Reads a varint of up to ten bytes; over-long spellings of small numbers are legal.
#[inline]
pub fn varint(bytes: &[u8], at: &mut usize) -> Result<u64, Malformed> {
    // Nearly every tag and most lengths take one byte.
    match bytes.get(*at) {
        Some(&byte) if byte < 0x80 => {
            *at += 1;
            Ok(u64::from(byte))
        }
        Some(_) => long_varint(bytes, at),
        None => Err(Malformed::Truncated),
    }
}

fn long_varint(bytes: &[u8], at: &mut usize) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for (i, &byte) in bytes.get(*at..).unwrap_or_default().iter().take(10).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            if i == 9 && byte > 1 {
                return Err(Malformed::Varint);
            }
            *at += i + 1;
            return Ok(value);
        }
    }
    Err(if bytes.len() - *at >= 10 { Malformed::Varint } else { Malformed::Truncated })
}

#[inline]
fn tag(bytes: &[u8], at: &mut usize) -> Result<(u32, u8), Malformed> {
    let tag = u32::try_from(varint(bytes, at)?).map_err(|_| Malformed::Tag)?;
    match tag >> 3 {
        0 => Err(Malformed::Tag),
        number => Ok((number, (tag & 7) as u8)),
    }
}

/// A length and that many bytes, checked against the enclosing message.
#[inline]
fn slice<'a>(bytes: &'a [u8], at: &mut usize) -> Result<&'a [u8], Malformed> {
    let length = varint(bytes, at)?;
    let rest = bytes.get(*at..).ok_or(Malformed::Truncated)?;
    let length = usize::try_from(length).map_err(|_| Malformed::Truncated)?;
    let part = rest.get(..length).ok_or(Malformed::Truncated)?;
    *at += length;
    Ok(part)
}

#[inline]
fn array<const N: usize>(bytes: &[u8], at: &mut usize) -> Result<[u8; N], Malformed> {
    let part = bytes.get(*at..).and_then(|rest| rest.first_chunk::<N>()).ok_or(Malformed::Truncated)?;
    *at += N;
    Ok(*part)
}

/// Skips to behind the end tag of group `number`. Nesting is kept in a list of its own, not on the call stack.
fn skip_group(bytes: &[u8], at: &mut usize, number: u32) -> Result<(), Malformed> {
    let mut open = vec![number];
    while let Some(&inner) = open.last() {
        let (number, kind) = tag(bytes, at)?;
        match kind {
            0 => drop(varint(bytes, at)?),
            1 => drop(array::<8>(bytes, at)?),
            2 => drop(slice(bytes, at)?),
            3 if open.len() as u32 >= MAX_GROUPS => return Err(Malformed::Depth(MAX_GROUPS)),
            3 => open.push(number),
            4 if number == inner => drop(open.pop()),
            4 => return Err(Malformed::Group),
            5 => drop(array::<4>(bytes, at)?),
            _ => return Err(Malformed::Tag),
        }
    }
    Ok(())
}

/// Bytes a varint takes.
#[inline]
pub const fn varint_len(value: u64) -> usize {
    // One byte for each started group of seven bits; zero takes one.
    ((64 - (value | 1).leading_zeros()) as usize).div_ceil(7)
}

/// Bytes of a length-delimited field with a one-byte tag (field numbers up to 15) and `length` bytes of content.
#[inline]
pub const fn framed_len(length: usize) -> usize {
    1 + varint_len(length as u64) + length
}

/// Writes a varint.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes the tag and length of a length-delimited field; the content follows.
#[inline]
pub fn put_frame(out: &mut Vec<u8>, number: u32, length: usize) {
    put_varint(out, u64::from(number << 3 | 2));
    put_varint(out, length as u64);
}

/// Writes a length-delimited field whole.
#[inline]
pub fn put_bytes(out: &mut Vec<u8>, number: u32, content: &[u8]) {
    put_frame(out, number, content.len());
    out.extend_from_slice(content);
}

/// Every field of this number that is bytes, text or a message, up to the first that cannot be read.
pub fn len_fields<'a>(message: &'a [u8], number: u32) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    Fields::new(message).filter_map(move |field| match field.value {
        Value::Len(content) if field.number == number => Some(content),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn all(message: &[u8]) -> Result<Vec<(u32, Value<'_>)>, Malformed> {
        let (mut fields, mut out) = (Fields::new(message), Vec::new());
        while let Some(f) = fields.try_next()? {
            out.push((f.number, f.value));
        }
        Ok(out)
    }

    #[test]
    fn over_long_spellings_of_small_numbers_are_legal_in_tags_lengths_and_values() {
        assert_eq!(all(&[0x88, 0x80, 0x00, 0x81, 0x80, 0x00]).unwrap(), [(1, Value::Varint(1))]);
        assert_eq!(all(&[0x12, 0x82, 0x00, b'h', b'i']).unwrap(), [(2, Value::Len(b"hi"))]);
    }

    #[test]
    fn a_tenth_byte_above_one_is_refused() {
        let minus_one = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(all(&minus_one).unwrap(), [(1, Value::Varint(u64::MAX))]);
        let mut over = minus_one;
        over[10] = 2;
        assert_eq!(all(&over), Err(Malformed::Varint));
        assert_eq!(all(&[0x80; 11]), Err(Malformed::Varint));
    }

    #[test]
    fn a_length_past_the_message_is_refused_however_large() {
        assert_eq!(all(&[0x0a, 5, b'a']), Err(Malformed::Truncated));
        assert_eq!(all(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]), Err(Malformed::Truncated));
    }

    #[test]
    fn field_zero_and_wire_types_six_and_seven_are_refused() {
        assert_eq!(all(&[0x00, 1]), Err(Malformed::Tag));
        assert_eq!(all(&[0x0e]), Err(Malformed::Tag));
        assert_eq!(all(&[0x0f]), Err(Malformed::Tag));
    }

    #[test]
    fn a_group_is_skipped_to_its_own_end() {
        // 3: { 1: 5, 2: { 1: "x" } }, then 1: 7
        assert_eq!(all(&[0x1b, 8, 5, 0x13, 0x0a, 1, b'x', 0x14, 0x1c, 8, 7]).unwrap(), [(3, Value::Group), (1, Value::Varint(7))]);
        assert_eq!(all(&[0x1b, 8, 5, 0x24]), Err(Malformed::Group));
        assert_eq!(all(&[0x1c]), Err(Malformed::Group));
        assert_eq!(all(&[0x1b, 8, 5]), Err(Malformed::Truncated));
    }

    #[test]
    fn ten_thousand_open_groups_do_not_overflow_the_stack() {
        assert_eq!(all(&[0x0b; 10_000]), Err(Malformed::Depth(MAX_GROUPS)));
    }

    proptest! {
        #[test]
        fn a_varint_comes_back_and_its_length_was_foretold(value: u64) {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            prop_assert_eq!(out.len(), varint_len(value));
            prop_assert_eq!(out.len(), prost::encoding::encoded_len_varint(value));
            let mut at = 0;
            prop_assert_eq!(varint(&out, &mut at), Ok(value));
            prop_assert_eq!(at, out.len());
        }

        #[test]
        fn any_bytes_end_the_walk_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let read: usize = Fields::new(&bytes).map(|f| f.end - f.start).sum();
            prop_assert!(read <= bytes.len());
        }
    }
}
