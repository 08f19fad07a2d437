//! `tollgate spend`: the spend book, of a running stage or out of its file.

use crate::cli::{Failure, finish_output};
use crate::spend::{Answer, Query, QueryError, read_file};
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Flags of `spend`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// What to tell apart: service, provider, model, a key of service.spend.keys, and one of minute, hour and day.
    #[arg(long, default_value = "model", value_name = "KEY,…", alias = "group-by")]
    by: String,
    /// How far to look back, from --to. Default 24h.
    #[arg(long, value_name = "DURATION", conflicts_with = "from")]
    since: Option<String>,
    /// The first moment: 2026-11-20, or 2026-11-20T09:30:00Z.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// The moment it ends before. Default now.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// Only what has this value; of several for one key, any.
    #[arg(long = "where", value_name = "KEY=VALUE")]
    filters: Vec<String>,
    /// Most rows; the total is always that of all.
    #[arg(long, value_name = "ROWS")]
    limit: Option<u64>,
    /// How to print it.
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
    /// Read the file in this service.state_directory, instead of asking a running stage.
    #[arg(long, value_name = "FOLDER")]
    state_directory: Option<PathBuf>,
    /// Admin port of the running stage.
    #[arg(long, default_value = "http://127.0.0.1:8888", value_name = "URL")]
    admin: String,
    /// Bearer token, where the admin port asks for one.
    #[arg(long, env = "TOLLGATE_ADMIN_TOKEN", hide_env_values = true)]
    token: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Table,
    Csv,
    Json,
}

impl Args {
    /// The parameters of the question.
    fn parameters(&self) -> Result<Vec<(String, String)>, Failure> {
        let mut parameters = vec![("by".to_owned(), self.by.clone())];
        let limit = self.limit.map(|rows| rows.to_string());
        for (name, value) in [("since", &self.since), ("from", &self.from), ("to", &self.to), ("limit", &limit)] {
            parameters.extend(value.clone().map(|value| (name.to_owned(), value)));
        }
        for filter in &self.filters {
            let Some((key, value)) = filter.split_once('=') else {
                return Err(Failure::Usage(format!("--where \"{filter}\": write KEY=VALUE, such as model=gpt-4o")));
            };
            parameters.push((key.to_owned(), value.to_owned()));
        }
        Ok(parameters)
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let parameters = args.parameters()?;
    let answer = match &args.state_directory {
        Some(folder) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
            let query = |keys: &[String]| Query::parse(parameters.iter().map(|(name, value)| (&**name, &**value)), keys, now);
            read_file(folder, query).map_err(failure)?
        }
        None => crate::cli::runtime()?.block_on(ask(args, &parameters))?,
    };
    let text = match args.format {
        Format::Table => table(&answer),
        Format::Csv => answer.csv(),
        Format::Json => format!("{:#}\n", answer.json()),
    };
    finish_output(std::io::stdout().lock().write_all(text.as_bytes()))
}

fn failure(error: QueryError) -> Failure {
    match error {
        QueryError::Bad(message) => Failure::Usage(message),
        QueryError::Unavailable(message) => Failure::Running(message),
    }
}

async fn ask(args: &Args, parameters: &[(String, String)]) -> Result<Answer, Failure> {
    let url = format!("{}/api/spend", args.admin.trim_end_matches('/'));
    let encode = |text: &str| -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
        text.bytes().map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
    };
    let query: Vec<String> = parameters.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    // A book of years may take a while to add up.
    let mut request = crate::cli::local_client(Duration::from_secs(60))?.get(format!("{url}?{}", query.join("&")));
    if let Some(token) = &args.token {
        request = request.bearer_auth(token);
    }
    let unreachable = |_| {
        let hint = "is the stage running, and is this its admin port? With --state-directory its file is read";
        Failure::Running(format!("nothing answers at {url}: {hint}"))
    };
    let answer = request.send().await.map_err(unreachable)?;
    let (status, text) = (answer.status().as_u16(), answer.text().await.map_err(Failure::running)?);
    let said = || serde_json::from_str::<Value>(&text).ok()?.get("error")?.as_str().map(str::to_owned);
    match status {
        200 => Answer::of_json(&text).map_err(|error| Failure::Running(format!("{url}: {error}"))),
        400 => Err(Failure::Usage(said().unwrap_or_else(|| format!("{url} does not understand the question")))),
        401 => Err(Failure::Running(format!("{url} asks for a token: give --token or TOLLGATE_ADMIN_TOKEN"))),
        _ => Err(Failure::Running(said().unwrap_or_else(|| format!("{url} answers {status} and no spend")))),
    }
}

/// Columns of text, names to the left and numbers to the right. Columns that are 0 throughout are left out, but for calls and money.
fn table(answer: &Answer) -> String {
    let mut lines = answer.table();
    let labels = answer.by.len();
    let mut total = vec![String::new(); labels];
    if let Some(first) = total.first_mut() {
        *first = "total".to_owned();
    }
    total.extend(answer.total_cells());
    lines.push(total);
    let cell = |line: &[String], column: usize| line.get(column).cloned().unwrap_or_default();
    let columns = lines.first().map_or(0, Vec::len);
    let last = columns.saturating_sub(1);
    let tells = |column: &usize| *column <= labels || *column == last || lines.iter().skip(1).any(|line| cell(line, *column) != "0");
    let shown: Vec<usize> = (0..columns).filter(tells).collect();
    let width = |column: usize| lines.iter().map(|line| cell(line, column).chars().count()).max().unwrap_or(0);
    let widths: Vec<(usize, usize)> = shown.iter().map(|column| (*column, width(*column))).collect();
    let mut out = String::new();
    for line in &lines {
        let cells = widths.iter().map(|&(column, width)| {
            let text = cell(line, column);
            if column < labels { format!("{text:<width$}") } else { format!("{text:>width$}") }
        });
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    if answer.left_out > 0 {
        out.push_str(&format!("{} more rows are part of the total; --limit shows more\n", answer.left_out));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_has_its_numbers_to_the_right_and_the_total_last() {
        let amounts = |calls: u64, usd: &str| {
            format!(
                "\"calls\": {calls}, \"failed_calls\": 0, \"unpriced_calls\": 0, \"input_uncached_tokens\": 10, \"cache_read_tokens\": 0, \
                 \"cache_write_tokens\": 0, \"output_tokens\": 5, \"reasoning_tokens\": 0, \"usd\": \"{usd}\""
            )
        };
        let json = format!(
            "{{\"from\": \"2026-11-20T00:00:00Z\", \"to\": \"2026-11-21T00:00:00Z\", \"by\": [\"model\"], \"rows_left_out\": 1, \"rows\": \
             [{{\"model\": \"gpt-4o-mini\", {}}}, {{\"model\": null, {}}}], \"total\": {{{}}}}}",
            amounts(12, "0.0145"),
            amounts(1, "0"),
            amounts(14, "0.0145")
        );
        let text = table(&Answer::of_json(&json).unwrap());
        let expected = "model        calls  input_tokens  output_tokens     usd\n\
                        gpt-4o-mini     12            10              5  0.0145\n\
                        \x20                1            10              5       0\n\
                        total           14            10              5  0.0145\n\
                        1 more rows are part of the total; --limit shows more\n";
        assert_eq!(text, expected);
    }
}
