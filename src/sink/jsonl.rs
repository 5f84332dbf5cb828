//! Records as JSON, one to a line.

use std::io::Write;
use std::path::Path;

use async_trait::async_trait;
use serde::Serialize;

use super::{FileSink, Sink};
use crate::error::Result;
use crate::input::OutputFile;
use crate::record::Record;
use crate::schema::RecordSchema;

/// Writes each record as a JSON object on a line of its own, the topic as its last field unless the data has a
/// `topic` of its own.
///
/// A file is written as `NAME.partial`, one line at a time, and gets its name at [`finish`](Sink::finish), once it is on the
/// disk. So the file is whole or not there, and what was there before stays until then. The lines of a run that did not
/// complete, or was killed, stay in `NAME.partial`; the next run takes them up if it makes the same, as one that goes on
/// from a journal does, and moves them to `NAME.partial.1` otherwise. Not promised: that lines survive a power failure
/// while the run goes on.
///
/// ```
/// use topicloom::sink::JsonlSink;
/// # use topicloom::{GenerateByTopicInput, Pipeline};
/// # async fn example(input: GenerateByTopicInput) -> Result<(), Box<dyn std::error::Error>> {
/// let mut sink = JsonlSink::create("questions.jsonl")?;
/// let report = Pipeline::from_input(&input)?.run(input)?.write_to(&mut sink).await?;
/// println!("{} records", report.accepted);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct JsonlSink(FileSink);

impl JsonlSink {
    /// Creates a sink that leaves a whole file at `path`, in a directory that exists.
    ///
    /// What is no file, such as a pipe or a device, is written to directly.
    ///
    /// # Errors
    ///
    /// Where the file cannot be created, or another run is writing to it, or its extension is that of something else:
    /// `.jsonl`, `.ndjson`, `.jsonlines` or none is that of JSON Lines.
    pub fn create(path: impl AsRef<Path>) -> Result<Self> {
        let output = OutputFile::new(path.as_ref());
        let sink = FileSink::create(&output, &RecordSchema::default())?;
        let message = "a sink of JSON Lines writes no other format; name the file `NAME.jsonl`, or take a `FileSink`";
        sink.of_plain_lines(&output, message).map(Self)
    }

    /// Creates a sink that leaves a whole file at `path`, which begins with what is there already.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and where the file is there and cannot be read.
    pub fn append(path: impl AsRef<Path>) -> Result<Self> {
        FileSink::append(&OutputFile::new(path.as_ref()), &RecordSchema::default()).map(Self)
    }

    /// Creates a sink that writes to anything, such as standard output, and flushes it after each line.
    ///
    /// There is nothing to commit: what is written is there at once. The writer should not block for long.
    #[allow(clippy::missing_panics_doc)] // Only a head could fail to be written, and JSON Lines have none.
    pub fn to_writer(writer: impl Write + Send + 'static) -> Self {
        let sink = FileSink::to_writer(writer, &OutputFile::default(), &RecordSchema::default());
        Self(sink.expect("JSON Lines have no head, and every build has them"))
    }
}

#[async_trait]
impl<T: Serialize + Sync> Sink<T> for JsonlSink {
    async fn write(&mut self, record: &Record<T>) -> Result<()> {
        self.0.write(record).await
    }

    async fn finish(&mut self) -> Result<()> {
        Sink::<T>::finish(&mut self.0).await
    }

    async fn set_aside(&mut self) -> Result<Option<String>> {
        Sink::<T>::set_aside(&mut self.0).await
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, io};

    use serde_json::json;

    use super::*;
    use crate::error::ErrorKind;
    use crate::record::RecordMeta;
    use crate::topic::Topic;

    fn record(data: &serde_json::Value) -> Record {
        let data = data.as_object().expect("the test gives an object").clone();
        Record::new(
            Topic::new("graphs"),
            data,
            RecordMeta::new(0, 0, "test/loom"),
        )
    }

    #[tokio::test]
    async fn a_line_is_there_as_soon_as_its_record_is_written() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stream");
        let mut sink = JsonlSink::to_writer(io::BufWriter::new(fs::File::create(&path).unwrap()));
        sink.write(&record(&json!({"text": "two\nlines", "level": 3})))
            .await
            .unwrap();
        sink.write(&record(&json!({"topic": "mine"})))
            .await
            .unwrap();
        let text = fs::read_to_string(path).unwrap();
        assert_eq!(
            text,
            "{\"text\":\"two\\nlines\",\"level\":3,\"topic\":\"graphs\"}\n{\"topic\":\"mine\"}\n"
        );
    }

    #[tokio::test]
    async fn a_killed_run_leaves_its_lines_beside_the_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.jsonl");
        let mut sink = JsonlSink::create(&path).unwrap();
        sink.write(&record(&json!({"a": 1}))).await.unwrap();
        drop(sink);
        assert!(!path.exists());
        let partial = std::fs::read_to_string(directory.path().join("out.jsonl.partial")).unwrap();
        assert_eq!(partial, "{\"a\":1,\"topic\":\"graphs\"}\n");
    }

    #[tokio::test]
    async fn what_is_there_already_stays_and_is_followed_by_what_is_added() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.jsonl");
        fs::write(&path, "{\"old\":1}\n\n{\"old\":2}").unwrap();
        let mut sink = JsonlSink::append(&path).unwrap();
        sink.write(&record(&json!({"new": 3}))).await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 3);
        Sink::<crate::record::JsonRecord>::finish(&mut sink)
            .await
            .unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "{\"old\":1}\n{\"old\":2}\n{\"new\":3,\"topic\":\"graphs\"}\n"
        );
        drop(JsonlSink::append(folder.path().join("none.jsonl")).unwrap());
    }

    #[test]
    fn a_name_that_promises_another_format_is_refused_before_anything_is_made() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["a.csv", "a.parquet", "a.json", "a.jsonl.gz", "a.xlsx"] {
            let error = JsonlSink::create(directory.path().join(name)).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{name}");
        }
        for name in ["a", "a.jsonl", "a.JSONL", "a.ndjson"] {
            JsonlSink::create(directory.path().join(name)).unwrap();
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_device_is_written_to_and_not_replaced() {
        let mut sink = JsonlSink::create("/dev/null").unwrap();
        sink.write(&record(&json!({}))).await.unwrap();
        Sink::<serde_json::Value>::finish(&mut sink).await.unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
        assert!(!Path::new("/dev/null.partial").exists());
    }

    #[tokio::test]
    async fn a_full_disk_is_an_error_and_not_a_panic() {
        struct Full;
        impl Write for Full {
            fn write(&mut self, _: &[u8]) -> io::Result<usize> {
                Err(io::ErrorKind::StorageFull.into())
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let error = JsonlSink::to_writer(Full)
            .write(&record(&json!({})))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Sink);
        assert!(error.to_string().contains("no storage space"), "{error}");
    }

    #[tokio::test]
    async fn what_is_no_object_is_refused_and_leaves_no_trace() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stream");
        let mut sink = JsonlSink::to_writer(fs::File::create(&path).unwrap());
        let number = Record::new(Topic::new("graphs"), 3, RecordMeta::new(0, 0, "test/loom"));
        assert!(sink.write(&number).await.is_err());
        assert_eq!(fs::read(path).unwrap(), b"");
    }
}
