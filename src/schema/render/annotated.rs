//! JSON with the types in place of values, as Starfish shows it.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::SchemaRenderer;
use crate::error::Result;
use crate::schema::{RecordSchema, constraint_text, traverse};

/// Shows a record as JSON in which each value is its type, followed by a comment: description,
/// constraints, and whether it is required.
///
/// ```
/// use topicloom::schema::{AnnotatedJson, Field, RecordSchema, SchemaRenderer};
///
/// let schema = RecordSchema::from_fields(&[
///     Field::str("question").description("one sentence"),
///     Field::int("year").optional(),
/// ])?;
/// assert_eq!(AnnotatedJson.render(&schema)?, "\
/// {
///   \"question\": string,  // one sentence (required)
///   \"year\": integer  // (optional)
/// }
///
/// Required fields: question");
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AnnotatedJson;

impl SchemaRenderer for AnnotatedJson {
    fn render(&self, schema: &RecordSchema) -> Result<String> {
        let root = schema.as_json();
        let mut lines = Lines {
            root,
            open: vec!["#".to_owned()],
            text: String::new(),
        };
        lines.value(root, 0);
        let mut text = lines.text;
        if let Some(about) = root.as_object().and_then(constraint_text::description) {
            let _ = write!(text, "\n\n{about}");
        }
        if !schema.required_names().is_empty() {
            let names = schema.required_names().join(", ");
            let _ = write!(text, "\n\nRequired fields: {names}");
        }
        Ok(text)
    }
}

struct Lines<'a> {
    root: &'a Value,
    /// References being written out, so that a schema that refers to itself ends.
    open: Vec<String>,
    text: String,
}

impl Lines<'_> {
    fn value(&mut self, schema: &Value, indent: usize) {
        let Value::Object(map) = schema else {
            self.text.push_str(if schema == &Value::Bool(false) {
                "nothing"
            } else {
                "anything"
            });
            return;
        };
        if let Some(constant) = map.get("const") {
            let _ = write!(self.text, "{constant}");
            return;
        }
        if let Some(Value::Array(options)) = map.get("enum") {
            let options: Vec<String> = options.iter().map(Value::to_string).collect();
            self.text.push_str(&options.join(" | "));
            return;
        }
        let before = self.text.len();
        if let Some(Value::String(reference)) = map.get("$ref") {
            self.reference(reference, indent);
        }
        if Self::has_own_type(map) {
            self.separate(before, " and ");
            self.own_type(map, indent);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(list)) = map.get(keyword) {
                self.separate(before, " and ");
                self.list(list, " or ", indent);
            }
        }
        if let Some(Value::Array(list)) = map.get("allOf") {
            self.separate(before, " and ");
            self.list(list, " and ", indent);
        }
        if self.text.len() == before {
            self.text.push_str("anything");
        }
    }

    fn separate(&mut self, before: usize, with: &str) {
        if self.text.len() > before {
            self.text.push_str(with);
        }
    }

    fn list(&mut self, list: &[Value], with: &str, indent: usize) {
        for (index, item) in list.iter().enumerate() {
            if index > 0 {
                self.text.push_str(with);
            }
            self.value(item, indent);
        }
    }

    fn reference(&mut self, reference: &str, indent: usize) {
        if self.open.iter().any(|open| open == reference) {
            let name = reference.rsplit('/').next().unwrap_or_default();
            if name == "#" {
                self.text.push_str("(the same shape as the record)");
            } else {
                let _ = write!(self.text, "(again a {name})");
            }
            return;
        }
        if let Some(target) = traverse::resolve(self.root, reference) {
            self.open.push(reference.to_owned());
            self.value(target, indent);
            self.open.pop();
        }
    }

    fn has_own_type(map: &Map<String, Value>) -> bool {
        ["type", "properties", "items"]
            .iter()
            .any(|keyword| map.contains_key(*keyword))
    }

    fn own_type(&mut self, map: &Map<String, Value>, indent: usize) {
        match map.get("type") {
            Some(Value::String(name)) => self.named_type(name, map, indent),
            Some(Value::Array(names)) => {
                for (index, name) in names.iter().filter_map(Value::as_str).enumerate() {
                    if index > 0 {
                        self.text.push_str(" or ");
                    }
                    self.named_type(name, map, indent);
                }
            }
            _ if map.contains_key("properties") => self.named_type("object", map, indent),
            _ => self.named_type("array", map, indent),
        }
    }

    fn named_type(&mut self, name: &str, map: &Map<String, Value>, indent: usize) {
        match name {
            "object" => self.object(map, indent),
            "array" => self.array(map, indent),
            "boolean" => self.text.push_str("true or false"),
            other => self.text.push_str(other),
        }
    }

    fn array(&mut self, map: &Map<String, Value>, indent: usize) {
        self.text.push('[');
        let first = map.get("prefixItems").and_then(Value::as_array);
        for item in first.into_iter().flatten() {
            self.value(item, indent);
            self.text.push_str(", ");
        }
        match map.get("items") {
            Some(Value::Bool(false)) if first.is_some() => {
                self.text.truncate(self.text.len().saturating_sub(2));
            }
            Some(items) => {
                self.value(items, indent);
                self.text.push_str(", ...");
            }
            None => self.text.push_str("..."),
        }
        self.text.push(']');
    }

    fn object(&mut self, map: &Map<String, Value>, indent: usize) {
        let properties = map.get("properties").and_then(Value::as_object);
        let count = properties.map_or(0, Map::len);
        let rest = match map.get("additionalProperties") {
            Some(Value::Bool(false)) => None,
            Some(rest @ Value::Object(_)) => Some(rest),
            _ if count == 0 => Some(&Value::Bool(true)),
            _ => None,
        };
        if count == 0 && rest.is_none() {
            self.text.push_str("{}");
            return;
        }
        let pad = "  ".repeat(indent + 1);
        let required = traverse::required(map);
        self.text.push_str("{\n");
        for (index, (name, property)) in properties.into_iter().flatten().enumerate() {
            let _ = write!(self.text, "{pad}{}: ", Value::from(name.as_str()));
            let start = self.text.len();
            self.value(property, indent + 1);
            if index + 1 < count || rest.is_some() {
                self.text.push(',');
            }
            let is_required = required.contains(name.as_str());
            // What a block is about is read before the block.
            let first_line = self.text[start..].find('\n');
            let end = first_line.map_or(self.text.len(), |length| start + length);
            let comment = format!("  // {}", comment(property, is_required));
            self.text.insert_str(end, &comment);
            self.text.push('\n');
        }
        if let Some(rest) = rest {
            let _ = write!(self.text, "{pad}\"...\": ");
            self.value(rest, indent + 1);
            self.text.push_str("  // any further keys\n");
        }
        self.text.push_str(&"  ".repeat(indent));
        self.text.push('}');
    }
}

fn comment(schema: &Value, is_required: bool) -> String {
    let mut words_in_order = Vec::new();
    if let Value::Object(map) = schema {
        words_in_order.extend(constraint_text::description(map));
        let mut constraints = constraint_text::constraints(map);
        if let Some(Value::Object(items)) = map.get("items") {
            let inside = constraint_text::constraints(items);
            if !inside.is_empty() {
                constraints.push(format!("each item: {}", inside.join(", ")));
            }
        }
        if !constraints.is_empty() {
            words_in_order.push(format!("[{}]", constraints.join(", ")));
        }
    }
    words_in_order.push(
        if is_required {
            "(required)"
        } else {
            "(optional)"
        }
        .to_owned(),
    );
    words_in_order.join(" ")
}
