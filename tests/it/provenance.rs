//! Records led back to the entries of the journal and to the prompts that they come from.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::{Value, json};
use topicloom::filter::{FilterVerdict, ModelFilter, Scores, Vote};
use topicloom::journal::{Answer, Entry, MemoryJournal};
use topicloom::llm::price::{PriceTable, Usd};
use topicloom::llm::{Capabilities, ChatRequest, ChatResponse, Message, Purpose, Usage};
use topicloom::pipeline::RecordVerdict;
use topicloom::testing::FaultyModel;
use topicloom::{Candidate, Dataset, GenerateByTopicInput, LlmClient, Pipeline, Result};

/// Answers by the seed of the request, now and then with prose around it, a record too many, one that repeats or is invalid.
#[derive(Debug)]
struct Writer(&'static str);

#[async_trait]
impl LlmClient for Writer {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let seed = request.seed % 1_000_000;
        let wanted = request.task.map_or(1, |task| task.wanted);
        let record = |number: u64| {
            let question = match (seed + number) % 12 {
                0 => json!({"question": 7}),
                1 => json!(format!("Why is sea {} salty?", seed % 5)),
                _ => json!(format!("How deep is sea {seed} at {number} miles?")),
            };
            json!({"question": question, "answer": "It depends.", "level": "1"})
        };
        let records: Vec<Value> = (0..wanted).map(record).collect();
        let text = match seed % 7 {
            0 => format!("Here you are:\n```json\n{}\n```", json!(records)),
            _ => json!({"records": records}).to_string(),
        };
        let usage = Usage::new(100 + seed % 13, 31 * wanted + seed % 3);
        Ok(ChatResponse::new(text).with_usage(usage))
    }

    fn model(&self) -> &str {
        self.0
    }
}

/// Writes down what a model is told, by the task.
#[derive(Debug)]
struct Overheard<C> {
    inner: C,
    told: Arc<Mutex<HashMap<u64, Vec<Message>>>>,
}

#[async_trait]
impl<C: LlmClient> LlmClient for Overheard<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        if let Some(task) = request.task.filter(|_| request.purpose == Purpose::Records) {
            let mut told = self.told.lock().expect("no test panics in it");
            told.insert(task.id, request.messages.clone());
        }
        self.inner.complete(request).await
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

/// Gives each record a score, by a call.
#[derive(Debug)]
struct Scorer;

#[async_trait]
impl ModelFilter for Scorer {
    async fn check(
        &self,
        candidate: &Candidate<'_>,
        model: &dyn LlmClient,
    ) -> Result<FilterVerdict> {
        let record = json!(candidate.data()).to_string();
        let score = [1, 2, 3, 4, 5][record.len() % 5];
        model
            .complete(&ChatRequest::new(vec![Message::user(record)]))
            .await?;
        let vote = Vote::new(BTreeMap::from([("clear".to_owned(), score)]), "");
        Ok(FilterVerdict::Scored(Scores::new(vec![vote])))
    }

    fn key(&self) -> String {
        "scorer".to_owned()
    }
}

fn input(records: u64) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "user_instruction": "questions about the sea", "num_records": records, "topics": ["tides", "waves", "salt"],
        "attributes": {"tone": {"plain": 0.5, "formal": 0.5}},
        "examples": [{"question": "Why do ships float?", "answer": "They displace water.", "level": 2}],
        "output_schema": [
            {"name": "question", "type": "str"}, {"name": "answer", "type": "str"}, {"name": "level", "type": "int"},
        ],
        "data_factory_config": {
            "seed": 3, "max_concurrency": 8, "records_per_request": 3, "coerce_types": true, "avoid_examples": 3,
            "angles": ["for sailors", "in numbers"], "dead_queue_threshold": 50,
        },
    }))
    .expect("the test's input is valid")
}

struct Made {
    dataset: Dataset,
    answers: HashMap<u64, Answer>,
    journal: MemoryJournal,
    pipeline: Pipeline,
    told: HashMap<u64, Vec<Message>>,
}

async fn made(records: u64) -> Made {
    let told = Arc::default();
    let model = |name, seed| Overheard {
        inner: FaultyModel::around(Writer(name), seed)
            .failures(0.05)
            .malformed(0.03)
            .refused(0.02),
        told: Arc::clone(&told),
    };
    let prices =
        json!({"test/one": {"input": 1, "output": 3}, "test/two": {"input": 2, "output": 7}});
    let prices = PriceTable::empty()
        .with_json(prices.as_object().expect("an object"))
        .expect("they are prices");
    let journal = MemoryJournal::default();
    let pipeline = Pipeline::builder(model("test/one", 1))
        .model_with_weight(model("test/two", 2), 1)
        .model_filter(Scorer, Writer("test/judge"))
        .prices(prices)
        .journal(journal.clone())
        .build();
    let dataset = pipeline.generate(input(records)).await.expect("complete");
    let entries = journal.entries().into_iter();
    let answers = entries.filter_map(|entry| match entry {
        Entry::Answered(answer) => Some((answer.task, answer)),
        _ => None,
    });
    let answers = answers.collect();
    let told = Arc::clone(&told);
    let told = told.lock().expect("no test panics in it").clone();
    Made {
        dataset,
        answers,
        journal,
        pipeline,
        told,
    }
}

#[tokio::test(start_paused = true)]
async fn every_record_leads_to_its_entry_and_every_number_is_the_journals() {
    let made = made(1_000).await;
    let report = made.dataset.report();
    let mut shares: HashMap<u64, (Usage, Usd, u32)> = HashMap::new();
    let (mut models, mut attempts, mut repaired, mut scored) =
        (BTreeMap::new(), BTreeMap::new(), 0, 0);
    for (number, record) in (0..).zip(&made.dataset) {
        let provenance = record.provenance();
        let answer = &made.answers[&provenance.task];
        assert_eq!(provenance.ordinal, number);
        assert_eq!(provenance.model, answer.model);
        assert_eq!(
            provenance.attempt,
            u32::try_from(answer.attempts.len()).ok()
        );
        assert_eq!(provenance.angle, answer.prompt.angle.as_deref());
        assert_eq!(
            provenance.attributes["tone"],
            json!(record.topic.attributes().next().unwrap().1)
        );
        assert_eq!(record.meta.answer.usage, answer.response.usage);
        let text = answer.response.text.replace("\\\"", "\"");
        assert!(
            text.contains(record.data["question"].as_str().unwrap()),
            "not in its answer"
        );
        let (usage, cost, of) = shares.entry(provenance.task).or_default();
        *usage += Usage::new(provenance.input_tokens, provenance.output_tokens);
        *cost += provenance.cost_usd.expect("both models have a price");
        *of += 1;
        assert!(provenance.candidate < record.meta.answer.candidates);
        *models.entry(provenance.model).or_insert(0) += 1;
        *attempts.entry(provenance.attempt).or_insert(0) += 1;
        repaired += u32::from(provenance.repairs.contains_key("code_fence"));
        scored += u32::from(provenance.scores["clear"] > 2.0);
        assert!(provenance.repairs["text to number"] > 0);
    }
    // All kinds of trouble were there.
    assert!(models.len() == 2 && attempts.len() > 1 && repaired > 20 && scored > 100);
    let is_whole = |task: &u64| {
        let record = made
            .dataset
            .iter()
            .find(|record| record.meta.task == *task)
            .unwrap();
        record.meta.answer.candidates == shares[task].2
    };
    let (mut whole, mut in_all) = (0, Usage::default());
    for (task, (usage, _, _)) in &shares {
        let of_call = made.answers[task].response.usage;
        assert!(
            usage.input_tokens <= of_call.input_tokens
                && usage.output_tokens <= of_call.output_tokens
        );
        if is_whole(task) {
            assert_eq!(*usage, of_call, "the shares of a whole answer add up to it");
            whole += 1;
        }
        in_all += of_call;
    }
    assert!(whole > 100);
    let fruitless = made
        .answers
        .iter()
        .filter(|(task, _)| !shares.contains_key(task));
    let fruitless: Usage = fruitless.map(|(_, answer)| answer.response.usage).sum();
    assert_eq!(in_all + fruitless, report.record_calls.usage);
    let cost: Usd = shares.values().map(|(_, cost, _)| *cost).sum();
    assert!(cost > Usd::ZERO && cost <= report.spending.cost);
}

#[tokio::test(start_paused = true)]
async fn a_record_is_explained_by_the_very_prompt_and_answer_it_comes_from() {
    let made = made(200).await;
    let before = made.journal.entries().len();
    let (mut with_avoid, mut with_feedback) = (0, 0);
    for record in made.dataset.iter().step_by(7) {
        let ordinal = record.meta.ordinal;
        let task = made
            .pipeline
            .explain(input(200), record.meta.task)
            .await
            .expect("it is there");
        let answer = &made.answers[&record.meta.task];
        assert_eq!((task.task, &task.topic), (record.meta.task, &record.topic));
        let call = task.calls.last().expect("one was answered");
        assert_eq!(
            call.messages, made.told[&task.task],
            "the prompt of record {ordinal}"
        );
        assert_eq!(
            call.end.as_ref().unwrap().as_ref().unwrap().text,
            answer.response.text
        );
        assert_eq!(task.calls.len(), answer.attempts.len());
        let mut verdicts = task.records.iter();
        let is_it = |verdict: &RecordVerdict| matches!(verdict, RecordVerdict::Accepted { ordinal: it, .. } if *it == ordinal);
        let found = verdicts
            .find(|candidate| is_it(&candidate.verdict))
            .expect("it is among them");
        assert_eq!(found.data.as_ref(), Some(&record.data));
        with_avoid += usize::from(!answer.prompt.shown.is_empty());
        with_feedback += usize::from(answer.prompt.feedback.is_some());
    }
    assert!(
        with_avoid > 5 && with_feedback > 2,
        "{with_avoid} {with_feedback}"
    );
    assert_eq!(made.journal.entries().len(), before, "nothing is written");
    let none = made.pipeline.explain(input(200), 5_000).await;
    assert!(
        none.unwrap_err()
            .to_string()
            .contains("no answer to the task of number 5000")
    );
}
