//! Each type of value in a dialect: what is said natively, what in words, what by another shape.

use serde_json::{Map, Value, json};

use super::{Compiler, Compiling, Part, describe, inside, plain};
use crate::schema::dialect::merge::names;
use crate::schema::dialect::nulls::knows_null;
use crate::schema::dialect::plan::{KEEP, KEY, Step, StepId, VALUE};
use crate::schema::walk::join;
use crate::schema::words;

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
const OF_ARRAY: [&str; 7] = [
    "minItems",
    "maxItems",
    "uniqueItems",
    "contains",
    "minContains",
    "maxContains",
    "unevaluatedItems",
];
const OF_OBJECT: [&str; 6] = [
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
                types.as_ref().is_none_or(|types| {
                    let kind = type_of(value);
                    types.contains(&kind) || (kind == "integer" && types.contains(&"number"))
                })
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
                if kind != "null" {
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
        if let Some(text) = words::description(map) {
            describe(&mut part, &text);
        }
        Some(part)
    }

    /// Compiles a schema by its types, or by those its constraints are about.
    pub(super) fn typed(&mut self, map: Map<String, Value>, path: &str) -> Compiling<Option<Part>> {
        let types: Vec<String> = match map.get("type") {
            Some(kind) => names(kind).into_iter().map(str::to_owned).collect(),
            None => match implied_type(&map) {
                Some(kind) => vec![kind.to_owned()],
                None => return self.anything(Some(&map), path).map(Some),
            },
        };
        let mut parts = Vec::new();
        for kind in &types {
            parts.extend(self.one_type(&map, kind, path)?);
        }
        let description = words::description(&map);
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
    fn constrain(
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
    fn constrain_saying(
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
                said.extend(words::constraint(keyword, value).or_else(|| quoted(keyword, map)));
            }
        }
        let text = match (words::description(map), said.is_empty()) {
            (None, true) => return,
            (None, false) => said.join(", "),
            (Some(text), true) => text,
            (Some(text), false) => format!("{text} ({})", said.join(", ")),
        };
        part.schema.insert("description".to_owned(), text.into());
    }

    fn array(&mut self, map: &Map<String, Value>, path: &str) -> Compiling<Option<Part>> {
        let mut part = plain("array");
        let first: &[Value] = match map.get("prefixItems") {
            Some(Value::Array(first)) => first,
            _ => &[],
        };
        let items = map.get("items").unwrap_or(&Value::Bool(true));
        let mut map = map.clone();
        if !first.is_empty() && items == &Value::Bool(false) && !map.contains_key("maxItems") {
            map.insert("maxItems".to_owned(), first.len().into());
        }
        if first.is_empty() || !self.rules.tuples {
            let all = if first.is_empty() {
                items.clone()
            } else {
                self.check_locally(path, "prefixItems");
                // What may stand anywhere is what may stand at some position.
                let mut kinds = first.to_vec();
                if items != &Value::Bool(false) && map.contains_key("items") {
                    kinds.push(items.clone());
                }
                json!({ "anyOf": kinds })
            };
            match self.part(&all, &inside(path))? {
                Some(item) => {
                    part.step = self.list_step(Vec::new(), item.step);
                    part.schema.insert("items".to_owned(), item.schema.into());
                }
                // Only the empty list is left.
                None => {
                    let Some(any) = self.part(&json!({"type": "string"}), &inside(path))? else {
                        return Ok(None);
                    };
                    part.schema.insert("items".to_owned(), any.schema.into());
                    map.insert("maxItems".to_owned(), 0.into());
                }
            }
        } else {
            let mut steps = Vec::new();
            let mut schemas = Vec::new();
            for (index, item) in first.iter().enumerate() {
                let here = join(path, &[&index.to_string()]);
                let Some(item) = self.part(item, &here)? else {
                    return Ok(None);
                };
                steps.push(item.step);
                schemas.push(Value::Object(item.schema));
            }
            part.schema.insert("prefixItems".to_owned(), schemas.into());
            let rest = self.part(items, &inside(path))?;
            let rest_step = rest.as_ref().map_or(KEEP, |rest| rest.step);
            if let Some(rest) = rest {
                part.schema.insert("items".to_owned(), rest.schema.into());
            }
            part.step = self.list_step(steps, rest_step);
        }
        self.constrain(&mut part, &map, "array", &OF_ARRAY, path);
        Ok(Some(part))
    }

    fn list_step(&mut self, first: Vec<StepId>, items: StepId) -> StepId {
        if items == KEEP && first.iter().all(|step| *step == KEEP) {
            return KEEP;
        }
        self.add_step(Step::List { first, items })
    }

    fn object(&mut self, map: &Map<String, Value>, path: &str) -> Compiling<Option<Part>> {
        let mut properties = match map.get("properties") {
            Some(Value::Object(properties)) => properties.clone(),
            _ => Map::new(),
        };
        let rest = match map.get("additionalProperties") {
            Some(rest) => rest.clone(),
            None if map.get("unevaluatedProperties") == Some(&Value::Bool(false)) => {
                Value::Bool(false)
            }
            None => Value::Bool(true),
        };
        let required: Vec<String> = match map.get("required") {
            Some(Value::Array(names)) => names
                .iter()
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            _ => Vec::new(),
        };
        for name in &required {
            if !properties.contains_key(name) {
                properties.insert(name.clone(), rest.clone());
            }
        }
        if properties.is_empty() && rest != Value::Bool(false) {
            return self.map(map, &rest, path);
        }
        let rest = self.rest_beside(map, rest, path)?;
        self.record(map, properties, &required, rest, path)
    }

    /// Compiles what keys beside the listed properties may hold, where the schema asks for them and the
    /// dialect knows them.
    fn rest_beside(
        &mut self,
        map: &Map<String, Value>,
        rest: Value,
        path: &str,
    ) -> Compiling<Option<Part>> {
        let is_asked_for = map.contains_key("additionalProperties") && rest != Value::Bool(false);
        if is_asked_for && self.rules.maps {
            self.part(&rest, &inside(path))
        } else {
            Ok(None)
        }
    }

    /// Compiles an object of listed properties.
    fn record(
        &mut self,
        map: &Map<String, Value>,
        properties: Map<String, Value>,
        required: &[String],
        rest: Option<Part>,
        path: &str,
    ) -> Compiling<Option<Part>> {
        let mut part = plain("object");
        let mut schemas = Map::new();
        let mut steps = std::collections::HashMap::new();
        let mut required_here: Vec<Value> = Vec::new();
        for (name, source) in properties {
            let here = join(path, &[&name]);
            let is_required = required.contains(&name);
            let Some(mut property) = self.part(&source, &here)? else {
                if is_required {
                    self.impossible.get_or_insert(here);
                    return Ok(None);
                }
                // A property that must not be there is left out.
                continue;
            };
            let null_is_absent = !is_required && !knows_null(self.root, &source);
            if is_required || self.rules.all_required {
                required_here.push(name.clone().into());
            }
            if !is_required && self.rules.all_required {
                property = self.nullable(property);
            }
            if null_is_absent || property.step != KEEP {
                steps.insert(name.clone(), (property.step, null_is_absent));
            }
            schemas.insert(name, property.schema.into());
        }
        if self.rules.ordering && schemas.len() > 1 {
            let order: Vec<Value> = schemas.keys().map(|name| name.as_str().into()).collect();
            part.schema
                .insert("propertyOrdering".to_owned(), order.into());
        }
        part.schema.insert("properties".to_owned(), schemas.into());
        part.schema
            .insert("required".to_owned(), required_here.into());
        let rest_step = rest.as_ref().map_or(KEEP, |rest| rest.step);
        let rest = rest.map_or(Value::Bool(false), |rest| Value::Object(rest.schema));
        part.schema.insert("additionalProperties".to_owned(), rest);
        if !steps.is_empty() || rest_step != KEEP {
            part.step = self.add_step(Step::Object {
                properties: steps,
                rest: rest_step,
            });
        }
        self.constrain(&mut part, map, "object", &OF_OBJECT, path);
        Ok(Some(part))
    }

    /// Compiles an object whose keys are not listed.
    fn map(
        &mut self,
        map: &Map<String, Value>,
        values: &Value,
        path: &str,
    ) -> Compiling<Option<Part>> {
        let value = match self.part(values, &inside(path))? {
            Some(value) => value,
            None => return self.record(map, Map::new(), &[], None, path),
        };
        if self.rules.maps {
            let mut part = plain("object");
            part.schema
                .insert("additionalProperties".to_owned(), value.schema.into());
            if value.step != KEEP {
                part.step = self.add_step(Step::Object {
                    properties: std::collections::HashMap::new(),
                    rest: value.step,
                });
            }
            self.constrain(&mut part, map, "object", &OF_OBJECT, path);
            return Ok(Some(part));
        }
        let mut part = plain("array");
        part.schema.insert(
            "items".to_owned(),
            json!({
                "type": "object",
                "properties": {KEY: {"type": "string"}, VALUE: value.schema},
                "required": [KEY, VALUE],
                "additionalProperties": false,
            }),
        );
        part.step = self.add_step(Step::Map(value.step));
        self.constrain_saying(
            &mut part,
            map,
            "map",
            &OF_OBJECT,
            path,
            vec!["entries of a map, each key once".to_owned()],
        );
        Ok(Some(part))
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

/// Returns whether a keyword with this value says anything.
fn constrains(keyword: &str, value: &Value) -> bool {
    match keyword {
        "format" => value.as_str().is_some_and(words::is_meaningful_format),
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

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::String(_) => "string",
        Value::Number(number) if number.is_i64() || number.is_u64() => "integer",
        Value::Number(_) => "number",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
