//! Every integration test, in one binary: linking costs more than running.

mod corpus;
mod hostile;
mod keep_class;
mod enrich;
mod map;
mod otlp;
mod outage;
mod passthrough;
mod support;
