//! Records as they are accepted, and an end before they are all there.
//!
//! ```text
//! cargo run --example stream_and_stop
//! ```

use futures::StreamExt;
use topicloom::{ErrorKind, GenerateByTopicInput, Pipeline};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let input = GenerateByTopicInput::builder()
        .user_instruction("Q&A pairs about the history of science")
        .num_records(1_000_000)
        .topics(["astronomy", "chemistry", "biology"])
        .generation_model("offline/loom")
        .build()?;
    let mut run = Pipeline::from_input(&input)?.run(input)?;
    // Works from anywhere: a signal handler, another task. Dropping the run does the same.
    let stop = run.stop_handle();
    let mut taken = 0;
    while let Some(item) = run.next().await {
        match item {
            Ok(record) => {
                taken += 1;
                println!("{taken}: {}", record.data["question"]);
                if taken == 5 {
                    stop.stop();
                }
            }
            // The last item, if the run did not complete.
            Err(error) if error.kind() == ErrorKind::Cancelled => println!("stopped, as asked"),
            Err(error) => return Err(error.into()),
        }
    }
    let report = run.report().expect("the stream has ended");
    println!(
        "{} of {} records were accepted",
        report.accepted, report.requested
    );
    Ok(())
}
