//! How many earlier records a prompt shows, chosen by what showing them brought.

use crate::random::Random;

/// The choices: nothing, which does no harm; a few; and as many as are read.
const CHOICES: [usize; 3] = [0, 3, 10];

/// Answers after which an earlier one counts half: what there is left to say changes as a run goes on.
const HALF_LIFE: f64 = 400.0;

/// The same for what an answer brings just now, which others are compared with.
const RECENT_HALF_LIFE: f64 = 80.0;

/// Answers that the guess about a choice counts for before it was made.
const GUESS: f64 = 3.0;

/// Repeats that are put down to chance, before a list was ever tried.
const BY_CHANCE: f64 = 2.0;

/// The part of the records that would have come with nothing shown which may be spent on finding out.
const MOST_SPENT: f64 = 0.06;

/// The part of the answers that may copy an example before fewer are shown.
const TOLERATED: f64 = 0.1;

/// The weight of tokens beside calls: of two choices that bring as many records a call, or nearly, the cheaper wins; at
/// twice the tokens a choice has to bring a fourteenth more.
const WEIGHT_OF_TOKENS: f64 = 0.1;

/// The usual price of a token of input, where one of output costs 1.
const PRICE_OF_INPUT: f64 = 0.25;

/// Learns how many earlier records to show in a prompt, as not to be repeated: some models heed such a list, some copy it,
/// and some lose their way in it.
///
/// A bandit with three arms (nothing, 3 and 10 records), fed by answers in the order in which they are settled. It starts
/// with nothing. A list is worth a try once three records have repeated, and only as long as what tries have cost so far, and may cost
/// while their answers are on their way, is a small part of what would have come without (a *conservative bandit*, Wu et al., ICML 2016); between the arms it draws by how likely each is the best
/// (Thompson 1933). An answer counts by how much more it brought than others of its time: a run brings less the longer it goes on, so a choice
/// that was last made long ago would seem better than it is. Pure: the same answers and the same random numbers give the same choices.
///
/// ```
/// use topicloom::diversity::{Brought, Steering};
/// use topicloom::random::Random;
///
/// let mut steering = Steering::new();
/// let mut random = Random::new(1);
/// assert_eq!(steering.choose(0, &mut random), 0);
/// let mut repeated = Brought::default();
/// repeated.repeats = 1;
/// let mut accepted = Brought::default();
/// accepted.accepted = 1;
/// for _ in 0..50 {
///     steering.observe(0, &repeated);
///     steering.observe(3, &accepted);
/// }
/// assert!(steering.choose(0, &mut random) > 0);
/// ```
#[derive(Debug, Clone)]
pub struct Steering {
    choices: [usize; CHOICES.len()],
    /// The part of the answers to lists that may repeat until the choice is left to what they bring: none, where nothing is shown
    /// to begin with.
    tolerated: f64,
    arms: [Arm; CHOICES.len()],
    /// Answers of late, and the records they brought.
    recent: (f64, f64),
}

impl Default for Steering {
    fn default() -> Self {
        Self {
            choices: CHOICES,
            tolerated: 0.0,
            arms: Default::default(),
            recent: (0.0, 0.0),
        }
    }
}

/// What an answer brought, and what it cost.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Brought {
    /// Records that were accepted.
    pub accepted: u64,
    /// Candidates that repeated a record, copies among them.
    pub repeats: u64,
    /// Candidates that repeated a record which the prompt showed.
    pub copies: u64,
    /// Tokens of the prompt; 0 where nobody counted them.
    pub input_tokens: u64,
    /// Tokens of the answer.
    pub output_tokens: u64,
}

/// Sums over the answers of one choice, of which earlier ones count less.
#[derive(Debug, Clone, Copy, Default)]
struct Arm {
    answers: f64,
    /// Records beyond what the answers of the time brought.
    above: f64,
    repeats: f64,
    cost: f64,
}

impl Arm {
    fn add(&mut self, other: &Self) {
        self.answers += other.answers;
        self.above += other.above;
        self.repeats += other.repeats;
        self.cost += other.cost;
    }

    fn fade(&mut self) {
        let keep = kept(HALF_LIFE);
        for sum in [
            &mut self.answers,
            &mut self.above,
            &mut self.repeats,
            &mut self.cost,
        ] {
            *sum *= keep;
        }
    }
}

impl Steering {
    /// The most records that it has a prompt show.
    pub(crate) const MOST: usize = CHOICES[CHOICES.len() - 1];

    /// Creates a choice that has seen nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates the choice of examples: as many as this, unless they are copied.
    pub(crate) fn of_examples(most: usize) -> Self {
        Self {
            choices: [0, most.div_ceil(3), most],
            tolerated: TOLERATED,
            ..Self::default()
        }
    }

    /// Takes note of an answer, and of how many records its prompt showed.
    #[allow(clippy::cast_precision_loss)] // Counts of one answer.
    pub fn observe(&mut self, shown: usize, brought: &Brought) {
        self.arms.iter_mut().for_each(Arm::fade);
        let accepted = brought.accepted as f64;
        let (answers, records) = self.recent;
        let usual = if answers > 0.0 {
            records / answers
        } else {
            accepted
        };
        let keep = kept(RECENT_HALF_LIFE);
        self.recent = (answers * keep + 1.0, records * keep + accepted);
        // A prompt shows fewer than it may where there are not as many yet.
        let place = self.choices.iter().position(|most| shown <= *most);
        self.arms[place.unwrap_or(CHOICES.len() - 1)].add(&Arm {
            answers: 1.0,
            above: accepted - usual,
            repeats: brought.repeats as f64,
            cost: brought.output_tokens as f64 + PRICE_OF_INPUT * brought.input_tokens as f64,
        });
    }

    /// Returns how many records the next prompt is to show at most, while this many prompts that show some have no answer yet.
    #[allow(clippy::cast_precision_loss)] // Calls in flight.
    pub fn choose(&self, lists_in_flight: usize, random: &mut Random) -> usize {
        let mut all = Arm::default();
        self.arms.iter().for_each(|arm| all.add(arm));
        let [nothing, lists @ ..] = &self.arms;
        let mut with = Arm::default();
        lists.iter().for_each(|arm| with.add(arm));
        match self.tolerated {
            0.0 if with.answers == 0.0 && nothing.repeats <= BY_CHANCE => return 0,
            tolerated if with.repeats <= tolerated * (with.answers + GUESS) && tolerated > 0.0 => {
                return self.choices[CHOICES.len() - 1];
            }
            _ => {}
        }
        let mean = self.recent.1 / self.recent.0;
        let without = nothing.above / (nothing.answers + 1.0);
        // What is tried may cost a part of what prompts that show nothing bring. What is on its way may bring nothing, the more
        // likely the less is known of lists.
        let gained = with.above - without * with.answers;
        let at_risk = lists_in_flight as f64 * GUESS / (GUESS + with.answers);
        let spare = gained + (mean + without).max(0.0) * (MOST_SPENT * all.answers - at_risk);
        // The most that another choice can bring: what repeats without a list, or is copied out of one.
        let gain = (nothing.repeats / (nothing.answers + 1.0))
            .max(with.repeats * self.tolerated.signum() / (with.answers + 1.0));
        let spread = if mean < 1.0 {
            (mean * (1.0 - mean)).max(0.02)
        } else {
            mean / 2.0
        };
        let guess_of_lists = (GUESS * without + with.above) / (GUESS + with.answers);

        let mut best = (f64::NEG_INFINITY, 0);
        for (place, arm) in self.arms.iter().enumerate() {
            let (guess, weight) = if place == 0 {
                (0.0, 1.0)
            } else {
                (guess_of_lists, GUESS)
            };
            let value = mean + (weight * guess + arm.above) / (weight + arm.answers);
            let error = (spread / (weight + arm.answers)).sqrt();
            let drawn = value + error.min(gain / 2.0) * normal(random);
            let cost = (arm.cost + all.cost / all.answers) / (arm.answers + 1.0);
            let worth = drawn / cost.max(1.0).powf(WEIGHT_OF_TOKENS);
            if worth > best.0 {
                best = (worth, place);
            }
        }
        if spare < 0.0 { 0 } else { self.choices[best.1] }
    }
}

/// What is left of a count after one more answer.
fn kept(half_life: f64) -> f64 {
    0.5_f64.powf(1.0 / half_life)
}

/// A number from the standard normal distribution: the sum of twelve even ones, less its mean.
fn normal(random: &mut Random) -> f64 {
    (0..12).map(|_| random.unit_f64()).sum::<f64>() - 6.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted() -> Brought {
        Brought {
            accepted: 1,
            input_tokens: 100,
            output_tokens: 50,
            ..Brought::default()
        }
    }

    fn repeated(copies: u64) -> Brought {
        Brought {
            accepted: 0,
            repeats: 1,
            copies,
            ..accepted()
        }
    }

    /// How often each choice is made in this many answers of a model.
    fn choices(answers: u64, mut answer: impl FnMut(usize, &mut Random) -> Brought) -> [u64; 3] {
        let (mut steering, mut random) = (Steering::new(), Random::new(3));
        let mut times = [0; 3];
        for _ in 0..answers {
            let shown = steering.choose(0, &mut random);
            let place = CHOICES.iter().position(|choice| *choice == shown);
            times[place.expect("it is a choice")] += 1;
            steering.observe(shown, &answer(shown, &mut random));
        }
        times
    }

    #[test]
    fn nothing_is_shown_where_nothing_repeats() {
        assert_eq!(choices(500, |_, _| accepted()), [500, 0, 0]);
    }

    #[test]
    fn a_model_that_heeds_is_shown_records_and_one_that_copies_is_not() {
        let chance = |part: f64, random: &mut Random| random.unit_f64() < part;
        let heeds = choices(1_000, |shown, random| {
            let new = [(0, 0.4), (3, 0.5), (10, 0.8)];
            let new = new.iter().find(|(choice, _)| *choice == shown);
            if chance(new.expect("it is a choice").1, random) {
                accepted()
            } else {
                repeated(0)
            }
        });
        assert!(heeds[2] > 800, "{heeds:?}");
        let copies = choices(1_000, |shown, random| {
            if chance(0.6, random) && (shown == 0 || chance(0.4, random)) {
                accepted()
            } else {
                repeated(u64::from(shown > 0))
            }
        });
        assert!(copies[0] > 900, "{copies:?}");
    }

    #[test]
    fn finding_out_costs_a_small_part_of_what_there_would_be() {
        // Whatever is shown, nothing comes of it.
        for seed in 0..50 {
            let (mut steering, mut random) = (Steering::new(), Random::new(seed));
            let mut made = 0;
            for call in 0..60 {
                let shown = steering.choose(0, &mut random);
                let brought = if shown == 0 && call % 2 == 0 {
                    accepted()
                } else {
                    repeated(0)
                };
                made += brought.accepted;
                steering.observe(shown, &brought);
            }
            assert!(made >= 20, "{made} of about 30");
        }
    }

    #[test]
    fn fewer_than_may_be_shown_count_as_what_they_are() {
        let mut steering = Steering::new();
        for shown in [1, 3, 4, 10, 24] {
            steering.observe(shown, &accepted());
        }
        let answers = steering.arms.map(|arm| format!("{:.0}", arm.answers));
        assert_eq!(answers, ["0", "2", "3"]);
    }
}
