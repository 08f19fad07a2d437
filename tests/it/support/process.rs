//! The real binary.

use crate::support::client::Client;
use crate::support::stage::PORTS;
use crate::support::until_sync;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::io::{Read, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use tempfile::TempDir;

fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tollgate"));
    // What the machine's own environment says is no part of a test.
    for name in ["RUST_LOG", "TOLLGATE_CONFIG", "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"] {
        command.env_remove(name);
    }
    command
}

/// What a command printed, and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) status: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// Runs a command to its end.
pub(crate) fn tollgate<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>, input: &[u8]) -> Ran {
    let mut child =
        command().args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // From a thread of its own: a command may write before it has read everything.
    let writer = std::thread::spawn(move || stdin.write_all(&input));
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let _ = writer.join();
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran { status: status.code().unwrap_or(-1), out: text(stdout), err: text(stderr) }
}

/// `tollgate run` with a config file.
pub(crate) struct Process {
    child: Child,
    folder: TempDir,
    out: Arc<Mutex<Vec<u8>>>,
    err: Arc<Mutex<Vec<u8>>>,
    /// Threads that read what it prints; they end behind its last word.
    readers: Vec<JoinHandle<()>>,
    pub(crate) client: Client,
    pub(crate) admin: SocketAddr,
}

fn collect(mut from: impl Read + Send + 'static) -> (Arc<Mutex<Vec<u8>>>, JoinHandle<()>) {
    let collected = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&collected);
    let reader = std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(read @ 1..) = from.read(&mut buffer) {
            into.lock().expect("no panic under this lock").extend_from_slice(&buffer[..read]);
        }
    });
    (collected, reader)
}

fn read(text: &Arc<Mutex<Vec<u8>>>) -> String {
    String::from_utf8_lossy(&text.lock().expect("no panic under this lock")).into_owned()
}

impl Process {
    /// Starts it on free ports and waits until it listens.
    pub(crate) async fn start(config: &str, flags: &[&str]) -> Process {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("config.yaml"), text(config)).expect("it can be written");
        let mut child = command()
            .arg("run")
            .arg("--config")
            .arg(folder.path().join("config.yaml"))
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let (out, out_reader) = collect(child.stdout.take().expect("a pipe"));
        let (err, err_reader) = collect(child.stderr.take().expect("a pipe"));
        let listening = || {
            let lines = read(&err);
            let line =
                lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).find(|line| line.get("admin").is_some())?;
            let address = |key: &str| line[key].as_str().and_then(|address| address.parse::<SocketAddr>().ok());
            Some((address("grpc")?, address("http")?, address("admin")?))
        };
        until_sync("the process listens", || listening().is_some()).await;
        let (grpc, http, admin) = listening().expect("it listens");
        Process { child, folder, out, err, readers: vec![out_reader, err_reader], client: Client::new(grpc, http), admin }
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.folder.path().join("config.yaml")
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the config file as editors do: written beside it, then renamed over it.
    pub(crate) fn write_config(&self, config: &str) {
        let new = self.folder.path().join("new.yaml");
        std::fs::write(&new, text(config)).expect("it can be written");
        std::fs::rename(new, self.config()).expect("it can be renamed");
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).expect("it runs");
    }

    pub(crate) fn out(&self) -> String {
        read(&self.out)
    }

    /// Its log.
    pub(crate) fn err(&self) -> String {
        read(&self.err)
    }

    /// Waits for its end; the exit status, -1 where a signal ended it.
    pub(crate) async fn ended(&mut self) -> i32 {
        let mut status = None;
        let child = &mut self.child;
        until_sync("the process ends", || {
            status = child.try_wait().expect("it can be waited for");
            status.is_some()
        })
        .await;
        for reader in self.readers.drain(..) {
            reader.join().expect("what it printed was read");
        }
        status.and_then(|status| status.code()).unwrap_or(-1)
    }

    pub(crate) async fn page(&self, path: &str) -> (u16, String) {
        crate::support::stage::get(&self.client.web, &format!("http://{}{path}", self.admin)).await
    }

    pub(crate) async fn metric(&self, name: &str) -> f64 {
        crate::support::metrics::sum(&crate::support::metrics::parse(&self.page("/metrics").await.1), name, &[])
    }
}

/// Free ports, where the test names none, and what it adds to them.
fn text(config: &str) -> String {
    PORTS
        .lines()
        .filter(|line| !config.contains(line.split(' ').next().unwrap_or_default()) && !line.is_empty())
        .fold(String::new(), |text, line| text + line + "\n")
        + config
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
