//! Which answers say more of how they were asked for than of their topic.

use std::collections::HashMap;
use std::sync::Arc;

use super::OutputModes;
use crate::llm::OutputMode;

/// Counts, per model and output mode, answers of no use before the first one of use. A topic is not blamed for them, as
/// long as the next mode may do better.
#[derive(Debug)]
pub(crate) struct UnprovenModes {
    states: HashMap<(Arc<str>, OutputMode), State>,
    /// Answers in one mode that are excused.
    most: u64,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Unproven(u64),
    Proven,
}

impl UnprovenModes {
    /// Excuses as many answers as it takes to leave a mode, and those that are then in flight.
    pub(crate) fn new(in_flight: usize) -> Self {
        Self {
            states: HashMap::new(),
            most: u64::from(OutputModes::UNUSABLE) + in_flight as u64,
        }
    }

    /// Takes note of an answer, in the order of the log. Returns whether its topic is excused.
    pub(crate) fn excuses(&mut self, model: &Arc<str>, mode: OutputMode, is_usable: bool) -> bool {
        let known = self.states.entry((Arc::clone(model), mode));
        let state = known.or_insert(State::Unproven(0));
        match state {
            _ if is_usable => *state = State::Proven,
            State::Unproven(count) if mode != OutputMode::Prompt => {
                *count += 1;
                return *count <= self.most;
            }
            _ => {}
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_excused_until_a_mode_is_left_or_proven() {
        let (mut unproven, model) = (UnprovenModes::new(2), Arc::from("test/model"));
        for _ in 0..OutputModes::UNUSABLE + 2 {
            assert!(unproven.excuses(&model, OutputMode::Tool, false));
        }
        assert!(!unproven.excuses(&model, OutputMode::Tool, false));
        assert!(unproven.excuses(&model, OutputMode::Json, false));
        assert!(!unproven.excuses(&model, OutputMode::Json, true));
        assert!(!unproven.excuses(&model, OutputMode::Json, false));
        assert!(!unproven.excuses(&model, OutputMode::Prompt, false));
    }
}
