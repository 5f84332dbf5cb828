//! Listens to a run in which one task is made after the other, and writes down what it hears.
//!
//! It is the run itself that is listened to, from outside: at the models, which see what is really sent, and at events
//! and hooks, which tell what is really decided. So a preview cannot differ from a run.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::{AnswerPreview, CallPreview, Preview, RecordPreview, RecordVerdict, TaskPreview};
use crate::error::{Error, ErrorKind, Result};
use crate::event::{Observer, RunEvent};
use crate::hooks::{Accepted, Failed, Hooks, Rejected};
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, Purpose};
use crate::outcome::CallError;
use crate::parse::Repairs;
use crate::report::Report;
use crate::topic::Topic;

/// What was heard so far. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Heard>>);

#[derive(Default)]
struct Heard {
    tasks: Vec<TaskPreview>,
    /// Those of the task that is on its way: with one at a time, whatever is called is called for it.
    calls: Vec<CallPreview>,
    /// The task that alone is kept.
    only: Option<u64>,
}

impl Recorder {
    /// Listens for one task.
    pub(crate) fn of_task(task: u64) -> Self {
        let heard = Heard {
            only: Some(task),
            ..Heard::default()
        };
        Self(Arc::new(Mutex::new(heard)))
    }

    /// Returns the one task.
    pub(crate) fn into_task(self) -> Option<TaskPreview> {
        let mut heard = self.heard();
        heard.forget_others();
        heard.tasks.pop()
    }

    /// Returns the client, listened to.
    pub(crate) fn at(&self, client: Arc<dyn LlmClient>) -> Arc<dyn LlmClient> {
        Arc::new(Listened {
            inner: client,
            recorder: self.clone(),
        })
    }

    /// Returns hooks that listen.
    pub(crate) fn hooks(&self) -> Hooks {
        let [accepted, rejected, failed] = [self.clone(), self.clone(), self.clone()];
        Hooks {
            accepted: vec![Arc::new(move |record| accepted.accepted(record))],
            rejected: vec![Arc::new(move |candidate| rejected.rejected(candidate))],
            failed: vec![Arc::new(move |task| failed.failed(task))],
        }
    }

    /// Returns what listens to events.
    pub(crate) fn observer(&self) -> Observer {
        let recorder = self.clone();
        Arc::new(move |event| recorder.observe(event))
    }

    /// Takes note of an event.
    fn observe(&self, event: &RunEvent<'_>) {
        let mut heard = self.heard();
        match event {
            RunEvent::AnswerJudged {
                topic,
                task,
                repairs,
                coercions,
                ..
            } => {
                let settled = heard.settled(*task, topic);
                settled.repairs = **repairs;
                settled.coercions = coercions.to_vec();
            }
            RunEvent::AnswerFaulty { fault, .. } => {
                if let Some(task) = heard.tasks.last_mut() {
                    task.fault = Some(*fault);
                }
            }
            _ => {}
        }
    }

    /// Returns what was heard of a run that ended like this.
    ///
    /// # Errors
    ///
    /// The error of the run, where it ended before its first task.
    pub(crate) fn preview(self, report: Report, error: Option<Error>) -> Result<Preview> {
        let tasks = std::mem::take(&mut self.heard().tasks);
        // A run that makes a few tasks and no more is short.
        let error = error.filter(|error| error.kind() != ErrorKind::Incomplete);
        match error {
            Some(error) if tasks.is_empty() => Err(error),
            error => Ok(Preview {
                tasks,
                report,
                error,
            }),
        }
    }

    fn accepted(&self, record: &Accepted<'_>) {
        let ordinal = record.meta.ordinal;
        self.heard().record(RecordPreview {
            data: Some(record.data.clone()),
            verdict: RecordVerdict::Accepted { ordinal },
        });
    }

    fn rejected(&self, candidate: &Rejected<'_>) {
        self.heard().record(RecordPreview {
            data: candidate.data.cloned(),
            verdict: RecordVerdict::Rejected {
                rejection: candidate.rejection,
                reason: candidate.reason.map(str::to_owned),
                repeats: candidate.repeats.cloned(),
            },
        });
    }

    fn failed(&self, task: &Failed<'_>) {
        let mut heard = self.heard();
        heard.settled(task.task, task.topic).error = Some(task.error.clone());
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Heard {
    /// Adds the task whose calls these were.
    fn settled(&mut self, task: u64, topic: &Topic) -> &mut TaskPreview {
        self.forget_others();
        self.tasks.push(TaskPreview {
            task,
            topic: topic.clone(),
            calls: std::mem::take(&mut self.calls),
            error: None,
            fault: None,
            repairs: Repairs::default(),
            coercions: Vec::new(),
            records: Vec::new(),
        });
        self.tasks.last_mut().expect("one was pushed")
    }

    /// Forgets the tasks that are not wanted.
    fn forget_others(&mut self) {
        if let Some(wanted) = self.only {
            self.tasks.retain(|task| task.task == wanted);
        }
    }

    fn record(&mut self, record: RecordPreview) {
        if let Some(task) = self.tasks.last_mut() {
            task.records.push(record);
        }
    }
}

/// A client whose calls for records are written down.
struct Listened {
    inner: Arc<dyn LlmClient>,
    recorder: Recorder,
}

impl fmt::Debug for Listened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmClient for Listened {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        if request.purpose != Purpose::Records {
            return self.inner.complete(request).await;
        }
        // Before it is sent: of a call that is given up, this is all there is.
        self.recorder.heard().calls.push(CallPreview {
            model: self.inner.model().to_owned(),
            messages: request.messages.clone(),
            output: request.output.clone(),
            end: None,
            provider_words: None,
        });
        let result = self.inner.complete(request).await;
        let end = match &result {
            Ok(response) => Ok(AnswerPreview {
                text: response.text.clone(),
                usage: response.usage,
                finish_reason: response.finish_reason,
            }),
            Err(error) => Err(CallError::from(error)),
        };
        if let Some(call) = self.recorder.heard().calls.last_mut() {
            call.end = Some(end);
            let words = result.as_ref().err().and_then(Error::provider_words);
            call.provider_words = words.map(str::to_owned);
        }
        result
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}
