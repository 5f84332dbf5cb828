//! Turns an instruction and topics into a diverse, schema-valid synthetic data set with language models.

pub mod candidate;
pub mod dedup;
mod engine;
pub mod error;
mod fault;
pub mod filter;
pub mod llm;
pub mod outcome;
pub mod plan;
pub mod random;
pub mod schedule;
pub mod schema;
#[cfg(feature = "testing")]
pub mod testing;
pub mod topic;

pub use candidate::Candidate;
pub use error::{Error, ErrorKind, Result, Retry};
pub use fault::{Fault, Faults};
pub use llm::LlmClient;
