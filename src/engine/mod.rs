//! What drives a run. Three bags carry it: [`RunParts`], what it is made of, which everybody shares and nobody changes;
//! [`RunState`](state::RunState), what it knows, which the driver owns; and [`WorkerContext`](worker::WorkerContext), what each
//! task needs. The ledger decides, workers do, the driver loops and alone spawns.

mod answer_judge;
mod client_stack;
mod driver;
mod look_ahead;
mod planner;
mod prompts;
mod report;
mod resume;
mod run_filter;
mod state;
mod worker;

use std::fmt;
use std::sync::Arc;

use crate::dedup::{AnyDeduplicator, KnownRecords};
use crate::error::Error;
use crate::event::{Observer, RunEvent};
use crate::filter::Filter;
use crate::guard::PanicTrap;
use crate::hooks::Hooks;
use crate::input::{GenerateByTopicInput, Settings};
use crate::journal::{FilterVerdicts, Journal, RunEmbedder};
use crate::llm::layers::{Budget, Cached};
use crate::llm::{Model, OwnLimit};
use crate::plan::Allocation;
use crate::prompt::Prompts;
use crate::record::Decoder;
use crate::report::Report;
use crate::schema::{RecordSchema, SchemaRenderer};
use crate::topic::TopicProvider;

pub(crate) use driver::drive;
pub(crate) use prompts::{PromptParts, RunPrompts};

/// The caller's parts that a run takes as they are.
#[derive(Clone)]
pub(crate) struct PlugIns {
    pub(crate) topics: Arc<dyn TopicProvider>,
    pub(crate) prompts: Arc<dyn Prompts>,
    pub(crate) renderer: Arc<dyn SchemaRenderer>,
    pub(crate) filters: Vec<Filter>,
    pub(crate) journal: Option<Arc<dyn Journal>>,
    pub(crate) resume: ResumePolicy,
    pub(crate) observers: Vec<Observer>,
    pub(crate) hooks: Hooks,
}

/// Whether a journal may belong to another input than the one at hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ResumePolicy {
    /// It must be of the same input.
    #[default]
    Same,
    /// What it holds is judged anew by the input at hand, which is its input from now on.
    Changed,
}

/// What a run is made of: what is wanted, and the parts it is made with.
pub(crate) struct RunParts {
    pub(crate) input: GenerateByTopicInput,
    pub(crate) plug_ins: PlugIns,
    /// That of the input, with formats asserted where it says so.
    pub(crate) schema: RecordSchema,
    pub(crate) decoder: Decoder,
    /// That of the input, or a part of it.
    pub(crate) allocation: Allocation,
    pub(crate) extent: Extent,
    pub(crate) generation: Model,
    pub(crate) topic_model: Model,
    /// The output limit of calls for records, where the caps need one and the caller gave none.
    pub(crate) own_limit: Option<OwnLimit>,
    pub(crate) deduplicator: AnyDeduplicator,
    /// Where answers are kept for other runs.
    pub(crate) cache: Option<Arc<Cached<()>>>,
    /// What the deduplicator asks for embeddings, where the input names a model.
    pub(crate) embedder: Option<Arc<RunEmbedder>>,
    /// What filters said that are asked once.
    pub(crate) verdicts: FilterVerdicts,
    /// What counts as seen before the first record.
    pub(crate) known_records: Vec<KnownRecords>,
    /// Keeps the account of this run, and its caps.
    pub(crate) budget: Arc<Budget>,
    /// What the report has to say beyond what the run does.
    pub(crate) notes: Vec<String>,
    /// Observers and hooks cannot return an error.
    pub(crate) panic_trap: PanicTrap,
}

/// How much of a run is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of it.
    Whole,
    /// One record of some topics, whatever becomes of the others.
    DryRun,
    /// At most this many tasks, one after the other.
    Preview(u64),
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct RunEnd {
    pub(crate) report: Report,
    /// Why it is not complete; `None` where it is.
    pub(crate) error: Option<Error>,
}

impl RunParts {
    pub(crate) fn settings(&self) -> &Settings {
        self.input.settings()
    }

    /// Whether what a given-up topic owes is asked of others.
    fn reallocates(&self) -> bool {
        self.settings().reallocate && self.extent != Extent::DryRun
    }

    fn notify(&self, event: &RunEvent<'_>) {
        for observer in &self.plug_ins.observers {
            self.panic_trap
                .call("an observer (`on_event`)", || observer(event));
        }
    }

    /// Calls hooks, as a part of the caller's that may panic.
    fn call_hooks(&self, name: &str, call: impl FnOnce(&Hooks)) {
        self.panic_trap.call(name, || call(&self.plug_ins.hooks));
    }
}

impl fmt::Debug for RunParts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunParts")
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}
