//! Holds for traces that cost so much.
//!
//! One agent stuck in a loop can cost more than a day of normal traffic, and its trace is the one people ask for. So the
//! whole trace is judged: its spans may each be cheap.

use crate::sample::conditions::{Fault, Range, Test};
use crate::units::Usd;
use serde::Deserialize;
use serde::de::{self, Deserializer, Visitor};
use std::fmt;

/// `{ type: trace_cost, min_usd: 0.50 }`
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TraceCost {
    #[serde(default, deserialize_with = "amount")]
    min_usd: Option<Usd>,
    #[serde(default, deserialize_with = "amount")]
    max_usd: Option<Usd>,
}

impl TraceCost {
    pub(super) fn compile(&self) -> Result<Test, Fault> {
        Range { min: self.min_usd, max: self.max_usd, of: |totals| totals.cost }.test(("min_usd", "max_usd"))
    }
}

/// A decimal. What stands beside a `type` key was already read as a number; the shortest decimal of a double is what was written.
fn amount<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Usd>, D::Error> {
    struct Amount;
    impl<'de> Visitor<'de> for Amount {
        type Value = Option<Usd>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an amount of US dollars such as 0.50")
        }

        fn visit_f64<E: de::Error>(self, number: f64) -> Result<Option<Usd>, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Option<Usd>, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Option<Usd>, E> {
            self.visit_str(&number.to_string())
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Option<Usd>, E> {
            text.parse().map(Some).map_err(|error| E::custom(format_args!("\"{text}\" is {error}")))
        }

        fn visit_none<E: de::Error>(self) -> Result<Option<Usd>, E> {
            Ok(None)
        }

        fn visit_unit<E: de::Error>(self) -> Result<Option<Usd>, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<Usd>, D::Error> {
            deserializer.deserialize_any(self)
        }
    }
    deserializer.deserialize_any(Amount)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::conditions::Condition;
    use crate::sample::totals::Totals;

    fn holds(condition: &str, cost: &str) -> bool {
        let condition: Condition = serde_yaml::from_str(condition).unwrap();
        let Ok(Test::Trace(test)) = condition.compile() else { panic!("a test of traces") };
        test.holds(&Totals { cost: cost.parse().unwrap(), ..Totals::default() })
    }

    #[test]
    fn one_millionth_less_is_too_little() {
        assert!(holds("{ type: trace_cost, min_usd: 0.50 }", "0.5"));
        assert!(!holds("{ type: trace_cost, min_usd: 0.50 }", "0.499999"));
        assert!(holds("{ type: trace_cost, min_usd: '0.1', max_usd: 1 }", "1"));
        assert!(!holds("{ type: trace_cost, min_usd: '0.1', max_usd: 1 }", "1.000001"));
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        assert!(serde_yaml::from_str::<Condition>("{ type: trace_cost, min_usd: much }").is_err());
        assert!(serde_yaml::from_str::<Condition>("{ type: trace_cost, min: 1 }").is_err());
    }
}
