//! Counts right and wrong verdicts on a labelled stream.

use std::collections::{BTreeMap, HashMap};

use topicloom::Candidate;
use topicloom::dedup::{Deduplicator, ExactDuplicates, Memory, NearDuplicates, Reference, Verdict};

use super::generate::{Kind, Labelled, REPEATS};
use super::{now, record};

/// What says the same: the cluster, or with a clause more the text, which makes a record of its own.
fn sameness(labelled: &Labelled) -> (u32, Option<String>) {
    let has_clause = labelled.kind == Kind::ClauseAdded;
    (
        labelled.cluster,
        has_clause.then(|| labelled.text.to_lowercase()),
    )
}

/// What is true of a question: the kind of repeat that it is, or none.
fn truth(set: &[Labelled]) -> Vec<Option<Kind>> {
    let mut first: HashMap<(u32, Option<String>), Kind> = HashMap::new();
    set.iter()
        .map(|labelled| {
            let seen = first.get(&sameness(labelled)).copied();
            first.entry(sameness(labelled)).or_insert(labelled.kind);
            // A repeat that came first leaves its base as the second: the pair is what was made.
            seen.map(|seen| {
                if REPEATS.contains(&labelled.kind) {
                    labelled.kind
                } else {
                    seen
                }
            })
        })
        .collect()
}

/// Returns for each question the place of what it is said to repeat.
fn verdicts<D: Deduplicator>(deduplicator: &D, set: &[Labelled]) -> Vec<Option<usize>> {
    let mut memory = deduplicator.memory();
    (0..)
        .zip(set)
        .map(|(at, labelled)| {
            let data = record(&labelled.text);
            let print = now(deduplicator.fingerprint(&Candidate::new("t", &data)))
                .expect("it does not fail");
            let Verdict::Duplicate(repeat) = memory.admit(print, Reference::Record(at)) else {
                return None;
            };
            match repeat.of {
                Reference::Record(of) => Some(usize::try_from(of).expect("a place in the set")),
                _ => unreachable!("nothing was given"),
            }
        })
        .collect()
}

/// Prints precision, recall and what kinds were found, for each part of a set.
pub fn tables(set: &[Labelled]) {
    let truth = truth(set);
    let near = verdicts(&NearDuplicates::default(), set);
    let exact = verdicts(&ExactDuplicates::default().fields(["question"]), set);
    let mut parts: Vec<&str> = set.iter().map(|labelled| labelled.part).collect();
    parts.sort_unstable();
    parts.dedup();
    for part in parts {
        let of_part: Vec<usize> = (0..set.len()).filter(|at| set[*at].part == part).collect();
        println!(
            "\n## {part}: {} questions, {} repeats\n",
            of_part.len(),
            of_part.iter().filter(|at| truth[**at].is_some()).count()
        );
        println!(
            "| | precision | recall | F1 | hits that name another record |\n|---|---|---|---|---|"
        );
        for (name, found) in [("near", &near), ("exact", &exact)] {
            let count = |of: &dyn Fn(usize) -> bool| of_part.iter().filter(|at| of(**at)).count();
            let hits = count(&|at| found[at].is_some() && truth[at].is_some());
            let elsewhere = count(&|at| {
                let of = found[at].filter(|_| truth[at].is_some());
                of.is_some_and(|of| set[of].cluster != set[at].cluster)
            });
            let precision = hits as f64 / count(&|at| found[at].is_some()) as f64;
            let recall = hits as f64 / count(&|at| truth[at].is_some()) as f64;
            let f1 = 2.0 * precision * recall / (precision + recall);
            println!("| {name} | {precision:.4} | {recall:.3} | {f1:.3} | {elsewhere} |");
        }
        let mut repeats: BTreeMap<Kind, [usize; 3]> = BTreeMap::new();
        let mut others: BTreeMap<Kind, [usize; 3]> = BTreeMap::new();
        for at in of_part {
            let entry = match truth[at] {
                Some(kind) => repeats.entry(kind).or_default(),
                None if set[at].kind != Kind::ClauseAdded && REPEATS.contains(&set[at].kind) => {
                    others.entry(Kind::Base).or_default()
                }
                None => others.entry(set[at].kind).or_default(),
            };
            entry[0] += 1;
            entry[1] += usize::from(near[at].is_some());
            entry[2] += usize::from(exact[at].is_some());
        }
        println!("\n| repeat | number | near finds | exact finds |\n|---|---|---|---|");
        for (kind, [number, near, exact]) in repeats {
            let share = |found: usize| found as f64 / number as f64;
            println!(
                "| {kind:?} | {number} | {:.3} | {:.3} |",
                share(near),
                share(exact)
            );
        }
        println!("\n| no repeat | number | near refuses | exact refuses |\n|---|---|---|---|");
        for (kind, [number, near, exact]) in others {
            println!("| {kind:?} | {number} | {near} | {exact} |");
        }
    }
}

/// Prints some wrong verdicts of each kind, but nothing that was missed in the part that nobody should look at.
pub fn show_wrong(set: &[Labelled], closed: &str) {
    let truth = truth(set);
    let found = verdicts(&NearDuplicates::default(), set);
    let mut shown: BTreeMap<(bool, Kind), usize> = BTreeMap::new();
    let mut first: HashMap<(u32, Option<String>), usize> = HashMap::new();
    for (at, labelled) in set.iter().enumerate() {
        let first = *first.entry(sameness(labelled)).or_insert(at);
        if truth[at].is_some() == found[at].is_some()
            || (labelled.part == closed && truth[at].is_some())
        {
            continue;
        }
        let count = shown
            .entry((truth[at].is_some(), truth[at].unwrap_or(labelled.kind)))
            .or_default();
        *count += 1;
        if *count <= 40 {
            let (what, twin) = match found[at] {
                Some(of) => ("refused", of),
                None => ("missed", first),
            };
            let kind = truth[at].unwrap_or(labelled.kind);
            println!("{what} {kind:?}: {} || {}", labelled.text, set[twin].text);
        }
    }
}
