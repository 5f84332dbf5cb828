//! Imports point down. Fails with the file, the line and the import that points up.

use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate, lowest layer first. A module may import from layers below its own.
const LAYERS: &[&[&str]] = &[
    &["error", "random", "rate", "closest", "fault", "disk"],
    &[
        "topic",
        "schema",
        "prompt",
        "parse",
        "candidate",
        "embedding",
    ],
    &[
        "record",
        "input",
        "plan",
        "llm",
        "dedup",
        "diversity",
        "schedule",
        "filter",
    ],
    &["outcome", "report", "event", "hooks"],
    &["journal", "sink"],
    &["engine", "run", "estimate", "preview"],
    &["pipeline", "testing"],
    &["shared"],
];

/// Imports that point up or sideways, each for a reason.
const EXCEPTIONS: &[(&str, &str, &str)] = &[
    (
        "error",
        "rate",
        "an error carries what a provider said of its limits",
    ),
    ("fault", "error", "faults of an input become one error"),
    ("topic", "llm", "generated topics ask a model"),
    (
        "topic",
        "prompt",
        "a topic provider is handed the run's prompts",
    ),
    (
        "topic",
        "parse",
        "a model's list of names is found in its answer",
    ),
    ("prompt", "llm", "a prompt is a conversation of messages"),
    (
        "input",
        "record",
        "an input carries the type of its records",
    ),
    ("input", "plan", "an input is shared out over its topics"),
    ("input", "llm", "an input names models and their parameters"),
    ("input", "dedup", "an input says what is taken for a repeat"),
    ("dedup", "llm", "an embedding model has a name"),
    ("report", "outcome", "a report tells outcomes"),
    ("event", "outcome", "an event tells outcomes"),
    ("event", "report", "the last event carries the report"),
    ("hooks", "outcome", "a hook is told outcomes"),
    ("run", "engine", "a run is the handle of an engine's driver"),
    ("sink", "run", "a run is drained into a sink"),
];

#[test]
fn imports_point_down() {
    let mut faults = Vec::new();
    for file in rust_files(&source()) {
        let importer = module_of(&file);
        if importer == "lib" || importer == "main" || importer == "bin" {
            continue;
        }
        for (line, imported) in
            imports(&fs::read_to_string(&file).expect("a source file is readable"))
        {
            if imported != importer && !may_import(&importer, &imported) {
                faults.push(format!(
                    "{}:{line}: `{importer}` imports from `{imported}`",
                    file.display()
                ));
            }
        }
    }
    assert!(
        faults.is_empty(),
        "imports that do not point down:\n{}",
        faults.join("\n")
    );
}

#[test]
fn every_module_has_a_layer() {
    for file in rust_files(&source()) {
        let module = module_of(&file);
        assert!(
            ["lib", "main", "bin", "guide"].contains(&module.as_str()) || layer(&module).is_some(),
            "`{module}` has no layer in tests/layering.rs"
        );
    }
}

#[test]
fn an_import_that_points_up_is_seen() {
    let text = "use crate::error::Error;\nfn f() { crate::engine::go(); }\n#[cfg(test)]\nuse crate::pipeline::X;";
    assert_eq!(
        imports(text),
        [(1, "error".to_owned()), (2, "engine".to_owned())]
    );
    assert!(!may_import("error", "engine"));
    assert!(
        !may_import("dedup", "schedule"),
        "plug points do not know one another"
    );
    assert!(may_import("engine", "error"));
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn may_import(from: &str, to: &str) -> bool {
    let below = match (layer(from), layer(to)) {
        (Some(upper), Some(lower)) => lower < upper,
        // Not a module: an item that the root re-exports, which only the outermost layers may use.
        _ => false,
    };
    let is_exception = EXCEPTIONS
        .iter()
        .any(|(upper, lower, _)| (*upper, *lower) == (from, to));
    below || is_exception
}

fn layer(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// Returns the top-level module that a file belongs to.
fn module_of(file: &Path) -> String {
    let below = file
        .strip_prefix(source())
        .expect("the file lies in the source folder");
    let first = below.components().next().expect("a file has a name");
    first
        .as_os_str()
        .to_string_lossy()
        .trim_end_matches(".rs")
        .to_owned()
}

/// Returns the modules named after `crate::`, with their lines; comments and tests may name any.
fn imports(text: &str) -> Vec<(usize, String)> {
    let tests = [
        "#[cfg(test)]\nmod tests",
        "#[cfg(test)]\nuse",
        "#[cfg(all(test, feature = \"testing\"))]\nmod",
    ];
    let end = tests
        .iter()
        .filter_map(|tests| text.find(tests))
        .min()
        .unwrap_or(text.len());
    let code = &text[..end];
    let mut found = Vec::new();
    for (number, line) in code
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
    {
        for rest in line.split("crate::").skip(1) {
            let name: String = rest
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            found.push((number + 1, name));
        }
    }
    found
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).expect("the source folder is readable") {
        let path = entry.expect("its entries are readable").path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}
