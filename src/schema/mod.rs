//! The shape of a record.

pub mod dialect;

pub use dialect::Dialect;
