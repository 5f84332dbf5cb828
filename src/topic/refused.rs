//! Why names that a model gave were not taken as topics.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// How many names were refused, by the reason. Clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct RefusedNames(Arc<Mutex<BTreeMap<&'static str, u64>>>);

impl RefusedNames {
    pub(super) fn add(&self, reason: &'static str) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(reason).or_default() += 1;
    }

    /// Takes what was counted, in words, the most frequent first; nothing where that is nothing.
    pub(crate) fn take(&self) -> Option<String> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts: Vec<_> = std::mem::take(&mut *counts).into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let words = counts
            .iter()
            .map(|(reason, count)| format!("{reason} ({count})"));
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join(", "))
    }
}
