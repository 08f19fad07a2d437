//! The config as it takes effect, for `tollgate check --print`.
//!
//! After merging, `--set` and expansion it is not obvious what a stage was told. Secrets are `***`, with the
//! expression they came from beside them, so that a wrong variable is seen without its value.

use super::schema::EXAMPLE;
use super::tree::{Kind, MASK, Node, Path, Segment, Shown, Tree};
use super::yaml;
use crate::forward;

/// YAML of the whole config: what was set, secrets masked, and the default of every key that was not, except within
/// exporters.
pub fn print_whole(tree: &Tree, exporters: &forward::Config) -> String {
    // The example says what holds without a config; tests compare the two.
    let (Some(mut root), _) = yaml::parse(0, EXAMPLE) else { return print_effective(tree, exporters) };
    if let Kind::Map(sections) = &mut root.kind {
        sections.retain(|(key, _)| key.name != "exporters");
    }
    // A protocol that is not named beside one that is, is off.
    let protocols = Path(["receivers", "otlp", "protocols"].map(|key| Segment::Key(key.to_owned())).to_vec());
    if let Some(Kind::Map(set)) = tree.root.get(&protocols).map(|node| &node.kind)
        && !set.is_empty()
        && let Some(Kind::Map(defaults)) = descend(&mut root, &protocols).map(|node| &mut node.kind)
    {
        defaults.retain(|(key, _)| set.iter().any(|(named, _)| named.name == key.name));
    }
    overlay(&mut root, &tree.root);
    print_effective(&Tree { root, sources: tree.sources.clone() }, exporters)
}

/// The section at a path.
fn descend<'n>(node: &'n mut Node, path: &Path) -> Option<&'n mut Node> {
    path.0.iter().try_fold(node, |node, segment| node.child_mut(segment))
}

/// Lays what was set over the defaults. An empty section is that section with its defaults.
fn overlay(base: &mut Node, set: &Node) {
    match (&mut base.kind, &set.kind) {
        (Kind::Map(entries), Kind::Map(more)) => {
            for (key, node) in more {
                match entries.iter_mut().find(|(known, _)| known.name == key.name) {
                    Some((_, below)) => overlay(below, node),
                    None => entries.push((key.clone(), node.clone())),
                }
            }
        }
        (Kind::Map(_), Kind::Null) => {}
        _ => *base = set.clone(),
    }
}

/// YAML of everything that was set. Values that were expanded or are secret by type or name are `***`. Where no exporters were set,
/// `exporters` are those that were chosen instead.
pub(super) fn print_effective(tree: &Tree, exporters: &forward::Config) -> String {
    let mut out = String::new();
    let (mut root, mut chosen) = (tree.root.clone(), true);
    if let Kind::Map(entries) = &mut root.kind {
        entries.retain(|(key, node)| key.name != "exporters" || !is_empty(node));
        chosen = entries.iter().all(|(key, _)| key.name != "exporters");
    }
    match &root.kind {
        Kind::Map(entries) if entries.is_empty() => out.push_str("# nothing is set: every value is its default\n"),
        _ => write(&root, &mut Path::default(), 0, &mut out),
    }
    if chosen && let Ok(text) = serde_yaml::to_string(exporters) {
        out.push_str("# not set: chosen from the environment\nexporters:\n");
        text.lines().for_each(|line| out.push_str(&format!("  {line}\n")));
    }
    out
}

fn is_empty(node: &Node) -> bool {
    match &node.kind {
        Kind::Map(entries) => entries.is_empty(),
        Kind::Null => true,
        Kind::Seq(_) | Kind::Scalar { .. } => false,
    }
}

fn write(node: &Node, path: &mut Path, indent: usize, out: &mut String) {
    let pad = "  ".repeat(indent);
    match &node.kind {
        Kind::Map(entries) => {
            for (key, node) in entries {
                out.push_str(&format!("{pad}{}:", quoted(&key.name, true)));
                path.0.push(Segment::Key(key.name.clone()));
                write_after(node, path, indent, out);
                path.0.pop();
            }
        }
        Kind::Seq(items) => {
            for (index, node) in items.iter().enumerate() {
                path.0.push(Segment::Index(index));
                let mut item = String::new();
                write_after(node, path, indent, &mut item);
                out.push_str(&format!("{pad}- {}", item.trim_start()));
                path.0.pop();
            }
        }
        Kind::Null | Kind::Scalar { .. } => {
            out.push_str(&pad);
            scalar(node, path, out);
        }
    }
}

fn write_after(node: &Node, path: &mut Path, indent: usize, out: &mut String) {
    match &node.kind {
        Kind::Map(entries) if entries.is_empty() => out.push_str(" {}\n"),
        Kind::Seq(items) if items.is_empty() => out.push_str(" []\n"),
        Kind::Map(_) | Kind::Seq(_) => {
            out.push('\n');
            write(node, path, indent + 1, out);
        }
        Kind::Null | Kind::Scalar { .. } => {
            out.push(' ');
            scalar(node, path, out);
        }
    }
}

fn scalar(node: &Node, path: &Path, out: &mut String) {
    let hidden = node.secret || path.sounds_secret();
    match (&node.kind, &node.expanded) {
        (Kind::Scalar { .. }, Some(expanded)) => {
            out.push_str(&quoted(if hidden { MASK } else { &expanded.masked }, false));
            // What stands around the expression in a secret, or in place of it, is secret too.
            if !hidden || node.is_expression_alone() {
                out.push_str(&format!("  # {}", Shown(&expanded.written)));
            }
        }
        (Kind::Scalar { .. }, None) if hidden => out.push_str(&quoted(MASK, false)),
        (Kind::Scalar { text, plain }, None) => out.push_str(&quoted(text, *plain)),
        _ => out.push_str("null"),
    }
    out.push('\n');
}

/// A text that YAML reads back as the same.
fn quoted(text: &str, plain: bool) -> String {
    let text = if text.contains("${") || text.contains("$$") { text.replace('$', "$$") } else { text.to_owned() };
    let looks_typed = text.parse::<f64>().is_ok()
        || matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "yes" | "no" | "on" | "off" | "null" | "~");
    let simple = text.chars().all(|c| {
        c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/' | ':' | ' ' | '%' | '+' | '@' | '(' | ')' | '\\' | '$' | '*' | '=')
    });
    let starts = text.chars().next().is_some_and(|c| c.is_alphanumeric() || matches!(c, '_' | '/' | '.' | '\\') || c == '-' && looks_typed);
    let safe = simple && starts && !text.contains(": ") && !text.ends_with([' ', ':']) && (plain || !looks_typed);
    if safe {
        return text;
    }
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            c if c.is_control() || super::tree::is_direction_mark(c) => quoted.push_str(&format!("\\U{:08x}", u32::from(c))),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{File, Sources, load_file};

    fn printed(text: &str) -> String {
        let loaded = load_file(Sources::new().text("t.yaml", text), |_: &File, _| {}).unwrap_or_else(|p| panic!("{p}"));
        let config = r#"{"otlp_http": {"endpoint": "http://a:4318", "headers": {"authorization": "t0ken"}}}"#;
        print_effective(&loaded.tree, &serde_json::from_str(config).unwrap())
    }

    #[test]
    fn exporters_that_were_chosen_are_printed_and_can_be_read_back() {
        for (text, first) in [("", "# nothing is set"), ("service: {shutdown_timeout: 3s}\nexporters: {}", "service:\n")] {
            let printed = printed(text);
            assert!(printed.starts_with(first) && printed.contains("exporters:\n  otlp_http:\n"), "{printed}");
            assert!(printed.contains("http://a:4318") && !printed.contains("t0ken"), "{printed}");
            crate::config::load_text("printed.yaml", &printed).unwrap_or_else(|p| panic!("{p}\n{printed}"));
        }
    }

    #[test]
    fn exporters_that_are_set_are_printed_as_they_were_set() {
        let printed = printed("exporters: {debug: {}}");
        assert_eq!(printed, "exporters:\n  debug: {}\n");
    }

    #[test]
    fn the_whole_config_says_what_holds_and_reads_back_as_the_same() {
        for text in [
            "",
            "service: {shutdown_timeout: 3s, spend: {keys: [], budgets: [{name: a, usd: 1}]}}\nexporters: {debug: {}}",
            "receivers: {otlp: {protocols: {http: }}}\nprocessors: {redaction: {enabled: false, entities: {EMAIL: mask}}, enrich: }",
            "receivers: {otlp: {protocols: {grpc: {endpoint: '127.0.0.1:1'}}}}\nprocessors: {tail_sampling: {policies: [], always_keep: [error]}}",
        ] {
            let load =
                |text: &str| load_file(Sources::new().text("t.yaml", text), |_: &File, _| {}).unwrap_or_else(|p| panic!("{p}\n{text}"));
            let loaded = load(text);
            // Without a word about them both protocols are on; what is printed names them.
            let named = if text.contains("receivers") {
                text.to_owned()
            } else {
                format!("receivers: {{otlp: {{protocols: {{grpc: , http: }}}}}}\n{text}")
            };
            let whole = print_whole(&loaded.tree, &loaded.value.exporters);
            for key in [
                "decision_wait: 30s",
                "max_series: 10000",
                "max_scan_bytes: 64MiB",
                "price_orphan_aggregates: false",
                "endpoint: 127.0.0.1:8888",
            ] {
                assert!(whole.contains(key), "{key} in {whole}");
            }
            assert_eq!(format!("{:?}", load(&whole).value), format!("{:?}", load(&named).value), "{whole}");
        }
    }
}
