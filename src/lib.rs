//! Turns an instruction and topics into a diverse, schema-valid synthetic data set with language models.

pub mod candidate;
pub mod dedup;
pub mod error;

pub use candidate::Candidate;
pub use error::{Error, ErrorKind, Result, Retry};
