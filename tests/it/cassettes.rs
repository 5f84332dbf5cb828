//! No cassette in this repository holds a key, or a header or parameter that is not listed.

use std::path::{Path, PathBuf};

use topicloom::ErrorKind;
use topicloom::llm::layers::{Recorded, Replayed};
use topicloom::llm::{ChatRequest, LlmClient, Message, Parameters};

fn cassettes(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("the folder exists") {
        let path = entry.expect("it can be read").path();
        if path.is_dir() {
            cassettes(&path, found);
        } else if path.to_string_lossy().ends_with(".cassette.jsonl") {
            found.push(path);
        }
    }
}

#[test]
fn no_cassette_holds_a_key() {
    let mut found = Vec::new();
    cassettes(
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests"),
        &mut found,
    );
    assert!(
        !found.is_empty(),
        "the search finds nothing, so it proves nothing"
    );
    for path in found {
        let text = std::fs::read_to_string(&path).expect("it can be read");
        let leaks = Recorded::leaks(&text);
        assert!(leaks.is_empty(), "{}: {leaks:?}", path.display());
    }
}

#[tokio::test]
async fn a_kept_cassette_still_plays() {
    let path = "tests/cases/cassettes/three_calls.cassette.jsonl";
    let replayed =
        Replayed::open(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("it is a cassette");
    let ask = async |seed: u64, topic: &str| {
        let mut parameters = Parameters::default();
        (parameters.temperature, parameters.max_tokens) = (Some(0.8), Some(200));
        parameters.extra.insert("top_p".to_owned(), 0.9.into());
        parameters
            .extra
            .insert("api_key".to_owned(), "whatever it is today".into());
        let system = Message::system("Write a question and its answer about the topic.");
        let request = ChatRequest::new(vec![system, Message::user(topic)]);
        replayed
            .complete(&request.with_parameters(parameters).with_seed(seed))
            .await
    };
    let answer = ask(1, "gradient descent").await.expect("it was answered");
    assert!(answer.text.contains("What is gradient descent?"));
    assert_eq!(answer.usage.total(), 42);
    let error = ask(2, "overfitting").await.expect_err("it was refused");
    assert_eq!(error.kind(), ErrorKind::Overloaded);
    assert!(error.is_retryable());
}
