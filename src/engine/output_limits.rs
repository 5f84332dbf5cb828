//! How long the answers of each topic may be: `max_tokens`, and more after an answer that was cut off.

use super::own_limit::OwnLimit;

/// The output limit of each topic.
///
/// Only what is asked next depends on it, never what is accepted.
#[derive(Debug)]
pub(super) struct OutputLimits {
    start: Option<u64>,
    ceiling: u64,
    topics: Vec<Limit>,
    /// Stands in where the caller gave no limit and one is needed.
    own: Option<OwnLimit>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Limit {
    /// How often it was doubled.
    raises: u32,
    /// The first task that was worded after the last time.
    since: u64,
}

impl OutputLimits {
    /// Starts every topic at `start`; a limit that is not set cannot be raised.
    pub(super) fn new(topics: usize, start: Option<u64>, ceiling: Option<u64>) -> Self {
        Self {
            start,
            ceiling: ceiling.or(start).unwrap_or(u64::MAX),
            topics: vec![Limit::default(); topics],
            own: None,
        }
    }

    /// Uses a limit of the library's own for all topics, where there is one.
    pub(super) fn or_own(mut self, own: Option<OwnLimit>) -> Self {
        self.own = own;
        self
    }

    /// Takes note of how long an answer was that came whole.
    pub(super) fn saw_whole(&mut self, output_tokens: u64) {
        if let Some(own) = &mut self.own {
            own.saw(output_tokens);
        }
    }

    /// Returns the limit of the topic's next task, for so many records, if it is not the one of the parameters.
    pub(super) fn raised(&self, topic: usize, records: u64) -> Option<u64> {
        if let Some(own) = &self.own {
            return Some(own.of(records));
        }
        let raises = self.topics[topic].raises;
        self.start
            .filter(|_| raises > 0)
            .map(|start| self.doubled(start, raises))
    }

    /// Books that the answer to a task was cut off, and returns whether the next one of the topic has more room.
    ///
    /// Tasks that were in flight together were cut off at the same limit, and raise it once: `next_task` is the
    /// first that is worded after this.
    pub(super) fn cut(&mut self, topic: usize, task: u64, next_task: u64) -> bool {
        if let Some(own) = &mut self.own {
            return own.cut(task, next_task);
        }
        let Some(start) = self.start else {
            return false;
        };
        let Limit { raises, since } = self.topics[topic];
        if task < since {
            return true;
        }
        let has_room = self.doubled(start, raises) < self.ceiling;
        if has_room {
            self.topics[topic] = Limit {
                raises: raises + 1,
                since: next_task,
            };
        }
        has_room
    }

    fn doubled(&self, start: u64, raises: u32) -> u64 {
        let factor = 2_u64.checked_pow(raises).unwrap_or(u64::MAX);
        start.saturating_mul(factor).min(self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_doubles_the_limit_up_to_the_ceiling() {
        let mut limits = OutputLimits::new(2, Some(200), Some(700));
        assert_eq!(limits.raised(0, 1), None);
        for (task, raised) in [(0, 400), (1, 700)] {
            assert!(limits.cut(0, task, task + 1));
            assert_eq!(limits.raised(0, 1), Some(raised));
        }
        assert!(!limits.cut(0, 2, 3));
        assert_eq!(
            (limits.raised(0, 1), limits.raised(1, 1)),
            (Some(700), None)
        );
    }

    #[test]
    fn tasks_that_were_cut_at_the_same_limit_raise_it_once() {
        let mut limits = OutputLimits::new(1, Some(200), Some(1_000));
        assert!(limits.cut(0, 0, 3));
        assert!(limits.cut(0, 1, 3));
        assert_eq!(limits.raised(0, 1), Some(400));
        assert!(limits.cut(0, 3, 4));
        assert_eq!(limits.raised(0, 1), Some(800));
    }

    #[test]
    fn without_a_ceiling_or_a_limit_there_is_no_room() {
        for (start, ceiling) in [(Some(200), None), (None, Some(400)), (None, None)] {
            let mut limits = OutputLimits::new(1, start, ceiling);
            assert!(!limits.cut(0, 0, 1));
            assert_eq!(limits.raised(0, 1), None);
        }
    }
}
