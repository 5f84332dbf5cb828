//! The words of code and documentation: names that were given up do not come back, and links lead somewhere.

use std::fs;
use std::path::{Path, PathBuf};

/// Names that nobody outside of this crate would guess. `docs/concepts.md` and the folders have the field's words instead.
const GIVEN_UP: &[&str] = &[
    "Workshop",
    "Brief",
    "Settling",
    "Recollection",
    "Findings",
    "Tally",
    "Desk",
    "Office",
    "Teller",
    "Manner",
    "Laddered",
    "Signed",
    "Uncertain",
    "untold",
    "rehearses",
    "Rehearsal",
    "joints",
    "gist",
    "gists",
    "telling_requests_apart",
    "DRIVING",
    "Lane",
    "listened_to_by",
    "Shelf",
    "shelf",
    "Mend",
    "Mends",
    "mends",
    "GiveUp",
    "Dry",
    "answered_by",
    "StableContext",
    "AskContext",
];

/// Phrases that make a tired reader stop.
const FOREIGN: &[&str] = &["from near", "in small", "is told of", "whoever", "Whoever"];

fn files(folder: &str, extensions: &[&str]) -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut open = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)];
    while let Some(path) = open.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a folder can be listed");
            open.extend(entries.map(|entry| entry.expect("an entry can be read").path()));
        } else if path
            .extension()
            .is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
        {
            let text = fs::read_to_string(&path).expect("a source file is text");
            found.push((path, text));
        }
    }
    assert!(!found.is_empty(), "nothing was looked at in {folder}");
    found
}

/// Every place where a word stands, as `file:line: word`.
fn places(files: &[(PathBuf, String)], words: &[&str]) -> Vec<String> {
    let is_letter = |text: Option<char>| text.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut places = Vec::new();
    for (path, text) in files {
        for (number, line) in (1..).zip(text.lines()) {
            for word in words {
                let stands_alone = line.match_indices(word).any(|(at, _)| {
                    !is_letter(line[..at].chars().next_back())
                        && !is_letter(line[at + word.len()..].chars().next())
                });
                if stands_alone {
                    places.push(format!("{}:{number}: {word}", path.display()));
                }
            }
        }
    }
    places
}

#[test]
fn names_that_were_given_up_do_not_come_back() {
    let sources: Vec<_> = ["src", "examples", "benches"]
        .into_iter()
        .flat_map(|folder| files(folder, &["rs"]))
        .collect();
    let found = places(&sources, GIVEN_UP);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn documentation_is_in_plain_english() {
    let mut texts = files("src", &["rs"]);
    texts.extend(files("docs", &["md"]).into_iter().filter(|(path, _)| {
        // Decisions are history, and stay as they were written.
        !path
            .components()
            .any(|part| part.as_os_str() == "decisions")
    }));
    texts.extend(files("README.md", &["md"]));
    texts.extend(files("CONTRIBUTING.md", &["md"]));
    let found = places(&texts, FOREIGN);
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut texts = files("docs", &["md"]);
    texts.extend(files("README.md", &["md"]));
    texts.extend(files("CONTRIBUTING.md", &["md"]));
    let mut broken = Vec::new();
    for (path, text) in &texts {
        let targets = text.split("](").skip(1);
        for target in targets.filter_map(|rest| rest.split([')', '#']).next()) {
            let is_elsewhere = target.is_empty() || target.contains("://") || target.contains("::");
            let folder = path.parent().expect("a file is in a folder");
            if !is_elsewhere && !folder.join(target).exists() {
                broken.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}
