//! Which calls a journal tells of and not how they ended, since the process that made them was killed.

use std::collections::HashMap;

use super::entry::{CallOf, Entry};
use crate::llm::UnconfirmedCost;

/// The calls that were noted and of which nothing else is known, as the entries of a journal are read in order.
///
/// ```
/// use topicloom::journal::{CallNote, CallOf, Entry, LostCalls};
/// use topicloom::llm::UnconfirmedCost;
/// use topicloom::llm::price::Usd;
///
/// let mut calls = LostCalls::default();
/// let most = UnconfirmedCost::new(1, 600, Usd::ZERO);
/// calls.take(&Entry::Called(CallNote::new(CallOf::Task(0), most)));
/// assert_eq!(calls.most().tokens, 600);
/// ```
#[derive(Debug, Default)]
pub struct LostCalls {
    open: HashMap<CallOf, Vec<UnconfirmedCost>>,
    has_notes: bool,
    killed: UnconfirmedCost,
}

impl LostCalls {
    /// Takes the next entry.
    pub fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Called(note) => {
                self.has_notes = true;
                self.open.entry(note.of).or_default().push(note.most);
            }
            Entry::Answered(answer) => self.ended(CallOf::Task(answer.task), answer.attempts.len()),
            Entry::Failed(failure) => {
                self.ended(CallOf::Task(failure.task), failure.attempts.len());
            }
            Entry::TopicAnswered(answer) => {
                self.ended(CallOf::Topics(answer.seed), answer.attempts.len());
            }
            Entry::SideCalled(call) => self.ended(call.of, call.attempts.len()),
            // Each tells of all that is left.
            Entry::Finished { .. } => self.open.clear(),
            Entry::Interrupted { unconfirmed } => {
                self.killed.add(*unconfirmed);
                self.open.clear();
            }
            _ => {}
        }
    }

    /// Returns the most that they can have cost.
    #[must_use]
    pub fn most(&self) -> UnconfirmedCost {
        let mut sum = UnconfirmedCost::default();
        let all = self.open.values().flatten();
        all.for_each(|most| sum.add(*most));
        sum
    }

    /// Returns what calls may have cost that were in flight when earlier processes were killed.
    #[must_use]
    pub fn killed(&self) -> UnconfirmedCost {
        self.killed
    }

    /// Returns whether the journal notes calls at all: those of earlier versions do not.
    pub(crate) fn has_notes(&self) -> bool {
        self.has_notes
    }

    /// The number of a task is used again where a process was killed, so the latest notes are those that ended.
    fn ended(&mut self, call: CallOf, attempts: usize) {
        if let Some(open) = self.open.get_mut(&call) {
            open.truncate(open.len().saturating_sub(attempts));
            if open.is_empty() {
                self.open.remove(&call);
            }
        }
    }
}
