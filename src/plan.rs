//! How records are shared out over topics, decided before the first record is asked for.
//!
//! Two pure steps. [`allocate`] shares the total out over the given topics and says how many topics are still to
//! be generated; [`Allocation::complete`] takes the generated ones and settles the [`Plan`].

mod attributes;

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

pub use attributes::Attribute;

use crate::error::{Error, ErrorKind, Result};
use crate::fault::{InputFault, InputFaults};
use crate::topic::{Row, Topic, normalised_name};

/// The most records of one run. At a thousand records a second it would take eleven days, so a larger number
/// is a slip of the hand.
pub(crate) const MOST_RECORDS: u64 = 1_000_000_000;

/// The most topics that are generated for one run. Each has to differ from all others, and beyond this a
/// model has long begun to say the same in other words.
pub(crate) const MOST_GENERATED_TOPICS: u64 = 100_000;

/// The most characters of a given topic's name, which is part of every prompt under it.
pub(crate) const LONGEST_NAME: usize = 10_000;

/// A topic as the caller names it.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct TopicSpec {
    /// The name.
    pub name: String,
    /// How many records it gives; `None` leaves it to the plan.
    pub count: Option<u64>,
}

/// Shows the count and the length of the name.
impl fmt::Debug for TopicSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TopicSpec({} bytes, {:?})", self.name.len(), self.count)
    }
}

impl From<&str> for TopicSpec {
    fn from(name: &str) -> Self {
        Self::from(name.to_owned())
    }
}

impl From<String> for TopicSpec {
    fn from(name: String) -> Self {
        Self { name, count: None }
    }
}

impl<N: Into<String>> From<(N, u64)> for TopicSpec {
    fn from((name, count): (N, u64)) -> Self {
        Self {
            name: name.into(),
            count: Some(count),
        }
    }
}

/// What a plan is made from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PlanRequest<'a> {
    /// How many records in total; `None` leaves it to `records_per_topic`.
    pub(crate) num_records: Option<u64>,
    /// How many records a topic gets where nothing else decides it.
    pub(crate) records_per_topic: u64,
    /// The given topics; `None` has all of them generated.
    pub(crate) topics: Option<&'a [TopicSpec]>,
    /// How many topics are generated beside those given; `None` has as many as the records that are left need.
    pub(crate) generated: Option<u64>,
    /// Whether there is an instruction that topics can be generated from.
    pub(crate) has_instruction: bool,
}

impl PlanRequest<'_> {
    /// Asks for a plan without given topics and without an instruction.
    #[must_use]
    pub(crate) fn new(num_records: Option<u64>, records_per_topic: u64) -> Self {
        Self {
            num_records,
            records_per_topic,
            topics: None,
            generated: None,
            has_instruction: false,
        }
    }
}

/// Where a topic comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The caller named it.
    Given,
    /// A topic provider supplied it.
    Generated,
}

/// A topic and how many records it must give.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedTopic {
    /// The topic.
    pub topic: Topic,
    /// How many records it must give; 0 only where a run went on with an input that asks for none under it.
    pub quota: u64,
    /// Where it comes from.
    pub origin: Origin,
}

/// The given topics with their quotas, and the quotas of those still to be generated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allocation {
    /// The given topics that have records to give, in the order they were given.
    pub given: Vec<PlannedTopic>,
    /// The quotas of the topics still to be generated.
    pub generated: Vec<u64>,
    /// Given topics that have no records to give: their count is 0, or nothing was left for them. A generated
    /// topic must not repeat them either.
    pub dropped: Vec<Topic>,
    /// What the report says about it.
    pub notes: Vec<PlanNote>,
}

impl Allocation {
    /// Keeps this many topics, half of them generated ones where there are enough of both.
    pub(crate) fn sample(mut self, most: usize) -> Self {
        let of = self.given.len() + self.generated.len();
        if of <= most {
            return self;
        }
        let room = most - self.generated.len().min(most / 2);
        let left_out = self.given.split_off(self.given.len().min(room));
        // Still not to be invented again.
        self.dropped
            .extend(left_out.into_iter().map(|planned| planned.topic));
        self.generated.truncate(most - self.given.len());
        let kept = self.given.len() + self.generated.len();
        self.notes.push(PlanNote::Sample { kept, of });
        self
    }

    /// Asks each topic for one record.
    pub(crate) fn one_of_each(mut self) -> Self {
        self.given.iter_mut().for_each(|planned| planned.quota = 1);
        self.generated.fill(1);
        self
    }

    /// Returns how many records there will be.
    #[must_use]
    pub fn total(&self) -> u64 {
        total(&self.given) + self.generated.iter().sum::<u64>()
    }

    /// Returns every given topic, dropped ones included: what a generated topic must not repeat.
    #[must_use]
    pub fn existing(&self) -> Vec<Topic> {
        let given = self.given.iter().map(|planned| &planned.topic);
        given.chain(&self.dropped).cloned().collect()
    }

    /// Settles the plan with the generated topics, in their order.
    ///
    /// A topic that repeats an existing one, or is blank, is left out, and so are superfluous ones. Where there are
    /// fewer than asked for, what is left is spread evenly over the generated topics in hand; over the given
    /// ones if not one was generated. Nothing is made up.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Topics`] if there is no topic at all.
    pub fn complete(self, generated: Vec<Topic>) -> Result<Plan> {
        let Self {
            given: mut topics,
            generated: quotas,
            dropped,
            mut notes,
        } = self;
        if quotas.is_empty() {
            return Ok(Plan { topics, notes });
        }
        let mut seen: HashSet<String> = topics
            .iter()
            .map(|planned| &planned.topic)
            .chain(&dropped)
            .map(|topic| normalised_name(topic.name()))
            .collect();
        seen.insert(String::new());
        let given = topics.len();
        let new = generated
            .into_iter()
            .filter(|topic| seen.insert(normalised_name(topic.name())));
        topics.extend(new.zip(&quotas).map(|(topic, &quota)| PlannedTopic {
            topic,
            quota,
            origin: Origin::Generated,
        }));
        let got = topics.len() - given;
        let left: u64 = quotas[got..].iter().sum();
        if left > 0 {
            let in_hand = if got > 0 {
                &mut topics[given..]
            } else {
                &mut topics[..]
            };
            if in_hand.is_empty() {
                return Err(Error::new(
                    ErrorKind::Topics,
                    format!(
                        "{} topics were asked for and not one was supplied; give `topics`, or say more in \
                         `user_instruction`, or choose another topic model",
                        quotas.len()
                    ),
                ));
            }
            let shares = even_shares(left, in_hand.len());
            for (planned, share) in in_hand.iter_mut().zip(shares) {
                planned.quota += share;
            }
            notes.push(PlanNote::FewerTopics {
                asked: quotas.len(),
                got,
                spread: left,
            });
        }
        Ok(Plan { topics, notes })
    }
}

/// Topics with quotas, settled before the first record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    /// The topics, given ones first, each in the order they came.
    pub topics: Vec<PlannedTopic>,
    /// What the report says about it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<PlanNote>,
}

impl Plan {
    /// Returns how many records there will be.
    #[must_use]
    pub fn total(&self) -> u64 {
        total(&self.topics)
    }

    /// Gives topics that are rows their content, of which a journal has the numbers.
    pub(crate) fn with_rows(mut self, rows: &[Arc<Row>]) -> Self {
        let by_number: HashMap<u64, &Arc<Row>> =
            rows.iter().map(|row| (row.number(), row)).collect();
        for planned in &mut self.topics {
            let row = planned
                .topic
                .row()
                .and_then(|number| by_number.get(&number));
            if let Some(row) = row {
                planned.topic = planned.topic.clone().with_content_of(row);
            }
        }
        self
    }
}

/// What a report says about a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "snake_case")]
#[non_exhaustive]
pub enum PlanNote {
    /// Some given names were there twice; the first one counts.
    RepeatedTopics {
        /// How many were left out.
        ignored: usize,
    },
    /// Some given topics got no record, since there are more topics than records.
    TopicsWithoutShare {
        /// How many.
        dropped: usize,
    },
    /// Fewer topics were supplied than asked for; their records were spread over the topics in hand.
    FewerTopics {
        /// How many topics were asked for.
        asked: usize,
        /// How many new ones were supplied.
        got: usize,
        /// How many records were spread over the topics in hand.
        spread: u64,
    },
    /// Names that a model gave were not taken as topics, and topics are missing.
    RefusedNames {
        /// Why, with counts.
        why: String,
    },
    /// A dry run or a preview looks at some of the topics.
    Sample {
        /// How many.
        kept: usize,
        /// How many topics a run has.
        of: usize,
    },
}

impl fmt::Display for PlanNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RepeatedTopics { ignored } => write!(
                f,
                "{ignored} of the given topics repeat an earlier one and were ignored"
            ),
            Self::TopicsWithoutShare { dropped } => write!(
                f,
                "{dropped} of the given topics got no record, since there are more topics than records"
            ),
            Self::FewerTopics { asked, got, spread } => write!(
                f,
                "{got} of {asked} topics could be generated; the {spread} records of the missing ones were \
                 spread over the topics in hand"
            ),
            Self::RefusedNames { why } => {
                write!(f, "names that the topic model gave were not taken: {why}")
            }
            Self::Sample { kept, of } => write!(f, "a sample: {kept} of {of} topics"),
        }
    }
}

/// Shares records out over the given topics, and says how many topics are still to be generated.
///
/// # Errors
///
/// Every fault of the request together.
pub(crate) fn allocate(request: &PlanRequest<'_>) -> Result<Allocation, InputFaults> {
    let mut faults = check_total(request);
    let mut allocation = Allocation::default();
    let mut open = request.num_records.unwrap_or(0);
    match request.topics {
        None => {}
        Some([]) => {
            faults.push(InputFault::new(
                "topics",
                "is an empty list",
                "name at least one topic, or leave `topics` out to have them generated",
            ));
            open = 0;
        }
        Some(topics) => {
            let names = distinct(topics, &mut faults);
            if faults.is_empty() {
                allocation = share_out(request, &names, &mut faults);
            }
            let ignored = topics.len() - names.len();
            if ignored > 0 {
                let note = PlanNote::RepeatedTopics { ignored };
                allocation.notes.insert(0, note);
            }
            let all_counted = names.iter().all(|(_, count)| count.is_some());
            if faults.is_empty() && (all_counted || request.generated.is_some()) {
                open = open.saturating_sub(total(&allocation.given));
            } else {
                open = 0;
            }
        }
    }
    if open > 0 {
        allocation.generated = generated_quotas(request, open, &mut faults);
    }
    if faults.is_empty() && allocation.total() == 0 {
        faults.push(InputFault::new(
            "topics",
            "give not one record together",
            "raise a count, `num_records` or `records_per_topic`",
        ));
    }
    faults.or(allocation)
}

fn check_total(request: &PlanRequest<'_>) -> InputFaults {
    let mut faults = InputFaults::new();
    match request.num_records {
        None if request.topics.is_none() || request.generated.is_some() => {
            faults.push(InputFault::new(
                "num_records",
                "is missing, and there are no topics that could decide it",
                "say how many records you want, or name `topics`",
            ));
        }
        Some(0) => faults.push(InputFault::new(
            "num_records",
            "is 0",
            "ask for at least 1 record",
        )),
        Some(number) if number > MOST_RECORDS => faults.push(InputFault::new(
            "num_records",
            format!("is {number}, more than a run can give"),
            format!("ask for at most {MOST_RECORDS}"),
        )),
        _ => {}
    }
    faults
}

/// A name without white space around it, and its count.
type Name<'a> = (&'a str, Option<u64>);

fn distinct<'a>(topics: &'a [TopicSpec], faults: &mut InputFaults) -> Vec<Name<'a>> {
    let mut seen = HashSet::with_capacity(topics.len());
    let mut names = Vec::with_capacity(topics.len());
    for (index, topic) in topics.iter().enumerate() {
        let name = topic.name.trim();
        if name.is_empty() {
            faults.push(InputFault::new(
                format!("topics[{index}]"),
                "is a blank name",
                "name the topic, or take the entry out",
            ));
        } else if name.len() > LONGEST_NAME && name.chars().count() > LONGEST_NAME {
            faults.push(InputFault::new(
                format!("topics[{index}]"),
                format!("is a name of more than {LONGEST_NAME} characters"),
                "shorten it; what holds for all records belongs into `user_instruction`",
            ));
        }
        if seen.insert(name) {
            names.push((name, topic.count));
        }
    }
    names
}

/// Gives counted topics their count, and the rest of the total, or `records_per_topic`, to the others.
fn share_out(
    request: &PlanRequest<'_>,
    names: &[Name<'_>],
    faults: &mut InputFaults,
) -> Allocation {
    let counts = names.iter().filter_map(|(_, count)| *count);
    let counted = counts.fold(0, u64::saturating_add);
    let uncounted = names.iter().filter(|(_, count)| count.is_none()).count();
    let mut shares: Box<dyn Iterator<Item = u64>> = if let Some(number) = request.num_records {
        let Some(left) = number.checked_sub(counted) else {
            faults.push(InputFault::new(
                "topics",
                format!(
                    "have counts that add up to {counted}, more than the {number} of `num_records`"
                ),
                "lower the counts or raise `num_records`",
            ));
            return Allocation::default();
        };
        let generated = usize::try_from(request.generated.unwrap_or(0)).unwrap_or(usize::MAX);
        Box::new(even_shares(left, uncounted.saturating_add(generated)))
    } else {
        check_without_total(request, names, faults);
        Box::new(std::iter::repeat(request.records_per_topic))
    };
    let mut allocation = Allocation::default();
    let mut without_share = 0;
    for &(name, count) in names {
        let quota = count.or_else(|| shares.next()).unwrap_or(0);
        if quota == 0 {
            without_share += usize::from(count.is_none());
            allocation.dropped.push(Topic::new(name));
        } else {
            allocation.given.push(PlannedTopic {
                topic: Topic::new(name),
                quota,
                origin: Origin::Given,
            });
        }
    }
    if without_share > 0 {
        allocation.notes.push(PlanNote::TopicsWithoutShare {
            dropped: without_share,
        });
    }
    allocation
}

fn check_without_total(request: &PlanRequest<'_>, names: &[Name<'_>], faults: &mut InputFaults) {
    if names.iter().any(|(_, count)| count.is_some()) {
        faults.push(InputFault::new(
            "num_records",
            "is null, but some topics have a count",
            "say how many records you want in total, or take the counts out",
        ));
    }
    let per_topic = request.records_per_topic;
    if per_topic == 0 {
        faults.push(InputFault::new(
            "records_per_topic",
            "is 0, and `num_records` is null",
            "raise it to at least 1, or set `num_records`",
        ));
    }
    let all = u128::from(per_topic) * names.len() as u128;
    if all > u128::from(MOST_RECORDS) {
        faults.push(InputFault::new(
            "records_per_topic",
            format!("asks for {all} records over all topics, more than a run can give"),
            format!("ask for at most {MOST_RECORDS} in total"),
        ));
    }
}

/// Returns the quotas of the topics that have to be generated for this many records.
fn generated_quotas(request: &PlanRequest<'_>, left: u64, faults: &mut InputFaults) -> Vec<u64> {
    let per_topic = request.records_per_topic;
    if !request.has_instruction {
        faults.push(InputFault::new(
            "user_instruction",
            format!("is missing, and topics for {left} records have to be generated from it"),
            "say what to generate, or give topics for all records",
        ));
    }
    if let Some(topics) = request.generated {
        let most = MOST_GENERATED_TOPICS.min(left);
        let topics = usize::try_from(topics.min(most)).expect("at most MOST_GENERATED_TOPICS");
        return even_shares(left, topics).collect();
    }
    if per_topic == 0 {
        faults.push(InputFault::new(
            "records_per_topic",
            "is 0, and topics have to be generated",
            "raise it to at least 1",
        ));
    } else if left.div_ceil(per_topic) > MOST_GENERATED_TOPICS && left <= MOST_RECORDS {
        faults.push(InputFault::new(
            "records_per_topic",
            format!(
                "is {per_topic}, so that {} topics would have to be generated",
                left.div_ceil(per_topic)
            ),
            format!("raise it, so that at most {MOST_GENERATED_TOPICS} are needed"),
        ));
    }
    if !faults.is_empty() {
        return Vec::new();
    }
    let whole =
        usize::try_from(left / per_topic).expect("at most MOST_GENERATED_TOPICS, checked above");
    let mut quotas = vec![per_topic; whole];
    quotas.extend(Some(left % per_topic).filter(|rest| *rest > 0));
    quotas
}

/// Spreads records evenly over this many topics, the remainder one each to the first ones.
fn even_shares(records: u64, topics: usize) -> impl Iterator<Item = u64> + use<> {
    let number = topics as u64;
    let (share, rest) = match number {
        0 => (0, 0),
        _ => (records / number, records % number),
    };
    (0..number).map(move |index| share + u64::from(index < rest))
}

fn total(topics: &[PlannedTopic]) -> u64 {
    topics.iter().map(|planned| planned.quota).sum()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    impl<'a> PlanRequest<'a> {
        fn with_topics(mut self, topics: &'a [TopicSpec]) -> Self {
            self.topics = Some(topics);
            self
        }

        fn with_instruction(mut self) -> Self {
            self.has_instruction = true;
            self
        }
    }

    fn specs(names: &[&str]) -> Vec<TopicSpec> {
        names.iter().map(|name| (*name).into()).collect()
    }

    fn reference() -> Vec<TopicSpec> {
        vec![
            "supervised learning".into(),
            "unsupervised learning".into(),
            ("reinforcement learning", 3).into(),
            "neural networks".into(),
        ]
    }

    fn quotas(plan: &Plan) -> Vec<(&str, u64)> {
        let topics = plan.topics.iter();
        topics
            .map(|planned| (planned.topic.name(), planned.quota))
            .collect()
    }

    fn named(names: &[&str]) -> Vec<Topic> {
        names.iter().map(|name| Topic::new(*name)).collect()
    }

    fn fields(result: Result<Allocation, InputFaults>) -> Vec<String> {
        let faults = result.unwrap_err();
        faults.iter().map(|fault| fault.field.clone()).collect()
    }

    #[test]
    fn a_hundred_over_the_reference_example_are_33_32_32_and_3() {
        let topics = reference();
        let request = PlanRequest::new(Some(100), 5)
            .with_topics(&topics)
            .with_instruction();
        let plan = allocate(&request).unwrap().complete(Vec::new()).unwrap();
        assert_eq!(
            quotas(&plan),
            [
                ("supervised learning", 33),
                ("unsupervised learning", 32),
                ("reinforcement learning", 3),
                ("neural networks", 32)
            ]
        );
    }

    #[test]
    fn without_a_total_each_topic_gets_records_per_topic() {
        let topics = specs(&["a", "b"]);
        let allocation = allocate(&PlanRequest::new(None, 7).with_topics(&topics)).unwrap();
        assert_eq!(
            quotas(&allocation.complete(Vec::new()).unwrap()),
            [("a", 7), ("b", 7)]
        );
    }

    #[test]
    fn counts_need_a_total() {
        let topics = reference();
        let request = PlanRequest::new(None, 5).with_topics(&topics);
        assert_eq!(fields(allocate(&request)), ["num_records"]);
    }

    #[test]
    fn a_repeated_name_is_ignored_after_trimming_but_not_after_folding() {
        let topics = vec![("a", 2).into(), " a ".into(), ("A", 1).into(), "\ta".into()];
        let request = PlanRequest::new(Some(3), 5).with_topics(&topics);
        let allocation = allocate(&request).unwrap();
        assert_eq!(allocation.notes, [PlanNote::RepeatedTopics { ignored: 2 }]);
        assert_eq!(
            quotas(&allocation.complete(Vec::new()).unwrap()),
            [("a", 2), ("A", 1)]
        );
    }

    #[test]
    fn a_topic_without_a_share_is_dropped_and_noted() {
        let topics = specs(&["a", "b", "c"]);
        let allocation = allocate(&PlanRequest::new(Some(2), 5).with_topics(&topics)).unwrap();
        assert_eq!(allocation.dropped, [Topic::new("c")]);
        assert_eq!(
            allocation.notes,
            [PlanNote::TopicsWithoutShare { dropped: 1 }]
        );
        assert_eq!(allocation.total(), 2);
    }

    #[test]
    fn what_counted_topics_leave_goes_to_generated_ones() {
        let topics = vec![("a", 3).into(), ("b", 0).into()];
        let request = PlanRequest::new(Some(14), 5)
            .with_topics(&topics)
            .with_instruction();
        let allocation = allocate(&request).unwrap();
        assert_eq!(allocation.generated, [5, 5, 1]);
        assert_eq!(allocation.existing(), named(&["a", "b"]));
        // Neither a given name, nor a dropped one, nor one of their own is repeated; the fourth is superfluous.
        let supplied = named(&["A", "x", " X", "B", "", "y", "z", "superfluous"]);
        let plan = allocation.complete(supplied).unwrap();
        assert_eq!(quotas(&plan), [("a", 3), ("x", 5), ("y", 5), ("z", 1)]);
        assert!(plan.notes.is_empty());
    }

    #[test]
    fn where_topics_are_missing_the_generated_ones_take_their_records() {
        let topics = vec![("a", 3).into()];
        let request = PlanRequest::new(Some(14), 5)
            .with_topics(&topics)
            .with_instruction();
        let plan = allocate(&request)
            .unwrap()
            .complete(named(&["x", "y"]))
            .unwrap();
        assert_eq!(quotas(&plan), [("a", 3), ("x", 6), ("y", 5)]);
        assert_eq!(
            plan.notes,
            [PlanNote::FewerTopics {
                asked: 3,
                got: 2,
                spread: 1
            }]
        );
    }

    #[test]
    fn where_no_topic_was_generated_the_given_ones_take_their_records() {
        let topics = vec![("a", 3).into(), ("b", 1).into()];
        let request = PlanRequest::new(Some(9), 5)
            .with_topics(&topics)
            .with_instruction();
        let plan = allocate(&request).unwrap().complete(named(&[" "])).unwrap();
        assert_eq!(quotas(&plan), [("a", 6), ("b", 3)]);
    }

    #[test]
    fn without_any_topic_nothing_is_made_up() {
        let allocation = allocate(&PlanRequest::new(Some(9), 5).with_instruction()).unwrap();
        let error = allocation.complete(Vec::new()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Topics);
        assert!(error.is_fatal());
    }

    #[test]
    fn faults_are_reported_together() {
        let request = PlanRequest::new(Some(u64::MAX), 0);
        assert_eq!(
            fields(allocate(&request)),
            ["num_records", "user_instruction", "records_per_topic"]
        );
        let topics = specs(&["a", "", " \n"]);
        let request = PlanRequest::new(Some(0), 5).with_topics(&topics);
        assert_eq!(
            fields(allocate(&request)),
            ["num_records", "topics[1]", "topics[2]"]
        );
    }

    #[test]
    fn counts_above_the_total_are_refused_however_large() {
        let topics = vec![("a", u64::MAX).into(), ("b", u64::MAX).into(), "c".into()];
        let request = PlanRequest::new(Some(5), 5).with_topics(&topics);
        assert_eq!(fields(allocate(&request)), ["topics"]);
    }

    #[test]
    fn absurd_numbers_of_topics_and_records_are_refused() {
        let many = PlanRequest::new(Some(MOST_RECORDS), 1).with_instruction();
        assert_eq!(fields(allocate(&many)), ["records_per_topic"]);
        let topics = specs(&["a", "b"]);
        let each = PlanRequest::new(None, u64::MAX).with_topics(&topics);
        assert_eq!(fields(allocate(&each)), ["records_per_topic"]);
        let none = PlanRequest::new(None, 0).with_topics(&topics);
        assert_eq!(fields(allocate(&none)), ["records_per_topic"]);
        let zeros = vec![("a", 0).into()];
        let nothing = PlanRequest::new(Some(1), 1).with_topics(&zeros);
        assert_eq!(fields(allocate(&nothing)), ["user_instruction"]);
        assert_eq!(
            fields(allocate(&PlanRequest::new(Some(1), 1).with_topics(&[]))),
            ["topics"]
        );
    }

    proptest! {
        #[test]
        fn a_sample_is_as_large_as_it_may_be_and_forgets_no_name(
            given in 0..30_usize, generated in 0..30_usize, most in 0..20_usize,
        ) {
            let names: Vec<String> = (0..given).map(|number| format!("topic {number}")).collect();
            let topics = names.iter().map(|name| PlannedTopic {
                topic: Topic::new(name.as_str()),
                quota: 7,
                origin: Origin::Given,
            });
            let whole = Allocation {
                given: topics.collect(),
                generated: vec![5; generated],
                ..Allocation::default()
            };
            let sample = whole.clone().sample(most);
            let kept = sample.given.len() + sample.generated.len();
            prop_assert_eq!(kept, most.min(given + generated));
            prop_assert!(sample.given.iter().eq(whole.given.iter().take(sample.given.len())));
            prop_assert_eq!(sample.existing(), whole.existing());
            // Each kind gets its half, unless the other leaves room or it has no more.
            prop_assert!(sample.given.len() >= given.min(most.div_ceil(2)));
            prop_assert!(sample.generated.len() >= generated.min(most / 2));
            prop_assert_eq!(sample.one_of_each().total(), kept as u64);
        }

        #[test]
        fn quotas_add_up_and_given_counts_are_kept(
            number in 1..2_000_u64,
            per_topic in 1..50_u64,
            entries in proptest::option::of(proptest::collection::vec(
                ("[a-d ]{1,3}", proptest::option::of(0..400_u64)), 1..8)),
            supplied in proptest::collection::vec("[a-dx-z]{0,2}", 0..60),
        ) {
            let topics: Option<Vec<TopicSpec>> = entries.map(|entries| {
                entries.into_iter().map(|(name, count)| TopicSpec { name, count }).collect()
            });
            let mut request = PlanRequest::new(Some(number), per_topic).with_instruction();
            request.topics = topics.as_deref();
            let Ok(allocation) = allocate(&request) else {
                return Ok(());
            };
            prop_assert_eq!(allocation.total(), number);
            for planned in &allocation.given {
                let name = planned.topic.name();
                let spec = topics.iter().flatten().find(|spec| spec.name.trim() == name).unwrap();
                prop_assert!(spec.count.is_none_or(|count| count == planned.quota));
            }
            let asked = allocation.generated.len();
            let given = allocation.given.clone();
            let rest = allocation.generated.iter().rev().skip(1);
            prop_assert!(rest.clone().all(|quota| *quota == per_topic));
            let Ok(plan) = allocation.complete(supplied.into_iter().map(Topic::from).collect()) else {
                prop_assert!(given.is_empty());
                return Ok(());
            };
            prop_assert_eq!(plan.total(), number);
            prop_assert!(plan.topics.iter().all(|planned| planned.quota > 0));
            let generated = plan.topics.len() - given.len();
            prop_assert!(generated <= asked);
            if generated > 0 || asked == 0 {
                prop_assert_eq!(&plan.topics[..given.len()], &given[..]);
            }
            let mut names: Vec<_> = plan.topics[given.len()..].iter()
                .map(|planned| normalised_name(planned.topic.name())).collect();
            names.sort();
            names.dedup();
            prop_assert_eq!(names.len(), generated);
        }

        #[test]
        fn an_even_share_differs_by_at_most_one_and_the_first_ones_get_more(
            number in 1..5_000_u64, topics in 1..60_usize,
        ) {
            let names: Vec<TopicSpec> = (0..topics).map(|index| format!("t{index}").into()).collect();
            let plan = allocate(&PlanRequest::new(Some(number), 1).with_topics(&names)).unwrap();
            prop_assert_eq!(plan.total(), number);
            let mut shares: Vec<u64> = plan.given.iter().map(|planned| planned.quota).collect();
            prop_assert!(shares.is_sorted_by(|one, next| one >= next));
            shares.resize(topics, 0);
            prop_assert!(shares[0] - shares[topics - 1] <= 1);
        }
    }
}
