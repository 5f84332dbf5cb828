//! A model that the test answers for, call by call, so that the test reads as a conversation.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use crate::error::{Error, ErrorKind, Result};
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient};

use super::gauge::Gauge;

/// How long [`MockHandle::next_call`] waits in tokio time: longer than any delay a test would set up, and
/// no time at all where time is paused.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// Creates a model and the handle by which a test answers for it.
///
/// A test that leaves something open fails with a message that says what: a call that was never looked at,
/// a call that was looked at and dropped, a call after the handle is gone, a call awaited that never comes.
///
/// ```
/// use topicloom::llm::{ChatRequest, LlmClient, Message};
/// use topicloom::testing::mock_llm;
/// use topicloom::ErrorKind;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (model, mut handle) = mock_llm();
/// let caller = tokio::spawn(async move {
///     let request = ChatRequest::new(vec![Message::user("One record, please.")]);
///     let first = model.complete(&request).await;
///     let second = model.complete(&request).await;
///     (first, second)
/// });
///
/// handle.next_call().await.fail(ErrorKind::RateLimited);
/// handle.next_call().await.text(r#"{"question": "…", "answer": "…"}"#);
///
/// let (first, second) = caller.await.unwrap();
/// assert_eq!(first.unwrap_err().kind(), ErrorKind::RateLimited);
/// assert!(second.unwrap().text.contains("question"));
/// handle.no_more_calls();
/// # }
/// ```
pub fn mock_llm() -> (MockLlm, MockHandle) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let gauge = Arc::new(Gauge::default());
    let model = MockLlm {
        name: "mock/model".into(),
        capabilities: Capabilities::default(),
        calls: sender,
        gauge: Arc::clone(&gauge),
    };
    let handle = MockHandle {
        calls: receiver,
        taken: 0,
        gauge,
        ignores_rest: false,
    };
    (model, handle)
}

/// A model that a test answers for; made by [`mock_llm`].
///
/// Its name is `mock/model` and it is capable of nothing but text, unless set otherwise.
#[derive(Clone)]
pub struct MockLlm {
    name: Arc<str>,
    capabilities: Capabilities,
    calls: mpsc::UnboundedSender<Waiting>,
    gauge: Arc<Gauge>,
}

impl MockLlm {
    /// Sets the name.
    #[must_use]
    pub fn with_model(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = name.into();
        self
    }

    /// Sets what the model says it can do.
    #[must_use]
    pub fn with_capabilities(mut self, capabilities: Capabilities) -> Self {
        self.capabilities = capabilities;
        self
    }
}

#[async_trait]
impl LlmClient for MockLlm {
    /// Waits until the test has answered.
    ///
    /// # Panics
    ///
    /// If the handle is gone, since nobody could answer.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let _in_flight = self.gauge.enter();
        let (answer, answered) = oneshot::channel();
        let waiting = Waiting {
            request: request.clone(),
            answer,
        };
        assert!(
            self.calls.send(waiting).is_ok(),
            "the model `{}` was called after its handle was dropped",
            self.name
        );
        match answered.await {
            Ok(result) => result,
            // Nobody will answer any more; the handle has complained where that was a mistake.
            Err(_) => pending().await,
        }
    }

    fn model(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }
}

impl fmt::Debug for MockLlm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockLlm")
            .field("model", &self.name)
            .finish_non_exhaustive()
    }
}

/// The test's side of a [`MockLlm`].
///
/// # Panics
///
/// When dropped while calls are waiting that nobody looked at, unless [`ignore_rest`](Self::ignore_rest)
/// was called or the test is failing already. A call counts even if its caller has given up by then.
#[must_use = "a call that nobody answers waits forever"]
pub struct MockHandle {
    calls: mpsc::UnboundedReceiver<Waiting>,
    taken: usize,
    gauge: Arc<Gauge>,
    ignores_rest: bool,
}

impl MockHandle {
    /// Returns the next call, oldest first, waiting for it if need be.
    ///
    /// # Panics
    ///
    /// If the model was dropped, or a day of tokio time passes without a call. Where time is paused, that
    /// day passes at once when nothing else is left to happen, so a test that waits in vain fails.
    pub async fn next_call(&mut self) -> Call {
        let number = self.taken + 1;
        let Ok(received) = tokio::time::timeout(PATIENCE, self.calls.recv()).await else {
            panic!("expected call {number}, but it never came");
        };
        let Some(waiting) = received else {
            panic!("expected call {number}, but the model was dropped before it came");
        };
        self.taken = number;
        Call {
            request: waiting.request,
            answer: Some(waiting.answer),
            number,
        }
    }

    /// Returns the next `count` calls, which may all be in flight at once.
    ///
    /// # Panics
    ///
    /// As [`next_call`](Self::next_call).
    pub async fn next_calls(&mut self, count: usize) -> Vec<Call> {
        let mut calls = Vec::with_capacity(count);
        while calls.len() < count {
            calls.push(self.next_call().await);
        }
        calls
    }

    /// Asserts that no call comes within this span of tokio time.
    ///
    /// # Panics
    ///
    /// If one comes.
    pub async fn no_call_within(&mut self, span: Duration) {
        if let Ok(Some(waiting)) = tokio::time::timeout(span, self.calls.recv()).await {
            drop(waiting);
            panic!(
                "expected no call for {span:?} after {}, but one came",
                self.taken
            );
        }
    }

    /// Asserts that no call is waiting, and ends the conversation: a call after this panics in its caller.
    ///
    /// # Panics
    ///
    /// If a call is waiting that nobody looked at.
    pub fn no_more_calls(self) {
        drop(self);
    }

    /// Lets the rest of the test make calls that nobody answers.
    pub fn ignore_rest(&mut self) {
        self.ignores_rest = true;
    }

    /// Returns how many calls have been made, answered or not.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.gauge.entered()
    }

    /// Returns how many calls are waiting for their answer now.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.gauge.inside()
    }

    /// Returns the most calls that ever waited at the same time.
    #[must_use]
    pub fn peak_concurrency(&self) -> usize {
        self.gauge.peak()
    }
}

impl Drop for MockHandle {
    fn drop(&mut self) {
        // A second panic would abort the process and hide the first.
        if self.ignores_rest || thread::panicking() {
            return;
        }
        self.calls.close();
        let mut unexpected = 0;
        while self.calls.try_recv().is_ok() {
            unexpected += 1;
        }
        assert!(
            unexpected == 0,
            "{unexpected} unexpected call(s) after the {} that the test looked at",
            self.taken
        );
    }
}

impl fmt::Debug for MockHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockHandle")
            .field("calls", &self.calls())
            .field("in_flight", &self.in_flight())
            .field("peak_concurrency", &self.peak_concurrency())
            .finish_non_exhaustive()
    }
}

/// One call of the model, to be answered by the test.
///
/// # Panics
///
/// When dropped unanswered while its caller still waits, and when answered after its caller has given up.
/// Look at [`is_abandoned`](Self::is_abandoned) where that may be.
#[must_use = "a call has to be answered, or told to hang"]
pub struct Call {
    request: ChatRequest,
    answer: Option<oneshot::Sender<Result<ChatResponse>>>,
    number: usize,
}

impl Call {
    /// Returns what was asked.
    #[must_use]
    pub fn request(&self) -> &ChatRequest {
        &self.request
    }

    /// Returns whether the caller has given up waiting.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.answer.as_ref().is_some_and(oneshot::Sender::is_closed)
    }

    /// Answers with a text, of unknown usage.
    pub fn text(self, text: impl Into<String>) {
        self.respond(ChatResponse::new(text));
    }

    /// Answers with records, wrapped as `{"records": [...]}`.
    pub fn records(self, records: impl IntoIterator<Item = Value>) {
        let records: Vec<Value> = records.into_iter().collect();
        self.text(json!({ "records": records }).to_string());
    }

    /// Answers with a response.
    pub fn respond(self, response: ChatResponse) {
        self.settle(Ok(response));
    }

    /// Fails with the usual error of this kind.
    pub fn fail(self, kind: ErrorKind) {
        self.error(Error::new(kind, "the mock was told to fail"));
    }

    /// Fails with this error.
    pub fn error(self, error: Error) {
        self.settle(Err(error));
    }

    /// Leaves the caller waiting until it gives up.
    #[allow(clippy::must_use_candidate)] // Most tests want nothing more of it.
    pub fn hang(mut self) -> HungCall {
        HungCall {
            answer: self.answer.take(),
        }
    }

    fn settle(mut self, result: Result<ChatResponse>) {
        let answer = self.answer.take().expect("a call is settled once");
        assert!(
            answer.send(result).is_ok(),
            "call {} was answered, but its caller no longer waits",
            self.number
        );
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let unanswered = self.answer.is_some() && !self.is_abandoned();
        // A second panic would abort the process and hide the first.
        assert!(
            !unanswered || thread::panicking(),
            "call {} was dropped unanswered; answer it, or let it `hang()`",
            self.number
        );
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("number", &self.number)
            .field("request", &self.request)
            .finish_non_exhaustive()
    }
}

/// A call that is left waiting. Its caller waits on even when this is dropped.
#[derive(Debug)]
pub struct HungCall {
    answer: Option<oneshot::Sender<Result<ChatResponse>>>,
}

impl HungCall {
    /// Returns whether the caller has given up waiting.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.answer.as_ref().is_none_or(oneshot::Sender::is_closed)
    }

    /// Waits until the caller has given up waiting.
    pub async fn abandoned(mut self) {
        if let Some(answer) = &mut self.answer {
            answer.closed().await;
        }
    }
}

struct Waiting {
    request: ChatRequest,
    answer: oneshot::Sender<Result<ChatResponse>>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::Message;

    fn request() -> ChatRequest {
        ChatRequest::new(vec![Message::user("one record, please")])
    }

    #[tokio::test(start_paused = true)]
    async fn a_conversation_goes_back_and_forth() {
        let (model, mut handle) = mock_llm();
        let caller = tokio::spawn(async move {
            let first = model.complete(&request()).await;
            let second = model.complete(&request()).await;
            (first, second)
        });
        let call = handle.next_call().await;
        assert_eq!(call.request(), &request());
        call.fail(ErrorKind::Overloaded);
        handle.next_call().await.records([json!({"n": 1})]);
        let (first, second) = caller.await.unwrap();
        assert_eq!(first.unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!(second.unwrap().text, r#"{"records":[{"n":1}]}"#);
        assert_eq!(handle.calls(), 2);
        handle.no_more_calls();
    }

    #[tokio::test(start_paused = true)]
    async fn the_peak_counts_calls_that_wait_together() {
        let (model, mut handle) = mock_llm();
        let callers: Vec<_> = (0..3)
            .map(|_| {
                let model = model.clone();
                tokio::spawn(async move { model.complete(&request()).await.unwrap() })
            })
            .collect();
        for call in handle.next_calls(3).await {
            call.text("here");
        }
        for caller in callers {
            caller.await.unwrap();
        }
        assert_eq!((handle.in_flight(), handle.peak_concurrency()), (0, 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_hung_call_waits_until_its_caller_gives_up() {
        let (model, mut handle) = mock_llm();
        let caller = tokio::spawn(async move {
            tokio::time::timeout(Duration::from_secs(60), model.complete(&request())).await
        });
        let hung = handle.next_call().await.hang();
        assert!(!hung.is_abandoned());
        hung.abandoned().await;
        assert!(caller.await.unwrap().is_err());
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "expected call 1, but it never came")]
    async fn waiting_in_vain_fails() {
        let (_model, mut handle) = mock_llm();
        handle.next_call().await.text("never");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "the model was dropped")]
    async fn waiting_for_a_model_that_is_gone_fails() {
        let (_, mut handle) = mock_llm();
        handle.next_call().await.text("never");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "call 1 was dropped unanswered")]
    async fn dropping_a_call_unanswered_fails() {
        let (model, mut handle) = mock_llm();
        tokio::spawn(async move { model.complete(&request()).await });
        drop(handle.next_call().await);
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "call 1 was answered, but its caller no longer waits")]
    async fn answering_nobody_fails() {
        let (model, mut handle) = mock_llm();
        let caller = tokio::spawn(async move { model.complete(&request()).await });
        let call = handle.next_call().await;
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert!(call.is_abandoned());
        call.text("too late");
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "1 unexpected call(s) after the 1")]
    async fn a_call_that_nobody_looked_at_fails_the_test() {
        let (model, mut handle) = mock_llm();
        let caller = tokio::spawn(async move {
            model.complete(&request()).await.unwrap();
            model.complete(&request()).await
        });
        handle.next_call().await.text("here");
        tokio::task::yield_now().await;
        caller.abort();
        // The unexpected call counts although nobody waits for it any more.
        assert!(caller.await.unwrap_err().is_cancelled());
        handle.no_more_calls();
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "expected no call for 5s")]
    async fn a_call_in_a_quiet_span_fails_the_test() {
        let (model, mut handle) = mock_llm();
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(4)).await;
            model.complete(&request()).await
        });
        handle.no_call_within(Duration::from_secs(5)).await;
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_after_the_conversation_panics_in_its_caller() {
        let (model, handle) = mock_llm();
        handle.no_more_calls();
        let caller = tokio::spawn(async move { model.complete(&request()).await });
        assert!(caller.await.unwrap_err().is_panic());
    }
}
