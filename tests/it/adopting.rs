//! Runs whose journal tells of calls that outlived the process that asked.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::BoxStream;
use serde_json::json;
use topicloom::journal::{Entry, Journal, MemoryJournal};
use topicloom::llm::{ChatRequest, ChatResponse, LlmClient, TaskRef};
use topicloom::{GenerateByTopicInput, Pipeline, Result};

/// A journal with calls that go on.
#[derive(Debug, Clone)]
struct GoingOn {
    inner: MemoryJournal,
    tasks: Vec<TaskRef>,
}

#[async_trait]
impl Journal for GoingOn {
    async fn read(&self) -> Result<BoxStream<'_, Result<Entry>>> {
        self.inner.read().await
    }

    async fn append(&self, entry: Entry) -> Result<u64> {
        self.inner.append(entry).await
    }

    async fn outstanding(&self) -> Result<Vec<TaskRef>> {
        Ok(self.tasks.clone())
    }

    async fn close(&self) -> Result<()> {
        self.inner.close().await
    }
}

/// Answers with a record of its own for each task, and remembers which task had which seed.
#[derive(Debug, Clone, Default)]
struct Asked(Arc<Mutex<Vec<(TaskRef, u64)>>>);

impl Asked {
    fn sorted(&self) -> Vec<(TaskRef, u64)> {
        let mut asked = self.0.lock().expect("nobody panics").clone();
        asked.sort_by_key(|(task, _)| task.id);
        asked
    }
}

#[async_trait]
impl LlmClient for Asked {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let task = request.task.expect("records are asked for by tasks");
        let mut asked = self.0.lock().expect("nobody panics");
        asked.push((task, request.seed));
        let record = json!({"question": format!("what is {}", task.id), "answer": request.seed});
        Ok(ChatResponse::new(record.to_string()))
    }

    fn model(&self) -> &'static str {
        "test/asked"
    }
}

async fn asked(journal: impl Journal, records: u64) -> Vec<(TaskRef, u64)> {
    let input = GenerateByTopicInput::from_json_value(json!({
        "num_records": records,
        "topics": ["a", "b"],
        "output_schema": [{"name": "question", "type": "str"}, {"name": "answer", "type": "int"}],
        "data_factory_config": {"max_concurrency": 2, "seed": 7},
    }));
    let model = Asked::default();
    let pipeline = Pipeline::builder(model.clone()).journal(journal).build();
    let dataset = pipeline.generate(input.expect("it is valid")).await;
    let dataset = dataset.expect("the run is complete");
    assert_eq!(dataset.len() as u64, records);
    assert_eq!(dataset.report().imbalances(), Vec::<String>::new());
    model.sorted()
}

#[tokio::test(start_paused = true)]
async fn a_call_that_goes_on_is_asked_for_with_its_seed_and_leaves_the_rest_to_others() {
    let alone = asked(MemoryJournal::default(), 8).await;
    let seed_of = |task: u64| alone[usize::try_from(task).expect("a few")].1;
    let tasks = vec![TaskRef::new(3, 1, 1, 1), TaskRef::new(5, 0, 1, 1)];
    let inner = MemoryJournal::default();
    let journal = GoingOn {
        inner: inner.clone(),
        tasks: tasks.clone(),
    };
    let adopted = asked(journal, 6).await;
    let ids: Vec<u64> = adopted.iter().map(|(task, _)| task.id).collect();
    assert_eq!(
        ids,
        [3, 5, 6, 7, 8, 9],
        "a new task is none of those that go on"
    );
    assert_eq!(adopted[0], (tasks[0], seed_of(3)));
    assert_eq!(adopted[1], (tasks[1], seed_of(5)));
    let answered = |entry: &Entry| matches!(entry, Entry::Answered(answer) if answer.task == 5);
    assert!(inner.entries().iter().any(answered));
}

#[tokio::test(start_paused = true)]
async fn a_call_for_a_topic_that_is_not_planned_is_not_asked_for() {
    let journal = GoingOn {
        inner: MemoryJournal::default(),
        tasks: vec![TaskRef::new(3, 2, 1, 1)],
    };
    let ids: Vec<u64> = asked(journal, 2)
        .await
        .iter()
        .map(|(task, _)| task.id)
        .collect();
    assert_eq!(ids, [0, 1]);
}
