//! `service`: what belongs to the process rather than to a stage.
//!
//! The checks here are the ones that keep a slip in the file from opening a door: an admin port reachable
//! from elsewhere without a token, an encryption key that is too short to be one.

use super::load::Findings;
use crate::spend;
use crate::telemetry::logs;
use crate::units::{ByteSize, ListenAddress, Percentage, Secret, SizeOrPercent};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// Shortest journal key, in bytes: those of AES-256.
const SHORTEST_KEY: usize = 32;

/// The `service` section.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Service {
    /// Metrics, health and the live page.
    pub admin: Admin,
    /// Where the spend book is kept; absent (the default) keeps it in memory. Set where a restart must not lose what was spent.
    pub state_directory: Option<PathBuf>,
    /// Who spent what.
    pub spend: spend::Config,
    /// How what was accepted is to be kept on disk; without effect in this version.
    pub journal: Journal,
    /// How much memory the traffic may take.
    pub memory: Memory,
    /// How long a stop may take before what is left is counted as lost. Default 10s; `0s` does not wait.
    #[serde(with = "crate::units::duration")]
    pub shutdown_timeout: Duration,
    /// Tollgate's own logs.
    pub logs: logs::Config,
    /// Accepted for configs that come from a Collector, if it names the order there is anyway.
    pub pipelines: BTreeMap<String, Pipeline>,
}

impl Default for Service {
    fn default() -> Service {
        Service {
            admin: Admin::default(),
            state_directory: None,
            spend: spend::Config::default(),
            journal: Journal::default(),
            memory: Memory::default(),
            shutdown_timeout: Duration::from_secs(10),
            logs: logs::Config::default(),
            pipelines: BTreeMap::new(),
        }
    }
}

/// `service.admin`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Where it listens. Default 127.0.0.1:8888; any other than a loopback address needs `auth`.
    pub endpoint: ListenAddress,
    /// Who may use it.
    pub auth: AdminAuth,
    /// Names, besides those of this machine, that a browser may address it by. Default none: a page from
    /// elsewhere cannot reach it by giving its own name to this address.
    pub allowed_hosts: Vec<String>,
}

impl Default for Admin {
    fn default() -> Admin {
        Admin { endpoint: ListenAddress::loopback(8888), auth: AdminAuth::default(), allowed_hosts: Vec::new() }
    }
}

/// `service.admin.auth`
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdminAuth {
    /// Any one of these is asked for. Default none: whoever reaches the port may read it.
    pub bearer_tokens: Vec<Secret>,
}

/// `service.journal`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Journal {
    /// Encrypts what is on disk; at least 32 bytes. Default none: spans are redacted before they are written.
    pub key: Option<Secret>,
    /// What an answer waits for. Default `fsync`.
    pub sync: JournalSync,
    /// Most it may take on disk; past it senders are told to come back. Default 20GiB.
    pub limit: ByteSize,
}

impl Default for Journal {
    fn default() -> Journal {
        Journal { key: None, sync: JournalSync::default(), limit: ByteSize::gib(20) }
    }
}

/// `service.journal.sync`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JournalSync {
    /// The disk has it: survives a power failure.
    #[default]
    Fsync,
    /// The operating system has it: survives the end of the process.
    Os,
}

/// `service.memory`
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// A size, or a share of the memory of the cgroup or machine. Default 60%; raise it where nothing else
    /// runs beside Tollgate.
    pub limit: SizeOrPercent,
}

impl Default for Memory {
    fn default() -> Memory {
        // Unwrap safety: sixty is between 0 and 100; a test reads it.
        Memory { limit: SizeOrPercent::Percent(Percentage::try_new(60.0).unwrap()) }
    }
}

/// An entry of `service.pipelines`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pipeline {
    /// `[otlp]`
    pub receivers: Vec<String>,
    /// The processors that are on, in the order they run.
    pub processors: Vec<String>,
    /// Every key of `exporters`.
    pub exporters: Vec<String>,
}

impl Service {
    /// Finds contradictions. `order` holds the processors that are on, in the order they run; `exporters`
    /// the keys of that section as written.
    pub fn check(&self, order: &[&str], exporters: &[&str], findings: &mut Findings<'_>) {
        self.check_admin(findings);
        self.check_journal(findings);
        for error in self.spend.check() {
            findings.problem(&format!("service.spend.{}", error.path), error.message);
        }
        match self.memory.limit {
            SizeOrPercent::Size(size) if size < ByteSize::mib(16) => {
                findings.problem("service.memory.limit", format!("{size} is too little to work in; give at least 16MiB"));
            }
            SizeOrPercent::Percent(percent) if percent.get() < 1.0 => {
                findings.problem("service.memory.limit", "less than 1% of the memory is too little to work in");
            }
            _ => {}
        }
        for (name, pipeline) in &self.pipelines {
            check_pipeline(name, pipeline, order, exporters, findings);
        }
    }

    fn check_admin(&self, findings: &mut Findings<'_>) {
        let Admin { endpoint, auth, allowed_hosts } = &self.admin;
        if !endpoint.is_loopback() && auth.bearer_tokens.is_empty() {
            let port = endpoint.socket_addr().port();
            let message = format!(
                "other machines can reach {endpoint}, and nothing protects it; set service.admin.auth.bearer_tokens, or listen on 127.0.0.1:{port}"
            );
            findings.problem("service.admin.endpoint", message);
        }
        for (index, token) in auth.bearer_tokens.iter().enumerate() {
            let path = format!("service.admin.auth.bearer_tokens[{index}]");
            if token.expose().trim().is_empty() {
                findings.problem(&path, "an empty token lets everybody in; remove it or give it a value");
            } else if findings.is_literal(&path) {
                findings.warning(&path, "a token in the config is known to all who can read the file; use ${env:…} or ${file:…}");
            }
        }
        for (index, host) in allowed_hosts.iter().enumerate() {
            if host.contains("://") || host.contains('/') || host.is_empty() {
                findings.problem(
                    &format!("service.admin.allowed_hosts[{index}]"),
                    "a host is a name such as tollgate.example.org, without scheme and path",
                );
            }
        }
    }

    fn check_journal(&self, findings: &mut Findings<'_>) {
        let Some(key) = &self.journal.key else {
            if self.journal != Journal::default() {
                findings.warning("service.journal", "has no effect: this version keeps what it holds in memory only");
            }
            return;
        };
        // Refused rather than passed over: whoever sets it counts on nothing being lost.
        findings.problem(
            "service.journal.key",
            "there is no journal in this version: what it holds is in memory; remove the key to accept that",
        );
        if key.len() < SHORTEST_KEY {
            findings.problem("service.journal.key", format!("shorter than {SHORTEST_KEY} bytes; make one with: openssl rand -base64 32"));
        } else if findings.is_literal("service.journal.key") {
            findings.warning("service.journal.key", "a key in the config is known to all who can read the file; use ${file:…}");
        }
    }
}

fn check_pipeline(name: &str, pipeline: &Pipeline, order: &[&str], exporters: &[&str], findings: &mut Findings<'_>) {
    let path = format!("service.pipelines.{name}");
    let signal = name.split('/').next().unwrap_or(name);
    if !matches!(signal, "traces" | "logs" | "metrics") {
        return findings.problem(&path, "a pipeline is called traces, logs or metrics");
    }
    if name.contains('/') {
        return findings.problem(&path, format!("there is one pipeline for {signal}; it has no further name"));
    }
    if pipeline.receivers != ["otlp"] {
        findings.problem(&format!("{path}.receivers"), "there is one receiver; write [otlp]");
    }
    // Metrics pass untouched; log records meet no enrichment.
    let real: Vec<&str> = match signal {
        "traces" => order.to_vec(),
        "logs" => order.iter().copied().filter(|processor| *processor != "enrich").collect(),
        _ => Vec::new(),
    };
    if pipeline.processors != real {
        findings.problem(
            &format!("{path}.processors"),
            format!("the order cannot be changed; write [{}], or remove service.pipelines", real.join(", ")),
        );
    }
    let mut named: Vec<&str> = pipeline.exporters.iter().map(String::as_str).collect();
    let mut all = exporters.to_vec();
    named.sort_unstable();
    all.sort_unstable();
    if named != all {
        let message = format!("every exporter gets everything; write [{}], or remove service.pipelines", exporters.join(", "));
        findings.problem(&format!("{path}.exporters"), message);
    }
}
