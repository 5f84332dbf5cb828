//! With what records are made: the parts a run is put together from.

mod explained;
mod preview;
#[cfg(feature = "postgres")]
mod shared;

use std::fmt;
use std::iter;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::dedup::{AnyDeduplicator, Deduplicator, KnownRecords};
use crate::diversity::EXAMPLES;
use crate::embedding::Embedder;
use crate::engine::{Extent, PlugIns, ResumePolicy, RunParts, drive};
use crate::error::{Error, ErrorKind, Result};
use crate::estimate::{Rates, estimate_with, most_tokens_of_a_record};
use crate::event::{Observer, RunEvent};
use crate::filter::{
    FieldFilter, Filter, Judge, ModelFilter, OtherAnswer, PairJudge, RecordFilter, RecordKind,
};
use crate::guard::PanicTrap;
use crate::hooks::{Accepted, Failed, Hooks, Rejected};
use crate::input::{GenerateByTopicInput, JudgeSettings, Settings, Storage};
use crate::journal::{FileJournal, FilterVerdicts, Journal, RunEmbedder};
use crate::llm::layers::{Budget, Cached, RateLimiter};
use crate::llm::models::{ModelRegistry, STATIC};
use crate::llm::price::{PriceTable, Usd};
use crate::llm::{Backend, LlmClient, Model, ModelName, OwnLimit, Parameters};
use crate::prompt::Prompts;
use crate::record::Decoder;
use crate::run::{Dataset, Run, RunError};
use crate::schema::SchemaRenderer;
use crate::stop_signal::StopSignal;
use crate::topic::{GeneratedTopics, TopicProvider, TopicTree};

pub use crate::estimate::{
    Estimate, Pilot, PilotCalls, PilotCandidates, PilotTopic, Spread, estimate,
};
#[cfg(feature = "otel")]
pub use crate::otel::metrics as otel_metrics;
pub use crate::plan::{Allocation, Attribute, Origin, Plan, PlanNote, PlannedTopic, TopicSpec};
pub use crate::preview::{
    AnswerPreview, CallPreview, Preview, RecordPreview, RecordVerdict, TaskPreview,
};
pub use crate::schedule::{InOrder, RoundRobin, Scheduling, SchedulingPolicy, TopicProgress};
#[cfg(feature = "postgres")]
pub(crate) use shared::ProcessClients;

/// Batches of records that are accepted and not yet taken: one that is taken next, while more gather in the driver,
/// which bounds what a slow consumer may leave lying.
const CHANNEL: usize = 1;

/// Generates a data set, with models found by their names and keys from the environment.
///
/// A name such as `openai/gpt-4o-mini` finds its key in `OPENAI_API_KEY`; `offline/loom` needs none. To bring
/// your own model or other parts, or to stream the records, make a [`Pipeline`].
///
/// ```
/// use schemars::JsonSchema;
/// use serde::{Deserialize, Serialize};
/// use topicloom::{GenerateByTopicInput, generate_by_topic};
///
/// #[derive(Serialize, Deserialize, JsonSchema)]
/// struct Qa {
///     question: String,
///     answer: String,
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let input = GenerateByTopicInput::builder()
///     .user_instruction("Q&A pairs about machine learning")
///     .num_records(10)
///     .topics(["supervised learning", "neural networks"])
///     .generation_model("offline/loom")
///     .output::<Qa>()
///     .build()?;
/// let dataset = generate_by_topic(input).await?;
/// assert_eq!(dataset.len(), 10);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
///
/// Where a model cannot be found, and where the run does not complete: then the error holds every record that was
/// accepted, and the report says per topic what is missing and why.
pub async fn generate_by_topic<T>(input: GenerateByTopicInput<T>) -> Result<Dataset<T>, RunError<T>>
where
    T: DeserializeOwned + Send + 'static,
{
    match Pipeline::from_input(&input) {
        Ok(pipeline) => pipeline.generate(input).await,
        Err(error) => Err(RunError::before_start(error)),
    }
}

/// The parts that runs are made with. Cheap to clone.
///
/// ```
/// use topicloom::Pipeline;
/// use topicloom::filter::filter_fn;
/// use topicloom::llm::OfflineModel;
///
/// let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
///     .filter(filter_fn("too short", |record| {
///         record.text("answer").is_some_and(|answer| answer.len() >= 10)
///     }))
///     .on_event(|event| println!("{event:?}"))
///     .build();
/// # drop(pipeline);
/// ```
#[derive(Clone)]
pub struct Pipeline {
    parts: PipelineBuilder,
}

/// Puts a [`Pipeline`] together; made by [`Pipeline::builder`].
#[derive(Clone)]
pub struct PipelineBuilder {
    /// Models that write records, with their weights; at least one.
    generation: Vec<(Backend, u32)>,
    fallbacks: Vec<Backend>,
    topic_model: Option<Backend>,
    /// Who judges, where it is another than who writes.
    judge_model: Option<Backend>,
    /// Who gives the other answer of a pair, where it is another than who writes.
    rejected_model: Option<Backend>,
    prices: PriceTable,
    /// Where an embedding model is found by its name.
    models: ModelRegistry,
    /// `None` is what the input says.
    deduplicator: Option<AnyDeduplicator>,
    known_records: Vec<KnownRecords>,
    // Of the next four, `None` is what the input says too.
    policy: Option<Arc<dyn Fn() -> Box<dyn SchedulingPolicy> + Send + Sync>>,
    topics: Option<Arc<dyn TopicProvider>>,
    prompts: Option<Arc<dyn Prompts>>,
    renderer: Option<Arc<dyn SchemaRenderer>>,
    filters: Vec<Filter>,
    journal: Option<Arc<dyn Journal>>,
    resume: ResumePolicy,
    observers: Vec<Observer>,
    hooks: Hooks,
}

impl PipelineBuilder {
    fn new(generation: Backend) -> Self {
        Self {
            generation: vec![(generation, 1)],
            fallbacks: Vec::new(),
            topic_model: None,
            judge_model: None,
            rejected_model: None,
            prices: PriceTable::known(),
            models: ModelRegistry::new(),
            deduplicator: None,
            known_records: Vec::new(),
            policy: None,
            topics: None,
            prompts: None,
            renderer: None,
            filters: Vec::new(),
            journal: None,
            resume: ResumePolicy::default(),
            observers: Vec::new(),
            hooks: Hooks::default(),
        }
    }

    /// Sets the weight of the model that the builder started with. The default is 1.
    #[must_use]
    pub fn weight(mut self, weight: u32) -> Self {
        self.generation[0].1 = weight;
        self
    }

    /// Adds a model that writes records: each call goes to one of them, in proportion to their weights, chosen by
    /// the seed of the run. Different models write differently.
    ///
    /// All are asked with the generation parameters of the input. A record says in
    /// [`meta.model`](crate::record::RecordMeta::model) who wrote it.
    ///
    /// ```
    /// use topicloom::Pipeline;
    /// use topicloom::llm::OfflineModel;
    ///
    /// // Three calls of four go to the first.
    /// let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
    ///     .weight(3)
    ///     .model_with_weight(OfflineModel::new("offline/other"), 1)
    ///     .build();
    /// # drop(pipeline);
    /// ```
    #[must_use]
    pub fn model_with_weight(mut self, client: impl LlmClient, weight: u32) -> Self {
        self.generation.push((Backend::new(client), weight));
        self
    }

    /// Adds a model to ask for records when the one whose turn it is is out, after those added before it.
    ///
    /// A model is out when its retries are used up, its key is refused or its quota is spent; see
    /// [`Fallback`](crate::llm::layers::Fallback). There is none by default.
    #[must_use]
    pub fn fallback(mut self, client: impl LlmClient) -> Self {
        self.fallbacks.push(Backend::new(client));
        self
    }

    /// Sets the model that invents topics. The default is what writes records, fallbacks included.
    #[must_use]
    pub fn topic_model(mut self, client: impl LlmClient) -> Self {
        self.topic_model = Some(Backend::new(client));
        self
    }

    /// Follows a rate limiter with the model that the builder started with: limits per minute, pauses, adaptive concurrency.
    ///
    /// By default a model found by its name follows the rate limiter that all runs of the process share, and a client of
    /// your own follows none: it is asked as much as `max_concurrency` says from the first moment.
    #[must_use]
    pub fn rate_limiter(mut self, limiter: Arc<RateLimiter>) -> Self {
        self.generation[0].0.limiter = Some(limiter);
        self
    }

    /// Sets what models cost. The default is [`PriceTable::known`].
    #[must_use]
    pub fn prices(mut self, prices: PriceTable) -> Self {
        self.prices = prices;
        self
    }

    /// Sets where topics come from that the input does not name. The default is what the input says, which is
    /// [`GeneratedTopics`] unless it says something else.
    #[must_use]
    pub fn topics(mut self, provider: impl TopicProvider) -> Self {
        self.topics = Some(Arc::new(provider));
        self
    }

    /// Sets what is taken for a duplicate. The default is what the input says under `deduplication`, which is
    /// [`NearDuplicates`](crate::dedup::NearDuplicates) unless it says something else.
    #[must_use]
    pub fn deduplicator(mut self, deduplicator: impl Deduplicator) -> Self {
        self.deduplicator = Some(AnyDeduplicator::new(deduplicator));
        self
    }

    /// Adds material that counts as already seen: a record that repeats it is a duplicate, and its prompt says of which.
    ///
    /// Seeds, a data set that is to be added to, a benchmark's test set. It is loaded when a run starts, before the
    /// files that the input names. Give a resumed run the same material: what it accepts is decided anew.
    ///
    /// ```
    /// use serde_json::json;
    /// use topicloom::Pipeline;
    /// use topicloom::dedup::KnownRecords;
    /// use topicloom::llm::OfflineModel;
    ///
    /// let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
    ///     .already_seen(KnownRecords::jsonl("benchmark/test.jsonl"))
    ///     .already_seen(KnownRecords::records("seeds", [json!({"question": "What is a tide?"})]))
    ///     .build();
    /// # drop(pipeline);
    /// ```
    #[must_use]
    pub fn already_seen(mut self, material: KnownRecords) -> Self {
        self.known_records.push(material);
        self
    }

    /// Adds a filter; a record must pass all of them, in the order they were added, after those of the input. There is none by
    /// default.
    #[must_use]
    pub fn filter(mut self, filter: impl RecordFilter) -> Self {
        self.filters.push(Filter::Own(Arc::new(filter)));
        self
    }

    /// Adds a filter that asks a model, such as a judge, together with that model. Its calls are calls of the run: they count
    /// under its caps, are retried, and are in its report and journal. It has its place among the other filters.
    #[must_use]
    pub fn model_filter(mut self, filter: impl ModelFilter, model: impl LlmClient) -> Self {
        let model = Model {
            choices: vec![(Backend::new(model), 1)],
            fallbacks: Vec::new(),
            parameters: Arc::default(),
        };
        self.filters.push(Filter::Asking(Arc::new(filter), model));
        self
    }

    /// Sets the wording of prompts. The default is what the input says under `prompts`, and else
    /// [`TemplatePrompts`](crate::prompt::TemplatePrompts).
    #[must_use]
    pub fn prompts(mut self, prompts: impl Prompts) -> Self {
        self.prompts = Some(Arc::new(prompts));
        self
    }

    /// Sets how a prompt shows the shape of a record. The default is what the input says, which is
    /// [`TypeScript`](crate::schema::TypeScript) unless it says something else.
    #[must_use]
    pub fn schema_renderer(mut self, renderer: impl SchemaRenderer) -> Self {
        self.renderer = Some(Arc::new(renderer));
        self
    }

    /// Sets which topic is served next. The default is what the input says, which is
    /// [`RoundRobin`] unless it says something else. Each run starts with a clone.
    #[must_use]
    pub fn scheduling<P: SchedulingPolicy + Clone + Sync>(mut self, policy: P) -> Self {
        self.policy = Some(Arc::new(move || Box::new(policy.clone())));
        self
    }

    /// Sets the journal of the run, so that nothing paid for is lost. There is none by default.
    ///
    /// A journal belongs to one input: a pipeline that has one resumes that run and refuses others.
    #[must_use]
    pub fn journal(mut self, journal: impl Journal) -> Self {
        self.journal = Some(Arc::new(journal));
        self
    }

    /// Goes on with a journal whose input was another one: more records, another schema, other topics.
    ///
    /// The answers that are there are judged anew by the input at hand, and only what is missing then is asked for. The
    /// journal keeps the change and belongs to this input from now on. By default that is an error which says what
    /// differs. Filters, deduplicator and settings that only drive a run are not part of this: they may always differ.
    #[must_use]
    pub fn resume_changed_input(mut self) -> Self {
        self.resume = ResumePolicy::Changed;
        self
    }

    /// Adds an observer, which is told what happens in a run, in order. It is called where runs are driven: be
    /// quick, and do not block.
    #[must_use]
    pub fn on_event(mut self, observer: impl Fn(&RunEvent<'_>) + Send + Sync + 'static) -> Self {
        self.observers.push(Arc::new(observer));
        self
    }

    /// Adds a hook that is shown each record when it is accepted; see [`hooks`](crate::hooks).
    ///
    /// ```
    /// use topicloom::Pipeline;
    /// use topicloom::llm::OfflineModel;
    ///
    /// let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
    ///     .on_accepted(|record| println!("{}: {}", record.topic, record.data["question"]))
    ///     .build();
    /// # drop(pipeline);
    /// ```
    #[must_use]
    pub fn on_accepted(mut self, hook: impl Fn(&Accepted<'_>) + Send + Sync + 'static) -> Self {
        self.hooks.accepted.push(Arc::new(hook));
        self
    }

    /// Adds a hook that is shown each candidate that is not accepted, and why; see [`hooks`](crate::hooks).
    #[must_use]
    pub fn on_rejected(mut self, hook: impl Fn(&Rejected<'_>) + Send + Sync + 'static) -> Self {
        self.hooks.rejected.push(Arc::new(hook));
        self
    }

    /// Adds a hook that observes each task that fails, and how; see [`hooks`](crate::hooks).
    #[must_use]
    pub fn on_failed(mut self, hook: impl Fn(&Failed<'_>) + Send + Sync + 'static) -> Self {
        self.hooks.failed.push(Arc::new(hook));
        self
    }

    /// Builds the pipeline.
    #[must_use]
    pub fn build(self) -> Pipeline {
        Pipeline { parts: self }
    }
}

impl Pipeline {
    /// Starts with the model that writes records.
    ///
    /// The model names of an input mean nothing to such a pipeline: it asks the model it is given.
    pub fn builder(client: impl LlmClient) -> PipelineBuilder {
        PipelineBuilder::new(Backend::new(client))
    }

    /// Makes the pipeline that [`generate_by_topic`] uses: models found by the names in the input.
    ///
    /// # Errors
    ///
    /// Where a provider is not known, or a key is missing from the environment.
    pub fn from_input<T>(input: &GenerateByTopicInput<T>) -> Result<Self> {
        Ok(Self::builder_from_input(input, &ModelRegistry::new())?.build())
    }

    /// Starts with the models that a registry finds by the names in the input, reached as its `providers` say, and with its
    /// prices.
    ///
    /// # Errors
    ///
    /// Where a provider is not known, or a key is missing from the environment.
    pub fn builder_from_input<T>(
        input: &GenerateByTopicInput<T>,
        models: &ModelRegistry,
    ) -> Result<PipelineBuilder> {
        let providers = input.providers().iter();
        let models = providers.fold(models.clone(), |models, (name, settings)| {
            models.configure(name, settings.clone())
        });
        // What is learned of a model holds for all its uses.
        let mut known: Vec<(&ModelName, Backend)> = Vec::new();
        let mut backend = |name| {
            if let Some((_, backend)) = known.iter().find(|(known, _)| *known == name) {
                return Ok(backend.clone());
            }
            let backend = Backend::named(name, &models, &input.settings().rate_limits)?;
            known.push((name, backend.clone()));
            Ok(backend)
        };
        let mut builder = PipelineBuilder::new(backend(input.generation_model())?);
        let weighted = input.generation_models().iter();
        let weighted = weighted.map(|(name, weight)| Ok((backend(name)?, *weight)));
        builder.generation = weighted.collect::<Result<_>>()?;
        let fallbacks = input.settings().fallback_models.iter();
        builder.fallbacks = fallbacks.map(&mut backend).collect::<Result<_>>()?;
        // A topic model that is never asked needs no key.
        if input.asks_topic_model() {
            builder.topic_model = Some(backend(input.topic_model())?);
        }
        let judge = input.settings().judge.as_ref();
        let judge = judge.and_then(|judge| judge.model.as_ref());
        builder.judge_model = judge.map(&mut backend).transpose()?;
        builder.rejected_model = input.rejected_model().map(backend).transpose()?;
        builder.models = models.clone();
        Ok(builder.prices(input.prices().clone()))
    }

    /// Estimates what a run of this input will take, without a call; see [`Estimate`].
    ///
    /// # Errors
    ///
    /// Where a prompt or the schema cannot be rendered.
    pub fn estimate<T>(&self, input: &GenerateByTopicInput<T>) -> Result<Estimate> {
        let parts = &self.parts;
        let choices = parts
            .generation
            .iter()
            .map(|(backend, weight)| (backend, *weight));
        // A fallback is asked only when others are out: it may be the dearest, and has no share.
        let fallbacks = parts.fallbacks.iter().map(|backend| (backend, 0));
        let named =
            |(backend, weight): (&'_ Backend, u32)| (backend.client.model().to_owned(), weight);
        let records: Vec<(String, u32)> = choices.chain(fallbacks).map(named).collect();
        let records: Vec<(&str, u32)> = records
            .iter()
            .map(|(name, weight)| (name.as_str(), *weight))
            .collect();
        let topics = match &parts.topic_model {
            Some(backend) => vec![(backend.client.model(), 1)],
            None => records.clone(),
        };
        let others = [&parts.judge_model, &parts.rejected_model]
            .map(|model| Some((model.as_ref()?.client.model(), 1)));
        let rates = Rates::new(input, &parts.prices, &records, &topics, others);
        let plug_ins = self.plug_ins(input)?;
        estimate_with(input, &*plug_ins.prompts, &*plug_ins.renderer, rates)
    }

    /// Starts a run. Where the input has [`Storage::Local`] and the pipeline no journal, it is kept there.
    ///
    /// # Errors
    ///
    /// Where the journal cannot be opened, the records cannot be shared out over the topics, or there is no tokio runtime.
    #[allow(clippy::needless_pass_by_value)] // A run is of one input; who needs it again clones it, which is cheap.
    pub fn run<T>(&self, input: GenerateByTopicInput<T>) -> Result<Run<T>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let mut parts = self.run_parts(&input)?;
        open_storage(&mut parts)?;
        self.start(parts)
    }

    fn start<T: 'static>(&self, parts: RunParts) -> Result<Run<T>> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(
                ErrorKind::Config,
                "a run needs a tokio runtime: call this from async code",
            )
            .with_source(error)
        })?;
        let policy = match &self.parts.policy {
            Some(make) => make(),
            None => parts.settings().scheduling.policy(),
        };
        let stop = StopSignal::default();
        let (sender, receiver) = mpsc::channel(CHANNEL);
        let driver = runtime.spawn(drive(parts, policy, sender, stop.clone()));
        Ok(Run::new(receiver, driver, stop))
    }

    /// Runs to the end.
    ///
    /// # Errors
    ///
    /// Where the run cannot start or does not complete. The error holds every record that was accepted.
    pub async fn generate<T>(
        &self,
        input: GenerateByTopicInput<T>,
    ) -> Result<Dataset<T>, RunError<T>>
    where
        T: DeserializeOwned + Send + 'static,
    {
        match self.run(input) {
            Ok(run) => run.collect().await,
            Err(error) => Err(RunError::before_start(error)),
        }
    }

    /// Puts together what a run of this input is made of.
    fn run_parts<T>(&self, input: &GenerateByTopicInput<T>) -> Result<RunParts>
    where
        T: DeserializeOwned + Send + 'static,
    {
        let parts = self.parts.clone();
        let settings = input.settings();
        let (generation, topic_model, own_limit) = self.models(input);
        let budget = budget(parts.prices, settings)?;
        check_prices(&budget, &generation)?;
        if input.asks_topic_model() {
            // Each ask for topics has a limit of its own where the caller gave none.
            let mut asked = topic_model.clone();
            if !asked.parameters.limits_output() {
                Arc::make_mut(&mut asked.parameters).max_tokens = Some(1);
            }
            check_prices(&budget, &asked)?;
        }
        let plug_ins = self.plug_ins(input)?;
        for filter in &plug_ins.filters {
            if let Filter::Asking(_, model) = filter {
                let mut backends = model.backends();
                backends.try_for_each(|one| budget.check_input_only(one.client.model()))?;
            }
        }
        let schema = if settings.assert_formats {
            input.asked_schema().assert_formats()?
        } else {
            input.asked_schema().clone()
        };
        let budget = Arc::new(budget);
        let said = &settings.deduplication;
        let mut asked = None;
        let deduplicator = match (parts.deduplicator, &said.embedding_model) {
            (Some(own), _) => own,
            (None, None) => said.deduplicator(input.schema(), None::<Arc<dyn Embedder>>),
            // Computed here, in less time than it takes to read it from a journal: nothing is booked and nothing kept.
            (None, Some(model)) if model.provider() == STATIC => {
                said.deduplicator(input.schema(), Some(parts.models.embedder(model)?))
            }
            (None, Some(model)) => {
                let embedder = parts.models.embedder(model)?;
                let budget = Arc::clone(&budget);
                let embedder = RunEmbedder::new(embedder, budget, settings.max_concurrency)?;
                asked = Some(Arc::new(embedder));
                said.deduplicator(input.schema(), asked.clone())
            }
        };
        let cache = settings.cache.as_ref();
        let cache = cache.map(|file| Cached::in_file((), file).map(Arc::new));
        let examples = KnownRecords::records(EXAMPLES, input.examples().given.iter().cloned());
        let output = settings.output.as_ref().map(|output| &output.path);
        let appended_to = output.filter(|_| input.appended_to() > 0);
        let labels = input.labels();
        let seen_files = settings.already_seen.iter().chain(appended_to);
        let seen_files = seen_files.map(|file| KnownRecords::jsonl(file).without(&labels));
        let appended_to = appended_to.map(|file| {
            let (there, file) = (input.appended_to(), file.display());
            format!("{there} records were in {file} already, and count towards `num_records`")
        });
        Ok(RunParts {
            input: input.untyped(),
            plug_ins,
            deduplicator,
            schema,
            decoder: Decoder::to::<T>(),
            allocation: input.allocation().clone(),
            extent: Extent::Whole,
            generation,
            topic_model,
            own_limit,
            cache: cache.transpose()?,
            embedder: asked,
            verdicts: FilterVerdicts::default(),
            known_records: iter::once(examples)
                .chain(parts.known_records)
                .chain(seen_files)
                .collect(),
            budget,
            notes: appended_to.into_iter().collect(),
            panic_trap: PanicTrap::default(),
        })
    }

    /// Returns the parts of this pipeline, and those that the input names where it has none of its own.
    fn plug_ins<T>(&self, input: &GenerateByTopicInput<T>) -> Result<PlugIns> {
        let (parts, settings) = (self.parts.clone(), input.settings());
        let kind = input.kind();
        let kind_check = kind.map(|kind| Filter::Own(Arc::new(kind.clone())));
        let mut filters: Vec<Filter> = kind_check.into_iter().collect();
        let said = |is_last: bool| {
            // Of a pair, they look at what it is in the end.
            let looks_last = move |field: &str| match field {
                "rejected" | FieldFilter::RECORD => input.is_completed(),
                "chosen" => input.is_completed() && settings.judge.is_some(),
                _ => false,
            };
            let said = settings.filters.iter();
            let said = said.filter(move |(field, _)| looks_last(field) == is_last);
            said.map(|(field, rule)| {
                let filter = FieldFilter::new(field, rule.clone())?;
                Ok(Filter::Own(Arc::new(filter)))
            })
        };
        filters.extend(said(false).collect::<Result<Vec<_>>>()?);
        if let Some(RecordKind::Preference(preference)) = kind {
            let own = parts.rejected_model.as_ref();
            let parameters = match own {
                // As it is asked for records.
                None if *preference.model_kwargs == Parameters::default() => {
                    input.generation_parameters()
                }
                _ => &preference.model_kwargs,
            };
            let parameters = Arc::clone(parameters);
            let model = self.model_of(own);
            filters.push(Filter::Asking(Arc::new(OtherAnswer { parameters }), model));
        }
        if let Some(said) = &settings.judge {
            let judge = judge_of(said, input)?;
            let judge: Arc<dyn ModelFilter> = match kind {
                Some(RecordKind::Preference(_)) => Arc::new(PairJudge(judge)),
                _ => Arc::new(judge),
            };
            let model = self.model_of(parts.judge_model.as_ref());
            filters.push(Filter::Asking(judge, model));
        }
        filters.extend(said(true).collect::<Result<Vec<_>>>()?);
        filters.extend(parts.filters);
        Ok(PlugIns {
            topics: match (parts.topics, input.topic_tree()) {
                (Some(own), _) => own,
                (None, Some(tree)) => {
                    let branches = tree.iter().map(|&branches| usize::try_from(branches));
                    Arc::new(TopicTree::new(branches.filter_map(Result::ok)))
                }
                (None, None) => Arc::new(GeneratedTopics::default()),
            },
            prompts: match parts.prompts {
                Some(own) => own,
                None => Arc::new(settings.prompts.prompts()?),
            },
            renderer: parts
                .renderer
                .unwrap_or_else(|| Arc::new(settings.schema_renderer)),
            filters,
            journal: parts.journal,
            resume: parts.resume,
            observers: parts.observers,
            hooks: parts.hooks,
        })
    }

    /// Returns the model of a filter: one of its own, or who writes records.
    fn model_of(&self, own: Option<&Backend>) -> Model {
        Model {
            choices: own.map_or_else(
                || self.parts.generation.clone(),
                |own| vec![(own.clone(), 1)],
            ),
            fallbacks: Vec::new(),
            parameters: Arc::default(),
        }
    }

    /// Returns who writes records and who invents topics, and the output limit of our own, where there is one.
    fn models<T>(&self, input: &GenerateByTopicInput<T>) -> (Model, Model, Option<OwnLimit>) {
        let mut generation = Model {
            choices: self.parts.generation.clone(),
            fallbacks: self.parts.fallbacks.clone(),
            parameters: Arc::clone(input.generation_parameters()),
        };
        let own_limit = own_limit(input, &generation, &self.parts.prices);
        if let Some(limit) = own_limit {
            let records = input.settings().records_per_request.most();
            Arc::make_mut(&mut generation.parameters).max_tokens = Some(limit.of(records));
        }
        let mut topics = Model {
            parameters: Arc::clone(input.topic_parameters()),
            ..generation.clone()
        };
        if let Some(backend) = &self.parts.topic_model {
            (topics.choices, topics.fallbacks) = (vec![(backend.clone(), 1)], Vec::new());
        }
        (generation, topics, own_limit)
    }
}

/// Returns the judge that an input describes, with the records that it is compared with people on.
fn judge_of<T>(said: &JudgeSettings, input: &GenerateByTopicInput<T>) -> Result<Judge> {
    let labels = said.labels.records(&said.criteria, input.schema());
    let labels = labels.map_err(|(problem, advice)| {
        let message = format!("the labels of the judge {problem}; {advice}");
        Error::new(ErrorKind::InvalidInput, message)
    })?;
    Ok(said.judge(input.user_instruction())?.labels(labels))
}

/// Returns the output limit that calls for records get where money or tokens are capped and the caller gave none: what is
/// reserved for a call is what it may write.
fn own_limit<T>(
    input: &GenerateByTopicInput<T>,
    generation: &Model,
    prices: &PriceTable,
) -> Option<OwnLimit> {
    let settings = input.settings();
    let is_capped = settings.max_cost_usd.is_some() || settings.max_tokens_total.is_some();
    let most_of = |backend: &Backend| prices.get(backend.client.model())?.max_output_tokens;
    (is_capped && !generation.parameters.limits_output()).then(|| {
        OwnLimit::new(
            most_tokens_of_a_record(input.asked_schema()),
            generation.backends().filter_map(most_of).min(),
        )
    })
}

/// Creates the account of one run, with its caps.
fn budget(prices: PriceTable, settings: &Settings) -> Result<Budget> {
    let mut budget = Budget::new(prices);
    if let Some(dollars) = settings.max_cost_usd {
        budget = budget.max_cost(Usd::from_dollars(dollars)?);
    }
    if let Some(tokens) = settings.max_tokens_total {
        budget = budget.max_tokens(tokens);
    }
    if let Some(calls) = settings.max_calls {
        budget = budget.max_calls(calls);
    }
    Ok(budget)
}

/// Refuses a cap on money where nobody knows what a model costs: before any call is made, not when it is its turn.
fn check_prices(budget: &Budget, model: &Model) -> Result<()> {
    let mut backends = model.backends();
    backends.try_for_each(|backend| budget.check(backend.client.model(), &model.parameters))
}

/// Opens the journal that the input asks for, where the pipeline has none.
fn open_storage(parts: &mut RunParts) -> Result<()> {
    let Storage::Local(directory) = &parts.settings().storage else {
        return Ok(());
    };
    if parts.plug_ins.journal.is_some() {
        return Ok(());
    }
    let directory = directory.as_deref().unwrap_or(Storage::DIRECTORY.as_ref());
    std::fs::create_dir_all(directory).map_err(|error| {
        Error::new(
            ErrorKind::Journal,
            "the directory that `storage` names cannot be made",
        )
        .with_context("path", directory.display().to_string())
        .with_source(error)
    })?;
    let path = directory.join(parts.input.journal_name());
    let opened = FileJournal::open_for(path, &parts.input)?;
    if let Some(moved) = opened.moved {
        parts.notes.push(moved.to_string());
    }
    if opened.input_changed {
        parts.plug_ins.resume = ResumePolicy::Changed;
    }
    parts.plug_ins.journal = Some(Arc::new(opened.journal));
    Ok(())
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.fmt_as("Pipeline", f)
    }
}

impl fmt::Debug for PipelineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fmt_as("PipelineBuilder", f)
    }
}

impl PipelineBuilder {
    fn fmt_as(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct(name)
            .field(
                "generation",
                &clients(self.generation.iter().map(|(backend, _)| backend)),
            )
            .field("fallbacks", &clients(self.fallbacks.iter()))
            .field(
                "topic_model",
                &self.topic_model.as_ref().map(|model| &model.client),
            )
            .field("topics", &self.topics)
            .field("deduplicator", &self.deduplicator)
            .field("filters", &self.filters)
            .field("prompts", &self.prompts)
            .field("schema_renderer", &self.renderer)
            .field("journal", &self.journal)
            .finish_non_exhaustive()
    }
}

fn clients<'a>(backends: impl Iterator<Item = &'a Backend>) -> Vec<&'a Arc<dyn LlmClient>> {
    backends.map(|backend| &backend.client).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;

    /// What the input says is in the document of its schema, whatever reads it.
    fn accepted_keys(pointer: &str) -> BTreeSet<String> {
        let schema = GenerateByTopicInput::json_schema();
        let keys = schema.pointer(pointer).and_then(Value::as_object);
        let keys = keys.expect("it is an object").iter();
        // Settings may stand beside the other keys.
        let own = keys.filter(|(_, schema)| schema.get("$ref").is_none());
        own.map(|(key, _)| key.clone()).collect()
    }

    fn input(changes: &Value) -> GenerateByTopicInput {
        let mut input = json!({
            "user_instruction": "about the sea", "num_records": 20, "records_per_topic": 10, "topics": ["tides", {"waves": 2}],
            "generation_model_name": "offline/one", "topic_model_name": "offline/one",
            "generation_model_kwargs": {"max_tokens": 5},
            "output_schema": {
                "type": "object", "properties": {"mail": {"type": "string", "format": "email"}}, "required": ["mail"],
            },
        });
        for (key, value) in changes.as_object().expect("the test gives an object") {
            input[key] = value.clone();
        }
        GenerateByTopicInput::from_json_value(input).expect("the test's input is valid")
    }

    /// Everything that a run is told by its input beside the settings.
    fn told(input: &GenerateByTopicInput) -> String {
        let pipeline = Pipeline::from_input(input).expect("the models are embedded");
        let parts = pipeline
            .run_parts(input)
            .expect("the test's input is valid");
        let topic_model = parts.topic_model.choices[0].0.client.model();
        format!(
            "{:?} {:?} {:?} {:?} {:?} {:?} {} {} {topic_model} {:?} {}",
            parts.budget,
            parts.input.examples(),
            parts.input.attributes(),
            parts.input.user_instruction(),
            parts.allocation,
            parts.generation.parameters,
            parts.generation.choices[0].0.client.model(),
            parts.schema.fingerprint(),
            parts.topic_model.parameters,
            parts.deduplicator.describe(),
        )
    }

    /// The code of the crate, without tests and without what reads the input.
    fn code_behind_the_input() -> String {
        fn add(directory: &Path, code: &mut String) {
            for entry in std::fs::read_dir(directory).expect("the sources are there") {
                let path = entry.expect("it is readable").path();
                if path.is_dir() && !path.ends_with("input") {
                    add(&path, code);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).expect("it is readable");
                    code.push_str(text.split("#[cfg(test)]").next().unwrap_or_default());
                }
            }
        }
        let mut code = String::new();
        add(
            &Path::new(env!("CARGO_MANIFEST_DIR")).join("src"),
            &mut code,
        );
        code
    }

    #[test]
    fn every_accepted_key_has_a_reader_or_a_warning() {
        let keys = [
            ("user_instruction", json!("about hills")),
            ("num_records", json!(30)),
            // Of topics that are to be generated.
            ("records_per_topic", json!(5)),
            ("topics", json!(["hills"])),
            ("attributes", json!({"level": ["easy", "hard"]})),
            ("source", json!([{"name": "a tide"}])),
            ("examples", json!([{"mail": "me@example.org"}])),
            ("topic_model_name", json!("offline/two")),
            ("topic_model_kwargs", json!({"temperature": 0.5})),
            ("generation_model_name", json!("offline/two")),
            ("generation_model_kwargs", json!({"temperature": 0.5})),
            ("output_schema", json!([{"name": "text", "type": "str"}])),
            ("kind", json!("chat")),
            ("prices", json!({"offline/*": {"input": 1, "output": 2}})),
        ];
        let tested = keys.iter().map(|(key, _)| (*key).to_owned());
        let tested: BTreeSet<String> = tested
            // Documents become a source, and are read from files.
            .chain(["data_factory_config", "providers", "documents"].map(str::to_owned))
            .collect();
        assert_eq!(accepted_keys("/properties"), tested, "a key without a case");
        for (key, value) in keys {
            let base = match key {
                "records_per_topic" | "topic_model_name" | "source" => json!({"topics": null}),
                "kind" => json!({"output_schema": null}),
                _ => json!({}),
            };
            let mut changed = base.clone();
            changed[key] = value;
            assert_ne!(
                told(&input(&changed)),
                told(&input(&base)),
                "nobody reads `{key}`"
            );
        }

        let ignored = ["batch_size", "target_count", "initial_state_values"];
        let code = code_behind_the_input();
        let ends_name = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        for key in accepted_keys("/$defs/Settings/properties") {
            let field = match &*key {
                "task_runner_timeout" => "call_timeout",
                "dead_queue_threshold" => "give_up_after",
                "job_run_stop_threshold" => "stop_after_failed_rounds",
                other => other,
            };
            let reads = |(at, found): (usize, &str)| ends_name(&code[at + found.len()..]);
            assert!(
                ignored.contains(&field) || code.match_indices(&format!(".{field}")).any(reads),
                "nobody reads `{key}`"
            );
        }
        for key in ignored {
            let warned = input(&json!({"data_factory_config": {key: 3}}));
            let warning = warned.warnings()[0].to_string();
            assert!(
                warning.contains(key) && warning.contains("has no effect"),
                "{warning}"
            );
        }
    }

    #[tokio::test]
    async fn local_storage_is_a_journal_in_the_directory_that_is_named_and_in_no_other_case() {
        let directory = tempfile::tempdir().expect("there is room");
        let kept = directory.path().join("runs");
        let input = |storage: Value, instruction: &str, records: u64| {
            GenerateByTopicInput::from_json_value(json!({
                "user_instruction": instruction, "num_records": records, "topics": ["tides"],
                "generation_model_name": "offline/one", "data_factory_config": {"storage": storage, "seed": 1},
            }))
            .expect("the test's input is valid")
        };
        let journals = || std::fs::read_dir(&kept).map_or(0, Iterator::count);
        for storage in [Value::Null, json!("in_memory")] {
            generate_by_topic(input(storage, "about the sea", 5))
                .await
                .expect("complete");
            assert_eq!(journals(), 0);
        }
        let local = json!({"local": kept});
        let first = generate_by_topic(input(local.clone(), "about the sea", 5))
            .await
            .expect("complete");
        assert_eq!((journals(), first.report().resumed_answers), (1, 0));
        // The gap alone is asked for.
        let more = generate_by_topic(input(local.clone(), "about the sea", 8))
            .await
            .expect("complete");
        assert_eq!(
            (journals(), more.len(), more.report().resumed_answers),
            (1, 8, 5)
        );
        let same =
            |(one, other): (&crate::record::Record, &crate::record::Record)| one.data == other.data;
        assert!(first.iter().zip(&more).all(same));
        let other = generate_by_topic(input(local, "about hills", 5))
            .await
            .expect("complete");
        assert_eq!((journals(), other.report().resumed_answers), (2, 0));
    }
}
