//! How a run begins: from its journal, or from nothing.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use futures::StreamExt;
use futures::stream::BoxStream;
use serde_json::Value;

use super::Job;
use super::call_log::CallLog;
use super::log::Log;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Entry, FORMAT, Header};
use crate::llm::{ChatResponse, Purpose};
use crate::plan::Plan;
use crate::random::Random;

/// Whether a journal may belong to another input than the one at hand.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum ResumePolicy {
    /// It must be of the same input.
    #[default]
    Same,
    /// What it holds is judged anew by the input at hand, which is its input from now on.
    Changed,
}

/// What is known before the first task.
pub(super) struct Opening<'a> {
    pub(super) seed: u64,
    /// The plan of this input, where an earlier process settled it.
    pub(super) plan: Option<Plan>,
    /// Where the input has changed and is not planned yet: the plan that its answers refer to.
    pub(super) earlier: Option<Plan>,
    /// Seeds the requests of planning; another one for each input that the run had.
    pub(super) planning_seed: u64,
    /// What the topic model answered an earlier process, by the seed of the request.
    pub(super) topic_answers: HashMap<u64, ChatResponse>,
    /// The answers and failures that are there.
    pub(super) rest: BoxStream<'a, Result<Entry>>,
}

/// Reads the journal as far as it must be known before the first answer is folded; starts it if it is empty.
///
/// That is up to the plan, for the input that the journal begins with. For any other it is the whole journal, since
/// the last plan decides and topics may have been added at any time.
pub(super) async fn open<'a>(job: &Job, log: &'a Log, calls: &CallLog) -> Result<Opening<'a>> {
    let mut past = log.past().await?;
    let Some(first) = past.next().await.transpose()? else {
        let seed = job.settings.seed.unwrap_or_else(fresh_seed);
        log.append(|| Entry::Started(Header::new(seed, job.input.clone(), job.fingerprint)))
            .await?;
        return Ok(Seen::new(seed).opening(past));
    };
    let Entry::Started(header) = first else {
        return Err(damaged(
            "the journal does not begin with the start of a run",
        ));
    };
    let whole = job.resume == ResumePolicy::Changed || !is_of(&header, job);
    let mut seen = Seen::new(readable(&header)?.seed);
    seen.header = Some(header);
    while whole || seen.plan.is_none() {
        match past.next().await.transpose()? {
            Some(entry) => seen.take(entry, job, calls)?,
            None => break,
        }
    }
    if !whole {
        return Ok(seen.opening(past));
    }
    let again = log.past_again(seen.entries).await?.filter(|entry| {
        let is_outcome = matches!(entry, Err(_) | Ok(Entry::Answered(_) | Entry::Failed(_)));
        std::future::ready(is_outcome)
    });
    if let Some(header) = seen.header.as_ref().filter(|header| !is_of(header, job)) {
        if job.resume == ResumePolicy::Same {
            return Err(another_input(header, job));
        }
        let header = Header::new(seen.seed, job.input.clone(), job.fingerprint);
        log.append(|| Entry::Started(header)).await?;
        seen.inputs += 1;
        seen.is_planned = false;
    }
    Ok(seen.opening(again.boxed()))
}

/// What was read of a journal.
struct Seen {
    seed: u64,
    /// The last one.
    header: Option<Header>,
    inputs: u64,
    /// The last one.
    plan: Option<Plan>,
    /// Whether it is that of the last input.
    is_planned: bool,
    topic_answers: HashMap<u64, ChatResponse>,
    entries: usize,
}

impl Seen {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            header: None,
            inputs: 1,
            plan: None,
            is_planned: false,
            topic_answers: HashMap::new(),
            entries: 1,
        }
    }

    fn take(&mut self, entry: Entry, job: &Job, calls: &CallLog) -> Result<()> {
        self.entries += 1;
        match entry {
            Entry::Started(header) => {
                readable(&header)?;
                self.header = Some(header);
                self.inputs += 1;
                self.is_planned = false;
            }
            Entry::TopicAnswered(answer) => {
                let usage = Some(answer.response.usage);
                job.budget.book(&answer.model, &answer.response.usage);
                job.budget.book_failed(answer.failed_calls.len() as u64);
                job.budget.book_uncertain(&answer.uncertain);
                calls.replay(Purpose::Topics, &answer.model, &answer.failed_calls, usage);
                self.topic_answers.insert(answer.seed, answer.response);
            }
            Entry::Planned(plan) => {
                self.plan = Some(plan);
                self.is_planned = true;
            }
            Entry::Finished { uncertain, .. } => {
                job.budget.book_failed(uncertain.calls);
                job.budget.book_uncertain(&uncertain);
            }
            Entry::Embedded(_) => {}
            _ if self.plan.is_none() => {
                return Err(damaged("the journal has answers before a plan"));
            }
            _ => {}
        }
        Ok(())
    }

    fn opening(self, rest: BoxStream<'_, Result<Entry>>) -> Opening<'_> {
        let (plan, earlier) = if self.is_planned {
            (self.plan, None)
        } else {
            (None, self.plan)
        };
        let planning_seed = match self.inputs {
            1 => self.seed,
            inputs => Random::new(self.seed).fork("plan").nth(inputs).next_u64(),
        };
        Opening {
            seed: self.seed,
            plan,
            earlier,
            planning_seed,
            topic_answers: self.topic_answers,
            rest,
        }
    }
}

fn is_of(header: &Header, job: &Job) -> bool {
    header.fingerprint == format!("{:032x}", job.fingerprint)
}

/// Returns the header, if this version can read what is behind it.
fn readable(header: &Header) -> Result<&Header> {
    if header.format > FORMAT {
        return Err(Error::new(
            ErrorKind::Journal,
            format!(
                "the journal has format {}, and this version reads up to {FORMAT}",
                header.format
            ),
        )
        .with_context("written by", header.library.clone()));
    }
    Ok(header)
}

fn another_input(header: &Header, job: &Job) -> Error {
    Error::new(
        ErrorKind::Journal,
        format!(
            "the journal belongs to another input, which differs in {}; use a new journal, or the input it was \
             started with, or say that the input may have changed",
            differences(&header.input, &job.input)
        ),
    )
}

fn damaged(message: &'static str) -> Error {
    Error::new(ErrorKind::Journal, message)
}

/// Names the keys in which two inputs differ.
fn differences(one: &Value, other: &Value) -> String {
    let keys = |value: &Value| {
        value
            .as_object()
            .map_or_else(Vec::new, |map| map.keys().cloned().collect())
    };
    let mut names: Vec<String> = keys(one);
    names.extend(keys(other));
    names.retain(|name| one.get(name) != other.get(name));
    names.sort();
    names.dedup();
    names
        .iter()
        .map(|name| format!("`{name}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// Draws a seed for a run that was given none; the standard library's hasher is seeded by the system.
fn fresh_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}
