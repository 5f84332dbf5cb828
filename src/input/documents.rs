//! `documents`: texts, each part of which is a row of source data.

use std::fs;
use std::path::{Path, PathBuf};

use regex::Regex;
use serde_json::{Map, Value, json};

use super::described::{Described, Keys, described};
use super::encoding::to_utf8;
use super::form::{Form, List, POSITIVE, PathForm, Text, Whole};
use super::place::Place;
use super::source::Source;
use crate::topic::{SOURCE, TEXT};

/// Endings of files that are read where `glob` does not say which.
const TEXTS: [&str; 3] = ["md", "markdown", "txt"];

/// Which documents, and how they are taken apart.
struct Documents {
    path: PathBuf,
    glob: String,
    chunk_chars: usize,
    overlap: usize,
    keep: Vec<String>,
    records_per_row: Option<u64>,
    sample: Option<u64>,
}

impl Default for Documents {
    fn default() -> Self {
        Self {
            path: PathBuf::new(),
            glob: String::new(),
            chunk_chars: 2_000,
            overlap: 0,
            keep: Vec::new(),
            records_per_row: None,
            sample: None,
        }
    }
}

described! {
    impl Documents {
        /// A file, or a folder with all that is in it.
        #[example("\"manuals\"")]
        path: PathBuf, PathForm;
        /// Which files of the folder, such as `*.md` or `**/*.txt`. Unless given, Markdown and plain text, by the endings of their names.
        #[example("\"**/*.md\"")]
        glob: String, Text;
        /// Characters of a chunk at most. It ends where a paragraph does, unless one has more.
        #[example("1200")]
        chunk_chars: usize, Whole(1..=1_000_000);
        /// Characters that a chunk repeats of the one before at most, in whole paragraphs.
        #[example("200")]
        overlap: usize, Whole(0..=100_000);
        /// What is written with each record: `source`, the name of the file, or `text`. A field `source` has to be that name.
        #[example("[\"source\"]")]
        keep: Vec<String>, List(Text);
        /// How many records each chunk gives: 1 unless this or `num_records` says more.
        #[example("2")]
        records_per_row: Option<u64>, POSITIVE;
        /// How many chunks are drawn, by the seed; all unless given.
        #[example("500")]
        sample: Option<u64>, POSITIVE;
    }
}

/// Documents, as the source that is made of them. They are not written: an input has their chunks under `source`.
pub(super) struct DocumentsForm;

impl Form<Option<Source>> for DocumentsForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Option<Source>> {
        let value = match value {
            Value::String(path) => json!({"path": path}),
            other => other,
        };
        let before = place.faults();
        let documents: Documents = Keys.read(value, place)?;
        if place.faults() > before {
            return None;
        }
        if documents.overlap >= documents.chunk_chars {
            let problem = format!("is {}, as long as a chunk", documents.overlap);
            return place
                .at("overlap")
                .fault(problem, "make it shorter than `chunk_chars`");
        }
        let mut rows = Vec::new();
        for (source, text) in documents.texts(place)? {
            for chunk in chunks(&text, documents.chunk_chars, documents.overlap) {
                let row = [(SOURCE, source.as_str()), (TEXT, &chunk)];
                let row = row.map(|(name, value)| (name.to_owned(), Value::from(value)));
                rows.push((rows.len() as u64 + 1, Map::from_iter(row)));
            }
        }
        if rows.is_empty() {
            return place.fault("have no text", "name a file that has one");
        }
        Some(Some(Source {
            rows,
            keep: documents.keep,
            records_per_row: documents.records_per_row,
            sample: documents.sample,
            ..Source::default()
        }))
    }

    fn write(&self, _: &Option<Source>) -> Value {
        Value::Null
    }

    fn schema(&self) -> Value {
        let mut object = Documents::schema();
        object["description"] = json!("Which ones, and how they are taken apart:");
        json!({"anyOf": [{"type": "string", "description": "A file or a folder."}, object]})
    }
}

impl Documents {
    /// Reads the files, each with its name.
    fn texts(&self, place: &mut Place<'_>) -> Option<Vec<(String, String)>> {
        let folder = place.folder()?.join(&self.path);
        place.reads(&folder);
        let is_wanted: Box<dyn Fn(&str) -> bool> = if self.glob.is_empty() {
            Box::new(|name| {
                let ending = name
                    .rsplit_once('.')
                    .map(|(_, ending)| ending.to_lowercase());
                ending.is_some_and(|ending| TEXTS.contains(&&*ending))
            })
        } else {
            let pattern = pattern(&self.glob);
            Box::new(move |name| {
                pattern
                    .as_ref()
                    .is_some_and(|pattern| pattern.is_match(name))
            })
        };
        let mut texts = Vec::new();
        let mut names = Vec::new();
        if folder.is_dir() {
            if let Err(error) = list(&folder, "", &mut names) {
                return place.at("path").fault(
                    format!("cannot be listed: {}", error.kind()),
                    "check who may read it",
                );
            }
            names.retain(|name| is_wanted(name));
            names.sort_unstable();
        } else {
            names.push(String::new());
        }
        if names.is_empty() {
            return place.fault(
                "name no file",
                format!("look for one in {}", folder.display()),
            );
        }
        for name in names {
            // Where the path is a file, it is the name.
            let (file, name) = match &*name {
                "" => (
                    folder.clone(),
                    self.path
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy()
                        .into_owned(),
                ),
                _ => (folder.join(&name), name),
            };
            place.reads(&file);
            let bytes = match fs::read(&file) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let problem = format!("names a file that cannot be read: {}", error.kind());
                    return place
                        .at("path")
                        .fault(problem, format!("look for it as {}", file.display()));
                }
            };
            let bytes = to_utf8(&bytes);
            let Ok(text) = std::str::from_utf8(&bytes) else {
                let problem = format!("name a file that is no text: {}", file.display());
                return place.fault(problem, "save it as UTF-8, or leave it out with `glob`");
            };
            texts.push((name, text.to_owned()));
        }
        Some(texts)
    }
}

/// Lists what is in a folder and below, by names with slashes. Hidden files are left out.
fn list(folder: &Path, before: &str, names: &mut Vec<String>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') {
            continue;
        }
        let name = format!("{before}{name}");
        if entry.file_type()?.is_dir() {
            list(&entry.path(), &format!("{name}/"), names)?;
        } else {
            names.push(name);
        }
    }
    Ok(())
}

/// Returns a pattern with `*`, `**` and `?` as an expression.
fn pattern(glob: &str) -> Option<Regex> {
    let escaped = regex::escape(glob);
    let pattern = escaped.replace(r"\*\*/", "(?:.+/)?").replace(r"\*\*", ".*");
    let pattern = pattern.replace(r"\*", "[^/]*").replace(r"\?", "[^/]");
    Regex::new(&format!("^{pattern}$")).ok()
}

/// Takes a text apart at the ends of paragraphs, into parts of at most `most` characters.
fn chunks(text: &str, most: usize, overlap: usize) -> Vec<String> {
    let length = |text: &str| text.chars().count();
    let text = text.replace("\r\n", "\n");
    let (mut chunks, mut open) = (Vec::new(), Vec::<&str>::new());
    let paragraphs = text
        .split("\n\n")
        .map(|paragraph| paragraph.trim_matches('\n'));
    let paragraphs = paragraphs.filter(|paragraph| !paragraph.trim().is_empty());
    let mut taken = 0;
    for part in paragraphs.flat_map(|paragraph| parts(paragraph, most)) {
        let added = length(part) + 2;
        if !open.is_empty() && taken + added > most + 2 {
            chunks.push(open.join("\n\n"));
            // Beside what is repeated there has to be room for what is new.
            while taken > overlap || taken + added > most + 2 {
                taken -= length(open.remove(0)) + 2;
            }
        }
        taken += added;
        open.push(part);
    }
    chunks.extend((!open.is_empty()).then(|| open.join("\n\n")));
    chunks
}

/// Cuts a paragraph that is too long, where a sentence ends, else between words.
fn parts(paragraph: &str, most: usize) -> Vec<&str> {
    let (mut parts, mut rest) = (Vec::new(), paragraph);
    while let Some((end, _)) = rest.char_indices().nth(most) {
        let head = &rest[..end];
        let after = |mark: &str| head.rfind(mark).map(|at| at + mark.len());
        let sentence = [". ", "! ", "? ", "。", "\n"]
            .into_iter()
            .filter_map(after)
            .max();
        let sentence = sentence.filter(|at| *at > end / 2);
        let at = sentence.or_else(|| after(" ")).unwrap_or(end);
        parts.push(rest[..at].trim_end());
        rest = rest[at..].trim_start();
    }
    parts.extend((!rest.is_empty()).then_some(rest));
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_end_where_paragraphs_do() {
        let text = "# One\n\nfirst paragraph\r\n\r\nsecond\n\n\n\nthird one\n";
        assert_eq!(
            chunks(text, 24, 0),
            ["# One\n\nfirst paragraph", "second\n\nthird one"]
        );
        assert_eq!(
            chunks(text, 24, 10),
            ["# One\n\nfirst paragraph", "second\n\nthird one"]
        );
        assert_eq!(
            chunks(text, 18, 9),
            ["# One", "first paragraph", "second\n\nthird one"]
        );
        assert_eq!(
            chunks("aa\n\nbb\n\ncc\n\ndd", 10, 4),
            ["aa\n\nbb\n\ncc", "cc\n\ndd"]
        );
        assert!(chunks(" \n\n \n", 10, 0).is_empty());
    }

    #[test]
    fn a_paragraph_that_is_too_long_is_cut_after_a_sentence_or_a_word() {
        let text = "One is short. Two is longer than that. Three";
        assert_eq!(
            chunks(text, 30, 0),
            ["One is short. Two is longer", "than that. Three"]
        );
        assert_eq!(
            chunks(text, 40, 0),
            ["One is short. Two is longer than that.", "Three"]
        );
        assert_eq!(chunks("ééééé", 2, 0), ["éé", "éé", "é"]);
    }

    #[test]
    fn a_glob_names_files() {
        for (glob, name, is_it) in [
            ("*.md", "a.md", true),
            ("*.md", "sub/a.md", false),
            ("**/*.md", "sub/deep/a.md", true),
            ("**/*.md", "a.md", true),
            ("sub/?.txt", "sub/a.txt", true),
            ("a+b.md", "aab.md", false),
        ] {
            assert_eq!(
                pattern(glob).unwrap().is_match(name),
                is_it,
                "{glob} {name}"
            );
        }
    }
}
