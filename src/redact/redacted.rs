//! What may leave: the only type that exporters, pages and files accept.
//!
//! Its fields are private to the redaction stage, so letting anything out that did not pass it does not compile.

use crate::otlp::head::Head;
use crate::otlp::regroup::Outgoing;
use crate::otlp::signal::Signal;
use crate::telemetry::memory::Charge;
use bytes::Bytes;

/// Redacted items of one signal, back to back in a buffer of their own.
#[derive(Debug)]
pub struct Redacted {
    pub(in crate::redact) signal: Signal,
    pub(in crate::redact) bytes: Bytes,
    /// Number of the head, and where the item ends in `bytes`; it begins where the one before it ends.
    pub(in crate::redact) items: Vec<(u32, u32)>,
    pub(in crate::redact) heads: Vec<Head>,
    pub(in crate::redact) keep_class: bool,
    pub(in crate::redact) _charge: Option<Charge>,
}

impl Redacted {
    /// What it carries.
    pub fn signal(&self) -> Signal {
        self.signal
    }

    /// Number of items.
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Encoded bytes of the items, without what stands around them.
    pub fn size(&self) -> usize {
        self.bytes.len()
    }

    /// Whether any of it belongs to a trace with an error or a truncated answer.
    pub fn keep_class(&self) -> bool {
        self.keep_class
    }

    /// The items, ready to be put into a request.
    pub fn items(&self) -> impl ExactSizeIterator<Item = Outgoing<'_>> {
        let mut start = 0;
        self.items.iter().map(move |&(head, end)| {
            let body = &self.bytes[start as usize..end as usize];
            start = end;
            Outgoing { head: &self.heads[head as usize], body, extra: &[] }
        })
    }

    /// A request as it stands, for tests of what comes behind redaction.
    #[cfg(test)]
    pub(crate) fn unchecked(signal: Signal, request: Bytes, keep_class: bool) -> Redacted {
        let opened = crate::receive::open(signal, request, None, std::time::Instant::now()).expect("a valid request");
        let draft = opened.whole().into_draft();
        let (mut bytes, mut items, mut heads) = (Vec::new(), Vec::new(), crate::otlp::head::Heads::default());
        for (head, body) in draft.items() {
            bytes.extend_from_slice(body);
            items.push((heads.number(head, None), bytes.len() as u32));
        }
        let heads = heads.into_list();
        Redacted { signal, bytes: bytes.into(), items, heads, keep_class, _charge: None }
    }
}
