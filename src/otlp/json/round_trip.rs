//! Whatever protobuf can say in a known field, JSON can say too: a request that goes to JSON and back is the same.

use super::*;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint,
    ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use std::fmt::Debug;

/// Up to two, so that nested lists stay small and every length but "many" occurs.
fn few<S: Strategy>(element: S) -> impl Strategy<Value = Vec<S::Value>> {
    vec(element, 0..3)
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), "[a-z.]{1,8}", any::<String>(), "[\\x00-\\x1f\"\\\\/\\u{2028}😀]{0,6}"]
}

fn id(bytes: usize) -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![Just(vec![]), vec(any::<u8>(), bytes)]
}

/// Every double, but of the many that are no number only the one JSON can say.
fn double() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(-0.0), any::<u64>().prop_map(f64::from_bits)]
        .prop_map(|number: f64| if number.is_nan() { f64::NAN } else { number })
}

fn value() -> impl Strategy<Value = AnyValue> {
    let leaf = prop_oneof![
        Just(None),
        text().prop_map(|text| Some(Value::StringValue(text))),
        any::<bool>().prop_map(|truth| Some(Value::BoolValue(truth))),
        any::<i64>().prop_map(|number| Some(Value::IntValue(number))),
        double().prop_map(|number| Some(Value::DoubleValue(number))),
        vec(any::<u8>(), 0..5).prop_map(|bytes| Some(Value::BytesValue(bytes))),
        any::<i32>().prop_map(|index| Some(Value::StringValueStrindex(index))),
    ]
    .prop_map(|value| AnyValue { value });
    leaf.prop_recursive(4, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|values| Value::ArrayValue(ArrayValue { values })),
            vec((text(), option::of(inner)), 0..3).prop_map(|pairs| {
                let values = pairs.into_iter().map(|(key, value)| KeyValue { key, value, key_strindex: 0 }).collect();
                Value::KvlistValue(KeyValueList { values })
            }),
        ]
        .prop_map(|value| AnyValue { value: Some(value) })
    })
}

fn attributes() -> impl Strategy<Value = Vec<KeyValue>> {
    few((text(), option::of(value()), prop_oneof![Just(0), any::<i32>()]).prop_map(|(key, value, key_strindex)| KeyValue {
        key,
        value,
        key_strindex,
    }))
}

fn resource() -> impl Strategy<Value = Option<Resource>> {
    let entity = (text(), text(), few(text()), few(text())).prop_map(|(schema_url, r#type, id_keys, description_keys)| EntityRef {
        schema_url,
        r#type,
        id_keys,
        description_keys,
    });
    option::of((attributes(), any::<u32>(), few(entity)).prop_map(|(attributes, dropped_attributes_count, entity_refs)| Resource {
        attributes,
        dropped_attributes_count,
        entity_refs,
    }))
}

fn scope() -> impl Strategy<Value = Option<InstrumentationScope>> {
    option::of((text(), text(), attributes(), any::<u32>()).prop_map(|(name, version, attributes, dropped_attributes_count)| {
        InstrumentationScope { name, version, attributes, dropped_attributes_count }
    }))
}

fn span() -> impl Strategy<Value = Span> {
    let event =
        (any::<u64>(), text(), attributes(), any::<u32>()).prop_map(|(time_unix_nano, name, attributes, dropped_attributes_count)| Event {
            time_unix_nano,
            name,
            attributes,
            dropped_attributes_count,
        });
    let link = (id(16), id(8), text(), attributes(), any::<u32>(), any::<u32>()).prop_map(
        |(trace_id, span_id, trace_state, attributes, dropped_attributes_count, flags)| Link {
            trace_id,
            span_id,
            trace_state,
            attributes,
            dropped_attributes_count,
            flags,
        },
    );
    let status = option::of((text(), any::<i32>()).prop_map(|(message, code)| Status { message, code }));
    let head = (id(16), id(8), text(), id(8), any::<u32>(), text(), any::<i32>(), any::<u64>(), any::<u64>());
    let rest = (attributes(), any::<u32>(), few(event), any::<u32>(), few(link), any::<u32>(), status);
    (head, rest).prop_map(|(head, rest)| {
        let (trace_id, span_id, trace_state, parent_span_id, flags, name, kind, start_time_unix_nano, end_time_unix_nano) = head;
        let (attributes, dropped_attributes_count, events, dropped_events_count, links, dropped_links_count, status) = rest;
        Span {
            trace_id,
            span_id,
            trace_state,
            parent_span_id,
            flags,
            name,
            kind,
            start_time_unix_nano,
            end_time_unix_nano,
            attributes,
            dropped_attributes_count,
            events,
            dropped_events_count,
            links,
            dropped_links_count,
            status,
        }
    })
}

fn traces() -> impl Strategy<Value = ExportTraceServiceRequest> {
    let scoped = (scope(), few(span()), text()).prop_map(|(scope, spans, schema_url)| ScopeSpans { scope, spans, schema_url });
    few((resource(), few(scoped), text()).prop_map(|(resource, scope_spans, schema_url)| ResourceSpans {
        resource,
        scope_spans,
        schema_url,
    }))
    .prop_map(|resource_spans| ExportTraceServiceRequest { resource_spans })
}

fn logs() -> impl Strategy<Value = ExportLogsServiceRequest> {
    let record = (
        (any::<u64>(), any::<u64>(), any::<i32>(), text(), option::of(value()), attributes()),
        (any::<u32>(), any::<u32>(), id(16), id(8), text()),
    )
        .prop_map(|(head, rest)| {
            let (time_unix_nano, observed_time_unix_nano, severity_number, severity_text, body, attributes) = head;
            let (dropped_attributes_count, flags, trace_id, span_id, event_name) = rest;
            LogRecord {
                time_unix_nano,
                observed_time_unix_nano,
                severity_number,
                severity_text,
                body,
                attributes,
                dropped_attributes_count,
                flags,
                trace_id,
                span_id,
                event_name,
            }
        });
    let scoped = (scope(), few(record), text()).prop_map(|(scope, log_records, schema_url)| ScopeLogs { scope, log_records, schema_url });
    few((resource(), few(scoped), text()).prop_map(|(resource, scope_logs, schema_url)| ResourceLogs { resource, scope_logs, schema_url }))
        .prop_map(|resource_logs| ExportLogsServiceRequest { resource_logs })
}

fn exemplars() -> impl Strategy<Value = Vec<Exemplar>> {
    let value = option::of(prop_oneof![double().prop_map(exemplar::Value::AsDouble), any::<i64>().prop_map(exemplar::Value::AsInt)]);
    few((attributes(), any::<u64>(), id(8), id(16), value).prop_map(|(filtered_attributes, time_unix_nano, span_id, trace_id, value)| {
        Exemplar { filtered_attributes, time_unix_nano, span_id, trace_id, value }
    }))
}

fn numbers() -> impl Strategy<Value = Vec<NumberDataPoint>> {
    let value = option::of(prop_oneof![
        double().prop_map(number_data_point::Value::AsDouble),
        any::<i64>().prop_map(number_data_point::Value::AsInt)
    ]);
    few((attributes(), any::<u64>(), any::<u64>(), exemplars(), any::<u32>(), value).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, exemplars, flags, value)| NumberDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            exemplars,
            flags,
            value,
        },
    ))
}

fn histograms() -> impl Strategy<Value = Vec<HistogramDataPoint>> {
    let head = (attributes(), any::<u64>(), any::<u64>(), any::<u64>(), option::of(double()), few(any::<u64>()));
    let rest = (few(double()), exemplars(), any::<u32>(), option::of(double()), option::of(double()));
    few((head, rest).prop_map(|(head, rest)| {
        let (attributes, start_time_unix_nano, time_unix_nano, count, sum, bucket_counts) = head;
        let (explicit_bounds, exemplars, flags, min, max) = rest;
        HistogramDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            count,
            sum,
            bucket_counts,
            explicit_bounds,
            exemplars,
            flags,
            min,
            max,
        }
    }))
}

fn exponential_histograms() -> impl Strategy<Value = Vec<ExponentialHistogramDataPoint>> {
    let buckets = || option::of((any::<i32>(), few(any::<u64>())).prop_map(|(offset, bucket_counts)| Buckets { offset, bucket_counts }));
    let head = (attributes(), any::<u64>(), any::<u64>(), any::<u64>(), option::of(double()), any::<i32>(), any::<u64>());
    let rest = (buckets(), buckets(), any::<u32>(), exemplars(), option::of(double()), option::of(double()), double());
    few((head, rest).prop_map(|(head, rest)| {
        let (attributes, start_time_unix_nano, time_unix_nano, count, sum, scale, zero_count) = head;
        let (positive, negative, flags, exemplars, min, max, zero_threshold) = rest;
        ExponentialHistogramDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            count,
            sum,
            scale,
            zero_count,
            positive,
            negative,
            flags,
            exemplars,
            min,
            max,
            zero_threshold,
        }
    }))
}

fn summaries() -> impl Strategy<Value = Vec<SummaryDataPoint>> {
    let quantile = (double(), double()).prop_map(|(quantile, value)| ValueAtQuantile { quantile, value });
    few((attributes(), any::<u64>(), any::<u64>(), any::<u64>(), double(), few(quantile), any::<u32>()).prop_map(
        |(attributes, start_time_unix_nano, time_unix_nano, count, sum, quantile_values, flags)| SummaryDataPoint {
            attributes,
            start_time_unix_nano,
            time_unix_nano,
            count,
            sum,
            quantile_values,
            flags,
        },
    ))
}

fn metrics() -> impl Strategy<Value = ExportMetricsServiceRequest> {
    let data = option::of(prop_oneof![
        numbers().prop_map(|data_points| Data::Gauge(Gauge { data_points })),
        (numbers(), any::<i32>(), any::<bool>()).prop_map(|(data_points, aggregation_temporality, is_monotonic)| {
            Data::Sum(Sum { data_points, aggregation_temporality, is_monotonic })
        }),
        (histograms(), any::<i32>())
            .prop_map(|(data_points, aggregation_temporality)| Data::Histogram(Histogram { data_points, aggregation_temporality })),
        (exponential_histograms(), any::<i32>()).prop_map(|(data_points, aggregation_temporality)| {
            Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality })
        }),
        summaries().prop_map(|data_points| Data::Summary(Summary { data_points })),
    ]);
    let metric = (text(), text(), text(), attributes(), data).prop_map(|(name, description, unit, metadata, data)| Metric {
        name,
        description,
        unit,
        metadata,
        data,
    });
    let scoped = (scope(), few(metric), text()).prop_map(|(scope, metrics, schema_url)| ScopeMetrics { scope, metrics, schema_url });
    few((resource(), few(scoped), text()).prop_map(|(resource, scope_metrics, schema_url)| ResourceMetrics {
        resource,
        scope_metrics,
        schema_url,
    }))
    .prop_map(|resource_metrics| ExportMetricsServiceRequest { resource_metrics })
}

/// Compared as bytes, because a NaN in a struct is not even equal to itself.
fn survives<T: prost::Message + Default + Debug>(signal: Signal, request: &T) -> Result<(), TestCaseError> {
    let bytes = request.encode_to_vec();
    let json = from_protobuf(signal, &bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
    prop_assert!(serde_json::from_str::<serde_json::Value>(&json).is_ok(), "not JSON: {json}");
    prop_assert!(!json.contains('\n'));
    let back = to_protobuf(signal, json.as_bytes()).map_err(|error| TestCaseError::fail(format!("{error}: {json}")))?;
    prop_assert_eq!(back, bytes, "{}", json);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn traces_survive_json(request in traces()) {
        survives(Signal::Traces, &request)?;
    }

    #[test]
    fn logs_survive_json(request in logs()) {
        survives(Signal::Logs, &request)?;
    }

    #[test]
    fn metrics_survive_json(request in metrics()) {
        survives(Signal::Metrics, &request)?;
    }
}
