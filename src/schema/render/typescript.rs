//! Compact types in the manner of TypeScript.

use std::collections::HashSet;
use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::SchemaRenderer;
use crate::error::Result;
use crate::schema::{RecordSchema, constraint_text, traverse};

/// Shows a record as TypeScript types, with descriptions and constraints as comments.
///
/// Takes about half the tokens of a JSON Schema and is read as well by models, which know the notation
/// from code. The default renderer. Types that are referred to are named and follow the record.
///
/// ```
/// use topicloom::schema::{Field, FieldType, RecordSchema, SchemaRenderer, TypeScript};
///
/// let schema = RecordSchema::from_fields(&[
///     Field::str("question").description("one sentence"),
///     Field::list("tags", FieldType::Str).optional().keyword("maxItems", 3),
/// ])?;
/// assert_eq!(TypeScript.render(&schema)?, "\
/// {
///   question: string; // one sentence
///   tags?: string[]; // at most 3 items
/// }");
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TypeScript;

impl SchemaRenderer for TypeScript {
    fn render(&self, schema: &RecordSchema) -> Result<String> {
        let root = schema.as_json();
        let mut types = Types::new(root);
        let record = types.expression(root, 0);
        let mut text = String::new();
        if let Some(about) = root.as_object().and_then(constraint_text::description) {
            let _ = writeln!(text, "// {about}");
        }
        if types.root_is_named {
            let _ = write!(text, "type {} = {record};", types.name("#"));
        } else {
            text.push_str(&record);
        }
        while let Some(reference) = types.next_open() {
            let Some(target) = traverse::resolve(root, &reference) else {
                continue;
            };
            let body = types.expression(target, 0);
            text.push_str("\n\n");
            if let Some(about) = target.as_object().and_then(constraint_text::description) {
                let _ = writeln!(text, "// {about}");
            }
            let _ = write!(text, "type {} = {body};", types.name(&reference));
        }
        Ok(text)
    }
}

struct Types<'a> {
    /// References with the type names they were given, in the order met.
    names: Vec<(String, String)>,
    taken: HashSet<String>,
    shown: usize,
    root_is_named: bool,
    root: &'a Value,
}

impl<'a> Types<'a> {
    fn new(root: &'a Value) -> Self {
        Self {
            names: Vec::new(),
            taken: HashSet::new(),
            shown: 0,
            root_is_named: false,
            root,
        }
    }

    fn next_open(&mut self) -> Option<String> {
        while let Some((reference, _)) = self.names.get(self.shown) {
            self.shown += 1;
            if reference != "#" {
                return Some(reference.clone());
            }
        }
        None
    }

    /// Returns the type name for a reference, made from its last part.
    fn name(&mut self, reference: &str) -> String {
        if let Some((_, name)) = self.names.iter().find(|(known, _)| known == reference) {
            return name.clone();
        }
        let last = if reference == "#" {
            self.root_is_named = true;
            let title = self.root.get("title").and_then(Value::as_str);
            title.unwrap_or("Record")
        } else {
            reference.rsplit('/').next().unwrap_or(reference)
        };
        let mut name: String = last
            .chars()
            .map(|char| if char.is_alphanumeric() { char } else { '_' })
            .take(64)
            .collect();
        if !name.starts_with(char::is_alphabetic) {
            name.insert(0, 'T');
        }
        while !self.taken.insert(name.clone()) {
            name.push('_');
        }
        self.names.push((reference.to_owned(), name.clone()));
        name
    }

    fn expression(&mut self, schema: &Value, indent: usize) -> String {
        let Value::Object(map) = schema else {
            return if schema == &Value::Bool(false) {
                "never".to_owned()
            } else {
                "any".to_owned()
            };
        };
        if let Some(constant) = map.get("const") {
            return constant.to_string();
        }
        if let Some(Value::Array(options)) = map.get("enum") {
            let options: Vec<String> = options.iter().map(Value::to_string).collect();
            return joined(&options, " | ");
        }
        let mut parts = Vec::new();
        if let Some(Value::String(reference)) = map.get("$ref") {
            parts.push(self.name(reference));
        }
        if let Some(own) = self.own_type(map, indent) {
            parts.push(own);
        }
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(list)) = map.get(keyword) {
                let alternatives: Vec<String> = list
                    .iter()
                    .map(|item| self.expression(item, indent))
                    .collect();
                parts.push(joined(&alternatives, " | "));
            }
        }
        if let Some(Value::Array(list)) = map.get("allOf") {
            parts.extend(list.iter().map(|item| self.expression(item, indent)));
        }
        if parts.is_empty() {
            return "any".to_owned();
        }
        if parts.len() > 1 {
            for part in &mut parts {
                *part = bracketed(part, &[" | "]);
            }
        }
        joined(&parts, " & ")
    }

    fn own_type(&mut self, map: &Map<String, Value>, indent: usize) -> Option<String> {
        match map.get("type") {
            Some(Value::String(name)) => Some(self.named_type(name, map, indent)),
            Some(Value::Array(names)) => {
                let types: Vec<String> = names
                    .iter()
                    .filter_map(Value::as_str)
                    .map(|name| self.named_type(name, map, indent))
                    .collect();
                Some(joined(&types, " | "))
            }
            _ if map.contains_key("properties") => Some(self.named_type("object", map, indent)),
            _ if map.contains_key("items") => Some(self.named_type("array", map, indent)),
            _ => None,
        }
    }

    fn named_type(&mut self, name: &str, map: &Map<String, Value>, indent: usize) -> String {
        match name {
            "array" => self.array(map, indent),
            "object" => self.object(map, indent),
            // `integer` is not TypeScript, and is understood.
            _ => name.to_owned(),
        }
    }

    fn array(&mut self, map: &Map<String, Value>, indent: usize) -> String {
        let items = map.get("items");
        if let Some(Value::Array(first)) = map.get("prefixItems") {
            let mut parts: Vec<String> = first
                .iter()
                .map(|item| self.expression(item, indent))
                .collect();
            match items {
                Some(Value::Bool(false)) => {}
                Some(items) => {
                    let item = self.expression(items, indent);
                    parts.push(format!("...{}[]", bracketed(&item, &[" | ", " & "])));
                }
                None => parts.push("...any[]".to_owned()),
            }
            return format!("[{}]", parts.join(", "));
        }
        let item = items.map_or_else(|| "any".to_owned(), |items| self.expression(items, indent));
        format!("{}[]", bracketed(&item, &[" | ", " & "]))
    }

    fn object(&mut self, map: &Map<String, Value>, indent: usize) -> String {
        let properties = map.get("properties").and_then(Value::as_object);
        let rest = match map.get("additionalProperties") {
            Some(rest @ Value::Object(_)) => Some(self.expression(rest, indent + 1)),
            _ => None,
        };
        let Some(properties) = properties.filter(|properties| !properties.is_empty()) else {
            return match (rest, map.get("additionalProperties")) {
                (Some(rest), _) => format!("{{ [key: string]: {rest} }}"),
                (None, Some(Value::Bool(false))) => "{}".to_owned(),
                (None, _) => "{ [key: string]: any }".to_owned(),
            };
        };
        let required = traverse::required(map);
        let pad = "  ".repeat(indent + 1);
        let mut text = String::from("{\n");
        for (name, property) in properties {
            let is_required = required.contains(name.as_str());
            let mark = if is_required { "" } else { "?" };
            let expression = self.expression(property, indent + 1);
            let about = about(property);
            if about.is_empty() {
                let _ = writeln!(text, "{pad}{}{mark}: {expression};", key(name));
            } else if expression.contains('\n') {
                let _ = writeln!(
                    text,
                    "{pad}// {about}\n{pad}{}{mark}: {expression};",
                    key(name)
                );
            } else {
                let _ = writeln!(text, "{pad}{}{mark}: {expression}; // {about}", key(name));
            }
        }
        if let Some(rest) = rest {
            let _ = writeln!(text, "{pad}[key: string]: {rest};");
        }
        text.push_str(&"  ".repeat(indent));
        text.push('}');
        text
    }
}

/// Returns the comment for a property: its description, then its constraints and those of its items.
fn about(schema: &Value) -> String {
    let Value::Object(map) = schema else {
        return String::new();
    };
    let mut constraints = constraint_text::constraints(map);
    if let Some(Value::Object(items)) = map.get("items") {
        let mut inside = constraint_text::constraints(items);
        if !items.contains_key("properties") {
            inside.splice(0..0, constraint_text::description(items));
        }
        if !inside.is_empty() {
            constraints.push(format!("each item: {}", inside.join(", ")));
        }
    }
    if let Some(default) = map.get("default").filter(|default| !default.is_null()) {
        constraints.push(format!("default {default}"));
    }
    match (constraint_text::description(map), constraints.is_empty()) {
        (None, _) => constraints.join(", "),
        (Some(description), true) => description,
        (Some(description), false) => format!("{description} ({})", constraints.join(", ")),
    }
}

fn key(name: &str) -> String {
    let is_plain = name
        .chars()
        .all(|char| char.is_ascii_alphanumeric() || char == '_')
        && !name.starts_with(|char: char| char.is_ascii_digit())
        && !name.is_empty();
    if is_plain {
        name.to_owned()
    } else {
        Value::from(name).to_string()
    }
}

/// Joins alternatives, leaving out repetitions.
fn joined(parts: &[String], with: &str) -> String {
    let mut seen = HashSet::new();
    let mut kept: Vec<&str> = parts.iter().map(String::as_str).collect();
    kept.retain(|part| seen.insert(*part));
    kept.join(with)
}

/// Puts brackets around an expression in which one of `operators` may bind weaker than what follows.
fn bracketed(expression: &str, operators: &[&str]) -> String {
    let may_bind = operators
        .iter()
        .any(|operator| expression.contains(operator));
    // What is inside of one object binds nothing.
    let is_one_object = expression.starts_with('{') && !expression.contains("} | {");
    if may_bind && !is_one_object {
        format!("({expression})")
    } else {
        expression.to_owned()
    }
}
