//! Answers as a whole: valid, varied, repeatable.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::error::{Error, ErrorKind};
use crate::llm::{Message, OutputSchema};

fn request(schema: &Value) -> ChatRequest {
    let output = OutputSchema::new("answer", schema.clone(), OutputMode::Strict);
    ChatRequest::new(vec![
        Message::system("Instruction: Generate Q&A pairs about machine learning concepts"),
        Message::user("Write records.\nTopic: neural networks"),
    ])
    .with_output(OutputFormat::Schema(Arc::new(output)))
}

fn text(model: &OfflineModel, request: &ChatRequest) -> Result<String, Error> {
    model.answer(request, &asked(request))
}

fn answer(schema: &Value, seed: u64) -> Result<Value, Error> {
    let text = text(&OfflineModel::default(), &request(schema).with_seed(seed))?;
    Ok(serde_json::from_str(&text).unwrap())
}

fn records_of(fields: &Value, count: usize) -> Value {
    json!({
        "type": "object",
        "properties": {"records": {
            "type": "array",
            "items": {"type": "object", "properties": fields},
            "minItems": count,
            "maxItems": count,
        }},
        "required": ["records"],
    })
}

/// Asserts that answers for many seeds are valid by another implementation of JSON Schema.
fn assert_valid(schema: &Value, seeds: u64) {
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap();
    for seed in 0..seeds {
        let value = answer(schema, seed).unwrap_or_else(|error| panic!("{error}\n{schema:#}"));
        if let Err(error) = validator.validate(&value) {
            panic!("{error}\n{value:#}\n{schema:#}");
        }
    }
}

#[test]
fn every_keyword_is_kept() {
    let tree = json!({
        "$ref": "#/$defs/node",
        "$defs": {"node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "children": {"type": "array", "items": {"$ref": "#/$defs/node"}},
            },
            "required": ["name", "children"],
        }},
    });
    let expression = json!({
        "$ref": "#/definitions/expression",
        "definitions": {"expression": {"oneOf": [
            {"type": "object", "properties": {"op": {"enum": ["+", "*"]},
                "left": {"$ref": "#/definitions/expression"}, "right": {"$ref": "#/definitions/expression"}},
                "required": ["op", "left", "right"], "additionalProperties": false},
            {"type": "object", "properties": {"not": {"$ref": "#/definitions/expression"}},
                "required": ["not"], "additionalProperties": false},
            {"type": "number"},
        ]}},
    });
    for schema in [
        json!(true),
        json!({}),
        json!({"const": {"a": [1, null]}}),
        json!({"enum": ["easy", "medium", 3, null], "type": ["string", "null"]}),
        json!({"type": "integer", "minimum": 3, "exclusiveMaximum": 5}),
        json!({"type": "integer", "minimum": -7.5, "maximum": -6.5}),
        json!({"type": "integer", "minimum": 9_007_199_254_740_993_u64}),
        json!({"type": "number", "multipleOf": 0.01, "minimum": 0, "maximum": 1}),
        json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1e-6}),
        json!({"type": "number", "multipleOf": 7, "minimum": 15}),
        json!({"type": "string", "minLength": 5, "maxLength": 8}),
        json!({"type": "string", "minLength": 300}),
        json!({"type": "string", "pattern": "^[A-Z]{2}-\\d+$", "minLength": 6, "maxLength": 7}),
        json!({"type": "string", "format": "email"}),
        json!({"type": "string", "format": "date-time"}),
        json!({"type": "string", "format": "date"}),
        json!({"type": "string", "format": "time"}),
        json!({"type": "string", "format": "duration"}),
        json!({"type": "string", "format": "uri"}),
        json!({"type": "string", "format": "uri-reference"}),
        json!({"type": "string", "format": "uri-template"}),
        json!({"type": "string", "format": "uuid"}),
        json!({"type": "string", "format": "hostname"}),
        json!({"type": "string", "format": "ipv4"}),
        json!({"type": "string", "format": "ipv6"}),
        json!({"type": "string", "format": "json-pointer"}),
        json!({"type": "string", "format": "relative-json-pointer"}),
        json!({"type": "string", "format": "regex"}),
        json!({"type": "string", "format": "email", "maxLength": 28}),
        json!({"type": "array", "items": {"type": "integer", "minimum": 1, "maximum": 5},
            "uniqueItems": true, "minItems": 5, "maxItems": 5}),
        json!({"type": "array", "items": {"enum": ["a", "b", "c"]}, "uniqueItems": true, "minItems": 3}),
        json!({"type": "array", "prefixItems": [{"type": "string"}, {"type": "number"}], "items": false}),
        json!({"type": "array", "prefixItems": [{"type": "string"}], "items": {"type": "boolean"},
            "minItems": 4}),
        json!({"type": "array", "items": {"type": "integer"}, "contains": {"const": 7},
            "minContains": 2, "maxContains": 2, "minItems": 4}),
        json!({"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 2}),
        json!({"type": "object", "patternProperties": {"^x-[a-z]{3,9}$": {"type": "boolean"}},
            "additionalProperties": false, "minProperties": 3}),
        json!({"type": "object", "propertyNames": {"pattern": "^[a-z]{4}$"},
            "additionalProperties": {"type": "null"}, "minProperties": 2}),
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}},
            "maxProperties": 1}),
        json!({"type": "object", "required": ["unlisted", "b"], "properties": {"b": {"type": "integer"}},
            "additionalProperties": {"type": "integer"}}),
        json!({"type": "object", "properties": {"card": {"type": "string"}, "address": {"type": "string"}},
            "dependentRequired": {"card": ["address"]}}),
        json!({"anyOf": [{"type": "string", "maxLength": 4}, {"type": "integer"}], "minimum": 5, "minLength": 2}),
        json!({"oneOf": [{"type": "integer", "minimum": 0, "maximum": 20},
            {"type": "integer", "minimum": 10, "maximum": 30}]}),
        json!({"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]},
            {"properties": {"a": {"minimum": 5}, "b": {"type": "string"}}, "required": ["b"]}],
            "type": "object", "properties": {"a": {"maximum": 6}}}),
        json!({"anyOf": [false, {"type": "integer", "maximum": 1, "minimum": 2}, {"const": "left"}]}),
        json!({"type": "integer", "minimum": 0, "maximum": 3, "not": {"enum": [0, 1, 3]}}),
        json!({"type": "object", "properties": {"kind": {"enum": ["a", "b"]}, "more": {"type": "string"}},
            "required": ["kind"], "if": {"properties": {"kind": {"const": "a"}}},
            "then": {"required": ["more"]}, "else": {"not": {"required": ["more"]}}}),
        json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/text", "maxLength": 10}},
            "required": ["a"], "$defs": {"text": {"$anchor": "t", "type": "string", "minLength": 3}}}),
        json!({"type": "object", "properties": {"a": {"$ref": "#t"}},
            "$defs": {"text": {"$anchor": "t", "type": "string", "minLength": 3}}}),
        json!({"type": "object", "properties": {"parent": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
            "name": {"type": "string"}}, "required": ["parent", "name"]}),
        tree,
        expression,
    ] {
        assert_valid(&schema, 40);
    }
}

#[test]
fn what_cannot_be_satisfied_is_refused_by_keyword_and_place() {
    for (field, keyword) in [
        (
            json!({"type": "integer", "minimum": 3, "maximum": 2}),
            "maximum",
        ),
        (
            json!({"type": "string", "minLength": 3, "maxLength": 2}),
            "maxLength",
        ),
        (json!({"type": "string", "pattern": "(a)\\1"}), "pattern"),
        (
            json!({"type": "string", "pattern": "^a$", "minLength": 2}),
            "pattern",
        ),
        (
            json!({"allOf": [{"type": "string"}, {"type": "integer"}]}),
            "type",
        ),
        (json!({"enum": ["a"], "type": "integer"}), "enum"),
        (json!({"type": "boolean", "not": {}}), "not"),
        (json!({"$ref": "https://example.com/other.json"}), "$ref"),
        (json!({"$ref": "#/$defs/missing"}), "$ref"),
        (
            json!({"$ref": "#/properties/list/items/properties/a"}),
            "$ref",
        ),
        (
            json!({"type": "array", "items": {"type": "boolean"}, "uniqueItems": true, "minItems": 3}),
            "uniqueItems",
        ),
        (
            json!({"type": "array", "minItems": 1_000_000_000}),
            "minItems",
        ),
        (
            json!({"type": "object", "minProperties": 1, "additionalProperties": false}),
            "minProperties",
        ),
        (json!(false), "false"),
        (json!("text"), "schema"),
    ] {
        let schema = json!({"type": "object", "required": ["list"], "properties": {"list": {
            "type": "array", "minItems": 1,
            "items": {"type": "object", "properties": {"a": field}, "required": ["a"]},
        }}});
        let error = answer(&schema, 1).expect_err(keyword);
        assert_eq!(error.kind(), ErrorKind::SchemaRefused, "{error}");
        let context: Vec<_> = error.context().collect();
        assert!(
            context.contains(&("keyword", keyword)),
            "{keyword}: {error}"
        );
        assert!(context.contains(&("path", "/list/0/a")), "{error}");
    }
}

#[test]
fn texts_match_their_patterns() {
    for pattern in [
        "^[A-Z]{3}-\\d{4}$",
        "^(foo|ba[rz])+$",
        "^\\+?[1-9]\\d{1,14}$",
        "[^,;]+",
        "^#[0-9a-fA-F]{6}$",
        "^(?=.*[A-Z])(?=.*\\d)[A-Za-z\\d]{8,}$",
        "^(?!0)\\d{3}$",
        "^[\\w.+-]+@[\\w-]+\\.[\\w.-]+$",
        "^\\p{Lu}\\p{L}*$",
        "^(?<year>\\d{4})-(?:0[1-9]|1[0-2])$",
        "\\bword\\b",
        "^.{0,5}$",
        "^[^\\s]{2,3}$",
        "^a{2}b{1,}?c{0}$",
        "",
        "^\\u00e9\\x41$",
        "^[\\]\\-^]+$",
        "^[[&~]+$",
        "^\\/\\{\\}$",
        "^$",
    ] {
        assert_valid(&json!({"type": "string", "pattern": pattern}), 50);
    }
    for (min, max) in [(1, 1), (5, 5), (40, 44), (300, 600)] {
        let pattern = "^[a-z]+( [a-z]+)*$";
        let schema =
            json!({"type": "string", "pattern": pattern, "minLength": min, "maxLength": max});
        assert_valid(&schema, 5);
    }
}

#[test]
fn patterns_that_are_not_understood_are_refused() {
    let deep = "(".repeat(100_000);
    for pattern in [
        "(?<=a)b", "(a)\\1", "[z-a]", "(", ")", "[a", "a{3,2}", "*a", &deep,
    ] {
        let error = answer(&json!({"type": "string", "pattern": pattern}), 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::SchemaRefused, "{error}");
    }
}

#[test]
fn numbers_keep_narrow_limits_exactly() {
    for (schema, expected) in [
        (
            json!({"type": "integer", "exclusiveMinimum": 4, "exclusiveMaximum": 6}),
            json!(5),
        ),
        (
            json!({"type": "integer", "minimum": 4.2, "maximum": 5.1}),
            json!(5),
        ),
        (
            json!({"type": "number", "minimum": 0.35, "maximum": 0.45, "multipleOf": 0.1}),
            json!(0.4),
        ),
        (
            json!({"type": "integer", "minimum": 1, "maximum": 20,
                "allOf": [{"multipleOf": 4}, {"multipleOf": 6}]}),
            json!(12),
        ),
    ] {
        assert_eq!(answer(&schema, 1).unwrap(), expected, "{schema}");
    }
    assert_valid(
        &json!({"type": "number", "exclusiveMinimum": 0.999, "exclusiveMaximum": 1}),
        20,
    );
    assert_valid(
        &json!({"type": "number", "minimum": -1e300, "maximum": 1e300}),
        20,
    );
    assert!(answer(&json!({"type": "integer", "minimum": 1e300}), 1).is_err());
}

#[test]
fn the_name_of_a_field_says_what_to_write() {
    for (field, pattern) in [
        ("question", r"^[A-Z].*\?$"),
        ("followUpQuestions", r"^[A-Z].*\?$"),
        ("product_name", r"^[A-Z]\w+ [A-Z0-9]\w*"),
        ("authorName", r"^[A-Z]\w+ [A-Z]\w+$"),
        ("contact-email", r"^\S+@example\.(com|org|net)$"),
        ("email_address", r"^\S+@example\.(com|org|net)$"),
        ("created_at", r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$"),
        ("categories", "^[a-z]+"),
        ("topic", "^neural networks$"),
        ("xyzzy", r"^[A-Z].*\.$"),
    ] {
        let drawn = json!({"type": "object", "properties": {field: {"type": "string"}}});
        let wanted = json!({"properties": {field: {"pattern": pattern}}});
        for seed in 0..30 {
            let value = answer(&drawn, seed).unwrap();
            assert!(jsonschema::is_valid(&wanted, &value), "{value}");
        }
    }
    let rating = json!({"type": "object", "properties": {
        "starRating": {"type": "integer"}, "score": {"type": "number"}}});
    for seed in 0..30 {
        let value = answer(&rating, seed).unwrap();
        assert!((1..=5).contains(&value["starRating"].as_i64().unwrap()));
        assert!((0.0..=1.0).contains(&value["score"].as_f64().unwrap()));
    }
}

#[test]
fn every_length_can_be_met() {
    for field in ["question", "name", "summary", "tag", "code"] {
        for (min, max) in [
            (0, 0),
            (1, 1),
            (3, 3),
            (0, 9),
            (17, 17),
            (60, 64),
            (400, 410),
        ] {
            let text = json!({"type": "string", "minLength": min, "maxLength": max});
            assert_valid(&json!({"type": "object", "properties": {field: text}}), 3);
        }
    }
}

#[test]
fn texts_speak_of_the_topic() {
    let schema = records_of(&json!({"question": {"type": "string"}}), 200);
    let value = answer(&schema, 2).unwrap();
    let about = value.to_string().matches("neural networks").count();
    assert!(about > 30, "{about}");
}

#[test]
fn recursion_that_never_ends_is_refused() {
    let schema =
        json!({"type": "object", "properties": {"next": {"$ref": "#"}}, "required": ["next"]});
    assert_eq!(
        answer(&schema, 1).unwrap_err().kind(),
        ErrorKind::SchemaRefused
    );
}

#[test]
fn schemas_that_rust_types_make_are_satisfied() {
    #[derive(schemars::JsonSchema)]
    #[allow(dead_code)]
    enum Shape {
        Circle { radius: f64 },
        Square(u8),
        Nothing,
    }
    #[derive(schemars::JsonSchema)]
    #[allow(dead_code)]
    struct Drawing {
        name: String,
        shapes: Vec<Shape>,
        by_layer: std::collections::HashMap<String, Vec<u32>>,
        parent: Option<Box<Drawing>>,
        pair: (bool, char),
        size: [i8; 3],
        tags: std::collections::BTreeSet<String>,
    }
    assert_valid(&schemars::schema_for!(Drawing).to_value(), 200);
}

#[test]
fn the_same_question_has_the_same_answer_and_another_has_not() {
    let schema = records_of(&json!({"question": {"type": "string"}}), 2);
    let ask = |model: &OfflineModel, request: &ChatRequest| text(model, request).unwrap();
    let model = OfflineModel::default().with_seed(3);
    let base = request(&schema);
    let first = ask(&model, &base);
    assert_eq!(first, ask(&model.clone(), &base.clone()));
    let mut other_text = base.clone();
    other_text.messages.push(Message::user("More."));
    let shorter = request(&records_of(&json!({"question": {"type": "string"}}), 1));
    for other in [
        ask(&OfflineModel::default().with_seed(4), &base),
        ask(&model, &base.clone().with_seed(1)),
        ask(&model, &other_text),
        ask(&model, &shorter),
    ] {
        assert_ne!(first, other);
    }
}

#[test]
fn lists_at_the_top_have_as_many_records_as_asked_for() {
    let fields = json!({"question": {"type": "string"}});
    for count in [1, 2, 33] {
        let value = answer(&records_of(&fields, count), 1).unwrap();
        assert_eq!(value["records"].as_array().unwrap().len(), count);
    }
}

#[test]
fn fields_that_may_be_missing_seldom_are_and_never_all() {
    let text = json!({"type": "string"});
    let schema = records_of(&json!({"title": text, "summary": text, "note": text}), 200);
    let value = answer(&schema, 1).unwrap();
    let records = value["records"].as_array().unwrap();
    let fields: usize = records
        .iter()
        .map(|record| record.as_object().unwrap().len())
        .sum();
    assert!(records.iter().all(|record| record.get("title").is_some()));
    assert!((500..590).contains(&fields), "{fields}");

    let optional =
        json!({"properties": {"topics": {"type": "array", "items": {"type": "string"}}}});
    assert_eq!(
        answer(&optional, 1).unwrap()["topics"]
            .as_array()
            .unwrap()
            .len(),
        5
    );
}

#[test]
fn records_hardly_ever_repeat_or_resemble_one_another() {
    let text = json!({"type": "string"});
    let schema = records_of(
        &json!({"question": text, "answer": text, "difficulty": text}),
        20,
    );
    let (mut questions, mut answers) = (HashSet::new(), HashSet::new());
    let mut words_in_common = 0;
    let mut last: HashSet<String> = HashSet::new();
    for seed in 0..500 {
        let value = answer(&schema, seed).unwrap();
        for record in value["records"].as_array().unwrap() {
            let question = record
                .get("question")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if question.is_empty() {
                continue;
            }
            let words: HashSet<String> = question.split(' ').map(str::to_owned).collect();
            let shared = words.intersection(&last).count();
            words_in_common += usize::from(shared * 10 > words.len() * 7);
            last = words;
            assert!(questions.insert(question.to_owned()), "{question}");
            if let Some(answer) = record.get("answer") {
                answers.insert(answer.to_string());
            }
        }
    }
    assert!(questions.len() > 8_000 && answers.len() > 7_000);
    assert_eq!(
        words_in_common, 0,
        "neighbours that share seven words of ten"
    );
}

#[test]
fn topics_are_new_and_about_the_instruction() {
    let schema = json!({
        "type": "object",
        "properties": {"topics": {"type": "array", "items": {"type": "string"}, "minItems": 40, "maxItems": 40}},
        "required": ["topics"],
    });
    let mut known: Vec<String> = Vec::new();
    for seed in 0..50 {
        let output = OutputSchema::new("topics", schema.clone(), OutputMode::Strict);
        let list: Vec<String> = known.iter().map(|name| format!("- {name}")).collect();
        let request = ChatRequest::new(vec![Message::user(format!(
            "Instruction: Generate Q&A pairs about machine learning concepts\nExisting:\n{}",
            list.join("\n")
        ))])
        .with_purpose(Purpose::Topics)
        .with_seed(seed)
        .with_output(OutputFormat::Schema(Arc::new(output)));
        let value: Value =
            serde_json::from_str(&text(&OfflineModel::default(), &request).unwrap()).unwrap();
        for topic in value["topics"].as_array().unwrap() {
            known.push(topic.as_str().unwrap().to_owned());
        }
    }
    let distinct: HashSet<String> = known.iter().map(|name| name.to_lowercase()).collect();
    assert_eq!(distinct.len(), 2_000);
    let about = known
        .iter()
        .filter(|name| name.contains("machine learning"))
        .count();
    assert!(about > 1_900, "{about}");
}

#[tokio::test]
async fn tokens_are_counted_and_the_name_is_kept() {
    let model = OfflineModel::new("offline/other");
    let request = request(&records_of(&json!({"question": {"type": "string"}}), 3));
    let response = model.complete(&request).await.unwrap();
    assert_eq!(
        response.usage.output_tokens,
        response.text.len().div_ceil(4) as u64
    );
    assert!(response.usage.input_tokens > 50);
    assert_eq!(model.model(), "offline/other");
    assert_eq!(response.provider_model.as_deref(), Some("offline/other"));
}

#[tokio::test(start_paused = true)]
async fn latency_is_tokio_time() {
    let before = tokio::time::Instant::now();
    let model = OfflineModel::default().with_latency(Duration::from_secs(3));
    model.complete(&ChatRequest::default()).await.unwrap();
    assert_eq!(before.elapsed(), Duration::from_secs(3));
}

#[tokio::test]
async fn without_a_schema_it_answers_text_or_an_object() {
    let model = OfflineModel::default();
    let text = model.complete(&ChatRequest::default()).await.unwrap().text;
    assert!(text.ends_with('.'));
    let request = ChatRequest::default().with_output(OutputFormat::Json);
    let json = model.complete(&request).await.unwrap().text;
    assert!(serde_json::from_str::<Value>(&json).unwrap().is_object());
}

/// Schemas that can be satisfied, of every kind and nested.
fn any_schema() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!({"type": "boolean"})),
        Just(json!({"type": "null"})),
        Just(json!({})),
        (-100_i64..100, 0_i64..50).prop_map(
            |(low, width)| json!({"type": "integer", "minimum": low, "maximum": low + width})
        ),
        (-100_i64..100, 1_i64..50).prop_map(|(low, width)| {
            json!({"type": "number", "exclusiveMinimum": low, "exclusiveMaximum": low + width})
        }),
        (1_u64..50).prop_map(|of| json!({"type": "integer", "multipleOf": of, "minimum": 0})),
        (0_u64..40, 0_u64..40).prop_map(
            |(min, more)| json!({"type": "string", "minLength": min, "maxLength": min + more})
        ),
        "(\\[a-c\\]|\\\\d|x|\\(y\\|z\\)){1,4}(\\{2,3\\}|\\+|\\*|\\?)?"
            .prop_map(|pattern| json!({"type": "string", "pattern": format!("^{pattern}$")})),
        prop::sample::select(vec![
            "date",
            "email",
            "uuid",
            "uri",
            "ipv4",
            "hostname",
            "date-time"
        ])
        .prop_map(|format| json!({"type": "string", "format": format})),
        prop::collection::vec(
            prop_oneof![
                Just(json!(1)),
                Just(json!("a")),
                Just(json!(null)),
                Just(json!([2]))
            ],
            1..4
        )
        .prop_map(|values| json!({"enum": values})),
        Just(json!({"$ref": "#/$defs/shared"})),
    ];
    let name = || {
        prop::sample::select(vec![
            "question", "answer", "tags", "count", "score", "nested", "email",
        ])
    };
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            (inner.clone(), 0_u64..3, 0_u64..4).prop_map(|(items, min, more)| {
                json!({"type": "array", "items": items, "minItems": min, "maxItems": min + more})
            }),
            (prop::collection::vec((name(), inner.clone()), 0..5), prop::collection::vec(any::<bool>(), 5), any::<bool>())
                .prop_map(|(fields, needed, open)| {
                    let fields: serde_json::Map<_, _> =
                        fields.into_iter().map(|(name, schema)| (name.to_owned(), schema)).collect();
                    let required: Vec<_> =
                        fields.keys().zip(needed).filter(|(_, needed)| *needed).map(|(name, _)| name.clone()).collect();
                    json!({"type": "object", "properties": fields, "required": required, "additionalProperties": open})
                }),
            (inner.clone(), 0_u64..3)
                .prop_map(|(values, min)| json!({"type": "object", "additionalProperties": values, "minProperties": min})),
            prop::collection::vec(inner.clone(), 1..4).prop_map(|branches| json!({"anyOf": branches})),
            (inner.clone(), inner.clone()).prop_map(|(first, rest)| {
                json!({"type": "array", "prefixItems": [first], "items": rest, "minItems": 1})
            }),
            inner.clone().prop_map(|schema| json!({"allOf": [schema, {"title": "x"}]})),
            (inner.clone(), inner).prop_map(|(a, b)| json!({"oneOf": [
                {"type": "object", "properties": {"kind": {"const": "a"}, "value": a}, "required": ["kind", "value"]},
                {"type": "object", "properties": {"kind": {"const": "b"}, "value": b}, "required": ["kind"]},
            ]})),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn whatever_the_schema_the_answer_is_valid(schema in any_schema(), wrapped in any::<bool>()) {
        let mut root = if wrapped {
            json!({
                "type": "object",
                "properties": {"records": {"type": "array", "items": schema, "minItems": 2, "maxItems": 2}},
                "required": ["records"],
            })
        } else {
            json!({ "allOf": [schema] })
        };
        root["$defs"] = json!({"shared": {
            "type": "object",
            "properties": {"title": {"type": "string"}, "children": {
                "type": "array", "items": {"$ref": "#/$defs/shared"}, "maxItems": 2,
            }},
            "required": ["title"],
        }});
        assert_valid(&root, 3);
    }

    #[test]
    fn no_schema_however_wrong_makes_it_panic(schema in any_json()) {
        let _ = answer(&schema, 1);
    }
}

/// Any JSON, with the keywords of JSON Schema as its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        prop::sample::select(vec![
            "string", "object", "array", "integer", "#", "#/a", "a{", "^.*$", "date", ""
        ])
        .prop_map(Value::from),
        Just(Value::Null),
    ];
    let keyword = prop::sample::select(vec![
        "type",
        "properties",
        "items",
        "required",
        "minItems",
        "maxItems",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "allOf",
        "not",
        "if",
        "then",
        "else",
        "$ref",
        "pattern",
        "format",
        "minimum",
        "maximum",
        "multipleOf",
        "minLength",
        "maxLength",
        "uniqueItems",
        "contains",
        "minContains",
        "maxContains",
        "prefixItems",
        "additionalProperties",
        "patternProperties",
        "propertyNames",
        "minProperties",
        "dependentRequired",
        "a",
    ]);
    leaf.prop_recursive(5, 60, 6, move |inner| {
        prop_oneof![
            1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            4 => prop::collection::vec((keyword.clone(), inner), 0..6).prop_map(|fields| {
                Value::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
            }),
        ]
    })
}

#[test]
fn a_schema_that_refers_to_itself_leaves_the_stack_whole() {
    // What Rust gives a thread.
    const STACK: usize = 2 << 20;
    let list = json!({"type": "array", "items": {"$ref": "#"}, "minItems": 1});
    let schemas = [
        list.clone(),
        json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]}),
        json!({"type": "object", "required": ["a"], "additionalProperties": {"$ref": "#"}}),
        json!({"allOf": [{"anyOf": [{"oneOf": [list.clone()]}]}]}),
        json!({"type": "array", "contains": {"$ref": "#"}}),
        json!({"type": "array", "prefixItems": [{"$ref": "#"}], "minItems": 1}),
        json!({"not": {"$ref": "#"}}),
        json!({"not": {"not": {"$ref": "#"}}}),
        json!({"if": {"$ref": "#"}, "then": {"$ref": "#"}, "else": {"$ref": "#"}}),
        json!({"if": {"not": {"$ref": "#"}}, "then": list.clone()}),
        json!({"oneOf": [{"not": {"$ref": "#"}}, list]}),
        json!({"dependentSchemas": {"a": {"$ref": "#"}}, "required": ["a"], "properties": {"a": {"$ref": "#"}}}),
        json!({"type": "object", "propertyNames": {"$ref": "#"}, "minProperties": 1}),
    ];
    for schema in schemas {
        let drawing = std::thread::Builder::new().stack_size(STACK);
        let drawing = drawing.spawn(move || {
            let _ = answer(&schema, 1);
        });
        drawing.expect("a thread").join().expect("no panic");
    }
}
