//! `topicloom inspect`: what a journal holds.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use topicloom::Result;
use topicloom::input::GenerateByTopicInput;
use topicloom::journal::{Answer, CallFailure, Entry, JournalReader, LostCalls};
use topicloom::llm::layers::Budget;
use topicloom::llm::price::{PriceTable, Usd};
use topicloom::llm::{Attempt, UnconfirmedCost, failures};
use topicloom::parse::{self, Limits, Repair, Shape};
use topicloom::report::Outcome;
use topicloom::schema::{Dialect, Violation, coerce, read_json_texts};

use crate::args::InspectArgs;
use crate::place::Place;
use crate::{database, out};

/// Shows plan, progress, failures and usage; with a task, the raw answers to it.
pub(crate) async fn inspect(args: InspectArgs) -> Result<()> {
    match Place::of(args.journal.clone(), args.which.clone())? {
        Place::File(path) => inspect_file(&path, &args),
        Place::Database(row) => database::inspect(row, &args).await,
    }
}

fn inspect_file(path: &Path, args: &InspectArgs) -> Result<()> {
    let mut reader = JournalReader::open(path)?;
    let mut shown = Shown::new(args);
    for entry in reader.by_ref() {
        shown.take(&entry?)?;
    }
    shown.end()?;
    if reader.cut_off() > 0 {
        eprintln!(
            "note: {} bytes at the end belong to an entry that was cut off",
            reader.cut_off()
        );
    }
    Ok(())
}

/// Shows entries one by one, or all of them together at the end.
pub(crate) struct Shown<'a> {
    args: &'a InspectArgs,
    seen: Seen,
}

impl<'a> Shown<'a> {
    pub(crate) fn new(args: &'a InspectArgs) -> Self {
        Self {
            args,
            seen: Seen::default(),
        }
    }

    pub(crate) fn take(&mut self, entry: &Entry) -> Result<()> {
        match (self.args.task, entry) {
            (None, _) if self.args.raw => out::line(json(entry))?,
            (None, _) => self.seen.take(entry),
            (Some(task), Entry::Answered(answer)) if answer.task == task => {
                eprintln!(
                    "task {task}, asked of {}, ended with {:?}, {} tokens in, {} out",
                    answer.model,
                    answer.response.finish_reason,
                    answer.response.usage.input_tokens,
                    answer.response.usage.output_tokens
                );
                out::words(&answer.response.text)?;
            }
            (Some(task), Entry::Failed(failure)) if failure.task == task => {
                eprintln!(
                    "task {task}, asked of {}, failed: {}",
                    failure.model,
                    in_words(failure)
                );
            }
            (Some(_), _) => {}
        }
        Ok(())
    }

    pub(crate) fn end(&self) -> Result<()> {
        if self.args.task.is_none() && !self.args.raw {
            out::line(&self.seen)?;
        }
        Ok(())
    }
}

/// Returns what the journal says of a failure; an early one knows its kind alone.
fn in_words(failure: &CallFailure) -> String {
    if failure.message.is_empty() {
        failure.kind.to_string()
    } else {
        failure.message.clone()
    }
}

fn json(entry: &Entry) -> String {
    serde_json::to_string(entry).expect("an entry has no key that JSON cannot hold")
}

/// What a journal tells, summed up.
struct Seen {
    starts: Vec<String>,
    /// Of the last plan; those of an earlier one keep their places in it.
    topics: Vec<SeenTopic>,
    failed_calls: BTreeMap<&'static str, u64>,
    /// The input, if this version can read it.
    input: Option<GenerateByTopicInput>,
    /// Why records were invalid, as the report of a run counts it.
    invalid: BTreeMap<String, u64>,
    budget: Budget,
    lost: LostCalls,
    ended: Option<Outcome>,
}

#[derive(Default)]
struct SeenTopic {
    name: String,
    quota: u64,
    answers: u64,
    failures: u64,
    last_error: Option<String>,
}

impl Default for Seen {
    fn default() -> Self {
        Self {
            starts: Vec::new(),
            topics: Vec::new(),
            failed_calls: BTreeMap::new(),
            input: None,
            invalid: BTreeMap::new(),
            budget: Budget::new(PriceTable::known()),
            lost: LostCalls::default(),
            ended: None,
        }
    }
}

impl Seen {
    fn take(&mut self, entry: &Entry) {
        self.ended = None;
        match entry {
            Entry::Started(header) => {
                self.input = GenerateByTopicInput::from_json_value(header.input.clone()).ok();
                self.starts.push(format!(
                    "format {}, written by topicloom {}, seed {}",
                    header.format, header.library, header.seed
                ));
            }
            Entry::TopicAnswered(answer) => {
                self.budget.book(&answer.model, &answer.response.usage);
                self.attempts(&answer.attempts);
            }
            Entry::Planned(plan) => {
                self.topics
                    .resize_with(plan.topics.len(), SeenTopic::default);
                for (seen, planned) in self.topics.iter_mut().zip(&plan.topics) {
                    seen.name = out::on_one_line(planned.topic.name());
                    seen.quota = planned.quota;
                }
            }
            Entry::Answered(answer) => {
                self.budget.book(&answer.model, &answer.response.usage);
                self.attempts(&answer.attempts);
                self.check(answer);
                if let Some(topic) = self.topics.get_mut(answer.topic) {
                    topic.answers += 1;
                }
            }
            Entry::Failed(failure) => {
                self.attempts(&failure.attempts);
                if let Some(topic) = self.topics.get_mut(failure.topic) {
                    topic.failures += 1;
                    topic.last_error = Some(in_words(failure));
                }
            }
            Entry::SideCalled(call) => {
                if let Some(usage) = &call.usage {
                    self.budget.book(&call.model, usage);
                }
                self.attempts(&call.attempts);
            }
            Entry::Finished { outcome, uncertain } => {
                self.ended = Some(*outcome);
                self.budget.book_unattributed(uncertain);
            }
            Entry::Interrupted { unconfirmed } => self.budget.book_unattributed(unconfirmed),
            _ => {}
        }
        self.lost.take(entry);
    }

    /// Counts why records of an answer are invalid. The journal keeps what was answered, not what became of it.
    fn check(&mut self, answer: &Answer) {
        let Some(input) = &self.input else {
            return;
        };
        let schema = input.schema();
        let asked = answer.response.asked;
        let Ok(compiled) = schema.compile(asked.map_or(Dialect::Full, |(_, dialect)| dialect))
        else {
            return;
        };
        let shape = Shape::new(schema.property_names()).required(schema.required_names());
        let found = parse::records(&answer.response.text, &shape, &Limits::default());
        let untyped = found.repairs[Repair::PlainForm] > 0;
        let typed = if untyped || input.settings().coerce_types {
            coerce
        } else {
            read_json_texts
        };
        for value in found.values {
            let restored = compiled
                .restore_record(value)
                .map_err(|violation| vec![violation]);
            let checked = restored.and_then(|value| {
                let (value, _) = schema.drop_unknown_keys(typed(value, schema).0);
                schema.validate(&value)
            });
            let violations = checked.err().unwrap_or_default();
            let reasons: BTreeSet<String> = violations.iter().map(Violation::reason).collect();
            for reason in reasons {
                *self.invalid.entry(reason).or_default() += 1;
            }
        }
    }

    fn attempts(&mut self, attempts: &[Attempt]) {
        self.budget.book_failed(failures(attempts).count() as u64);
        self.budget.book_uncertain(&UnconfirmedCost::of(attempts));
        for kind in failures(attempts) {
            *self.failed_calls.entry(kind.as_str()).or_default() += 1;
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for start in &self.starts {
            writeln!(f, "{start}")?;
        }
        writeln!(f, "   quota  answers   failed  topic")?;
        for topic in &self.topics {
            writeln!(
                f,
                "{:>8} {:>8} {:>8}  {}",
                topic.quota, topic.answers, topic.failures, topic.name
            )?;
            if let Some(error) = &topic.last_error {
                writeln!(f, "{:>26}  last error: {error}", "")?;
            }
        }
        let spent = self.budget.spending();
        write!(
            f,
            "{} calls, {} tokens in, {} out",
            spent.calls, spent.usage.input_tokens, spent.usage.output_tokens
        )?;
        if spent.cost > Usd::ZERO {
            write!(f, "; {} at the prices known here", spent.cost)?;
        }
        writeln!(f)?;
        if spent.uncertain_calls > 0 {
            writeln!(
                f,
                "calls of unknown cost: {}, {}",
                spent.uncertain_calls,
                bound(spent.uncertain_tokens, spent.uncertain_cost)
            )?;
        }
        let open = self.lost.most();
        if open.calls > 0 {
            writeln!(
                f,
                "calls in flight, or lost with a process that was killed: {}, {}",
                open.calls,
                bound(open.tokens, open.cost)
            )?;
        }
        if !self.failed_calls.is_empty() {
            let failed: Vec<String> = self
                .failed_calls
                .iter()
                .map(|(kind, calls)| format!("{calls} {kind}"))
                .collect();
            writeln!(f, "failed calls: {}", failed.join(", "))?;
        }
        let mut invalid: Vec<_> = self.invalid.iter().collect();
        invalid.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        for (reason, count) in invalid {
            writeln!(f, "{count} invalid: {reason}")?;
        }
        match self.ended {
            Some(outcome) => write!(f, "ended: {outcome}"),
            None => f.write_str("not ended: `topicloom resume` goes on with it"),
        }
    }
}

/// Says how much calls can have come to. No tokens stand for answers that nothing bounds, and no cost for a price that is not known.
fn bound(tokens: u64, cost: Usd) -> String {
    match (tokens, cost) {
        (0, Usd::ZERO) => "and nothing bounds it: set `max_tokens`".to_owned(),
        (tokens, Usd::ZERO) => format!("at most {tokens} tokens, at an unknown price"),
        (tokens, cost) => format!("at most {tokens} tokens and {cost}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn entries(values: impl IntoIterator<Item = serde_json::Value>) -> Seen {
        let mut seen = Seen::default();
        for value in values {
            seen.take(&serde_json::from_value(value).expect("an entry"));
        }
        seen
    }

    fn planned(quotas: &[(&str, u64)]) -> serde_json::Value {
        let topics: Vec<_> = quotas
            .iter()
            .map(|(topic, quota)| json!({"topic": topic, "quota": quota, "origin": "given"}))
            .collect();
        json!({"planned": {"topics": topics, "notes": []}})
    }

    fn answered(task: u64, topic: usize) -> serde_json::Value {
        json!({"answered": {
            "task": task, "topic": topic, "wanted": 1, "round": 1, "model": "openai/gpt-4o-mini",
            "response": {"text": "{}", "usage": {"input_tokens": 1_000_000, "output_tokens": 10}},
            "failed_calls": ["overloaded"],
        }})
    }

    #[test]
    fn what_nothing_bounds_is_not_said_to_cost_nothing() {
        let finished = |uncertain: serde_json::Value| {
            let entry = json!({"finished": {"outcome": "cancelled", "uncertain": uncertain}});
            entries([planned(&[("tides", 2)]), entry]).to_string()
        };
        for (tokens, cost, said) in [
            (
                0,
                0.0,
                "calls of unknown cost: 1, and nothing bounds it: set `max_tokens`\n",
            ),
            (
                9,
                0.0,
                "calls of unknown cost: 1, at most 9 tokens, at an unknown price\n",
            ),
            (
                9,
                0.5,
                "calls of unknown cost: 1, at most 9 tokens and $0.50\n",
            ),
        ] {
            let shown = finished(json!({"calls": 1, "tokens": tokens, "cost": cost}));
            assert!(shown.contains(said), "{shown}");
        }
    }

    #[test]
    fn a_second_plan_keeps_the_counts_of_the_first() {
        let failed = json!({"failed": {
            "task": 2, "topic": 1, "wanted": 1, "round": 1, "model": "test/loom", "kind": "timeout",
            "message": "too late (timeout)", "failed_calls": ["timeout", "timeout"],
            "uncertain": {"calls": 2, "tokens": 1_600, "cost": 0.03},
        }});
        let seen = entries([
            planned(&[("tides", 2), ("currents", 1)]),
            answered(0, 0),
            answered(1, 0),
            failed,
            json!({"finished": {
                "outcome": "short", "uncertain": {"calls": 1, "tokens": 400, "cost": 0.02},
            }}),
            planned(&[("tides", 2), ("currents", 0), ("waves", 4)]),
            answered(3, 2),
        ]);
        let shown = seen.to_string();
        assert_eq!(
            shown,
            "   quota  answers   failed  topic\n\
             \x20      2        2        0  tides\n\
             \x20      0        0        1  currents\n\
             \x20                           last error: too late (timeout)\n\
             \x20      4        1        0  waves\n\
             9 calls, 3000000 tokens in, 30 out; $0.450018 at the prices known here\n\
             calls of unknown cost: 3, at most 2000 tokens and $0.05\n\
             failed calls: 3 overloaded, 2 timeout\n\
             not ended: `topicloom resume` goes on with it"
        );
    }

    #[test]
    fn why_records_were_invalid_is_counted_by_place_and_keyword() {
        let input = json!({
            "user_instruction": "Questions", "num_records": 2,
            "output_schema": [
                {"name": "question", "type": "str"},
                {"name": "level", "type": "str", "enum": ["easy", "hard"]},
            ],
        });
        let started = json!({"started": {
            "format": 1, "library": "0.1.0", "seed": 7, "fingerprint": "0", "input": input,
        }});
        let mut answer = answered(0, 0);
        answer["answered"]["response"]["text"] = json!(
            r#"[{"question": "A?", "level": "mild"}, {"question": 1, "level": "odd"}, {"question": "B?", "level": "easy"}]"#
        );
        let shown = entries([started, planned(&[("tides", 2)]), answer]).to_string();
        assert!(
            shown.contains("\n2 invalid: /level enum\n1 invalid: /question type\n"),
            "{shown}"
        );
    }
}
