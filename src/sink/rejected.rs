//! Candidates that were not accepted, as JSON lines.

use std::fmt;
use std::io::{BufWriter, Write};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use crate::dedup::Reference;
use crate::hooks::Rejected;

/// Writes each candidate that is not accepted with the reason, and with what it repeats, one JSON object a line.
///
/// | key | meaning |
/// |---|---|
/// | `topic`, `task` | what it was asked under |
/// | `rejection` | `invalid`, `undecodable`, `filtered`, `duplicate` or `surplus` |
/// | `reason` | why, in words, where there is more to say |
/// | `repeats` | `{"record": 12}`, the number of the record in the order of acceptance, from 0; or `{"source": ..., "line": ...}` of given material |
/// | `method`, `similarity` | how the repeat was found |
/// | `data` | the candidate, as far as it got |
///
/// A write that fails stops the writing and not the run: the candidates are no part of the data set.
/// [`finish`](Self::finish) tells of it.
///
/// ```
/// use topicloom::Pipeline;
/// use topicloom::llm::OfflineModel;
/// use topicloom::sink::RejectedJsonl;
///
/// let rejected = RejectedJsonl::new(Vec::new());
/// let hook = rejected.clone();
/// let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
///     .on_rejected(move |candidate| hook.write(candidate))
///     .build();
/// # drop(pipeline);
/// # rejected.finish()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct RejectedJsonl(Arc<Mutex<State>>);

struct State {
    out: BufWriter<Box<dyn Write + Send>>,
    error: Option<std::io::Error>,
}

impl RejectedJsonl {
    /// Writes to this.
    pub fn new(out: impl Write + Send + 'static) -> Self {
        Self(Arc::new(Mutex::new(State {
            out: BufWriter::new(Box::new(out)),
            error: None,
        })))
    }

    /// Writes a candidate.
    pub fn write(&self, candidate: &Rejected<'_>) {
        let mut line = json!({
            "topic": candidate.topic.name(),
            "task": candidate.task,
            "rejection": candidate.rejection.as_str(),
        });
        let mut set = |key: &str, value: Value| line[key] = value;
        if let Some(reason) = candidate.reason {
            set("reason", reason.into());
        }
        if let Some(found) = candidate.repeats {
            set("repeats", repeated(&found.of));
            set("similarity", json!(found.similarity));
            if !found.method.is_empty() {
                set("method", found.method.into());
            }
        }
        if let Some(data) = candidate.data {
            set("data", Value::Object(data.clone()));
        }
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.error.is_none() {
            state.error = writeln!(state.out, "{line}").err();
        }
    }

    /// Writes what is held back.
    ///
    /// # Errors
    ///
    /// Where this or an earlier write failed.
    pub fn finish(&self) -> std::io::Result<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match state.error.take() {
            Some(error) => Err(error),
            None => state.out.flush(),
        }
    }
}

fn repeated(of: &Reference) -> Value {
    match of {
        Reference::Record(number) => json!({"record": number}),
        Reference::Given(place) => json!({"source": *place.source, "line": place.line}),
    }
}

impl fmt::Debug for RejectedJsonl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RejectedJsonl").finish_non_exhaustive()
    }
}
