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

/// What is known before the first task.
pub(super) struct Opening<'a> {
    pub(super) seed: u64,
    /// The plan, where an earlier process settled it.
    pub(super) plan: Option<Plan>,
    /// What the topic model answered an earlier process, by the seed of the request.
    pub(super) topic_answers: HashMap<u64, ChatResponse>,
    /// The entries behind the plan.
    pub(super) rest: BoxStream<'a, Result<Entry>>,
}

/// Reads the journal up to and including the plan; starts it if it is empty.
pub(super) async fn open<'a>(job: &Job, log: &'a Log, calls: &CallLog) -> Result<Opening<'a>> {
    let mut rest = log.past().await?;
    let seed = if let Some(first) = rest.next().await.transpose()? {
        check_header(first, job)?.seed
    } else {
        let seed = job.settings.seed.unwrap_or_else(fresh_seed);
        log.append(|| Entry::Started(Header::new(seed, job.input.clone(), job.fingerprint)))
            .await?;
        seed
    };
    let mut topic_answers = HashMap::new();
    while let Some(entry) = rest.next().await.transpose()? {
        match entry {
            Entry::TopicAnswered(answer) => {
                let usage = Some(answer.response.usage);
                job.budget.book(&answer.model, &answer.response.usage);
                job.budget.book_failed(&answer.failed_calls);
                calls.replay(Purpose::Topics, &answer.model, &answer.failed_calls, usage);
                topic_answers.insert(answer.seed, answer.response);
            }
            Entry::Planned(plan) => {
                return Ok(Opening {
                    seed,
                    plan: Some(plan),
                    topic_answers,
                    rest,
                });
            }
            Entry::Finished { .. } => {}
            _ => {
                return Err(Error::new(
                    ErrorKind::Journal,
                    "the journal has answers before a plan",
                ));
            }
        }
    }
    Ok(Opening {
        seed,
        plan: None,
        topic_answers,
        rest,
    })
}

/// Returns the header, if the journal is of this input and readable by this version.
fn check_header(first: Entry, job: &Job) -> Result<Header> {
    let Entry::Started(header) = first else {
        return Err(Error::new(
            ErrorKind::Journal,
            "the journal does not begin with the start of a run",
        ));
    };
    if header.format > FORMAT {
        return Err(Error::new(
            ErrorKind::Journal,
            format!(
                "the journal has format {}, and this version reads up to {FORMAT}",
                header.format
            ),
        )
        .with_context("written by", header.library));
    }
    if header.fingerprint != format!("{:032x}", job.fingerprint) {
        return Err(Error::new(
            ErrorKind::Journal,
            format!(
                "the journal belongs to another input, which differs in {}; use a new journal, or the input it \
                 was started with",
                differences(&header.input, &job.input)
            ),
        ));
    }
    Ok(header)
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
