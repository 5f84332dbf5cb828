//! The shortest way from an instruction to typed records.
//!
//! ```text
//! cargo run --example quickstart
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use topicloom::{GenerateByTopicInput, generate_by_topic};

#[derive(Serialize, Deserialize, JsonSchema)]
struct Qa {
    question: String,
    answer: String,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = GenerateByTopicInput::builder()
        .user_instruction("Q&A pairs about machine learning")
        .num_records(12)
        .topics(["supervised learning", "neural networks"])
        .topic_with_count("reinforcement learning", 3)
        // A stand-in that needs no key. With a key in `OPENAI_API_KEY`: `openai/gpt-4o-mini`.
        .generation_model("offline/loom")
        .output::<Qa>()
        .build()?;
    let dataset = generate_by_topic(input).await?;
    for record in &dataset {
        println!(
            "{}: {} {}",
            record.topic, record.data.question, record.data.answer
        );
    }
    Ok(())
}
