//! What becomes of answers: how they are asked for, brought into shape, cut off, declined.

use std::sync::{Arc, Mutex};

use serde::Deserialize;
use serde_json::{Value, json};
use topicloom::journal::MemoryJournal;
use topicloom::llm::{Capabilities, ChatResponse, FinishReason, OutputMode};
use topicloom::report::AnswerFault;
use topicloom::report::Rejection;
use topicloom::schema::{CoercionKind, Dialect};
use topicloom::testing::{Call, FaultyModel, MockLlm, mock_llm};
use topicloom::{Dataset, ErrorKind, GenerateByTopicInput, Pipeline, RunError, RunEvent};

fn input(json: Value) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json).expect("the test's input is valid")
}

fn start(
    model: MockLlm,
    input: GenerateByTopicInput,
) -> tokio::task::JoinHandle<Result<Dataset, RunError>> {
    tokio::spawn(async move { Pipeline::builder(model).build().generate(input).await })
}

fn qa(question: &str) -> Value {
    json!({"question": question, "answer": "Because."})
}

fn cut(records: &[Value]) -> ChatResponse {
    let mut text: String = json!({ "records": records }).to_string();
    text.truncate(text.len() - 2);
    text.push_str(r#", {"question": "What is a cy"#);
    ChatResponse::new(text).with_finish_reason(FinishReason::Length)
}

fn prompt(call: &Call) -> String {
    call.request().last_text().to_owned()
}

#[cfg(feature = "providers")]
#[tokio::test(flavor = "multi_thread")]
async fn a_refused_schema_moves_down_the_ladder_and_costs_no_attempt() {
    use crate::server::{ProviderServer, Question, ServedAnswer, ServerFault, Wire};
    use topicloom::llm::models::ModelRegistry;
    use topicloom::llm::providers::ClientOptions;

    fn rung(body: &Value) -> &'static str {
        match body["response_format"]["type"].as_str() {
            Some("json_schema") if body["response_format"]["json_schema"]["strict"] == true => {
                "strict"
            }
            Some("json_schema") => "schema",
            Some("json_object") => "json",
            _ if body.get("tool_choice").is_some() => "tool",
            _ => "prompt",
        }
    }

    let refused_rungs = [
        ("strict", OutputMode::Schema),
        ("schema", OutputMode::Tool),
        ("tool", OutputMode::Json),
        ("json", OutputMode::Prompt),
    ];
    for refusals in 1..=refused_rungs.len() {
        let seen: Arc<Mutex<Vec<&str>>> = Arc::default();
        let asked = Arc::clone(&seen);
        let server = ProviderServer::start(Wire::OpenAi, move |question: &Question<'_>| {
            let mut asked = asked.lock().expect("no panic");
            asked.push(rung(&question.body()));
            if asked.len() <= refusals {
                ServedAnswer::Fault(ServerFault::SchemaRefused)
            } else {
                ServedAnswer::Text(json!({"records": [qa("What is a graph?")]}).to_string())
            }
        })
        .await
        .expect("a port is free");
        let options = ClientOptions::new()
            .base_url(server.base_url().as_str())
            .api_key("a-key");
        let input = input(json!({
            "num_records": 1, "topics": ["graphs"], "generation_model_name": "openai/gpt-4o-mini",
            // One attempt that gives nothing would end the topic.
            "data_factory_config": {"dead_queue_threshold": 1},
        }));
        let registry = ModelRegistry::new().compatible("openai", options);
        let pipeline = Pipeline::builder_from_input(&input, &registry).expect("it is known");
        let dataset = pipeline.build().generate(input).await.expect("complete");

        let rungs = seen.lock().expect("no panic").clone();
        let expected: Vec<&str> = refused_rungs.iter().map(|(rung, _)| *rung).collect();
        assert_eq!(rungs[..refusals], expected[..refusals]);
        assert_eq!(rungs.len(), refusals + 1, "{rungs:?}");
        let report = dataset.report();
        assert_eq!(report.imbalances(), Vec::<String>::new());
        assert_eq!(
            report.record_calls.failed[ErrorKind::SchemaRefused],
            refusals as u64
        );
        assert_eq!((report.topics[0].tasks, report.answers.total), (1, 1));
        let asked = &report.models["openai/gpt-4o-mini"].asked;
        assert_eq!(asked.len(), 1);
        assert_eq!(
            (asked[0].mode, asked[0].answers),
            (refused_rungs[refusals - 1].1, 1)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_in_the_dialect_comes_back_in_the_callers_shape() {
    let (model, mut handle) = mock_llm();
    let model = model.with_capabilities(Capabilities::structured(
        &[OutputMode::Strict],
        Dialect::OpenAiStrict,
    ));
    let run = start(
        model,
        input(json!({
            "topics": ["graphs"], "num_records": 1,
            "output_schema": {
                "type": "object",
                "properties": {
                    "question": {"type": "string", "minLength": 3},
                    "hint": {"type": "string"},
                    "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                },
                "required": ["question"],
            },
        })),
    );
    handle.next_call().await.records([json!({
        "question": "How many?", "hint": null,
        "counts": [{"key": "nodes", "value": 3}, {"key": "edges", "value": 2}],
    })]);
    let dataset = run.await.expect("no panic").expect("complete");
    assert_eq!(
        Value::Object(dataset.records()[0].data.clone()),
        json!({"question": "How many?", "counts": {"nodes": 3, "edges": 2}})
    );
    let models: Vec<_> = dataset.report().models.values().collect();
    let asked = &models[0].asked[0];
    assert_eq!(
        (asked.mode, asked.dialect),
        (OutputMode::Strict, Dialect::OpenAiStrict)
    );
    let local: Vec<_> = asked
        .checked_locally
        .iter()
        .map(|check| (check.path.as_str(), check.keyword.as_str()))
        .collect();
    assert!(
        local.contains(&("/records/*/question", "minLength")),
        "{local:?}"
    );
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn types_are_coerced_only_where_the_caller_asks_for_it() {
    for coerces in [false, true] {
        let (model, mut handle) = mock_llm();
        let run = start(
            model,
            input(json!({
                "topics": ["history"], "num_records": 1,
                "output_schema": [
                    {"name": "question", "type": "str"}, {"name": "year", "type": "int"},
                ],
                "data_factory_config": {"coerce_types": coerces},
            })),
        );
        let record = |year: Value| json!({"question": "When?", "year": year});
        handle.next_call().await.records([record(json!("1999"))]);
        if !coerces {
            let call = handle.next_call().await;
            assert!(prompt(&call).contains("year"), "it says what was wrong");
            call.records([record(json!(1999))]);
        }
        let dataset = run.await.expect("no panic").expect("complete");
        assert_eq!(dataset.records()[0].data["year"], 1999);
        let report = dataset.report();
        assert_eq!(
            report.candidates.rejected[Rejection::Invalid],
            u64::from(!coerces)
        );
        let coerced = report.coercions.get(&CoercionKind::TextToNumber);
        assert_eq!(coerced, coerces.then_some(&1));
        handle.no_more_calls();
    }
}

#[tokio::test(start_paused = true)]
async fn keys_that_the_field_list_does_not_name_are_taken_away_and_counted() {
    let (model, mut handle) = mock_llm();
    let run = start(
        model,
        input(json!({
            "topics": ["history"], "num_records": 2,
            "data_factory_config": {"records_per_request": 2},
        })),
    );
    let record = |question| json!({"question": question, "answer": "?", "id": 1, "why": "so"});
    handle.next_call().await.records([
        record("When was Rome founded?"),
        record("Who was Hannibal?"),
    ]);
    let dataset = run.await.expect("no panic").expect("complete");
    assert_eq!(dataset.report().dropped_keys, 4);
    for record in dataset.records() {
        assert!(record.data.keys().eq(["question", "answer"]));
    }
}

#[tokio::test(start_paused = true)]
async fn formats_are_asserted_only_where_the_caller_asks_for_it() {
    for asserts in [false, true] {
        let (model, mut handle) = mock_llm();
        let run = start(
            model,
            input(json!({
                "topics": ["people"], "num_records": 1,
                "output_schema": {"type": "object", "required": ["address"], "properties": {
                    "address": {"type": "string", "format": "email"},
                }},
                "data_factory_config": {"assert_formats": asserts},
            })),
        );
        handle
            .next_call()
            .await
            .records([json!({"address": "nobody"})]);
        if asserts {
            handle
                .next_call()
                .await
                .records([json!({"address": "nobody@example.org"})]);
        }
        let dataset = run.await.expect("no panic").expect("complete");
        assert_eq!(
            dataset.report().candidates.rejected[Rejection::Invalid],
            u64::from(asserts)
        );
        handle.no_more_calls();
    }
}

#[tokio::test(start_paused = true)]
async fn a_cut_answer_keeps_its_whole_records_and_fewer_are_asked_for() {
    let (model, mut handle) = mock_llm();
    let run = start(
        model,
        input(json!({
            "topics": ["graphs"], "num_records": 8,
            "generation_model_kwargs": {"max_tokens": 200},
            "data_factory_config": {"max_concurrency": 1, "records_per_request": 4},
        })),
    );
    handle
        .next_call()
        .await
        .respond(cut(&[qa("What is a graph?"), qa("What is a tree?")]));
    // Worded before the first answer was there.
    let call = handle.next_call().await;
    assert!(prompt(&call).contains("4 new records"), "{}", prompt(&call));
    call.respond(cut(&[qa("What is a node?")]));
    for number in 0..5 {
        let call = handle.next_call().await;
        let request = call.request();
        assert_eq!(
            request.parameters.max_tokens,
            Some(200),
            "it is the caller's"
        );
        let asks = if number == 0 {
            "2 new records"
        } else {
            "1 new record"
        };
        assert!(prompt(&call).contains(asks), "{number}: {}", prompt(&call));
        call.records([qa(&format!("What is the number {number}?"))]);
    }
    let dataset = run.await.expect("no panic").expect("complete");
    let report = dataset.report();
    assert_eq!(dataset.len(), 8);
    assert_eq!(report.answers.faults[AnswerFault::Truncated], 2);
    assert_eq!(
        report.notes,
        [
            "2 answers were cut off at max_tokens = 200; raise it, or ask for fewer records per request"
        ]
    );
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn a_cut_answer_raises_the_output_limit_up_to_the_ceiling() {
    let (model, mut handle) = mock_llm();
    let run = start(
        model,
        input(json!({
            "topics": ["graphs"], "num_records": 1,
            "generation_model_kwargs": {"max_tokens": 200},
            "data_factory_config": {"max_tokens_ceiling": 500, "dead_queue_threshold": 9},
        })),
    );
    for limit in [200, 400, 500, 500] {
        let call = handle.next_call().await;
        assert_eq!(call.request().parameters.max_tokens, Some(limit));
        assert_eq!(prompt(&call).contains("cut off"), limit > 200);
        call.respond(cut(&[]));
    }
    handle.next_call().await.records([qa("What is a graph?")]);
    let dataset = run.await.expect("no panic").expect("complete");
    let notes = dataset.report().notes.join("\n");
    assert!(notes.contains("max_tokens_ceiling = 500"), "{notes}");
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn a_declined_prompt_is_never_sent_again_word_for_word() {
    let (model, mut handle) = mock_llm();
    let run = start(
        model,
        input(json!({
            "topics": ["chemistry"], "num_records": 2,
            "data_factory_config": {
                "max_concurrency": 1, "dead_queue_threshold": 9, "avoid_examples": 0,
            },
        })),
    );
    // Two tasks are worded before the first answer is there.
    let mut declined = Vec::new();
    for finish_reason in [FinishReason::Refusal, FinishReason::ContentFilter] {
        let call = handle.next_call().await;
        declined.push(prompt(&call));
        call.respond(ChatResponse::new("").with_finish_reason(finish_reason));
    }
    for end in ["filtered", "refused", "accepted", "refused", "accepted"] {
        let call = handle.next_call().await;
        let prompt = prompt(&call);
        assert!(prompt.contains("harmless"), "{prompt}");
        assert!(!declined.contains(&prompt), "{prompt}");
        match end {
            "filtered" => call.fail(ErrorKind::ContentFilter),
            "refused" => {
                call.respond(ChatResponse::new("").with_finish_reason(FinishReason::Refusal));
            }
            _ => {
                call.records([qa(&format!("What is the element {}?", declined.len()))]);
                continue;
            }
        }
        declined.push(prompt);
    }
    let dataset = run.await.expect("no panic").expect("complete");
    let report = dataset.report();
    assert_eq!(report.answers.faults[AnswerFault::Refused], 3);
    assert_eq!(report.answers.faults[AnswerFault::ContentFiltered], 1);
    assert_eq!(report.record_calls.failed[ErrorKind::ContentFilter], 1);
    assert_eq!(report.imbalances(), Vec::<String>::new());
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn a_type_that_disagrees_with_the_schema_is_reported_with_both_facts() {
    #[derive(Deserialize, Debug)]
    struct Counted {
        #[allow(dead_code, reason = "it is only decoded")]
        question: String,
        #[allow(dead_code, reason = "it is only decoded")]
        answer: u32,
    }

    let (model, mut handle) = mock_llm();
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let tell = Arc::clone(&told);
    let pipeline = Pipeline::builder(model)
        .on_event(move |event| {
            if let RunEvent::Rejected {
                disagreement: Some(fault),
                ..
            } = event
            {
                let fact = format!("{} {:?}", fault.path, fault.expected);
                tell.lock().expect("no panic").push(fact);
            }
        })
        .build();
    let input = input(json!({
        "topics": ["graphs"], "num_records": 1, "data_factory_config": {"dead_queue_threshold": 2},
    }))
    .decoded_as::<Counted>();
    let run = tokio::spawn(async move { pipeline.generate(input).await });
    for secret in ["a secret", "another secret"] {
        let record = json!({"question": "How many?", "answer": secret});
        handle.next_call().await.records([record]);
    }
    let error = run.await.expect("no panic").expect_err("nothing decodes");
    assert_eq!(error.error().kind(), ErrorKind::Incomplete);
    let report = error.report();
    assert_eq!(report.candidates.rejected[Rejection::Undecodable], 2);
    assert_eq!(
        report.notes.len(),
        1,
        "each place is told once: {:?}",
        report.notes
    );
    for part in [
        "answer",
        "u32",
        "satisfies the schema",
        "serde and schemars",
    ] {
        assert!(report.notes[0].contains(part), "{}", report.notes[0]);
    }
    let told = told.lock().expect("no panic").clone();
    assert_eq!(told, [r#"/answer Some("u32")"#; 2]);
    let everything = format!(
        "{} {told:?}",
        serde_json::to_string(report).expect("it is JSON")
    );
    assert!(!everything.contains("secret"), "{everything}");
    handle.no_more_calls();
}

#[tokio::test(start_paused = true)]
async fn cut_answers_replay_to_the_same_data_set() {
    for seed in 0..20 {
        let input = || {
            input(json!({
                "topics": ["a", "b"], "num_records": 30,
                "generation_model_kwargs": {"max_tokens": 100},
                "data_factory_config": {
                    "records_per_request": 5, "max_tokens_ceiling": 300, "max_concurrency": 4,
                    "dead_queue_threshold": 50,
                },
            }))
        };
        let model = || FaultyModel::new(seed).truncated(0.4).duplicates(0.2);
        let journal = MemoryJournal::default();
        let run = |model| Pipeline::builder(model).journal(journal.clone()).build();
        let first = run(model()).generate(input()).await.expect("complete");
        assert!(first.report().answers.faults[AnswerFault::Truncated] > 0);
        let silent = model();
        let again = run(silent.clone())
            .generate(input())
            .await
            .expect("complete");
        assert_eq!(silent.books().counts().calls, 0);
        let texts = |dataset: &Dataset| -> Vec<String> {
            let records = dataset.iter();
            records
                .map(|record| record.data["question"].to_string())
                .collect()
        };
        assert_eq!(texts(&again), texts(&first), "seed {seed}");
        assert_eq!(again.report().notes, first.report().notes);
    }
}
