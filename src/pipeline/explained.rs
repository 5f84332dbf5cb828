//! A record led back to the prompt that it was asked for with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt;
use futures::stream::BoxStream;
use serde::de::DeserializeOwned;

use super::Pipeline;
use crate::diversity::{ExampleChoice, shown_of};
use crate::engine::{PromptParts, RunParts, RunPrompts};
use crate::error::{Error, ErrorKind, Result};
use crate::input::GenerateByTopicInput;
use crate::journal::{Answer, Entry, Journal};
use crate::llm::Message;
use crate::preview::{Recorder, TaskPreview};
use crate::random::Random;
use crate::topic::Topic;

impl Pipeline {
    /// Returns a task of the journal: its prompt and its answer word for word, how that was repaired, and what became of each
    /// candidate in it.
    ///
    /// `task` is the number of the task that asked for a record, as [`RecordMeta`](crate::record::RecordMeta) has it. The pipeline
    /// needs a journal, and makes its records once more to find out; give it a
    /// [`ReadOnlyJournal`](crate::journal::ReadOnlyJournal) and
    /// [`ModelRegistry::without_calls`](crate::llm::models::ModelRegistry::without_calls), so that nothing is asked and nothing
    /// is written.
    ///
    /// The prompt is worded anew of what the journal says of it, by the input at hand. It is the one that was sent unless the
    /// input has changed since, or another process of a shared run made the call.
    ///
    /// **Prompts and record data are in it and in what it displays**; they are not in its `Debug` output.
    ///
    /// # Errors
    ///
    /// Where there is no journal or it cannot be read, and where it has no answer to such a task.
    pub async fn explain<T>(&self, input: GenerateByTopicInput<T>, task: u64) -> Result<TaskPreview>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let parts = self.run_parts(&input)?;
        let Some(journal) = parts.plug_ins.journal.clone() else {
            let message =
                "a record is led back to its prompt by the journal, and the pipeline has none";
            return Err(Error::new(ErrorKind::Config, message));
        };
        let missing = || {
            let message = format!("the journal has no answer to the task of number {task}");
            Error::new(ErrorKind::InvalidInput, message)
        };
        let (seed, answer) = answer_to(&*journal, task).await?.ok_or_else(missing)?;
        let listening = Recorder::of_task(task);
        // What the prompt showed of earlier records, by their numbers.
        let shown: Arc<Mutex<HashMap<u64, String>>> = Arc::default();
        let (keep, wanted) = (Arc::clone(&shown), answer.prompt.shown.clone());
        let mut hooks = listening.hooks();
        hooks.accepted.push(Arc::new(move |record| {
            let ordinal = record.meta.ordinal;
            if wanted.contains(&ordinal)
                && let Some(text) = shown_of(record.data)
            {
                let mut kept = keep.lock().unwrap_or_else(PoisonError::into_inner);
                kept.insert(ordinal, text);
            }
        }));
        let mut listened = self.clone();
        listened.parts.hooks = hooks;
        listened.parts.observers = vec![listening.observer()];
        let mut run = listened.start::<T>(listened.run_parts(&input)?)?;
        while let Some(record) = run.next().await {
            match record {
                // The answers are used up.
                Err(error) if error.is_incomplete() => {}
                record => drop(record?),
            }
        }
        let mut told = listening.into_task().ok_or_else(missing)?;
        let shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        let texts = answer.prompt.shown.iter();
        let texts: Vec<String> = texts
            .filter_map(|ordinal| shown.get(ordinal).cloned())
            .collect();
        let prompt = prompt(&Arc::new(parts), seed, &told.topic, &answer, &texts)?;
        told.calls = answer.calls(&prompt);
        Ok(told)
    }
}

/// Returns the answer to a task, the latest where the input changed on the way, and the seed of the run.
async fn answer_to(journal: &dyn Journal, task: u64) -> Result<Option<(u64, Answer)>> {
    let mut entries: BoxStream<'_, Result<Entry>> = journal.read().await?;
    let (mut seed, mut found) = (None, None);
    while let Some(entry) = entries.next().await.transpose()? {
        match entry {
            Entry::Started(header) => seed = seed.or(Some(header.seed)),
            Entry::Answered(answer) if answer.task == task => found = Some(answer),
            _ => {}
        }
    }
    Ok(seed.zip(found))
}

/// Words the prompt of an answer once more.
fn prompt(
    parts: &Arc<RunParts>,
    seed: u64,
    topic: &Topic,
    answer: &Answer,
    shown: &[String],
) -> Result<Vec<Message>> {
    let examples = parts.input.examples();
    let turns = ExampleChoice::new(examples.given.len(), examples.shown, 0, &Random::new(seed));
    let choice = &answer.prompt;
    let asked = PromptParts {
        wanted: answer.wanted,
        angle: choice.angle.as_deref(),
        examples: &turns.turn(answer.task, choice.examples),
        avoid: shown,
        feedback: choice.feedback.as_deref(),
        shows_skeleton: choice.skeleton,
    };
    RunPrompts::new(parts)?.messages(topic, &asked)
}
