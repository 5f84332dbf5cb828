//! Runs that several share: in one process here, which makes no difference to the database.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::future::join_all;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use topicloom::journal::{Entry, PostgresJournal, PostgresReader, RunState};
use topicloom::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, OfflineModel};
use topicloom::report::Outcome;
use topicloom::testing::FaultyModel;
use topicloom::{
    Error, ErrorKind, GenerateByTopicInput, JsonRecord, Pipeline, Record, Result, RunEvent,
    SharedRun,
};

use crate::support::{connect, server};

/// Short enough to see one end; others are so long that a test which waited for its end would fail.
const SHORT_LEASE: Duration = Duration::from_millis(600);
const LONG_LEASE: Duration = Duration::from_secs(3_600);

/// Long after which a run that does not end is a fault.
const PATIENCE: Duration = Duration::from_secs(60);

const CONCURRENCY: usize = 8;

fn input(records: u64) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "num_records": records,
        "user_instruction": "Generate Q&A pairs about computer science",
        "topics": ["graphs", "trees", "sorting"],
        "generation_model_name": "offline/loom",
        "output_schema": [{"name": "question", "type": "str"}, {"name": "answer", "type": "str"}],
        "data_factory_config": {"max_concurrency": CONCURRENCY},
    }))
    .unwrap()
}

/// Answers as the embedded model does, but only as often as it is let, and counts.
#[derive(Debug, Clone)]
struct Held {
    inner: Arc<OfflineModel>,
    let_go: Arc<Semaphore>,
    asked: Arc<AtomicU64>,
}

impl Held {
    fn for_calls(calls: usize) -> Self {
        Self {
            inner: Arc::new(OfflineModel::new("offline/loom")),
            let_go: Arc::new(Semaphore::new(calls)),
            asked: Arc::default(),
        }
    }

    fn free() -> Self {
        Self::for_calls(1 << 20)
    }

    fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    async fn until_asked(&self, times: u64) {
        while self.asked() < times {
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[async_trait]
impl LlmClient for Held {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        self.let_go.acquire().await.expect("it is open").forget();
        self.inner.complete(request).await
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

fn with_model(run: SharedRun, model: impl LlmClient) -> SharedRun {
    run.pipeline(Pipeline::builder(model).build())
}

async fn created(url: &str, records: u64, model: impl LlmClient) -> SharedRun {
    let run = SharedRun::create(url, "run", input(records)).await.unwrap();
    with_model(run, model).lease_time(LONG_LEASE)
}

async fn joined(url: &str, model: impl LlmClient) -> SharedRun {
    let run = SharedRun::join(url, "run").await.unwrap();
    with_model(run, model).lease_time(LONG_LEASE)
}

/// Has a process take part. Aborting it is what a kill is, as far as the database can tell.
fn begun(run: SharedRun) -> JoinHandle<Result<Outcome>> {
    tokio::spawn(async move { run.run().await })
}

async fn complete(run: &SharedRun) {
    let ended = timeout(PATIENCE, run.run()).await;
    assert_eq!(ended.expect("the run ends").unwrap(), Outcome::Complete);
}

async fn records(run: &SharedRun) -> Vec<Record<JsonRecord>> {
    let dataset = run.records().await.unwrap().collect().await.unwrap();
    assert_eq!(dataset.report().imbalances(), Vec::<String>::new());
    dataset.into_records()
}

async fn entries(url: &str) -> Vec<Entry> {
    let reader = PostgresReader::connect(url, "run").await.unwrap();
    reader.entries().await.unwrap().try_collect().await.unwrap()
}

async fn answers(url: &str) -> u64 {
    let entries = entries(url).await;
    let answered = |entry: &&Entry| matches!(entry, Entry::Answered(_));
    entries.iter().filter(answered).count() as u64
}

async fn state(url: &str) -> RunState {
    let reader = PostgresReader::connect(url, "run").await.unwrap();
    reader.state().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_make_the_records_of_one_run_together() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let models = [Held::free(), Held::free(), Held::free()];
    let mut runs = vec![created(&url, 60, models[0].clone()).await];
    for model in &models[1..] {
        runs.push(joined(&url, model.clone()).await);
    }
    join_all(runs.iter().map(complete)).await;

    let first = records(&runs[0]).await;
    assert_eq!(first.len(), 60);
    let bytes = |records: &[Record<JsonRecord>]| serde_json::to_vec(records).unwrap();
    for run in &runs {
        assert_eq!(bytes(&records(run).await), bytes(&first));
    }
    let asked: u64 = models.iter().map(Held::asked).sum();
    assert_eq!(asked, answers(&url).await, "a replay asks nothing");
    let state = state(&url).await;
    assert_eq!(state.ended.as_deref(), Some("complete"));
    assert_eq!(
        (state.calls_open, state.leases_lost, state.reason),
        (0, 0, None)
    );
    let last = entries(&url).await.pop();
    let complete = Outcome::Complete;
    assert!(matches!(last, Some(Entry::Finished { outcome, .. }) if outcome == complete));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_drives_next_takes_over_the_calls_that_are_being_made() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let model = Held::for_calls(10);
    let first = begun(created(&url, 40, Held::for_calls(0)).await.concurrency(0));
    let worker = begun(joined(&url, model.clone()).await);
    let full = 10 + CONCURRENCY as u64;
    model.until_asked(full).await;

    first.abort();
    let second = joined(&url, Held::for_calls(0)).await.concurrency(0);
    let third = begun(joined(&url, Held::for_calls(0)).await.concurrency(0));
    // Answers arrive while nobody, or somebody else, leads the run.
    model.let_go.add_permits(1 << 20);
    complete(&second).await;
    for process in [worker, third] {
        assert_eq!(process.await.unwrap().unwrap(), Outcome::Complete);
    }
    assert_eq!(records(&second).await.len(), 40);
    assert_eq!(model.asked(), answers(&url).await, "no call is repeated");
    assert!(state(&url).await.writers >= 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stands_by_is_told_how_far_the_run_is() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let held = Held::for_calls(4);
    let leader = begun(created(&url, 60, held.clone()).await);
    held.until_asked(5).await;
    let (tell, mut told) = unbounded_channel();
    let pipeline = Pipeline::builder(held.clone()).on_event(move |event| {
        if let RunEvent::Followed {
            accepted,
            requested,
            ..
        } = event
        {
            tell.send((*accepted, *requested)).ok();
        }
    });
    let follower = joined(&url, held.clone()).await.pipeline(pipeline.build());
    let follower = begun(follower.concurrency(0));
    let some = async {
        loop {
            match told.recv().await.expect("it is told") {
                (0, 60) => {}
                (accepted, 60) => break accepted,
                (_, requested) => panic!("{requested} records were asked for"),
            }
        }
    };
    let accepted = timeout(PATIENCE, some).await.expect("some are accepted");
    assert!(accepted < 60, "{accepted}");
    held.let_go.add_permits(1 << 20);
    for process in [leader, follower] {
        let ended = timeout(PATIENCE, process).await.expect("the run ends");
        assert_eq!(ended.unwrap().unwrap(), Outcome::Complete);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_whose_worker_vanished_is_handed_out_again() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let driver = begun(created(&url, 12, Held::for_calls(0)).await.concurrency(0));
    let stuck = Held::for_calls(0);
    let vanishing = joined(&url, stuck.clone()).await;
    let vanishing = begun(vanishing.concurrency(3).lease_time(SHORT_LEASE));
    stuck.until_asked(3).await;
    // Longer than a lease: it is renewed for as long as the worker lives.
    sleep(2 * SHORT_LEASE).await;
    assert_eq!(state(&url).await.leases_lost, 0);

    vanishing.abort();
    let model = Held::free();
    complete(&joined(&url, model.clone()).await).await;
    driver.await.unwrap().unwrap();
    let state = state(&url).await;
    assert_eq!(state.leases_lost, 3);
    let repeated = model.asked() + stuck.asked() - answers(&url).await;
    assert_eq!(repeated, state.leases_lost);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_comes_late_is_taken_if_there_is_no_other() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let model = Held::for_calls(0);
    let worker = begun(created(&url, 3, model.clone()).await);
    model.until_asked(3).await;
    // The worker was so late that others have its calls now, and have not answered yet.
    let client = connect(&url).await;
    let sql = "UPDATE topicloom.leases SET worker = 'another', leased_until = now() + '1 hour'";
    assert_eq!(client.execute(sql, &[]).await.unwrap(), 3);
    model.let_go.add_permits(10);
    let ended = timeout(PATIENCE, worker).await.expect("the run ends");
    assert_eq!(ended.unwrap().unwrap(), Outcome::Complete);
    assert_eq!(model.asked(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_leaves_gives_back_its_calls_at_once() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let stuck = Held::for_calls(0);
    let leaving = created(&url, 20, stuck.clone()).await;
    let leave = leaving.leave_handle();
    let leaving = begun(leaving);
    stuck.until_asked(CONCURRENCY as u64).await;
    leave.leave();
    let error = leaving.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Cancelled);
    assert_eq!(state(&url).await.ended, None, "the run goes on without it");

    // The lease was one of an hour.
    let run = joined(&url, Held::free()).await;
    complete(&run).await;
    assert_eq!(records(&run).await.len(), 20);
    assert_eq!(state(&url).await.leases_lost, 0);
}

/// A model that does not know the key.
#[derive(Debug)]
struct Refused;

#[async_trait]
impl LlmClient for Refused {
    async fn complete(&self, _: &ChatRequest) -> Result<ChatResponse> {
        Err(Error::new(ErrorKind::Auth, "the key is not known"))
    }

    fn model(&self) -> &'static str {
        "offline/refused"
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_model_refuses_it_leaves_and_the_run_goes_on() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let refused = begun(created(&url, 20, Refused).await);
    let error = refused.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Auth);
    let run = joined(&url, Held::free()).await;
    complete(&run).await;
    assert_eq!(records(&run).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failed_calls_are_tried_again_and_accounted_for() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let model = FaultyModel::new(1).failures(0.3).malformed(0.1);
    let input = GenerateByTopicInput::from_json_value(json!({
        "num_records": 30,
        "topics": ["a", "b", {"c": 7}],
        // The waits between retries double, and are real ones here.
        "data_factory_config": {"max_concurrency": CONCURRENCY, "max_retries": 2},
    }));
    let run = SharedRun::create(&url, "run", input.unwrap())
        .await
        .unwrap();
    // Told by whichever of them leads.
    let told = Arc::new(AtomicU64::new(0));
    let watched = |run: SharedRun| {
        let told = Arc::clone(&told);
        let watch = move |event: &RunEvent<'_>| {
            let failed = matches!(event, RunEvent::AttemptFailed { .. });
            told.fetch_add(failed.into(), Ordering::SeqCst);
        };
        run.pipeline(Pipeline::builder(model.clone()).on_event(watch).build())
    };
    let run = watched(run);
    let second = begun(watched(joined(&url, model.clone()).await));
    complete(&run).await;
    second.await.unwrap().unwrap();
    let dataset = run.records().await.unwrap().collect().await.unwrap();
    let report = dataset.report();
    assert_eq!(report.imbalances(), Vec::<String>::new());
    assert_eq!(dataset.len(), 30);
    assert_eq!(report.record_calls.made, model.books().counts().calls);
    assert!(report.record_calls.failures() > 0);
    assert_eq!(told.load(Ordering::SeqCst), report.record_calls.failures());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cap_holds_for_all_together() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let capped = input(60).to_builder().max_calls(15).records_per_request(1);
    let capped = capped.build().unwrap();
    let models = [Held::free(), Held::free()];
    let run = SharedRun::create(&url, "run", capped).await.unwrap();
    let run = with_model(run, models[0].clone());
    let other = begun(joined(&url, models[1].clone()).await);
    assert_eq!(run.run().await.unwrap(), Outcome::Incomplete);
    assert_eq!(other.await.unwrap().unwrap(), Outcome::Incomplete);
    let asked: u64 = models.iter().map(Held::asked).sum();
    assert_eq!(asked, 15);
    let error = run.records().await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.dataset().len(), 15);
    assert!(error.to_string().contains("cap"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_invented_by_whichever_process_is_asked() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let input = GenerateByTopicInput::from_json_value(json!({
        "num_records": 12,
        "records_per_topic": 3,
        "user_instruction": "Generate Q&A pairs about computer science",
        "topic_model_name": "offline/loom",
        "generation_model_name": "offline/loom",
        "output_schema": [{"name": "question", "type": "str"}],
    }));
    let driver = SharedRun::create(&url, "run", input.unwrap())
        .await
        .unwrap();
    let driver = begun(driver.concurrency(0));
    let run = SharedRun::join(&url, "run").await.unwrap();
    complete(&run).await;
    driver.await.unwrap().unwrap();
    assert_eq!(records(&run).await.len(), 12);
    let entries = entries(&url).await;
    assert!(
        entries
            .iter()
            .any(|entry| matches!(entry, Entry::TopicAnswered(_)))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_are_cut_again_and_again_change_nothing() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let model = Held::for_calls(0);
    let run = created(&url, 60, model.clone()).await;
    let others: Vec<_> = join_all((0..2).map(|_| joined(&url, model.clone()))).await;
    let others: Vec<_> = others.into_iter().map(begun).collect();
    let client = connect(&url).await;
    let cutting = async {
        let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE datname = current_database() AND pid <> pg_backend_pid()";
        loop {
            model.let_go.add_permits(8);
            // Time to connect on a busy machine, or nothing gets done.
            sleep(Duration::from_millis(200)).await;
            client.query(sql, &[]).await.unwrap();
        }
    };
    tokio::select! {
        () = complete(&run) => {}
        () = cutting => {}
    }
    for other in others {
        assert_eq!(other.await.unwrap().unwrap(), Outcome::Complete);
    }
    assert_eq!(records(&run).await.len(), 60);
    let answers = answers(&url).await;
    assert_eq!(model.asked(), answers + state(&url).await.leases_lost);
}

/// Says the same thing whatever it is asked.
#[derive(Debug)]
struct Parrot;

#[async_trait]
impl LlmClient for Parrot {
    async fn complete(&self, _: &ChatRequest) -> Result<ChatResponse> {
        Ok(ChatResponse::new(
            r#"{"question": "why", "answer": "because"}"#,
        ))
    }

    fn model(&self) -> &'static str {
        "offline/parrot"
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_ends_short_is_over_for_all_and_can_be_taken_up_again() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let run = created(&url, 20, Parrot).await;
    let other = begun(joined(&url, Parrot).await);
    let outcome = timeout(PATIENCE, run.run()).await.expect("the run ends");
    assert_eq!(outcome.unwrap(), Outcome::Incomplete);
    assert_eq!(other.await.unwrap().unwrap(), Outcome::Incomplete);
    let reason = state(&url).await.reason.expect("there is one");
    assert!(reason.contains("given up"), "{reason}");
    let late = joined(&url, Parrot).await;
    assert_eq!(late.run().await.unwrap(), Outcome::Incomplete);

    let error = run.records().await.unwrap().collect().await.unwrap_err();
    assert_eq!(error.error().kind(), ErrorKind::Incomplete, "{error}");
    assert_eq!(error.dataset().len(), 1);
    let again = created(&url, 20, Parrot).await;
    assert_eq!(state(&url).await.ended, None);
    assert_eq!(again.run().await.unwrap(), Outcome::Incomplete);
}

#[tokio::test]
async fn what_cannot_be_shared_is_refused_in_words() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let missing = SharedRun::join(&url, "run").await.unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::InvalidInput);

    let run = created(&url, 20, Parrot).await;
    let error = run.records().await.unwrap_err();
    assert!(error.message().contains("not over"), "{error}");
    let error = SharedRun::create(&url, "run", input(21)).await.unwrap_err();
    assert!(error.message().contains("another input"), "{error}");
    let error = PostgresJournal::connect(&url, "run").await.unwrap_err();
    assert!(error.message().contains("shared"), "{error}");

    let alone = PostgresJournal::connect(&url, "alone").await.unwrap();
    let error = SharedRun::join(&url, "alone").await.unwrap_err();
    assert!(error.message().contains("one process"), "{error}");
    drop(alone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_of_one_process_can_be_shared_later() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let model = Held::for_calls(10);
    let journal = PostgresJournal::connect(&url, "run").await.unwrap();
    let alone = Pipeline::builder(model.clone()).journal(journal).build();
    let alone = tokio::spawn(async move { alone.generate(input(30)).await });
    model.until_asked(10 + CONCURRENCY as u64).await;
    alone.abort();
    let lost = model.asked() - answers(&url).await;

    let run = created(&url, 30, Held::free()).await;
    complete(&run).await;
    assert_eq!(records(&run).await.len(), 30);
    assert!(lost <= 2 * CONCURRENCY as u64);
}
