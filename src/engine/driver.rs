//! The loop of a run: sets it up, makes its records, and says how it ended. Only this spawns, and what judges a journal in
//! chunks (`resume`).

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::pin::pin;
use std::sync::Arc;

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use tracing::{Instrument, debug_span, info};

use super::client_stack::ClientContext;
use super::look_ahead::Past;
use super::planner::Planner;
use super::report::ReportBuilder;
use super::resume;
use super::state::RunState;
use super::worker::{
    TASKS_PER_PERMIT, TaskEnd, TaskInput, TaskResult, WorkerContext, calls_at_once,
    no_longer_under_way,
};
use super::{Extent, RunEnd, RunParts};
use crate::dedup::AnyMemory;
use crate::error::{Error, ErrorKind, Result};
use crate::event::RunEvent;
use crate::guard::{caught, caught_async, task_panicked};
use crate::input::Settings;
use crate::journal::{Entry, Line, Log};
use crate::ledger::{Opened, Task};
use crate::llm::layers::first_calls;
use crate::llm::{Capabilities, LlmClient};
use crate::outcome::Outcome;
use crate::plan::Plan;
use crate::record::DecodedRecord;
use crate::schedule::SchedulingPolicy;
use crate::stop_signal::StopSignal;
use crate::topic::AngleSet;

/// Records that wait to be sent to a slow consumer before no more are asked for. Enough to keep the calls going while
/// the consumer is busy for a moment; what is in flight comes on top.
const MOST_WAITING: usize = 64;

/// Records of an earlier process that are sent together: waking the consumer costs more than it takes to make a few
/// of them again. Many more would no longer be in the processor's cache when they are taken.
const MOST_RECALLED: usize = 256;

/// What a run says whose journal was deleted, replaced or cut off while it went on.
const LOST_JOURNAL: &str = "the journal was deleted or replaced, or cut off, while the run went on; another run pays for its answers again";

type Records = mpsc::Sender<Vec<DecodedRecord>>;

/// Why a run makes no more records.
enum Halt {
    Complete,
    /// A cap is reached, or no topic has anything left to give.
    Incomplete(Error),
    Cancelled,
    /// As cancelled, but the calls in flight may end.
    AfterCalls,
    Failed(Error),
}

impl Halt {
    fn outcome(&self) -> Outcome {
        match self {
            Self::Complete => Outcome::Complete,
            Self::Incomplete(_) => Outcome::Incomplete,
            Self::Cancelled | Self::AfterCalls => Outcome::Cancelled,
            Self::Failed(_) => Outcome::Failed,
        }
    }

    fn into_error(self) -> Option<Error> {
        match self {
            Self::Complete => None,
            Self::Incomplete(error) | Self::Failed(error) => Some(error),
            Self::Cancelled | Self::AfterCalls => Some(Error::new(
                ErrorKind::Cancelled,
                "the run was stopped before it was complete",
            )),
        }
    }

    /// Whether the calls in flight are dropped at once. Where a cap is reached they may end, since the cap holds them.
    fn drops_calls(&self) -> bool {
        !matches!(self, Self::Incomplete(_) | Self::AfterCalls)
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        if error.kind() == ErrorKind::Budget {
            Self::Incomplete(error)
        } else {
            Self::Failed(error)
        }
    }
}

/// Makes the records of a run, sends them, and returns how it ended.
pub(crate) async fn drive(
    parts: RunParts,
    mut policy: Box<dyn SchedulingPolicy>,
    records: Records,
    stop: StopSignal,
) -> RunEnd {
    let started = Instant::now();
    let log = Log::new(parts.plug_ins.journal.clone(), stop.clone());
    let clients = Arc::new(ClientContext::new(parts, log));
    let parts = &clients.parts;
    let mut state = None;
    let running = async {
        let made = match setup(&clients, &stop).await {
            Ok((ready, past)) => {
                make(state.insert(ready), past, &mut *policy, records, &stop).await
            }
            Err(halt) => halt,
        };
        Ok(made)
    };
    let halt = caught_async("a part of the run", running).await;
    let note = state
        .as_ref()
        .and_then(|state: &RunState| state.context.judge.notes.rest());
    let halt = finish(halt.unwrap_or_else(Halt::Failed), note, &clients).await;
    if clients.log.is_lost() {
        clients.warnings.add(LOST_JOURNAL);
    }
    let outcome = halt.outcome();
    let error = halt.into_error();
    let counted = state.map_or_else(|| ReportBuilder::begin(parts), RunState::into_report);
    let mut report = counted.build(&clients, outcome, error.as_ref());
    report.elapsed = started.elapsed();
    info!(
        outcome = outcome.as_str(),
        accepted = report.accepted,
        requested = report.requested,
        "run ended"
    );
    parts.notify(&RunEvent::Finished { report: &report });
    let panicked = parts.panic_trap.take().filter(|_| error.is_none());
    if let Some(panicked) = &panicked {
        report.outcome = Outcome::Failed;
        report.reason = Some(panicked.to_string());
    }
    RunEnd {
        report,
        error: error.or(panicked),
    }
}

/// Reads the beginning of the log, settles the plan, and returns what is known before the first task, and the answers and
/// failures that are there.
async fn setup<'a>(
    clients: &'a Arc<ClientContext>,
    stop: &StopSignal,
) -> Result<(RunState, Past<'a>), Halt> {
    let parts = &clients.parts;
    if let Some(embedder) = &parts.embedder {
        embedder.keep_in(&clients.log);
    }
    let resume = tokio::select! {
        biased;
        resume = resume::open(clients) => resume?,
        () = stop.long_ago() => return Err(Halt::Cancelled),
    };
    // Before any call to a model that writes, since a file that is missing should cost none.
    let memory = tokio::select! {
        biased;
        memory = caught_async("the deduplicator", new_memory(parts)) => memory?,
        () = stop.long_ago() => return Err(Halt::Cancelled),
    };
    let seed = resume.seed;
    let client = clients.client(&parts.topic_model, seed);
    let planner = Planner::new(clients, client, resume.topic_answers, resume.planning_seed);
    let (plan, angles) = if let Some(plan) = resume.plan {
        let plan = plan.with_rows(parts.input.rows());
        let angles = planner.recall_angles(&plan).await?;
        (plan, angles)
    } else {
        let settled = settle_plan(&planner, resume.earlier, stop).await?;
        let entry = || Entry::Planned(settled.0.clone());
        clients.log.append(entry).await?;
        settled
    };
    parts.notify(&RunEvent::Planned {
        plan: &plan,
        compared_by: &parts.deduplicator.describe(),
    });
    if let Some(error) = parts.panic_trap.take() {
        return Err(Halt::Failed(error));
    }
    let context = WorkerContext::new(clients, &plan, angles, seed, stop)?;
    let state = RunState::new(Arc::new(context), plan, memory);
    Ok((state, resume.rest))
}

/// Creates the memory of a run, with what counts as seen before the first record.
async fn new_memory(parts: &RunParts) -> Result<AnyMemory> {
    let mut memory = parts.deduplicator.memory();
    for known in &parts.known_records {
        known.load(&parts.deduplicator, &mut memory).await?;
    }
    Ok(memory)
}

async fn settle_plan(
    planner: &Planner<'_>,
    earlier: Option<Plan>,
    stop: &StopSignal,
) -> Result<(Plan, AngleSet), Halt> {
    tokio::select! {
        biased;
        () = stop.at_once.cancelled() => Err(Halt::Cancelled),
        () = planner.last_calls(stop) => Err(Halt::Cancelled),
        settled = planner.settle(earlier) => match settled {
            Err(_) if stop.after_calls.is_cancelled() => Err(Halt::Cancelled),
            settled => Ok(settled?),
        },
    }
}

/// Makes the records of a plan, those of an earlier process first.
async fn make(
    state: &mut RunState,
    past: Past<'_>,
    policy: &mut dyn SchedulingPolicy,
    records: Records,
    stop: &StopSignal,
) -> Halt {
    let replayed = tokio::select! {
        replayed = replay(state, past, policy, &records) => replayed.map_err(Halt::from),
        () = stop.long_ago() => Err(Halt::Cancelled),
    };
    let ready = match replayed {
        Ok(()) => compare_with_people(state, stop).await.map_err(Halt::from),
        halted => halted,
    };
    match ready {
        Ok(()) => run_loop(state, policy, records, stop)
            .await
            .unwrap_or_else(Halt::from),
        Err(halt) => {
            // What was settled until then is good.
            records.send(mem::take(&mut state.outbox)).await.ok();
            halt
        }
    }
}

/// Has judges score the records that people labelled. A run that stops meanwhile has no word on them.
async fn compare_with_people(state: &mut RunState, stop: &StopSignal) -> Result<()> {
    let context = Arc::clone(&state.context);
    if context.parts.extent != Extent::Whole {
        return Ok(());
    }
    let last_calls = async {
        stop.after_calls.cancelled().await;
        context.clients.permits.close();
        no_longer_under_way(stop, || context.judge.is_at_work(true)).await;
    };
    let compared = tokio::select! {
        biased;
        compared = context.judge.compare_with_people() => compared,
        () = stop.at_once.cancelled() => Ok(None),
        () = last_calls => Ok(None),
    };
    match compared {
        Err(error) if error.kind() == ErrorKind::Cancelled => Ok(()),
        compared => {
            state.compared(compared?);
            Ok(())
        }
    }
}

/// Settles what an earlier process left in the log, as that process did.
async fn replay(
    state: &mut RunState,
    past: Past<'_>,
    policy: &mut dyn SchedulingPolicy,
    records: &Records,
) -> Result<()> {
    let context = Arc::clone(&state.context);
    let mut past = pin!(resume::replay(past, &context));
    while let Some(chunk) = past.next().await {
        for past in chunk {
            let (task, result) = past?;
            state.replay(&task, result, policy)?;
            if let Some(error) = context.parts.panic_trap.take() {
                return Err(error);
            }
        }
        if state.outbox.len() >= MOST_RECALLED {
            match records.reserve().await {
                Ok(permit) => permit.send(state.outbox.drain(..).collect()),
                // The consumer is gone, which the loop that follows sees too.
                Err(_) => return Ok(()),
            }
        }
    }
    state.end_of_replay();
    Ok(())
}

/// Issues tasks and settles their results until nothing is left to do.
///
/// # Errors
///
/// Where the journal cannot tell which calls go on elsewhere.
async fn run_loop(
    state: &mut RunState,
    policy: &mut dyn SchedulingPolicy,
    records: Records,
    stop: &StopSignal,
) -> Result<Halt> {
    let context = Arc::clone(&state.context);
    let mut tasks = Tasks::new(&context);
    tasks.adopt(state, policy).await?;
    let mut halt: Option<Halt> = None;
    // Made once: beginning to wait for one of these takes a lock.
    let mut stopped = pin!(stop.at_once.cancelled());
    let mut stopped_after_calls = pin!(stop.after_calls.cancelled());
    let mut consumer_gone = pin!(records.closed());
    loop {
        if halt.is_none() {
            halt = tasks.issue(state, policy).err().map(Halt::from);
        }
        if tasks.settle_one_in_step(state) {
            continue;
        }
        halt = halt.or_else(|| context.parts.panic_trap.take().map(Halt::Failed));
        if state.ledger.is_complete() || halt.as_ref().is_some_and(Halt::drops_calls) {
            context.stopped.at_once.cancel();
        }
        if tasks.is_empty() && state.outbox.is_empty() {
            break;
        }
        tokio::select! {
            biased;
            () = &mut stopped, if halt.is_none() => halt = Some(Halt::Cancelled),
            () = &mut stopped_after_calls, if halt.is_none() => {
                halt = Some(Halt::AfterCalls);
                // A task that waits for a permit has no call in flight, and none is made any more.
                context.clients.permits.close();
            }
            () = &mut consumer_gone, if halt.is_none() => halt = Some(Halt::Cancelled),
            // Before the records are sent: the consumer is woken once for all that arrive together.
            Some((task, end)) = tasks.next() => {
                if context.log.is_found_lost() {
                    context.clients.warnings.add(LOST_JOURNAL);
                }
                let ends_run = tasks.ended(task, end, state);
                halt = halt.or(ends_run).or_else(|| hopeless(state));
            }
            permit = records.reserve(), if !state.outbox.is_empty() => {
                let waiting = mem::take(&mut state.outbox);
                // Without a permit the consumer is gone.
                if let Ok(permit) = permit {
                    permit.send(waiting);
                }
            }
        }
    }
    tasks.settle_rest(state);
    // Nobody is kept waiting by what was accepted just now: the consumer takes it or is gone.
    if !state.outbox.is_empty() {
        records.send(mem::take(&mut state.outbox)).await.ok();
    }
    if state.ledger.is_complete() {
        return Ok(Halt::Complete);
    }
    Ok(halt.unwrap_or_else(|| Halt::Incomplete(state.incomplete())))
}

/// Writes the end into the log. What ended the run says more than that its end could not be written.
async fn finish(halt: Halt, note: Option<Entry>, clients: &ClientContext) -> Halt {
    let unattributed = clients.parts.budget.take_unattributed();
    match clients.log.finish(note, halt.outcome(), unattributed).await {
        Err(error) if !matches!(halt, Halt::Failed(_)) => Halt::Failed(error),
        _ => halt,
    }
}

/// The tasks in flight, and those whose turn to be settled has not come. Dropping it stops the workers.
struct Tasks {
    context: Arc<WorkerContext>,
    workers: JoinSet<TaskEnd>,
    by_worker: HashMap<Id, Task>,
    /// Results whose number is not due yet: what is settled is settled in the order of the log.
    early: BTreeMap<u64, (Task, TaskResult)>,
    due: u64,
    pace: Pace,
    line: Option<Line>,
    /// Where a prefix is cached only once a first answer has started, one call goes ahead to write it.
    is_cold: bool,
}

/// How far tasks are issued ahead of those that are settled.
struct Pace {
    /// Whether what is made does not depend on which call ends first, so that a seed repeats the run: the log follows the
    /// order of the tasks, and a task is issued after as many others are settled, each time.
    in_step: bool,
    window: usize,
    /// The window until an answer has told how many records fit into one.
    first: usize,
    most_tasks: u64,
}

impl Pace {
    fn new(settings: &Settings, extent: Extent, capabilities: Capabilities) -> Self {
        let in_step = capabilities.repeats_itself || settings.max_concurrency == 1;
        let calls = calls_at_once(settings, capabilities);
        let window = calls.saturating_mul(TASKS_PER_PERMIT);
        let (window, most_tasks) = match extent {
            Extent::Preview(tasks) => (1, tasks),
            Extent::Whole | Extent::DryRun => (window, u64::MAX),
        };
        Self {
            in_step,
            window,
            first: first_calls(calls).min(calls).min(window),
            most_tasks,
        }
    }
}

impl Tasks {
    fn new(context: &Arc<WorkerContext>) -> Self {
        let capabilities = context.client.capabilities();
        let pace = Pace::new(context.parts.settings(), context.parts.extent, capabilities);
        Self {
            context: Arc::clone(context),
            workers: JoinSet::new(),
            by_worker: HashMap::new(),
            early: BTreeMap::new(),
            due: context.log.next_number(),
            line: pace.in_step.then(Line::new),
            pace,
            is_cold: capabilities.warms_cache,
        }
    }

    fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Goes on with the tasks of an earlier process whose calls go on elsewhere.
    async fn adopt(
        &mut self,
        state: &mut RunState,
        policy: &mut dyn SchedulingPolicy,
    ) -> Result<()> {
        for task in self.context.log.outstanding().await? {
            if task.topic < self.context.topics.len() {
                let task = Task::replayed(task.id, task.topic, task.wanted, task.round);
                state.ledger.replay(&task, policy)?;
                let input = state.task_input(task, None);
                self.spawn(TaskInput {
                    is_adopted: true,
                    ..input
                });
            }
        }
        Ok(())
    }

    /// Sets workers on new tasks, as many as there is room for.
    ///
    /// # Errors
    ///
    /// Where the scheduling policy fails.
    fn issue(&mut self, state: &mut RunState, policy: &mut dyn SchedulingPolicy) -> Result<()> {
        while self.has_room(state) {
            let issued = caught("the scheduling policy", || state.ledger.issue(policy));
            let Some(task) = issued.flatten()? else {
                break;
            };
            let turn = self.line.as_mut().map(Line::stand);
            self.spawn(state.task_input(task, turn));
        }
        Ok(())
    }

    fn has_room(&self, state: &RunState) -> bool {
        let unsettled = if self.pace.in_step {
            self.early.len()
        } else {
            0
        };
        let window = if self.is_cold {
            1
        } else if state.ledger.learns_from_first() {
            self.pace.first
        } else {
            self.pace.window
        };
        self.workers.len() + unsettled < window
            && state.ledger.next_task() < self.pace.most_tasks
            && state.outbox.len() < MOST_WAITING
    }

    fn spawn(&mut self, mut input: TaskInput) {
        let task = input.task;
        let context = Arc::clone(&self.context);
        let span = debug_span!("task", id = task.id, topic = task.topic);
        let work = async move { context.work(&mut input).await };
        let handle = self.workers.spawn(work.instrument(span));
        self.by_worker.insert(handle.id(), task);
    }

    /// Returns the next task that ended and how, or `None` when none is in flight. May be dropped and called again.
    async fn next(&mut self) -> Option<(Task, Result<TaskEnd, JoinError>)> {
        let (id, end) = match self.workers.join_next_with_id().await? {
            Ok((id, end)) => (id, Ok(end)),
            Err(error) => (error.id(), Err(error)),
        };
        let task = self.by_worker.remove(&id);
        Some((task.expect("each worker was set on a task"), end))
    }

    /// Takes the end of a task, and returns how the run ends if it ends it.
    fn ended(
        &mut self,
        task: Task,
        end: Result<TaskEnd, JoinError>,
        state: &mut RunState,
    ) -> Option<Halt> {
        self.is_cold = false;
        match end {
            Ok(TaskEnd::Logged { number, result }) => {
                self.early.insert(number, (task, result));
                if !self.pace.in_step {
                    while let Some((task, result)) = self.next_due() {
                        state.apply(&task, result);
                    }
                }
                None
            }
            Ok(TaskEnd::Cancelled) => {
                state.ledger.cancelled(&task);
                None
            }
            Ok(TaskEnd::Fatal(error)) => {
                state.ends_run(&task, &error);
                Some(error.into())
            }
            Err(panic) => {
                state.ledger.failed(&task, ErrorKind::Plugin, 0);
                Some(Halt::Failed(task_panicked(panic)))
            }
        }
    }

    /// Where a run goes in step, settles the task whose turn it is; one, since that makes room for another.
    fn settle_one_in_step(&mut self, state: &mut RunState) -> bool {
        if !self.pace.in_step || state.outbox.len() >= MOST_WAITING {
            return false;
        }
        let due = self.next_due();
        if let Some((task, result)) = due {
            state.apply(&task, result);
            return true;
        }
        false
    }

    fn next_due(&mut self) -> Option<(Task, TaskResult)> {
        self.due = self.context.log.behind_asides(self.due);
        let next = self.early.remove(&self.due)?;
        self.due += 1;
        Some(next)
    }

    /// Settles what came behind a gap: a worker that failed after its entry was written leaves one.
    fn settle_rest(&mut self, state: &mut RunState) {
        for (task, result) in mem::take(&mut self.early).into_values() {
            state.apply(&task, result);
        }
    }
}

/// Says why no more calls are worth their price, if so.
fn hopeless(state: &mut RunState) -> Option<Halt> {
    let opened = state.ledger.is_hopeless()?;
    if matches!(opened, Opened::Fruitless(_) | Opened::CutOff(_)) {
        return Some(Halt::Incomplete(Error::new(
            ErrorKind::Incomplete,
            opened.to_string(),
        )));
    }
    let last = state.last_failure.take();
    let last = last.filter(|_| matches!(opened, Opened::Down(..)));
    let cause = last.map_or_else(String::new, |last| format!("{last}; "));
    let message = format!("{cause}{opened}");
    Some(Halt::Failed(Error::new(ErrorKind::Unavailable, message)))
}
