//! Lists in a dialect, with one type of item or one per position.

use serde_json::{Map, Value, json};

use super::kinds::OF_ARRAY;
use super::{Compiler, Compiling, Part, inside, plain};
use crate::schema::dialect::plan::{KEEP, Step, StepId};
use crate::schema::traverse::{join, list};

impl Compiler<'_> {
    /// Compiles a list.
    pub(super) fn array(
        &mut self,
        map: &Map<String, Value>,
        path: &str,
    ) -> Compiling<Option<Part>> {
        let first = list(map, "prefixItems");
        let items = map.get("items");
        let mut map = map.clone();
        if !first.is_empty() && items == Some(&Value::Bool(false)) {
            // What stands in no position is one item too many.
            map.entry("maxItems").or_insert_with(|| first.len().into());
        }
        let anything = Value::Bool(true);
        let part = if first.is_empty() {
            self.list_of(items.unwrap_or(&anything), &mut map, path)?
        } else if self.rules.tuples {
            self.tuple(first, items.unwrap_or(&anything), path)?
        } else {
            self.check_locally(path, "prefixItems");
            // What may stand anywhere is what may stand in some position.
            let kinds: Vec<&Value> = first.iter().chain(items).collect();
            self.list_of(&json!({ "anyOf": kinds }), &mut map, path)?
        };
        let Some(mut part) = part else {
            return Ok(None);
        };
        self.constrain(&mut part, &map, "array", &OF_ARRAY, path);
        Ok(Some(part))
    }

    /// Compiles a list whose items are all alike.
    fn list_of(
        &mut self,
        items: &Value,
        map: &mut Map<String, Value>,
        path: &str,
    ) -> Compiling<Option<Part>> {
        let item = self.part(items, &inside(path))?.unwrap_or_else(|| {
            // No item is possible, so that only the empty list is left. Providers want a type all the same.
            self.check_locally(path, "items");
            map.insert("maxItems".to_owned(), 0.into());
            plain("string")
        });
        let mut part = plain("array");
        part.step = self.list_step(Vec::new(), item.step);
        part.schema.insert("items".to_owned(), item.schema.into());
        Ok(Some(part))
    }

    /// Compiles a list with a type per position.
    fn tuple(&mut self, first: &[Value], rest: &Value, path: &str) -> Compiling<Option<Part>> {
        let mut steps = Vec::new();
        let mut schemas = Vec::new();
        for (index, item) in first.iter().enumerate() {
            let here = join(path, &[&index.to_string()]);
            let Some(item) = self.part(item, &here)? else {
                return Ok(None);
            };
            steps.push(item.step);
            schemas.push(Value::Object(item.schema));
        }
        let mut part = plain("array");
        part.schema.insert("prefixItems".to_owned(), schemas.into());
        let mut rest_step = KEEP;
        if let Some(rest) = self.part(rest, &inside(path))? {
            rest_step = rest.step;
            part.schema.insert("items".to_owned(), rest.schema.into());
        }
        part.step = self.list_step(steps, rest_step);
        Ok(Some(part))
    }

    fn list_step(&mut self, first: Vec<StepId>, items: StepId) -> StepId {
        if items == KEEP && first.iter().all(|step| *step == KEEP) {
            return KEEP;
        }
        self.add_step(Step::List { first, items })
    }
}
