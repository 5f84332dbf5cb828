//! What can be written behind `topicloom`.

use std::path::{Path, PathBuf};

use clap::{Args, Parser, Subcommand, ValueEnum};
use clap_complete::Shell;
use topicloom::input::{OutputFile, ProvenanceForm, RecordFormat, Settings};
use topicloom::record::{Shape, Split};

use crate::flags::Flags;
use crate::folder::Folder;
use crate::progress::Progress;

/// Turns an instruction and topics into a synthetic data set with language models.
#[derive(Debug, Parser)]
#[command(name = "topicloom", version, about, arg_required_else_help = true)]
#[command(after_help = "Examples:
  topicloom example > input.json                     an input to begin with
  topicloom run input.json --offline | head -3       what comes out, without a key
  topicloom preview input.json                       a few prompts and answers, word for word
  topicloom estimate input.json                      what it will cost
  topicloom run input.json -o data.jsonl             the data set; again, and it goes on where it was
  topicloom run input.json -n 500 --temperature 1.1  what is written there wins over the file
  topicloom inspect data.jsonl.journal               what happened

Exit status: 0 complete, 1 fatal, 2 invalid input, 3 short or stopped by a signal; a second signal ends it \
                  at once, with 128 and its number if need be. What an incomplete run made is in FILE.partial.")]
pub(crate) struct Cli {
    /// Show what happens inside: spans and events, as `RUST_LOG=topicloom=debug` does.
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    /// Send spans and metrics to the OpenTelemetry collector at this URL, by OTLP over HTTP: `http://localhost:4318`.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) otlp: Option<String>,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Command {
    /// Returns whether what a provider itself says of a failure may be shown.
    pub(crate) fn shows_provider_errors(&self) -> bool {
        match self {
            Self::Run(args) => args.drive.show_provider_errors,
            Self::Resume(args) => args.drive.show_provider_errors,
            // It shows prompts and answers too.
            Self::Preview(_) => true,
            _ => false,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Generate records: one JSON object per line.
    Run(RunArgs),
    /// Show a few tasks in detail: the prompts, the answers word for word, and what became of each record and why.
    Preview(PreviewArgs),
    /// Show the topics and how many records each is asked for. Calls no model for given topics.
    Plan(PlanArgs),
    /// Show what a run would take: calls, tokens and money, each as a range. Calls no model.
    Estimate(EstimateArgs),
    /// Go on with the run of a journal, with its input or with more records.
    Resume(ResumeArgs),
    /// Show what a journal holds.
    Inspect(InspectArgs),
    /// Write the records of a journal once more, in any format and shape, without a call; also while the run goes on.
    Export(ExportArgs),
    /// Show where a record comes from: its prompt, the answer word for word, what was repaired, and the verdicts.
    Why(WhyArgs),
    /// Show records on the terminal, as cards or as a table.
    Show(ShowArgs),
    /// Say what each field of the records holds: types, distinct values, lengths, languages.
    Stats(StatsArgs),
    /// Write a page on a run for the browser: records and calls over time, topics, refusals, fields. Also while the run goes on.
    Report(ReportArgs),
    /// Find records that repeat rows of a benchmark or another data set. Exits with 3 where there are any.
    Check(CheckArgs),
    /// Join a run that several processes share, and make calls for it until it is over.
    Work(WorkArgs),
    /// List the providers that are known: the variables of key and URL, and whether the key is there.
    Models,
    /// Print the JSON Schema of the input.
    Schema,
    /// Print an example of an input.
    Example,
    /// Write an input to begin with, in YAML with comments. Asks a few questions on a terminal; flags answer them beforehand.
    Init(InitArgs),
    /// Print what lets a shell complete this command: `topicloom completions bash > FILE`.
    Completions {
        /// The shell.
        shell: Shell,
    },
}

#[derive(Debug, Args)]
#[allow(clippy::struct_excessive_bools)] // Each is a flag of the command line.
#[command(after_help = "Examples:
  topicloom run input.json -o data.jsonl --report report.json
  topicloom run input.json --offline --dry-run
  topicloom run --instruction 'Questions about the sea' --topics tides,currents -n 20 --field question --field answer
  topicloom run input.json -o data.jsonl --journal postgres://user@host/db --run-id questions --shared")]
pub(crate) struct RunArgs {
    /// The input, a file in JSON, YAML or TOML, or `-` for standard input. Without it, the flags say what is wanted.
    pub(crate) input: Option<PathBuf>,
    /// Keep every answer in this file, or in this database (`postgres://user@host/database`), before anything is done
    /// with it. A journal that is there already is gone on with, if it is of the same input.
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) journal: Option<String>,
    #[command(flatten)]
    pub(crate) which: WhichRun,
    /// Let other processes join the run with `topicloom work URL RUN_ID`. The records are written when it is over.
    #[arg(long, requires_all = ["journal", "run_id"], conflicts_with = "changed_input")]
    pub(crate) shared: bool,
    /// Seconds after which a call of a shared run is handed to another if this process dies meanwhile.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 30,
        requires = "shared"
    )]
    pub(crate) lease_time: u64,
    /// Go on with the journal although its input was another one: its answers are judged anew, and only what is
    /// missing then is asked for.
    #[arg(long, requires = "journal")]
    pub(crate) changed_input: bool,
    /// Keep no journal. By default a run that asks a paid model and writes to a file keeps one in `FILE.journal`, and
    /// the same command goes on with it, also after the input's counts, topics or settings have changed.
    #[arg(long, conflicts_with_all = ["journal", "fresh"])]
    pub(crate) no_journal: bool,
    /// Begin anew: a journal that is there already is moved out of the way.
    #[arg(long, conflicts_with_all = ["changed_input", "shared"])]
    pub(crate) fresh: bool,
    /// Make one record of each topic, of ten topics at most, to see whether it all fits together.
    #[arg(long, conflicts_with = "journal")]
    pub(crate) dry_run: bool,
    #[command(flatten)]
    pub(crate) drive: DriveArgs,
}

impl RunArgs {
    /// Takes from the input what the command line leaves open.
    pub(crate) fn complete(&mut self, settings: &Settings) {
        self.drive.complete(settings);
        if self
            .journal
            .as_deref()
            .is_some_and(|said| is_off(said.as_ref()))
        {
            self.journal = None;
            self.no_journal = true;
        }
        if let Some(said) = &settings.journal
            && self.journal.is_none()
            && !self.no_journal
            && !self.dry_run
        {
            self.journal = Some(said.path.clone());
            self.which.run_id = self.which.run_id.take().or_else(|| said.run_id.clone());
            self.shared |= said.shared;
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct PreviewArgs {
    /// The input, a file in JSON, YAML or TOML, or `-` for standard input. Without it, the flags say what is wanted.
    pub(crate) input: Option<PathBuf>,
    /// How many tasks to make, one after the other.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 3)]
    pub(crate) tasks: usize,
    #[command(flatten)]
    pub(crate) adjust: AdjustArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The journal: a file, or the URL of a database.
    #[arg(value_name = "FILE|URL")]
    pub(crate) journal: String,
    #[command(flatten)]
    pub(crate) which: WhichRun,
    /// Make this many records in all, instead of what the input says.
    #[arg(long, value_name = "N")]
    pub(crate) extend_to: Option<u64>,
    #[command(flatten)]
    pub(crate) drive: DriveArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InspectArgs {
    /// The journal: a file, or the URL of a database.
    #[arg(value_name = "FILE|URL")]
    pub(crate) journal: String,
    #[command(flatten)]
    pub(crate) which: WhichRun,
    /// Show the raw answers to this task; a record's task is in its metadata.
    #[arg(long, value_name = "N")]
    pub(crate) task: Option<u64>,
    /// Print every entry as JSON, one a line.
    #[arg(long, conflicts_with = "task")]
    pub(crate) raw: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  topicloom export data.jsonl.journal -o data.csv
  topicloom export data.jsonl.journal -o train.jsonl --shape messages=question:answer")]
pub(crate) struct ExportArgs {
    /// The journal: a file, or the URL of a database.
    #[arg(value_name = "FILE|URL")]
    pub(crate) journal: String,
    #[command(flatten)]
    pub(crate) which: WhichRun,
    #[command(flatten)]
    pub(crate) to: OutputArgs,
    /// Say nothing on standard error but errors.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// The records that are looked at.
#[derive(Debug, Args)]
pub(crate) struct DataArgs {
    /// The records: a file (JSON Lines, CSV, a JSON list or Parquet), a folder of such, or a journal (a file or the URL of a
    /// database), whose records are made once more without a call.
    #[arg(value_name = "FILE|FOLDER|JOURNAL")]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) which: WhichRun,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  topicloom why data.jsonl:17                        by the journal that lies beside
  topicloom why out/data/train-00000-of-00001.parquet:17 --journal out.journal
  topicloom why data.jsonl.journal:17")]
pub(crate) struct WhyArgs {
    /// The record: its file, or the journal, and its number there, counted from 1.
    #[arg(value_name = "FILE:N")]
    pub(crate) record: String,
    /// The journal: a file, or the URL of a database; unless given, `FILE.journal`.
    #[arg(long, value_name = "FILE|URL")]
    pub(crate) journal: Option<String>,
    #[command(flatten)]
    pub(crate) which: WhichRun,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  topicloom show data.jsonl                          the first ten
  topicloom show out/ -n 5 --seed 1                  any five
  topicloom show data.jsonl --where difficulty=hard --table")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Show a table, with a line for each record.
    #[arg(long)]
    pub(crate) table: bool,
    /// Show only records of this topic.
    #[arg(long, value_name = "TOPIC")]
    pub(crate) topic: Option<String>,
    /// Show only records whose field, by its name or path, has this value. May be given more than once.
    #[arg(long = "where", value_name = "FIELD=VALUE")]
    pub(crate) filters: Vec<String>,
    /// How many to show.
    #[arg(short = 'n', long = "records", value_name = "N", default_value_t = 10)]
    pub(crate) records: usize,
    /// Leave out this many before.
    #[arg(long, value_name = "K", default_value_t = 0)]
    pub(crate) skip: u64,
    /// Show a random sample, which this number decides.
    #[arg(long, value_name = "N", conflicts_with = "skip")]
    pub(crate) seed: Option<u64>,
    /// Show long texts whole.
    #[arg(long)]
    pub(crate) full: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// The journal: a file, or the URL of a database.
    #[arg(value_name = "FILE|URL")]
    pub(crate) journal: String,
    #[command(flatten)]
    pub(crate) which: WhichRun,
    /// What models cost, where the run was told that on its command line: a JSON file, as for `run`.
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    /// Where the page goes: a file, or `-` for standard output.
    #[arg(long, short, value_name = "FILE", default_value = "report.html")]
    pub(crate) output: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  topicloom check data.jsonl --against gsm8k-test.jsonl mmlu.csv
  topicloom check out/ --against test.parquet --fields question --against-fields prompt")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    pub(crate) data: DataArgs,
    /// The files that are not to be repeated: JSON Lines, CSV, a JSON list or Parquet.
    #[arg(long, value_name = "FILE", required = true, num_args = 1..)]
    pub(crate) against: Vec<PathBuf>,
    /// The fields that decide, as names or paths. Unless given, those that both sides have, without the topic and what follows from
    /// others, such as an answer.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub(crate) fields: Vec<String>,
    /// What these fields are called in the files that are not to be repeated, in the same order.
    #[arg(
        long,
        value_name = "A,B,...",
        value_delimiter = ',',
        requires = "fields"
    )]
    pub(crate) against_fields: Vec<String>,
    /// Ask this embedding model too, as `provider/model`, which finds free rewordings.
    #[arg(long, value_name = "MODEL")]
    pub(crate) semantic: Option<String>,
    /// The cosine from which on two embeddings are the same.
    #[arg(
        long,
        value_name = "COSINE",
        default_value_t = 0.9,
        requires = "semantic"
    )]
    pub(crate) threshold: f32,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which of the runs in a database is meant.
#[derive(Debug, Clone, Args)]
pub(crate) struct WhichRun {
    /// The run's name in the database, any text; needed where the journal is one.
    #[arg(long, value_name = "ID")]
    pub(crate) run_id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct WorkArgs {
    /// The database, such as `postgres://user@host/database`; the password is taken from `PGPASSWORD` where the URL has
    /// none.
    pub(crate) url: String,
    /// The run's name in the database.
    pub(crate) run_id: String,
    /// Calls to make at once, instead of what the input says; 0 only stands by to lead the run.
    #[arg(long, value_name = "N")]
    pub(crate) concurrency: Option<usize>,
    /// Ask this model, as `provider/model`, instead of those in the input.
    #[arg(long, value_name = "MODEL", conflicts_with = "offline")]
    pub(crate) model: Option<String>,
    /// Use the embedded stand-in instead of the models in the input.
    #[arg(long)]
    pub(crate) offline: bool,
    /// Seconds after which a call is handed to another if this process dies meanwhile.
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    pub(crate) lease_time: u64,
    /// Say nothing on standard error but errors.
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

/// What the command line says over the input.
#[derive(Debug, Args)]
pub(crate) struct AdjustArgs {
    /// Use the embedded stand-in instead of the models named in the input: needs no key and no network. It is
    /// not a language model; its records have the right shape and readable text, and mean nothing.
    #[arg(long)]
    pub(crate) offline: bool,
    /// What models cost, over what the input says and what is known: a JSON file of `"provider/model": {"input": 0.5,
    /// "output": 2}` in dollars per million tokens, or LiteLLM's `model_prices_and_context_window.json`.
    #[arg(long, value_name = "FILE")]
    pub(crate) prices: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) flags: Flags,
}

/// How a run is driven and where its records go.
#[derive(Debug, Args)]
pub(crate) struct DriveArgs {
    #[command(flatten)]
    pub(crate) to: OutputArgs,
    /// Write each candidate that is not accepted to this file, as JSON Lines, with the reason and what it repeats.
    #[arg(long, value_name = "FILE")]
    pub(crate) rejected: Option<PathBuf>,
    /// Write the report, as JSON, to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Say nothing on standard error but errors.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// How progress is told on standard error: as `text`, or as events for machines with `json`, one JSON object a line, and then
    /// nothing else but errors.
    #[arg(long, value_name = "FORM", default_value = "text")]
    pub(crate) progress: ProgressForm,
    /// Show what a provider itself says of a failure, without keys. It may quote the prompt.
    #[arg(long)]
    pub(crate) show_provider_errors: bool,
    #[command(flatten)]
    pub(crate) adjust: AdjustArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressForm {
    Text,
    Json,
}

/// Where records go, and how.
#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Where records go: a file, a folder such as `out/`, or `-` for standard output, as unless given. A file that is there already
    /// is replaced by a complete run only.
    #[arg(long, short, value_name = "FILE|FOLDER/")]
    pub(crate) output: Option<PathBuf>,
    /// Whether the output keeps what it has; `--append` is a setting.
    #[arg(skip)]
    pub(crate) appends: bool,
    /// The folder that was named, once the output is a file in it.
    #[arg(skip)]
    pub(crate) folder: Option<Folder>,
    /// How records are written: `jsonl`, `csv` or `parquet`; unless given, what the file's name says, as `NAME.csv` and
    /// `NAME.jsonl.gz` do.
    #[arg(long, value_name = "FORMAT")]
    pub(crate) format: Option<RecordFormat>,
    /// What a record becomes for training, such as `messages=question:answer,system=You are a tutor.`; also `sharegpt`, `alpaca`,
    /// `prompt-completion`, `preference` and `text`.
    #[arg(long, value_name = "KIND=FIELD:...")]
    pub(crate) shape: Option<Shape>,
    /// The sides that the records are split into, such as `train=0.9,test=0.1`, each in a file of its own. Neighbours stay on one
    /// side.
    #[arg(long, value_name = "NAME=SHARE,...")]
    pub(crate) split: Option<Split>,
    /// Keep all records with the same topic, or the same value of a field, on one side of the split.
    #[arg(long, value_name = "topic|FIELD", requires = "split")]
    pub(crate) split_by: Option<String>,
    /// Put a `'` before each text of a CSV file that a spreadsheet would take for a formula.
    #[arg(long)]
    pub(crate) escape_formulas: bool,
    /// Where it is written what each record comes from: `columns`, in a field `provenance` of each record; `sidecar`, in a file beside such
    /// as `data.provenance.jsonl`; or `none`.
    #[arg(long, value_name = "PLACE")]
    pub(crate) provenance: Option<ProvenanceForm>,
}

impl OutputArgs {
    pub(crate) fn path(&self) -> &Path {
        self.output.as_deref().unwrap_or(Path::new("-"))
    }

    /// Takes a file in the folder for the output, where one is named.
    pub(crate) fn enter_folder(&mut self) {
        if let Some(folder) = Folder::of(self.path()) {
            self.output = Some(folder.records(self.format));
            self.folder = Some(folder);
        }
    }

    pub(crate) fn file(&self) -> OutputFile {
        let mut file = OutputFile::new(self.path());
        file.format = self.format;
        file.shape.clone_from(&self.shape);
        file.split.clone_from(&self.split);
        file.split_by.clone_from(&self.split_by);
        file.escape_formulas = self.escape_formulas;
        file.provenance = self.provenance.unwrap_or_default();
        file
    }

    /// Takes from the input what the command line leaves open.
    pub(crate) fn complete(&mut self, settings: &Settings) {
        self.appends = settings.append;
        let Some(said) = &settings.output else {
            return;
        };
        // A format belongs to its file.
        if self.output.is_none() {
            self.output = Some(said.path.clone());
            self.format = self.format.or(said.format);
        }
        self.shape = self.shape.take().or_else(|| said.shape.clone());
        if self.split.is_none() {
            (self.split, self.split_by) = (said.split.clone(), said.split_by.clone());
        }
        self.escape_formulas |= said.escape_formulas;
        self.provenance = self.provenance.or(Some(said.provenance));
    }
}

impl DriveArgs {
    pub(crate) fn output(&self) -> &Path {
        self.to.path()
    }

    /// Returns how progress is shown; a bar may have no place on the screen.
    pub(crate) fn progress(&self, settings: &Settings, has_bar: bool) -> Progress {
        match self.progress {
            ProgressForm::Json => Progress::Events,
            ProgressForm::Text if self.quiet => Progress::Silent,
            ProgressForm::Text if !settings.show_progress => Progress::Warnings,
            ProgressForm::Text => Progress::text(has_bar, self.show_provider_errors),
        }
    }

    /// Takes from the input what the command line leaves open, and a file in the folder of the output, where it is one.
    pub(crate) fn complete(&mut self, settings: &Settings) {
        // Machines read what is there for them, and nothing between.
        self.quiet |= self.progress == ProgressForm::Json;
        self.to.complete(settings);
        for (flag, said) in [
            (&mut self.report, &settings.report),
            (&mut self.rejected, &settings.rejected),
        ] {
            let file = flag.take().or_else(|| said.clone());
            *flag = file.filter(|file| !is_off(file));
        }
        self.to.enter_folder();
        if let Some(folder) = &self.to.folder {
            self.rejected = Some(folder.rejected());
        }
    }
}

/// Returns whether a flag switches off what the input says.
fn is_off(said: &Path) -> bool {
    said == Path::new("off") || said == Path::new("false")
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The input, a file in JSON, YAML or TOML, or `-` for standard input. Without it, the flags say what is wanted.
    pub(crate) input: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) adjust: AdjustArgs,
}

#[derive(Debug, Args)]
pub(crate) struct InitArgs {
    /// The file to write.
    #[arg(default_value = "topicloom.yaml")]
    pub(crate) file: PathBuf,
    /// What to generate, in words.
    #[arg(long)]
    pub(crate) instruction: Option<String>,
    /// How many records.
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) num_records: Option<u64>,
    /// Topics, between commas; without any, they are invented.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',')]
    pub(crate) topics: Option<Vec<String>>,
    /// The model, as `provider/model`.
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// A field of a record, as for `run`. May be given more than once.
    #[arg(long, value_name = "NAME[:TYPE]")]
    pub(crate) field: Vec<String>,
    /// Replace a file that is there already.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Debug, Args)]
pub(crate) struct EstimateArgs {
    /// The input, a file in JSON, YAML or TOML, or `-` for standard input. Without it, the flags say what is wanted.
    pub(crate) input: Option<PathBuf>,
    /// The report of a small run of the same input, as `run --report` writes it: narrows the ranges.
    #[arg(long, value_name = "FILE")]
    pub(crate) pilot_report: Option<PathBuf>,
    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) adjust: AdjustArgs,
}
