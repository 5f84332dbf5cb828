//! An embedding model that the input names: found by its name, asked once for each text, kept in the journal.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use topicloom::journal::{Entry, FileJournal, MemoryJournal};
use topicloom::llm::models::ModelRegistry;
use topicloom::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, OfflineModel};
use topicloom::{ErrorKind, GenerateByTopicInput, Pipeline, Report, Result};

/// Answers `/embeddings` with one direction for each text; returns where, and how many texts it was asked for.
pub(crate) fn embedding_server() -> (String, Arc<AtomicUsize>) {
    embedding_server_for(usize::MAX, |_| false)
}

/// The same, for `most` texts; then it is silent. It fails at some.
fn embedding_server_for(most: usize, fails: fn(u32) -> bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.expect("a connection");
            let count = Arc::clone(&count);
            // A connection may be opened and never used.
            std::thread::spawn(move || answer(stream, &count, most, fails));
        }
    });
    (format!("http://{address}/v1"), asked)
}

fn answer(mut stream: TcpStream, count: &AtomicUsize, most: usize, fails: fn(u32) -> bool) {
    let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
    let mut length = 0;
    let mut line = String::new();
    while reader.read_line(&mut line).expect("a header") > 2 {
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().expect("a number");
        }
        line.clear();
    }
    if length == 0 {
        return;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).expect("a body");
    let request: Value = serde_json::from_slice(&body).expect("JSON");
    let texts = request["input"].as_array().expect("a list of texts");
    if count.fetch_add(texts.len(), Ordering::Relaxed) + texts.len() > most {
        std::thread::park();
    }
    let sum = |text: &Value| text.to_string().bytes().map(u32::from).sum::<u32>();
    let status = if texts.iter().any(|text| fails(sum(text))) {
        "500 Internal Server Error"
    } else {
        "200 OK"
    };
    let data: Vec<Value> = (0..)
        .zip(texts)
        .map(|(index, text)| {
            let sum = sum(text);
            let angle = f64::from(sum);
            json!({"index": index, "embedding": [angle.sin(), angle.cos(), 0.1]})
        })
        .collect();
    let body = json!({"data": data, "usage": {"prompt_tokens": 3, "total_tokens": 3}}).to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    );
    stream
        .write_all(head.as_bytes())
        .and_then(|()| stream.write_all(body.as_bytes()))
        .expect("it listens");
}

fn input(base_url: &str, records: u64) -> GenerateByTopicInput {
    GenerateByTopicInput::from_json_value(json!({
        "user_instruction": "Q&A pairs about the sea", "num_records": records, "topics": ["tides", "waves"],
        "generation_model_name": "offline/loom",
        "deduplication": {"embedding_model": "house/small", "threshold": 1.0},
        "providers": {"house": {"base_url": base_url}},
        "data_factory_config": {"seed": 1},
    }))
    .expect("an input")
}

async fn run(input: GenerateByTopicInput, journal: &MemoryJournal) -> Report {
    let builder =
        Pipeline::builder_from_input(&input, &ModelRegistry::new()).expect("known models");
    let pipeline = builder
        .journal(journal.clone())
        .resume_changed_input()
        .build();
    let dataset = pipeline
        .generate(input)
        .await
        .unwrap_or_else(|error| panic!("{error}"));
    dataset.report().clone()
}

#[tokio::test]
async fn refused_records_are_asked_for_again_while_embeddings_are_written_down() {
    let (base_url, _) = embedding_server();
    for (at_once, journal) in [(1, true), (1, false), (4, true), (4, false)] {
        let mut document = input(&base_url, 40).to_json();
        document["data_factory_config"]["max_concurrency"] = json!(at_once);
        // Two in three of the stand-in's directions are taken for repeats.
        document["data_factory_config"]["deduplication"]["threshold"] = json!(0.9);
        document["data_factory_config"]["dead_queue_threshold"] = json!(1_000);
        let input = GenerateByTopicInput::from_json_value(document).expect("an input");
        let builder =
            Pipeline::builder_from_input(&input, &ModelRegistry::new()).expect("known models");
        let builder = if journal {
            builder.journal(MemoryJournal::default())
        } else {
            builder
        };
        let dataset = builder.build().generate(input).await;
        let report = dataset
            .unwrap_or_else(|error| panic!("{at_once} at once: {error}"))
            .report()
            .clone();
        assert_eq!(report.accepted, 40);
    }
}

#[tokio::test]
async fn a_resume_asks_for_no_embedding_again() {
    let (base_url, asked) = embedding_server();
    let journal = MemoryJournal::default();
    let first = run(input(&base_url, 8), &journal).await;
    let of_first = asked.load(Ordering::Relaxed);
    assert!(
        of_first >= 8,
        "each record is compared by its embedding: {of_first}"
    );
    assert!(
        first.compared_by.contains("semantic (house/small"),
        "{}",
        first.compared_by
    );
    assert!(
        first.spending.calls > first.record_calls.made,
        "the calls for embeddings are booked"
    );

    let again = run(input(&base_url, 8), &journal).await;
    assert_eq!(
        asked.load(Ordering::Relaxed),
        of_first,
        "nothing is asked again"
    );
    assert_eq!(again.accepted, 8);

    run(input(&base_url, 10), &journal).await;
    let of_more = asked.load(Ordering::Relaxed) - of_first;
    assert!(
        (2..8).contains(&of_more),
        "only new records are asked for: {of_more}"
    );
}

#[tokio::test]
async fn a_text_that_cannot_be_embedded_ends_neither_the_run_nor_its_resume() {
    let (base_url, asked) = embedding_server_for(usize::MAX, |sum| sum % 8 == 3);
    let journal = MemoryJournal::default();
    let first = run(input(&base_url, 12), &journal).await;
    assert_eq!(first.accepted, 12);
    let told = |report: &Report| {
        let notes = report.notes.iter();
        notes
            .filter(|note| note.contains("made no embedding"))
            .count()
    };
    assert_eq!(told(&first), 1, "{:?}", first.notes);
    let before = asked.load(Ordering::Relaxed);
    let again = run(input(&base_url, 12), &journal).await;
    assert_eq!(
        asked.load(Ordering::Relaxed),
        before,
        "nothing is asked again"
    );
    assert_eq!((again.accepted, told(&again)), (12, 1));
    run(input(&base_url, 14), &journal).await;
}

#[tokio::test]
async fn a_run_whose_texts_all_fail_ends_with_the_cause() {
    let (base_url, _) = embedding_server_for(usize::MAX, |_| true);
    let input = input(&base_url, 4);
    let builder =
        Pipeline::builder_from_input(&input, &ModelRegistry::new()).expect("known models");
    tokio::time::pause();
    let error = builder
        .build()
        .generate(input)
        .await
        .expect_err("no embedding");
    assert_eq!(error.error().kind(), ErrorKind::Overloaded, "{error}");
}

/// The stand-in, whose answers wait until as many texts were embedded as it has answered, or two seconds.
#[derive(Debug)]
struct Paced {
    embedded: Arc<AtomicUsize>,
    before: usize,
    answered: AtomicUsize,
}

impl Paced {
    fn by(embedded: Arc<AtomicUsize>) -> Self {
        Self {
            before: embedded.load(Ordering::Relaxed),
            embedded,
            answered: AtomicUsize::new(0),
        }
    }
}

#[async_trait]
impl LlmClient for Paced {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let answered = self.before + self.answered.fetch_add(1, Ordering::Relaxed);
        let mut waits = 0..400;
        while self.embedded.load(Ordering::Relaxed) < answered && waits.next().is_some() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        OfflineModel::default().complete(request).await
    }

    fn model(&self) -> &'static str {
        "paced/loom"
    }

    fn capabilities(&self) -> Capabilities {
        OfflineModel::default().capabilities()
    }
}

#[tokio::test]
async fn calls_for_embeddings_count_under_the_caps_of_all_processes_of_a_run() {
    let directory = tempfile::tempdir().expect("there is room");
    let path = |name: &str| directory.path().join(name);
    let pipeline = |input: &GenerateByTopicInput, name: &str, asked: &Arc<AtomicUsize>| {
        let journal = FileJournal::open(path(name)).expect("it opens");
        let asked = Arc::clone(asked);
        let models = ModelRegistry::new().register("paced", move |_| {
            Ok(Arc::new(Paced::by(Arc::clone(&asked))))
        });
        let builder = Pipeline::builder_from_input(input, &models).expect("known models");
        builder.journal(journal).build()
    };
    let capped = |base_url: &str| {
        let mut document = input(base_url, 40).to_json();
        document["generation_model_name"] = json!("paced/loom");
        document["data_factory_config"]["max_calls"] = json!(20);
        document["data_factory_config"]["max_concurrency"] = json!(1);
        GenerateByTopicInput::from_json_value(document).expect("an input")
    };
    let (base_url, asked) = embedding_server_for(5, |_| false);
    let input = capped(&base_url);
    let run = pipeline(&input, "first", &asked)
        .run(input)
        .expect("it starts");
    while asked.load(Ordering::Relaxed) < 6 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // What a process leaves that is killed now.
    std::fs::copy(path("first"), path("killed")).expect("it can be copied");
    drop(run);

    let (base_url, asked) = embedding_server();
    let input = capped(&base_url);
    let mut asked_before = None;
    for resume in 0..2 {
        let error = pipeline(&input, "killed", &asked)
            .generate(input.clone())
            .await
            .expect_err("the cap is reached");
        assert_eq!(error.error().kind(), ErrorKind::Budget, "{error}");
        // Beside the one that hangs, a call to the model may have been on its way.
        let spent = error.report().spending;
        let lost = spent.uncertain_calls;
        assert_eq!(spent.calls, 20, "resume {resume}");
        assert!((1..=2).contains(&lost), "resume {resume}: {lost}");
        let notes = error.report().notes.join("\n");
        assert!(notes.contains("calls were in flight"), "{notes}");
        let asked = asked.load(Ordering::Relaxed);
        assert_eq!(*asked_before.get_or_insert(asked), asked, "resume {resume}");
    }
}

/// Writes a static model in which each byte has a dimension of its own, in a directory `model` of this one.
#[cfg(feature = "static-embeddings")]
fn static_model(beside: &std::path::Path) {
    let vocabulary: serde_json::Map<String, Value> = (0..=255_u8)
        .map(|byte| (format!("<0x{byte:02X}>"), byte.into()))
        .collect();
    let tokenizer = json!({
        "added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": null,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": true, "vocab": vocabulary, "merges": []},
    });
    let header =
        json!({"embeddings": {"dtype": "I8", "shape": [256, 256], "data_offsets": [0, 65536]}})
            .to_string();
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend_from_slice(header.as_bytes());
    file.extend((0..65536).map(|at| u8::from(at / 256 == at % 256)));
    let directory = beside.join("model");
    std::fs::create_dir(&directory).expect("it is writable");
    std::fs::write(directory.join("tokenizer.json"), tokenizer.to_string())
        .expect("it is writable");
    std::fs::write(directory.join("model.safetensors"), file).expect("it is writable");
}

#[cfg(feature = "static-embeddings")]
#[tokio::test]
async fn a_static_model_beside_the_input_costs_no_call_and_is_no_reason_to_keep_anything() {
    let folder = tempfile::TempDir::new().expect("a directory");
    let file = folder.path().join("input.json");
    let mut document = input("http://localhost:9", 8).to_json();
    document["data_factory_config"]["deduplication"] =
        json!({"embedding_model": "static/model", "threshold": 1.0});
    // No price is known of it, and none is needed.
    document["data_factory_config"]["max_cost_usd"] = json!(1.0);
    std::fs::write(&file, document.to_string()).expect("it is writable");
    let read = || GenerateByTopicInput::from_file(&file).expect("an input");

    let builder =
        Pipeline::builder_from_input(&read(), &ModelRegistry::new()).expect("known models");
    let error = builder
        .build()
        .generate(read())
        .await
        .expect_err("there is no model yet");
    let (error, calls) = (error.error().to_string(), error.report().spending.calls);
    let missing = folder.path().join("model").join("tokenizer.json");
    assert!(
        error.contains("no such directory") && error.contains(&missing.display().to_string()),
        "{error}"
    );
    assert_eq!(calls, 0);

    static_model(folder.path());
    let journal = MemoryJournal::default();
    for records in [8, 8] {
        let report = run(read(), &journal).await;
        assert_eq!(report.accepted, records);
        assert!(
            report.compared_by.contains("semantic (static/"),
            "{}",
            report.compared_by
        );
        assert_eq!(
            report.spending.calls, report.record_calls.made,
            "only records are asked for"
        );
    }
    assert!(
        !journal
            .entries()
            .iter()
            .any(|entry| matches!(entry, Entry::Embedded(_)))
    );
}
