//! A thousand calls to servers that break a good many of them.

use std::sync::Arc;
use std::time::Duration;

use crate::server::{ProviderServer, Question, ServerFault};
use futures::StreamExt as _;
use topicloom::LlmClient;
use topicloom::llm::Usage;
use topicloom::llm::layers::Retrying;

use crate::common::{WIRES, client, text};

#[tokio::test]
async fn every_call_is_answered_in_the_end_and_every_further_call_explained() {
    const CALLS: u64 = 1_000;
    for wire in WIRES {
        let limit = ServerFault::RateLimited(Some(Duration::from_millis(2)));
        let server = ProviderServer::builder(wire, |question: &Question<'_>| {
            format!("answer to {}", question.prompt().len())
        })
        .fault(limit.clone(), 0.05)
        .fault(ServerFault::ServerError, 0.05)
        .fault(ServerFault::Malformed, 0.05)
        .fault(ServerFault::CutOff, 0.01)
        .fault(ServerFault::HungUp, 0.01)
        .fault(ServerFault::ErrorInSuccess, 0.01)
        .seed(7)
        .start()
        .await
        .unwrap();
        let client = client(wire, &server.base_url());
        let client = Arc::new(
            Retrying::new(client)
                // Nearly a fifth of the attempts fail: eight in a row do in one run of this test in three hundred.
                .max_attempts(20)
                .backoff(Duration::from_millis(1), Duration::from_millis(4)),
        );
        let answers: Vec<_> = futures::stream::iter(0..CALLS)
            .map(|call| {
                let client = Arc::clone(&client);
                async move { client.complete(&text(&format!("prompt {call}"))).await }
            })
            .buffer_unordered(16)
            .collect()
            .await;
        let books = server.books();
        let usage: Usage = answers
            .into_iter()
            .map(|answer| answer.expect("retries outlast the faults").usage)
            .sum();
        assert_eq!(books.answers, CALLS);
        assert_eq!(books.calls, CALLS + books.broken());
        assert!(
            books.broken_by(&limit) > 20 && books.broken() > 100,
            "{books:?}"
        );
        // What the client was told it used is what the server put on the bill.
        assert_eq!(usage, books.usage);
        assert!(books.peak_concurrency <= 16, "{books:?}");
    }
}
