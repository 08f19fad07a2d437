//! A request that can be sent again and again, each time about traces nobody has seen.
//!
//! Repeating ids would grow old traces instead of opening new ones, and decided ones would be answered from a cache.

use crate::workload::{self, Rng, Workload};
use bytes::Bytes;
use tollgate::otlp::request::Request;
use tollgate::otlp::signal::Signal;
use tollgate::otlp::wire::{Fields, Value};

/// A request, and where its trace ids stand.
pub struct Template {
    body: Vec<u8>,
    /// Positions of each trace id, traces in order.
    ids: Vec<Vec<usize>>,
    /// Number of its spans.
    pub spans: u64,
}

impl Template {
    pub fn new(workload: Workload) -> Template {
        let body = workload::encoded(workload, 11);
        let bytes = Bytes::from(body.clone());
        let (request, places) = Request::scan(Signal::Traces, bytes.clone(), None).expect("a valid request");
        let mut ids: Vec<(Vec<u8>, Vec<usize>)> = Vec::new();
        for &place in &places {
            let item = request.item(place);
            let id = Fields::new(item).find_map(|f| if let (1, Value::Len(id)) = (f.number, f.value) { Some(id) } else { None });
            let id = id.expect("a trace id");
            let at = id.as_ptr() as usize - bytes.as_ptr() as usize;
            match ids.iter_mut().rfind(|(known, _)| known == id) {
                Some((_, positions)) => positions.push(at),
                None => ids.push((id.to_vec(), vec![at])),
            }
        }
        Template { body, ids: ids.into_iter().map(|(_, positions)| positions).collect(), spans: places.len() as u64 }
    }

    /// Encoded bytes of one request.
    pub fn size(&self) -> usize {
        self.body.len()
    }

    /// The request, about new traces.
    pub fn fresh(&self, rng: &mut Rng) -> Bytes {
        let mut body = self.body.clone();
        for positions in &self.ids {
            let id = [rng.next().to_le_bytes(), rng.next().to_le_bytes()].concat();
            for &at in positions {
                body[at..at + 16].copy_from_slice(&id);
            }
        }
        body.into()
    }
}
