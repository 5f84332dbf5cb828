//! How a run begins, from its journal or from nothing, and how what an earlier process left there is judged.
//!
//! Judging looks at one answer alone, so it is spread over the runtime's threads; settling goes through the log in order.

use std::collections::HashMap;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::mem;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{BoxStream, Stream};
use tokio::task::{JoinError, JoinHandle};

use super::client_stack::ClientContext;
use super::look_ahead::{LookAhead, Past, Unjudged, recall};
use super::worker::{TaskResult, WorkerContext};
use super::{ResumePolicy, RunParts};
use crate::error::{Error, ErrorKind, Result};
use crate::guard::task_panicked;
use crate::journal::{Entry, Header};
use crate::ledger::Task;
use crate::llm::{ChatResponse, failures};
use crate::outcome::CallError;
use crate::plan::Plan;
use crate::random::Random;
use crate::report::CallStats;

/// What is known before the first task.
pub(super) struct ResumeState<'a> {
    pub(super) seed: u64,
    /// The plan of this input, where an earlier process settled it.
    pub(super) plan: Option<Plan>,
    /// Where the input has changed and is not planned yet: the plan that its answers refer to.
    pub(super) earlier: Option<Plan>,
    /// Seeds the requests of planning; another one for each input that the run had.
    pub(super) planning_seed: u64,
    /// What the topic model answered an earlier process, by the seed of the request.
    pub(super) topic_answers: HashMap<u64, ChatResponse>,
    /// The answers and failures that are there, and more.
    pub(super) rest: Past<'a>,
}

/// Reads the journal as far as it must be known before the first answer is folded; starts it if it is empty.
///
/// That is up to the plan, for the input that the journal begins with. For any other it is the whole journal, since
/// the last plan decides and topics may have been added at any time.
pub(super) async fn open(clients: &ClientContext) -> Result<ResumeState<'_>> {
    let ClientContext {
        parts, log, calls, ..
    } = clients;
    let mut past = log.past().await?;
    let Some(first) = past.next().await.transpose()? else {
        let seed = parts.settings().seed.unwrap_or_else(fresh_seed);
        log.append(|| Entry::Started(Header::of(seed, &parts.input)))
            .await?;
        return Ok(JournalScan::new(seed).into_state(past, true));
    };
    let Entry::Started(header) = first else {
        return Err(damaged(
            "the journal does not begin with the start of a run",
        ));
    };
    let whole = parts.plug_ins.resume == ResumePolicy::Changed || !header.is_of(&parts.input);
    header.check_format()?;
    let mut scan = JournalScan::new(header.seed);
    scan.header = Some(header);
    while whole || scan.plan.is_none() {
        let Some(entry) = past.next().await.transpose()? else {
            log.book_lost_calls(&parts.budget).await?;
            break;
        };
        scan.take(entry, parts, calls)?;
    }
    if !whole {
        return Ok(scan.into_state(past, false));
    }
    let again = log.past_again(scan.entries).await?.filter(|entry| {
        use Entry::{Answered, Failed, Judged};
        let is_wanted = matches!(entry, Err(_) | Ok(Answered(_) | Failed(_) | Judged(_)));
        std::future::ready(is_wanted)
    });
    let last = scan.header.as_ref();
    if let Some(another) = last.filter(|header| !header.is_of(&parts.input)) {
        if parts.plug_ins.resume == ResumePolicy::Same {
            return Err(another.refuse(&parts.input));
        }
        log.append(|| Entry::Started(Header::of(scan.seed, &parts.input)))
            .await?;
        scan.inputs += 1;
        scan.is_planned = false;
    }
    Ok(scan.into_state(again.boxed(), true))
}

/// What was read of a journal.
struct JournalScan {
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
    answers: u64,
}

impl JournalScan {
    fn new(seed: u64) -> Self {
        Self {
            seed,
            header: None,
            inputs: 1,
            plan: None,
            is_planned: false,
            topic_answers: HashMap::new(),
            entries: 1,
            answers: 0,
        }
    }

    fn take(&mut self, entry: Entry, parts: &RunParts, calls: &CallStats) -> Result<()> {
        self.entries += 1;
        recall(&entry, parts, calls);
        match entry {
            Entry::Started(header) => {
                header.check_format()?;
                self.header = Some(header);
                self.inputs += 1;
                self.is_planned = false;
            }
            Entry::TopicAnswered(answer) => {
                self.topic_answers.insert(answer.seed, answer.response);
            }
            Entry::Planned(plan) => {
                self.plan = Some(plan);
                self.is_planned = true;
            }
            Entry::Answered(_) | Entry::Failed(_) if self.plan.is_none() => {
                return Err(damaged("the journal has answers before a plan"));
            }
            Entry::Answered(_) => self.answers += 1,
            _ => {}
        }
        Ok(())
    }

    fn into_state(self, entries: BoxStream<'_, Result<Entry>>, is_known: bool) -> ResumeState<'_> {
        let (plan, earlier) = if self.is_planned {
            (self.plan, None)
        } else {
            (None, self.plan)
        };
        let planning_seed = match self.inputs {
            1 => self.seed,
            inputs => Random::new(self.seed).fork("plan").nth(inputs).next_u64(),
        };
        ResumeState {
            seed: self.seed,
            plan,
            earlier,
            planning_seed,
            topic_answers: self.topic_answers,
            rest: Past::new(entries, self.entries, is_known, self.answers),
        }
    }
}

fn damaged(message: &'static str) -> Error {
    Error::new(ErrorKind::Journal, message)
}

/// Draws a seed for a run that was given none; the standard library's hasher is seeded by the system.
fn fresh_seed() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Entries that are handed to a thread together, so that handing over costs little beside judging them.
const CHUNK: usize = 64;

/// Chunks that are judged or wait to be settled. More than there are threads on most machines, and few enough that all that is
/// under way stays in the processor's cache: what comes from memory takes a multiple of the time.
const CHUNKS_AHEAD: usize = 8;

/// A task of an earlier process, and what came of it.
pub(super) type Replayed = (Task, TaskResult);

/// Returns what came of the tasks in the log in order and many at a time, judged as it would be by a worker. An error ends
/// them.
pub(super) fn replay<'a>(
    past: Past<'a>,
    context: &'a Arc<WorkerContext>,
) -> impl Stream<Item = Vec<Result<Replayed>>> + 'a {
    LookAhead::new(past, context)
        .outcomes(CHUNK)
        .map(|chunk| {
            let chunk = judge_all(chunk, Arc::clone(context));
            let mut judging = Judging(tokio::spawn(chunk));
            async move { (&mut judging.0).await.unwrap_or_else(failed) }
        })
        .buffered(CHUNKS_AHEAD)
}

fn failed(error: JoinError) -> Vec<Result<Replayed>> {
    vec![Err(task_panicked(error))]
}

/// Judges entries up to the first error, which is the last of what is returned.
async fn judge_all(
    entries: Result<Vec<Unjudged>>,
    context: Arc<WorkerContext>,
) -> Vec<Result<Replayed>> {
    let mut entries = match entries {
        Ok(entries) => entries,
        Err(error) => return vec![Err(error)],
    };
    let mut judged = Vec::with_capacity(entries.len());
    // One name for all answers in a row that one model gave.
    let mut model = Arc::default();
    // Where they stand, since they are large.
    for unjudged in &mut entries {
        let outcome = judge(unjudged, &context, &mut model).await;
        let is_last = outcome.is_err();
        judged.push(outcome);
        if is_last {
            break;
        }
    }
    judged
}

async fn judge(
    unjudged: &mut Unjudged,
    context: &WorkerContext,
    model: &mut Arc<str>,
) -> Result<Replayed> {
    match &mut unjudged.entry {
        Entry::Answered(answer) => {
            let Some(topic) = context.topics.get(answer.topic) else {
                return Err(damaged(
                    "the journal has an answer for a topic that is not planned",
                ));
            };
            let (judge, response) = (&context.judge, &answer.response);
            let judged = if let Some(was_clean) = unjudged.is_clean {
                judge.judge(topic, response, was_clean).await?
            } else {
                judge.judge_and_note(answer.task, topic, response).await?
            };
            if answer.model != **model {
                *model = answer.model.as_str().into();
            }
            let result = TaskResult::Answered {
                judged,
                prompt: mem::take(&mut answer.prompt),
                failed_calls: failures(&answer.attempts).count(),
                model: Some(Arc::clone(model)),
            };
            let task = Task::replayed(answer.task, answer.topic, answer.wanted, answer.round);
            Ok((task, result))
        }
        Entry::Failed(failure) if failure.topic < context.topics.len() => {
            let result = TaskResult::Failed {
                error: CallError::new(failure.kind, &failure.message),
                calls: failures(&failure.attempts).count(),
            };
            let task = Task::replayed(failure.task, failure.topic, failure.wanted, failure.round);
            Ok((task, result))
        }
        Entry::Started(_) => Err(damaged(
            "the journal's run went on with another input than this, which it was started with; use that, or say that the \
             input may have changed",
        )),
        _ => Err(damaged("the journal has an entry out of place")),
    }
}

/// A chunk that is being judged; dropping it stops that, since a filter may cost money.
struct Judging<R>(JoinHandle<R>);

impl<R> Drop for Judging<R> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
