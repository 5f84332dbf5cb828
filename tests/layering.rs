//! Imports point down. Fails with the file, the line and the import that points up.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The modules of the crate, lowest layer first. A module may import from layers below its own.
const LAYERS: &[&[&str]] = &[
    &[
        "error",
        "environment",
        "random",
        "rate",
        "closest",
        "counts",
        "fault",
        "disk",
        "guard",
        "stop_signal",
        "scores",
    ],
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
    &["journal", "sink", "ledger", "otel"],
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
    ("error", "counts", "kinds of error are counted"),
    ("environment", "error", "a file may not be readable"),
    ("fault", "error", "faults of an input become one error"),
    ("guard", "error", "a panic becomes an error"),
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
    (
        "input",
        "filter",
        "an input says what fields of a record must be like",
    ),
    ("input", "schedule", "an input names a policy"),
    ("dedup", "llm", "an embedding model has a name"),
    ("record", "llm", "a record says what its call used and cost"),
    ("filter", "llm", "a judge asks a model"),
    (
        "testing",
        "pipeline",
        "whether a filter is asked again shows in a run",
    ),
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

/// The most public modules that a reader of the documentation is asked to find a way through.
const MOST_PUBLIC: usize = 16;

#[test]
fn public_modules_are_few() {
    let text = fs::read_to_string(source().join("lib.rs")).expect("a source file is readable");
    let hidden = text.matches("#[doc(hidden)]\npub mod ").count();
    let public = text.matches("\npub mod ").count() - hidden;
    assert!(public <= MOST_PUBLIC, "{public} public modules");
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

#[test]
fn files_of_a_folder_need_one_another_in_no_circle() {
    let mut found = BTreeMap::new();
    for file in rust_files(&source()) {
        if file.ends_with("mod.rs") {
            let folder = file.parent().expect("a file lies in a folder");
            let graph = uses_within(folder);
            if let Some(circle) = circle(&graph) {
                let name = folder
                    .strip_prefix(source())
                    .expect("it lies in the sources");
                found.insert(name.to_string_lossy().into_owned(), circle.join(" -> "));
            }
        }
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn a_circle_is_seen() {
    let graph = |edges: &[(&str, &str)]| {
        let mut graph = BTreeMap::<String, BTreeSet<String>>::new();
        for (from, to) in edges {
            graph
                .entry((*from).to_owned())
                .or_default()
                .insert((*to).to_owned());
        }
        graph
    };
    assert_eq!(circle(&graph(&[("a", "b"), ("b", "c"), ("a", "c")])), None);
    assert!(circle(&graph(&[("a", "b"), ("b", "c"), ("c", "b")])).is_some());
    let text = "use super::log::{Line, Log};\nuse super::{Parts, worker::{self, Task}};";
    assert_eq!(named_after(text, "super::"), ["log", "Parts", "worker"]);
}

/// Returns which files of a folder use which others, the one it begins with under `mod`.
fn uses_within(folder: &Path) -> BTreeMap<String, BTreeSet<String>> {
    let read = |file: &Path| fs::read_to_string(file).expect("a source file is readable");
    let front = read(&folder.join("mod.rs"));
    let mut graph = BTreeMap::new();
    let children: Vec<(String, PathBuf)> = fs::read_dir(folder)
        .expect("the folder is readable")
        .map(|entry| entry.expect("its entries are readable").path())
        .filter_map(|path| {
            let name = path.file_stem()?.to_string_lossy().into_owned();
            let path = if path.is_dir() {
                path.join("mod.rs")
            } else {
                path
            };
            (name != "mod" && path.exists()).then_some((name, path))
        })
        .collect();
    let is_child = |name: &str| children.iter().any(|(child, _)| child == name);
    let exports: BTreeMap<String, String> = statements(&front, "pub")
        .filter_map(|statement| {
            let (_, path) = statement.split_once("use ")?;
            let path = path.trim_start_matches("self::");
            let (child, names) = path.split_once("::")?;
            let names = names.trim_matches(['{', '}', ' ', '\n']).split(',');
            let names = names.map(|name| (name.trim().to_owned(), child.to_owned()));
            is_child(child).then(|| names.collect::<Vec<_>>())
        })
        .flatten()
        .collect();
    for (name, path) in &children {
        let used = named_after(without_tests(&read(path)), "super::").into_iter();
        let owner = |used: String| match exports.get(&used) {
            Some(child) => child.clone(),
            None if is_child(&used) => used,
            None => "mod".to_owned(),
        };
        let used = used.map(owner).filter(|used| used != name).collect();
        graph.insert(name.clone(), used);
    }
    let private = statements(without_tests(&front), "use");
    let own = private.filter_map(|statement| {
        let path = statement
            .trim_start_matches("use ")
            .trim_start_matches("self::");
        let child = path.split("::").next()?;
        is_child(child).then(|| child.to_owned())
    });
    graph.insert("mod".to_owned(), own.collect());
    graph
}

/// Returns the statements at the beginning of lines that begin with a word.
fn statements<'a>(text: &'a str, word: &'static str) -> impl Iterator<Item = &'a str> {
    let starts = text.match_indices(word).map(|(at, _)| at);
    starts
        .filter(|&at| at == 0 || text.as_bytes()[at - 1] == b'\n')
        .filter_map(|at| text[at..].split(';').next())
}

/// Returns the names that stand directly behind a prefix, also in a list.
fn named_after(text: &str, prefix: &str) -> Vec<String> {
    let name = |rest: &str| -> String {
        let ends = |c: char| !(c.is_alphanumeric() || c == '_');
        rest.split(ends).next().unwrap_or_default().to_owned()
    };
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n");
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        let rest = &code[at + prefix.len()..];
        if code[..at].ends_with("super::") || rest.starts_with("super::") {
            continue;
        }
        let Some(list) = rest.strip_prefix('{') else {
            names.push(name(rest));
            continue;
        };
        let mut depth = 0;
        let mut begins = true;
        for (at, character) in list.char_indices() {
            match character {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => begins = true,
                c if begins && !c.is_whitespace() => {
                    names.push(name(&list[at..]));
                    begins = false;
                }
                _ => {}
            }
        }
    }
    names
}

/// Returns the names along a circle, if there is one.
fn circle(graph: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    fn walk(
        graph: &BTreeMap<String, BTreeSet<String>>,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        let here = path.last().expect("the path has begun").clone();
        for next in graph.get(&here).into_iter().flatten() {
            if let Some(start) = path.iter().position(|name| name == next) {
                return Some(path[start..].to_vec());
            }
            if !done.contains(next) {
                path.push(next.clone());
                if let Some(circle) = walk(graph, path, done) {
                    return Some(circle);
                }
                path.pop();
            }
        }
        done.insert(here);
        None
    }
    let mut done = BTreeSet::new();
    graph
        .keys()
        .find_map(|start| walk(graph, &mut vec![start.clone()], &mut done))
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
    let code = without_tests(text);
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

fn without_tests(text: &str) -> &str {
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
    &text[..end]
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
