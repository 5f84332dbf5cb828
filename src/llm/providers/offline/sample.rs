//! Values that fit a JSON Schema: what can be built in is, and the rest is drawn until a validator accepts it.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::number;
use super::pattern::Pattern;
use super::text::{Length, Writer, usual_range};
use crate::error::{Error, ErrorKind};
use crate::schema::dialect::merge::{Merged, merge, with_enum};
use crate::schema::types::{allow, names, type_of};
use crate::schema::{PartValidator, walk};

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
/// The longest text and list.
const MAX_LENGTH: usize = 1_000_000;
/// The most fields that are written; keys are drawn until they differ, so there must be enough of them.
const MAX_ENTRIES: usize = 10_000;
/// How many topics are invented where the schema does not say how many.
const USUAL_TOPICS: usize = 5;

const ANYTHING: Value = Value::Bool(true);
const TYPES: &str = "object array string number integer boolean null";
/// Keywords that hold schemas for the value itself.
const COMBINING: &str = "$ref $dynamicRef allOf anyOf oneOf if dependentSchemas const";
/// Keywords that are checked once a value is there.
const CHECKED: &str = "not contains patternProperties dependentRequired";
/// Keywords that ask for nothing.
const ANNOTATIONS: &str =
    "title description default examples deprecated $comment $defs definitions $schema $id $anchor";
/// Keywords that imply a type.
const OF_OBJECTS: &str =
    "properties required additionalProperties patternProperties minProperties propertyNames";
const OF_ARRAYS: &str = "items prefixItems minItems maxItems uniqueItems contains";
const OF_NUMBERS: &str = "minimum maximum exclusiveMinimum exclusiveMaximum multipleOf";

fn is_among(keyword: &str, keywords: &str) -> bool {
    keywords.split(' ').any(|known| known == keyword)
}

/// Says which keyword cannot be satisfied, at which place of the value.
pub(super) struct Refusal {
    keyword: &'static str,
    path: String,
}

impl From<Refusal> for Error {
    fn from(Refusal { keyword, path }: Refusal) -> Self {
        let message = format!("the offline model cannot satisfy the schema's `{keyword}`");
        let path = if path.is_empty() {
            "/".to_owned()
        } else {
            path
        };
        let error = Self::new(ErrorKind::SchemaRefused, message);
        error
            .with_context("keyword", keyword)
            .with_context("path", path)
    }
}

type Drawn<T> = Result<T, Refusal>;

/// What one draw of a value left to chance.
#[derive(Default)]
struct Chance {
    /// A branch was chosen, so that another may do where this one does not.
    has_branches: bool,
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
    patterns: HashMap<String, Option<Pattern>>,
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
            patterns: HashMap::new(),
        }
    }

    /// Draws a value that fits a schema, which is the root or a part of it.
    pub(super) fn value(&mut self, schema: &Value) -> Drawn<Value> {
        if self.path.len() > MAX_DEPTH || self.nesting() > MAX_NESTING {
            return self.refuse("$ref");
        }
        let open = self.open.len();
        self.spend(1)?;
        let mut turn = 1;
        loop {
            let mut chance = Chance::default();
            let drawn = self.draw(schema, &mut chance);
            self.open.truncate(open);
            match drawn {
                Err(refusal) if turn == MAX_DRAWS => return Err(refusal),
                Err(_) if chance.has_branches || chance.check.is_some() => self.spend(VAIN)?,
                drawn => return drawn,
            }
            turn += 1;
        }
    }

    fn draw(&mut self, schema: &Value, chance: &mut Chance) -> Drawn<Value> {
        let mut shape = Cow::Owned(Map::new());
        match schema {
            Value::Object(map) if !map.keys().any(|keyword| is_among(keyword, COMBINING)) => {
                shape = Cow::Borrowed(map);
            }
            _ => self.merge(schema, self.open.len(), chance, shape.to_mut())?,
        }
        if let Some(keyword) = CHECKED
            .split(' ')
            .find(|keyword| shape.contains_key(*keyword))
        {
            chance.check = Some(keyword);
        }
        let value = self.value_of_shape(&shape, chance)?;
        match chance.check {
            Some(keyword) if !self.fits(&value, schema)? => self.refuse(keyword),
            _ => Ok(value),
        }
    }

    /// Adds everything that a schema says of a value to what holds already, branches taken.
    fn merge(
        &mut self,
        schema: &Value,
        first: usize,
        chance: &mut Chance,
        into: &mut Fields,
    ) -> Drawn<()> {
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
                ("$dynamicRef", _) => return self.refuse("$dynamicRef"),
                ("allOf", Value::Array(parts)) => parts.iter().collect(),
                ("anyOf" | "oneOf", Value::Array(branches)) if !branches.is_empty() => {
                    if keyword == "oneOf" {
                        chance.check = Some("oneOf");
                    }
                    vec![self.branch(branches, chance)]
                }
                ("if", condition) => {
                    chance.check = Some("if");
                    if self.writer.random.below(2) == 0 {
                        [Some(condition), map.get("then")]
                            .into_iter()
                            .flatten()
                            .collect()
                    } else {
                        map.get("else").into_iter().collect()
                    }
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
                self.merge(part, first, chance, into)?;
            }
        }
        let own = with_enum(own);
        let are_listed = own.contains_key("enum") && into.contains_key("enum");
        match merge(std::mem::take(into), own) {
            Merged::Never => self.refuse(if are_listed { "enum" } else { "type" }),
            Merged::Schema(both, left_out) => {
                if !left_out.is_empty() {
                    chance.check = Some("allOf");
                }
                *into = both;
                Ok(())
            }
        }
    }

    fn branch<'a>(&mut self, branches: &'a [Value], chance: &mut Chance) -> &'a Value {
        chance.has_branches = true;
        let is_cramped = self.is_cramped();
        let index = self.seldom(branches.len(), |index| branches[index]["type"] == "null");
        // The fewer references, the sooner a branch leads out of a recursion.
        let mut distance = |branch: &&Value| {
            let references = branch.to_string().matches("$ref").count();
            self.writer.random.below(1 + references as u64)
        };
        let rotated = branches[index..].iter().chain(branches);
        let nearest = rotated
            .take(branches.len())
            .filter(|_| is_cramped)
            .min_by_key(&mut distance);
        nearest.unwrap_or(&branches[index])
    }

    /// Draws an index, seldom that of null: a nullable field mostly is not.
    fn seldom(&mut self, len: usize, is_null: impl Fn(usize) -> bool) -> usize {
        let index = self.writer.random.index(len);
        let is_passed = is_null(index) && self.writer.random.below(8) > 0;
        if is_passed { (index + 1) % len } else { index }
    }

    fn value_of_shape(&mut self, map: &Fields, chance: &mut Chance) -> Drawn<Value> {
        let known = map.get("type").map(names);
        let is_allowed = |name: &&str| known.as_ref().is_none_or(|known| allow(known, name));
        if let Some(Value::Array(values)) = map.get("enum") {
            let values: Vec<_> = values
                .iter()
                .filter(|value| is_allowed(&type_of(value)))
                .collect();
            let is_plain = |keyword: &String| {
                is_among(keyword, ANNOTATIONS) || is_among(keyword, "type enum format")
            };
            if !map.keys().all(is_plain) {
                chance.check = Some("enum");
            }
            let value = match self.whose_turn(&values) {
                Some(role) => Some(role),
                None => self.writer.random.choose(&values).copied().cloned(),
            };
            return value.map_or_else(|| self.refuse("enum"), Ok);
        }
        let mut types: Vec<&str> = TYPES.split(' ').filter(is_allowed).collect();
        // A whole number is one of all numbers.
        let has_all = types.contains(&"number");
        types.retain(|name| !has_all || *name != "integer");
        let implied = |keyword: &String| {
            let kinds = [
                ("object", OF_OBJECTS),
                ("array", OF_ARRAYS),
                ("number", OF_NUMBERS),
            ];
            kinds
                .into_iter()
                .find(|(_, keywords)| is_among(keyword, keywords))
        };
        let kind = if types.is_empty() {
            return self.refuse("type");
        } else if map.contains_key("type") {
            chance.has_branches |= types.len() > 1;
            types[self.seldom(types.len(), |index| types[index] == "null")]
        } else {
            map.keys()
                .find_map(implied)
                .map_or("string", |(kind, _)| kind)
        };
        match kind {
            "null" => Ok(Value::Null),
            "boolean" => Ok(Value::Bool(self.writer.random.below(2) == 0)),
            "string" => self.string(map),
            "array" => self.array(map),
            "object" => self.object(map),
            kind => {
                let usual = usual_range(self.field(), kind == "integer");
                let number = number::draw(map, kind == "integer", usual, &mut self.writer.random);
                number.or_else(|keyword| self.refuse(keyword))
            }
        }
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

    fn string(&mut self, map: &Fields) -> Drawn<Value> {
        let length = Length {
            min: count(map, "minLength").unwrap_or(0),
            max: count(map, "maxLength"),
        };
        if length.min > length.max.unwrap_or(MAX_LENGTH) {
            return self.refuse("maxLength");
        }
        let text = |keyword| map.get(keyword).and_then(Value::as_str);
        if let Some(pattern) = text("pattern") {
            let text = self.draw_pattern(pattern, length)?;
            return text.map_or_else(|| self.refuse("pattern"), |text| Ok(text.into()));
        }
        let mut texts = (0..MAX_DRAWS)
            .map_while(|_| self.writer.format(text("format")?))
            .peekable();
        if texts.peek().is_some() {
            let text = texts.find(|text| length.fits(text));
            return text.map_or_else(|| self.refuse("format"), |text| Ok(text.into()));
        }
        let field = self.field().to_owned();
        let topic = (field == "topics").then(|| self.writer.new_topic());
        let topic = topic.filter(|topic| length.fits(topic));
        Ok(topic
            .unwrap_or_else(|| self.writer.text(&field, length))
            .into())
    }

    fn array(&mut self, map: &Fields) -> Drawn<Value> {
        let first = walk::list(map, "prefixItems");
        let rest = map
            .get("items")
            .or_else(|| map.get("unevaluatedItems"))
            .unwrap_or(&ANYTHING);
        let contains = map
            .get("contains")
            .map(|schema| json!({"allOf": [rest, schema]}));
        let contained = contains
            .as_ref()
            .map_or(0, |_| count(map, "minContains").unwrap_or(1));
        let min = count(map, "minItems").unwrap_or(0).max(contained);
        let max = if *rest == Value::Bool(false) {
            first.len()
        } else {
            MAX_LENGTH
        };
        let max = count(map, "maxItems").unwrap_or(max).min(max);
        if min > max {
            return self.refuse("minItems");
        }
        let are_records = self.path.len() <= 1 && first.is_empty();
        let length = if self.is_cramped() || (are_records && min > 0) {
            min
        } else if are_records {
            // Where nothing is said, an answer is one record.
            if self.field() == "topics" {
                USUAL_TOPICS.min(max)
            } else {
                max.min(1)
            }
        } else {
            let usual = if first.is_empty() {
                2 + self.writer.random.index(3)
            } else {
                first.len()
            };
            usual.clamp(min, max)
        };
        let is_unique = map.get("uniqueItems") == Some(&Value::Bool(true));
        let (mut seen, mut items) = (HashSet::new(), Vec::new());
        for _ in 0..MAX_DRAWS + 20 * length {
            if items.len() == length {
                break;
            }
            let contains = contains.as_ref().filter(|_| items.len() < contained);
            let schema = first.get(items.len()).or(contains).unwrap_or(rest);
            if self.path.len() <= 1 {
                self.writer.begin_record();
            }
            match self.inside(&items.len().to_string(), schema) {
                Ok(item) if !is_unique || seen.insert(item.to_string()) => items.push(item),
                Ok(_) => {}
                Err(refusal) if items.len() < min => return Err(refusal),
                Err(_) => break,
            }
        }
        if items.len() < min {
            self.refuse("uniqueItems")
        } else {
            Ok(Value::Array(items))
        }
    }

    fn inside(&mut self, name: &str, schema: &Value) -> Drawn<Value> {
        self.path.push(name.to_owned());
        let value = self.value(schema);
        self.path.pop();
        value
    }

    fn object(&mut self, map: &Fields) -> Drawn<Value> {
        let min = count(map, "minProperties").unwrap_or(0);
        let max = count(map, "maxProperties").unwrap_or(usize::MAX);
        let mut needed = walk::required(map);
        if min.max(needed.len()) > max {
            return self.refuse("maxProperties");
        }
        if min > MAX_ENTRIES {
            return self.refuse("minProperties");
        }
        // In the order of the schema, then what is required beyond it.
        let properties = map.get("properties").and_then(Value::as_object);
        let declared = properties
            .into_iter()
            .flat_map(Map::keys)
            .map(String::as_str);
        let required = walk::list(map, "required").iter().filter_map(Value::as_str);
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
        self.add_free_keys(map, &mut fields, min, max)?;
        Ok(Value::Object(fields))
    }

    /// Draws the value of a field from everything that is said about it.
    fn entry(&mut self, map: &Fields, name: &str) -> Drawn<Value> {
        let declared = map
            .get("properties")
            .and_then(|properties| properties.get(name));
        let mut schemas: Vec<&Value> = declared.into_iter().collect();
        let patterns = map.get("patternProperties").and_then(Value::as_object);
        for (pattern, schema) in patterns.into_iter().flatten() {
            if self.pattern(pattern)?.matches(name) {
                schemas.push(schema);
            }
        }
        match schemas.as_slice() {
            [] => self.inside(name, rest_of(map)),
            [schema] => self.inside(name, schema),
            schemas => self.inside(name, &json!({"allOf": schemas})),
        }
    }

    /// Adds keys of the sampler's own choosing: to a map, a few; to a record, only what it lacks in number.
    fn add_free_keys(
        &mut self,
        map: &Fields,
        fields: &mut Fields,
        min: usize,
        max: usize,
    ) -> Drawn<()> {
        let patterns = map.get("patternProperties").and_then(Value::as_object);
        let patterns: Vec<&String> = patterns.into_iter().flat_map(Map::keys).collect();
        let rest = rest_of(map);
        let is_map = !map.contains_key("properties") && (!patterns.is_empty() || rest.is_object());
        let usual = if is_map && !self.is_cramped() {
            1 + self.writer.random.index(3)
        } else {
            0
        };
        let wanted = usual.clamp(min, max);
        for _ in 0..MAX_DRAWS + 4 * wanted {
            if fields.len() >= wanted {
                break;
            }
            let pattern = self.writer.random.choose(&patterns).copied();
            let key = match (pattern, map.get("propertyNames")) {
                (Some(pattern), _) if is_map || *rest == Value::Bool(false) => {
                    self.draw_pattern(pattern, Length::default())?
                }
                (_, Some(names)) => self.inside("key", names)?.as_str().map(str::to_owned),
                _ => self.writer.format("key"),
            };
            let Some(key) = key.filter(|key| !fields.contains_key(key)) else {
                continue;
            };
            match self.entry(map, &key) {
                Ok(value) => drop(fields.insert(key, value)),
                Err(_) => break,
            }
        }
        if fields.len() < min {
            self.refuse("minProperties")
        } else {
            Ok(())
        }
    }

    /// Whether a value fits a schema, a part of the whole one.
    fn fits(&mut self, value: &Value, schema: &Value) -> Drawn<bool> {
        let validator = self.validators.entry(schema.to_string());
        let validator = validator.or_insert_with(|| PartValidator::new(schema, self.root));
        let fits = validator
            .as_ref()
            .map(|validator| validator.is_valid(value));
        fits.map_or_else(|| self.refuse("schema"), Ok)
    }

    /// Reads a pattern once and keeps it.
    fn pattern(&mut self, text: &str) -> Drawn<&Pattern> {
        if !self.patterns.contains_key(text) {
            self.patterns.insert(text.to_owned(), Pattern::read(text));
        }
        let pattern = self.patterns[text].as_ref();
        pattern.map_or_else(|| self.refuse("pattern"), Ok)
    }

    fn draw_pattern(&mut self, text: &str, length: Length) -> Drawn<Option<String>> {
        let mut random = self.writer.random.clone();
        let text = self.pattern(text)?.draw(length, &mut random);
        self.writer.random = random;
        Ok(text)
    }

    /// The name of the field that a value belongs to; the items of a list have the name of the list.
    fn field(&self) -> &str {
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

    fn spend(&mut self, values: usize) -> Drawn<()> {
        let left = self.values_left.checked_sub(values);
        self.values_left = left.map_or_else(|| self.refuse("schema"), Ok)?;
        Ok(())
    }

    fn resolve(&self, reference: &str) -> Drawn<&'s Value> {
        let anchored = || {
            let mut definitions = self.root.get("$defs")?.as_object()?.values();
            definitions.find(|schema| reference.strip_prefix('#') == schema["$anchor"].as_str())
        };
        let target = walk::resolve(self.root, reference).or_else(anchored);
        target.map_or_else(|| self.refuse("$ref"), Ok)
    }

    fn refuse<T>(&self, keyword: &'static str) -> Drawn<T> {
        let path: Vec<&str> = self.path.iter().map(String::as_str).collect();
        let path = walk::join("", &path);
        Err(Refusal { keyword, path })
    }
}

fn is_index(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a keyword that counts something; it may be written as `3.0`, and one beyond memory is as good as the largest.
fn count(map: &Fields, keyword: &str) -> Option<usize> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Saturates as it should.
    map.get(keyword)?.as_f64().map(|count| count as usize)
}

fn rest_of(map: &Fields) -> &Value {
    let rest = map
        .get("additionalProperties")
        .or_else(|| map.get("unevaluatedProperties"));
    rest.unwrap_or(&ANYTHING)
}
