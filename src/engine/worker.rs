//! Carries one task from prompt to judged answer. Stateless: all it has is what it is given.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::RunParts;
use super::answer_judge::{AnswerJudge, Judged};
use super::client_stack::ClientContext;
use super::prompts::{PromptParts, RunPrompts};
use crate::diversity::parrots;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::caught_async;
use crate::input::Settings;
use crate::journal::{Answer, CallFailure, Entry, Log, PromptChoice, Turn};
use crate::ledger::Task;
use crate::llm::{
    Attempt, AttemptLog, Capabilities, ChatRequest, ChatResponse, LlmClient, OutputMode,
    Parameters, Purpose, RecordsFormat, TaskRef, UnconfirmedCost, failures,
};
use crate::outcome::CallError;
use crate::plan::Plan;
use crate::random::Random;
use crate::stop_signal::StopSignal;
use crate::topic::{AngleSet, Topic};

/// Tasks in flight for each permit: one that calls, and one that waits for its retry, is being judged or is
/// about to call, so that a permit is never idle for want of a task.
pub(super) const TASKS_PER_PERMIT: usize = 2;

/// Calls in flight where a run goes in step: as many as by default, whatever the concurrency is, so that it does not matter to
/// what is made.
const CALLS_IN_STEP: usize = 10;

/// Returns how many calls a run has in flight at most, as far as that matters to what is asked for.
pub(super) fn calls_at_once(settings: &Settings, capabilities: Capabilities) -> usize {
    if capabilities.repeats_itself {
        CALLS_IN_STEP
    } else {
        settings.max_concurrency
    }
}

/// Time between looks at whether a call is still under way, once no further one is made.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// What every task of a run needs.
pub(super) struct WorkerContext {
    pub(super) parts: Arc<RunParts>,
    pub(super) clients: Arc<ClientContext>,
    pub(super) client: Arc<dyn LlmClient>,
    prompts: RunPrompts,
    /// Whether answers are bound to the schema by more than the prompt.
    is_bound: AtomicBool,
    format: RecordsFormat,
    pub(super) topics: Vec<Topic>,
    angles: AngleSet,
    pub(super) judge: AnswerJudge,
    pub(super) log: Arc<Log>,
    pub(super) seed: u64,
    /// Where the caller says that it is to stop; `at_once` also where the run has what it needs.
    pub(super) stopped: StopSignal,
    /// Answers that arrived and are not settled.
    pub(super) unsettled: AtomicU64,
}

/// A task, and what its prompt is told beside it.
pub(super) struct TaskInput {
    pub(super) task: Task,
    /// How many tasks its topic had before.
    pub(super) turn: u64,
    /// Records that are not to be repeated.
    pub(super) avoid: Vec<String>,
    /// Their ordinals.
    pub(super) shown: Vec<u64>,
    /// The places of the examples that it shows.
    pub(super) examples: Vec<usize>,
    /// Whether its call may have been made with another prompt, by another process.
    pub(super) is_adopted: bool,
    pub(super) feedback: Option<String>,
    /// The output limit, where it is not that of the run's parameters.
    pub(super) max_tokens: Option<u64>,
    /// When its answer is appended, where that must be in the order of the tasks.
    pub(super) turn_to_append: Option<Turn>,
}

/// How a task ended.
#[allow(clippy::large_enum_variant)] // One for each task in flight, for a moment.
pub(super) enum TaskEnd {
    /// The log holds its entry under `number`, and is settled in that order.
    Logged { number: u64, result: TaskResult },
    /// It was stopped before an answer arrived.
    Cancelled,
    /// It ends the run.
    Fatal(Error),
}

/// What came of a task.
#[allow(clippy::large_enum_variant)] // One for each task in flight, for a moment.
pub(super) enum TaskResult {
    Answered {
        judged: Judged,
        prompt: PromptChoice,
        failed_calls: usize,
        /// Who answered, where it may be another model than the run is named after.
        model: Option<Arc<str>>,
    },
    Failed {
        error: CallError,
        calls: usize,
    },
}

impl WorkerContext {
    /// Words what all prompts begin with, and puts together what tasks share.
    ///
    /// # Errors
    ///
    /// Where the schema or the prompt cannot be rendered.
    pub(super) fn new(
        clients: &Arc<ClientContext>,
        plan: &Plan,
        angles: AngleSet,
        seed: u64,
        stop: &StopSignal,
    ) -> Result<Self> {
        let parts = &clients.parts;
        let settings = parts.settings();
        let client = clients.client(&parts.generation, seed);
        let modes = client.capabilities().output_modes;
        Ok(Self {
            client,
            prompts: RunPrompts::new(parts)?,
            is_bound: AtomicBool::new(modes.first().is_some_and(|mode| binds(*mode))),
            format: RecordsFormat::new(&parts.schema, settings.records_per_request.most()),
            topics: plan.topics.iter().map(|it| it.topic.clone()).collect(),
            angles,
            judge: AnswerJudge::new(clients, seed),
            parts: Arc::clone(parts),
            clients: Arc::clone(clients),
            log: Arc::clone(&clients.log),
            seed,
            stopped: stop.for_workers(),
            unsettled: AtomicU64::new(0),
        })
    }

    /// Asks for the task's records and judges the answer.
    pub(super) async fn work(&self, input: &mut TaskInput) -> TaskEnd {
        self.ask(input).await.unwrap_or_else(TaskEnd::Fatal)
    }

    async fn ask(&self, input: &mut TaskInput) -> Result<TaskEnd> {
        let shows_skeleton = !self.is_bound.load(Ordering::Relaxed);
        let request = self.request(input, shows_skeleton)?;
        let mut turn = input.turn_to_append.take();
        // One call at a time is made only when the one before it has its answer.
        if self.parts.settings().max_concurrency == 1
            && let Some(turn) = &mut turn
        {
            turn.comes().await;
        }
        let (result, attempts) = self.call(&request).await;
        let end = match result {
            Some(Ok(response)) => {
                let prompt = self.prompt_choice(input, &response, shows_skeleton);
                return self
                    .answered(input, &request, prompt, response, attempts, turn)
                    .await;
            }
            // It was about to call when no more calls were made.
            Some(Err(error))
                if error.kind() == ErrorKind::Cancelled
                    && self.stopped.after_calls.is_cancelled() =>
            {
                Ok(TaskEnd::Cancelled)
            }
            Some(Err(error)) if error.is_fatal() => {
                // Sooner than the driver can: each call that starts meanwhile is paid for nothing. A spent budget stops
                // calls by itself, and lets those in flight end.
                if error.kind() != ErrorKind::Budget {
                    self.stopped.at_once.cancel();
                }
                Err(error)
            }
            Some(Err(error)) => return self.failed(&input.task, &error, attempts, turn).await,
            None => Ok(TaskEnd::Cancelled),
        };
        // No entry of the log will tell of its attempts.
        let unconfirmed = UnconfirmedCost::of_unlogged(&attempts);
        self.parts.budget.leave_unattributed(unconfirmed);
        end
    }

    /// Makes the call, unless the run is stopped before it has a result. Returns the attempts that were made in any case.
    async fn call(&self, request: &ChatRequest) -> (Option<Result<ChatResponse>>, Vec<Attempt>) {
        let attempts = AttemptLog::default();
        let request = request.clone().with_attempts(attempts.clone());
        let result = tokio::select! {
            biased;
            () = self.stopped.at_once.cancelled() => None,
            () = no_longer_under_way(&self.stopped, || attempts.is_under_way()) => None,
            result = caught_async("the client of a model", self.client.complete(&request)) => {
                Some(result)
            }
        };
        (result, attempts.take())
    }

    async fn answered(
        &self,
        input: &TaskInput,
        request: &ChatRequest,
        prompt: PromptChoice,
        response: ChatResponse,
        attempts: Vec<Attempt>,
        turn: Option<Turn>,
    ) -> Result<TaskEnd> {
        let task = &input.task;
        self.unsettled.fetch_add(1, Ordering::Relaxed);
        if let Some((mode, _)) = response.asked {
            self.is_bound.store(binds(mode), Ordering::Relaxed);
        }
        let failed_calls = failures(&attempts).count();
        let entry = || {
            Entry::Answered(Answer {
                task: task.id,
                topic: task.topic,
                wanted: task.wanted,
                round: task.round,
                model: response.backend_or(&self.client).to_owned(),
                prompt: prompt.clone(),
                response: response.clone(),
                attempts,
            })
        };
        let number = self.log.append_in_turn(turn, entry).await?;
        let topic = &self.topics[task.topic];
        let judged = tokio::select! {
            biased;
            judged = self.judge.judge_and_note(task.id, topic, &response) => judged,
            () = self.judging_has_an_end() => return Ok(TaskEnd::Cancelled),
        };
        let judged = match judged {
            // A filter was about to ask its model when no more calls were made.
            Err(error)
                if error.kind() == ErrorKind::Cancelled
                    && self.stopped.after_calls.is_cancelled() =>
            {
                return Ok(TaskEnd::Cancelled);
            }
            judged => judged?,
        };
        if let Some(is_usable) = judged.is_usable() {
            let model = response.backend_or(&self.client);
            self.clients
                .output_modes
                .judged(model, &request.output, response.asked, is_usable);
        }
        Ok(TaskEnd::Logged {
            number,
            result: TaskResult::Answered {
                judged,
                prompt,
                failed_calls,
                model: response.backend,
            },
        })
    }

    /// Waits until the run was stopped, or has what it needs, and judging has taken long enough since. What a filter has asked
    /// its model is waited for, unless the caller wants the run to end at once.
    async fn judging_has_an_end(&self) {
        self.stopped.long_ago().await;
        let (at_once, after_calls) = (&self.stopped.at_once, &self.stopped.after_calls);
        while !(at_once.is_cancelled() && after_calls.is_cancelled())
            && self.judge.is_at_work(after_calls.is_cancelled())
        {
            sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn failed(
        &self,
        task: &Task,
        error: &Error,
        attempts: Vec<Attempt>,
        turn: Option<Turn>,
    ) -> Result<TaskEnd> {
        let error = CallError::from(error);
        let calls = failures(&attempts).count();
        let entry = || {
            Entry::Failed(CallFailure {
                task: task.id,
                topic: task.topic,
                wanted: task.wanted,
                round: task.round,
                model: self.client.model().to_owned(),
                kind: error.kind,
                message: error.message.clone(),
                attempts,
            })
        };
        let number = self.log.append_in_turn(turn, entry).await?;
        Ok(TaskEnd::Logged {
            number,
            result: TaskResult::Failed { error, calls },
        })
    }

    fn angle(&self, input: &TaskInput) -> Option<&str> {
        self.angles.rotation(input.task.topic, input.turn)
    }

    fn prompt_choice(
        &self,
        input: &TaskInput,
        response: &ChatResponse,
        shows_skeleton: bool,
    ) -> PromptChoice {
        let shown = input.shown.iter().copied();
        let feedback = input.feedback.as_deref();
        PromptChoice {
            parroted: feedback.is_some_and(|feedback| parrots(feedback, &response.text)),
            unknown: input.is_adopted,
            examples: input.examples.len(),
            feedback: input.feedback.clone(),
            skeleton: shows_skeleton,
            ..PromptChoice::new(shown, self.angle(input), input.max_tokens)
        }
    }

    fn parameters(&self, input: &TaskInput) -> Arc<Parameters> {
        let parameters = &self.parts.generation.parameters;
        match input.max_tokens {
            None => Arc::clone(parameters),
            Some(max_tokens) => Arc::new(Parameters {
                max_tokens: Some(max_tokens),
                ..Parameters::clone(parameters)
            }),
        }
    }

    fn request(&self, input: &TaskInput, shows_skeleton: bool) -> Result<ChatRequest> {
        let task = &input.task;
        let topic = &self.topics[task.topic];
        let asked = PromptParts {
            wanted: task.wanted,
            angle: self.angle(input),
            examples: &input.examples,
            avoid: &input.avoid,
            feedback: input.feedback.as_deref(),
            shows_skeleton,
        };
        Ok(ChatRequest::new(self.prompts.messages(topic, &asked)?)
            .with_output(self.format.of(task.wanted, topic.labels()))
            .with_parameters(self.parameters(input))
            .with_cache_key(Arc::clone(&self.prompts.cache_key))
            .with_purpose(Purpose::Records)
            .with_task(TaskRef::new(task.id, task.topic, task.wanted, task.round))
            .with_seed(Random::new(self.seed).fork("task").nth(task.id).next_u64()))
    }
}

/// Whether a model that is asked in this mode is told the schema beside the prompt.
fn binds(mode: OutputMode) -> bool {
    matches!(
        mode,
        OutputMode::Strict | OutputMode::Schema | OutputMode::Tool
    )
}

/// Waits until no further call is to be made, and none is under way.
pub(super) async fn no_longer_under_way(stop: &StopSignal, is_under_way: impl Fn() -> bool) {
    stop.after_calls.cancelled().await;
    while is_under_way() {
        sleep(BETWEEN_LOOKS).await;
    }
}
