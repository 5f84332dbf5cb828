//! Longer texts: how the library works, and why it works that way.
//!
//! They are the files of the `docs` folder, here so that their code is compiled and their links are checked.

#[doc = include_str!("../docs/getting-started.md")]
#[cfg(feature = "testing")]
pub mod getting_started {}

#[doc = include_str!("../docs/extending.md")]
pub mod extending {}

#[doc = include_str!("../docs/concepts.md")]
pub mod concepts {}

#[doc = include_str!("../docs/architecture.md")]
pub mod architecture {}

#[doc = include_str!("../docs/input.md")]
pub mod input {}

#[doc = include_str!("../docs/starting-points.md")]
pub mod starting_points {}

#[doc = include_str!("../docs/kinds.md")]
pub mod kinds {}

#[doc = include_str!("../docs/output.md")]
pub mod output {}

#[doc = include_str!("../docs/provenance.md")]
pub mod provenance {}

#[doc = include_str!("../docs/observing.md")]
pub mod observing {}

#[doc = include_str!("../docs/looking.md")]
pub mod looking {}

#[doc = include_str!("../docs/models.md")]
pub mod models {}

#[doc = include_str!("../docs/faults.md")]
pub mod faults {}

#[doc = include_str!("../docs/answers.md")]
pub mod answers {}

#[doc = include_str!("../docs/deduplication.md")]
pub mod deduplication {}

#[doc = include_str!("../docs/diversity.md")]
pub mod diversity {}

#[doc = include_str!("../docs/limits.md")]
pub mod limits {}
