//! Which of a backend's output modes to use for one schema, as a function of how calls ended.

/// Failures in a row after which a mode that never worked is left: a server may answer 500 to a schema it cannot
/// compile, and may answer 500 to anything. One of two in a row is rarely chance.
const FAILURES: u32 = 2;

/// Refusals in a row after which a mode that worked is left. A router's backends differ, and one of them may refuse
/// what the others take.
const REFUSALS: u32 = 3;

/// Answers of no use after which a mode that never gave one of use is left. A model that writes one record in five
/// well is mistaken for a server that ignores what was asked once in six runs; it is asked again in another mode.
pub(super) const UNUSABLE: u32 = 8;

/// How a call failed, as far as its mode may be why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// The provider refused the schema or the mode, and says so.
    Refused,
    /// The provider refused the request. The mode may be why.
    RequestRefused,
    /// The request does not fit. What the mode adds to it may be why, until all modes were tried.
    TooLarge,
    /// The provider failed or answered nothing that can be read. The mode may be why.
    Broken,
}

/// What a failure means for the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// Another mode is in use now: ask again.
    AskAgain,
    /// The mode is not to blame.
    GiveBack,
}

/// What is known of one mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It was never answered, and failed so often in a row.
    Unproven { failures: u32 },
    /// It was answered.
    Works {
        /// In a row since the last answer.
        refusals: u32,
        /// Answers of no use, as long as none was of use.
        unusable: Option<u32>,
    },
    /// It was left after failures that may have had another reason, and is tried once more when a mode below works.
    Doubted,
    /// It is being tried once more.
    Tried,
    /// It was left permanently.
    Left,
}

const UNPROVEN: State = State::Unproven { failures: 0 };

/// The modes for one schema, best first. The last one asks in the prompt alone, and is never left.
#[derive(Debug, Clone)]
pub(super) struct Choice {
    modes: Vec<State>,
    current: usize,
    /// Whether a request did not fit in any mode.
    fits_in_none: bool,
}

impl Choice {
    /// Starts with the first mode that can say the schema.
    pub(super) fn new(can_say_it: impl IntoIterator<Item = bool>) -> Self {
        let state = |can| if can { UNPROVEN } else { State::Left };
        let modes: Vec<State> = can_say_it.into_iter().map(state).collect();
        let mut choice = Self {
            modes,
            current: 0,
            fits_in_none: false,
        };
        choice.current = choice.usable_from(0);
        choice
    }

    /// Returns the mode to ask in.
    pub(super) fn next(&mut self) -> usize {
        if matches!(self.modes[self.current], State::Works { .. }) {
            let above = &mut self.modes[..self.current];
            if let Some(doubted) = above.iter().position(|mode| *mode == State::Doubted) {
                above[doubted] = State::Tried;
                return doubted;
            }
        }
        self.current
    }

    /// Returns whether calls need not wait for what becomes of the first ones: the mode in use was answered, or is the
    /// only one.
    pub(super) fn is_settled(&self) -> bool {
        let is_open = |mode: &&State| **mode != State::Left;
        matches!(self.modes[self.current], State::Works { .. })
            || self.modes.iter().filter(is_open).count() == 1
    }

    /// Takes note of an answer.
    pub(super) fn answered(&mut self, mode: usize) {
        match &mut self.modes[mode] {
            State::Works { refusals, .. } => {
                *refusals = 0;
                return;
            }
            // It was on its way when the mode was left for others like it.
            State::Left => return,
            _ => {}
        }
        let is_proven = matches!(self.modes[self.current], State::Works { .. });
        self.modes[mode] = State::Works {
            refusals: 0,
            unusable: Some(0),
        };
        if mode < self.current || !is_proven {
            self.current = mode;
        }
    }

    /// Takes note that an answer held something of what was asked for, or nothing. Returns whether the mode is left for
    /// it.
    pub(super) fn judged(&mut self, mode: usize, is_usable: bool) -> bool {
        let State::Works { unusable, .. } = &mut self.modes[mode] else {
            return false;
        };
        if is_usable {
            *unusable = None;
        }
        let Some(count) = unusable else {
            return false;
        };
        *count += 1;
        *count >= UNUSABLE && mode == self.current && self.leave(mode, State::Left)
    }

    /// Takes note of a failure.
    pub(super) fn failed(&mut self, mode: usize, failure: Failure) -> Next {
        let left = if failure == Failure::Refused {
            State::Left
        } else {
            State::Doubted
        };
        let is_left = match &mut self.modes[mode] {
            State::Tried => {
                self.modes[mode] = State::Left;
                true
            }
            // Calls in flight together fail together: the first ones count.
            _ if mode != self.current => true,
            _ if failure == Failure::TooLarge && self.fits_in_none => false,
            State::Unproven { failures } => {
                *failures += 1;
                let enough = failure != Failure::Broken || *failures >= FAILURES;
                let is_left = enough && self.leave(mode, left);
                self.fits_in_none |= failure == Failure::TooLarge && !is_left;
                is_left
            }
            State::Works { refusals, .. } if failure == Failure::Refused => {
                *refusals += 1;
                *refusals >= REFUSALS && self.leave(mode, left)
            }
            _ => false,
        };
        if is_left {
            Next::AskAgain
        } else {
            Next::GiveBack
        }
    }

    /// Takes note that a call in this mode ended in a way that says nothing of it.
    pub(super) fn inconclusive(&mut self, mode: usize) {
        if self.modes[mode] == State::Tried {
            self.modes[mode] = State::Doubted;
        }
    }

    /// Leaves a mode for the next, if there is one. Where none is left, whatever was in doubt is open again: it was
    /// not the mode.
    fn leave(&mut self, mode: usize, as_what: State) -> bool {
        if mode + 1 == self.modes.len() {
            for state in &mut self.modes {
                if *state == State::Doubted {
                    *state = UNPROVEN;
                }
            }
            if as_what == State::Doubted {
                self.modes[mode] = UNPROVEN;
            }
            self.current = self.usable_from(0);
            return false;
        }
        self.modes[mode] = as_what;
        self.current = self.usable_from(mode + 1);
        true
    }

    fn usable_from(&self, first: usize) -> usize {
        let open = |mode: &State| matches!(mode, State::Unproven { .. } | State::Works { .. });
        let found = self.modes[first..].iter().position(open);
        found.map_or(self.modes.len() - 1, |place| first + place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Failure::{Broken, Refused, RequestRefused, TooLarge};

    fn choice() -> Choice {
        Choice::new([true; 4])
    }

    /// Asks until a call is answered or given back by a server on which these modes work. Returns the modes asked.
    fn ask(choice: &mut Choice, failure: Failure, works: &[usize]) -> Vec<usize> {
        let mut asked = Vec::new();
        loop {
            let mode = choice.next();
            asked.push(mode);
            if works.contains(&mode) {
                choice.answered(mode);
                return asked;
            }
            if choice.failed(mode, failure) == Next::GiveBack {
                return asked;
            }
        }
    }

    #[test]
    fn a_refused_schema_goes_down_at_once_and_is_not_asked_for_again() {
        let mut choice = choice();
        assert_eq!(ask(&mut choice, Refused, &[2]), [0, 1, 2]);
        assert_eq!(ask(&mut choice, Refused, &[2]), [2]);
    }

    #[test]
    fn a_refusal_without_a_reason_goes_down_and_is_confirmed_once() {
        let mut choice = choice();
        assert_eq!(ask(&mut choice, RequestRefused, &[2]), [0, 1, 2]);
        assert_eq!(ask(&mut choice, RequestRefused, &[2]), [0, 1, 2]);
        assert_eq!(ask(&mut choice, RequestRefused, &[2]), [2]);
    }

    #[test]
    fn a_stray_refusal_of_the_first_call_costs_no_mode() {
        let mut choice = choice();
        assert_eq!(choice.next(), 0);
        assert_eq!(choice.failed(0, RequestRefused), Next::AskAgain);
        assert_eq!(ask(&mut choice, RequestRefused, &[0, 1]), [1]);
        assert_eq!(ask(&mut choice, RequestRefused, &[0, 1]), [0]);
        assert_eq!(ask(&mut choice, RequestRefused, &[0, 1]), [0]);
    }

    #[test]
    fn a_server_that_breaks_on_a_mode_is_given_one_more_chance() {
        let mut choice = choice();
        assert_eq!(ask(&mut choice, Broken, &[1]), [0]);
        assert_eq!(ask(&mut choice, Broken, &[1]), [0, 1]);
        assert_eq!(ask(&mut choice, Broken, &[1]), [0, 1]);
        assert_eq!(ask(&mut choice, Broken, &[1]), [1]);
    }

    #[test]
    fn after_an_outage_at_the_start_the_best_mode_is_used() {
        let mut choice = choice();
        let mut asked = Vec::new();
        for _ in 0..6 {
            asked.extend(ask(&mut choice, Broken, &[]));
        }
        assert!(asked.contains(&3), "{asked:?}");
        for _ in 0..4 {
            asked = ask(&mut choice, Broken, &[0, 1, 2, 3]);
        }
        assert_eq!(asked, [0]);
    }

    #[test]
    fn what_fits_in_no_mode_is_not_asked_in_each_again() {
        let mut choice = choice();
        assert_eq!(ask(&mut choice, TooLarge, &[]), [0, 1, 2, 3]);
        assert_eq!(ask(&mut choice, TooLarge, &[]), [0]);
        assert_eq!(ask(&mut choice, RequestRefused, &[1]), [0, 1]);
    }

    #[test]
    fn calls_that_fail_together_count_once() {
        let mut choice = choice();
        for _ in 0..32 {
            choice.failed(0, RequestRefused);
        }
        assert_eq!(choice.next(), 1);
        choice.answered(1);
        // An answer that was on its way proves the mode that was left.
        choice.answered(0);
        assert_eq!(choice.next(), 0);
    }

    #[test]
    fn a_mode_that_worked_is_not_left_for_a_stray_failure() {
        let mut choice = choice();
        choice.answered(0);
        for _ in 0..20 {
            for failure in [Refused, RequestRefused, Broken, Refused] {
                assert_eq!(choice.failed(0, failure), Next::GiveBack);
            }
            choice.answered(0);
        }
        assert_eq!(choice.next(), 0);
        choice.failed(0, Refused);
        choice.failed(0, Refused);
        assert_eq!(choice.failed(0, Refused), Next::AskAgain);
        assert_eq!(choice.next(), 1);
    }

    #[test]
    fn a_mode_that_gives_nothing_usable_is_left_and_one_that_once_did_is_kept() {
        let mut choice = choice();
        choice.answered(0);
        for _ in 1..UNUSABLE {
            assert!(!choice.judged(0, false));
        }
        assert!(choice.judged(0, false));
        assert_eq!(choice.next(), 1);
        choice.answered(1);
        assert!(!choice.judged(1, true));
        for _ in 0..100 {
            assert!(!choice.judged(1, false));
        }
        assert_eq!(choice.next(), 1);
    }

    #[test]
    fn modes_that_cannot_say_the_schema_are_skipped() {
        let mut choice = Choice::new([false, true, false, true]);
        assert_eq!(ask(&mut choice, Refused, &[3]), [1, 3]);
    }

    #[test]
    fn where_no_mode_works_the_error_comes_back_after_each_was_asked_once() {
        let mut choice = choice();
        assert_eq!(ask(&mut choice, RequestRefused, &[]), [0, 1, 2, 3]);
        assert_eq!(ask(&mut choice, RequestRefused, &[]), [0, 1, 2, 3]);
    }
}
