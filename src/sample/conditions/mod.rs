//! What a policy may ask of a trace, one file for each question.
//!
//! A condition compiles to one of three kinds of test. Tests of attributes and of single spans are answered as a span arrives and
//! leave one bit; only tests of the trace as a whole are asked again at the decision. So a trace is never walked twice.

mod always_sample;
mod attribute_exists;
mod boolean_attribute;
mod error_class;
mod latency;
mod llm_calls;
mod numeric_attribute;
pub(in crate::sample) mod ottl;
pub(in crate::sample) mod ottl_condition;
mod rare;
pub(in crate::sample) mod redaction_hits;
mod retries;
mod span_count;
mod span_latency;
mod status_code;
mod string_attribute;
mod tool_loop;
mod trace_cost;
mod trace_flags;
mod trace_state;
mod trace_tokens;
mod truncated;
mod unpriced;

pub use always_sample::AlwaysSample;
pub use attribute_exists::AttributeExists;
pub use boolean_attribute::BooleanAttribute;
pub use error_class::ErrorClasses;
pub use latency::Latency;
pub use llm_calls::LlmCalls;
pub use numeric_attribute::NumericAttribute;
pub use ottl_condition::OttlCondition;
pub use rare::Rare;
pub use redaction_hits::RedactionHits;
pub use retries::Retries;
pub use span_count::SpanCount;
pub use span_latency::SpanLatency;
pub use status_code::StatusCodes;
pub use string_attribute::StringAttribute;
pub use tool_loop::ToolLoop;
pub use trace_cost::TraceCost;
pub use trace_flags::TraceFlags;
pub use trace_state::TraceState;
pub use trace_tokens::TraceTokens;
pub use truncated::Truncated;
pub use unpriced::Unpriced;

use crate::otlp::span::Any;
use crate::sample::totals::{Mark, Totals};
use serde::de::value::{MapAccessDeserializer, MapDeserializer};
use serde::de::{self, Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

macro_rules! conditions {
    ($($(#[doc = $doc:literal])* $name:literal $variant:ident($type:ident),)*) => {
        /// A condition as the config spells it.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Condition {
            $($(#[doc = $doc])* $variant($type),)*
        }

        impl Condition {
            /// The names of all conditions.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// What `type:` calls it.
            pub fn name(&self) -> &'static str {
                match self { $(Condition::$variant(_) => $name,)* }
            }

            /// Makes it a test.
            ///
            /// # Errors
            /// The field that is wrong, and why.
            pub(super) fn compile(&self) -> Result<Test, Fault> {
                match self { $(Condition::$variant(condition) => condition.compile(),)* }
            }

            /// Reads the block of the Collector's spelling, if there is a condition of that name.
            pub(super) fn block<'de, A: MapAccess<'de>>(name: &str, map: &mut A) -> Result<Option<Condition>, A::Error> {
                match name {
                    $($name => map.next_value().map(|block| Some(Condition::$variant(block))),)*
                    _ => Ok(None),
                }
            }

            /// Reads the fields of the condition of that name.
            fn fields<'de, D: Deserializer<'de>>(name: &str, fields: D) -> Result<Condition, D::Error> {
                match name {
                    $($name => $type::deserialize(fields).map(Condition::$variant),)*
                    _ => Err(D::Error::unknown_variant(name, Condition::NAMES)),
                }
            }
        }
    };
}

impl Condition {
    /// The condition of that name without any fields, if it needs none.
    pub(super) fn bare(name: &str) -> Option<Condition> {
        let nothing = std::iter::empty::<(&str, &str)>();
        Condition::fields(name, MapDeserializer::<_, de::value::Error>::new(nothing)).ok()
    }
}

/// `{ type: …, … }`. With `type` in front, where people write it, the fields are read as what they are; behind other fields those
/// were read before anybody knew what they should be, and YAML takes a bare `no` for a truth value.
impl<'de> Deserialize<'de> for Condition {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Condition, D::Error> {
        struct Tagged;
        impl<'de> Visitor<'de> for Tagged {
            type Value = Condition;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a condition: { type, … }")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Condition, A::Error> {
                let (mut kind, mut before) = (None::<String>, serde_json::Map::new());
                while let Some(key) = map.next_key::<String>()? {
                    if key != "type" {
                        before.insert(key, map.next_value()?);
                    } else if before.is_empty() {
                        let kind: String = map.next_value()?;
                        return Condition::fields(&kind, MapAccessDeserializer::new(map));
                    } else {
                        kind = Some(map.next_value()?);
                    }
                }
                let kind = kind.ok_or_else(|| A::Error::missing_field("type"))?;
                Condition::fields(&kind, serde_json::Value::Object(before)).map_err(A::Error::custom)
            }
        }
        deserializer.deserialize_map(Tagged)
    }
}

conditions! {
    /// Holds for every trace.
    "always_sample" AlwaysSample(AlwaysSample),
    /// An attribute is there, whatever its value.
    "attribute_exists" AttributeExists(AttributeExists),
    /// An attribute is this truth value.
    "boolean_attribute" BooleanAttribute(BooleanAttribute),
    /// A failure is of this class.
    "error_class" ErrorClass(ErrorClasses),
    /// The trace takes this long.
    "latency" Latency(Latency),
    /// The trace has so many model calls.
    "llm_calls" LlmCalls(LlmCalls),
    /// An attribute is a number in this range.
    "numeric_attribute" NumericAttribute(NumericAttribute),
    /// A span, or an event of one, meets an expression.
    "ottl_condition" OttlCondition(OttlCondition),
    /// The trace is among the first of its kind.
    "rare" Rare(Rare),
    /// So much was redacted in the trace.
    "redaction_hits" RedactionHits(RedactionHits),
    /// A model call was tried so often.
    "retries" Retries(Retries),
    /// The trace has so many spans.
    "span_count" SpanCount(SpanCount),
    /// A span takes this long.
    "span_latency" SpanLatency(SpanLatency),
    /// A span has this status.
    "status_code" StatusCode(StatusCodes),
    /// An attribute is one of these texts.
    "string_attribute" StringAttribute(StringAttribute),
    /// A tool was called so often with the same arguments.
    "tool_loop" ToolLoop(ToolLoop),
    /// The trace costs so much.
    "trace_cost" TraceCost(TraceCost),
    /// A span has the sampled flag.
    "trace_flags" TraceFlags(TraceFlags),
    /// A member of a tracestate is one of these.
    "trace_state" TraceState(TraceState),
    /// The trace uses so many tokens.
    "trace_tokens" TraceTokens(TraceTokens),
    /// An answer was cut off.
    "truncated" Truncated(Truncated),
    /// A model call has usage and no price.
    "unpriced" Unpriced(Unpriced),
}

/// A wrong field of a condition or sampler: its key, and what is wrong with it.
pub(super) type Fault = (&'static str, String);

/// What a condition compiles to.
#[derive(Clone, Debug)]
pub(super) enum Test {
    /// True.
    Always,
    /// Of the value of one attribute.
    Attribute { key: String, test: Arc<dyn AttributeTest>, invert: bool },
    /// Of one span.
    Span(Arc<dyn SpanTest>),
    /// Of one span, or one event, by expressions of which one must hold.
    Ottl { spans: Vec<ottl::Node>, events: Vec<ottl::Node> },
    /// Of the trace as a whole.
    Trace(Arc<dyn TraceTest>),
    /// Of what was redacted in the trace.
    Redacted { types: Vec<String>, min: u32 },
    /// Of the trace and those before it with the same values.
    Rare { keys: Vec<String>, first: u32, per: Duration },
}

/// A test of the value of an attribute that is there.
pub(super) trait AttributeTest: Debug + Send + Sync {
    fn holds(&self, value: Any<'_>) -> bool;
}

/// A test of one span.
pub(super) trait SpanTest: Debug + Send + Sync {
    fn holds(&self, span: &Seen<'_>) -> bool;
}

/// A test of a trace.
pub(super) trait TraceTest: Debug + Send + Sync {
    /// Whether it holds for the spans that are here.
    fn holds(&self, totals: &Totals) -> bool;

    /// Whether more spans can change the answer.
    fn settled(&self, totals: &Totals) -> bool;
}

/// One span, as tests see it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Seen<'a> {
    pub(super) mark: Mark,
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) trace_state: &'a [u8],
    pub(super) flags: u32,
}

/// A closed range of something that only grows while spans arrive.
#[derive(Debug)]
pub(super) struct Range<T> {
    pub(super) min: Option<T>,
    pub(super) max: Option<T>,
    pub(super) of: fn(&Totals) -> T,
}

impl<T: PartialOrd + Copy + Debug> Range<T> {
    fn test(self, (min_key, max_key): (&'static str, &'static str)) -> Result<Test, Fault>
    where
        T: Send + Sync + 'static,
    {
        match (self.min, self.max) {
            (None, None) => Err((min_key, format!("is missing; set it, or {max_key}"))),
            (Some(min), Some(max)) if min > max => Err((max_key, format!("is below {min_key}, so nothing matches"))),
            _ => Ok(Test::Trace(Arc::new(self))),
        }
    }
}

impl<T: PartialOrd + Copy + Debug + Send + Sync> TraceTest for Range<T> {
    fn holds(&self, totals: &Totals) -> bool {
        let value = (self.of)(totals);
        self.min.is_none_or(|min| min <= value) && self.max.is_none_or(|max| value <= max)
    }

    fn settled(&self, totals: &Totals) -> bool {
        let value = (self.of)(totals);
        // It only grows: past the end it stays past it, and without an end inside means inside.
        self.max.map_or(self.min.is_none_or(|min| min <= value), |max| value > max)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_yaml_could_take_for_something_else_is_a_text() {
        let read = |text: &str| serde_yaml::from_str::<Condition>(text);
        let condition = read("{ type: string_attribute, key: n, values: [yes, 200, 1.0] }").unwrap();
        assert_eq!(condition, read("{ type: string_attribute, key: 'n', values: ['yes', '200', '1.0'] }").unwrap());
    }

    #[test]
    fn the_type_may_stand_anywhere() {
        let read = |text: &str| serde_yaml::from_str::<Condition>(text);
        assert_eq!(read("{ threshold_ms: 5, type: latency }").unwrap(), read("{ type: latency, threshold_ms: 5 }").unwrap());
        assert_eq!(read("{ min_usd: 0.50, type: trace_cost }").unwrap(), read("{ type: trace_cost, min_usd: '0.5' }").unwrap());
        for (text, part) in [("{ threshold_ms: 5 }", "type"), ("{ type: late }", "late"), ("{ type: latency, threshold: 5 }", "threshold")]
        {
            assert!(read(text).unwrap_err().to_string().contains(part), "{text}");
        }
    }
}
