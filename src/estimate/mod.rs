//! What a run will take, before it is started: calls, tokens and money, each as a range.

mod part;
mod pilot;
mod prompt_size;
mod shape;
mod show;

use serde::Serialize;

pub use part::Spread;
pub use pilot::{Pilot, PilotCalls, PilotCandidates, PilotTopic};

use crate::error::Result;
use crate::input::GenerateByTopicInput;
use crate::llm::price::{Price, PriceTable, Usd};
use crate::prompt::Prompts;
use crate::schema::SchemaRenderer;
use part::{LIKELY_CALLS, MOST_CALLS, Part, whole};
use shape::Shape;
pub(crate) use shape::most_tokens_of_a_record;

/// What a run will take if it completes: calls, tokens and money, each as a range.
///
/// Made by [`estimate`] or [`Pipeline::estimate`](crate::Pipeline::estimate) without a call; narrowed by what a
/// small run of the same input used, with [`after_pilot`](Self::after_pilot).
///
/// # What is not promised
///
/// A run may end outside of the ranges where an [assumption](Self::assumptions) does not hold: models that reason
/// before they answer write many times more than what is seen. To be sure of a limit, set `max_cost_usd`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Estimate {
    /// Records asked for.
    pub records: u64,
    /// Calls, retries included.
    pub calls: Spread<u64>,
    /// Prompt tokens.
    pub input_tokens: Spread<u64>,
    /// Answer tokens.
    pub output_tokens: Spread<u64>,
    /// US dollars; absent where a model has no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<Spread<Usd>>,
    /// Why there is no cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_cost: Option<String>,
    /// What the ranges rest on, in words.
    pub assumptions: Vec<String>,
    #[serde(skip)]
    shape: Shape,
    #[serde(skip)]
    rates: Rates,
}

/// What the models cost that the run asks.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Rates {
    /// With the share of calls each gets; a fallback gets none.
    records: Vec<(Price, f64)>,
    topics: Vec<(Price, f64)>,
    judge: Vec<(Price, f64)>,
    other_answers: Vec<(Price, f64)>,
    missing: Option<String>,
}

/// Estimates what [`generate_by_topic`](crate::generate_by_topic) will take for an input.
///
/// ```
/// use topicloom::GenerateByTopicInput;
/// use topicloom::pipeline::estimate;
/// use topicloom::llm::price::PriceTable;
///
/// let input = GenerateByTopicInput::builder()
///     .user_instruction("Q&A pairs about machine learning")
///     .num_records(100)
///     .topics(["supervised learning", "neural networks"])
///     .generation_model("openai/gpt-4o-mini")
///     .build()?;
/// let estimate = estimate(&input, &PriceTable::known())?;
/// // Ten records a call, if they fit into an answer.
/// assert_eq!(estimate.calls.low, 10);
/// assert!(estimate.cost.is_some_and(|cost| cost.low < cost.likely && cost.likely < cost.high));
/// # Ok::<(), topicloom::Error>(())
/// ```
///
/// # Errors
///
/// Where a prompt or the schema cannot be rendered.
pub fn estimate<T>(input: &GenerateByTopicInput<T>, prices: &PriceTable) -> Result<Estimate> {
    let settings = input.settings();
    let records = input.generation_models().iter();
    let records = records.map(|(name, weight)| (name.as_str(), *weight));
    // A fallback is asked only when others are out: it may be the dearest, and has no share.
    let fallbacks = settings
        .fallback_models
        .iter()
        .map(|name| (name.as_str(), 0));
    let records: Vec<_> = records.chain(fallbacks).collect();
    let topics = [(input.topic_model().as_str(), 1)];
    let judge = settings
        .judge
        .as_ref()
        .and_then(|judge| judge.model.as_ref());
    let judge = judge.map(|model| (model.as_str(), 1));
    let rejected = input.rejected_model().map(|model| (model.as_str(), 1));
    let rates = Rates::new(input, prices, &records, &topics, [judge, rejected]);
    let prompts = settings.prompts.prompts()?;
    estimate_with(input, &prompts, &settings.schema_renderer, rates)
}

/// Estimates what a run with these parts will take.
pub(crate) fn estimate_with<T>(
    input: &GenerateByTopicInput<T>,
    prompts: &dyn Prompts,
    renderer: &dyn SchemaRenderer,
    rates: Rates,
) -> Result<Estimate> {
    let most_answer = rates
        .records
        .iter()
        .map(|(price, _)| price.max_output_tokens);
    let shape = Shape::new(input, prompts, renderer, most_answer.max().flatten())?;
    let fewest = shape.fewest_calls;
    let calls = Spread::new(fewest, fewest * LIKELY_CALLS, fewest * MOST_CALLS);
    let part = Part {
        calls,
        answered: calls,
        input: shape.input,
        output: shape.output,
        cached: shape.system,
    };
    let mut assumptions = vec![
        "a token covers 2 to 6 bytes of text, 4 most likely".to_owned(),
        "of three calls at least one gives what it was asked for; most likely four of five do"
            .to_owned(),
        format!(
            "a field of a record takes {} to {} tokens, {} most likely, and no hidden reasoning",
            shape::FIELD.low,
            shape::FIELD.high,
            shape::FIELD.likely
        ),
    ];
    if shape.topics.is_some() {
        assumptions.push(
            "topics are asked for 50 at a time, and an ask brings at least half of them".to_owned(),
        );
    }
    Ok(assemble(shape, rates, part, assumptions))
}

impl Estimate {
    /// Narrows the ranges by what a pilot used: a run of the same input for fewer records, some tens of calls.
    ///
    /// What the pilot measured, calls for each record and tokens for each call, replaces what was assumed, with a
    /// margin for chance that one run in two thousand exceeds. A pilot that made no record changes nothing.
    ///
    /// ```no_run
    /// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// use topicloom::pipeline::estimate;
    /// use topicloom::llm::price::PriceTable;
    /// use topicloom::{GenerateByTopicInput, generate_by_topic};
    ///
    /// let input = GenerateByTopicInput::from_json_slice(&std::fs::read("input.json")?)?;
    /// let small = input.clone().to_builder().num_records(40).build()?;
    /// let pilot = generate_by_topic(small).await?;
    /// let estimate = estimate(&input, &PriceTable::known())?.after_pilot(pilot.report());
    /// println!("{:?}", estimate.cost);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn after_pilot(&self, pilot: impl Into<Pilot>) -> Self {
        let pilot = pilot.into();
        let Some(part) = pilot.part(&self.shape) else {
            let mut same = self.clone();
            same.assumptions
                .push("the pilot made no record, so nothing is known from it".to_owned());
            return same;
        };
        let assumptions = vec![
            format!(
                "the run goes as the pilot went: {} records of {} calls, {} tokens in and {} out",
                pilot.accepted,
                pilot.record_calls.made,
                pilot.record_calls.usage.input_tokens,
                pilot.record_calls.usage.output_tokens
            ),
            "repetitions do not become more frequent as topics fill up, which a pilot cannot show"
                .to_owned(),
        ];
        assemble(self.shape.clone(), self.rates.clone(), part, assumptions)
    }
}

/// Adds up the calls for records and those for topics.
fn assemble(shape: Shape, rates: Rates, records: Part, assumptions: Vec<String>) -> Estimate {
    let parts = [
        Some((records, &rates.records)),
        shape.topics.map(|part| (part, &rates.topics)),
        shape.angles.map(|part| (part, &rates.topics)),
        shape.judge.map(|part| (part, &rates.judge)),
        shape.other_answers.map(|part| (part, &rates.other_answers)),
    ];
    let parts: Vec<_> = parts.into_iter().flatten().collect();
    let sum = |of: &dyn Fn(&Part) -> Spread<f64>| {
        let all = parts.iter().map(|(part, _)| of(part));
        all.fold(Spread::new(0.0, 0.0, 0.0), |sum, more| {
            sum.with(more, |sum, more| sum + more)
        })
    };
    let cost = rates.missing.is_none().then(|| {
        let all = parts.iter().map(|(part, prices)| part.cost(prices));
        let none = Spread::new(Usd::ZERO, Usd::ZERO, Usd::ZERO);
        all.fold(none, |sum, more| sum.with(more, |sum, more| sum + more))
    });
    Estimate {
        records: shape.records,
        calls: whole(sum(&|part| part.calls)),
        input_tokens: whole(sum(&|part| {
            part.answered
                .with(part.input, |calls, tokens| calls * tokens)
        })),
        output_tokens: whole(sum(&|part| {
            part.answered
                .with(part.output, |calls, tokens| calls * tokens)
        })),
        cost,
        no_cost: rates.missing.clone(),
        assumptions,
        shape,
        rates,
    }
}

impl Rates {
    /// Finds the prices of models that are named with their weights; a fallback has none. Unless others do, those who write
    /// records judge them, and give the other answer of a pair.
    pub(crate) fn new<T>(
        input: &GenerateByTopicInput<T>,
        prices: &PriceTable,
        records: &[(&str, u32)],
        topics: &[(&str, u32)],
        [judge, rejected]: [Option<(&str, u32)>; 2],
    ) -> Self {
        let topics = if input.asks_topic_model() {
            topics
        } else {
            &[]
        };
        let missing = records
            .iter()
            .chain(topics)
            .chain(&judge)
            .chain(&rejected)
            .find(|(model, _)| prices.get(model).is_none())
            .map(|(model, _)| {
                format!("the price of {model} is not known; give it to have the cost estimated")
            });
        let of = |models: &[(&str, u32)]| {
            let total: f64 = models.iter().map(|(_, weight)| f64::from(*weight)).sum();
            let share = |weight: u32| f64::from(weight) / total.max(1.0);
            models
                .iter()
                .filter_map(|(model, weight)| Some((prices.get(model)?, share(*weight))))
                .collect()
        };
        Self {
            records: of(records),
            topics: of(topics),
            judge: of(judge.as_ref().map_or(records, std::slice::from_ref)),
            other_answers: of(rejected.as_ref().map_or(records, std::slice::from_ref)),
            missing,
        }
    }
}
