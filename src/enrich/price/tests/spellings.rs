//! The many spellings of one model, of providers seen and unseen.

use super::*;

/// The entry a name means to a provider; else why it means none.
fn entry(provider: &str, model: &str) -> String {
    match PriceTable::bundled().price(&call(provider, model, &[("input", 1)])) {
        Outcome::Priced(priced) => format!("{}/{}", priced.provider, priced.model),
        Outcome::Unpriced(reason) => reason.name().to_owned(),
    }
}

#[test]
fn paths_dates_and_revisions_lead_to_the_model() {
    for (provider, model, meant) in [
        ("openai", "GPT-4o-2024-08-06", "openai/gpt-4o"),
    ] {
        assert_eq!(entry(provider, model), meant, "{provider} {model}");
    }
}
