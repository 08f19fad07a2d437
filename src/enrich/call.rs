//! One model call, agent or tool, with everything that was found out about it.

use crate::enrich::errors::ErrorFact;
use crate::enrich::finish::Finish;
use crate::enrich::kind::Kind;
use crate::enrich::price::{Flags, SkipReason};
use crate::enrich::roles::Role;
use crate::enrich::usage::{Semantics, Usage};
use crate::otlp::head::Head;
use crate::units::Usd;

/// What is known about a span of any kind but `none`. Texts are as the sender wrote them, personal ones among them: they may
/// only go where redacted texts may go.
#[derive(Clone, Copy, Debug, Default)]
pub struct LlmFacts<'a> {
    /// What it is.
    pub kind: Kind,
    /// How its usage counts; `None` without usage.
    pub role: Option<Role>,
    /// Whether it is counted as a call: once, even if the span arrives again.
    pub counted: bool,
    /// `service.name` of its resource; empty where absent.
    pub service: &'a str,
    /// Who answered, by canonical name.
    pub provider: Option<&'a str>,
    /// The model that was asked for.
    pub request_model: Option<&'a str>,
    /// The model that answered.
    pub response_model: Option<&'a str>,
    /// Provider and model in the names of the price table; `None` where that priced nothing.
    pub billed: Option<(&'a str, &'a str)>,
    /// What it used; `None` where nobody says, or only a total.
    pub usage: Option<Usage>,
    /// How its input count was read.
    pub semantics: Option<Semantics>,
    /// What it cost; `None` on every span that does not own its usage.
    pub cost: Option<Cost<'a>>,
    /// Why it has no cost.
    pub skip_reason: Option<Skip>,
    /// How the answer ended.
    pub finish: Option<Finish>,
    /// Whether the answer was cut off by a token limit; `None` where nothing tells.
    pub truncated: Option<bool>,
    /// Why it failed.
    pub error: Option<ErrorFact>,
    /// Seconds until the first token.
    pub time_to_first_token: Option<f64>,
    /// Who it was made for.
    pub user: Option<&'a str>,
    /// The tier of that user.
    pub user_tier: Option<&'a str>,
    /// The conversation.
    pub session: Option<&'a str>,
    /// The agent.
    pub agent: Option<&'a str>,
    /// The feature of the application.
    pub feature: Option<&'a str>,
    /// The prompt template.
    pub prompt: Option<&'a str>,
    /// Its version.
    pub prompt_version: Option<&'a str>,
    /// What stands around the span.
    pub head: Option<&'a Head>,
    /// The span as it came, encoded, for what is rarely asked.
    pub span: &'a [u8],
}

impl<'a> LlmFacts<'a> {
    /// The model that answered, else the one that was asked for.
    pub fn model(&self) -> Option<&'a str> {
        self.response_model.or(self.request_model)
    }
}

/// What a call cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost<'a> {
    /// All of it.
    pub total: Usd,
    /// Where it is from.
    pub source: CostSource<'a>,
}

/// Where a cost is from.
#[derive(Clone, Copy, Debug)]
pub enum CostSource<'a> {
    /// It came with the span, under this key.
    Span {
        /// The attribute.
        key: &'static str,
    },
    /// It was computed.
    Computed {
        /// Layer, provider, entry and first day of the price.
        price_id: &'a str,
        /// The prompt but for its cached parts.
        input: Usd,
        /// Everything generated.
        output: Usd,
        /// Read from a cache.
        cache_read: Usd,
        /// Written to a cache.
        cache_write: Usd,
        /// Things with a fee.
        fees: Usd,
        /// What the price rests on.
        flags: Flags,
    },
}

/// Why a span has no cost. Written as `tollgate.cost.skip_reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Skip {
    /// The price table says.
    Price(SkipReason),
    /// It repeats what others own.
    Aggregate,
    /// Another span owns it.
    Duplicate,
    /// A gateway answered from its cache.
    GatewayCache,
    /// No model ran.
    NoInference,
}

impl Skip {
    /// The value written on the span.
    pub const fn as_str(self) -> &'static str {
        match self {
            Skip::Price(reason) => reason.name(),
            Skip::Aggregate => "aggregate",
            Skip::Duplicate => "duplicate",
            Skip::GatewayCache => "gateway_cache",
            Skip::NoInference => "no_inference",
        }
    }
}
