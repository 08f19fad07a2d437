//! One look at one span: everything about it but whose its usage is.
//!
//! Whether usage counts can only be told beside the other spans of a trace, but nothing else can. So a span is looked at once,
//! what it would cost if it counted is part of what is seen, and a ruling turns that into facts without going back to the span.
//! A look depends on the span and on the settings alone: as a span leaves, the same look finds the same things again.

use crate::enrich::classify::{self, CLIENT};
use crate::enrich::config::OnConflict;
use crate::enrich::digest;
use crate::enrich::errors::{self, ErrorFact, Evidence, Standing};
use crate::enrich::evidence;
use crate::enrich::fields::{self, GivenCost, Trust};
use crate::enrich::finish::{Finish, Reasons};
use crate::enrich::finishes::{self, Cut};
use crate::enrich::json;
use crate::enrich::keys::Key;
use crate::enrich::kind::Kind;
use crate::enrich::price::{Call, Class, Fee, Flags, Outcome, SkipReason, Usage as PriceUsage};
use crate::enrich::provider::Memory;
use crate::enrich::responses::Responses;
use crate::enrich::roles::Usage as Claimed;
use crate::enrich::scan::{Attributes, Finds, Found, Table};
use crate::enrich::sets::Keys;
use crate::enrich::settings::Settings;
use crate::enrich::source::{Library, Source};
use crate::enrich::tokens::{self, Family, Tokens};
use crate::enrich::usage::{Semantics, Usage, settle};
use crate::otlp::head::Head;
use crate::otlp::span::{SpanView, StatusCode};
use crate::units::Usd;
use std::borrow::Cow;

/// Sums of what other spans used, on whatever span.
const SUMS: Keys = Keys::of(&[Key::PydanticAny, Key::MlflowTraceTokenUsage, Key::MlflowTraceCost]);

/// Texts that count in a vocabulary beside which counts in another would be a second answer.
const OTHER_COUNTS: Keys = Keys::of(&[Key::LangfuseObservationUsageDetails, Key::MlflowChatTokenUsage, Key::LlmTokenCountPrompt]);

/// Keys that say something even of a span of no kind: that it failed, or that an answer was cut off.
const TELLING: Keys =
    Keys::of(&[Key::ToolSuccess, Key::LangfuseObservationLevel, Key::GenAiResponseStatus, Key::LlmTruncated]).and(evidence::FAILURES);

/// What was seen on a span of a model call, an agent or a tool, on one with usage, or on one that may have failed.
#[derive(Debug, Default)]
pub(crate) struct Look<'a> {
    pub(crate) kind: Kind,
    /// The usage it claims to have.
    pub(crate) claimed: Claimed,
    /// Service, provider and response id in one number.
    pub(crate) response: Option<u64>,
    /// Whether a failure shows at first sight: then missing usage is no gap.
    pub(crate) failed: bool,
    pub(crate) cached_by_gateway: bool,
    pub(crate) service: &'a str,
    pub(crate) provider: Option<Cow<'a, str>>,
    pub(crate) request_model: Option<&'a str>,
    pub(crate) response_model: Option<&'a str>,
    pub(crate) usage: Option<Usage>,
    pub(crate) semantics: Option<Semantics>,
    /// What it costs if it counts; `None` where it cannot.
    pub(crate) price: Option<Outcome>,
    /// The cost that came with it, if it counts.
    pub(crate) given: Option<GivenCost>,
    pub(crate) finish: Option<Finish>,
    pub(crate) truncated: Option<bool>,
    pub(crate) cut_by: Option<Cut>,
    pub(crate) error: Option<ErrorFact>,
    /// What `error.type` says where the sender did not.
    pub(crate) error_type: Option<String>,
    /// An exception, and no failure.
    pub(crate) recovered: bool,
    pub(crate) time_to_first_token: Option<f64>,
    pub(crate) user: Option<&'a str>,
    pub(crate) user_tier: Option<&'a str>,
    pub(crate) session: Option<&'a str>,
    pub(crate) agent: Option<&'a str>,
    pub(crate) feature: Option<&'a str>,
    pub(crate) prompt: Option<&'a str>,
    pub(crate) prompt_version: Option<Cow<'a, str>>,
    /// The watched keys that stand on it.
    pub(crate) present: Keys,
    /// Whether it counts tokens in a vocabulary beside which `gen_ai.usage.*` would be a second answer.
    pub(crate) other_counts: bool,
    pub(crate) oddities: Oddities,
    /// What stands around the span.
    pub(crate) head: Option<&'a Head>,
    /// The span as it came.
    pub(crate) span: &'a [u8],
    /// Whether it is of kind CLIENT.
    pub(crate) client: bool,
    /// What makes it another attempt of a call, or a tool call made again.
    pub(crate) digest: u64,
    /// Its input and output as they were read.
    pub(crate) as_sent: [Option<u64>; 2],
}

/// What cannot be right on a span.
#[derive(Debug, Default)]
pub(crate) struct Oddities {
    /// Keys whose values were to be counts and are none.
    pub(crate) invalid: Keys,
    /// Fields in which two vocabularies disagree.
    pub(crate) conflicts: [Option<&'static str>; 2],
    /// Finish reasons that no table knows.
    pub(crate) unknown_reasons: u32,
}

impl Look<'_> {
    /// Whether it is of no kind and claims nothing: only an error or a cut answer makes it worth a word.
    pub(crate) fn is_plain(&self) -> bool {
        self.kind == Kind::None && self.claimed == Claimed::Nothing
    }
}

/// Looks at spans. Keeps room to work in, and what names were found to mean.
#[derive(Debug, Default)]
pub(crate) struct Looker {
    finds: Finds,
    table: Table,
    memory: Memory,
}

impl Looker {
    /// Walks a span and looks at it. The view is of its plain fields; a look is added to `looks` only where there is something to see.
    #[inline]
    pub(crate) fn look<'a>(
        &mut self,
        item: &'a [u8],
        source: &Source<'a>,
        settings: &Settings,
        responses: &Responses,
        looks: &mut Vec<Look<'a>>,
    ) -> SpanView<'a> {
        self.finds.clear();
        let (view, found) = self.finds.walk(item);
        // Two spans out of three end here.
        let sounds = found.of_models || view.status == StatusCode::Error || found.present.meets(&evidence::FAILURES);
        if sounds || found.has_events() || source.library != Library::Other {
            let attributes = self.finds.attributes(&found, item, &mut self.table);
            if let Some(look) = see(&attributes, &view, &found, source, settings, responses, &mut self.memory) {
                looks.push(look);
            }
        }
        view
    }

    /// The same of one span, by itself.
    pub(crate) fn look_once<'a>(
        &mut self,
        item: &'a [u8],
        source: &Source<'a>,
        settings: &Settings,
        responses: &Responses,
    ) -> (SpanView<'a>, Option<Look<'a>>) {
        self.finds.clear();
        let (view, found) = self.finds.walk(item);
        let attributes = self.finds.attributes(&found, item, &mut self.table);
        let look = see(&attributes, &view, &found, source, settings, responses, &mut self.memory);
        (view, look)
    }
}

fn see<'a>(
    attributes: &Attributes<'_, 'a>,
    view: &SpanView<'a>,
    found: &Found,
    source: &Source<'a>,
    settings: &Settings,
    responses: &Responses,
    memory: &mut Memory,
) -> Option<Look<'a>> {
    let kind = classify::classify(attributes, view, source, found.of_models);
    let broken_off = || attributes.events().any(|event| event.name == b"response_truncated");
    let telling = view.status == StatusCode::Error || attributes.has_any(&TELLING) || broken_off();
    // Usage on a span of no kind is nobody's call, but where it stands its sum must not be added either.
    if kind == Kind::None && !found.of_models {
        return telling.then(|| plain(attributes, view, settings));
    }
    let (response_model, mut request_model) = (fields::response_model(attributes), fields::request_model(attributes));
    let named = fields::named_provider(attributes, memory);
    let inferred = named.is_none();
    let provider = named.or_else(|| fields::inferred_provider(response_model, request_model, memory).map(Cow::Borrowed));
    let tokens = tokens::read(attributes, source, provider.as_deref());
    let given_any = fields::given_cost(attributes, |_| true).is_some_and(|cost| cost.usd > Usd::ZERO);
    let claimed = claim(attributes, view, kind, tokens.as_ref(), given_any, settings);
    if kind == Kind::None && claimed == Claimed::Nothing {
        return telling.then(|| plain(attributes, view, settings));
    }
    request_model = request_model.or_else(|| model_of_name(attributes, view, kind, found));
    let provider = match provider {
        None if request_model.is_some() => fields::inferred_provider(response_model, request_model, memory).map(Cow::Borrowed),
        provider => provider,
    };
    let invalid = attributes.invalid();

    let settled = tokens.and_then(|tokens| settle(&tokens.raw, tokens.dialect, provider.as_deref()));
    let (usage, semantics) = settled.unzip();
    let has_output = usage.is_some_and(|usage| usage.output > 0);
    let reasons = if matches!(kind, Kind::None | Kind::Embedding) { Reasons::default() } else { finishes::reasons(attributes) };
    let evidence = evidence::gather(attributes, view, kind, provider.as_deref(), reasons, has_output);
    let reached = kind == Kind::Llm
        && reasons.is_empty()
        && usage.is_some_and(|usage| usage.output > 0 && fields::limit(attributes).is_some_and(|limit| limit > 0 && usage.output >= limit));
    let ending = finishes::ending(attributes, reasons, &evidence, reached);
    let error = errors::classify(&evidence, &settings.config.errors);
    let truncated_known = ending.cut_by.is_some() || !ending.reasons.is_empty() || attributes.has(Key::LlmTruncated);
    let failed = evidence::may_fail(attributes, view) || attributes.events().any(|event| event.name == b"exception");
    let recovered = evidence.standing() == Standing::Recovered;
    let error_type = error.and_then(|_| error_type(&evidence)).map(str::to_owned);
    drop(evidence);

    let owns = matches!(claimed, Claimed::Call | Claimed::IdleCall | Claimed::RemoteAgent);
    let price = (owns || claimed == Claimed::CallWithout).then(|| {
        let request = Call {
            provider: provider.as_deref(),
            model: response_model,
            request_model,
            host: fields::host(attributes),
            rerank: kind == Kind::Rerank && error.is_none(),
            start_time: view.start,
            usage: priced_usage(tokens.as_ref(), usage.as_ref(), attributes),
            context: fields::context(attributes),
        };
        price(&request, tokens.is_some_and(|tokens| tokens.bad), inferred, settings)
    });
    let given = owns.then(|| {
        let computed = price.as_ref().and_then(|outcome| if let Outcome::Priced(priced) = outcome { Some(priced.total) } else { None });
        // What an earlier stage worked out is no word of the sender; where ours is to take its place, it is not taken over.
        let ours_before =
            settings.config.on_conflict == OnConflict::Replace && attributes.name(Key::TollgateCostSource) == Some("computed");
        let believed = |given: &GivenCost| match given.trust {
            _ if ours_before && matches!(given.key, Key::GenAiUsageCost | Key::LlmCostTotal) => false,
            Trust::Full => true,
            Trust::NotZero => {
                given.usd > Usd::ZERO || computed.is_none_or(|total| total == Usd::ZERO) || usage.is_none_or(|usage| usage.total() == 0)
            }
            Trust::Estimate => computed.is_none(),
        };
        fields::given_cost(attributes, believed)
    });
    let family = tokens.map(|tokens| tokens.family);
    Some(Look {
        kind,
        claimed,
        response: fields::response_id(attributes).map(|id| responses.number(source.service, provider.as_deref().unwrap_or_default(), id)),
        failed,
        cached_by_gateway: kind.is_priced() && cached_by_gateway(attributes, source),
        service: source.service,
        request_model,
        response_model,
        usage,
        semantics,
        price,
        given: given.flatten(),
        finish: ending.reasons.worst(),
        truncated: truncated_known.then_some(ending.cut_by.is_some()),
        cut_by: ending.cut_by,
        error,
        error_type,
        recovered,
        time_to_first_token: fields::time_to_first_token(attributes, view, source),
        user: fields::user(attributes),
        user_tier: fields::tier(attributes),
        session: fields::session(attributes, view),
        agent: fields::agent(attributes),
        feature: fields::feature(attributes),
        prompt: fields::prompt(attributes),
        prompt_version: fields::prompt_version(attributes),
        present: attributes.keys(),
        other_counts: matches!(family, Some(Family::Langfuse | Family::Mlflow | Family::OpenInference))
            || attributes.has_any(&OTHER_COUNTS),
        oddities: Oddities { invalid, conflicts: fields::conflicts(attributes, memory), unknown_reasons: ending.reasons.unknown() },
        provider,
        head: source.head,
        span: attributes.span(),
        client: view.kind == CLIENT,
        digest: digest::of(kind, request_model, attributes.span(), view),
        as_sent: tokens.map_or([None; 2], |tokens| [tokens.raw.input, tokens.raw.output]),
    })
}

/// A span of no vocabulary that may have failed.
fn plain<'a>(attributes: &Attributes<'_, 'a>, view: &SpanView<'a>, settings: &Settings) -> Look<'a> {
    let evidence = evidence::gather(attributes, view, Kind::None, None, Reasons::default(), false);
    let error = errors::classify(&evidence, &settings.config.errors);
    let cut_by = finishes::ending(attributes, Reasons::default(), &evidence, false).cut_by;
    Look {
        error,
        error_type: error.and_then(|_| error_type(&evidence)).map(str::to_owned),
        recovered: evidence.standing() == Standing::Recovered,
        truncated: cut_by.map(|_| true),
        cut_by,
        present: attributes.keys(),
        ..Look::default()
    }
}

/// What usage a span claims to have.
fn claim(
    attributes: &Attributes<'_, '_>,
    view: &SpanView<'_>,
    kind: Kind,
    tokens: Option<&Tokens>,
    cost: bool,
    settings: &Settings,
) -> Claimed {
    let summed = attributes.has_any(&SUMS);
    let counted = tokens.is_some_and(Tokens::has_counts);
    let rerank = kind == Kind::Rerank && view.status != StatusCode::Error;
    let uses = counted || cost || rerank;
    if kind.is_priced() {
        let idle = !cost && !rerank && tokens.is_some_and(Tokens::is_zero);
        return match uses {
            true if idle && fields::web_searches(attributes).is_none_or(|n| n == 0) => Claimed::IdleCall,
            true => Claimed::Call,
            // Sums of what other spans used, and nothing of its own.
            false if summed => Claimed::Container,
            false => Claimed::CallWithout,
        };
    }
    if !uses {
        // A sum that nobody could form (the Vercel SDK writes NaN for streams without usage) is one all the same.
        let has_sum = kind != Kind::None && (summed || tokens::Shape::of(attributes).any);
        return if has_sum { Claimed::Container } else { Claimed::Nothing };
    }
    let remote =
        kind == Kind::Agent && view.kind == CLIENT || settings.config.price_orphan_aggregates && matches!(kind, Kind::Agent | Kind::Chain);
    if remote && classify::has_model(attributes) { Claimed::RemoteAgent } else { Claimed::Container }
}

fn price(request: &Call<'_>, bad: bool, inferred: bool, settings: &Settings) -> Outcome {
    if bad {
        return Outcome::Unpriced(SkipReason::BadUsage);
    }
    let mut outcome = settings.prices.price(request);
    // The table was given the provider, and cannot know where it is from.
    if inferred
        && request.provider.is_some()
        && let Outcome::Priced(priced) = &mut outcome
        && !priced.flags.has(Flags::FALLBACK)
        && !settings.prices.knows_host(request.host)
    {
        priced.flags.set(Flags::PROVIDER_INFERRED);
    }
    outcome
}

/// The usage in the terms of the price table.
fn priced_usage(tokens: Option<&Tokens>, usage: Option<&Usage>, attributes: &Attributes<'_, '_>) -> PriceUsage {
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
fn model_of_name<'a>(attributes: &Attributes<'_, 'a>, view: &SpanView<'a>, kind: Kind, found: &Found) -> Option<&'a str> {
    if !kind.is_priced() || attributes.has(Key::GenAiOperationName) || found.of_models {
        return None;
    }
    let (_, model) = std::str::from_utf8(view.name).ok()?.split_once(' ')?;
    Some(model.trim()).filter(|model| !model.is_empty() && !model.contains(' '))
}

/// LiteLLM marks answers from its own cache, which still show full usage and cost.
fn cached_by_gateway(attributes: &Attributes<'_, '_>, source: &Source<'_>) -> bool {
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
