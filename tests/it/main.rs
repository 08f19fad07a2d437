//! Every integration test, in one binary: linking costs more than running.

mod check;
mod corpus;
mod enrich;
mod hostile;
mod keep_class;
mod lifecycle;
mod map;
mod otlp;
mod outage;
mod passthrough;
mod support;
