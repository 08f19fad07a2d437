//! Every integration test, in one binary: linking costs more than running.

mod corpus;
mod map;
mod otlp;
mod passthrough;
mod support;
