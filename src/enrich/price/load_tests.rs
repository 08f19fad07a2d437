//! What is wrong with a table is said with its line, and all of it at once.

use super::*;

const HEAD: &str = "format: tollgate-prices/1\nas_of: 2026-11-01\ncurrency: USD\n";

fn load(body: &str) -> Result<PriceTable, Vec<String>> {
    let config: PricesConfig = serde_yaml::from_str("files: [mine.yaml]").unwrap();
    let text = format!("{HEAD}{body}");
    PriceTable::load(&config, &|_| Ok(text.clone())).map_err(|errors| errors.iter().map(ToString::to_string).collect())
}

#[track_caller]
fn one_error(body: &str) -> String {
    let errors = load(body).map(|_| ()).unwrap_err();
    assert_eq!(errors.len(), 1, "{errors:#?}");
    errors[0].clone()
}

fn with_model(lines: &str) -> String {
    format!("providers:\n  p:\n    models:\n{lines}")
}

#[test]
fn an_unknown_key_is_named_with_its_line_and_the_nearest_valid_one() {
    let error = one_error(&with_model("      - id: m\n        prices:\n          - rate: {input: 1}\n            rates: {input: 1}\n"));
    assert!(error.starts_with("mine.yaml:9:"), "{error}");
    assert!(error.contains("providers.p.models.m.prices: unknown key \"rate\"; did you mean \"rates\"?"), "{error}");
}

#[test]
fn every_problem_is_reported_at_once() {
    let errors = load(&with_model(
        "      - {id: a, prices: [{rates: {input: -1, output: 1.1234567, imput: 3}}]}
      - {id: b, names: [A], prices: [{rates: {input: 1}, tiers: [{above: 5, rates: {output: 2}}]}]}
      - {id: c, patterns: ['(?=x)'], prices: [{rates: {input: one}}]}
      - {id: d, same_as: openai/nothing}
      - {id: e}
",
    ))
    .map(|_| ())
    .unwrap_err();
    let expected = [
        (7, "\"-1\" is negative"),
        (7, "\"1.1234567\" is finer than six decimals"),
        (7, "unknown key \"imput\"; did you mean \"input\"?"),
        (8, "tier has a rate for output, which has no base rate"),
        (8, "\"A\" is the name of two entries: a and b"),
        (9, "pattern does not compile"),
        (9, "\"one\" is not a decimal number"),
        (10, "\"openai/nothing\" leads nowhere"),
        (11, "a model has either prices or same_as"),
    ];
    for (line, text) in expected {
        assert!(errors.iter().any(|e| e.starts_with(&format!("mine.yaml:{line}:")) && e.contains(text)), "{line} {text}: {errors:#?}");
    }
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
}

#[test]
fn a_rate_with_six_decimals_is_fine_and_trailing_zeros_are_none() {
    let table = load(&with_model("      - {id: m, prices: [{rates: {input: 0.0000010000, output: 1e-3}}]}\n"));
    assert!(table.is_ok(), "{:?}", table.err());
}

#[test]
fn what_cannot_be_read_or_is_no_price_list_is_refused() {
    let config: PricesConfig = serde_yaml::from_str("files: [gone.yaml]").unwrap();
    let errors = PriceTable::load(&config, &|_| Err(io::ErrorKind::NotFound.into())).unwrap_err();
    assert!(errors[0].to_string().starts_with("gone.yaml: prices.files: cannot be read"), "{}", errors[0]);
    let wrong = |text: &'static str| PriceTable::load(&config, &|_| Ok(text.to_owned())).unwrap_err()[0].to_string();
    assert!(wrong("format: prices/2\n").contains("format is \"prices/2\""));
    assert!(wrong("providers: {}\n").contains("format is missing"));
    assert!(wrong("format: tollgate-prices/1\ncurrency: EUR\n").starts_with("gone.yaml:2:"));
    let broken = wrong("format: tollgate-prices/1\nproviders:\n  p: [1\n");
    assert!(broken.starts_with("gone.yaml:"), "{broken}");
    assert!(wrong("- 1\n").starts_with("gone.yaml:1:"));
}

#[test]
fn like_and_same_as_must_lead_somewhere() {
    assert!(one_error("providers: {p: {like: [nobody]}}\n").contains("\"nobody\" leads nowhere"));
    assert!(one_error(&with_model("      - {id: m, same_as: m}\n")).contains("\"m\" leads nowhere"));
    let config: PricesConfig = serde_yaml::from_str("fallback_model: openai/nothing").unwrap();
    let errors = PriceTable::load(&config, &|_| Err(io::ErrorKind::NotFound.into())).unwrap_err();
    assert!(errors[0].to_string().contains("prices.fallback_model"), "{}", errors[0]);
}

#[test]
fn the_odd_is_a_warning_with_its_line() {
    let table = load(&with_model(
        "      - id: m
        prices:
          - {from: 2026-02-01, rates: {input: 1}}
          - {from: 2026-01-01, rates: {input: 2000}}
",
    ))
    .unwrap();
    let warnings: Vec<_> = table.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings.len(), 2, "{warnings:#?}");
    assert!(warnings.iter().all(|w| w.starts_with("mine.yaml:10:")), "{warnings:#?}");
    assert!(warnings.iter().any(|w| w.contains("2000 USD per million")), "{warnings:#?}");
}

#[test]
fn prices_in_the_config_have_the_line_of_the_config() {
    let config: PricesConfig =
        serde_yaml::from_str("bundled: false\nproviders:\n  p:\n    models:\n      - {id: m, prices: [{rates: {input: x}}]}\n").unwrap();
    let errors = PriceTable::load(&config, &|_| Err(io::ErrorKind::NotFound.into())).unwrap_err();
    assert_eq!(errors[0].to_string(), "line 5: providers.p.models.m.prices: \"x\" is not a decimal number");
}

#[test]
fn a_layer_may_name_a_provider_by_an_alias_of_the_layer_below() {
    let table = load("providers: {bedrock: {models: [{id: m, prices: [{rates: {input: 1}}]}]}}\n").unwrap();
    assert!(table.providers.iter().all(|provider| &*provider.id != "bedrock"));
    assert_eq!(table.layers().iter().map(|layer| &*layer.name).collect::<Vec<_>>(), ["bundled-2026-11-20", "mine-2026-11-01", "config"]);
}

#[test]
fn the_bundled_table_is_read_in_one_go() {
    let file = BUNDLED_FILE.as_ref().expect("the bundled table parses");
    assert!(file.unknown.is_empty() && file.providers.0.len() >= 17);
}

#[test]
fn a_discount_for_a_model_nobody_has_is_odd() {
    let table = load("providers: {anthropic: {multipliers: [{factor: 0.5, models: [claude-opus-4-7, claude-opsu-4-6]}]}}\n").unwrap();
    let warnings: Vec<_> = table.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(warnings, ["mine.yaml:4:79: providers.anthropic.multipliers.models: no entry has the id \"claude-opsu-4-6\""]);
}
