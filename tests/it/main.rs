//! Every integration test, in one binary: linking costs more than running.

mod corpus;
mod enrich;
mod map;
mod otlp;
