//! The shape of a record: where it comes from, what a prompt shows of it, what providers are sent, and
//! whether a value has it.

pub(crate) mod canonical;
pub mod dialect;
pub(crate) mod traverse;

mod bounds;
mod check;
pub(crate) mod coerce;
mod constraint_text;
mod contradiction;
mod decode;
mod drafts;
mod field;
mod files;
mod find;
mod known_keys;
pub(crate) mod placeholder;
mod recursion_guard;
mod render;
mod shape;
#[cfg(test)]
mod tests;
pub(crate) mod types;
mod validate;
mod violation;

use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use self::known_keys::KnownKeys;
use crate::error::{Error, ErrorKind, Result};

pub use coerce::{Coercion, CoercionKind, coerce, read_json_texts};
pub use decode::{DecodeFault, decode};
pub use dialect::Dialect;
pub(crate) use field::kind_of;
pub use field::{Field, FieldType, Items};
pub use files::include_files;
pub(crate) use find::find_field;
pub(crate) use render::skeleton;
pub use render::{AnnotatedJson, SchemaRenderer, SchemaStyle, TypeScript};
pub(crate) use validate::PartValidator;
pub use violation::Violation;

/// The key under which records are wrapped, because providers want an object at the root of an answer.
pub const RECORDS_KEY: &str = "records";

/// The shape of a record: a JSON Schema (draft 2020-12) that describes an object, compiled once.
///
/// Cheap to clone. The default is a question and an answer, both texts.
///
/// A field list allows no other keys than its fields, as upstream does, so that every record has the same
/// columns. In a JSON Schema, the caller's own or derived from a type, other keys are allowed unless it says
/// `additionalProperties: false`. Since models like to add an `"id"`, [`drop_unknown_keys`](Self::drop_unknown_keys) takes
/// away what is not allowed before validation.
///
/// ```
/// use serde_json::json;
/// use topicloom::schema::RecordSchema;
///
/// let schema = RecordSchema::from_json(json!([
///     {"name": "question", "type": "str"},
///     {"name": "difficulty", "type": "int", "minimum": 1, "maximum": 5},
/// ]))?;
/// assert!(schema.validate(&json!({"question": "why?", "difficulty": 3})).is_ok());
/// assert!(schema.validate(&json!({"question": "why?", "difficulty": 9})).is_err());
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Clone)]
pub struct RecordSchema(Arc<Inner>);

struct Inner {
    json: Value,
    origin: Origin,
    asserts_formats: bool,
    /// What was read otherwise than it is written, or not at all.
    warnings: Vec<String>,
    validator: validate::Validator,
    known_keys: KnownKeys,
    property_names: Vec<String>,
    required_names: Vec<String>,
    fingerprint: u128,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Fields,
    JsonSchema,
}

impl RecordSchema {
    /// Creates the shape from a list of fields.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if there is no field, two have the same name, or one holds a schema that is not one.
    pub fn from_fields(fields: &[Field]) -> Result<Self> {
        let mut faults = Vec::new();
        let names = fields.iter().map(Field::name).enumerate();
        field::check_names(names, "output_schema", &mut faults);
        Self::from_checked_fields(fields, faults)
    }

    fn from_checked_fields(fields: &[Field], mut faults: Vec<String>) -> Result<Self> {
        if fields.is_empty() && faults.is_empty() {
            faults.push(
                r#"output_schema: must have at least one field, such as {"name": "question", "type": "str"}"#
                    .to_owned(),
            );
        }
        if !faults.is_empty() {
            return Err(invalid(&faults));
        }
        let mut schema = serde_json::Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.extend(field::object_keywords(fields.iter().cloned()));
        Self::new(Value::Object(schema), Origin::Fields, false)
    }

    /// Creates the shape from a JSON Schema whose root describes an object, or a list of them.
    ///
    /// It is read as draft 2020-12; what drafts 3 to 2019-09 and `OpenAPI` say in other words is translated. It may
    /// come in the wrapping in which providers take it: `{"name": …, "schema": …}`, a `response_format`, a tool.
    /// References must stay inside the document: nothing is fetched from files or the network. What is read otherwise than
    /// it is written is among the [`warnings`](Self::warnings).
    ///
    /// # Errors
    ///
    /// `InvalidInput`, naming each place, if it is not a JSON Schema, does not describe an object, refers to
    /// something outside, or is absurdly large (over 100 levels, 100 000 values or 4 MiB of text).
    pub fn from_json_schema(schema: Value) -> Result<Self> {
        Self::new(schema, Origin::JsonSchema, false)
    }

    /// Creates the shape from a Rust type, as its `schemars` and `serde` attributes describe it.
    ///
    /// ```
    /// use schemars::JsonSchema;
    /// use topicloom::schema::RecordSchema;
    ///
    /// #[derive(JsonSchema)]
    /// struct Qa {
    ///     /// A question a student would ask.
    ///     question: String,
    ///     answer: String,
    ///     source: Option<String>,
    /// }
    ///
    /// let schema = RecordSchema::from_type::<Qa>()?;
    /// assert_eq!(schema.property_names(), ["question", "answer", "source"]);
    /// assert_eq!(schema.required_names(), ["question", "answer"]);
    /// # Ok::<(), topicloom::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the type is not a JSON object, such as a string or a tuple.
    pub fn from_type<T: JsonSchema>() -> Result<Self> {
        let schema = SchemaSettings::draft2020_12()
            .into_generator()
            .into_root_schema_for::<T>();
        Self::new(schema.to_value(), Origin::JsonSchema, false)
            .map_err(|error| error.with_context("type", std::any::type_name::<T>()))
    }

    /// Creates the shape from either JSON form: a list of fields, or a JSON Schema. `null` is the default shape.
    ///
    /// # Errors
    ///
    /// `InvalidInput` that tells every fault found, each with its place; also if a JSON Schema says nothing of an object but
    /// that it is one.
    pub fn from_json(value: Value) -> Result<Self> {
        match value {
            Value::Null => Ok(Self::default()),
            Value::Array(_) => {
                let value = bounds::check(value).map_err(|fault| too_large(&fault))?;
                let list = value.as_array().map_or(&[][..], Vec::as_slice);
                let mut faults = Vec::new();
                let fields = field::read_list(list, "output_schema", &mut faults);
                Self::from_checked_fields(&fields, faults)
            }
            Value::Object(_) => {
                let schema = Self::from_json_schema(value)?;
                if schema.property_names().is_empty() && shape::accepts_everything(schema.as_json())
                {
                    return Err(invalid(&[
                        "output_schema: names no property, so that every object would be a record; list what a record \
                         has under `properties`"
                            .to_owned(),
                    ]));
                }
                Ok(schema)
            }
            other => Err(invalid(&[format!(
                r#"output_schema: must be a list of fields such as [{{"name": "question", "type": "str"}}] or a JSON Schema, not {}"#,
                kind_of(&other)
            )])),
        }
    }

    fn new(json: Value, origin: Origin, asserts_formats: bool) -> Result<Self> {
        let mut json = bounds::check(json).map_err(|fault| too_large(&fault))?;
        if !json.is_object() {
            return Err(invalid(&[format!(
                "output_schema: a JSON Schema for records is an object, not {}",
                kind_of(&json)
            )]));
        }
        let warnings = match origin {
            Origin::JsonSchema => drafts::translate(&mut json),
            Origin::Fields => Vec::new(),
        };
        let faults = check::faults(&json);
        if !faults.is_empty() {
            return Err(invalid(&at_schema(faults)));
        }
        bounds::check_expansion(&json).map_err(|fault| too_large(&fault))?;
        let validator = validate::Validator::new(&compilable(&json), asserts_formats).map_err(
            |violations| {
                let faults = violations
                    .iter()
                    .map(|violation| format!("{}: {}", violation.path, violation.expected))
                    .collect();
                invalid(&at_schema(faults))
            },
        )?;
        let contradictions = contradiction::faults(&json);
        if !contradictions.is_empty() {
            return Err(invalid(&at_schema(contradictions)));
        }
        if !shape::describes_object(&json) {
            return Err(not_an_object(&json));
        }
        let (property_names, required_names) = shape::names(&json);
        let fingerprint = canonical::hash(&json);
        let known_keys = KnownKeys::of(&json);
        Ok(Self(Arc::new(Inner {
            json,
            origin,
            asserts_formats,
            warnings,
            validator,
            known_keys,
            property_names,
            required_names,
            fingerprint,
        })))
    }

    /// Asserts `format` keywords such as `date-time` and `email` too. By default they are annotations.
    ///
    /// Formats that JSON Schema does not define are ignored either way.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the schema cannot be compiled that way.
    pub fn assert_formats(&self) -> Result<Self> {
        Self::new(self.0.json.clone(), self.0.origin, true)
    }

    /// Returns the full JSON Schema.
    #[must_use]
    pub fn as_json(&self) -> &Value {
        &self.0.json
    }

    /// Returns what was read otherwise than it is written, or is ignored: each with its place in the schema.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.0.warnings
    }

    /// Returns the schema of an object with one property, [`RECORDS_KEY`]: a list of such records.
    ///
    /// Definitions move to the new root, and references follow, so that they still lead there.
    ///
    /// ```
    /// use topicloom::schema::RecordSchema;
    ///
    /// let wrapped = RecordSchema::default().wrapped();
    /// assert_eq!(wrapped.pointer("/properties/records/items/required/0"), Some(&"question".into()));
    /// ```
    #[must_use]
    pub fn wrapped(&self) -> Value {
        wrap(&self.0.json)
    }

    /// Returns the names of the properties that the root knows, in the order written.
    #[must_use]
    pub fn property_names(&self) -> &[String] {
        &self.0.property_names
    }

    /// Returns the names of the properties that every record has.
    #[must_use]
    pub fn required_names(&self) -> &[String] {
        &self.0.required_names
    }

    /// Returns whether the root knows a property of this name.
    #[must_use]
    pub fn has_property(&self, name: &str) -> bool {
        self.0.property_names.iter().any(|known| known == name)
    }

    /// Returns a hash of the schema, the same for every order of keys, on every platform and in every version.
    #[must_use]
    pub fn fingerprint(&self) -> u128 {
        self.0.fingerprint
    }

    /// Checks a record against the full schema. Of a field list, a required text may not be blank either, unless the field
    /// says its `minLength` or its values.
    ///
    /// # Errors
    ///
    /// Returns what is wrong, at most sixteen faults, none of which holds the value. Where a record matches
    /// none of several alternatives, those it was probably meant for are unfolded.
    pub fn validate(&self, value: &Value) -> Result<(), Vec<Violation>> {
        if !value.is_object() {
            return Err(vec![Violation::new("", "type", "must be an object")]);
        }
        self.0.validator.validate(&self.0.json, value)?;
        match self.blanks(value) {
            blanks if blanks.is_empty() => Ok(()),
            blanks => Err(blanks),
        }
    }

    /// Returns the required texts of a field list that say nothing. A JSON Schema says itself what it takes, by `minLength`.
    fn blanks(&self, value: &Value) -> Vec<Violation> {
        let properties = &self.0.json["properties"];
        let names = self
            .required_names()
            .iter()
            .filter(|_| self.0.origin == Origin::Fields);
        let said = |name: &str| {
            ["enum", "const", "minLength"]
                .iter()
                .any(|key| properties[name].get(key).is_some())
        };
        let blank = |name: &&String| {
            value[name.as_str()]
                .as_str()
                .is_some_and(|text| text.trim().is_empty())
        };
        let blanks = names.filter(blank).filter(|name| !said(name));
        blanks
            .map(|name| Violation::new(traverse::join("", &[name]), "blank", "must not be blank"))
            .collect()
    }

    /// Takes away the keys that a field list does not name, at every level, and returns how many they were.
    ///
    /// Of a JSON Schema or a type, the keys that `additionalProperties: false` forbids beside it are taken away: a record that
    /// has them cannot be valid. Others stay.
    #[must_use]
    pub fn drop_unknown_keys(&self, mut value: Value) -> (Value, usize) {
        let dropped = self.0.known_keys.drop_others(&mut value);
        (value, dropped)
    }
}

/// Wraps a record's schema as `{"records": [record, …]}`.
fn wrap(record: &Value) -> Value {
    let mut record = compilable(record);
    traverse::each_reference_mut(&mut record, &mut |reference| {
        let below = reference.strip_prefix('#')?;
        let moved = below.starts_with("/$defs/") || below.starts_with("/definitions/");
        (!moved).then(|| format!("#/properties/{RECORDS_KEY}/items{below}"))
    });
    let mut definitions = serde_json::Map::new();
    if let Value::Object(map) = &mut record {
        for keyword in ["$defs", "definitions"] {
            definitions.extend(map.shift_remove_entry(keyword));
        }
    }
    let mut wrapped = json!({
        "type": "object",
        "properties": {RECORDS_KEY: {"type": "array", "items": record}},
        "required": [RECORDS_KEY],
        "additionalProperties": false,
    });
    if let Value::Object(map) = &mut wrapped {
        map.extend(definitions);
    }
    wrapped
}

/// Leaves out what names the document and its draft: it is read as draft 2020-12, at no address.
fn compilable(schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Value::Object(map) = &mut schema {
        map.shift_remove("$schema");
        map.shift_remove("$id");
    }
    schema
}

fn at_schema(faults: Vec<String>) -> Vec<String> {
    faults
        .into_iter()
        .map(|fault| format!("output_schema at {fault}"))
        .collect()
}

fn invalid(faults: &[String]) -> Error {
    Error::new(ErrorKind::InvalidInput, faults.join("; "))
}

fn too_large(fault: &str) -> Error {
    invalid(&[format!("output_schema: {fault}")])
}

fn not_an_object(schema: &Value) -> Error {
    if let Some(keyword) = ["anyOf", "oneOf"]
        .iter()
        .find(|keyword| schema.get(**keyword).is_some())
    {
        return invalid(&[format!(
            "output_schema: the root allows more than objects under `{keyword}`; keep the alternatives that are objects"
        )]);
    }
    let said = match schema.get("type") {
        Some(kind) => format!("says `type: {kind}`"),
        None => "has neither `type: \"object\"` nor `properties`".to_owned(),
    };
    invalid(&[format!(
        r#"output_schema: the root of a JSON Schema for records must describe an object, and this one {said}; to list fields instead, write [{{"name": "question", "type": "str"}}]"#
    )])
}

impl Default for RecordSchema {
    fn default() -> Self {
        Self::from_fields(&[Field::str("question"), Field::str("answer")])
            .expect("two text fields are a schema")
    }
}

impl PartialEq for RecordSchema {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.json == other.0.json && self.0.asserts_formats == other.0.asserts_formats)
    }
}

impl fmt::Debug for RecordSchema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecordSchema").field(&self.0.json).finish()
    }
}

impl Serialize for RecordSchema {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.json.serialize(serializer)
    }
}
