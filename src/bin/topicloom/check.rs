//! `topicloom check`: which records repeat rows of a benchmark.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use futures::stream::{self, StreamExt};
use serde_json::{Value, json};
use topicloom::dedup::{
    AnyDeduplicator, AnyFingerprint, AnyMemory, DeduplicatorExt, ExactDuplicates, Fields, Match,
    NearDuplicates, Reference, SemanticDuplicates,
};
use topicloom::embedding::Batched;
use topicloom::input::Rows;
use topicloom::llm::ModelName;
use topicloom::llm::layers::Retrying;
use topicloom::llm::models::ModelRegistry;
use topicloom::record::at_path;
use topicloom::{Candidate, Error, ErrorKind, JsonRecord, Result};

use crate::args::CheckArgs;
use crate::out;
use crate::records::{Records, Row};

/// Records that are held in memory.
const HELD: usize = 1024;
/// Fingerprints that are made at once, as many as go into one call for embeddings.
const AT_ONCE: usize = 64;

/// A record, and what it repeats.
struct Repeat {
    source: String,
    number: u64,
    found: Match,
}

/// A file that is not to be repeated.
struct Benchmark {
    source: Arc<str>,
    rows: Vec<(u64, JsonRecord)>,
    /// The names of the fields that are compared: those of the records, and those here. Settled with the first records.
    fields: Vec<(String, String)>,
    memory: AnyMemory,
    hits: usize,
}

struct Check {
    deduplicator: AnyDeduplicator,
    /// Says of what repeats whether it does so to the letter.
    exact: AnyDeduplicator,
    benchmarks: Vec<Benchmark>,
    named: Vec<(String, String)>,
    held: Vec<(String, u64, JsonRecord)>,
    records: usize,
    repeats: Vec<Repeat>,
}

/// Prints the repeats, and returns how many there are.
pub(crate) async fn check(args: CheckArgs) -> Result<usize> {
    let mut check = Check::new(&args)?;
    let records = Records::of(args.data)?;
    let take = async |row: Row<'_>| {
        check
            .held
            .push((row.source.to_owned(), row.number, row.data));
        if check.held.len() == HELD {
            check.look().await?;
        }
        Ok(ControlFlow::Continue(()))
    };
    records.each(take).await?;
    check.look().await?;
    check.tell(args.json)?;
    Ok(check.repeats.len())
}

impl Check {
    fn new(args: &CheckArgs) -> Result<Self> {
        let others = match &args.against_fields[..] {
            [] => &args.fields,
            others if others.len() == args.fields.len() => &args.against_fields,
            _ => {
                return Err(invalid(
                    "`--against-fields` needs as many names as `--fields`",
                ));
            }
        };
        // Only what is compared is shown to it, so named fields are all there is.
        let deciding = match args.fields[..] {
            [] => Fields::Deciding,
            _ => Fields::All,
        };
        let near = NearDuplicates::default().compare(deciding.clone());
        let exact: AnyDeduplicator = ExactDuplicates::default().compare(deciding.clone()).into();
        let deduplicator = match &args.semantic {
            None => near.into(),
            Some(model) => {
                let model: ModelName = model.parse()?;
                let embedder = Retrying::new(ModelRegistry::new().embedder(&model)?);
                let semantic = SemanticDuplicates::new(Batched::new(embedder)).compare(deciding);
                AnyDeduplicator::new(near.then(semantic.threshold(args.threshold)))
            }
        };
        let read = |path: &std::path::PathBuf| Benchmark::read(path, deduplicator.memory());
        Ok(Self {
            benchmarks: args.against.iter().map(read).collect::<Result<_>>()?,
            named: args
                .fields
                .iter()
                .cloned()
                .zip(others.iter().cloned())
                .collect(),
            deduplicator,
            exact,
            held: Vec::new(),
            records: 0,
            repeats: Vec::new(),
        })
    }

    /// Looks for the records that are held among the rows of each benchmark.
    async fn look(&mut self) -> Result<()> {
        let held = std::mem::take(&mut self.held);
        for benchmark in &mut self.benchmarks {
            if benchmark.fields.is_empty() && !held.is_empty() {
                benchmark.choose(&held, &self.named)?;
                benchmark.load(&self.deduplicator).await?;
            }
            let own = |(own, _): &(String, String)| own.clone();
            let names: Vec<String> = benchmark.fields.iter().map(own).collect();
            let compared = |data| compared(data, names.iter().zip(&names));
            let prints = held
                .iter()
                .map(|(_, _, data)| fingerprint(&self.deduplicator, compared(data)));
            let prints: Vec<_> = stream::iter(prints).buffered(AT_ONCE).collect().await;
            for (print, (source, number, data)) in prints.into_iter().zip(&held) {
                if let Some(found) = print?.and_then(|print| benchmark.memory.find(&print)) {
                    let exact = benchmark.exactly(&self.exact, compared(data), &found);
                    let found = exact.await?.unwrap_or(found);
                    benchmark.hits += 1;
                    let (source, number) = (source.clone(), *number);
                    self.repeats.push(Repeat {
                        source,
                        number,
                        found,
                    });
                }
            }
        }
        self.records += held.len();
        Ok(())
    }

    fn tell(&self, json: bool) -> Result<()> {
        if json {
            let repeats = self.repeats.iter().map(|repeat| {
                let (source, line) = place(&repeat.found);
                json!({
                    "file": repeat.source, "line": repeat.number, "repeats": {"file": source, "line": line},
                    "method": repeat.found.method, "similarity": repeat.found.similarity,
                })
            });
            let against = self.benchmarks.iter().map(|it| {
                json!({"file": *it.source, "rows": it.rows.len(), "fields": it.fields, "repeats": it.hits})
            });
            let all = json!({
                "records": self.records, "against": against.collect::<Value>(), "repeats": repeats.collect::<Value>(),
            });
            return out::line(format_args!("{all:#}"));
        }
        for Repeat {
            source,
            number,
            found,
        } in &self.repeats
        {
            let (source, method) = (out::on_one_line(source), found.method);
            let ((other, line), similarity) = (place(found), found.similarity);
            out::line(format_args!(
                "{source}:{number} repeats {other}:{line} ({method}, similarity {similarity:.2})"
            ))?;
        }
        for it in &self.benchmarks {
            let name = |(own, other): &(String, String)| {
                if own == other {
                    return own.clone();
                }
                format!("{own} ({other} there)")
            };
            let fields: Vec<String> = it.fields.iter().map(name).collect();
            eprintln!(
                "{} of {} records repeat one of {} rows in {}; compared: {}",
                it.hits,
                self.records,
                it.rows.len(),
                it.source,
                fields.join(", ")
            );
        }
        Ok(())
    }
}

impl Benchmark {
    fn read(path: &Path, memory: AnyMemory) -> Result<Self> {
        Ok(Self {
            source: path.to_string_lossy().as_ref().into(),
            rows: Rows::open(path)?.collect::<Result<_>>()?,
            fields: Vec::new(),
            memory,
            hits: 0,
        })
    }

    /// Settles what is compared: what is named, or what is on both sides, without the topic, which an export adds.
    fn choose(
        &mut self,
        held: &[(String, u64, JsonRecord)],
        named: &[(String, String)],
    ) -> Result<()> {
        let has = |data: &JsonRecord, name: &str| at_path(data, name).is_some();
        let here = |name: &str| self.rows.iter().any(|(_, data)| has(data, name));
        let there = |name: &str| held.iter().any(|(_, _, data)| has(data, name));
        for (own, other) in named {
            let missing = if there(own) {
                (!here(other)).then_some(other)
            } else {
                Some(own)
            };
            if let Some(name) = missing {
                let error = invalid("a field that is to be compared is in no record");
                let error = error.with_context("field", name.clone());
                return Err(error.with_context("against", self.source.to_string()));
            }
        }
        self.fields = named.to_vec();
        if named.is_empty() {
            let mut seen = HashSet::new();
            let keys = held.iter().flat_map(|(_, _, data)| data.keys());
            let keys = keys.filter(|key| *key != "topic" && seen.insert(*key) && here(key));
            self.fields = keys.map(|key| (key.clone(), key.clone())).collect();
        }
        if self.fields.is_empty() {
            let message =
                "no field is on both sides: name them with `--fields` and `--against-fields`";
            return Err(invalid(message).with_context("against", self.source.to_string()));
        }
        Ok(())
    }

    async fn load(&mut self, deduplicator: &AnyDeduplicator) -> Result<()> {
        let prints = self
            .rows
            .iter()
            .map(|(_, data)| fingerprint(deduplicator, self.compared(data)));
        let prints: Vec<_> = stream::iter(prints).buffered(AT_ONCE).collect().await;
        for (print, (line, _)) in prints.into_iter().zip(&self.rows) {
            if let Some(print) = print? {
                let place = Reference::given(&self.source, *line);
                self.memory.remember(print, place);
            }
        }
        Ok(())
    }

    /// Returns the match if what was found is the same to the letter.
    async fn exactly(
        &self,
        exact: &AnyDeduplicator,
        record: Option<JsonRecord>,
        found: &Match,
    ) -> Result<Option<Match>> {
        let (_, line) = place(found);
        let Ok(row) = self.rows.binary_search_by_key(&line, |(line, _)| *line) else {
            return Ok(None);
        };
        let row = fingerprint(exact, self.compared(&self.rows[row].1)).await?;
        let record = fingerprint(exact, record).await?;
        let mut memory = exact.memory();
        Ok(row.zip(record).and_then(|(row, record)| {
            memory.remember(row, found.of.clone());
            memory.find(&record)
        }))
    }

    /// Returns what is compared of a row.
    fn compared(&self, data: &JsonRecord) -> Option<JsonRecord> {
        compared(data, self.fields.iter().map(|(own, other)| (own, other)))
    }
}

/// Returns the fields that are compared, under their names in the records; nothing where they say nothing.
fn compared<'a>(
    data: &JsonRecord,
    fields: impl Iterator<Item = (&'a String, &'a String)>,
) -> Option<JsonRecord> {
    let values = fields.filter_map(|(own, name)| Some((own.clone(), at_path(data, name)?.clone())));
    let values: JsonRecord = values.collect();
    let says = |value: &Value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    };
    values.values().any(says).then_some(values)
}

async fn fingerprint(
    deduplicator: &AnyDeduplicator,
    data: Option<JsonRecord>,
) -> Result<Option<AnyFingerprint>> {
    let Some(data) = data else {
        return Ok(None);
    };
    let candidate = Candidate::new("", &data);
    deduplicator.fingerprint(&candidate).await.map(Some)
}

fn place(found: &Match) -> (String, u64) {
    match &found.of {
        Reference::Given(place) => (out::on_one_line(&place.source), place.line),
        other => (other.to_string(), 0),
    }
}

fn invalid(message: &'static str) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}
