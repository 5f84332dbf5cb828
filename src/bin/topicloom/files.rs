//! The files that a run writes: checked and opened before its first call.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use serde_json::json;
use topicloom::StopHandle;
use topicloom::input::OutputFile;
use topicloom::llm::price::PriceTable;
use topicloom::schema::RecordSchema;
use topicloom::sink::{FileSink, PartialFile, RejectedJsonl, Sink, SplitReport};
use topicloom::{
    Error, ErrorKind, GenerateByTopicInput, JsonRecord, PipelineBuilder, Record, Report, Result,
};

use crate::args::{DriveArgs, OutputArgs};
use crate::folder::{DataSet, Folder};
use crate::input;
use crate::languages::Languages;
use crate::page::{Collector, Course, page};

/// Standard output, as `-`.
pub(crate) fn is_stdout(path: &Path) -> bool {
    path == Path::new("-")
}

/// Returns whether a path is, or will be, a file that can be replaced, rather than a pipe or a device.
pub(crate) fn is_file(path: &Path) -> bool {
    !is_stdout(path) && fs::metadata(path).map_or(true, |there| there.is_file() || there.is_dir())
}

/// Adds to a path's name.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Returns the names of files, as a sentence lists them.
pub(crate) fn names(files: &[PathBuf]) -> String {
    let names: Vec<String> = files
        .iter()
        .map(|file| file.display().to_string())
        .collect();
    names.join(", ")
}

/// What records go into.
pub(crate) struct Output {
    sink: FileSink,
    /// The folder that the records are in.
    folder: Option<Folder>,
    /// What the page in the folder shows.
    pub(crate) collector: Collector,
    languages: Languages,
}

impl Output {
    pub(crate) fn open(
        to: &OutputArgs,
        schema: &RecordSchema,
        standard_output: impl Write + Send + 'static,
    ) -> Result<Self> {
        to.folder.as_ref().map_or(Ok(()), Folder::create)?;
        let sink = if is_stdout(to.path()) {
            FileSink::to_writer(standard_output, &to.file(), schema)
        } else if to.appends {
            FileSink::append(&to.file(), schema)
        } else {
            FileSink::create(&to.file(), schema)
        };
        let folder = to.folder.clone();
        sink.map(|sink| Self {
            sink,
            folder,
            collector: Collector::default(),
            languages: Languages::default(),
        })
    }

    /// Has the page in the folder, where there is one, watch the run.
    pub(crate) fn watch(&self, builder: PipelineBuilder) -> PipelineBuilder {
        match &self.folder {
            Some(_) => self.collector.watch(builder),
            None => builder,
        }
    }

    pub(crate) fn split_report(&self) -> Option<&SplitReport> {
        self.sink.split_report()
    }

    /// Writes what belongs to the folder, where there is one, once all records are there.
    pub(crate) fn finish_folder(
        &self,
        input: &GenerateByTopicInput,
        prices: &PriceTable,
        output: &OutputFile,
        report: &Report,
        journal: Option<&Path>,
    ) -> Result<()> {
        let Some(folder) = &self.folder else {
            return Ok(());
        };
        let course = journal.map(|path| Course::of_file(path, prices.clone()));
        let course = course.transpose()?;
        let split = self.split_report();
        let set = DataSet {
            input,
            prices,
            output,
            report,
            split,
            languages: self.languages.of_the_set(),
        };
        let page = page(input, report, &self.collector, course, split);
        folder.finish(&set, &page)
    }
}

#[async_trait]
impl Sink for Output {
    async fn write(&mut self, record: &Record) -> Result<()> {
        if self.folder.is_some() {
            self.collector.see(record);
            self.languages.see(&record.data);
        }
        self.sink.write(record).await
    }

    async fn finish(&mut self) -> Result<()> {
        self.folder.as_ref().map_or(Ok(()), Folder::withdraw)?;
        Sink::<JsonRecord>::finish(&mut self.sink).await
    }

    async fn set_aside(&mut self) -> Result<Option<String>> {
        Sink::<JsonRecord>::set_aside(&mut self.sink).await
    }
}

/// The files of a run.
pub(crate) struct Files {
    pub(crate) sink: Output,
    report: Option<ReportFile>,
    rejected: Option<RejectedJsonl>,
    /// Stops a run whose reader has gone.
    reader: Reader,
    /// Where the records go, and what they are made from.
    said: (OutputFile, GenerateByTopicInput),
    /// What models cost, where a folder is to say so.
    prices: Option<PriceTable>,
}

/// Where a report goes.
pub(crate) enum ReportFile {
    File(PartialFile),
    Device(PathBuf),
}

impl ReportFile {
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if is_file(path) {
            PartialFile::create(path).map(Self::File)
        } else {
            Ok(Self::Device(path.to_owned()))
        }
    }

    pub(crate) fn write(&mut self, text: &str) -> Result<()> {
        match self {
            Self::File(file) => file
                .write_whole(text.as_bytes())
                .and_then(|()| file.commit()),
            Self::Device(path) => fs::write(&*path, text).map_err(|error| {
                Error::new(ErrorKind::Sink, "the report cannot be written")
                    .with_context("file", path.display().to_string())
                    .with_source(error)
            }),
        }
    }
}

impl Files {
    /// Opens what can be opened beforehand: a file that cannot be written is found out while it costs nothing.
    pub(crate) fn open(args: &DriveArgs, input: &GenerateByTopicInput) -> Result<Self> {
        let labels = input.labels();
        let labels = labels.iter().map(String::as_str);
        args.to.file().check_labels(labels)?;
        let reader = Reader::default();
        let sink = Output::open(&args.to, input.schema(), reader.clone())?;
        let report = args.report.as_deref().map(ReportFile::open);
        let rejected = args.rejected.as_deref().map(open_rejected);
        let prices = || input::prices(input, args.adjust.prices.as_deref());
        let prices = args.to.folder.as_ref().map(|_| prices());
        Ok(Self {
            sink,
            report: report.transpose()?,
            rejected: rejected.transpose()?,
            reader,
            said: (args.to.file(), input.clone()),
            prices: prices.transpose()?,
        })
    }

    /// Writes what belongs to the folder of the output, where it is one, once all records are there.
    pub(crate) fn finish_folder(&self, report: &Report, journal: Option<&Path>) -> Result<()> {
        let Some(prices) = &self.prices else {
            return Ok(());
        };
        let (file, input) = &self.said;
        let journal = journal.filter(|path| path.is_file());
        self.sink
            .finish_folder(input, prices, file, report, journal)
    }

    /// Keeps the report of a run that is not complete where the rest of it is kept.
    pub(crate) fn keep_report(&self, report: &Report) -> Result<()> {
        let folder = self.sink.folder.as_ref();
        folder.map_or(Ok(()), |folder| {
            folder.keep_report(&report_text(report, None))
        })
    }

    /// Has this run stopped where nobody reads its records any more.
    pub(crate) fn stop_without_reader(&self, stop: StopHandle) {
        // It is set once, for the one run.
        self.reader.0.set(stop).ok();
    }

    /// Shows a run's rejected candidates to their file.
    pub(crate) fn keep_rejected(&self, builder: PipelineBuilder) -> PipelineBuilder {
        let builder = self.sink.watch(builder);
        match self.rejected.clone() {
            Some(file) => builder.on_rejected(move |candidate| file.write(candidate)),
            None => builder,
        }
    }

    pub(crate) fn finish_rejected(&self) -> Result<()> {
        finish_rejected(self.rejected.as_ref())
    }

    pub(crate) fn write_report(&mut self, report: &Report) -> Result<()> {
        let text = report_text(report, self.sink.split_report());
        let report = self.report.as_mut();
        report.map_or(Ok(()), |report| report.write(&text))
    }
}

/// Opens the file for rejected candidates.
pub(crate) fn open_rejected(path: &Path) -> Result<RejectedJsonl> {
    let file = fs::File::create(path).map_err(|error| {
        let message = "the file for rejected candidates cannot be written";
        Error::new(ErrorKind::Sink, message)
            .with_context("file", path.display().to_string())
            .with_source(error)
    });
    file.map(RejectedJsonl::new)
}

/// Writes what is held back of the rejected candidates.
pub(crate) fn finish_rejected(rejected: Option<&RejectedJsonl>) -> Result<()> {
    let finished = rejected.map_or(Ok(()), RejectedJsonl::finish);
    finished.map_err(|error| {
        let message = "the rejected candidates could not be written whole";
        Error::new(ErrorKind::Sink, message).with_source(error)
    })
}

/// Returns a report, with how the records were split.
pub(crate) fn report_text(report: &Report, split: Option<&SplitReport>) -> String {
    let mut value = json!(report);
    if let Some(split) = split {
        value["split"] = json!(split);
    }
    format!("{value:#}\n")
}

/// Standard output, and the run that writes there.
#[derive(Clone, Default)]
struct Reader(Arc<OnceLock<StopHandle>>);

impl Write for Reader {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::stdout()
            .write(bytes)
            .inspect_err(|error| self.failed(error))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stdout().flush().inspect_err(|error| self.failed(error))
    }
}

impl Reader {
    fn failed(&self, error: &io::Error) {
        if error.kind() == io::ErrorKind::BrokenPipe
            && let Some(stop) = self.0.get()
        {
            stop.stop();
        }
    }
}

/// Returns whether an error says that the reader of standard output has gone.
pub(crate) fn is_reader_gone(error: &Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return error.kind() == io::ErrorKind::BrokenPipe;
        }
        cause = error.source();
    }
    false
}

/// Returns the files beside an output in which incomplete runs have left records, and the output itself first.
pub(crate) fn with_records(output: &Path) -> Vec<PathBuf> {
    if !is_file(output) {
        return Vec::new();
    }
    let path = PartialFile::target_of(output);
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let partial = beside(Path::new(path.file_name().unwrap_or_default()), ".partial");
    let partial = partial.to_string_lossy();
    let names = fs::read_dir(folder.unwrap_or(Path::new(".")))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut numbers: Vec<u32> = names
        .filter_map(|name| {
            name.strip_prefix(&*partial)?
                .strip_prefix('.')?
                .parse()
                .ok()
        })
        .collect();
    numbers.sort_unstable();
    let partial = beside(&path, ".partial");
    let moved = numbers
        .into_iter()
        .map(|number| beside(&partial, &format!(".{number}")));
    let all = [path, partial.clone()].into_iter().chain(moved);
    all.filter(|file| fs::metadata(file).is_ok_and(|file| file.len() > 0))
        .collect()
}
