//! Decided traces over HTTP: a list, a stream, one of them whole.

use crate::live::Status;
use crate::live::feed::{About, Feed, Row};
use crate::otlp::json as otlp_json;
use crate::otlp::signal::Signal;
use crate::otlp::span::TraceId;
use axum::Json;
use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

/// A list has at most so many rows, unless fewer are asked for.
const LIMIT: usize = 200;

/// A stream sends what is new so often.
const EVERY: Duration = Duration::from_secs(1);

/// Which traces are asked for. A member that is left out asks for nothing.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Wanted {
    decision: Option<String>,
    policy: Option<String>,
    reason: Option<String>,
    service: Option<String>,
    model: Option<String>,
    user: Option<String>,
    /// Only those with (or without) a failed span.
    error: Option<bool>,
    /// Only those with (or without) a truncated answer.
    truncated: Option<bool>,
    /// Only those after the one of this number.
    after: u64,
    limit: Option<usize>,
}

impl Wanted {
    fn matches(&self, row: &Row, about: Option<&About>) -> bool {
        let decided = &row.decided;
        let is = |wanted: &Option<String>, it: &str| wanted.as_deref().is_none_or(|wanted| wanted == it);
        let names = |wanted: &Option<String>, of: fn(&About) -> &std::collections::BTreeSet<String>| {
            wanted.as_ref().is_none_or(|wanted| about.is_some_and(|about| of(about).contains(wanted)))
        };
        is(&self.decision, decided.decision.as_str())
            && is(&self.policy, &decided.policy)
            && is(&self.reason, decided.reason.as_str())
            && names(&self.service, |about| &about.services)
            && names(&self.model, |about| &about.models)
            && names(&self.user, |about| &about.users)
            && self.error.is_none_or(|wanted| wanted == (errors(row) > 0))
            && self.truncated.is_none_or(|wanted| wanted == (decided.totals.truncated_spans > 0))
    }

    /// Nothing past `newest`: who asks for what comes after it would get that twice.
    fn list(&self, feed: &Feed, newest: u64) -> Vec<Value> {
        let limit = self.limit.unwrap_or(LIMIT);
        let rows = feed.after(self.after);
        rows.iter()
            .filter(|(row, about)| row.number <= newest && self.matches(row, about.as_ref()))
            .take(limit)
            .map(|(row, about)| shown(row, about.as_ref()))
            .collect()
    }
}

fn errors(row: &Row) -> u64 {
    let totals = &row.decided.totals;
    totals.errors_transient.saturating_add(totals.errors_permanent).saturating_add(totals.errors_unknown)
}

fn shown(row: &Row, about: Option<&About>) -> Value {
    let (decided, totals) = (&row.decided, &row.decided.totals);
    let mut shown = json!({
        "number": row.number,
        "at_ms": row.at.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as u64,
        "trace_id": decided.trace_id.to_string(),
        "decision": decided.decision.as_str(),
        "policy": &*decided.policy,
        "matched": decided.matched.iter().map(|vote| &*vote.policy).collect::<Vec<_>>(),
        "reason": decided.reason.as_str(),
        "trigger": decided.trigger.as_str(),
        "complete": decided.complete,
        "partial": decided.partial,
        "spans": decided.spans,
        "wait_ms": decided.wait.as_millis() as u64,
        "duration_ms": totals.duration() as f64 / 1e6,
        "llm_calls": totals.llm_calls,
        "unpriced": totals.unpriced,
        "input_tokens": totals.input_tokens,
        "output_tokens": totals.output_tokens,
        "cache_read_tokens": totals.cache_read_tokens,
        "cost_usd": totals.cost.to_string(),
        "errors": { "transient": totals.errors_transient, "permanent": totals.errors_permanent, "unknown": totals.errors_unknown },
        "truncated": totals.truncated_spans,
        "retries": totals.retries,
        "tool_repeats": totals.tool_repeats,
        "stored": about.is_some(),
    });
    if let (Some(about), Some(members)) = (about, shown.as_object_mut()) {
        members.insert("name".into(), about.name.as_str().into());
        members.insert("services".into(), json!(about.services));
        members.insert("models".into(), json!(about.models));
        members.insert("users".into(), json!(about.users));
    }
    shown
}

/// Reads in a thread where it keeps nobody waiting.
async fn apart<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Response> {
    tokio::task::spawn_blocking(work).await.map_err(|failed| {
        tracing::error!(target: "live", panicked = failed.is_panic(), "listing traces failed");
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    })
}

/// `GET /api/traces`: `{"newest": number, "traces": [newest first]}`.
pub(super) async fn list(feed: Feed, wanted: Wanted) -> Response {
    let newest = feed.newest();
    match apart(move || wanted.list(&feed, newest)).await {
        Ok(traces) => Json(json!({ "newest": newest, "traces": traces })).into_response(),
        Err(failed) => failed,
    }
}

/// The same as server-sent events, once a second where there is news.
/// It ends when the stage does.
pub(super) fn follow(feed: Feed, wanted: Wanted, status: Status) -> Response {
    let events = stream::unfold((feed, wanted, status), |(feed, mut wanted, status)| async move {
        loop {
            tokio::time::sleep(EVERY).await;
            if status.is_draining() {
                return None;
            }
            let newest = feed.newest();
            if newest == wanted.after {
                continue;
            }
            let (asked, from) = (wanted.clone(), feed.clone());
            wanted.after = newest;
            let traces = apart(move || asked.list(&from, newest)).await.ok()?;
            if !traces.is_empty() {
                let event = Event::default().data(json!({ "newest": newest, "traces": traces }).to_string());
                return Some((Ok::<_, Infallible>(event), (feed, wanted, status)));
            }
        }
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15))).into_response()
}

/// `GET /api/traces/{trace_id}`: `{"trace": as in the list, "spans_left_out": 0, "otlp": an OTLP/JSON request}`.
pub(super) async fn one(feed: Feed, id: TraceId) -> Result<Option<Value>, Response> {
    apart(move || {
        let (row, request): (Option<Arc<Row>>, _) = feed.trace(id);
        let about = row.as_ref().and_then(|row| feed.after(row.number - 1).into_iter().find(|(of, _)| of.number == row.number));
        let trace = row.as_ref().map(|row| shown(row, about.as_ref().and_then(|(_, about)| about.as_ref())));
        let (bytes, left_out) = request.unwrap_or_default();
        let otlp = otlp_json::from_protobuf(Signal::Traces, &bytes).ok().and_then(|text| serde_json::from_str::<Value>(&text).ok());
        let nothing = trace.is_none() && bytes.is_empty();
        (!nothing).then(|| json!({ "trace": trace, "spans_left_out": left_out, "otlp": otlp }))
    })
    .await
}
