//! The map holds: a module uses only modules above it, and the deciders decide without clock and I/O.

use std::fs;
use std::path::{Path, PathBuf};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The module list of `lib.rs`, in its order.
fn modules() -> Vec<String> {
    let text = fs::read_to_string(source().join("lib.rs")).expect("lib.rs");
    text.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';')).map(str::to_owned).collect()
}

/// Every Rust file of a module, with the code above its unit tests.
fn files(module: &str) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let single = source().join(format!("{module}.rs"));
    if single.exists() {
        found.push(single);
    }
    let mut folders = vec![source().join(module)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.file_stem().is_some_and(|name| name == "tests") {
                // Unit tests in a file or folder of their own may do what they like.
            } else if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(&path).expect("a source file");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
            (path, code)
        })
        .collect()
}

fn code_lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

#[test]
fn a_module_uses_only_modules_above_it() {
    let modules = modules();
    assert!(modules.len() > 5, "no module list in lib.rs: {modules:?}");
    for (place, module) in modules.iter().enumerate() {
        let below = &modules[place + 1..];
        for (path, code) in files(module) {
            for line in code_lines(&code) {
                let wrong = below.iter().find(|m| line.contains(&format!("crate::{m}::")) || line.contains(&format!("crate::{m};")));
                assert!(wrong.is_none(), "{} uses {wrong:?}, which stands below {module}: {line}", path.display());
            }
        }
    }
}

#[test]
fn the_deciders_read_no_clock_and_do_no_io() {
    let forbidden = [
        "Instant::now",
        "SystemTime::now",
        ".await",
        "async fn",
        "std::fs",
        "TcpStream",
        "UdpSocket",
        "tokio::",
        "thread::sleep",
        "rand::",
    ];
    for module in ["enrich", "sample", "redact"] {
        for (path, code) in files(module) {
            for line in code_lines(&code) {
                let found = forbidden.iter().find(|word| line.contains(*word));
                assert!(found.is_none(), "{}: {found:?} in a decider: {line}", path.display());
            }
        }
    }
}

#[test]
fn unsafe_code_is_one_call_in_one_file() {
    let manifest = fs::read_to_string(source().join("../Cargo.toml")).expect("Cargo.toml");
    assert!(manifest.contains("unsafe_code = \"deny\""));
    let modules = modules();
    let with: Vec<_> = modules.iter().flat_map(|module| files(module)).filter(|(_, code)| code.contains("unsafe_code")).collect();
    let [(path, code)] = &with[..] else { panic!("{:?}", with.iter().map(|(path, _)| path).collect::<Vec<_>>()) };
    assert!(path.ends_with("redact/avx2.rs"), "{}", path.display());
    assert_eq!(code.lines().filter(|line| line.trim_start().starts_with("unsafe ")).count(), 1);
}
