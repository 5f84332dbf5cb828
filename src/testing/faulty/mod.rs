//! A model that fails, dawdles and repeats itself, at seeded rates and by its own books.

mod books;
mod faults;
mod records;

use std::fmt;
use std::future::pending;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

pub use books::{FaultyBooks, FaultyCounts};
use faults::{Fate, Faults, TRANSIENT, failure};

use crate::error::{ErrorKind, Result};
use crate::llm::{
    Capabilities, ChatRequest, ChatResponse, FinishReason, LlmClient, OutputFormat, OutputMode,
    Purpose, Usage,
};
use crate::random::Random;
use crate::schema::Dialect;

use super::gauge::Gauge;

/// Answers that hold no JSON value at all, so that no repairing can find a record in them.
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
        let (mut text, ends) = records::put_together(key.as_deref(), &items);
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
mod tests;
