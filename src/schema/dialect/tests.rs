//! What each dialect makes of the case files, and what it refuses.

use std::fmt::Write as _;

use insta::{assert_snapshot, glob, with_settings};
use serde_json::{Value, json};

use super::*;

fn shown(schema: &RecordSchema, dialect: Dialect) -> String {
    match schema.compile(dialect) {
        Ok(compiled) => {
            let mut text = serde_json::to_string_pretty(&compiled.schema).unwrap();
            for check in &compiled.checked_locally {
                let _ = write!(text, "\nchecked locally: {} {}", check.path, check.keyword);
            }
            text
        }
        Err(refusal) => format!("{:?}: {refusal}", refusal.reason),
    }
}

#[test]
fn every_case_compiles_as_reviewed() {
    with_settings!({
        snapshot_path => "../../../tests/cases/schema/dialect/snapshots",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        glob!("../../../tests/cases/schema/dialect", "*.json", |path| {
            let text = std::fs::read_to_string(path).expect("a case file");
            let case = serde_json::from_str(&text).expect("JSON");
            let schema = RecordSchema::from_json(case).expect("a schema of a record");
            for dialect in Dialect::ALL {
                assert_snapshot!(dialect.as_str(), shown(&schema, dialect));
            }
        });
    });
}

fn refused(schema: &Value, dialect: Dialect) -> (RefusalReason, String, String) {
    let refusal = compile(schema, dialect).expect_err("a schema the dialect cannot say");
    let words = refusal.to_string();
    (refusal.reason, refusal.path, words)
}

#[test]
fn recursion_is_kept_where_allowed_and_refused_where_not() {
    let tree = json!({"type": "object", "properties": {
        "name": {"type": "string"},
        "children": {"type": "array", "items": {"$ref": "#"}},
    }, "required": ["name", "children"]});
    for dialect in [Dialect::Anthropic, Dialect::Gemini] {
        let (reason, path, _) = refused(&tree, dialect);
        assert_eq!(
            (reason, path.as_str()),
            (RefusalReason::Recursion, "/children/*")
        );
    }
    for dialect in [Dialect::OpenAiStrict, Dialect::LlamaCpp, Dialect::Vllm] {
        let compiled = compile(&tree, dialect).unwrap();
        let children = &compiled.schema["properties"]["children"]["items"]["$ref"];
        assert_eq!(children, "#/$defs/Record");
    }
}

#[test]
fn limits_are_checked_before_the_call_and_name_the_place() {
    let mut deep = json!({"type": "string"});
    for _ in 0..11 {
        deep = json!({"type": "object", "properties": {"a": deep}, "required": ["a"]});
    }
    let (reason, path, words) = refused(&deep, Dialect::OpenAiStrict);
    assert_eq!(reason, RefusalReason::Limit);
    assert_eq!(path, "/a".repeat(10));
    assert!(
        words.contains("limit of 10 objects inside each other"),
        "{words}"
    );

    let wide: serde_json::Map<_, _> = (0..101)
        .map(|index| (format!("p{index}"), json!({"type": "string"})))
        .collect();
    let wide = json!({"type": "object", "properties": wide});
    assert!(compile(&wide, Dialect::OpenAiStrict).is_ok());
    assert_eq!(refused(&wide, Dialect::Azure).1, "/p100");
    let (_, path, words) = refused(&wide, Dialect::Anthropic);
    assert_eq!(path, "/p24");
    assert!(words.contains("24 optional properties"), "{words}");

    let values: Vec<String> = (0..1_001).map(|index| format!("v{index}")).collect();
    let many = json!({"type": "object", "properties": {"a": {"enum": values}}});
    assert!(
        refused(&many, Dialect::OpenAiStrict)
            .2
            .contains("1000 listed values")
    );
    let long: Vec<String> = (0..251).map(|index| format!("{index:060}")).collect();
    let long = json!({"type": "object", "properties": {"a": {"enum": long}}});
    assert!(
        refused(&long, Dialect::OpenAiStrict)
            .2
            .contains("15000 characters in one list")
    );
    let names = json!({"type": "object", "properties": {"x".repeat(120_001): {"type": "string"}}});
    assert!(
        refused(&names, Dialect::Groq)
            .2
            .contains("120000 characters of names")
    );
}

#[test]
fn what_no_value_satisfies_is_refused() {
    let clash = json!({"type": "object", "properties": {
        "a": {"allOf": [{"type": "string"}, {"type": "integer"}]},
    }, "required": ["a"]});
    for dialect in Dialect::ALL {
        if dialect != Dialect::Full {
            let (reason, path, _) = refused(&clash, dialect);
            assert_eq!(
                (reason, path.as_str()),
                (RefusalReason::Unsatisfiable, "/a")
            );
        }
    }
}

#[test]
fn a_root_of_alternatives_needs_the_wrapper() {
    let union = json!({"oneOf": [
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]},
        {"type": "object", "properties": {"b": {"type": "string"}}, "required": ["b"]},
    ]});
    assert_eq!(
        refused(&union, Dialect::OpenAiStrict).0,
        RefusalReason::Root
    );
    let schema = RecordSchema::from_json_schema(union).unwrap();
    assert!(schema.compile(Dialect::OpenAiStrict).is_ok());
}

#[test]
fn hostile_schemas_end_in_a_refusal() {
    // Alternatives over alternatives: two to the power of forty.
    let pair = json!({"anyOf": [{"minLength": 1}, {"minLength": 2}]});
    let product = json!({"type": "object", "properties": {
        "a": {"type": "string", "allOf": vec![pair; 40]},
    }});
    let looping = json!({"$ref": "#/$defs/A", "$defs": {"A": {"allOf": [{"$ref": "#/$defs/A"}]}}});
    let mut chain = serde_json::Map::new();
    for level in 0..900 {
        let next = json!({"$ref": format!("#/$defs/d{}", level + 1)});
        chain.insert(
            format!("d{level}"),
            json!({"type": "object", "properties": {"a": next}}),
        );
    }
    chain.insert("d900".to_owned(), json!({"type": "string"}));
    let chain =
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": chain});
    // Alternatives that refer to the whole beside what they say themselves: each level repeats all above it.
    let names =
        ["a", "b", "c", "d", "e", "f"].map(|name| (name.to_owned(), json!({"maxItems": 1})));
    let growing = json!({"anyOf": [
        {
            "properties": serde_json::Map::from_iter(names),
            "oneOf": [{"$ref": "#", "additionalProperties": {"type": "string"}}, {"type": "string"}],
        },
        {"type": "object"},
    ]});
    // What all further keys must be, said at four levels of the whole at once: each level doubles it.
    let mut doubling = json!({"properties": {"a": true}, "$ref": "#"});
    for _ in 0..3 {
        doubling = json!({"additionalProperties": doubling, "$ref": "#"});
    }
    let doubling =
        json!({"type": "object", "items": {"minItems": 1}, "additionalProperties": doubling});
    // What all further keys must be, written out for each key that another part lists.
    let keys: serde_json::Map<_, _> = (0..5_000)
        .map(|index| (format!("p{index}"), json!({"minLength": 1})))
        .collect();
    let many = json!({"type": "object", "properties": {"a": {"allOf": [
        {"additionalProperties": {"enum": (0..20_000).collect::<Vec<_>>()}},
        {"properties": keys},
    ]}}});
    for dialect in Dialect::ALL {
        for schema in [&product, &looping, &chain, &growing, &doubling, &many] {
            // Whether it is refused depends on the dialect; that it ends does not.
            let _ = compile(schema, dialect);
        }
    }
    assert_eq!(refused(&looping, Dialect::Vllm).0, RefusalReason::Recursion);
    let within = json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {
        "A": {"anyOf": [{"type": "object", "properties": {"b": {"$ref": "#/$defs/B"}}}, {"$ref": "#/$defs/B"}]},
        "B": {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/A"}]},
    }});
    assert_eq!(refused(&within, Dialect::Vllm).0, RefusalReason::Recursion);
    let unbound = compile(&within, Dialect::Full).unwrap();
    let answer = json!({"a": {"b": {"b": null}}});
    assert_eq!(unbound.restore(answer.clone()), Ok(answer));
    assert_eq!(refused(&chain, Dialect::Gemini).0, RefusalReason::Limit);
}

#[test]
fn a_default_list_that_was_answered_with_null_is_absent() {
    #[derive(Debug, serde::Deserialize, schemars::JsonSchema)]
    struct Tagged {
        name: String,
        #[serde(default)]
        tags: Vec<String>,
        note: Option<String>,
    }
    let schema = RecordSchema::from_type::<Tagged>().unwrap();
    let compiled = schema.compile(Dialect::OpenAiStrict).unwrap();
    let record = json!({"name": "x", "tags": null, "note": null});
    let restored = compiled.restore_record(record.clone()).unwrap();
    assert_eq!(restored, json!({"name": "x", "note": null}));
    assert!(schema.validate(&restored).is_ok());
    let decoded: Tagged = serde_json::from_value(restored).unwrap();
    assert!(decoded.name == "x" && decoded.tags.is_empty() && decoded.note.is_none());
    let answer = compiled.restore(json!({"records": [record]})).unwrap();
    assert_eq!(answer, json!({"records": [{"name": "x", "note": null}]}));
}

#[test]
fn an_answer_with_two_readings_is_refused() {
    let schema = json!({"type": "object", "properties": {"x": {"anyOf": [
        {"type": "object", "additionalProperties": {"type": "string"}},
        {"type": "array", "items": {"type": "integer"}},
    ]}}, "required": ["x"]});
    let compiled = compile(&schema, Dialect::OpenAiStrict).unwrap();
    let fault = compiled.restore(json!({"x": []})).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "`x` must not be a list that could be a map as well"
    );
    assert_eq!(
        compiled.restore(json!({"x": [1]})).unwrap(),
        json!({"x": [1]})
    );
    assert_eq!(
        compiled
            .restore(json!({"x": [{"key": "a", "value": "b"}]}))
            .unwrap(),
        json!({"x": {"a": "b"}})
    );
    let twice = json!({"x": [{"key": "a", "value": "b"}, {"key": "a", "value": "c"}]});
    let fault = compiled.restore(twice).unwrap_err();
    assert_eq!(fault.path, "/x/1");
}

#[test]
fn telling_alternatives_apart_takes_bounded_time() {
    let schema = json!({
        "type": "object",
        "properties": {"tree": {"$ref": "#/$defs/Tree"}},
        "required": ["tree"],
        "$defs": {"Tree": {"anyOf": [
            {"type": "object", "properties": {"in": {"$ref": "#/$defs/Tree"}, "a": {"type": "string"}}, "required": ["in"]},
            {"type": "object", "properties": {"in": {"$ref": "#/$defs/Tree"}, "b": {"type": "string"}}, "required": ["in"]},
            {"type": "string"},
        ]}},
    });
    let compiled = compile(&schema, Dialect::Vllm).unwrap();
    let mut value = json!("leaf");
    for _ in 0..100 {
        value = json!({"in": value});
    }
    let outcome = compiled.restore(json!({"tree": value}));
    assert!(
        outcome.is_err(),
        "100 levels fit in two to the power of 100 ways"
    );
}
