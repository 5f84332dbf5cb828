//! Values that fit a JSON Schema.

mod array;
mod choices;
mod facets;
mod fits;
mod object;
mod reach;
mod refusal;

use std::borrow::Cow;
use std::collections::HashMap;

use serde_json::{Map, Value};

pub(super) use refusal::Refusal;

use super::format;
use super::number::{Bound, NumberLimits};
use super::pattern::Pattern;
use super::text::{Length, Scribe, field};
use choices::Choices;
use facets::{Check, Facets, Type};
use reach::Reach;

/// How many values one answer may be made of, those drawn in vain and those checked included.
const MAX_VALUES: usize = 2_000_000;
/// How many values may be drawn in vain; a bound against schemas that are hard to satisfy.
const MAX_WASTE: usize = 20_000;
/// How many values in vain a pattern counts for that was not met: its draws and matches are costly.
const PATTERN_WASTE: usize = 500;
/// How many combinations of branches are tried for one value.
const MAX_CHOICES: usize = 64;
/// How many values are drawn in the hope that one passes the checks that cannot be built in, such as `not`.
const MAX_DRAWS: usize = 24;
/// How often the same reference may be open inside itself before only what must be there is written.
const ROOMY_NESTING: usize = 2;
/// How deep a value may nest; the stack has to hold it, and so has the reader's.
const MAX_DEPTH: usize = 100;
/// How deep schemas may be checked inside one another: those of the deepest value, with some branches and references at
/// each level. A schema that is checked against itself, as by `{"not": {"$ref": "#"}}`, has no end.
const MAX_CHECKS: usize = 4 * MAX_DEPTH;
/// From this depth on, only what must be there is written.
const ROOMY_DEPTH: usize = 12;
/// The longest text that is written.
const MAX_LENGTH: usize = 1_000_000;

/// Draws values that fit a schema.
pub(super) struct Sampler<'s, 'w> {
    pub(super) root: &'s Value,
    pub(super) scribe: &'w mut Scribe,
    path: Vec<Cow<'s, str>>,
    /// Names the field that a value belongs to; the items of a list have the name of the list.
    field: &'s str,
    open_references: Vec<*const Value>,
    /// Values that are being drawn, each inside the one before.
    open_values: usize,
    /// Checks that are under way, each inside the one before.
    open_checks: usize,
    values_left: usize,
    waste_left: usize,
    reach: Reach<'s>,
    patterns: HashMap<&'s str, Pattern>,
}

impl<'s, 'w> Sampler<'s, 'w> {
    /// Creates a sampler for the values of one answer.
    pub(super) fn new(root: &'s Value, scribe: &'w mut Scribe) -> Self {
        Self {
            root,
            scribe,
            path: Vec::new(),
            field: "",
            open_references: Vec::new(),
            open_values: 0,
            open_checks: 0,
            values_left: MAX_VALUES,
            waste_left: MAX_WASTE,
            reach: Reach::new(root),
            patterns: HashMap::new(),
        }
    }

    /// Draws a value that fits the whole schema.
    pub(super) fn draw(&mut self) -> Result<Value, Refusal> {
        self.value(&[self.root])
    }

    /// Draws a value that fits all of these schemas.
    fn value(&mut self, schemas: &[&'s Value]) -> Result<Value, Refusal> {
        // Counted apart from the path, since the name of a field may be drawn inside of another without an end, too.
        if self.open_values > MAX_DEPTH {
            return Err(self.refusal("$ref", "it nests without an end"));
        }
        self.open_values += 1;
        let value = self.value_of_choices(schemas);
        self.open_values -= 1;
        value
    }

    fn value_of_choices(&mut self, schemas: &[&'s Value]) -> Result<Value, Refusal> {
        let open = self.open_references.len();
        let mut choices = Choices::default();
        let mut first_refusal = None;
        for _ in 0..MAX_CHOICES {
            let before = self.values_left;
            self.spend_value()?;
            let result = self.value_of_choice(schemas, &mut choices);
            self.open_references.truncate(open);
            match result {
                Ok(value) => return Ok(value),
                Err(refusal) if refusal.is_final() => return Err(refusal),
                Err(refusal) => {
                    self.waste(before)?;
                    first_refusal.get_or_insert(refusal)
                }
            };
            if !choices.advance() {
                break;
            }
        }
        Err(first_refusal.expect("at least one choice was tried"))
    }

    fn value_of_choice(
        &mut self,
        schemas: &[&'s Value],
        choices: &mut Choices,
    ) -> Result<Value, Refusal> {
        choices.restart();
        let facets = self.facets(schemas, choices)?;
        if facets.checks.is_empty() {
            return self.value_of_facets(&facets, choices);
        }
        let mut failed = None;
        for _ in 0..MAX_DRAWS {
            let before = self.values_left;
            let value = self.value_of_facets(&facets, choices)?;
            failed = None;
            for check in &facets.checks {
                if !self.passes(check, &value)? {
                    failed = Some(check.keyword());
                    break;
                }
            }
            if failed.is_none() {
                return Ok(value);
            }
            self.waste(before)?;
        }
        let keyword = failed.expect("the last draw failed a check");
        Err(self.refusal(keyword, "no value was found that it allows"))
    }

    fn spend_value(&mut self) -> Result<(), Refusal> {
        let left = self.values_left.checked_sub(1);
        self.values_left = left.ok_or_else(|| {
            let why = "it takes more values than are worth writing";
            self.refusal("schema", why).finally()
        })?;
        Ok(())
    }

    /// Counts what was spent since then as drawn in vain.
    fn waste(&mut self, values_left_before: usize) -> Result<(), Refusal> {
        let spent = 1 + values_left_before - self.values_left;
        let left = self.waste_left.checked_sub(spent);
        self.waste_left = left.ok_or_else(|| {
            self.refusal("schema", "it is too hard to satisfy")
                .finally()
        })?;
        Ok(())
    }

    fn passes(&mut self, check: &Check<'s>, value: &Value) -> Result<bool, Refusal> {
        match check {
            Check::OneOf(branches) => {
                let mut fitting = 0;
                for branch in *branches {
                    fitting += usize::from(self.fits(value, branch)?);
                }
                Ok(fitting == 1)
            }
            Check::Not(schema, _) => Ok(!self.fits(value, schema)?),
            Check::Own(map, _) => self.fits_own_keywords(value, map),
        }
    }

    fn value_of_facets(
        &mut self,
        facets: &Facets<'s>,
        choices: &mut Choices,
    ) -> Result<Value, Refusal> {
        if let Some(values) = self.listed(facets)? {
            let index = self.scribe.random.index(values.len());
            return Ok(values[index].clone());
        }
        match self.choose_type(facets, choices)? {
            Type::Null => Ok(Value::Null),
            Type::Boolean => Ok(Value::Bool(self.scribe.random.below(2) == 0)),
            Type::Integer => self.number(facets, true),
            Type::Number => self.number(facets, false),
            Type::String => self.string(facets),
            Type::Array => self.array(facets),
            Type::Object => self.object(facets),
        }
    }

    /// Returns the values that `enum` and `const` leave, or `None` where the schemas have neither.
    fn listed(&mut self, facets: &Facets<'s>) -> Result<Option<Vec<&'s Value>>, Refusal> {
        let candidates: Vec<&'s Value> = match (facets.constant, facets.lists.first()) {
            (Some(value), _) => vec![value],
            (None, Some(list)) => list.iter().collect(),
            (None, None) => return Ok(None),
        };
        let mut fitting = Vec::with_capacity(candidates.len());
        for value in candidates {
            if self.fits_all_own_keywords(value, &facets.maps)? {
                fitting.push(value);
            }
        }
        if fitting.is_empty() {
            let keyword = if facets.constant.is_some() {
                "const"
            } else {
                "enum"
            };
            return Err(self.refusal(keyword, "no value of it fits the rest of the schema"));
        }
        Ok(Some(fitting))
    }

    fn choose_type(&mut self, facets: &Facets<'s>, choices: &mut Choices) -> Result<Type, Refusal> {
        let types = facets.types.list();
        if types.is_empty() {
            return Err(self.refusal("type", "its parts have no type in common"));
        }
        if facets.types.is_any() {
            return Ok(facets.implied_type());
        }
        if types.len() == 1 {
            return Ok(types[0]);
        }
        let random = &mut self.scribe.random;
        let index = choices.choose(types.len(), || {
            let index = random.index(types.len());
            // A nullable field is seldom null.
            if types[index] == Type::Null && random.below(8) > 0 {
                (index + 1) % types.len()
            } else {
                index
            }
        });
        Ok(types[index])
    }

    fn number(&mut self, facets: &Facets<'s>, is_integer: bool) -> Result<Value, Refusal> {
        let mut limits = NumberLimits {
            is_integer,
            ..NumberLimits::default()
        };
        for map in &facets.maps {
            let bounds = [
                ("minimum", "exclusiveMinimum", &mut limits.lower),
                ("maximum", "exclusiveMaximum", &mut limits.upper),
            ];
            for (inclusive, exclusive, bounds) in bounds {
                // Up to draft 4, the exclusive keyword was a flag on the other.
                let is_exclusive = map.get(exclusive).and_then(Value::as_bool).unwrap_or(false);
                let inclusive = map.get(inclusive).and_then(Value::as_number);
                bounds.extend(inclusive.map(|number| Bound {
                    number,
                    is_exclusive,
                }));
                let exclusive = map.get(exclusive).and_then(Value::as_number);
                bounds.extend(exclusive.map(|number| Bound {
                    number,
                    is_exclusive: true,
                }));
            }
            limits
                .multiples
                .extend(map.get("multipleOf").and_then(Value::as_number));
        }
        let usual = field::usual_range(self.field, is_integer);
        let drawn = limits.draw(usual, &mut self.scribe.random);
        match drawn {
            Ok(number) => Ok(Value::Number(number)),
            Err(keyword) => Err(self.refusal(keyword, "no number is within all limits")),
        }
    }

    fn string(&mut self, facets: &Facets<'s>) -> Result<Value, Refusal> {
        let mut length = Length::default();
        let mut patterns: Vec<&'s str> = Vec::new();
        let mut form = None;
        for map in &facets.maps {
            if let Some(min) = facets::count(map, "minLength") {
                length.min = length.min.max(min);
            }
            if let Some(max) = facets::count(map, "maxLength") {
                length.max = Some(length.max.map_or(max, |other| other.min(max)));
            }
            patterns.extend(map.get("pattern").and_then(Value::as_str));
            form = form.or_else(|| map.get("format").and_then(Value::as_str));
        }
        if length.min > MAX_LENGTH {
            return Err(self.refusal("minLength", "it asks for more than a million characters"));
        }
        if length.max.is_some_and(|max| max < length.min) {
            return Err(self.refusal("maxLength", "it is below `minLength`"));
        }
        if let Some((first, others)) = patterns.split_first() {
            return self.string_of_patterns(first, others, length);
        }
        if let Some(form) = form {
            for _ in 0..MAX_DRAWS {
                match format::write(form, self.scribe) {
                    Some(text) if length.fits(&text) => return Ok(Value::String(text)),
                    Some(_) => {}
                    // A format that is not known asks nothing.
                    None => return Ok(Value::String(self.scribe.text(self.field, length))),
                }
            }
            let keyword = if length.max.is_some() {
                "maxLength"
            } else {
                "minLength"
            };
            return Err(self.refusal(keyword, format!("no `{form}` of that length was found")));
        }
        let text = match self.field {
            "topics" if length.min == 0 => {
                Some(self.scribe.new_topic()).filter(|text| length.fits(text))
            }
            _ => None,
        };
        let text = text.unwrap_or_else(|| self.scribe.text(self.field, length));
        Ok(Value::String(text))
    }

    fn string_of_patterns(
        &mut self,
        first: &'s str,
        others: &[&'s str],
        length: Length,
    ) -> Result<Value, Refusal> {
        for pattern in others {
            self.pattern(pattern)?;
        }
        self.pattern(first)?;
        let first = &self.patterns[first];
        for _ in 0..MAX_DRAWS {
            let drawn = first.draw(length.min, length.max, &mut self.scribe.random);
            let Some(text) = drawn else {
                break;
            };
            if others
                .iter()
                .all(|other| self.patterns[other].matches(&text))
            {
                return Ok(Value::String(text));
            }
        }
        self.waste(self.values_left + PATTERN_WASTE)?;
        Err(self.refusal("pattern", "no matching text of that length was found"))
    }

    /// Reads a pattern once and keeps it.
    fn pattern(&mut self, text: &'s str) -> Result<&Pattern, Refusal> {
        if !self.patterns.contains_key(text) {
            let pattern = Pattern::read(text).map_err(|what| {
                self.refusal("pattern", format!("it has {what}, which is not understood"))
                    .finally()
            })?;
            self.patterns.insert(text, pattern);
        }
        Ok(&self.patterns[text])
    }

    /// Whether only what must be there is to be written.
    fn is_cramped(&self) -> bool {
        let Some(last) = self.open_references.last() else {
            return self.path.len() > ROOMY_DEPTH;
        };
        let nested = self
            .open_references
            .iter()
            .filter(|open| *open == last)
            .count();
        nested > ROOMY_NESTING || self.path.len() > ROOMY_DEPTH
    }

    fn resolve(&self, reference: &str) -> Result<&'s Value, Refusal> {
        refusal::resolve(self.root, reference).ok_or_else(|| {
            self.refusal("$ref", "it points to nothing in this schema")
                .finally()
        })
    }

    fn refusal(&self, keyword: &'static str, why: impl Into<Cow<'static, str>>) -> Refusal {
        Refusal::new(keyword, &self.path, why.into())
    }
}

type Fields = Map<String, Value>;
