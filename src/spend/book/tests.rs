use super::*;
use crate::enrich::{LlmFacts, Observer, Role, SpanFacts};
use crate::units::Usd;
use std::borrow::Cow;

fn config(text: &str) -> Config {
    serde_yaml::from_str(text).unwrap()
}

fn open(text: &str, folder: Option<&Path>) -> (Book, Telemetry) {
    let telemetry = Telemetry::new(1 << 20);
    let filter: LabelFilter = Arc::new(|name| if name.contains('@') { Cow::Borrowed("[EMAIL]") } else { Cow::Borrowed(name) });
    (Book::open(&config(text), folder, filter, &telemetry).unwrap(), telemetry)
}

/// A call of a user that cost so many pico-dollars; whether its trace must stay.
fn call(tally: &mut Tally, user: &str, pico: i128) -> bool {
    let llm = LlmFacts { counted: true, role: Some(Role::Owner), provider: Some("openai"), user: Some(user), ..LlmFacts::default() };
    let llm = LlmFacts { response_model: Some("gpt-4o-2024-08-06"), billed: Some(("openai", "gpt-4o")), ..llm };
    tally.begin(SystemTime::now());
    tally.span(&SpanFacts { cost: Usd::from_pico(pico), ..SpanFacts::default() }, Some(&llm));
    tally.must_stay()
}

async fn ask(book: &Book, by: &str) -> Vec<String> {
    let answer = book.ask(&[("by".to_owned(), by.to_owned())]).await.unwrap();
    answer.rows.iter().map(|row| format!("{} {} {}", row.labels.join("/"), row.amounts.calls(), row.amounts.usd.pico())).collect()
}

#[tokio::test]
async fn an_answer_has_what_was_tallied_before_it() {
    let (book, _) = open("{}", None);
    let (mut one, mut other) = (book.tally(), book.tally());
    call(&mut one, "u1", 5);
    call(&mut other, "u1", 7);
    call(&mut other, "jane@example.org", 1);
    assert_eq!(ask(&book, "model").await, ["gpt-4o 3 13"]);
    assert_eq!(ask(&book, "user").await, ["u1 2 12", "[EMAIL] 1 1"]);
    call(&mut one, "u1", 100);
    assert_eq!(ask(&book, "model,provider").await, ["gpt-4o/openai 4 113"]);
    book.close().await;
    assert!(matches!(book.ask(&[]).await, Err(QueryError::Unavailable(_))));
}

#[tokio::test]
async fn what_repeats_or_is_no_call_is_not_counted() {
    let (book, _) = open("{}", None);
    let mut tally = book.tally();
    tally.begin(SystemTime::now());
    let facts = SpanFacts { cost: Usd::from_pico(5), ..SpanFacts::default() };
    tally.span(&facts, None);
    tally.span(&facts, Some(&LlmFacts { counted: false, role: Some(Role::Owner), ..LlmFacts::default() }));
    assert_eq!(ask(&book, "model").await, [""; 0]);
}

#[tokio::test]
async fn a_book_on_disk_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    for run in 1..=3 {
        let (book, _) = open("{}", Some(&folder.path().join("made/on/the/way")));
        // A shard that ends takes nothing with it.
        call(&mut book.tally(), "u1", 5);
        book.close().await;
        let (book, _) = open("{}", Some(&folder.path().join("made/on/the/way")));
        assert_eq!(ask(&book, "model").await, [format!("gpt-4o {run} {}", 5 * run)]);
        book.close().await;
    }
}

#[tokio::test]
async fn a_disk_that_cannot_be_written_loses_nothing_and_is_said_so() {
    let folder = tempfile::tempdir().unwrap();
    let blocked = folder.path().join(crate::spend::FILE);
    std::fs::create_dir(&blocked).unwrap();
    let (book, telemetry) = open("{}", Some(folder.path()));
    let mut tally = book.tally();
    call(&mut tally, "u1", 5);
    assert_eq!(ask(&book, "user").await, ["u1 1 5"], "from memory");
    let text = telemetry.metrics.render();
    assert!(text.contains("tollgate_spend_unwritten_rows 1") && !text.contains("tollgate_spend_write_failures_total 0"), "{text}");
    call(&mut tally, "u1", 6);
    std::fs::remove_dir(&blocked).unwrap();
    assert_eq!(ask(&book, "user").await, ["u1 2 11"]);
    assert!(telemetry.metrics.render().contains("tollgate_spend_unwritten_rows 0"));
    book.close().await;
    let (book, _) = open("{}", Some(folder.path()));
    assert_eq!(ask(&book, "user").await, ["u1 2 11"], "from the file");
}

#[tokio::test]
async fn a_used_up_budget_keeps_what_belongs_to_it_and_outlives_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let text = "budgets: [{name: u1, usd: 0.000000000010, match: {user: u1}, action: keep_all}, {name: all, usd: 1}]";
    let (book, telemetry) = open(text, Some(folder.path()));
    let mut tally = book.tally();
    assert!(!call(&mut tally, "u1", 9));
    ask(&book, "model").await;
    assert!(!call(&mut tally, "u1", 1), "used up with this one");
    ask(&book, "model").await;
    assert!(call(&mut tally, "u1", 1));
    assert!(!call(&mut tally, "u2", 1), "another user");
    let text_of = telemetry.metrics.render();
    assert!(text_of.contains("tollgate_spend_budget_crossed_total{budget=\"u1\"} 1"), "{text_of}");
    assert!(text_of.contains("tollgate_spend_budget_crossed_total{budget=\"all\"} 0"), "{text_of}");
    book.close().await;
    let (book, _) = open(text, Some(folder.path()));
    ask(&book, "model").await;
    assert!(call(&mut book.tally(), "u1", 1));
}
