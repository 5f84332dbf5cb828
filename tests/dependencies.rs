//! What the crate brings along: crates from one registry, under licences that ask for no more than a notice.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const LICENCES: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "MIT-0",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// Whether an SPDX expression, or one of the older form with a slash, leaves a choice of licences that are all in the list.
fn is_free(expression: &str) -> bool {
    let expression = expression.replace(['(', ')'], "").replace('/', " OR ");
    expression.split(" AND ").all(|needed| {
        let mut choice = needed.split(" OR ").map(str::trim);
        choice.any(|licence| LICENCES.contains(&licence))
    })
}

#[test]
fn licences_are_read() {
    assert!(is_free("(MIT OR GPL-3.0) AND Unicode-3.0") && is_free("GPL-3.0/MIT"));
    assert!(!is_free("GPL-3.0") && !is_free("MIT AND GPL-3.0") && !is_free(""));
}

#[test]
fn every_crate_is_free_and_of_one_registry() {
    // Of other platforms nothing may be here, and nothing is fetched for a test.
    let version = cargo(&["-vV"]);
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("cargo names its host");
    let metadata = [
        "metadata",
        "--format-version=1",
        "--all-features",
        "--locked",
        "--offline",
        "--filter-platform",
        host,
    ];
    let metadata: Value = serde_json::from_str(&cargo(&metadata)).expect("it is JSON");
    let crates = metadata["packages"].as_array().expect("it has packages");
    assert!(crates.len() > 100, "{} crates", crates.len());
    let not_free: Vec<_> = crates
        .iter()
        .filter(|one| !is_free(one["license"].as_str().unwrap_or_default()))
        .map(|one| (&one["name"], &one["license"]))
        .collect();
    assert!(not_free.is_empty(), "{not_free:?}");
    let sources: BTreeSet<&str> = crates
        .iter()
        .filter_map(|one| one["source"].as_str())
        .collect();
    assert!(
        sources.len() == 1 && sources.iter().all(|source| source.starts_with("registry+")),
        "{sources:?}"
    );
}

fn cargo(arguments: &[&str]) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    let output = cargo
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).expect("cargo writes text")
}
