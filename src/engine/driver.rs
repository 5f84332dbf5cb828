//! The loop of a run. It and what it folds with (`folding`) are the only places that spawn.

use std::collections::BTreeMap;
use std::mem;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::StreamExt;
use futures::stream::BoxStream;
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinError;
use tokio::time::Instant;
use tracing::info;

use super::asked_again::AskedAgain;
use super::breaker::Opened;
use super::call_log::CallLog;
use super::findings::Findings;
use super::guard::{caught, caught_async, longest};
use super::judge::{Judge, Judged};
use super::ledger::{Ledger, Rules, Task};
use super::log::{Line, Log};
use super::opening::Opening;
use super::output::RecordsFormat;
use super::output_limits::OutputLimits;
use super::planner::Planner;
use super::recollection::Recollection;
use super::settling::Settling;
use super::summary::Account;
use super::tasks::Tasks;
use super::unproven_modes::UnprovenModes;
use super::worker::{Brief, End, Settle, Workshop, no_longer_under_way};
use super::{Ending, Job, RunSettings, StopSignal, folding, opening, stack};
use crate::dedup::AnyMemory;
use crate::diversity::{DiversityReport, Metrics, vendi};
use crate::error::{Error, ErrorKind, Result};
use crate::event::RunEvent;
use crate::journal::Entry;
use crate::llm::{Capabilities, LlmClient, Message, Purpose};
use crate::outcome::{CallError, Outcome};
use crate::plan::Plan;
use crate::prompt::StableContext;
use crate::record::Record;
use crate::schedule::SchedulingPolicy;
use crate::schema::RECORDS_KEY;
use crate::topic::AngleSet;

/// Records that wait to be sent to a slow consumer before no more are asked for. Enough to keep the calls going while
/// the consumer is busy for a moment; what is in flight comes on top.
const MOST_WAITING: usize = 64;

/// Records of an earlier process that are sent together: waking the consumer costs more than it takes to make a few
/// of them again.
const MOST_RECALLED: usize = 512;

/// Tasks in flight for each permit: one that calls, and one that waits for its retry, is being judged or is
/// about to call, so that a permit is never idle for want of a task.
const TASKS_PER_PERMIT: usize = 2;

/// Tasks in flight where a run goes in step: as many as by default, whatever the concurrency is, so that it does not
/// matter to what is made.
const TASKS_IN_STEP: usize = 20;

/// Records whose embeddings are compared at the end of a run, where there are embeddings. Their Vendi score takes some
/// twenty milliseconds; it grows with the third power.
const MOST_EMBEDDINGS: usize = 256;

/// How a run ends without a fatal error.
enum Stop {
    Complete,
    Short(Error),
    Cancelled,
    /// As cancelled, but the calls in flight may end.
    AfterCalls,
}

/// Makes the records of a job, sends them, and returns how it ended.
pub(crate) async fn drive<T>(
    job: Job,
    mut policy: Box<dyn SchedulingPolicy>,
    records: mpsc::Sender<Vec<Record<T>>>,
    stop: StopSignal,
) -> Ending
where
    T: DeserializeOwned + Send + 'static,
{
    let started = Instant::now();
    let mut account = Account::new(&job);
    let log = Arc::new(Log::new(job.journal.clone()));
    let running = run(&job, &log, &mut *policy, records, stop, &mut account);
    let result = caught_async("a part of the run", running).await;
    let (outcome, error) = match finish(&log, &job, result).await {
        Ok(Stop::Complete) => (Outcome::Complete, None),
        Ok(Stop::Short(error)) => (Outcome::Short, Some(error)),
        Ok(Stop::Cancelled | Stop::AfterCalls) => {
            let error = Error::new(
                ErrorKind::Cancelled,
                "the run was stopped before it was complete",
            );
            (Outcome::Cancelled, Some(error))
        }
        Err(error) => (Outcome::Failed, Some(error)),
    };
    let mut report = account.into_report(&job, outcome, error.as_ref(), started.elapsed());
    info!(
        outcome = outcome.as_str(),
        accepted = report.accepted,
        requested = report.requested,
        "run ended"
    );
    job.tell(&RunEvent::Finished { report: &report });
    let broken = job.broken.take().filter(|_| error.is_none());
    if let Some(broken) = &broken {
        report.outcome = Outcome::Failed;
        report.reason = Some(broken.to_string());
    }
    Ending {
        report,
        error: error.or(broken),
    }
}

async fn run<T>(
    job: &Job,
    log: &Arc<Log>,
    policy: &mut dyn SchedulingPolicy,
    records: mpsc::Sender<Vec<Record<T>>>,
    stop: StopSignal,
    account: &mut Account,
) -> Result<Stop>
where
    T: DeserializeOwned + Send + 'static,
{
    let calls = Arc::clone(&account.calls);
    let opening = open(job, log, &calls).await?;
    // Before any call to a model that writes, since a file that is missing should cost none.
    let memory = tokio::select! {
        biased;
        memory = caught_async("the deduplicator", new_memory(job)) => memory?,
        () = stop.long_ago() => return Ok(Stop::Cancelled),
    };
    let seed = opening.seed;
    let shared = stack::Shared::new(job, account, seed);
    let wrap = |model| stack::stack(model, &job.settings, &shared);
    let planner = Planner::new(
        job,
        wrap(&job.topics),
        log,
        &calls,
        opening.topic_answers,
        opening.planning_seed,
    );
    let (plan, angles) = if let Some(plan) = opening.plan {
        let angles = planner.recall_angles(&plan).await?;
        (plan, angles)
    } else {
        let settled = planner.settle(opening.earlier);
        let (plan, angles) = tokio::select! {
            biased;
            () = stop.at_once.cancelled() => return Ok(Stop::Cancelled),
            () = last_calls(&stop, &shared) => return Ok(Stop::Cancelled),
            settled = settled => match settled {
                Ok(settled) => settled,
                Err(_) if stop.after_calls.is_cancelled() => return Ok(Stop::Cancelled),
                Err(error) => return fatal(error),
            },
        };
        log.append(|| Entry::Planned(plan.clone())).await?;
        (plan, angles)
    };
    job.tell(&RunEvent::Planned {
        plan: &plan,
        compared_by: &job.compared_by,
    });
    account.plan = Some(plan.clone());
    if let Some(error) = job.broken.take() {
        return Err(error);
    }
    let client = wrap(&job.generation);
    let workshop = Arc::new(new_workshop(
        job, log, &plan, angles, client, shared, &stop,
    )?);
    let settling = new_settling(job, &workshop, &plan, memory);
    make(
        settling,
        &workshop,
        opening.rest,
        policy,
        records,
        &stop,
        account,
    )
    .await
}

/// Waits until the run is told to stop and the planner's call is over, and makes no other.
async fn last_calls(stop: &StopSignal, shared: &stack::Shared) {
    stop.after_calls.cancelled().await;
    shared.permits.close();
    no_longer_under_way(&shared.calls, stop, None).await;
}

/// Returns what all tasks share.
fn new_workshop<T: DeserializeOwned + 'static>(
    job: &Job,
    log: &Arc<Log>,
    plan: &Plan,
    angles: AngleSet,
    client: Arc<dyn LlmClient>,
    shared: stack::Shared,
    stop: &StopSignal,
) -> Result<Workshop<T>> {
    let schema_text = caught("the schema renderer", || job.renderer.render(&job.schema))??;
    let stable =
        StableContext::new(&schema_text, RECORDS_KEY).with_instruction(job.instruction.as_deref());
    let stable = job.prompts.stable(&stable)?;
    Ok(Workshop {
        client,
        prompts: Arc::clone(&job.prompts),
        cache_key: cache_key(&stable).into(),
        system: Message::system(stable).ending_stable_prefix(),
        parameters: Arc::clone(&job.generation.parameters),
        format: RecordsFormat::new(&job.schema, job.settings.records_per_request),
        topics: plan
            .topics
            .iter()
            .map(|planned| planned.topic.clone())
            .collect(),
        angles,
        judge: new_judge(job),
        output_modes: shared.output_modes,
        log: Arc::clone(log),
        calls: shared.calls,
        seed: shared.seed,
        stopped: stop.for_workers(),
        calls_in_turn: job.settings.max_concurrency == 1,
        permits: shared.permits,
        unsettled: AtomicU64::new(0),
    })
}

fn new_settling<'a, T>(
    job: &'a Job,
    workshop: &'a Workshop<T>,
    plan: &Plan,
    memory: AnyMemory,
) -> Settling<'a, T> {
    Settling {
        job,
        topics: &workshop.topics,
        model: workshop.client.model().into(),
        requested: plan.total(),
        ledger: new_ledger(job, plan, workshop.seed),
        memory,
        recollection: Recollection::new(plan.topics.len(), job.settings.avoid_examples),
        metrics: Metrics::new(),
        findings: Findings::default(),
        unproven: UnprovenModes::new(job.settings.max_concurrency * TASKS_PER_PERMIT),
        limits: OutputLimits::new(
            plan.topics.len(),
            job.generation.parameters.max_tokens,
            job.settings.max_tokens_ceiling,
        )
        .or_own(job.settings.own_limit),
        outbox: Vec::new(),
        asked_again: AskedAgain::default(),
        last_failure: None,
        is_replaying: true,
        admits: true,
    }
}

/// Makes the records of a plan, those of an earlier process first.
async fn make<T>(
    mut settling: Settling<'_, T>,
    workshop: &Arc<Workshop<T>>,
    past: BoxStream<'_, Result<Entry>>,
    policy: &mut dyn SchedulingPolicy,
    records: mpsc::Sender<Vec<Record<T>>>,
    stop: &StopSignal,
    account: &mut Account,
) -> Result<Stop>
where
    T: DeserializeOwned + Send + 'static,
{
    let folded = tokio::select! {
        folded = fold(&mut settling, workshop, past, &records) => folded.map(Some),
        () = stop.long_ago() => Ok(None),
    };
    let result = match folded {
        Ok(Some(answers)) => {
            account.resumed_answers = answers;
            account.was_cut_short = workshop.log.was_cut_short();
            work(&mut settling, workshop, policy, records, stop).await
        }
        ended => {
            // What was settled until then is good.
            records.send(mem::take(&mut settling.outbox)).await.ok();
            ended.map(|_| Stop::Cancelled)
        }
    };
    account.unjudged = workshop.unsettled.load(Ordering::Relaxed);
    account.diversity = caught("the memory of the deduplicator", || {
        measured(&settling.metrics, &settling.memory)
    })
    .unwrap_or_default();
    account.findings = settling.findings;
    account.ledger = Some(settling.ledger);
    result
}

/// Reads the beginning of the log, and what embeddings there are in it.
async fn open<'a>(job: &Job, log: &'a Arc<Log>, calls: &CallLog) -> Result<Opening<'a>> {
    let Some(embeddings) = &job.embeddings else {
        return opening::open(job, log, calls).await;
    };
    embeddings.recall(job.journal.as_ref()).await?;
    let opening = opening::open(job, log, calls).await?;
    embeddings.keep_in(log);
    Ok(opening)
}

/// Creates the memory of a run, with what counts as seen before the first record.
async fn new_memory(job: &Job) -> Result<AnyMemory> {
    let mut memory = job.deduplicator.memory();
    for given in &job.already_seen {
        given.load(&job.deduplicator, &mut memory).await?;
    }
    Ok(memory)
}

fn measured(metrics: &Metrics, memory: &AnyMemory) -> DiversityReport {
    let mut report = metrics.finish();
    let embeddings = memory.embeddings(MOST_EMBEDDINGS);
    if !embeddings.is_empty() {
        report.vendi = Some(vendi(&embeddings));
    }
    report
}

fn new_judge<T: DeserializeOwned + 'static>(job: &Job) -> Judge<T> {
    Judge::new(
        job.schema.clone(),
        job.filters.clone(),
        job.deduplicator.clone(),
    )
    .coerces(job.settings.coerce_types)
    .allows_placeholders(job.settings.allow_placeholders)
    .waits_for_parts(longest(job.settings.call_timeout))
    .keeps_data(job.hooks.want_data())
}

fn new_ledger(job: &Job, plan: &Plan, seed: u64) -> Ledger {
    let quotas: Vec<u64> = plan.topics.iter().map(|topic| topic.quota).collect();
    let settings = &job.settings;
    let rules = Rules {
        miss_threshold: settings.miss_threshold,
        records_per_request: settings.records_per_request,
        breaker_rounds: settings.breaker_rounds,
        reallocate: settings.reallocate,
        seed,
    };
    Ledger::new(&quotas, rules)
}

/// Names the stable prefix without telling what is in it.
fn cache_key(stable: &str) -> String {
    format!(
        "topicloom-{:016x}",
        xxhash_rust::xxh3::xxh3_64(stable.as_bytes())
    )
}

/// Settles what an earlier process left in the log, as that process did. Returns the number of answers.
async fn fold<T>(
    settling: &mut Settling<'_, T>,
    workshop: &Arc<Workshop<T>>,
    past: BoxStream<'_, Result<Entry>>,
    records: &mpsc::Sender<Vec<Record<T>>>,
) -> Result<u64>
where
    T: DeserializeOwned + Send + 'static,
{
    let mut answers = 0;
    let mut past = pin!(folding::judged(past, workshop));
    while let Some(chunk) = past.next().await {
        for past in chunk {
            let (entry, judged) = past?;
            let Some((task, result)) = recall(settling, workshop, entry, judged)? else {
                continue;
            };
            answers += u64::from(matches!(result, Settle::Answered { .. }));
            settling.ledger.book(&task);
            settle(settling, workshop, &task, result);
            if let Some(error) = settling.job.broken.take() {
                return Err(error);
            }
        }
        if settling.outbox.len() >= MOST_RECALLED {
            match records.reserve().await {
                Ok(permit) => permit.send(mem::take(&mut settling.outbox)),
                // The consumer is gone, which the loop that follows sees too.
                Err(_) => return Ok(answers),
            }
        }
    }
    settling.is_replaying = false;
    settling.ledger.forget_outage();
    if answers > 0 {
        let accepted = settling.ledger.accepted();
        settling.job.tell(&RunEvent::Resumed { answers, accepted });
    }
    Ok(answers)
}

/// Books what an entry says of calls and money, and returns the task that ended with it, if one did.
fn recall<T>(
    settling: &Settling<'_, T>,
    workshop: &Workshop<T>,
    entry: Entry,
    judged: Option<Judged<T>>,
) -> Result<Option<(Task, Settle<T>)>> {
    let damaged = |message| Err(Error::new(ErrorKind::Journal, message));
    let budget = &settling.job.budget;
    match entry {
        Entry::Answered(answer) => {
            let Some(judged) = judged else {
                return damaged("the journal has an answer for a topic that is not planned");
            };
            let usage = Some(answer.response.usage);
            let failed_calls = answer.failed_calls.len();
            budget.book(&answer.model, &answer.response.usage);
            budget.book_failed(failed_calls as u64);
            budget.book_uncertain(&answer.uncertain);
            workshop
                .calls
                .replay(Purpose::Records, &answer.model, &answer.failed_calls, usage);
            workshop.unsettled.fetch_add(1, Ordering::Relaxed);
            let task = Task::replayed(answer.task, answer.topic, answer.wanted, answer.round);
            let result = Settle::Answered {
                judged,
                failed_calls,
                model: (*answer.model != *settling.model).then(|| answer.model.into()),
            };
            Ok(Some((task, result)))
        }
        Entry::Failed(failure) if failure.topic < workshop.topics.len() => {
            let calls = failure.failed_calls.len();
            budget.book_failed(calls as u64);
            budget.book_uncertain(&failure.uncertain);
            workshop.calls.replay(
                Purpose::Records,
                &failure.model,
                &failure.failed_calls,
                None,
            );
            let task = Task::replayed(failure.task, failure.topic, failure.wanted, failure.round);
            let error = CallError::new(failure.kind, &failure.message);
            Ok(Some((task, Settle::Failed { error, calls })))
        }
        Entry::Finished { uncertain, .. } => {
            budget.book_failed(uncertain.calls);
            budget.book_uncertain(&uncertain);
            Ok(None)
        }
        Entry::Started(_) => damaged(
            "the journal's run went on with another input than this, which it was started with; use that, or \
             say that the input may have changed",
        ),
        // Read before: see `RunEmbedder`.
        Entry::Embedded(_) => Ok(None),
        _ => damaged("the journal has an entry out of place"),
    }
}

/// How far tasks are issued ahead of those that are settled.
struct Pace {
    /// Whether what is made does not depend on which call ends first, so that a seed repeats the run: the log follows the
    /// order of the tasks, and a task is issued after as many others are settled, each time.
    in_step: bool,
    window: usize,
    most_tasks: u64,
}

impl Pace {
    fn new(settings: &RunSettings, capabilities: Capabilities) -> Self {
        let window = if capabilities.repeats_itself {
            TASKS_IN_STEP
        } else {
            settings.max_concurrency.saturating_mul(TASKS_PER_PERMIT)
        };
        Self {
            in_step: capabilities.repeats_itself || settings.max_concurrency == 1,
            window: if settings.rehearses.is_some() {
                1
            } else {
                window
            },
            most_tasks: settings.rehearses.unwrap_or(u64::MAX),
        }
    }
}

/// Issues tasks and settles their ends until nothing is left to do.
async fn work<T>(
    settling: &mut Settling<'_, T>,
    workshop: &Arc<Workshop<T>>,
    policy: &mut dyn SchedulingPolicy,
    records: mpsc::Sender<Vec<Record<T>>>,
    stop: &StopSignal,
) -> Result<Stop>
where
    T: DeserializeOwned + Send + 'static,
{
    let mut tasks = Tasks::new(Arc::clone(workshop));
    // Ends whose number is not due yet: what is settled is settled in the order of the log.
    let mut early: BTreeMap<u64, (Task, Settle<T>)> = BTreeMap::new();
    let mut due = workshop.log.next_number();
    let capabilities = workshop.client.capabilities();
    let Pace {
        in_step,
        window,
        most_tasks,
    } = Pace::new(&settling.job.settings, capabilities);
    let mut line = in_step.then(Line::new);
    // Where a prefix is cached only once a first answer has started, one call goes ahead to write it.
    let mut cold = capabilities.warms_cache;
    let mut ending: Option<Result<Stop>> = None;
    for task in outstanding(workshop).await? {
        settling.ledger.book(&task);
        tasks.spawn(brief(settling, task));
    }
    // Made once: whoever begins to wait for one of these takes a lock.
    let mut stopped = pin!(stop.at_once.cancelled());
    let mut stopped_after_calls = pin!(stop.after_calls.cancelled());
    let mut consumer_gone = pin!(records.closed());
    loop {
        while ending.is_none()
            && settling.ledger.next_task() < most_tasks
            && tasks.len() + if in_step { early.len() } else { 0 } < if cold { 1 } else { window }
            && settling.outbox.len() < MOST_WAITING
        {
            match caught("the scheduling policy", || settling.ledger.issue(policy)).flatten() {
                Ok(Some(task)) => {
                    let mut brief = brief(settling, task);
                    brief.turn_to_append = line.as_mut().map(Line::stand);
                    tasks.spawn(brief);
                }
                Ok(None) => break,
                Err(error) => ending = Some(Err(error)),
            }
        }
        if in_step
            && settling.outbox.len() < MOST_WAITING
            && let Some((task, result)) = next_due(&mut early, &mut due, &workshop.log)
        {
            settle(settling, workshop, &task, result);
            continue;
        }
        if ending.is_none() {
            ending = settling.job.broken.take().map(Err);
        }
        if settling.ledger.is_complete() || ending.as_ref().is_some_and(stops_calls) {
            workshop.stopped.at_once.cancel();
        }
        if tasks.is_empty() && settling.outbox.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = &mut stopped, if ending.is_none() => ending = Some(Ok(Stop::Cancelled)),
            () = &mut stopped_after_calls, if ending.is_none() => {
                ending = Some(Ok(Stop::AfterCalls));
                // Whoever waits for one has no call in flight, and none is made any more.
                workshop.permits.close();
            }
            () = &mut consumer_gone, if ending.is_none() => ending = Some(Ok(Stop::Cancelled)),
            // Before the records are sent: the consumer is woken once for all that arrive together.
            Some((task, end)) = tasks.next() => {
                cold = false;
                match end {
                    Ok(End::Settle { number, result }) => {
                        early.insert(number, (task, result));
                        if !in_step {
                            settle_due(settling, workshop, &mut early, &mut due);
                        }
                    }
                    end => {
                        let ends_run = close_without_entry(settling, &task, end);
                        ending = ending.or(ends_run);
                    }
                }
                if let (None, Some(opened)) = (&ending, settling.ledger.is_hopeless()) {
                    ending = Some(Err(hopeless(opened, settling.last_failure.take())));
                }
            }
            permit = records.reserve(), if !settling.outbox.is_empty() => {
                let waiting = mem::take(&mut settling.outbox);
                // Without a permit the consumer is gone.
                if let Ok(permit) = permit {
                    permit.send(waiting);
                }
            }
        }
    }
    // A worker that failed after its entry was written leaves a gap, and what came behind it is still good.
    for (task, result) in early.into_values() {
        settle(settling, workshop, &task, result);
    }
    // Nobody is kept waiting by what was accepted just now: the consumer takes it or is gone.
    if !settling.outbox.is_empty() {
        records.send(mem::take(&mut settling.outbox)).await.ok();
    }
    match ending {
        _ if settling.ledger.is_complete() => Ok(Stop::Complete),
        Some(ending) => ending,
        None => Ok(Stop::Short(short(settling))),
    }
}

/// Closes a task of which nothing is in the log, and returns how the run ends if it ends it.
fn close_without_entry<T>(
    settling: &mut Settling<'_, T>,
    task: &Task,
    end: Result<End<T>, JoinError>,
) -> Option<Result<Stop>> {
    match end {
        Ok(End::Fatal(error)) => {
            settling.ends_run(task, &error);
            Some(fatal(error))
        }
        Ok(_) => {
            settling.ledger.cancelled(task);
            None
        }
        Err(panic) => {
            settling.ledger.failed(task, ErrorKind::Plugin, 0);
            Some(Err(panicked(panic)))
        }
    }
}

/// Returns the tasks of an earlier process whose calls go on elsewhere.
async fn outstanding<T>(workshop: &Workshop<T>) -> Result<Vec<Task>> {
    let tasks = workshop.log.outstanding().await?.into_iter();
    Ok(tasks
        .filter(|task| task.topic < workshop.topics.len())
        .map(|task| Task::replayed(task.id, task.topic, task.wanted, task.round))
        .collect())
}

fn brief<T>(settling: &mut Settling<'_, T>, task: Task) -> Brief {
    Brief {
        turn: settling.ledger.tallies()[task.topic].tasks - 1,
        avoid: settling.recollection.avoid(task.topic),
        feedback: settling.recollection.take_feedback(task.topic),
        max_tokens: settling.limits.raised(task.topic, task.wanted),
        turn_to_append: None,
        task,
    }
}

fn settle<T>(
    settling: &mut Settling<'_, T>,
    workshop: &Workshop<T>,
    task: &Task,
    result: Settle<T>,
) {
    if !settling.admits {
        // Nobody can say any more what is new.
        settling.ledger.cancelled(task);
        return;
    }
    if matches!(result, Settle::Answered { .. }) {
        workshop.unsettled.fetch_sub(1, Ordering::Relaxed);
    }
    settling.settle(task, result);
}

/// Writes the end into the log. What ended the run says more than that its end could not be written.
async fn finish(log: &Log, job: &Job, result: Result<Stop>) -> Result<Stop> {
    let outcome = match &result {
        Ok(Stop::Complete) => Outcome::Complete,
        Ok(Stop::Short(_)) => Outcome::Short,
        Ok(Stop::Cancelled | Stop::AfterCalls) => Outcome::Cancelled,
        Err(_) => Outcome::Failed,
    };
    let uncertain = job.budget.take_all_uncertain();
    let written = log.finish(outcome, uncertain).await;
    match (result, written) {
        (Ok(_), Err(error)) => Err(error),
        (result, _) => result,
    }
}

/// Whether the calls in flight are dropped at once. Where a cap is reached they may end, since the cap holds them.
fn stops_calls(ending: &Result<Stop>) -> bool {
    !matches!(ending, Ok(Stop::Short(_) | Stop::AfterCalls))
}

fn fatal(error: Error) -> Result<Stop> {
    if error.kind() == ErrorKind::Budget {
        Ok(Stop::Short(error))
    } else {
        Err(error)
    }
}

/// Settles all tasks whose turn it is.
fn settle_due<T>(
    settling: &mut Settling<'_, T>,
    workshop: &Workshop<T>,
    early: &mut BTreeMap<u64, (Task, Settle<T>)>,
    due: &mut u64,
) {
    while let Some((task, result)) = next_due(early, due, &workshop.log) {
        settle(settling, workshop, &task, result);
    }
}

/// Takes the end of a task whose turn it is to be settled.
fn next_due<E>(early: &mut BTreeMap<u64, E>, due: &mut u64, log: &Log) -> Option<E> {
    *due = log.behind_asides(*due);
    let next = early.remove(due)?;
    *due += 1;
    Some(next)
}

fn hopeless(opened: Opened, last_failure: Option<String>) -> Error {
    let message = match opened {
        Opened::Down(calls) => format!(
            "{calls} calls in a row failed, so the provider is taken to be down; try again later{}",
            last_failure.map_or_else(String::new, |last| format!("; the last of them: {last}"))
        ),
        Opened::Unusable(answers) => format!(
            "{answers} answers in a row could not be used, so no more are paid for; look at one with `topicloom \
             preview`, or try another model"
        ),
    };
    Error::new(ErrorKind::Unavailable, message)
}

pub(super) fn panicked(error: JoinError) -> Error {
    Error::new(
        ErrorKind::Plugin,
        "a task panicked, in the prompts or while a record was decoded",
    )
    .with_source(error)
}

/// Says how many records are missing, and why, of the first topic that was given up.
fn short<T>(settling: &Settling<'_, T>) -> Error {
    let requested = settling.requested;
    let missing = requested - settling.ledger.accepted();
    let tallies = settling.ledger.tallies().iter();
    let given_up = tallies.filter(|tally| tally.given_up.is_some()).count();
    let why = settling.findings.first_given_up();
    let why = why.map_or_else(String::new, |(topic, why)| {
        format!("; of the first, \"{}\", {why}", settling.topics[topic])
    });
    Error::new(
        ErrorKind::Short,
        format!(
            "{missing} of {requested} records are missing; {given_up} topics were given up{why}"
        ),
    )
}
