//! What a look means once it is known whose the usage is.

use crate::enrich::call::{Cost, CostSource, LlmFacts, Skip};
use crate::enrich::config::OnConflict;
use crate::enrich::errors::Reason;
use crate::enrich::facts::SpanFacts;
use crate::enrich::keys::Key;
use crate::enrich::kind::Kind;
use crate::enrich::look::Look;
use crate::enrich::price::{Flags, Outcome, Priced, SkipReason};
use crate::enrich::rewrite;
use crate::enrich::roles::{Role, Verdict};
use crate::enrich::settings::Settings;
use crate::enrich::write::{self, Manner, Writer};
use crate::units::Usd;

/// Everything that is known about a span of a model call, an agent or a tool, or with usage.
pub(crate) fn llm<'l>(look: &'l Look<'_>, verdict: &Verdict) -> LlmFacts<'l> {
    let role = verdict.role;
    let owner = role == Some(Role::Owner);
    let counted =
        look.kind.is_priced() && !verdict.again && !verdict.wraps && matches!(role, Some(Role::Owner) | None) || owner && !verdict.again;
    let (cost, skip_reason) = cost(look, role);
    // By its name in the price table also where the cost came with the span, so that one model has one name.
    let same = |priced: &&Priced| look.given.is_none() || !priced.flags.has(Flags::FALLBACK);
    let billed = computed(look, role).filter(same).map(|priced| (&*priced.provider, &*priced.model));
    LlmFacts {
        kind: look.kind,
        role,
        counted,
        service: look.service,
        provider: look.provider.as_deref(),
        request_model: look.request_model,
        response_model: look.response_model,
        billed,
        usage: look.usage,
        semantics: look.semantics,
        cost,
        skip_reason,
        finish: look.finish,
        truncated: look.truncated,
        error: look.error,
        time_to_first_token: look.time_to_first_token,
        user: look.user,
        user_tier: look.user_tier,
        session: look.session,
        agent: look.agent,
        feature: look.feature,
        prompt: look.prompt,
        prompt_version: look.prompt_version.as_deref(),
        head: look.head,
        span: look.span,
    }
}

/// The price that was worked out for a span that owns its usage.
pub(crate) fn computed<'l>(look: &'l Look<'_>, role: Option<Role>) -> Option<&'l Priced> {
    match &look.price {
        Some(Outcome::Priced(priced)) if role == Some(Role::Owner) => Some(priced),
        _ => None,
    }
}

/// The cost of a span that owns its usage, or why it has none.
fn cost<'l>(look: &'l Look<'_>, role: Option<Role>) -> (Option<Cost<'l>>, Option<Skip>) {
    match role {
        Some(Role::Aggregate) => {
            let skip = if look.kind == Kind::Raw { Skip::NoInference } else { Skip::Aggregate };
            return (None, Some(skip));
        }
        Some(Role::Duplicate) => return (None, Some(Skip::Duplicate)),
        // Without ids nobody can tell, and only a call is asked about.
        None if !look.kind.is_priced() => return (None, None),
        _ => {}
    }
    if look.cached_by_gateway {
        return (None, Some(Skip::GatewayCache));
    }
    if let (Some(given), Some(Role::Owner)) = (look.given, role) {
        return (Some(Cost { total: given.usd, source: CostSource::Span { key: given.key.name() } }), None);
    }
    match &look.price {
        Some(Outcome::Priced(Priced { total, input, output, cache_read, cache_write, fees, price_id, flags, .. }))
            if role == Some(Role::Owner) =>
        {
            let source = CostSource::Computed {
                price_id,
                input: *input,
                output: *output,
                cache_read: *cache_read,
                cache_write: *cache_write,
                fees: *fees,
                flags: *flags,
            };
            (Some(Cost { total: *total, source }), None)
        }
        Some(Outcome::Unpriced(reason)) => (None, Some(Skip::Price(*reason))),
        // A call without usage: whatever a fee list says, nothing shows that it ran.
        Some(Outcome::Priced(_)) => (None, Some(Skip::Price(SkipReason::NoUsage))),
        None => (None, None),
    }
}

/// The facts of a span that may have failed and is nothing else.
pub(crate) fn plain_facts(mut facts: SpanFacts, look: &Look<'_>) -> SpanFacts {
    if let Some(fact) = look.error {
        facts.error = Some(write::class(fact.class));
        facts.cancelled = fact.reason == Reason::Cancelled;
    }
    facts.truncated = look.truncated == Some(true);
    facts
}

/// The facts of any other. `facts` has ids, times and status.
pub(crate) fn span_facts(mut facts: SpanFacts, look: &Look<'_>, llm: &LlmFacts<'_>) -> SpanFacts {
    facts.error = llm.error.map(|fact| write::class(fact.class));
    facts.cancelled = llm.error.is_some_and(|fact| fact.reason == Reason::Cancelled);
    facts.truncated = llm.truncated == Some(true);
    facts.llm_call = llm.counted;
    (facts.digest, facts.tool) = (look.digest, look.kind == Kind::Tool);
    if llm.counted && llm.role == Some(Role::Owner) {
        facts.unpriced = llm.cost.is_none() && !look.cached_by_gateway;
        facts.cost = llm.cost.map(|cost| cost.total).unwrap_or_default();
        if let Some(usage) = llm.usage {
            facts.input_tokens = usage.input_total();
            facts.output_tokens = usage.output;
            facts.cache_read_tokens = usage.cache_read;
            facts.reasoning_tokens = usage.reasoning.unwrap_or(0);
        }
    }
    facts
}

/// Whether attributes are added to such a span at all.
pub(crate) fn adds(look: &Look<'_>, role: Option<Role>, settings: &Settings) -> bool {
    look.error.is_some() || !look.is_plain() && (look.kind.is_priced() || role.is_some() || !settings.config.profiles.list().is_empty())
}

/// Writes the attributes of a span behind it.
pub(crate) fn write(look: &Look<'_>, verdict: &Verdict, settings: &Settings, out: &mut Vec<u8>) {
    let mut writer = Writer::new(out, look.present).replacing(settings.config.on_conflict == OnConflict::Replace);
    if look.is_plain() {
        if let Some(fact) = &look.error {
            write::error(&mut writer, fact, look.error_type.as_deref());
        }
        return;
    }
    let manner = Manner {
        normalize: settings.config.normalize,
        profiles: settings.config.profiles.list(),
        cut_by: look.cut_by,
        openinference: look.present.has(Key::OpeninferenceSpanKind),
        other_counts: look.other_counts,
        error_type: look.error_type.as_deref(),
    };
    let shown = rewrite::apply(&mut writer, llm(look, verdict), look.as_sent, &settings.config);
    write::facts(&mut writer, &shown, &manner);
}

/// Whether two amounts differ by over one percent.
pub(crate) fn differs(given: Usd, computed: Usd) -> bool {
    let (given, computed) = (given.pico(), computed.pico());
    (given - computed).unsigned_abs() > computed.unsigned_abs() / 100
}
