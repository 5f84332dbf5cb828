//! Steering: new records per call with an avoid list that is chosen and with one that is not, with lists of a fixed length and
//! one whose length is learned, what is spent on topics that are dry, and what the measuring costs.
//!
//! The models are simulated. What they have to say about a topic is a pool of facts, the k-th of them with a weight of
//! k to the power of -skew; they word each fact in several ways. A fact that the prompt shows, the model that heeds avoids nine
//! times in ten; the one that copies says a shown one in 65 of 100 answers; and the one that loses its way gives no record in 8 of
//! 100 answers, and in 4 more for each record that is shown. Duplicates are told by fact, so that what is compared is the
//! prompts and nothing else. `compare-steering` beside this compares them with a real model.
//!
//! ```sh
//! cargo bench --bench steering            # the tables of docs/diversity.md
//! cargo bench --bench steering -- --test  # a small run that checks the claims
//! ```

#![allow(clippy::cast_precision_loss)] // Counts of a bench are small.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hint::black_box;
use std::time::Instant;

use topicloom::diversity::{AvoidBudget, AvoidMemory, Brought, Metrics, Sightings, Steering};
use topicloom::random::Random;

/// How surely a fact that is shown is avoided by a model that heeds.
const HEED: f64 = 0.9;

/// How often one that copies says what is shown.
const COPY: f64 = 0.65;

/// How often one that loses its way does so: with nothing shown, and more for each record.
const LOST: f64 = 0.08;
const LOST_PER_RECORD: f64 = 0.04;

/// Answers that arrive while one is on its way.
const IN_FLIGHT: usize = 8;

/// Tokens of a prompt that shows nothing, of a record in it, and of an answer with and without an end.
const PROMPT: u64 = 150;
const EXCERPT: u64 = 25;
const ANSWER: u64 = 60;
const ENDLESS: u64 = 160;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let full = arguments.iter().any(|argument| argument == "--bench")
        && arguments.iter().all(|argument| argument != "--test");
    let runs = if full { 100 } else { 10 };
    yields(runs);
    learned(runs.div_ceil(5));
    stops(runs);
    costs(if full { 100_000 } else { 2_000 });
}

/// How the avoid list of a prompt is made.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Way {
    /// No list.
    Nothing,
    /// One earlier record at random, as Starfish does it.
    OneAtRandom,
    /// As many as ours, at random.
    ManyAtRandom,
    /// As many as ours, the latest.
    Latest,
    /// Chosen by `AvoidMemory`.
    Chosen,
    /// The same, this many.
    Most(usize),
    /// The same, as many as `Steering` says.
    Learned,
}

/// What a model does about what it is shown.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Model {
    Heeds,
    Copies,
    LosesItsWay,
}

const WAYS: [Way; 5] = [
    Way::Nothing,
    Way::OneAtRandom,
    Way::ManyAtRandom,
    Way::Latest,
    Way::Chosen,
];

/// A simulated model and what was seen of it.
struct Topic {
    upto: Vec<f64>,
    random: Random,
    way: Way,
    model: Model,
    memory: AvoidMemory,
    steering: Steering,
    /// What answers brought, and to how many records that were shown, that are not settled yet.
    in_flight: VecDeque<(usize, Brought)>,
    /// Accepted facts, in their order, and the ordinal of each.
    accepted: Vec<usize>,
    ordinals: HashMap<usize, u64>,
    sightings: Sightings,
}

impl Topic {
    fn new(facts: usize, skew: f64, way: Way, seed: u64) -> Self {
        let mut sum = 0.0;
        let upto = (1..=facts).map(|rank| {
            sum += (rank as f64).powf(-skew);
            sum
        });
        Self {
            upto: upto.collect(),
            random: Random::new(seed),
            way,
            model: Model::Heeds,
            memory: AvoidMemory::new(256),
            steering: Steering::new(),
            in_flight: VecDeque::new(),
            accepted: Vec::new(),
            ordinals: HashMap::new(),
            sightings: Sightings::new(),
        }
    }

    fn weight(&self, fact: usize) -> f64 {
        self.upto[fact] - if fact == 0 { 0.0 } else { self.upto[fact - 1] }
    }

    /// A fact in one of four wordings: three words of its own, two that eight facts share.
    fn wording(fact: usize, variant: u64) -> String {
        let group = fact / 8;
        format!("how a{group} b{group} makes own{fact}x own{fact}y own{fact}z really v{variant}?")
    }

    fn shown(&mut self) -> HashSet<usize> {
        let budget = AvoidBudget::default();
        match self.way {
            Way::Nothing => HashSet::new(),
            Way::OneAtRandom => self
                .random
                .choose(&self.accepted)
                .copied()
                .into_iter()
                .collect(),
            Way::ManyAtRandom => {
                let mut all = self.accepted.clone();
                self.random.shuffle(&mut all);
                all.into_iter().take(budget.records).collect()
            }
            Way::Latest => self
                .accepted
                .iter()
                .rev()
                .take(budget.records)
                .copied()
                .collect(),
            Way::Chosen => self.chosen(budget.records),
            Way::Most(records) => self.chosen(records),
            Way::Learned => {
                let lists = self.in_flight.iter().filter(|(shown, _)| *shown > 0);
                let records = self.steering.choose(lists.count(), &mut self.random);
                self.chosen(records)
            }
        }
    }

    fn chosen(&self, records: usize) -> HashSet<usize> {
        let chosen = self
            .memory
            .choose(&AvoidBudget::default().with_records(records));
        let facts = chosen.iter().filter_map(|(_, excerpt)| fact_of(excerpt));
        facts.collect()
    }

    fn draw(&mut self) -> usize {
        let total = self.upto[self.upto.len() - 1];
        let at = self.random.unit_f64() * total;
        self.upto
            .partition_point(|upto| *upto <= at)
            .min(self.upto.len() - 1)
    }

    /// Asks once. Returns the chance that this brings a new fact.
    fn ask(&mut self) -> f64 {
        let shown = self.shown();
        let total = self.upto[self.upto.len() - 1];
        let known: f64 = self.accepted.iter().map(|&fact| self.weight(fact)).sum();
        let avoided: f64 = shown.iter().map(|&fact| self.weight(fact) * HEED).sum();
        let chance = if self.accepted.len() == self.upto.len() {
            0.0
        } else {
            ((total - known) / (total - avoided)).max(0.0)
        };

        let mut brought = Brought::default();
        brought.input_tokens = PROMPT + EXCERPT * shown.len() as u64;
        brought.output_tokens = ANSWER;
        let Some(fact) = self.answer(&shown) else {
            brought.output_tokens = ENDLESS;
            self.settle(shown.len(), brought);
            return chance;
        };
        let excerpt = Self::wording(fact, self.random.below(4));
        let known = self.ordinals.get(&fact).copied();
        brought.accepted = u64::from(known.is_none());
        brought.repeats = u64::from(known.is_some());
        brought.copies = u64::from(known.is_some() && shown.contains(&fact));
        self.settle(shown.len(), brought);
        if let Some(ordinal) = known {
            self.sightings.seen_again(ordinal);
            if brought.copies > 0 {
                self.memory.copied(ordinal);
            } else {
                self.memory.repeated(Some(ordinal), &excerpt);
            }
        } else {
            let ordinal = self.accepted.len() as u64;
            self.ordinals.insert(fact, ordinal);
            self.accepted.push(fact);
            self.sightings.seen_new(ordinal);
            self.memory.accepted(ordinal, &excerpt);
        }
        chance
    }

    /// Returns the fact that the model tells, if it tells one.
    fn answer(&mut self, shown: &HashSet<usize>) -> Option<usize> {
        let luck = self.random.unit_f64();
        match self.model {
            Model::Heeds => {
                let mut fact = self.draw();
                while shown.contains(&fact) && self.random.unit_f64() < HEED {
                    fact = self.draw();
                }
                Some(fact)
            }
            Model::Copies if luck < COPY && !shown.is_empty() => {
                let mut shown: Vec<usize> = shown.iter().copied().collect();
                shown.sort_unstable();
                self.random.choose(&shown).copied()
            }
            Model::LosesItsWay if luck < LOST + LOST_PER_RECORD * shown.len() as f64 => None,
            Model::Copies | Model::LosesItsWay => Some(self.draw()),
        }
    }

    fn settle(&mut self, shown: usize, brought: Brought) {
        self.in_flight.push_back((shown, brought));
        if self.in_flight.len() > IN_FLIGHT
            && let Some((shown, brought)) = self.in_flight.pop_front()
        {
            self.steering.observe(shown, &brought);
        }
    }
}

fn fact_of(excerpt: &str) -> Option<usize> {
    let word = excerpt
        .split(' ')
        .find_map(|word| word.strip_prefix("own"))?;
    word.trim_end_matches(|character: char| !character.is_ascii_digit())
        .parse()
        .ok()
}

/// New records per 100 calls.
fn yields(runs: u64) {
    const CALLS: u32 = 400;
    println!("new records per 100 calls, mean of {runs} runs of {CALLS} calls");
    print!("{:>6} {:>6}", "skew", "facts");
    for way in WAYS {
        print!(" {:>13}", format!("{way:?}"));
    }
    println!();
    for skew in [1.0, 1.2] {
        for facts in [200, 500, 2000] {
            let per_hundred = WAYS.map(|way| {
                let made: usize = (0..runs)
                    .map(|seed| {
                        let mut topic = Topic::new(facts, skew, way, seed);
                        (0..CALLS).for_each(|_| {
                            topic.ask();
                        });
                        topic.accepted.len()
                    })
                    .sum();
                made as f64 * 100.0 / f64::from(CALLS) / runs as f64
            });
            print!("{skew:>6.1} {facts:>6}");
            for made in per_hundred {
                print!(" {made:>13.1}");
            }
            println!();
            let [_, one, many, latest, chosen] = per_hundred;
            assert!(
                chosen > 1.1 * one,
                "a chosen list brings more than one record at random"
            );
            assert!(
                chosen > many.max(latest),
                "and more than as many that are not chosen"
            );
        }
    }
}

/// New records per 100 calls with lists of a fixed length, and with one whose length is learned.
fn learned(runs: u64) {
    const CALLS: u32 = 1_000;
    const WAYS: [Way; 4] = [Way::Most(0), Way::Most(3), Way::Most(10), Way::Learned];
    println!("\nnew records per 100 calls, mean of {runs} runs of {CALLS} calls");
    println!(
        "{:>12} {:>5} {:>6} {:>8} {:>8} {:>8} {:>8} {:>15}",
        "model", "skew", "facts", "none", "3", "10", "learned", "learned / best"
    );
    let mut ratios = Vec::new();
    for model in [Model::Heeds, Model::Copies, Model::LosesItsWay] {
        for (skew, facts) in [(1.0, 200), (1.0, 2000), (1.2, 500), (1.2, 2000)] {
            let made = WAYS.map(|way| {
                let made = (0..runs).map(|seed| {
                    let mut topic = Topic::new(facts, skew, way, seed);
                    topic.model = model;
                    (0..CALLS).for_each(|_| {
                        topic.ask();
                    });
                    topic.accepted.len()
                });
                made.sum::<usize>() as f64 * 100.0 / f64::from(CALLS) / runs as f64
            });
            let [fixed @ .., learned] = made;
            let ratio = learned / fixed.into_iter().fold(0.0, f64::max);
            println!(
                "{:>12} {skew:>5.1} {facts:>6} {:>8.1} {:>8.1} {:>8.1} {learned:>8.1} {ratio:>15.2}",
                format!("{model:?}"),
                fixed[0],
                fixed[1],
                fixed[2],
            );
            ratios.push(ratio);
        }
    }
    let mean = ratios.iter().sum::<f64>() / ratios.len() as f64;
    println!("mean of learned / best {mean:.3}");
    assert!(mean >= 0.95, "what is learned reaches what is best");
    let least = ratios.into_iter().fold(1.0, f64::min);
    assert!(
        least >= 0.85,
        "and nowhere falls far behind, though runs may be few"
    );
}

/// What a quota that cannot be met costs, with and without steering.
fn stops(runs: u64) {
    println!(
        "\na quota twice the pool: calls until the topic is dry, and those after a record costs 20 calls, and 40"
    );
    println!(
        "{:>6} {:>6} {:>13} {:>8} {:>8} {:>12} {:>12} {:>9}",
        "skew", "facts", "way", "calls", "records", "above price", "above twice", "too soon"
    );
    for skew in [1.0, 1.2] {
        for facts in [50, 100, 300] {
            for way in [Way::OneAtRandom, Way::Chosen] {
                let (mut calls, mut records, mut above, mut twice, mut soon) =
                    (0_u32, 0, 0_u32, 0_u32, 0_u32);
                for seed in 0..runs {
                    let mut topic = Topic::new(facts, skew, way, seed);
                    let quota = 2 * facts as u64;
                    let mut chance = 1.0;
                    while topic
                        .sightings
                        .is_saturated(quota - topic.accepted.len() as u64)
                        .is_none()
                    {
                        chance = topic.ask();
                        calls += 1;
                        above += u32::from(chance < 0.05);
                        twice += u32::from(chance < 0.025);
                    }
                    soon += u32::from(chance >= 0.05);
                    records += topic.accepted.len();
                }
                let part = |part: u32| 100.0 * f64::from(part) / f64::from(calls);
                println!(
                    "{skew:>6.1} {facts:>6} {:>13} {:>8.0} {:>8.1} {:>10.1} % {:>10.1} % {:>7.1} %",
                    format!("{way:?}"),
                    f64::from(calls) / runs as f64,
                    records as f64 / runs as f64,
                    part(above),
                    part(twice),
                    100.0 * f64::from(soon) / runs as f64,
                );
            }
        }
    }
}

/// What the bookkeeping costs, per record.
fn costs(records: u64) {
    let mut random = Random::new(1);
    let texts: Vec<String> = (0..records)
        .map(|_| {
            let words: Vec<String> = (0..28)
                .map(|_| format!("word{}", random.below(3000)))
                .collect();
            words.join(" ")
        })
        .collect();
    let bytes = texts.iter().map(String::len).sum::<usize>() as u64 / records;

    println!("\nper record of {bytes} bytes");
    let start = Instant::now();
    let mut metrics = Metrics::new();
    for text in &texts {
        metrics.observe(0, text);
    }
    println!(
        "observe   {:>7.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / records as f64
    );
    let start = Instant::now();
    black_box(metrics.finish());
    println!(
        "finish    {:>7.2} ms, once",
        start.elapsed().as_secs_f64() * 1e3
    );

    let mut memory = AvoidMemory::new(256);
    let start = Instant::now();
    texts
        .iter()
        .zip(0..)
        .for_each(|(text, ordinal)| memory.accepted(ordinal, text));
    println!(
        "accepted  {:>7.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / records as f64
    );
    let few = texts.len().min(2_000);
    let start = Instant::now();
    texts[..few]
        .iter()
        .zip(0..)
        .for_each(|(text, ordinal)| memory.repeated(Some(ordinal), text));
    println!(
        "repeated  {:>7.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / few as f64
    );
    let start = Instant::now();
    (0..few).for_each(|_| drop(black_box(memory.choose(&AvoidBudget::default()))));
    println!(
        "choose    {:>7.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / few as f64
    );

    let mut sightings = Sightings::new();
    let start = Instant::now();
    for ordinal in 0..records {
        sightings.seen_new(ordinal);
        sightings.seen_again(ordinal / 2);
        black_box(sightings.is_saturated(10));
    }
    println!(
        "sightings {:>7.2} µs",
        start.elapsed().as_secs_f64() * 1e6 / records as f64
    );
}
