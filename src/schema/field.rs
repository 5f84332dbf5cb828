//! The field list: the short form of a schema, as Starfish input files write it.

mod read;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Map, Value, json};

/// The types of a field list, named as in Python.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FieldType {
    /// A text.
    Str,
    /// A whole number.
    Int,
    /// Any number.
    Float,
    /// `true` or `false`.
    Bool,
    /// A list.
    List,
    /// An object.
    Dict,
    /// Always null.
    Null,
}

impl FieldType {
    const ALL: [Self; 7] = [
        Self::Str,
        Self::Int,
        Self::Float,
        Self::Bool,
        Self::List,
        Self::Dict,
        Self::Null,
    ];

    /// Returns the name used in field lists, such as `str`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Str => "str",
            Self::Int => "int",
            Self::Float => "float",
            Self::Bool => "bool",
            Self::List => "list",
            Self::Dict => "dict",
            Self::Null => "null",
        }
    }

    /// Returns the name of the same type in JSON Schema, such as `string`.
    #[must_use]
    pub fn json_type(self) -> &'static str {
        match self {
            Self::Str => "string",
            Self::Int => "integer",
            Self::Float => "number",
            Self::Bool => "boolean",
            Self::List => "array",
            Self::Dict => "object",
            Self::Null => "null",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    fn from_json_type(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.json_type() == name)
    }
}

/// One field of a record: a name, a type, and what more is said about it.
///
/// In JSON it is an object with `name`, `type`, and where wanted `description`, `required` (default
/// true), `items` for a list, `properties` and a `required` list for a dict (`required_properties` where the dict
/// itself is optional). `items` and `properties` hold
/// schemas, in which the types may be named either way (`str` or `string`). Beyond Starfish's keys, these keywords of JSON
/// Schema may stand in a field:
///
/// | of | keywords |
/// |--|--|
/// | any type | `title`, `default`, `examples`, `enum`, `const` |
/// | `str` | `minLength`, `maxLength`, `pattern`, `format` |
/// | `int`, `float` | `minimum`, `maximum`, `exclusiveMinimum`, `exclusiveMaximum`, `multipleOf` |
/// | `list` | `minItems`, `maxItems`, `uniqueItems` |
/// | `dict` | `minProperties`, `maxProperties`, `additionalProperties` |
///
/// ```
/// use topicloom::schema::{Field, FieldType, RecordSchema};
///
/// let schema = RecordSchema::from_fields(&[
///     Field::str("question").description("one sentence"),
///     Field::str("difficulty").one_of(["easy", "hard"]),
///     Field::list("tags", FieldType::Str).optional(),
///     Field::dict("source", [Field::str("title"), Field::int("year").optional()]),
/// ])?;
/// assert_eq!(schema.required_names(), ["question", "difficulty", "source"]);
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Field {
    pub(super) name: String,
    pub(super) kind: FieldType,
    pub(super) required: bool,
    /// The keywords of its schema after `type`, `description` among them.
    pub(super) keywords: Map<String, Value>,
}

impl Field {
    fn new(name: impl Into<String>, kind: FieldType) -> Self {
        Self {
            name: name.into(),
            kind,
            required: true,
            keywords: Map::new(),
        }
    }

    /// Creates a text field.
    pub fn str(name: impl Into<String>) -> Self {
        Self::new(name, FieldType::Str)
    }

    /// Creates a field for whole numbers.
    pub fn int(name: impl Into<String>) -> Self {
        Self::new(name, FieldType::Int)
    }

    /// Creates a field for numbers.
    pub fn float(name: impl Into<String>) -> Self {
        Self::new(name, FieldType::Float)
    }

    /// Creates a field that is true or false.
    pub fn bool(name: impl Into<String>) -> Self {
        Self::new(name, FieldType::Bool)
    }

    /// Creates a field that is always null.
    pub fn null(name: impl Into<String>) -> Self {
        Self::new(name, FieldType::Null)
    }

    /// Creates a list whose items are all of one kind: a [`FieldType`], the fields of an object, or a JSON Schema.
    pub fn list(name: impl Into<String>, items: impl Into<Items>) -> Self {
        Self::new(name, FieldType::List).keyword("items", items.into().0)
    }

    /// Creates an object with these fields and no others.
    pub fn dict(name: impl Into<String>, fields: impl IntoIterator<Item = Self>) -> Self {
        let mut field = Self::new(name, FieldType::Dict);
        field.keywords = object_keywords(fields);
        field
    }

    /// Creates an object with any keys, each holding what `values` says.
    ///
    /// ```
    /// use topicloom::schema::{Field, FieldType};
    ///
    /// let field = Field::map("word_counts", FieldType::Int);
    /// ```
    pub fn map(name: impl Into<String>, values: impl Into<Items>) -> Self {
        Self::new(name, FieldType::Dict).keyword("additionalProperties", values.into().0)
    }

    /// Creates a field of any type with nothing more said: a list of anything, an object of anything.
    pub fn of_type(name: impl Into<String>, kind: FieldType) -> Self {
        Self::new(name, kind)
    }

    /// Says in words what belongs into the field. The model reads it.
    #[must_use]
    pub fn description(self, description: impl Into<String>) -> Self {
        let description: String = description.into();
        self.keyword("description", description)
    }

    /// Lets the field be left out.
    #[must_use]
    pub fn optional(mut self) -> Self {
        self.required = false;
        self
    }

    /// Allows only these values.
    #[must_use]
    pub fn one_of<V: Into<Value>>(self, values: impl IntoIterator<Item = V>) -> Self {
        let values: Vec<Value> = values.into_iter().map(Into::into).collect();
        self.keyword("enum", values)
    }

    /// Adds a JSON Schema keyword, such as `minLength`. It is checked when the schema is made.
    #[must_use]
    pub fn keyword(mut self, keyword: impl Into<String>, value: impl Into<Value>) -> Self {
        self.keywords.insert(keyword.into(), value.into());
        self
    }

    /// Returns the name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether a record must have the field.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.required
    }

    /// Returns the JSON Schema of the field's value.
    pub(super) fn schema(&self) -> Value {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), self.kind.json_type().into());
        schema.extend(self.keywords.clone());
        Value::Object(schema)
    }
}

/// What a list holds, or the values of a map: made from a [`FieldType`], from fields, or from a JSON Schema.
#[derive(Debug, Clone, PartialEq)]
pub struct Items(Value);

impl From<FieldType> for Items {
    fn from(kind: FieldType) -> Self {
        Self(json!({ "type": kind.json_type() }))
    }
}

impl<const N: usize> From<[Field; N]> for Items {
    fn from(fields: [Field; N]) -> Self {
        Vec::from(fields).into()
    }
}

impl From<Vec<Field>> for Items {
    fn from(fields: Vec<Field>) -> Self {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), "object".into());
        schema.extend(object_keywords(fields));
        Self(Value::Object(schema))
    }
}

impl From<Value> for Items {
    fn from(schema: Value) -> Self {
        Self(schema)
    }
}

/// Returns `properties`, `required` and `additionalProperties` of an object with exactly these fields.
pub(super) fn object_keywords(fields: impl IntoIterator<Item = Field>) -> Map<String, Value> {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for field in fields {
        properties.insert(field.name.clone(), field.schema());
        if field.required {
            required.push(Value::String(field.name));
        }
    }
    let mut keywords = Map::new();
    keywords.insert("properties".to_owned(), Value::Object(properties));
    keywords.insert("required".to_owned(), Value::Array(required));
    keywords.insert("additionalProperties".to_owned(), Value::Bool(false));
    keywords
}

impl Serialize for Field {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = Map::new();
        map.insert("name".to_owned(), self.name.as_str().into());
        map.insert("type".to_owned(), self.kind.as_str().into());
        map.extend(self.keywords.clone());
        if !self.required {
            // A dict says in one key what Starfish says in one key: its own list, or that it is optional.
            if let Some(list) = map.remove("required") {
                map.insert("required_properties".to_owned(), list);
            }
            map.insert("required".to_owned(), false.into());
        }
        map.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Field {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let mut faults = Vec::new();
        read::field(&value, "field", &mut faults)
            .filter(|_| faults.is_empty())
            .ok_or_else(|| serde::de::Error::custom(faults.join("; ")))
    }
}

impl JsonSchema for Field {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Field".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let types: Vec<&str> = FieldType::ALL.iter().map(|kind| kind.as_str()).collect();
        json_schema!({
            "description": "One field of a record. JSON Schema keywords that constrain its value may be added.",
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 1},
                "type": {"enum": types},
                "description": {"type": "string"},
                "required": {
                    "description": "Whether a record must have the field (default true); for a dict also a list of the names it must hold.",
                    "type": ["boolean", "array"],
                    "items": {"type": "string"}
                },
                "items": {"description": "What a list holds, as a schema.", "type": ["object", "string"]},
                "properties": {"description": "What a dict holds: a schema per name.", "type": "object"}
            },
            "required": ["name", "type"]
        })
    }
}

pub(crate) use read::kind_of;

/// Reads a field list, collecting every fault with its place. The result is whole only if there is none.
pub(super) fn read_list(list: &[Value], place: &str, faults: &mut Vec<String>) -> Vec<Field> {
    read::list(list, place, faults)
}

/// Checks that the names of fields, given with their places in the list, are there and differ.
pub(super) fn check_names<'a>(
    names: impl Iterator<Item = (usize, &'a str)>,
    place: &str,
    faults: &mut Vec<String>,
) {
    let mut seen = std::collections::HashSet::new();
    for (index, name) in names {
        if name.trim().is_empty() {
            faults.push(format!("{place}[{index}].name: must not be blank"));
        } else if !seen.insert(name) {
            let name: String = name.chars().take(60).collect();
            faults.push(format!(
                r#"{place}[{index}].name: "{name}" is the name of an earlier field"#
            ));
        }
    }
}
