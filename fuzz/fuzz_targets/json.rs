//! Any bytes as OTLP/JSON: no panic, and what is accepted is valid protobuf that survives the way back.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tollgate::otlp::json;
use tollgate::otlp::schema;
use tollgate::otlp::signal::Signal;

fuzz_target!(|body: &[u8]| {
    for signal in Signal::ALL {
        let Ok(request) = json::to_protobuf(signal, body) else { continue };
        assert!(schema::validate(signal, &request).is_ok());
        let text = json::from_protobuf(signal, &request).expect("what was read can be written");
        let again = json::to_protobuf(signal, text.as_bytes()).expect("what was written can be read");
        assert_eq!(json::from_protobuf(signal, &again).expect("twice"), text);
    }
});
