//! A run in OpenTelemetry's metrics.
//!
//! [`metrics`] makes an observer of a [`Meter`]. Spans need nothing of this module: every call to a model has one by `tracing`,
//! named and filled as OpenTelemetry's conventions for generative models ask (see
//! [`Traced`](crate::llm::layers::Traced)), and the crate `tracing-opentelemetry` passes them on.

use std::sync::{Mutex, PoisonError};

use opentelemetry::KeyValue;
use opentelemetry::metrics::{Counter, Meter};

use crate::event::RunEvent;
use crate::llm::layers::Spending;

/// Returns an observer that counts what happens in a run; give it to
/// [`on_event`](crate::PipelineBuilder::on_event).
///
/// | instrument | unit | attributes |
/// |---|---|---|
/// | `topicloom.records.accepted` | `{record}` | |
/// | `topicloom.candidates.rejected` | `{candidate}` | `topicloom.reason` |
/// | `topicloom.answers.faulty` | `{answer}` | `topicloom.reason` |
/// | `topicloom.attempts.failed` | `{attempt}` | `error.type`, `gen_ai.request.model` |
/// | `topicloom.topics.given_up` | `{topic}` | |
/// | `topicloom.tokens` | `{token}` | `gen_ai.token.type`: `input`, `output` |
/// | `topicloom.cost` | `USD` | |
///
/// They count the run, not the process: what a journal brings back is counted again. Names of topics are no attributes, since
/// there may be thousands.
///
/// ```
/// use opentelemetry::global;
/// use topicloom::llm::OfflineModel;
/// use topicloom::Pipeline;
/// use topicloom::pipeline::otel_metrics;
///
/// let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
///     .on_event(otel_metrics(&global::meter("topicloom")))
///     .build();
/// # drop(pipeline);
/// ```
pub fn metrics(meter: &Meter) -> impl Fn(&RunEvent<'_>) + Send + Sync + 'static {
    let counter = |name, unit| meter.u64_counter(name).with_unit(unit).build();
    let instruments = Instruments {
        accepted: counter("topicloom.records.accepted", "{record}"),
        rejected: counter("topicloom.candidates.rejected", "{candidate}"),
        faulty: counter("topicloom.answers.faulty", "{answer}"),
        failed: counter("topicloom.attempts.failed", "{attempt}"),
        given_up: counter("topicloom.topics.given_up", "{topic}"),
        tokens: counter("topicloom.tokens", "{token}"),
        cost: meter.f64_counter("topicloom.cost").with_unit("USD").build(),
        spent: Mutex::default(),
    };
    move |event| instruments.observe(event)
}

struct Instruments {
    accepted: Counter<u64>,
    rejected: Counter<u64>,
    faulty: Counter<u64>,
    failed: Counter<u64>,
    given_up: Counter<u64>,
    tokens: Counter<u64>,
    cost: Counter<f64>,
    /// What was counted of tokens and cost.
    spent: Mutex<Spending>,
}

impl Instruments {
    fn observe(&self, event: &RunEvent<'_>) {
        let reason = |reason: &'static str| [KeyValue::new("topicloom.reason", reason)];
        match event {
            RunEvent::Accepted { .. } => self.accepted.add(1, &[]),
            RunEvent::Rejected { rejection, .. } => {
                self.rejected.add(1, &reason(rejection.as_str()));
            }
            RunEvent::AnswerFaulty { fault, .. } => self.faulty.add(1, &reason(fault.as_str())),
            RunEvent::AttemptFailed { model, error, .. } => {
                let kind = KeyValue::new("error.type", error.kind().as_str());
                let model = KeyValue::new("gen_ai.request.model", (*model).to_owned());
                self.failed.add(1, &[kind, model]);
            }
            RunEvent::TopicGivenUp { .. } => self.given_up.add(1, &[]),
            RunEvent::AnswerJudged { spent, .. } => self.spent(*spent),
            RunEvent::Finished { report, .. } => self.spent(report.spending),
            _ => {}
        }
    }

    /// Counts what was spent since the last time.
    fn spent(&self, now: Spending) {
        let mut counted = self.spent.lock().unwrap_or_else(PoisonError::into_inner);
        let tokens = |kind| [KeyValue::new("gen_ai.token.type", kind)];
        let (before, after) = (counted.usage, now.usage);
        self.tokens.add(
            after.input_tokens.saturating_sub(before.input_tokens),
            &tokens("input"),
        );
        self.tokens.add(
            after.output_tokens.saturating_sub(before.output_tokens),
            &tokens("output"),
        );
        self.cost
            .add(now.cost.saturating_sub(counted.cost).as_dollars(), &[]);
        *counted = now;
    }
}
