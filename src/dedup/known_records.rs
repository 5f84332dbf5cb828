//! Material that counts as already seen: seeds, an existing data set, a benchmark's test set.

use std::fmt;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;

use futures::stream::{self, StreamExt, TryStreamExt};
use serde_json::{Map, Value};

use super::{AnyDeduplicator, AnyFingerprint, AnyMemory, Reference};
use crate::candidate::Candidate;
use crate::error::{Error, ErrorKind, Result};

/// Fingerprints made at once. As many texts as [`Batched`](crate::embedding::Batched) puts into one call.
const AT_ONCE: usize = 64;

type Items = Box<dyn Iterator<Item = Result<(u64, Value)>> + Send>;

/// Material a record must not repeat: a record that does is a duplicate of [`Reference::Given`].
///
/// Each item is a record like those of the run, as a JSON object; an item that is mere text is a record with that
/// text as its only field. A `topic` field may be the record's own or the one an export adds, so such an item
/// counts both with it and without. Items are read anew for each run, a few at a time.
///
/// ```
/// use serde_json::json;
/// use topicloom::dedup::KnownRecords;
///
/// let test_set = KnownRecords::jsonl("benchmarks/test.jsonl");
/// let seeds = KnownRecords::records("seeds", [json!({"question": "What is overfitting?"})]);
/// ```
#[derive(Clone)]
pub struct KnownRecords {
    source: Arc<str>,
    /// Fields that are none of a record.
    without: Arc<[String]>,
    items: Arc<dyn Fn() -> Result<Items> + Send + Sync>,
}

impl KnownRecords {
    /// Names a JSONL file, one record per line; blank lines are skipped. Hits name the file and the line.
    ///
    /// The file is opened when a run starts.
    pub fn jsonl(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        Self {
            source: Arc::from(path.to_string_lossy().as_ref()),
            without: Arc::default(),
            items: Arc::new(move || {
                if path.is_dir() {
                    return Err(unreadable(
                        "given material is a directory: name a file of JSON Lines that is in it",
                    ));
                }
                let file = File::open(&path).map_err(|e| {
                    unreadable(
                        "given material cannot be opened: check the path and who may read it",
                    )
                    .with_source(e)
                })?;
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
            without: Arc::default(),
            items: Arc::new(move || {
                let records = Arc::clone(&records);
                Ok(Box::new((1..).zip(0..records.len()).map(
                    move |(number, index)| Ok((number, records[index].clone())),
                )))
            }),
        }
    }

    /// Leaves out fields of its items: those that an export writes beside a record.
    #[must_use]
    pub fn without(mut self, fields: &[String]) -> Self {
        self.without = fields.into();
        self
    }

    /// Returns the name hits are reported under.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Loads everything into the memory of a run, and returns how many items that were.
    ///
    /// Fingerprints of up to 64 items are made at once, and remembered in the order of the items. Call it before the
    /// first record is admitted, in the same order each time the run is resumed.
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
        let items = (self.items)().map_err(|e| self.at(e, None))?;
        let prints = stream::iter(items)
            .map(|item| self.fingerprints(deduplicator, item))
            .buffered(AT_ONCE);
        let mut prints = pin!(prints);
        let mut count = 0;
        while let Some((line, prints)) = prints.try_next().await? {
            for print in prints {
                memory.remember(print, Reference::given(&self.source, line));
            }
            count += 1;
        }
        Ok(count)
    }

    /// Makes the fingerprints of one item: with its topic and, where it has one, without.
    async fn fingerprints(
        &self,
        deduplicator: &AnyDeduplicator,
        item: Result<(u64, Value)>,
    ) -> Result<(u64, Vec<AnyFingerprint>)> {
        let (line, value) = item.map_err(|e| self.at(e, None))?;
        let mut data = match value {
            Value::Object(data) => data,
            text @ Value::String(_) => Map::from_iter([("text".to_owned(), text)]),
            _ => {
                let error = unreadable(
                    "an item of given material is neither an object nor text: make each a record such as {\"question\": \"…\"}",
                );
                return Err(self.at(error, Some(line)));
            }
        };
        data.retain(|field, _| !self.without.contains(field));
        let topic = match data.get("topic") {
            Some(Value::String(topic)) => topic.clone(),
            _ => String::new(),
        };
        let mut prints = Vec::with_capacity(2);
        let made = async |data: &Map<String, Value>| {
            let print = deduplicator
                .fingerprint(&Candidate::new(&topic, data))
                .await;
            print.map_err(|e| self.at(e, Some(line)))
        };
        prints.push(made(&data).await?);
        if data.shift_remove("topic").is_some() && !data.is_empty() {
            prints.push(made(&data).await?);
        }
        Ok((line, prints))
    }

    fn at(&self, error: Error, line: Option<u64>) -> Error {
        let error = error.with_context("source", self.source());
        match line {
            Some(line) => error.with_context("line", line.to_string()),
            None => error,
        }
    }
}

impl fmt::Debug for KnownRecords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KnownRecords")
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
                .map_err(|_| {
                    unreadable(
                        "a line of given material is not JSON: put one record, whole, on each line",
                    )
                }),
            Err(_) => Err(unreadable(
                "given material cannot be read: save it as UTF-8 text",
            )),
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
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::dedup::{Deduplicator, ExactDuplicates, Verdict};

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
        let given = KnownRecords::jsonl(file.path());
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
        let given = KnownRecords::records("seeds", ["a", "b"]);
        let deduplicator = AnyDeduplicator::new(ExactDuplicates::default());
        let mut memory = deduplicator.memory();
        given.load(&deduplicator, &mut memory).await.expect("text");
        assert_eq!(
            admit(&deduplicator, &mut memory, &json!({"text": "b"})).await,
            Verdict::duplicate(Reference::given(&Arc::from("seeds"), 2), 1.0).by("exact")
        );
    }

    /// Takes the longer, the earlier it is asked, and tells how many asked at once.
    #[derive(Debug, Default)]
    struct Slow {
        asking: AtomicUsize,
        most: AtomicUsize,
        asked: AtomicUsize,
    }

    #[async_trait::async_trait]
    impl Deduplicator for Arc<Slow> {
        type Fingerprint = crate::dedup::ExactFingerprint;
        type Memory = crate::dedup::ExactMemory;

        async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<Self::Fingerprint> {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed);
            let asking = self.asking.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(asking, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(500_u64.saturating_sub(asked as u64))).await;
            self.asking.fetch_sub(1, Ordering::Relaxed);
            if candidate.text("text") == Some("bad") {
                return Err(Error::new(ErrorKind::Overloaded, "no"));
            }
            ExactDuplicates::default().fingerprint(candidate).await
        }

        fn memory(&self) -> Self::Memory {
            ExactDuplicates::default().memory()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn fingerprints_are_made_at_once_and_remembered_in_order() {
        let slow = Arc::new(Slow::default());
        let deduplicator = AnyDeduplicator::new(Arc::clone(&slow));
        let texts = (0..300).map(|number| (number % 100).to_string());
        let given = KnownRecords::records("numbers", texts);
        let mut memory = deduplicator.memory();
        let loaded = given.load(&deduplicator, &mut memory).await;
        assert_eq!(loaded.expect("text"), 300);
        assert_eq!(slow.most.load(Ordering::Relaxed), AT_ONCE);
        assert_eq!(
            admit(&deduplicator, &mut memory, &json!({"text": "41"})).await,
            Verdict::duplicate(Reference::given(&Arc::from("numbers"), 42), 1.0).by("exact"),
            "the first of equals is the one that is named"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_fingerprint_that_cannot_be_made_names_its_item() {
        let deduplicator = AnyDeduplicator::new(Arc::new(Slow::default()));
        let error = KnownRecords::records("seeds", ["good", "bad", "fine"])
            .load(&deduplicator, &mut deduplicator.memory())
            .await
            .expect_err("the second cannot be made");
        assert_eq!(error.kind(), ErrorKind::Overloaded);
        let context: Vec<_> = error.context().collect();
        assert_eq!(context, [("source", "seeds"), ("line", "2")]);
    }

    #[tokio::test]
    async fn what_is_wrong_with_the_material_is_said_with_what_to_do() {
        let deduplicator = AnyDeduplicator::new(ExactDuplicates::default());
        let missing = KnownRecords::jsonl("no/such/file.jsonl");
        let folder = KnownRecords::jsonl(std::env::temp_dir());
        let numbers = KnownRecords::records("numbers", [json!("a"), json!(7)]);
        for (given, place, advice) in [
            (missing, "file.jsonl", "check the path"),
            (folder, "is a directory", "name a file"),
            (numbers, "line: 2", "make each a record"),
        ] {
            let loaded = given.load(&deduplicator, &mut deduplicator.memory()).await;
            let error = loaded.expect_err("it cannot be loaded").to_string();
            assert!(error.contains(place) && error.contains(advice), "{error}");
        }
    }

    #[tokio::test]
    async fn a_broken_line_is_named_and_not_quoted() {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        writeln!(file, "{{\"q\": \"a\"}}\nsecret").expect("written");
        let deduplicator = AnyDeduplicator::new(ExactDuplicates::default());
        let error = KnownRecords::jsonl(file.path())
            .load(&deduplicator, &mut deduplicator.memory())
            .await
            .expect_err("the second line is not JSON");
        assert!(error.to_string().contains("line: 2"), "{error}");
        assert!(!format!("{error:?}").contains("secret"));
    }
}
