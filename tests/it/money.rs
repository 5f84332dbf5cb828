//! What a run may spend, and who it spends it on.

use std::collections::BTreeSet;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use topicloom::dedup::ExactDuplicates;
use topicloom::journal::MemoryJournal;
use topicloom::llm::layers::Spending;
use topicloom::llm::price::{Price, PriceTable, Usd};
use topicloom::llm::{Capabilities, ChatRequest, ChatResponse};
use topicloom::pipeline::{Estimate, Pilot, Spread};
use topicloom::random::Random;
use topicloom::report::Outcome;
use topicloom::testing::FaultyModel;
use topicloom::{
    Dataset, Error, ErrorKind, GenerateByTopicInput, LlmClient, Pipeline, Report, Result,
};

fn input(json: Value) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json).expect("the test's input is valid")
}

/// A thousand dollars per million tokens, so that a call costs about half a dollar.
fn price() -> Price {
    Price::per_million(1_000.0, 4_000.0).expect("an amount")
}

fn prices() -> PriceTable {
    PriceTable::empty()
        .with("faulty/model", price())
        .with("test/*", price())
}

/// Returns the records and, where the run is not complete, why.
async fn generate(pipeline: &Pipeline, input: GenerateByTopicInput) -> (Dataset, Option<Error>) {
    match pipeline.generate(input).await {
        Ok(dataset) => (dataset, None),
        Err(error) => {
            let (error, dataset) = error.into_parts();
            (dataset, Some(error))
        }
    }
}

/// A faulty model under a name of its own, whose records no other has.
#[derive(Debug)]
struct Named(&'static str, FaultyModel);

impl Named {
    fn new(name: &'static str, model: FaultyModel) -> Self {
        let model = model.records(move |number| {
            json!({"question": format!("{name} asks {number}"), "answer": format!("{name} {number}")})
        });
        Self(name, model)
    }
}

#[async_trait]
impl LlmClient for Named {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        self.1.complete(request).await
    }

    fn model(&self) -> &str {
        self.0
    }

    fn capabilities(&self) -> Capabilities {
        self.1.capabilities()
    }
}

#[tokio::test(start_paused = true)]
async fn no_run_spends_more_than_its_caps_allow() {
    let mut stopped = [0; 3];
    for seed in 0..300 {
        let mut random = Random::new(seed).fork("caps");
        let model = FaultyModel::new(seed)
            .failures(0.2)
            .duplicates(0.2)
            .malformed(0.05)
            .delays(Duration::from_millis(1)..=Duration::from_secs(9));
        let caps = [
            (
                "max_cost_usd",
                "the cap on cost",
                json!(random.below(60) + 5),
            ),
            (
                "max_tokens_total",
                "the cap on tokens",
                json!(random.below(30_000) + 2_000),
            ),
            ("max_calls", "the cap on calls", json!(random.below(60) + 1)),
        ];
        let (setting, named, cap) = &caps[random.index(3)];
        let mut json = json!({
            "num_records": 60,
            "topics": ["a", "b", "c"],
            "generation_model_kwargs": {"max_tokens": 300},
            "data_factory_config": {
                "seed": seed,
                "max_concurrency": random.below(24) + 1,
                "records_per_request": random.below(3) + 1,
            },
        });
        json["data_factory_config"][*setting] = cap.clone();
        let pipeline = Pipeline::builder(model.clone()).prices(prices()).build();
        let (dataset, error) = generate(&pipeline, input(json)).await;

        let report = dataset.report();
        let (spent, books) = (&report.spending, model.books().counts());
        assert_eq!(report.imbalances(), Vec::<String>::new(), "seed {seed}");
        assert_eq!(spent.calls, books.calls, "seed {seed}");
        assert_eq!(spent.usage, books.usage, "seed {seed}");
        let cap = cap.as_u64().expect("all caps here are whole");
        match *setting {
            "max_cost_usd" => {
                let most = Usd::from_nano(cap * 1_000_000_000);
                assert!(spent.cost + spent.uncertain_cost <= most, "seed {seed}");
                assert!(price().cost(&books.usage) <= most, "seed {seed}");
            }
            "max_tokens_total" => {
                let tokens = books.usage.total() + spent.uncertain_tokens;
                assert!(tokens <= cap, "seed {seed}");
            }
            _ => assert!(books.calls <= cap, "seed {seed}"),
        }
        let Some(error) = error else { continue };
        if error.kind() != ErrorKind::Budget {
            assert_eq!(error.kind(), ErrorKind::Incomplete, "seed {seed}: {error}");
            continue;
        }
        stopped[caps
            .iter()
            .position(|cap| cap.0 == *setting)
            .expect("one of them")] += 1;
        assert_eq!(report.outcome, Outcome::Incomplete, "seed {seed}");
        assert_eq!(dataset.len() as u64, report.accepted, "seed {seed}");
        let reason = report.reason.as_deref().expect("a short run has a reason");
        assert!(reason.contains(named), "seed {seed}: {reason}");
    }
    assert!(
        stopped.iter().all(|runs| *runs > 30),
        "{stopped:?} runs were stopped by a cap"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cap_on_money_without_a_price_is_refused_before_the_first_call() {
    let json = json!({
        "num_records": 5, "topics": ["a"],
        "generation_model_kwargs": {"max_tokens": 300},
        "data_factory_config": {"max_cost_usd": 100},
    });
    let model = FaultyModel::new(1);
    let priced = Named::new("test/priced", FaultyModel::new(1));
    for pipeline in [
        Pipeline::builder(model.clone()),
        Pipeline::builder(priced)
            .prices(prices())
            .fallback(Named::new("own/other", model.clone())),
    ] {
        let error = pipeline
            .build()
            .generate(input(json.clone()))
            .await
            .expect_err("no price");
        assert_eq!(error.error().kind(), ErrorKind::Config);
        assert!(error.to_string().contains("price"), "{error}");
        assert_eq!(model.books().counts().calls, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cap_that_is_reached_among_the_topics_ends_the_run_short() {
    let json = json!({
        "user_instruction": "anything", "num_records": 90, "records_per_topic": 1,
        "data_factory_config": {"max_calls": 1},
    });
    let pipeline = Pipeline::builder(FaultyModel::new(1)).build();
    let (dataset, error) = generate(&pipeline, input(json)).await;
    assert_eq!(
        error.expect("ninety topics take two calls").kind(),
        ErrorKind::Budget
    );
    let report = dataset.report();
    assert_eq!(
        (report.outcome, report.topic_calls.made),
        (Outcome::Incomplete, 1)
    );
    assert_eq!(report.imbalances(), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn what_was_spent_before_counts_when_a_run_goes_on() {
    for (setting, caps) in [
        ("max_calls", [10, 25, 25]),
        ("max_tokens_total", [6_000, 12_000, 12_000]),
        ("max_cost_usd", [8, 16, 16]),
    ] {
        let journal = MemoryJournal::default();
        let model = FaultyModel::new(7).duplicates(0.3).malformed(0.1);
        let mut accepted = 0;
        for (run, cap) in caps.into_iter().enumerate() {
            let mut json = json!({
                "num_records": 200, "topics": ["a", "b"],
                "generation_model_kwargs": {"max_tokens": 300},
                "data_factory_config": {"max_concurrency": 4, "avoid_examples": 10, "records_per_request": 1},
            });
            json["data_factory_config"][setting] = cap.into();
            let before = model.books().counts().calls;
            let pipeline = Pipeline::builder(model.clone())
                .prices(prices())
                .journal(journal.clone())
                .build();
            let (dataset, error) = generate(&pipeline, input(json)).await;
            assert_eq!(
                error.expect("the cap is low").kind(),
                ErrorKind::Budget,
                "{setting}"
            );
            let books = model.books().counts();
            let spent = match setting {
                "max_calls" => books.calls,
                "max_tokens_total" => books.usage.total(),
                _ => price().cost(&books.usage).nano() / 1_000_000_000,
            };
            assert!(spent <= cap, "{setting}: {spent} of {cap} in run {run}");
            assert_eq!(dataset.report().spending.usage, books.usage, "{setting}");
            assert_eq!(dataset.report().imbalances(), Vec::<String>::new());
            if run == 2 {
                assert_eq!(books.calls, before, "{setting}: nothing was left to spend");
            } else {
                assert!(dataset.report().accepted > accepted, "{setting}");
            }
            accepted = dataset.report().accepted;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_failed_and_were_not_made_again_count_when_a_run_goes_on() {
    for seed in 0..20 {
        let journal = MemoryJournal::default();
        let model = FaultyModel::new(seed).failure(ErrorKind::Overloaded, 0.4);
        for cap in [10, 20, 30, 30] {
            let json = json!({
                "user_instruction": "anything", "num_records": 200, "records_per_topic": 20,
                "data_factory_config": {"max_concurrency": 4, "max_calls": cap},
            });
            let pipeline = Pipeline::builder(model.clone())
                .journal(journal.clone())
                .build();
            let (dataset, error) = generate(&pipeline, input(json)).await;
            assert!(error.is_some(), "seed {seed}: the cap is low");
            let made = model.books().counts().calls;
            assert!(made <= cap, "seed {seed}: {made} of {cap} calls");
            assert_eq!(dataset.report().spending.calls, made, "seed {seed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_that_may_have_been_billed_count_when_a_run_goes_on() {
    let mut ends = BTreeSet::new();
    for seed in 0..120 {
        let model = FaultyModel::new(seed)
            .stalled(0.15)
            .empty(0.05)
            .failure(ErrorKind::ContextLength, 0.05)
            .failure(ErrorKind::Quota, if seed % 3 == 0 { 0.01 } else { 0.0 })
            .delays(Duration::from_millis(1)..=Duration::from_secs(9));
        let mut json = json!({
            "user_instruction": "anything", "num_records": 60, "topics": ["a", "b", {"c": 2}],
            "generation_model_kwargs": {"max_tokens": 300}, "topic_model_kwargs": {"max_tokens": 300},
            "data_factory_config": {
                "seed": seed, "max_concurrency": 1 + seed % 9, "max_retries": 2, "job_run_stop_threshold": 100,
                "records_per_request": 1,
            },
        });
        if seed % 2 == 0 {
            json["data_factory_config"]["max_cost_usd"] = json!(30);
        }
        if seed % 4 == 1 {
            // The topics are to be paid for, too.
            json["topics"] = Value::Null;
            json["records_per_topic"] = json!(10);
        }
        let journal = MemoryJournal::default();
        let pipeline = Pipeline::builder(model)
            .prices(prices())
            .journal(journal.clone())
            .build();
        let run = pipeline.run(input(json.clone())).expect("it starts");
        let stop = run.stop_handle();
        let stopped = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(30)).await;
            if seed % 5 == 0 {
                stop.stop();
            }
        });
        let (first, end) = match run.collect().await {
            Ok(dataset) => (dataset, None),
            Err(error) => {
                let (error, dataset) = error.into_parts();
                (dataset, Some(error.kind().as_str()))
            }
        };
        stopped.abort();
        ends.insert(end);
        let entries = journal.entries();

        // It goes on and is stopped before it asks for anything.
        let run = pipeline.run(input(json)).expect("it starts");
        run.stop_handle().stop();
        let report = match run.collect().await {
            Ok(dataset) => dataset.report().clone(),
            Err(error) => error.report().clone(),
        };
        assert_eq!(first.report().topic_calls.made > 0, seed % 4 == 1);
        let (before, after) = (first.report().spending, report.spending);
        assert!(before.uncertain_calls > 0, "seed {seed}");
        let certain = |spent: &Spending| (spent.cost, spent.usage, spent.unpriced_calls);
        let uncertain = |spent: &Spending| {
            (
                spent.uncertain_calls,
                spent.uncertain_tokens,
                spent.uncertain_cost,
            )
        };
        assert_eq!(certain(&after), certain(&before), "seed {seed}, {end:?}");
        assert_eq!(
            uncertain(&after),
            uncertain(&before),
            "seed {seed}, {end:?}"
        );
        assert_eq!(journal.entries().len(), entries.len(), "nothing is new");
    }
    let expected = [None, Some("budget"), Some("cancelled"), Some("quota")];
    assert!(ends.is_superset(&BTreeSet::from(expected)), "{ends:?}");
}

/// Two models of three to one, of which the second is twice as dear.
fn mixed(journal: MemoryJournal) -> Pipeline {
    let dear = Price::per_million(2_000.0, 8_000.0).expect("an amount");
    Pipeline::builder(Named::new("test/usual", FaultyModel::new(1)))
        .weight(3)
        .model_with_weight(Named::new("test/rare", FaultyModel::new(2)), 1)
        .deduplicator(ExactDuplicates::default())
        .prices(prices().with("test/rare", dear))
        .journal(journal)
        .build()
}

#[tokio::test(start_paused = true)]
async fn models_share_the_work_by_weight_and_each_record_names_its_own() {
    let json = json!({
        "num_records": 400, "topics": ["a", "b"], "data_factory_config": {"seed": 5, "records_per_request": 1},
    });
    let journal = MemoryJournal::default();
    let (dataset, error) = generate(&mixed(journal.clone()), input(json.clone())).await;
    assert!(error.is_none());
    for record in &dataset {
        let text = record.data["question"].as_str().expect("a text");
        assert!(
            text.starts_with(&*record.meta.model),
            "{}",
            record.meta.model
        );
    }
    let report = dataset.report();
    let rare = report.models["test/rare"].calls;
    // Three standard deviations around 100.
    assert!(rare.abs_diff(100) < 27, "{rare}");
    assert_eq!(
        rare + report.models["test/usual"].calls,
        report.record_calls.made
    );

    // The journal knows as much: the same models, and the same cost.
    let (again, error) = generate(&mixed(journal), input(json)).await;
    assert!(error.is_none());
    let models = |dataset: &Dataset| -> Vec<_> {
        dataset
            .iter()
            .map(|record| record.meta.model.to_string())
            .collect()
    };
    assert_eq!(models(&again), models(&dataset));
    assert_eq!(again.report().models, report.models);
    assert_eq!(again.report().spending, report.spending);
}

#[tokio::test(start_paused = true)]
async fn a_model_whose_quota_is_spent_is_replaced_by_the_next() {
    let spent = FaultyModel::new(1).failure(ErrorKind::Quota, 1.0);
    let pipeline = Pipeline::builder(Named::new("test/spent", spent))
        .fallback(Named::new("test/next", FaultyModel::new(2)))
        .deduplicator(ExactDuplicates::default())
        .build();
    let json = json!({
        "num_records": 50, "topics": ["a"],
        "data_factory_config": {"max_concurrency": 4, "records_per_request": 1},
    });
    let (dataset, error) = generate(&pipeline, input(json)).await;
    assert!(error.is_none(), "{error:?}");
    let writers: BTreeSet<_> = dataset.iter().map(|record| &*record.meta.model).collect();
    assert_eq!(writers, BTreeSet::from(["test/next"]));
    let report = dataset.report();
    assert_eq!(report.models["test/next"].calls, 50);
    // Those in flight when it became known, and none after.
    assert!(report.models["test/spent"].calls <= 8);
    assert_eq!(report.imbalances(), Vec::<String>::new());
}

/// A run of so many records, whose topics fail and repeat themselves at rates drawn from the seed.
fn drawn(seed: u64, records: u64) -> (GenerateByTopicInput, FaultyModel) {
    let mut random = Random::new(seed).fork("estimate");
    let mut json = json!({
        "user_instruction": "Questions and answers about everything there is",
        "num_records": records,
        "data_factory_config": {
            "max_concurrency": random.below(16) + 1,
            "records_per_request": random.below(3) + 1,
            // So that the run completes, however often a topic repeats itself.
            "dead_queue_threshold": 1_000,
            "seed": seed,
        },
    });
    if random.below(2) == 0 {
        json["topics"] = json!(["graphs", "the history of the bicycle", "knots"]);
    } else {
        json["records_per_topic"] = json!(20);
    }
    let model = FaultyModel::new(random.next_u64() ^ records)
        .failures(random.unit_f64() * 0.2)
        .malformed(random.unit_f64() * 0.1)
        .duplicates(random.unit_f64() * 0.25);
    (input(json), model)
}

fn contains<N: PartialOrd + Copy>(spread: Spread<N>, number: N) -> bool {
    spread.low <= number
        && number <= spread.high
        && spread.low <= spread.likely
        && spread.likely <= spread.high
}

/// Names the ranges that do not hold what a run used.
fn outside(estimate: &Estimate, report: &Report) -> Vec<&'static str> {
    let calls = report.record_calls.made + report.topic_calls.made;
    let usage = report.usage();
    let cost = estimate.cost.expect("the model has a price");
    [
        ("calls", contains(estimate.calls, calls)),
        ("input", contains(estimate.input_tokens, usage.input_tokens)),
        (
            "output",
            contains(estimate.output_tokens, usage.output_tokens),
        ),
        ("cost", contains(cost, report.spending.cost)),
    ]
    .into_iter()
    .filter_map(|(name, holds)| (!holds).then_some(name))
    .collect()
}

#[tokio::test(start_paused = true)]
async fn estimates_hold_what_runs_use_and_a_pilot_narrows_them() {
    for seed in 0..200 {
        let records = 100 + seed % 7 * 15;
        let (input, model) = drawn(seed, records);
        let pipeline = Pipeline::builder(model).prices(prices()).build();
        let before = pipeline
            .estimate(&input)
            .expect("the prompts can be rendered");
        let (dataset, error) = generate(&pipeline, input).await;
        assert!(error.is_none(), "seed {seed}: {error:?}");
        let report = dataset.report();
        assert_eq!(outside(&before, report), [""; 0], "seed {seed}: {before:?}");

        let (small, model) = drawn(seed, 40);
        let pilot = Pipeline::builder(model).build();
        let (pilot, error) = generate(&pilot, small).await;
        assert!(error.is_none(), "seed {seed}: {error:?}");
        let after = before.after_pilot(pilot.report());
        assert_eq!(outside(&after, report), [""; 0], "seed {seed}: {after:?}");
        let width = |spread: Spread<u64>| spread.high - spread.low;
        let cost = |estimate: &Estimate| {
            let cost = estimate.cost.expect("the model has a price");
            cost.high.saturating_sub(cost.low)
        };
        assert!(
            width(after.calls) < width(before.calls),
            "seed {seed}: {after:?}"
        );
        assert!(
            width(after.input_tokens) < width(before.input_tokens),
            "seed {seed}: {after:?}"
        );
        assert!(
            width(after.output_tokens) < width(before.output_tokens),
            "seed {seed}: {after:?}"
        );
        assert!(cost(&after) < cost(&before), "seed {seed}: {after:?}");

        let json = serde_json::to_value(pilot.report()).expect("a report is JSON");
        let read: Pilot = serde_json::from_value(json).expect("a report holds what a pilot needs");
        assert_eq!(read, Pilot::from(pilot.report()));
    }
}

#[test]
fn an_estimate_without_a_price_says_so() {
    let (input, model) = drawn(1, 40);
    let estimate = Pipeline::builder(model)
        .build()
        .estimate(&input)
        .expect("it can be rendered");
    assert_eq!(estimate.cost, None);
    assert!(
        estimate
            .no_cost
            .is_some_and(|why| why.contains("faulty/model"))
    );
    assert!(estimate.calls.low > 0);
}
