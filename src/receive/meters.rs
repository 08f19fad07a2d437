//! What the receivers count: `tollgate_receive_*`.

use crate::otlp::signal::Signal;
use crate::receive::refusal::Refusal;
use crate::telemetry::metrics::Metrics;
use metrics::{Counter, Gauge};

/// How traffic arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    Grpc,
    Http,
}

impl Transport {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Transport::Grpc => "grpc",
            Transport::Http => "http",
        }
    }
}

/// The handles of one transport, made once.
pub(super) struct Meters {
    pub(super) transport: Transport,
    metrics: Metrics,
    spans: PerOutcome,
    requests: [PerOutcome; 3],
    /// Bytes of bodies, as they came over the wire.
    pub(super) bytes: Counter,
    /// Open connections.
    pub(super) connections: Gauge,
    /// 1 where the listener speaks TLS.
    pub(super) tls: Gauge,
}

/// Accepted; to be sent again; never to be sent again.
struct PerOutcome {
    accepted: Counter,
    refused: Counter,
    rejected: Counter,
}

impl PerOutcome {
    fn new(mut counter: impl FnMut(&'static str) -> Counter) -> PerOutcome {
        PerOutcome { accepted: counter("accepted"), refused: counter("refused"), rejected: counter("rejected") }
    }
}

impl Meters {
    pub(super) fn new(metrics: &Metrics, transport: Transport) -> Meters {
        let label = ("transport", transport.as_str());
        let spans = |outcome| {
            let help =
                "Spans by what became of them at the door: accepted, refused for now (where the request was read), rejected for good";
            metrics.counter("tollgate_receive_spans_total", help, &[label, ("outcome", outcome)])
        };
        let requests = |signal: Signal| {
            PerOutcome::new(|outcome| {
                let labels = [label, ("signal", signal.as_str()), ("outcome", outcome)];
                metrics.counter("tollgate_receive_requests_total", "Export requests by what became of them at the door", &labels)
            })
        };
        Meters {
            transport,
            metrics: metrics.clone(),
            spans: PerOutcome::new(spans),
            requests: Signal::ALL.map(requests),
            bytes: metrics.counter("tollgate_receive_bytes_total", "Bytes of request bodies, as they came over the wire", &[label]),
            connections: metrics.gauge("tollgate_receive_connections", "Open connections", &[label]),
            tls: metrics.gauge("tollgate_receive_listener_tls", "1 where the listener speaks TLS, 0 where it is plain text", &[label]),
        }
    }

    /// A request was taken over, `rejected` items of it left out.
    pub(super) fn accepted(&self, signal: Signal, items: u64, rejected: u64) {
        self.requests(signal).accepted.increment(1);
        if signal == Signal::Traces {
            self.spans.accepted.increment(items);
            self.spans.rejected.increment(rejected);
        }
    }

    /// `items` of a request that had been read must be sent again.
    pub(super) fn items_refused(&self, signal: Signal, items: u64) {
        if signal == Signal::Traces {
            self.spans.refused.increment(items);
        }
    }

    /// A request was refused. `None`: it is not known what it carried.
    pub(super) fn refused(&self, signal: Option<Signal>, refusal: &Refusal) {
        if let Some(signal) = signal {
            let requests = self.requests(signal);
            let outcome = if refusal.retry_after().is_some() { &requests.refused } else { &requests.rejected };
            outcome.increment(1);
        }
        let reason = refusal.reason();
        self.refusal(reason);
        let signal = signal.map(Signal::as_str);
        tracing::debug!(target: "receive", transport = self.transport.as_str(), signal, reason, %refusal, "request refused");
    }

    /// A connection was closed before it could send anything.
    pub(super) fn connection_refused(&self, reason: &'static str) {
        self.refusal(reason);
    }

    fn refusal(&self, reason: &'static str) {
        // Looked up rather than kept: the words for "not now" are the pipeline's, and refusing is not the common path.
        let help = "Requests and connections that were not taken, by reason";
        self.metrics
            .counter("tollgate_receive_refusals_total", help, &[("transport", self.transport.as_str()), ("reason", reason)])
            .increment(1);
    }

    fn requests(&self, signal: Signal) -> &PerOutcome {
        let [traces, logs, metrics] = &self.requests;
        match signal {
            Signal::Traces => traces,
            Signal::Logs => logs,
            Signal::Metrics => metrics,
        }
    }
}
