//! What a sink promises.

use serde_json::Value;

use crate::error::Result;
use crate::record::{JsonRecord, Record, RecordMeta};
use crate::sink::Sink;
use crate::topic::Topic;

/// Checks the promises of a [`Sink`] that keeps records in a place of its own.
///
/// `open` makes a sink on that place, which is empty at first and the same each time; `read` returns what a
/// reader finds there, as [`Record::to_json`] gives it, or `None` where there is nothing. All values are texts, so
/// that formats without types can be checked too.
///
/// ```
/// use topicloom::sink::JsonlSink;
/// use topicloom::testing::conformance;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// let path = directory.path().join("records.jsonl");
/// conformance::sink(
///     || JsonlSink::create(&path),
///     || {
///         let text = std::fs::read_to_string(&path).ok()?;
///         Some(text.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
///     },
/// )
/// .await;
/// # Ok(())
/// # }
/// ```
///
/// # Panics
///
/// If a promise is broken; the message says which.
pub async fn sink<S: Sink>(
    open: impl Fn() -> Result<S>,
    read: impl Fn() -> Option<Vec<JsonRecord>>,
) {
    assert!(
        read().is_none(),
        "there is something before anything was written"
    );
    let new_sink = || match open() {
        Ok(sink) => sink,
        Err(error) => panic!("the sink cannot be made: {error}"),
    };

    let records = records();
    let mut dropped = new_sink();
    write(&mut dropped, &records).await;
    assert!(read().is_none(), "records can be seen before `finish`");
    drop(dropped);
    assert!(
        read().is_none(),
        "a sink that was dropped before `finish` left something"
    );

    let mut sink = new_sink();
    write(&mut sink, &records).await;
    finish(&mut sink).await;
    expect(&read, &records);
    finish(&mut sink).await;
    expect(&read, &records);
    assert!(
        sink.write(&records[0]).await.is_err(),
        "a record was taken after `finish`"
    );
    drop(sink);
    expect(&read, &records);

    let mut dropped = new_sink();
    write(&mut dropped, &records[..2]).await;
    drop(dropped);
    expect(&read, &records);

    let mut second = new_sink();
    write(&mut second, &records[..2]).await;
    finish(&mut second).await;
    expect(&read, &records[..2]);
    drop(second);

    let mut incomplete = new_sink();
    write(&mut incomplete, &records).await;
    set_aside(&mut incomplete).await;
    drop(incomplete);
    expect(&read, &records[..2]);

    // A run that made nothing leaves an empty data set, not the one before.
    let mut empty = new_sink();
    finish(&mut empty).await;
    expect(&read, &[]);
}

/// Checks that a [`Sink`] keeps what it set aside, of a run and of those before it, and nothing twice.
///
/// `open` makes a sink on a place that is empty at first; `kept` returns all records of incomplete runs that a user finds there,
/// as [`Record::to_json`] gives them, in any order. A sink that says nothing of a place where it keeps them has none.
///
/// # Panics
///
/// If a promise is broken; the message says which.
pub async fn sink_keeps<S: Sink>(open: impl Fn() -> Result<S>, kept: impl Fn() -> Vec<JsonRecord>) {
    let records = records();
    let runs: [(&[Record], &[Record], bool); 5] = [
        // What is written, what must be there then, and whether the sink is told before it is dropped.
        (&records[..2], &records[..2], true),
        (&records[..4], &records[..4], true),
        (&records[..3], &records[..4], false),
        (&records[4..6], &records[..6], true),
        (&records[6..8], &records[..8], true),
    ];
    for (number, (written, expected, is_told)) in runs.into_iter().enumerate() {
        let mut sink = match open() {
            Ok(sink) => sink,
            Err(error) => panic!("the sink cannot be made: {error}"),
        };
        write(&mut sink, written).await;
        if is_told && set_aside(&mut sink).await.is_none() {
            return;
        }
        drop(sink);
        let found = kept();
        assert!(
            found.len() == expected.len(),
            "after incomplete run {number}, {} records are kept instead of {}",
            found.len(),
            expected.len()
        );
        for record in expected {
            let wanted = record.to_json().expect("the record is an object");
            assert!(
                found.contains(&wanted),
                "after incomplete run {number}, a record is lost"
            );
        }
    }
}

/// Records whose texts are awkward for one format or the other.
fn records() -> Vec<Record> {
    let texts = [
        "plain",
        "",
        "two\nlines, and\ta tab",
        "a \"quoted\" word, a \\ and a \r\n",
        " spaces at both ends ",
        "é, ß, 日本語, 🧵, \u{202e}right to left",
        "=1+1",
        "null",
        "\u{1}\u{7f}\u{2028}",
    ];
    let record = |(ordinal, text): (usize, &&str)| {
        let mut data = JsonRecord::new();
        data.insert("question".into(), Value::from(*text));
        data.insert(
            "answer".into(),
            Value::from(format!("the answer to no. {ordinal}")),
        );
        if ordinal == 3 {
            data.insert("topic".into(), Value::from("the record's own"));
        } else {
            data.insert("difficulty".into(), Value::from("easy"));
        }
        let topic = Topic::new(["graphs", "trees, \"rooted\""][ordinal % 2]);
        let ordinal = ordinal as u64;
        Record::new(topic, data, RecordMeta::new(ordinal, ordinal, "test/loom"))
    };
    texts.iter().enumerate().map(record).collect()
}

async fn write(sink: &mut impl Sink, records: &[Record]) {
    for record in records {
        if let Err(error) = sink.write(record).await {
            panic!("a plain record was not taken: {error}");
        }
    }
}

async fn finish(sink: &mut impl Sink) {
    if let Err(error) = sink.finish().await {
        panic!("`finish` failed: {error}");
    }
}

async fn set_aside(sink: &mut impl Sink) -> Option<String> {
    match sink.set_aside().await {
        Ok(place) => place,
        Err(error) => panic!("`set_aside` failed: {error}"),
    }
}

fn expect(read: impl Fn() -> Option<Vec<JsonRecord>>, records: &[Record]) {
    let Some(found) = read() else {
        panic!("there is nothing after `finish`");
    };
    assert!(
        found.len() == records.len(),
        "{} records were finished, and {} are there",
        records.len(),
        found.len()
    );
    for (number, (found, record)) in found.iter().zip(records).enumerate() {
        let wanted = record.to_json().expect("the record is an object");
        assert!(
            *found == wanted,
            "record {number} is not what was written:\n{found:?}\n{wanted:?}"
        );
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::io::Read as _;
    use std::path::Path;
    use std::sync::{Arc, Mutex};

    use async_trait::async_trait;

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::input::OutputFile;
    use crate::schema::RecordSchema;
    use crate::sink::{FileSink, JsonlSink};

    #[tokio::test]
    async fn our_own_sinks_keep_their_promises() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.jsonl");
        let read = || {
            let text = std::fs::read_to_string(&path).ok()?;
            Some(
                text.lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect(),
            )
        };
        sink(|| JsonlSink::create(&path), read).await;
        let boxed = || JsonlSink::create(&path).map(|sink| Box::new(sink) as Box<dyn Sink>);
        std::fs::remove_file(&path).unwrap();
        sink(boxed, read).await;
    }

    fn file_sink(path: &Path) -> Result<FileSink> {
        let schema = serde_json::json!({
            "type": "object", "required": ["question"],
            "properties": {"question": {"type": "string"}, "answer": {"type": "string"}},
        });
        let schema = RecordSchema::from_json_schema(schema).expect("the test's schema is one");
        FileSink::create(&OutputFile::new(path), &schema)
    }

    /// Reads a file of any format as another hand does.
    fn read_file(path: &Path) -> Option<Vec<JsonRecord>> {
        let mut bytes = std::fs::read(path).ok()?;
        let mut name = path.to_str().unwrap();
        if let Some(unpacked) = name.strip_suffix(".gz") {
            name = unpacked;
            let mut text = Vec::new();
            flate2::bufread::GzDecoder::new(&*bytes)
                .read_to_end(&mut text)
                .unwrap();
            bytes = text;
        }
        Some(match name.rsplit_once('.').unwrap().1 {
            "csv" => {
                let mut reader = csv::Reader::from_reader(&*bytes);
                let rows: Vec<BTreeMap<String, String>> =
                    reader.deserialize().map(Result::unwrap).collect();
                let cell = |(name, cell): (String, String)| (name, Value::from(cell));
                let mut rows: Vec<JsonRecord> = rows
                    .into_iter()
                    .map(|row| row.into_iter().map(cell).collect())
                    .collect();
                // What is missing and what is empty are one in CSV, to this reader.
                for row in &mut rows {
                    row.retain(|name, cell| name != "difficulty" || cell != "");
                }
                rows
            }
            #[cfg(feature = "parquet")]
            "parquet" => {
                use parquet::file::reader::{FileReader as _, SerializedFileReader};
                use parquet::record::Field;
                let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
                let rows = reader.get_row_iter(None).unwrap().map(Result::unwrap);
                let texts = |row: parquet::record::Row| -> JsonRecord {
                    let cells = row.get_column_iter().filter_map(|(name, cell)| match cell {
                        Field::Str(text) => Some((name.clone(), Value::from(text.as_str()))),
                        _ => None,
                    });
                    cells.collect()
                };
                rows.map(texts).collect()
            }
            _ => std::str::from_utf8(&bytes)
                .unwrap()
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        })
    }

    const FORMATS: &[&str] = &[
        "out.jsonl",
        "out.jsonl.gz",
        "out.csv",
        "out.csv.gz",
        #[cfg(feature = "parquet")]
        "out.parquet",
    ];

    #[tokio::test]
    async fn files_of_every_format_keep_their_promises() {
        for &name in FORMATS {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(name);
            sink(|| file_sink(&path), || read_file(&path)).await;
            let left = std::fs::read_dir(directory.path()).unwrap();
            let left: Vec<_> = left.map(|file| file.unwrap().file_name()).collect();
            assert!(
                left.iter()
                    .all(|file| !file.to_string_lossy().ends_with(".making")),
                "{left:?}"
            );
        }
    }

    #[tokio::test]
    async fn our_own_sinks_keep_what_they_set_aside() {
        for &name in FORMATS {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(name);
            let kept = || {
                let mut records = Vec::new();
                for file in std::fs::read_dir(directory.path()).unwrap() {
                    let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
                    records.extend(text.lines().map(|line| serde_json::from_str(line).unwrap()));
                }
                records
            };
            sink_keeps(|| file_sink(&path), kept).await;
            if name == "out.jsonl" {
                std::fs::remove_dir_all(directory.path()).unwrap();
                std::fs::create_dir(directory.path()).unwrap();
                sink_keeps(|| JsonlSink::create(&path), kept).await;
            }
        }
    }

    /// Keeps what is set aside in the order of the runs, or only that of the last.
    struct Drawer {
        written: Vec<JsonRecord>,
        kept: Arc<Mutex<Vec<JsonRecord>>>,
        empties: bool,
    }

    #[async_trait]
    impl Sink for Drawer {
        async fn write(&mut self, record: &Record) -> Result<()> {
            self.written.push(record.to_json()?);
            Ok(())
        }

        async fn finish(&mut self) -> Result<()> {
            Ok(())
        }

        async fn set_aside(&mut self) -> Result<Option<String>> {
            let mut drawer = self.kept.lock().unwrap();
            if self.empties {
                drawer.clear();
            }
            drawer.append(&mut self.written);
            Ok(Some("the drawer".to_owned()))
        }
    }

    async fn check_drawer(empties: bool) {
        let drawer = Arc::<Mutex<Vec<JsonRecord>>>::default();
        let open = || {
            Ok(Drawer {
                written: Vec::new(),
                kept: Arc::clone(&drawer),
                empties,
            })
        };
        sink_keeps(open, || drawer.lock().unwrap().clone()).await;
    }

    #[tokio::test]
    #[should_panic(expected = "after incomplete run 1, 6 records are kept instead of 4")]
    async fn a_sink_that_keeps_records_twice_fails() {
        check_drawer(false).await;
    }

    #[tokio::test]
    #[should_panic(expected = "after incomplete run 3, 2 records are kept instead of 6")]
    async fn a_sink_that_empties_the_drawer_fails() {
        check_drawer(true).await;
    }

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Break {
        Nothing,
        CommitsAtOnce,
        ForgetsToCommit,
        CommitsTwice,
        TakesMoreAfterTheEnd,
        DropsTheOldAtTheStart,
        KeepsNothingOfAnEmptyRun,
        LosesTheTopic,
    }

    type Place = Arc<Mutex<Option<Vec<JsonRecord>>>>;

    struct Broken {
        how: Break,
        place: Place,
        written: Vec<JsonRecord>,
        finished: bool,
    }

    #[async_trait]
    impl Sink for Broken {
        async fn write(&mut self, record: &Record) -> Result<()> {
            if self.finished && self.how != Break::TakesMoreAfterTheEnd {
                return Err(Error::new(ErrorKind::Sink, "finished"));
            }
            self.written.push(match self.how {
                Break::LosesTheTopic => record.data.clone(),
                _ => record.to_json()?,
            });
            if self.how == Break::CommitsAtOnce {
                *self.place.lock().unwrap() = Some(self.written.clone());
            }
            Ok(())
        }

        async fn finish(&mut self) -> Result<()> {
            let mut place = self.place.lock().unwrap();
            match self.how {
                Break::ForgetsToCommit => {}
                Break::KeepsNothingOfAnEmptyRun if self.written.is_empty() => {}
                Break::CommitsTwice => {
                    let again = self.written.clone();
                    place.get_or_insert_default().extend(again);
                }
                _ => *place = Some(self.written.clone()),
            }
            self.finished = true;
            Ok(())
        }
    }

    async fn check(how: Break) {
        let place = Place::default();
        let open = || {
            if how == Break::DropsTheOldAtTheStart {
                *place.lock().unwrap() = None;
            }
            Ok(Broken {
                how,
                place: Arc::clone(&place),
                written: Vec::new(),
                finished: false,
            })
        };
        sink(open, || place.lock().unwrap().clone()).await;
    }

    #[tokio::test]
    async fn the_broken_sink_is_whole_where_it_is_not_broken() {
        check(Break::Nothing).await;
    }

    #[tokio::test]
    #[should_panic(expected = "can be seen before `finish`")]
    async fn a_sink_that_commits_at_once_fails() {
        check(Break::CommitsAtOnce).await;
    }

    #[tokio::test]
    #[should_panic(expected = "nothing after `finish`")]
    async fn a_sink_that_does_not_commit_fails() {
        check(Break::ForgetsToCommit).await;
    }

    #[tokio::test]
    #[should_panic(expected = "9 records were finished, and 18 are there")]
    async fn a_sink_that_commits_twice_fails() {
        check(Break::CommitsTwice).await;
    }

    #[tokio::test]
    #[should_panic(expected = "taken after `finish`")]
    async fn a_sink_that_takes_more_after_the_end_fails() {
        check(Break::TakesMoreAfterTheEnd).await;
    }

    #[tokio::test]
    #[should_panic(expected = "nothing after `finish`")]
    async fn a_sink_that_drops_the_old_at_the_start_fails() {
        check(Break::DropsTheOldAtTheStart).await;
    }

    #[tokio::test]
    #[should_panic(expected = "0 records were finished, and 2 are there")]
    async fn a_sink_that_keeps_nothing_of_an_empty_run_fails() {
        check(Break::KeepsNothingOfAnEmptyRun).await;
    }

    #[tokio::test]
    #[should_panic(expected = "record 0 is not what was written")]
    async fn a_sink_that_loses_the_topic_fails() {
        check(Break::LosesTheTopic).await;
    }
}
