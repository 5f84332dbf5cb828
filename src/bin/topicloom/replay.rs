//! The records of a journal, made once more without a call.

use std::ops::ControlFlow;

use futures::StreamExt;
use serde_json::Value;
use topicloom::input::GenerateByTopicInputBuilder;
use topicloom::journal::ReadOnlyJournal;
use topicloom::llm::models::ModelRegistry;
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Pipeline, PipelineBuilder, Record};
use topicloom::{Result, Run};

use crate::place::Place;
use crate::{database, run};

/// What says how a run is driven, and would keep its answers from being read.
const OF_THE_RUN: [&str; 5] = [
    "max_cost_usd",
    "max_tokens_total",
    "max_calls",
    "storage",
    "cache",
];

/// A journal that is about to be read.
pub(crate) struct Replay {
    /// The input that the journal belongs to.
    pub(crate) said: GenerateByTopicInput,
    /// The same without limits.
    pub(crate) input: GenerateByTopicInput,
    pub(crate) pipeline: PipelineBuilder,
}

impl Replay {
    pub(crate) async fn of(place: Place) -> Result<Self> {
        let (said, journal) = match place {
            Place::Database(row) => database::to_export(row).await?,
            Place::File(path) => (run::last_input(&path)?, ReadOnlyJournal::file(path)),
        };
        let without =
            |builder: GenerateByTopicInputBuilder, key: &&str| builder.set(key, Value::Null);
        let input = OF_THE_RUN.iter().fold(said.to_builder(), without).build()?;
        let pipeline = Pipeline::builder_from_input(&input, &ModelRegistry::without_calls())?;
        Ok(Self {
            pipeline: pipeline.journal(journal),
            said,
            input,
        })
    }
}

/// Hands on each record until the answers of the journal are used up; afterwards the run has its report.
pub(crate) async fn each(
    run: &mut Run,
    mut take: impl AsyncFnMut(Record) -> Result<ControlFlow<()>>,
) -> Result<()> {
    while let Some(record) = run.next().await {
        match record {
            Ok(record) => {
                if take(record).await?.is_break() {
                    return Ok(());
                }
            }
            Err(error) if is_incomplete(&error) => break,
            Err(error) => return Err(error),
        }
    }
    // The stream has an end behind its error, and the report comes with it.
    while run.next().await.is_some() {}
    Ok(())
}

/// Whether the answers of the journal are used up, rather than anything wrong with them.
fn is_incomplete(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Cancelled | ErrorKind::Short)
}
