//! Topics: what they are, and where they come from.

mod name;

pub use name::{Topic, normalised_name};
