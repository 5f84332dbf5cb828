//! Objects: fields in the order of the schema, and maps of free keys.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::{Map, Value};

use super::facets::{Facets, count};
use super::{Fields, MAX_DRAWS, Refusal, Sampler};

/// How many entries a map of free keys has where the schema says nothing.
const USUAL_ENTRIES: usize = 3;
/// The most entries that are written; keys are drawn until they differ, so there must be enough of them.
const MAX_ENTRIES: usize = 10_000;

impl<'s> Sampler<'s, '_> {
    pub(super) fn object(&mut self, facets: &Facets<'s>) -> Result<Value, Refusal> {
        let maps = &facets.maps;
        let mut required: Vec<&'s str> = Vec::new();
        let (mut min, mut max) = (0, usize::MAX);
        let mut declared: Vec<&'s str> = Vec::new();
        for map in maps {
            if let Some(Value::Array(names)) = map.get("required") {
                required.extend(names.iter().filter_map(Value::as_str));
            }
            min = min.max(count(map, "minProperties").unwrap_or(0));
            max = max.min(count(map, "maxProperties").unwrap_or(usize::MAX));
            if let Some(Value::Object(properties)) = map.get("properties") {
                for name in properties.keys() {
                    if maps.len() == 1 || !declared.contains(&name.as_str()) {
                        declared.push(name);
                    }
                }
            }
        }
        add_dependents(maps, &mut required);
        if min > max {
            return Err(self.refusal("maxProperties", "it is below `minProperties`"));
        }
        if min > MAX_ENTRIES {
            return Err(self.refusal(
                "minProperties",
                "it asks for more than ten thousand entries",
            ));
        }
        let mut needed: HashSet<&'s str> = required.iter().copied().collect();
        if needed.len() > max {
            return Err(self.refusal("maxProperties", "more fields are required than it allows"));
        }

        // Declared fields in the order of the schema, then what is required beyond them.
        let mut fields = Map::new();
        let mut left_out: Vec<&'s str> = Vec::new();
        for name in declared {
            let is_needed = needed.remove(name);
            let has_room = fields.len() + needed.len() + usize::from(is_needed) < max || is_needed;
            // An answer has all fields at its top; a record has its first one and most of the others.
            let is_likely =
                self.path.is_empty() || fields.is_empty() || self.scribe.random.below(8) > 0;
            let is_wanted = is_needed || (has_room && is_likely && !self.is_cramped());
            if !is_wanted {
                left_out.push(name);
                continue;
            }
            match self.field_value(maps, name) {
                Ok(value) => {
                    fields.insert(name.to_owned(), value);
                }
                // An optional field that cannot be had is left out.
                Err(refusal) if is_needed || refusal.is_final() => return Err(refusal),
                Err(_) => {}
            }
        }
        for name in required {
            if needed.remove(name) {
                let value = self.field_value(maps, name)?;
                fields.insert(name.to_owned(), value);
            }
        }
        for name in left_out {
            if fields.len() >= min {
                break;
            }
            if let Ok(value) = self.field_value(maps, name) {
                fields.insert(name.to_owned(), value);
            }
        }
        self.add_free_keys(maps, &mut fields, min, max)?;
        self.take_dependents(maps, &mut fields)?;
        Ok(Value::Object(fields))
    }

    /// Draws the value of a field from everything that is said about it.
    fn field_value(&mut self, maps: &[&'s Fields], name: &'s str) -> Result<Value, Refusal> {
        self.path.push(Cow::Borrowed(name));
        let outer = std::mem::replace(&mut self.field, name);
        let value = self
            .schemas_of_field(maps, name)
            .and_then(|schemas| self.value(&schemas));
        self.field = outer;
        self.path.pop();
        value
    }

    fn schemas_of_field(
        &mut self,
        maps: &[&'s Fields],
        name: &str,
    ) -> Result<Vec<&'s Value>, Refusal> {
        let mut schemas = Vec::with_capacity(1);
        for map in maps {
            let declared = map
                .get("properties")
                .and_then(|properties| properties.get(name));
            schemas.extend(declared);
            let mut is_known = declared.is_some();
            if let Some(Value::Object(patterns)) = map.get("patternProperties") {
                for (pattern, schema) in patterns {
                    if self.pattern(pattern)?.matches(name) {
                        schemas.push(schema);
                        is_known = true;
                    }
                }
            }
            if !is_known {
                schemas.extend(rest_of(map));
            }
        }
        Ok(schemas)
    }

    /// Adds keys of the sampler's own choosing: to a map, a few; to a record, only what it lacks in number.
    fn add_free_keys(
        &mut self,
        maps: &[&'s Fields],
        fields: &mut Fields,
        min: usize,
        max: usize,
    ) -> Result<(), Refusal> {
        let declares = maps.iter().any(|map| map.contains_key("properties"));
        let patterned = maps
            .iter()
            .find_map(|map| map.get("patternProperties")?.as_object());
        let rests: Vec<&Value> = maps.iter().filter_map(|map| rest_of(map)).collect();
        let is_closed = rests.iter().any(|rest| **rest == Value::Bool(false));
        let is_map =
            !declares && (patterned.is_some() || rests.iter().any(|rest| rest.is_object()));
        let usual = if is_map && !self.is_cramped() {
            1 + self.scribe.random.index(USUAL_ENTRIES)
        } else {
            0
        };
        let wanted = usual.max(min).min(max);
        let mut draws = 0;
        while fields.len() < wanted {
            draws += 1;
            if draws > 4 * wanted + 10 * MAX_DRAWS {
                if fields.len() >= min {
                    return Ok(());
                }
                return Err(self.refusal("minProperties", "not enough different keys were found"));
            }
            let key = match patterned {
                Some(patterns) if !patterns.is_empty() && (is_closed || is_map) => {
                    let index = self.scribe.random.index(patterns.len());
                    let (pattern, _) = patterns
                        .iter()
                        .nth(index)
                        .expect("the index is below the length");
                    self.pattern(pattern)?;
                    let random = &mut self.scribe.random;
                    self.patterns[pattern.as_str()].draw(0, None, random)
                }
                _ if is_closed => {
                    let why = "no further fields are allowed";
                    return Err(self.refusal("minProperties", why));
                }
                _ => Some(self.free_key(maps)?),
            };
            let Some(key) = key.filter(|key| !fields.contains_key(key)) else {
                continue;
            };
            self.path.push(Cow::Owned(key.clone()));
            let value = self
                .schemas_of_field(maps, &key)
                .and_then(|schemas| self.value(&schemas));
            self.path.pop();
            match value {
                Ok(value) => {
                    fields.insert(key, value);
                }
                Err(refusal) if fields.len() < min => return Err(refusal),
                Err(_) => return Ok(()),
            }
        }
        Ok(())
    }

    fn free_key(&mut self, maps: &[&'s Fields]) -> Result<String, Refusal> {
        let rules: Vec<&'s Value> = maps
            .iter()
            .filter_map(|map| map.get("propertyNames"))
            .collect();
        if rules.is_empty() {
            let mut key = self.scribe.slug();
            if self.scribe.random.below(2) == 0 {
                key.truncate(key.find('_').unwrap_or(key.len()));
            } else {
                key.push('_');
                key.push_str(&self.scribe.random.below(100).to_string());
            }
            return Ok(key);
        }
        let outer = std::mem::replace(&mut self.field, "key");
        let key = self.value(&rules);
        self.field = outer;
        match key? {
            Value::String(key) => Ok(key),
            _ => Err(self.refusal("propertyNames", "it allows no text")),
        }
    }

    /// Adds the fields that others which are there ask for.
    fn take_dependents(&mut self, maps: &[&'s Fields], fields: &mut Fields) -> Result<(), Refusal> {
        let mut present: Vec<&'s str> = Vec::new();
        for map in maps {
            let rules = map.get("dependentRequired").and_then(Value::as_object);
            present.extend(rules.into_iter().flat_map(Map::keys).map(String::as_str));
        }
        present.retain(|name| fields.contains_key(*name));
        add_dependents(maps, &mut present);
        for name in present {
            if !fields.contains_key(name) {
                let value = self.field_value(maps, name)?;
                fields.insert(name.to_owned(), value);
            }
        }
        Ok(())
    }
}

/// What holds for fields that are not declared.
fn rest_of(map: &Fields) -> Option<&Value> {
    map.get("additionalProperties")
        .or_else(|| map.get("unevaluatedProperties"))
}

/// Adds to the required names those that they in turn require.
fn add_dependents<'s>(maps: &[&'s Fields], required: &mut Vec<&'s str>) {
    let mut next = 0;
    while next < required.len() {
        for map in maps {
            let rule = map
                .get("dependentRequired")
                .and_then(|rules| rules.get(required[next]));
            for name in rule.and_then(Value::as_array).into_iter().flatten() {
                if let Some(name) = name.as_str()
                    && !required.contains(&name)
                {
                    required.push(name);
                }
            }
        }
        next += 1;
    }
}
