//! Models driven by a test, and the conformance kits for each plug point.

pub mod conformance;
mod faulty;
mod gauge;
mod mock;
mod schedule;
mod scripted;
mod server;
pub mod simulator;

pub use faulty::{FaultyBooks, FaultyCounts, FaultyModel};
pub use mock::{Call, HungCall, MockHandle, MockLlm, mock_llm};
pub use scripted::{ScriptedAnswer, ScriptedLlm, scripted};
pub use server::{
    ProviderServer, ProviderServerBuilder, Question, RawReply, ServedAnswer, ServerBooks,
    ServerFault, Wire,
};

pub use schedule::simulate_schedule;
