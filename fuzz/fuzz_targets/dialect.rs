//! Any JSON as a schema and any JSON as an answer, through the compiler and back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Number, Value};
use topicloom::schema::dialect::{Dialect, compile};
use topicloom::schema::{AnnotatedJson, RecordSchema, SchemaRenderer, TypeScript, coerce};

fuzz_target!(|bytes: &[u8]| {
    let mut dice = Dice(bytes);
    let dialect = Dialect::ALL[dice.roll(Dialect::ALL.len())];
    let schema = schema(&mut dice, 5);
    let answer = answer(&mut dice, 5);

    if let Ok(compiled) = compile(&schema, dialect) {
        let again = compile(&schema, dialect).expect("what compiles once compiles again");
        assert_eq!(again.schema, compiled.schema);
        for restored in [
            compiled.restore(answer.clone()),
            compiled.restore_record(answer.clone()),
        ]
        .into_iter()
        .flatten()
        {
            assert!(
                stands_for(&restored, &answer),
                "{dialect}: {schema}\n{answer} became {restored}"
            );
        }
    }
    if let Ok(schema) = RecordSchema::from_json(schema) {
        let is_valid = schema.validate(&answer).is_ok();
        let (coerced, coercions) = coerce(answer.clone(), &schema);
        assert_eq!(coercions.is_empty(), coerced == answer);
        let again = coerce(coerced.clone(), &schema);
        assert_eq!(again.0, coerced, "what was coerced stays as it is");
        assert!(
            !is_valid || alike(&coerced, &answer),
            "{answer} became {coerced}"
        );
        let (kept, dropped) = schema.drop_unknown_keys(answer.clone());
        assert_eq!(dropped == 0, kept == answer);
        for renderer in [&TypeScript as &dyn SchemaRenderer, &AnnotatedJson] {
            assert!(renderer.render(&schema).is_ok());
        }
        if let Ok(compiled) = schema.compile(dialect) {
            let sent = RecordSchema::from_json_schema(compiled.schema);
            assert!(
                sent.is_ok(),
                "{dialect}: {} is sent as no schema",
                schema.as_json()
            );
        }
        for dialect in Dialect::ALL {
            let Ok(compiled) = schema.compile(dialect) else {
                continue;
            };
            // Alternatives may read a valid value in another way; nothing else may touch one.
            if is_valid && !schema.as_json().to_string().contains("Of\"") {
                let restored = compiled.restore_record(answer.clone());
                assert!(
                    restored
                        .as_ref()
                        .is_ok_and(|restored| keeps_nulls(restored, &answer)),
                    "{dialect}: {}\n{answer} became {restored:?}",
                    schema.as_json()
                );
            }
        }
    }
});

/// Whether two values are the same but for `3.0` and `3`.
fn alike(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, one)| other.get(key).is_some_and(|other| alike(one, other)))
        }
        (one, other) => one == other,
    }
}

/// Whether an answer came back with nothing changed but lists of entries made maps.
fn keeps_nulls(restored: &Value, answer: &Value) -> bool {
    nulls(restored) == nulls(answer) && stands_for(restored, answer)
}

fn nulls(value: &Value) -> usize {
    match value {
        Value::Null => 1,
        Value::Array(items) => items.iter().map(nulls).sum(),
        Value::Object(map) => map.values().map(nulls).sum(),
        _ => 0,
    }
}

/// Whether an answer came back with nothing changed but nulls taken away and lists of entries made maps.
fn stands_for(restored: &Value, answer: &Value) -> bool {
    match (restored, answer) {
        (Value::Object(restored), Value::Object(answer)) => {
            restored.keys().all(|key| answer.contains_key(key))
                && answer.iter().all(|(key, item)| match restored.get(key) {
                    Some(restored) => stands_for(restored, item),
                    None => item.is_null(),
                })
        }
        (Value::Array(restored), Value::Array(answer)) => {
            restored.len() == answer.len()
                && restored
                    .iter()
                    .zip(answer)
                    .all(|(restored, answer)| stands_for(restored, answer))
        }
        (Value::Object(map), Value::Array(entries)) => {
            map.len() == entries.len()
                && entries.iter().all(|entry| {
                    let key = entry.get("key").and_then(Value::as_str);
                    let item = key.and_then(|key| map.get(key));
                    match (item, entry.get("value")) {
                        (Some(item), Some(value)) => stands_for(item, value),
                        _ => false,
                    }
                })
        }
        (restored, answer) => restored == answer,
    }
}

struct Dice<'a>(&'a [u8]);

impl Dice<'_> {
    fn roll(&mut self, sides: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first) % sides
    }
}

const NAMES: [&str; 8] = ["a", "b", "key", "value", "records", "type", "", "a/b~"];
const TYPES: [&str; 8] = [
    "object", "array", "string", "integer", "number", "boolean", "null", "nothing",
];
const REFERENCES: [&str; 6] = [
    "#/$defs/a",
    "#/$defs/b",
    "#",
    "#/properties/a",
    "#/nowhere",
    "other.json",
];

/// Mostly a schema: each keyword mostly holds what belongs there.
fn schema(dice: &mut Dice<'_>, depth: usize) -> Value {
    if depth == 0 || dice.0.is_empty() {
        return Value::Bool(dice.roll(8) != 0);
    }
    let mut map = Map::new();
    for _ in 0..=dice.roll(4) {
        let below = depth - 1;
        let (keyword, value) = match dice.roll(20) {
            0..=4 => ("type", TYPES[dice.roll(TYPES.len())].into()),
            5 => (
                "type",
                some(dice, |dice| TYPES[dice.roll(TYPES.len())].into()),
            ),
            6..=8 => ("properties", named(dice, below)),
            9 => (
                "required",
                some(dice, |dice| NAMES[dice.roll(NAMES.len())].into()),
            ),
            10 => ("additionalProperties", schema(dice, below)),
            11 => ("items", schema(dice, below)),
            12 => ("prefixItems", some(dice, |dice| schema(dice, below))),
            13 => {
                let keyword = ["anyOf", "oneOf", "allOf"][dice.roll(3)];
                (keyword, some(dice, |dice| schema(dice, below)))
            }
            14 => ("$ref", REFERENCES[dice.roll(REFERENCES.len())].into()),
            15 => ("$defs", named(dice, below)),
            16 => ("enum", some(dice, |dice| answer(dice, 2))),
            17 => ("const", answer(dice, 2)),
            18 => {
                let keyword = [
                    "minLength",
                    "maxItems",
                    "minItems",
                    "maximum",
                    "minProperties",
                ][dice.roll(5)];
                (keyword, dice.roll(4).into())
            }
            _ => {
                let keyword = [
                    "not",
                    "if",
                    "patternProperties",
                    "description",
                    "format",
                    "pattern",
                ][dice.roll(6)];
                (keyword, answer(dice, below))
            }
        };
        map.insert(keyword.to_owned(), value);
    }
    Value::Object(map)
}

fn named(dice: &mut Dice<'_>, depth: usize) -> Value {
    let mut map = Map::new();
    for _ in 0..dice.roll(4) {
        let name = NAMES[dice.roll(NAMES.len())];
        map.insert(name.to_owned(), schema(dice, depth));
    }
    Value::Object(map)
}

fn some(dice: &mut Dice<'_>, mut one: impl FnMut(&mut Dice<'_>) -> Value) -> Value {
    (0..dice.roll(4)).map(|_| one(dice)).collect()
}

/// Any JSON, with a liking for entries of maps.
fn answer(dice: &mut Dice<'_>, depth: usize) -> Value {
    match dice.roll(if depth == 0 { 7 } else { 12 }) {
        0 => Value::Null,
        1 => Value::Bool(dice.roll(2) == 0),
        2 => dice.roll(256).into(),
        3 => Number::from_f64(0.5 * dice.roll(5) as f64).map_or(Value::Null, Value::Number),
        4 => ["3", "true", "null", "x", ""][dice.roll(5)].into(),
        5 | 6 => NAMES[dice.roll(NAMES.len())].into(),
        7 | 8 => some(dice, |dice| answer(dice, depth - 1)),
        9 => some(dice, |dice| {
            let key = NAMES[dice.roll(NAMES.len())];
            serde_json::json!({"key": key, "value": answer(dice, depth - 1)})
        }),
        _ => {
            let mut map = Map::new();
            for _ in 0..dice.roll(5) {
                let name = NAMES[dice.roll(NAMES.len())];
                map.insert(name.to_owned(), answer(dice, depth - 1));
            }
            Value::Object(map)
        }
    }
}
