//! Attributes that are crossed with topics: how many records are asked for with each value.

use std::collections::VecDeque;

use serde_json::Value;

use super::{Plan, PlannedTopic};

/// What is taken for a whole: `0.3 * 10` is a little more than 3 to a computer.
const NOTHING: f64 = 1e-9;

/// A property that records differ in, and the part of the records that has each of its values.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Attribute {
    /// Its name.
    pub name: String,
    /// Its values, each with its share; the shares add up to 1.
    pub values: Vec<(Value, f64)>,
}

impl Attribute {
    /// Creates an attribute. Values without a share are left out, and shares are taken in proportion.
    pub fn new(name: impl Into<String>, values: impl IntoIterator<Item = (Value, f64)>) -> Self {
        let values: Vec<_> = values
            .into_iter()
            .filter(|(_, share)| *share > 0.0)
            .collect();
        let all: f64 = values.iter().map(|(_, share)| share).sum();
        let values = values.into_iter();
        Self {
            name: name.into(),
            values: values.map(|(value, share)| (value, share / all)).collect(),
        }
    }
}

impl Plan {
    /// Crosses the topics with attributes: each becomes as many as it has combinations of values, with the quota of the topic
    /// shared out over them.
    ///
    /// Over the run, each value of each attribute gets its share within one record, and so it does in each topic for the first
    /// attribute; for each further one, in each combination of a topic and the values before it. There are no
    /// more topics than records.
    #[must_use]
    pub fn crossed(mut self, attributes: &[Attribute]) -> Self {
        if attributes.is_empty() {
            return self;
        }
        // In the order in which they are shared out: by the values so far, so that the next ones spread over them evenly.
        let whole = self.topics.iter().enumerate();
        let mut cells: Vec<Cell> = whole
            .map(|(topic, planned)| Cell {
                topic,
                values: Vec::new(),
                quota: planned.quota,
            })
            .collect();
        for attribute in attributes {
            let quotas: Vec<u64> = cells.iter().map(|cell| cell.quota).collect();
            let shares: Vec<f64> = attribute.values.iter().map(|(_, share)| *share).collect();
            let parts = shared_out(&quotas, &shares);
            let whole = cells.iter().zip(parts);
            cells = whole
                .flat_map(|(cell, parts)| {
                    let part = |(value, quota)| Cell {
                        topic: cell.topic,
                        values: [cell.values.as_slice(), &[value]].concat(),
                        quota,
                    };
                    parts.into_iter().map(part)
                })
                .collect();
            cells.sort_by(|one, other| (&one.values, one.topic).cmp(&(&other.values, other.topic)));
        }
        cells.sort_by(|one, other| (one.topic, &one.values).cmp(&(other.topic, &other.values)));
        let topics = cells.iter().map(|cell| {
            let PlannedTopic { topic, origin, .. } = &self.topics[cell.topic];
            let named = attributes.iter().zip(&cell.values);
            let values = named.map(|(attribute, value)| {
                (attribute.name.clone(), attribute.values[*value].0.clone())
            });
            PlannedTopic {
                topic: topic.clone().with_attributes(values.collect()),
                quota: cell.quota,
                origin: *origin,
            }
        });
        self.topics = topics.collect();
        self
    }
}

/// A topic, and the place of its value in each attribute so far.
struct Cell {
    topic: usize,
    values: Vec<usize>,
    quota: u64,
}

/// Shares each quota out, and returns the parts that are not 0, each with its place.
///
/// Each part, and each sum over all quotas, is within one of its share: the whole part of a share is given first. What is left
/// of a quota goes, one each, to the values that are furthest behind so far; at the end, what is
/// too much or too little over all is moved.
fn shared_out(quotas: &[u64], shares: &[f64]) -> Vec<Vec<(usize, u64)>> {
    let total = quotas.iter().sum();
    let mut owed = largest_remainders(total, shares);
    let mut behind = vec![0.0; shares.len()];
    let mut more: Vec<Vec<usize>> = Vec::with_capacity(quotas.len());
    for &quota in quotas {
        let mut left = quota;
        for (value, &share) in shares.iter().enumerate() {
            let (whole, part) = split(quota, share);
            left -= whole;
            owed[value] -= whole.cast_signed();
            behind[value] += part;
        }
        let mut order: Vec<usize> = (0..shares.len()).collect();
        let left = usize::try_from(left)
            .unwrap_or(usize::MAX)
            .min(shares.len());
        if left > 0 {
            order.select_nth_unstable_by(left - 1, |&one, &other| {
                behind[other].total_cmp(&behind[one]).then(one.cmp(&other))
            });
        }
        order.truncate(left);
        for &value in &order {
            behind[value] -= 1.0;
            owed[value] -= 1;
        }
        more.push(order);
    }
    settle(&mut more, &mut owed);
    let parts = quotas.iter().zip(more).map(|(&quota, more)| {
        let wholes = shares.iter().map(|&share| split(quota, share).0);
        let more = |value| more.iter().filter(|one| **one == value).count() as u64;
        let parts = wholes
            .enumerate()
            .map(|(value, whole)| (value, whole + more(value)));
        parts.filter(|(_, part)| *part > 0).collect()
    });
    parts.collect()
}

/// Moves what is too much to where it is owed, one at a time. A quota has one more of a value at most, if that is possible.
fn settle(more: &mut [Vec<usize>], owed: &mut [i64]) {
    while let Some(from) = owed.iter().position(|owed| *owed < 0) {
        let moves = path(more, owed, from);
        // Whole parts alone are too much, by the rounding of very many quotas.
        if moves.is_empty() {
            return;
        }
        for (quota, value, next) in moves {
            let place = more[quota].iter().position(|one| *one == value);
            let place = place.expect("the path goes through what there is");
            more[quota][place] = next;
            owed[value] += 1;
            owed[next] -= 1;
        }
    }
}

/// Returns moves by which one of too many comes to where one is owed: for each the quota, the value and the one in its place.
fn path(more: &[Vec<usize>], owed: &[i64], from: usize) -> Vec<(usize, usize, usize)> {
    let mut reached: Vec<Option<(usize, usize)>> = vec![None; owed.len()];
    let mut open = VecDeque::from([from]);
    while let Some(value) = open.pop_front() {
        // What was given last first: until then all was in proportion.
        for (quota, given) in more.iter().enumerate().rev() {
            if !given.contains(&value) {
                continue;
            }
            for next in 0..owed.len() {
                if next == from || reached[next].is_some() || given.contains(&next) {
                    continue;
                }
                reached[next] = Some((quota, value));
                if owed[next] > 0 {
                    let mut moves = Vec::new();
                    let mut here = next;
                    while let Some((quota, before)) = reached[here] {
                        moves.push((quota, before, here));
                        here = before;
                    }
                    return moves;
                }
                open.push_back(next);
            }
        }
    }
    // No such way: a quota gets one more of what it has one more of already.
    let quota = more.iter().rposition(|given| given.contains(&from));
    let next = owed.iter().position(|owed| *owed > 0);
    quota
        .zip(next)
        .map(|(quota, next)| (quota, from, next))
        .into_iter()
        .collect()
}

/// Returns the whole part of a share, and what is left of it.
// A quota is far below 2⁵³.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn split(quota: u64, share: f64) -> (u64, f64) {
    let exact = quota as f64 * share;
    let whole = (exact + NOTHING).floor();
    ((whole as u64).min(quota), (exact - whole).max(0.0))
}

/// Shares a number out by largest remainders, the first ones first where they are equal.
fn largest_remainders(total: u64, shares: &[f64]) -> Vec<i64> {
    let parts: Vec<(u64, f64)> = shares.iter().map(|&share| split(total, share)).collect();
    let mut wholes: Vec<i64> = parts.iter().map(|(whole, _)| whole.cast_signed()).collect();
    let left = total.cast_signed() - wholes.iter().sum::<i64>();
    let mut order: Vec<usize> = (0..shares.len()).collect();
    let rounded = |value: usize| (parts[value].1 / NOTHING).round();
    order.sort_by(|&one, &other| rounded(other).total_cmp(&rounded(one)));
    for &value in order
        .iter()
        .cycle()
        .take(usize::try_from(left).unwrap_or(0))
    {
        wholes[value] += 1;
    }
    wholes
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::mpsc;
    use std::thread;
    use std::time::{Duration, Instant};

    use super::super::Origin;
    use super::*;
    use crate::random::Random;
    use crate::topic::Topic;

    fn plan(quotas: impl IntoIterator<Item = u64>) -> Plan {
        let topics = quotas.into_iter().enumerate();
        Plan {
            topics: topics
                .map(|(number, quota)| PlannedTopic {
                    topic: Topic::new(format!("topic {number}")),
                    quota,
                    origin: Origin::Given,
                })
                .collect(),
            notes: Vec::new(),
        }
    }

    fn attribute(name: &str, shares: &[f64]) -> Attribute {
        let values = shares.iter().enumerate();
        Attribute::new(
            name,
            values.map(|(place, share)| (Value::from(place), *share)),
        )
    }

    /// Returns how many records are asked for with each value, in all and under each topic.
    fn margins(
        plan: &Plan,
        name: &str,
    ) -> (BTreeMap<String, u64>, BTreeMap<(String, String), u64>) {
        let (mut all, mut of_topic) = (BTreeMap::new(), BTreeMap::new());
        for planned in &plan.topics {
            let mut values = planned.topic.attributes();
            let value = values
                .find(|(known, _)| *known == name)
                .expect("it is crossed")
                .1
                .to_string();
            *all.entry(value.clone()).or_default() += planned.quota;
            let topic = planned.topic.name().to_owned();
            *of_topic.entry((topic, value)).or_default() += planned.quota;
        }
        (all, of_topic)
    }

    #[test]
    fn thirty_percent_are_thirty_percent() {
        let crossed = plan([33, 32, 3, 32]).crossed(&[attribute("level", &[0.3, 0.5, 0.2])]);
        let (all, of_topic) = margins(&crossed, "level");
        assert_eq!(all.into_values().collect::<Vec<_>>(), [30, 50, 20]);
        let small: Vec<u64> = ["0", "1", "2"]
            .map(|value| {
                of_topic
                    .get(&("topic 2".to_owned(), value.to_owned()))
                    .copied()
                    .unwrap_or(0)
            })
            .into();
        assert!(small.iter().sum::<u64>() == 3 && small[1] >= 1, "{small:?}");
    }

    #[test]
    #[allow(clippy::cast_precision_loss)]
    fn shares_are_exact_over_the_run_and_in_each_topic() {
        let mut wider = 0;
        for seed in 0..300 {
            let mut random = Random::new(seed).fork("shares");
            let mut below = |most: u64| random.below(most);
            let quotas: Vec<u64> = (0..=below(12)).map(|_| 1 + below(30)).collect();
            let drawn = |below: &mut dyn FnMut(u64) -> u64| {
                let shares: Vec<f64> = (0..=below(6)).map(|_| (1 + below(20)) as f64).collect();
                let all: f64 = shares.iter().sum();
                shares.iter().map(|share| share / all).collect::<Vec<f64>>()
            };
            let shares: Vec<Vec<f64>> = (0..=below(3)).map(|_| drawn(&mut below)).collect();
            let names = ["a", "b", "c", "d"];
            let attributes: Vec<Attribute> = names
                .iter()
                .zip(&shares)
                .map(|(name, shares)| attribute(name, shares))
                .collect();
            let total: u64 = quotas.iter().sum();
            let crossed = plan(quotas.clone()).crossed(&attributes);
            assert_eq!(crossed.total(), total, "seed {seed}");
            assert!(crossed.topics.len() as u64 <= total, "seed {seed}");
            assert!(crossed.topics.iter().all(|planned| planned.quota > 0));
            assert_eq!(crossed, plan(quotas.clone()).crossed(&attributes));
            let mut each = BTreeMap::new();
            for planned in &crossed.topics {
                *each.entry(planned.topic.name()).or_insert(0) += planned.quota;
            }
            for (number, quota) in quotas.iter().enumerate() {
                assert_eq!(each[&*format!("topic {number}")], *quota, "seed {seed}");
            }
            for (place, (name, shares)) in names.iter().zip(&shares).enumerate() {
                let (all, of_topic) = margins(&crossed, name);
                for (value, share) in shares.iter().enumerate() {
                    let got = all.get(&value.to_string()).copied().unwrap_or(0);
                    let off = got as f64 - total as f64 * share;
                    assert!(off.abs() < 1.0, "seed {seed}: {name} is off by {off}");
                    for (number, quota) in quotas.iter().enumerate().filter(|_| place == 0) {
                        let key = (format!("topic {number}"), value.to_string());
                        let got = of_topic.get(&key).copied().unwrap_or(0);
                        let off = got as f64 - *quota as f64 * share;
                        wider += u32::from(off.abs() > 1.0 + NOTHING);
                    }
                }
            }
        }
        assert_eq!(wider, 0, "cells of a topic that are off by more than one");
    }

    #[test]
    fn what_cannot_be_moved_ends_the_moving() {
        // As if the whole parts of a billion quotas had been rounded up to one too many.
        for (owed, more) in [
            (vec![-1, 1], vec![vec![1], vec![]]),
            (vec![-1, 0], vec![vec![0]]),
        ] {
            let (done, ended) = mpsc::channel();
            thread::spawn(move || {
                let (mut more, mut owed) = (more, owed);
                settle(&mut more, &mut owed);
                done.send(owed).ok();
            });
            let left = ended.recv_timeout(Duration::from_secs(20));
            assert_eq!(left.expect("it ends")[0], -1);
        }
    }

    #[test]
    fn values_of_two_attributes_meet_as_often_as_they_should() {
        let crossed =
            plan(vec![1; 400]).crossed(&[attribute("a", &[0.5, 0.5]), attribute("b", &[0.7, 0.3])]);
        let mut pairs: BTreeMap<String, u64> = BTreeMap::new();
        for planned in &crossed.topics {
            let values: Vec<String> = planned
                .topic
                .attributes()
                .map(|(_, value)| value.to_string())
                .collect();
            *pairs.entry(values.join(" ")).or_default() += planned.quota;
        }
        assert_eq!(pairs.into_values().collect::<Vec<_>>(), [140, 60, 140, 60]);
    }

    #[test]
    fn as_many_topics_as_a_run_may_have_are_crossed_at_once() {
        let begun = Instant::now();
        let crossed = plan(vec![1; 100_000]).crossed(&[
            attribute("a", &[0.3, 0.5, 0.2]),
            attribute("b", &[0.02; 50]),
        ]);
        assert_eq!(crossed.topics.len(), 100_000);
        // Without optimisation, and beside other tests.
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "{:?}",
            begun.elapsed()
        );
    }
}
