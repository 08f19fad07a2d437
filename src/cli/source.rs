//! Where a command's config comes from.

use crate::cli::Failure;
use crate::config::{File, Loaded, Sources, load_file};
use crate::pipeline::Plan;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The flags that name a config.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Source {
    /// Config file (YAML); without one, the defaults hold and `OTEL_EXPORTER_OTLP_ENDPOINT` names the backend.
    #[arg(long, short, env = "TOLLGATE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set one key, over the file: `--set processors.tail_sampling.decision_wait=10s`; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

impl Source {
    /// Files that a config names are relative to the config.
    pub(crate) fn base(&self) -> &Path {
        self.config.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }

    /// The files that a config was made of: itself, and the price lists it names.
    pub(crate) fn files(&self, file: &File) -> Vec<PathBuf> {
        let prices = file.processors.enrich.prices.files.iter().map(|listed| self.base().join(&listed.path));
        self.config.iter().cloned().chain(prices).collect()
    }

    /// Reads the config and compiles its processors; every problem of either is reported, at its place.
    pub(crate) fn plan(&self) -> Result<(Loaded<File>, Plan), Failure> {
        let mut sources = Sources::new();
        if let Some(path) = &self.config {
            sources = sources.file(path);
        }
        for assignment in &self.set {
            sources = sources.set(assignment);
        }
        let mut plan = None;
        let loaded = load_file(sources, |file, findings| match Plan::compile(&file.processors, self.base()) {
            Ok(compiled) => plan = Some(compiled),
            Err(errors) => errors.into_iter().for_each(|error| findings.problem(&error.path, error.message)),
        });
        let colour = std::io::stderr().is_terminal();
        let loaded = loaded.map_err(|problems| Failure::Usage(problems.render(colour)))?;
        let plan = plan.ok_or_else(|| Failure::Usage("the config does not compile".to_owned()))?;
        Ok((loaded, plan))
    }
}
