//! A run from an input file, with some of it changed: the file says what is wanted, and the program where it goes.
//!
//! ```text
//! cargo run --features formats --example from_file examples/inputs/classification.yaml
//! ```

use topicloom::input::GenerateByTopicInputBuilder;
use topicloom::{InputFaults, Pipeline};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let file = std::env::args().nth(1);
    let file = file.unwrap_or_else(|| "examples/input.json".to_owned());
    let input = GenerateByTopicInputBuilder::from_file(file)?
        .num_records(12)
        // A stand-in that needs no key. Without this line, the model of the file is asked.
        .generation_model("offline/loom")
        .build();
    let input = input.inspect_err(|error| {
        for fault in InputFaults::of(error) {
            eprintln!("{}: {}", fault.field, fault.problem);
        }
    })?;
    let dataset = Pipeline::from_input(&input)?.generate(input).await?;
    println!("{}", dataset.report());
    for (topic, records) in dataset.by_topic() {
        println!("{topic}: {}", records.len());
    }
    dataset.save_jsonl("records.jsonl")?;
    Ok(())
}
