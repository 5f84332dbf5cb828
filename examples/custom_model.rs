//! A model backend of one's own: one method that makes one attempt, and a name. The pipeline adds the rest.
//!
//! ```text
//! cargo run --example custom_model
//! ```

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use topicloom::llm::{ChatRequest, ChatResponse, LlmClient};
use topicloom::{Error, ErrorKind, GenerateByTopicInput, Pipeline, Result};

/// Knows the times tables, and is overloaded every third time.
#[derive(Debug, Default)]
struct TimesTables {
    calls: AtomicU64,
}

#[async_trait]
impl LlmClient for TimesTables {
    async fn complete(&self, _request: &ChatRequest) -> Result<ChatResponse> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        if call % 3 == 2 {
            return Err(Error::new(ErrorKind::Overloaded, "the abacus is in use"));
        }
        let (a, b) = (call / 10 + 2, call % 10 + 2);
        Ok(ChatResponse::new(format!(
            r#"Here you are: {{"question": "What is {a} times {b}?", "answer": "{}"}}"#,
            a * b
        )))
    }

    fn model(&self) -> &'static str {
        "own/times-tables"
    }
}

#[tokio::main]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let input = GenerateByTopicInput::builder()
        .num_records(8)
        .topics(["multiplication"])
        .build()?;
    let dataset = Pipeline::builder(TimesTables::default())
        .build()
        .generate(input)
        .await?;
    for record in &dataset {
        println!("{} {}", record.data["question"], record.data["answer"]);
    }
    let calls = &dataset.report().record_calls;
    println!(
        "{} calls, {} of them failed and were made again",
        calls.made,
        calls.failures()
    );
    Ok(())
}
