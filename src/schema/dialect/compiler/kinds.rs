//! Scalars and listed values in a dialect, and how constraints are said: natively or in words.

use serde_json::{Map, Value, json};

use super::{Compiler, Compiling, Part, describe, plain};
use crate::schema::constraint_text;
use crate::schema::dialect::plan::KEEP;
use crate::schema::types::{allow, names, type_of};

/// A constraint with no short words is quoted up to this length.
const MAX_QUOTED_CHARS: usize = 400;

/// Constraints by the type they hold for.
const OF_STRING: [&str; 6] = [
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "contentEncoding",
    "contentMediaType",
];
const OF_NUMBER: [&str; 5] = [
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "multipleOf",
];
pub(super) const OF_ARRAY: [&str; 7] = [
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "unevaluatedItems",
];
pub(super) const OF_OBJECT: [&str; 6] = [
    "minProperties",
    "maxProperties",
    "patternProperties",
    "propertyNames",
    "dependentRequired",
    "dependentSchemas",
];
/// Constraints that hold for every type, and that no dialect enforces. `then` and `else` are told with `if`.
const OF_ANY: [&str; 3] = ["not", "if", "unevaluatedProperties"];

impl Compiler<'_> {
    /// Compiles listed values, all of them scalars.
    pub(super) fn listed(&mut self, map: &Map<String, Value>, path: &str) -> Option<Part> {
        let types = map.get("type").map(names);
        let values: Vec<Value> = map
            .get("enum")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter(|value| {
                types
                    .as_ref()
                    .is_none_or(|types| allow(types, type_of(value)))
            })
            .cloned()
            .collect();
        let mut by_type: Vec<(&str, Vec<Value>)> = Vec::new();
        for value in values {
            let kind = type_of(&value);
            match by_type.iter_mut().find(|(known, _)| *known == kind) {
                Some((_, values)) => values.push(value),
                None => by_type.push((kind, vec![value])),
            }
        }
        let parts = by_type
            .into_iter()
            .map(|(kind, values)| {
                let mut part = plain(kind);
                let is_plain = kind != "boolean" && !values.contains(&"".into());
                if self.rules.plain_enums && !is_plain {
                    self.check_locally(path, "enum");
                    describe(&mut part, &constraint_text::one_of(&values));
                } else if kind != "null" {
                    part.schema.insert("enum".to_owned(), values.into());
                }
                part
            })
            .collect();
        let mut part = self.any_of(parts)?;
        // Bounds beside listed values say what the list says already, or leave less of it.
        for keyword in OF_STRING.iter().chain(&OF_NUMBER).chain(&OF_ANY) {
            if map.contains_key(*keyword) {
                self.check_locally(path, keyword);
            }
        }
        if let Some(text) = constraint_text::description(map) {
            describe(&mut part, &text);
        }
        Some(part)
    }

    /// Compiles a schema by its types, or by those its constraints are about.
    pub(super) fn typed(
        &mut self,
        map: &Map<String, Value>,
        path: &str,
    ) -> Compiling<Option<Part>> {
        let types: Vec<String> = match map.get("type") {
            Some(kind) => names(kind).into_iter().map(str::to_owned).collect(),
            None => match implied_type(map) {
                Some(kind) => vec![kind.to_owned()],
                None => return self.anything(Some(map), path).map(Some),
            },
        };
        let mut parts = Vec::new();
        for kind in &types {
            parts.extend(self.one_type(map, kind, path)?);
        }
        let description = constraint_text::description(map);
        if types.len() > 1 {
            // What is said about the value as a whole is said once.
            for part in &mut parts {
                if description.is_some()
                    && part.schema.get("description").and_then(Value::as_str)
                        == description.as_deref()
                {
                    part.schema.shift_remove("description");
                }
            }
        }
        let mut part = match self.scalar_types(&parts) {
            Some(part) => part,
            None => match self.any_of(parts) {
                Some(part) => part,
                None => return Ok(None),
            },
        };
        if types.len() > 1
            && let Some(text) = description
        {
            describe(&mut part, &text);
        }
        Ok(Some(part))
    }

    /// Puts types about which nothing more is said into one list, where the dialect has such lists.
    fn scalar_types(&self, parts: &[Part]) -> Option<Part> {
        let plain_types: Vec<Value> = parts
            .iter()
            .filter(|part| part.schema.len() == 1)
            .filter_map(|part| part.schema.get("type").cloned())
            .collect();
        if !self.rules.type_lists || parts.len() < 2 || plain_types.len() < parts.len() {
            return None;
        }
        Some(Part {
            schema: Map::from_iter([("type".to_owned(), plain_types.into())]),
            step: KEEP,
        })
    }

    fn one_type(
        &mut self,
        map: &Map<String, Value>,
        kind: &str,
        path: &str,
    ) -> Compiling<Option<Part>> {
        match kind {
            "object" => self.object(map, path),
            "array" => self.array(map, path),
            "string" => Ok(Some(self.scalar(map, kind, &OF_STRING, path))),
            "integer" | "number" => Ok(Some(self.scalar(map, kind, &OF_NUMBER, path))),
            _ => Ok(Some(self.scalar(map, kind, &[], path))),
        }
    }

    fn scalar(
        &mut self,
        map: &Map<String, Value>,
        kind: &str,
        constraints: &[&str],
        path: &str,
    ) -> Part {
        let mut part = plain(kind);
        self.constrain(&mut part, map, kind, constraints, path);
        part
    }

    /// Writes the constraints of `map` into `part`: enforced ones as they are, the others in words.
    pub(super) fn constrain(
        &mut self,
        part: &mut Part,
        map: &Map<String, Value>,
        kind: &str,
        constraints: &[&str],
        path: &str,
    ) {
        self.constrain_saying(part, map, kind, constraints, path, Vec::new());
    }

    /// Does the same, with more to say.
    pub(super) fn constrain_saying(
        &mut self,
        part: &mut Part,
        map: &Map<String, Value>,
        kind: &str,
        constraints: &[&str],
        path: &str,
        mut said: Vec<String>,
    ) {
        let has_pattern = map
            .get("pattern")
            .is_some_and(|pattern| self.rules.enforces("pattern", pattern, kind));
        for keyword in constraints.iter().chain(&OF_ANY).chain(&["enum"]) {
            let Some(value) = map.get(*keyword) else {
                continue;
            };
            if !constrains(keyword, value) {
                continue;
            }
            let beside_pattern = self.rules.pattern_or_length
                && has_pattern
                && matches!(*keyword, "minLength" | "maxLength" | "format");
            if !beside_pattern && self.rules.enforces(keyword, value, kind) {
                part.schema.insert((*keyword).to_owned(), value.clone());
            } else {
                self.check_locally(path, keyword);
                said.extend(
                    constraint_text::constraint(keyword, value).or_else(|| quoted(keyword, map)),
                );
            }
        }
        let text = match (constraint_text::description(map), said.is_empty()) {
            (None, true) => return,
            (None, false) => said.join(", "),
            (Some(text), true) => text,
            (Some(text), false) => format!("{text} ({})", said.join(", ")),
        };
        part.schema.insert("description".to_owned(), text.into());
    }

    /// Compiles a value of which nothing is known.
    pub(super) fn anything(
        &mut self,
        map: Option<&Map<String, Value>>,
        path: &str,
    ) -> Compiling<Part> {
        let mut part = if self.rules.anything {
            Part {
                schema: Map::new(),
                step: KEEP,
            }
        } else if self.rules.type_lists {
            Part {
                schema: Map::from_iter([(
                    "type".to_owned(),
                    json!(["string", "number", "boolean"]),
                )]),
                step: KEEP,
            }
        } else {
            let kinds = ["string", "number", "boolean"].map(plain).to_vec();
            self.any_of(kinds).ok_or_else(|| self.unsatisfiable(path))?
        };
        if let Some(map) = map {
            self.constrain(&mut part, map, "any", &[], path);
        }
        Ok(part)
    }
}

/// Returns the schema of exactly this value, its objects as objects of listed properties.
pub(super) fn literal(value: &Value) -> Value {
    match value {
        Value::Object(entries) => {
            let properties: Map<String, Value> = entries
                .iter()
                .map(|(key, value)| (key.clone(), literal(value)))
                .collect();
            let required: Vec<Value> = entries.keys().map(|key| key.as_str().into()).collect();
            json!({
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": false,
            })
        }
        other => json!({"enum": [other]}),
    }
}

/// Returns whether a keyword with this value says anything.
fn constrains(keyword: &str, value: &Value) -> bool {
    match keyword {
        "format" => value
            .as_str()
            .is_some_and(constraint_text::is_meaningful_format),
        "uniqueItems" | "unevaluatedItems" => {
            value != &Value::Bool(false) || keyword != "uniqueItems"
        }
        // A closed object is written as such.
        "unevaluatedProperties" => !value.is_boolean(),
        "minItems" | "minLength" | "minProperties" => value.as_u64() != Some(0),
        _ => true,
    }
}

fn quoted(keyword: &str, map: &Map<String, Value>) -> Option<String> {
    let mut said = Map::new();
    for keyword in [keyword, "then", "else"] {
        if let Some(value) = map.get(keyword)
            && (keyword != "then" && keyword != "else" || said.contains_key("if"))
        {
            said.insert(keyword.to_owned(), value.clone());
        }
    }
    let text = Value::Object(said).to_string();
    (text.chars().count() <= MAX_QUOTED_CHARS).then(|| format!("satisfies the JSON Schema {text}"))
}

/// Returns the type that the constraints of a schema without one are about.
fn implied_type(map: &Map<String, Value>) -> Option<&'static str> {
    let has = |keywords: &[&str]| keywords.iter().any(|keyword| map.contains_key(*keyword));
    if has(&["properties", "required", "additionalProperties"]) || has(&OF_OBJECT) {
        Some("object")
    } else if has(&["items", "prefixItems"]) || has(&OF_ARRAY) {
        Some("array")
    } else if has(&OF_STRING) {
        Some("string")
    } else if has(&OF_NUMBER) {
        Some("number")
    } else {
        None
    }
}
