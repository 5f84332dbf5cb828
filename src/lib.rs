//! Turns an instruction and topics into a diverse, schema-valid synthetic data set with language models.

pub mod error;
pub mod parse;

pub use error::{Error, ErrorKind, Result, Retry};
