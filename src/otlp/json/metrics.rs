//! Data points: the messages of `metrics.proto`, and the request that carries them.

use super::message::{message, named};
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};

message! {
    ExportMetricsServiceRequest {
        "resourceMetrics": messages resource_metrics,
    }
}

message! {
    ResourceMetrics {
        "resource": message resource,
        "scopeMetrics": messages scope_metrics,
        "schemaUrl": string schema_url,
    }
}

message! {
    ScopeMetrics {
        "scope": message scope,
        "metrics": messages metrics,
        "schemaUrl": string schema_url,
    }
}

message! {
    Metric {
        "name": string name,
        "description": string description,
        "unit": string unit,
        "metadata": messages metadata,
    }
    one_of data {
        "gauge": message Data::Gauge,
        "sum": message Data::Sum,
        "histogram": message Data::Histogram,
        "exponentialHistogram": message Data::ExponentialHistogram,
        "summary": message Data::Summary,
    }
}

message! {
    Gauge {
        "dataPoints": messages data_points,
    }
}

message! {
    Sum {
        "dataPoints": messages data_points,
        "aggregationTemporality": number_of(AggregationTemporality) aggregation_temporality,
        "isMonotonic": bool is_monotonic,
    }
}

message! {
    Histogram {
        "dataPoints": messages data_points,
        "aggregationTemporality": number_of(AggregationTemporality) aggregation_temporality,
    }
}

message! {
    ExponentialHistogram {
        "dataPoints": messages data_points,
        "aggregationTemporality": number_of(AggregationTemporality) aggregation_temporality,
    }
}

message! {
    Summary {
        "dataPoints": messages data_points,
    }
}

message! {
    NumberDataPoint {
        "attributes": messages attributes,
        "startTimeUnixNano": u64 start_time_unix_nano,
        "timeUnixNano": u64 time_unix_nano,
        "exemplars": messages exemplars,
        "flags": u32 flags,
    }
    one_of value {
        "asDouble": f64 number_data_point::Value::AsDouble,
        "asInt": i64 number_data_point::Value::AsInt,
    }
}

message! {
    HistogramDataPoint {
        "attributes": messages attributes,
        "startTimeUnixNano": u64 start_time_unix_nano,
        "timeUnixNano": u64 time_unix_nano,
        "count": u64 count,
        "sum": optional_f64 sum,
        "bucketCounts": u64s bucket_counts,
        "explicitBounds": f64s explicit_bounds,
        "exemplars": messages exemplars,
        "flags": u32 flags,
        "min": optional_f64 min,
        "max": optional_f64 max,
    }
}

message! {
    ExponentialHistogramDataPoint {
        "attributes": messages attributes,
        "startTimeUnixNano": u64 start_time_unix_nano,
        "timeUnixNano": u64 time_unix_nano,
        "count": u64 count,
        "sum": optional_f64 sum,
        "scale": i32 scale,
        "zeroCount": u64 zero_count,
        "positive": message positive,
        "negative": message negative,
        "flags": u32 flags,
        "exemplars": messages exemplars,
        "min": optional_f64 min,
        "max": optional_f64 max,
        "zeroThreshold": f64 zero_threshold,
    }
}

message! {
    Buckets {
        "offset": i32 offset,
        "bucketCounts": u64s bucket_counts,
    }
}

message! {
    SummaryDataPoint {
        "attributes": messages attributes,
        "startTimeUnixNano": u64 start_time_unix_nano,
        "timeUnixNano": u64 time_unix_nano,
        "count": u64 count,
        "sum": f64 sum,
        "quantileValues": messages quantile_values,
        "flags": u32 flags,
    }
}

message! {
    ValueAtQuantile {
        "quantile": f64 quantile,
        "value": f64 value,
    }
}

message! {
    Exemplar {
        "filteredAttributes": messages filtered_attributes,
        "timeUnixNano": u64 time_unix_nano,
        "spanId": span_id span_id,
        "traceId": trace_id trace_id,
    }
    one_of value {
        "asDouble": f64 exemplar::Value::AsDouble,
        "asInt": i64 exemplar::Value::AsInt,
    }
}

named!(AggregationTemporality: "the number or name of an aggregation temporality");
