//! Runs that go on from a journal that says which of its answers were judged, and how.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use serde_json::{Value, json};
use topicloom::filter::filter_fn;
use topicloom::journal::{Entry, JudgedTasks, MemoryJournal};
use topicloom::llm::{ChatRequest, ChatResponse, Usage};
use topicloom::{Candidate, GenerateByTopicInput, LlmClient, Pipeline};

/// Answers by the seed of the request alone, with all that may be wrong with an answer.
#[derive(Debug)]
struct Pure;

#[async_trait]
impl LlmClient for Pure {
    async fn complete(&self, request: &ChatRequest) -> topicloom::Result<ChatResponse> {
        let seed = request.seed % 100_000;
        let record = |question: String| json!({"question": question, "answer": "It depends."});
        let own = record(format!("Why is sea {seed} salty?"));
        let text = match seed % 16 {
            0 => format!("Here you are:\n```json\n{own}\n```"),
            1 => json!({"question": "Why?"}).to_string(),
            2 => record(format!("Why is sea {} salty?", seed % 20)).to_string(),
            3 => "I would rather not.".to_owned(),
            4 => json!({"records": [own, record(format!("How deep is sea {seed}?"))]}).to_string(),
            5 => record("TODO".to_owned()).to_string(),
            6 => json!({"records": [{"question": "A?", "answer": "b", "id": seed}]}).to_string(),
            _ => own.to_string(),
        };
        Ok(ChatResponse::new(text).with_usage(Usage::new(10, 20)))
    }

    fn model(&self) -> &'static str {
        "test/pure"
    }
}

fn input(records: u64) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "num_records": records, "topics": ["the sea"], "deduplication": "exact",
        "data_factory_config": {"seed": 1, "max_concurrency": 1, "dead_queue_threshold": 50},
    }))
    .expect("the test's input is valid")
}

/// Returns the records of a run that goes on from a journal, its report as far as it does not say how it came about, and how
/// often a filter was asked.
async fn run(journal: &MemoryJournal, records: u64) -> (Vec<Value>, Value, u64) {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let keeps = move |candidate: &Candidate<'_>| {
        count.fetch_add(1, Ordering::Relaxed);
        !candidate
            .text("question")
            .is_some_and(|question| question.contains("77"))
    };
    let pipeline = Pipeline::builder(Pure)
        .filter(filter_fn("a seven", keeps).with_key("no sevens"))
        .journal(journal.clone())
        .build();
    let dataset = pipeline.generate(input(records)).await.expect("complete");
    let mut report = json!(dataset.report());
    for key in ["elapsed", "resumed_answers", "notes"] {
        report.as_object_mut().expect("an object").shift_remove(key);
    }
    let records = dataset
        .iter()
        .map(|record| json!([record, format!("{:?}", record.meta)]))
        .collect();
    (records, report, asked.load(Ordering::Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_run_cut_anywhere_goes_on_as_if_it_was_not() {
    const RECORDS: u64 = 300;
    let journal = MemoryJournal::default();
    let (records, report, asked) = run(&journal, RECORDS).await;
    let entries = journal.entries();
    let is_word = |entry: &Entry| matches!(entry, Entry::Judged(_));
    assert!(entries.iter().filter(|entry| is_word(entry)).count() > 1);
    assert!(report["repairs"]["prose"].as_u64() > Some(5), "{report}");
    for kind in ["invalid", "filtered", "duplicate"] {
        let rejected = &report["candidates"][kind];
        assert!(rejected.as_u64() > Some(5), "{kind}: {report}");
    }
    let near_words = |cut: usize| {
        let near = cut.saturating_sub(2)..(cut + 2).min(entries.len());
        entries[near].iter().any(is_word)
    };
    let cuts = (0..=entries.len()).filter(|cut| cut.is_multiple_of(83) || near_words(*cut));
    for cut in cuts {
        for has_words in [true, false] {
            let mut kept = entries[..cut].to_vec();
            kept.retain(|entry| has_words || !is_word(entry));
            let said = kept
                .iter()
                .filter(|entry| matches!(entry, Entry::Filtered(_)))
                .count() as u64;
            let journal = MemoryJournal::with_entries(kept);
            let again = run(&journal, RECORDS).await;
            assert!(again.0 == records, "cut at {cut}");
            assert_eq!(again.1, report, "cut at {cut}");
            assert_eq!(
                again.2,
                asked - said,
                "cut at {cut}: nothing is asked again"
            );
            if has_words {
                continue;
            }
            // Once more, behind words that were written at the second try.
            let once_more = run(&journal, RECORDS).await;
            assert!(once_more.0 == records, "cut at {cut}");
            assert_eq!(once_more.1, report, "cut at {cut}");
            assert_eq!(once_more.2, 0, "cut at {cut}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_was_found_clean_is_not_validated_again_unless_the_rules_have_changed() {
    let journal = MemoryJournal::default();
    run(&journal, 300).await;
    let mut entries = journal.entries();
    let words: Vec<JudgedTasks> = entries
        .iter()
        .filter_map(|entry| match entry {
            Entry::Judged(words) => Some(words.clone()),
            _ => None,
        })
        .collect();
    let is_clean = |task| words.iter().any(|word| word.is_clean(task) == Some(true));
    let mut changed = None;
    for entry in &mut entries {
        if let Entry::Answered(answer) = entry
            && is_clean(answer.task)
        {
            // As no run would have taken it: an answer that is a number.
            answer.response.text = json!({"question": "Why so?", "answer": 5}).to_string();
            changed = Some(answer.task);
            break;
        }
    }
    let task = changed.expect("most answers are clean");
    let by = |entries: &[Entry], by: Option<u128>| {
        let mut entries = entries.to_vec();
        for entry in &mut entries {
            if let (Entry::Judged(judged), Some(by)) = (entry, by) {
                judged.by = by;
            }
        }
        MemoryJournal::with_entries(entries)
    };
    let (taken, report, _) = run(&by(&entries, None), 300).await;
    let is_five = |record: &Value| record[0]["answer"] == 5;
    assert_eq!(
        taken.iter().filter(|record| is_five(record)).count(),
        1,
        "task {task}"
    );
    let (anew, judged_anew, _) = run(&by(&entries, Some(1)), 300).await;
    assert!(!anew.iter().any(is_five));
    let invalid = |report: &Value| report["candidates"]["invalid"].as_u64();
    assert!(invalid(&judged_anew) > invalid(&report));
}
