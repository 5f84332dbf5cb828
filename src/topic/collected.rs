//! New topics as they come in, none of them twice.

use std::collections::HashSet;

use super::{IsNew, Topic, TopicRequest, normalised_name};

/// Up to this many new topics, none blank, none that repeats another or an existing one.
pub(super) struct Collected {
    wanted: usize,
    seen: HashSet<String>,
    /// For names that a model invents, which says the same in other words.
    is_new: Option<IsNew>,
    topics: Vec<Topic>,
}

impl Collected {
    pub(super) fn new(request: &TopicRequest<'_>) -> Self {
        let existing = request.existing.iter();
        let mut seen: HashSet<String> = existing
            .map(|topic| normalised_name(topic.name()))
            .collect();
        seen.insert(String::new());
        Self {
            wanted: request.count,
            seen,
            is_new: None,
            topics: Vec::new(),
        }
    }

    /// As [`new`](Self::new), for topics that a model invents.
    pub(super) fn invented(request: &TopicRequest<'_>) -> Self {
        Self {
            is_new: Some(request.new_names()),
            ..Self::new(request)
        }
    }

    /// Takes a topic if it is new and wanted, and returns whether it did.
    pub(super) fn offer(&mut self, topic: Topic) -> bool {
        let says_more = |is_new: &mut IsNew| is_new(topic.name());
        let new = self.missing() > 0
            && self.seen.insert(normalised_name(topic.name()))
            && self.is_new.as_mut().is_none_or(says_more);
        if new {
            self.topics.push(topic);
        }
        new
    }

    pub(super) fn missing(&self) -> usize {
        self.wanted - self.topics.len()
    }

    pub(super) fn topics(&self) -> &[Topic] {
        &self.topics
    }

    pub(super) fn into_topics(self) -> Vec<Topic> {
        self.topics
    }
}
