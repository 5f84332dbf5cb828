//! Finds out whether a run can go on with the journal that is there, and moves one away with which it cannot.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::FileJournal;
use crate::disk;
use crate::error::{Error, ErrorKind, Result};
use crate::input::GenerateByTopicInput;
use crate::journal::Header;

/// A journal that was opened for an input.
#[derive(Debug)]
#[non_exhaustive]
pub struct OpenedJournal {
    /// The journal.
    pub journal: FileJournal,
    /// Whether its answers were made for an input that differs in other things than the
    /// [moved](Self::moved) ones: they are judged anew, with
    /// [`resume_changed_input`](crate::PipelineBuilder::resume_changed_input).
    pub input_changed: bool,
    /// The journal that was there before, where the run cannot go on with it.
    pub moved: Option<MovedJournal>,
}

/// A journal that was moved out of the way.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MovedJournal {
    /// Where it is now.
    pub to: PathBuf,
    /// The keys of the input whose change made its answers worthless; none where the caller wanted a new one.
    pub changed: Vec<&'static str>,
}

impl fmt::Display for MovedJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.changed.is_empty() {
            write!(f, "{} changed: ", self.changed.join(" and "))?;
        }
        write!(f, "the journal that was there is now {}", self.to.display())
    }
}

impl FileJournal {
    /// Opens the journal of an input, creating it if there is none.
    ///
    /// A run goes on with what is there although counts, topics, patience or other settings have changed. Where the
    /// instruction, a model that is asked, the shape of a record or a given seed is another, its answers are not what
    /// was asked for: that journal is moved to `NAME.1`, or the next number that is free, and a new one begins.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open), and where the old journal cannot be moved.
    pub fn open_for<T>(
        path: impl Into<PathBuf>,
        input: &GenerateByTopicInput<T>,
    ) -> Result<OpenedJournal> {
        let path = path.into();
        let journal = Self::open(&path)?;
        let committer = journal.committer();
        let starts = committer.starts();
        let changed = starts
            .last()
            .map_or_else(Vec::new, |header| changed(header, input));
        if changed.is_empty() {
            let is_same = starts.is_empty() || starts.len() == 1 && starts[0].is_of(input);
            return Ok(OpenedJournal {
                journal,
                input_changed: !is_same,
                moved: None,
            });
        }
        let to = disk::move_aside(&path).map_err(|error| unmoved(&path, error))?;
        Ok(OpenedJournal {
            journal: Self::open(&path)?,
            input_changed: false,
            moved: Some(MovedJournal { to, changed }),
        })
    }

    /// Opens a new journal, and moves whatever is there to `NAME.1`, or the next number that is free.
    ///
    /// # Errors
    ///
    /// Where a file cannot be moved or created, or another run has it open.
    pub fn open_afresh(path: impl Into<PathBuf>) -> Result<OpenedJournal> {
        let path = path.into();
        let moved = match File::open(&path) {
            Ok(old) => {
                if let Err(std::fs::TryLockError::WouldBlock) = old.try_lock() {
                    return Err(unmoved(&path, io::ErrorKind::ResourceBusy.into()));
                }
                let to = disk::move_aside(&path).map_err(|error| unmoved(&path, error))?;
                let changed = Vec::new();
                Some(MovedJournal { to, changed })
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(unmoved(&path, error)),
        };
        Ok(OpenedJournal {
            journal: Self::open(path)?,
            input_changed: false,
            moved,
        })
    }
}

/// Names what has changed that makes earlier answers worthless.
fn changed<T>(header: &Header, input: &GenerateByTopicInput<T>) -> Vec<&'static str> {
    let Ok(before) = GenerateByTopicInput::from_json_value(header.input.clone()) else {
        // Another version read keys that this one does not know.
        return vec!["the version of this library"];
    };
    let asks_for_topics = before.asks_topic_model() && input.asks_topic_model();
    let seed = input.settings().seed;
    let compared = [
        (
            "user_instruction",
            before.user_instruction() != input.user_instruction(),
        ),
        (
            "generation_model_name",
            before.generation_model() != input.generation_model(),
        ),
        (
            "topic_model_name",
            asks_for_topics && before.topic_model() != input.topic_model(),
        ),
        (
            "output_schema",
            before.schema().fingerprint() != input.schema().fingerprint(),
        ),
        ("seed", seed.is_some_and(|seed| seed != header.seed)),
    ];
    let changed = compared.into_iter().filter(|(_, is_changed)| *is_changed);
    changed.map(|(key, _)| key).collect()
}

fn unmoved(path: &Path, error: io::Error) -> Error {
    Error::new(
        ErrorKind::Journal,
        "the journal that is there could not be moved out of the way",
    )
    .with_context("path", path.display().to_string())
    .with_context("cause", error.kind().to_string())
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;
    use crate::journal::{Entry, Journal};

    fn input(changes: &serde_json::Value) -> GenerateByTopicInput {
        let mut input = json!({
            "user_instruction": "about the sea", "num_records": 5, "topics": ["tides"],
            "data_factory_config": {"seed": 1},
        });
        for (key, value) in changes.as_object().expect("the test gives an object") {
            input[key] = value.clone();
        }
        GenerateByTopicInput::from_json_value(input).expect("the test's input is valid")
    }

    #[tokio::test]
    async fn a_journal_is_gone_on_with_unless_its_answers_are_worthless() {
        for (changes, input_changed, changed) in [
            (json!({}), false, vec![]),
            (
                json!({"data_factory_config": {"seed": 1, "max_concurrency": 2}}),
                false,
                vec![],
            ),
            (json!({"num_records": 6}), true, vec![]),
            (json!({"topics": ["waves"]}), true, vec![]),
            (
                json!({"data_factory_config": {"dead_queue_threshold": 9}}),
                true,
                vec![],
            ),
            // It is never asked.
            (json!({"topic_model_name": "openai/other"}), true, vec![]),
            (
                json!({"user_instruction": "about hills"}),
                false,
                vec!["user_instruction"],
            ),
            (
                json!({"generation_model_name": "openai/other"}),
                false,
                vec!["generation_model_name"],
            ),
            (
                json!({"data_factory_config": {"seed": 2}}),
                false,
                vec!["seed"],
            ),
            (
                json!({"output_schema": [{"name": "text", "type": "str"}], "user_instruction": null}),
                false,
                vec!["user_instruction", "output_schema"],
            ),
        ] {
            let directory = tempfile::tempdir().expect("there is room");
            let path = directory.path().join("run.journal");
            let first = input(&json!({}));
            let journal = FileJournal::open(&path).expect("it can be made");
            let header = Header::new(1, first.to_json(), first.fingerprint());
            journal
                .append(Entry::Started(header))
                .await
                .expect("there is room");
            journal.close().await.expect("there is room");
            let before = fs::read(&path).expect("it is there");

            let opened = FileJournal::open_for(&path, &input(&changes)).expect("it can be opened");
            assert_eq!(opened.input_changed, input_changed, "{changes}");
            let moved = opened.moved.map_or_else(Vec::new, |moved| {
                assert_eq!(fs::read(&moved.to).expect("it was moved"), before);
                moved.changed
            });
            assert_eq!(moved, changed, "{changes}");
        }
    }

    #[test]
    fn whatever_is_there_is_moved_for_a_fresh_start_but_not_from_under_a_run() {
        let directory = tempfile::tempdir().expect("there is room");
        let path = directory.path().join("run.journal");
        fs::write(&path, "not a journal").expect("there is room");
        let opened = FileJournal::open_afresh(&path).expect("it can be made");
        let moved = opened.moved.expect("there was something").to;
        assert_eq!(fs::read(moved).expect("it was moved"), b"not a journal");
        assert!(FileJournal::open_afresh(&path).is_err(), "it is open");
        drop(opened.journal);
    }
}
