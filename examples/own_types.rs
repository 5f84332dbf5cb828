//! A record with enums, nested types, limits and a filter; what the types say is what is enforced.
//!
//! ```text
//! cargo run --example own_types
//! ```

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use topicloom::filter::filter_fn;
use topicloom::llm::models::ModelRegistry;
use topicloom::report::Rejection;
use topicloom::{GenerateByTopicInput, Pipeline};

/// A support ticket as a customer would write it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Ticket {
    subject: String,
    /// The customer's own words, two to five sentences.
    #[schemars(length(min = 20))]
    body: String,
    mood: Mood,
    #[schemars(range(min = 1, max = 5))]
    urgency: u8,
    #[serde(default)]
    attachments: Vec<Attachment>,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Mood {
    Calm,
    Worried,
    Angry,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct Attachment {
    file_name: String,
    kilobytes: u32,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = GenerateByTopicInput::builder()
        .user_instruction("Support tickets to an online shop")
        .num_records(6)
        .topics(["late delivery", "refund", "login"])
        .generation_model("offline/loom")
        .output::<Ticket>()
        .build()?;
    let pipeline = Pipeline::from_input(&input)?;
    let everything = pipeline.generate(input.clone()).await?;
    println!("{:#?}", everything.records()[0].data);

    let urgent = filter_fn("not urgent", |ticket| {
        ticket
            .data()
            .get("urgency")
            .and_then(serde_json::Value::as_u64)
            >= Some(3)
    });
    let pipeline = Pipeline::builder_from_input(&input, &ModelRegistry::default())?
        .filter(urgent)
        .build();
    let dataset = pipeline.generate(input).await?;
    let rejected = dataset.report().candidates.rejected[Rejection::Filtered];
    println!(
        "{} urgent tickets; {rejected} others were refused and replaced",
        dataset.len()
    );
    Ok(())
}
