//! Requests cut into items, byte for byte.

use prost::encoding::{WireType, decode_key, decode_varint};

/// One span, log record or metric, with what stands around it: every field of its resource and scope messages but the items.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Item {
    pub(crate) resource: Vec<Vec<u8>>,
    pub(crate) scope: Vec<Vec<u8>>,
    pub(crate) body: Vec<u8>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
        write!(
            f,
            "Item {{ body: {}, resource: {}, scope: {} }}",
            text(&self.body),
            text(&self.resource.concat()),
            text(&self.scope.concat())
        )
    }
}

/// The fields of a message: number, the field with its key, its content where it has a length.
pub(crate) fn fields(message: &[u8]) -> Vec<(u32, &[u8], &[u8])> {
    let mut rest = message;
    let mut out = Vec::new();
    while !rest.is_empty() {
        let start = rest;
        let (number, kind) = decode_key(&mut rest).expect("a key");
        let length = match kind {
            WireType::Varint => {
                decode_varint(&mut rest).expect("a number");
                0
            }
            WireType::ThirtyTwoBit => 4,
            WireType::SixtyFourBit => 8,
            WireType::LengthDelimited => usize::try_from(decode_varint(&mut rest).expect("a length")).expect("a length"),
            WireType::StartGroup | WireType::EndGroup => panic!("a group"),
        };
        let content = &rest[..length];
        rest = &rest[length..];
        out.push((number, &start[..start.len() - rest.len()], content));
    }
    out
}

/// All fields but those of `number`, sorted: their order around the items says nothing.
fn without(message: &[u8], number: u32) -> Vec<Vec<u8>> {
    let mut rest: Vec<_> = fields(message).into_iter().filter(|(n, ..)| *n != number).map(|(_, raw, _)| raw.to_vec()).collect();
    rest.sort();
    rest
}

/// Every item of a request of any signal: 1 resource_… { 2 scope_… { 2 item } }.
pub(crate) fn items(request: &[u8]) -> Vec<Item> {
    let mut out = Vec::new();
    for (_, _, resource) in fields(request).into_iter().filter(|(n, ..)| *n == 1) {
        let around = without(resource, 2);
        for (_, _, scope) in fields(resource).into_iter().filter(|(n, ..)| *n == 2) {
            let near = without(scope, 2);
            for (_, _, body) in fields(scope).into_iter().filter(|(n, ..)| *n == 2) {
                out.push(Item { resource: around.clone(), scope: near.clone(), body: body.to_vec() });
            }
        }
    }
    out
}

/// Trace id and span id of a span, in hex.
pub(crate) fn ids(span: &[u8]) -> (String, String) {
    let hex = |number: u32| {
        let content = fields(span).into_iter().find(|(n, ..)| *n == number).map_or(&[][..], |(_, _, content)| content);
        content.iter().map(|byte| format!("{byte:02x}")).collect()
    };
    (hex(1), hex(2))
}
