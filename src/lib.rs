//! Turns an instruction and topics into a diverse, schema-valid synthetic data set with language models.

pub mod error;
mod fault;
pub mod llm;
pub mod plan;
pub mod schema;
#[cfg(feature = "testing")]
pub mod testing;
pub mod topic;

pub use error::{Error, ErrorKind, Result, Retry};
pub use fault::{Fault, Faults};
pub use llm::LlmClient;
