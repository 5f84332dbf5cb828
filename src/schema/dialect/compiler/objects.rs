//! Objects in a dialect: records with listed properties, and maps.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::kinds::OF_OBJECT;
use super::{Compiler, Compiling, Part, inside, plain};
use crate::schema::dialect::nulls::knows_null;
use crate::schema::dialect::plan::{KEEP, KEY, Step, VALUE};
use crate::schema::traverse::{self, join, list};

impl Compiler<'_> {
    /// Compiles an object.
    pub(super) fn object(
        &mut self,
        map: &Map<String, Value>,
        path: &str,
    ) -> Compiling<Option<Part>> {
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
        for name in list(map, "required").iter().filter_map(Value::as_str) {
            if !properties.contains_key(name) {
                properties.insert(name.to_owned(), rest.clone());
            }
        }
        let required = traverse::required(map);
        if properties.is_empty() && rest != Value::Bool(false) {
            return self.map(map, &rest, path);
        }
        let rest = self.rest_beside(map, &rest, path)?;
        self.record(map, properties, &required, rest, path)
    }

    /// Compiles what keys beside the listed properties may hold, where the schema asks for them and the
    /// dialect knows them.
    fn rest_beside(
        &mut self,
        map: &Map<String, Value>,
        rest: &Value,
        path: &str,
    ) -> Compiling<Option<Part>> {
        let is_asked_for = map.contains_key("additionalProperties") && rest != &Value::Bool(false);
        if is_asked_for && self.rules.maps {
            self.part(rest, &inside(path))
        } else {
            Ok(None)
        }
    }

    /// Compiles an object of listed properties.
    fn record(
        &mut self,
        map: &Map<String, Value>,
        properties: Map<String, Value>,
        required: &HashSet<&str>,
        rest: Option<Part>,
        path: &str,
    ) -> Compiling<Option<Part>> {
        let mut part = plain("object");
        let mut schemas = Map::new();
        let mut steps = HashMap::new();
        let mut required_here: Vec<Value> = Vec::new();
        let rest_step = rest.as_ref().map_or(KEEP, |rest| rest.step);
        for (name, source) in properties {
            let here = join(path, &[&name]);
            let is_required = required.contains(name.as_str());
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
            // With a step for other keys, a property without one of its own must say so.
            let is_told = null_is_absent || property.step != KEEP || rest_step != KEEP;
            if is_told {
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
        let Some(value) = self.part(values, &inside(path))? else {
            return self.record(map, Map::new(), &HashSet::new(), None, path);
        };
        if self.rules.maps {
            let mut part = plain("object");
            part.schema
                .insert("additionalProperties".to_owned(), value.schema.into());
            if value.step != KEEP {
                part.step = self.add_step(Step::Object {
                    properties: HashMap::new(),
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
}
