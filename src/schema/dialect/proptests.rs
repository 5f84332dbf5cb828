//! Laws of the way there and back, over random schemas and values.
//!
//! "Never silently changed" means: whatever `restore` gives can be brought back to the answer by filling in
//! nulls where the dialect wants a key and by listing the entries of maps, and by nothing else.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::plan::{Fuel, KEEP, KEY, Plan, Step, StepId, VALUE, fits};
use super::*;
use crate::schema::{AnnotatedJson, PartValidator, SchemaRenderer, TypeScript, traverse};

/// Ways back that are tried where alternatives leave several open.
const MAX_WAYS: usize = 256;

fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => Just(json!({"type": "string"})),
        2 => (0..3u64, 3..6u64).prop_map(
            |(least, most)| json!({"type": "string", "minLength": least, "maxLength": most})
        ),
        2 => Just(json!({"type": "integer"})),
        1 => (0..3i64, 3..9i64).prop_map(
            |(least, most)| json!({"type": "integer", "minimum": least, "maximum": most})
        ),
        1 => Just(json!({"type": "boolean"})),
        1 => Just(json!({"type": "null"})),
        1 => Just(json!({"type": ["string", "null"]})),
        1 => Just(json!({"type": ["integer", "boolean"]})),
        1 => Just(json!({"enum": ["x", "y", null]})),
        1 => Just(json!({"const": "k"})),
        1 => Just(json!({"enum": [{"p": 1}, 2]})),
        1 => Just(json!(true)),
        1 => Just(json!({"type": "object"})),
        2 => Just(json!({"$ref": "#/$defs/D0"})),
        1 => Just(json!({"$ref": "#/$defs/D1"})),
    ]
}

fn object(inner: impl Strategy<Value = Value> + Clone) -> impl Strategy<Value = Value> {
    let properties = prop::collection::vec((0..4usize, any::<bool>(), inner.clone()), 0..4);
    let rest = prop_oneof![
        4 => Just(None),
        2 => Just(Some(json!(false))),
        1 => inner.prop_map(Some),
    ];
    (properties, rest).prop_map(|(properties, rest)| {
        let mut named = Map::new();
        let mut required = Vec::new();
        for (name, is_required, schema) in properties {
            let name = ["a", "b", "key", "value"][name];
            if named.insert(name.to_owned(), schema).is_none() && is_required {
                required.push(name);
            }
        }
        let mut schema = json!({"type": "object", "properties": named, "required": required});
        if let Some(rest) = rest {
            schema["additionalProperties"] = rest;
        }
        schema
    })
}

fn schema() -> impl Strategy<Value = Value> {
    let any_schema = leaf().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            4 => object(inner.clone()),
            2 => (inner.clone(), 0..3u64).prop_map(
                |(items, least)| json!({"type": "array", "items": items, "minItems": least})
            ),
            2 => inner.clone().prop_map(
                |values| json!({"type": "object", "additionalProperties": values})
            ),
            1 => prop::collection::vec(inner.clone(), 1..4).prop_map(|list| json!({"anyOf": list})),
            1 => prop::collection::vec(inner.clone(), 1..3).prop_map(|list| json!({"oneOf": list})),
            1 => (object(inner.clone()), object(inner.clone()))
                .prop_map(|(first, second)| json!({"allOf": [first, second]})),
            1 => (inner.clone(), inner).prop_map(
                |(first, second)| json!({"type": "array", "prefixItems": [first, second]})
            ),
        ]
    });
    let root = object(any_schema.clone());
    (root, object(any_schema.clone()), any_schema).prop_map(|(mut root, first, second)| {
        root["$defs"] = json!({"D0": first, "D1": second});
        root
    })
}

/// Makes values from numbers that proptest can shrink.
struct Dice<'a>(std::slice::Iter<'a, u8>);

impl Dice<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        self.0
            .next()
            .map_or(0, |number| usize::from(*number) % sides)
    }
}

/// Makes a value that the schema allows, as far as it is made of the keywords used here.
fn sample(schema: &Value, root: &Value, dice: &mut Dice<'_>, depth: usize) -> Option<Value> {
    let Value::Object(map) = schema else {
        return schema.as_bool().unwrap_or(true).then(|| json!("any"));
    };
    if depth > 12 {
        return None;
    }
    let inside = |schema: &Value, dice: &mut Dice<'_>| sample(schema, root, dice, depth + 1);
    if let Some(Value::String(reference)) = map.get("$ref") {
        return inside(traverse::resolve(root, reference)?, dice);
    }
    if let Some(value) = map.get("const") {
        return Some(value.clone());
    }
    for keyword in ["enum", "anyOf", "oneOf"] {
        if let Some(Value::Array(list)) = map.get(keyword) {
            let start = dice.roll(list.len());
            let mut turned = list[start..].iter().chain(&list[..start]);
            return match keyword {
                "enum" => turned.next().cloned(),
                _ => turned.find_map(|schema| inside(schema, dice)),
            };
        }
    }
    if let Some(Value::Array(list)) = map.get("allOf") {
        let mut both = Map::new();
        for schema in list {
            both.extend(inside(schema, dice)?.as_object()?.clone());
        }
        return Some(Value::Object(both));
    }
    let types = crate::schema::types::names(map.get("type")?);
    let number = |keyword: &str| {
        let value = map.get(keyword).and_then(Value::as_u64);
        value.and_then(|value| usize::try_from(value).ok())
    };
    match types[dice.roll(types.len())] {
        "string" => {
            let least = number("minLength").unwrap_or(0);
            let length = least + dice.roll(2);
            Some("s".repeat(length).into())
        }
        "integer" | "number" => Some((number("minimum").unwrap_or(0) + dice.roll(2)).into()),
        "boolean" => Some((dice.roll(2) == 1).into()),
        "null" => Some(Value::Null),
        "array" => {
            let first = map.get("prefixItems").and_then(Value::as_array);
            let mut list = Vec::new();
            let least = number("minItems").unwrap_or(0);
            let most = number("maxItems").unwrap_or(usize::MAX);
            let length = (least + dice.roll(3)).min(most);
            let anything = Value::Bool(true);
            for index in 0..length {
                let item = first
                    .and_then(|first| first.get(index))
                    .or_else(|| map.get("items"))
                    .unwrap_or(&anything);
                match inside(item, dice) {
                    Some(item) => list.push(item),
                    None if index >= least => break,
                    None => return None,
                }
            }
            Some(Value::Array(list))
        }
        _ => {
            let empty = Map::new();
            let properties = map
                .get("properties")
                .and_then(Value::as_object)
                .unwrap_or(&empty);
            let mut entries = Map::new();
            for (name, schema) in properties {
                let is_required = map
                    .get("required")
                    .and_then(Value::as_array)
                    .is_some_and(|names| names.iter().any(|known| known == name.as_str()));
                if !is_required && dice.roll(2) == 0 {
                    continue;
                }
                match inside(schema, dice) {
                    Some(value) => drop(entries.insert(name.clone(), value)),
                    None if is_required => return None,
                    None => {}
                }
            }
            if properties.is_empty() && map.get("additionalProperties") != Some(&Value::Bool(false))
            {
                let rest = map.get("additionalProperties").cloned();
                for name in ["m", "n"].iter().take(dice.roll(3)) {
                    let value = inside(rest.as_ref().unwrap_or(&Value::Bool(true)), dice);
                    if let Some(value) = value {
                        entries.insert((*name).to_owned(), value);
                    }
                }
            }
            Some(Value::Object(entries))
        }
    }
}

/// Every answer in the dialect that stands for `value`.
fn forwards(plan: &Plan, step: StepId, schema: &Value, root: &Value, value: &Value) -> Vec<Value> {
    if let Some(Value::String(reference)) = schema.get("$ref") {
        let target = traverse::resolve(root, reference).expect("a compiled reference");
        return forwards(plan, step, target, root, value);
    }
    if let Some(Value::Array(list)) = schema.get("anyOf") {
        let steps: Vec<(Value, StepId)> = match plan.step(step) {
            Step::Alternatives(known) => known.clone(),
            _ => list.iter().map(|schema| (schema.clone(), step)).collect(),
        };
        let mut ways: Vec<Value> = steps
            .iter()
            .flat_map(|(schema, step)| {
                let mut ways = forwards(plan, *step, schema, root, value);
                ways.retain(|way| fits(way, schema, root, &Fuel::default(), 0));
                ways
            })
            .collect();
        // Scalars are no alternatives to undo.
        ways.push(value.clone());
        return ways;
    }
    let below = |step: StepId, schema: Option<&Value>, value: &Value| {
        forwards(plan, step, schema.unwrap_or(&Value::Null), root, value)
    };
    match (value, plan.step(step)) {
        (Value::Object(entries), Step::Map(values)) => {
            let value_schema = schema.pointer("/items/properties/value");
            let lists = product(
                entries
                    .values()
                    .map(|item| below(*values, value_schema, item)),
            );
            lists
                .into_iter()
                .map(|list| {
                    let entries = entries.keys().zip(list);
                    entries
                        .map(|(key, item)| json!({KEY: key, VALUE: item}))
                        .collect()
                })
                .collect()
        }
        (Value::Object(entries), kind) => {
            if let Step::Object { properties, .. } = kind {
                // Where null means absent, the schema knows no null: this is not the value's alternative.
                let knows_none = |(name, item): (&String, &Value)| {
                    item.is_null() && properties.get(name).is_some_and(|(_, absent)| *absent)
                };
                if entries.iter().any(knows_none) {
                    return Vec::new();
                }
            }
            let mut filled = entries.clone();
            let names = schema.get("required").and_then(Value::as_array);
            for name in names.into_iter().flatten().filter_map(Value::as_str) {
                filled.entry(name).or_insert(Value::Null);
            }
            let lists = product(filled.iter().map(|(name, item)| {
                let (step, rest) = match kind {
                    Step::Object { properties, rest } => {
                        (properties.get(name).map(|(step, _)| *step), *rest)
                    }
                    _ => (None, KEEP),
                };
                match schema.get("properties").and_then(|known| known.get(name)) {
                    Some(schema) => below(step.unwrap_or(KEEP), Some(schema), item),
                    None => below(rest, schema.get("additionalProperties"), item),
                }
            }));
            let names: Vec<String> = filled.keys().cloned().collect();
            lists
                .into_iter()
                .map(|list| Value::Object(names.iter().cloned().zip(list).collect()))
                .collect()
        }
        (Value::Array(list), kind) => {
            let first = schema.get("prefixItems");
            let lists = product(list.iter().enumerate().map(|(index, item)| {
                let step = match kind {
                    Step::List { first, items } => *first.get(index).unwrap_or(items),
                    _ => KEEP,
                };
                let schema = first
                    .and_then(|first| first.get(index))
                    .or_else(|| schema.get("items"));
                below(step, schema, item)
            }));
            lists.into_iter().map(Value::Array).collect()
        }
        (scalar, _) => vec![scalar.clone()],
    }
}

fn product(choices: impl Iterator<Item = Vec<Value>>) -> Vec<Vec<Value>> {
    let mut lists = vec![Vec::new()];
    for choice in choices {
        lists = lists
            .iter()
            .flat_map(|list: &Vec<Value>| {
                choice.iter().map(move |item| {
                    let mut longer = list.clone();
                    longer.push(item.clone());
                    longer
                })
            })
            .take(MAX_WAYS)
            .collect();
    }
    lists
}

/// Whether `restored` is `value` with at most nulls added that the dialect asked for.
fn same_but_nulls(restored: &Value, value: &Value) -> bool {
    match (restored, value) {
        (Value::Object(restored), Value::Object(value)) => {
            value.keys().all(|key| restored.contains_key(key))
                && restored.iter().all(|(key, item)| match value.get(key) {
                    Some(value) => same_but_nulls(item, value),
                    None => item.is_null(),
                })
        }
        (Value::Array(restored), Value::Array(value)) => {
            restored.len() == value.len()
                && restored
                    .iter()
                    .zip(value)
                    .all(|(restored, value)| same_but_nulls(restored, value))
        }
        _ => restored == value,
    }
}

fn forbidden(schema: &Value, rules: &Rules) -> Option<String> {
    let mut found = None;
    traverse::each(schema, &mut |place, map| {
        for keyword in map.keys() {
            let known = matches!(
                keyword.as_str(),
                "type"
                    | "enum"
                    | "description"
                    | "anyOf"
                    | "$ref"
                    | "$defs"
                    | "items"
                    | "properties"
                    | "required"
                    | "additionalProperties"
            ) || (keyword == "propertyOrdering" && rules.ordering)
                || (keyword == "prefixItems" && rules.tuples)
                || (keyword == "format" && !rules.formats.is_empty())
                || rules.keywords.contains(&keyword.as_str());
            if !known {
                found = Some(format!("{place}: {keyword}"));
            }
        }
        if let Some(Value::Object(properties)) = map.get("properties") {
            let required = map["required"].as_array().map_or(0, Vec::len);
            if rules.all_required && required != properties.len() {
                found = Some(format!("{place}: not all required"));
            }
            if !rules.maps && map["additionalProperties"] != false {
                found = Some(format!("{place}: not closed"));
            }
        }
        if map.contains_key("$ref") && map.len() > 1 {
            found = Some(format!("{place}: a reference with neighbours"));
        }
        let says = ["type", "anyOf", "$ref"]
            .iter()
            .any(|key| map.contains_key(*key));
        if !says && !rules.anything {
            found = Some(format!("{place}: no type"));
        }
        if map.get("type") == Some(&json!("array"))
            && !map.contains_key("items")
            && !map.contains_key("prefixItems")
        {
            found = Some(format!("{place}: an array of no items"));
        }
    });
    found
}

/// JSON in which keywords hold anything at all.
fn junk() -> impl Strategy<Value = Value> {
    const WORDS: [&str; 26] = [
        "type",
        "properties",
        "items",
        "required",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "$defs",
        "additionalProperties",
        "prefixItems",
        "not",
        "if",
        "minLength",
        "minItems",
        "pattern",
        "format",
        "description",
        "object",
        "array",
        "string",
        "#/$defs/type",
        "#",
        "records",
    ];
    let word = prop::sample::select(&WORDS[..]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i8>().prop_map(Value::from),
        word.clone().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            3 => prop::collection::vec((word.clone(), inner), 0..6).prop_map(|entries| {
                entries
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value))
                    .collect::<Map<_, _>>()
                    .into()
            }),
        ]
    })
}

fn dialect() -> impl Strategy<Value = Dialect> {
    prop::sample::select(&Dialect::ALL[..])
}

proptest! {
    // More with `PROPTEST_CASES`.
    #![proptest_config(ProptestConfig {
        max_global_rejects: 1_000_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_compiled_schema_holds_only_what_the_dialect_accepts(
        schema in schema(), dialect in dialect()
    ) {
        let schema = RecordSchema::from_json_schema(schema).unwrap();
        let rules = Rules::of(dialect);
        if let Ok(compiled) = schema.compile(dialect)
            && !rules.verbatim
        {
            prop_assert_eq!(forbidden(&compiled.schema, rules), None);
        }
    }

    #[test]
    fn what_is_no_schema_and_what_is_no_answer_do_no_harm(
        schema in junk(), answer in junk(), dialect in dialect()
    ) {
        if let Ok(compiled) = compile(&schema, dialect) {
            let _ = compiled.restore(answer.clone());
            let _ = compiled.restore_record(answer.clone());
        }
        if let Ok(schema) = RecordSchema::from_json(schema) {
            let _ = schema.validate(&answer);
            let _ = schema.drop_unknown_keys(answer.clone());
            let _ = crate::schema::coerce(answer, &schema);
            for renderer in [&TypeScript as &dyn SchemaRenderer, &AnnotatedJson] {
                prop_assert!(renderer.render(&schema).is_ok());
            }
            for dialect in Dialect::ALL {
                let _ = schema.compile(dialect);
            }
        }
    }

    #[test]
    fn an_answer_in_the_dialect_is_never_silently_changed(
        schema in schema(), dialect in dialect(), dice in prop::collection::vec(any::<u8>(), 64)
    ) {
        let schema = RecordSchema::from_json_schema(schema).unwrap();
        let compiled = compile(schema.as_json(), dialect);
        prop_assume!(compiled.is_ok());
        let compiled = compiled.unwrap();
        let target = &compiled.schema;
        let answer = sample(target, target, &mut Dice(dice.iter()), 0);
        prop_assume!(answer.is_some());
        let answer = answer.unwrap();
        let allowed = PartValidator::new(target, target).unwrap();
        prop_assume!(allowed.is_valid(&answer));
        let Ok(restored) = compiled.restore(answer.clone()) else {
            return Ok(());
        };
        if !Rules::of(dialect).verbatim {
            let ways = forwards(&compiled.plan, compiled.plan.root(), target, target, &restored);
            prop_assert!(
                ways.contains(&answer) || ways.len() >= MAX_WAYS,
                "{} became {}, which stands for none of {:?}", answer, restored, ways
            );
        }
        // What the provider enforces holds without a local check.
        if let Err(violations) = schema.validate(&restored) {
            let local: Vec<&str> =
                compiled.checked_locally.iter().map(|check| check.keyword.as_str()).collect();
            let expected = violations.iter().all(|violation| {
                // Whichever keyword tells of a wrong alternative or position.
                let may_be_told_by_another = ["oneOf", "prefixItems", "items"];
                local.contains(&violation.keyword.as_str())
                    || may_be_told_by_another.iter().any(|keyword| local.contains(keyword))
                    || (violation.keyword == "anyOf" && !local.is_empty())
            });
            prop_assert!(expected, "{} is {:?} but locally checked are {:?}", restored, violations, local);
        }
    }

    #[test]
    fn a_value_survives_the_way_there_and_back_or_is_refused(
        schema in schema(), dialect in dialect(), dice in prop::collection::vec(any::<u8>(), 64)
    ) {
        let schema = RecordSchema::from_json_schema(schema).unwrap();
        let compiled = compile(schema.as_json(), dialect);
        prop_assume!(compiled.is_ok());
        let compiled = compiled.unwrap();
        // Sent as it is, a schema is not in the form that `forwards` reads.
        prop_assume!(!Rules::of(dialect).verbatim);
        let root = schema.as_json();
        let value = sample(root, root, &mut Dice(dice.iter()), 0);
        prop_assume!(value.is_some());
        let value = value.unwrap();
        prop_assume!(schema.validate(&value).is_ok());
        let target = &compiled.schema;
        for answer in forwards(&compiled.plan, compiled.plan.root(), target, target, &value) {
            if !fits(&answer, target, target, &Fuel::default(), 0) {
                continue;
            }
            if let Ok(restored) = compiled.restore(answer.clone()) {
                prop_assert!(
                    same_but_nulls(&restored, &value),
                    "{} was sent as {} and became {}", value, answer, restored
                );
            }
        }
    }
}
