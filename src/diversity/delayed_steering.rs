//! A choice that counts an answer only once a run that was never interrupted would know it.

use std::collections::{BTreeSet, VecDeque};

use super::{Brought, Steering};
use crate::random::Random;

/// A [`Steering`] for prompts that are made ahead of the answers.
///
/// When a run first makes the prompt of a task, the answers to those shortly before it are still on their way. When it goes on
/// from a journal, it has them. So that it makes the same prompt again, they do not count yet.
#[derive(Debug)]
pub(crate) struct DelayedSteering {
    steering: Steering,
    /// Answers that do not count yet, by task.
    late: VecDeque<(u64, usize, Brought)>,
    /// Tasks whose prompts show something, and whose answers do not count yet.
    out: BTreeSet<u64>,
    /// Answers that do.
    counted: u64,
    /// Tasks that are issued ahead of those that are settled.
    ahead: u64,
}

impl DelayedSteering {
    pub(crate) fn new(steering: Steering, ahead: u64) -> Self {
        Self {
            steering,
            late: VecDeque::new(),
            out: BTreeSet::new(),
            counted: 0,
            ahead,
        }
    }

    /// Takes note of the next answer to be settled, to this task, and of how many records its prompt showed.
    pub(crate) fn observe(&mut self, task: u64, shown: usize, brought: &Brought) {
        self.shows(task, shown);
        self.late.push_back((task, shown, *brought));
        if self.late.len() as u64 > self.ahead {
            self.count_one();
        }
    }

    /// Returns how many records the prompt of a task is to show at most.
    pub(crate) fn choose(&mut self, task: u64, random: &mut Random) -> usize {
        while self.counted + self.ahead < task && !self.late.is_empty() {
            self.count_one();
        }
        // Of those before, calls that failed have no answer.
        self.out = self.out.split_off(&task.saturating_sub(self.ahead));
        self.steering.choose(self.out.len(), random)
    }

    /// Takes note of how many records the prompt of a task shows.
    pub(crate) fn shows(&mut self, task: u64, shown: usize) {
        if shown > 0 {
            self.out.insert(task);
        }
    }

    fn count_one(&mut self) {
        if let Some((task, shown, brought)) = self.late.pop_front() {
            self.steering.observe(shown, &brought);
            self.out.remove(&task);
            self.counted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_chooses_as_what_was_never_interrupted() {
        const AHEAD: u64 = 3;
        let answer = |task: u64| {
            let mut brought = Brought::default();
            brought.repeats = u64::from(task.is_multiple_of(3));
            brought.accepted = 1 - brought.repeats;
            brought
        };
        let random = Random::new(7);
        let choose = |steering: &mut DelayedSteering, task: u64| {
            let shown = steering.choose(task, &mut random.nth(task));
            steering.shows(task, shown);
            shown
        };
        let new = || DelayedSteering::new(Steering::new(), AHEAD);
        let mut whole = new();
        let mut chosen: Vec<usize> = (0..=AHEAD).map(|task| choose(&mut whole, task)).collect();
        for task in 0..200 {
            whole.observe(task, chosen[usize::try_from(task).unwrap()], &answer(task));
            chosen.push(choose(&mut whole, task + AHEAD + 1));
        }
        assert!(chosen.iter().any(|shown| *shown > 0));
        for cut in 0..200 {
            let mut again = new();
            for task in 0..cut {
                again.observe(task, chosen[usize::try_from(task).unwrap()], &answer(task));
            }
            for task in cut..=cut + AHEAD {
                let shown = choose(&mut again, task);
                assert_eq!(
                    shown,
                    chosen[usize::try_from(task).unwrap()],
                    "{cut}: {task}"
                );
            }
        }
    }
}
