//! The way to one model over HTTP, the same for every format.

use std::fmt;

use reqwest::header::HeaderMap;
use serde::Serialize;
use serde_json::Value;

use super::answer;
use super::failure::Call;
use super::parameters;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::http::{Endpoint, Reply, Transport, announced_limits};
use crate::llm::{ApiKey, ChatRequest, ChatResponse, ModelName};

/// Returns what a refusal means, from the reply and what its body says. Its status may be a success all the same.
pub(super) type Refused = fn(&Call<'_>, &Reply, &Value) -> Error;

/// Where a model is, how it is called, and what its provider's refusals mean.
#[derive(Clone)]
pub(super) struct Connection {
    pub(super) name: ModelName,
    pub(super) endpoint: Endpoint,
    pub(super) key: Option<ApiKey>,
    pub(super) headers: HeaderMap,
    pub(super) transport: Transport,
    pub(super) refused: Refused,
}

impl Connection {
    /// Asks a model, once.
    pub(super) async fn complete(
        &self,
        request: &ChatRequest,
        body: &impl Serialize,
    ) -> Result<ChatResponse> {
        parameters::check(&request.parameters, &request.output)?;
        let (reply, values) = self.post(request, body).await?;
        let rate = announced_limits(&reply.headers, reply.at);
        let mut response = answer::read(&values, request)
            .map_err(|failure| match failure {
                Some(said) => (self.refused)(&self.call(request), &reply, &said),
                None => self.unreadable(&values).with_rate(rate),
            })
            .map_err(|error| self.explain(&reply, error))?
            .with_rate(rate);
        response
            .provider_model
            .take_if(|model| !self.is_name(model));
        Ok(response)
    }

    /// Sends a body and returns the JSON of the answer. The request is only looked at where the body is refused.
    pub(super) async fn post(
        &self,
        request: &ChatRequest,
        body: &impl Serialize,
    ) -> Result<(Reply, Vec<Value>)> {
        let body = serde_json::to_vec(body)
            .expect("text, numbers and JSON values under text keys can be written as JSON");
        let in_context = |error: Error| error.with_context("model", self.name.as_str());
        let sent = self
            .transport
            .post(&self.endpoint, self.headers.clone(), body);
        let reply = sent.await.map_err(in_context)?;
        if !reply.is_success() {
            let error = (self.refused)(&self.call(request), &reply, &reply.explanation());
            return Err(self.explain(&reply, error));
        }
        let values = reply
            .json()
            .map_err(|error| self.explain(&reply, in_context(error)))?;
        Ok((reply, values))
    }

    fn explain(&self, reply: &Reply, error: Error) -> Error {
        reply.explain(error, &self.endpoint, &self.headers)
    }

    pub(super) fn call<'a>(&'a self, request: &'a ChatRequest) -> Call<'a> {
        Call {
            model: self.name.as_str(),
            key: self.key.as_ref(),
            request,
        }
    }

    fn unreadable(&self, values: &[Value]) -> Error {
        let error = if values.iter().any(Value::is_object) {
            Error::new(
                ErrorKind::Empty,
                "the provider's answer holds no text of a model",
            )
        } else {
            Error::new(
                ErrorKind::Malformed,
                "the provider's answer is JSON of another form than documented",
            )
        };
        error.with_context("model", self.name.as_str())
    }

    /// Whether a text can be the name of the model that answered. A careless server puts there what it was sent.
    fn is_name(&self, model: &str) -> bool {
        /// The longest names, of deployments and files, have some hundred letters.
        const LONGEST: usize = 256;
        let key = self.key.iter().map(ApiKey::expose);
        let secret = self.headers.values().filter(|value| value.is_sensitive());
        let mut secrets = key.chain(secret.filter_map(|value| value.to_str().ok()));
        model.len() <= LONGEST
            && !model.chars().any(char::is_control)
            && !secrets.any(|secret| model.contains(secret))
    }
}

/// Shows model and host; no key, no header, no path.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("model", &self.name.as_str())
            .field("endpoint", &self.endpoint)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
