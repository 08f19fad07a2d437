//! `tollgate health`: for container health checks, where there is no shell and no curl.

use crate::cli::Failure;
use std::time::Duration;

/// Flags of `health`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Admin port of the running stage.
    #[arg(long, default_value = "http://127.0.0.1:8888", value_name = "URL")]
    admin: String,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let url = format!("{}/ready", args.admin.trim_end_matches('/'));
    crate::cli::runtime()?.block_on(async {
        let client = crate::cli::local_client(Duration::from_secs(2))?;
        let answer = client.get(&url).send().await.map_err(|_| Failure::Running(format!("nothing answers at {url}")))?;
        let status = answer.status();
        if status.is_success() { Ok(()) } else { Err(Failure::Running(format!("{url} answers {status}"))) }
    })
}
