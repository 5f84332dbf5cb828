//! Brings every situation about with a server that plays the provider.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use topicloom::LlmClient;
use topicloom::testing::conformance::{self, LlmBackend, Report, Scene, Situation};

use crate::server::{ProviderServer, ServedAnswer, ServerFault, Wire};

/// Long enough that nobody waits for it.
const NEVER: Duration = Duration::from_secs(24 * 60 * 60);

/// Checks a client for one of the wire formats that the server speaks, over real sockets. `make` creates the client for a
/// base URL; it has to use `key` as its key.
pub(crate) async fn checked(
    wire: Wire,
    key: &str,
    make: impl Fn(&str) -> Arc<dyn LlmClient>,
) -> io::Result<Report> {
    let answering = serve(wire, "{\"answer\": \"yes\"}".into(), Duration::ZERO).await?;
    let mut backend = LlmBackend::new(scene(answering, &make)).secret(key);
    for situation in Situation::all() {
        let delay = Duration::from_millis(1_500);
        let (situation, answer, wait) = match situation {
            Situation::RateLimited(_) => (
                Situation::RateLimited(Some(delay)),
                ServerFault::RateLimited(Some(delay)).into(),
                Duration::ZERO,
            ),
            Situation::Hanging => (situation, "too late".into(), NEVER),
            situation => (situation, answer(situation), Duration::ZERO),
        };
        let server = serve(wire, answer, wait).await?;
        backend = backend.situation(situation, scene(server, &make));
    }
    Ok(conformance::llm(&backend).await)
}

fn answer(situation: Situation) -> ServedAnswer {
    match situation {
        Situation::RateLimited(delay) => ServerFault::RateLimited(delay).into(),
        Situation::NoCredit => ServerFault::NoCredit.into(),
        Situation::BadKey => ServerFault::BadKey.into(),
        Situation::UnknownModel => ServerFault::UnknownModel.into(),
        Situation::Overloaded => ServerFault::Overloaded.into(),
        Situation::Disconnected => ServerFault::CutOff.into(),
        Situation::Malformed => ServerFault::Malformed.into(),
        Situation::Empty => ServerFault::EmptyBody.into(),
        Situation::ContextLength => ServerFault::ContextLength.into(),
        Situation::SchemaRefused => ServerFault::SchemaRefused.into(),
        Situation::CutOff => ServedAnswer::CutOff("{\"answer\": \"y".to_owned()),
        Situation::Refusal => ServedAnswer::Refusal,
        Situation::Filtered => ServedAnswer::Filtered,
        Situation::Hanging => "{}".into(),
        other => panic!("the server cannot bring about {other:?}"),
    }
}

async fn serve(
    wire: Wire,
    answer: ServedAnswer,
    delay: Duration,
) -> io::Result<Arc<ProviderServer>> {
    let server = ProviderServer::builder(wire, move |_: &_| answer.clone())
        .delay(delay)
        .start()
        .await?;
    Ok(Arc::new(server))
}

fn scene(server: Arc<ProviderServer>, make: impl Fn(&str) -> Arc<dyn LlmClient>) -> Scene {
    let (calls, in_flight) = (Arc::clone(&server), Arc::clone(&server));
    Scene::new(make(&server.base_url()))
        .calls(move || calls.calls())
        .in_flight(move || in_flight.in_flight() as u64)
        .keep(server)
}
