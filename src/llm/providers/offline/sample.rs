//! Values that fit a JSON Schema: what can be built in is, and the rest is drawn until a validator accepts it.

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::text::{Writer, usual_range};
use super::{number, pattern};
use crate::error::{Error, ErrorKind, Result};
use crate::schema::dialect::merge::{Merged, merge, with_enum};
use crate::schema::types::{allow, names, type_of};
use crate::schema::{PartValidator, traverse};

type Fields = Map<String, Value>;

/// How many values one answer may be made of, and how many of them each one counts for that was drawn in vain.
const MAX_VALUES: usize = 2_000_000;
const VAIN: usize = 100;
/// How often one value is drawn in the hope that it fits.
const MAX_DRAWS: usize = 100;
/// How deep a value may nest, and until where there is more than must be; the stack has to hold it.
const MAX_DEPTH: usize = 100;
const ROOMY_DEPTH: usize = 12;
/// The same for a reference inside of itself.
const MAX_NESTING: usize = 10;
const ROOMY_NESTING: usize = 2;
/// The longest text, list and object.
const MAX_SIZE: usize = 1_000_000;
/// How many topics are invented where the schema does not say how many.
const USUAL_TOPICS: usize = 5;
/// How far the repetitions of a pattern go beyond their least: first as people write, then short and long.
const STRETCHES: [usize; 10] = [4, 2, 1, 0, 8, 16, 24, 32, 64, 256];

const ANYTHING: Value = Value::Bool(true);
/// Keywords that are checked once a value is there.
const CHECKED: &str = "not contains patternProperties dependentRequired unevaluatedProperties unevaluatedItems $dynamicRef \
    minimum maximum exclusiveMinimum exclusiveMaximum multipleOf";
/// Keywords that ask for nothing.
const ANNOTATIONS: &str = "title description default examples $comment $defs definitions $schema";
/// Types, and the keywords that imply them.
const KINDS: [(&str, &str); 3] = [
    (
        "object",
        "properties required additionalProperties patternProperties minProperties propertyNames",
    ),
    (
        "array",
        "items prefixItems minItems maxItems uniqueItems contains",
    ),
    (
        "number",
        "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf",
    ),
];

/// What a schema says of one value, its branches taken.
#[derive(Default)]
struct Shape {
    fields: Fields,
    /// Something was left to chance, so that another draw may do where this one does not.
    is_chosen: bool,
    /// The value is checked against its schema, for the sake of this keyword.
    check: Option<&'static str>,
}

/// Draws the values of one answer.
pub(super) struct Sampler<'s, 'w> {
    root: &'s Value,
    writer: &'w mut Writer,
    path: Vec<String>,
    /// References that were followed on the way to the value.
    open: Vec<*const Value>,
    values_left: usize,
    validators: HashMap<String, Option<PartValidator>>,
}

impl<'s, 'w> Sampler<'s, 'w> {
    pub(super) fn new(root: &'s Value, writer: &'w mut Writer) -> Self {
        Self {
            root,
            writer,
            path: Vec::new(),
            open: Vec::new(),
            values_left: MAX_VALUES,
            validators: HashMap::new(),
        }
    }

    /// Draws a value that fits a schema, which is the root or a part of it.
    ///
    /// # Errors
    ///
    /// Says which keyword cannot be satisfied, at which place of the value.
    pub(super) fn value(&mut self, schema: &Value) -> Result<Value> {
        if self.path.len() > MAX_DEPTH || self.nesting() > MAX_NESTING {
            return self.refuse("$ref");
        }
        let open = self.open.len();
        for turn in 1..=MAX_DRAWS {
            let left = self
                .values_left
                .checked_sub(if turn == 1 { 1 } else { VAIN });
            self.values_left = left.map_or_else(|| self.refuse("schema"), Ok)?;
            let mut shape = Shape::default();
            let merged = self.merge(schema, open, &mut shape);
            let drawn = merged.and_then(|()| self.draw(schema, &mut shape));
            self.open.truncate(open);
            let may_do_better = shape.is_chosen || shape.check.is_some();
            if drawn.is_ok() || turn == MAX_DRAWS || !may_do_better {
                return drawn;
            }
        }
        self.refuse("schema")
    }

    /// Adds everything that a schema says of a value to what holds already, branches taken.
    fn merge(&mut self, schema: &Value, first: usize, shape: &mut Shape) -> Result<()> {
        let map = match schema {
            Value::Object(map) => map,
            Value::Bool(true) => return Ok(()),
            Value::Bool(false) => return self.refuse("false"),
            _ => return self.refuse("schema"),
        };
        let mut own = Map::new();
        for (keyword, value) in map {
            let parts: Vec<&Value> = match (keyword.as_str(), value) {
                ("$ref", Value::String(reference)) => {
                    let target = self.resolve(reference)?;
                    if self.open[first..].contains(&std::ptr::from_ref(target)) {
                        return self.refuse("$ref");
                    }
                    self.open.push(target);
                    vec![target]
                }
                ("allOf", Value::Array(parts)) => parts.iter().collect(),
                ("anyOf" | "oneOf", Value::Array(branches)) if !branches.is_empty() => {
                    shape.is_chosen = true;
                    shape.check = shape.check.or((keyword == "oneOf").then_some("oneOf"));
                    vec![self.branch(branches)]
                }
                ("if", condition) => {
                    shape.check = Some("if");
                    let is_met = self.writer.random.below(2) == 0;
                    let then = map.get(if is_met { "then" } else { "else" });
                    then.into_iter()
                        .chain(is_met.then_some(condition))
                        .collect()
                }
                // Stricter than asked for, and simple: what holds if a field is there holds always.
                ("dependentSchemas", Value::Object(schemas)) => schemas.values().collect(),
                (keyword, value) => {
                    if !is_among(keyword, ANNOTATIONS) {
                        own.insert(keyword.to_owned(), value.clone());
                    }
                    continue;
                }
            };
            for part in parts {
                self.merge(part, first, shape)?;
            }
        }
        let own = with_enum(own);
        let are_listed = own.contains_key("enum") && shape.fields.contains_key("enum");
        match merge(std::mem::take(&mut shape.fields), own) {
            Merged::Never => self.refuse(if are_listed { "enum" } else { "type" }),
            Merged::Schema(both, left_out) => {
                shape.fields = both;
                shape.check = shape.check.or((!left_out.is_empty()).then_some("allOf"));
                Ok(())
            }
        }
    }

    fn branch<'a>(&mut self, branches: &'a [Value]) -> &'a Value {
        if !self.is_cramped() {
            return self.choose(branches, |branch| branch["type"] == "null");
        }
        // The fewer references, the sooner a branch leads out of a recursion.
        let nearest = branches.iter().min_by_key(|branch| {
            let references = branch.to_string().matches("$ref").count();
            self.writer.random.index(1 + references)
        });
        nearest.unwrap_or(&ANYTHING)
    }

    /// Draws one of several, seldom null: a nullable field mostly is not.
    fn choose<'a, T>(&mut self, items: &'a [T], is_null: impl Fn(&T) -> bool) -> &'a T {
        let index = self.writer.random.index(items.len());
        let is_passed = is_null(&items[index]) && self.writer.random.below(8) > 0;
        &items[(index + usize::from(is_passed)) % items.len()]
    }

    fn draw(&mut self, schema: &Value, shape: &mut Shape) -> Result<Value> {
        let map = std::mem::take(&mut shape.fields);
        let in_vain = CHECKED
            .split(' ')
            .find(|keyword| map.contains_key(*keyword));
        shape.check = shape.check.or(in_vain);
        let value = match map.get("enum") {
            Some(Value::Array(values)) => self.one_of(values, &map, shape)?,
            _ => self.of_type(&map, shape)?,
        };
        match shape.check {
            Some(keyword) if !self.fits(&value, schema)? => self.refuse(keyword),
            _ => Ok(value),
        }
    }

    fn one_of(&mut self, values: &[Value], map: &Fields, shape: &mut Shape) -> Result<Value> {
        let types = map.get("type").map(names);
        let is_allowed = |value: &&Value| {
            types
                .as_ref()
                .is_none_or(|types| allow(types, type_of(value)))
        };
        let values: Vec<&Value> = values.iter().filter(is_allowed).collect();
        if !map
            .keys()
            .all(|keyword| is_among(keyword, "type enum format"))
        {
            shape.check = Some("enum");
        }
        let role = self.whose_turn(&values);
        let value = role.or_else(|| self.writer.random.choose(&values).copied().cloned());
        value.map_or_else(|| self.refuse("enum"), Ok)
    }

    /// Returns who speaks in a list of messages: a system, where there may be one, then a user and an assistant in turn.
    fn whose_turn(&self, roles: &[&Value]) -> Option<Value> {
        let [.., place, field] = &self.path[..] else {
            return None;
        };
        let place: usize = place.parse().ok().filter(|_| field == "role")?;
        let has = |role: &str| roles.iter().any(|value| **value == role);
        let behind_system = place.checked_sub(usize::from(has("system")));
        let role = behind_system.map_or("system", |place| ["user", "assistant"][place % 2]);
        (has("user") && has("assistant")).then(|| role.into())
    }

    fn of_type(&mut self, map: &Fields, shape: &mut Shape) -> Result<Value> {
        let implied = KINDS.iter().find(|(_, keywords)| {
            let mut keywords = keywords.split(' ');
            keywords.any(|keyword| map.contains_key(keyword))
        });
        let kind = implied.map_or("string", |(kind, _)| kind);
        let types = map.get("type").map_or_else(|| vec![kind], names);
        if types.is_empty() {
            return self.refuse("type");
        }
        shape.is_chosen |= types.len() > 1;
        match *self.choose(&types, |kind| *kind == "null") {
            "null" => Ok(Value::Null),
            "boolean" => Ok(Value::Bool(self.writer.random.below(2) == 0)),
            "string" => self.string(map),
            "array" => self.array(map),
            "object" => self.object(map),
            kind @ ("number" | "integer") => {
                let is_integer = kind == "integer";
                let usual = usual_range(self.field(), is_integer);
                let number = number::draw(map, is_integer, usual, &mut self.writer.random);
                number.or_else(|keyword| self.refuse(keyword))
            }
            _ => self.refuse("type"),
        }
    }

    fn string(&mut self, map: &Fields) -> Result<Value> {
        let min = count(map, "minLength").unwrap_or(0);
        let length = min..=count(map, "maxLength").unwrap_or(min.max(MAX_SIZE));
        if length.is_empty() || min > MAX_SIZE {
            return self.refuse("maxLength");
        }
        let (pattern, format) = (text(map, "pattern"), text(map, "format"));
        let hir = pattern
            .map(|pattern| pattern::read(pattern).map_or_else(|| self.refuse("pattern"), Ok));
        let hir = hir.transpose()?;
        for stretch in STRETCHES
            .into_iter()
            .chain([min])
            .cycle()
            .take(2 * MAX_DRAWS)
        {
            let drawn = match (&hir, format.and_then(|format| self.writer.format(format))) {
                (Some(hir), _) => pattern::draw(hir, stretch, &mut self.writer.random),
                (None, Some(text)) => Some(text),
                (None, None) => {
                    let field = self.field().to_owned();
                    return Ok(self.writer.text(&field, &length).into());
                }
            };
            if let Some(text) = drawn.filter(|text| length.contains(&text.chars().count())) {
                let text = Value::from(text);
                if hir.is_none() || self.fits(&text, &json!({ "pattern": pattern }))? {
                    return Ok(text);
                }
            }
        }
        self.refuse(if hir.is_some() { "pattern" } else { "format" })
    }

    fn array(&mut self, map: &Fields) -> Result<Value> {
        let rest = map.get("items").unwrap_or(&ANYTHING);
        let mut first = traverse::list(map, "prefixItems").to_vec();
        let contains = map.get("contains");
        let contained = contains.map_or(0, |_| count(map, "minContains").unwrap_or(1));
        let min = count(map, "minItems").unwrap_or(0).max(contained);
        let room = if *rest == Value::Bool(false) {
            first.len()
        } else {
            MAX_SIZE
        };
        let max = count(map, "maxItems").unwrap_or(room).min(room);
        if min > max {
            return self.refuse("minItems");
        }
        let usual = match self.field() {
            _ if self.is_cramped() => 0,
            _ if !first.is_empty() => first.len(),
            _ if self.path.len() > 1 => 2 + self.writer.random.index(3),
            // At the top, as many records or topics as are asked for, or an answer of the usual size.
            _ if min > 0 => min,
            "topics" => USUAL_TOPICS,
            _ => 1,
        };
        let length = usual.clamp(min, max);
        if let Some(contains) = contains {
            first.resize(
                first.len().max(contained),
                json!({"allOf": [rest, contains]}),
            );
        }
        let is_unique = map.get("uniqueItems") == Some(&Value::Bool(true));
        let (mut seen, mut items) = (HashSet::new(), Vec::new());
        for _ in 0..MAX_DRAWS + 20 * length {
            if items.len() == length {
                break;
            }
            if self.path.len() <= 1 {
                self.writer.begin_record();
            }
            let schema = first.get(items.len()).unwrap_or(rest);
            match self.inside(&items.len().to_string(), schema) {
                Ok(item) if is_unique && !seen.insert(item.to_string()) => {}
                Ok(item) => items.push(item),
                Err(refusal) if items.len() < min => return Err(refusal),
                Err(_) => break,
            }
        }
        if items.len() < min {
            return self.refuse("uniqueItems");
        }
        Ok(items.into())
    }

    fn inside(&mut self, name: &str, schema: &Value) -> Result<Value> {
        self.path.push(name.to_owned());
        let value = self.value(schema);
        self.path.pop();
        value
    }

    fn object(&mut self, map: &Fields) -> Result<Value> {
        let min = count(map, "minProperties").unwrap_or(0);
        let max = count(map, "maxProperties").unwrap_or(MAX_SIZE);
        let mut needed = traverse::required(map);
        if min.max(needed.len()) > max {
            return self.refuse("maxProperties");
        }
        // In the order of the schema, then what is required beyond it.
        let declared = entries(map, "properties").map(|(name, _)| name.as_str());
        let required = traverse::list(map, "required")
            .iter()
            .filter_map(Value::as_str);
        let names: Vec<&str> = declared.chain(required).collect();
        let mut fields = Map::new();
        for (index, name) in names.iter().enumerate() {
            let is_needed = needed.remove(name) || names.len() - index + fields.len() <= min;
            // An answer has all fields at its top; a record has its first one and most of the others.
            let is_likely = self.path.is_empty() || index == 0 || self.writer.random.below(8) > 0;
            let has_room = fields.len() + needed.len() < max && !self.is_cramped();
            if fields.contains_key(*name) || !(is_needed || (is_likely && has_room)) {
                continue;
            }
            match self.entry(map, name) {
                Ok(value) => drop(fields.insert((*name).to_owned(), value)),
                // An optional field that cannot be had is left out.
                Err(refusal) if is_needed => return Err(refusal),
                Err(_) => {}
            }
        }
        // Then keys of its own choosing: to a map, a few; to a record, only what it lacks in number.
        let is_map = !map.contains_key("properties")
            && (map.contains_key("patternProperties") || rest_of(map).is_object());
        let usual = if is_map && !self.is_cramped() {
            1 + self.writer.random.index(3)
        } else {
            0
        };
        let wanted = usual.clamp(min, max);
        for _ in 0..MAX_DRAWS + 4 * wanted {
            if fields.len() >= wanted {
                return Ok(fields.into());
            }
            let key = self.key(map, is_map)?;
            if !fields.contains_key(&key) {
                let Ok(value) = self.entry(map, &key) else {
                    break;
                };
                fields.insert(key, value);
            }
        }
        if fields.len() < min {
            return self.refuse("minProperties");
        }
        Ok(fields.into())
    }

    /// Draws the name of a field that the schema does not name.
    fn key(&mut self, map: &Fields, is_map: bool) -> Result<String> {
        let patterns: Vec<&String> = entries(map, "patternProperties")
            .map(|(name, _)| name)
            .collect();
        let names = match self.writer.random.choose(&patterns) {
            Some(pattern) if is_map || *rest_of(map) == Value::Bool(false) => {
                &json!({ "pattern": pattern })
            }
            _ => map.get("propertyNames").unwrap_or(&ANYTHING),
        };
        let name = self.inside("key", &json!({"allOf": [{"type": "string"}, names]}))?;
        Ok(name.as_str().unwrap_or_default().to_owned())
    }

    /// Draws the value of a field from everything that is said about it.
    fn entry(&mut self, map: &Fields, name: &str) -> Result<Value> {
        let declared = map
            .get("properties")
            .and_then(|properties| properties.get(name));
        let mut schemas: Vec<&Value> = declared.into_iter().collect();
        for (pattern, schema) in entries(map, "patternProperties") {
            if self.fits(&name.into(), &json!({ "pattern": pattern }))? {
                schemas.push(schema);
            }
        }
        let schema = match schemas.as_slice() {
            [] => rest_of(map),
            [schema] => schema,
            several => &json!({ "allOf": several }),
        };
        self.inside(name, schema)
    }

    /// Whether a value fits a schema, a part of the whole one.
    fn fits(&mut self, value: &Value, schema: &Value) -> Result<bool> {
        let validator = self.validators.entry(schema.to_string());
        let validator = validator.or_insert_with(|| PartValidator::new(schema, self.root));
        let fits = validator
            .as_ref()
            .map(|validator| validator.is_valid(value));
        fits.map_or_else(|| self.refuse("schema"), Ok)
    }

    /// The name of the field that a value belongs to; the items of a list have the name of the list.
    fn field(&self) -> &str {
        let is_index = |name: &str| name.bytes().all(|byte| byte.is_ascii_digit());
        let name = self.path.iter().rev().find(|name| !is_index(name));
        name.map_or("", String::as_str)
    }

    /// How often the reference that was followed last is open inside itself.
    fn nesting(&self) -> usize {
        let last = self.open.last();
        self.open.iter().filter(|open| Some(*open) == last).count()
    }

    /// Whether only what must be there is to be written.
    fn is_cramped(&self) -> bool {
        self.path.len() > ROOMY_DEPTH || self.nesting() > ROOMY_NESTING
    }

    fn resolve(&self, reference: &str) -> Result<&'s Value> {
        let anchored = || {
            let mut definitions = self.root.get("$defs")?.as_object()?.values();
            definitions.find(|schema| reference.strip_prefix('#') == schema["$anchor"].as_str())
        };
        let target = traverse::resolve(self.root, reference).or_else(anchored);
        target.map_or_else(|| self.refuse("$ref"), Ok)
    }

    fn refuse<T>(&self, keyword: &'static str) -> Result<T> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let path = traverse::join("", &path);
        let message = format!("the offline model cannot satisfy the schema's `{keyword}`");
        let error = Error::new(ErrorKind::SchemaRefused, message);
        Err(error
            .with_context("keyword", keyword)
            .with_context("path", path))
    }
}

fn is_among(keyword: &str, keywords: &str) -> bool {
    keywords.split(' ').any(|known| known == keyword)
}

/// Reads a keyword that counts something; it may be written as `3.0`, and one beyond memory is as good as the largest.
fn count(map: &Fields, keyword: &str) -> Option<usize> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Saturates as it should.
    map.get(keyword)?.as_f64().map(|count| count as usize)
}

/// Returns the schemas under a keyword by their names.
fn entries<'m>(
    map: &'m Fields,
    keyword: &str,
) -> impl Iterator<Item = (&'m String, &'m Value)> + use<'m> {
    map.get(keyword)
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

fn rest_of(map: &Fields) -> &Value {
    map.get("additionalProperties").unwrap_or(&ANYTHING)
}

fn text<'m>(map: &'m Fields, keyword: &str) -> Option<&'m str> {
    map.get(keyword).and_then(Value::as_str)
}
