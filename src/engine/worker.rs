//! Carries one task from prompt to judged answer. Stateless: all it has is its brief.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio::time::sleep;

use super::call_log::CallLog;
use super::guard::caught_async;
use super::judge::{Judge, Judged};
use super::ledger::Task;
use super::log::{Log, Turn};
use super::output::RecordsFormat;
use super::stop_signal::StopSignal;
use crate::error::{Error, ErrorKind, Result};
use crate::journal::{Answer, CallFailure, Entry};
use crate::llm::layers::OutputModes;
use crate::llm::{ChatRequest, ChatResponse, LlmClient, Message, Parameters, Purpose, TaskRef};
use crate::outcome::CallError;
use crate::prompt::{AskContext, Prompts};
use crate::random::Random;
use crate::topic::{AngleSet, Topic};

/// Time between looks at whether a call is still under way, once no further one is made.
const BETWEEN_LOOKS: Duration = Duration::from_millis(50);

/// What every task of a run shares.
pub(super) struct Workshop<T> {
    pub(super) client: Arc<dyn LlmClient>,
    pub(super) prompts: Arc<dyn Prompts>,
    /// What never changes comes first, so that providers serve it from their prefix cache.
    pub(super) system: Message,
    pub(super) parameters: Arc<Parameters>,
    pub(super) cache_key: Arc<str>,
    pub(super) format: RecordsFormat,
    pub(super) topics: Vec<Topic>,
    pub(super) angles: AngleSet,
    pub(super) judge: Judge<T>,
    /// Are told what answers were worth.
    pub(super) output_modes: Arc<OutputModes>,
    pub(super) log: Arc<Log>,
    pub(super) calls: Arc<CallLog>,
    pub(super) seed: u64,
    /// Where the caller says that it is to stop; `at_once` also where the run has what it needs.
    pub(super) stopped: StopSignal,
    pub(super) permits: Arc<Semaphore>,
    /// Whether a task calls only when the one before it has its answer.
    pub(super) calls_in_turn: bool,
    /// Answers that arrived and are not settled.
    pub(super) unsettled: AtomicU64,
}

/// A task, and what its prompt is told beside it.
pub(super) struct Brief {
    pub(super) task: Task,
    /// How many tasks its topic had before.
    pub(super) turn: u64,
    pub(super) avoid: Vec<String>,
    pub(super) feedback: Option<String>,
    /// The output limit, where it is not that of the run's parameters.
    pub(super) max_tokens: Option<u64>,
    /// When its answer is appended, where that must be in the order of the tasks.
    pub(super) turn_to_append: Option<Turn>,
}

/// How a task ended.
#[allow(clippy::large_enum_variant)] // One for each task in flight, for a moment.
pub(super) enum End<T> {
    /// The log holds its entry under `number`, and is settled in that order.
    Settle { number: u64, result: Settle<T> },
    /// It was stopped before an answer arrived.
    Cancelled,
    /// It ends the run.
    Fatal(Error),
}

/// What is to be settled.
#[allow(clippy::large_enum_variant)] // One for each task in flight, for a moment.
pub(super) enum Settle<T> {
    Answered {
        judged: Judged<T>,
        failed_calls: usize,
        /// Who answered, where it is not the model that the run is named after.
        model: Option<Arc<str>>,
    },
    Failed {
        error: CallError,
        calls: usize,
    },
}

/// Returns the backend that answered, as `provider/model`.
pub(super) fn answered_by<'a>(response: &'a ChatResponse, client: &'a dyn LlmClient) -> &'a str {
    response.answered_by.as_deref().unwrap_or(client.model())
}

impl<T: DeserializeOwned + 'static> Workshop<T> {
    /// Asks for the task's records and judges the answer.
    pub(super) async fn work(&self, brief: &mut Brief) -> End<T> {
        self.ask(brief).await.unwrap_or_else(End::Fatal)
    }

    async fn ask(&self, brief: &mut Brief) -> Result<End<T>> {
        let request = self.request(brief)?;
        let mut turn = brief.turn_to_append.take();
        if self.calls_in_turn
            && let Some(turn) = &mut turn
        {
            turn.comes().await;
        }
        let task = &brief.task;
        let result = tokio::select! {
            biased;
            () = self.stopped.at_once.cancelled() => return Ok(End::Cancelled),
            () = no_longer_under_way(&self.calls, &self.stopped, Some(request.seed)) => {
                return Ok(End::Cancelled);
            }
            result = caught_async("the client of a model", self.client.complete(&request)) => result,
        };
        self.calls.taken(request.seed);
        let failed_calls = self.calls.take_failures(request.seed);
        let calls = failed_calls.len();
        match result {
            Ok(response) => {
                self.unsettled.fetch_add(1, Ordering::Relaxed);
                let number = self
                    .log
                    .append_in_turn(turn, || {
                        Entry::Answered(Answer {
                            task: task.id,
                            topic: task.topic,
                            wanted: task.wanted,
                            round: task.round,
                            model: answered_by(&response, &self.client).to_owned(),
                            response: response.clone(),
                            failed_calls,
                            uncertain: self.calls.take_uncertain(request.seed),
                        })
                    })
                    .await?;
                let topic = self.topics[task.topic].name();
                let judged = tokio::select! {
                    biased;
                    judged = self.judge.judge(topic, &response) => judged?,
                    () = self.stopped.long_ago() => return Ok(End::Cancelled),
                };
                if let Some(is_usable) = judged.is_usable() {
                    let model = answered_by(&response, &self.client);
                    self.output_modes
                        .judged(model, &request.output, response.asked, is_usable);
                }
                Ok(End::Settle {
                    number,
                    result: Settle::Answered {
                        judged,
                        failed_calls: calls,
                        model: response.answered_by,
                    },
                })
            }
            // It was about to call when no more calls were made.
            Err(error)
                if error.kind() == ErrorKind::Cancelled
                    && self.stopped.after_calls.is_cancelled() =>
            {
                Ok(End::Cancelled)
            }
            Err(error) if error.is_fatal() => {
                // Sooner than the driver can: each call that starts meanwhile is paid for nothing. A spent
                // budget stops calls by itself, and lets those in flight end.
                if error.kind() != ErrorKind::Budget {
                    self.stopped.at_once.cancel();
                }
                Err(error)
            }
            Err(error) => {
                let error = CallError::from(&error);
                let number = self
                    .log
                    .append_in_turn(turn, || {
                        Entry::Failed(CallFailure {
                            task: task.id,
                            topic: task.topic,
                            wanted: task.wanted,
                            round: task.round,
                            model: self.client.model().to_owned(),
                            kind: error.kind,
                            message: error.message.clone(),
                            failed_calls,
                            uncertain: self.calls.take_uncertain(request.seed),
                        })
                    })
                    .await?;
                Ok(End::Settle {
                    number,
                    result: Settle::Failed { error, calls },
                })
            }
        }
    }

    fn parameters(&self, brief: &Brief) -> Arc<Parameters> {
        match brief.max_tokens {
            None => Arc::clone(&self.parameters),
            Some(max_tokens) => Arc::new(Parameters {
                max_tokens: Some(max_tokens),
                ..Parameters::clone(&self.parameters)
            }),
        }
    }

    fn request(&self, brief: &Brief) -> Result<ChatRequest> {
        let task = &brief.task;
        let count = usize::try_from(task.wanted).unwrap_or(usize::MAX);
        // A leaf of a tree says more with the branch it grows on.
        let topic = self.topics[task.topic].placed_name();
        let ask = AskContext::new(&topic, count)
            .with_angle(self.angles.rotation(task.topic, brief.turn))
            .with_avoid(&brief.avoid)
            .with_feedback(brief.feedback.as_deref());
        let ask = self.prompts.ask(&ask)?;
        Ok(
            ChatRequest::new(vec![self.system.clone(), Message::user(ask)])
                .with_output(self.format.of(task.wanted))
                .with_parameters(self.parameters(brief))
                .with_cache_key(Arc::clone(&self.cache_key))
                .with_purpose(Purpose::Records)
                .with_task(TaskRef::new(task.id, task.topic, task.wanted, task.round))
                .with_seed(Random::new(self.seed).fork("task").nth(task.id).next_u64()),
        )
    }
}

/// Waits until no further call is to be made, and none of the task is under way, or none of any task.
pub(super) async fn no_longer_under_way(calls: &CallLog, stop: &StopSignal, task: Option<u64>) {
    stop.after_calls.cancelled().await;
    while task.map_or_else(|| calls.any_under_way(), |seed| calls.is_under_way(seed)) {
        sleep(BETWEEN_LOOKS).await;
    }
}
