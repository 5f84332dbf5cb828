//! The command against servers that are found by configuration alone, and the faults that end a run.
//!
//! Each case is a file: an input, an environment, what a server answers, and what should come of it.

#![cfg(all(feature = "cli", feature = "testing"))]
// A helper of tests is a test, which clippy sees only where it has the attribute.
#![allow(clippy::unwrap_used)]

mod case;
mod faults;
mod server;

use std::path::Path;

use case::Case;

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
