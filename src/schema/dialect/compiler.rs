//! Writes a schema in a dialect, and notes the way back step by step.

mod discriminate;
mod flatten;
mod kinds;
mod lists;
mod objects;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value, json};

use super::plan::{KEEP, Plan, Step, StepId};
use super::rules::Rules;
use super::{Dialect, DialectRefusal, LocalCheck, RefusalReason};
use crate::schema::traverse::{self, join};
use flatten::Flat;

/// Schemas inside each other after references are written out. Deeper ones are beyond every provider, and would
/// overflow the stack.
const MAX_DEPTH: usize = 64;
/// Schemas written in all, each alternative counted: distributing alternatives over alternatives multiplies. A property
/// counts twice, and the largest limit on those that is documented is 5 000.
const MAX_PARTS: usize = 100_000;
/// JSON values copied in all while references and alternatives are written out: well under 100 ms. Each value is
/// copied once for each schema around it; what alternatives that refer to themselves repeat grows with every level.
const MAX_COPIED: usize = 400_000;

/// What [`Compiler::finish`] gives.
#[derive(Debug)]
pub(super) struct Built {
    pub schema: Value,
    pub plan: Plan,
    pub checked_locally: Vec<LocalCheck>,
}

/// A schema in the dialect, and the step that undoes it.
#[derive(Debug, Clone)]
struct Part {
    schema: Map<String, Value>,
    step: StepId,
}

type Compiling<T> = Result<T, DialectRefusal>;

/// The state of one compilation.
pub(super) struct Compiler<'a> {
    root: &'a Value,
    dialect: Dialect,
    rules: &'static Rules,
    steps: Vec<Step>,
    definitions: Map<String, Value>,
    /// References kept as such, with the name of their definition and the step for it.
    kept: HashMap<String, (String, StepId)>,
    recursive: HashMap<String, bool>,
    checked_locally: Vec<LocalCheck>,
    checks_seen: HashSet<LocalCheck>,
    /// The first place that must have a value and can have none.
    impossible: Option<String>,
    depth: usize,
    parts: usize,
    copied: usize,
}

impl<'a> Compiler<'a> {
    pub(super) fn new(root: &'a Value, dialect: Dialect, rules: &'static Rules) -> Self {
        Self {
            root,
            dialect,
            rules,
            steps: vec![Step::Keep],
            definitions: Map::new(),
            kept: HashMap::new(),
            recursive: HashMap::new(),
            checked_locally: Vec::new(),
            checks_seen: HashSet::new(),
            impossible: None,
            depth: 0,
            parts: 0,
            copied: 0,
        }
    }

    /// Compiles the root and what it refers to.
    pub(super) fn finish(mut self) -> Compiling<Built> {
        // The root is written out even where it is a reference: no provider takes one there.
        let part = match self.flatten(self.root, "", &mut Vec::new(), true)? {
            Flat::Schema(map) => self.described(map, "")?,
            Flat::Any | Flat::Reference(..) => Some(self.anything(None, "")?),
            Flat::Never => None,
        };
        let part = part.ok_or_else(|| self.unsatisfiable(""))?;
        let mut schema = part.schema;
        if !self.rules.any_root && schema.get("type") != Some(&"object".into()) {
            let message = "must be one object in this dialect; wrap it in a property";
            return Err(self.refuse("", RefusalReason::Root, message));
        }
        if let Some(name) = self.definition_within_itself() {
            let message =
                format!("refers to `{name}`, which refers to itself with nothing in between");
            return Err(self.refuse("", RefusalReason::Recursion, &message));
        }
        if !self.definitions.is_empty() {
            schema.insert("$defs".to_owned(), Value::Object(self.definitions));
        }
        let schema = Value::Object(schema);
        Ok(Built {
            plan: Plan::new(self.steps, part.step, schema.clone()),
            schema,
            checked_locally: self.checked_locally,
        })
    }

    /// Compiles the schema of the value at `path`; `None` where there can be no value.
    fn part(&mut self, source: &Value, path: &str) -> Compiling<Option<Part>> {
        self.depth += 1;
        self.parts += 1;
        if self.depth > MAX_DEPTH || self.parts > MAX_PARTS {
            return Err(self.too_large(path));
        }
        let part = match self.flatten(source, path, &mut Vec::new(), false)? {
            Flat::Never => None,
            Flat::Any => Some(self.anything(None, path)?),
            Flat::Reference(reference, description) => {
                Some(self.reference(&reference, description, path)?)
            }
            Flat::Schema(map) => self.described(map, path)?,
        };
        self.depth -= 1;
        Ok(part)
    }

    /// Compiles a flat schema: alternatives, listed values, or one or more types.
    fn described(&mut self, mut map: Map<String, Value>, path: &str) -> Compiling<Option<Part>> {
        self.parts += 1;
        for keyword in ["anyOf", "oneOf"] {
            if let Some(Value::Array(list)) = map.shift_remove(keyword) {
                if keyword == "oneOf" {
                    self.check_locally(path, keyword);
                }
                return self.alternatives(map, list, path);
            }
        }
        match map.get("enum") {
            Some(Value::Array(values)) if values.iter().all(is_scalar_value) => {
                Ok(self.listed(&map, path))
            }
            Some(Value::Array(values)) if values.iter().any(|value| !value.is_array()) => {
                let list = values.iter().map(kinds::literal).collect();
                map.shift_remove("enum");
                self.alternatives(map, list, path)
            }
            Some(Value::Array(_)) => {
                map.entry("type").or_insert_with(|| "array".into());
                self.typed(&map, path)
            }
            _ => self.typed(&map, path),
        }
    }

    /// Compiles alternatives, each with what is said beside them.
    fn alternatives(
        &mut self,
        mut beside: Map<String, Value>,
        list: Vec<Value>,
        path: &str,
    ) -> Compiling<Option<Part>> {
        let description = beside.shift_remove("description");
        let mut parts = Vec::new();
        for alternative in list {
            let part = if beside.is_empty() {
                self.part(&alternative, path)?
            } else {
                let both = vec![Value::Object(beside.clone()), alternative];
                let both = Map::from_iter([("allOf".to_owned(), both.into())]);
                self.part(&both.into(), path)?
            };
            parts.extend(part);
        }
        let Some(mut part) = self.any_of(parts) else {
            return Ok(None);
        };
        if let Some(Value::String(text)) = description {
            describe(&mut part, &text);
        }
        Ok(Some(part))
    }

    /// Joins alternatives into one part, a null among them in the dialect's way.
    fn any_of(&mut self, parts: Vec<Part>) -> Option<Part> {
        let mut nullable = false;
        let mut kept: Vec<Part> = Vec::new();
        for part in parts {
            if part.schema.get("type") == Some(&"null".into()) {
                nullable = true;
            } else if !kept
                .iter()
                .any(|known| known.schema == part.schema && known.step == part.step)
            {
                kept.push(part);
            }
        }
        let part = match kept.len() {
            0 if nullable => return Some(plain("null")),
            0 => return None,
            1 => kept.pop()?,
            _ => {
                if self.rules.distinct_first_keys {
                    discriminate::tell_apart(&mut kept);
                }
                let step = self.step_of_alternatives(&kept);
                let schemas: Vec<Value> = kept.into_iter().map(|part| part.schema.into()).collect();
                Part {
                    schema: Map::from_iter([("anyOf".to_owned(), schemas.into())]),
                    step,
                }
            }
        };
        Some(if nullable { self.nullable(part) } else { part })
    }

    fn step_of_alternatives(&mut self, parts: &[Part]) -> StepId {
        // Only lists and objects hold anything to undo, so that scalars need no telling apart.
        let compound: Vec<(Value, StepId)> = parts
            .iter()
            .filter(|part| !is_scalar(&part.schema))
            .map(|part| (Value::Object(part.schema.clone()), part.step))
            .collect();
        if compound.iter().all(|(_, step)| *step == KEEP) {
            return KEEP;
        }
        self.add_step(Step::Alternatives(compound))
    }

    /// Lets a part be null too.
    fn nullable(&self, mut part: Part) -> Part {
        if accepts_null(&part.schema) {
            return part;
        }
        // Not called `null`, which `json!` reads as the value.
        let nothing = Value::Object(plain("null").schema);
        if let Some(Value::Array(alternatives)) = part.schema.get_mut("anyOf") {
            alternatives.push(nothing);
            return part;
        }
        let beside_enum = part.schema.contains_key("enum") && self.rules.plain_enums;
        if self.rules.type_lists
            && !beside_enum
            && let Some(kind) = part.schema.get_mut("type")
        {
            let mut names: Vec<Value> = match kind.take() {
                Value::Array(names) => names,
                name => vec![name],
            };
            names.push("null".into());
            *kind = names.into();
            if let Some(Value::Array(values)) = part.schema.get_mut("enum") {
                values.push(Value::Null);
            }
            return part;
        }
        let description = part.schema.shift_remove("description");
        let mut schema = Map::new();
        if let Some(description) = description {
            schema.insert("description".to_owned(), description);
        }
        schema.insert("anyOf".to_owned(), json!([part.schema, nothing]));
        Part {
            schema,
            step: part.step,
        }
    }

    /// Compiles a reference that is kept, and its definition when it is met first.
    fn reference(
        &mut self,
        reference: &str,
        description: Option<String>,
        path: &str,
    ) -> Compiling<Part> {
        let (name, step) = match self.kept.get(reference) {
            Some(known) => known.clone(),
            None => self.definition(reference, path)?,
        };
        let mut part = Part {
            schema: Map::from_iter([("$ref".to_owned(), format!("#/$defs/{name}").into())]),
            step,
        };
        if let Some(text) = description {
            // A reference may have no neighbours in OpenAI's dialect.
            part.schema = Map::from_iter([
                ("description".to_owned(), text.into()),
                ("anyOf".to_owned(), json!([part.schema])),
            ]);
        }
        Ok(part)
    }

    fn definition(&mut self, reference: &str, path: &str) -> Compiling<(String, StepId)> {
        let target = traverse::resolve(self.root, reference)
            .ok_or_else(|| self.refuse(path, RefusalReason::Unsayable, "refers to nothing"))?;
        let name = self.definition_name(reference, target);
        let step = self.add_step(Step::Link(KEEP));
        let known = (name.clone(), step);
        self.kept.insert(reference.to_owned(), known.clone());
        // Holds the place, so that definitions stand in the order in which they are met.
        self.definitions.insert(name.clone(), Value::Null);
        let part = match self.flatten(target, path, &mut vec![reference.to_owned()], true)? {
            Flat::Schema(map) => self.described(map, path)?,
            Flat::Any => Some(self.anything(None, path)?),
            Flat::Never | Flat::Reference(..) => None,
        };
        let part = part.ok_or_else(|| self.unsatisfiable(path))?;
        self.steps[step] = Step::Link(part.step);
        self.definitions.insert(name, part.schema.into());
        Ok(known)
    }

    /// Returns a definition that is an alternative of itself: no grammar and no answer could end there.
    fn definition_within_itself(&self) -> Option<&str> {
        self.definitions.keys().map(String::as_str).find(|name| {
            let mut seen: Vec<&str> = Vec::new();
            let mut open = vec![*name];
            while let Some(next) = open.pop() {
                let Some(schema) = self.definitions.get(next) else {
                    continue;
                };
                for found in same_place_references(schema) {
                    if found == *name {
                        return true;
                    }
                    if !seen.contains(&found) {
                        seen.push(found);
                        open.push(found);
                    }
                }
            }
            false
        })
    }

    fn definition_name(&self, reference: &str, target: &Value) -> String {
        let last = match reference.rsplit_once('/') {
            Some((before, last))
                if before.ends_with("$defs") || before.ends_with("definitions") =>
            {
                last
            }
            _ => target
                .get("title")
                .and_then(Value::as_str)
                .unwrap_or("Record"),
        };
        let mut name: String = last
            .chars()
            .map(|char| {
                if char.is_ascii_alphanumeric() {
                    char
                } else {
                    '_'
                }
            })
            .take(48)
            .collect();
        while self.definitions.contains_key(&name) {
            name.push('_');
        }
        name
    }

    fn add_step(&mut self, step: Step) -> StepId {
        self.steps.push(step);
        self.steps.len() - 1
    }

    fn check_locally(&mut self, path: &str, keyword: &str) {
        let check = LocalCheck {
            path: path.to_owned(),
            keyword: keyword.to_owned(),
        };
        if self.checks_seen.insert(check.clone()) {
            self.checked_locally.push(check);
        }
    }

    fn refuse(&self, path: &str, reason: RefusalReason, message: &str) -> DialectRefusal {
        DialectRefusal::new(self.dialect, path, reason, message)
    }

    fn too_large(&self, path: &str) -> DialectRefusal {
        let message = "is too deep or has too many alternatives to be written out";
        self.refuse(path, RefusalReason::Limit, message)
    }

    fn unsatisfiable(&self, path: &str) -> DialectRefusal {
        let message = "can have no value that satisfies the schema";
        let path = self.impossible.as_deref().unwrap_or(path);
        self.refuse(path, RefusalReason::Unsatisfiable, message)
    }
}

/// Returns the names of the definitions that a compiled schema may stand for as a whole.
fn same_place_references(schema: &Value) -> Vec<&str> {
    let mut found = Vec::new();
    let mut open = vec![schema];
    while let Some(schema) = open.pop() {
        if let Some(Value::String(reference)) = schema.get("$ref") {
            found.extend(reference.strip_prefix("#/$defs/"));
        }
        if let Some(Value::Array(alternatives)) = schema.get("anyOf") {
            open.extend(alternatives);
        }
    }
    found
}

fn plain(kind: &str) -> Part {
    Part {
        schema: Map::from_iter([("type".to_owned(), kind.into())]),
        step: KEEP,
    }
}

/// Puts words before what the description of a part says already.
fn describe(part: &mut Part, text: &str) {
    let text = match part.schema.get("description").and_then(Value::as_str) {
        Some(known) if known == text => return,
        Some(known) => format!("{text} ({known})"),
        None => text.to_owned(),
    };
    if part.schema.contains_key("$ref") {
        part.schema = Map::from_iter([("anyOf".to_owned(), json!([part.schema]))]);
    }
    part.schema.insert("description".to_owned(), text.into());
}

fn is_scalar_value(value: &Value) -> bool {
    !value.is_object() && !value.is_array()
}

fn is_scalar(schema: &Map<String, Value>) -> bool {
    schema.get("type").is_some_and(|kind| {
        crate::schema::types::names(kind)
            .iter()
            .all(|name| !matches!(*name, "array" | "object"))
    })
}

fn accepts_null(schema: &Map<String, Value>) -> bool {
    let alternatives = schema.get("anyOf").and_then(Value::as_array);
    schema.is_empty()
        || schema
            .get("type")
            .is_some_and(|kind| crate::schema::types::names(kind).contains(&"null"))
        || alternatives.is_some_and(|list| {
            list.iter()
                .any(|item| item.as_object().is_some_and(accepts_null))
        })
}

/// Returns the path of whatever is inside the value at `path`.
fn inside(path: &str) -> String {
    join(path, &["*"])
}
