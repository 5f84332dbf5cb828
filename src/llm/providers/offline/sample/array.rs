//! Arrays: tuples, lists, and lists without repetition.

use std::borrow::Cow;
use std::collections::HashSet;

use serde_json::Value;

use super::facets::{Facets, Type, count};
use super::{Choices, Fields, MAX_DRAWS, Refusal, Sampler};

/// The longest list that is written.
const MAX_ITEMS: usize = 1_000_000;
/// The shortest and longest list where the schema says nothing.
const USUAL_ITEMS: (usize, usize) = (2, 4);
/// How many values a schema may have for all of them to be listed.
const MAX_LISTED: usize = 4_096;
/// How many topics are invented where the schema does not say how many.
const USUAL_TOPICS: usize = 5;

impl<'s> Sampler<'s, '_> {
    pub(super) fn array(&mut self, facets: &Facets<'s>) -> Result<Value, Refusal> {
        let maps = &facets.maps;
        let (mut min, mut max) = (0, usize::MAX);
        let mut prefix = 0;
        let mut contained: Vec<(&'s Value, usize)> = Vec::new();
        let mut is_unique = false;
        for map in maps {
            min = min.max(count(map, "minItems").unwrap_or(0));
            max = max.min(count(map, "maxItems").unwrap_or(usize::MAX));
            is_unique |= map.get("uniqueItems") == Some(&Value::Bool(true));
            let first = tuple(map).map_or(0, Vec::len);
            prefix = prefix.max(first);
            if rest_of(map) == Some(&Value::Bool(false)) {
                max = max.min(first);
            }
            if let Some(schema) = map.get("contains") {
                let least = count(map, "minContains").unwrap_or(1);
                min = min.max(least);
                contained.push((schema, least));
            }
        }
        if min > max || min > MAX_ITEMS {
            let keyword = if min > max { "maxItems" } else { "minItems" };
            return Err(self.refusal(keyword, "no list can have that many items"));
        }
        let length = self.list_length(min, max, prefix);
        let mut seen = Seen::new(is_unique, length);
        let mut items = Vec::with_capacity(length);
        while items.len() < length {
            let index = items.len();
            let schemas = schemas_of_item(maps, &contained, index);
            let is_record = self.path.len() <= 1;
            if is_record {
                self.scribe.begin_record();
            }
            self.path.push(Cow::Owned(index.to_string()));
            let item = self.new_item(&schemas, &mut seen);
            self.path.pop();
            match item {
                Ok(Some(item)) => items.push(item),
                Ok(None) if items.len() >= min => break,
                Ok(None) => {
                    return Err(
                        self.refusal("uniqueItems", "not enough different items were found")
                    );
                }
                Err(refusal) if items.len() < min || refusal.is_final() => return Err(refusal),
                Err(_) => break,
            }
        }
        Ok(Value::Array(items))
    }

    fn list_length(&mut self, min: usize, max: usize, prefix: usize) -> usize {
        if self.is_cramped() {
            return min;
        }
        // The list of an answer is as long as asked for; where nothing is said, it is one record.
        if self.path.len() <= 1 && prefix == 0 {
            let usual = if self.field == "topics" {
                USUAL_TOPICS
            } else {
                1
            };
            return if min > 0 { min } else { usual.min(max) };
        }
        let low = min.max(prefix).max(USUAL_ITEMS.0.min(max)).min(max);
        let high = if prefix > 0 {
            low
        } else {
            low.max(USUAL_ITEMS.1).min(max)
        };
        low + self.scribe.random.index(high - low + 1)
    }

    /// Draws an item that is not there yet, or `None` if none was found.
    fn new_item(
        &mut self,
        schemas: &[&'s Value],
        seen: &mut Seen,
    ) -> Result<Option<Value>, Refusal> {
        for _ in 0..MAX_DRAWS {
            let item = self.value(schemas)?;
            if seen.is_new(&item) {
                return Ok(Some(item));
            }
        }
        // Drawing finds the last of a few values too rarely: go through them.
        for item in self.all_values(schemas)? {
            if seen.is_new(&item) {
                return Ok(Some(item));
            }
        }
        Ok(None)
    }

    /// Lists all values of a schema that has few; none where there are many or it is hard to say.
    fn all_values(&mut self, schemas: &[&'s Value]) -> Result<Vec<Value>, Refusal> {
        let open = self.open_references.len();
        let mut choices = Choices::default();
        let mut values = Vec::new();
        loop {
            choices.restart();
            let facets = self.facets(schemas, &mut choices);
            self.open_references.truncate(open);
            if let Ok(facets) = facets
                && facets.checks.is_empty()
            {
                self.add_all_values(&facets, &mut values)?;
            }
            if !choices.advance() || values.len() > MAX_LISTED {
                return Ok(values);
            }
        }
    }

    fn add_all_values(&mut self, facets: &Facets<'s>, out: &mut Vec<Value>) -> Result<(), Refusal> {
        if let Some(listed) = self.listed(facets)? {
            out.extend(listed.into_iter().cloned());
            return Ok(());
        }
        for kind in facets.types.list() {
            match kind {
                Type::Null => out.push(Value::Null),
                Type::Boolean => out.extend([Value::Bool(false), Value::Bool(true)]),
                Type::Integer => {
                    let bound = |keyword| {
                        let mut bounds = facets.maps.iter().filter_map(|map| map.get(keyword));
                        bounds.find_map(Value::as_i64)
                    };
                    let low = bound("minimum").unwrap_or(0);
                    let high = bound("maximum").unwrap_or(low);
                    let few = i64::try_from(MAX_LISTED).expect("it is small");
                    for number in low..=high.min(low.saturating_add(few)) {
                        let number = Value::from(number);
                        if self.fits_all_own_keywords(&number, &facets.maps)? {
                            out.push(number);
                        }
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// The schemas that hold for the item at this index.
fn schemas_of_item<'s>(
    maps: &[&'s Fields],
    contained: &[(&'s Value, usize)],
    index: usize,
) -> Vec<&'s Value> {
    let mut schemas = Vec::with_capacity(1);
    for map in maps {
        match tuple(map).and_then(|tuple| tuple.get(index)) {
            Some(schema) => schemas.push(schema),
            None => schemas.extend(rest_of(map)),
        }
    }
    let contained = contained.iter().filter(|(_, least)| index < *least);
    schemas.extend(contained.map(|(schema, _)| *schema));
    schemas
}

/// The schemas of the first items; up to draft 2019-09, `items` could be that list.
pub(super) fn tuple(map: &Fields) -> Option<&Vec<Value>> {
    let older = || map.get("items").and_then(Value::as_array);
    map.get("prefixItems")
        .and_then(Value::as_array)
        .or_else(older)
}

/// The schema of the items after the first ones.
pub(super) fn rest_of(map: &Fields) -> Option<&Value> {
    let rest = match map.get("items") {
        Some(Value::Array(_)) => map.get("additionalItems"),
        rest => rest,
    };
    rest.or_else(|| map.get("unevaluatedItems"))
}

/// The items that are there already, if it matters.
enum Seen {
    Anything,
    Texts(HashSet<String>),
}

impl Seen {
    fn new(is_unique: bool, length: usize) -> Self {
        if is_unique {
            Self::Texts(HashSet::with_capacity(length.min(1_024)))
        } else {
            Self::Anything
        }
    }

    fn is_new(&mut self, item: &Value) -> bool {
        match self {
            Self::Anything => true,
            Self::Texts(texts) => texts.insert(canonical(item)),
        }
    }
}

/// Writes a value so that equal values are equal texts: `1` and `1.0` are, and the order of keys is nothing.
fn canonical(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_unstable_by_key(|(name, _)| name.as_str());
            let parts = fields
                .iter()
                .map(|(name, value)| format!("{name:?}:{}", canonical(value)));
            format!("{{{}}}", parts.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            let parts: Vec<String> = items.iter().map(canonical).collect();
            format!("[{}]", parts.join(","))
        }
        Value::Number(number) => {
            let text = number.to_string();
            text.strip_suffix(".0")
                .map_or_else(|| text.clone(), str::to_owned)
        }
        other => other.to_string(),
    }
}

/// Whether all items differ.
pub(super) fn all_differ(items: &[Value]) -> bool {
    let mut seen = Seen::new(true, items.len());
    items.iter().all(|item| seen.is_new(item))
}
