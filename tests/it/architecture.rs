//! The floors hold. Adding a line to a table here is an architectural decision.
//!
//! A module may import what its line lists, and nothing else of ours; a foreign crate may be used only where its line says.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Which of our modules each module may import.
const MODULES: &[(&str, &[&str])] = &[
    // Floor 0
    ("kernel", &[]),
    ("config", &[]),
    ("simulator", &[]),
    // Floor 1
    ("operator", &[]),
    ("catalog", &["kernel"]),
    ("tenant", &["kernel"]),
    ("dialect", &["kernel", "catalog"]),
    ("session", &["kernel", "tenant", "dialect"]),
    ("routing", &["kernel", "catalog", "tenant"]),
    ("credential", &["kernel", "catalog", "tenant", "routing"]),
    ("usage", &["kernel", "catalog", "dialect", "tenant"]),
    // Floor 2
    ("upstream", &["kernel", "catalog", "tenant", "dialect", "routing", "credential"]),
    (
        "storage",
        &["kernel", "catalog", "tenant", "dialect", "session", "routing", "credential", "usage", "operator"],
    ),
    ("telemetry", &["kernel", "dialect", "usage"]),
    // Floor 3. Telemetry is here too: the names of fields and counters are written once.
    (
        "pipeline",
        &[
            "kernel",
            "catalog",
            "tenant",
            "dialect",
            "session",
            "routing",
            "credential",
            "usage",
            "upstream",
            "telemetry",
        ],
    ),
    // Floor 4
    (
        "server",
        &["kernel", "catalog", "tenant", "operator", "dialect", "session", "usage", "telemetry", "pipeline"],
    ),
    // Floor 5
    ("worker", &[]),
    (
        "app",
        &[
            "kernel",
            "config",
            "simulator",
            "operator",
            "catalog",
            "tenant",
            "dialect",
            "session",
            "routing",
            "credential",
            "usage",
            "upstream",
            "storage",
            "telemetry",
            "pipeline",
            "server",
            "worker",
        ],
    ),
    (
        "cli",
        &[
            "kernel",
            "config",
            "simulator",
            "operator",
            "catalog",
            "tenant",
            "credential",
            "usage",
            "storage",
            "telemetry",
            "app",
            "worker",
        ],
    ),
    ("main", &["cli"]),
];

/// Where each of these crates may be used.
const CRATES: &[(&str, &[&str])] = &[
    // The simulator plays a server of its own and shares no code with ours.
    ("actix_web", &["server", "simulator"]),
    ("actix_ws", &["server", "simulator"]),
    ("lru", &["session"]),
    // Ids and money derive `sqlx::Type`: the one stated exception.
    ("sqlx", &["storage", "kernel"]),
    ("reqwest", &["upstream"]),
    ("rustls", &["upstream"]),
    ("tokio_tungstenite", &["upstream"]),
    ("jsonwebtoken", &["upstream"]),
    ("ring", &["upstream"]),
    ("signature", &["upstream"]),
    ("clap", &["cli"]),
    ("anyhow", &["app", "cli", "main"]),
    ("bcrypt", &["operator"]),
    ("aes_gcm", &["storage"]),
    ("notify", &["app"]),
    ("schemars", &["config"]),
    ("jsonschema", &["config"]),
    ("serde_saphyr", &["config", "simulator"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("tracing_subscriber", &["telemetry"]),
    ("mimalloc", &["main"]),
    ("bpe_openai", &["dialect"]),
    ("flate2", &["server", "upstream", "simulator"]),
    ("brotli", &["server", "upstream", "simulator"]),
    ("zstd", &["server", "upstream", "simulator"]),
    ("utoipa", &["server"]),
];

#[test]
fn every_module_imports_from_below_only() {
    let mut broken = Vec::new();
    for (file, module, text) in sources() {
        let Some((_, allowed)) = MODULES.iter().find(|(name, _)| *name == module) else {
            broken.push(format!("{file}: \"{module}\" is on no floor: add it to the table"));
            continue;
        };
        for import in imports(&text) {
            if import != module
                && MODULES.iter().any(|(name, _)| *name == import)
                && !allowed.contains(&import.as_str())
            {
                broken.push(format!("{file}: \"{module}\" may not import \"{import}\""));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn every_foreign_crate_stays_on_its_floor() {
    let mut broken = Vec::new();
    for (file, module, text) in sources() {
        for (name, allowed) in CRATES {
            let path = format!("{name}::");
            let used = code(&text).any(|line| {
                line.match_indices(&path).any(|(at, _)| {
                    !line[..at].ends_with(|it: char| it.is_alphanumeric() || it == '_' || it == ':')
                })
            });
            if used && !allowed.contains(&module.as_str()) {
                broken.push(format!("{file}: \"{module}\" may not use the crate \"{name}\""));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn only_the_worker_spawns() {
    let spawning: Vec<_> = sources()
        .filter(|(_, module, text)| {
            !["worker", "simulator"].contains(&module.as_str())
                && code(text).any(|line| line.contains("tokio::spawn("))
        })
        .map(|(file, ..)| file)
        .collect();
    assert!(spawning.is_empty(), "{spawning:?} spawn: use `worker`");
}

#[test]
fn the_rule_that_is_broken_is_named() {
    assert_eq!(imports("use crate::upstream::Call;"), BTreeSet::from(["upstream".to_owned()]));
    assert_eq!(
        imports(
            "use crate::{\n    dialect::Loss,\n    kernel::{clock::Clock, error},\n};\nlet x = crate::usage::Y;"
        ),
        BTreeSet::from(["dialect".to_owned(), "kernel".to_owned(), "usage".to_owned()])
    );
}

/// Every source file: its path, the module it is in, and its text without tests.
fn sources() -> impl Iterator<Item = (String, String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = Vec::new();
    collect(&root, &mut files);
    files.into_iter().filter_map(move |path| {
        let inside = path.strip_prefix(&root).unwrap();
        let name = inside.to_string_lossy().into_owned();
        let first = inside.components().next()?.as_os_str().to_string_lossy().into_owned();
        let module = first.trim_end_matches(".rs").to_owned();
        if module == "lib" || name.ends_with("tests.rs") || name.contains("/tests/") {
            return None;
        }
        let text = fs::read_to_string(&path).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap_or_default().to_owned();
        Some((name, module, text))
    })
}

fn collect(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|it| it == "rs") {
            files.push(path);
        }
    }
}

fn code(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter(|line| !line.trim_start().starts_with("//"))
}

/// The modules of ours that a text names: `crate::x`, and each first step of `crate::{x::…, y::…}`.
fn imports(text: &str) -> BTreeSet<String> {
    let text: String = code(text).flat_map(|line| [line, "\n"]).collect();
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with('$') || text[..at].ends_with(|it: char| it.is_alphanumeric() || it == '_') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        if let Some(group) = rest.strip_prefix('{') {
            found.extend(first_steps(group));
        } else {
            found.insert(identifier(rest));
        }
    }
    found
}

fn first_steps(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut steps = Vec::new();
    let mut start = true;
    for (at, character) in group.char_indices() {
        match character {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => start = true,
            it if depth == 0 && start && (it.is_alphabetic() || it == '_') => {
                steps.push(identifier(&group[at..]));
                start = false;
            }
            _ => {}
        }
    }
    steps
}

fn identifier(text: &str) -> String {
    text.chars().take_while(|it| it.is_alphanumeric() || *it == '_').collect()
}
