//! Readable text without a language model: a grammar, a vocabulary, and field names that choose between them.

mod grammar;
mod scribe;
mod subject;

pub(super) use scribe::{Length, Scribe};
pub(super) use subject::{instruction_subject, topic_line, topics_in_use};

pub(super) mod field;
