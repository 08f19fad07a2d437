//! Every integration test, in one binary: linking costs more than running.

mod corpus;
mod docs;
mod enrich;
mod example;
mod map;
mod otlp;
mod settings;
