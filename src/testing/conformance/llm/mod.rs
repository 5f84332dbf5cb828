//! What a model backend promises.

mod checks;
mod situation;

pub use situation::{Scene, Situation};

use super::Report;

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

/// Checks the promises that [`LlmClient`](crate::llm::LlmClient) asks of its implementors.
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
            Some((given, scene)) => checks::situation(*given, scene, &secrets, &mut report).await,
            None => report.skip(situation.name(), "no client was given for it"),
        }
    }
    report
}

#[cfg(test)]
mod tests {
    use std::fmt;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    use async_trait::async_trait;

    use super::*;
    use crate::error::{Error, ErrorKind, Result, Retry};
    use crate::llm::{
        Capabilities, ChatRequest, ChatResponse, FinishReason, LlmClient, OutputMode, Usage,
    };
    use crate::schema::Dialect;

    /// What a client does, and the calls that reached its backend.
    type Act = dyn Fn(&ChatRequest) -> Result<ChatResponse> + Send + Sync;

    struct Client {
        name: &'static str,
        debug: &'static str,
        modes: &'static [OutputMode],
        attempts: u64,
        act: Box<Act>,
        calls: Arc<AtomicU64>,
    }

    impl Client {
        fn new(act: impl Fn(&ChatRequest) -> Result<ChatResponse> + Send + Sync + 'static) -> Self {
            Self {
                name: "own/model",
                debug: "Client",
                modes: &[],
                attempts: 1,
                act: Box::new(act),
                calls: Arc::default(),
            }
        }

        fn good() -> Self {
            Self::new(|_| Ok(ChatResponse::new("{}").with_usage(Usage::new(8, 2))))
        }

        fn scene(self) -> Scene {
            let calls = Arc::clone(&self.calls);
            Scene::new(self).calls(move || calls.load(Ordering::Relaxed))
        }
    }

    impl fmt::Debug for Client {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.debug)
        }
    }

    #[async_trait]
    impl LlmClient for Client {
        async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
            self.calls.fetch_add(self.attempts, Ordering::Relaxed);
            (self.act)(request)
        }

        fn model(&self) -> &str {
            self.name
        }

        fn capabilities(&self) -> Capabilities {
            Capabilities::structured(self.modes, Dialect::Full)
        }
    }

    fn failing(kind: ErrorKind) -> Scene {
        Client::new(move |_| Err(Error::new(kind, "as it should be"))).scene()
    }

    fn ended(reason: FinishReason) -> Scene {
        Client::new(move |_| Ok(ChatResponse::new("").with_finish_reason(reason))).scene()
    }

    async fn broken(backend: LlmBackend) -> Vec<String> {
        let report = llm(&backend).await;
        report.broken().map(|(case, _)| case.to_owned()).collect()
    }

    #[tokio::test]
    async fn what_is_not_given_is_skipped_with_a_reason() {
        let report = llm(&LlmBackend::new(Client::good().scene())).await;
        report.assert_kept();
        assert_eq!(report.kept().count(), 6);
        assert_eq!(report.skipped().count(), 15);
        assert!(report.skipped().all(|(_, reason)| !reason.is_empty()));
    }

    #[tokio::test]
    async fn the_embedded_model_keeps_its_promises() {
        let model = crate::llm::OfflineModel::new("offline/loom");
        let report = llm(&LlmBackend::new(Scene::new(model))).await;
        report.assert_kept();
    }

    #[tokio::test]
    async fn each_flaw_of_an_answering_client_is_seen() {
        let with = |change: fn(&mut Client)| {
            let mut client = Client::good();
            change(&mut client);
            LlmBackend::new(client.scene()).secret("sk-1")
        };
        for (backend, case) in [
            (with(|it| it.name = "model"), "the model's name"),
            (with(|it| it.debug = "Client(sk-1)"), "debug output"),
            (with(|it| it.attempts = 2), "one call is one attempt"),
            (
                with(|it| it.act = Box::new(|_| Ok(ChatResponse::new("")))),
                "a plain request is answered",
            ),
            (
                with(|it| {
                    it.act = Box::new(|_| {
                        let mut usage = Usage::new(8, 2);
                        usage.reasoning_tokens = 3;
                        Ok(ChatResponse::new("{}").with_usage(usage))
                    });
                }),
                "usage is counted",
            ),
            (
                with(|it| {
                    it.modes = &[OutputMode::Schema];
                    it.act = Box::new(|_| Ok(ChatResponse::new("Sure! {}")));
                }),
                "structured output is JSON",
            ),
        ] {
            let broken = broken(backend).await;
            assert!(
                broken.len() == 1 && broken[0].starts_with(case),
                "{broken:?}"
            );
        }
    }

    #[tokio::test]
    async fn each_situation_is_told_from_the_others() {
        use Situation as S;
        let right = |situation: Situation| match situation {
            S::RateLimited(_) => failing(ErrorKind::RateLimited),
            S::NoCredit => failing(ErrorKind::Quota),
            S::BadKey => failing(ErrorKind::Auth),
            S::UnknownModel => failing(ErrorKind::UnknownModel),
            S::Overloaded => failing(ErrorKind::Overloaded),
            S::Disconnected => failing(ErrorKind::Network),
            S::Malformed => failing(ErrorKind::Malformed),
            S::Empty => failing(ErrorKind::Empty),
            S::ContextLength => failing(ErrorKind::ContextLength),
            S::CutOff => ended(FinishReason::Length),
            S::Refusal => ended(FinishReason::Refusal),
            S::Filtered => failing(ErrorKind::ContentFilter),
            S::SchemaRefused | S::Hanging => failing(ErrorKind::SchemaRefused),
        };
        for situation in Situation::all() {
            // These two need more than a failing client, and are skipped.
            if matches!(situation, S::SchemaRefused | S::Hanging) {
                continue;
            }
            let good = || LlmBackend::new(Client::good().scene());
            assert!(
                broken(good().situation(situation, right(situation)))
                    .await
                    .is_empty(),
                "{situation:?}"
            );
            for wrong in [Client::good().scene(), failing(ErrorKind::BadRequest)] {
                let broken = broken(good().situation(situation, wrong)).await;
                assert_eq!(broken, [situation.name()]);
            }
        }
    }

    #[tokio::test]
    async fn a_delay_that_is_lost_and_a_prompt_that_is_shown_are_seen() {
        let delay = Some(Duration::from_secs(2));
        let backend = LlmBackend::new(Client::good().scene())
            .situation(
                Situation::RateLimited(delay),
                failing(ErrorKind::RateLimited),
            )
            .situation(
                Situation::BadKey,
                Client::new(|request| {
                    let message = format!("refused: {}", request.last_text());
                    Err(Error::new(ErrorKind::Auth, message))
                })
                .scene(),
            )
            .situation(
                Situation::NoCredit,
                Client::new(|_| {
                    Err(Error::new(ErrorKind::Quota, "none left").with_retry(Retry::Backoff))
                })
                .scene(),
            );
        assert_eq!(
            broken(backend).await,
            ["a rate limit", "no credit", "a wrong key shows no secret"]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_outlives_its_future_is_seen() {
        #[derive(Debug)]
        struct GoesOn(Arc<AtomicU64>);
        #[async_trait]
        impl LlmClient for GoesOn {
            async fn complete(&self, _: &ChatRequest) -> Result<ChatResponse> {
                self.0.fetch_add(1, Ordering::Relaxed);
                std::future::pending().await
            }
            fn model(&self) -> &'static str {
                "own/goes-on"
            }
        }
        let in_flight = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&in_flight);
        let scene = Scene::new(GoesOn(in_flight)).in_flight(move || count.load(Ordering::Relaxed));
        let backend = LlmBackend::new(Client::good().scene()).situation(Situation::Hanging, scene);
        assert_eq!(broken(backend).await, ["a call that is dropped"]);
    }
}
