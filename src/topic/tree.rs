//! Topics as the leaves of a tree that a model grows.

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use futures::StreamExt as _;
use futures::future::BoxFuture;
use futures::stream;

use super::generated::{MOST_SHOWN, REPEATED, ask_for_names, both_ends};
use super::{IsNew, Topic, TopicProvider, TopicRequest, normalised_name};
use crate::error::{Error, Result};
use crate::prompt::TopicsContext;
use crate::random::Random;

/// Asks the run's topic model for the main branches of the subject, for the branches of each, and so on; the leaves
/// are the topics.
///
/// A plain list of a hundred topics crowds where a model's first ideas are. A tree makes it go through the whole
/// breadth before it goes into depth, and no name comes twice anywhere in it. Each leaf carries its
/// [`path`](Topic::path). How many records a leaf gets is the plan's business (`records_per_topic`).
///
/// Where fewer topics are wanted than the tree has room for, they are spread evenly over its branches, and only
/// branches that carry one are asked about. What a branch cannot give, others give as far as they have room.
/// Each branch is asked about once if all goes well, and never more than a few times.
///
/// An error that ends the run is passed on at once. Any other costs the ask; it is passed on if no ask at all was
/// answered.
///
/// ```
/// use topicloom::topic::TopicTree;
///
/// // Five main branches, four branches in each, ten topics in each of those: up to 200 topics.
/// let topics = TopicTree::new([5, 4, 10]);
/// assert_eq!(topics.leaves(), 200);
/// ```
#[derive(Debug, Clone)]
pub struct TopicTree {
    branching: Vec<usize>,
    max_concurrency: usize,
    patience: usize,
}

impl TopicTree {
    /// Names asked for at once, as in [`GeneratedTopics`](super::GeneratedTopics).
    const BATCH: usize = 50;

    /// Creates a provider of a tree with this many branches at each level, from the top down; each at least 1. Without
    /// a level there is no topic.
    pub fn new(branching: impl IntoIterator<Item = usize>) -> Self {
        Self {
            branching: branching.into_iter().map(|count| count.max(1)).collect(),
            // The limits of the run hold for each call anyway. More at a time know less of each other's names.
            max_concurrency: 8,
            // One less than for a whole list: other branches make up for one that is saturated.
            patience: 2,
        }
    }

    /// Sets how many calls are in flight at a time; at least 1, 8 by default. The names are the same in every run of the
    /// same answers, whatever their order.
    #[must_use]
    pub fn max_concurrency(mut self, calls: usize) -> Self {
        self.max_concurrency = calls.max(1);
        self
    }

    /// Sets after how many asks in a row that brought nothing new a branch is given up; at least 1, 2 by default.
    #[must_use]
    pub fn patience(mut self, asks: usize) -> Self {
        self.patience = asks.max(1);
        self
    }

    /// Returns how many topics it has room for.
    #[must_use]
    pub fn leaves(&self) -> usize {
        let levels = self.branching.iter().copied();
        levels.reduce(usize::saturating_mul).unwrap_or_default()
    }

    /// Rounds of asking in which a level has to be grown: twice what a model needs that never repeats itself.
    fn most_rounds(&self, branching: usize) -> usize {
        branching.div_ceil(Self::BATCH) * 2 + self.patience
    }
}

#[async_trait]
impl TopicProvider for TopicTree {
    async fn topics(&self, request: &TopicRequest<'_>) -> Result<Vec<Topic>> {
        if request.count == 0 || self.branching.is_empty() {
            return Ok(Vec::new());
        }
        let mut growth = Growth::new(request);
        let mut paths: Vec<Path> = vec![Path::default()];
        for (level, &branching) in self.branching.iter().enumerate() {
            paths = growth.level(self, paths, level, branching).await?;
        }
        if let (false, Some(error)) = (growth.answered, growth.last_error) {
            return Err(error);
        }
        let topics = paths.into_iter().filter_map(|mut path| {
            let name = path.pop()?;
            Some(Topic::new(name).with_path(path))
        });
        Ok(topics.collect())
    }
}

/// The names from the top down to a node.
type Path = Vec<Arc<str>>;

/// A tree that grows.
struct Growth<'a> {
    request: &'a TopicRequest<'a>,
    /// Every name there is, in the form in which equal ones are equal, and as it was given.
    seen: HashSet<String>,
    is_new: IsNew,
    names: Vec<Arc<str>>,
    answered: bool,
    last_error: Option<Error>,
}

/// A node whose children are asked for.
struct Branch {
    path: Path,
    wanted: usize,
    children: Vec<Arc<str>>,
    barren: usize,
}

impl<'a> Growth<'a> {
    fn new(request: &'a TopicRequest<'a>) -> Self {
        let mut growth = Self {
            request,
            seen: HashSet::from([String::new()]),
            is_new: request.new_names(),
            names: Vec::new(),
            answered: false,
            last_error: None,
        };
        for topic in request.existing {
            growth.seen.insert(normalised_name(topic.name()));
            growth.names.push(topic.shared_name());
        }
        growth
    }

    /// Takes a name if it is new, and returns whether it did.
    fn offer(&mut self, name: &Arc<str>) -> bool {
        let new = self.seen.insert(normalised_name(name)) && (self.is_new)(name);
        if new {
            self.names.push(Arc::clone(name));
        }
        new
    }

    /// Returns the paths to the children of these nodes, each with up to this many children.
    async fn level(
        &mut self,
        tree: &TopicTree,
        paths: Vec<Path>,
        level: usize,
        branching: usize,
    ) -> Result<Vec<Path>> {
        let wanted = paths
            .len()
            .saturating_mul(branching)
            .min(self.request.count);
        let mut branches: Vec<Branch> = paths.into_iter().map(Branch::new).collect();
        let seeds = Random::new(self.request.seed)
            .fork("tree")
            .nth(level as u64);
        for round in 0..tree.most_rounds(branching) {
            share_out(&mut branches, wanted, branching, tree.patience);
            let asked: Vec<usize> = (0..branches.len())
                .filter(|&place| branches[place].is_open(tree.patience))
                .collect();
            if asked.is_empty() {
                break;
            }
            let mut asks: Vec<BoxFuture<'_, Result<Vec<String>>>> = Vec::new();
            for &place in &asked {
                let seed = seeds.nth(round as u64).nth(place as u64).next_u64();
                asks.push(Box::pin(branches[place].ask(
                    self.request,
                    &self.names,
                    seed,
                )));
            }
            // In order, so that which of two equal names stays does not depend on whose answer came first.
            let answers: Vec<_> = stream::iter(asks)
                .buffered(tree.max_concurrency)
                .collect()
                .await;
            for (place, answer) in asked.into_iter().zip(answers) {
                self.take(&mut branches[place], answer)?;
            }
        }
        Ok(branches.into_iter().flat_map(Branch::into_paths).collect())
    }

    fn take(&mut self, branch: &mut Branch, answer: Result<Vec<String>>) -> Result<()> {
        let before = branch.children.len();
        match answer {
            Ok(names) => {
                self.answered = true;
                for name in names.into_iter().map(Arc::from) {
                    if branch.children.len() == branch.wanted {
                        break;
                    }
                    if self.offer(&name) {
                        branch.children.push(name);
                    } else {
                        self.request.refused.add(REPEATED);
                    }
                }
            }
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => self.last_error = Some(error),
        }
        let new = branch.children.len() > before;
        branch.barren = if new { 0 } else { branch.barren + 1 };
        Ok(())
    }
}

impl Branch {
    fn new(path: Path) -> Self {
        Self {
            path,
            wanted: 0,
            children: Vec::new(),
            barren: 0,
        }
    }

    fn is_open(&self, patience: usize) -> bool {
        self.barren < patience && self.children.len() < self.wanted
    }

    async fn ask(
        &self,
        request: &TopicRequest<'_>,
        names: &[Arc<str>],
        seed: u64,
    ) -> Result<Vec<String>> {
        // Its own come last, where a list that is too long is not cut.
        let own: HashSet<&str> = self.children.iter().map(|name| &**name).collect();
        let others = names
            .iter()
            .map(|name| &**name)
            .filter(|name| !own.contains(name));
        let all: Vec<&str> = others
            .chain(self.children.iter().map(|name| &**name))
            .collect();
        let (shown, omitted) = both_ends(&all, MOST_SHOWN);
        let count = (self.wanted - self.children.len()).min(TopicTree::BATCH);
        let within = (!self.path.is_empty()).then(|| self.path.join(" > "));
        let context = TopicsContext::new(request.instruction, count)
            .with_existing(&shown, omitted)
            .within(within.as_deref());
        ask_for_names(request, &context, seed).await
    }

    fn into_paths(self) -> impl Iterator<Item = Path> {
        let Self { path, children, .. } = self;
        children.into_iter().map(move |name| {
            let mut path = path.clone();
            path.push(name);
            path
        })
    }
}

/// Says how many children each branch is to have: as evenly as can be, what it has already included, and none more for
/// one that is saturated.
fn share_out(branches: &mut [Branch], wanted: usize, branching: usize, patience: usize) {
    for branch in &mut *branches {
        branch.wanted = branch.children.len();
    }
    let mut left = wanted.saturating_sub(branches.iter().map(|branch| branch.wanted).sum());
    while left > 0 {
        let fewest = branches
            .iter_mut()
            .filter(|branch| branch.barren < patience && branch.wanted < branching)
            .min_by_key(|branch| branch.wanted);
        let Some(branch) = fewest else { return };
        branch.wanted += 1;
        left -= 1;
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use serde_json::json;

    use super::super::test_request::{names, request};
    use super::*;
    use crate::error::ErrorKind;
    use crate::llm::{ChatRequest, ChatResponse, LlmClient};
    use crate::testing::{ScriptedAnswer, conformance, scripted};

    fn answer(names: &[&str]) -> ScriptedAnswer {
        json!({"topics": names}).into()
    }

    fn paths(topics: &[Topic]) -> Vec<String> {
        topics.iter().map(Topic::placed_name).collect()
    }

    #[tokio::test]
    async fn leaves_carry_their_path_and_no_name_comes_twice() {
        let model = scripted([
            answer(&["life", "Life ", "use"]),
            answer(&["fish", "corals", "USE"]),
            answer(&["Corals", "trade"]),
            answer(&["life", "ports"]),
        ]);
        let tree = TopicTree::new([2, 2]);
        let asked = request(4, &model).with_seed(5);
        let topics = tree.topics(&asked).await.unwrap();
        assert_eq!(
            paths(&topics),
            ["life > fish", "life > corals", "use > trade", "use > ports"]
        );
        let requests = model.requests();
        assert!(
            requests[1]
                .last_text()
                .contains("Within this topic: life\n")
        );
        assert!(requests[3].last_text().contains("\n- trade\n"));
        assert!(requests[3].last_text().contains("1 new topic."));
        let seeds: HashSet<u64> = requests.iter().map(|request| request.seed).collect();
        assert_eq!(seeds.len(), 4);
    }

    #[tokio::test]
    async fn few_topics_are_spread_over_the_branches_and_only_those_are_asked_about() {
        let model = scripted([
            answer(&["a", "b", "c"]),
            answer(&["a1", "a2"]),
            answer(&["b1"]),
            answer(&["c1"]),
        ]);
        let topics = TopicTree::new([5, 9])
            .topics(&request(3, &model))
            .await
            .unwrap();
        assert_eq!(names(&topics), ["a1", "b1", "c1"]);
    }

    #[tokio::test]
    async fn what_a_dry_branch_lacks_others_give_as_far_as_they_have_room() {
        let model = scripted([
            answer(&["a", "b"]),
            answer(&[]),
            answer(&["b1", "b2"]),
            answer(&[]),
            answer(&["b3", "b4"]),
        ]);
        let topics = TopicTree::new([2, 3])
            .topics(&request(4, &model))
            .await
            .unwrap();
        assert_eq!(names(&topics), ["b1", "b2", "b3"]);
        assert_eq!(model.unused(), 0);
    }

    #[tokio::test]
    async fn a_model_that_repeats_itself_is_given_up() {
        let model = scripted(["a", "a", "a"].map(|name| answer(&[name])));
        let topics = TopicTree::new([9])
            .topics(&request(9, &model))
            .await
            .unwrap();
        assert_eq!(names(&topics), ["a"]);
        assert_eq!(model.unused(), 0);
    }

    #[tokio::test]
    async fn errors_cost_an_ask_or_end_it() {
        let model = scripted([ErrorKind::Timeout, ErrorKind::Timeout]);
        let error = TopicTree::new([2])
            .topics(&request(2, &model))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
        let model = scripted([ScriptedAnswer::from(ErrorKind::Timeout), answer(&["a"])]);
        let topics = TopicTree::new([1])
            .topics(&request(1, &model))
            .await
            .unwrap();
        assert_eq!(names(&topics), ["a"]);
        let model = scripted([answer(&["a"]), ErrorKind::Quota.into()]);
        let error = TopicTree::new([1, 1])
            .topics(&request(1, &model))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Quota);
    }

    /// Knows a hundred names, answers out of order, and counts how often it was asked.
    #[derive(Debug, Default)]
    struct Slow {
        asked: AtomicUsize,
        at_once: AtomicUsize,
        peak: AtomicUsize,
    }

    #[async_trait]
    impl LlmClient for Slow {
        async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            let now = self.at_once.fetch_add(1, Ordering::Relaxed) + 1;
            self.peak.fetch_max(now, Ordering::Relaxed);
            for _ in 0..request.seed % 7 {
                tokio::task::yield_now().await;
            }
            self.at_once.fetch_sub(1, Ordering::Relaxed);
            let mut random = Random::new(request.seed);
            let names: Vec<String> = (0..6).map(|_| format!("n{}", random.below(100))).collect();
            Ok(ChatResponse::new(json!({"topics": names}).to_string()))
        }

        fn model(&self) -> &'static str {
            "test/slow"
        }
    }

    #[tokio::test]
    async fn asks_are_bounded_and_what_comes_does_not_depend_on_their_number_at_a_time() {
        let mut all = Vec::new();
        for concurrency in [1, 3, 8] {
            let model = Slow::default();
            let tree = TopicTree::new([4, 3, 4]).max_concurrency(concurrency);
            all.push(
                tree.topics(&request(40, &model).with_seed(1))
                    .await
                    .unwrap(),
            );
            assert!(model.peak.into_inner() <= concurrency);
            // One for the top, four and twelve for the branches, four times each at the most.
            assert!(model.asked.into_inner() <= 17 * 4);
        }
        assert_eq!(all[0].len(), 40);
        assert!(all.iter().all(|topics| *topics == all[0]));
    }

    #[tokio::test]
    async fn it_keeps_the_promises_of_a_topic_provider() {
        conformance::topics(&TopicTree::new([3, 4]), &Slow::default()).await;
        conformance::topics(&TopicTree::new([2, 2, 2]), &Slow::default()).await;
        let none = TopicTree::new([])
            .topics(&request(3, &scripted::<&str>([])))
            .await;
        assert!(none.unwrap().is_empty());
    }

    #[test]
    fn rooms_are_the_product_of_the_levels() {
        assert_eq!(TopicTree::new([3, 0, 4]).leaves(), 12);
        assert_eq!(TopicTree::new([]).leaves(), 0);
        assert_eq!(TopicTree::new([usize::MAX, 2]).leaves(), usize::MAX);
    }
}
