//! Where a command's config comes from.

use crate::cli::Failure;
use crate::config::{self, File, Loaded, Sources};
use crate::pipeline::Plan;
use std::path::{Path, PathBuf};

/// The flags that name a config.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct Source {
    /// Config file (YAML). Without one: OTLP on loopback, default policies, `OTEL_EXPORTER_OTLP_*` or standard output.
    #[arg(long, short, env = "TOLLGATE_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Set one key: `--set processors.tail_sampling.decision_wait=10s`. May be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

impl Source {
    /// Reads and checks the config.
    pub(crate) fn load(&self) -> Result<Loaded<File>, Failure> {
        let sources = match &self.config {
            Some(path) => Sources::file(path),
            None => Sources::default(),
        };
        let sources = sources.with_overrides(&self.set);
        config::load_file(sources, |name| std::env::var(name).ok()).map_err(|problems| Failure::Usage(problems.to_string()))
    }

    /// Files that a config names are relative to the config.
    pub(crate) fn base(&self) -> &Path {
        self.config.as_deref().and_then(Path::parent).unwrap_or(Path::new(""))
    }

    /// Reads the config and compiles its processors; every problem of either is reported.
    pub(crate) fn plan(&self) -> Result<(Loaded<File>, Plan), Failure> {
        let loaded = self.load()?;
        match Plan::compile(&loaded.value.processors, self.base()) {
            Ok(plan) => Ok((loaded, plan)),
            Err(errors) => {
                let problems = errors.into_iter().map(|e| loaded.problem(&e.path, e.message));
                Err(Failure::Usage(config::Problems::from_iter(problems).to_string()))
            }
        }
    }
}
