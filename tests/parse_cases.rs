//! The answers in `tests/cases/parse`, and laws that hold for all of them.
//!
//! A file holds cases of one theme. A case is
//!
//! ```text
//! ==== its name, a sentence
//! keys: question, answer        the record's properties, all required unless `required:` says otherwise
//! fault: truncated              what `Answer::fault` is; none if left out
//! mends: extra_comma            what was mended, where the case is about that
//! <<<<
//! the answer
//! >>>>
//! {"question": "...", "answer": "..."}       the records expected, one a line
//! ```
//!
//! Headers before the first case hold for the whole file. `⟦200b⟧` in an answer stands for the character of that number.
//! `mode: strings` asks for names instead of records, `prefix: no` keeps a case out of the prefix law (its
//! name or a `why:` says why).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use proptest::prelude::*;
use serde_json::{Value, json};
use topicloom::parse::{Answer, Fault, Limits, Mend, Shape, records, strings};

struct Case {
    name: String,
    headers: BTreeMap<String, String>,
    input: String,
    expected: Vec<Value>,
}

impl Case {
    fn list(&self, header: &str) -> Option<Vec<&str>> {
        let names = self.headers.get(header)?;
        Some(
            names
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .collect(),
        )
    }

    fn shape(&self) -> Shape {
        let keys = self.list("keys").unwrap_or_default();
        let required = self.list("required").unwrap_or_else(|| keys.clone());
        Shape::new(keys).required(required)
    }

    fn run(&self, text: &str) -> Answer {
        if self
            .headers
            .get("mode")
            .is_some_and(|mode| mode == "strings")
        {
            strings(text, &Limits::default())
        } else {
            records(text, &self.shape(), &Limits::default())
        }
    }
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases/parse");
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|path| {
            let theme = path.file_stem().unwrap().to_string_lossy().into_owned();
            parse_file(&theme, &std::fs::read_to_string(path).unwrap())
        })
        .collect()
}

fn parse_file(theme: &str, text: &str) -> Vec<Case> {
    let mut parts = text.split("\n==== ");
    let common = headers(parts.next().unwrap());
    parts
        .map(|part| {
            let (head, rest) = part
                .split_once("\n<<<<\n")
                .unwrap_or_else(|| panic!("{theme}: {part}"));
            let (name, own) = head.split_once('\n').unwrap_or((head, ""));
            let (input, expected) = rest
                .split_once("\n>>>>\n")
                .unwrap_or_else(|| panic!("{theme}: {name}"));
            let mut all = common.clone();
            all.extend(headers(own));
            Case {
                name: format!("{theme}: {name}"),
                headers: all,
                input: decode(input),
                expected: expected
                    .lines()
                    .filter(|line| !line.trim().is_empty())
                    .map(|line| {
                        serde_json::from_str(line)
                            .unwrap_or_else(|error| panic!("{theme}: {name}: {error}"))
                    })
                    .collect(),
            }
        })
        .collect()
}

fn headers(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()))
        .collect()
}

fn decode(input: &str) -> String {
    let mut parts = input.split('⟦');
    let mut decoded = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part
            .split_once('⟧')
            .expect("a character number ends with ⟧");
        let code = u32::from_str_radix(code, 16).expect("a character number is hexadecimal");
        decoded.push(char::from_u32(code).expect("a character number names a character"));
        decoded.push_str(rest);
    }
    decoded
}

#[test]
fn every_answer_gives_what_it_means() {
    let mut complaints = String::new();
    let cases = cases();
    for case in &cases {
        let answer = case.run(&case.input);
        let fault = answer.fault.map(Fault::as_str);
        let mut wrong = answer.values != case.expected
            || fault != case.headers.get("fault").map(String::as_str);
        let mends: Vec<&str> = answer.mends.iter().map(|(mend, _)| mend.as_str()).collect();
        if let Some(mut expected) = case.list("mends") {
            let mut actual = mends.clone();
            expected.sort_unstable();
            actual.sort_unstable();
            wrong |= actual != expected;
        }
        if wrong {
            let _ = writeln!(complaints, "\n{}\n{}", case.name, case.input);
            for value in &answer.values {
                let _ = writeln!(complaints, "  got {value}");
            }
            for value in &case.expected {
                let _ = writeln!(complaints, "  not {value}");
            }
            let _ = writeln!(complaints, "  fault {fault:?}, mends {mends:?}");
        }
    }
    let failed = complaints.matches("\n  fault ").count();
    assert!(
        complaints.is_empty(),
        "{failed} of {} cases\n{complaints}",
        cases.len()
    );
}

#[test]
fn the_corpus_is_large_enough() {
    assert!(cases().len() >= 300, "{}", cases().len());
}

#[test]
fn no_prefix_gives_a_record_that_the_whole_does_not() {
    let mut tried = 0;
    let mut complaints = String::new();
    for case in cases() {
        if case
            .headers
            .get("prefix")
            .is_some_and(|prefix| prefix == "no")
        {
            continue;
        }
        tried += 1;
        for (end, _) in case.input.char_indices() {
            let prefix = &case.input[..end];
            let wrong: Vec<Value> = case
                .run(prefix)
                .values
                .into_iter()
                .filter(|value| !case.expected.contains(value))
                .collect();
            if !wrong.is_empty() {
                let _ = writeln!(
                    complaints,
                    "\n{}\n{prefix}\n  gave {}",
                    case.name,
                    json!(wrong)
                );
                break;
            }
        }
    }
    assert!(complaints.is_empty(), "{complaints}");
    assert!(tried >= 200, "only {tried} cases were cut");
}

#[test]
fn mending_the_mended_changes_nothing() {
    for case in cases() {
        let first = case.run(&case.input).values;
        if first.is_empty() {
            continue;
        }
        let second = case.run(&json!(first).to_string());
        assert_eq!(second.values, first, "{}", case.name);
        assert!(second.mends.is_empty(), "{}: {:?}", case.name, second.mends);
        assert_eq!(second.fault, None, "{}", case.name);
    }
}

#[test]
fn every_mend_has_a_case() {
    let mut seen = topicloom::parse::Mends::default();
    for case in cases() {
        seen.merge(&case.run(&case.input).mends);
    }
    let unseen: Vec<_> = Mend::ALL
        .into_iter()
        .filter(|mend| seen.count(*mend) == 0)
        .collect();
    assert!(unseen.is_empty(), "{unseen:?}");
}
