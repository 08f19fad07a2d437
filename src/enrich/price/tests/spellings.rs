//! The many spellings of one model: paths, dates, regions, revisions, deployments, tuned models.

use super::*;

/// Input and output of one call of a thousand and ten tokens, in dollars; else why there is no price.
fn price(provider: &str, model: &str) -> String {
    match PriceTable::bundled().price(&call(provider, model, &[("input", 1_000), ("output", 10)])) {
        Outcome::Priced(priced) => priced.total.to_string(),
        Outcome::Unpriced(reason) => reason.name().to_owned(),
    }
}

#[test]
fn every_spelling_of_a_model_has_the_price_of_that_model() {
    for (provider, plain, spellings) in [
        (
            "openai",
            "gpt-4o",
            &["GPT-4o", " gpt-4o ", "gpt-4o-2024-08-06", "gpt-4o-20240806", "openai/gpt-4o", "openai/gpt-4o-2024-11-20"][..],
        ),
        ("openai", "gpt-5", &["gpt-5-2025-08-07", "openai/gpt-5-20250807"]),
        ("openai.responses", "o3-mini", &["o3-mini-2025-01-31"]),
        ("azure", "gpt-4.1", &["azure/gpt-4.1", "gpt-4.1-2025-04-14", "openai/gpt-4.1"]),
        ("azure.ai.openai", "gpt-3.5-turbo-0125", &["gpt-35-turbo-0125"]),
        (
            "anthropic",
            "claude-sonnet-4-5",
            &["claude-sonnet-4-5-20250929", "anthropic/claude-sonnet-4-5", "claude-sonnet-4-5@20250929", "Claude-Sonnet-4-5-latest"],
        ),
        ("anthropic.messages", "claude-3-5-haiku-20241022", &["claude-3-5-haiku-latest", "claude-3-5-haiku@20241022"]),
        (
            "vertex_ai",
            "claude-sonnet-4-5",
            &[
                "claude-sonnet-4-5@20250929",
                "publishers/anthropic/models/claude-sonnet-4-5@20250929",
                "projects/p-1/locations/us-east5/publishers/anthropic/models/claude-sonnet-4-5@20250929",
            ],
        ),
        (
            "gemini",
            "gemini-2.5-flash",
            &["models/gemini-2.5-flash", "publishers/google/models/gemini-2.5-flash", "google/gemini-2.5-flash"],
        ),
        ("google.generative-ai", "gemini-2.5-pro", &["models/gemini-2.5-pro", "gemini-2.5-pro-001"]),
        (
            "aws.bedrock",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            &[
                "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "jp.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "anthropic.claude-sonnet-4-5-20250929-v1:0",
                "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
                "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
            ],
        ),
        ("amazon-bedrock", "meta.llama3-3-70b-instruct-v1:0", &["us.meta.llama3-3-70b-instruct-v1:0"]),
        ("groq", "openai/gpt-oss-120b", &["groq/openai/gpt-oss-120b"]),
        ("mistral", "mistral-large-2512", &["mistral-large-latest"]),
        ("deepseek-ai", "deepseek-chat", &["deepseek/deepseek-chat"]),
        ("xai", "grok-4", &["x_ai/grok-4", "xai/grok-4", "grok-4-0709", "grok-4-latest"]),
        ("cohere", "command-r-plus", &["command-r-plus-08-2024"]),
    ] {
        let wanted = price(provider, plain);
        assert!(wanted.starts_with("0."), "{provider} {plain}: {wanted}");
        for spelling in spellings {
            assert_eq!(price(provider, spelling), wanted, "{provider} {spelling}");
        }
    }
}

#[test]
fn what_is_another_model_or_nobodys_has_no_neighbours_price() {
    for (provider, model, reason) in [
        ("openai", "gpt-4o-acme", "unknown_model"),
        ("openai", "gpt-4o-mini-transcribe-x", "unknown_model"),
        ("openai", "ft:gpt-9:acme::1", "unknown_model"),
        ("azure.ai.openai", "prod-chat-eu", "unknown_model"),
        ("anthropic", "claude-sonnet-4-5-turbo", "unknown_model"),
        ("anthropic", "my-claude-sonnet-4-5", "unknown_model"),
        ("aws.bedrock", "arn:aws:bedrock:us-east-1:1:application-inference-profile/abc123", "unknown_model"),
        ("aws.bedrock", "mars.anthropic.claude-sonnet-4-5-20250929-v1:0", "unknown_model"),
        ("gcp.gemini", "tunedModels/mine-123", "unknown_model"),
        ("acme", "gpt-4o", "unknown_provider"),
        ("openrouter", "openai/gpt-4o", "unknown_provider"),
        ("ollama", "llama3", "unknown_provider"),
    ] {
        assert_eq!(price(provider, model), reason, "{provider} {model}");
    }
    assert_ne!(price("openai", "ft:gpt-4o-mini-2024-07-18:acme::abc"), price("openai", "gpt-4o-mini"));
    assert_ne!(
        price("aws.bedrock", "global.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        price("aws.bedrock", "us.anthropic.claude-sonnet-4-5-20250929-v1:0")
    );
}
