//! What it takes to find the most similar record of each, in sets that make it easy and in sets that make it hard.

use std::collections::HashSet;

use topicloom::dedup::Neighbours;
use topicloom::random::Random;
use topicloom::schema::RecordSchema;

use crate::generate::generate;
use crate::vocabulary::HELD_OUT;
use crate::{Timer, record};

const TEMPLATE: &str = "Write a polite letter to the manager of the shop about the order that has not come yet and ask for the money";

type Make = fn(usize, &mut Random) -> Vec<String>;

const KINDS: [(&str, Make); 6] = [
    ("questions", |records, _| {
        let set = generate(&HELD_OUT, records, 11);
        set.into_iter().map(|labelled| labelled.text).collect()
    }),
    ("12 words of 3 000, some more often", |records, random| {
        each(records, || {
            let mut word = || random.below(3000) * random.below(3000) / 3000;
            words(12, || format!("w{}", word()))
        })
    }),
    ("20 words of 1 000, all as often", |records, random| {
        each(records, || words(20, || format!("w{}", random.below(1000))))
    }),
    (
        "a template, and 3 words that no other has",
        |records, random| {
            each(records, || {
                let own = words(3, || format!("x{}", random.next_u64()));
                format!("{TEMPLATE} {own}")
            })
        },
    ),
    ("a template, and 3 words of 50", |records, random| {
        each(records, || {
            let own = words(3, || format!("x{}", random.below(50)));
            format!("{TEMPLATE} {own}")
        })
    }),
    (
        "a template, and 0 to 30 words of 3 000",
        |records, random| {
            each(records, || {
                let own = random.below(31);
                let own = words(own, || format!("x{}", random.below(3000)));
                format!("{TEMPLATE} {own}")
            })
        },
    ),
];

fn each(records: usize, mut text: impl FnMut() -> String) -> Vec<String> {
    (0..records).map(|_| text()).collect()
}

fn words(count: u64, mut word: impl FnMut() -> String) -> String {
    (0..count).map(|_| word()).collect::<Vec<_>>().join(" ")
}

pub fn table() {
    println!(
        "\n## Neighbours, seconds of CPU\n\n| records | | read | groups | the nearest of each | the same across sides | groups, with a near one |\n         |---|---|---|---|---|---|---|"
    );
    for (kind, make) in KINDS {
        for records in [10_000, 100_000] {
            let mut random = Random::new(5);
            let texts = make(records, &mut random);
            // A set may hold a repeat more than it was asked for.
            let sides: Vec<usize> = texts
                .iter()
                .map(|_| usize::from(random.below(10) == 0))
                .collect();
            let start = Timer::start();
            let mut neighbours = Neighbours::new(&RecordSchema::default());
            for text in &texts {
                neighbours.see(&record(text), None);
            }
            let read = start.micros() / 1e6;
            let start = Timer::start();
            let groups: HashSet<usize> = neighbours.groups().into_iter().collect();
            let grouped = start.micros() / 1e6;
            let start = Timer::start();
            let nearest = neighbours.nearest(None);
            let all = start.micros() / 1e6;
            let start = Timer::start();
            let closest = neighbours.closest(&sides);
            let across = start.micros() / 1e6;
            println!(
                "| {records} | {kind} | {read:.1} | {grouped:.1} ({}) | {all:.1} ({}, {}) | {across:.1} ({}) |",
                groups.len(),
                nearest.of_each.iter().flatten().count(),
                nearest.cut_short,
                closest.is_none_or(|it| it.is_exact),
            );
        }
    }
}
