//! Writes out references and `allOf`, so that a schema says everything itself.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{Compiler, Compiling};
use crate::schema::dialect::RefusalReason;
use crate::schema::dialect::merge::{Merged, cost, merge, with_enum};
use crate::schema::traverse;

/// A schema that says everything itself, or a reference that stays one.
#[derive(Debug)]
pub(super) enum Flat {
    Any,
    Never,
    /// A reference to keep, and what is said about it here.
    Reference(String, Option<String>),
    /// Keywords without `$ref`, `allOf`, and what no provider reads.
    Schema(Map<String, Value>),
}

/// Keywords that constrain nothing.
const ANNOTATIONS: [&str; 16] = [
    "$schema",
    "$id",
    "$anchor",
    "$dynamicAnchor",
    "$comment",
    "$vocabulary",
    "$defs",
    "definitions",
    "title",
    "default",
    "examples",
    "example",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentSchema",
];

impl Compiler<'_> {
    /// Flattens `source`. `open` holds the references being written out; with `whole`, the first one met is
    /// written out too.
    pub(super) fn flatten(
        &mut self,
        source: &Value,
        path: &str,
        open: &mut Vec<String>,
        whole: bool,
    ) -> Compiling<Flat> {
        let map = match source {
            Value::Object(map) => map,
            Value::Bool(false) => return Ok(Flat::Never),
            _ => return Ok(Flat::Any),
        };
        let mut own: Map<String, Value> = map
            .iter()
            .filter(|(keyword, _)| !ANNOTATIONS.contains(&keyword.as_str()))
            .filter(|(keyword, _)| !matches!(keyword.as_str(), "$ref" | "allOf"))
            .map(|(keyword, value)| (keyword.clone(), value.clone()))
            .collect();
        self.charge(own.values().map(traverse::size).sum(), path)?;
        own = with_enum(own);
        let parts = traverse::list(map, "allOf");
        let mut says_anything = !own.is_empty();
        if let Some(Value::String(reference)) = map.get("$ref") {
            let description = own.get("description").and_then(Value::as_str);
            let alone = parts.is_empty() && own.len() == usize::from(description.is_some());
            if self.keeps_reference(reference, alone && !whole, path)? {
                return Ok(Flat::Reference(
                    reference.clone(),
                    description.map(str::to_owned),
                ));
            }
            match self.write_out(reference, path, open)? {
                Flat::Never => return Ok(Flat::Never),
                Flat::Schema(target) => {
                    says_anything = true;
                    match self.merged(own, target, path)? {
                        Some(both) => own = both,
                        None => return Ok(Flat::Never),
                    }
                }
                Flat::Any | Flat::Reference(..) => {}
            }
        }
        for part in parts {
            match self.flatten(part, path, open, true)? {
                Flat::Never => return Ok(Flat::Never),
                Flat::Schema(part) => {
                    says_anything = true;
                    match self.merged(own, part, path)? {
                        Some(both) => own = both,
                        None => return Ok(Flat::Never),
                    }
                }
                Flat::Any | Flat::Reference(..) => {}
            }
        }
        Ok(if says_anything {
            Flat::Schema(own)
        } else {
            Flat::Any
        })
    }

    fn merged(
        &mut self,
        first: Map<String, Value>,
        second: Map<String, Value>,
        path: &str,
    ) -> Compiling<Option<Map<String, Value>>> {
        self.charge(cost(&first, &second), path)?;
        Ok(match merge(first, second) {
            Merged::Never => None,
            Merged::Schema(map, left_out) => {
                for keyword in left_out {
                    self.check_locally(path, &keyword);
                }
                Some(map)
            }
        })
    }

    /// Books what is about to be copied, or was.
    fn charge(&mut self, values: usize, path: &str) -> Compiling<()> {
        self.copied = self.copied.saturating_add(values);
        if self.copied > super::MAX_COPIED {
            return Err(self.too_large(path));
        }
        Ok(())
    }

    fn write_out(
        &mut self,
        reference: &str,
        path: &str,
        open: &mut Vec<String>,
    ) -> Compiling<Flat> {
        if open.iter().any(|known| known == reference) || open.len() > super::MAX_DEPTH {
            let message = "refers to itself with nothing in between";
            return Err(self.refuse(path, RefusalReason::Recursion, message));
        }
        let Some(target) = traverse::resolve(self.root, reference) else {
            return Err(self.refuse(path, RefusalReason::Unsayable, "refers to nothing"));
        };
        open.push(reference.to_owned());
        let flat = self.flatten(target, path, open, true)?;
        open.pop();
        Ok(flat)
    }

    /// Returns whether a reference stays one here.
    fn keeps_reference(&mut self, reference: &str, may: bool, path: &str) -> Compiling<bool> {
        let is_recursive = self.is_recursive(reference);
        if is_recursive && !self.rules.recursion {
            let message = "refers to itself, which this dialect does not know";
            return Err(self.refuse(path, RefusalReason::Recursion, message));
        }
        Ok(may && (self.rules.references || is_recursive))
    }

    /// Returns whether following `reference` leads back to it.
    fn is_recursive(&mut self, reference: &str) -> bool {
        if let Some(known) = self.recursive.get(reference) {
            return *known;
        }
        let mut seen = HashSet::new();
        let mut open = vec![reference.to_owned()];
        let mut leads_back = false;
        while let Some(next) = open.pop() {
            let Some(target) = traverse::resolve(self.root, &next) else {
                continue;
            };
            traverse::each_used(target, &mut |_, map| {
                if let Some(Value::String(found)) = map.get("$ref") {
                    leads_back |= found == reference;
                    if seen.insert(found.clone()) {
                        open.push(found.clone());
                    }
                }
            });
        }
        self.recursive.insert(reference.to_owned(), leads_back);
        leads_back
    }
}
