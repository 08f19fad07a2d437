//! OTLP/HTTP: protobuf and JSON, answered in kind.
//!
//! Source: OTLP specification, "OTLP/HTTP"; RFC 9110.

use crate::otlp::json;
use crate::otlp::signal::Signal;
use crate::otlp::wire;
use crate::receive::Intake;
use crate::receive::body::{Pieces, discard};
use crate::receive::config;
use crate::receive::cors::Cors;
use crate::receive::door::{Door, Raw, left_out};
use crate::receive::grpc::answer;
use crate::receive::inflate::Coding;
use crate::receive::listener::Serve;
use crate::receive::refusal::Refusal;
use crate::receive::reply::Reply;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, ALLOW, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, ORIGIN, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use std::sync::Arc;

const NEITHER: &str = "the content type is neither application/x-protobuf nor application/json";

/// The HTTP side of the door.
pub(super) struct HttpService<I> {
    door: Door<I>,
    paths: [(Signal, String); 3],
    cors: Cors,
}

/// How a body is written, and so how it is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    Protobuf,
    Json,
}

impl Form {
    fn of(headers: &HeaderMap) -> Option<Form> {
        let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        let essence = value.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-protobuf") {
            Some(Form::Protobuf)
        } else {
            essence.eq_ignore_ascii_case("application/json").then_some(Form::Json)
        }
    }

    const fn content_type(self) -> HeaderValue {
        match self {
            Form::Protobuf => HeaderValue::from_static("application/x-protobuf"),
            Form::Json => HeaderValue::from_static("application/json"),
        }
    }
}

impl<I: Intake> HttpService<I> {
    pub(super) fn new(door: Door<I>, settings: &config::Http) -> HttpService<I> {
        let paths = Signal::ALL.map(|signal| (signal, settings.path(signal).to_owned()));
        HttpService { door, paths, cors: Cors::new(&settings.cors) }
    }

    /// The answer to a request, without what CORS adds.
    async fn answer(&self, request: Request<Incoming>) -> Response<Reply> {
        let (parts, body) = request.into_parts();
        let form = Form::of(&parts.headers);
        let signal = self.paths.iter().find(|(_, path)| path == parts.uri.path()).map(|(signal, _)| *signal);
        // Only a sender on HTTP/1 that did not wait to be asked for its body is writing it whatever the answer is.
        let is_writing = parts.version < Version::HTTP_2 && !parts.headers.contains_key(EXPECT);
        let settle = |body| {
            if is_writing {
                discard(body)
            }
        };
        let Some(signal) = signal else {
            settle(body);
            return self.refuse(None, form, &Refusal::NotFound);
        };
        if self.cors.is_preflight(&parts.method, &parts.headers) {
            let mut response = Response::new(Reply::default());
            *response.status_mut() = StatusCode::NO_CONTENT;
            return response;
        }
        if parts.method != Method::POST {
            settle(body);
            return self.refuse(Some(signal), form, &Refusal::Method);
        }
        let mut pieces = self.door.pieces(body);
        match self.export(signal, form, &parts.headers, &mut pieces).await {
            Ok(rejected) => {
                let (body, form) = match form {
                    Some(Form::Json) => (Bytes::from(json::response(rejected as i64, &left_out(rejected), signal)), Form::Json),
                    _ => (Bytes::from(answer(rejected)), Form::Protobuf),
                };
                reply(StatusCode::OK, form.content_type(), body)
            }
            Err(refusal) => {
                settle(pieces.into_rest());
                self.refuse(Some(signal), form, &refusal)
            }
        }
    }

    async fn export(&self, signal: Signal, form: Option<Form>, headers: &HeaderMap, pieces: &mut Pieces<'_>) -> Result<u64, Refusal> {
        let door = &self.door;
        door.check_sender(headers)?;
        let form = form.ok_or(Refusal::ContentType(NEITHER))?;
        let coding = Coding::of(headers, CONTENT_ENCODING.as_str())?;
        door.check_pressure()?;
        let declared = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()).map(|length| length.parse::<u64>());
        let (bytes, charge) = match declared {
            Some(length) => {
                // The server has checked that it is a number; one that does not fit is too large.
                let length = length.ok().and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
                let charge = door.charge(length)?;
                (door.read_exactly(pieces, &mut Bytes::new(), length).await?, charge)
            }
            None => {
                let mut charge = door.charge(0)?;
                (door.read_all(pieces, &mut charge).await?, charge)
            }
        };
        door.admit(signal, Raw { bytes, charge, coding, json: form == Form::Json }).await
    }

    fn refuse(&self, signal: Option<Signal>, form: Option<Form>, refusal: &Refusal) -> Response<Reply> {
        self.door.meters.refused(signal, refusal);
        let (code, message) = (refusal.code() as i32, refusal.to_string());
        let mut response = match form {
            Some(Form::Json) => reply(refusal.http(), Form::Json.content_type(), json::status(code, &message)),
            Some(Form::Protobuf) => {
                // google.rpc.Status { 1 code, 2 message }
                let mut status = vec![1 << 3];
                wire::put_varint(&mut status, code as u64);
                wire::put_bytes(&mut status, 2, message.as_bytes());
                reply(refusal.http(), Form::Protobuf.content_type(), status)
            }
            None => reply(refusal.http(), HeaderValue::from_static("text/plain"), message + "\n"),
        };
        let headers = response.headers_mut();
        match refusal {
            Refusal::Busy { retry_after, .. } => {
                let seconds = retry_after.as_secs() + u64::from(retry_after.subsec_nanos() > 0);
                headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
            }
            Refusal::Unauthenticated => drop(headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"))),
            Refusal::Encoding => drop(headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, zstd"))),
            Refusal::Method => {
                let allowed = if self.cors.is_on() { "POST, OPTIONS" } else { "POST" };
                headers.insert(ALLOW, HeaderValue::from_static(allowed));
            }
            _ => {}
        }
        response
    }
}

impl<I: Intake> Serve for HttpService<I> {
    async fn serve(self: Arc<Self>, request: Request<Incoming>) -> Response<Reply> {
        if !self.cors.is_on() {
            return self.answer(request).await;
        }
        let asked = request.headers().clone();
        let is_preflight = self.cors.is_preflight(request.method(), &asked);
        let mut response = self.answer(request).await;
        self.cors.allow(asked.get(ORIGIN), response.headers_mut());
        if is_preflight && response.status() == StatusCode::NO_CONTENT {
            self.cors.permit(&asked, response.headers_mut());
        }
        response
    }

    fn meters(&self) -> &crate::receive::meters::Meters {
        &self.door.meters
    }
}

fn reply(status: StatusCode, content_type: HeaderValue, body: impl Into<Bytes>) -> Response<Reply> {
    let mut response = Response::new(Reply::bytes(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
