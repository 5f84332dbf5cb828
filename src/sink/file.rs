//! Records into a file of any format.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufWriter, Write};
use std::path::PathBuf;

use async_trait::async_trait;
use serde::Serialize;
use serde_json::{Value, json};

use super::Sink;
use super::layout::Layout;
use super::made_file::MadeFile;
use super::partial_file::PartialFile;
use super::rows::{Encoder, failed, json_line};
use super::split_report::SplitReport;
use crate::dedup::Nearest;
use crate::error::{Error, ErrorKind, Result};
use crate::input::{OutputFile, PROVENANCE_FIELD, ProvenanceForm};
use crate::record::{JsonRecord, Record};
use crate::schema::RecordSchema;

/// Writes records into a file: JSON Lines, CSV or Parquet, by its name or by what is said.
///
/// While the run goes on, `NAME.partial` holds the records as JSON Lines, whatever the format, as with
/// [`JsonlSink`](super::JsonlSink). At [`finish`](Sink::finish) the file is made of them in one pass, in little memory, and gets
/// its name in one step. So what a run that was stopped has made can always be read, and taken up.
///
/// [`guide::output`](crate::guide::output) tells what becomes of nested values, nulls and fields that the schema does not name.
///
/// ```
/// use topicloom::input::OutputFile;
/// use topicloom::sink::FileSink;
/// # use topicloom::{GenerateByTopicInput, Pipeline};
/// # async fn example(input: GenerateByTopicInput) -> Result<(), Box<dyn std::error::Error>> {
/// let mut sink = FileSink::create(&OutputFile::new("questions.csv.gz"), input.schema())?;
/// Pipeline::from_input(&input)?.run(input)?.write_to(&mut sink).await?;
/// # Ok(())
/// # }
/// ```
pub struct FileSink {
    layout: Layout,
    target: Target,
    line: Vec<u8>,
    split: Option<SplitReport>,
}

enum Target {
    File(PartialFile),
    Stream(Stream),
}

/// What cannot be read again. With the first record its columns are known.
enum Stream {
    Opened(Box<dyn Write + Send>),
    Begun(Box<dyn Encoder>),
    Finished,
}

impl Stream {
    fn begun(
        &mut self,
        layout: &Layout,
        first: Option<&JsonRecord>,
    ) -> Result<Option<&mut Box<dyn Encoder>>> {
        if matches!(self, Self::Opened(_))
            && let Self::Opened(out) = std::mem::replace(self, Self::Finished)
        {
            let mut columns = layout.columns.clone();
            if let Some(row) = first.filter(|_| layout.looks_ahead) {
                columns.see(row);
            }
            *self = Self::Begun(layout.encoder(out, columns)?);
        }
        Ok(match self {
            Self::Begun(encoder) => Some(encoder),
            _ => None,
        })
    }

    fn finish(&mut self, layout: &Layout) -> Result<()> {
        self.begun(layout, None)?
            .map_or(Ok(()), |encoder| encoder.finish())?;
        *self = Self::Finished;
        Ok(())
    }
}

impl FileSink {
    /// Creates a sink that leaves a whole file at the path of `output`, in a directory that exists. `schema` is that of the
    /// records.
    ///
    /// What is no file, such as a pipe or a device, is written to directly.
    ///
    /// # Errors
    ///
    /// Where the file cannot be created, or another run is writing to it; where its name and format contradict each other, or
    /// this build does not have the format.
    pub fn create(output: &OutputFile, schema: &RecordSchema) -> Result<Self> {
        let path = &*output.path;
        if fs::metadata(path).is_ok_and(|there| !there.is_file() && !there.is_dir()) {
            let device = OpenOptions::new().write(true).open(path);
            let device = device
                .map_err(|error| failed(error).with_context("path", path.display().to_string()))?;
            return Self::to_writer(device, output, schema);
        }
        let layout = Layout::of_file(output, schema)?;
        let target = Target::File(PartialFile::create(path)?);
        Ok(Self::new(layout, target))
    }

    /// Creates a sink that leaves a whole file, which begins with what is there already. It has to be JSON Lines.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create), and where the file is there and cannot be read, or is no JSON Lines.
    pub fn append(output: &OutputFile, schema: &RecordSchema) -> Result<Self> {
        let message = "records are added to a file of JSON Lines, without a shape or a split; name it `NAME.jsonl`, or \
                       export it afterwards";
        let mut sink = Self::create(output, schema)?.of_plain_lines(output, message)?;
        if let Target::File(file) = &mut sink.target {
            file.begin_with_lines()?;
        }
        Ok(sink)
    }

    /// Creates a sink that writes to anything, such as standard output; the path of `output` says nothing then.
    ///
    /// Lines are flushed one by one. There is nothing to commit: what is written is there at once. The writer should not block
    /// for long.
    ///
    /// # Errors
    ///
    /// Where this build does not have the format, or there would be several files.
    pub fn to_writer(
        writer: impl Write + Send + 'static,
        output: &OutputFile,
        schema: &RecordSchema,
    ) -> Result<Self> {
        let layout = Layout::of_stream(output, schema)?;
        let stream = Stream::Opened(Box::new(Flushed(writer)));
        Ok(Self::new(layout, Target::Stream(stream)))
    }

    /// Refuses what is not the very lines that are written while the run goes on.
    pub(super) fn of_plain_lines(self, output: &OutputFile, message: &'static str) -> Result<Self> {
        if self.layout.is_written_at_once() {
            return Ok(self);
        }
        let error = Error::new(ErrorKind::InvalidInput, message);
        Err(error.with_context("path", output.path.display().to_string()))
    }

    fn new(layout: Layout, target: Target) -> Self {
        Self {
            layout,
            target,
            line: Vec::new(),
            split: None,
        }
    }

    /// Returns how the records were split, once the files are there.
    #[must_use]
    pub fn split_report(&self) -> Option<&SplitReport> {
        self.split.as_ref()
    }
}

/// Returns a record as it is exported, and where it comes from.
fn traced<T: Serialize>(record: &Record<T>) -> Result<JsonRecord> {
    let mut json = record.to_json()?;
    let provenance = serde_json::to_value(record.provenance());
    let provenance = provenance.expect("it has no key that JSON cannot hold");
    let own = json.insert(PROVENANCE_FIELD.to_owned(), provenance);
    if let Some(own) = own {
        // A key that no schema names: the model made it up.
        let mut name = format!("{PROVENANCE_FIELD}_");
        while json.contains_key(&name) {
            name.push('_');
        }
        json.insert(name, own);
    }
    Ok(json)
}

/// Returns the records that were written, one by one.
fn records(file: &PartialFile) -> Result<impl Iterator<Item = Result<JsonRecord>>> {
    let mut lines = file.written()?;
    let mut line = Vec::new();
    Ok(std::iter::from_fn(move || {
        line.clear();
        match lines.read_until(b'\n', &mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_slice(&line).map_err(|error| failed(error.into()))),
            Err(error) => Some(Err(failed(error))),
        }
    }))
}

/// Makes files of the records that were written, where they are not those lines themselves.
fn make(file: &PartialFile, layout: &Layout) -> Result<Option<SplitReport>> {
    let mut neighbours = layout.neighbours();
    if let Some(neighbours) = &mut neighbours {
        for record in records(file)? {
            layout.show(&mut record?, neighbours);
        }
    }
    let (sides, report) = match (&layout.split, &neighbours) {
        (Some((split, _)), Some(neighbours)) => {
            let (sides, report) = SplitReport::of(split, neighbours, file.path());
            (sides, Some(report))
        }
        _ => (Vec::new(), None),
    };
    let nearest = match neighbours {
        Some(neighbours) if layout.provenance != ProvenanceForm::None => {
            neighbours.nearest(None).of_each
        }
        _ => Vec::new(),
    };
    let row = |number: usize, record| {
        let nearest = nearest.get(number).copied().flatten();
        layout.row(with_nearest(record, nearest))
    };
    let mut columns = layout.columns.clone();
    if layout.looks_ahead {
        for (number, record) in records(file)?.enumerate() {
            columns.see(&row(number, record?).0);
        }
    }
    let paths = match &report {
        Some(report) => report.files(),
        None => vec![file.path().to_owned()],
    };
    let has_sidecar = layout.provenance == ProvenanceForm::Sidecar;
    let sidecars = paths.iter().filter(|_| has_sidecar);
    let sidecars: Vec<PathBuf> = sidecars.map(|path| OutputFile::sidecar_of(path)).collect();
    let made = paths
        .iter()
        .chain(&sidecars)
        .map(|path| MadeFile::create(path));
    let made = made.collect::<Result<Vec<_>>>()?;
    let encoders = made.iter().enumerate().map(|(number, made)| {
        let writer = Box::new(BufWriter::new(made.writer()?));
        if number < paths.len() {
            layout.encoder(writer, columns.clone())
        } else {
            Ok(Layout::lines(writer))
        }
    });
    let mut encoders = encoders.collect::<Result<Vec<_>>>()?;
    for (number, record) in records(file)?.enumerate() {
        let (row, provenance) = row(number, record?);
        let side = sides.get(number).copied().unwrap_or(0);
        encoders[side].row(&row)?;
        if let Some(Value::Object(provenance)) = provenance {
            encoders[paths.len() + side].row(&provenance)?;
        }
    }
    encoders.iter_mut().try_for_each(|it| it.finish())?;
    drop(encoders);
    // The records last: what says where they come from is there when they are.
    made.into_iter().rev().try_for_each(MadeFile::commit)?;
    Ok(report)
}

/// Says beside a record which other is most like it.
fn with_nearest(mut record: JsonRecord, nearest: Option<Nearest>) -> JsonRecord {
    if let Some(nearest) = nearest
        && let Some(Value::Object(provenance)) = record.get_mut(PROVENANCE_FIELD)
    {
        // Records are written in the order of their numbers.
        let similarity = (nearest.similarity * 1_000.0).round() / 1_000.0;
        let nearest = json!({"ordinal": nearest.record, "similarity": similarity});
        provenance.insert("nearest".to_owned(), nearest);
    }
    record
}

#[async_trait]
impl<T: Serialize + Sync> Sink<T> for FileSink {
    async fn write(&mut self, record: &Record<T>) -> Result<()> {
        match &mut self.target {
            Target::File(file) => {
                if self.layout.provenance == ProvenanceForm::None {
                    json_line(record, &mut self.line)?;
                } else {
                    json_line(&traced(record)?, &mut self.line)?;
                }
                file.write_whole(&self.line)
            }
            Target::Stream(stream) => {
                let record = match self.layout.provenance {
                    ProvenanceForm::None => record.to_json()?,
                    _ => traced(record)?,
                };
                let row = self.layout.row(record).0;
                match stream.begun(&self.layout, Some(&row))? {
                    Some(encoder) => encoder.row(&row),
                    None => Err(Error::new(
                        ErrorKind::Sink,
                        "the output is finished and takes no more records",
                    )),
                }
            }
        }
    }

    async fn finish(&mut self) -> Result<()> {
        match &mut self.target {
            Target::Stream(stream) => stream.finish(&self.layout),
            Target::File(file) if self.layout.is_written_at_once() => file.commit(),
            Target::File(file) if file.is_finished() => Ok(()),
            Target::File(file) => {
                self.split = make(file, &self.layout)?;
                file.discard()
            }
        }
    }

    async fn set_aside(&mut self) -> Result<Option<String>> {
        match &mut self.target {
            Target::File(file) => {
                let place = file.set_aside()?;
                Ok(place.map(|path| path.display().to_string()))
            }
            Target::Stream(stream) => stream.finish(&self.layout).map(|()| None),
        }
    }
}

impl fmt::Debug for FileSink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("FileSink");
        if let Target::File(file) = &self.target {
            shown.field("file", file);
        }
        shown.finish_non_exhaustive()
    }
}

/// Flushes whatever is written, at once.
struct Flushed<W>(W);

impl<W: Write> Write for Flushed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_all(bytes)?;
        self.0.flush()?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
#[allow(clippy::float_cmp)] // The same division of the same numbers.
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::record::RecordMeta;
    use crate::topic::Topic;

    fn record(data: &Value) -> Record {
        let data = data.as_object().unwrap().clone();
        Record::new(
            Topic::new("tides"),
            data,
            RecordMeta::new(0, 0, "test/loom"),
        )
    }

    async fn written(
        output: &OutputFile,
        schema: &Value,
        data: &[Value],
    ) -> Result<Option<SplitReport>> {
        let schema = RecordSchema::from_json(schema.clone()).unwrap();
        let mut sink = FileSink::create(output, &schema)?;
        for data in data {
            sink.write(&record(data)).await?;
        }
        Sink::<JsonRecord>::finish(&mut sink).await?;
        Ok(sink.split_report().cloned())
    }

    #[tokio::test]
    async fn columns_are_those_of_the_schema_then_others_then_the_topic() {
        let directory = tempfile::tempdir().unwrap();
        let output = OutputFile::new(directory.path().join("out.csv"));
        let schema = json!({"type": "object", "properties": {"b": {}, "a": {}}});
        let rows = [
            json!({"a": 1}),
            json!({"z": 0.1, "b": [1, null]}),
            // One digit more than the shortest form of its neighbour.
            json!({"b": 0.300_000_000_000_000_04, "y": "x"}),
        ];
        written(&output, &schema, &rows).await.unwrap();
        let text = fs::read_to_string(&output.path).unwrap();
        assert_eq!(
            text,
            "\"b\",\"a\",\"z\",\"y\",\"topic\"\n,1,,,\"tides\"\n\"[1,null]\",,0.1,,\"tides\"\n0.30000000000000004,,,\"x\",\"tides\"\n"
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_key_that_a_model_made_up_gives_way_to_provenance() {
        let directory = tempfile::tempdir().unwrap();
        let mut output = OutputFile::new(directory.path().join("out.jsonl"));
        output.provenance = ProvenanceForm::Columns;
        let schema = json!({"type": "object", "properties": {"a": {}}});
        let rows = [json!({"a": 1, "provenance": "mine", "provenance_": 2})];
        written(&output, &schema, &rows).await.unwrap();
        let text = fs::read_to_string(&output.path).unwrap();
        let line: Value = serde_json::from_str(&text).unwrap();
        assert!(line["provenance"].is_object(), "{line}");
        assert_eq!(
            (&line["provenance_"], &line["provenance__"]),
            (&json!(2), &json!("mine"))
        );
    }

    #[tokio::test]
    async fn a_closed_schema_has_room_for_what_a_topic_adds() {
        let directory = tempfile::tempdir().unwrap();
        let output = OutputFile::new(directory.path().join("out.csv"));
        let schema = json!([{"name": "a", "type": "int"}]);
        written(
            &output,
            &schema,
            &[json!({"a": 1}), json!({"a": 2, "level": "easy"})],
        )
        .await
        .unwrap();
        let text = fs::read_to_string(&output.path).unwrap();
        assert_eq!(
            text,
            "\"a\",\"level\",\"topic\"\n1,,\"tides\"\n2,\"easy\",\"tides\"\n"
        );
    }

    #[tokio::test]
    async fn what_cannot_be_made_leaves_its_records_and_the_file_before() {
        let directory = tempfile::tempdir().unwrap();
        let output = OutputFile::new(directory.path().join("out.csv"));
        fs::write(&output.path, "before").unwrap();
        // The place in which it would be made is taken.
        fs::create_dir(directory.path().join("out.csv.making")).unwrap();
        let schema = json!([{"name": "a", "type": "int"}]);
        let error = written(&output, &schema, &[json!({"a": 1})]).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Sink);
        assert_eq!(fs::read_to_string(&output.path).unwrap(), "before");
        let kept = fs::read_to_string(directory.path().join("out.csv.partial")).unwrap();
        assert_eq!(kept, "{\"a\":1,\"topic\":\"tides\"}\n");
        // What a process that was killed left in that place is no hindrance.
        fs::remove_dir(directory.path().join("out.csv.making")).unwrap();
        fs::write(directory.path().join("out.csv.making"), "\"a\",\"to").unwrap();
        written(&output, &schema, &[json!({"a": 1})]).await.unwrap();
        assert_eq!(
            fs::read_to_string(&output.path).unwrap(),
            "\"a\",\"topic\"\n1,\"tides\"\n"
        );
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[tokio::test]
    async fn a_stream_is_written_as_the_records_come() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("stream");
        let mut output = OutputFile::default();
        output.format = Some(crate::input::RecordFormat::Csv);
        let schema = RecordSchema::default();
        let file = fs::File::create(&path).unwrap();
        let mut sink = FileSink::to_writer(file, &output, &schema).unwrap();
        // The first record has an attribute beside its fields.
        sink.write(&record(
            &json!({"question": "why?", "answer": "so", "level": 3}),
        ))
        .await
        .unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(
            text,
            "\"question\",\"answer\",\"level\",\"topic\"\n\"why?\",\"so\",3,\"tides\"\n"
        );
        let surplus = sink.write(&record(&json!({"more": 1}))).await;
        assert!(surplus.unwrap_err().message().contains("write to a file"));
        Sink::<JsonRecord>::finish(&mut sink).await.unwrap();
        assert!(sink.write(&record(&json!({}))).await.is_err());
    }

    #[tokio::test]
    async fn planted_near_duplicates_are_on_one_side_and_the_counts_exact() {
        use crate::random::Random;
        let directory = tempfile::tempdir().unwrap();
        let mut closest = 0;
        for set in 0..50 {
            let mut random = Random::new(set);
            let mut word = || format!("w{}", random.below(if set % 2 == 0 { 5_000 } else { 60 }));
            let mut data = Vec::new();
            for number in 0..30 {
                let question: Vec<String> = (0..10).map(|_| word()).collect();
                let plain = question.join(" ");
                if number % 3 == 0 {
                    let mut other = question;
                    let place = number % 10;
                    other[place] = word();
                    data.push(json!({"question": other.join(" "), "answer": format!("{number}")}));
                }
                data.push(json!({"question": plain, "answer": format!("{number}")}));
            }
            let mut output = OutputFile::new(directory.path().join(format!("{set}.jsonl")));
            output.split = Some("train=.8,test=.2".parse().unwrap());
            let report = written(&output, &Value::Null, &data)
                .await
                .unwrap()
                .unwrap();
            let side = |file: &std::path::PathBuf| -> Vec<Value> {
                let text = fs::read_to_string(file).unwrap();
                text.lines()
                    .map(|line| serde_json::from_str(line).unwrap())
                    .collect()
            };
            let sides: Vec<Vec<Value>> = output.files().iter().map(side).collect();
            assert_eq!((sides[0].len(), sides[1].len()), (32, 8));
            for one in &sides[0] {
                let torn = sides[1]
                    .iter()
                    .find(|other| other["answer"] == one["answer"]);
                assert_eq!(torn, None, "a planted pair is torn");
            }
            let words = |record: &Value| -> HashSet<String> {
                let question = record["question"].as_str().unwrap();
                question.split(' ').map(str::to_owned).collect()
            };
            let similarity = |one: &Value, other: &Value| {
                let (one, other) = (words(one), words(other));
                let shared = one.intersection(&other).count() as f64;
                shared / one.union(&other).count() as f64
            };
            let pairs = sides[0]
                .iter()
                .flat_map(|one| sides[1].iter().map(move |other| (one, other)));
            let most = pairs
                .map(|(one, other)| similarity(one, other))
                .fold(0.0, f64::max);
            match report.closest_sides {
                Some(found) => {
                    let [one, other] = found
                        .rows
                        .map(|it| sides[usize::from(it.side == "test")][it.row - 1].clone());
                    assert_eq!(found.similarity, similarity(&one, &other));
                    assert_eq!(found.similarity, most);
                    closest += 1;
                }
                None => assert!(most < 0.3, "{most}"),
            }
        }
        assert!(closest > 10, "{closest}");
    }
}
