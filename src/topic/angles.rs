//! Angles: points of view that set one call for records apart from the next.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream;

use super::generated::ask_for_names;
use super::{Topic, TopicRequest, normalised_name};
use crate::error::Result;
use crate::prompt::TopicsContext;
use crate::random::Random;

/// Where a run gets its angles from: sub-topics, personas, difficulties, situations, forms.
///
/// Calls under one topic that say the same start from the same place and bring the same records first. An angle in
/// each prompt moves the start. Without this, prompts have none.
///
/// ```
/// use topicloom::topic::Angles;
///
/// let mine = Angles::given(["for a child", "for an engineer", "a common mistake"]);
/// let neutral = Angles::neutral();
/// let invented = Angles::generated(8).most_asks(50);
/// # drop((mine, neutral, invented));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Angles {
    source: AngleSource,
    most_asks: usize,
}

type List = Arc<[Box<str>]>;

#[derive(Clone, PartialEq, Eq)]
pub(crate) enum AngleSource {
    Given(List),
    PerTopic(usize),
    Once(usize),
}

/// Calls for angles in flight at a time. The limits of the run hold for each of them anyway; this keeps
/// a run over thousands of topics from queueing them all at once.
const CONCURRENCY: usize = 8;

impl Angles {
    /// Uses these for every topic. Blank ones and repeats are left out.
    pub fn given<A: AsRef<str>>(angles: impl IntoIterator<Item = A>) -> Self {
        Self::from(AngleSource::Given(distinct(angles)))
    }

    /// Uses a dozen that suit questions as well as texts, about anything.
    #[must_use]
    pub fn neutral() -> Self {
        Self::given([
            "the basics, for someone new to it",
            "a detail that experts know and others do not",
            "a common misunderstanding",
            "an edge case or exception",
            "a comparison of two things",
            "causes and consequences",
            "a concrete case, with names and figures",
            "how it came about",
            "how it is done in practice",
            "what goes wrong, and what to do about it",
            "something surprising",
            "a connection to another field",
        ])
    }

    /// Has the run's topic model invent up to this many for each topic, in one call per topic.
    #[must_use]
    pub fn generated(per_topic: usize) -> Self {
        Self::from(AngleSource::PerTopic(per_topic))
    }

    /// Has the run's topic model invent up to this many for all topics alike, in one call.
    #[must_use]
    pub fn generated_once(count: usize) -> Self {
        Self::from(AngleSource::Once(count))
    }

    /// Sets how many calls may be made for angles. 100 by default: a call for angles is worth its price for a topic
    /// of many records, and runs over more topics than that have few records in each. Topics beyond it
    /// share what one last call brings.
    #[must_use]
    pub fn most_asks(mut self, calls: usize) -> Self {
        self.most_asks = calls;
        self
    }

    /// Returns how many calls are made for this many topics.
    pub(crate) fn asks(&self, topics: usize) -> usize {
        match self.source {
            AngleSource::Given(_) | AngleSource::PerTopic(0) | AngleSource::Once(0) => 0,
            AngleSource::PerTopic(_) => topics.min(self.most_asks),
            AngleSource::Once(_) => 1,
        }
    }

    /// Returns how many angles a topic gets.
    pub(crate) fn count(&self) -> usize {
        match &self.source {
            AngleSource::Given(angles) => angles.len(),
            AngleSource::PerTopic(count) | AngleSource::Once(count) => *count,
        }
    }

    pub(crate) fn asks_at_most(&self) -> usize {
        self.most_asks
    }

    pub(crate) fn source(&self) -> &AngleSource {
        &self.source
    }

    fn from(source: AngleSource) -> Self {
        Self {
            source,
            most_asks: 100,
        }
    }

    /// Settles the angles of the topics of a plan, once per run. Of the request, the model and how it is asked count;
    /// how many topics are wanted does not.
    ///
    /// A call that fails, or brings nothing, leaves its topics without angles, which are no reason for a run to end.
    ///
    /// # Errors
    ///
    /// Where an error ends the run anyway: a wrong key, no credit.
    pub async fn settle(&self, request: &TopicRequest<'_>, topics: &[Topic]) -> Result<AngleSet> {
        let mut set = AngleSet::none();
        set.seed = request.seed;
        match &self.source {
            AngleSource::Given(angles) => set.shared = Arc::clone(angles),
            AngleSource::Once(count) => {
                set.shared = ask_unless_none(request, *count, None, 0).await?;
            }
            AngleSource::PerTopic(count) => {
                let all = topics.len() <= self.most_asks;
                let own = if all {
                    topics.len()
                } else {
                    self.most_asks.saturating_sub(1)
                };
                let mut asks: Vec<BoxFuture<'_, Result<List>>> = Vec::new();
                for (topic, seed) in topics[..own].iter().zip(1..) {
                    asks.push(Box::pin(ask_unless_none(
                        request,
                        *count,
                        Some(topic),
                        seed,
                    )));
                }
                let mut answers = stream::iter(asks).buffered(CONCURRENCY);
                while let Some(angles) = answers.next().await {
                    set.own.push(angles?);
                }
                if !all && self.most_asks > 0 {
                    set.shared = ask_unless_none(request, *count, None, 0).await?;
                }
            }
        }
        Ok(set)
    }
}

/// Shows where they come from, and how many there are.
impl fmt::Debug for Angles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let source = match &self.source {
            AngleSource::Given(_) => "given",
            AngleSource::PerTopic(_) => "per topic",
            AngleSource::Once(_) => "once",
        };
        f.debug_struct("Angles")
            .field("source", &source)
            .field("count", &self.count())
            .field("most_asks", &self.most_asks)
            .finish()
    }
}

/// The angles of a run.
#[derive(Clone, Default)]
pub struct AngleSet {
    /// Those of the first topics, where each has its own.
    own: Vec<List>,
    /// Those of all others.
    shared: List,
    seed: u64,
}

impl AngleSet {
    /// Creates a set without angles.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// Returns the set for other topics: each has the angles of the one at its place here.
    pub(crate) fn at(mut self, places: &[usize]) -> Self {
        if !self.own.is_empty() {
            let of = |place: &usize| self.own.get(*place).unwrap_or(&self.shared).clone();
            self.own = places.iter().map(of).collect();
        }
        self
    }

    /// Returns the angle of a call: the `task`-th under the topic with this index, counting from 0 in each topic.
    ///
    /// Each round gives every angle once, in an order of its own, so that neither topics nor rounds keep in step.
    #[must_use]
    pub fn rotation(&self, topic: usize, task: u64) -> Option<&str> {
        let angles = self.of(topic);
        let count = u64::try_from(angles.len())
            .ok()
            .filter(|&count| count > 0)?;
        let mut order: Vec<&str> = angles.iter().map(|angle| &**angle).collect();
        Random::new(self.seed)
            .fork("angles")
            .nth(topic as u64)
            .nth(task / count)
            .shuffle(&mut order);
        usize::try_from(task % count).ok().map(|place| order[place])
    }

    /// Returns the angles of the topic with this index, in the order they were given.
    fn of(&self, topic: usize) -> &[Box<str>] {
        self.own.get(topic).unwrap_or(&self.shared)
    }
}

/// Shows how many there are.
impl fmt::Debug for AngleSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AngleSet")
            .field("own", &self.own.len())
            .field("shared", &self.shared.len())
            .finish_non_exhaustive()
    }
}

async fn ask_unless_none(
    request: &TopicRequest<'_>,
    count: usize,
    topic: Option<&Topic>,
    ask: u64,
) -> Result<List> {
    if count == 0 {
        return Ok(Arc::default());
    }
    let within = topic.map(Topic::placed_name);
    let context = TopicsContext::new(request.instruction, count)
        .within(within.as_deref())
        .for_angles();
    let seed = Random::new(request.seed).fork("angles").nth(ask).next_u64();
    match ask_for_names(request, &context, seed).await {
        Ok(names) => {
            let all = distinct(names);
            Ok(if all.len() > count {
                all[..count].into()
            } else {
                all
            })
        }
        Err(error) if error.is_fatal() => Err(error),
        Err(_) => Ok(Arc::default()),
    }
}

/// Returns what is not blank and no repeat, in its order.
fn distinct<A: AsRef<str>>(angles: impl IntoIterator<Item = A>) -> List {
    let mut seen = HashSet::from([String::new()]);
    angles
        .into_iter()
        .filter(|angle| seen.insert(normalised_name(angle.as_ref())))
        .map(|angle| angle.as_ref().trim().into())
        .collect()
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use serde_json::json;

    use super::super::test_request::{NoModel, request};
    use super::*;
    use crate::error::ErrorKind;
    use crate::testing::{ScriptedAnswer, scripted};

    fn topics(names: &[&str]) -> Vec<Topic> {
        names.iter().map(|name| Topic::new(*name)).collect()
    }

    fn answer(names: &[&str]) -> ScriptedAnswer {
        json!({"topics": names}).into()
    }

    async fn given(angles: &[&str]) -> AngleSet {
        let angles = Angles::given(angles);
        angles
            .settle(&request(0, &NoModel), &topics(&["a", "b"]))
            .await
            .expect("given angles ask nobody")
    }

    #[tokio::test]
    async fn each_round_gives_every_angle_once() {
        let set = given(&["x", " ", "y", "X", "z"]).await;
        for topic in 0..5 {
            for round in 0..5 {
                let mut seen: Vec<&str> = (0..3)
                    .map(|task| set.rotation(topic, round * 3 + task).unwrap())
                    .collect();
                seen.sort_unstable();
                assert_eq!(seen, ["x", "y", "z"]);
            }
        }
        assert_eq!(set.rotation(0, 7), set.clone().rotation(0, 7));
    }

    #[tokio::test]
    async fn topics_do_not_keep_in_step() {
        let set = given(&["x", "y", "z"]).await;
        let first: HashSet<_> = (0..20).map(|topic| set.rotation(topic, 0)).collect();
        assert_eq!(first.len(), 3);
    }

    #[tokio::test]
    async fn without_angles_there_is_none() {
        assert_eq!(AngleSet::none().rotation(0, 0), None);
        assert_eq!(given(&[]).await.rotation(3, 9), None);
    }

    #[tokio::test]
    async fn each_topic_is_asked_about_once() {
        let model = scripted([
            answer(&["coral", "1 of many", "Coral"]),
            ErrorKind::Timeout.into(),
            answer(&["ports", "pilots", "winds"]),
        ]);
        let topics = topics(&["reefs", "tides", "trade"]);
        let set = Angles::generated(2)
            .settle(&request(0, &model).with_seed(3), &topics)
            .await
            .unwrap();
        let of = |topic: usize| {
            set.of(topic)
                .iter()
                .map(|angle| &**angle)
                .collect::<Vec<_>>()
        };
        assert_eq!(of(0), ["coral", "1 of many"]);
        assert!(of(1).is_empty(), "its call failed, and the run goes on");
        assert_eq!(of(2), ["ports", "pilots"]);
        let asked = model.requests();
        assert!(asked[0].last_text().contains("Within this topic: reefs\n"));
        let seeds: HashSet<u64> = asked.iter().map(|request| request.seed).collect();
        assert_eq!(seeds.len(), 3);
    }

    #[tokio::test]
    async fn topics_beyond_the_bound_share_one_call() {
        let model = scripted([answer(&["own"]), answer(&["shared"])]);
        let set = Angles::generated(4)
            .most_asks(2)
            .settle(&request(0, &model), &topics(&["a", "b", "c"]))
            .await
            .unwrap();
        let given: Vec<_> = (0..3).map(|topic| set.rotation(topic, 0)).collect();
        assert_eq!(given, [Some("own"), Some("shared"), Some("shared")]);

        let model = scripted([answer(&["for all"])]);
        let set = Angles::generated_once(4)
            .settle(&request(0, &model), &topics(&["a", "b"]))
            .await
            .unwrap();
        assert_eq!(set.rotation(1, 5), Some("for all"));
    }

    #[tokio::test]
    async fn a_fatal_error_is_passed_on() {
        let model = scripted([ErrorKind::Quota]);
        let settled = Angles::generated_once(4)
            .settle(&request(0, &model), &[])
            .await;
        assert_eq!(settled.unwrap_err().kind(), ErrorKind::Quota);
    }
}
