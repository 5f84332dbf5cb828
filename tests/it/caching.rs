//! Prompt caches of providers: what a run does so that they are hit, and what it reports of them.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crate::server::{ProviderServer, Question, RawReply, ServedAnswer, Wire};
use serde_json::{Value, json};
use topicloom::llm::price::{Price, PriceTable, Usd};
use topicloom::llm::providers::{AnthropicClient, ClientOptions};
use topicloom::testing::mock_llm;
use topicloom::{GenerateByTopicInput, Pipeline};

fn input() -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "user_instruction": "Questions", "num_records": 30, "topics": ["a", "b"],
        "data_factory_config": {"max_concurrency": 4},
    }))
    .expect("the input is valid")
}

fn options(server: &ProviderServer) -> ClientOptions {
    ClientOptions::new()
        .base_url(server.base_url())
        .api_key("a-key")
}

/// A record that no other call is answered with.
fn record(call: u64) -> String {
    let word = |number: u64| -> String {
        let letter =
            |place: u32| b"bdfgklmprtaeiouvwxyz"[(number / 20_u64.pow(place) % 20) as usize];
        (0..4).map(|place| char::from(letter(place))).collect()
    };
    let (one, other) = (word(call * 7_919 + 11), word(call * 104_729 + 5));
    json!({"records": [{"question": format!("{one} {other}?"), "answer": format!("{other} {one}")}]})
        .to_string()
}

const PREFIX: u64 = 500;
const REST: u64 = 40;
const ANSWER: u64 = 20;

/// Writes the prefix on the first call and reads it on every later one.
fn anthropic_answer(call: u64) -> ServedAnswer {
    let (written, read) = if call == 0 { (PREFIX, 0) } else { (0, PREFIX) };
    let body = json!({
        "id": "msg_0", "type": "message", "role": "assistant", "model": "claude",
        "content": [{"type": "text", "text": record(call)}],
        "stop_reason": "end_turn",
        "usage": {
            "input_tokens": REST, "output_tokens": ANSWER,
            "cache_creation_input_tokens": written, "cache_read_input_tokens": read,
        },
    });
    RawReply::new(200, body.to_string()).into()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_call_writes_the_cache_and_the_others_read_it_together() {
    let itself: Arc<OnceLock<ProviderServer>> = Arc::default();
    let seen: Arc<Mutex<Vec<(u64, Value)>>> = Arc::default();
    let (server, arrivals) = (Arc::clone(&itself), Arc::clone(&seen));
    let started = ProviderServer::builder(Wire::Anthropic, move |question: &Question<'_>| {
        let answered = server.get().map_or(0, |server| server.books().answers);
        let mut arrivals = arrivals.lock().expect("nothing panics under it");
        arrivals.push((answered, question.body()));
        anthropic_answer(question.call())
    })
    .delay(Duration::from_millis(20))
    .start()
    .await
    .expect("a port is free");
    itself.set(started).expect("it is set once");
    let server = itself.get().expect("it was set above");

    let name = "anthropic/claude-haiku-4-5";
    let client =
        AnthropicClient::new(&name.parse().expect("a name"), options(server)).expect("valid");
    let price = Price::per_million(1.0, 5.0)
        .and_then(|price| price.with_cached_input(0.1))
        .and_then(|price| price.with_cache_write(1.25))
        .expect("amounts");
    let pipeline = Pipeline::builder(client)
        .prices(PriceTable::empty().with(name, price))
        .build();
    let dataset = pipeline.generate(input()).await.expect("the run completes");

    let seen = seen.lock().expect("nothing panics under it");
    let before_an_answer = seen.iter().filter(|(answered, _)| *answered == 0).count();
    assert_eq!(before_an_answer, 1, "the first call is alone");
    assert!(server.peak_concurrency() > 1, "the others are not");
    let marked = json!({"type": "ephemeral"});
    let first = &seen[0].1["system"];
    assert_eq!(
        first
            .as_array()
            .and_then(|blocks| blocks.last())
            .map(|block| &block["cache_control"]),
        Some(&marked)
    );
    for (_, body) in seen.iter() {
        assert_eq!(
            &body["system"], first,
            "a prefix that changes is never read"
        );
        assert!(!body["messages"].to_string().contains("cache_control"));
    }

    let (report, calls) = (dataset.report(), seen.len() as u64);
    let usage = report.usage();
    assert_eq!(usage.input_tokens, calls * (PREFIX + REST));
    assert_eq!(usage.cache_write_tokens, PREFIX);
    assert_eq!(usage.cached_input_tokens, (calls - 1) * PREFIX);
    // In nano-dollars: a dollar a million tokens is 1 000 a token.
    let rest = calls * (REST * 1_000 + ANSWER * 5_000);
    let expected = rest + PREFIX * 1_250 + (calls - 1) * PREFIX * 100;
    assert_eq!(report.spending.cost, Usd::from_nano(expected));
}

/// The clients of providers that route by it send the key on; elsewhere it would be an unknown field.
#[tokio::test(start_paused = true)]
async fn all_calls_of_a_run_name_the_same_cache() {
    let (model, mut handle) = mock_llm();
    let pipeline = Pipeline::builder(model).build();
    let running = tokio::spawn(async move { pipeline.generate(input()).await });
    let mut keys = BTreeSet::new();
    for number in 0..30 {
        let call = handle.next_call().await;
        let key = call.request().cache_key.as_deref();
        keys.insert(key.expect("there is a stable prefix").to_owned());
        call.text(record(number));
    }
    running.await.expect("no panic").expect("the run completes");
    assert_eq!(keys.len(), 1);
    assert!(
        keys.first()
            .is_some_and(|key| key.starts_with("topicloom-"))
    );
}
