//! Turns an instruction and topics into a diverse, schema-valid synthetic data set with language models.

pub mod candidate;
pub mod dedup;
pub mod error;
pub mod llm;
pub mod random;
pub mod schema;
#[cfg(feature = "testing")]
pub mod testing;

pub use candidate::Candidate;
pub use error::{Error, ErrorKind, Result, Retry};
pub use llm::LlmClient;
