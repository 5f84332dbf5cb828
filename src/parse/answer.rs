//! What the readers of an answer give back.

use serde_json::Value;

use super::{Fault, Repairs};

/// What was found in an answer.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Answer {
    /// What was asked for, in the order of the answer: whole objects for `records`, strings for `strings`.
    pub values: Vec<Value>,
    /// What was repaired on the way.
    pub repairs: Repairs,
    /// What kept the rest of the answer from being read, if anything did. There may be values beside it: those
    /// that came whole before a cut.
    pub fault: Option<Fault>,
}

impl Answer {
    pub(super) fn faulty(fault: Fault) -> Self {
        Self {
            values: Vec::new(),
            repairs: Repairs::default(),
            fault: Some(fault),
        }
    }
}
