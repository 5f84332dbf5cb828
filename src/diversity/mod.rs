//! Diversity: how much a topic has left to say, what a prompt shows so that less is repeated, and how diverse
//! the result is.
//!
//! Three pure parts, fed in the order in which answers are settled:
//!
//! - [`Sightings`] counts what was new and what was repeated, and says when a topic is dry;
//! - [`AvoidMemory`] chooses the records that a prompt shows as not to be repeated;
//! - [`Metrics`] measures the accepted records as they come.

mod avoid;
mod distinct;
mod kept;
mod metrics;
mod neighbours;
mod prompt_memory;
mod saturation;
mod words;

pub use avoid::{AvoidBudget, AvoidMemory};
pub use metrics::{DiversityReport, Metrics, Spread, Window};
pub use neighbours::vendi;
pub(crate) use prompt_memory::{PromptMemory, excerpt};
pub use saturation::{Dry, Patience, Saturation, Sightings};
