//! Diversity: how much a topic has left to say, what a prompt shows so that less is repeated, and how diverse
//! the result is.
//!
//! Four pure parts, fed in the order in which answers are settled:
//!
//! - [`Sightings`] counts what was new and what was repeated, and says when a topic is saturated;
//! - [`Steering`] learns how many records a prompt is to show as not to be repeated, and [`AvoidMemory`] chooses them;
//! - [`Metrics`] measures the accepted records as they come.

mod avoid;
mod delayed_steering;
mod examples;
mod kept;
mod metrics;
mod neighbours;
mod prompt_memory;
mod saturation;
mod steering;
mod words;

pub use avoid::{AvoidBudget, AvoidMemory};
pub(crate) use delayed_steering::DelayedSteering;
pub(crate) use examples::{EXAMPLES, ExampleChoice};
pub use metrics::{DiversityReport, Metrics, Spread, Window};
pub use neighbours::vendi;
pub(crate) use prompt_memory::{PromptMemory, Repeat, excerpt, parrots, shown_of};
pub use saturation::{Saturated, Sightings};
pub use steering::{Brought, Steering};
