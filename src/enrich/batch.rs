//! One batch, in three passes.
//!
//! Whose usage counts cannot be told span by span: a request lists spans by library, so a framework's span often stands
//! before the call it wraps. So first every span is looked at, then ownership is decided from the leaves up, and only
//! then is anything priced and written. What the first pass found is kept as numbers, in lists that are used again.

use crate::enrich::call::{Cost, CostSource, LlmFacts, Skip};
use crate::enrich::classify::{self, CLIENT};
use crate::enrich::errors::{self, Evidence, Reason, Standing};
use crate::enrich::facts::SpanFacts;
use crate::enrich::fields::{self, GivenCost, Trust};
use crate::enrich::finish::Reasons;
use crate::enrich::keys::Key;
use crate::enrich::kind::Kind;
use crate::enrich::meters::Meters;
use crate::enrich::price::{Call, Class, Fee, Flags, Outcome, Priced, SkipReason, Usage as PriceUsage};
use crate::enrich::roles::{Claim, Cover, Responses, Role, Roles, Usage as Claimed, Verdict};
use crate::enrich::scan::{Attributes, Finds, Found, Keys, Table};
use crate::enrich::source::{Library, Noted, Source};
use crate::enrich::tokens::{self, Family, Tokens};
use crate::enrich::usage::{Usage, settle};
use crate::enrich::write::{self, Manner, Writer};
use crate::enrich::{Observer, Settings, Shared, digest, evidence, finishes, json};
use crate::otlp::head::Head;
use crate::otlp::request::Draft;
use crate::otlp::span::{self, SpanId, SpanView, TraceId};
use crate::units::Usd;
use ahash::RandomState;
use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Instant;

/// No place in the batch.
const NOWHERE: u32 = u32::MAX;

/// How far parents are followed to order a batch. Deeper, the order of arrival decides.
const MAX_DEPTH: u32 = 512;

/// The working memory of one shard.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    finds: Finds,
    table: Table,
    plans: Vec<Plan>,
    order: Vec<(u32, u64, u32)>,
    places: HashMap<(TraceId, SpanId), u32, RandomState>,
    /// Places of parents, by place; `NOWHERE` for one that is not in this batch.
    parents: Vec<u32>,
    depths: Vec<u32>,
    /// What was last read of a head, and at which address: spans of one head stand together.
    noted: Option<(usize, Noted)>,
}

/// What the first two passes found out about one span.
#[derive(Debug)]
struct Plan {
    facts: SpanFacts,
    found: Found,
    kind: Kind,
    tokens: Option<Tokens>,
    claimed: Claimed,
    response: Option<u64>,
    cached_by_gateway: bool,
    /// Whether a failure shows at first sight: then missing usage is no gap.
    failed: bool,
    cover: Cover,
    /// Whether usage may be missing inside.
    gap: bool,
    /// Keys whose values were to be counts and are none.
    invalid: Keys,
    /// Whether a third look is needed; most spans are done after the first.
    open: bool,
    verdict: Verdict,
}

impl Batch {
    /// First pass: what each span is, and what usage it has.
    pub(crate) fn look(&mut self, draft: &Draft, settings: &Settings, shared: &Shared) {
        self.finds.clear();
        self.plans.clear();
        self.noted = None;
        let mut head_of: Option<(*const Head, Source<'_>)> = None;
        for (head, item) in draft.items() {
            let source = match head_of {
                Some((of, source)) if std::ptr::eq(of, head) => source,
                _ => Source::of(head),
            };
            head_of = Some((head, source));
            let plan = self.look_at(item, &source, settings, shared);
            self.plans.push(plan);
        }
    }

    fn look_at(&mut self, item: &[u8], source: &Source<'_>, settings: &Settings, shared: &Shared) -> Plan {
        let (view, found) = self.finds.walk(item);
        let mut plan = Plan {
            facts: SpanFacts::of(&view),
            found,
            kind: Kind::None,
            tokens: None,
            claimed: Claimed::Nothing,
            response: None,
            cached_by_gateway: false,
            failed: false,
            cover: Cover::None,
            gap: false,
            invalid: Keys::default(),
            open: false,
            verdict: Verdict::default(),
        };
        let attributes = self.finds.attributes(&plan.found, item, &mut self.table);
        plan.kind = classify::classify(&attributes, &view, source, plan.found.of_models);
        if plan.kind == Kind::None {
            plan.open = evidence::may_fail(&attributes, &view)
                || attributes.has_any(&[Key::ToolSuccess, Key::LangfuseObservationLevel, Key::GenAiResponseStatus, Key::LlmTruncated])
                || attributes.events().any(|event| event.name == b"response_truncated");
            // Usage on a span of no kind is nobody's call, but where it stands its sum must not be added either.
            if !plan.found.of_models {
                if !plan.open {
                    self.finds.forget(&plan.found);
                }
                return plan;
            }
        }
        plan.failed = evidence::may_fail(&attributes, &view) || attributes.events().any(|event| event.name == b"exception");
        let models = (fields::response_model(&attributes), fields::request_model(&attributes));
        let provider = fields::provider(&attributes, models.0, models.1);
        plan.tokens = tokens::read(&attributes, source, provider.as_deref());
        plan.cached_by_gateway = plan.kind.is_priced() && cached_by_gateway(&attributes, source);
        let cost = fields::given_cost(&attributes, |_| true).is_some_and(|cost| cost.usd > Usd::ZERO);
        let summed = attributes.has_any(&[Key::PydanticAny, Key::MlflowTraceTokenUsage, Key::MlflowTraceCost]);
        let counted = plan.tokens.is_some_and(|tokens| tokens.has_counts());
        let rerank = plan.kind == Kind::Rerank && plan.facts.error.is_none();
        let uses = counted || cost || rerank;
        let idle = !cost && !rerank && plan.tokens.is_some_and(|tokens| tokens.is_zero());
        plan.claimed = if plan.kind.is_priced() {
            match uses {
                true if idle && fields::web_searches(&attributes).is_none_or(|n| n == 0) => Claimed::IdleCall,
                true => Claimed::Call,
                // Sums of what other spans used, and nothing of its own.
                false if summed => Claimed::Container,
                false => Claimed::CallWithout,
            }
        } else if !uses {
            // A sum that nobody could form (the Vercel SDK writes NaN for streams without usage) is one all the same.
            if plan.kind != Kind::None && (summed || tokens::Shape::of(&attributes).any) { Claimed::Container } else { Claimed::Nothing }
        } else if plan.kind == Kind::Agent && view.kind == CLIENT && classify::has_model(&attributes)
            || settings.config.price_orphan_aggregates && matches!(plan.kind, Kind::Agent | Kind::Chain) && classify::has_model(&attributes)
        {
            Claimed::RemoteAgent
        } else {
            Claimed::Container
        };
        plan.response =
            fields::response_id(&attributes).map(|id| shared.responses.number(source.service, provider.as_deref().unwrap_or_default(), id));
        plan.invalid = attributes.invalid();
        plan.open |= plan.kind != Kind::None || plan.claimed != Claimed::Nothing;
        plan
    }

    /// Second pass: whose usage counts, children before their parents.
    pub(crate) fn decide(&mut self, roles: &mut Roles, responses: &Responses, now: Instant, meters: &mut Meters) {
        roles.expire(now);
        if roles.is_empty() && self.plans.iter().all(|plan| plan.claimed == Claimed::Nothing) {
            return;
        }
        self.sort();
        self.cover(roles);
        for &(_, _, at) in &self.order {
            let Some(plan) = self.plans.get_mut(at as usize) else { continue };
            let (Some(trace), Some(span)) = (plan.facts.trace_id, plan.facts.span_id) else { continue };
            let claim =
                Claim { trace, span, parent: plan.facts.parent_id, usage: plan.claimed, response: plan.response, cover: plan.cover };
            plan.verdict = roles.decide(&claim, responses, now);
            if plan.verdict.inverted {
                meters.count(
                    "tollgate_enrich_usage_order_inversions_total",
                    "Calls that arrived after the span around them, which therefore counts in their place",
                    1,
                );
            }
        }
    }

    /// Finds calls with usage around calls of which one has none: where the inner usage has a gap, the outer one counts.
    fn cover(&mut self, roles: &Roles) {
        let Batch { plans, order, parents, .. } = self;
        let keeps_to_itself = |plan: &Plan| matches!(plan.claimed, Claimed::CallWithout | Claimed::IdleCall) && !plan.failed;
        if !plans.iter().any(keeps_to_itself) || !plans.iter().any(|plan| plan.claimed == Claimed::Call) {
            return;
        }
        let parent = |at: u32| parents.get(at as usize).copied().filter(|up| *up != NOWHERE);
        // Gaps rise …
        for &(_, _, at) in order.iter() {
            let rises = plans.get(at as usize).is_some_and(|plan| plan.gap || keeps_to_itself(plan));
            if rises && let Some(up) = parent(at).and_then(|up| plans.get_mut(up as usize)) {
                up.gap = true;
            }
        }
        // … and the outermost call with usage that has one inside covers everything below it. What an earlier batch counted
        // inside it cannot be taken back.
        for &(_, _, at) in order.iter().rev() {
            let above = parent(at).and_then(|up| plans.get(up as usize)).is_some_and(|up| up.cover != Cover::None);
            let Some(plan) = plans.get_mut(at as usize) else { continue };
            let tainted = || plan.facts.trace_id.zip(plan.facts.span_id).is_some_and(|(trace, span)| roles.is_tainted(trace, span));
            plan.cover = if above {
                Cover::Covered
            } else if plan.gap && plan.claimed == Claimed::Call && !tainted() {
                Cover::Covers
            } else {
                Cover::None
            };
        }
    }

    /// Orders the batch: the deepest spans first, of equally deep ones those that end first.
    fn sort(&mut self) {
        let Batch { plans, order, places, parents, depths, .. } = self;
        places.clear();
        for (at, plan) in plans.iter().enumerate() {
            if let (Some(trace), Some(span)) = (plan.facts.trace_id, plan.facts.span_id) {
                places.insert((trace, span), at as u32);
            }
        }
        parents.clear();
        parents.extend(plans.iter().map(|plan| {
            let up = plan.facts.trace_id.zip(plan.facts.parent_id).and_then(|key| places.get(&key));
            up.copied().unwrap_or(NOWHERE)
        }));
        let parent = |at: u32| parents.get(at as usize).copied().filter(|up| *up != NOWHERE);
        depths.clear();
        depths.resize(plans.len(), u32::MAX);
        for start in 0..plans.len() as u32 {
            // Up to the first known depth, then down again with it. A circle of parents ends at the limit.
            let (mut steps, mut at) = (0, start);
            let mut above = 0;
            while let Some(up) = parent(at).filter(|_| steps < MAX_DEPTH) {
                steps += 1;
                at = up;
                if let Some(known) = depths.get(at as usize).copied().filter(|depth| *depth != u32::MAX) {
                    above = known;
                    break;
                }
            }
            let (mut depth, mut at) = (above.saturating_add(steps), start);
            for _ in 0..=steps {
                match depths.get_mut(at as usize) {
                    Some(unknown) if *unknown == u32::MAX => *unknown = depth,
                    _ => break,
                }
                depth = depth.saturating_sub(1);
                let Some(up) = parent(at) else { break };
                at = up;
            }
        }
        order.clear();
        order.extend(plans.iter().zip(depths.iter()).enumerate().map(|(at, (plan, depth))| (u32::MAX - depth, plan.facts.end, at as u32)));
        order.sort_unstable();
    }

    /// Third pass, span by span in order of arrival: prices it, writes what is known, counts.
    #[allow(clippy::too_many_arguments)] // The borrowed parts of one `Enrich`; a struct of them would be built per span.
    pub(crate) fn finish(
        &mut self,
        at: usize,
        head: &Head,
        item: &[u8],
        settings: &Settings,
        meters: &mut Meters,
        out: &mut Vec<u8>,
        observer: &mut dyn Observer,
    ) -> SpanFacts {
        let Some(plan) = self.plans.get(at) else {
            return SpanFacts::of(&span::view(item));
        };
        if !plan.open {
            observer.span(&plan.facts, None);
            return plan.facts;
        }
        let view = span::view(item);
        let attributes = self.finds.attributes(&plan.found, item, &mut self.table);
        if plan.kind == Kind::None && plan.claimed == Claimed::Nothing {
            return plain(plan, &attributes, &view, settings, meters, out, observer);
        }
        let address = std::ptr::from_ref(head) as usize;
        let source = match self.noted {
            Some((of, noted)) if of == address => Source::again(head, noted),
            _ => {
                let source = Source::of(head);
                self.noted = Some((address, source.note(head)));
                source
            }
        };
        let model = fields::request_model(&attributes).or_else(|| model_of_name(plan, &attributes, &view));
        let digest = digest::of(plan.kind, model, item, &view);
        let facts = call(plan, &attributes, &view, &source, settings, meters, out, observer);
        SpanFacts { digest, tool: plan.kind == Kind::Tool, ..facts }
    }
}

/// A span of no vocabulary that may have failed.
fn plain(
    plan: &Plan,
    attributes: &Attributes<'_>,
    view: &SpanView<'_>,
    settings: &Settings,
    meters: &mut Meters,
    out: &mut Vec<u8>,
    observer: &mut dyn Observer,
) -> SpanFacts {
    let evidence = evidence::gather(attributes, view, Kind::None, None, Reasons::default(), false);
    let mut facts = plan.facts;
    if let Some(fact) = errors::classify(&evidence, &settings.config.errors) {
        facts.error = Some(write::class(fact.class));
        facts.cancelled = fact.reason == Reason::Cancelled;
        write::error(&mut Writer::new(out, attributes.keys()), &fact, error_type(&evidence));
    }
    facts.truncated = finishes::ending(attributes, Reasons::default(), &evidence, false).cut_by.is_some();
    count_standing(&evidence, meters);
    observer.span(&facts, None);
    facts
}

/// A span of a model call, an agent, a tool, or with usage.
#[allow(clippy::too_many_arguments)] // As `Batch::finish`.
fn call(
    plan: &Plan,
    attributes: &Attributes<'_>,
    view: &SpanView<'_>,
    source: &Source<'_>,
    settings: &Settings,
    meters: &mut Meters,
    out: &mut Vec<u8>,
    observer: &mut dyn Observer,
) -> SpanFacts {
    let (response_model, request_model) =
        (fields::response_model(attributes), fields::request_model(attributes).or_else(|| model_of_name(plan, attributes, view)));
    let named = fields::named_provider(attributes);
    let inferred = named.is_none();
    let provider = named.or_else(|| fields::inferred_provider(response_model, request_model).map(Cow::Borrowed));
    let settled = plan.tokens.and_then(|tokens| settle(&tokens.raw, tokens.dialect, provider.as_deref()));
    let (usage, semantics) = (settled.map(|(usage, _)| usage), settled.map(|(_, semantics)| semantics));
    let role = plan.verdict.role;
    let owner = role == Some(Role::Owner);

    let has_output = usage.is_some_and(|usage| usage.output > 0);
    let reasons = if matches!(plan.kind, Kind::None | Kind::Embedding) { Reasons::default() } else { finishes::reasons(attributes) };
    let evidence = evidence::gather(attributes, view, plan.kind, provider.as_deref(), reasons, has_output);
    let reached = plan.kind == Kind::Llm
        && reasons.is_empty()
        && usage.is_some_and(|usage| usage.output > 0 && fields::limit(attributes).is_some_and(|limit| limit > 0 && usage.output >= limit));
    let ending = finishes::ending(attributes, reasons, &evidence, reached);
    let error = errors::classify(&evidence, &settings.config.errors);
    count_standing(&evidence, meters);

    let request = Call {
        provider: provider.as_deref(),
        model: response_model,
        request_model,
        host: fields::host(attributes),
        rerank: plan.kind == Kind::Rerank && error.is_none(),
        start_time: view.start,
        usage: priced_usage(plan.tokens.as_ref(), usage.as_ref(), attributes),
        context: fields::context(attributes),
    };
    let mut outcome = (owner || plan.kind.is_priced() && role.is_none()).then(|| {
        let bad = plan.tokens.is_some_and(|tokens| tokens.bad);
        if bad { Outcome::Unpriced(SkipReason::BadUsage) } else { settings.prices.price(&request) }
    });
    // The table was given the provider, and cannot know where it is from.
    if inferred
        && provider.is_some()
        && let Some(Outcome::Priced(priced)) = &mut outcome
        && !priced.flags.has(Flags::FALLBACK)
        && !settings.prices.knows_host(request.host)
    {
        priced.flags.set(Flags::PROVIDER_INFERRED);
    }
    let computed = match &outcome {
        Some(Outcome::Priced(priced)) if owner => Some(priced),
        _ => None,
    };
    let believed = |given: &GivenCost| match given.trust {
        Trust::Full => true,
        Trust::NotZero => {
            given.usd > Usd::ZERO || computed.is_none_or(|priced| priced.total == Usd::ZERO) || usage.is_none_or(|usage| usage.total() == 0)
        }
        Trust::Estimate => computed.is_none(),
    };
    let given = owner.then(|| fields::given_cost(attributes, believed)).flatten();
    let (cost, skip_reason) = cost_of(plan, role, given.map(|given| (given.usd, given.key)), &outcome);
    if let (Some(given), Some(priced)) = (given, computed)
        && differs(given.usd, priced.total)
    {
        meters.rare(
            "tollgate_enrich_cost_differs_total",
            "Costs on spans that differ from ours by over one percent",
            "source_key",
            given.key.name(),
        );
    }

    let truncated_known = ending.cut_by.is_some() || !ending.reasons.is_empty() || attributes.has(Key::LlmTruncated);
    let counted = plan.kind.is_priced() && !plan.verdict.again && !plan.verdict.wraps && matches!(role, Some(Role::Owner) | None)
        || owner && !plan.verdict.again;
    let prompt_version = fields::prompt_version(attributes);
    let llm = LlmFacts {
        kind: plan.kind,
        role,
        counted,
        service: source.service,
        provider: provider.as_deref(),
        request_model,
        response_model,
        usage,
        semantics,
        cost,
        skip_reason,
        finish: ending.reasons.worst(),
        truncated: truncated_known.then_some(ending.cut_by.is_some()),
        error,
        time_to_first_token: fields::time_to_first_token(attributes, view, source),
        user: fields::user(attributes),
        user_tier: fields::tier(attributes),
        session: fields::session(attributes, view),
        agent: fields::agent(attributes),
        feature: fields::feature(attributes),
        prompt: fields::prompt(attributes),
        prompt_version: prompt_version.as_deref(),
    };
    let facts = span_facts(plan, &llm);
    let manner = Manner {
        normalize: settings.config.normalize,
        profiles: settings.config.profiles.list(),
        cut_by: ending.cut_by,
        openinference: attributes.has(Key::OpeninferenceSpanKind),
        other_counts: plan.tokens.is_some_and(|tokens| matches!(tokens.family, Family::Langfuse | Family::Mlflow | Family::OpenInference))
            || attributes.has_any(&[Key::LangfuseObservationUsageDetails, Key::MlflowChatTokenUsage, Key::LlmTokenCountPrompt]),
        error_type: error_type(&evidence),
    };
    write::facts(&mut Writer::new(out, attributes.keys()), &llm, &manner);
    if counted {
        meters.call(
            &llm,
            &facts,
            computed.filter(|_| given.is_none()).map(|priced| &*priced.provider),
            computed.filter(|_| given.is_none()).map(|priced| &*priced.model),
        );
    }
    for field in fields::conflicts(attributes).into_iter().flatten() {
        meters.rare(
            "tollgate_enrich_attribute_conflicts_total",
            "Spans on which two vocabularies disagree; the first one speaks",
            "field",
            field,
        );
    }
    for key in plan.invalid.iter() {
        meters.rare(
            "tollgate_enrich_invalid_attributes_total",
            "Counts that are no numbers, negative or absurdly large",
            "field",
            key.name(),
        );
    }
    if ending.reasons.unknown() > 0 {
        meters.count("tollgate_enrich_unknown_finish_reasons_total", "Finish reasons that no table knows", ending.reasons.unknown().into());
    }
    observer.span(&facts, Some(&llm));
    facts
}

/// The cost of a span that owns its usage, or why it has none.
fn cost_of<'p>(
    plan: &Plan,
    role: Option<Role>,
    given: Option<(Usd, Key)>,
    outcome: &'p Option<Outcome>,
) -> (Option<Cost<'p>>, Option<Skip>) {
    match role {
        Some(Role::Aggregate) => {
            let skip = if plan.kind == Kind::Raw { Skip::NoInference } else { Skip::Aggregate };
            return (None, Some(skip));
        }
        Some(Role::Duplicate) => return (None, Some(Skip::Duplicate)),
        _ => {}
    }
    if plan.cached_by_gateway {
        return (None, Some(Skip::GatewayCache));
    }
    if let (Some((total, key)), Some(Role::Owner)) = (given, role) {
        return (Some(Cost { total, source: CostSource::Span { key: key.name() } }), None);
    }
    match outcome {
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

fn span_facts(plan: &Plan, llm: &LlmFacts<'_>) -> SpanFacts {
    let mut facts = plan.facts;
    facts.error = llm.error.map(|fact| write::class(fact.class));
    facts.cancelled = llm.error.is_some_and(|fact| fact.reason == Reason::Cancelled);
    facts.truncated = llm.truncated == Some(true);
    facts.llm_call = llm.counted;
    if llm.counted && llm.role == Some(Role::Owner) {
        facts.unpriced = llm.cost.is_none() && !plan.cached_by_gateway;
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

/// The usage in the terms of the price table.
fn priced_usage(tokens: Option<&Tokens>, usage: Option<&Usage>, attributes: &Attributes<'_>) -> PriceUsage {
    let mut out = PriceUsage::UNKNOWN;
    let Some(usage) = usage else {
        out.set_total(tokens.and_then(|tokens| tokens.raw.total));
        return out;
    };
    let some = |count: u64| (count > 0).then_some(count);
    out.set(Class::Input, usage.input_total());
    out.set(Class::Output, usage.output);
    out.set(Class::CacheRead, some(usage.cache_read));
    out.set(Class::CacheWrite, some(usage.cache_write()));
    // A lifetime that nobody told is the ordinary one: only the writes that live longer have a class of their own then.
    let told = tokens.is_some_and(|tokens| tokens.raw.cache_write_5m.is_some());
    out.set(Class::CacheWrite5m, some(usage.cache_write_5m).filter(|_| told));
    out.set(Class::CacheWrite1h, some(usage.cache_write_1h));
    out.set(Class::Reasoning, usage.reasoning);
    out.set(Class::AudioIn, usage.audio_in);
    out.set(Class::AudioOut, usage.audio_out);
    out.set(Class::ImageIn, usage.image_in);
    out.set(Class::ImageOut, usage.image_out);
    out.set_things(Fee::WebSearch, fields::web_searches(attributes).and_then(some));
    out
}

/// OpenLIT names a failed call `chat <model>` and says nothing else.
fn model_of_name<'a>(plan: &Plan, attributes: &Attributes<'_>, view: &SpanView<'a>) -> Option<&'a str> {
    if !plan.kind.is_priced() || attributes.has(Key::GenAiOperationName) || plan.found.of_models {
        return None;
    }
    let (_, model) = std::str::from_utf8(view.name).ok()?.split_once(' ')?;
    Some(model.trim()).filter(|model| !model.is_empty() && !model.contains(' '))
}

/// LiteLLM marks answers from its own cache, which still show full usage and cost.
fn cached_by_gateway(attributes: &Attributes<'_>, source: &Source<'_>) -> bool {
    if source.library != Library::Litellm && !attributes.has(Key::HiddenParams) {
        return false;
    }
    let Some(text) = attributes.json(Key::HiddenParams) else { return false };
    let text = json::object(text);
    json::name(&text, "cache_key").is_some()
        && json::member(&text, "cache_hit").is_some_and(|raw| raw.eq_ignore_ascii_case("true") || raw == "\"True\"")
}

/// What `error.type` says where the sender did not: the provider's code, else the exception; else the reason will do.
fn error_type<'e>(evidence: &'e Evidence<'_>) -> Option<&'e str> {
    // Names of errors only: anything else may be a message, and messages repeat prompts, addresses and keys.
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"_.:/-".contains(&byte);
    let word = |text: &&str| !text.is_empty() && text.len() <= 100 && text.bytes().all(letter);
    evidence.error_code.as_deref().filter(word).filter(|code| code.parse::<u32>().is_err()).or(evidence.exception_type.filter(word))
}

fn count_standing(evidence: &Evidence<'_>, meters: &mut Meters) {
    if evidence.standing() == Standing::Recovered {
        meters.count("tollgate_enrich_recovered_total", "Spans with an exception that did not fail", 1);
    }
}

fn differs(given: Usd, computed: Usd) -> bool {
    let (given, computed) = (given.pico(), computed.pico());
    (given - computed).unsigned_abs() > computed.unsigned_abs() / 100
}

#[cfg(test)]
mod order {
    use super::*;

    fn plan(span: u8, parent: u8, end: u64) -> Plan {
        let facts = SpanFacts {
            trace_id: TraceId::new(&[1; 16]),
            span_id: SpanId::new(&[span; 8]),
            parent_id: SpanId::new(&[parent; 8]),
            end,
            ..SpanFacts::default()
        };
        Plan {
            facts,
            found: Found::default(),
            kind: Kind::None,
            tokens: None,
            claimed: Claimed::Nothing,
            response: None,
            cached_by_gateway: false,
            failed: false,
            cover: Cover::None,
            gap: false,
            invalid: Keys::default(),
            open: false,
            verdict: Verdict::default(),
        }
    }

    fn sorted(plans: Vec<Plan>) -> Vec<u32> {
        let mut batch = Batch { plans, ..Batch::default() };
        batch.sort();
        batch.order.iter().map(|(_, _, at)| *at).collect()
    }

    #[test]
    fn children_come_before_their_parents_in_whatever_order_they_arrive() {
        assert_eq!(sorted(vec![plan(1, 0, 9), plan(2, 1, 9), plan(3, 2, 9)]), [2, 1, 0]);
        assert_eq!(sorted(vec![plan(3, 2, 9), plan(1, 0, 9), plan(2, 1, 9)]), [0, 2, 1]);
        assert_eq!(sorted(vec![plan(2, 1, 5), plan(3, 1, 4), plan(4, 99, 1), plan(1, 0, 2)]), [1, 0, 2, 3]);
    }

    #[test]
    fn a_circle_of_parents_ends() {
        assert_eq!(sorted(vec![plan(1, 2, 1), plan(2, 1, 2), plan(3, 3, 3)]).len(), 3);
    }
}
