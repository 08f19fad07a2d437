//! Tells a provider by the id of a model.
//!
//! Some spans name a framework where the provider should stand, or nothing. The id often knows better, but only where one
//! provider serves the model: weights that anyone may run say nothing about who did, and a wrong provider is a wrong price.

use super::{NOT_PROVIDERS, known};

/// Longest model id looked at.
const MAX_MODEL: usize = 256;

/// The provider a model id belongs to, where the id alone tells. `None` for models that many hosts serve (Llama, Qwen).
pub fn from_model(model: &str) -> Option<&'static str> {
    let mut buffer = [0; MAX_MODEL];
    let model = model.trim();
    let lower = buffer.get_mut(..model.len())?;
    for (to, from) in lower.iter_mut().zip(model.bytes()) {
        *to = from.to_ascii_lowercase();
    }
    derive(std::str::from_utf8(lower).ok()?)
}

/// Vendors that name the models of Bedrock: `anthropic.claude-…`, `us.amazon.nova-…`.
const BEDROCK_VENDORS: &[&str] = &[
    "ai21.",
    "amazon.",
    "anthropic.",
    "cohere.",
    "deepseek.",
    "luma.",
    "meta.",
    "mistral.",
    "openai.",
    "qwen.",
    "stability.",
    "twelvelabs.",
    "writer.",
];

/// Beginnings of model ids.
const MODELS: &[(&str, &str)] = &[
    ("babbage-", "openai"),
    ("chatgpt-", "openai"),
    ("claude", "anthropic"),
    ("codestral", "mistral_ai"),
    ("codex-", "openai"),
    ("command", "cohere"),
    ("computer-use", "openai"),
    ("dall-e", "openai"),
    ("davinci-", "openai"),
    ("deepseek-chat", "deepseek"),
    ("deepseek-coder", "deepseek"),
    ("deepseek-reasoner", "deepseek"),
    ("devstral", "mistral_ai"),
    ("embed-english", "cohere"),
    ("embed-multilingual", "cohere"),
    ("embed-v", "cohere"),
    ("embedding-001", "gcp.gemini"),
    ("gemini", "gcp.gemini"),
    ("gpt-", "openai"),
    ("gpt2", "hugging_face"),
    ("gpt3", "openai"),
    ("grok-", "x_ai"),
    ("imagen-", "gcp.gemini"),
    ("kimi-", "moonshot_ai"),
    ("learnlm", "gcp.gemini"),
    ("magistral", "mistral_ai"),
    ("ministral", "mistral_ai"),
    ("mistral-", "mistral_ai"),
    ("moonshot-", "moonshot_ai"),
    ("omni-moderation", "openai"),
    ("open-mistral", "mistral_ai"),
    ("open-mixtral", "mistral_ai"),
    ("pixtral", "mistral_ai"),
    ("rerank-", "cohere"),
    ("sonar", "perplexity"),
    ("text-ada-", "openai"),
    ("text-davinci-", "openai"),
    ("text-embedding-00", "gcp.gemini"),
    ("text-embedding-3", "openai"),
    ("text-embedding-ada", "openai"),
    ("text-moderation", "openai"),
    ("tts-1", "openai"),
    ("veo-", "gcp.gemini"),
    ("voxtral", "mistral_ai"),
    ("whisper-1", "openai"),
];

/// Models with open weights, under names that look like their makers' own: anyone may serve them.
const OPEN_WEIGHTS: &[&str] = &["gpt-oss", "mistral-7b", "mistral-nemo-instruct", "gemma"];

/// Owners of repositories of weights. `mistralai/…` says who made the model, not who serves it.
const WEIGHT_OWNERS: &[&str] = &["mistralai", "deepseek-ai", "moonshotai"];

/// `from_model` on lower case.
fn derive(model: &str) -> Option<&'static str> {
    if model.starts_with("arn:aws") {
        return Some("aws.bedrock");
    }
    let name = model.rsplit('/').next().unwrap_or(model);
    let anyone = OPEN_WEIGHTS.iter().any(|open| name.starts_with(open));
    // `openrouter/anthropic/claude-…` and `azure/my-deployment`: the first segment says who answers.
    if let Some((head, tail)) = model.split_once('/') {
        return match head {
            "models" | "tunedmodels" => derive(tail).or(Some("gcp.gemini")),
            "publishers" | "projects" => Some("gcp.vertex_ai"),
            "accounts" => Some("fireworks"),
            "openai" | "google" if anyone => None,
            _ if WEIGHT_OWNERS.contains(&head) => None,
            _ => known(head).or_else(|| if NOT_PROVIDERS.contains(&head) { derive(tail) } else { None }),
        };
    }
    let regional = model
        .split_once('.')
        .filter(|(region, _)| matches!(*region, "us" | "eu" | "apac" | "global" | "jp" | "au" | "ca" | "sa" | "us-gov" | "us_gov"));
    let vendor = regional.map_or(model, |(_, rest)| rest);
    if BEDROCK_VENDORS.iter().any(|v| vendor.starts_with(v)) {
        return Some("aws.bedrock");
    }
    if model.starts_with("claude") && model.contains('@') {
        return Some("gcp.vertex_ai");
    }
    if anyone {
        return None;
    }
    // Fine-tuned models of OpenAI: `ft:gpt-4o-mini-…:org::id`.
    if model.starts_with("ft:") || is_o_series(model) {
        return Some("openai");
    }
    MODELS.iter().find(|(start, _)| model.starts_with(start)).map(|(_, provider)| *provider)
}

/// `o1`, `o3-mini`, `o4-mini-2025-04-16`.
fn is_o_series(model: &str) -> bool {
    let mut chars = model.chars();
    chars.next() == Some('o') && chars.next().is_some_and(|c| c.is_ascii_digit()) && chars.next().is_none_or(|c| c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_model_id_tells_its_provider() {
        for (model, provider) in [
            ("gpt-4o-mini-2024-07-18", "openai"),
            ("o3-mini", "openai"),
            ("o1", "openai"),
            ("ft:gpt-4o-mini-2024-07-18:acme::abc", "openai"),
            ("text-embedding-3-small", "openai"),
            ("claude-sonnet-4-5-20250929", "anthropic"),
            ("Claude-Opus-4-1", "anthropic"),
            ("claude-3-5-sonnet@20240620", "gcp.vertex_ai"),
            ("anthropic.claude-3-haiku-20240307-v1:0", "aws.bedrock"),
            ("us.anthropic.claude-sonnet-4-20250514-v1:0", "aws.bedrock"),
            ("amazon.nova-pro-v1:0", "aws.bedrock"),
            ("arn:aws:bedrock:us-east-1::foundation-model/x", "aws.bedrock"),
            ("models/gemini-2.5-flash", "gcp.gemini"),
            ("gemini-2.5-pro", "gcp.gemini"),
            ("openai/gpt-4o", "openai"),
            ("azure/my-deployment", "azure.ai.openai"),
            ("openrouter/anthropic/claude-sonnet-4", "openrouter"),
            ("litellm_proxy/gpt-4o", "openai"),
            ("groq/openai/gpt-oss-120b", "groq"),
            ("x-ai/grok-4", "x_ai"),
            ("google/gemini-2.5-flash", "gcp.gemini"),
            ("openai.gpt-oss-120b-1:0", "aws.bedrock"),
            ("command-r-plus", "cohere"),
            ("mistral-large-latest", "mistral_ai"),
            ("deepseek-chat", "deepseek"),
            ("grok-4", "x_ai"),
            ("sonar-pro", "perplexity"),
            ("kimi-k2", "moonshot_ai"),
        ] {
            assert_eq!(from_model(model), Some(provider), "{model}");
        }
        for model in [
            "",
            "llama-3.1-8b-instant",
            "qwen3",
            "my-model",
            "oracle-1",
            "o",
            "meta-llama/Llama-3-8b",
            "openai/gpt-oss-120b",
            "gpt-oss-20b",
            "mistralai/Mistral-7B-Instruct-v0.3",
            "deepseek-r1-distill-llama-70b",
            "us.",
            &"g".repeat(500),
        ] {
            assert_eq!(from_model(model), None, "{model}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_looked_at(text in any::<String>(), id in "(us|openai|/|\\.|:|@|claude|arn:aws|o1|é){0,12}") {
            let _ = (from_model(&text), from_model(&id));
        }
    }
}
