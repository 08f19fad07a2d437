//! Any bytes: the door refuses exactly what prost refuses (our nesting limit is lower), and reads what prost reads.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use std::time::Instant;
use tollgate::otlp::signal::Signal;
use tollgate::otlp::wire::Malformed;
use tollgate::otlp::{schema, span};
use tollgate::receive;

fuzz_target!(|body: &[u8]| {
    for signal in Signal::ALL {
        // One walk that checks and cuts refuses what the check by table refuses, and nothing else.
        let opened = receive::open(signal, Bytes::copy_from_slice(body), None, Instant::now());
        assert_eq!(opened.is_ok(), schema::validate(signal, body).is_ok());
    }
    let theirs = ExportTraceServiceRequest::decode(body);
    match (schema::validate(Signal::Traces, body), &theirs) {
        (Err(Malformed::Depth(_)), _) => return,
        (ours, theirs) => assert_eq!(ours.is_ok(), theirs.is_ok()),
    }
    let Ok(theirs) = theirs else { return };
    let opened = receive::open(Signal::Traces, Bytes::copy_from_slice(body), None, Instant::now()).expect("it is valid");
    let spans: Vec<_> = theirs.resource_spans.iter().flat_map(|r| &r.scope_spans).flat_map(|s| &s.spans).collect();
    assert_eq!(opened.len() + opened.rejected as usize, spans.len());
    let good = spans.iter().filter(|s| s.span_id.len() == 8 && s.span_id.iter().any(|b| *b != 0) && matches!(s.parent_span_id.len(), 0 | 8));
    for ((_, body), theirs) in opened.whole().into_draft().items().zip(good) {
        let mut keys = Vec::new();
        let ours = span::read(
            body,
            |pair| {
                // Decoding a value must not panic, whatever it is.
                let _ = (pair.any(), pair.any().elements().count(), pair.any().entries().count());
                keys.push(pair.key.to_vec());
            },
            |_| {},
        );
        assert_eq!((ours.start, ours.end, ours.name), (theirs.start_time_unix_nano, theirs.end_time_unix_nano, theirs.name.as_bytes()));
        assert_eq!(keys, theirs.attributes.iter().map(|a| a.key.as_bytes().to_vec()).collect::<Vec<_>>());
    }
});
