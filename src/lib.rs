//! Turns an instruction and topics into a diverse, schema-valid synthetic data set with language models.

pub mod candidate;
mod closest;
pub mod dedup;
mod engine;
pub mod error;
mod fault;
pub mod filter;
pub mod input;
pub mod llm;
pub mod outcome;
pub mod plan;
pub mod prompt;
pub mod random;
pub mod record;
pub mod schedule;
pub mod schema;
#[cfg(feature = "testing")]
pub mod testing;
pub mod topic;

pub use candidate::Candidate;
pub use error::{Error, ErrorKind, Result, Retry};
pub use fault::{InputFault, InputFaults};
pub use input::GenerateByTopicInput;
pub use llm::LlmClient;
pub use record::JsonRecord;
