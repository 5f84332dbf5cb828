//! Turns an instruction and topics into a diverse, schema-valid synthetic data set with language models.
//!
//! [`generate_by_topic`] is the whole library in one call: it takes a [`GenerateByTopicInput`] and returns a
//! [`Dataset`], or a [`RunError`] that holds what was made and says what is missing. A [`Pipeline`] streams records
//! and takes parts of your own: models ([`LlmClient`]), topics ([`topic::TopicProvider`]), deduplicators
//! ([`dedup::Deduplicator`]), filters ([`filter::RecordFilter`]), prompts ([`prompt::Prompts`]), schema rendering
//! ([`schema::SchemaRenderer`]), scheduling ([`schedule::SchedulingPolicy`]), journals ([`journal::Journal`]) and
//! sinks ([`sink::Sink`]).
//!
//! ```
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use topicloom::{GenerateByTopicInput, generate_by_topic};
//!
//! #[derive(Serialize, Deserialize, JsonSchema)]
//! struct Qa {
//!     question: String,
//!     answer: String,
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let input = GenerateByTopicInput::builder()
//!     .user_instruction("Q&A pairs about machine learning")
//!     .num_records(20)
//!     .topics(["supervised learning", "neural networks"])
//!     .generation_model("offline/loom") // a stand-in without a key; or "openai/gpt-4o-mini"
//!     .output::<Qa>()
//!     .build()?;
//! for record in &generate_by_topic(input).await? {
//!     println!("{}: {}", record.topic, record.data.question);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! What happens meanwhile is told as [`RunEvent`]s, and [`hooks`] are shown the data. [`Pipeline::preview`] shows prompts,
//! answers and verdicts of a few tasks, and [`Pipeline::dry_run`] makes one record of each topic.
//!
//! [`guide::concepts`] explains the words.

// A library speaks through its return values; the command and the examples may print.
#![warn(clippy::print_stdout, clippy::print_stderr)]
// Tests count with small numbers, and set up one field at a time.
#![cfg_attr(
    test,
    allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_possible_wrap,
        clippy::field_reassign_with_default
    )
)]

pub mod candidate;
mod closest;
mod counts;
pub mod dedup;
mod disk;
pub mod diversity;
pub mod embedding;
mod engine;
pub mod environment;
pub mod error;
pub mod estimate;
pub mod event;
mod fault;
pub mod filter;
mod guard;
pub mod guide;
pub mod hooks;
pub mod input;
pub mod journal;
mod ledger;
pub mod llm;
#[cfg(feature = "otel")]
pub mod otel;
pub mod outcome;
pub mod parse;
pub mod pipeline;
pub mod plan;
pub mod preview;
pub mod prompt;
pub mod random;
mod rate;
pub mod record;
pub mod report;
pub mod run;
pub mod schedule;
pub mod schema;
mod scores;
#[cfg(feature = "postgres")]
pub mod shared;
pub mod sink;
mod stop_signal;
#[cfg(feature = "testing")]
pub mod testing;
pub mod topic;

pub use candidate::Candidate;
pub use error::{Error, ErrorKind, Result, Retry};
pub use event::RunEvent;
pub use fault::{InputFault, InputFaults};
pub use input::GenerateByTopicInput;
pub use llm::LlmClient;
pub use pipeline::{Pipeline, PipelineBuilder, generate_by_topic};
pub use preview::Preview;
pub use record::{JsonRecord, Record};
pub use report::Report;
pub use run::{Dataset, Run, RunError};
/// Derives the shape of a type: `#[derive(schemars::JsonSchema)]`, in the release that this library understands.
pub use schemars;
#[cfg(feature = "postgres")]
pub use shared::SharedRun;

/// The code of the README is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
