//! Turns an instruction and topics into a diverse, schema-valid synthetic data set with language models.

pub mod candidate;
mod closest;
pub mod dedup;
mod disk;
pub mod diversity;
#[cfg(feature = "semantic")]
pub mod embedding;
mod engine;
pub mod error;
pub mod event;
mod fault;
pub mod filter;
pub mod input;
pub mod journal;
pub mod llm;
pub mod outcome;
pub mod parse;
pub mod pipeline;
pub mod plan;
pub mod prompt;
pub mod random;
mod rate;
pub mod record;
pub mod report;
pub mod run;
pub mod schedule;
pub mod schema;
pub mod sink;
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
pub use record::{JsonRecord, Record};
pub use report::Report;
pub use run::{Dataset, Run, RunError};
