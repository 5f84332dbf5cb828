//! Faults that end a run, each with the sentence that the command prints: the table of `docs/faults.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use crate::case::Case;

const HEAD: &str = "\
# Faults that end a run

What the command prints for each, on a terminal and in a log. `tests/configuration` runs every one of them and writes this
table; `UPDATE_FAULTS=1 cargo test --all-features --test configuration` writes it anew.

| what is wrong | what is said |
|---|---|
";

#[test]
fn every_fault_says_what_to_change() {
    let cases = Case::all(Path::new("tests/cases/faults"));
    assert!(cases.len() >= 25, "{}", cases.len());
    let mut table = HEAD.to_owned();
    let mut wrong = Vec::new();
    for case in &cases {
        wrong.extend(case.falls_short());
        assert!(
            !case.expect.stderr_has.is_empty(),
            "{}: what repairs it?",
            case.name
        );
        let outcome = case.run();
        let (_, said) = outcome.stderr.rsplit_once("error: ").unwrap_or_default();
        let said = said
            .split("\n  caused by")
            .flat_map(|said| said.split("\n`--show-provider-errors`"))
            .next()
            .unwrap_or_default()
            .trim();
        for words in &case.expect.stderr_has {
            if !said.contains(words) {
                wrong.push(format!(
                    "{}: the sentence lacks `{words}`: {said}",
                    case.name
                ));
            }
        }
        // Code: it is shown as it is, backticks and URLs included.
        let said = without_counts(&said.replace('|', "\\|").replace('\n', " "));
        writeln!(table, "| {} | `` {said} `` |", case.about).unwrap();
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/faults.md");
    if std::env::var_os("UPDATE_FAULTS").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == table,
        "docs/faults.md differs; UPDATE_FAULTS=1 writes it anew:\n{table}"
    );
}

/// Replaces how many attempts or calls it took, which depends on how they were interleaved.
fn without_counts(said: &str) -> String {
    let words: Vec<&str> = said.split(' ').collect();
    let is_count = |at: usize| {
        words[at].bytes().all(|byte| byte.is_ascii_digit())
            && matches!(
                words.get(at + 1..at + 4),
                Some(["attempts" | "calls" | "answers", "in", "a"] | ["calls", "was", "answered"])
            )
    };
    let shown = (0..words.len()).map(|at| if is_count(at) { "N" } else { words[at] });
    shown.collect::<Vec<_>>().join(" ")
}
