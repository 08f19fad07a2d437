//! What `deploy/` offers fits this program: its metrics, its settings, its commands.

use crate::support::process::tollgate;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn file(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Every document of a YAML file.
fn documents(name: &str) -> Vec<Value> {
    serde_yaml::from_multiple(&file(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn yaml(name: &str) -> Value {
    let [one] = documents(name).try_into().unwrap_or_else(|all: Vec<_>| panic!("{name}: {} documents", all.len()));
    one
}

/// Labels of every documented metric, by the name it has in a query.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let mut metrics = BTreeMap::new();
    for line in file("docs/metrics.md").lines() {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells[..] else { continue };
        let Some(name) = name.strip_prefix('`').and_then(|name| name.strip_suffix('`')) else { continue };
        let mut labels: BTreeSet<String> = labels.split(", ").map(|l| l.trim_matches('`').to_owned()).filter(|l| !l.is_empty()).collect();
        if kind == "histogram" {
            for suffix in ["_sum", "_count"] {
                metrics.insert(format!("{name}{suffix}"), labels.clone());
            }
            labels.insert("le".to_owned());
            metrics.insert(format!("{name}_bucket"), labels);
        } else {
            metrics.insert(name.to_owned(), labels);
        }
    }
    metrics
}

/// Words of a query that stand for a metric or a label.
fn words(query: &str) -> impl Iterator<Item = &str> {
    query.split(|c: char| !(c.is_ascii_alphanumeric() || "_:$".contains(c))).filter(|word| !word.is_empty())
}

/// Holds a query against the documentation: its metrics exist, and have the labels it asks for.
fn check_query(origin: &str, query: &str, metrics: &BTreeMap<String, BTreeSet<String>>) {
    let used: Vec<&str> = words(query).filter(|word| word.starts_with("tollgate_")).collect();
    assert!(!used.is_empty() || query.starts_with("up{"), "{origin}: no metric in {query}");
    // What Prometheus itself adds to all of them.
    let mut known: BTreeSet<&str> = BTreeSet::from(["instance", "job"]);
    for name in &used {
        let labels = metrics.get(*name).unwrap_or_else(|| panic!("{origin}: {name} is not in docs/metrics.md"));
        known.extend(labels.iter().map(String::as_str));
    }
    let lists = query.split("by (").skip(1).filter_map(|rest| rest.split(')').next());
    let grouped = lists.flat_map(|list| list.split(',').map(str::trim).filter(|name| !name.is_empty()));
    let matched = query.split('{').skip(1).filter_map(|rest| rest.split('}').next());
    let matched = matched.flat_map(|list| list.split(',').filter_map(|one| one.split(['=', '!', '~']).next()).map(str::trim));
    for label in grouped.chain(matched.filter(|label| label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'))) {
        assert!(known.contains(label), "{origin}: no label {label} in {query}");
    }
}

#[test]
fn every_query_of_the_dashboard_asks_for_what_there_is() {
    let (metrics, board) = (documented(), serde_json::from_str::<Value>(&file("deploy/grafana/tollgate.json")).expect("JSON"));
    let panels = board["panels"].as_array().expect("panels");
    let ids: BTreeSet<u64> = panels.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), panels.len(), "two panels of one id");
    let mut queries = 0;
    for panel in panels.iter().filter(|panel| panel["type"] != "row") {
        let title = panel["title"].as_str().expect("a title");
        for target in panel["targets"].as_array().expect("targets") {
            check_query(title, target["expr"].as_str().expect("a query"), &metrics);
            queries += 1;
        }
    }
    assert!(queries > 25, "{queries}");
    for variable in board["templating"]["list"].as_array().expect("variables").iter().filter(|v| v["type"] == "query") {
        let query = variable["query"]["query"].as_str().expect("a query");
        let metric = words(query).nth(1).expect("label_values(metric, label)");
        assert!(metrics[metric].contains(variable["name"].as_str().expect("a name")), "{query}");
    }
}

#[test]
fn every_rule_asks_for_what_there_is_and_tells_a_person_what_to_do() {
    let (metrics, rules) = (documented(), yaml("deploy/prometheus/rules.yaml"));
    let mut names = BTreeSet::new();
    for rule in rules["groups"].as_array().expect("groups").iter().flat_map(|group| group["rules"].as_array().expect("rules")) {
        let name = rule["alert"].as_str().or(rule["record"].as_str()).expect("a name");
        assert!(names.insert(name.to_owned()), "{name} is there twice");
        check_query(name, rule["expr"].as_str().expect("an expression"), &metrics);
        if rule.get("alert").is_some() {
            let text = |key: &str| rule["annotations"][key].as_str().is_some_and(|text| text.len() > 20);
            assert!(text("summary") && text("description") && rule["labels"]["severity"].is_string(), "{name}");
        }
    }
    assert!(names.len() > 15, "{names:?}");
}

/// What `tollgate check` says of a config, with the admin token set.
fn check_config(text: &str) {
    let folder = tempfile::tempdir().expect("a folder");
    let (path, token) = (folder.path().join("config.yaml"), folder.path().join("token"));
    fs::write(&token, "a-token").expect("it can be written");
    let text = text.replace("${env:TOLLGATE_ADMIN_TOKEN}", "a-token");
    let text = text.replace("/etc/tollgate-secret/admin_token", token.to_str().expect("a path"));
    fs::write(&path, text).expect("it can be written");
    let ran = tollgate(["check".as_ref(), "--config".as_ref(), path.as_os_str()], b"");
    assert_eq!(ran.status, 0, "{}{}", ran.out, ran.err);
}

#[test]
fn the_compose_file_mounts_what_exists_and_its_config_is_valid() {
    check_config(&file("deploy/tollgate.yaml"));
    let compose = yaml("deploy/compose.yaml");
    let services = compose["services"].as_object().expect("services");
    for (name, service) in services {
        for volume in service["volumes"].as_array().into_iter().flatten() {
            let source = volume.as_str().and_then(|v| v.split(':').next()).expect("a short volume");
            assert!(root().join("deploy").join(source).exists(), "{name}: {source}");
        }
        let pinned = service["image"].as_str().is_none_or(|image| image.rsplit_once(':').is_some_and(|(_, tag)| tag != "latest"));
        assert!(pinned, "{name}: an image without a version");
        let local = |port: &Value| port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:"));
        assert!(service["ports"].as_array().into_iter().flatten().all(local), "{name}: a port open to all");
    }
    let scrape = yaml("deploy/prometheus/prometheus.yaml");
    assert_eq!(scrape["scrape_configs"][0]["static_configs"][0]["targets"][0], "tollgate:8888");
    // What Prometheus calls it by is a name the admin port answers to.
    assert_eq!(yaml("deploy/tollgate.yaml")["service"]["admin"]["allowed_hosts"][0], "tollgate");
    let (provider, source) = ("dashboards/tollgate.yaml", "datasources/prometheus.yaml");
    let folder = yaml(&format!("deploy/grafana/provisioning/{provider}"))["providers"][0]["options"]["path"].clone();
    let mounts = services["grafana"]["volumes"].to_string();
    assert!(mounts.contains(folder.as_str().expect("a folder")), "{mounts}");
    assert_eq!(yaml(&format!("deploy/grafana/provisioning/{source}"))["datasources"][0]["url"], "http://prometheus:9090");
}

#[test]
fn the_manifest_runs_what_the_image_is_with_probes_it_answers() {
    let manifest = documents("deploy/kubernetes.yaml");
    let of = |kind: &str| manifest.iter().find(|document| document["kind"] == kind).unwrap_or_else(|| panic!("no {kind}"));
    check_config(of("ConfigMap")["data"]["config.yaml"].as_str().expect("a config"));
    let pod = &of("Deployment")["spec"]["template"]["spec"];
    let container = &pod["containers"][0];
    assert_eq!(pod["securityContext"]["runAsUser"], 65532);
    assert!(file("Dockerfile").contains("USER 65532:65532"));
    assert_eq!(container["securityContext"]["readOnlyRootFilesystem"], true);
    assert_eq!(
        (&container["livenessProbe"]["httpGet"]["path"], &container["readinessProbe"]["httpGet"]["path"]),
        (&"/live".into(), &"/ready".into())
    );
    let names = |ports: &Value| -> BTreeSet<String> {
        ports.as_array().expect("ports").iter().map(|port| port["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&container["ports"]), names(&of("Service")["spec"]["ports"]));
    let mounted: BTreeSet<&str> = container["volumeMounts"].as_array().expect("mounts").iter().filter_map(|m| m["name"].as_str()).collect();
    let volumes: BTreeSet<&str> = pod["volumes"].as_array().expect("volumes").iter().filter_map(|v| v["name"].as_str()).collect();
    assert_eq!(mounted, volumes);
}

#[test]
fn the_unit_starts_the_program_by_commands_it_has() {
    let unit = file("deploy/tollgate.service");
    let mut sections: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    let mut section = "";
    for line in unit.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        match line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            Some(name) => section = name,
            None => {
                let (key, value) = line.split_once('=').unwrap_or_else(|| panic!("{line}"));
                sections.entry(section).or_default().insert(key, value);
            }
        }
    }
    let service = &sections["Service"];
    for key in ["ExecStartPre", "ExecStart"] {
        let mut command = service[key].split(' ').skip(1);
        let name = command.next().expect("a command");
        let help = tollgate([name, "--help"], b"");
        assert_eq!(help.status, 0, "{name}");
        for flag in command.filter(|word| word.starts_with("--")) {
            assert!(help.out.contains(flag), "{name} has no {flag}");
        }
    }
    assert_eq!((service["DynamicUser"], service["NoNewPrivileges"], service["LimitCORE"]), ("yes", "yes", "0"));
    assert!(sections["Install"].contains_key("WantedBy"));
}
