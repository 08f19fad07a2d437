//! `tollgate check`: validates a config and names every problem in it.

use crate::cli::source::Source;
use crate::cli::{Failure, finish_output};
use crate::config::{print_whole, schema};
use std::io::Write;

/// Flags of `check`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    source: Source,
    /// Print the whole config: what is set once files, `--set` and variables are put together, secrets masked; the default of every key that
    /// is not, except within exporters; and where no exporters are set, those chosen from the environment.
    #[arg(long)]
    print: bool,
    /// Print a JSON Schema of the config instead, for editors.
    #[arg(long, conflicts_with_all = ["print", "set"])]
    schema: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.schema {
        return finish_output(writeln!(std::io::stdout().lock(), "{:#}", schema()));
    }
    let (loaded, plan) = args.source.plan()?;
    for warning in loaded.warnings.iter().map(ToString::to_string).chain(plan.warnings.iter().cloned()) {
        eprintln!("warning: {warning}");
    }
    if args.print {
        print!("{}", print_whole(&loaded.tree, &loaded.value.exporters));
        return Ok(());
    }
    let name = args.source.config.as_ref().map_or_else(|| "the built-in config".to_owned(), |p| p.display().to_string());
    let file = &loaded.value;
    println!("{name}: fine");
    println!("  exporters: {}", file.exporters.0.keys().cloned().collect::<Vec<_>>().join(", "));
    Ok(())
}
