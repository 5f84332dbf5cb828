//! The command against servers that are found by configuration alone, and the faults that end a run.
//!
//! Each case is a file: an input, an environment, what a server answers, and what should come of it.

#![cfg(all(feature = "cli", feature = "testing"))]
// A helper of tests is a test, which clippy sees only where it has the attribute.
#![allow(clippy::unwrap_used)]

mod case;
mod faults;
#[cfg(feature = "postgres-tls")]
mod private_ca;
mod server;

use std::fs;
use std::path::Path;
use std::process::Command;

use case::Case;
use server::Server;

#[test]
fn cases_come_to_what_they_expect() {
    let cases = Case::all(Path::new("tests/cases/configuration"));
    assert!(cases.len() >= 20, "{}", cases.len());
    let wrong: Vec<String> = cases.iter().flat_map(Case::falls_short).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_case_that_expects_something_else_falls_short() {
    let mut case = Case::read(Path::new("tests/cases/configuration/own_provider.json"));
    case.expect.records = 5;
    case.expect.stderr_has.push("no such words".to_owned());
    assert_eq!(case.falls_short().len(), 2);
}

#[test]
fn a_cache_that_is_named_in_a_file_answers_another_run() {
    let server = Server::start(vec![serde_json::from_str("{}").unwrap()]);
    let place = tempfile::tempdir().unwrap();
    let input = format!(
        "\
user_instruction: Questions about places
num_records: 4
topics: [coasts, hills]
model: house/m
providers: {{house: {{base_url: \"http://{}/v1\"}}}}
seed: 1
max_concurrency: 1
cache: answers.jsonl
journal: off
",
        server.address()
    );
    fs::write(place.path().join("input.yaml"), input).unwrap();
    let records = |output: &str, more: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_topicloom"))
            .args(["run", "input.yaml", "-o", output])
            .args(more)
            .current_dir(place.path())
            .output()
            .unwrap();
        assert!(
            run.status.success(),
            "{}",
            String::from_utf8_lossy(&run.stderr)
        );
        fs::read_to_string(place.path().join(output)).unwrap()
    };
    let first = records("first.jsonl", &[]);
    let asked = server.calls();
    assert!(asked >= 4 && place.path().join("answers.jsonl").exists());
    assert!(!place.path().join("first.jsonl.journal").exists());
    assert_eq!(records("second.jsonl", &[]), first);
    assert_eq!(server.calls(), asked, "it is asked again");
    // Switched off, and with another seed, it does not answer.
    records("third.jsonl", &["--cache", "off"]);
    assert!(server.calls() > asked);
    let asked = server.calls();
    records("fourth.jsonl", &["--seed", "2"]);
    assert!(server.calls() > asked);
}
