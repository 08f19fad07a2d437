//! Which field of which OTLP message is what, and the structural check of a whole request.
//!
//! Several senders share one outgoing request, and a strict backend refuses all of it for one string that is not
//! UTF-8. So what prost would refuse is refused at the door, where the sender still owns it: wrong lengths, wrong
//! wire types of known fields, strings that are not UTF-8, values nested too deep. Unknown fields pass.
//!
//! This is the check by table, which knows every message. Spans go through [`strict`](crate::otlp::strict), which knows what spans nearly always
//! look like and comes here for everything else.
//!
//! Source: `opentelemetry/proto/**.proto` 1.10.

use crate::otlp::signal::Signal;
use crate::otlp::text::{is_ascii, is_utf8};
use crate::otlp::wire::{Field, FieldName, Fields, Malformed, Value};

/// Values inside values (arrays, key-value lists) nest at most this deep. Real traffic stays below ten; 32 leaves every later
/// walk (redaction, JSON) a stack it cannot exhaust, and is below prost's own 100.
pub const MAX_DEPTH: u32 = 32;

/// What a field holds.
#[derive(Clone, Copy)]
enum Kind {
    /// Not a field of this message: skipped by wire type.
    Unknown,
    Varint,
    Fixed64,
    Fixed32,
    /// Repeated scalar: packed or one by one.
    Varints,
    Fixed64s,
    Bytes,
    Text,
    Message(&'static Message),
    /// What lies in an `AnyValue`: counts towards the depth.
    Nested(&'static Message),
    /// A `KeyValue` and an `AnyValue`: half of all messages each, so the way they nearly always look is looked for first.
    Pair,
    Any,
}

/// A message type: its fields by number.
pub(crate) struct Message {
    name: &'static str,
    fields: [Kind; 17],
}

use Kind::{Any, Bytes, Fixed32, Fixed64, Fixed64s, Message as Msg, Nested, Pair, Text, Unknown, Varint, Varints};

const fn message<const N: usize>(name: &'static str, known: [(usize, Kind); N]) -> Message {
    let mut fields = [Unknown; 17];
    let mut i = 0;
    while i < N {
        fields[known[i].0] = known[i].1;
        i += 1;
    }
    Message { name, fields }
}

static ANY_VALUE: Message = message(
    "AnyValue",
    [(1, Text), (2, Varint), (3, Varint), (4, Fixed64), (5, Nested(&ARRAY_VALUE)), (6, Nested(&KEY_VALUE_LIST)), (7, Bytes), (8, Varint)],
);
static ARRAY_VALUE: Message = message("ArrayValue", [(1, Any)]);
static KEY_VALUE_LIST: Message = message("KeyValueList", [(1, Pair)]);
static KEY_VALUE: Message = message("KeyValue", [(1, Text), (2, Any), (3, Varint)]);
static ENTITY_REF: Message = message("EntityRef", [(1, Text), (2, Text), (3, Text), (4, Text)]);
static RESOURCE: Message = message("Resource", [(1, Pair), (2, Varint), (3, Msg(&ENTITY_REF))]);
static SCOPE: Message = message("InstrumentationScope", [(1, Text), (2, Text), (3, Pair), (4, Varint)]);

static EVENT: Message = message("Span.Event", [(1, Fixed64), (2, Text), (3, Pair), (4, Varint)]);
static LINK: Message = message("Span.Link", [(1, Bytes), (2, Bytes), (3, Text), (4, Pair), (5, Varint), (6, Fixed32)]);
static STATUS: Message = message("Status", [(2, Text), (3, Varint)]);
static SPAN: Message = message(
    "Span",
    [
        (1, Bytes),
        (2, Bytes),
        (3, Text),
        (4, Bytes),
        (5, Text),
        (6, Varint),
        (7, Fixed64),
        (8, Fixed64),
        (9, Pair),
        (10, Varint),
        (11, Msg(&EVENT)),
        (12, Varint),
        (13, Msg(&LINK)),
        (14, Varint),
        (15, Msg(&STATUS)),
        (16, Fixed32),
    ],
);
static SCOPE_SPANS: Message = message("ScopeSpans", [(1, Msg(&SCOPE)), (2, Msg(&SPAN)), (3, Text)]);
static RESOURCE_SPANS: Message = message("ResourceSpans", [(1, Msg(&RESOURCE)), (2, Msg(&SCOPE_SPANS)), (3, Text)]);
static TRACES: Message = message("ExportTraceServiceRequest", [(1, Msg(&RESOURCE_SPANS))]);
static TRACE_LEVELS: Levels = Levels { request: &TRACES, resource: &RESOURCE_SPANS, scope: &SCOPE_SPANS, item: &SPAN };

static LOG_RECORD: Message = message(
    "LogRecord",
    [
        (1, Fixed64),
        (2, Varint),
        (3, Text),
        (5, Any),
        (6, Pair),
        (7, Varint),
        (8, Fixed32),
        (9, Bytes),
        (10, Bytes),
        (11, Fixed64),
        (12, Text),
    ],
);
static SCOPE_LOGS: Message = message("ScopeLogs", [(1, Msg(&SCOPE)), (2, Msg(&LOG_RECORD)), (3, Text)]);
static RESOURCE_LOGS: Message = message("ResourceLogs", [(1, Msg(&RESOURCE)), (2, Msg(&SCOPE_LOGS)), (3, Text)]);
static LOGS: Message = message("ExportLogsServiceRequest", [(1, Msg(&RESOURCE_LOGS))]);
static LOG_LEVELS: Levels = Levels { request: &LOGS, resource: &RESOURCE_LOGS, scope: &SCOPE_LOGS, item: &LOG_RECORD };

static EXEMPLAR: Message = message("Exemplar", [(2, Fixed64), (3, Fixed64), (4, Bytes), (5, Bytes), (6, Fixed64), (7, Pair)]);
static NUMBER_POINT: Message =
    message("NumberDataPoint", [(2, Fixed64), (3, Fixed64), (4, Fixed64), (5, Msg(&EXEMPLAR)), (6, Fixed64), (7, Pair), (8, Varint)]);
static HISTOGRAM_POINT: Message = message(
    "HistogramDataPoint",
    [
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Fixed64),
        (6, Fixed64s),
        (7, Fixed64s),
        (8, Msg(&EXEMPLAR)),
        (9, Pair),
        (10, Varint),
        (11, Fixed64),
        (12, Fixed64),
    ],
);
static BUCKETS: Message = message("Buckets", [(1, Varint), (2, Varints)]);
static EXPONENTIAL_POINT: Message = message(
    "ExponentialHistogramDataPoint",
    [
        (1, Pair),
        (2, Fixed64),
        (3, Fixed64),
        (4, Fixed64),
        (5, Fixed64),
        (6, Varint),
        (7, Fixed64),
        (8, Msg(&BUCKETS)),
        (9, Msg(&BUCKETS)),
        (10, Varint),
        (11, Msg(&EXEMPLAR)),
        (12, Fixed64),
        (13, Fixed64),
        (14, Fixed64),
    ],
);
static QUANTILE: Message = message("ValueAtQuantile", [(1, Fixed64), (2, Fixed64)]);
static SUMMARY_POINT: Message =
    message("SummaryDataPoint", [(2, Fixed64), (3, Fixed64), (4, Fixed64), (5, Fixed64), (6, Msg(&QUANTILE)), (7, Pair), (8, Varint)]);
static GAUGE: Message = message("Gauge", [(1, Msg(&NUMBER_POINT))]);
static SUM: Message = message("Sum", [(1, Msg(&NUMBER_POINT)), (2, Varint), (3, Varint)]);
static HISTOGRAM: Message = message("Histogram", [(1, Msg(&HISTOGRAM_POINT)), (2, Varint)]);
static EXPONENTIAL: Message = message("ExponentialHistogram", [(1, Msg(&EXPONENTIAL_POINT)), (2, Varint)]);
static SUMMARY: Message = message("Summary", [(1, Msg(&SUMMARY_POINT))]);
static METRIC: Message = message(
    "Metric",
    [
        (1, Text),
        (2, Text),
        (3, Text),
        (5, Msg(&GAUGE)),
        (7, Msg(&SUM)),
        (9, Msg(&HISTOGRAM)),
        (10, Msg(&EXPONENTIAL)),
        (11, Msg(&SUMMARY)),
        (12, Pair),
    ],
);
static SCOPE_METRICS: Message = message("ScopeMetrics", [(1, Msg(&SCOPE)), (2, Msg(&METRIC)), (3, Text)]);
static RESOURCE_METRICS: Message = message("ResourceMetrics", [(1, Msg(&RESOURCE)), (2, Msg(&SCOPE_METRICS)), (3, Text)]);
static METRICS: Message = message("ExportMetricsServiceRequest", [(1, Msg(&RESOURCE_METRICS))]);

static METRIC_LEVELS: Levels = Levels { request: &METRICS, resource: &RESOURCE_METRICS, scope: &SCOPE_METRICS, item: &METRIC };

/// The message types of a request, from the outside in. Fields 1, 2 and 2 of the first three hold the next one.
pub(crate) struct Levels {
    pub(crate) request: &'static Message,
    pub(crate) resource: &'static Message,
    pub(crate) scope: &'static Message,
    pub(crate) item: &'static Message,
}

impl Levels {
    /// Those of a request of `signal`.
    pub(crate) const fn of(signal: Signal) -> &'static Levels {
        match signal {
            Signal::Traces => &TRACE_LEVELS,
            Signal::Logs => &LOG_LEVELS,
            Signal::Metrics => &METRIC_LEVELS,
        }
    }
}

/// Checks an encoded item of `signal`.
///
/// # Errors
/// As [`validate`].
pub fn validate_item(signal: Signal, item: &[u8]) -> Result<(), Malformed> {
    Levels::of(signal).item.check(item, 0)
}

/// Checks a whole request of `signal`.
///
/// # Errors
/// The first thing that is wrong with it. Such a request must not be retried: OTLP `INVALID_ARGUMENT`, HTTP 400.
pub fn validate(signal: Signal, request: &[u8]) -> Result<(), Malformed> {
    Levels::of(signal).request.check(request, 0)
}

impl Message {
    /// Checks an encoded message that stands `depth` values inside values.
    // Recursion is bounded: message types form a tree of at most ten levels, except AnyValue, which `depth` counts.
    pub(crate) fn check(&'static self, bytes: &[u8], depth: u32) -> Result<(), Malformed> {
        let mut fields = Fields::new(bytes);
        while let Some(field) = fields.try_next()? {
            self.check_field(&field, depth)?;
        }
        Ok(())
    }

    /// Checks one field of such a message.
    #[inline]
    pub(crate) fn check_field(&'static self, field: &Field<'_>, depth: u32) -> Result<(), Malformed> {
        let kind = self.fields.get(field.number as usize).copied().unwrap_or(Unknown);
        let name = || FieldName { message: self.name, number: field.number };
        match (kind, field.value) {
            (Text, Value::Len(text)) => {
                if !is_utf8(text) {
                    return Err(Malformed::Utf8(name()));
                }
            }
            (Pair, Value::Len(content)) => check_pair(content, depth)?,
            (Msg(inner), Value::Len(content)) => inner.check(content, depth)?,
            (Any, Value::Len(content)) => check_any(content, depth)?,
            (Nested(inner), Value::Len(content)) => {
                if depth >= MAX_DEPTH {
                    return Err(Malformed::Depth(MAX_DEPTH));
                }
                inner.check(content, depth + 1)?;
            }
            (Varints, Value::Len(packed)) => check_packed_varints(packed)?,
            (Fixed64s, Value::Len(packed)) if packed.len() % 8 != 0 => return Err(Malformed::Truncated),
            (Unknown, _)
            | (Varint | Varints, Value::Varint(_))
            | (Fixed64 | Fixed64s, Value::Fixed64(_))
            | (Fixed32, Value::Fixed32(_))
            | (Bytes | Fixed64s, Value::Len(_)) => {}
            _ => return Err(Malformed::WireType(name())),
        }
        Ok(())
    }
}

/// Checks a `KeyValue`: a short key, a value, nothing else; whatever looks otherwise goes the long way.
#[inline]
pub(crate) fn check_pair(pair: &[u8], depth: u32) -> Result<(), Malformed> {
    if let [0x0a, length @ 0..0x80, rest @ ..] = pair
        && let Some((key, [0x12, length @ 0..0x80, value @ ..])) = rest.split_at_checked(usize::from(*length))
        && value.len() == usize::from(*length)
        && is_ascii(key)
    {
        return check_any(value, depth);
    }
    KEY_VALUE.check(pair, depth)
}

/// Checks an `AnyValue`: a short string, a number, nothing else; whatever looks otherwise goes the long way.
#[inline]
fn check_any(value: &[u8], depth: u32) -> Result<(), Malformed> {
    match value {
        [0x0a, length @ 0..0x80, text @ ..] if text.len() == usize::from(*length) && is_ascii(text) => Ok(()),
        // A bool or an int of up to 14 bits, a double.
        [0x10 | 0x18, 0..0x80] | [0x18, 0x80..=0xff, 0..0x80] | [0x21, _, _, _, _, _, _, _, _] => Ok(()),
        _ => ANY_VALUE.check(value, depth),
    }
}

fn check_packed_varints(packed: &[u8]) -> Result<(), Malformed> {
    let mut at = 0;
    while at < packed.len() {
        crate::otlp::wire::varint(packed, &mut at)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::wire::put_bytes;

    fn wrap(levels: &[u32], inner: &[u8]) -> Vec<u8> {
        levels.iter().rev().fold(inner.to_vec(), |content, &number| {
            let mut out = Vec::new();
            put_bytes(&mut out, number, &content);
            out
        })
    }

    /// An attribute whose value holds `depth` arrays inside each other, in a span.
    fn nested(depth: usize) -> Vec<u8> {
        let value = wrap(&[5, 1].repeat(depth), &[]);
        wrap(&[1, 2, 2, 9, 2], &value)
    }

    #[test]
    fn an_empty_request_is_valid() {
        for signal in Signal::ALL {
            assert_eq!(validate(signal, b""), Ok(()));
        }
    }

    #[test]
    fn nesting_is_taken_to_the_limit_and_no_further() {
        assert_eq!(validate(Signal::Traces, &nested(MAX_DEPTH as usize)), Ok(()));
        assert_eq!(validate(Signal::Traces, &nested(MAX_DEPTH as usize + 1)), Err(Malformed::Depth(MAX_DEPTH)));
        assert!(validate(Signal::Traces, &nested(5_000)).is_err());
    }

    #[test]
    fn a_name_that_is_not_utf8_names_its_field() {
        let error = validate(Signal::Traces, &wrap(&[1, 2, 2, 5], b"\xff")).unwrap_err();
        assert_eq!(error.to_string(), "field 5 of Span is not UTF-8");
    }

    #[test]
    fn a_known_field_of_another_wire_type_is_refused_and_an_unknown_one_passes() {
        assert!(matches!(validate(Signal::Traces, &wrap(&[1, 2, 2], &[5 << 3, 1])), Err(Malformed::WireType(_))));
        assert_eq!(validate(Signal::Traces, &wrap(&[1, 2, 2], &[0xd0, 0x02, 1])), Ok(()));
    }
}
