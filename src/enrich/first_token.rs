//! When the first token came.
//!
//! Every vocabulary has its own key for it, in seconds or milliseconds. The key tells the unit; guessing it from the size
//! of the number would turn a slow answer into a fast one.

/// How long after the end of a span a first token may lie before the value is taken for a wrong unit, in seconds.
const SLACK: f64 = 1.0;

/// What the value under a key means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Seconds since the start of the span.
    Seconds,
    /// Milliseconds since the start of the span.
    Millis,
    /// A point in time: ISO 8601 text or an epoch.
    Timestamp,
}

/// Keys in the order of trust; the first one present counts.
const KEYS: &[(&str, Unit)] = &[
    ("gen_ai.response.time_to_first_chunk", Unit::Seconds),
    ("gen_ai.client.operation.time_to_first_chunk", Unit::Seconds),
    ("gen_ai.server.ttft", Unit::Seconds),
    ("gen_ai.server.time_to_first_token", Unit::Seconds),
    ("ai.response.msToFirstChunk", Unit::Millis),
    ("ai.stream.msToFirstChunk", Unit::Millis),
    ("gen_ai.time_to_first_token_ms", Unit::Millis),
    ("llm.time_to_first_token_ms", Unit::Millis),
    ("langfuse.observation.completion_start_time", Unit::Timestamp),
    ("ttft_ms", Unit::Millis),
];

/// The rank (0 is the most trusted) and unit of a key; `None` for any other key. `scope` is the instrumentation scope's
/// name: Strands writes milliseconds under a key that means seconds.
pub fn unit(key: &str, scope: &str) -> Option<(usize, Unit)> {
    let rank = KEYS.iter().position(|(k, _)| *k == key)?;
    let (_, unit) = KEYS.get(rank)?;
    let strands = scope == "strands.telemetry.tracer" && key == "gen_ai.server.time_to_first_token";
    Some((rank, if strands { Unit::Millis } else { *unit }))
}

/// Seconds to the first token, from a value under a key of seconds or milliseconds. `None` when it is no duration, or lies
/// more than a second behind the end of the span: then somebody wrote another unit. `span` is its length in seconds.
pub fn seconds(value: f64, unit: Unit, span: f64) -> Option<f64> {
    let seconds = match unit {
        Unit::Seconds => value,
        Unit::Millis => value / 1000.0,
        Unit::Timestamp => return None,
    };
    within(seconds, span)
}

/// Seconds to the first token, from its time; both in nanoseconds of the epoch.
pub fn since(first_token: u64, start: u64, span: f64) -> Option<f64> {
    within(first_token.checked_sub(start)? as f64 / 1e9, span)
}

fn within(seconds: f64, span: f64) -> Option<f64> {
    (seconds.is_finite() && seconds >= 0.0 && seconds <= span + SLACK).then_some(seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_tells_the_unit() {
        assert_eq!(unit("gen_ai.server.ttft", "openlit").map(|u| u.1), Some(Unit::Seconds));
        assert_eq!(unit("llm.time_to_first_token_ms", "").map(|u| u.1), Some(Unit::Millis));
        assert_eq!(unit("gen_ai.server.time_to_first_token", "openlit").map(|u| u.1), Some(Unit::Seconds));
        assert_eq!(unit("gen_ai.server.time_to_first_token", "strands.telemetry.tracer").map(|u| u.1), Some(Unit::Millis));
        assert_eq!(unit("gen_ai.server.time_per_output_token", ""), None);
    }

    #[test]
    fn everything_becomes_seconds() {
        assert_eq!(seconds(0.5, Unit::Seconds, 2.0), Some(0.5));
        assert_eq!(seconds(500.0, Unit::Millis, 2.0), Some(0.5));
        assert_eq!(since(1_500_000_000, 1_000_000_000, 2.0), Some(0.5));
    }

    #[test]
    fn a_first_token_behind_the_end_is_a_wrong_unit() {
        assert_eq!(seconds(3.0, Unit::Seconds, 2.0), Some(3.0));
        assert_eq!(seconds(3.1, Unit::Seconds, 2.0), None);
        assert_eq!(seconds(500.0, Unit::Seconds, 2.0), None);
        for value in [-1.0, f64::NAN, f64::INFINITY] {
            assert_eq!(seconds(value, Unit::Seconds, 2.0), None, "{value}");
        }
        assert_eq!(since(1, 2, 2.0), None);
    }
}
