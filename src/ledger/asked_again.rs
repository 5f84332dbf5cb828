//! Which texts that look unfinished were asked for again.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::Task;
use crate::schema::Violation;

/// The most texts that are remembered; further ones are taken as they come.
const MOST: usize = 10_000;

/// Texts that look unfinished and were asked for again, and so are meant when they come again: by topic and text, with the first task that was made after the asking.
#[derive(Default)]
pub(crate) struct AskedAgain(HashMap<(usize, u64), u64>);

impl AskedAgain {
    /// Whether a task that knew better gave the same again. If not, remembers it; `next_task` is the one to be made next.
    ///
    /// Of a placeholder, the same is the same text. Texts that are all equal in a record are meant to be, wherever they come
    /// again.
    pub(crate) fn is_second(
        &mut self,
        task: &Task,
        found: &Violation,
        text: &str,
        next_task: u64,
    ) -> bool {
        let mut hasher = DefaultHasher::new();
        let everywhere = found.keyword == "same_texts";
        (&found.keyword, if everywhere { "" } else { text }).hash(&mut hasher);
        let topic = if everywhere { usize::MAX } else { task.topic };
        let key = (topic, hasher.finish());
        if let Some(since) = self.0.get(&key) {
            return task.id >= *since;
        }
        if self.0.len() >= MOST {
            return true;
        }
        self.0.insert(key, next_task);
        false
    }
}
