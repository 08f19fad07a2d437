//! What senders write and what attackers write, as vectors: each case once cost somebody a request, or could.

use super::*;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{HistogramDataPoint, NumberDataPoint, number_data_point};
use opentelemetry_proto::tonic::trace::v1::{Span, Status};
use proptest::prelude::*;

/// Every field of every message, in the one form we write.
const FULL: [(Signal, &str); 3] = [
    (
        Signal::Traces,
        r#"{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"s"}}],"droppedAttributesCount":1,"entityRefs":[{"schemaUrl":"u","type":"service","idKeys":["a","b"],"descriptionKeys":["c"]}]},"scopeSpans":[{"scope":{"name":"n","version":"v","attributes":[{"key":"k"}],"droppedAttributesCount":2},"spans":[{"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","traceState":"a=b","parentSpanId":"eee19b7ec3c1b173","flags":257,"name":"chat","kind":3,"startTimeUnixNano":"1544712660000000001","endTimeUnixNano":"18446744073709551615","attributes":[{"key":"s","value":{"stringValue":""}},{"key":"b","value":{"boolValue":false}},{"key":"i","value":{"intValue":"0"}},{"key":"d","value":{"doubleValue":-0.0}},{"key":"a","value":{"arrayValue":{"values":[{"intValue":"-9223372036854775808"},{},{"arrayValue":{}}]}}},{"key":"m","value":{"kvlistValue":{"values":[{"key":"x","value":{"kvlistValue":{}}}]}}},{"key":"y","value":{"bytesValue":"+/8="}},{"value":{"stringValueStrindex":-7},"keyStrindex":7}],"droppedAttributesCount":3,"events":[{"timeUnixNano":"4","name":"e","attributes":[{"key":"f","value":{"doubleValue":"NaN"}}],"droppedAttributesCount":5}],"droppedEventsCount":6,"links":[{"traceId":"5b8efff798038103d269b633813fc60d","spanId":"eee19b7ec3c1b175","traceState":"t","attributes":[{"key":"l"}],"droppedAttributesCount":8,"flags":9}],"droppedLinksCount":10,"status":{"message":"m","code":2}}],"schemaUrl":"w"}],"schemaUrl":"x"}]}"#,
    ),
    (
        Signal::Logs,
        r#"{"resourceLogs":[{"resource":{"droppedAttributesCount":1},"scopeLogs":[{"scope":{"name":"n"},"logRecords":[{"timeUnixNano":"1","observedTimeUnixNano":"2","severityNumber":9,"severityText":"INFO","body":{"kvlistValue":{"values":[{"key":"x","value":{"stringValue":"y"}}]}},"attributes":[{"key":"k","value":{"boolValue":true}}],"droppedAttributesCount":3,"flags":1,"traceId":"5b8efff798038103d269b633813fc60c","spanId":"eee19b7ec3c1b174","eventName":"e"}],"schemaUrl":"w"}],"schemaUrl":"x"}]}"#,
    ),
    (
        Signal::Metrics,
        r#"{"resourceMetrics":[{"resource":{},"scopeMetrics":[{"scope":{"version":"v"},"metrics":[{"name":"g","description":"d","unit":"1","metadata":[{"key":"k","value":{"intValue":"1"}}],"gauge":{"dataPoints":[{"attributes":[{"key":"k"}],"startTimeUnixNano":"1","timeUnixNano":"2","exemplars":[{"filteredAttributes":[{"key":"f"}],"timeUnixNano":"3","spanId":"eee19b7ec3c1b174","traceId":"5b8efff798038103d269b633813fc60c","asDouble":0.0},{"asInt":"0"}],"flags":1,"asDouble":"-Infinity"},{"asInt":"0"},{}]}},{"name":"s","sum":{"dataPoints":[{"asInt":"-3"}],"aggregationTemporality":2,"isMonotonic":true}},{"name":"h","histogram":{"dataPoints":[{"attributes":[{"key":"k"}],"startTimeUnixNano":"1","timeUnixNano":"2","count":"3","sum":0.0,"bucketCounts":["1","2"],"explicitBounds":[0.5,"Infinity"],"exemplars":[{"timeUnixNano":"3"}],"flags":1,"min":0.0,"max":1.5}],"aggregationTemporality":1}},{"name":"e","exponentialHistogram":{"dataPoints":[{"attributes":[{"key":"k"}],"startTimeUnixNano":"1","timeUnixNano":"2","count":"3","sum":1.0,"scale":-4,"zeroCount":"5","positive":{"offset":-6,"bucketCounts":["7","0"]},"negative":{"offset":8},"flags":1,"exemplars":[{"asInt":"9"}],"min":0.0,"max":0.0,"zeroThreshold":1e-9}],"aggregationTemporality":1}},{"name":"q","summary":{"dataPoints":[{"attributes":[{"key":"k"}],"startTimeUnixNano":"1","timeUnixNano":"2","count":"3","sum":4.0,"quantileValues":[{"quantile":0.99,"value":5.5}],"flags":1}]}}],"schemaUrl":"w"}],"schemaUrl":"x"}]}"#,
    ),
];

/// No error may repeat this.
const CANARY: &str = "canary-4111";

fn span_in(fields: &str) -> Result<Span, JsonError> {
    let body = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{{{fields}}}]}}]}}]}}"#);
    let request = ExportTraceServiceRequest::decode(to_protobuf(Signal::Traces, body.as_bytes())?.as_slice()).unwrap();
    Ok(request.resource_spans[0].scope_spans[0].spans[0].clone())
}

fn span(fields: &str) -> Span {
    span_in(fields).unwrap_or_else(|error| panic!("{fields}: {error}"))
}

fn value_in(json: &str) -> Result<Option<AnyValue>, JsonError> {
    span_in(&format!(r#""attributes":[{{"key":"k","value":{json}}}]"#)).map(|span| span.attributes[0].value.clone())
}

fn value(json: &str) -> Option<Value> {
    value_in(json).unwrap_or_else(|error| panic!("{json}: {error}")).unwrap().value
}

fn log_in(fields: &str) -> Result<LogRecord, JsonError> {
    let body = format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{{{fields}}}]}}]}}]}}"#);
    let request = ExportLogsServiceRequest::decode(to_protobuf(Signal::Logs, body.as_bytes())?.as_slice()).unwrap();
    Ok(request.resource_logs[0].scope_logs[0].log_records[0].clone())
}

fn metric_in(fields: &str) -> Result<Option<Data>, JsonError> {
    let body = format!(r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{{fields}}}]}}]}}]}}"#);
    let request = ExportMetricsServiceRequest::decode(to_protobuf(Signal::Metrics, body.as_bytes())?.as_slice()).unwrap();
    Ok(request.resource_metrics[0].scope_metrics[0].metrics[0].data.clone())
}

fn number_in(fields: &str) -> Result<NumberDataPoint, JsonError> {
    match metric_in(&format!(r#""gauge":{{"dataPoints":[{{{fields}}}]}}"#))? {
        Some(Data::Gauge(gauge)) => Ok(gauge.data_points[0].clone()),
        other => panic!("{other:?}"),
    }
}

fn histogram_in(fields: &str) -> Result<HistogramDataPoint, JsonError> {
    match metric_in(&format!(r#""histogram":{{"dataPoints":[{{{fields}}}]}}"#))? {
        Some(Data::Histogram(histogram)) => Ok(histogram.data_points[0].clone()),
        other => panic!("{other:?}"),
    }
}

fn where_and_what<T: std::fmt::Debug>(result: Result<T, JsonError>) -> String {
    result.unwrap_err().to_string()
}

const IN_SPAN: &str = "resourceSpans[0].scopeSpans[0].spans[0]";

#[test]
fn every_field_is_read_and_written() {
    for (signal, json) in FULL {
        let protobuf = to_protobuf(signal, json.as_bytes()).unwrap();
        assert_eq!(from_protobuf(signal, &protobuf).unwrap(), json);
    }
}

#[test]
fn white_space_means_nothing() {
    for (signal, json) in FULL {
        let pretty = serde_json::to_string_pretty(&serde_json::from_str::<serde_json::Value>(json).unwrap()).unwrap();
        let spread = pretty.replace('\n', "\r\n\t ").replace(',', " ,");
        assert_eq!(to_protobuf(signal, spread.as_bytes()), to_protobuf(signal, json.as_bytes()));
    }
}

#[test]
fn real_requests_read_as_in_the_reference_implementation() {
    macro_rules! fixture {
        ($name:literal) => {
            (
                $name,
                include_bytes!(concat!("../../../tests/fixtures/otlp-json/", $name, ".traces.json")).as_slice(),
                include_bytes!(concat!("../../../tests/fixtures/otlp-json/", $name, ".traces.binpb")).as_slice(),
            )
        };
    }
    for (name, json, protobuf) in
        [fixture!("vb-basic-00"), fixture!("vb-err-429-00"), fixture!("v-openai-length-00"), fixture!("v-anthropic-stream-trunc-00")]
    {
        let read = ExportTraceServiceRequest::decode(to_protobuf(Signal::Traces, json).unwrap().as_slice()).unwrap();
        let wanted = ExportTraceServiceRequest::decode(protobuf).unwrap();
        assert!(!wanted.resource_spans.is_empty());
        assert_eq!(read, wanted, "{name}");
    }
}

#[test]
fn an_empty_request_is_a_request() {
    for signal in [Signal::Traces, Signal::Logs, Signal::Metrics] {
        assert_eq!(to_protobuf(signal, b" {} \n").unwrap(), b"");
        assert_eq!(from_protobuf(signal, b"").unwrap(), "{}");
    }
}

#[test]
fn a_request_is_an_object() {
    for body in ["[]", "null", "1", "1.5", "1e999", "\"x\"", "true", r#"[{"resourceSpans":[]}]"#] {
        assert_eq!(where_and_what(to_protobuf(Signal::Traces, body.as_bytes())), "request: expected an object", "{body}");
    }
    for body in ["", " ", "{", "{}{}", "{} x", "{\"a\"}", "{'a':1}", "{\"a\":1,}", "\u{feff}{}", "nul", "{\"resourceSpans\":[{}}"] {
        assert!(matches!(to_protobuf(Signal::Traces, body.as_bytes()), Err(JsonError::Syntax { .. })), "{body}");
    }
}

#[test]
fn ids_are_hex_in_either_case() {
    let span = span(r#""traceId":"5B8EFFF798038103D269B633813FC60C","spanId":"eee19b7ec3c1b174","parentSpanId":"""#);
    assert_eq!(span.trace_id, [0x5b, 0x8e, 0xff, 0xf7, 0x98, 0x03, 0x81, 0x03, 0xd2, 0x69, 0xb6, 0x33, 0x81, 0x3f, 0xc6, 0x0c]);
    assert_eq!(span.span_id, [0xee, 0xe1, 0x9b, 0x7e, 0xc3, 0xc1, 0xb1, 0x74]);
    assert!(span.parent_span_id.is_empty());
}

#[test]
fn a_bad_id_is_named_by_its_path() {
    // The last one is the same id in base64, as plain proto3 JSON would have it.
    for id in ["abc", "5B8EFFF798038103D269B633813FC60", "5B8EFFF798038103D269B633813FC60Z", "eee19b7ec3c1b174", "W47/95gDgQPSabYzgT/GDA=="]
    {
        let body = format!(r#"{{"resourceSpans":[{{}},{{"scopeSpans":[{{"spans":[{{}},{{}},{{"name":"n","traceId":"{id}"}}]}}]}}]}}"#);
        assert_eq!(
            where_and_what(to_protobuf(Signal::Traces, body.as_bytes())),
            "resourceSpans[1].scopeSpans[0].spans[2].traceId: expected 32 hexadecimal digits",
        );
    }
    assert_eq!(where_and_what(span_in(r#""spanId":12"#)), format!("{IN_SPAN}.spanId: expected 16 hexadecimal digits"));
    assert_eq!(where_and_what(span_in(r#""parentSpanId":"00""#)), format!("{IN_SPAN}.parentSpanId: expected 16 hexadecimal digits"));
    assert_eq!(
        where_and_what(span_in(r#""links":[{"traceId":"0"}]"#)),
        format!("{IN_SPAN}.links[0].traceId: expected 32 hexadecimal digits")
    );
    assert!(log_in(r#""traceId":"00""#).is_err());
    assert!(number_in(r#""exemplars":[{"spanId":"00"}]"#).is_err());
}

#[test]
fn integers_are_numbers_or_strings_and_never_pass_through_a_double() {
    for number in ["1544712660000000001", "\"1544712660000000001\"", "1544712660000000001.0", "\"1544712660000000001\""] {
        assert_eq!(span(&format!(r#""startTimeUnixNano":{number}"#)).start_time_unix_nano, 1_544_712_660_000_000_001);
        assert_eq!(value(&format!(r#"{{"intValue":{number}}}"#)), Some(Value::IntValue(1_544_712_660_000_000_001)));
        assert_eq!(
            number_in(&format!(r#""asInt":{number}"#)).unwrap().value,
            Some(number_data_point::Value::AsInt(1_544_712_660_000_000_001))
        );
        assert_eq!(histogram_in(&format!(r#""bucketCounts":[1,{number}]"#)).unwrap().bucket_counts, [1, 1_544_712_660_000_000_001]);
    }
    for number in ["7", "\"7\"", "7.0", "0.7e1"] {
        assert_eq!(span(&format!(r#""droppedAttributesCount":{number},"flags":{number}"#)).dropped_attributes_count, 7);
        assert_eq!(value(&format!(r#"{{"stringValueStrindex":{number}}}"#)), Some(Value::StringValueStrindex(7)));
    }
}

#[test]
fn an_integer_that_is_none_or_too_large_is_refused() {
    for (field, value, expected) in [
        ("startTimeUnixNano", "-1", "an unsigned 64-bit integer"),
        ("startTimeUnixNano", "18446744073709551616", "an unsigned 64-bit integer"),
        ("startTimeUnixNano", "1.5", "an unsigned 64-bit integer"),
        ("startTimeUnixNano", "\"\"", "an unsigned 64-bit integer"),
        ("startTimeUnixNano", "{\"low\":1,\"high\":2}", "an unsigned 64-bit integer"),
        ("flags", "4294967296", "an unsigned 32-bit integer"),
        ("droppedLinksCount", "true", "an unsigned 32-bit integer"),
        ("kind", "2147483648", "the number or name of a span kind"),
    ] {
        assert_eq!(where_and_what(span_in(&format!(r#""{field}":{value}"#))), format!("{IN_SPAN}.{field}: expected {expected}"));
    }
    assert!(value_in(r#"{"intValue":9223372036854775808}"#).is_err());
    assert!(value_in(r#"{"intValue":1.5}"#).is_err());
}

#[test]
fn an_enum_is_a_number_or_a_name() {
    for (kind, number) in [("3", 3), ("\"SPAN_KIND_CLIENT\"", 3), ("\"3\"", 3), ("3.0", 3), ("99", 99), ("-1", -1), ("null", 0)] {
        assert_eq!(span(&format!(r#""kind":{kind}"#)).kind, number);
    }
    assert_eq!(span(r#""status":{"code":"STATUS_CODE_ERROR"}"#).status.unwrap().code, 2);
    assert_eq!(log_in(r#""severityNumber":"SEVERITY_NUMBER_INFO""#).unwrap().severity_number, 9);
    match metric_in(r#""sum":{"aggregationTemporality":"AGGREGATION_TEMPORALITY_DELTA"}"#).unwrap() {
        Some(Data::Sum(sum)) => assert_eq!(sum.aggregation_temporality, 1),
        other => panic!("{other:?}"),
    }
    for name in ["\"CLIENT\"", "\"span_kind_client\"", "\"\"", "[3]", "true"] {
        assert_eq!(
            where_and_what(span_in(&format!(r#""kind":{name}"#))),
            format!("{IN_SPAN}.kind: expected the number or name of a span kind")
        );
    }
}

#[test]
fn doubles_are_numbers_strings_or_one_of_three_words() {
    for (json, number) in [
        ("1.5", 1.5),
        ("\"1.5\"", 1.5),
        ("3", 3.0),
        ("-0.0", -0.0),
        ("1e300", 1e300),
        ("\"Infinity\"", f64::INFINITY),
        ("\"-Infinity\"", f64::NEG_INFINITY),
        ("122.416294033786585", 122.416_294_033_786_58),
        ("18446744073709551616", 18_446_744_073_709_551_616.0),
    ] {
        assert_eq!(value(&format!(r#"{{"doubleValue":{json}}}"#)), Some(Value::DoubleValue(number)));
        assert_eq!(number_in(&format!(r#""asDouble":{json}"#)).unwrap().value, Some(number_data_point::Value::AsDouble(number)));
        let point = histogram_in(&format!(r#""sum":{json},"explicitBounds":[{json}]"#)).unwrap();
        assert_eq!((point.sum, point.explicit_bounds), (Some(number), vec![number]));
    }
    assert!(matches!(value(r#"{"doubleValue":"NaN"}"#), Some(Value::DoubleValue(number)) if number.is_nan()));
    for json in ["1e400", "\"nan\"", "true", "{}", "[1]", "\"\""] {
        assert!(value_in(&format!(r#"{{"doubleValue":{json}}}"#)).is_err(), "{json}");
    }
}

#[test]
fn bytes_are_base64_in_either_alphabet() {
    for json in ["+/8=", "+/8", "-_8=", "-_8", "\\u002b/8="] {
        assert_eq!(value(&format!(r#"{{"bytesValue":"{json}"}}"#)), Some(Value::BytesValue(vec![0xfb, 0xff])));
    }
    assert_eq!(value(r#"{"bytesValue":""}"#), Some(Value::BytesValue(vec![])));
    assert_eq!(where_and_what(value_in(r#"{"bytesValue":"*"}"#)), format!("{IN_SPAN}.attributes[0].value.bytesValue: expected base64"));
}

#[test]
fn a_value_keeps_its_kind_when_it_is_at_its_default() {
    assert_eq!(value(r#"{"boolValue":false}"#), Some(Value::BoolValue(false)));
    assert_eq!(value(r#"{"intValue":"0"}"#), Some(Value::IntValue(0)));
    assert_eq!(value(r#"{"intValue":0}"#), Some(Value::IntValue(0)));
    assert_eq!(value(r#"{"doubleValue":0}"#), Some(Value::DoubleValue(0.0)));
    assert_eq!(value(r#"{"stringValue":""}"#), Some(Value::StringValue(String::new())));
    assert_eq!(number_in(r#""asInt":"0""#).unwrap().value, Some(number_data_point::Value::AsInt(0)));
    assert_eq!(metric_in(r#""gauge":{}"#).unwrap(), Some(Data::Gauge(Default::default())));
    assert_eq!(histogram_in(r#""sum":0,"min":null"#).unwrap(), HistogramDataPoint { sum: Some(0.0), ..Default::default() });
}

#[test]
fn empty_lists_may_be_left_out_of_their_value() {
    for list in ["{}", r#"{"values":[]}"#, r#"{"values":null}"#] {
        assert_eq!(value(&format!(r#"{{"arrayValue":{list}}}"#)), Some(Value::ArrayValue(ArrayValue::default())));
        assert_eq!(value(&format!(r#"{{"kvlistValue":{list}}}"#)), Some(Value::KvlistValue(KeyValueList::default())));
    }
}

#[test]
fn a_value_without_kind_is_still_a_value() {
    for json in ["{}", r#"{"stringValue":null}"#, r#"{"newKind":5}"#, r#"{"stringValue":"a","stringValue":null}"#] {
        assert_eq!(value_in(json).unwrap(), Some(AnyValue { value: None }), "{json}");
    }
    assert_eq!(value_in("null").unwrap(), None);
    assert_eq!(span(r#""attributes":[{"key":"k"}]"#).attributes[0].value, None);
    let nulls = Value::ArrayValue(ArrayValue { values: vec![AnyValue { value: None }; 2] });
    assert_eq!(value(r#"{"arrayValue":{"values":[null,{}]}}"#), Some(nulls));
}

#[test]
fn null_is_the_default_wherever_it_stands() {
    assert_eq!(span(r#""name":null,"attributes":null,"status":null,"kind":null,"traceId":null,"startTimeUnixNano":null"#), Span::default());
    assert_eq!(span(r#""status":{}"#).status, Some(Status::default()));
    assert_eq!(span(r#""attributes":[null]"#).attributes, [KeyValue::default()]);
    for (signal, json) in FULL {
        each_node(json, &mut |mutant, path| {
            if path.is_empty() {
                return;
            }
            let body = mutant(&serde_json::Value::Null);
            assert!(to_protobuf(signal, body.as_bytes()).is_ok(), "{path}: {body}");
        });
    }
}

#[test]
fn unknown_fields_are_ignored_whatever_they_hold() {
    let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
    for junk in ["1", "-1.5e+400", "\"\\ud800\"", "null", "[{\"a\":[]}]", r#"{"$serde_json::private::Number":"x"}"#, &deep] {
        assert_eq!(span(&format!(r#""newField":{junk},"name":"n""#)).name, "n");
        assert_eq!(value(&format!(r#"{{"newKind":{junk},"boolValue":true}}"#)), Some(Value::BoolValue(true)));
    }
    // Names as in the .proto file are unknown too, as are ours in another case.
    assert_eq!(span(r#""trace_id":"zz","start_time_unix_nano":"x","Name":1,"trace_state":[]"#), Span::default());
}

#[test]
fn of_equal_keys_the_last_wins() {
    assert_eq!(span(r#""name":"a","name":"b""#).name, "b");
    assert_eq!(span(r#""name":"a","name":null"#).name, "");
    assert_eq!(span(r#""status":{"message":"m"},"status":{"code":1}"#).status, Some(Status { message: String::new(), code: 1 }));
    assert_eq!(span(r#""attributes":[{},{}],"attributes":[{}]"#).attributes.len(), 1);
    assert_eq!(value(r#"{"stringValue":"a","intValue":1}"#), Some(Value::IntValue(1)));
    assert_eq!(value(r#"{"stringValue":"a","intValue":null}"#), Some(Value::StringValue("a".into())));
}

#[test]
fn a_key_may_be_written_with_escapes() {
    assert_eq!(span(r#""n\u0061me":"n""#).name, "n");
    assert_eq!(where_and_what(span_in(r#""n\u0061me":1"#)), format!("{IN_SPAN}.name: expected a string"));
}

#[test]
fn text_survives_with_its_escapes() {
    assert_eq!(span(r#""name":"\u00fc \ud83d\ude00 \n \u0000 \/ ü""#).name, "ü 😀 \n \0 / ü");
}

#[test]
fn text_that_is_no_unicode_is_refused() {
    let mut body = br#"{"resourceSpans":[{"schemaUrl":"x"}]}"#.to_vec();
    let at = body.iter().position(|byte| *byte == b'x').unwrap();
    body[at] = 0xff;
    assert_eq!(where_and_what(to_protobuf(Signal::Traces, &body)), format!("the JSON body is not UTF-8 from byte {at} on"));
    for lone in [r#""\ud800""#, r#""\ud800\u0041""#, r#""\udc00""#, r#""\ud83d x""#] {
        let error = span_in(&format!(r#""name":{lone}"#)).unwrap_err();
        assert!(matches!(&error, JsonError::Syntax { path, .. } if *path == format!("{IN_SPAN}.name")), "{error}");
    }
}

#[test]
fn values_nest_to_32_and_no_deeper() {
    let arrays = |levels: usize| format!("{}{{}}{}", r#"{"arrayValue":{"values":["#.repeat(levels - 1), "]}}".repeat(levels - 1));
    assert!(value_in(&arrays(32)).is_ok());
    let error = where_and_what(value_in(&arrays(33)));
    assert!(error.ends_with(".arrayValue.values[0]: expected at most 32 values inside one another"), "{error}");
    // The limit is on depth, not on number.
    assert!(value_in(&format!(r#"{{"arrayValue":{{"values":[{}{{}}]}}}}"#, "{\"arrayValue\":{}},".repeat(500))).is_ok());

    let maps = |levels: usize| format!("{}{{}}{}", r#"{"kvlistValue":{"values":[{"value":"#.repeat(levels), "}]}}".repeat(levels));
    assert!(value_in(&maps(29)).is_ok());
    let error = where_and_what(value_in(&maps(30)));
    assert!(error.contains("recursion limit exceeded"), "{error}");
}

#[test]
fn a_body_of_brackets_is_an_error() {
    let deep = 200_000;
    for body in [
        "[".repeat(deep),
        r#"{"resourceSpans":["#.repeat(deep),
        format!(r#"{{"resourceSpans":{}"#, "[".repeat(deep)),
        format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"value":{}"#, r#"{"arrayValue":{"values":["#.repeat(deep)),
        format!(r#"{{"resourceSpans":[{{"resource":{{"attributes":[{{"value":{}"#, r#"{"kvlistValue":{"values":[{"value":"#.repeat(deep)),
        format!(r#"{{"x":{}"#, r#"{"a":["#.repeat(deep)),
    ] {
        assert!(to_protobuf(Signal::Traces, body.as_bytes()).is_err());
    }
    let number = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
    assert!(span_in(&format!(r#""flags":{number}"#)).is_err());
    assert!(span_in(&format!(r#""flags":{}"#, "9".repeat(deep))).is_err());
    assert!(value_in(&format!(r#"{{"doubleValue":0.{}}}"#, "9".repeat(deep))).is_ok());
}

#[test]
fn a_small_body_cannot_grow_into_a_large_one() {
    let spans = |count: usize| format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}{{}}]}}]}}]}}"#, "{},".repeat(count));
    assert!(to_protobuf(Signal::Traces, spans(100).as_bytes()).is_ok());
    let error = where_and_what(to_protobuf(Signal::Traces, spans(10_000).as_bytes()));
    assert!(error.ends_with("]: expected fewer empty elements for a request of this size"), "{error}");

    // An array of nulls may be as long as one would write it, and one of numbers as long as one likes.
    for (element, count) in [("{},", 1_000), ("null,", 1_000), (r#"{"intValue":"1"},"#, 100_000)] {
        assert!(value_in(&format!(r#"{{"arrayValue":{{"values":[{}{{}}]}}}}"#, element.repeat(count))).is_ok());
    }
    let counts = histogram_in(&format!(r#""bucketCounts":[{}0]"#, "0,".repeat(100_000))).unwrap();
    assert_eq!(counts.bucket_counts.len(), 100_001);
}

#[test]
fn a_wrong_type_anywhere_is_an_error_or_ignored_and_never_quoted() {
    let canary = format!("\"{CANARY}\"");
    let junk: Vec<serde_json::Value> =
        ["true", "7", "-1", "1.5", "1e999", "\"\"", "[]", "{}", "[[[]]]", "[null,7,\"x\"]", r#"{"$serde_json::private::Number":"1"}"#]
            .into_iter()
            .chain([canary.as_str(), &format!("[{canary}]"), &format!("{{{canary}:{canary}}}")])
            .map(|json| serde_json::from_str(json).unwrap_or_else(|_| serde_json::Value::String(json.to_owned())))
            .collect();
    for (signal, json) in FULL {
        each_node(json, &mut |mutant, _| {
            for junk in &junk {
                if let Err(error) = to_protobuf(signal, mutant(junk).as_bytes()) {
                    assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
                }
            }
        });
    }
    for (field, junk) in [
        ("name", "7"),
        ("name", "7.5"),
        ("name", "{}"),
        ("attributes", "{}"),
        ("attributes", "7.5"),
        ("attributes", "\"\""),
        ("status", "[]"),
        ("status", "7.5"),
        ("status", "7"),
    ] {
        assert!(span_in(&format!(r#""{field}":{junk}"#)).is_err(), "{field}: {junk}");
    }
    assert_eq!(where_and_what(span_in(r#""status":1.5"#)), format!("{IN_SPAN}.status: expected an object"));
    assert_eq!(where_and_what(span_in(r#""events":1.5"#)), format!("{IN_SPAN}.events: expected a list"));
    assert_eq!(where_and_what(span_in(r#""events":[1.5]"#)), format!("{IN_SPAN}.events[0]: expected an object"));
    assert_eq!(
        where_and_what(value_in(r#"{"boolValue":"true"}"#)),
        format!("{IN_SPAN}.attributes[0].value.boolValue: expected true or false")
    );
}

#[test]
fn a_secret_key_is_not_quoted_either() {
    for body in
        [format!(r#"{{"{CANARY}":}}"#), format!(r#"{{"{CANARY}":[{{"{CANARY}":tru"#), format!(r#"{{"a":"{CANARY}"#), CANARY.to_owned()]
    {
        let error = to_protobuf(Signal::Logs, body.as_bytes()).unwrap_err();
        assert!(!format!("{error} {error:?}").contains(CANARY), "{error}");
    }
}

#[test]
fn a_body_cut_short_is_an_error() {
    for (signal, json) in FULL {
        for end in (0..json.len()).step_by(3) {
            assert!(to_protobuf(signal, &json.as_bytes()[..end]).is_err());
        }
        let protobuf = to_protobuf(signal, json.as_bytes()).unwrap();
        assert!(from_protobuf(signal, &protobuf[..protobuf.len() - 1]).is_err());
    }
}

proptest! {
    #[test]
    fn no_damaged_body_is_a_panic(which in 0..3_usize, damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let (signal, json) = FULL[which];
        let mut body = json.as_bytes().to_vec();
        for (at, byte) in damage {
            let at = at.index(body.len());
            body[at] = byte;
        }
        if let Ok(protobuf) = to_protobuf(signal, &body) {
            from_protobuf(signal, &protobuf).unwrap();
        }
        let _ = from_protobuf(signal, &body);
    }
}

/// Calls `check` for each value in the document, with a function that gives the document with another value there.
fn each_node(json: &str, check: &mut dyn FnMut(&dyn Fn(&serde_json::Value) -> String, &str)) {
    let document: serde_json::Value = serde_json::from_str(json).unwrap();
    let mut paths = vec![String::new()];
    while let Some(path) = paths.pop() {
        match document.pointer(&path).unwrap() {
            serde_json::Value::Object(fields) => paths.extend(fields.keys().map(|key| format!("{path}/{key}"))),
            serde_json::Value::Array(elements) => paths.extend((0..elements.len()).map(|index| format!("{path}/{index}"))),
            _ => (),
        }
        let with = |value: &serde_json::Value| {
            let mut mutant = document.clone();
            *mutant.pointer_mut(&path).unwrap() = value.clone();
            mutant.to_string()
        };
        check(&with, &path);
    }
}
