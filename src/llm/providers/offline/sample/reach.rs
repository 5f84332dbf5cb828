//! How deep the smallest value of a schema nests, so that recursion can be brought to an end.

use std::collections::HashMap;

use serde_json::Value;

use super::facets::count;
use super::refusal::resolve;

/// Values that nest deeper than this are not looked for.
const FAR: u32 = 10;

/// Knows, for each schema, how deep its smallest value nests.
#[derive(Debug)]
pub(super) struct Reach<'s> {
    root: &'s Value,
    known: HashMap<(*const Value, u32), bool>,
}

impl<'s> Reach<'s> {
    pub(super) fn new(root: &'s Value) -> Self {
        Self {
            root,
            known: HashMap::new(),
        }
    }

    /// Returns the branch whose smallest value nests the least.
    pub(super) fn nearest(&mut self, branches: &'s [Value]) -> usize {
        let depths = branches.iter().map(|branch| self.depth(branch));
        let nearest = depths.enumerate().min_by_key(|(_, depth)| *depth);
        nearest.map_or(0, |(index, _)| index)
    }

    fn depth(&mut self, schema: &'s Value) -> u32 {
        (1..FAR)
            .find(|depth| self.ends_within(schema, *depth))
            .unwrap_or(FAR)
    }

    /// Whether some value of the schema nests at most this deep; references count as a level too.
    fn ends_within(&mut self, schema: &'s Value, depth: u32) -> bool {
        let Value::Object(map) = schema else {
            return schema != &Value::Bool(false);
        };
        if depth == 0 {
            return false;
        }
        let key = (std::ptr::from_ref(schema), depth);
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        // Branches stand beside their schema, so a loop through them alone must end here.
        self.known.insert(key, false);
        let mut ends = true;
        for (keyword, value) in map {
            ends = ends
                && match (keyword.as_str(), value) {
                    ("$ref", Value::String(reference)) => resolve(self.root, reference)
                        .is_some_and(|target| self.ends_within(target, depth - 1)),
                    ("allOf", Value::Array(parts)) => {
                        parts.iter().all(|part| self.ends_within(part, depth))
                    }
                    ("anyOf" | "oneOf", Value::Array(branches)) => branches
                        .iter()
                        .any(|branch| self.ends_within(branch, depth)),
                    ("required", Value::Array(names)) => names
                        .iter()
                        .filter_map(|name| map.get("properties")?.get(name.as_str()?))
                        .all(|property| self.ends_within(property, depth - 1)),
                    ("items", items) if count(map, "minItems").is_some_and(|min| min > 0) => {
                        self.ends_within(items, depth - 1)
                    }
                    _ => true,
                };
        }
        self.known.insert(key, ends);
        ends
    }
}
