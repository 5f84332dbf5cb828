//! What a value has to be: the plain keywords of all schemas that hold for it, branches chosen.

use serde_json::Value;

use super::{Choices, Fields, Refusal, Sampler};

/// A JSON type; `Integer` is the whole numbers among the numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Type {
    Null,
    Boolean,
    Integer,
    Number,
    String,
    Array,
    Object,
}

/// A set of types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Types(u8);

const NULL: u8 = 1;
const BOOLEAN: u8 = 2;
const INTEGER: u8 = 4;
/// Numbers that are not whole; together with `INTEGER`, all numbers.
const FRACTION: u8 = 8;
const STRING: u8 = 16;
const ARRAY: u8 = 32;
const OBJECT: u8 = 64;

impl Types {
    const ANY: Self = Self(127);

    fn named(name: &str) -> Self {
        Self(match name {
            "null" => NULL,
            "boolean" => BOOLEAN,
            "integer" => INTEGER,
            "number" => INTEGER | FRACTION,
            "string" => STRING,
            "array" => ARRAY,
            "object" => OBJECT,
            _ => 0,
        })
    }

    /// Reads the keyword `type`.
    pub(super) fn read(keyword: &Value) -> Self {
        match keyword {
            Value::String(name) => Self::named(name),
            Value::Array(names) => {
                let names = names.iter().filter_map(Value::as_str);
                Self(names.fold(0, |bits, name| bits | Self::named(name).0))
            }
            _ => Self(0),
        }
    }

    pub(super) fn contains(self, value: &Value) -> bool {
        let bit = match value {
            Value::Null => NULL,
            Value::Bool(_) => BOOLEAN,
            Value::Number(number) => match number.as_f64() {
                Some(number) if number.fract() != 0.0 => FRACTION,
                _ => INTEGER,
            },
            Value::String(_) => STRING,
            Value::Array(_) => ARRAY,
            Value::Object(_) => OBJECT,
        };
        self.0 & bit != 0
    }

    pub(super) fn is_any(self) -> bool {
        self == Self::ANY
    }

    pub(super) fn list(self) -> Vec<Type> {
        let mut types = Vec::with_capacity(2);
        let has = |bit| self.0 & bit != 0;
        for (bit, kind) in [
            (OBJECT, Type::Object),
            (ARRAY, Type::Array),
            (STRING, Type::String),
            (FRACTION, Type::Number),
            (BOOLEAN, Type::Boolean),
            (NULL, Type::Null),
        ] {
            if has(bit) {
                types.push(kind);
            }
        }
        if has(INTEGER) && !has(FRACTION) {
            types.push(Type::Integer);
        }
        types
    }
}

/// What is looked at once a value is there, because it cannot be built in.
#[derive(Debug)]
pub(super) enum Check<'s> {
    /// Exactly one of these fits.
    OneOf(&'s [Value]),
    /// This does not fit; the keyword that says so.
    Not(&'s Value, &'static str),
    /// These keywords fit; the one that is hard to build in.
    Own(&'s Fields, &'static str),
}

impl Check<'_> {
    pub(super) fn keyword(&self) -> &'static str {
        match self {
            Self::OneOf(_) => "oneOf",
            Self::Not(_, keyword) | Self::Own(_, keyword) => keyword,
        }
    }
}

/// The schemas that hold for a value, all forks decided.
#[derive(Debug)]
pub(super) struct Facets<'s> {
    /// Keywords that hold together.
    pub(super) maps: Vec<&'s Fields>,
    pub(super) types: Types,
    pub(super) constant: Option<&'s Value>,
    pub(super) lists: Vec<&'s Vec<Value>>,
    pub(super) checks: Vec<Check<'s>>,
}

impl Facets<'_> {
    /// Guesses a type from the keywords that are there, where the schemas leave it open.
    pub(super) fn implied_type(&self) -> Type {
        for map in &self.maps {
            for keyword in map.keys() {
                match keyword.as_str() {
                    "properties"
                    | "required"
                    | "additionalProperties"
                    | "patternProperties"
                    | "minProperties"
                    | "maxProperties"
                    | "propertyNames" => return Type::Object,
                    "items" | "prefixItems" | "minItems" | "maxItems" | "uniqueItems"
                    | "contains" => return Type::Array,
                    "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum"
                    | "multipleOf" => return Type::Number,
                    _ => {}
                }
            }
        }
        Type::String
    }
}

/// Reads a keyword that counts something.
pub(super) fn count(map: &Fields, keyword: &str) -> Option<usize> {
    let value = map.get(keyword)?;
    // A count may be written as `3.0`, and one beyond memory is as good as the largest.
    let count = value.as_u64().or_else(|| {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        // Saturates as it should.
        value.as_f64().map(|count| count as u64)
    })?;
    Some(usize::try_from(count).unwrap_or(usize::MAX))
}

impl<'s> Sampler<'s, '_> {
    /// Follows references and takes branches until only plain keywords are left.
    pub(super) fn facets(
        &mut self,
        schemas: &[&'s Value],
        choices: &mut Choices,
    ) -> Result<Facets<'s>, Refusal> {
        let mut facets = Facets {
            maps: Vec::with_capacity(schemas.len()),
            types: Types::ANY,
            constant: None,
            lists: Vec::new(),
            checks: Vec::new(),
        };
        let mut open: Vec<&'s Value> = schemas.iter().rev().copied().collect();
        let mut followed: Vec<*const Value> = Vec::new();
        while let Some(schema) = open.pop() {
            match schema {
                Value::Object(map) => {
                    self.take_apart(map, &mut facets, choices, &mut open, &mut followed)?;
                }
                Value::Bool(false) => return Err(self.refusal("false", "it allows no value")),
                Value::Bool(true) => {}
                _ => {
                    return Err(self
                        .refusal("schema", "it is neither an object nor a boolean")
                        .finally());
                }
            }
        }
        Ok(facets)
    }

    fn take_apart(
        &mut self,
        map: &'s Fields,
        facets: &mut Facets<'s>,
        choices: &mut Choices,
        open: &mut Vec<&'s Value>,
        followed: &mut Vec<*const Value>,
    ) -> Result<(), Refusal> {
        facets.maps.push(map);
        for (keyword, value) in map {
            match (keyword.as_str(), value) {
                ("type", value) => facets.types = Types(facets.types.0 & Types::read(value).0),
                ("const", value) => match facets.constant {
                    Some(other) if other != value => {
                        return Err(self.refusal("const", "two of them differ"));
                    }
                    _ => facets.constant = Some(value),
                },
                ("enum", Value::Array(list)) => facets.lists.push(list),
                ("$ref", Value::String(reference)) => {
                    let target = self.resolve(reference)?;
                    let place = std::ptr::from_ref(target);
                    if followed.contains(&place) {
                        return Err(self.refusal("$ref", "it leads back to itself"));
                    }
                    followed.push(place);
                    self.open_references.push(place);
                    open.push(target);
                }
                ("$dynamicRef" | "$recursiveRef", _) => {
                    return Err(self
                        .refusal("$dynamicRef", "it is not understood")
                        .finally());
                }
                ("allOf", Value::Array(parts)) => open.extend(parts.iter().rev()),
                ("anyOf", Value::Array(branches)) => {
                    open.push(self.branch(branches, "anyOf", choices)?);
                }
                ("oneOf", Value::Array(branches)) => {
                    open.push(self.branch(branches, "oneOf", choices)?);
                    facets.checks.push(Check::OneOf(branches));
                }
                ("not", schema) => facets.checks.push(Check::Not(schema, "not")),
                ("if", condition) => {
                    let random = &mut self.scribe.random;
                    if choices.choose(2, || random.index(2)) == 0 {
                        open.push(condition);
                        open.extend(map.get("then"));
                    } else {
                        facets.checks.push(Check::Not(condition, "if"));
                        open.extend(map.get("else"));
                    }
                }
                // Stricter than asked for, and simple: what holds if a field is there holds always.
                ("dependentSchemas", Value::Object(schemas)) => open.extend(schemas.values()),
                ("maxContains", _) => {
                    // `contains` is built in, the count from above is not.
                    facets.checks.push(Check::Own(map, "maxContains"));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn branch(
        &mut self,
        branches: &'s [Value],
        keyword: &'static str,
        choices: &mut Choices,
    ) -> Result<&'s Value, Refusal> {
        if branches.is_empty() {
            return Err(self.refusal(keyword, "it has no branch"));
        }
        let is_cramped = self.is_cramped();
        let (random, reach) = (&mut self.scribe.random, &mut self.reach);
        let index = choices.choose(branches.len(), || {
            if is_cramped {
                return reach.nearest(branches);
            }
            let index = random.index(branches.len());
            // A nullable field is seldom null.
            let is_null = branches[index]
                .get("type")
                .is_some_and(|name| name == "null");
            if is_null && random.below(8) > 0 {
                (index + 1) % branches.len()
            } else {
                index
            }
        });
        Ok(&branches[index])
    }
}
