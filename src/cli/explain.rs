//! `tollgate explain`: asks a running stage what was decided about a trace, and why.

use crate::cli::Failure;
use crate::otlp::span::TraceId;
use serde_json::Value;
use std::time::Duration;

/// Flags of `explain`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The trace id, 32 hexadecimal digits.
    trace_id: String,
    /// Admin port of the running stage.
    #[arg(long, default_value = "http://127.0.0.1:8888", value_name = "URL")]
    admin: String,
    /// Bearer token, where the admin port asks for one.
    #[arg(long, env = "TOLLGATE_ADMIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let Some(trace) = TraceId::from_hex(&args.trace_id) else {
        return Err(Failure::Usage(format!("\"{}\" is not a trace id: 32 hexadecimal digits, not all zero", args.trace_id)));
    };
    let url = format!("{}/api/decisions/{trace}", args.admin.trim_end_matches('/'));
    let (status, answer) = crate::cli::runtime()?.block_on(ask(&url, args.token.as_deref()))?;
    match (status, serde_json::from_str::<Value>(&answer)) {
        (200, Ok(decision)) => {
            print!("{}", explain(trace, &decision));
            Ok(())
        }
        (401, _) => Err(Failure::Running(format!("{url} asks for a token: give --token or TOLLGATE_ADMIN_TOKEN"))),
        (_, Ok(error)) => Err(Failure::Running(error.get("error").and_then(Value::as_str).unwrap_or("no answer").to_owned())),
        (status, Err(_)) => Err(Failure::Running(format!("{url} answers {status} and no decision"))),
    }
}

async fn ask(url: &str, token: Option<&str>) -> Result<(u16, String), Failure> {
    let client = crate::cli::local_client(Duration::from_secs(5))?;
    let mut request = client.get(url);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let unreachable = |_| Failure::Running(format!("nothing answers at {url}: is the stage running, and is this its admin port?"));
    let answer = request.send().await.map_err(unreachable)?;
    Ok((answer.status().as_u16(), answer.text().await.map_err(Failure::running)?))
}

/// One line that answers the question, then what is known, a line each.
fn explain(trace: TraceId, decision: &Value) -> String {
    let text = |key: &str| decision.get(key).and_then(Value::as_str).unwrap_or("unknown");
    let verb = if text("decision") == "keep" { "kept" } else { "dropped" };
    let mut out = format!("{trace} was {verb} by policy \"{}\" ({}), when {}\n", text("policy"), text("reason"), text("trigger"));
    for (key, value) in decision.as_object().into_iter().flatten() {
        if !["trace_id", "decision", "policy", "reason", "trigger", "matched", "policies"].contains(&key.as_str()) && !value.is_null() {
            out.push_str(&format!("  {key}: {}\n", value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
        }
    }
    for policy in decision.get("policies").and_then(Value::as_array).into_iter().flatten() {
        out.push_str(&verdict(policy));
    }
    out
}

/// What one policy said.
fn verdict(policy: &Value) -> String {
    let text = |key: &str| policy.get(key).and_then(Value::as_str);
    let name = text("policy").unwrap_or("unknown");
    let share = policy.get("percentage").and_then(Value::as_f64).filter(|share| *share < 100.0);
    match (text("says"), share) {
        (None, _) => format!("  policy \"{name}\" did not match\n"),
        (Some(says), Some(share)) => format!("  policy \"{name}\" said {says}: it keeps {share:.4} %\n"),
        (Some("not asked"), None) => format!("  policy \"{name}\" matched, and was not asked\n"),
        (Some(says), None) => format!("  policy \"{name}\" said {says}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_first_line_answers_the_question() {
        let trace = TraceId::from_hex("0123456789abcdef0123456789abcdef").unwrap();
        let decision =
            json!({"trace_id": "x", "decision": "drop", "policy": "baseline", "reason": "probability", "trigger": "complete", "spans": 3});
        let text = explain(trace, &decision);
        assert_eq!(text, "0123456789abcdef0123456789abcdef was dropped by policy \"baseline\" (probability), when complete\n  spans: 3\n");
    }

    #[test]
    fn every_policy_has_a_line() {
        let lines = [
            (json!({"policy": "a", "matched": false}), "  policy \"a\" did not match\n"),
            (json!({"policy": "a", "matched": true, "says": "drop", "percentage": null}), "  policy \"a\" said drop\n"),
            (json!({"policy": "a", "matched": true, "says": "keep", "percentage": 100.0}), "  policy \"a\" said keep\n"),
            (json!({"policy": "a", "matched": true, "says": "drop", "percentage": 10.0}), "  policy \"a\" said drop: it keeps 10.0000 %\n"),
            (
                json!({"policy": "a", "matched": true, "says": "not asked", "percentage": null}),
                "  policy \"a\" matched, and was not asked\n",
            ),
        ];
        for (policy, line) in lines {
            assert_eq!(verdict(&policy), line);
        }
    }
}
