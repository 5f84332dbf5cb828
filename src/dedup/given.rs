//! Material that counts as already seen: seeds, an existing data set, a benchmark's test set.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::{AnyDeduplicator, AnyMemory, Reference};
use crate::candidate::Candidate;
use crate::error::{Error, ErrorKind, Result};

type Items = Box<dyn Iterator<Item = Result<(u64, Value)>> + Send>;

/// Material a record must not repeat: a record that does is a duplicate of [`Reference::Given`].
///
/// Each item is a record like those of the run, as a JSON object; an item that is mere text is a record with that
/// text as its only field. A `topic` field may be the record's own or the one an export adds, so such an item
/// counts both with it and without. Items are read anew for each run, one at a time.
///
/// ```
/// use serde_json::json;
/// use topicloom::dedup::Given;
///
/// let test_set = Given::jsonl("benchmarks/test.jsonl");
/// let seeds = Given::records("seeds", [json!({"question": "What is overfitting?"})]);
/// ```
#[derive(Clone)]
pub struct Given {
    source: Arc<str>,
    items: Arc<dyn Fn() -> Result<Items> + Send + Sync>,
}

impl Given {
    /// Names a JSONL file, one record per line; blank lines are skipped. Hits name the file and the line.
    ///
    /// The file is opened when a run starts.
    pub fn jsonl(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            source: Arc::from(path.to_string_lossy().as_ref()),
            items: Arc::new(move || {
                let file = File::open(&path)
                    .map_err(|e| unreadable("given material cannot be opened").with_source(e))?;
                Ok(Box::new(lines(BufReader::new(file))))
            }),
        }
    }

    /// Takes records under a name of the caller's choosing. Hits name it and the number of the record, from 1.
    pub fn records(
        source: impl Into<Arc<str>>,
        records: impl IntoIterator<Item = impl Into<Value>>,
    ) -> Self {
        let records: Arc<[Value]> = records.into_iter().map(Into::into).collect();
        Self {
            source: source.into(),
            items: Arc::new(move || {
                let records = Arc::clone(&records);
                Ok(Box::new((1..).zip(0..records.len()).map(
                    move |(number, index)| Ok((number, records[index].clone())),
                )))
            }),
        }
    }

    /// Returns the name hits are reported under.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Loads everything into the memory of a run, and returns how many items that were.
    ///
    /// Call it before the first record is admitted, in the same order each time the run is resumed.
    ///
    /// # Errors
    ///
    /// Returns an [`InvalidInput`](ErrorKind::InvalidInput) error that names source and line where the material
    /// cannot be read or an item is neither an object nor text, and whatever the deduplicator returns.
    pub async fn load(
        &self,
        deduplicator: &AnyDeduplicator,
        memory: &mut AnyMemory,
    ) -> Result<u64> {
        let mut count = 0;
        for item in (self.items)().map_err(|e| self.at(e, None))? {
            let (line, value) = item.map_err(|e| self.at(e, None))?;
            let mut data = match value {
                Value::Object(data) => data,
                text @ Value::String(_) => Map::from_iter([("text".to_owned(), text)]),
                _ => {
                    let error =
                        unreadable("an item of given material is neither an object nor text");
                    return Err(self.at(error, Some(line)));
                }
            };
            let topic = match data.get("topic") {
                Some(Value::String(topic)) => topic.clone(),
                _ => String::new(),
            };
            let reference = Reference::given(&self.source, line);
            let whole = deduplicator
                .fingerprint(&Candidate::new(&topic, &data))
                .await?;
            memory.remember(whole, reference.clone());
            if data.shift_remove("topic").is_some() && !data.is_empty() {
                let bare = deduplicator
                    .fingerprint(&Candidate::new(&topic, &data))
                    .await?;
                memory.remember(bare, reference);
            }
            count += 1;
        }
        Ok(count)
    }

    fn at(&self, error: Error, line: Option<u64>) -> Error {
        let error = error.with_context("source", self.source());
        match line {
            Some(line) => error.with_context("line", line.to_string()),
            None => error,
        }
    }
}

impl fmt::Debug for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Given")
            .field("source", &self.source)
            .finish_non_exhaustive()
    }
}

fn unreadable(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// Reads numbered JSON values, one per line, skipping blank lines.
fn lines(reader: impl BufRead) -> impl Iterator<Item = Result<(u64, Value)>> {
    (1..).zip(reader.lines()).filter_map(|(number, line)| {
        let parsed = match &line {
            Ok(line) if line.trim().is_empty() => return None,
            Ok(line) => serde_json::from_str(line.trim_start_matches('\u{feff}'))
                // The cause is left out: it may quote the line.
                .map_err(|_| unreadable("a line of given material is not JSON")),
            Err(_) => Err(unreadable("given material cannot be read as UTF-8 text")),
        };
        Some(
            parsed
                .map(|value| (number, value))
                .map_err(|e| e.with_context("line", number.to_string())),
        )
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use serde_json::json;

    use super::*;
    use crate::dedup::{ExactDuplicates, Verdict};

    async fn admit(
        deduplicator: &AnyDeduplicator,
        memory: &mut AnyMemory,
        data: &Value,
    ) -> Verdict {
        let candidate = Candidate::new("t", data.as_object().expect("an object"));
        memory.admit(deduplicator.fingerprint(&candidate).await.expect("exact"))
    }

    #[tokio::test]
    async fn a_hit_says_what_it_hit() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        writeln!(
            file,
            "{{\"q\": \"a\"}}\n\n{{\"q\": \"b\", \"topic\": \"x\"}}"
        )
        .expect("written");
        let given = Given::jsonl(file.path());
        let deduplicator = AnyDeduplicator::new(ExactDuplicates::default());
        let mut memory = deduplicator.memory();
        assert_eq!(
            given.load(&deduplicator, &mut memory).await.expect("JSONL"),
            2
        );

        let verdict = admit(&deduplicator, &mut memory, &json!({"q": "B"})).await;
        let Verdict::Duplicate(hit) = verdict else {
            panic!("it repeats the third line")
        };
        assert_eq!(
            hit.of.to_string(),
            format!("{} line 3", file.path().display())
        );
        assert!(
            admit(&deduplicator, &mut memory, &json!({"q": "c"}))
                .await
                .is_unique()
        );
        assert_eq!(
            memory.records(),
            1,
            "given material is not a record of the run"
        );
    }

    #[tokio::test]
    async fn texts_are_records_of_one_field() {
        let given = Given::records("seeds", ["a", "b"]);
        let deduplicator = AnyDeduplicator::new(ExactDuplicates::default());
        let mut memory = deduplicator.memory();
        given.load(&deduplicator, &mut memory).await.expect("text");
        assert_eq!(
            admit(&deduplicator, &mut memory, &json!({"text": "b"})).await,
            Verdict::duplicate(Reference::given(&Arc::from("seeds"), 2), 1.0)
        );
    }

    #[tokio::test]
    async fn a_broken_line_is_named_and_not_quoted() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        writeln!(file, "{{\"q\": \"a\"}}\nsecret").expect("written");
        let deduplicator = AnyDeduplicator::new(ExactDuplicates::default());
        let error = Given::jsonl(file.path())
            .load(&deduplicator, &mut deduplicator.memory())
            .await
            .expect_err("the second line is not JSON");
        assert!(error.to_string().contains("line: 2"), "{error}");
        assert!(!format!("{error:?}").contains("secret"));
    }
}
