//! What a run knows: answers and failures are booked here, one at a time, in the order of the log.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tracing::debug;

use super::answer_judge::{Judged, Ready, Refused};
use super::report::ReportBuilder;
use super::worker::{TASKS_PER_PERMIT, TaskInput, TaskResult, WorkerContext, calls_at_once};
use crate::dedup::{AnyFingerprint, AnyMemory, Match, Reference, Verdict};
use crate::diversity::{
    Brought, DiversityReport, EXAMPLES, ExampleChoice, Metrics, PromptMemory, vendi,
};
use crate::error::{Error, ErrorKind, Result};
use crate::event::RunEvent;
use crate::guard::caught;
use crate::hooks::{Accepted, Failed, Rejected};
use crate::journal::{PromptChoice, Turn};
use crate::ledger::{AnswerEnd, AnswerSize, AskedAgain, Ledger, LedgerRules, Task};
use crate::llm::OutputLimits;
use crate::llm::layers::UnprovenModes;
use crate::llm::price::Usd;
use crate::outcome::{AnswerFault, CallError, EmptyAttempt, Rejection, TopicExhausted};
use crate::plan::{Plan, PlannedTopic};
use crate::random::Random;
use crate::record::{AnswerOrigin, Decoded, DecodedRecord, JsonRecord, Record, RecordMeta};
use crate::report::LabelsReport;
use crate::schedule::SchedulingPolicy;
use crate::topic::Topic;

/// What a run says that goes on where a process was killed.
const KILLED: &str = "the process before this one did not end its run: what the calls cost that were in flight then is not in \
     the account";

/// Records whose embeddings are compared at the end of a run, where there are embeddings. Their Vendi score takes some
/// twenty milliseconds; it grows with the third power.
const MOST_EMBEDDINGS: usize = 256;

/// The method by which a record is refused that ends where one was cut which its prompt showed.
const CUT_COPY: &str = "copy";

/// Candidates in a row about which filters may fail to decide.
const MOST_FILTER_FAILURES: u32 = 5;

/// An answer whose candidates are being settled.
struct SettledAnswer<'a> {
    task: &'a Task,
    topic: &'a Topic,
    model: &'a Arc<str>,
    /// The records that its prompt showed.
    shown: &'a [u64],
    /// What its records share.
    origin: Arc<AnswerOrigin>,
}

/// What a run knows. The driver is its one owner.
pub(super) struct RunState {
    pub(super) context: Arc<WorkerContext>,
    plan: Plan,
    /// The model that the run is named after.
    model: Arc<str>,
    pub(super) ledger: Ledger,
    memory: AnyMemory,
    prompt_memory: PromptMemory,
    examples: ExampleChoice,
    /// Candidates that repeat an example.
    example_copies: u64,
    metrics: Metrics,
    counted: ReportBuilder,
    unproven: UnprovenModes,
    limits: OutputLimits,
    /// Accepted records that the consumer has not taken yet.
    pub(super) outbox: Vec<DecodedRecord>,
    asked_again: AskedAgain,
    /// Candidates in a row about which a filter could not decide.
    filter_failures: u32,
    /// What the last call that failed finally said, in words.
    pub(super) last_failure: Option<String>,
    /// Whether what is settled was in the journal when the run began.
    is_replaying: bool,
    /// Whether the memory can still be asked: it has not panicked.
    admits: bool,
}

impl RunState {
    pub(super) fn new(context: Arc<WorkerContext>, plan: Plan, memory: AnyMemory) -> Self {
        let parts = &*context.parts;
        let settings = parts.settings();
        let topics = plan.topics.len();
        let limits = OutputLimits::new(
            topics,
            parts.generation.parameters.max_tokens,
            settings.max_tokens_ceiling,
        );
        let calls = calls_at_once(settings, context.client.capabilities());
        let ahead = (calls * TASKS_PER_PERMIT) as u64 - 1;
        let mut counted = ReportBuilder::begin(parts);
        counted.report.requested = plan.total();
        Self {
            model: context.client.model().into(),
            ledger: new_ledger(&context, &plan),
            memory,
            prompt_memory: PromptMemory::new(topics, settings.avoid_examples, ahead),
            examples: ExampleChoice::new(
                parts.input.examples().given.len(),
                parts.input.examples().shown,
                ahead,
                &Random::new(context.seed),
            ),
            example_copies: 0,
            metrics: Metrics::new(),
            counted,
            unproven: UnprovenModes::new(settings.max_concurrency * TASKS_PER_PERMIT),
            limits: limits.or_own(parts.own_limit),
            outbox: Vec::new(),
            asked_again: AskedAgain::default(),
            filter_failures: 0,
            last_failure: None,
            is_replaying: true,
            admits: true,
            context,
            plan,
        }
    }

    /// Takes note of how judges compare with people.
    pub(super) fn compared(&mut self, labels: Option<LabelsReport>) {
        self.counted.report.labels = labels;
    }

    /// Returns what the worker of a task is told.
    pub(super) fn task_input(&mut self, task: Task, turn_to_append: Option<Turn>) -> TaskInput {
        let random = Random::new(self.context.seed).fork("steering");
        let chosen = self
            .prompt_memory
            .choose(task.topic, task.id, &mut random.nth(task.id));
        let shows_records = chosen.is_some();
        let examples = Random::new(self.context.seed).fork("examples");
        let examples = self.examples.choose(task.id, &mut examples.nth(task.id));
        let (shown, avoid) = chosen.unwrap_or_default().into_iter().unzip();
        TaskInput {
            turn: self.ledger.stats()[task.topic].tasks - 1,
            feedback: self.prompt_memory.take_feedback(task.topic, shows_records),
            avoid,
            shown,
            examples,
            is_adopted: false,
            max_tokens: self.output_limit(&task),
            turn_to_append,
            task,
        }
    }

    /// Returns the output limit of a task, where it is another than the parameters have.
    fn output_limit(&self, task: &Task) -> Option<u64> {
        let after_loops = self.ledger.limit_after_loops(task.wanted);
        after_loops
            .filter(|limit| self.is_tight(task, *limit))
            .or_else(|| self.limits.raised(task.topic, task.wanted))
    }

    /// Whether an output limit leaves a task less room than its topic has.
    fn is_tight(&self, task: &Task, limit: u64) -> bool {
        let room = self.limits.raised(task.topic, task.wanted);
        let room = room.or_else(|| self.limits.of(task.topic));
        room.is_none_or(|room| limit < room)
    }

    /// Books a task of the journal, and what came of it.
    ///
    /// # Errors
    ///
    /// Where the scheduling policy panics.
    pub(super) fn replay(
        &mut self,
        task: &Task,
        result: TaskResult,
        policy: &mut dyn SchedulingPolicy,
    ) -> Result<()> {
        let is_answer = matches!(result, TaskResult::Answered { .. });
        self.counted.report.resumed_answers += u64::from(is_answer);
        self.ledger.replay(task, policy)?;
        self.apply(task, result);
        Ok(())
    }

    /// Books that all of the journal is settled.
    pub(super) fn end_of_replay(&mut self) {
        self.is_replaying = false;
        self.ledger.forget_outage();
        let answers = self.counted.report.resumed_answers;
        if answers > 0 {
            self.context.parts.notify(&RunEvent::Resumed {
                answers,
                accepted: self.ledger.accepted(),
            });
        }
    }

    /// Books what came of a task.
    pub(super) fn apply(&mut self, task: &Task, result: TaskResult) {
        if !self.admits {
            // Nobody can say any more what is new.
            self.ledger.cancelled(task);
            return;
        }
        let context = Arc::clone(&self.context);
        let topic = &context.topics[task.topic];
        let given_up = match result {
            TaskResult::Answered {
                judged,
                prompt,
                failed_calls,
                model,
            } => {
                context.unsettled.fetch_sub(1, Ordering::Relaxed);
                self.answered(task, topic, judged, &prompt, failed_calls, model.as_ref())
            }
            TaskResult::Failed { error, calls } => self.failed(task, topic, &error, calls),
        };
        if let Some((why, last_error)) = given_up {
            self.gave_up(task, why, last_error);
        }
    }

    /// Returns the report of what is known.
    pub(super) fn into_report(mut self) -> ReportBuilder {
        self.counted.topics(&self.plan, &self.ledger);
        let report = &mut self.counted.report;
        report.answers.unjudged = self.context.unsettled.load(Ordering::Relaxed);
        if self.context.log.lost_without_notes() {
            report.notes.push(KILLED.to_owned());
        }
        let killed = self.context.log.killed_calls();
        if !killed.is_none() {
            // Without a bound of tokens, or a price, nothing is booked: that is not to say that they cost nothing.
            let fate = match (killed.tokens, killed.cost) {
                (0, _) => "nothing bounds what they can have cost, and it is not booked",
                (_, Usd::ZERO) => {
                    "they stay booked at the most tokens that they can have used, at an unknown price"
                }
                _ => "they stay booked at the most that they can have cost",
            };
            report.notes.push(format!(
                "{} calls were in flight when a process of this run was killed; {fate}",
                killed.calls
            ));
        }
        report.diversity = caught("the memory of the deduplicator", || {
            measured(&self.metrics, &self.memory)
        })
        .unwrap_or_default();
        self.counted
    }

    /// Says how many records are missing, and why, of the first topic that was given up.
    pub(super) fn incomplete(&self) -> Error {
        let requested = self.counted.report.requested;
        let missing = requested - self.ledger.accepted();
        let stats = self.ledger.stats().iter();
        let given_up = stats.filter(|stats| stats.given_up.is_some()).count();
        let why = self.counted.first_given_up();
        let why = why.map_or_else(String::new, |(topic, why)| {
            format!("; of the first, \"{}\", {why}", self.context.topics[topic])
        });
        Error::new(
            ErrorKind::Incomplete,
            format!(
                "{missing} of {requested} records are missing; {given_up} topics were given up{why}"
            ),
        )
    }

    fn gave_up(&mut self, task: &Task, why: TopicExhausted, last_error: Option<String>) {
        let topic = &self.context.topics[task.topic];
        self.context
            .parts
            .notify(&RunEvent::TopicGivenUp { topic, why });
        self.counted.given_up(task.topic, why, last_error);
    }

    fn answered(
        &mut self,
        task: &Task,
        topic: &Topic,
        judged: Judged,
        prompt: &PromptChoice,
        failed_calls: usize,
        model: Option<&Arc<str>>,
    ) -> Option<(TopicExhausted, Option<String>)> {
        let backend = &Arc::clone(model.unwrap_or(&self.model));
        self.counted.answer(backend, &judged);
        let is_excused = match (judged.mode, judged.is_usable()) {
            (Some(mode), Some(is_usable)) => self.unproven.excuses(backend, mode, is_usable),
            _ => false,
        };
        self.note_size(task, backend, &judged, prompt.max_tokens);
        self.note_answer(task, topic, &judged);
        let answer = SettledAnswer {
            task,
            topic,
            model: backend,
            shown: &prompt.shown,
            origin: self.origin(backend, &judged, prompt, failed_calls),
        };
        let fault = judged.fault;
        let mut miss = Some(EmptyAttempt::Answer(
            fault.unwrap_or(AnswerFault::NoRecords),
        ));
        let mut last_error = None;
        let copies_before = (self.counted.report.copies, self.example_copies);
        let mut brought = Brought {
            input_tokens: judged.usage.input_tokens,
            output_tokens: judged.usage.output_tokens,
            ..Brought::default()
        };
        for (place, candidate) in (0..).zip(judged.candidates) {
            let scores = match &candidate {
                Ok(ready) => &ready.scores,
                Err(refused) => &refused.scores,
            };
            if let Some(scores) = scores {
                self.counted.scored(scores);
            }
            let settled = match candidate {
                Ok(ready) => self.ready(&answer, place, ready),
                Err(refused) => Some(Err(refused)),
            };
            match settled {
                Some(Ok(())) => {
                    miss = None;
                    brought.accepted += 1;
                }
                Some(Err(refused)) => {
                    let rejection = refused.rejection;
                    miss = miss.map(|_| EmptyAttempt::Rejected(rejection));
                    brought.repeats += u64::from(rejection == Rejection::Duplicate);
                    let words = self.refused(task, topic, refused);
                    if rejection != Rejection::Surplus {
                        last_error = words;
                    }
                }
                // Neither it nor what follows it became anything.
                None => break,
            }
            self.ledger.found(task.topic, 1);
        }
        brought.copies = self.counted.report.copies - copies_before.0;
        let of_examples = self.example_copies - copies_before.1;
        if !prompt.unknown {
            let brought = Brought {
                repeats: of_examples,
                copies: of_examples,
                ..brought
            };
            self.examples.observe(task.id, prompt.examples, &brought);
        }
        self.note_prompt(task.id, prompt, &brought);
        debug!(
            task = task.id,
            gave_something = miss.is_none(),
            "answer settled"
        );
        if let Some(miss) = miss.filter(|_| is_excused) {
            self.ledger.excused(task, miss, fault, failed_calls);
            return None;
        }
        let given_up = self.ledger.answered(task, miss, fault, failed_calls)?;
        Some((given_up, last_error))
    }

    /// Returns where the records of an answer come from.
    fn origin(
        &self,
        model: &str,
        judged: &Judged,
        prompt: &PromptChoice,
        failed_calls: usize,
    ) -> Arc<AnswerOrigin> {
        let mut repairs = BTreeMap::new();
        if !judged.is_clean {
            let mended = judged.repairs.iter();
            repairs.extend(mended.map(|(repair, count)| (repair.to_string(), count)));
        }
        for kind in &judged.coercions {
            *repairs.entry(kind.to_string()).or_default() += 1;
        }
        let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Arc::new(AnswerOrigin {
            attempt: count(failed_calls).saturating_add(1),
            candidates: count(judged.candidates.len()),
            angle: prompt.angle.as_deref().map(Arc::from),
            usage: judged.usage,
            cost: self.context.parts.budget.cost_of(model, &judged.usage),
            repairs,
        })
    }

    /// Takes note of what came of a prompt.
    fn note_prompt(&mut self, task: u64, prompt: &PromptChoice, brought: &Brought) {
        if prompt.parroted {
            self.prompt_memory.parroted();
        }
        if !prompt.unknown {
            self.prompt_memory
                .observe(task, prompt.shown.len(), brought);
            self.counted.shown(prompt.shown.len(), brought);
        }
    }

    /// Takes note of an answer as a whole: what was wrong with it, and what to tell the model.
    fn note_answer(&mut self, task: &Task, topic: &Topic, judged: &Judged) {
        let parts = &self.context.parts;
        parts.notify(&RunEvent::AnswerJudged {
            topic,
            task: task.id,
            candidates: judged.candidates.len(),
            repairs: &judged.repairs,
            coercions: &judged.coercions,
            spent: parts.budget.spending(),
        });
        if let Some(fault) = judged.fault {
            parts.notify(&RunEvent::AnswerFaulty { topic, fault });
            if matches!(fault, AnswerFault::Refused | AnswerFault::ContentFiltered) {
                self.prompt_memory.declined(task.topic);
            }
        }
        if let Some(advice) = &judged.advice {
            self.prompt_memory.note(task.topic, advice.clone());
        }
    }

    /// Accepts a candidate, or returns why not; `None` where nobody can say whether it is new.
    fn ready(
        &mut self,
        answer: &SettledAnswer<'_>,
        place: u32,
        ready: Ready,
    ) -> Option<Result<(), Refused>> {
        let (task, shown) = (answer.task, answer.shown);
        let Ready {
            data,
            json,
            excerpt,
            fingerprint,
            scores,
            placeholder,
        } = ready;
        if !self.ledger.has_room(task.topic) {
            let refused = Refused::new(Rejection::Surplus, None);
            return Some(Err(refused.with_json(json)));
        }
        if let Some(found) = &placeholder
            && !self
                .asked_again
                .is_second(task, found, &excerpt, self.ledger.next_task())
        {
            let refused = Refused::invalid(std::slice::from_ref(&**found));
            return Some(Err(refused.with_json(json)));
        }
        let verdict = match self.prompt_memory.cut_copy(shown, &excerpt) {
            Some(of) => Verdict::Duplicate(Match {
                of: Reference::Record(of),
                similarity: 1.0,
                method: CUT_COPY,
            }),
            None => self.admit(fingerprint)?,
        };
        if let Verdict::Duplicate(found) = verdict {
            self.duplicate(task, &found, &excerpt, shown);
            let refused = Refused {
                repeats: Some(Box::new(found)),
                ..Refused::new(Rejection::Duplicate, None)
            };
            return Some(Err(refused.with_json(json)));
        }
        self.filter_failures = 0;
        self.metrics.observe(task.topic, &excerpt);
        self.counted.accepted();
        let ordinal = self.ledger.accepted();
        self.prompt_memory.accepted(task.topic, ordinal, &excerpt);
        let meta = RecordMeta {
            candidate: place,
            scores,
            answer: Arc::clone(&answer.origin),
            ..RecordMeta::new(ordinal, task.id, Arc::clone(answer.model))
        };
        self.accept(answer, data, json.as_deref(), meta);
        if let Some(found) = &placeholder {
            self.counted.unfinished(&found.reason());
        }
        Some(Ok(()))
    }

    /// Asks the memory, which says nothing once it has panicked.
    fn admit(&mut self, fingerprint: AnyFingerprint) -> Option<Verdict> {
        let memory = &mut self.memory;
        let verdict = caught("the memory of the deduplicator", || {
            memory.admit(fingerprint)
        });
        self.admits = verdict.is_ok();
        self.context.parts.panic_trap.keep(verdict)
    }

    /// Takes note of how long an answer was. After one that ran into the output limit, the next ones of the topic have more
    /// room, or are asked for fewer records, if the caller left none.
    fn note_size(
        &mut self,
        task: &Task,
        model: &Arc<str>,
        judged: &Judged,
        max_tokens: Option<u64>,
    ) {
        let is_limited = max_tokens.is_some_and(|limit| self.is_tight(task, limit));
        let end = match judged.is_usable() {
            _ if judged.is_loop => AnswerEnd::Loop,
            _ if judged.at_limit && is_limited => AnswerEnd::Cut,
            _ if judged.at_limit => {
                let next_task = self.ledger.next_task();
                if self.limits.cut(task.topic, task.id, next_task) {
                    AnswerEnd::CutAndRaised
                } else {
                    AnswerEnd::Cut
                }
            }
            Some(true) => AnswerEnd::Whole,
            Some(false) => AnswerEnd::Unusable,
            None => AnswerEnd::Declined,
        };
        if !judged.at_limit {
            self.limits.saw_whole(judged.usage.output_tokens);
        }
        self.ledger.saw_size(&AnswerSize {
            model,
            asked: task.wanted,
            records: judged.candidates.len() as u64,
            end,
            tokens: judged.usage.output_tokens,
            reasoning: judged.usage.reasoning_tokens,
            unfinished: judged.unfinished,
            limit: self.limits.of(task.topic),
            is_limited,
        });
    }

    /// Books a candidate as rejected, and returns why in words.
    fn refused(&mut self, task: &Task, topic: &Topic, mut refused: Refused) -> Option<String> {
        if let Some(error) = refused.filter_error.take() {
            self.filter_failures += 1;
            if self.filter_failures >= MOST_FILTER_FAILURES {
                self.context.parts.panic_trap.keep::<()>(Err(*error));
            }
        } else if refused.rejection == Rejection::Filtered {
            self.filter_failures = 0;
        }
        match &refused.repeats {
            Some(found) => self.ledger.repeated(task.topic, found.record()),
            None => self.ledger.reject(task.topic, refused.rejection),
        }
        let reason = refused.in_words();
        self.show_rejected(task, topic, &refused, reason.as_deref());
        self.counted.invalid(&refused.reasons);
        if let Some(reason) = refused.filter {
            self.counted.filtered(reason);
        }
        if let Some(advice) = refused.advice {
            self.prompt_memory.note(task.topic, advice);
        }
        if let Some(fault) = refused.disagreement {
            self.counted.disagreement(*fault);
        }
        reason
    }

    /// Takes note of what a candidate repeats.
    fn duplicate(&mut self, task: &Task, found: &Match, excerpt: &str, shown: &[u64]) {
        let of = found.record();
        if let Reference::Given(place) = &found.of {
            self.example_copies += u64::from(*place.source == *EXAMPLES);
        }
        let repeat = self.prompt_memory.repeated(task.topic, of, excerpt, shown);
        if let Some(warning) = self.counted.duplicate(found.method, repeat)
            && !self.is_replaying
        {
            self.context.parts.notify(&RunEvent::Warned { warning });
        }
        self.metrics.observe_duplicate();
    }

    /// Tells observers and hooks of a candidate that was booked as rejected.
    fn show_rejected(&self, task: &Task, topic: &Topic, refused: &Refused, reason: Option<&str>) {
        let parts = &self.context.parts;
        parts.notify(&RunEvent::Rejected {
            topic,
            rejection: refused.rejection,
            filter: refused.filter,
            disagreement: refused.disagreement.as_deref(),
        });
        let candidate = Rejected {
            topic,
            task: task.id,
            rejection: refused.rejection,
            reason,
            repeats: refused.repeats.as_deref(),
            data: refused.json.as_deref(),
            is_replayed: self.is_replaying,
        };
        parts.call_hooks("a hook (`on_rejected`)", |hooks| hooks.rejected(&candidate));
    }

    fn accept(
        &mut self,
        answer: &SettledAnswer<'_>,
        data: Decoded,
        json: Option<&JsonRecord>,
        meta: RecordMeta,
    ) {
        let topic = answer.topic;
        self.ledger.accept(answer.task.topic);
        self.context.parts.notify(&RunEvent::Accepted {
            topic,
            accepted: self.ledger.accepted(),
            requested: self.counted.report.requested,
        });
        if let Some(json) = json {
            let record = Accepted {
                topic,
                data: json,
                meta: &meta,
                is_replayed: self.is_replaying,
            };
            self.context
                .parts
                .call_hooks("a hook (`on_accepted`)", |hooks| hooks.accepted(&record));
        }
        self.outbox.push(Record::new(topic.clone(), data, meta));
    }

    fn failed(
        &mut self,
        task: &Task,
        topic: &Topic,
        error: &CallError,
        calls: usize,
    ) -> Option<(TopicExhausted, Option<String>)> {
        let kind = error.kind;
        debug!(task = task.id, kind = kind.as_str(), "call failed");
        self.context
            .parts
            .notify(&RunEvent::CallFailed { topic, kind });
        self.show_failed(&Failed {
            topic,
            task: task.id,
            error,
            calls,
            ends_run: false,
            is_replayed: self.is_replaying,
        });
        if kind == ErrorKind::ContentFilter {
            self.prompt_memory.declined(task.topic);
        }
        if !kind.is_about_the_prompt() {
            self.last_failure = Some(error.message.clone());
        }
        let given_up = self.ledger.failed(task, kind, calls)?;
        Some((given_up, Some(error.message.clone())))
    }

    fn show_failed(&self, task: &Failed<'_>) {
        self.context
            .parts
            .call_hooks("a hook (`on_failed`)", |hooks| hooks.failed(task));
    }

    /// Books a task whose error ends the run.
    pub(super) fn ends_run(&mut self, task: &Task, error: &Error) {
        let error = CallError::from(error);
        self.show_failed(&Failed {
            topic: &self.context.topics[task.topic],
            task: task.id,
            error: &error,
            calls: 0,
            ends_run: true,
            is_replayed: false,
        });
        if let Some(why) = self.ledger.failed(task, error.kind, 0) {
            self.gave_up(task, why, Some(error.message));
        }
    }
}

fn new_ledger(context: &WorkerContext, plan: &Plan) -> Ledger {
    let parts = &context.parts;
    let quotas: Vec<u64> = plan.topics.iter().map(|topic| topic.quota).collect();
    let settings = parts.settings();
    let calls = calls_at_once(settings, context.client.capabilities());
    let rules = LedgerRules {
        miss_threshold: settings.give_up_after,
        records_per_request: settings.records_per_request,
        concurrency: calls as u64,
        most_tasks: (calls * TASKS_PER_PERMIT) as u64,
        breaker_rounds: settings.stop_after_failed_rounds,
        reallocate: parts.reallocates(),
        seed: context.seed,
    };
    let mut groups = HashMap::new();
    let mut group_of = |planned: &PlannedTopic| {
        let values: Vec<String> = planned
            .topic
            .attributes()
            .map(|it| it.1.to_string())
            .collect();
        let next = groups.len();
        *groups.entry(values).or_insert(next)
    };
    let groups = plan.topics.iter().map(&mut group_of).collect();
    Ledger::new(&quotas, rules).with_groups(groups)
}

fn measured(metrics: &Metrics, memory: &AnyMemory) -> DiversityReport {
    let mut report = metrics.finish();
    let embeddings = memory.embeddings(MOST_EMBEDDINGS);
    if !embeddings.is_empty() {
        report.vendi = Some(vendi(&embeddings));
    }
    report
}
