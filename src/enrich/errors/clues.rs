//! Brings the evidence of a span into the terms the rules speak of.
//!
//! One attribute can be three things: `error.type` is a status, a code or an exception, by its looks. Messages repeat one
//! another and hold statuses and codes of their own. After this there is one status, a list of codes, a list of names, one text.

use super::grpc::GrpcCode;
use super::message::{self, Mined};
use super::{Evidence, codes};
use crate::enrich::number::failed_status;

/// What is known about a failure.
#[derive(Default)]
pub(super) struct Clues {
    /// The HTTP status, 400 to 599. A 200 says nothing: the answer broke after it was sent.
    pub(super) status: Option<u16>,
    /// The statuses that the messages and the error objects in them speak of.
    inner: Vec<u16>,
    /// The status a gateway was given.
    pub(super) original_status: Option<u16>,
    /// Provider codes, best first.
    pub(super) codes: Vec<String>,
    /// Exception names, best first.
    pub(super) names: Vec<String>,
    /// The gRPC status.
    pub(super) grpc: Option<GrpcCode>,
    /// All messages in lower case, without echoes of the request.
    pub(super) text: String,
}

impl Clues {
    pub(super) fn gather(evidence: &Evidence<'_>) -> Clues {
        let mut clues = Clues { grpc: evidence.grpc, ..Clues::default() };
        let code_status = clues.code(evidence.error_code.as_deref());
        clues.name(evidence.exception_type);
        let type_status = clues.either(evidence.error_type.as_deref());
        clues.name(evidence.error_class);
        for mined in mined(evidence) {
            clues.add(mined);
        }
        let fails = |status: Option<u16>| status.filter(|s| (400..600).contains(s));
        let stated =
            [fails(evidence.error_http_status), fails(evidence.http_status), code_status, fails(evidence.other_status), type_status];
        clues.status = stated.into_iter().flatten().next().or(clues.status);
        clues
    }

    /// The provider codes that the table knows.
    pub(super) fn known_codes(&self) -> impl Iterator<Item = codes::Code> {
        self.codes.iter().filter_map(|c| codes::lookup(c))
    }

    /// The statuses inside messages: behind a gateway, the provider's own.
    pub(super) fn inner_statuses(&self) -> impl Iterator<Item = u16> {
        self.inner.iter().copied()
    }

    /// `error.code`: a status when it has three digits, else a code; networks put their error names there too.
    fn code(&mut self, raw: Option<&str>) -> Option<u16> {
        let raw = raw.map(str::trim).filter(|r| !r.is_empty())?;
        let status = raw.parse().ok().and_then(failed_status);
        if status.is_none() {
            self.codes.push(raw.to_owned());
            self.names.push(raw.to_owned());
        }
        status
    }

    /// `error.type`: a status, a code or an exception.
    fn either(&mut self, raw: Option<&str>) -> Option<u16> {
        let raw = raw.map(str::trim).filter(|r| !r.is_empty())?;
        let status = raw.parse().ok().and_then(failed_status);
        if status.is_none() {
            self.name(Some(raw));
        }
        status
    }

    /// An exception name, unless it looks like a code. Codes stand in `error.type` more often than in `error.code`.
    fn name(&mut self, raw: Option<&str>) {
        let Some(raw) = raw.map(str::trim).filter(|r| !r.is_empty()) else { return };
        if codes::lookup(raw).is_some() || raw.contains('_') && raw.bytes().any(|b| b.is_ascii_lowercase()) && !raw.contains('.') {
            self.codes.push(raw.to_owned());
        }
        self.names.push(raw.to_owned());
    }

    fn add(&mut self, mined: Mined) {
        self.status = self.status.or(mined.status);
        self.inner.extend(mined.status);
        self.inner.extend(mined.body_status);
        self.original_status = self.original_status.or(mined.original_status);
        self.grpc = self.grpc.or(mined.grpc);
        self.names.extend(mined.names);
        // AWS names its exceptions in the body.
        self.names.extend(mined.codes.iter().filter(|c| c.starts_with(|c: char| c.is_ascii_uppercase())).cloned());
        self.codes.extend(mined.codes);
        // Markers are looked for one by one, so the text stays short: the best message and what adds to a short one.
        if self.text.len() < message::MAX_MESSAGE {
            self.text.push_str(&mined.text);
            self.text.push('\n');
        }
    }
}

/// The messages that differ, mined.
fn mined<'e>(evidence: &'e Evidence<'_>) -> impl Iterator<Item = Mined> + 'e {
    let messages = evidence.messages();
    (0..messages.len()).filter_map(move |at| {
        let message = messages.get(at).copied().flatten()?;
        let repeated = messages.iter().take(at).flatten().any(|earlier| *earlier == message);
        (!repeated && !message.trim().is_empty()).then(|| message::mine(message))
    })
}
