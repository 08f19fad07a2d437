//! Every integration test, in one binary: linking costs more than running.

mod admin;
mod canary;
mod chain;
mod check;
mod commands;
mod corpus;
mod deploy;
mod docs;
mod enrich;
mod example;
mod hostile;
mod keep_class;
mod lifecycle;
mod map;
mod otlp;
mod outage;
mod overload;
mod page;
mod passthrough;
mod reload;
mod sampling;
mod settings;
mod support;
