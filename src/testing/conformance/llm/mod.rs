//! What a model backend promises.

mod checks;
mod over_http;
mod situation;

use std::sync::Arc;

pub use situation::{Scene, Situation};

use super::Report;
use crate::llm::LlmClient;

/// A model backend to be checked by [`llm`]: a client that answers, and clients in trouble.
///
/// Only the answering client is needed. Each situation you can bring about (a fake backend that rate-limits, a
/// wrong key) is given as a client whose next calls fall into it; what is not given is skipped and reported so.
///
/// ```
/// use topicloom::testing::conformance::{self, LlmBackend, Scene, Situation};
/// use topicloom::testing::{ScriptedAnswer, scripted};
/// use topicloom::{Error, ErrorKind};
/// # use async_trait::async_trait;
/// # use topicloom::llm::{ChatRequest, ChatResponse, LlmClient};
/// # #[derive(Debug)]
/// # struct MyClient;
/// # #[async_trait]
/// # impl LlmClient for MyClient {
/// #     async fn complete(&self, _: &ChatRequest) -> topicloom::Result<ChatResponse> {
/// #         Ok(ChatResponse::new("{}"))
/// #     }
/// #     fn model(&self) -> &str { "own/model" }
/// # }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let backend = LlmBackend::new(Scene::new(MyClient));
/// let report = conformance::llm(&backend).await;
/// report.assert_kept();
/// assert!(report.skipped().any(|(case, _)| case.contains("no credit")));
/// # }
/// ```
#[derive(Debug)]
pub struct LlmBackend {
    answering: Scene,
    situations: Vec<(Situation, Scene)>,
    secrets: Vec<String>,
}

impl LlmBackend {
    /// Starts with a client that answers every call.
    #[must_use]
    pub fn new(answering: Scene) -> Self {
        Self {
            answering,
            situations: Vec::new(),
            secrets: Vec::new(),
        }
    }

    /// Adds a client whose calls fall into this situation.
    #[must_use]
    pub fn situation(mut self, situation: Situation, scene: Scene) -> Self {
        self.situations.push((situation, scene));
        self
    }

    /// Names a secret, such as the key in use, that nothing may show.
    #[must_use]
    pub fn secret(mut self, secret: impl Into<String>) -> Self {
        self.secrets.push(secret.into());
        self
    }
}

/// Checks the promises that [`LlmClient`] asks of its implementors.
///
/// The client's name is a good one, plain and structured requests are answered, also many at once, usage is
/// counted; and for each [`Situation`] that was given: the call is made once, its failure is of the right kind,
/// retry and fatality, what was paid for comes back as an answer, a dropped call stops, and neither the secrets nor
/// the prompt are shown.
///
/// Run it in a test of your own, and call [`Report::assert_kept`] on what it returns. Calls that should take no time
/// are given 10 s before they count as stuck.
pub async fn llm(backend: &LlmBackend) -> Report {
    let mut report = Report::default();
    let secrets = checks::Secrets::new(&backend.secrets);
    checks::answering(&backend.answering, &secrets, &mut report).await;
    for situation in Situation::all() {
        let given = backend
            .situations
            .iter()
            .find(|(given, _)| given.name() == situation.name());
        match given {
            Some((given, scene)) => checks::situation(given, scene, &secrets, &mut report).await,
            None => report.skip(situation.name(), "no client was given for it"),
        }
    }
    report
}

/// Checks a client for one of the wire formats that [`ProviderServer`](crate::testing::ProviderServer) speaks in every
/// situation, over real sockets. `make` creates the client for a base URL; it has to use `key` as its key.
///
/// # Errors
///
/// Where no port of the loopback device can be had.
pub async fn llm_over_http(
    wire: crate::testing::Wire,
    key: &str,
    make: impl Fn(&str) -> Arc<dyn LlmClient>,
) -> std::io::Result<Report> {
    Ok(llm(&over_http::backend(wire, key, make).await?).await)
}
