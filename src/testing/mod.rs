//! Models driven by a test, and the conformance kits for each plug point.

pub mod conformance;
