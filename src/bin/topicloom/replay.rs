//! The records of a journal, made once more without a call.

use std::ops::ControlFlow;

use futures::StreamExt;
use serde_json::Value;
use topicloom::dedup::KnownRecords;
use topicloom::input::GenerateByTopicInputBuilder;
use topicloom::journal::ReadOnlyJournal;
use topicloom::llm::models::ModelRegistry;
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Pipeline, PipelineBuilder, Record};
use topicloom::{Result, Run};

use crate::database;
use crate::place::Place;
use crate::run::LastStart;

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
        let (said, journal, before, is_changed) = match place {
            Place::Database(row) => {
                let (input, journal) = database::to_export(row).await?;
                (input, journal, None, true)
            }
            Place::File(path) => {
                let last = LastStart::of(&path)?;
                let is_changed = last.is_changed;
                let (input, before) = as_made(last)?;
                (input, ReadOnlyJournal::file(path), before, is_changed)
            }
        };
        let without =
            |builder: GenerateByTopicInputBuilder, key: &&str| builder.set(key, Value::Null);
        let input = OF_THE_RUN.iter().fold(said.to_builder(), without).build()?;
        let pipeline = Pipeline::builder_from_input(&input, &ModelRegistry::without_calls())?;
        let mut pipeline = pipeline.journal(journal);
        // It asks for what was added alone; and the first input may be the last one, too.
        if before.is_some() || is_changed {
            pipeline = pipeline.resume_changed_input();
        }
        if let Some(before) = before {
            pipeline = pipeline.already_seen(before);
        }
        Ok(Self {
            said,
            input,
            pipeline,
        })
    }
}

/// Returns the input of a journal, as the run saw it: one that added records to a file made only those that were not there, and knew
/// the others. What the journal holds are the added ones.
fn as_made(last: LastStart) -> Result<(GenerateByTopicInput, Option<KnownRecords>)> {
    let LastStart {
        mut input, plan, ..
    } = last;
    let appends = input
        .get_mut("data_factory_config")
        .and_then(|config| config.as_object_mut()?.shift_remove("append"));
    if appends != Some(Value::Bool(true)) {
        return Ok((GenerateByTopicInput::from_json_value(input)?, None));
    }
    let added = plan.map_or(0, |plan| plan.total());
    let all = input["num_records"].as_u64().unwrap_or(added);
    input["num_records"] = added.into();
    let input = GenerateByTopicInput::from_json_value(input)?;
    let Some(output) = &input.settings().output else {
        return Ok((input, None));
    };
    let name = output.path.display().to_string();
    let unreadable = |error: std::io::Error| {
        let message = "the records that the run added to cannot be read";
        Error::new(ErrorKind::InvalidInput, message)
            .with_context("file", name.clone())
            .with_source(error)
    };
    let text = std::fs::read_to_string(&output.path).map_err(&unreadable)?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let before = usize::try_from(all.saturating_sub(added)).unwrap_or(usize::MAX);
    let before = lines
        .take(before)
        .map(|line| serde_json::from_str(line).map_err(std::io::Error::from));
    let before = before
        .collect::<std::io::Result<Vec<Value>>>()
        .map_err(&unreadable)?;
    let before = KnownRecords::records(name.as_str(), before).without(&input.labels());
    Ok((input, Some(before)))
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
            // The answers are used up.
            Err(error) if error.is_incomplete() => break,
            Err(error) => return Err(error),
        }
    }
    // The stream has an end behind its error, and the report comes with it.
    while run.next().await.is_some() {}
    Ok(())
}
