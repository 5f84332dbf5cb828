//! Looks over the shoulder of a run: what was paid for and not accepted is kept aside, with the reason.
//!
//! ```text
//! cargo run --example hooks
//! ```

use std::sync::mpsc;

use serde_json::json;
use topicloom::filter::filter_fn;
use topicloom::llm::OfflineModel;
use topicloom::{GenerateByTopicInput, Pipeline};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = GenerateByTopicInput::builder()
        .user_instruction("Q&A pairs about the sea")
        .num_records(6)
        .topics(["tides", "currents"])
        .generation_model("offline/loom")
        .build()?;
    // A hook must be quick: it hands on what takes time.
    let (aside, rejects) = mpsc::channel();
    let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
        .filter(filter_fn("the question is too long", |candidate| {
            candidate
                .text("question")
                .is_some_and(|question| question.len() < 100)
        }))
        .on_accepted(|record| println!("{}: {}", record.topic, record.data["question"]))
        .on_rejected(move |candidate| {
            // Whoever reads the rejects may be gone, which is no reason to stop.
            let _ = aside.send(json!({
                "topic": candidate.topic.name(),
                "rejection": candidate.rejection.as_str(),
                "reason": candidate.reason,
                "repeats": candidate.repeats.map(|found| found.of.to_string()),
                "data": candidate.data,
            }));
        })
        .on_failed(|task| eprintln!("{}: {}", task.topic, task.error))
        .build();
    let report = match pipeline.generate(input).await {
        Ok(dataset) => dataset.report().clone(),
        Err(error) => error.report().clone(),
    };
    drop(pipeline);
    for reject in rejects {
        println!("rejected: {reject}");
    }
    for (reason, times) in &report.filtered {
        println!("{times} were refused: {reason}");
    }
    Ok(())
}
