//! The way back from a dialect: which nulls to take away, and which lists are maps.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::schema::traverse;
use crate::schema::types::{allow, names, type_of};
use crate::schema::violation::Violation;

/// An index into the steps of a plan.
pub(super) type StepId = usize;

/// The step that changes nothing.
pub(super) const KEEP: StepId = 0;

/// The keys of a map entry on the wire.
pub(super) const KEY: &str = "key";
pub(super) const VALUE: &str = "value";

/// Deeper values are refused rather than followed: `serde_json` reads 128 levels.
const MAX_DEPTH: usize = 256;

/// What to undo at one place of an answer.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Nothing, here and below.
    Keep,
    /// The properties of an object, and whether each one's null means that it is absent.
    Object {
        properties: HashMap<String, (StepId, bool)>,
        rest: StepId,
    },
    /// The items of a list, the first ones of their own kinds.
    List { first: Vec<StepId>, items: StepId },
    /// A list of keys and values that stands for a map.
    Map(StepId),
    /// What another step says: the target of a reference.
    Link(StepId),
    /// Whichever alternative the value was written for, told by its compiled schema.
    Alternatives(Vec<(Value, StepId)>),
}

/// All steps of one schema, and the definitions its alternatives refer to. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    steps: Arc<[Step]>,
    root: StepId,
    schema: Arc<Value>,
}

impl Default for Plan {
    fn default() -> Self {
        Self::new(vec![Step::Keep], KEEP, Value::Null)
    }
}

impl Plan {
    pub(super) fn new(steps: Vec<Step>, root: StepId, schema: Value) -> Self {
        Self {
            steps: steps.into(),
            root,
            schema: Arc::new(schema),
        }
    }

    #[cfg(test)]
    pub(super) fn root(&self) -> StepId {
        self.root
    }

    pub(super) fn restore(&self, value: Value) -> Result<Value, Violation> {
        self.undo(self.root, value)
    }

    /// Restores an item of the list that the root holds under `key`; without one, as the root itself.
    pub(super) fn restore_inside(&self, value: Value, key: &str) -> Result<Value, Violation> {
        self.undo(self.inside(key), value)
    }

    fn undo(&self, step: StepId, value: Value) -> Result<Value, Violation> {
        if step == KEEP {
            return Ok(value);
        }
        let undoing = Undoing {
            plan: self,
            fuel: Fuel::default(),
        };
        Ok(undoing.undo(step, value, &Trail::Root)?.value)
    }

    fn inside(&self, key: &str) -> StepId {
        let wrapped = match self.schema.get("properties").and_then(Value::as_object) {
            Some(properties) => properties.len() == 1 && properties.contains_key(key),
            None => false,
        };
        if !wrapped {
            return self.root;
        }
        let Step::Object { properties, .. } = self.step(self.root) else {
            return KEEP;
        };
        match properties.get(key).map(|(list, _)| self.step(*list)) {
            Some(Step::List { items, .. }) => *items,
            _ => KEEP,
        }
    }

    /// Returns a step, links followed.
    pub(super) fn step(&self, id: StepId) -> &Step {
        let mut step = &self.steps[id];
        // No longer than this, or it would be a circle, and the compiler refuses those.
        for _ in 0..self.steps.len() {
            match step {
                Step::Link(target) => step = &self.steps[*target],
                other => return other,
            }
        }
        &Step::Keep
    }
}

struct Undoing<'a> {
    plan: &'a Plan,
    fuel: Fuel,
}

impl Undoing<'_> {
    fn undo(&self, id: StepId, value: Value, trail: &Trail<'_>) -> Result<Undone, Violation> {
        if !self.fuel.burn(1) || trail.depth() > MAX_DEPTH {
            return Err(too_deep(trail));
        }
        match (self.plan.step(id), value) {
            (Step::Object { properties, rest }, Value::Object(map)) => {
                self.undo_entries(map, trail, |key| {
                    properties.get(key).copied().unwrap_or((*rest, false))
                })
            }
            // Some models write the map that was meant.
            (Step::Map(values), Value::Object(map)) => {
                self.undo_entries(map, trail, |_| (*values, false))
            }
            (Step::Map(values), Value::Array(list)) => self.undo_map(*values, list, trail),
            (Step::List { first, items }, Value::Array(list)) => {
                let mut total = Undone::default();
                let mut kept = Vec::with_capacity(list.len());
                for (index, item) in list.into_iter().enumerate() {
                    let step = first.get(index).unwrap_or(items);
                    let here = Trail::Item(trail, index);
                    kept.push(total.add(self.undo(*step, item, &here)?));
                }
                Ok(total.with(Value::Array(kept)))
            }
            (Step::Alternatives(alternatives), value) => {
                self.undo_alternative(alternatives, value, trail)
            }
            (_, value) => Ok(Undone::default().with(value)),
        }
    }

    fn undo_entries(
        &self,
        map: Map<String, Value>,
        trail: &Trail<'_>,
        step_of: impl Fn(&str) -> (StepId, bool),
    ) -> Result<Undone, Violation> {
        let mut total = Undone::default();
        let mut kept = Map::new();
        for (key, item) in map {
            let (step, null_is_absent) = step_of(&key);
            if null_is_absent && item.is_null() {
                total.nulls += 1;
                continue;
            }
            let item = total.add(self.undo(step, item, &Trail::Key(trail, &key))?);
            kept.insert(key, item);
        }
        Ok(total.with(Value::Object(kept)))
    }

    fn undo_map(
        &self,
        values: StepId,
        list: Vec<Value>,
        trail: &Trail<'_>,
    ) -> Result<Undone, Violation> {
        if !list.iter().all(is_entry) {
            return Ok(Undone::default().with(Value::Array(list)));
        }
        let mut total = Undone {
            maps: 1,
            ..Undone::default()
        };
        let mut kept = Map::new();
        for (index, entry) in list.into_iter().enumerate() {
            let here = Trail::Item(trail, index);
            if let Some((key, item)) = key_and_value(entry) {
                let item = total.add(self.undo(values, item, &here)?);
                if kept.insert(key, item).is_some() {
                    return Err(Violation::new(
                        here.pointer(),
                        "uniqueKeys",
                        "must have a key that no other entry has",
                    ));
                }
            }
        }
        Ok(total.with(Value::Object(kept)))
    }

    /// Undoes what each alternative that fits would undo. Where they differ on what is a map, the value
    /// has two meanings; where they differ on nulls, the one that keeps most knows them.
    fn undo_alternative(
        &self,
        alternatives: &[(Value, StepId)],
        value: Value,
        trail: &Trail<'_>,
    ) -> Result<Undone, Violation> {
        let mut best: Option<Undone> = None;
        let mut ambiguous = false;
        for (schema, step) in alternatives {
            if !fits(&value, schema, &self.plan.schema, &self.fuel, 0) {
                continue;
            }
            // Each alternative that fits is undone on a copy, which takes the most time.
            if !self.fuel.burn(traverse::size(&value)) {
                break;
            }
            let other = self.undo(*step, value.clone(), trail)?;
            best = Some(match best {
                None => other,
                Some(best) => {
                    ambiguous |= best.maps != other.maps;
                    if other.nulls < best.nulls {
                        other
                    } else {
                        best
                    }
                }
            });
        }
        if self.fuel.is_out() {
            return Err(too_deep(trail));
        }
        if ambiguous {
            return Err(Violation::new(
                trail.pointer(),
                "anyOf",
                "must not be a list that could be a map as well",
            ));
        }
        Ok(best.unwrap_or_else(|| Undone::default().with(value)))
    }
}

fn too_deep(trail: &Trail<'_>) -> Violation {
    let expected = "must not be nested so deep in values with alternatives";
    Violation::new(trail.pointer(), "anyOf", expected)
}

/// What telling alternatives apart may cost for one answer. Alternatives that refer to themselves can fit
/// in as many ways as two to the power of the depth.
pub(super) struct Fuel(Cell<usize>);

impl Default for Fuel {
    fn default() -> Self {
        // Some 100 ms, and ten times what the longest answers need.
        Self(Cell::new(1_000_000))
    }
}

impl Fuel {
    fn burn(&self, amount: usize) -> bool {
        let left = self.0.get();
        self.0.set(left.saturating_sub(amount));
        left >= amount
    }

    fn is_out(&self) -> bool {
        self.0.get() == 0
    }
}

/// Where in the answer, written out only for an error.
enum Trail<'a> {
    Root,
    Key(&'a Trail<'a>, &'a str),
    Item(&'a Trail<'a>, usize),
}

impl Trail<'_> {
    fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Key(parent, _) | Self::Item(parent, _) => 1 + parent.depth(),
        }
    }

    fn pointer(&self) -> String {
        match self {
            Self::Root => String::new(),
            Self::Key(parent, key) => traverse::join(&parent.pointer(), &[key]),
            Self::Item(parent, index) => traverse::join(&parent.pointer(), &[&index.to_string()]),
        }
    }
}

/// A value with what was undone in it.
#[derive(Default)]
struct Undone {
    value: Value,
    nulls: usize,
    maps: usize,
}

impl Undone {
    fn add(&mut self, other: Self) -> Value {
        self.nulls += other.nulls;
        self.maps += other.maps;
        other.value
    }

    fn with(mut self, value: Value) -> Self {
        self.value = value;
        self
    }
}

fn key_and_value(entry: Value) -> Option<(String, Value)> {
    let Value::Object(mut entry) = entry else {
        return None;
    };
    match (entry.remove(KEY), entry.remove(VALUE)) {
        (Some(Value::String(key)), Some(value)) => Some((key, value)),
        _ => None,
    }
}

fn is_entry(value: &Value) -> bool {
    value.as_object().is_some_and(|entry| {
        entry.len() == 2
            && entry.get(KEY).is_some_and(Value::is_string)
            && entry.contains_key(VALUE)
    })
}

/// Returns whether a value has the form a compiled schema describes. Knows only what compiled schemas use, and
/// no bounds: it tells alternatives apart, and does not validate.
pub(super) fn fits(value: &Value, schema: &Value, root: &Value, fuel: &Fuel, depth: usize) -> bool {
    let Value::Object(map) = schema else {
        return schema != &Value::Bool(false);
    };
    if depth > MAX_DEPTH || !fuel.burn(1) {
        return false;
    }
    let below = |value: &Value, schema: &Value| fits(value, schema, root, fuel, depth + 1);
    if let Some(Value::String(reference)) = map.get("$ref") {
        return traverse::resolve(root, reference).is_some_and(|target| below(value, target));
    }
    if let Some(Value::Array(alternatives)) = map.get("anyOf") {
        return alternatives.iter().any(|schema| below(value, schema));
    }
    if let Some(kind) = map.get("type")
        && !allow(&names(kind), whole_type_of(value))
    {
        return false;
    }
    if let Some(Value::Array(values)) = map.get("enum")
        && !values.contains(value)
    {
        return false;
    }
    match value {
        Value::Object(entries) => {
            let properties = map.get("properties").and_then(Value::as_object);
            let required = map.get("required").and_then(Value::as_array);
            required
                .into_iter()
                .flatten()
                .all(|name| name.as_str().is_none_or(|name| entries.contains_key(name)))
                && entries.iter().all(|(key, item)| {
                    match properties.and_then(|properties| properties.get(key)) {
                        // A null may stand for an optional property even where the dialect lets it be left out.
                        Some(schema) => below(item, schema) || item.is_null(),
                        None => map
                            .get("additionalProperties")
                            .is_none_or(|rest| below(item, rest)),
                    }
                })
        }
        Value::Array(list) => {
            let first = map.get("prefixItems").and_then(Value::as_array);
            list.iter().enumerate().all(|(index, item)| {
                first
                    .and_then(|first| first.get(index))
                    .or_else(|| map.get("items"))
                    .is_none_or(|schema| below(item, schema))
            })
        }
        _ => true,
    }
}

/// Returns the type of a value, `3.0` being an integer as it is to a validator.
fn whole_type_of(value: &Value) -> &'static str {
    match value.as_f64() {
        Some(number) if number.fract() == 0.0 => "integer",
        _ => type_of(value),
    }
}
