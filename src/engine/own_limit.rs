//! An output limit of the library's own, for a run whose caps need one and whose caller gave none.
//!
//! Without it, the most that a call can cost is what the model can write at all: a cap would hold back calls that cost a
//! hundredth of that.

/// Whole answers that are looked at before the limit follows them.
const ENOUGH_ANSWERS: u32 = 16;

/// No answer that was seen is the longest there will be.
const HEADROOM: u64 = 2;

/// A limit that follows what was seen is at least this.
const LOWEST: u64 = 512;

/// What an answer may have: so much in any case, and more for each record.
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
    /// Creates the limit of records that have at most so many tokens each, for a model that can write so much at all.
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

    /// Returns the limit of a call for so many records.
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
    pub(super) fn saw(&mut self, output_tokens: u64) {
        if output_tokens > 0 {
            self.whole_answers = self.whole_answers.saturating_add(1);
            self.longest = self.longest.max(output_tokens);
        }
    }

    /// Doubles the limit after an answer that was cut off, once for all tasks that were in flight together. Returns whether
    /// the next task has more room.
    pub(super) fn cut(&mut self, task: u64, next_task: u64) -> bool {
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

#[cfg(test)]
mod tests {
    use super::*;

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
