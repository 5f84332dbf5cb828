//! Leaves out, renames or sets a parameter that a model refuses or demands.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;

use super::Warn;
use crate::error::{Error, ErrorKind, Result};
use crate::llm::request_parts::{CACHE_MARKS, MAX_COMPLETION_TOKENS, MAX_TOKENS, SYSTEM};
use crate::llm::{ChatRequest, ChatResponse, LlmClient, Message, Role};

/// Asks again without a parameter that the model refuses, or with the output limit under its other name.
///
/// Which parameters a model takes is in no table for long: new models drop `temperature`, a deployment under a name of
/// one's own hides which model it is, a server in between knows fewer than the model. A refusal that
/// [names](Error::context) a parameter of the request (`parameter`) is taken at its word. When the call is then
/// answered, the model is asked that way from then on, and a warning says so, once.
///
/// The output limit is never left out, since it bounds the cost: it is renamed where the refusal says so
/// (`instead`), and is otherwise an error. A parameter that must be `true` or `false`, as the refusal says, is set to it. Where it is
/// the system message that is refused (`system`), its text is put before the first of the user's messages; marks for a
/// provider's cache (`cache_control`) are left out.
///
/// Put it around everything that is about one attempt; a refused parameter is not the fault of the attempt. See
/// [the order of layers](crate::llm::layers#the-order).
///
/// ```
/// use topicloom::llm::layers::{ParameterFallback, Retrying};
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let client = Retrying::new(ParameterFallback::new(client));
/// # }
/// ```
pub struct ParameterFallback<C> {
    inner: C,
    learned: Mutex<Vec<Change>>,
    warn: Option<Warn>,
}

/// A parameter that is not sent as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Change {
    name: String,
    instead: Instead,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Instead {
    Nothing,
    Name(&'static str),
    Value(bool),
}

impl<C> ParameterFallback<C> {
    /// Creates a layer that knows of no refusal.
    pub fn new(inner: C) -> Self {
        Self {
            inner,
            learned: Mutex::default(),
            warn: None,
        }
    }

    /// Says to this listener what is left out or renamed.
    #[must_use]
    pub fn on_warning(mut self, warn: Warn) -> Self {
        self.warn = Some(warn);
        self
    }

    fn learned(&self) -> Vec<Change> {
        let learned = self.learned.lock();
        learned.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl<C: LlmClient> ParameterFallback<C> {
    /// Keeps to changes with which a call was answered.
    fn learn(&self, changes: Vec<Change>) {
        for change in changes {
            {
                let mut learned = self.learned.lock().unwrap_or_else(PoisonError::into_inner);
                if learned.contains(&change) {
                    continue;
                }
                learned.push(change.clone());
            }
            let Some(warn) = &self.warn else { continue };
            let (model, name) = (self.inner.model(), change.name);
            warn(&match change.instead {
                Instead::Name(instead) => {
                    format!("{model} refuses `{name}`; it is sent as `{instead}` from now on")
                }
                Instead::Value(value) => {
                    format!("{model} demands that `{name}` is {value}; it is sent so from now on")
                }
                Instead::Nothing if name == SYSTEM => format!(
                    "{model} takes no system message; its text is put before the user's message from now on"
                ),
                Instead::Nothing => format!("{model} refuses `{name}`; it is left out from now on"),
            });
        }
    }
}

/// Returns what to change about a request that was refused, if the refusal names a parameter of it.
fn change(error: &Error, request: &ChatRequest) -> Option<Change> {
    if !matches!(
        error.kind(),
        ErrorKind::BadRequest | ErrorKind::SchemaRefused
    ) {
        return None;
    }
    let context = |wanted| {
        error
            .context()
            .find_map(|(name, value)| (name == wanted).then_some(value))
    };
    let parameters = &request.parameters;
    let name = context("parameter")?;
    let is_limit = name == MAX_TOKENS || name == MAX_COMPLETION_TOKENS;
    let instead = match (name, context("instead").map(str::parse)) {
        (_, Some(Ok(value))) => Instead::Value(value),
        _ if !is_limit => Instead::Nothing,
        // Every server knows the old name.
        (MAX_COMPLETION_TOKENS, _) => Instead::Name(MAX_TOKENS),
        (_, Some(_)) => Instead::Name(MAX_COMPLETION_TOKENS),
        _ => return None,
    };
    let is_sent = match name {
        _ if matches!(instead, Instead::Value(_)) => true,
        SYSTEM => request.messages.iter().any(|it| it.role == Role::System),
        CACHE_MARKS => request.messages.iter().any(|it| it.ends_stable_prefix),
        "temperature" => parameters.temperature.is_some(),
        "prompt_cache_key" => request.cache_key.is_some(),
        _ if is_limit => parameters.max_tokens.is_some(),
        _ => false,
    };
    (is_sent || parameters.extra.contains_key(name)).then(|| Change {
        name: name.to_owned(),
        instead,
    })
}

/// Returns the request with these changes.
fn changed(request: &ChatRequest, changes: &[Change]) -> ChatRequest {
    let mut asked = request.clone();
    if changes.is_empty() {
        return asked;
    }
    for Change { name, instead } in changes {
        let parameters = Arc::make_mut(&mut asked.parameters);
        let extra = parameters.extra.shift_remove(name);
        match instead {
            Instead::Value(value) => {
                parameters.extra.insert(name.clone(), (*value).into());
            }
            Instead::Name(instead) => {
                let limit = extra.or_else(|| parameters.max_tokens.take().map(Into::into));
                if let Some(limit) = limit {
                    parameters.extra.insert((*instead).to_owned(), limit);
                }
            }
            Instead::Nothing => match name.as_str() {
                "temperature" => parameters.temperature = None,
                "prompt_cache_key" => asked.cache_key = None,
                SYSTEM => asked.messages = without_system(&asked.messages),
                CACHE_MARKS => {
                    let messages = asked.messages.iter_mut();
                    messages.for_each(|message| message.ends_stable_prefix = false);
                }
                _ => {}
            },
        }
    }
    asked
}

/// Puts what the system messages say before what the user says first.
fn without_system(messages: &[Message]) -> Vec<Message> {
    let (system, mut turns): (Vec<_>, Vec<_>) = messages
        .iter()
        .cloned()
        .partition(|message| message.role == Role::System);
    let mut texts: Vec<&str> = system.iter().map(|message| &*message.text).collect();
    let first = turns.first().map(|message| Arc::clone(&message.text));
    texts.extend(first.as_deref());
    let first = Message::user(texts.join("\n\n"));
    turns.splice(..turns.len().min(1), [first]);
    turns
}

impl<C: fmt::Debug> fmt::Debug for ParameterFallback<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ParameterFallback")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for ParameterFallback<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let mut changes = self.learned();
        let known = changes.len();
        let mut first: Option<Error> = None;
        loop {
            let asked = changed(request, &changes);
            match self.inner.complete(&asked).await {
                Ok(response) => {
                    self.learn(changes.split_off(known));
                    return Ok(response);
                }
                // Each change takes a parameter away, so this ends.
                Err(error) => match change(&error, &asked) {
                    Some(change) if !changes.iter().any(|c| c.name == change.name) => {
                        changes.push(change);
                        first.get_or_insert(error);
                    }
                    // What is refused whatever is left out says less than the refusal that named something.
                    _ => {
                        let named = first.filter(|first| {
                            [first.kind(), error.kind()] == [ErrorKind::BadRequest; 2]
                        });
                        return Err(named.unwrap_or(error));
                    }
                },
            }
        }
    }

    passes_on_the_rest!();
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::llm::Parameters;
    use crate::llm::layers::test_client::request;

    fn with(temperature: Option<f64>, max_tokens: Option<u64>, extra: &[&str]) -> ChatRequest {
        request().with_parameters(Parameters {
            temperature,
            max_tokens,
            extra: extra
                .iter()
                .map(|name| ((*name).to_owned(), json!(1)))
                .collect(),
        })
    }

    fn refusal(context: &[(&'static str, &str)]) -> Error {
        let error = Error::new(ErrorKind::BadRequest, "no");
        context.iter().fold(error, |error, (name, value)| {
            error.with_context(name, *value)
        })
    }

    /// A model that refuses parameters by these names.
    #[derive(Debug)]
    struct Picky {
        refuses: &'static [&'static str],
        instead: Option<&'static str>,
        asked: Mutex<Vec<Parameters>>,
    }

    #[async_trait]
    impl LlmClient for Picky {
        async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
            let sent = &request.parameters;
            self.asked.lock().unwrap().push(Parameters::clone(sent));
            let is_sent = |name: &str| match name {
                "temperature" => sent.temperature.is_some(),
                "max_tokens" => sent.max_tokens.is_some() || sent.extra.contains_key(name),
                name => sent.extra.contains_key(name),
            };
            let Some(name) = self.refuses.iter().find(|name| is_sent(name)) else {
                return Ok(ChatResponse::new("an answer"));
            };
            let mut context = vec![("parameter", *name)];
            context.extend(self.instead.map(|instead| ("instead", instead)));
            Err(refusal(&context))
        }

        fn model(&self) -> &'static str {
            "test/picky"
        }
    }

    async fn ask_twice(
        refuses: &'static [&'static str],
        instead: Option<&'static str>,
        request: ChatRequest,
    ) -> (Result<ChatResponse>, Vec<Parameters>, Vec<String>) {
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&warnings);
        let model = Picky {
            refuses,
            instead,
            asked: Mutex::default(),
        };
        let client = ParameterFallback::new(model).on_warning(Arc::new(move |warning: &str| {
            heard.lock().unwrap().push(warning.to_owned());
        }));
        let _ = client.complete(&request).await;
        let result = client.complete(&request).await;
        let asked = client.inner.asked.lock().unwrap().clone();
        let warnings = warnings.lock().unwrap().clone();
        (result, asked, warnings)
    }

    #[tokio::test]
    async fn what_is_refused_is_left_out_and_told_once() {
        let request = with(Some(0.7), Some(50), &["seed", "top_p"]);
        let (result, asked, warnings) = ask_twice(&["temperature", "seed"], None, request).await;
        assert!(result.is_ok());
        assert_eq!(asked.len(), 4);
        let last = with(None, Some(50), &["top_p"]);
        assert_eq!(asked[2], *last.parameters);
        assert_eq!(asked[3], *last.parameters);
        assert_eq!(
            warnings,
            [
                "test/picky refuses `temperature`; it is left out from now on",
                "test/picky refuses `seed`; it is left out from now on",
            ]
        );
    }

    #[tokio::test]
    async fn the_output_limit_is_renamed_and_never_left_out() {
        let request = with(None, Some(50), &[]);
        let instead = Some("max_completion_tokens");
        let (result, asked, warnings) = ask_twice(&["max_tokens"], instead, request.clone()).await;
        assert!(result.is_ok());
        assert_eq!(asked.len(), 3);
        assert_eq!(asked[2].extra("max_completion_tokens"), Some(&json!(50)));
        assert_eq!(asked[2].max_tokens, None);
        assert_eq!(
            warnings,
            ["test/picky refuses `max_tokens`; it is sent as `max_completion_tokens` from now on"]
        );

        // A limit that is too large is the caller's to change.
        let (result, asked, warnings) = ask_twice(&["max_tokens"], None, request).await;
        assert_eq!(result.unwrap_err().kind(), ErrorKind::BadRequest);
        assert_eq!((asked.len(), warnings.len()), (2, 0));
    }

    #[test]
    fn a_refusal_of_something_else_changes_nothing() {
        let request = with(Some(0.7), None, &["stop"]);
        assert!(change(&refusal(&[("parameter", "temperature")]), &request).is_some());
        assert!(change(&refusal(&[("parameter", "logprobs")]), &request).is_none());
        assert!(change(&refusal(&[]), &request).is_none());
        let of_the_key = Error::new(ErrorKind::Auth, "no").with_context("parameter", "temperature");
        assert!(change(&of_the_key, &request).is_none());
    }
}
