//! New topics as they come in, none of them twice.

use std::collections::HashSet;

use super::{Topic, TopicRequest, normalised_name};

/// Up to so many new topics, none blank, none that repeats another or an existing one.
#[derive(Debug)]
pub(super) struct Collected {
    wanted: usize,
    seen: HashSet<String>,
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
            topics: Vec::new(),
        }
    }

    /// Takes a topic if it is new and wanted, and returns whether it did.
    pub(super) fn offer(&mut self, topic: Topic) -> bool {
        let new = self.missing() > 0 && self.seen.insert(normalised_name(topic.name()));
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
