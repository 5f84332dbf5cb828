//! Every way in which a provider or a gateway breaks a call, done by a real server.

use std::time::Duration;

use crate::server::{ProviderServer, ServedAnswer, ServerFault, Wire};
use topicloom::llm::providers::{ClientOptions, http_client_builder};
use topicloom::llm::{FinishReason, OutputMode};
use topicloom::{Error, ErrorKind, LlmClient, Retry};

use crate::common::{KEY, WIRES, client, client_with, structured, text};

/// Breaks the first call, and returns how it failed.
async fn failure(wire: Wire, fault: ServerFault) -> Error {
    let server = ProviderServer::builder(wire, |_: &_| "{}")
        .first([fault.clone()])
        .start()
        .await
        .unwrap();
    let client = client(wire, &server.base_url());
    let request = structured("a prompt", OutputMode::Strict);
    let error = client
        .complete(&request)
        .await
        .expect_err("the server breaks the call");
    assert_eq!(server.books().broken_by(&fault), 1);
    // One attempt is one call, whatever happens to it.
    assert_eq!(server.calls(), 1);
    // The next call does not suffer from it.
    assert!(
        client.complete(&request).await.is_ok(),
        "{wire:?} {fault:?}"
    );
    error
}

#[tokio::test]
async fn every_fault_is_told_apart() {
    use ErrorKind as Kind;
    let after = |millis| Retry::After(Duration::from_millis(millis));
    for wire in WIRES {
        for (fault, kind, retry, fatal) in [
            (
                ServerFault::RateLimited(Some(Duration::from_millis(1_500))),
                Kind::RateLimited,
                after(1_500),
                false,
            ),
            (
                ServerFault::RateLimited(None),
                Kind::RateLimited,
                Retry::Backoff,
                false,
            ),
            (ServerFault::NoCredit, Kind::Quota, Retry::Never, true),
            (ServerFault::BadKey, Kind::Auth, Retry::Never, true),
            (
                ServerFault::UnknownModel,
                Kind::UnknownModel,
                Retry::Never,
                true,
            ),
            (
                ServerFault::ContextLength,
                Kind::ContextLength,
                Retry::Never,
                false,
            ),
            (
                ServerFault::SchemaRefused,
                Kind::SchemaRefused,
                Retry::Never,
                true,
            ),
            (
                ServerFault::ServerError,
                Kind::Overloaded,
                Retry::Backoff,
                false,
            ),
            (
                ServerFault::Overloaded,
                Kind::Overloaded,
                Retry::Backoff,
                false,
            ),
            (
                ServerFault::ErrorInSuccess,
                Kind::Overloaded,
                Retry::Backoff,
                false,
            ),
            (
                ServerFault::Malformed,
                Kind::Malformed,
                Retry::Backoff,
                false,
            ),
            (
                ServerFault::OtherJson,
                Kind::Malformed,
                Retry::Backoff,
                false,
            ),
            (ServerFault::EmptyBody, Kind::Empty, Retry::Backoff, false),
            (ServerFault::WebPage, Kind::Malformed, Retry::Backoff, false),
            (
                ServerFault::BadGateway,
                Kind::Overloaded,
                Retry::Backoff,
                false,
            ),
            (ServerFault::CutOff, Kind::Network, Retry::Backoff, false),
            (ServerFault::CutChunks, Kind::Network, Retry::Backoff, false),
            (ServerFault::HungUp, Kind::Network, Retry::Backoff, false),
            (
                ServerFault::TooLong(9 * 1024 * 1024),
                Kind::Malformed,
                Retry::Backoff,
                false,
            ),
        ] {
            let error = failure(wire, fault.clone()).await;
            let found = (error.kind(), error.retry(), error.is_fatal());
            assert_eq!(found, (kind, retry, fatal), "{wire:?} {fault:?}: {error:?}");
        }
    }
}

#[tokio::test]
async fn what_only_looks_broken_is_read() {
    for wire in WIRES {
        for fault in [
            ServerFault::WrongContentType,
            ServerFault::KeepAlive(Duration::from_millis(4)),
            ServerFault::Slow(Duration::from_millis(4)),
        ] {
            let server = ProviderServer::builder(wire, |_: &_| "an answer")
                .first([fault.clone()])
                .start()
                .await
                .unwrap();
            let answer = client(wire, &server.base_url())
                .complete(&text("a prompt"))
                .await
                .unwrap();
            assert_eq!(answer.text, "an answer", "{wire:?} {fault:?}");
            assert_eq!(answer.usage, server.books().usage);
        }
    }
}

#[tokio::test]
async fn what_was_paid_for_is_an_answer_however_it_ended() {
    for wire in WIRES {
        for (served, finish) in [
            (
                ServedAnswer::CutOff("{\"a".to_owned()),
                FinishReason::Length,
            ),
            (ServedAnswer::Filtered, FinishReason::ContentFilter),
            (ServedAnswer::Refusal, FinishReason::Refusal),
        ] {
            let cloned = served.clone();
            let server = ProviderServer::start(wire, move |_: &_| cloned.clone())
                .await
                .unwrap();
            let answer = client(wire, &server.base_url())
                .complete(&text("a prompt"))
                .await
                .unwrap();
            let finish = match (wire, finish) {
                // Anthropic calls both a refusal, and Gemini both a matter of safety.
                (Wire::Anthropic, FinishReason::ContentFilter) => FinishReason::Refusal,
                (Wire::Gemini, FinishReason::Refusal) => FinishReason::ContentFilter,
                (_, finish) => finish,
            };
            assert_eq!(answer.finish_reason, finish, "{wire:?} {served:?}");
            assert!(answer.usage.input_tokens > 0);
        }
    }
}

#[tokio::test]
async fn a_body_over_the_callers_limit_is_not_read() {
    let long = "x".repeat(4_096);
    for wire in WIRES {
        let long = long.clone();
        let server = ProviderServer::start(wire, move |_: &_| long.clone())
            .await
            .unwrap();
        let options = ClientOptions::new()
            .base_url(server.base_url())
            .api_key(KEY)
            .body_limit(4_096);
        let error = client_with(wire, options)
            .complete(&text("a prompt"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Malformed, "{wire:?}");
    }
}

#[tokio::test]
async fn a_redirect_within_one_server_is_followed_with_the_request() {
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let server = ProviderServer::builder(wire, |_: &_| "an answer")
            .first([ServerFault::Redirect("?again".to_owned())])
            .start()
            .await
            .unwrap();
        let answer = client(wire, &server.base_url())
            .complete(&text("a prompt"))
            .await
            .unwrap();
        assert_eq!(answer.text, "an answer", "{wire:?}");
        assert_eq!(server.calls(), 2);
    }
}

#[tokio::test]
async fn a_redirect_elsewhere_is_not_followed_and_the_key_stays_here() {
    for wire in WIRES {
        let elsewhere = ProviderServer::start(wire, |_: &_| "caught").await.unwrap();
        let server = ProviderServer::builder(wire, |_: &_| "an answer")
            .first([ServerFault::Redirect(elsewhere.base_url())])
            .start()
            .await
            .unwrap();
        let error = client(wire, &server.base_url())
            .complete(&text("a prompt"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config, "{wire:?}");
        assert!(error.is_fatal());
        let told = error.context().find(|(name, _)| *name == "redirects_to");
        let (_, origin) = told.expect("it is told where it would lead");
        assert!(elsewhere.base_url().starts_with(origin), "{origin}");
        assert_eq!(elsewhere.books().connections, 0);
    }
}

#[tokio::test]
async fn nobody_listening_is_a_matter_of_the_network() {
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for wire in WIRES {
        let error = client(wire, &format!("http://{gone}/v1"))
            .complete(&text("a prompt"))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Network);
        assert_eq!(error.retry(), Retry::Backoff);
    }
}

#[tokio::test]
async fn dropping_a_call_hangs_up() {
    for wire in WIRES {
        let server = ProviderServer::builder(wire, |_: &_| "too late")
            .delay(Duration::from_secs(3_600))
            .start()
            .await
            .unwrap();
        let client = client(wire, &server.base_url());
        let request = text("a prompt");
        let mut call = Box::pin(client.complete(&request));
        while server.in_flight() == 0 {
            tokio::select! {
                _ = &mut call => panic!("the server does not answer"),
                () = tokio::task::yield_now() => {}
            }
        }
        drop(call);
        while server.books().abandoned == 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(server.in_flight(), 0);
    }
}

#[tokio::test]
async fn a_callers_own_time_limit_is_a_time_out() {
    let server = ProviderServer::builder(Wire::OpenAi, |_: &_| "too late")
        .delay(Duration::from_secs(3_600))
        .start()
        .await
        .unwrap();
    let own = http_client_builder()
        .timeout(Duration::from_millis(20))
        .build()
        .unwrap();
    let options = ClientOptions::new()
        .base_url(server.base_url())
        .api_key(KEY)
        .http_client(own);
    let error = client_with(Wire::OpenAi, options)
        .complete(&text("a prompt"))
        .await
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
}

#[tokio::test]
async fn connections_are_kept_and_shared_by_all_clients() {
    let server = ProviderServer::start(Wire::OpenAi, |_: &_| "an answer")
        .await
        .unwrap();
    for _ in 0..5 {
        let client = client(Wire::OpenAi, &server.base_url());
        client.complete(&text("a prompt")).await.unwrap();
    }
    let books = server.books();
    assert_eq!((books.calls, books.connections), (5, 1));
}

#[tokio::test]
async fn announced_limits_reach_answer_and_error() {
    for (wire, names) in [
        (
            Wire::OpenAi,
            ["x-ratelimit-limit-requests", "x-ratelimit-remaining-tokens"],
        ),
        (
            Wire::Anthropic,
            [
                "anthropic-ratelimit-requests-limit",
                "anthropic-ratelimit-tokens-remaining",
            ],
        ),
    ] {
        let mut builder = ProviderServer::builder(wire, |_: &_| "an answer")
            .first([ServerFault::RateLimited(None)])
            .header(names[0], "500")
            .header(names[1], "77");
        if wire == Wire::Anthropic {
            builder = builder.header("anthropic-ratelimit-tokens-limit", "100");
        }
        let server = builder.start().await.unwrap();
        let client = client(wire, &server.base_url());
        let error = client.complete(&text("a prompt")).await.unwrap_err();
        let answer = client.complete(&text("a prompt")).await.unwrap();
        for rate in [error.rate().copied(), answer.rate] {
            let rate = rate.expect("the server announces its limits");
            assert_eq!(rate.requests_limit, Some(500));
            assert_eq!(rate.tokens_remaining, Some(77));
        }
    }
}
