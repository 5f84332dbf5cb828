//! How long answers may be: `max_tokens`, more after an answer that was cut off, and a limit of our own where a cap needs one.

/// The output limit of each topic.
///
/// Only what is asked next depends on it, never what is accepted.
#[derive(Debug)]
pub(crate) struct OutputLimits {
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
    pub(crate) fn new(topics: usize, start: Option<u64>, ceiling: Option<u64>) -> Self {
        Self {
            start,
            ceiling: ceiling.or(start).unwrap_or(u64::MAX),
            topics: vec![Limit::default(); topics],
            own: None,
        }
    }

    /// Uses a limit of the library's own for all topics, where there is one.
    pub(crate) fn or_own(mut self, own: Option<OwnLimit>) -> Self {
        self.own = own;
        self
    }

    /// Takes note of how long an answer was that came whole.
    pub(crate) fn saw_whole(&mut self, output_tokens: u64) {
        if let Some(own) = &mut self.own {
            own.saw(output_tokens);
        }
    }

    /// Returns the limit of the topic's next task, for this many records, if it is not the one of the parameters.
    pub(crate) fn raised(&self, topic: usize, records: u64) -> Option<u64> {
        if let Some(own) = &self.own {
            return Some(own.of(records));
        }
        let raises = self.topics[topic].raises;
        self.start
            .filter(|_| raises > 0)
            .map(|start| self.doubled(start, raises))
    }

    /// Returns the limit of the topic's next task, where it is the caller's.
    pub(crate) fn of(&self, topic: usize) -> Option<u64> {
        let start = self.start.filter(|_| self.own.is_none())?;
        Some(self.doubled(start, self.topics[topic].raises))
    }

    /// Books that the answer to a task was cut off, and returns whether the next one of the topic has more room.
    ///
    /// Tasks that were in flight together were cut off at the same limit, and raise it once: `next_task` is the
    /// first that is worded after this.
    pub(crate) fn cut(&mut self, topic: usize, task: u64, next_task: u64) -> bool {
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

/// Whole answers that are looked at before the limit follows them.
const ENOUGH_ANSWERS: u32 = 16;

/// No answer that was seen is the longest there will be.
const HEADROOM: u64 = 2;

/// A limit that follows what was seen is at least this.
const LOWEST: u64 = 512;

/// An output limit for a run whose caps need one and whose caller gave none: so much in any case, and more for each record.
///
/// Without it, the most that a call can cost is what the model can write at all: a cap would hold back calls that cost a
/// hundredth of that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OwnLimit {
    base: u64,
    per_record: u64,
    /// What the model can write at all.
    ceiling: u64,
    raises: u32,
    /// The first task that was worded after the last raise.
    since: u64,
    whole_answers: u32,
    /// Tokens of the longest whole answer, hidden reasoning included.
    longest: u64,
}

impl OwnLimit {
    /// Creates the limit of records that have at most this many tokens each, for a model that can write so much at all.
    ///
    /// A model that may write at length is one that may think at length before it begins.
    pub(crate) fn new(per_record: u64, model_limit: Option<u64>) -> Self {
        Self {
            base: model_limit.map_or(4_096, |limit| (limit / 8).clamp(1_024, 8_192)),
            per_record,
            ceiling: model_limit.unwrap_or(u64::MAX),
            raises: 0,
            since: 0,
            whole_answers: 0,
            longest: 0,
        }
    }

    /// Returns the limit of a call for this many records.
    pub(crate) fn of(&self, records: u64) -> u64 {
        let guess = self
            .base
            .saturating_add(self.per_record.saturating_mul(records));
        let limit = if self.whole_answers < ENOUGH_ANSWERS {
            guess
        } else {
            guess.min(self.longest.saturating_mul(HEADROOM).max(LOWEST))
        };
        let factor = 2_u64.checked_pow(self.raises).unwrap_or(u64::MAX);
        limit.saturating_mul(factor).min(self.ceiling)
    }

    /// Takes note of an answer that came whole. One that was cut off says nothing of how long it would have been.
    pub(crate) fn saw(&mut self, output_tokens: u64) {
        if output_tokens > 0 {
            self.whole_answers = self.whole_answers.saturating_add(1);
            self.longest = self.longest.max(output_tokens);
        }
    }

    /// Doubles the limit after an answer that was cut off, once for all tasks that were in flight together. Returns whether
    /// the next task has more room.
    pub(crate) fn cut(&mut self, task: u64, next_task: u64) -> bool {
        if task < self.since {
            return true;
        }
        let has_room = self.of(1) < self.ceiling;
        if has_room {
            (self.raises, self.since) = (self.raises + 1, next_task);
        }
        has_room
    }
}

/// Says what became of answers that were cut off, and what would help.
pub(crate) fn cuts(
    answers: u64,
    max_tokens: Option<u64>,
    ceiling: Option<u64>,
    records_per_request: u64,
) -> String {
    let (were, answers) = if answers == 1 {
        ("was", "1 answer".to_owned())
    } else {
        ("were", format!("{answers} answers"))
    };
    let raised = ceiling.filter(|ceiling| max_tokens.is_some_and(|limit| *ceiling > limit));
    let (cut, raise) = match (max_tokens, raised) {
        (Some(limit), Some(ceiling)) => (
            format!(
                "at max_tokens = {limit}, which was doubled up to max_tokens_ceiling = {ceiling} where it was not enough"
            ),
            "raise them",
        ),
        (Some(limit), None) => (format!("at max_tokens = {limit}"), "raise it"),
        (None, _) => (
            "at the limit of the provider or the model, since no max_tokens is set".to_owned(),
            "set max_tokens if the model can write more",
        ),
    };
    let fewer = if records_per_request > 1 {
        ", or ask for fewer records per request"
    } else {
        ""
    };
    format!("{answers} {were} cut off {cut}; {raise}{fewer}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_says_where_it_was_and_what_would_help() {
        assert_eq!(
            cuts(3, Some(200), None, 5),
            "3 answers were cut off at max_tokens = 200; raise it, or ask for fewer records per request"
        );
        assert_eq!(
            cuts(1, Some(200), Some(800), 1),
            "1 answer was cut off at max_tokens = 200, which was doubled up to max_tokens_ceiling = 800 where it was \
             not enough; raise them"
        );
        assert_eq!(
            cuts(2, None, None, 1),
            "2 answers were cut off at the limit of the provider or the model, since no max_tokens is set; set \
             max_tokens if the model can write more"
        );
    }

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

    #[test]
    fn it_leaves_room_for_the_records_and_for_some_thought() {
        assert_eq!(OwnLimit::new(600, Some(8_192)).of(1), 1_624);
        assert_eq!(OwnLimit::new(600, Some(128_000)).of(1), 8_792);
        assert_eq!(OwnLimit::new(600, None).of(5), 7_096);
        assert_eq!(OwnLimit::new(600, Some(2_000)).of(5), 2_000);
    }

    #[test]
    fn it_follows_whole_answers_and_doubles_after_a_cut() {
        let mut limit = OwnLimit::new(600, Some(128_000));
        for _ in 0..ENOUGH_ANSWERS {
            assert_eq!(limit.of(1), 8_792);
            limit.saw(900);
        }
        assert_eq!(limit.of(1), 1_800);
        assert!(limit.cut(20, 24) && limit.cut(21, 24));
        assert_eq!(limit.of(1), 3_600, "cut off together, raised once");
        assert!(limit.cut(24, 25));
        assert_eq!(limit.of(1), 7_200);
        limit.saw(0);
        assert_eq!(limit.of(1), 7_200, "unknown usage says nothing");
    }

    #[test]
    fn at_the_end_of_what_the_model_can_write_there_is_no_more_room() {
        let mut limit = OwnLimit::new(100, Some(2_000));
        assert!(limit.cut(0, 1));
        assert_eq!(limit.of(1), 2_000);
        assert!(!limit.cut(1, 2));
    }
}
