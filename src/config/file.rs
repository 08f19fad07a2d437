//! The whole file: one field per stage.
//!
//! Each stage owns the type of its section, so this type takes them as parameters and only says where they
//! stand.

use super::exporters::{Exporter, Exporters};
use super::load::Findings;
use super::service::Service;
use serde::Deserialize;

/// A config file. `Rx`, `En`, `Re` and `Sa` are the sections of receive, enrich, redact and sample; `Ex` is
/// the enum of exporter types.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    bound(
        deserialize = "Rx: Deserialize<'de> + Default, En: Deserialize<'de> + Default, Re: Deserialize<'de> + Default, Sa: Deserialize<'de> + Default, Ex: Deserialize<'de>"
    )
)]
pub struct File<Rx, En, Re, Sa, Ex> {
    /// Where spans come in.
    pub receivers: Rx,
    /// What is done with them.
    pub processors: Processors<En, Re, Sa>,
    /// Where they go; empty means one chosen from the environment.
    pub exporters: Exporters<Ex>,
    /// The process around it.
    pub service: Service,
}

/// The `processors` section.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(
    deny_unknown_fields,
    default,
    bound(deserialize = "En: Deserialize<'de> + Default, Re: Deserialize<'de> + Default, Sa: Deserialize<'de> + Default")
)]
pub struct Processors<En, Re, Sa> {
    /// What a call used and cost.
    pub enrich: En,
    /// What must not leave.
    pub redaction: Re,
    /// Which traces stay.
    pub tail_sampling: Sa,
}

impl<Rx: Default, En: Default, Re: Default, Sa: Default, Ex> Default for File<Rx, En, Re, Sa, Ex> {
    fn default() -> Self {
        File { receivers: Rx::default(), processors: Processors::default(), exporters: Exporters::default(), service: Service::default() }
    }
}

impl<Rx, En, Re, Sa, Ex> File<Rx, En, Re, Sa, Ex> {
    /// Finds contradictions that no section can see alone. `order` holds the processors that are on, by their
    /// keys, in the order they run.
    pub fn check(&self, order: &[&str], findings: &mut Findings<'_>) {
        let exporters: Vec<&str> = self.exporters.iter().map(|Exporter { id, .. }| id.as_written()).collect();
        self.service.check(order, &exporters, findings);
    }
}
