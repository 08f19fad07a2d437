//! One name per provider.
//!
//! A provider is written in dozens of ways (`OpenAI`, `openai.chat`, `az.ai.openai`), and prices, rules for tokens and
//! metrics are all keyed by it. The canonical names are the well-known values of `gen_ai.provider.name` in the
//! OpenTelemetry GenAI conventions, and lower-case ids for those that have none.
//! A framework (`langchain`, `litellm`) bills nobody: its name is no provider, and the model id has to tell.

mod memory;
mod model;

pub(crate) use memory::Memory;
pub use model::from_model;

use std::borrow::Cow;

/// Longest text taken for a provider id. The key can hold a system prompt in hand-written vocabularies, which must
/// not become a metric label.
const MAX_ID: usize = 64;

/// Spellings of the providers, folded: lower case, with `_` for blanks and hyphens. Sorted.
const SPELLINGS: &[(&str, &str)] = &[
    ("ai21", "ai21"),
    ("ai21_labs", "ai21"),
    ("aleph_alpha", "aleph_alpha"),
    ("alephalpha", "aleph_alpha"),
    ("amazon", "aws.bedrock"),
    ("amazon_bedrock", "aws.bedrock"),
    ("anthropic", "anthropic"),
    ("anthropic_chat", "anthropic"),
    ("anthropic_text", "anthropic"),
    ("aws", "aws.bedrock"),
    ("aws.bedrock", "aws.bedrock"),
    ("aws_bedrock", "aws.bedrock"),
    ("az.ai.inference", "azure.ai.inference"),
    ("az.ai.openai", "azure.ai.openai"),
    ("azure", "azure.ai.openai"),
    ("azure.ai.inference", "azure.ai.inference"),
    ("azure.ai.openai", "azure.ai.openai"),
    ("azure.inference", "azure.ai.inference"),
    ("azure_ai", "azure.ai.inference"),
    ("azure_ai_inference", "azure.ai.inference"),
    ("azure_ai_openai", "azure.ai.openai"),
    ("azure_chat", "azure.ai.openai"),
    ("azure_openai", "azure.ai.openai"),
    ("azure_openai_chat", "azure.ai.openai"),
    ("azure_text", "azure.ai.openai"),
    ("azureopenai", "azure.ai.openai"),
    ("bedrock", "aws.bedrock"),
    ("bedrock_converse", "aws.bedrock"),
    ("bedrock_runtime", "aws.bedrock"),
    ("cerebras", "cerebras"),
    ("chatgpt", "openai"),
    ("claude", "anthropic"),
    ("codestral", "mistral_ai"),
    ("cohere", "cohere"),
    ("cohere_ai", "cohere"),
    ("cohere_chat", "cohere"),
    ("cohereai", "cohere"),
    ("deepseek", "deepseek"),
    ("deepseek_ai", "deepseek"),
    ("fireworks", "fireworks"),
    ("fireworks.ai", "fireworks"),
    ("fireworks_ai", "fireworks"),
    ("fireworksai", "fireworks"),
    ("gcp.gemini", "gcp.gemini"),
    ("gcp.gen_ai", "gcp.gen_ai"),
    ("gcp.vertex_ai", "gcp.vertex_ai"),
    ("gemini", "gcp.gemini"),
    ("google", "gcp.gemini"),
    ("google.generative_ai", "gcp.gemini"),
    ("google.vertex", "gcp.vertex_ai"),
    ("google_ai", "gcp.gemini"),
    ("google_ai_studio", "gcp.gemini"),
    ("google_genai", "gcp.gemini"),
    ("google_generative_ai", "gcp.gemini"),
    ("google_generativeai", "gcp.gemini"),
    ("google_gla", "gcp.gemini"),
    ("google_vertex", "gcp.vertex_ai"),
    ("google_vertex_ai", "gcp.vertex_ai"),
    ("google_vertexai", "gcp.vertex_ai"),
    ("googleai", "gcp.gemini"),
    ("grok", "x_ai"),
    ("groq", "groq"),
    ("groq_ai", "groq"),
    ("hugging_face", "hugging_face"),
    ("huggingface", "hugging_face"),
    ("huggingface_hub", "hugging_face"),
    ("ibm", "ibm.watsonx.ai"),
    ("ibm.watsonx.ai", "ibm.watsonx.ai"),
    ("ibm_watsonx", "ibm.watsonx.ai"),
    ("ibm_watsonx_ai", "ibm.watsonx.ai"),
    ("mistral", "mistral_ai"),
    ("mistral.ai", "mistral_ai"),
    ("mistral_ai", "mistral_ai"),
    ("mistralai", "mistral_ai"),
    ("moonshot", "moonshot_ai"),
    ("moonshot_ai", "moonshot_ai"),
    ("moonshotai", "moonshot_ai"),
    ("ollama", "ollama"),
    ("ollama_chat", "ollama"),
    ("open_ai", "openai"),
    ("open_router", "openrouter"),
    ("openai", "openai"),
    ("openai_chat", "openai"),
    ("openrouter", "openrouter"),
    ("perplexity", "perplexity"),
    ("perplexity.ai", "perplexity"),
    ("perplexity_ai", "perplexity"),
    ("perplexityai", "perplexity"),
    ("replicate", "replicate"),
    ("text_completion_codestral", "mistral_ai"),
    ("text_completion_openai", "openai"),
    ("together", "together_ai"),
    ("together.ai", "together_ai"),
    ("together_ai", "together_ai"),
    ("togetherai", "together_ai"),
    ("vertex", "gcp.vertex_ai"),
    ("vertex_ai", "gcp.vertex_ai"),
    ("vertex_ai_beta", "gcp.vertex_ai"),
    ("vertexai", "gcp.vertex_ai"),
    ("watsonx", "ibm.watsonx.ai"),
    ("watsonx_ai", "ibm.watsonx.ai"),
    ("watsonx_text", "ibm.watsonx.ai"),
    ("x.ai", "x_ai"),
    ("x_ai", "x_ai"),
    ("xai", "x_ai"),
];

/// Names of frameworks, gateways and placeholders, folded. Sorted.
const NOT_PROVIDERS: &[&str] = &[
    "_other",
    "adk",
    "agno",
    "ai_gateway",
    "autogen",
    "autogen_core",
    "crewai",
    "custom",
    "dspy",
    "gateway",
    "gcp.vertex.agent",
    "genkit",
    "google_adk",
    "haystack",
    "langchain",
    "langchain4j",
    "langgraph",
    "litellm",
    "litellm_proxy",
    "llama_index",
    "llamaindex",
    "mastra",
    "microsoft.agent_framework",
    "n/a",
    "none",
    "null",
    "openai_agents",
    "other",
    "pydantic_ai",
    "semantic_kernel",
    "smolagents",
    "spring_ai",
    "strands",
    "strands_agents",
    "undefined",
    "unknown",
    "vercel_ai",
];

/// Last segments that name an API of a provider, not the provider (`openai.responses`).
const APIS: &[&str] = &[
    "chat",
    "completion",
    "completions",
    "embedding",
    "embeddings",
    "generative_ai",
    "image",
    "messages",
    "responses",
    "speech",
    "transcription",
];

/// Families of dotted ids: whatever follows the first part, it is that provider.
const FAMILIES: &[(&str, &str)] = &[
    ("amazon_bedrock.", "aws.bedrock"),
    ("anthropic.", "anthropic"),
    ("aws.bedrock.", "aws.bedrock"),
    ("azure_openai.", "azure.ai.openai"),
    ("bedrock.", "aws.bedrock"),
    ("cohere.", "cohere"),
    ("deepseek.", "deepseek"),
    ("google.generative_ai.", "gcp.gemini"),
    ("google.vertex.", "gcp.vertex_ai"),
    ("groq.", "groq"),
    ("mistral.", "mistral_ai"),
    ("openai.", "openai"),
    ("vertex.", "gcp.vertex_ai"),
    ("xai.", "x_ai"),
];

/// The canonical name of a raw provider text. `None` when it is empty, names a framework, or is no id at all
/// (longer than 64 bytes, or prose). An id nobody listed stays as it is, in lower case.
pub fn canonical(raw: &str) -> Option<Cow<'_, str>> {
    let raw = raw.trim().trim_matches(['"', '\'']);
    if let Some(known) = known(raw) {
        return Some(Cow::Borrowed(known));
    }
    let mut buffer = [0; MAX_ID];
    let folded = fold(raw, &mut buffer)?;
    let is_id = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    if raw.is_empty() || NOT_PROVIDERS.binary_search(&folded).is_ok() || !raw.chars().all(is_id) {
        return None;
    }
    Some(if raw.bytes().any(|b| b.is_ascii_uppercase()) { Cow::Owned(raw.to_ascii_lowercase()) } else { Cow::Borrowed(raw) })
}

/// The canonical name of a text that is exactly a provider id known here; nothing else is taken. For keys that may
/// also hold prose, such as `gen_ai.request.system`.
pub fn known(raw: &str) -> Option<&'static str> {
    let mut buffer = [0; MAX_ID];
    let mut id = fold(raw.trim(), &mut buffer)?;
    if let Some(found) = spelled(id) {
        return Some(found);
    }
    if NOT_PROVIDERS.binary_search(&id).is_ok() {
        return None;
    }
    while let Some((rest, last)) = id.rsplit_once('.') {
        if !APIS.contains(&last) {
            break;
        }
        if let Some(found) = spelled(rest) {
            return Some(found);
        }
        id = rest;
    }
    FAMILIES.iter().find(|(prefix, _)| id.starts_with(prefix)).map(|(_, provider)| *provider)
}

fn spelled(id: &str) -> Option<&'static str> {
    SPELLINGS.binary_search_by_key(&id, |(spelling, _)| spelling).ok().and_then(|at| SPELLINGS.get(at)).map(|(_, name)| *name)
}

/// Lower case, `_` for blanks and hyphens, on the stack. `None` where it is too long or not ASCII.
fn fold<'b>(raw: &str, buffer: &'b mut [u8; MAX_ID]) -> Option<&'b str> {
    let folded = buffer.get_mut(..raw.len())?;
    for (to, from) in folded.iter_mut().zip(raw.bytes()) {
        *to = if matches!(from, b' ' | b'-') { b'_' } else { from.to_ascii_lowercase() };
    }
    std::str::from_utf8(folded).ok().filter(|id| id.is_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name(raw: &str) -> Option<String> {
        canonical(raw).map(Cow::into_owned)
    }

    #[test]
    fn the_tables_are_sorted() {
        assert!(SPELLINGS.is_sorted_by(|a, b| a.0 < b.0));
        assert!(NOT_PROVIDERS.is_sorted());
    }

    #[test]
    fn every_spelling_of_a_provider_is_one_name() {
        for (canonical, spellings) in [
            ("openai", "openai openai.chat openai.responses openai.completion openai.embedding openai.image OpenAI openai.beta"),
            (
                "azure.ai.openai",
                "azure.ai.openai az.ai.openai azure azure_openai azure-openai.chat azure-openai.responses azure.chat AzureOpenAI Azure",
            ),
            ("azure.ai.inference", "azure.ai.inference az.ai.inference azure_ai azure.inference"),
            ("anthropic", "anthropic anthropic.messages claude Anthropic"),
            ("aws.bedrock", "aws.bedrock aws_bedrock bedrock bedrock_converse amazon-bedrock aws AWS amazon_bedrock"),
            ("gcp.gemini", "gcp.gemini gemini google.generative-ai google_genai google_ai_studio google Google google-gla"),
            (
                "gcp.vertex_ai",
                "gcp.vertex_ai vertex_ai vertexai google.vertex.chat google-vertex google_vertexai vertex vertex.anthropic.messages",
            ),
            ("gcp.gen_ai", "gcp.gen_ai"),
            ("cohere", "cohere cohere.chat cohereai Cohere"),
            ("mistral_ai", "mistral_ai mistral mistralai mistral.chat MistralAI"),
            ("groq", "groq groq.chat groq-ai"),
            ("deepseek", "deepseek deepseek.chat deepseek_ai"),
            ("perplexity", "perplexity perplexity-ai"),
            ("moonshot_ai", "moonshot_ai moonshot moonshotai moonshotai.chat"),
            ("x_ai", "x_ai xai xai.chat xai.responses grok"),
            ("ibm.watsonx.ai", "ibm.watsonx.ai watsonx ibm"),
            ("together_ai", "together togetherai together_ai TogetherAI"),
            ("hugging_face", "huggingface hugging_face HuggingFace"),
            ("fireworks", "fireworks fireworks_ai"),
            ("openrouter", "openrouter openrouter.chat"),
            ("ollama", "ollama Ollama"),
        ] {
            for spelling in spellings.split(' ') {
                assert_eq!(name(spelling).as_deref(), Some(canonical), "{spelling}");
            }
        }
        assert_eq!(name("Azure OpenAI").as_deref(), Some("azure.ai.openai"));
        assert_eq!(name(" openai ").as_deref(), Some("openai"));
    }

    #[test]
    fn a_framework_is_no_provider() {
        for raw in [
            "spring_ai",
            "strands-agents",
            "Langchain",
            "crewai",
            "litellm",
            "gcp.vertex.agent",
            "pydantic-ai",
            "_OTHER",
            "",
            " ",
            "unknown",
        ] {
            assert_eq!(name(raw), None, "{raw}");
        }
    }

    #[test]
    fn an_unlisted_id_stays_in_lower_case() {
        assert_eq!(name("Nvidia_NIM").as_deref(), Some("nvidia_nim"));
        assert!(matches!(canonical("sambanova"), Some(Cow::Borrowed("sambanova"))));
        assert_eq!(name("acme.chat").as_deref(), Some("acme.chat"));
    }

    #[test]
    fn prose_is_no_provider() {
        for raw in ["You are a helpful assistant", "Réponds en français", &"x".repeat(65), "openai, please"] {
            assert_eq!(name(raw), None, "{raw}");
            assert_eq!(known(raw), None, "{raw}");
        }
        assert_eq!(known("openai"), Some("openai"));
        assert_eq!(known("sambanova"), None);
    }

    proptest! {
        #[test]
        fn any_text_is_an_id_or_nothing(text in any::<String>(), id in "[a-zA-Z./_ -]{0,70}") {
            for raw in [&text, &id] {
                prop_assert!(canonical(raw).is_none_or(|c| !c.is_empty() && c.len() <= MAX_ID && !c.bytes().any(|b| b.is_ascii_uppercase())));
            }
        }

        #[test]
        fn a_canonical_name_is_its_own_name(id in "[a-zA-Z._-]{1,40}") {
            if let Some(once) = canonical(&id) {
                let twice = canonical(&once);
                prop_assert_eq!(twice.as_deref(), Some(&*once));
            }
        }
    }
}
