//! Whole runs of the ledger against topics that give as models, filters and deduplicators let them: which are given up that
//! could still give, and what those cost that cannot.
//!
//! The tables of `docs/concepts.md`: `cargo test --release --lib ledger::simulated -- --ignored --nocapture`.

#![allow(clippy::cast_precision_loss)] // Counts of simulated runs are small.

use std::collections::HashMap;

use super::*;
use crate::schedule::RoundRobin;

/// What becomes of the candidates of a topic.
#[derive(Debug, Clone, Copy)]
enum Supply {
    /// This part is accepted.
    Filter(f64),
    /// None is.
    Nothing,
    /// The same until it has given this many, and repeats from then on.
    Wall(f64, u64),
    /// They are drawn from this many facts, the k-th with a weight of k to the power of minus this.
    Pool(usize, f64),
    /// This part of the answers is refused by the model.
    Declined(f64),
    /// This part of the answers is of no use as a whole, and of the others this part of the candidates is accepted.
    Alike(f64, f64),
}
use Supply::{Alike, Declined, Filter, Nothing, Pool, Wall};

/// The rate at which a topic counts as one that can still give: at twenty answers a record.
const CAN_GIVE: f64 = 0.05;

#[derive(Debug, Clone)]
struct Scenario {
    name: &'static str,
    topics: Vec<(Supply, u64)>,
    at_once: u64,
    /// The part of the answers that cannot be read.
    malformed: f64,
    /// Whether now and then a few dozen answers in a row cannot be read.
    bursts: bool,
}

impl Scenario {
    fn new(name: &'static str, groups: &[(usize, Supply, u64)]) -> Self {
        let groups = groups.iter();
        let topics = groups.flat_map(|&(count, supply, quota)| vec![(supply, quota); count]);
        Self {
            name,
            topics: topics.collect(),
            at_once: 1,
            malformed: 0.0,
            bursts: false,
        }
    }

    fn malformed(mut self, part: f64) -> Self {
        self.malformed = part;
        self
    }

    fn at_once(mut self, records: u64) -> Self {
        self.at_once = records;
        self
    }

    fn bursts(mut self) -> Self {
        self.bursts = true;
        self
    }
}

/// What runs came to.
#[derive(Debug, Default)]
struct Outcomes {
    runs: u64,
    incomplete: u64,
    calls: u64,
    /// Topics that ever could give, and those given up that still could.
    able: u64,
    wronged: u64,
    /// Calls for topics that never could, at most for one, and in all for topics that no longer could.
    most_for_nothing: u64,
    for_nothing: u64,
}

impl Outcomes {
    fn wronged(&self) -> f64 {
        100.0 * self.wronged as f64 / self.able.max(1) as f64
    }

    fn for_nothing(&self) -> f64 {
        100.0 * self.for_nothing as f64 / self.calls as f64
    }
}

/// One topic of a run.
struct Topic {
    supply: Supply,
    given: u64,
    /// The weights of the facts up to each, and in all.
    upto: Vec<f64>,
    /// The ordinal of each fact that was accepted.
    facts: HashMap<usize, u64>,
}

impl Topic {
    fn new(supply: Supply) -> Self {
        let (facts, skew) = match supply {
            Pool(facts, skew) => (facts, skew),
            _ => (0, 0.0),
        };
        let weights = (1..=facts).map(|rank| (rank as f64).powf(-skew));
        let upto = weights.scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        });
        Self {
            supply,
            given: 0,
            upto: upto.collect(),
            facts: HashMap::new(),
        }
    }

    fn weight(&self, fact: usize) -> f64 {
        self.upto[fact] - if fact == 0 { 0.0 } else { self.upto[fact - 1] }
    }

    /// Returns the chance that a candidate is accepted.
    fn rate(&self) -> f64 {
        match self.supply {
            Filter(rate) => rate,
            Wall(rate, after) if self.given < after => rate,
            Nothing | Wall(..) => 0.0,
            Pool(facts, _) => {
                let known: f64 = self.facts.keys().map(|&fact| self.weight(fact)).sum();
                (1.0 - known / self.upto[facts - 1]).max(0.0)
            }
            Declined(part) => 1.0 - part,
            Alike(part, rate) => (1.0 - part) * rate,
        }
    }

    /// Settles a candidate. Returns whether it was accepted.
    fn candidate(&mut self, topic: usize, ledger: &mut Ledger, random: &mut Random) -> bool {
        if !ledger.has_room(topic) {
            ledger.reject(topic, Rejection::Surplus);
            return false;
        }
        let rate = match self.supply {
            Pool(facts, _) => {
                let at = random.unit_f64() * self.upto[facts - 1];
                let fact = self.upto.partition_point(|upto| *upto <= at).min(facts - 1);
                if let Some(&ordinal) = self.facts.get(&fact) {
                    ledger.repeated(topic, Some(ordinal));
                    return false;
                }
                self.facts.insert(fact, ledger.accepted());
                1.0
            }
            Declined(_) => 1.0,
            Alike(_, rate) => rate,
            _ => self.rate(),
        };
        let is_accepted = random.unit_f64() < rate;
        match self.supply {
            _ if is_accepted => {
                self.given += 1;
                ledger.accept(topic);
            }
            Wall(_, after) if self.given == after => ledger.repeated(topic, Some(0)),
            _ => ledger.reject(topic, Rejection::Filtered),
        }
        is_accepted
    }
}

fn run(scenario: &Scenario, concurrency: u64, seed: u64, outcomes: &mut Outcomes) {
    let rules = LedgerRules {
        miss_threshold: None,
        records_per_request: RecordsPerRequest::Fixed(scenario.at_once),
        concurrency,
        most_tasks: 2 * concurrency,
        breaker_rounds: 3,
        reallocate: false,
        seed,
    };
    let quotas: Vec<u64> = scenario.topics.iter().map(|(_, quota)| *quota).collect();
    let mut ledger = Ledger::new(&quotas, rules);
    let supplies = scenario.topics.iter();
    let mut topics: Vec<Topic> = supplies.map(|&(supply, _)| Topic::new(supply)).collect();
    let mut random = Random::new(seed).fork("answers");
    let mut policy = RoundRobin::default();
    // As the driver: two tasks for each call in flight.
    let window = 2 * usize::try_from(concurrency).expect("small");
    let mut in_flight = Vec::new();
    let mut burst = 0;
    while ledger.is_hopeless().is_none() {
        while in_flight.len() < window
            && let Some(task) = ledger.issue(&mut policy).expect("it picks an open one")
        {
            in_flight.push(task);
        }
        if in_flight.is_empty() {
            break;
        }
        let task = in_flight.swap_remove(random.index(in_flight.len()));
        outcomes.calls += 1;
        outcomes.for_nothing += u64::from(topics[task.topic].rate() < CAN_GIVE);
        if scenario.bursts && burst == 0 && random.unit_f64() < 0.01 {
            burst = 5 + random.below(20);
        }
        let in_burst = burst > 0 && random.unit_f64() < 0.9;
        burst -= u64::from(burst > 0);
        let given_up = if in_burst || random.unit_f64() < scenario.malformed {
            let miss = EmptyAttempt::Answer(AnswerFault::Unreadable);
            ledger.answered(&task, Some(miss), Some(AnswerFault::Unreadable), 0)
        } else {
            let topic = &mut topics[task.topic];
            let lost = match topic.supply {
                Declined(part) | Alike(part, _) => random.unit_f64() < part,
                _ => false,
            };
            let mut miss = Some(EmptyAttempt::Rejected(Rejection::Filtered));
            for _ in 0..task.wanted {
                if lost {
                    ledger.reject(task.topic, Rejection::Filtered);
                } else if topic.candidate(task.topic, &mut ledger, &mut random) {
                    miss = None;
                } else if matches!(topic.supply, Pool(..) | Wall(..)) {
                    miss = miss.map(|_| EmptyAttempt::Rejected(Rejection::Duplicate));
                }
            }
            ledger.answered(&task, miss, None, 0)
        };
        if given_up.is_some() && topics[task.topic].rate() >= CAN_GIVE {
            outcomes.wronged += 1;
        }
    }
    outcomes.runs += 1;
    outcomes.incomplete += u64::from(!ledger.is_complete());
    for (topic, stats) in topics.iter().zip(ledger.stats()) {
        match topic.supply {
            Nothing => outcomes.most_for_nothing = outcomes.most_for_nothing.max(stats.tasks),
            _ => outcomes.able += 1,
        }
    }
}

fn runs(scenario: &Scenario, concurrency: u64, count: u64) -> Outcomes {
    let mut outcomes = Outcomes::default();
    (0..count).for_each(|seed| run(scenario, concurrency, seed, &mut outcomes));
    outcomes
}

/// Those that the rule was made with.
fn known() -> Vec<Scenario> {
    let filter = |name, rate| Scenario::new(name, &[(8, Filter(rate), 7)]);
    vec![
        filter("filter passes 80 %", 0.8),
        filter("filter passes 60 %", 0.6),
        filter("filter passes 40 %", 0.4),
        filter("filter passes 20 %", 0.2),
        filter("20 % duplicates, 10 % malformed", 0.8).malformed(0.1),
        Scenario::new(
            "5 hard topics (10 %) of 20, others 90 %",
            &[(5, Filter(0.1), 5), (15, Filter(0.9), 5)],
        ),
        Scenario::new(
            "1 topic of 100 never gives, others 80 %",
            &[(1, Nothing, 10), (99, Filter(0.8), 10)],
        ),
        Scenario::new(
            "20 topics of 100 never give, others 80 %",
            &[(20, Nothing, 10), (80, Filter(0.8), 10)],
        ),
        Scenario::new("no topic of 10 ever gives", &[(10, Nothing, 10)]),
        Scenario::new("no topic of 200 ever gives", &[(200, Nothing, 5)]),
        Scenario::new("the only topic never gives", &[(1, Nothing, 10)]),
        Scenario::new(
            "5 of 10 give 6 of 20, then repeat",
            &[(5, Wall(0.8, 6), 20), (5, Filter(0.8), 20)],
        ),
        Scenario::new("40 of 50 facts, Zipf 0.5", &[(5, Pool(50, 0.5), 40)]),
        Scenario::new(
            "25 of 30 facts, Zipf 1, 10 % malformed",
            &[(5, Pool(30, 1.0), 25)],
        )
        .malformed(0.1),
        Scenario::new(
            "3 of 10 declined in 60 %",
            &[(3, Declined(0.6), 6), (7, Filter(0.9), 6)],
        ),
        Scenario::new("bursts of unreadable answers", &[(10, Filter(0.8), 20)]).bursts(),
        Scenario::new("5 at once, 40 %, 10 % malformed", &[(5, Filter(0.4), 23)])
            .at_once(5)
            .malformed(0.1),
        Scenario::new(
            "5 at once, half of the answers lost",
            &[(5, Alike(0.5, 0.9), 23)],
        )
        .at_once(5),
    ]
}

/// Those that it was measured on after it was made.
fn unseen() -> Vec<Scenario> {
    let mixed: Vec<_> = (0..30_u32)
        .map(|place| (1, Filter(0.2 + 0.025 * f64::from(place)), 6))
        .collect();
    vec![
        Scenario::new("filter passes 70 %", &[(12, Filter(0.7), 9)]),
        Scenario::new("filter passes 50 %, small topics", &[(30, Filter(0.5), 3)]),
        Scenario::new("filter passes 30 %, large topics", &[(6, Filter(0.3), 15)]),
        Scenario::new("one topic of 40, 25 %", &[(1, Filter(0.25), 40)]),
        Scenario::new(
            "3 at once, 25 % duplicates, 15 % malformed",
            &[(10, Filter(0.75), 12)],
        )
        .at_once(3)
        .malformed(0.15),
        Scenario::new(
            "4 hard topics (12 %) of 20, others 95 %",
            &[(4, Filter(0.12), 8), (16, Filter(0.95), 8)],
        ),
        Scenario::new("rates from 20 to 93 %", &mixed),
        Scenario::new(
            "2 topics of 60 never give, others 70 %",
            &[(2, Nothing, 12), (58, Filter(0.7), 12)],
        ),
        Scenario::new(
            "1 topic of 80 never gives, others 30 %",
            &[(1, Nothing, 10), (79, Filter(0.3), 10)],
        ),
        Scenario::new("no topic of 30 ever gives", &[(30, Nothing, 10)]),
        Scenario::new(
            "4 of 12 give 8 of 15, then repeat",
            &[(4, Wall(0.9, 8), 15), (8, Filter(0.9), 15)],
        ),
        Scenario::new("50 of 80 facts, Zipf 0.8", &[(4, Pool(80, 0.8), 50)]),
        Scenario::new(
            "5 of 12 declined in 40 %",
            &[(5, Declined(0.4), 10), (7, Filter(0.9), 10)],
        ),
        Scenario::new("bursts, many small topics", &[(20, Filter(0.9), 10)]).bursts(),
        Scenario::new(
            "4 at once, 40 % of the answers lost",
            &[(8, Alike(0.4, 0.7), 20)],
        )
        .at_once(4),
    ]
}

#[test]
fn a_filter_rarely_ends_a_topic_that_can_give() {
    for scenario in &known()[..5] {
        for concurrency in [1, 10] {
            let outcomes = runs(scenario, concurrency, 50);
            let wronged = outcomes.wronged();
            assert!(wronged <= 2.0, "{}: {wronged} %", scenario.name);
        }
    }
}

#[test]
fn what_never_gives_costs_little() {
    for (name, supplies) in [
        (
            "one topic of many",
            &[(1, Nothing, 10), (99, Filter(0.8), 10)][..],
        ),
        (
            "one topic of many, hard ones",
            &[(1, Nothing, 10), (99, Filter(0.3), 10)],
        ),
        ("some topics", &[(5, Nothing, 10), (15, Filter(0.5), 10)]),
        ("the only topic", &[(1, Nothing, 100)]),
        ("every topic", &[(200, Nothing, 10)]),
    ] {
        for concurrency in [1, 10] {
            let outcomes = runs(&Scenario::new("", supplies), concurrency, 5);
            let most = outcomes.most_for_nothing;
            assert!(most <= 30, "{name}: {most} calls");
            let part = outcomes.for_nothing();
            assert!(
                !name.contains("many") || part <= 3.0,
                "{name}: {part} % of the calls"
            );
            let calls = outcomes.calls / outcomes.runs;
            assert!(
                name != "every topic" || calls <= 120,
                "{name}: {calls} calls"
            );
        }
    }
}

#[test]
#[ignore = "a measurement of a minute"]
#[allow(clippy::print_stdout)]
fn table_of_runs() {
    for (what, scenarios) in [("unseen", unseen()), ("made with", known())] {
        for scenario in scenarios {
            for concurrency in [1, 10] {
                let outcomes = runs(&scenario, concurrency, 1_000);
                println!(
                    "| {what} | {} | {concurrency} | {:.1} % | {:.2} % | {} | {:.1} % | {:.0} |",
                    scenario.name,
                    100.0 * outcomes.incomplete as f64 / outcomes.runs as f64,
                    outcomes.wronged(),
                    outcomes.most_for_nothing,
                    outcomes.for_nothing(),
                    outcomes.calls as f64 / outcomes.runs as f64,
                );
            }
        }
    }
}
