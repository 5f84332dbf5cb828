//! Runs that several share: in one process here, which makes no difference to the database.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt;
use futures::future::{join_all, select_all};
use serde_json::{Value, json};
use tokio::sync::Semaphore;
use topicloom::journal::{Entry, PostgresJournal, PostgresReader};
use topicloom::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, OfflineModel};
use topicloom::outcome::Outcome;
use topicloom::{Error, ErrorKind, GenerateByTopicInput, JsonRecord, Pipeline, Record, SharedRun};

use crate::support::{connect, server};

const SHORT_LEASE: Duration = Duration::from_millis(600);

fn input(records: u64) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "num_records": records,
        "user_instruction": "Generate Q&A pairs about computer science",
        "topics": ["graphs", "trees", "sorting"],
        "generation_model_name": "offline/loom",
        "output_schema": [{"name": "question", "type": "str"}, {"name": "answer", "type": "str"}],
        "data_factory_config": {"max_concurrency": 8},
    }))
    .unwrap()
}

/// Answers as the embedded model does, but only as often as it is let.
#[derive(Debug, Clone)]
struct Held {
    inner: Arc<OfflineModel>,
    calls: Arc<Semaphore>,
    made: Arc<std::sync::atomic::AtomicU64>,
}

impl Held {
    fn new(calls: usize) -> Self {
        Self {
            inner: Arc::new(OfflineModel::new("offline/loom")),
            calls: Arc::new(Semaphore::new(calls)),
            made: Arc::default(),
        }
    }

    fn made(&self) -> u64 {
        self.made.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[async_trait]
impl LlmClient for Held {
    async fn complete(&self, request: &ChatRequest) -> topicloom::Result<ChatResponse> {
        self.made.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        self.calls.acquire().await.unwrap().forget();
        self.inner.complete(request).await
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

async fn joined(url: &str, model: impl LlmClient) -> SharedRun {
    let run = SharedRun::join(url, "run").await.unwrap();
    run.pipeline(Pipeline::builder(model).build())
        .lease_time(SHORT_LEASE)
}

async fn records(run: &SharedRun) -> Vec<Record<JsonRecord>> {
    let dataset = run.records().await.unwrap().collect().await.unwrap();
    dataset.into_records()
}

async fn entries(url: &str) -> Vec<Entry> {
    let reader = PostgresReader::connect(url, "run").await.unwrap();
    reader.entries().await.unwrap().try_collect().await.unwrap()
}

fn answers(entries: &[Entry]) -> usize {
    entries
        .iter()
        .filter(|entry| matches!(entry, Entry::Answered(_)))
        .count()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_make_the_records_of_one_run_together() {
    let Some(server) = server() else { return };
    let url = server.database().await;
    let created = SharedRun::create(&url, "run", input(60)).await.unwrap();
    let models: Vec<Held> = (0..3).map(|_| Held::new(10_000)).collect();
    let mut runs = vec![created.pipeline(Pipeline::builder(models[0].clone()).build())];
    for model in &models[1..] {
        runs.push(joined(&url, model.clone()).await);
    }
    let outcomes = join_all(runs.iter().map(SharedRun::run)).await;
    let state = PostgresReader::connect(&url, "run")
        .await
        .unwrap()
        .state()
        .await
        .unwrap();
    assert_eq!(state.reason, None);
    for outcome in outcomes {
        assert_eq!(outcome.unwrap(), Outcome::Complete);
    }
    let first = records(&runs[0]).await;
    assert_eq!(first.len(), 60);
    let bytes = |records: &[Record<JsonRecord>]| serde_json::to_vec(records).unwrap();
    for run in &runs {
        assert_eq!(bytes(&records(run).await), bytes(&first));
    }
    let entries = entries(&url).await;
    let made: u64 = models.iter().map(Held::made).sum();
    assert!(made >= answers(&entries) as u64);
    assert!(matches!(
        entries.last(),
        Some(Entry::Finished {
            outcome: Outcome::Complete
        })
    ));
    let left = connect(&url)
        .await
        .query("SELECT FROM topicloom.leases", &[])
        .await;
    assert!(left.unwrap().is_empty());
}
