//! Which of the caller's examples a prompt shows.

use super::{Brought, DelayedSteering, Steering};
use crate::random::Random;

/// The name of examples among what counts as seen.
pub(crate) const EXAMPLES: &str = "examples";

/// Has examples take turns, and learns whether they are imitated or copied.
#[derive(Debug)]
pub(crate) struct ExampleChoice {
    order: Vec<usize>,
    steering: DelayedSteering,
}

impl ExampleChoice {
    /// Creates the choice of `shown` at a time, in an order drawn by the seed.
    pub(crate) fn new(examples: usize, shown: usize, ahead: u64, random: &Random) -> Self {
        let mut order: Vec<usize> = (0..examples).collect();
        let mut random = random.fork("examples");
        random.shuffle(&mut order);
        Self {
            order,
            steering: DelayedSteering::new(Steering::of_examples(shown.min(examples)), ahead),
        }
    }

    /// Returns the places of those that the prompt of a task shows.
    pub(crate) fn choose(&mut self, task: u64, random: &mut Random) -> Vec<usize> {
        let shown = self.steering.choose(task, random);
        self.steering.shows(task, shown);
        self.turn(task, shown)
    }

    /// Returns the places of those whose turn it is with a task, where it shows this many.
    pub(crate) fn turn(&self, task: u64, shown: usize) -> Vec<usize> {
        let first = task.wrapping_mul(shown as u64) % (self.order.len() as u64).max(1);
        let first = usize::try_from(first).unwrap_or(0);
        let turn = self.order.iter().cycle().skip(first).take(shown);
        turn.copied().collect()
    }

    /// Takes note of what the prompt of a task brought that showed this many: as repeats, copies of examples.
    pub(crate) fn observe(&mut self, task: u64, shown: usize, brought: &Brought) {
        self.steering.observe(task, shown, brought);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn brought(copies: u64) -> Brought {
        Brought {
            accepted: 1 - copies,
            repeats: copies,
            copies,
            ..Brought::default()
        }
    }

    #[test]
    fn examples_take_turns_and_are_not_shown_to_a_model_that_copies_them() {
        let mut choice = ExampleChoice::new(5, 2, 0, &Random::new(1));
        let mut random = Random::new(2);
        let mut times = [0; 5];
        for task in 0..50 {
            let shown = choice.choose(task, &mut random);
            assert_eq!(shown.len(), 2);
            shown.iter().for_each(|place| times[*place] += 1);
            choice.observe(task, 2, &brought(0));
        }
        assert_eq!(times, [20; 5]);
        let (mut shown_at_all, mut all_copies) = (0, 0);
        for task in 50..350 {
            let shown = choice.choose(task, &mut random).len();
            let copies = u64::from(shown > 0 && random.below(4) > 0);
            choice.observe(task, shown, &brought(copies));
            if task >= 250 {
                shown_at_all += u64::from(shown > 0);
                all_copies += copies;
            }
        }
        assert!(
            shown_at_all <= 15,
            "{shown_at_all} of 100 showed some, {all_copies} were copies"
        );
    }

    #[test]
    fn a_few_copies_change_nothing() {
        let mut choice = ExampleChoice::new(9, 3, 0, &Random::new(1));
        let mut random = Random::new(2);
        for task in 0..200 {
            assert_eq!(choice.choose(task, &mut random).len(), 3);
            choice.observe(task, 3, &brought(u64::from(task % 20 == 19)));
        }
    }
}
