//! Counts what a provider limits, before the provider does.

use std::collections::HashSet;

use serde_json::Value;

use super::rules::Limits;
use crate::schema::traverse::{self, join, list};

/// Checks a compiled schema, returning the place and the limit it breaks.
pub(super) fn check(schema: &Value, limits: &Limits) -> Result<(), (String, String)> {
    let mut counts = Counts {
        limits,
        root: schema,
        open: HashSet::new(),
        properties: 0,
        name_chars: 0,
        enum_values: 0,
        optional: 0,
        unions: 0,
    };
    counts.schema(schema, "", 0)?;
    if let Some(Value::Object(definitions)) = schema.get("$defs") {
        for name in definitions.keys() {
            counts.names(name, "")?;
        }
    }
    Ok(())
}

struct Counts<'a> {
    limits: &'a Limits,
    root: &'a Value,
    /// Definitions being walked or walked before: each counts once.
    open: HashSet<&'a str>,
    properties: usize,
    name_chars: usize,
    enum_values: usize,
    optional: usize,
    unions: usize,
}

type Checked = Result<(), (String, String)>;

impl<'a> Counts<'a> {
    fn schema(&mut self, schema: &'a Value, path: &str, depth: usize) -> Checked {
        let Value::Object(map) = schema else {
            return Ok(());
        };
        if let Some(Value::String(reference)) = map.get("$ref")
            && self.open.insert(reference)
            && let Some(target) = traverse::resolve(self.root, reference)
        {
            self.schema(target, path, depth)?;
        }
        if let Some(Value::Array(values)) = map.get("enum") {
            self.values(values, path)?;
        }
        if map.contains_key("anyOf") || map.get("type").is_some_and(Value::is_array) {
            self.unions += 1;
            within(
                self.unions,
                self.limits.unions,
                path,
                "values with alternatives",
            )?;
        }
        for item in list(map, "anyOf").iter().chain(list(map, "prefixItems")) {
            self.schema(item, path, depth)?;
        }
        if let Some(items) = map.get("items") {
            self.schema(items, &join(path, &["*"]), depth)?;
        }
        if let Some(rest) = map.get("additionalProperties") {
            self.schema(rest, &join(path, &["*"]), depth + 1)?;
        }
        if let Some(Value::Object(properties)) = map.get("properties") {
            within(
                depth + 1,
                self.limits.depth,
                path,
                "objects inside each other",
            )?;
            let required = traverse::required(map);
            for (name, property) in properties {
                let here = join(path, &[name]);
                self.properties += 1;
                within(self.properties, self.limits.properties, &here, "properties")?;
                self.names(name, &here)?;
                if !required.contains(name.as_str()) {
                    self.optional += 1;
                    within(
                        self.optional,
                        self.limits.optional,
                        &here,
                        "optional properties",
                    )?;
                }
                self.schema(property, &here, depth + 1)?;
            }
        }
        Ok(())
    }

    fn values(&mut self, values: &'a [Value], path: &str) -> Checked {
        let mut chars = 0;
        for value in values {
            let text = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            chars += text.chars().count();
            self.names(&text, path)?;
        }
        self.enum_values += values.len();
        within(
            self.enum_values,
            self.limits.enum_values,
            path,
            "listed values",
        )?;
        if let Some((many, most)) = self.limits.long_enum
            && values.len() > many
        {
            within(chars, Some(most), path, "characters in one list of values")?;
        }
        Ok(())
    }

    fn names(&mut self, name: &str, path: &str) -> Checked {
        self.name_chars += name.chars().count();
        within(
            self.name_chars,
            self.limits.name_chars,
            path,
            "characters of names and listed values",
        )
    }
}

fn within(count: usize, limit: Option<usize>, path: &str, what: &str) -> Checked {
    match limit {
        Some(limit) if count > limit => Err((
            path.to_owned(),
            format!("is beyond the provider's limit of {limit} {what}"),
        )),
        _ => Ok(()),
    }
}
