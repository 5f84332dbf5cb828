//! A model that fails, dawdles and repeats itself, at seeded rates and by its own books.

mod books;
mod records;

use std::fmt;
use std::future::pending;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

pub use books::{FaultyBooks, FaultyCounts};

use crate::error::{Error, ErrorKind, Result, Retry};
use crate::llm::{
    Capabilities, ChatRequest, ChatResponse, FinishReason, LlmClient, OutputFormat, OutputMode,
    Purpose, Usage,
};
use crate::random::Random;
use crate::schema::Dialect;

use super::gauge::Gauge;

/// Failures after which the very same call may be tried again.
const TRANSIENT: [ErrorKind; 6] = [
    ErrorKind::RateLimited,
    ErrorKind::Overloaded,
    ErrorKind::Timeout,
    ErrorKind::Network,
    ErrorKind::Malformed,
    ErrorKind::Empty,
];

/// Answers that hold no JSON value at all, so that no mending can find a record in them.
const MALFORMED: [&str; 5] = [
    "I would love to help, but the records got lost on the way.",
    "<html><body><h1>502 Bad Gateway</h1></body></html>",
    "```json\n```",
    "Sure! Here is what you asked for:",
    "]}",
];

/// A model with faults: it writes records of its own, or passes on another model's answers, and spoils some.
///
/// Each rate is a share from 0 to 1 and is 0 unless set. What befalls a call depends on the seed and on how
/// many calls came before it, so a single-threaded test repeats itself. Clones share state and books.
///
/// Its own records are `{"question": …, "answer": …}` of invented words, any two of them different; as many
/// as the asked-for schema's `minItems` says, or one. Asked for topics, it invents names in the same way.
///
/// ```
/// use topicloom::llm::{ChatRequest, LlmClient};
/// use topicloom::testing::FaultyModel;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let model = FaultyModel::new(7).failures(0.5);
/// for _ in 0..100 {
///     let _ = model.complete(&ChatRequest::default()).await;
/// }
/// let counts = model.books().counts();
/// assert_eq!(counts.calls, 100);
/// assert_eq!(counts.answers + counts.failures, 100);
/// assert_eq!(model.books().distinct() as u64, counts.answers);
/// # }
/// ```
#[derive(Clone)]
pub struct FaultyModel {
    faults: Faults,
    writer: Writer,
    random: Random,
    gauge: Arc<Gauge>,
    state: Arc<Mutex<State>>,
}

#[derive(Clone)]
enum Writer {
    Own(Arc<dyn Fn(u64) -> Value + Send + Sync>),
    Other(Arc<dyn LlmClient>),
}

/// Rates of everything that can go wrong.
#[derive(Clone, Default)]
struct Faults {
    /// The fate of a whole call; what remains to 1 is a good answer.
    fates: Vec<(Fate, f64)>,
    repeated: f64,
    invalid: f64,
    miscounted: f64,
    delays: Option<RangeInclusive<Duration>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Fails(ErrorKind),
    FailsSomehow,
    Stalls,
    Malformed,
    Truncated,
    Refused,
    Empty,
    Good,
}

#[derive(Default)]
struct State {
    /// How many records or topics were written, good or spoilt.
    written: u64,
    books: FaultyBooks,
}

impl FaultyModel {
    /// Creates a model that writes records of its own and has no faults yet.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self::with_writer(seed, Writer::Own(Arc::new(records::question_and_answer)))
    }

    /// Creates a model that passes on another model's answers and has no faults yet.
    ///
    /// Records can be repeated, dropped and counted only where the other model answers with plain JSON: an
    /// array of objects, or an object that holds one.
    #[must_use]
    pub fn around(other: impl LlmClient, seed: u64) -> Self {
        Self::with_writer(seed, Writer::Other(Arc::new(other)))
    }

    fn with_writer(seed: u64, writer: Writer) -> Self {
        Self {
            faults: Faults::default(),
            writer,
            random: Random::new(seed),
            gauge: Arc::default(),
            state: Arc::default(),
        }
    }

    /// Sets what makes the `n`-th record; any two must differ. Without effect around another model.
    #[must_use]
    pub fn records(mut self, make: impl Fn(u64) -> Value + Send + Sync + 'static) -> Self {
        if let Writer::Own(own) = &mut self.writer {
            *own = Arc::new(make);
        }
        self
    }

    /// Sets the share of calls that fail in a way that may pass: limits, overload, time-outs, broken
    /// connections, nonsense.
    #[must_use]
    pub fn failures(self, rate: f64) -> Self {
        self.fate(Fate::FailsSomehow, rate)
    }

    /// Sets the share of calls that fail with this kind, beside [`failures`](Self::failures).
    #[must_use]
    pub fn failure(self, kind: ErrorKind, rate: f64) -> Self {
        self.fate(Fate::Fails(kind), rate)
    }

    /// Sets the share of calls that never end.
    #[must_use]
    pub fn stalled(self, rate: f64) -> Self {
        self.fate(Fate::Stalls, rate)
    }

    /// Sets the share of calls answered with something that holds no JSON.
    #[must_use]
    pub fn malformed(self, rate: f64) -> Self {
        self.fate(Fate::Malformed, rate)
    }

    /// Sets the share of answers that are cut off somewhere, as when an output limit is reached.
    #[must_use]
    pub fn truncated(self, rate: f64) -> Self {
        self.fate(Fate::Truncated, rate)
    }

    /// Sets the share of calls that the model declines.
    #[must_use]
    pub fn refused(self, rate: f64) -> Self {
        self.fate(Fate::Refused, rate)
    }

    /// Sets the share of answers without text.
    #[must_use]
    pub fn empty(self, rate: f64) -> Self {
        self.fate(Fate::Empty, rate)
    }

    /// Sets the share of *records* that repeat an earlier one of any answer, to the letter or with other
    /// letter case and white space.
    #[must_use]
    pub fn duplicates(mut self, rate: f64) -> Self {
        self.faults.repeated = share(rate);
        self
    }

    /// Sets the share of *records* that have none of the fields they should.
    #[must_use]
    pub fn invalid(mut self, rate: f64) -> Self {
        self.faults.invalid = share(rate);
        self
    }

    /// Sets the share of answers with one record too few or too many. Around another model: too few.
    #[must_use]
    pub fn miscounted(mut self, rate: f64) -> Self {
        self.faults.miscounted = share(rate);
        self
    }

    /// Lets every call take a time in this range, in tokio time. Calls take none unless set.
    #[must_use]
    pub fn delays(mut self, range: RangeInclusive<Duration>) -> Self {
        self.faults.delays = Some(range);
        self
    }

    /// Returns a copy of the books: what was asked and handed out so far.
    #[must_use]
    pub fn books(&self) -> FaultyBooks {
        let mut books = self.lock().books.clone();
        books.note_peak(self.gauge.peak());
        books
    }

    fn fate(mut self, fate: Fate, rate: f64) -> Self {
        let fates = &mut self.faults.fates;
        fates.retain(|(other, _)| *other != fate);
        fates.push((fate, share(rate)));
        let sum: f64 = fates.iter().map(|(_, rate)| rate).sum();
        // Rates such as 0.1 have no exact form, so a sum of 1 may come out a little above.
        assert!(
            sum <= 1.0 + 1e-9,
            "the rates of a call's fate add up to {sum}, more than 1"
        );
        self
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The books are only ever added to, so a panic elsewhere leaves them true.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn share(rate: f64) -> f64 {
    assert!(
        (0.0..=1.0).contains(&rate),
        "a rate is a share from 0 to 1, not {rate}"
    );
    rate
}

#[async_trait]
impl LlmClient for FaultyModel {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let _in_flight = self.gauge.enter();
        let mut call = self.begin();
        let mut random = self.random.nth(call.number);
        let fate = self.faults.draw_fate(&mut random);
        if let Some(delay) = self.faults.draw_delay(&mut random) {
            tokio::time::sleep(delay).await;
        }
        if fate == Fate::Stalls {
            pending::<()>().await;
        }
        let result = match fate {
            Fate::Fails(kind) => Err(failure(kind, &mut random)),
            Fate::FailsSomehow => {
                let kind = TRANSIENT[random.index(TRANSIENT.len())];
                Err(failure(kind, &mut random))
            }
            Fate::Malformed => Ok(ChatResponse::new(MALFORMED[random.index(MALFORMED.len())])),
            Fate::Refused => Ok(ChatResponse::new("I cannot help with that.")
                .with_finish_reason(FinishReason::Refusal)),
            Fate::Empty => Ok(ChatResponse::default()),
            Fate::Good | Fate::Truncated | Fate::Stalls => {
                self.write(request, fate == Fate::Truncated, &mut random)
                    .await
            }
        };
        // The other model's own count stands; ours is a guess at four bytes a token.
        let result = result.map(|response| match response.usage {
            usage if usage == Usage::default() => {
                let usage = guess_usage(request, &response);
                response.with_usage(usage)
            }
            _ => response,
        });
        call.end(fate, &result);
        result
    }

    fn model(&self) -> &str {
        match &self.writer {
            Writer::Own(_) => "faulty/model",
            Writer::Other(other) => other.model(),
        }
    }

    fn capabilities(&self) -> Capabilities {
        match &self.writer {
            Writer::Own(_) => Capabilities::structured(&[OutputMode::Strict], Dialect::Full),
            Writer::Other(other) => other.capabilities(),
        }
    }
}

impl FaultyModel {
    fn begin(&self) -> OpenCall<'_> {
        let mut state = self.lock();
        let number = state.books.begin();
        OpenCall {
            model: self,
            number,
            ended: false,
        }
    }

    /// Writes an answer. Books and text change together, after the last wait.
    async fn write(
        &self,
        request: &ChatRequest,
        cut: bool,
        random: &mut Random,
    ) -> Result<ChatResponse> {
        let (key, mut items, response) = match &self.writer {
            Writer::Own(make) => {
                let (key, items) = self.own_items(request, &**make, random);
                (key, items, ChatResponse::default())
            }
            Writer::Other(other) => {
                let response = other.complete(request).await?;
                match records::take_apart(&response.text) {
                    Some((key, items)) => (key, items, response),
                    None if cut => return Ok(cut_off(response, random)),
                    None => return Ok(response),
                }
            }
        };
        let mut state = self.lock();
        if request.purpose == Purpose::Records {
            if matches!(self.writer, Writer::Other(_)) && random.unit_f64() < self.faults.miscounted
            {
                items.pop();
            }
            for item in &mut items {
                let fate = random.unit_f64();
                if fate < self.faults.repeated {
                    if let Some(earlier) = state.books.earlier(random) {
                        *item = records::disguised(earlier, random);
                    }
                } else if fate < self.faults.repeated + self.faults.invalid {
                    *item = records::invalid(item);
                }
            }
        }
        let (mut text, ends) = records::put_together(&key, &items);
        let mut finish_reason = response.finish_reason;
        let mut whole = items.len();
        if cut {
            cut_somewhere(&mut text, random);
            finish_reason = FinishReason::Length;
            // All that a record says has arrived when only its closing brace is missing.
            whole = ends.iter().filter(|&&end| end <= text.len() + 1).count();
        }
        for item in items.into_iter().take(whole) {
            state.books.hand_out(item);
        }
        let usage = response.usage;
        Ok(ChatResponse { text, ..response }
            .with_usage(usage)
            .with_finish_reason(finish_reason))
    }

    fn own_items(
        &self,
        request: &ChatRequest,
        make: &(dyn Fn(u64) -> Value + Send + Sync),
        random: &mut Random,
    ) -> (Option<String>, Vec<Value>) {
        let is_topics = request.purpose == Purpose::Topics;
        let key = if is_topics { "topics" } else { "records" };
        let mut count = wanted(request, key);
        if !is_topics && random.unit_f64() < self.faults.miscounted {
            count = if random.below(2) == 0 {
                count + 1
            } else {
                count.saturating_sub(1)
            };
        }
        let mut state = self.lock();
        let items = (0..count)
            .map(|_| {
                let number = state.written;
                state.written += 1;
                if is_topics {
                    records::topic(number)
                } else {
                    make(number)
                }
            })
            .collect();
        (Some(key.to_owned()), items)
    }
}

impl Faults {
    fn draw_fate(&self, random: &mut Random) -> Fate {
        let mut drawn = random.unit_f64();
        for &(fate, rate) in &self.fates {
            if drawn < rate {
                return fate;
            }
            drawn -= rate;
        }
        Fate::Good
    }

    fn draw_delay(&self, random: &mut Random) -> Option<Duration> {
        let range = self.delays.as_ref()?;
        let spread = range.end().saturating_sub(*range.start());
        Some(*range.start() + spread.mul_f64(random.unit_f64()))
    }
}

/// A call whose end is not yet in the books; if it is dropped, its caller gave up.
struct OpenCall<'m> {
    model: &'m FaultyModel,
    number: u64,
    ended: bool,
}

impl OpenCall<'_> {
    fn end(&mut self, fate: Fate, result: &Result<ChatResponse>) {
        self.ended = true;
        let mut state = self.model.lock();
        let books = &mut state.books;
        match result {
            Ok(response) => books.answer(response.usage),
            Err(error) => books.fail(error.kind()),
        }
        let counts = books.counts_mut();
        match fate {
            Fate::Malformed => counts.malformed += 1,
            Fate::Truncated if result.is_ok() => counts.truncated += 1,
            Fate::Refused => counts.refused += 1,
            Fate::Empty => counts.empty += 1,
            _ => {}
        }
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.model.lock().books.counts_mut().abandoned += 1;
        }
    }
}

fn failure(kind: ErrorKind, random: &mut Random) -> Error {
    let error = Error::new(kind, "the faulty model was told to fail");
    // Providers that limit say how long to wait about as often as they do not.
    if kind == ErrorKind::RateLimited && random.below(2) == 0 {
        error.with_retry(Retry::After(Duration::from_millis(random.below(2_000))))
    } else {
        error
    }
}

fn cut_off(mut response: ChatResponse, random: &mut Random) -> ChatResponse {
    cut_somewhere(&mut response.text, random);
    response.with_finish_reason(FinishReason::Length)
}

fn cut_somewhere(text: &mut String, random: &mut Random) {
    if !text.is_empty() {
        let mut end = random.index(text.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
    }
}

/// How many items the asked-for schema demands, or one.
fn wanted(request: &ChatRequest, key: &str) -> u64 {
    let OutputFormat::Schema(output) = &request.output else {
        return 1;
    };
    let list = output.schema.get("properties").and_then(|all| all.get(key));
    list.and_then(|list| list.get("minItems")?.as_u64())
        .unwrap_or(1)
}

fn guess_usage(request: &ChatRequest, response: &ChatResponse) -> Usage {
    let asked: usize = request
        .messages
        .iter()
        .map(|message| message.text.len())
        .sum();
    Usage::new(
        asked.div_ceil(4) as u64,
        response.text.len().div_ceil(4) as u64,
    )
}

impl fmt::Debug for FaultyModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultyModel")
            .field("model", &self.model())
            .field("books", &self.books())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::OutputSchema;

    fn asking_for(count: u64) -> ChatRequest {
        let schema = json!({
            "type": "object",
            "properties": {"records": {"type": "array", "minItems": count, "maxItems": count}},
        });
        let output = OutputSchema::new("records", schema, OutputMode::Strict);
        ChatRequest::default().with_output(OutputFormat::Schema(Arc::new(output)))
    }

    fn records(response: &ChatResponse) -> Vec<Value> {
        let (_, records) = records::take_apart(&response.text).unwrap();
        records
    }

    #[tokio::test]
    async fn without_faults_every_record_is_new_and_as_many_as_asked_for() {
        let model = FaultyModel::new(1);
        let request = asking_for(5);
        for _ in 0..200 {
            let response = model.complete(&request).await.unwrap();
            assert_eq!(records(&response).len(), 5);
        }
        assert_eq!(model.books().distinct(), 1_000);
    }

    #[tokio::test(start_paused = true)]
    async fn every_call_is_in_the_books_and_rates_are_met() {
        let model = FaultyModel::new(2)
            .failures(0.2)
            .failure(ErrorKind::ContentFilter, 0.1)
            .stalled(0.05)
            .malformed(0.1)
            .truncated(0.1)
            .refused(0.05)
            .empty(0.05)
            .duplicates(0.4)
            .invalid(0.1)
            .miscounted(0.1)
            .delays(Duration::from_millis(10)..=Duration::from_secs(3));
        let request = asking_for(3);
        let calls = (0..2_000).map(|_| async {
            let limit = Duration::from_secs(60);
            tokio::time::timeout(limit, model.complete(&request)).await
        });
        let results = futures::future::join_all(calls).await;
        let books = model.books();
        let counts = books.counts();
        assert_eq!(counts.calls, 2_000);
        assert_eq!(counts.peak_concurrency, 2_000);
        assert_eq!(
            counts.calls,
            counts.answers + counts.failures + counts.abandoned
        );
        let answers = results.iter().flatten().filter(|result| result.is_ok());
        assert_eq!(counts.answers, answers.count() as u64);
        let abandoned = results.iter().filter(|result| result.is_err()).count();
        assert_eq!(counts.abandoned, abandoned as u64);
        // Five standard deviations around the expected counts of 2 000 calls.
        let near = |count: u64, rate: f64| {
            let spread = 5.0 * (2_000.0 * rate * (1.0 - rate)).sqrt();
            #[allow(clippy::cast_precision_loss)]
            let off = (count as f64 - 2_000.0 * rate).abs();
            assert!(off < spread, "{count} is far from {rate}");
        };
        near(counts.failures, 0.3);
        near(books.failures(ErrorKind::ContentFilter), 0.1);
        near(counts.abandoned, 0.05);
        near(counts.malformed, 0.1);
        near(counts.truncated, 0.1);
        near(counts.refused, 0.05);
        near(counts.empty, 0.05);
        #[allow(clippy::cast_precision_loss)]
        let new = books.distinct() as f64 / counts.items as f64;
        // Of what arrives, 4 in 10 are repeated; invalid ones are all different.
        assert!((0.55..0.65).contains(&new), "{new}");
    }

    #[tokio::test]
    async fn a_seed_repeats_itself_and_another_does_not() {
        async fn answers(seed: u64) -> Vec<Result<String, ErrorKind>> {
            let model = FaultyModel::new(seed)
                .failures(0.5)
                .duplicates(0.5)
                .truncated(0.2);
            let mut answers = Vec::new();
            for _ in 0..50 {
                let result = model.complete(&asking_for(2)).await;
                answers.push(result.map(|r| r.text).map_err(|error| error.kind()));
            }
            answers
        }
        assert_eq!(answers(3).await, answers(3).await);
        assert_ne!(answers(3).await, answers(4).await);
    }

    #[tokio::test]
    async fn what_was_cut_in_half_was_not_handed_out() {
        let model = FaultyModel::new(5).truncated(1.0);
        let mut whole = 0;
        for number in 0..100 {
            let response = model.complete(&asking_for(2)).await.unwrap();
            assert_eq!(response.finish_reason, FinishReason::Length);
            assert!(records::take_apart(&response.text).is_none());
            for number in [2 * number, 2 * number + 1] {
                let record = records::question_and_answer(number);
                let arrived = response.text.contains(&record.to_string());
                assert_eq!(model.books().has_handed_out(&record), arrived);
                whole += usize::from(arrived);
            }
        }
        assert_eq!(model.books().distinct(), whole);
        assert!((20..180).contains(&whole), "{whole}");
    }

    #[tokio::test]
    async fn a_repeated_record_is_one_that_was_handed_out_and_sometimes_looks_otherwise() {
        let model = FaultyModel::new(6).duplicates(0.9);
        let (mut seen, mut to_the_letter, mut otherwise) = (0, 0, 0);
        for _ in 0..500 {
            let before = model.books();
            let response = model.complete(&asking_for(1)).await.unwrap();
            let record = &records(&response)[0];
            if model.books().distinct() == before.distinct() {
                seen += 1;
                to_the_letter += usize::from(before.has_handed_out(record));
                otherwise += usize::from(!before.has_handed_out(record));
            }
        }
        assert!((420..480).contains(&seen), "{seen}");
        assert!(
            to_the_letter > 50 && otherwise > 50,
            "{to_the_letter} {otherwise}"
        );
    }

    #[tokio::test]
    async fn another_models_answers_are_spoilt_and_counted() {
        let inner = FaultyModel::new(8);
        let model = FaultyModel::around(inner.clone(), 9)
            .failure(ErrorKind::Network, 0.3)
            .duplicates(0.5);
        for _ in 0..200 {
            let _ = model.complete(&asking_for(2)).await;
        }
        let (outer, inner) = (model.books(), inner.books());
        assert_eq!(outer.counts().answers, inner.counts().calls);
        assert_eq!(outer.counts().items, inner.counts().items);
        assert!(outer.distinct() < inner.distinct() * 2 / 3);
    }

    #[tokio::test]
    async fn topics_are_invented_too() {
        let schema = json!({"properties": {"topics": {"type": "array", "minItems": 4}}});
        let output = OutputSchema::new("topics", schema, OutputMode::Strict);
        let request = ChatRequest::default()
            .with_purpose(Purpose::Topics)
            .with_output(OutputFormat::Schema(Arc::new(output)));
        let model = FaultyModel::new(1).duplicates(1.0);
        let response = model.complete(&request).await.unwrap();
        assert!(response.text.starts_with(r#"{"topics":["#));
        assert_eq!(model.books().distinct(), 4);
    }

    #[test]
    #[should_panic(expected = "more than 1")]
    fn rates_that_leave_no_room_are_refused() {
        let _ = FaultyModel::new(1).failures(0.6).malformed(0.5);
    }
}
