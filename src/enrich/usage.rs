//! Token counts, brought to one meaning.
//!
//! "Input tokens" means two things: Anthropic and Bedrock leave cached tokens out, OpenAI and Gemini count them in, and
//! each instrumentation passes on, converts, or half converts what it was given. Pricing a count with the wrong
//! meaning bills the cache twice or not at all, so it is settled here, from the numbers first and the vocabulary second.

/// Counts as one token family of a span gives them; absent means not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RawUsage {
    /// Input tokens, cached ones included or not.
    pub input: Option<u64>,
    /// Output tokens, reasoning included or not.
    pub output: Option<u64>,
    /// Tokens read from the provider's cache.
    pub cache_read: Option<u64>,
    /// Tokens written to the cache, whatever their lifetime.
    pub cache_write: Option<u64>,
    /// The part of the writes that lives five minutes.
    pub cache_write_5m: Option<u64>,
    /// The part of the writes that lives one hour.
    pub cache_write_1h: Option<u64>,
    /// Input tokens said to be outside the cache (`inputTokenDetails.noCacheTokens`).
    pub uncached: Option<u64>,
    /// Reasoning tokens.
    pub reasoning: Option<u64>,
    /// The total the span reports. Evidence only; never taken over.
    pub total: Option<u64>,
    /// Audio in the input.
    pub audio_in: Option<u64>,
    /// Images in the input.
    pub image_in: Option<u64>,
    /// Audio in the output.
    pub audio_out: Option<u64>,
    /// Images in the output.
    pub image_out: Option<u64>,
}

/// Counts with one meaning. The four input parts are disjoint; `None` of a subset means nobody said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Input tokens billed at the plain price.
    pub input_uncached: u64,
    /// Input tokens served from the cache.
    pub cache_read: u64,
    /// Input tokens written to the cache for five minutes, or for a time nobody told.
    pub cache_write_5m: u64,
    /// Input tokens written to the cache for one hour.
    pub cache_write_1h: u64,
    /// Every output token, reasoning included.
    pub output: u64,
    /// The part of `output` that is reasoning.
    pub reasoning: Option<u64>,
    /// The part of the input that is audio.
    pub audio_in: Option<u64>,
    /// The part of the input that is images.
    pub image_in: Option<u64>,
    /// The part of `output` that is audio.
    pub audio_out: Option<u64>,
    /// The part of `output` that is images.
    pub image_out: Option<u64>,
}

impl Usage {
    /// Tokens written to the cache.
    pub fn cache_write(&self) -> u64 {
        self.cache_write_5m.saturating_add(self.cache_write_1h)
    }

    /// The whole input: what `gen_ai.usage.input_tokens` means in the current conventions.
    pub fn input_total(&self) -> u64 {
        self.input_uncached.saturating_add(self.cache_read).saturating_add(self.cache_write())
    }

    /// Input and output; recomputed, never copied.
    pub fn total(&self) -> u64 {
        self.input_total().saturating_add(self.output)
    }
}

/// How the raw input was read. Written as `tollgate.usage.input_semantics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Semantics {
    /// The span says how much was outside the cache.
    Explicit,
    /// The input holds the cached tokens.
    Inclusive,
    /// The input leaves the cached tokens out.
    Exclusive,
    /// The input holds the reads and leaves the writes out.
    ReadOnly,
    /// There are no cached tokens.
    None,
}

impl Semantics {
    /// The value written on the span.
    pub const fn as_str(self) -> &'static str {
        match self {
            Semantics::Explicit => "explicit",
            Semantics::Inclusive => "inclusive",
            Semantics::Exclusive => "exclusive",
            Semantics::ReadOnly => "read_only",
            Semantics::None => "none",
        }
    }
}

/// Who counted: a vocabulary, and the release where its meaning changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dialect {
    /// OpenTelemetry conventions, any release, and packages built on `util-genai`.
    Semconv,
    /// OpenTelemetry `google-genai` before `util-genai`: the candidates only.
    OtelGoogleGenaiOld,
    /// OpenTelemetry `botocore.bedrock-runtime`: raw Converse counts under the semconv names.
    OtelBotocore,
    /// Traceloop: OpenAI, Anthropic, Gemini, Mistral; Node Anthropic after 0.27.
    Traceloop,
    /// Traceloop Node Anthropic up to 0.27.
    TraceloopNodeAnthropicOld,
    /// Traceloop Bedrock Converse.
    TraceloopBedrock,
    /// Traceloop Cohere: billed units.
    TraceloopCohere,
    /// The spans of the Anthropic SDK itself.
    AnthropicSdk,
    /// OpenInference: OpenAI, Anthropic, LangChain, google-genai, Agno.
    OpenInference,
    /// OpenInference Bedrock Converse and Nova.
    OpenInferenceBedrock,
    /// Vercel AI SDK 3 to 5: scope `ai`, no `inputTokenDetails`.
    VercelOld,
    /// Vercel AI SDK 6 and later.
    Vercel,
    /// MLflow `mlflow.chat.tokenUsage`, also on plain spans.
    Mlflow,
    /// Langfuse `usage_details` as disjoint buckets.
    LangfuseBuckets,
    /// Langfuse `usage_details` that hold the provider's own object (`prompt_tokens`, or any `*_details` member).
    LangfuseProviderObject,
    /// LangSmith and LangChain `usage_metadata`.
    Langsmith,
    /// pydantic-ai and Logfire.
    PydanticAi,
    /// OpenLIT.
    Openlit,
    /// LiteLLM.
    Litellm,
    /// Strands: raw Bedrock counts.
    Strands,
    /// Google Agent Development Kit: candidates only, the provider's total.
    Adk,
    /// Grafana sigil.
    Sigil,
    /// Claude Code.
    ClaudeCode,
    /// Datadog LLM Observability spans.
    Datadog,
    /// Hand-written `gen_ai.latency_ms` vocabulary: no cache keys.
    FlatA,
    /// Hand-written `llm.input_tokens` vocabulary: named after the Anthropic response, and meant like it.
    FlatB,
    /// Hand-written `gen_ai.finish_reason` vocabulary: no cache keys.
    FlatC,
    /// Nothing is known: the newest conventions are assumed.
    #[default]
    Unknown,
}

/// What a vocabulary does with the tokens that other vocabularies count elsewhere.
struct Habits {
    cache_in_input: bool,
    reasoning_in_output: Reasoning,
}

/// Where reasoning tokens are counted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reasoning {
    Inside,
    /// Outside; when the span does not count them, the total tells.
    Outside,
    /// Outside where the span counts them as a bucket of their own, else there are none to add.
    Bucket,
}

impl Dialect {
    fn habits(self, provider: Option<&str>) -> Habits {
        use Dialect::*;
        let raw_shape = matches!(provider, Some("anthropic" | "aws.bedrock"));
        let gemini = provider.is_some_and(|p| p.starts_with("gcp."));
        let cache_in_input = match self {
            OtelBotocore
            | TraceloopNodeAnthropicOld
            | TraceloopBedrock
            | OpenInferenceBedrock
            | LangfuseBuckets
            | Strands
            | ClaudeCode
            | FlatB => false,
            VercelOld | Openlit => !raw_shape,
            Sigil => provider != Some("anthropic"),
            _ => true,
        };
        let reasoning_in_output = match self {
            LangfuseBuckets => Reasoning::Bucket,
            Adk | OtelGoogleGenaiOld => Reasoning::Outside,
            VercelOld if gemini => Reasoning::Outside,
            _ => Reasoning::Inside,
        };
        Habits { cache_in_input, reasoning_in_output }
    }
}

/// Brings counts to one meaning. `provider` is a canonical name (`provider.rs`). `None` when the span gives neither
/// input nor output: a total alone cannot be split.
pub fn settle(raw: &RawUsage, dialect: Dialect, provider: Option<&str>) -> Option<(Usage, Semantics)> {
    if raw.input.is_none() && raw.output.is_none() && raw.uncached.is_none() {
        return None;
    }
    let habits = dialect.habits(provider);
    let (write_5m, write_1h) = writes(raw);
    let (input, read, write) = (raw.input.unwrap_or(0), raw.cache_read.unwrap_or(0), write_5m.saturating_add(write_1h));
    let (semantics, input_uncached) = read_input(raw, input, read, write, &habits, provider);
    let input_total = input_uncached.saturating_add(read).saturating_add(write);
    let (output, reasoning) = read_output(raw, [input, input.saturating_add(read).saturating_add(write)], input_total, &habits);
    let usage = Usage {
        input_uncached,
        cache_read: read,
        cache_write_5m: write_5m,
        cache_write_1h: write_1h,
        output,
        reasoning,
        audio_in: raw.audio_in,
        image_in: raw.image_in,
        audio_out: raw.audio_out,
        image_out: raw.image_out,
    };
    Some((usage, semantics))
}

/// Cache writes by lifetime. What the split leaves of the whole lives five minutes, the provider's ordinary lifetime.
fn writes(raw: &RawUsage) -> (u64, u64) {
    let (short, long) = (raw.cache_write_5m.unwrap_or(0), raw.cache_write_1h.unwrap_or(0));
    match raw.cache_write {
        // The whole is what other counts were compared with, so a split larger than it gives way.
        Some(whole) if whole > 0 => {
            let long = long.min(whole);
            (whole - long, long)
        }
        _ => (short, long),
    }
}

/// The reading of the input and its uncached part. The order of the tests is the rule: data before habits.
fn read_input(raw: &RawUsage, input: u64, read: u64, write: u64, habits: &Habits, provider: Option<&str>) -> (Semantics, u64) {
    if let Some(uncached) = raw.uncached {
        return (Semantics::Explicit, uncached);
    }
    let cached = read.saturating_add(write);
    if cached == 0 {
        return (Semantics::None, input);
    }
    let total_is = |parts: [u64; 3]| raw.total == Some(parts.into_iter().fold(0, u64::saturating_add));
    let output = raw.output.unwrap_or(0);
    if read > 0 && write > 0 && total_is([input, output, write]) {
        return (Semantics::ReadOnly, input.saturating_sub(read));
    }
    // A part cannot exceed its whole: whatever the vocabulary promises, the cache is outside.
    if input < cached || !habits.cache_in_input {
        return (Semantics::Exclusive, input);
    }
    // A total that adds the cache says so. One that does not says nothing: many compute it as input plus output.
    // Gemini's total holds reasoning and tool prompts, and could meet the sum by chance.
    let gemini = provider.is_some_and(|p| p.starts_with("gcp."));
    if !gemini && total_is([input, output, cached]) {
        return (Semantics::Exclusive, input);
    }
    (Semantics::Inclusive, input - cached)
}

/// The whole output and its reasoning part. `inputs` are the inputs a total may have been made of: without the cache, and with it.
fn read_output(raw: &RawUsage, inputs: [u64; 2], input_total: u64, habits: &Habits) -> (u64, Option<u64>) {
    let output = raw.output.unwrap_or(0);
    let Some(reasoning) = raw.reasoning else {
        if habits.reasoning_in_output == Reasoning::Outside
            && let Some(rest) = raw.total.and_then(|t| t.checked_sub(input_total)).and_then(|t| t.checked_sub(output))
            && rest > 0
        {
            return (output.saturating_add(rest), Some(rest));
        }
        return (output, None);
    };
    let with = output.saturating_add(reasoning);
    let total_adds = || inputs.into_iter().any(|input| raw.total == Some(input.saturating_add(with)));
    let outside = reasoning > output || reasoning > 0 && total_adds() || habits.reasoning_in_output != Reasoning::Inside;
    (if outside { with } else { output }, Some(reasoning))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn raw(input: u64, output: u64, read: u64, write: u64, total: Option<u64>) -> RawUsage {
        let given = |n: u64| (n > 0).then_some(n);
        RawUsage {
            input: Some(input),
            output: Some(output),
            cache_read: given(read),
            cache_write: given(write),
            total,
            ..RawUsage::default()
        }
    }

    #[track_caller]
    fn reads(raw: RawUsage, dialect: Dialect, provider: &str, uncached: u64, semantics: Semantics) -> Usage {
        let (usage, got) = settle(&raw, dialect, Some(provider)).unwrap();
        assert_eq!((usage.input_uncached, got), (uncached, semantics));
        usage
    }

    #[test]
    fn semconv_counts_the_cache_in() {
        let usage = reads(raw(300, 20, 40, 25, None), Dialect::Semconv, "anthropic", 235, Semantics::Inclusive);
        assert_eq!((usage.input_total(), usage.total()), (300, 320));
        reads(raw(2006, 300, 1920, 0, Some(2306)), Dialect::OpenInference, "openai", 86, Semantics::Inclusive);
    }

    #[test]
    fn a_cache_larger_than_the_input_is_outside_it() {
        let usage = reads(raw(11, 264, 0, 1028, Some(1303)), Dialect::Unknown, "anthropic", 11, Semantics::Exclusive);
        assert_eq!(usage.input_total(), 1039);
        reads(raw(12, 185, 1028, 0, Some(1225)), Dialect::OpenInferenceBedrock, "aws.bedrock", 12, Semantics::Exclusive);
        reads(raw(12, 185, 1028, 0, None), Dialect::Semconv, "openai", 12, Semantics::Exclusive);
    }

    #[test]
    fn a_total_that_adds_the_cache_puts_it_outside() {
        reads(raw(500, 100, 50, 0, Some(650)), Dialect::Unknown, "aws.bedrock", 500, Semantics::Exclusive);
        // Near misses: a total without the cache, and Gemini, whose total counts other things.
        reads(raw(500, 100, 50, 0, Some(600)), Dialect::Unknown, "aws.bedrock", 450, Semantics::Inclusive);
        reads(raw(500, 100, 50, 0, Some(650)), Dialect::Unknown, "gcp.gemini", 450, Semantics::Inclusive);
    }

    #[test]
    fn an_explicit_count_decides() {
        let given = RawUsage { uncached: Some(200), ..raw(1000, 10, 600, 200, Some(1010)) };
        reads(given, Dialect::Vercel, "anthropic", 200, Semantics::Explicit);
    }

    #[test]
    fn a_vocabulary_that_leaves_the_cache_out_is_believed() {
        reads(raw(900, 10, 100, 0, Some(910)), Dialect::Openlit, "anthropic", 900, Semantics::Exclusive);
        reads(raw(900, 10, 100, 0, Some(910)), Dialect::Openlit, "openai", 800, Semantics::Inclusive);
        reads(raw(450, 30, 100, 0, Some(480)), Dialect::FlatB, "anthropic", 450, Semantics::Exclusive);
        reads(raw(450, 30, 100, 0, Some(480)), Dialect::VercelOld, "aws.bedrock", 450, Semantics::Exclusive);
        reads(raw(450, 30, 100, 0, Some(480)), Dialect::VercelOld, "openai", 350, Semantics::Inclusive);
        reads(raw(450, 30, 100, 0, None), Dialect::Sigil, "anthropic", 450, Semantics::Exclusive);
        for dialect in
            [Dialect::OtelBotocore, Dialect::TraceloopBedrock, Dialect::TraceloopNodeAnthropicOld, Dialect::Strands, Dialect::ClaudeCode]
        {
            reads(raw(450, 30, 100, 0, None), dialect, "anthropic", 450, Semantics::Exclusive);
        }
        for dialect in
            [Dialect::Traceloop, Dialect::AnthropicSdk, Dialect::Mlflow, Dialect::Langsmith, Dialect::PydanticAi, Dialect::Datadog]
        {
            reads(raw(450, 30, 100, 0, None), dialect, "anthropic", 350, Semantics::Inclusive);
        }
    }

    #[test]
    fn old_litellm_counts_reads_in_and_writes_out() {
        let usage = reads(raw(120, 10, 100, 50, Some(180)), Dialect::Litellm, "anthropic", 20, Semantics::ReadOnly);
        assert_eq!(usage.input_total(), 170);
    }

    #[test]
    fn langfuse_buckets_are_disjoint_but_a_provider_object_is_not() {
        reads(raw(5, 9, 128_955, 1253, None), Dialect::LangfuseBuckets, "anthropic", 5, Semantics::Exclusive);
        reads(raw(9000, 9, 100, 0, None), Dialect::LangfuseBuckets, "anthropic", 9000, Semantics::Exclusive);
        reads(raw(2304, 14, 2048, 0, Some(2318)), Dialect::LangfuseProviderObject, "openai", 256, Semantics::Inclusive);
    }

    #[test]
    fn no_cache_needs_no_reading() {
        reads(raw(7, 3, 0, 0, Some(10)), Dialect::LangfuseBuckets, "anthropic", 7, Semantics::None);
        let zeros = RawUsage { cache_read: Some(0), cache_write: Some(0), ..raw(7, 3, 0, 0, None) };
        reads(zeros, Dialect::Semconv, "openai", 7, Semantics::None);
    }

    #[test]
    fn reasoning_outside_the_output_is_added() {
        let reasoned = |reasoning, raw| RawUsage { reasoning: Some(reasoning), ..raw };
        // The total shows it.
        let usage = reads(reasoned(70, raw(100, 30, 0, 0, Some(200))), Dialect::Adk, "gcp.gemini", 100, Semantics::None);
        assert_eq!((usage.output, usage.reasoning), (100, Some(70)));
        let usage = reads(reasoned(20, raw(100, 30, 0, 0, Some(150))), Dialect::Unknown, "x_ai", 100, Semantics::None);
        assert_eq!(usage.output, 50);
        // It is larger than the output.
        assert_eq!(reads(reasoned(40, raw(9, 30, 0, 0, None)), Dialect::Semconv, "openai", 9, Semantics::None).output, 70);
        // The vocabulary leaves it out.
        assert_eq!(reads(reasoned(4, raw(9, 30, 0, 0, None)), Dialect::LangfuseBuckets, "openai", 9, Semantics::None).output, 34);
        assert_eq!(reads(reasoned(4, raw(9, 30, 0, 0, Some(39))), Dialect::VercelOld, "gcp.gemini", 9, Semantics::None).output, 34);
        // Only the total knows of it.
        let usage = reads(raw(100, 30, 0, 0, Some(200)), Dialect::Adk, "gcp.gemini", 100, Semantics::None);
        assert_eq!((usage.output, usage.reasoning), (100, Some(70)));
        // Near misses: inside, as everywhere else.
        assert_eq!(reads(reasoned(4, raw(9, 30, 0, 0, Some(39))), Dialect::Semconv, "openai", 9, Semantics::None).output, 30);
        assert_eq!(reads(raw(100, 30, 0, 0, Some(200)), Dialect::Semconv, "gcp.gemini", 100, Semantics::None).output, 30);
        assert_eq!(reads(raw(100, 30, 0, 0, Some(130)), Dialect::Adk, "gcp.gemini", 100, Semantics::None).reasoning, None);
    }

    #[test]
    fn reasoning_is_found_in_a_total_that_adds_the_cache_too() {
        let given = RawUsage { reasoning: Some(5), ..raw(10, 20, 100, 0, Some(135)) };
        assert_eq!(reads(given, Dialect::LangfuseBuckets, "anthropic", 10, Semantics::Exclusive).output, 25);
    }

    #[test]
    fn writes_are_split_by_lifetime_and_the_rest_is_short() {
        let split = |whole, short, long| {
            let raw =
                RawUsage { input: Some(1000), cache_write: whole, cache_write_5m: short, cache_write_1h: long, ..RawUsage::default() };
            let usage = settle(&raw, Dialect::Semconv, None).unwrap().0;
            (usage.cache_write_5m, usage.cache_write_1h, usage.input_uncached)
        };
        assert_eq!(split(Some(100), None, None), (100, 0, 900));
        assert_eq!(split(Some(100), Some(40), Some(60)), (40, 60, 900));
        assert_eq!(split(Some(100), None, Some(60)), (40, 60, 900));
        assert_eq!(split(None, Some(40), Some(60)), (40, 60, 900));
        assert_eq!(split(Some(0), Some(40), None), (40, 0, 960));
        assert_eq!(split(Some(100), Some(400), Some(600)), (0, 100, 900));
    }

    #[test]
    fn a_total_alone_is_no_usage() {
        let raw = RawUsage { total: Some(500), cache_read: Some(3), ..RawUsage::default() };
        assert_eq!(settle(&raw, Dialect::Traceloop, None), None);
        let embedding = RawUsage { input: Some(8), ..RawUsage::default() };
        assert_eq!(settle(&embedding, Dialect::VercelOld, None).unwrap().0.total(), 8);
    }

    proptest! {
        #[test]
        fn the_parts_never_panic_and_inclusive_input_stays_whole(
            input in 0u64..1 << 40, output in 0u64..1 << 40, read in 0u64..1 << 40, write in 0u64..1 << 40,
            long in 0u64..1 << 40, reasoning in proptest::option::of(0u64..1 << 40), total in proptest::option::of(any::<u64>()),
        ) {
            let raw = RawUsage { cache_write_1h: Some(long), reasoning, ..raw(input, output, read, write, total) };
            for dialect in [Dialect::Semconv, Dialect::LangfuseBuckets, Dialect::Adk, Dialect::Openlit] {
                let (usage, semantics) = settle(&raw, dialect, Some("anthropic")).unwrap();
                prop_assert!(usage.output >= output && usage.reasoning.is_none_or(|r| r <= usage.output));
                if semantics == Semantics::Inclusive {
                    prop_assert_eq!(usage.input_total(), input);
                }
            }
        }
    }
}
