//! Settles the topics before the first record is asked for.

use std::collections::HashMap;
use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use serde_json::Map;
use tokio::time::timeout;

use super::RunParts;
use super::client_stack::ClientContext;
use super::worker::no_longer_under_way;
use crate::candidate::Candidate;
use crate::dedup::{Deduplicator, Memory, NearDuplicates, Reference};
use crate::error::{Error, ErrorKind, Result};
use crate::guard;
use crate::journal::{Entry, Log, TopicAnswer};
use crate::llm::{CallsUnderWay, Capabilities, ChatRequest, ChatResponse, LlmClient};
use crate::plan::{Origin, Plan, PlanNote, PlannedTopic};
use crate::stop_signal::StopSignal;
use crate::topic::{AngleSet, IsNew, RefusedNames, Topic, TopicRequest, normalised_name};

/// Asks the topic model, for topics and for angles.
pub(super) struct Planner<'a> {
    clients: &'a ClientContext,
    parts: &'a RunParts,
    client: Journalled,
    seed: u64,
    /// Why names that the model gave were not taken.
    refused: RefusedNames,
}

impl<'a> Planner<'a> {
    /// Creates a planner from the topic model and what it answered an earlier process, by the seed of the request.
    pub(super) fn new(
        clients: &'a ClientContext,
        client: Arc<dyn LlmClient>,
        past: HashMap<u64, ChatResponse>,
        seed: u64,
    ) -> Self {
        let client = Journalled {
            inner: client,
            log: Arc::clone(&clients.log),
            past: Mutex::new(past),
            asks: AtomicBool::new(true),
            asked: AtomicU64::new(0),
            under_way: CallsUnderWay::new(&clients.parts.budget),
        };
        Self {
            clients,
            parts: &clients.parts,
            client,
            seed,
            refused: RefusedNames::default(),
        }
    }

    /// Has the missing topics supplied, completes the plan, and settles the angles of its topics. First it checks what is
    /// needed beside models: a wrong URL of embeddings should cost no call.
    pub(super) async fn settle(&self, earlier: Option<Plan>) -> Result<(Plan, AngleSet)> {
        self.parts.deduplicator.check().await?;
        let plan = self.plan(earlier).await?;
        let angles = self.angles(&plan).await?;
        Ok((plan, angles))
    }

    /// Returns the angles that were settled with a plan, without a call: after the plan the journal holds answers to
    /// tasks alone. A topic whose call failed then has none now.
    pub(super) async fn recall_angles(&self, plan: &Plan) -> Result<AngleSet> {
        self.client.asks.store(false, Ordering::Relaxed);
        self.angles(plan).await
    }

    /// Waits until the run is told to stop and the call for topics is over, and makes no other.
    pub(super) async fn last_calls(&self, stop: &StopSignal) {
        stop.after_calls.cancelled().await;
        self.clients.permits.close();
        no_longer_under_way(stop, || self.client.under_way.are_there()).await;
    }

    /// Where a run had an earlier plan, its topics keep their places, and those that were generated are used again.
    async fn plan(&self, earlier: Option<Plan>) -> Result<Plan> {
        let allocation = self.parts.allocation.clone();
        let topics = earlier.iter().flat_map(|plan| &plan.topics);
        let generated = topics.filter(|planned| planned.origin == Origin::Generated);
        let (mut generated, _) = without_attributes(generated.map(|planned| &planned.topic));
        let missing = allocation.generated.len().saturating_sub(generated.len());
        let mut failure = None;
        if missing > 0 {
            match self.more_topics(missing, &generated).await {
                Ok(topics) => generated.extend(topics),
                Err(error) if error.is_fatal() => return Err(error),
                // The plan may do with the topics in hand, and says so; without any, this is why.
                Err(error) => failure = Some(error),
            }
        }
        let refused = self.refused.take();
        let completed = allocation.complete(generated).map_err(|short| {
            let why = refused.clone().map(|why| PlanNote::RefusedNames { why });
            let message = match why {
                Some(why) => format!("{}; {why}", short.message()),
                None => short.message().to_owned(),
            };
            let short = Error::new(ErrorKind::Topics, message);
            match failure {
                Some(failure) => short.with_source(failure),
                None => short,
            }
        });
        let mut plan = completed?;
        let are_missing = |note: &PlanNote| matches!(note, PlanNote::FewerTopics { .. });
        if let Some(why) = refused
            && plan.notes.iter().any(are_missing)
        {
            plan.notes.push(PlanNote::RefusedNames { why });
        }
        Ok(self.crossed(plan, earlier))
    }

    fn crossed(&self, plan: Plan, earlier: Option<Plan>) -> Plan {
        in_place(plan.crossed(self.parts.input.attributes()), earlier)
    }

    async fn more_topics(&self, number: usize, generated: &[Topic]) -> Result<Vec<Topic>> {
        let mut existing = self.parts.allocation.existing();
        existing.extend_from_slice(generated);
        let request = self.request(number).with_existing(&existing);
        self.unless_silent(
            "the topic provider",
            self.parts.plug_ins.topics.topics(&request),
        )
        .await
    }

    /// Waits for a part of the caller's as long as it asks the model, and no longer than a bounded time where it does not.
    async fn unless_silent<R>(
        &self,
        part: &str,
        call: impl Future<Output = Result<R>>,
    ) -> Result<R> {
        let longest = guard::longest(self.parts.settings().call_timeout);
        let mut call = pin!(guard::caught_async(part, call));
        loop {
            let asked = self.client.asked.load(Ordering::Relaxed);
            if let Ok(result) = timeout(longest, call.as_mut()).await {
                return result;
            }
            let is_silent = asked == self.client.asked.load(Ordering::Relaxed);
            if is_silent && !self.client.under_way.are_there() {
                return Err(guard::silent(part, longest));
            }
        }
    }

    async fn angles(&self, plan: &Plan) -> Result<AngleSet> {
        let Some(angles) = &self.parts.settings().angles else {
            return Ok(AngleSet::none());
        };
        let (topics, places) = without_attributes(plan.topics.iter().map(|it| &it.topic));
        let request = self.request(0);
        let settled = guard::caught_async("the angles", angles.settle(&request, &topics)).await?;
        Ok(settled.at(&places))
    }

    fn request(&self, number: usize) -> TopicRequest<'_> {
        TopicRequest::new(number, &self.client, &*self.parts.plug_ins.prompts)
            .with_instruction(self.parts.input.user_instruction())
            .with_parameters(Arc::clone(&self.parts.topic_model.parameters))
            .with_seed(self.seed)
            .with_new_names(new_names)
            .with_refused(self.refused.clone())
    }
}

/// Returns what tells whether a name says what none before it said, in other words or not. Records of two topics that are
/// the same are asked for twice, whatever is taken for a repeat among records.
fn new_names() -> IsNew {
    let near = NearDuplicates::default();
    let mut memory = near.memory();
    let mut count = 0;
    Box::new(move |name| {
        let mut fields = Map::new();
        // In what is asked, articles and endings do not count, as they do in what is stated.
        let asked = format!("What is {}?", normalised_name(name));
        fields.insert("name".to_owned(), asked.into());
        let name = near.read(&Candidate::new("", &fields));
        count += 1;
        memory.admit(name, Reference::Record(count)).is_unique()
    })
}

/// Gives the topics of an earlier plan the places they had, since answers name a topic by its place. One that is no
/// longer asked for keeps its place, with a quota of 0.
fn in_place(plan: Plan, earlier: Option<Plan>) -> Plan {
    let Some(mut whole) = earlier else {
        return plan;
    };
    let places = whole.topics.iter().map(identity).zip(0..);
    let places: HashMap<String, usize> = places.collect();
    for planned in &mut whole.topics {
        planned.quota = 0;
    }
    for planned in plan.topics {
        match places.get(&identity(&planned)) {
            Some(&place) => whole.topics[place] = planned,
            None => whole.topics.push(planned),
        }
    }
    whole.notes = plan.notes;
    whole
}

fn identity(planned: &PlannedTopic) -> String {
    planned.topic.identity()
}

/// Returns the topics without values of attributes, each once, and at which place among them each was.
fn without_attributes<'a>(topics: impl Iterator<Item = &'a Topic>) -> (Vec<Topic>, Vec<usize>) {
    let (mut places, mut whole) = (HashMap::new(), Vec::new());
    let place_of = topics.map(|topic| {
        let topic = topic.without_attributes();
        *places.entry(topic.identity()).or_insert_with(|| {
            whole.push(topic);
            whole.len() - 1
        })
    });
    let place_of = place_of.collect();
    (whole, place_of)
}

/// Writes the answers of the topic model into the journal, and gives those that are there already.
struct Journalled {
    inner: Arc<dyn LlmClient>,
    log: Arc<Log>,
    /// What an earlier process was answered, by the seed of the request.
    past: Mutex<HashMap<u64, ChatResponse>>,
    /// Whether the model is asked what the journal does not hold.
    asks: AtomicBool,
    /// How often the model was asked.
    asked: AtomicU64,
    under_way: CallsUnderWay,
}

impl Journalled {
    /// Asks the model, and writes its answer into the journal.
    async fn ask(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let followed = self.under_way.follow();
        let attempts = followed.attempts.clone();
        let response = self
            .inner
            .complete(&request.clone().with_attempts(attempts.clone()))
            .await?;
        let entry = || {
            Entry::TopicAnswered(TopicAnswer {
                seed: request.seed,
                model: response.backend_or(&self.inner).to_owned(),
                response: response.clone(),
                attempts: attempts.ended(),
            })
        };
        self.log.append(entry).await?;
        attempts.take();
        Ok(response)
    }
}

impl fmt::Debug for Journalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Journalled")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl LlmClient for Journalled {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let past = self
            .past
            .lock()
            .expect("taking an answer does not panic")
            .remove(&request.seed);
        if let Some(response) = past {
            return Ok(response);
        }
        if !self.asks.load(Ordering::Relaxed) {
            let error = Error::new(ErrorKind::Topics, "the journal has no such answer");
            return Err(error.with_fatal(false));
        }
        self.asked.fetch_add(1, Ordering::Relaxed);
        self.ask(request).await
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_say_the_same_are_told_from_names_that_do_not() {
        let mut is_new = new_names();
        for name in [
            "neural networks",
            "convolutional neural networks",
            "supervised learning",
            "unsupervised learning",
            "semi-supervised learning",
            "sorting in C",
            "sorting in C++",
            "sorting in C#",
            "Chapter 1",
            "Chapter 2",
            "The war of 1812",
            "World War I",
            "World War II",
            "cause and effect",
            "photosynthesis at night",
            "cooking with gas",
            "cooking without gas",
            "Who's Who",
            "The Who",
            "To be or not to be",
            "IT",
            "a",
            "b",
            "t0",
            "t1",
            "海洋学",
            "海洋生物学",
        ] {
            assert!(is_new(name), "{name}");
        }
        for name in [
            "The Neural Network",
            "Supervised learning.",
            "the Chapter 2",
        ] {
            assert!(!is_new(name), "{name}");
        }
    }
}
