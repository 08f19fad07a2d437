//! One stage behind another: over TLS with certificates on both sides, and without saying anything twice.

use crate::support::build::{failed, fresh, hex, llm_call, lone, request, span, trace_id};
use crate::support::sink::{Sink, Via};
use crate::support::stage::Stage;
use crate::support::until_sync;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use tollgate::otlp::signal::Signal;

/// Writes an authority, and a certificate it signed for `localhost`, as ca.pem, cert.pem and key.pem.
fn certificates(folder: &Path) {
    let own = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("params");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = params.self_signed(&own).expect("a certificate").pem();
    let issuer = Issuer::new(params, own);
    let key = KeyPair::generate().expect("a key");
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).expect("params").signed_by(&key, &issuer).expect("a certificate");
    for (name, pem) in [("ca.pem", authority), ("cert.pem", leaf.pem()), ("key.pem", key.serialize_pem())] {
        fs::write(folder.join(name), pem).expect("it can be written");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_stages_speak_tls_with_certificates_on_both_sides_and_say_nothing_twice() {
    let (folder, strangers) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    certificates(folder.path());
    certificates(strangers.path());
    let file = |name: &str| folder.path().join(name).display().to_string();
    let sink = Sink::start().await;
    let tls = format!(
        "tls: {{ cert_file: \"{}\", key_file: \"{}\", client_ca_file: \"{}\" }}",
        file("cert.pem"),
        file("key.pem"),
        file("ca.pem")
    );
    let second = Stage::start(&format!(
        "receivers: {{ otlp: {{ protocols: {{ grpc: {{ {tls} }}, http: {{ {tls} }} }}, auth: {{ bearer_tokens: [between-stages] }} }} }}
exporters: {{ otlp_grpc: {{ endpoint: \"{}\", batch: {{ flush_after: 10ms }} }} }}
",
        sink.url()
    ))
    .await;

    let exporter = |kind: &str, port: u16, identity: &Path| {
        let of = |name: &str| identity.join(name).display().to_string();
        format!(
            "{kind}: {{ endpoint: \"https://localhost:{port}\", compression: gzip, headers: {{ authorization: \"Bearer between-stages\" }}, tls: {{ ca_file: \"{}\", cert_file: \"{}\", key_file: \"{}\" }}, batch: {{ flush_after: 10ms }}, retry_on_failure: {{ initial_interval: 50ms, max_interval: 100ms }} }}",
            file("ca.pem"),
            of("cert.pem"),
            of("key.pem")
        )
    };
    for (kind, port) in [("otlp_grpc", second.client.grpc.port()), ("otlp_http", second.client.http.port())] {
        let before = sink.count(Signal::Traces, Via::Grpc);
        let first = Stage::start(&format!("exporters: {{ {} }}\n", exporter(kind, port, folder.path()))).await;
        let (trace, root) = (trace_id(), fresh());
        let spans = vec![failed(llm_call(span(trace, fresh(), Some(root), "chat"), "max_tokens"), "no"), span(trace, root, None, "root")];
        assert_eq!(first.client.export(Signal::Traces, &request(spans)).await.code, 0);
        sink.wait_for(Signal::Traces, Via::Grpc, before + 2).await;
        let arrived: Vec<Span> =
            sink.items(Signal::Traces, Via::Grpc)[before..].iter().map(|i| Span::decode(&i.body[..]).expect("a span")).collect();
        for span in &arrived {
            assert_eq!(hex(&span.trace_id), hex(&trace));
            let keys: Vec<&str> = span.attributes.iter().map(|a| a.key.as_str()).collect();
            assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len(), "a key twice: {keys:?}");
            assert!(span.trace_state.matches("th:").count() <= 1, "{}", span.trace_state);
        }
        let root = arrived.iter().find(|span| span.parent_span_id.is_empty()).expect("the root");
        assert!(root.attributes.iter().any(|a| a.key == "tollgate.sampling.policy"));
        let call = arrived.iter().find(|span| span.name == "chat").expect("the call");
        for key in ["tollgate.cost.total_usd", "tollgate.cost.price_id", "tollgate.truncated", "tollgate.error.class"] {
            assert!(call.attributes.iter().any(|a| a.key == key), "{key}");
        }
        first.finish().await;
    }
    // The call was counted where it came first and where it came last: each stage has books of its own, and neither counts it twice.
    assert_eq!(second.metric("tollgate_llm_calls_total", &[]), 2.0);

    // A certificate of strangers opens nothing; what it was to carry is kept for the day it is replaced.
    let stranger =
        Stage::start(&format!("exporters: {{ {} }}\n", exporter("otlp_grpc", second.client.grpc.port(), strangers.path()))).await;
    let kept = failed(lone("kept"), "no");
    assert_eq!(stranger.client.export(Signal::Traces, &request(vec![kept.clone()])).await.code, 0);
    until_sync("it is refused", || stranger.metric("tollgate_forward_errors_total", &[]) > 0.0).await;
    assert!(!sink.traces().contains(&hex(&kept.trace_id)));
    stranger.reload(&format!("exporters: {{ {} }}\n", exporter("otlp_grpc", second.client.grpc.port(), folder.path()))).await;
    until_sync("it arrives", || sink.traces().contains(&hex(&kept.trace_id))).await;
    stranger.finish().await;
    second.finish().await;
}
