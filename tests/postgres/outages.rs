//! How long it takes until a run is at work again after the database, or the way to it, was gone.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use topicloom::journal::{Entry, Journal, PostgresJournal, PostgresOptions, PostgresReader};
use topicloom::llm::UnconfirmedCost;
use topicloom::llm::{ChatRequest, ChatResponse, LlmClient};
use topicloom::report::Outcome;
use topicloom::{ErrorKind, GenerateByTopicInput, Pipeline, Result, SharedRun};

use crate::proxy::Proxy;
use crate::support::{PostgresServer, connect, server};

/// Calls at once over all, and how long each takes: 160 calls in a second.
const CALLS: usize = 16;
const CALL_TAKES: Duration = Duration::from_millis(100);

const PROCESSES: usize = 4;

/// Short, so that the tests are; a server that is at work needs far less.
const STATEMENT_TIMEOUT: Duration = Duration::from_secs(1);

/// After it is back, everybody is at work within this time.
const BACK_WITHIN: Duration = Duration::from_secs(15);

const GIVES_UP_AFTER: Duration = Duration::from_secs(100);

fn input(records: u64) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "num_records": records,
        "topics": ["graphs", "trees", "sorting"],
        "generation_model_name": "test/numbers",
        "output_schema": [{"name": "text", "type": "str"}],
        "data_factory_config": {"max_concurrency": CALLS},
        "deduplication": "exact",
    }))
    .unwrap()
}

/// Answers with the number of the request, and notes when it was asked.
#[derive(Debug, Clone, Default)]
struct Numbers(Arc<Mutex<Vec<Instant>>>);

#[async_trait]
impl LlmClient for Numbers {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        self.0.lock().unwrap().push(Instant::now());
        sleep(CALL_TAKES).await;
        let record = json!({"text": request.seed.to_string()});
        Ok(ChatResponse::new(record.to_string()))
    }

    fn model(&self) -> &'static str {
        "test/numbers"
    }
}

impl Numbers {
    /// Returns when the first call was made from this moment on.
    fn first_since(&self, moment: Instant) -> Option<Duration> {
        let calls = self.0.lock().unwrap();
        calls
            .iter()
            .find_map(|call| call.checked_duration_since(moment))
    }
}

/// Processes of one run, each with its way to its model.
struct Crew {
    models: Vec<Numbers>,
    processes: JoinSet<Result<Outcome>>,
}

fn with_model(run: SharedRun, model: &Numbers) -> SharedRun {
    run.pipeline(Pipeline::builder(model.clone()).build())
        .statement_timeout(STATEMENT_TIMEOUT)
        .concurrency(CALLS / PROCESSES)
}

impl Crew {
    async fn new(url: &str, records: u64) -> Self {
        let mut crew = Self {
            models: Vec::new(),
            processes: JoinSet::new(),
        };
        SharedRun::create(url, "run", input(records)).await.unwrap();
        for _ in 0..PROCESSES {
            let model = Numbers::default();
            let run = with_model(SharedRun::join(url, "run").await.unwrap(), &model);
            crew.models.push(model);
            crew.processes.spawn(async move { run.run().await });
        }
        crew.until_all_call(Instant::now()).await;
        crew
    }

    /// Returns how long it took from this moment on until every process made calls.
    async fn until_all_call(&self, moment: Instant) -> Duration {
        loop {
            let first = self.models.iter().map(|model| model.first_since(moment));
            if let Some(waits) = first.collect::<Option<Vec<_>>>() {
                return waits.into_iter().max().expect("there are some");
            }
            assert!(moment.elapsed() < GIVES_UP_AFTER, "some do not go on");
            sleep(Duration::from_millis(10)).await;
        }
    }

    /// Waits until the run is over for all, and checks that it is exact and no call was made in vain.
    async fn completes(mut self, url: &str, records: usize) {
        let ended = async {
            while let Some(ended) = self.processes.join_next().await {
                assert_eq!(ended.unwrap().unwrap(), Outcome::Complete);
            }
        };
        timeout(GIVES_UP_AFTER, ended).await.expect("the run ends");
        let asked: usize = self.models.iter().map(|m| m.0.lock().unwrap().len()).sum();
        let run = SharedRun::join(url, "run").await.unwrap();
        let dataset = with_model(run, &self.models[0]).records().await.unwrap();
        assert_eq!(dataset.collect().await.unwrap().len(), records);
        let reader = PostgresReader::connect(url, "run").await.unwrap();
        let state = reader.state().await.unwrap();
        assert_eq!((asked, state.leases_lost), (records, 0));
    }
}

fn ended(outcome: Outcome) -> Entry {
    Entry::Finished {
        outcome,
        uncertain: UnconfirmedCost::default(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_crashes_within_ten_seconds_are_over_soon() {
    let Some(server) = PostgresServer::start() else {
        return;
    };
    let url = server.database().await;
    let crew = Crew::new(&url, 700).await;
    let mut waits = Vec::new();
    for _ in 0..2 {
        sleep(Duration::from_millis(500)).await;
        tokio::task::block_in_place(|| server.crash_and_restart());
        waits.push(crew.until_all_call(Instant::now()).await);
    }
    let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    connect(&url).await.query(sql, &[]).await.unwrap();
    waits.push(crew.until_all_call(Instant::now()).await);
    crew.completes(&url, 700).await;
    println!("at work again after {waits:.2?}");
    assert!(waits.iter().all(|wait| *wait < BACK_WITHIN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_is_asked_over_new_connections() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let proxy = Proxy::to(server.port()).await;
    let crew = Crew::new(&proxy.url(&url), 500).await;
    let mut waits = Vec::new();
    // For a moment, and for longer than all who wait are patient with one try.
    for silence in [Duration::from_millis(300), 3 * STATEMENT_TIMEOUT] {
        proxy.fall_silent();
        sleep(silence).await;
        // What was connected stays silent, and has its sessions in the server.
        proxy.lead_to(server.port());
        waits.push(crew.until_all_call(Instant::now()).await);
    }
    crew.completes(&url, 500).await;
    println!("at work again after {waits:.2?}");
    assert!(waits.iter().all(|wait| *wait < BACK_WITHIN));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_stays_silent_is_an_error_in_time() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let proxy = Proxy::to(server.port()).await;
    let url = proxy.url(&url);
    let limit = Duration::from_millis(500);
    let options = || {
        PostgresOptions::new()
            .statement_timeout(limit)
            .patience(limit)
    };
    let open = |run| PostgresJournal::connect_with(&url, run, options());
    let journal = open("run").await.unwrap();
    proxy.fall_silent();

    let begun = Instant::now();
    for result in [
        journal.append(ended(Outcome::Incomplete)).await,
        journal.read().await.map(|_| 0),
        open("other").await.map(|_| 0),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Journal);
        assert!(
            error.message().contains("has said nothing for 0.5 s"),
            "{error}"
        );
        assert!(error.to_string().contains("server: 127.0.0.1"), "{error}");
    }
    assert!(begun.elapsed() < 16 * limit, "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_whose_journal_is_silent_hears_a_stop_within_a_second() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let proxy = Proxy::to(server.port()).await;
    let journal = PostgresJournal::connect(&proxy.url(&url), "run").await;
    let pipeline = Pipeline::builder(Numbers::default()).journal(journal.unwrap());
    let run = pipeline.build().run(input(10_000)).unwrap();
    let stop = run.stop_handle();
    let ended = tokio::spawn(run.collect());
    sleep(Duration::from_millis(500)).await;
    proxy.fall_silent();
    // Until every answer waits for the journal.
    sleep(3 * CALL_TAKES).await;
    let begun = Instant::now();
    stop.stop();
    let error = ended.await.unwrap().unwrap_err();
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(2_500), "{took:?}");
    assert!(!error.dataset().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fail_over_to_a_database_without_the_run_is_an_error_in_words() {
    let (Some(first), Some(second)) = (server(), PostgresServer::start()) else {
        return;
    };
    let (url, other) = (first.database().await, second.database().await);
    let name = |url: &str| url.rsplit_once('/').unwrap().1.to_owned();
    let rename = format!("CREATE DATABASE {}", name(&url));
    connect(&other).await.batch_execute(&rename).await.ok();
    let other = other.replace(&name(&other), &name(&url));
    // Without tables; then with those that another run made there; then with the run, but not all of it.
    for (there, says) in [
        ("", "lost its tables"),
        ("other", "lost the run"),
        ("run", "lost the run"),
    ] {
        connect(&url)
            .await
            .batch_execute("DROP SCHEMA IF EXISTS topicloom CASCADE")
            .await
            .unwrap();
        let proxy = Proxy::to(first.port()).await;
        let url = proxy.url(&url);
        let crew = Crew::new(&url, 100_000).await;
        // What went back can be told only by a process that has looked at the run before.
        sleep(Duration::from_secs(3)).await;
        let journal = PostgresJournal::connect(&url, "alone").await.unwrap();
        journal.append(ended(Outcome::Incomplete)).await.unwrap();
        if !there.is_empty() {
            SharedRun::create(&other, there, input(100_000))
                .await
                .unwrap();
        }
        proxy.lead_to(second.port());
        let begun = Instant::now();
        let error = journal
            .append(ended(Outcome::Incomplete))
            .await
            .unwrap_err();
        assert!(error.message().contains(says), "{error}");
        let mut processes = crew.processes;
        let ended = async {
            while let Some(ended) = processes.join_next().await {
                let error = ended.unwrap().unwrap_err();
                assert!(error.message().contains(says), "{there}: {error}");
            }
        };
        let ended = timeout(GIVES_UP_AFTER, ended).await;
        assert!(ended.is_ok(), "{there}: a process goes on");
        assert!(begun.elapsed() < BACK_WITHIN, "{:?}", begun.elapsed());
    }
}
