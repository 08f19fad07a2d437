//! Tollgate: the map.
//!
//! Reading order, data order and dependency order are this list: a module uses only modules above it.

pub mod units;

pub mod enrich;
