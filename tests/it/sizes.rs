//! How many records are asked for at once, and how that follows from how long answers are.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use topicloom::journal::{Entry, MemoryJournal};
use topicloom::llm::{ChatRequest, ChatResponse, FinishReason, LlmClient, Usage};
use topicloom::{Dataset, Error, GenerateByTopicInput, Pipeline};

/// A model that writes records of a known length, as far as there is room.
#[derive(Debug, Clone)]
struct Writer {
    tokens_per_record: u64,
    /// What it writes at most where the caller sets no limit.
    room: u64,
    /// The calls whose answers go round in circles until they are cut off.
    loops: HashSet<usize>,
    tells_usage: bool,
    /// From this call on a record has this many tokens.
    longer: Option<(usize, u64)>,
    /// What each call asked for, the room that it had, and how its answer ended.
    calls: Arc<Mutex<Vec<(u64, u64, FinishReason)>>>,
}

impl Writer {
    fn new(tokens_per_record: u64, room: u64) -> Self {
        Self {
            tokens_per_record,
            room,
            loops: HashSet::new(),
            tells_usage: true,
            longer: None,
            calls: Arc::default(),
        }
    }

    fn asked(&self) -> Vec<u64> {
        let calls = self.calls.lock().expect("no panic");
        calls.iter().map(|(asked, ..)| *asked).collect()
    }

    fn rooms(&self) -> Vec<u64> {
        let calls = self.calls.lock().expect("no panic");
        calls.iter().map(|(_, room, _)| *room).collect()
    }

    fn loops_made(&self) -> usize {
        let calls = self.calls.lock().expect("no panic").len();
        self.loops.iter().filter(|call| **call < calls).count()
    }

    fn cuts(&self) -> usize {
        let calls = self.calls.lock().expect("no panic");
        let cut = |(_, _, end): &&(u64, u64, FinishReason)| *end == FinishReason::Length;
        calls.iter().filter(cut).count()
    }
}

fn record(call: usize, number: u64) -> Value {
    // Words that no two records share, since a duplicate is not what this is about.
    let word = |salt: u64| format!("w{:x}", (call as u64 * 1_000 + number) * 7_919 + salt);
    let words: Vec<String> = (0..6).map(|salt| word(salt * 1_000_003)).collect();
    json!({"question": words.join(" "), "answer": word(31)})
}

#[async_trait]
impl LlmClient for Writer {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse, Error> {
        let wanted = request.task.expect("a task asks").wanted;
        let room = request.parameters.max_tokens.unwrap_or(self.room);
        let call = self.calls.lock().expect("no panic").len();
        let is_loop = self.loops.contains(&call);
        let longer = self.longer.filter(|(from, _)| call >= *from);
        let each = longer.map_or(self.tokens_per_record, |(_, tokens)| tokens);
        let fits = room / each;
        let is_cut = is_loop || fits < wanted;
        let end = if is_cut {
            FinishReason::Length
        } else {
            FinishReason::Stop
        };
        self.calls
            .lock()
            .expect("no panic")
            .push((wanted, room, end));
        tokio::time::sleep(Duration::from_secs(1)).await;
        let number = |place: u64| if is_loop { place % 2 } else { place };
        let whole = if is_cut { fits } else { wanted };
        let records: Vec<Value> = (0..whole)
            .map(|place| record(call, number(place)))
            .collect();
        let mut text = json!({ "records": records }).to_string();
        if is_cut {
            text.truncate(text.len() - 2);
            text.push_str(r#",{"question":"w"#);
        }
        let tokens = if is_cut { room } else { whole * each };
        let answer = ChatResponse::new(text).with_finish_reason(end);
        Ok(if self.tells_usage {
            answer.with_usage(Usage::new(50, tokens))
        } else {
            answer
        })
    }

    fn model(&self) -> &'static str {
        "test/writer"
    }
}

fn input(records: u64, config: &Value, max_tokens: Option<u64>) -> GenerateByTopicInput {
    let mut json = json!({
        "num_records": records, "topics": ["tides"], "data_factory_config": config,
    });
    if let Some(max_tokens) = max_tokens {
        json["generation_model_kwargs"] = json!({"max_tokens": max_tokens});
    }
    GenerateByTopicInput::from_json_value(json).expect("the test's input is valid")
}

async fn make(model: &Writer, input: GenerateByTopicInput) -> Dataset {
    let pipeline = Pipeline::builder(model.clone()).build();
    pipeline.generate(input).await.expect("complete")
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_loops_is_no_lack_of_room() {
    for (looping, tells_usage) in [(0, true), (0, false), (7, true), (7, false), (19, true)] {
        for records in [json!(10), json!("auto")] {
            let model = Writer {
                loops: HashSet::from([looping]),
                tells_usage,
                ..Writer::new(60, 2_000)
            };
            let config = json!({"max_concurrency": 1, "records_per_request": records});
            assert_eq!(make(&model, input(200, &config, None)).await.len(), 200);
            let calls = model.asked().len();
            let most = if records == json!(10) { 22 } else { 27 };
            assert!(
                calls <= most,
                "{records}: {calls} calls, {:?}",
                model.asked()
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_model_that_loops_again_and_again_gets_no_more_room_than_records_need() {
    for records in [json!(5), json!("auto")] {
        let model = Writer {
            loops: (5..200).step_by(4).collect(),
            ..Writer::new(60, 8_000)
        };
        let config = json!({"max_concurrency": 1, "records_per_request": records});
        assert_eq!(make(&model, input(200, &config, None)).await.len(), 200);
        let rooms = model.rooms();
        let loops = (5..rooms.len()).step_by(4).map(|call| rooms[call]);
        let at_will = loops.filter(|room| *room == 8_000).count();
        // The first two, one that was in flight with the second, and one after each four at the limit.
        assert!(at_will <= 5 && rooms.len() > 25, "{records}: {rooms:?}");
        let most = rooms.iter().filter(|room| **room < 8_000).max();
        assert!(most.is_some_and(|most| *most <= 10 * 60 * 2), "{rooms:?}");
        assert_eq!(model.cuts(), model.loops_made(), "nothing else is cut off");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_cut_off_after_loops_and_is_none_gets_its_room_back() {
    // What is still longer than before is told by the records that come whole; what is far longer, by a try after four cuts.
    for (tokens, cuts) in [(120, 4), (300, 4), (900, 7)] {
        let model = Writer {
            loops: HashSet::from([2, 3]),
            longer: Some((8, tokens)),
            ..Writer::new(60, 8_000)
        };
        let config = json!({"max_concurrency": 1, "records_per_request": 5});
        assert_eq!(make(&model, input(100, &config, None)).await.len(), 100);
        let rooms = model.rooms();
        assert!(rooms[5] < 1_000 && rooms[8] < 1_000, "{rooms:?}");
        let (limited, free) = rooms[5..].split_at(cuts + 1);
        assert!(limited.iter().all(|room| *room < 8_000), "{rooms:?}");
        assert!(free.iter().all(|room| *room == 8_000), "{rooms:?}");
        assert_eq!(model.cuts(), cuts, "{rooms:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_are_asked_for_as_fit() {
    for (tokens, max_tokens, fits) in [(60, 1_000, 10), (90, 300, 3), (150, 200, 1)] {
        let model = Writer::new(tokens, u64::MAX);
        let config = json!({"max_concurrency": 1, "records_per_request": "auto"});
        make(&model, input(100, &config, Some(max_tokens))).await;
        let asked = model.asked();
        let most = asked.iter().max();
        assert_eq!(
            (most, model.cuts()),
            (Some(&fits), 0),
            "{tokens}: {asked:?}"
        );
        assert!(asked.len() as u64 <= 100 / fits + 6, "{tokens}: {asked:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn where_there_is_less_room_than_was_thought_fewer_are_asked_for_and_then_more_again() {
    for tells_usage in [true, false] {
        let model = Writer {
            tells_usage,
            ..Writer::new(100, 450)
        };
        let config = json!({"max_concurrency": 1, "records_per_request": 10});
        make(&model, input(120, &config, None)).await;
        let asked = model.asked();
        assert!(model.cuts() <= 7, "{asked:?}");
        assert!(asked.len() <= 40, "{} calls: {asked:?}", asked.len());
    }
}

#[tokio::test(start_paused = true)]
async fn few_records_are_spread_over_the_calls_that_are_free() {
    let model = Writer::new(60, 4_000);
    let config = json!({"max_concurrency": 10, "records_per_request": "auto"});
    let started = tokio::time::Instant::now();
    make(&model, input(220, &config, None)).await;
    // Eight calls of one record each tell how long one is. Then twenty tasks at a time, ten of them as calls: of two records, of
    // four, and then of what is left for ten.
    let asked = model.asked();
    assert!(asked.len() <= 60, "{asked:?}");
    assert_eq!(asked.iter().filter(|asked| **asked == 1).count(), 8);
    assert_eq!(started.elapsed(), Duration::from_secs(7), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_resumed_run_asks_for_as_many_as_one_that_was_not_interrupted() {
    let config = json!({"max_concurrency": 1, "records_per_request": "auto", "seed": 1});
    let wanted = |journal: &MemoryJournal| -> Vec<u64> {
        let entries = journal.entries();
        let answers = entries.iter().filter_map(|entry| match entry {
            Entry::Answered(answer) => Some(answer.wanted),
            _ => None,
        });
        answers.collect()
    };
    let run = async |journal: &MemoryJournal, calls_before: usize| {
        let model = Writer {
            loops: HashSet::from([9]),
            ..Writer::new(130, 1_000)
        };
        let before = vec![(0, 0, FinishReason::Stop); calls_before];
        *model.calls.lock().expect("no panic") = before;
        let pipeline = Pipeline::builder(model).journal(journal.clone()).build();
        pipeline
            .generate(input(80, &config, None))
            .await
            .expect("complete");
    };
    let whole = MemoryJournal::default();
    run(&whole, 0).await;
    assert!(wanted(&whole).len() > 12, "{:?}", wanted(&whole));
    let entries = whole.entries();
    for kept in 0..entries.len() {
        let entries = entries[..kept].to_vec();
        let answers = entries
            .iter()
            .filter(|entry| matches!(entry, Entry::Answered(_)));
        let answers = answers.count();
        let journal = MemoryJournal::with_entries(entries);
        run(&journal, answers).await;
        // The tasks in flight were worded an answer or two before; those that stand for them are worded after it.
        let (asked, as_before) = (wanted(&journal), wanted(&whole));
        let near = &as_before[answers..(answers + 3).min(as_before.len())];
        if let Some(first) = asked.get(answers) {
            assert!(
                near.contains(first),
                "after {answers}: {asked:?}, {as_before:?}"
            );
        }
        assert!(
            asked.len().abs_diff(as_before.len()) <= 2,
            "{asked:?}, {as_before:?}"
        );
    }
}
