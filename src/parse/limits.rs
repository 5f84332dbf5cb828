//! How much of an answer is looked at.

/// Bounds on what is read from one answer.
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_field_names, reason = "each is named as its setter is")]
pub struct Limits {
    pub(super) max_bytes: usize,
    pub(super) max_depth: usize,
    pub(super) max_values: usize,
}

impl Limits {
    /// Sets how long an answer may be, in bytes: 4 MiB by default, some thirty times the longest output of
    /// today's models.
    #[must_use]
    pub fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Sets how deep arrays and objects may nest: 128 by default, as in `serde_json`; never more than 512,
    /// since dropping a nested value takes stack.
    #[must_use]
    pub fn max_depth(mut self, depth: usize) -> Self {
        self.max_depth = depth.min(512);
        self
    }

    /// Sets how many JSON values an answer may hold: 500 000 by default, which bounds memory to some tens
    /// of megabytes. Outside a list each one counts for twenty, so that JSON Lines may have some 20 000 records.
    #[must_use]
    pub fn max_values(mut self, values: usize) -> Self {
        self.max_values = values;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_bytes: 4 * 1024 * 1024,
            max_depth: 128,
            max_values: 500_000,
        }
    }
}
