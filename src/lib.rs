//! Tollgate: the map.
//!
//! Reading order, data order and dependency order are this list: a module uses only modules above it.

pub mod units;

pub mod telemetry;

pub mod otlp;

pub mod receive;

pub mod enrich;

pub mod sample;

pub mod redact;

pub mod forward;

pub mod spend;

pub mod live;

pub mod config;

pub mod pipeline;

pub mod cli;
