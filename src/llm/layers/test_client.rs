//! A client for the tests of the layers: answers from a list, then always, after a set time.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::sleep;

use crate::error::Result;
use crate::llm::{Capabilities, ChatRequest, ChatResponse, LlmClient, Message};

#[derive(Debug, Default)]
pub(super) struct TestClient {
    takes: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    script: VecDeque<Result<ChatResponse>>,
    calls: usize,
    in_flight: usize,
    most_at_once: usize,
}

pub(super) fn request() -> ChatRequest {
    ChatRequest::new(vec![Message::user("a question")])
}

impl TestClient {
    pub(super) fn answering(script: Vec<Result<ChatResponse>>) -> Self {
        let client = Self::default();
        client.state.lock().unwrap().script = script.into();
        client
    }

    pub(super) fn answer_next(&self, answer: Result<ChatResponse>) {
        self.state.lock().unwrap().script.push_back(answer);
    }

    pub(super) fn taking(mut self, takes: Duration) -> Self {
        self.takes = takes;
        self
    }

    pub(super) fn calls(&self) -> usize {
        self.state.lock().unwrap().calls
    }

    pub(super) fn most_at_once(&self) -> usize {
        self.state.lock().unwrap().most_at_once
    }
}

struct InFlight<'a>(&'a Mutex<State>);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.lock().unwrap().in_flight -= 1;
    }
}

#[async_trait]
impl LlmClient for TestClient {
    async fn complete(&self, _request: &ChatRequest) -> Result<ChatResponse> {
        let answer = {
            let mut state = self.state.lock().unwrap();
            state.calls += 1;
            state.in_flight += 1;
            state.most_at_once = state.most_at_once.max(state.in_flight);
            state.script.pop_front()
        };
        let _in_flight = InFlight(&self.state);
        sleep(self.takes).await;
        answer.unwrap_or_else(|| Ok(ChatResponse::new("an answer")))
    }

    fn model(&self) -> &'static str {
        "test/model"
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities::default().with_warm_up()
    }
}
