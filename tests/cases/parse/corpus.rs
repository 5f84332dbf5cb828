//! Reads the answers in this folder.
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
use std::path::Path;

use serde_json::Value;
use topicloom::parse::{Answer, Limits, Shape, records, strings};

pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) input: String,
    pub(crate) expected: Vec<Value>,
}

impl Case {
    pub(crate) fn list(&self, header: &str) -> Option<Vec<&str>> {
        let names = self.headers.get(header)?;
        Some(
            names
                .split(',')
                .map(str::trim)
                .filter(|name| !name.is_empty())
                .collect(),
        )
    }

    pub(crate) fn shape(&self) -> Shape {
        let keys = self.list("keys").unwrap_or_default();
        let required = self.list("required").unwrap_or_else(|| keys.clone());
        Shape::new(keys).required(required)
    }

    pub(crate) fn run(&self, text: &str) -> Answer {
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

/// Reads every case in a folder, in the order of file names.
pub(crate) fn cases(folder: &Path) -> Vec<Case> {
    let mut files: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder of cases is there")
        .map(|entry| entry.expect("the folder can be read").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    files.sort();
    files
        .iter()
        .flat_map(|path| {
            let theme = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            parse_file(
                &theme,
                &std::fs::read_to_string(path).expect("a case file is UTF-8"),
            )
        })
        .collect()
}

fn parse_file(theme: &str, text: &str) -> Vec<Case> {
    let mut parts = text.split("\n==== ");
    let common = headers(parts.next().unwrap_or_default());
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
