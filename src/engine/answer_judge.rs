//! From an answer to candidates that are ready to be admitted. Stateless: it looks at one answer alone.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::try_join_all;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_128;

use super::RunParts;
use super::client_stack::ClientContext;
use super::run_filter::RunFilter;
use crate::candidate::Candidate;
use crate::dedup::{AnyFingerprint, Match};
use crate::diversity::excerpt;
use crate::embedding::Embedder;
use crate::error::{Error, ErrorKind, Result};
use crate::filter::{Filter, FilterVerdict, Scores, label, stands_in};
use crate::guard::{bounded, longest};
use crate::input::QUOTE;
use crate::journal::{JudgedNotes, Log};
use crate::llm::{self, ChatResponse, FinishReason, OutputMode, Usage};
use crate::outcome::{AnswerFault, Rejection};
use crate::parse::{self, Fault, Limits, Repair, Repairs, Shape};
use crate::record::{Decoded, JsonRecord};
use crate::report::LabelsReport;
use crate::schema::coerce::read_json_texts;
use crate::schema::dialect::Compiled;
use crate::schema::placeholder;
use crate::schema::{
    CoercionKind, DecodeFault, Dialect, RECORDS_KEY, RecordSchema, Violation, coerce,
};
use crate::topic::Topic;

/// The most violations of one record that are told to the model.
const MOST_VIOLATIONS: usize = 3;

/// Under what a candidate is counted about which a filter could not decide.
const FILTER_FAILED: &str = "the filter failed";

/// Under what a candidate is counted whose quote is none.
const NO_QUOTE: &str = "the quote does not stand in the text";

/// Judges answers against the schema, the caller's type and filters.
pub(super) struct AnswerJudge {
    parts: Arc<RunParts>,
    log: Arc<Log>,
    shape: Shape,
    limits: Limits,
    /// Whether candidates are kept as JSON, for hooks that are shown them.
    keeps_data: bool,
    filters: Vec<RunFilter>,
    /// How long a filter or the deduplicator may take for a record.
    longest: Duration,
    /// The way back from each dialect that an answer came in.
    dialects: Mutex<HashMap<Dialect, Arc<Compiled>>>,
    pub(super) notes: JudgedNotes,
}

/// What an answer holds.
#[derive(Default)]
pub(super) struct Judged {
    /// What is wrong with the answer as a whole.
    pub(super) fault: Option<AnswerFault>,
    /// The same in words that a model can use.
    pub(super) advice: Option<String>,
    /// Whether the provider says that the answer ran into the output limit; the text alone cannot tell that.
    pub(super) at_limit: bool,
    /// Whether it ran into the output limit because it repeats itself.
    pub(super) is_loop: bool,
    /// The part of its text that belongs to no whole record, from 0 to 1, where it ran into the output limit.
    pub(super) unfinished: f64,
    pub(super) usage: Usage,
    pub(super) candidates: Vec<Result<Ready, Refused>>,
    pub(super) repairs: Repairs,
    pub(super) coercions: Vec<CoercionKind>,
    /// Keys that were taken away since the field list does not name them.
    pub(super) dropped_keys: usize,
    /// The mode it was asked for in, where that is known.
    pub(super) mode: Option<OutputMode>,
    /// How it was asked for, where it held anything to read.
    pub(super) asked: Option<Asked>,
    /// Whether the answer is wanted records as they came, and nothing else.
    pub(super) is_clean: bool,
}

/// How structured output was asked for.
pub(super) struct Asked {
    pub(super) mode: OutputMode,
    pub(super) dialect: Dialect,
    pub(super) compiled: Arc<Compiled>,
}

/// A valid, decoded, wanted record, which is accepted if it is new and there is room.
pub(super) struct Ready {
    pub(super) data: Decoded,
    /// The record as it was validated, where it is kept.
    pub(super) json: Option<Box<JsonRecord>>,
    pub(super) excerpt: String,
    pub(super) fingerprint: AnyFingerprint,
    /// The scores that a judge gave it.
    pub(super) scores: Option<Arc<Scores>>,
    /// What makes it look unfinished, which is asked for again once.
    pub(super) placeholder: Option<Box<Violation>>,
}

/// A candidate that stopped on its way.
pub(super) struct Refused {
    pub(super) rejection: Rejection,
    /// What was wrong, in words that a model can use.
    pub(super) advice: Option<String>,
    /// Where the type and the schema disagree.
    pub(super) disagreement: Option<Box<DecodeFault>>,
    /// What the filter said.
    pub(super) filter: Option<&'static str>,
    /// The scores that a judge gave it.
    pub(super) scores: Option<Arc<Scores>>,
    /// Why the filter could not decide.
    pub(super) filter_error: Option<Box<Error>>,
    /// Where it is invalid, and by which keyword.
    pub(super) reasons: Box<[String]>,
    /// What it repeats.
    pub(super) repeats: Option<Box<Match>>,
    /// The candidate as far as it got, where it is kept.
    pub(super) json: Option<Box<JsonRecord>>,
}

impl Judged {
    /// Returns whether the answer holds a record that fits the schema, or `None` where that says nothing of how it was
    /// asked for: an answer that was cut off or declined.
    pub(super) fn is_usable(&self) -> Option<bool> {
        let fits = |candidate: &Result<Ready, Refused>| match candidate {
            Ok(_) => true,
            Err(refused) => refused.rejection != Rejection::Invalid,
        };
        if self.candidates.iter().any(fits) {
            return Some(true);
        }
        match self.fault {
            None | Some(AnswerFault::NoRecords | AnswerFault::Unreadable | AnswerFault::Empty) => {
                Some(false)
            }
            Some(_) => None,
        }
    }
}

impl AnswerJudge {
    pub(super) fn new(clients: &ClientContext, seed: u64) -> Self {
        let parts = Arc::clone(&clients.parts);
        let schema = &parts.schema;
        let longest = longest(parts.settings().call_timeout);
        let filters = parts.plug_ins.filters.iter();
        let filters = filters
            .map(|filter| RunFilter::new(filter, clients, seed, longest))
            .collect();
        let shape = Shape::new(schema.property_names().iter().cloned())
            .required(schema.required_names().iter().cloned())
            .wrapper(RECORDS_KEY);
        Self {
            shape,
            limits: Limits::default(),
            keeps_data: parts.plug_ins.hooks.want_data(),
            filters,
            longest,
            dialects: Mutex::default(),
            notes: JudgedNotes::new(rules(&parts), &clients.log),
            parts,
            log: Arc::clone(&clients.log),
        }
    }

    /// Judges the answer to a task, and notes in the log that it was.
    pub(super) async fn judge_and_note(
        &self,
        task: u64,
        topic: &Topic,
        response: &ChatResponse,
    ) -> Result<Judged> {
        let judged = self.judge(topic, response, false).await?;
        self.notes.add(task, judged.is_clean).await?;
        Ok(judged)
    }

    /// Returns whether filters decide with their models, and, where no further call is made, wait for an answer.
    pub(super) fn is_at_work(&self, makes_no_call: bool) -> bool {
        let mut filters = self.filters.iter();
        filters.any(|filter| filter.is_at_work(makes_no_call))
    }

    /// Returns whether words are kept that need not be asked for again.
    pub(super) fn keeps_words(&self) -> bool {
        let mut filters = self.filters.iter();
        self.parts.embedder.is_some() || filters.any(|filter| filter.key.is_some())
    }

    /// Judges one answer. Of one that was found clean by the same rules, nothing is looked at again that these decide.
    ///
    /// # Errors
    ///
    /// Where a filter or the deduplicator fails.
    pub(super) async fn judge(
        &self,
        topic: &Topic,
        response: &ChatResponse,
        was_clean: bool,
    ) -> Result<Judged> {
        let mut judged = Judged {
            at_limit: response.finish_reason == FinishReason::Length,
            usage: response.usage,
            mode: response.asked.map(|(mode, _)| mode),
            ..Judged::default()
        };
        if let Some((fault, advice)) = nothing_to_read(response) {
            (judged.fault, judged.advice) = (Some(fault), advice);
            return Ok(judged);
        }
        let plain = was_clean
            .then(|| parse::plain_records(&response.text, &self.shape))
            .flatten();
        let answer =
            plain.unwrap_or_else(|| parse::records(&response.text, &self.shape, &self.limits));
        if judged.at_limit {
            judged.is_loop = llm::is_loop(&response.text, &answer.values);
            judged.unfinished = llm::unfinished(&response.text, &answer.values);
        }
        // What the provider says of the cut goes before what the text looks like.
        let fault = match response.finish_reason {
            FinishReason::Length => Some(Fault::Truncated),
            _ if answer.fault.is_none() && answer.values.is_empty() => Some(Fault::NotRecords),
            _ => answer.fault,
        };
        judged.fault = fault.map(answer_fault);
        judged.advice = fault.map(|fault| fault.advice().to_owned());
        if fault.is_some() && answer.values.is_empty() && declines(&response.text) {
            (judged.fault, judged.advice) = (Some(AnswerFault::Refused), None);
        }
        judged.repairs = answer.repairs;
        let mut values = answer.values;
        let untyped = answer.repairs[Repair::PlainForm] > 0;
        if untyped && judged.at_limit {
            // Nothing in such a text tells whether its last record is whole.
            values.pop();
        }
        let compiled = self.way_back(response)?;
        judged.asked = response.asked.map(|(mode, dialect)| Asked {
            mode,
            dialect,
            compiled: Arc::clone(&compiled),
        });
        let candidate = |value| {
            let restored = self.brought_back(value, &compiled);
            let restored = if was_clean {
                restored
            } else {
                restored.map(|value| self.tidied(value, untyped, &mut judged))
            };
            self.candidate(topic, restored, was_clean)
        };
        let candidates = if values.len() == 1 {
            let only = values.pop().map(candidate).expect("there is one");
            vec![only.await?]
        } else {
            // Together, so that what embeds texts, or asks a model about them, can do so in one call.
            try_join_all(values.into_iter().map(candidate)).await?
        };
        judged.candidates = candidates;
        let is_ready = |candidate: &Result<Ready, Refused>| matches!(candidate, Ok(ready) if ready.placeholder.is_none());
        judged.is_clean = judged.fault.is_none()
            && judged.repairs == Repairs::default()
            && judged.coercions.is_empty()
            && judged.dropped_keys == 0
            && judged.candidates.iter().all(is_ready);
        Ok(judged)
    }

    /// Brings a value back into the caller's shape.
    fn brought_back(&self, value: Value, compiled: &Compiled) -> Result<Value, Refused> {
        let as_found = self.keeps_data.then(|| value.clone());
        compiled.restore_record(value).map_err(|violation| Refused {
            json: as_found.and_then(|value| self.kept(value)),
            ..Refused::invalid(&[violation])
        })
    }

    /// Repairs what may be repaired of a value.
    fn tidied(&self, value: Value, untyped: bool, judged: &mut Judged) -> Value {
        let value = self.coerced(value, untyped, &mut judged.coercions);
        let (value, dropped) = self.parts.schema.drop_unknown_keys(value);
        judged.dropped_keys += dropped;
        value
    }

    /// Returns how an answer gets back into the caller's shape.
    fn way_back(&self, response: &ChatResponse) -> Result<Arc<Compiled>> {
        let dialect = response.asked.map_or(Dialect::Full, |(_, dialect)| dialect);
        let mut dialects = self
            .dialects
            .lock()
            .expect("compiling a schema does not panic");
        if let Some(compiled) = dialects.get(&dialect) {
            return Ok(Arc::clone(compiled));
        }
        let compiled = Arc::new(self.parts.schema.compile(dialect)?);
        dialects.insert(dialect, Arc::clone(&compiled));
        Ok(compiled)
    }

    /// Gives values the types the schema asks for, as far as that is wanted. Texts that stood outside JSON have no types.
    fn coerced(&self, value: Value, untyped: bool, done: &mut Vec<CoercionKind>) -> Value {
        let (value, coercions) = if self.parts.settings().coerce_types || untyped {
            coerce(value, &self.parts.schema)
        } else {
            read_json_texts(value, &self.parts.schema)
        };
        done.extend(coercions.iter().map(|coercion| coercion.kind));
        value
    }

    async fn candidate(
        &self,
        topic: &Topic,
        restored: Result<Value, Refused>,
        was_clean: bool,
    ) -> Result<Result<Ready, Refused>> {
        let value = match restored {
            Ok(value) => value,
            Err(refused) => return Ok(Err(refused)),
        };
        // A record that a filter completes is not whole before.
        let is_completed = self.parts.input.is_completed();
        let valid = if was_clean {
            Ok(())
        } else {
            validated(&self.parts.schema, &value)
        };
        let decoded = valid.and_then(|()| {
            if is_completed {
                Ok(None)
            } else {
                self.decoded(&value)
            }
        });
        let mut decoded = match decoded {
            Ok(decoded) => decoded,
            Err(refused) => return Ok(Err(refused.with_json(self.kept(value)))),
        };
        let Value::Object(mut fields) = value else {
            return Ok(Err(Refused::new(Rejection::Invalid, None)));
        };
        if let Some(reason) = self.strays(topic, &fields) {
            let refused = Refused::filtered(reason);
            return Ok(Err(refused.with_json(self.kept(Value::Object(fields)))));
        }
        let (scores, has_changed) = match self.filtered(topic, &mut fields, was_clean).await? {
            Ok(kept) => kept,
            Err(refused) => return Ok(Err(refused.with_json(self.kept(Value::Object(fields))))),
        };
        if has_changed || is_completed {
            let whole = Value::Object(fields);
            let valid = validated(self.parts.input.schema(), &whole);
            decoded = match valid.and_then(|()| self.decoded(&whole)) {
                Ok(decoded) => decoded,
                Err(refused) => return Ok(Err(refused.with_json(self.kept(whole)))),
            };
            fields = match whole {
                Value::Object(fields) => fields,
                _ => JsonRecord::new(),
            };
        }
        let candidate = Candidate::new(topic.name(), &fields);
        let fingerprint = self.parts.deduplicator.fingerprint(&candidate);
        let part = "the deduplicator, or its embedder,";
        let fingerprint = bounded(part, self.longest, fingerprint).await?;
        let excerpt = excerpt(&fields);
        let placeholder = (!was_clean && !self.parts.settings().allow_placeholders)
            .then(|| self.unfinished(topic, &fields))
            .flatten()
            .map(Box::new);
        let (data, json) = if let Some(data) = decoded {
            (data, self.kept(Value::Object(fields)))
        } else {
            let json = self.keeps_data.then(|| Box::new(fields.clone()));
            (Decoded::Json(fields), json)
        };
        Ok(Ok(Ready {
            data,
            json,
            excerpt,
            fingerprint,
            scores,
            placeholder,
        }))
    }

    /// Finds what makes a record look unfinished. A character that was lost in what the model was given is none of its faults.
    fn unfinished(&self, topic: &Topic, fields: &JsonRecord) -> Option<Violation> {
        let input = &self.parts.input;
        let was_given = || {
            let examples = input.examples().given.iter().map(ToString::to_string);
            let mut given = examples.chain([
                topic.placed_name(),
                Value::Object(topic.variables()).to_string(),
                input.user_instruction().unwrap_or_default().to_owned(),
            ]);
            given.any(|given| given.contains(char::REPLACEMENT_CHARACTER))
        };
        placeholder::find(fields, &self.parts.schema)
            .or_else(|| placeholder::lost_character(fields).filter(|_| !was_given()))
    }

    /// Asks the filters about a record, and returns what scores it was given, and whether one of them changed it.
    async fn filtered(
        &self,
        topic: &Topic,
        fields: &mut JsonRecord,
        was_clean: bool,
    ) -> Result<Result<(Option<Arc<Scores>>, bool), Refused>> {
        let filters = self.filters.iter();
        let (mut scores, mut has_changed) = (None, false);
        // What a filter with a key said of a clean answer is known, but for what it adds to the record.
        let asked = |filter: &&RunFilter| !was_clean || filter.key.is_none() || filter.says_more();
        for filter in filters.filter(asked) {
            let candidate = Candidate::new(topic.name(), fields);
            let refused = match self.ask(filter, &candidate).await? {
                Ok(FilterVerdict::Keep) => continue,
                Ok(FilterVerdict::Completed(added)) => {
                    if filter.says_more() {
                        added.put_into(fields);
                        has_changed = true;
                    }
                    continue;
                }
                Ok(FilterVerdict::Reject(reason)) => Refused::filtered(reason),
                Ok(FilterVerdict::Scored(mut given)) => {
                    let Some(reason) = filter.refuses(&given) else {
                        has_changed |= filter.settle(fields, &mut given);
                        scores = Some(Arc::new(given));
                        continue;
                    };
                    let advice = given.words().unwrap_or(reason).to_owned();
                    Refused {
                        filter: Some(reason),
                        scores: Some(Arc::new(given)),
                        ..Refused::new(Rejection::Filtered, Some(advice))
                    }
                }
                Err(error) => Refused {
                    filter: Some(FILTER_FAILED),
                    filter_error: Some(Box::new(error)),
                    ..Refused::new(Rejection::Filtered, None)
                },
            };
            return Ok(Err(refused));
        }
        Ok(Ok((scores, has_changed)))
    }

    /// Has a filter decide, unless it is known what it said.
    ///
    /// # Errors
    ///
    /// Where that ends the run; the inner one says that it cannot decide.
    async fn ask(
        &self,
        filter: &RunFilter,
        candidate: &Candidate<'_>,
    ) -> Result<Result<FilterVerdict>> {
        let decide = |record| filter.check(candidate, record);
        let verdicts = &self.parts.verdicts;
        let key = filter.key.as_deref();
        match verdicts.ask(key, candidate, &self.log, decide).await? {
            // A call that was not made since the run stops says nothing of the record.
            Err(error) if error.is_fatal() || error.kind() == ErrorKind::Cancelled => Err(error),
            verdict => Ok(verdict),
        }
    }

    /// Asks filters about the records that people labelled, and returns how they compare; nothing where there are none.
    ///
    /// # Errors
    ///
    /// Where a filter breaks, or no further call is made.
    pub(super) async fn compare_with_people(&self) -> Result<Option<LabelsReport>> {
        let mut report = None;
        for filter in &self.filters {
            let labelled = filter.labelled();
            let candidates: Vec<Candidate<'_>> = labelled
                .iter()
                .map(|it| Candidate::new(&it.topic, &it.data))
                .collect();
            let asked = candidates.iter().map(|it| self.ask(filter, it));
            for (labelled, verdict) in labelled.iter().zip(try_join_all(asked).await?) {
                let report: &mut LabelsReport = report.get_or_insert_default();
                let judge = match verdict {
                    Ok(FilterVerdict::Keep | FilterVerdict::Completed(_)) => {
                        (true, BTreeMap::new())
                    }
                    Ok(FilterVerdict::Reject(_)) => (false, BTreeMap::new()),
                    Ok(FilterVerdict::Scored(scores)) => {
                        let means = scores.means().into_iter();
                        let means = means.map(|(name, mean)| (name.to_owned(), mean));
                        (filter.refuses(&scores).is_none(), means.collect())
                    }
                    Err(_) => {
                        report.undecided += 1;
                        continue;
                    }
                };
                report.add(labelled.row, judge, (labelled.accept, &labelled.scores));
            }
        }
        Ok(report)
    }

    /// Returns how a record strays from what it was asked for with.
    fn strays(&self, topic: &Topic, fields: &JsonRecord) -> Option<&'static str> {
        let schema = &self.parts.schema;
        let mut values = topic.labels();
        let other = values.find(|(name, wanted)| {
            schema.has_property(name) && !is_same(fields.get(*name), wanted)
        });
        let other = other.map(|(name, _)| {
            let reason = label(&format!("`{name}` is not the value that was asked for"));
            reason.unwrap_or("an attribute is not the value that was asked for")
        });
        other.or_else(|| {
            let row = topic.full_row()?;
            let text = row.shown().get(self.parts.input.quoted()?)?;
            let quote = fields
                .get(QUOTE)
                .and_then(Value::as_str)
                .unwrap_or_default();
            (!stands_in(quote, text.as_str()?)).then_some(NO_QUOTE)
        })
    }

    /// Decodes a value, unless it decodes to itself.
    fn decoded(&self, value: &Value) -> Result<Option<Decoded>, Refused> {
        match self.parts.decoder.decode(value) {
            Ok(data) => Ok(data),
            // The model cannot repair that: the attributes of the caller's type disagree with one another.
            Err(fault) => Err(Refused {
                disagreement: Some(Box::new(fault)),
                ..Refused::new(Rejection::Undecodable, None)
            }),
        }
    }

    fn kept(&self, value: Value) -> Option<Box<JsonRecord>> {
        match value {
            Value::Object(fields) if self.keeps_data => Some(Box::new(fields)),
            _ => None,
        }
    }
}

fn validated(schema: &RecordSchema, value: &Value) -> Result<(), Refused> {
    let valid = schema.validate(value);
    valid.map_err(|violations| Refused::invalid(&violations))
}

/// Returns whether a value is the one that is wanted; 1.0 is 1.
fn is_same(value: Option<&Value>, wanted: &Value) -> bool {
    let number = |value: &Value| value.as_f64();
    value.is_some_and(|value| {
        value == wanted || number(value).is_some_and(|value| number(wanted) == Some(value))
    })
}

/// Returns a hash of what decides on an answer, but for duplicates.
fn rules(parts: &RunParts) -> u128 {
    let filters = parts.plug_ins.filters.iter().map(Filter::rule);
    let rules = serde_json::json!([
        env!("CARGO_PKG_VERSION"),
        format!("{:032x}", parts.input.fingerprint()),
        filters.collect::<Vec<_>>(),
        // What is embedded depends on what is compared.
        parts
            .embedder
            .as_ref()
            .map(|embedder| [embedder.name(), &parts.deduplicator.describe()].concat()),
    ]);
    xxh3_128(rules.to_string().as_bytes())
}

/// Returns what is wrong with an answer that there is no point in reading, and what to tell the model.
fn nothing_to_read(response: &ChatResponse) -> Option<(AnswerFault, Option<String>)> {
    let is_blank = response.text.trim().is_empty();
    let advice = |fault: Fault| Some(fault.advice().to_owned());
    match response.finish_reason {
        // What to do about an answer that was declined holds for longer than one prompt.
        FinishReason::Refusal => Some((AnswerFault::Refused, None)),
        FinishReason::ContentFilter => Some((AnswerFault::ContentFiltered, None)),
        FinishReason::Length if is_blank => {
            Some((AnswerFault::Truncated, advice(Fault::Truncated)))
        }
        _ if is_blank => Some((AnswerFault::Empty, advice(Fault::Blank))),
        _ => None,
    }
}

/// Whether a text without any JSON declines: it is short, and in it somebody is sorry or cannot.
fn declines(text: &str) -> bool {
    const LONGEST: usize = 500;
    const WORDS: [&str; 9] = [
        "i'm sorry",
        "i am sorry",
        "i can't",
        "i cannot",
        "i'm unable to",
        "i am unable to",
        "je suis désolé",
        "lo siento",
        "tut mir leid",
    ];
    let said = text.trim().to_lowercase().replace('’', "'");
    text.len() <= LONGEST
        && !text.contains(['{', '['])
        && (said.starts_with("sorry") || WORDS.iter().any(|words| said.contains(words)))
}

impl Refused {
    pub(super) fn new(rejection: Rejection, advice: Option<String>) -> Self {
        Self {
            rejection,
            advice,
            disagreement: None,
            filter: None,
            scores: None,
            filter_error: None,
            reasons: Box::default(),
            repeats: None,
            json: None,
        }
    }

    /// Creates the refusal of a record for what a filter says.
    fn filtered(reason: &'static str) -> Self {
        Self {
            filter: Some(reason),
            ..Self::new(Rejection::Filtered, Some(reason.to_owned()))
        }
    }

    pub(super) fn invalid(violations: &[Violation]) -> Self {
        let mut reasons: Vec<String> = violations.iter().map(Violation::reason).collect();
        reasons.sort_unstable();
        reasons.dedup();
        Self {
            reasons: reasons.into(),
            ..Self::new(Rejection::Invalid, Some(in_words(violations)))
        }
    }

    pub(super) fn with_json(self, json: Option<Box<JsonRecord>>) -> Self {
        Self { json, ..self }
    }

    /// Returns why it was refused, where there is more to say than the kind of rejection.
    pub(super) fn in_words(&self) -> Option<String> {
        let disagreement = || self.disagreement.as_ref().map(ToString::to_string);
        self.advice.clone().or_else(disagreement)
    }
}

fn in_words(violations: &[Violation]) -> String {
    let words: Vec<String> = violations
        .iter()
        .take(MOST_VIOLATIONS)
        .map(ToString::to_string)
        .collect();
    words.join("; ")
}

fn answer_fault(fault: Fault) -> AnswerFault {
    match fault {
        Fault::Truncated => AnswerFault::Truncated,
        Fault::NotRecords => AnswerFault::NoRecords,
        _ => AnswerFault::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_short_text_of_somebody_who_cannot_declines() {
        assert!(declines("I’m sorry, but I can’t assist with that."));
        assert!(declines("Es tut mir leid, dabei kann ich nicht helfen."));
        assert!(!declines("Penguins are unable to fly, and not sorry."));
        assert!(!declines("I can't say more than {\"question\": "));
        assert!(!declines(&format!(
            "I cannot stop. {}",
            "Really. ".repeat(100)
        )));
    }
}
