//! Runs whose records a model judges.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use topicloom::RunError;
use topicloom::filter::{Added, FilterVerdict, ModelFilter};
use topicloom::journal::{Entry, FileJournal, Journal, MemoryJournal};
use topicloom::llm::{
    Capabilities, ChatRequest, ChatResponse, Message, OfflineModel, Purpose, Role, Usage,
};
use topicloom::report::Rejection;
use topicloom::testing::{conformance, mock_llm};
use topicloom::{
    Candidate, Dataset, Error, ErrorKind, GenerateByTopicInput, LlmClient, Pipeline, Result,
};

/// Keeps what its model calls good enough.
#[derive(Debug, Clone)]
struct Judge {
    key: &'static str,
}

#[async_trait]
impl ModelFilter for Judge {
    async fn check(
        &self,
        candidate: &Candidate<'_>,
        model: &dyn LlmClient,
    ) -> Result<FilterVerdict> {
        let record = json!(candidate.data()).to_string();
        let request = ChatRequest::new(vec![Message::new(Role::User, record)]);
        let answer = model.complete(&request).await?;
        Ok(match &*answer.text {
            "good" => FilterVerdict::Keep,
            _ => FilterVerdict::Reject("not good"),
        })
    }

    fn key(&self) -> String {
        self.key.to_owned()
    }
}

/// Calls two records in three good, and fails permanently at the calls that `fails` picks by number.
#[derive(Debug, Clone)]
struct Opinion {
    calls: Arc<AtomicU64>,
    fails: fn(u64) -> bool,
}

impl Opinion {
    fn new(fails: fn(u64) -> bool) -> Self {
        Self {
            calls: Arc::default(),
            fails,
        }
    }

    fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl LlmClient for Opinion {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        assert_eq!(request.purpose, Purpose::Filters);
        tokio::time::sleep(Duration::from_millis(50)).await;
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if (self.fails)(call) {
            return Err(Error::new(ErrorKind::ContentFilter, "the judge is shocked"));
        }
        let is_good = !request.last_text().len().is_multiple_of(3);
        let word = if is_good { "good" } else { "bad" };
        Ok(ChatResponse::new(word).with_usage(Usage::new(7, 1)))
    }

    fn model(&self) -> &'static str {
        "test/opinion"
    }
}

fn input(records: u64, calls: u64) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "user_instruction": "about the sea", "num_records": records, "topics": ["tides", "waves"],
        "data_factory_config": {
            "seed": 1, "max_concurrency": 4, "max_calls": calls, "dead_queue_threshold": 50,
        },
    }))
    .expect("the test's input is valid")
}

async fn run(
    judge: &Opinion,
    key: &'static str,
    journal: impl Journal,
    input: GenerateByTopicInput,
) -> Result<Dataset, RunError> {
    let pipeline = Pipeline::builder(OfflineModel::default())
        .model_filter(Judge { key }, judge.clone())
        .journal(journal)
        .build();
    pipeline.generate(input).await
}

/// Puts an answer of its own into every record.
#[derive(Debug)]
struct Answering(Value);

#[async_trait]
impl ModelFilter for Answering {
    async fn check(&self, _: &Candidate<'_>, _: &dyn LlmClient) -> Result<FilterVerdict> {
        Ok(FilterVerdict::Completed(Added::field(
            "answer",
            self.0.clone(),
        )))
    }

    fn key(&self) -> String {
        self.0.to_string()
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_filter_puts_into_a_record_has_to_fit_the_schema() {
    let run = |answer: Value| {
        let pipeline = Pipeline::builder(OfflineModel::default())
            .model_filter(Answering(answer), Opinion::new(|_| false))
            .build();
        async move { pipeline.generate(input(4, 40)).await }
    };
    let dataset = run("It is so.".into()).await.expect("complete");
    assert!(
        dataset
            .iter()
            .all(|record| record.data["answer"] == "It is so.")
    );
    let error = run(5.into()).await.expect_err("no answer is a number");
    assert!(error.dataset().is_empty());
    assert!(error.report().candidates.rejected[Rejection::Invalid] > 3);
}

fn texts(dataset: &Dataset) -> Vec<String> {
    dataset
        .iter()
        .map(|record| json!(record).to_string())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_judge_asks_as_a_part_of_the_run_and_nothing_twice() {
    let (judge, journal) = (Opinion::new(|_| false), MemoryJournal::default());
    let first = run(&judge, "one", journal.clone(), input(30, 500)).await;
    let first = first.expect("complete");
    let report = first.report();
    assert!(report.filtered["not good"] > 3, "{:?}", report.filtered);
    assert_eq!(report.filter_calls.made, judge.calls());
    assert_eq!(
        report.filter_calls.usage,
        Usage::new(7 * judge.calls(), judge.calls())
    );
    assert_eq!(report.models["test/opinion"].calls, judge.calls());
    assert_eq!(
        report.spending.calls,
        report.record_calls.made + judge.calls()
    );
    assert_eq!(report.imbalances(), Vec::<String>::new());

    let silent = Opinion::new(|_| panic!("it was asked before"));
    let again = run(&silent, "one", journal.clone(), input(30, 500)).await;
    let again = again.expect("complete");
    assert_eq!(texts(&again), texts(&first));
    assert_eq!(again.report().spending, report.spending);
    assert_eq!(again.report().filter_calls, report.filter_calls);

    let other = Opinion::new(|_| false);
    run(&other, "two", journal, input(30, 500))
        .await
        .expect("complete");
    assert!(other.calls() > 30, "another judge is asked of all");
}

#[tokio::test(start_paused = true)]
async fn caps_hold_with_the_calls_of_a_judge_over_all_processes() {
    let journal = MemoryJournal::default();
    let judge = Opinion::new(|_| false);
    for cap in [20, 33] {
        let error = run(&judge, "one", journal.clone(), input(30, cap)).await;
        let error = error.expect_err("the cap is reached");
        assert_eq!(error.error().kind(), ErrorKind::Budget);
        let report = error.report();
        assert_eq!(report.spending.calls, cap);
        assert_eq!(report.filter_calls.made, judge.calls());
        assert_eq!(report.imbalances(), Vec::<String>::new());
    }
    run(&judge, "one", journal, input(30, 500))
        .await
        .expect("complete");
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_fails_costs_the_candidate_and_ends_the_run_when_it_goes_on_failing() {
    let judge = Opinion::new(|call| call % 4 == 3);
    let dataset = run(&judge, "one", MemoryJournal::default(), input(12, 500)).await;
    let dataset = dataset.expect("complete");
    assert!(dataset.report().filtered["the filter failed"] > 2);
    assert!(dataset.report().filter_calls.failures() > 2);

    let judge = Opinion::new(|call| call > 8);
    let error = run(&judge, "one", MemoryJournal::default(), input(30, 500)).await;
    let error = error.expect_err("the judge is gone");
    assert_eq!(error.error().kind(), ErrorKind::ContentFilter);
}

#[tokio::test]
async fn a_judge_in_flight_at_a_kill_stays_booked() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = |name: &str| directory.path().join(name);
    let (client, mut handle) = mock_llm();
    let pipeline = Pipeline::builder(OfflineModel::default())
        .model_filter(Judge { key: "one" }, client)
        .journal(FileJournal::open(path("first")).expect("it opens"))
        .build();
    let run_of_all = pipeline.run(input(1, 500)).expect("it starts");
    handle.next_call().await.hang();
    std::fs::copy(path("first"), path("killed")).expect("it can be copied");
    drop(run_of_all);

    let journal = FileJournal::open(path("killed")).expect("it opens");
    let judge = Opinion::new(|_| false);
    let dataset = run(&judge, "one", journal, input(1, 500)).await;
    let report = dataset.expect("complete").report().clone();
    assert!(
        report.spending.uncertain_calls >= 1,
        "{:?}",
        report.spending
    );
}

#[tokio::test(start_paused = true)]
async fn a_judge_that_is_asked_when_the_run_stops_is_waited_for() {
    let (client, mut handle) = mock_llm();
    let journal = MemoryJournal::default();
    let pipeline = Pipeline::builder(OfflineModel::default())
        .model_filter(Judge { key: "one" }, client)
        .journal(journal.clone())
        .build();
    let run = pipeline.run(input(1, 500)).expect("it starts");
    let call = handle.next_call().await;
    let stop = run.stop_handle();
    let collected = tokio::spawn(run.collect());
    stop.stop_after_calls();
    tokio::time::sleep(Duration::from_secs(20)).await;
    call.text("good");
    let ended = collected.await.expect("no panic");
    let accepted = ended.map_or_else(|error| error.into_dataset().len(), |dataset| dataset.len());
    assert_eq!(accepted, 1);
    let entries = journal.entries();
    assert!(
        entries
            .iter()
            .any(|entry| matches!(entry, Entry::Filtered(_)))
    );
}

/// Writes as the offline model does, and gives scores that a record has from its text.
#[derive(Debug, Clone, Default)]
struct WritesAndJudges {
    calls: Arc<AtomicU64>,
}

impl WritesAndJudges {
    /// A score from 0 to 9.
    fn score(record: &str) -> u64 {
        let sum = record.bytes().fold(7_u64, |sum, byte| {
            sum.wrapping_mul(31).wrapping_add(byte.into())
        });
        sum / 7 % 10
    }
}

#[async_trait]
impl LlmClient for WritesAndJudges {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        tokio::time::sleep(Duration::from_millis(20)).await;
        if request.purpose != Purpose::Filters {
            return OfflineModel::default().complete(request).await;
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        let (_, record) = request
            .last_text()
            .split_once("Record: ")
            .expect("it is shown a record");
        let answer = format!(
            "Well: {{\"words\": \"Say more.\", \"good\": {}}}",
            Self::score(record)
        );
        Ok(ChatResponse::new(answer).with_usage(Usage::new(30, 9)))
    }

    fn model(&self) -> &'static str {
        "test/both"
    }

    fn capabilities(&self) -> Capabilities {
        OfflineModel::default().capabilities()
    }
}

fn judged(records: u64, seed: u64, accept: &str, votes: u32) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "user_instruction": "about the sea", "num_records": records, "topics": ["tides", "waves"],
        "seed": seed, "max_concurrency": 4,
        "judge": {"criteria": [{"name": "good", "scale": [0, 9]}], "accept": accept, "votes": votes},
    }))
    .expect("the test's input is valid")
}

async fn run_judged(
    client: &WritesAndJudges,
    journal: &MemoryJournal,
    input: GenerateByTopicInput,
) -> Result<Dataset, RunError> {
    let pipeline = Pipeline::builder(client.clone())
        .journal(journal.clone())
        .build();
    pipeline.generate(input).await
}

#[tokio::test(start_paused = true)]
async fn another_rule_is_applied_to_the_scores_in_the_journal() {
    let (client, journal) = (WritesAndJudges::default(), MemoryJournal::default());
    let first = run_judged(&client, &journal, judged(20, 1, "good >= 6", 3)).await;
    let first = first.expect("complete");
    let report = first.report();
    let calls = client.calls.load(Ordering::Relaxed);
    assert_eq!(report.filter_calls.made, calls);
    assert_eq!(report.scores["good"].agreement(), Some(1.0));
    assert_eq!(report.scores["good"].votes.values().sum::<u64>(), calls);
    assert!(report.filtered["not accepted by the judge"] > 5);
    for record in &first {
        let good = record.meta.scores.as_ref().expect("it was judged").means()["good"];
        let text = json!(record.data).to_string();
        assert!(good >= 6.0, "{good}");
        assert_eq!(format!("{good}"), WritesAndJudges::score(&text).to_string());
    }

    for rule in ["good >= 6", "good >= 3 && good != 7"] {
        let again = run_judged(&client, &journal, judged(20, 1, rule, 3)).await;
        let again = again.expect("complete");
        assert_eq!(client.calls.load(Ordering::Relaxed), calls, "{rule}");
        assert_eq!(again.report().record_calls.made, report.record_calls.made);
        let scores = again
            .iter()
            .map(|record| record.meta.scores.as_ref().expect("scores").means()["good"]);
        let fits = |good: f64| {
            if rule.len() > 9 {
                good >= 3.0 && !(6.9..7.1).contains(&good)
            } else {
                good >= 6.0
            }
        };
        assert!(scores.into_iter().all(fits));
    }
    let stricter = run_judged(&client, &journal, judged(20, 1, "good >= 8", 3)).await;
    let stricter = stricter.expect("complete");
    assert!(
        client.calls.load(Ordering::Relaxed) > calls,
        "the gap is asked for"
    );
    assert_eq!(stricter.len(), 20);
}

#[tokio::test(start_paused = true)]
async fn the_records_asked_for_are_accepted_or_missing_whatever_a_judge_passes() {
    let runs =
        std::env::var("TOPICLOOM_JUDGED_RUNS").map_or(40, |runs| runs.parse().expect("a number"));
    let mut short = 0;
    for seed in 0..runs {
        let least = 1 + seed % 8;
        let client = WritesAndJudges::default();
        let input = judged(12, seed, &format!("good >= {least}"), 1);
        let ended = run_judged(&client, &MemoryJournal::default(), input).await;
        let (accepted, report) = match &ended {
            Ok(dataset) => (dataset.len(), dataset.report()),
            Err(error) => (error.dataset().len(), error.report()),
        };
        short += u64::from(ended.is_err());
        assert_eq!(report.accepted, accepted as u64);
        assert_eq!(ended.is_ok(), accepted == 12);
        assert_eq!(report.imbalances(), Vec::<String>::new());
        assert_eq!(
            report.filter_calls.made,
            client.calls.load(Ordering::Relaxed)
        );
    }
    println!(
        "{} of {runs} runs exact, {short} short and saying so",
        runs - short
    );
    assert!(short * 50 <= runs, "{short} of {runs} runs ended short");
}

/// Labels of people who give what the judge gives, but for the third of each four records, which they find worse than it could be.
fn labels(records: u64) -> Value {
    let label = |number: u64| {
        let record =
            json!({"question": format!("Is {number} odd?"), "answer": "Divide it by two."});
        let score = WritesAndJudges::score(&record.to_string());
        let score = if number % 4 == 2 { 0 } else { score };
        json!({"question": record["question"], "answer": record["answer"], "topic": "waves", "good": score, "by": "me"})
    };
    (0..records).map(label).collect()
}

fn labelled(accept: &str, labels: &Value, calls: u64) -> GenerateByTopicInput {
    let input = judged(10, 1, accept, 1).to_builder();
    let input = input.set("judge.labels", labels.clone()).max_calls(calls);
    input.build().expect("the test's input is valid")
}

#[tokio::test(start_paused = true)]
async fn a_judge_is_compared_with_people_and_asked_once() {
    let (client, journal) = (WritesAndJudges::default(), MemoryJournal::default());
    let input = labelled("good >= 4", &labels(40), 500);
    let first = run_judged(&client, &journal, input.clone()).await;
    let first = first.expect("complete");
    let report = first.report().clone();
    let said = report.labels.clone().expect("there are labels");
    assert_eq!(
        (said.records, said.undecided, said.people_alone),
        (40, 0, 0)
    );
    assert!(
        said.both > 0 && said.neither > 0 && said.judge_alone > 3,
        "{said:?}"
    );
    assert_eq!(said.differing.len() as u64, said.judge_alone);
    assert!(
        said.differing
            .iter()
            .all(|it| it.row % 4 == 3 && it.judge && !it.people)
    );
    assert!(said.accuracy().is_some_and(|part| part < 1.0) && said.kappa().is_some());
    assert!(
        said.criteria["good"]
            .agreement()
            .is_some_and(|part| (0.75..1.0).contains(&part))
    );
    assert!(
        said.criteria["good"]
            .difference()
            .is_some_and(|more| more > 0.0)
    );
    let asked = client.calls.load(Ordering::Relaxed);
    assert_eq!(report.filter_calls.made, asked);
    // Of the records that were made, and those of people.
    assert_eq!(
        report.scores["good"].votes.values().sum::<u64>() + 40,
        asked
    );
    assert_eq!(report.imbalances(), Vec::<String>::new());

    let again = run_judged(&client, &journal, input).await;
    let again = again.expect("complete");
    assert_eq!(again.report().labels, report.labels);
    let other = labelled("good >= 0 && good != 1", &labels(40), 500);
    let other = run_judged(&client, &journal, other).await;
    let other = other.expect("complete").report().labels.clone();
    assert_ne!(other, report.labels, "another rule compares otherwise");
    assert_eq!(
        client.calls.load(Ordering::Relaxed),
        asked,
        "nothing is asked again"
    );

    // Of what the run made itself, its journal says the scores.
    let own: Value = first
        .iter()
        .map(|record| {
            let mut row = json!(record);
            row["accept"] = json!("yes");
            row
        })
        .collect();
    let own = run_judged(&client, &journal, labelled("good >= 4", &own, 500)).await;
    let own = own.expect("complete").report().labels.clone();
    let own = own.expect("there are labels");
    assert_eq!(
        (own.both, own.accuracy(), own.kappa()),
        (10, Some(1.0), None)
    );
    assert_eq!(client.calls.load(Ordering::Relaxed), asked);
}

#[tokio::test(start_paused = true)]
async fn caps_hold_with_the_calls_about_labels() {
    let (client, journal) = (WritesAndJudges::default(), MemoryJournal::default());
    let error = run_judged(&client, &journal, labelled("good >= 4", &labels(40), 25)).await;
    let error = error.expect_err("the cap is reached");
    assert_eq!(error.error().kind(), ErrorKind::Budget);
    assert_eq!(
        (
            error.report().spending.calls,
            client.calls.load(Ordering::Relaxed)
        ),
        (25, 25)
    );
    let on = run_judged(&client, &journal, labelled("good >= 4", &labels(40), 500)).await;
    let report = on.expect("complete").report().clone();
    assert_eq!(report.labels.expect("there are labels").records, 40);
    assert_eq!(
        report.filter_calls.made,
        client.calls.load(Ordering::Relaxed)
    );
}

#[test]
fn labels_that_cannot_be_read_are_faults() {
    let record = json!({"question": "Why?", "answer": "So."});
    let with = |name: &str, value: Value| {
        let mut row = record.clone();
        row[name] = value;
        json!([row])
    };
    for (labels, said) in [
        (
            json!([record]),
            "judge.labels: have no label in any row; add a column `accept`",
        ),
        (
            with("good", json!(12)),
            "have in row 1 no score under `good`; write a whole number from 0 to 9",
        ),
        (
            with("accept", json!("perhaps")),
            "have in row 1 no yes or no under `accept`",
        ),
        (
            json!([{"question": "Secret?", "accept": true}]),
            "have in row 1 no record: ",
        ),
        (json!([7]), "judge.labels[0]: is a number"),
        (
            json!("labels.csv"),
            "names a file, and this input does not come from one",
        ),
        (json!([]), "judge.labels: is a list"),
    ] {
        let input = judged(10, 1, "good >= 4", 1).to_builder();
        let fault = input
            .set("judge.labels", labels)
            .build()
            .expect_err("it is wrong");
        let fault = fault.to_string();
        assert!(
            fault.contains(said) && !fault.contains("Secret"),
            "{said}: {fault}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_judge_keeps_the_promises_of_a_filter_with_a_model() {
    let make = || (Judge { key: "one" }, Opinion::new(|_| false));
    conformance::model_filter(make, &input(10, 500)).await;
}
