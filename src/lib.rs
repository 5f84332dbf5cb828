//! Turns an instruction and topics into a diverse, schema-valid synthetic data set with language models.
//!
//! [`generate_by_topic`] is the whole library in one call: it takes a [`GenerateByTopicInput`] and returns a
//! [`Dataset`], or a [`RunError`] that holds what was made and says what is missing.
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
//! # What you may want next
//!
//! **Look before you pay.** [`Pipeline::preview`] shows prompts, answers and verdicts of a few tasks,
//! [`pipeline::estimate()`] says what a run will cost, and [`Pipeline::dry_run`] makes one record of each topic.
//!
//! ```
//! # use topicloom::{GenerateByTopicInput, Result};
//! use topicloom::pipeline::estimate;
//! use topicloom::llm::price::PriceTable;
//!
//! # fn main() -> Result<()> {
//! # let input = GenerateByTopicInput::from_json_str(r#"{"num_records": 20, "topics": ["tides"], "generation_model_name": "openai/gpt-4o-mini"}"#)?;
//! println!("{}", estimate(&input, &PriceTable::known())?);
//! # Ok(())
//! # }
//! ```
//!
//! **Take records as they come**, stop when you like, and keep what was paid for: a [`journal::Journal`] lets the same
//! call go on after a kill.
//!
//! ```
//! # use topicloom::GenerateByTopicInput;
//! use futures::StreamExt;
//! use topicloom::Pipeline;
//! use topicloom::journal::MemoryJournal; // or FileJournal::open("run.journal")?
//! use topicloom::llm::OfflineModel;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
//! # let input = GenerateByTopicInput::from_json_str(r#"{"num_records": 20, "topics": ["tides"]}"#)?;
//! let pipeline = Pipeline::builder(OfflineModel::new("offline/loom")).journal(MemoryJournal::default()).build();
//! let mut run = pipeline.run(input)?;
//! while let Some(record) = run.next().await {
//!     println!("{}", record?.topic);
//! }
//! # Ok(())
//! # }
//! ```
//!
//! **Bring parts of your own**: models ([`LlmClient`]), topics ([`topic::TopicProvider`]), deduplicators
//! ([`dedup::Deduplicator`]), filters ([`filter::RecordFilter`]), prompts ([`prompt::Prompts`]), schema rendering
//! ([`schema::SchemaRenderer`]), scheduling ([`pipeline::SchedulingPolicy`]), journals ([`journal::Journal`]) and
//! sinks ([`sink::Sink`]). [`guide::extending`] has a page for each, and [`testing`] checks them.
//!
//! ```
//! use topicloom::Pipeline;
//! use topicloom::dedup::NearDuplicates;
//! use topicloom::filter::filter_fn;
//! use topicloom::llm::OfflineModel;
//!
//! let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
//!     .deduplicator(NearDuplicates::default().fields(["question"]))
//!     .filter(filter_fn("too short", |record| record.data().len() > 1));
//! ```
//!
//! **Start from what you have**, such as rows of a table, documents, examples or wanted shares: see
//! [`guide::starting_points`] and [`input`]. **See what was made**: a [`Report`] counts every call and every candidate, each
//! [`Record`] knows [where it comes from](record::Provenance), and [`RunEvent`]s and [`hooks`] tell what happens meanwhile.
//!
//! [`guide::concepts`] explains the words.

#![cfg_attr(docsrs, feature(doc_cfg))]
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

mod candidate;
mod closest;
mod counts;
pub mod dedup;
mod disk;
#[doc(hidden)]
pub mod diversity;
pub mod embedding;
mod engine;
#[doc(hidden)]
pub mod environment;
mod error;
mod estimate;
mod event;
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
mod otel;
mod outcome;
#[doc(hidden)]
pub mod parse;
pub mod pipeline;
mod plan;
mod preview;
pub mod prompt;
#[doc(hidden)]
pub mod random;
mod rate;
pub mod record;
pub mod report;
mod run;
mod schedule;
pub mod schema;
mod scores;
#[cfg(feature = "postgres")]
mod shared;
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
pub use run::{Dataset, Run, RunError, StopHandle};
/// Derives the shape of a type: `#[derive(schemars::JsonSchema)]`, in the release that this library understands.
pub use schemars;
#[cfg(feature = "postgres")]
pub use shared::{LeaveHandle, SharedRun};

/// The code of the README is compiled and run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
