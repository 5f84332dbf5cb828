//! Rates, books and repetition.

use serde_json::json;

use super::*;
use crate::llm::OutputSchema;

fn asking_for(count: u64) -> ChatRequest {
    let schema = json!({
        "type": "object",
        "properties": {"records": {"type": "array", "minItems": count, "maxItems": count}},
    });
    let output = OutputSchema::new("records", schema, OutputMode::Strict);
    ChatRequest::default().with_output(OutputFormat::Schema(Arc::new(output)))
}

fn records(response: &ChatResponse) -> Vec<Value> {
    let (_, records) = records::take_apart(&response.text).unwrap();
    records
}

#[tokio::test]
async fn without_faults_every_record_is_new_and_as_many_as_asked_for() {
    let model = FaultyModel::new(1);
    let request = asking_for(5);
    for _ in 0..200 {
        let response = model.complete(&request).await.unwrap();
        assert_eq!(records(&response).len(), 5);
    }
    assert_eq!(model.books().distinct(), 1_000);
}

#[tokio::test(start_paused = true)]
async fn every_call_is_in_the_books_and_rates_are_met() {
    let model = FaultyModel::new(2)
        .failures(0.2)
        .failure(ErrorKind::ContentFilter, 0.1)
        .stalled(0.05)
        .malformed(0.1)
        .truncated(0.1)
        .refused(0.05)
        .empty(0.05)
        .duplicates(0.4)
        .invalid(0.1)
        .miscounted(0.1)
        .delays(Duration::from_millis(10)..=Duration::from_secs(3));
    let request = asking_for(3);
    let calls = (0..2_000).map(|_| async {
        let limit = Duration::from_secs(60);
        tokio::time::timeout(limit, model.complete(&request)).await
    });
    let results = futures::future::join_all(calls).await;
    let books = model.books();
    let counts = books.counts();
    assert_eq!(counts.calls, 2_000);
    assert_eq!(counts.peak_concurrency, 2_000);
    assert_eq!(
        counts.calls,
        counts.answers + counts.failures + counts.abandoned
    );
    let answers = results.iter().flatten().filter(|result| result.is_ok());
    assert_eq!(counts.answers, answers.count() as u64);
    let abandoned = results.iter().filter(|result| result.is_err()).count();
    assert_eq!(counts.abandoned, abandoned as u64);
    // Five standard deviations around the expected counts of 2 000 calls.
    let near = |count: u64, rate: f64| {
        let spread = 5.0 * (2_000.0 * rate * (1.0 - rate)).sqrt();
        #[allow(clippy::cast_precision_loss)]
        let off = (count as f64 - 2_000.0 * rate).abs();
        assert!(off < spread, "{count} is far from {rate}");
    };
    near(counts.failures, 0.3);
    near(books.failures(ErrorKind::ContentFilter), 0.1);
    near(counts.abandoned, 0.05);
    near(counts.malformed, 0.1);
    near(counts.truncated, 0.1);
    near(counts.refused, 0.05);
    near(counts.empty, 0.05);
    #[allow(clippy::cast_precision_loss)]
    let new = books.distinct() as f64 / counts.items as f64;
    // Of what arrives, 4 in 10 are repeated; invalid ones are all different.
    assert!((0.55..0.65).contains(&new), "{new}");
}

#[tokio::test]
async fn a_seed_repeats_itself_and_another_does_not() {
    async fn answers(seed: u64) -> Vec<Result<String, ErrorKind>> {
        let model = FaultyModel::new(seed)
            .failures(0.5)
            .duplicates(0.5)
            .truncated(0.2);
        let mut answers = Vec::new();
        for _ in 0..50 {
            let result = model.complete(&asking_for(2)).await;
            answers.push(result.map(|r| r.text).map_err(|error| error.kind()));
        }
        answers
    }
    assert_eq!(answers(3).await, answers(3).await);
    assert_ne!(answers(3).await, answers(4).await);
}

#[tokio::test]
async fn what_was_cut_in_half_was_not_handed_out() {
    let model = FaultyModel::new(5).truncated(1.0);
    let mut whole = 0;
    for number in 0..100 {
        let response = model.complete(&asking_for(2)).await.unwrap();
        assert_eq!(response.finish_reason, FinishReason::Length);
        assert!(records::take_apart(&response.text).is_none());
        for number in [2 * number, 2 * number + 1] {
            let record = records::question_and_answer(number);
            let arrived = response.text.contains(&record.to_string());
            assert_eq!(model.books().has_handed_out(&record), arrived);
            whole += usize::from(arrived);
        }
    }
    assert_eq!(model.books().distinct(), whole);
    assert!((20..180).contains(&whole), "{whole}");
}

#[tokio::test]
async fn a_repeated_record_is_one_that_was_handed_out_and_sometimes_looks_otherwise() {
    let model = FaultyModel::new(6).duplicates(0.9);
    let (mut seen, mut to_the_letter, mut otherwise) = (0, 0, 0);
    for _ in 0..500 {
        let before = model.books();
        let response = model.complete(&asking_for(1)).await.unwrap();
        let record = &records(&response)[0];
        if model.books().distinct() == before.distinct() {
            seen += 1;
            to_the_letter += usize::from(before.has_handed_out(record));
            otherwise += usize::from(!before.has_handed_out(record));
        }
    }
    assert!((420..480).contains(&seen), "{seen}");
    assert!(
        to_the_letter > 50 && otherwise > 50,
        "{to_the_letter} {otherwise}"
    );
}

#[tokio::test]
async fn another_models_answers_are_spoilt_and_counted() {
    let inner = FaultyModel::new(8);
    let model = FaultyModel::around(inner.clone(), 9)
        .failure(ErrorKind::Network, 0.3)
        .duplicates(0.5);
    for _ in 0..200 {
        let _ = model.complete(&asking_for(2)).await;
    }
    let (outer, inner) = (model.books(), inner.books());
    assert_eq!(outer.counts().answers, inner.counts().calls);
    assert_eq!(outer.counts().items, inner.counts().items);
    assert!(outer.distinct() < inner.distinct() * 2 / 3);
}

#[tokio::test]
async fn topics_are_invented_too() {
    let schema = json!({"properties": {"topics": {"type": "array", "minItems": 4}}});
    let output = OutputSchema::new("topics", schema, OutputMode::Strict);
    let request = ChatRequest::default()
        .with_purpose(Purpose::Topics)
        .with_output(OutputFormat::Schema(Arc::new(output)));
    let model = FaultyModel::new(1).duplicates(1.0);
    let response = model.complete(&request).await.unwrap();
    assert!(response.text.starts_with(r#"{"topics":["#));
    assert_eq!(model.books().distinct(), 4);
}

#[test]
#[should_panic(expected = "more than 1")]
fn rates_that_leave_no_room_are_refused() {
    let _ = FaultyModel::new(1).failures(0.6).malformed(0.5);
}
