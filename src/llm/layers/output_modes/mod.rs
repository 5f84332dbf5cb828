//! What is known of the ways in which backends can be asked for a schema.

mod choice;
mod fallback;
mod unproven;

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Semaphore;
use tracing::debug;

use self::choice::{Choice, Failure, Next};
use super::Warn;
use crate::llm::{Capabilities, OutputFormat, OutputMode, OutputSchema};
use crate::schema::Dialect;
use crate::schema::dialect::compile;

pub use fallback::OutputModeFallback;
pub(crate) use unproven::UnprovenModes;

/// Remembers per model and schema which [output modes](OutputMode) work.
///
/// Share one between the [`OutputModeFallback`]s of a run, and tell it with [`judged`](Self::judged) what answers were
/// worth: a server that takes a schema and ignores it is noticed by its answers alone.
pub struct OutputModes {
    known: Mutex<HashMap<(Arc<str>, u128), Known>>,
    first_calls: usize,
    warn: Option<Warn>,
}

/// What is known of a model and a family of schemas.
struct Known {
    choice: Choice,
    /// The request's format in each mode, by the schema's fingerprint.
    formats: HashMap<u128, Vec<Option<Format>>>,
    gate: Gate,
}

/// Lets few calls through until one was answered, and then all: what is refused is refused to each.
#[derive(Debug, Clone)]
struct Gate {
    first: Arc<Semaphore>,
    /// Once a call failed, one at a time finds out what works.
    again: Arc<Semaphore>,
}

impl Gate {
    fn new(first_calls: usize) -> Self {
        Self {
            first: Arc::new(Semaphore::new(first_calls)),
            again: Arc::new(Semaphore::new(1)),
        }
    }

    fn open(&self) {
        self.first.close();
        self.again.close();
    }
}

/// Calls in flight in a mode that was never answered.
const FIRST_CALLS: usize = 8;

/// No run begins with more calls, so no more need be held back.
const MOST_FIRST_CALLS: usize = 32;

/// Schemas of a family whose formats are kept: one for each number of records, and for each value that a field is to have.
const MOST_FORMATS: usize = 1_024;

/// A request's format, and how that asks.
#[derive(Debug, Clone)]
struct Format {
    output: OutputFormat,
    asked: (OutputMode, Dialect),
}

impl OutputModes {
    /// Answers of no use after which a mode that never gave one of use is left.
    pub(crate) const UNUSABLE: u32 = choice::UNUSABLE;

    /// Creates a memory of nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            known: Mutex::default(),
            first_calls: FIRST_CALLS,
            warn: None,
        }
    }

    /// Sets how many calls at most are made at once for a schema before one of them was answered. The default is 8, the
    /// most 32: what is refused is refused to each.
    #[must_use]
    pub fn first_calls(mut self, calls: usize) -> Self {
        self.first_calls = calls.clamp(1, MOST_FIRST_CALLS);
        self
    }

    /// Says to this listener when a mode is left since its answers were of no use.
    #[must_use]
    pub fn on_warning(mut self, warn: Warn) -> Self {
        self.warn = Some(warn);
        self
    }

    /// Takes note of what an answer was worth: the model that gave it, what it was asked for, in which mode, and
    /// whether it held anything of what was asked for.
    ///
    /// An answer counts as usable where a record in it fits the schema, whatever becomes of the record.
    pub fn judged(
        &self,
        model: &str,
        output: &OutputFormat,
        asked: Option<(OutputMode, Dialect)>,
        is_usable: bool,
    ) {
        let (OutputFormat::Schema(schema), Some(asked)) = (output, asked) else {
            return;
        };
        let left = {
            let mut known = self.lock();
            let Some(known) = known.get_mut(&(model.into(), schema.family())) else {
                return;
            };
            let formats = known.formats.get(&schema.fingerprint());
            let is_it = |format: &Option<Format>| format.as_ref().is_some_and(|f| f.asked == asked);
            let Some(mode) = formats.and_then(|formats| formats.iter().position(is_it)) else {
                return;
            };
            known.choice.judged(mode, is_usable)
        };
        if let Some(warn) = self.warn.as_ref().filter(|_| left) {
            warn(&format!(
                "{model} seems to ignore what it is asked for by {}: no answer could be used; it is asked in another way now",
                in_words(asked.0)
            ));
        }
    }

    /// Returns what lets a call for this schema through.
    fn gate(&self, model: &Arc<str>, schema: &OutputSchema, capabilities: Capabilities) -> Gate {
        let mut known = self.lock();
        let known = known
            .entry((Arc::clone(model), schema.family()))
            .or_insert_with(|| Known {
                choice: Choice::new(formats(schema, capabilities).iter().map(Option::is_some)),
                formats: HashMap::new(),
                gate: Gate::new(self.first_calls),
            });
        // Where there is only one way to ask, there is nothing to find out.
        if known.choice.is_settled() {
            known.gate.open();
        }
        known.gate.clone()
    }

    /// Returns the mode to ask in, and the request's format in it.
    fn next(
        &self,
        model: &Arc<str>,
        schema: &OutputSchema,
        capabilities: Capabilities,
    ) -> (usize, Format) {
        self.update(model, schema, |known| {
            if known.formats.len() >= MOST_FORMATS {
                known.formats.clear();
            }
            let formats = known
                .formats
                .entry(schema.fingerprint())
                .or_insert_with(|| formats(schema, capabilities));
            let mode = known.choice.next();
            // What one number of items can say, another can; where not, the prompt can say all.
            let format = formats[mode].clone().or_else(|| formats.last()?.clone());
            (mode, format.expect("the prompt can say every schema"))
        })
    }

    fn update<R>(
        &self,
        model: &Arc<str>,
        schema: &OutputSchema,
        change: impl FnOnce(&mut Known) -> R,
    ) -> R {
        let mut known = self.lock();
        let known = known.get_mut(&(Arc::clone(model), schema.family()));
        change(known.expect("a call passes the gate first"))
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Arc<str>, u128), Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for OutputModes {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for OutputModes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutputModes").finish_non_exhaustive()
    }
}

/// Returns how to ask in each of the backend's modes and, last, in the prompt alone; `None` where the dialect cannot
/// say the schema.
fn formats(schema: &OutputSchema, capabilities: Capabilities) -> Vec<Option<Format>> {
    let modes = capabilities.output_modes.iter().copied();
    let modes = modes.chain([OutputMode::Prompt]);
    modes
        .map(|mode| format(schema, mode, capabilities.dialect))
        .collect()
}

fn format(schema: &OutputSchema, mode: OutputMode, dialect: Dialect) -> Option<Format> {
    // Where nothing is enforced, the model reads the schema as it was written.
    let dialect = if mode == OutputMode::Strict {
        dialect
    } else {
        Dialect::Full
    };
    let output = match mode {
        OutputMode::Strict | OutputMode::Schema | OutputMode::Tool => {
            let compiled = match compile(&schema.schema, dialect) {
                Ok(compiled) => compiled.schema,
                Err(refusal) => {
                    debug!(%refusal, "the schema is asked for less firmly");
                    return None;
                }
            };
            OutputFormat::Schema(Arc::new(OutputSchema::new(&*schema.name, compiled, mode)))
        }
        OutputMode::Json => OutputFormat::Json,
        OutputMode::Prompt => OutputFormat::Text,
    };
    Some(Format {
        output,
        asked: (mode, dialect),
    })
}

fn in_words(mode: OutputMode) -> &'static str {
    match mode {
        OutputMode::Strict => "a schema to be enforced",
        OutputMode::Schema => "a schema",
        OutputMode::Tool => "a tool",
        OutputMode::Json => "JSON mode",
        OutputMode::Prompt => "the prompt",
    }
}
