//! The shape of a run: its fewest calls, and the size of each, from the plan and the rendered prompts.

use serde_json::Value;

use super::part::{LIKELY_CALLS, MOST_CALLS, Part, Spread, count, float};
use super::prompt_size::{prompt, tokens};
use crate::diversity::Steering;
use crate::error::Result;
use crate::input::{GenerateByTopicInput, RecordsPerRequest};
use crate::plan::{Origin, Plan, PlannedTopic};
use crate::prompt::{Prompts, RequestContext, SystemContext, TopicsContext};
use crate::schema::{RECORDS_KEY, RecordSchema, SchemaRenderer};
use crate::topic::Topic;

/// Tokens of a field with its name: a number or a word, a sentence or three, half a page.
pub(super) const FIELD: Spread<f64> = Spread {
    low: 3.0,
    likely: 40.0,
    high: 300.0,
};

/// Tokens of an accepted record as a later prompt shows it. It has at most 200 characters, which are some 50 tokens
/// of English and at most 200 of anything else; where nothing is accepted yet, none is shown.
const SHOWN: Spread<f64> = Spread {
    low: 0.0,
    likely: 40.0,
    high: 200.0,
};

/// Tokens of what a prompt tells of the last answer's faults: four notes, each with a shown record at most.
const FEEDBACK: f64 = 4.0 * 250.0;

/// Tokens of a judge's vote: a sentence and a score for each criterion.
const VOTE: Spread<f64> = Spread {
    low: 10.0,
    likely: 50.0,
    high: 300.0,
};

/// Items of a list whose length the schema leaves open.
const LIST: f64 = 3.0;

/// Topics that are asked for at once, and tokens of a topic's name in an answer, as
/// [`GeneratedTopics`](crate::topic::GeneratedTopics) has them.
const TOPICS_AT_ONCE: u64 = 50;
const TOPIC: Spread<f64> = Spread {
    low: 1.0,
    likely: 6.0,
    high: 40.0,
};

/// Stands for a topic that is not invented yet.
const UNNAMED: &str = "a topic of four words";

/// Topics whose prompts are rendered to learn how long they are; enough for a mean.
const RENDERED: usize = 100;

/// Returns the tokens that hardly any record of this shape exceeds.
pub(crate) fn most_tokens_of_a_record(schema: &RecordSchema) -> u64 {
    count(FIELD.high * fields(record_of(&schema.wrapped())))
}

/// What is known of a run before it starts.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shape {
    pub(super) records: u64,
    /// Calls for records if each gives what it is asked for.
    pub(super) fewest_calls: f64,
    /// Accepted records that a prompt shows, on average, if calls are made one after the other.
    pub(super) shown: f64,
    /// The same, if as many are shown as the run may learn to show.
    pub(super) shown_most: f64,
    avoid_most: u64,
    per_request: u64,
    pub(super) input: Spread<f64>,
    pub(super) output: Spread<f64>,
    /// Tokens of the prompt's unchanging part.
    pub(super) system: f64,
    /// The calls for topics, where there are any.
    pub(super) topics: Option<Part>,
    /// The calls for angles, where there are any.
    pub(super) angles: Option<Part>,
    /// The calls of a judge, where there is one.
    pub(super) judge: Option<Part>,
    /// The calls for the other answers of pairs, where those are made.
    pub(super) other_answers: Option<Part>,
}

impl Shape {
    pub(super) fn new<T>(
        input: &GenerateByTopicInput<T>,
        prompts: &dyn Prompts,
        renderer: &dyn SchemaRenderer,
        most_answer: Option<u64>,
    ) -> Result<Self> {
        let (allocation, settings) = (input.allocation(), input.settings());
        let generated = allocation.generated.iter().map(|&quota| PlannedTopic {
            topic: Topic::new(UNNAMED),
            quota,
            origin: Origin::Generated,
        });
        let plan = Plan {
            topics: allocation.given.iter().cloned().chain(generated).collect(),
            notes: Vec::new(),
        };
        let crossed = plan.crossed(input.attributes()).topics.into_iter();
        let quotas: Vec<(Topic, u64)> = crossed.map(|it| (it.topic, it.quota)).collect();
        let wrapped = input.asked_schema().wrapped();
        let limit = input.generation_parameters().max_tokens.or(most_answer);
        let limit = limit.map_or(f64::INFINITY, float);
        let per_request = match settings.records_per_request {
            RecordsPerRequest::Fixed(records) => records,
            // More calls in flight go before more records in each.
            learned @ RecordsPerRequest::Auto => {
                let calls = settings.max_concurrency as u64;
                let fit = count(limit / (FIELD.likely * fields(record_of(&wrapped))).max(1.0));
                let shared = allocation.total().div_ceil(calls);
                shared.min(fit).clamp(1, learned.most())
            }
        };
        // A run that learns how many to show begins with none.
        let avoid = settings.avoid_examples.unwrap_or(0);
        let most_avoid = settings.avoid_examples.unwrap_or(Steering::MOST as u64);
        let fewest: u64 = quotas
            .iter()
            .map(|(_, quota)| quota.div_ceil(per_request))
            .sum();

        let schema = renderer.render(input.asked_schema())?;
        let instruction = input.user_instruction();
        let system = SystemContext {
            instruction,
            ..SystemContext::new(&schema, RECORDS_KEY)
        };
        let system = prompts.system(&system)?.len() as u64;
        let examples = input.examples();
        let examples = examples.given.iter().take(examples.shown);
        let examples: Vec<String> = examples.map(ToString::to_string).collect();
        let request = mean_request(&quotas, per_request, |topic, count| {
            let (name, variables) = (topic.placed_name(), topic.variables());
            prompts.request(&RequestContext {
                instruction,
                row: topic.row(),
                variables: &variables,
                examples: &examples,
                ..RequestContext::new(&name, count)
            })
        })?;
        let text = prompt(system + request, wrapped.to_string().len() as u64);
        let shown = mean_shown(quotas.iter().map(|(_, quota)| *quota), per_request, avoid);
        let most_shown = quotas
            .iter()
            .map(|(_, quota)| (*quota).min(most_avoid))
            .max();
        let records = allocation.total();
        let a_call = float(records) / float(fewest.max(1));
        Ok(Self {
            records,
            fewest_calls: float(fewest),
            shown,
            shown_most: mean_shown(
                quotas.iter().map(|(_, quota)| *quota),
                per_request,
                most_avoid,
            ),
            avoid_most: most_avoid,
            per_request,
            input: Spread {
                low: text.low,
                likely: text.likely + shown * SHOWN.likely,
                high: text.high + float(most_shown.unwrap_or(0)) * SHOWN.high + FEEDBACK,
            },
            output: FIELD.each(|field| (field * fields(record_of(&wrapped)) * a_call).min(limit)),
            system: tokens(system).likely,
            topics: topics(input, prompts)?,
            angles: angles(input, prompts)?,
            judge: judge(input, fields(record_of(&wrapped)))?,
            other_answers: other_answers(input),
        })
    }

    /// Returns how many accepted records the prompts of topics with these quotas show on average, at most.
    pub(super) fn most_shown_of(&self, quotas: impl Iterator<Item = u64>) -> f64 {
        mean_shown(quotas, self.per_request, self.avoid_most)
    }
}

/// Returns the mean length of what is asked, in bytes.
fn mean_request(
    quotas: &[(Topic, u64)],
    per_request: u64,
    ask: impl Fn(&Topic, usize) -> Result<String>,
) -> Result<u64> {
    let (mut bytes, mut weight) = (0, 0);
    for (topic, quota) in quotas.iter().take(RENDERED) {
        let count = usize::try_from(per_request.min(*quota)).unwrap_or(usize::MAX);
        let length = ask(topic, count)?.len() as u64;
        bytes += u128::from(length) * u128::from(*quota);
        weight += u128::from(*quota);
    }
    Ok(u64::try_from(bytes / weight.max(1)).unwrap_or(u64::MAX))
}

/// The `n`-th call of a topic shows what those before it gave, up to this many.
fn mean_shown(quotas: impl Iterator<Item = u64>, per_request: u64, most: u64) -> f64 {
    let (mut shown, mut all) = (0.0, 0.0);
    for quota in quotas {
        let calls = quota.div_ceil(per_request);
        let growing = calls.min(most.div_ceil(per_request));
        let (growing, calls) = (float(growing), float(calls));
        shown += float(per_request) * growing * (growing - 1.0).max(0.0) / 2.0;
        shown += (calls - growing) * float(most);
        all += calls;
    }
    if all > 0.0 { shown / all } else { 0.0 }
}

/// Returns the calls of a judge: one a vote for each record of this many fields, as many for those that it refuses, and those
/// for records that people labelled.
fn judge<T>(input: &GenerateByTopicInput<T>, fields: f64) -> Result<Option<Part>> {
    let Some(settings) = &input.settings().judge else {
        return Ok(None);
    };
    // Of a pair, each answer is judged by itself.
    let answers = if input.is_completed() { 2.0 } else { 1.0 };
    let votes = f64::from(settings.votes) * answers * float(input.allocation().total());
    let labels = f64::from(settings.votes) * float(settings.labels.len() as u64);
    let calls = Spread::new(
        votes + labels,
        votes * LIKELY_CALLS + labels,
        votes * MOST_CALLS + labels,
    );
    let told = settings.judge(input.user_instruction())?.system();
    let text = prompt(told.len() as u64, 0);
    let record = FIELD.each(|field| field * fields);
    Ok(Some(Part {
        calls,
        answered: calls,
        input: Spread::new(
            text.low + record.low,
            text.likely + record.likely,
            text.high + record.high,
        ),
        output: VOTE,
        cached: tokens(told.len() as u64).likely,
    }))
}

/// Returns the calls for the other answers of pairs: one for each record, and as many for those that are refused.
fn other_answers<T>(input: &GenerateByTopicInput<T>) -> Option<Part> {
    let pairs = float(input.allocation().total());
    let calls = Spread::new(pairs, pairs * LIKELY_CALLS, pairs * MOST_CALLS);
    input.is_completed().then_some(Part {
        calls,
        answered: calls,
        input: FIELD,
        output: FIELD,
        cached: 0.0,
    })
}

/// Returns the calls for topics.
fn topics<T>(input: &GenerateByTopicInput<T>, prompts: &dyn Prompts) -> Result<Option<Part>> {
    let missing = input.allocation().generated.len() as u64;
    if missing == 0 {
        return Ok(None);
    }
    let at_once = missing.min(TOPICS_AT_ONCE);
    let context = TopicsContext::new(
        input.user_instruction(),
        usize::try_from(at_once).unwrap_or(usize::MAX),
    );
    let messages = prompts.topics(&context)?;
    let bytes = messages
        .iter()
        .map(|message| message.text.len() as u64)
        .sum();
    let text = prompt(bytes, 0);
    // Each ask shows the names there are, 300 of them at most.
    let known = float((missing + input.allocation().given.len() as u64).min(300));
    let asks = float(missing.div_ceil(TOPICS_AT_ONCE));
    // The provider gives up after twice as many asks and three.
    let calls = Spread::new(asks, asks * 1.25, 3.0 * (2.0 * asks + 3.0));
    Ok(Some(Part {
        calls,
        answered: calls,
        input: Spread {
            low: text.low,
            likely: text.likely + known / 2.0 * TOPIC.likely,
            high: text.high + known * TOPIC.high,
        },
        output: TOPIC.each(|topic| topic * float(missing) / asks),
        cached: 0.0,
    }))
}

/// Returns the calls for angles.
fn angles<T>(input: &GenerateByTopicInput<T>, prompts: &dyn Prompts) -> Result<Option<Part>> {
    let Some(angles) = &input.settings().angles else {
        return Ok(None);
    };
    let allocation = input.allocation();
    let topics = allocation.given.len() + allocation.generated.len();
    let asks = angles.asks(topics) as u64;
    if asks == 0 {
        return Ok(None);
    }
    let count = angles.count();
    let context = TopicsContext::new(input.user_instruction(), count)
        .within((asks > 1).then_some(UNNAMED))
        .for_angles();
    let messages = prompts.topics(&context)?;
    let bytes = messages.iter().map(|message| message.text.len() as u64);
    // One ask each; what fails is done without, after its retries.
    let calls = Spread::new(float(asks), float(asks), float(3 * asks));
    Ok(Some(Part {
        calls,
        answered: calls,
        input: prompt(bytes.sum(), 0),
        output: TOPIC.each(|name| name * float(count as u64)),
        cached: 0.0,
    }))
}

/// Returns the schema of one record in the schema of an answer.
fn record_of(wrapped: &Value) -> &Value {
    let list = wrapped.pointer(&format!("/properties/{RECORDS_KEY}/items"));
    list.unwrap_or(wrapped)
}

/// Returns how many values a record holds, as far as the schema says it in place.
fn fields(schema: &Value) -> f64 {
    if let Some(properties) = schema.get("properties").and_then(Value::as_object) {
        return properties.values().map(fields).sum::<f64>().max(1.0);
    }
    match schema.get("items") {
        Some(items) => {
            let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
            let length = LIST.max(bound("minItems").unwrap_or(0.0));
            length.min(bound("maxItems").unwrap_or(LIST.max(length))) * fields(items)
        }
        None => 1.0,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn fields_are_counted_through_objects_and_lists() {
        let schema = json!({"properties": {
            "a": {"type": "string"},
            "b": {"properties": {"c": {}, "d": {}}},
            "e": {"type": "array", "items": {"type": "string"}},
            "f": {"type": "array", "items": {"type": "string"}, "minItems": 5, "maxItems": 9},
            "g": {"type": "array", "items": {"type": "string"}, "maxItems": 1},
        }});
        assert!((fields(&schema) - 12.0).abs() < 1e-9);
    }

    #[test]
    fn where_it_is_learned_a_call_asks_for_as_many_as_there_is_room_for() {
        let calls = |max_tokens: u64| {
            let input = json!({"user_instruction": "about the sea", "num_records": 100, "topics": ["tides"],
                "generation_model_name": "openai/gpt-4o-mini", "output_schema": [{"name": "q", "type": "str"}],
                "generation_model_kwargs": {"max_tokens": max_tokens}});
            let input = GenerateByTopicInput::from_json_value(input).expect("it is valid");
            let prices = crate::llm::price::PriceTable::known();
            crate::estimate::estimate(&input, &prices)
                .expect("known")
                .calls
                .low
        };
        assert_eq!((calls(10), calls(10_000)), (100, 10));
    }

    #[test]
    fn each_vote_of_a_judge_is_a_call() {
        let input = |judge| {
            let input = json!({"user_instruction": "about the sea", "num_records": 20, "topics": ["tides"],
                "generation_model_name": "openai/gpt-4o-mini", "judge": judge,
                "data_factory_config": {"records_per_request": 1}});
            GenerateByTopicInput::from_json_value(input).expect("the test's input is valid")
        };
        let prices = crate::llm::price::PriceTable::known();
        let estimate = |judge| crate::estimate::estimate(&input(judge), &prices).expect("known");
        let without = estimate(json!(null));
        let mut said = json!({"criteria": ["clear"], "accept": "clear > 3", "votes": 3});
        let with = estimate(said.clone());
        assert_eq!((without.calls.low, with.calls.low), (20, 80));
        said["labels"] = json!([{"question": "Why?", "answer": "So.", "accept": true}]);
        assert_eq!(estimate(said.clone()).calls.low, 83);
        said["model"] = json!("openai/gpt-4o");
        let cost = |estimate: &super::super::Estimate| estimate.cost.expect("a price").likely;
        assert!(cost(&estimate(said)) > cost(&with));
    }

    #[test]
    fn the_other_answer_of_a_pair_is_a_call_and_judged_as_the_first_is() {
        let estimate = |kind, judge| {
            let input = json!({"user_instruction": "about the sea", "num_records": 20, "topics": ["tides"],
                "generation_model_name": "openai/gpt-4o-mini", "kind": kind, "judge": judge,
                "data_factory_config": {"records_per_request": 1}});
            let input = GenerateByTopicInput::from_json_value(input).expect("it is valid");
            crate::estimate::estimate(&input, &crate::llm::price::PriceTable::known())
                .expect("known")
        };
        let by = |model: &str| json!({"preference": {"rejected_model": model}});
        let judge = json!({"criteria": ["clear"], "accept": "clear > 3", "votes": 3});
        let two_models = estimate(by("openai/gpt-4o-mini"), json!(null));
        assert_eq!(two_models.calls.low, 40);
        assert_eq!(estimate(json!("preference"), judge).calls.low, 40 + 120);
        let dear = estimate(by("openai/gpt-4o"), json!(null));
        let cost = |estimate: &super::super::Estimate| estimate.cost.expect("a price").likely;
        assert!(cost(&dear) > cost(&two_models));
    }

    #[test]
    fn prompts_show_what_the_calls_before_them_gave() {
        // 0, 1, 2, 3, 3, 3 records.
        assert!((mean_shown([6].into_iter(), 1, 3) - 2.0).abs() < 1e-9);
        // 0 and 2 records.
        assert!((mean_shown([4].into_iter(), 2, 10) - 1.0).abs() < 1e-9);
        assert!(mean_shown([5].into_iter(), 1, 0).abs() < 1e-9);
    }
}
