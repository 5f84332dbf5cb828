//! What is accepted and has no effect.

use std::fmt;

/// Something in an input that is accepted and has no effect, or not the one it may seem to have.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct InputWarning {
    /// Where, as a path into the JSON form.
    pub field: String,
    /// Why it has no effect.
    pub reason: String,
}

impl InputWarning {
    pub(super) fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            field: field.into(),
            reason: reason.into(),
        }
    }
}

impl fmt::Display for InputWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.reason)
    }
}
