//! Models driven by a test, and the conformance kits for each plug point.

pub mod conformance;
mod faulty;
mod gauge;
mod mock;
mod schedule;
mod scripted;

pub use faulty::{FaultyBooks, FaultyCounts, FaultyModel};
pub use mock::{Call, HungCall, MockHandle, MockLlm, mock_llm};
pub use scripted::{ScriptedAnswer, ScriptedLlm, scripted};

pub use schedule::simulate_schedule;

/// Reads the body of a successful answer as the provider clients do, whatever its format, to test a gateway of your own
/// or to fuzz the reading. Returns nothing where there is no answer in it.
///
/// ```
/// use topicloom::llm::ChatRequest;
///
/// let body = br#"{"choices": [{"message": {"content": "hi"}}], "usage": null}"#;
/// let answer = topicloom::testing::read_answer(body, &ChatRequest::default());
/// assert_eq!(answer.expect("there is a text").text, "hi");
/// ```
#[cfg(feature = "providers")]
#[must_use]
pub fn read_answer(
    body: &[u8],
    request: &crate::llm::ChatRequest,
) -> Option<crate::llm::ChatResponse> {
    crate::llm::providers::read_body(body, request)
}
