//! Finds the structure inside an error message.
//!
//! Most SDKs print what they know into the message: `Error code: 429 - {'error': {'type': …}}`. Reading that back turns
//! a text into a status, a code, an exception name. What the text repeats from the request is taken out first: a prompt
//! about rate limits is no rate limit.

use super::body::{self, Leaf};
use super::echo::without_echoes;
use super::grpc::GrpcCode;
use crate::enrich::number::failed_status;

/// How much of a message is read. Provider errors say it at the start; the rest is stack traces and echoes.
pub(super) const MAX_MESSAGE: usize = 4 * 1024;

/// Most names and codes taken from one message.
const MAX_FOUND: usize = 12;

/// What one message holds.
#[derive(Default)]
pub(super) struct Mined {
    /// The HTTP status the message speaks of, 400 to 599.
    pub(super) status: Option<u16>,
    /// The status inside the error object: with a gateway between, the provider's own.
    pub(super) body_status: Option<u16>,
    /// `originalStatusCode` of a gateway's body.
    pub(super) original_status: Option<u16>,
    /// Provider codes, best first.
    pub(super) codes: Vec<String>,
    /// Exception names, in order.
    pub(super) names: Vec<String>,
    /// A gRPC status name.
    pub(super) grpc: Option<GrpcCode>,
    /// The text for markers: lower case, without what echoes the request.
    pub(super) text: String,
}

/// The first 4 KiB of what a message says: without a trailing stack trace, or only the last line of one that is nothing else.
pub(super) fn head(message: &str) -> &str {
    const TRACE: &str = "Traceback (most recent call last)";
    let message = message.trim();
    let said = match message.find(TRACE) {
        Some(0) => last_line(message),
        Some(at) => message.get(..at).unwrap_or(message),
        None => message,
    };
    cut(said.trim())
}

/// Mines one message. It is cut by `head` first.
pub(super) fn mine(message: &str) -> Mined {
    let message = head(message);
    let said = without_echoes(message);
    let lower = said.to_ascii_lowercase().replace('\u{2019}', "'");
    let mut mined = Mined::default();
    let start = prefixes(&said, &mut mined.names);
    names_inside(&said, &mut mined.names);
    mined.grpc = grpc(&said, start);
    read_body(message, &mut mined);
    codes_in_prose(&said, &mut mined.codes);
    mined.status = status(&said.to_ascii_lowercase(), start).or(mined.body_status);
    mined.text = lower;
    mined
}

/// Codes, statuses and names of the error object.
fn read_body(message: &str, mined: &mut Mined) {
    let mut ranked: Vec<(u8, String)> = Vec::new();
    let mut body_status = None;
    body::walk(message, &mut |key, leaf| {
        let key = key.to_ascii_lowercase();
        let rank = match key.as_str() {
            "error_code" | "errorcode" => 0,
            "code" => 1,
            "error_type" | "errortype" => 2,
            "type" => 3,
            "status" => 4,
            "__type" | "reason" | "name" => 5,
            "status_code" | "statuscode" | "http_status" | "httpstatus" | "httpstatuscode" | "http_status_code" | "originalstatuscode" => 6,
            _ => return,
        };
        let (text, number) = match leaf {
            Leaf::Text(text) => (text.trim().to_owned(), None),
            Leaf::Number(number) => (number.to_string(), Some(number)),
        };
        let status = number.or_else(|| text.parse().ok()).and_then(failed_status);
        match status {
            Some(status) if key == "originalstatuscode" => mined.original_status = Some(status),
            Some(status) => body_status = body_status.or(Some(status)),
            None if rank < 6 && text.len() <= 64 && ranked.len() < MAX_FOUND => {
                // `com.amazon.coral.service#ThrottlingException`
                ranked.push((rank, text.rsplit('#').next().unwrap_or_default().to_owned()));
            }
            None => {}
        }
    });
    ranked.sort_by_key(|(rank, _)| *rank);
    mined.codes.extend(ranked.into_iter().map(|(_, code)| code));
    mined.body_status = body_status;
}

/// Codes outside any object: `HTTP 429 (insufficient_quota: …)`, `ErrorCode: RateLimitReached`.
fn codes_in_prose(said: &str, codes: &mut Vec<String>) {
    for (at, _) in said.match_indices('(') {
        let inside = word_at(said, at + 1);
        let next = said.as_bytes().get(at + 1 + inside.len());
        if inside.contains('_') && matches!(next, Some(b':' | b')')) && codes.len() < MAX_FOUND {
            codes.push(inside.to_owned());
        }
    }
    if let Some((_, after)) = said.split_once("ErrorCode: ") {
        codes.push(word_at(after, 0).to_owned());
    }
}

/// Names in front of the message: `litellm.RateLimitError: RateLimitError: OpenAIException - …`. Returns where it begins.
fn prefixes(said: &str, names: &mut Vec<String>) -> usize {
    let mut at = 0;
    for _ in 0..6 {
        let rest = said.get(at..).unwrap_or("");
        let blank = rest.len() - rest.trim_start_matches(['"', '\'', '[', '<', ' ', '-', '\n']).len();
        at += blank;
        let name = dotted_at(said, at);
        let end = at + name.len();
        let after = said.get(end..).unwrap_or("");
        let closes = after.is_empty() || after.starts_with([':', '(', ']']) || after.starts_with(" - ");
        if !closes || !is_exception(name) {
            break;
        }
        names.push(name.to_owned());
        at = end + after.len() - after.trim_start_matches([':', '(', ']', ' ']).len();
    }
    at
}

/// Names elsewhere: `An error occurred (ThrottlingException) when …`, `…, ThrottlingException: Too many requests`.
fn names_inside(said: &str, names: &mut Vec<String>) {
    for ending in ["Exception", "Error", "Timeout"] {
        for (at, _) in said.match_indices(ending) {
            let end = at + ending.len();
            let start =
                said.get(..at).unwrap_or("").rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '.').map_or(0, |n| n + 1);
            let name = said.get(start..end).unwrap_or("").trim_matches('.');
            let in_parentheses = said.get(..start).is_some_and(|s| s.ends_with('(')) && said.get(end..).is_some_and(|s| s.starts_with(')'));
            let announces = said.get(end..).is_some_and(|s| s.starts_with([':', '(']));
            if (in_parentheses || announces && is_exception(name))
                && !name.is_empty()
                && names.len() < MAX_FOUND
                && !names.iter().any(|n| n == name)
            {
                names.push(name.to_owned());
            }
        }
    }
    if let Some((_, after)) = said.split_once("An error occurred (") {
        let name = word_at(after, 0);
        if !names.iter().any(|n| n == name) {
            names.push(name.to_owned());
        }
    }
}

/// `RateLimitError`, `openai.RateLimitError`, `litellm.Timeout`.
fn is_exception(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or(name);
    last.starts_with(|c: char| c.is_ascii_uppercase())
        && (last.ends_with("Error") || last.ends_with("Exception") || name.starts_with("litellm."))
}

/// A gRPC status: `StatusCode.UNAVAILABLE`, `status = UNAVAILABLE`, `code = Unavailable`, `429 RESOURCE_EXHAUSTED. …`, `UNAVAILABLE: io`.
fn grpc(said: &str, start: usize) -> Option<GrpcCode> {
    for mark in ["StatusCode.", "status = ", "code = ", "got status: "] {
        if let Some(code) = said.split_once(mark).and_then(|(_, after)| GrpcCode::from_name(word_at(after, 0))) {
            return Some(code);
        }
    }
    let rest = said.get(start..).unwrap_or("");
    let after_status = rest.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let name = word_at(after_status, 0);
    let capitals = name.len() >= 4 && name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_');
    let ends = after_status.get(name.len()..).is_some_and(|s| s.starts_with(['.', ':']) || s.trim().is_empty());
    (capitals && ends).then(|| GrpcCode::from_name(name)).flatten()
}

/// The first number that is said to be a status. `start` is where the message begins behind its prefixes.
fn status(lower: &str, start: usize) -> Option<u16> {
    let bytes = lower.as_bytes();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        if !byte.is_ascii_digit() {
            at += 1;
            continue;
        }
        let end = bytes.iter().skip(at).position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |n| at + n);
        let alone =
            !at.checked_sub(1).and_then(|b| bytes.get(b)).is_some_and(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b',' | b'$'))
                && !bytes.get(end).is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'%');
        let number = lower.get(at..end).filter(|n| n.len() == 3 && alone).and_then(|n| n.parse().ok()).and_then(failed_status);
        if let (Some(number), Some(before), Some(after)) = (number, lower.get(..at), lower.get(end..)) {
            let leads = at == start && (after.is_empty() || after.starts_with([' ', ':', '\n', '.', '{']));
            // `[429] …`, `<400> …`: a number in brackets before a message.
            let bracketed =
                at == start && at == 1 && (before == "[" && after.starts_with("] ") || before == "<" && after.starts_with("> "));
            let leads = leads && !matches!(before, "[" | "<") || bracketed;
            let ends = before.ends_with('(') && after.trim() == ")";
            if !counts_things(after) && (leads || ends || introduced(before) || explained(number, after)) {
                return Some(number);
            }
        }
        at = end;
    }
    None
}

/// Whether the words before a number call it a status.
fn introduced(before: &str) -> bool {
    let before = before.trim_end_matches([' ', ':', '=', '(', '"', '\'', '\\', '[', '#', '-']);
    let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.' | '/')).map_or(0, |n| n + 1);
    let word = before.get(start..).unwrap_or("");
    matches!(
        word,
        "status"
            | "code"
            | "error"
            | "http"
            | "statuscode"
            | "status_code"
            | "errorcode"
            | "error_code"
            | "http_status"
            | "httpstatus"
            | "http_code"
    ) || word.starts_with("http/")
}

/// Whether the words behind a number are the name of that status.
fn explained(status: u16, after: &str) -> bool {
    let after = after.trim_start_matches([' ', ':', '-', '(']);
    let names: &[&str] = match status {
        400 => &["bad request"],
        401 => &["unauthorized"],
        402 => &["payment required"],
        403 => &["forbidden"],
        404 => &["not found"],
        408 => &["request timeout"],
        413 => &["payload too large", "request entity too large", "content too large"],
        422 => &["unprocessable"],
        429 => &["too many requests", "resource_exhausted"],
        500 => &["internal server error"],
        502 => &["bad gateway"],
        503 => &["service unavailable"],
        504 => &["gateway time"],
        _ => &[],
    };
    let family = if status < 500 { "client error" } else { "server error" };
    names.iter().chain([&family, &"response"]).any(|name| after.starts_with(name))
}

/// Whether a number counts something: `500 tokens`.
fn counts_things(after: &str) -> bool {
    let word = word_at(after.trim_start(), 0);
    matches!(
        word,
        "token"
            | "tokens"
            | "character"
            | "characters"
            | "chars"
            | "bytes"
            | "kb"
            | "mb"
            | "ms"
            | "s"
            | "seconds"
            | "minutes"
            | "messages"
            | "items"
            | "images"
            | "pages"
            | "words"
            | "requests"
            | "times"
            | "retries"
    )
}

pub(super) fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// The word that begins at `at`.
pub(super) fn word_at(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or("");
    let end = rest.bytes().position(|b| !is_word(b)).unwrap_or(rest.len());
    rest.get(..end).unwrap_or("")
}

/// The dotted name that begins at `at`.
fn dotted_at(text: &str, at: usize) -> &str {
    let rest = text.get(at..).unwrap_or("");
    let end = rest.bytes().position(|b| !is_word(b) && b != b'.').unwrap_or(rest.len());
    rest.get(..end).unwrap_or("").trim_end_matches('.')
}

/// The exception a stack trace ends with: from its last line that is not indented.
fn last_line(trace: &str) -> &str {
    trace.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with([' ', '\t'])).unwrap_or("")
}

/// The first 4 KiB, cut between characters.
fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(MAX_MESSAGE)).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_status_is_read_where_it_is_called_one() {
        for (message, found) in [
            ("Error code: 429 - {'error': {}}", 429),
            ("429 {\"type\":\"error\"}", 429),
            ("503 status code (no body)", 503),
            ("429 RESOURCE_EXHAUSTED. {}", 429),
            ("status_code: 429, model_name: gpt-4o, body: {}", 429),
            ("Request failed with status code 429", 429),
            ("HTTP/1.1 503 whatever", 503),
            ("HTTP 429 (insufficient_quota: x)", 429),
            ("Client error '429 Too Many Requests' for url 'https://x'", 429),
            ("429 Client Error: Too Many Requests for url: https://x", 429),
            ("POST \"https://api.x.com/v1\": 529 Overloaded status", 0),
            ("POST \"https://api.x.com/v1\": 404 Not Found {}", 404),
            ("[GoogleGenerativeAI Error]: Error fetching from https://x: [429 Too Many Requests] Quota", 429),
            ("(Service: BedrockRuntime, Status Code: 424, Request ID: 1-2)", 424),
            ("API error occurred: Status 422. Body: {}", 422),
            ("model 'x' not found (status code: 404)", 404),
            ("something broke (500)", 500),
            ("RateLimitError: 429 slow down", 429),
            ("litellm.RateLimitError: RateLimitError: OpenAIException - Error code: 429 - x", 429),
            ("{\"error\":{\"code\":429,\"message\":\"x\"}}", 429),
            ("AnthropicRateLimitError(\"Error code: 429 - {'type': 'error'}\")Traceback (most recent call last):\n File", 429),
        ] {
            assert_eq!(mine(message).status.unwrap_or(0), found, "{message}");
        }
    }

    #[test]
    fn a_bare_number_is_no_status() {
        for message in [
            "",
            "I got a rate limit 429",
            "user 429 not found",
            "500 tokens are too many",
            "used 429 of 500",
            "limit: 500 requests",
            "id 4291",
            "429abc",
            "v4.500",
            "error: 500 tokens",
            "code 200",
            "costs $429",
            "1,500 chars",
            "at 12:500",
            "https://localhost:500/x",
        ] {
            assert_eq!(mine(message).status, None, "{message}");
        }
    }

    #[test]
    fn codes_come_best_first() {
        let mined = mine(
            "Error code: 429 - {'error': {'type': 'tokens', 'status': 'X', 'code': 'rate_limit_exceeded', 'details': {'error_code': 'spend'}}}",
        );
        assert_eq!(mined.codes, ["spend", "rate_limit_exceeded", "tokens", "X"]);
        assert_eq!(mine("HTTP 429 (insufficient_quota: insufficient_quota)\n\nYou").codes, ["insufficient_quota"]);
        assert_eq!(mine("{\"__type\": \"com.amazon.coral#ThrottlingException\"}").codes, ["ThrottlingException"]);
        assert_eq!(mine("{\"object\":\"error\",\"code\":\"1300\"}").codes, ["1300"]);
        assert_eq!(mine("{\"code\":3505}").codes, ["3505"]);
        assert_eq!(mine("{'originalStatusCode': 503}").original_status, Some(503));
    }

    #[test]
    fn names_are_found_in_front_and_inside() {
        assert_eq!(
            mine("litellm.RateLimitError: RateLimitError: OpenAIException - no").names,
            ["litellm.RateLimitError", "RateLimitError", "OpenAIException"]
        );
        assert_eq!(mine("RateLimitError").names, ["RateLimitError"]);
        assert_eq!(mine("litellm.Timeout: too late").names, ["litellm.Timeout"]);
        assert_eq!(
            mine("An error occurred (ThrottlingException) when calling the Converse operation (reached max retries: 4): Too").names,
            ["ThrottlingException"]
        );
        assert_eq!(mine("operation error: RequestID: 1, ThrottlingException: slow").names, ["ThrottlingException"]);
        assert!(mine("Error: it broke").names.iter().all(|n| n == "Error"));
        assert!(mine("an error occurred").names.is_empty());
        assert_eq!(
            mine("Traceback (most recent call last):\n  File \"x\"\nopenai.RateLimitError: Error code: 429").names,
            ["openai.RateLimitError"]
        );
    }

    #[test]
    fn grpc_names_are_found() {
        for message in [
            "<_InactiveRpcError of RPC that terminated with:\n\tstatus = StatusCode.UNAVAILABLE\n\tdetails = \"x\"",
            "rpc error: code = Unavailable desc = x",
            "503 UNAVAILABLE. {}",
            "UNAVAILABLE: io exception",
            "io.grpc.StatusRuntimeException: UNAVAILABLE: io exception",
            "got status: UNAVAILABLE. {}",
        ] {
            assert_eq!(mine(message).grpc, GrpcCode::from_number(14), "{message}");
        }
        for message in ["status = ok", "code = 5", "THE SERVER", "Unavailable"] {
            assert_eq!(mine(message).grpc, None, "{message}");
        }
    }

    #[test]
    fn a_long_message_is_cut_between_characters() {
        let long = "é".repeat(5000);
        assert_eq!(head(&long).len(), MAX_MESSAGE);
        assert_eq!(head(&format!("a{long}")).len(), MAX_MESSAGE - 1);
        assert!(!mine(&format!("{}{}", "x".repeat(MAX_MESSAGE), "overloaded")).text.contains("overloaded"));
    }

    proptest! {
        #[test]
        fn any_text_is_mined(
            text in any::<String>(),
            odd in "(Error|Exception|429|503|code|content|\\\\|'|\"|[{}\\[\\]():=., é_a]|StatusCode\\.|An error occurred \\(|Traceback \\(most recent call last\\)){0,60}",
        ) {
            let _ = (mine(&text), mine(&odd));
        }
    }
}
