//! Whether a value fits a schema, for the keywords that can only be checked afterwards.

use serde_json::Value;

use super::array::{all_differ, rest_of, tuple};
use super::facets::{Types, count};
use super::{Fields, MAX_CHECKS, Refusal, Sampler};
use crate::llm::providers::offline::number::is_multiple;

impl<'s> Sampler<'s, '_> {
    /// Returns whether a value fits a schema.
    pub(super) fn fits(&mut self, value: &Value, schema: &'s Value) -> Result<bool, Refusal> {
        if self.open_checks == MAX_CHECKS {
            let why = "it is checked against itself without an end";
            return Err(self.refusal("$ref", why).finally());
        }
        self.open_checks += 1;
        let fits = self.fits_whole(value, schema);
        self.open_checks -= 1;
        fits
    }

    fn fits_whole(&mut self, value: &Value, schema: &'s Value) -> Result<bool, Refusal> {
        let map = match schema {
            Value::Object(map) => map,
            other => return Ok(other != &Value::Bool(false)),
        };
        self.spend_value()?;
        if !self.fits_own_keywords(value, map)? {
            return Ok(false);
        }
        for (keyword, part) in map {
            let fits = match (keyword.as_str(), part) {
                ("$ref", Value::String(reference)) => {
                    let target = self.resolve(reference)?;
                    self.fits(value, target)?
                }
                ("allOf", Value::Array(parts)) => self.count_fitting(value, parts)? == parts.len(),
                ("anyOf", Value::Array(parts)) => self.count_fitting(value, parts)? > 0,
                ("oneOf", Value::Array(parts)) => self.count_fitting(value, parts)? == 1,
                ("not", schema) => !self.fits(value, schema)?,
                ("if", condition) => {
                    let next = if self.fits(value, condition)? {
                        "then"
                    } else {
                        "else"
                    };
                    match map.get(next) {
                        Some(schema) => self.fits(value, schema)?,
                        None => true,
                    }
                }
                ("dependentSchemas", Value::Object(schemas)) => {
                    let mut fits = true;
                    for (name, schema) in schemas {
                        if value.get(name).is_some() {
                            fits = fits && self.fits(value, schema)?;
                        }
                    }
                    fits
                }
                _ => true,
            };
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn count_fitting(&mut self, value: &Value, schemas: &'s [Value]) -> Result<usize, Refusal> {
        let mut fitting = 0;
        for schema in schemas {
            fitting += usize::from(self.fits(value, schema)?);
        }
        Ok(fitting)
    }

    /// Returns whether a value fits the keywords that stand directly in this schema, branches aside.
    pub(super) fn fits_own_keywords(
        &mut self,
        value: &Value,
        map: &'s Fields,
    ) -> Result<bool, Refusal> {
        for (keyword, rule) in map {
            let fits = match keyword.as_str() {
                "type" => Types::read(rule).contains(value),
                "const" => rule == value,
                "enum" => rule.as_array().is_none_or(|list| list.contains(value)),
                _ => match value {
                    Value::Number(_) => fits_number(value, keyword, rule, map),
                    Value::String(text) => self.fits_text(text, keyword, rule)?,
                    Value::Array(items) => self.fits_items(items, keyword, rule, map)?,
                    Value::Object(fields) => self.fits_fields(fields, keyword, rule, map)?,
                    Value::Null | Value::Bool(_) => true,
                },
            };
            if !fits {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Returns whether a value fits the keywords that stand directly in any of these schemas.
    pub(super) fn fits_all_own_keywords(
        &mut self,
        value: &Value,
        maps: &[&'s Fields],
    ) -> Result<bool, Refusal> {
        for map in maps {
            if !self.fits_own_keywords(value, map)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn fits_text(&mut self, text: &str, keyword: &str, rule: &'s Value) -> Result<bool, Refusal> {
        let chars = || text.chars().count() as u64;
        Ok(match (keyword, rule) {
            ("minLength", rule) => rule.as_u64().is_none_or(|min| chars() >= min),
            ("maxLength", rule) => rule.as_u64().is_none_or(|max| chars() <= max),
            ("pattern", Value::String(pattern)) => self.pattern(pattern)?.matches(text),
            _ => true,
        })
    }

    fn fits_items(
        &mut self,
        items: &[Value],
        keyword: &str,
        rule: &'s Value,
        map: &'s Fields,
    ) -> Result<bool, Refusal> {
        Ok(match keyword {
            "minItems" => rule.as_u64().is_none_or(|min| items.len() as u64 >= min),
            "maxItems" => rule.as_u64().is_none_or(|max| items.len() as u64 <= max),
            "uniqueItems" => rule != &Value::Bool(true) || all_differ(items),
            "contains" => {
                let mut found = 0;
                for item in items {
                    found += usize::from(self.fits(item, rule)?);
                }
                let least = count(map, "minContains").unwrap_or(1);
                let most = count(map, "maxContains").unwrap_or(usize::MAX);
                (least..=most).contains(&found)
            }
            "prefixItems" | "items" => {
                for (index, item) in items.iter().enumerate() {
                    let first = tuple(map).and_then(|tuple| tuple.get(index));
                    if let Some(schema) = first.or_else(|| rest_of(map))
                        && !self.fits(item, schema)?
                    {
                        return Ok(false);
                    }
                }
                true
            }
            _ => true,
        })
    }

    fn fits_fields(
        &mut self,
        fields: &Fields,
        keyword: &str,
        rule: &'s Value,
        map: &'s Fields,
    ) -> Result<bool, Refusal> {
        Ok(match (keyword, rule) {
            ("minProperties", rule) => rule.as_u64().is_none_or(|min| fields.len() as u64 >= min),
            ("maxProperties", rule) => rule.as_u64().is_none_or(|max| fields.len() as u64 <= max),
            ("required", Value::Array(names)) => {
                let mut names = names.iter().filter_map(Value::as_str);
                names.all(|name| fields.contains_key(name))
            }
            ("dependentRequired", Value::Object(rules)) => rules
                .iter()
                .filter(|(name, _)| fields.contains_key(*name))
                .flat_map(|(_, names)| names.as_array().into_iter().flatten())
                .filter_map(Value::as_str)
                .all(|name| fields.contains_key(name)),
            ("propertyNames", schema) => {
                for name in fields.keys() {
                    if !self.fits(&Value::String(name.clone()), schema)? {
                        return Ok(false);
                    }
                }
                true
            }
            ("properties", Value::Object(properties)) => {
                for (name, schema) in properties {
                    if let Some(value) = fields.get(name)
                        && !self.fits(value, schema)?
                    {
                        return Ok(false);
                    }
                }
                true
            }
            ("patternProperties", Value::Object(patterns)) => {
                for (pattern, schema) in patterns {
                    for (name, value) in fields {
                        if self.pattern(pattern)?.matches(name) && !self.fits(value, schema)? {
                            return Ok(false);
                        }
                    }
                }
                true
            }
            ("additionalProperties", schema) => {
                for (name, value) in fields {
                    if !self.is_declared(name, map)? && !self.fits(value, schema)? {
                        return Ok(false);
                    }
                }
                true
            }
            _ => true,
        })
    }

    fn is_declared(&mut self, name: &str, map: &'s Fields) -> Result<bool, Refusal> {
        if map
            .get("properties")
            .is_some_and(|properties| properties.get(name).is_some())
        {
            return Ok(true);
        }
        let patterns = map.get("patternProperties").and_then(Value::as_object);
        for pattern in patterns.into_iter().flat_map(Fields::keys) {
            if self.pattern(pattern)?.matches(name) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn fits_number(value: &Value, keyword: &str, rule: &Value, map: &Fields) -> bool {
    let (Some(value_f64), Some(limit)) = (value.as_f64(), rule.as_f64()) else {
        return true;
    };
    let flag = |keyword: &str| map.get(keyword) == Some(&Value::Bool(true));
    match keyword {
        "minimum" if flag("exclusiveMinimum") => value_f64 > limit,
        "maximum" if flag("exclusiveMaximum") => value_f64 < limit,
        "minimum" => value_f64 >= limit,
        "maximum" => value_f64 <= limit,
        "exclusiveMinimum" => value_f64 > limit,
        "exclusiveMaximum" => value_f64 < limit,
        "multipleOf" => rule.as_number().is_none_or(|of| is_multiple(value, of)),
        _ => true,
    }
}
