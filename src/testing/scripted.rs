//! A model with a fixed list of answers.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};
use crate::llm::{ChatRequest, ChatResponse, LlmClient};

/// Creates a model that gives these answers in this order.
///
/// A text or a [`ChatResponse`] is an answer, an [`Error`] or an [`ErrorKind`] a failure; where a list holds
/// both, write [`ScriptedAnswer::from`] around each.
///
/// ```
/// use topicloom::testing::{scripted, ScriptedAnswer};
/// use topicloom::ErrorKind;
///
/// let model = scripted([
///     ScriptedAnswer::from(ErrorKind::Overloaded),
///     ScriptedAnswer::from(r#"{"records": []}"#),
/// ]);
/// assert_eq!(model.unused(), 2);
/// ```
pub fn scripted<A: Into<ScriptedAnswer>>(answers: impl IntoIterator<Item = A>) -> ScriptedLlm {
    let mut answers: Vec<Result<ChatResponse>> =
        answers.into_iter().map(|answer| answer.into().0).collect();
    answers.reverse();
    ScriptedLlm {
        script: Arc::new(Mutex::new(Script {
            answers,
            requests: Vec::new(),
        })),
    }
}

/// An answer or a failure of a [`ScriptedLlm`].
#[derive(Debug)]
pub struct ScriptedAnswer(Result<ChatResponse>);

impl From<&str> for ScriptedAnswer {
    fn from(text: &str) -> Self {
        Self(Ok(ChatResponse::new(text)))
    }
}

impl From<String> for ScriptedAnswer {
    fn from(text: String) -> Self {
        Self(Ok(ChatResponse::new(text)))
    }
}

impl From<Value> for ScriptedAnswer {
    fn from(value: Value) -> Self {
        value.to_string().into()
    }
}

impl From<ChatResponse> for ScriptedAnswer {
    fn from(response: ChatResponse) -> Self {
        Self(Ok(response))
    }
}

impl From<Error> for ScriptedAnswer {
    fn from(error: Error) -> Self {
        Self(Err(error))
    }
}

impl From<ErrorKind> for ScriptedAnswer {
    fn from(kind: ErrorKind) -> Self {
        Error::new(kind, "the script says so").into()
    }
}

/// A model with a fixed list of answers; made by [`scripted`]. Clones share the list.
#[derive(Clone)]
pub struct ScriptedLlm {
    script: Arc<Mutex<Script>>,
}

struct Script {
    /// Last first, so that the next one is popped.
    answers: Vec<Result<ChatResponse>>,
    requests: Vec<ChatRequest>,
}

impl ScriptedLlm {
    /// Returns what was asked so far.
    #[must_use]
    pub fn requests(&self) -> Vec<ChatRequest> {
        self.lock().requests.clone()
    }

    /// Returns how many answers are left.
    #[must_use]
    pub fn unused(&self) -> usize {
        self.lock().answers.len()
    }

    fn lock(&self) -> MutexGuard<'_, Script> {
        // Nothing is left half-done where a call panics for want of an answer.
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl LlmClient for ScriptedLlm {
    /// Gives the next answer.
    ///
    /// # Panics
    ///
    /// If the list is used up.
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let mut script = self.lock();
        script.requests.push(request.clone());
        let calls = script.requests.len();
        script
            .answers
            .pop()
            .unwrap_or_else(|| panic!("the script has no answer for call {calls}"))
    }

    fn model(&self) -> &'static str {
        "scripted/model"
    }
}

impl fmt::Debug for ScriptedLlm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let script = self.lock();
        f.debug_struct("ScriptedLlm")
            .field("calls", &script.requests.len())
            .field("unused", &script.answers.len())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn answers_come_in_the_order_of_the_script() {
        let model = scripted([
            ScriptedAnswer::from("one"),
            ErrorKind::Quota.into(),
            json!({"records": []}).into(),
        ]);
        let request = ChatRequest::default();
        assert_eq!(model.complete(&request).await.unwrap().text, "one");
        let error = model.complete(&request).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Quota);
        let last = model.clone().complete(&request).await.unwrap();
        assert_eq!(last.text, r#"{"records":[]}"#);
        assert_eq!((model.requests().len(), model.unused()), (3, 0));
    }

    #[tokio::test]
    #[should_panic(expected = "the script has no answer for call 2")]
    async fn a_call_beyond_the_script_panics() {
        let model = scripted(["one"]);
        let request = ChatRequest::default();
        model.complete(&request).await.unwrap();
        let _ = model.complete(&request).await;
    }
}
