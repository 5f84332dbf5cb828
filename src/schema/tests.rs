//! A record's shape as its users see it: reading, refusing, validating.

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::*;

fn refused(schema: Value) -> String {
    let error = RecordSchema::from_json(schema).expect_err("a schema that must be refused");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    error.message().to_owned()
}

fn told(schema: &RecordSchema, value: &Value) -> Vec<String> {
    let violations = schema.validate(value).expect_err("an invalid value");
    violations.iter().map(ToString::to_string).collect()
}

#[test]
fn the_reference_field_list_is_read() {
    let schema = RecordSchema::from_json(json!([
        {"name": "question", "type": "str"},
        {"name": "answer", "type": "str"},
        {"name": "difficulty", "type": "str"}
    ]))
    .unwrap();
    assert_eq!(
        schema.property_names(),
        ["question", "answer", "difficulty"]
    );
    assert_eq!(schema.required_names(), schema.property_names());
    assert!(schema.has_property("difficulty") && !schema.has_property("topic"));
}

#[test]
fn several_faults_of_a_field_list_are_told_together() {
    let message = refused(json!([
        {"name": "a", "type": "str"},
        {"name": " ", "type": "int"},
        {"name": "b", "type": "string", "descripton": "x"},
        {"name": "a", "type": "lst", "items": {"type": "strng"}},
        {"type": "bool", "required": "yes"},
        "answer",
        {"name": "c", "type": "list", "items": {"type": "object", "properties": {"d": {"type": "text"}}}},
        {"name": "e", "type": "dict", "properties": {"f": {"type": "str"}}, "required": ["g"]},
        {"name": "h", "type": "str", "items": {}},
        {"name": "a", "type": "int"},
    ]));
    insta::assert_snapshot!(message.replace("; ", "\n"), @r#"
    output_schema[1].name: must not be blank
    output_schema[2]: unknown key "descripton", did you mean "description"?
    output_schema[2].type: unknown type "string", did you mean "str"?
    output_schema[3].type: unknown type "lst", did you mean "list"?
    output_schema[4].name: is missing
    output_schema[4].required: must be true or false, not a string
    output_schema[5]: a field is an object such as {"name": "question", "type": "str"}, not a string
    output_schema[6].items.properties.d.type: unknown type "text" (known: str, int, float, bool, list, dict, null)
    output_schema[7].required: "g" is not among the properties
    output_schema[8].items: belongs to the type "list" only
    output_schema[9].name: "a" is the name of an earlier field
    "#);
}

#[test]
fn starfish_types_become_json_types_at_every_level() {
    let schema = RecordSchema::from_json(json!([
        {"name": "rows", "type": "list", "items": {"type": "dict", "properties": {
            "n": {"type": ["int", "null"]}, "words": {"type": "list", "items": "str"}}}},
    ]))
    .unwrap();
    assert_eq!(
        schema.as_json()["properties"]["rows"]["items"],
        json!({"type": "object", "properties": {
            "n": {"type": ["integer", "null"]},
            "words": {"type": "array", "items": {"type": "string"}}}})
    );
}

#[test]
fn fields_survive_a_round_trip_through_json() {
    let fields = [
        Field::str("question").description("one sentence"),
        Field::list("tags", FieldType::Str).optional(),
        Field::dict(
            "source",
            [Field::str("title"), Field::int("year").optional()],
        )
        .optional(),
        Field::map("counts", FieldType::Int),
        Field::list("steps", [Field::str("title")]),
        Field::of_type("any", FieldType::Dict),
    ];
    let text = serde_json::to_string(&fields).unwrap();
    let read: Vec<Field> = serde_json::from_str(&text).unwrap();
    let (ours, theirs) = (
        RecordSchema::from_fields(&fields).unwrap(),
        RecordSchema::from_fields(&read).unwrap(),
    );
    assert_eq!(ours.as_json(), theirs.as_json());
    let error = serde_json::from_str::<Field>(r#"{"name": "a", "type": "string"}"#).unwrap_err();
    assert!(error.to_string().contains(r#"did you mean "str"?"#));
}

#[test]
fn what_is_not_a_schema_of_a_record_is_refused_with_its_place() {
    for (schema, expected) in [
        (json!([]), "at least one field"),
        (json!("str"), "must be a list of fields"),
        (json!(true), "must be a list of fields"),
        (json!({}), "must describe an object"),
        (json!({"question": "str"}), "to list fields instead"),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            r#"says `type: "string"`"#,
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "str"}}}),
            "output_schema at /properties/a/type",
        ),
        (
            json!({"type": "object", "properties": {"a": {"minLength": -1}}}),
            "/properties/a/minLength: must be at least 0",
        ),
        (
            json!({"type": "object", "properties": {"a": {"pattern": "("}}}),
            "/properties/a/pattern",
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "other.json"}}}),
            "/properties/a/$ref: leads out of this document",
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "https://example.com/a"}}}),
            "leads out of this document",
        ),
        (
            json!({"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}}),
            "/properties/a/$ref: leads nowhere",
        ),
        (
            json!({"type": "object", "$schema": "http://example.com"}),
            "/$schema",
        ),
        (json!({"type": "object"}), "names no property"),
    ] {
        let message = refused(schema.clone());
        assert!(message.contains(expected), "{schema}: {message}");
    }
}

#[test]
fn what_older_drafts_and_neighbours_say_is_translated() {
    for (old, new) in [
        (
            json!({"items": [{"type": "string"}], "additionalItems": false}),
            json!({"prefixItems": [{"type": "string"}], "items": false}),
        ),
        (
            json!({"items": {}, "additionalItems": false}),
            json!({"items": {}}),
        ),
        (
            json!({"minimum": 1, "exclusiveMinimum": true, "maximum": 9, "exclusiveMaximum": false}),
            json!({"exclusiveMinimum": 1, "maximum": 9}),
        ),
        (
            json!({"dependencies": {"a": ["b"], "c": {"required": ["d"]}}}),
            json!({"dependentRequired": {"a": ["b"]}, "dependentSchemas": {"c": {"required": ["d"]}}}),
        ),
        (
            json!({"type": "string", "nullable": true}),
            json!({"type": ["string", "null"]}),
        ),
        (
            json!({"enum": ["a"], "nullable": true}),
            json!({"enum": ["a", null]}),
        ),
        (
            json!({"$ref": "#/$defs/x", "nullable": true}),
            json!({"anyOf": [{"$ref": "#/$defs/x"}, {"type": "null"}]}),
        ),
        (json!({"$id": "#there", "const": 1}), json!({"const": 1})),
        (json!({"$ref": "#named"}), json!({"$ref": "#/$defs/y"})),
        (
            json!({"$ref": "https://example.org/s.json#/$defs/x"}),
            json!({"$ref": "#/$defs/x"}),
        ),
        (json!({"$recursiveRef": "#"}), json!({"$ref": "#"})),
    ] {
        let read = RecordSchema::from_json(json!({
            "$id": "https://example.org/s.json",
            "type": "object",
            "properties": {"a": old},
            "$defs": {"x": {"type": "string"}, "y": {"$anchor": "named", "type": "null"}},
        }))
        .unwrap();
        assert_eq!(read.as_json()["properties"]["a"], new, "{old}");
    }
}

#[test]
fn a_wrapped_schema_and_one_of_a_list_give_the_record() {
    let record = json!({"type": "object", "properties": {"q": {"$ref": "#/$defs/t"}}, "required": ["q"], "$defs": {"t": {"type": "string"}}});
    let list = json!({"type": "array", "items": {"type": "object", "properties": {"q": {"$ref": "#/$defs/t"}}, "required": ["q"]}, "$defs": {"t": {"type": "string"}}});
    for wrapped in [
        json!({"name": "qa", "strict": true, "schema": record}),
        json!({"type": "json_schema", "json_schema": {"name": "qa", "schema": record}}),
        json!({"response_format": {"type": "json_schema", "json_schema": {"name": "qa", "schema": list}}}),
        json!({"type": "function", "function": {"name": "qa", "description": "d", "parameters": record}}),
        json!({"name": "qa", "description": "d", "input_schema": record}),
        list,
    ] {
        assert_eq!(
            RecordSchema::from_json(wrapped).unwrap(),
            RecordSchema::from_json(record.clone()).unwrap()
        );
    }
    // A property of such a name is a property.
    let own = json!({"type": "object", "properties": {"schema": {"type": "string"}}});
    assert_eq!(
        RecordSchema::from_json(own).unwrap().property_names(),
        ["schema"]
    );
}

#[test]
fn what_is_read_otherwise_is_told() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string", "minLenght": 3, "x-note": 1, "required": true}}});
    let schema = RecordSchema::from_json(schema).unwrap();
    assert_eq!(schema.required_names(), ["a"]);
    let told = schema.warnings().join("\n");
    assert!(
        told.contains("`minLength`") && told.contains("`required: true`"),
        "{told}"
    );
    assert_eq!(schema.warnings().len(), 2, "{told}");
}

#[test]
fn a_schema_of_absurd_size_is_refused_without_a_crash() {
    let mut deep = json!({"type": "object"});
    for _ in 0..100_000 {
        deep = Value::Object([("items".to_owned(), deep)].into_iter().collect());
    }
    assert!(refused(deep).contains("deeper than"));
    let mut deep_list = json!([]);
    for _ in 0..100_000 {
        deep_list = Value::Array(vec![deep_list]);
    }
    assert!(refused(deep_list).contains("deeper than"));
}

#[test]
fn a_type_is_described_by_its_attributes() {
    #[derive(JsonSchema)]
    #[allow(dead_code)]
    struct Reasoned {
        reasoning: String,
        /// In one word.
        answer: String,
        #[serde(default)]
        tags: Vec<String>,
        next: Option<Box<Reasoned>>,
    }
    let schema = RecordSchema::from_type::<Reasoned>().unwrap();
    assert_eq!(
        schema.property_names(),
        ["reasoning", "answer", "tags", "next"]
    );
    assert_eq!(schema.required_names(), ["reasoning", "answer"]);
    assert!(
        schema
            .validate(&json!({"reasoning": "a", "answer": "b", "next": {"reasoning": "a"}}))
            .is_err()
    );
    let error = RecordSchema::from_type::<Vec<String>>().unwrap_err();
    assert!(error.to_string().contains("Vec"));
}

#[test]
fn the_fingerprint_ignores_key_order_only() {
    let one = RecordSchema::from_json(json!({"type": "object", "properties": {"a": {}, "b": {}}}));
    let two = RecordSchema::from_json(json!({"properties": {"b": {}, "a": {}}, "type": "object"}));
    let (one, two) = (one.unwrap(), two.unwrap());
    assert_eq!(one.fingerprint(), two.fingerprint());
    assert_ne!(one.fingerprint(), RecordSchema::default().fingerprint());
}

#[test]
fn violations_say_what_to_do_and_never_the_value() {
    let schema = RecordSchema::from_json(json!([
        {"name": "question", "type": "str", "maxLength": 10},
        {"name": "level", "type": "str", "enum": ["easy", "hard"]},
        {"name": "score", "type": "float", "minimum": 0},
        {"name": "tags", "type": "list", "items": {"type": "str"}, "uniqueItems": true},
    ]))
    .unwrap();
    let value = json!({
        "question": "SECRET SECRET", "level": "SECRET", "score": -77, "tags": ["SECRET", "SECRET", 7], "SECRET": 1,
    });
    let told = told(&schema, &value);
    assert!(!told.join(" ").contains("SECRET"));
    assert!(!told.join(" ").contains("77"));
    insta::assert_snapshot!(told.join("\n"), @r#"
    `question` must have at most 10 characters
    `level` must be one of "easy", "hard"
    `score` must be at least 0
    `tags` must not hold the same item twice
    `tags[2]` must be a string
    the record must have no properties but "question", "level", "score", "tags"
    "#);
}

#[test]
fn the_alternative_that_was_meant_is_unfolded() {
    let schema = RecordSchema::from_json(json!({
        "type": "object",
        "properties": {
            "shape": {"oneOf": [
                {"type": "object", "properties": {"kind": {"const": "circle"}, "radius": {"type": "number"}}, "required": ["kind", "radius"]},
                {"type": "object", "properties": {"kind": {"const": "square"}, "side": {"type": "number"}}, "required": ["kind", "side"]},
            ]},
            "note": {"anyOf": [{"type": "string", "maxLength": 3}, {"type": "null"}]},
            "id": {"anyOf": [{"type": "string", "format": "uuid", "minLength": 36}, {"type": "string", "pattern": "^x"}]},
            "count": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
        },
    }))
    .unwrap();
    let value = json!({"shape": {"kind": "circle", "side": 3}, "note": "longer", "id": "y", "count": "many"});
    insta::assert_snapshot!(told(&schema, &value).join("\n"), @r#"
    `shape` must have the property "radius"
    `note` must have at most 3 characters
    `id` must have at least 36 characters, or must match the pattern ^x
    `count` must be an integer, or must be null
    "#);
}

#[test]
fn formats_are_asserted_only_when_asked() {
    let schema = RecordSchema::from_json(json!([
        {"name": "when", "type": "str", "format": "date"},
        {"name": "n", "type": "int", "format": "uint8"},
    ]))
    .unwrap();
    let value = json!({"when": "tomorrow", "n": 1});
    assert!(schema.validate(&value).is_ok());
    let strict = schema.assert_formats().unwrap();
    assert_eq!(
        told(&strict, &value),
        ["`when` must be in the format `date`"]
    );
}

#[test]
fn only_an_object_is_a_record() {
    let schema = RecordSchema::from_json(json!({"properties": {"a": {"type": "string"}}})).unwrap();
    assert_eq!(
        told(&schema, &json!(["a"])),
        ["the record must be an object"]
    );
    assert!(schema.validate(&json!({})).is_ok());
}

#[test]
fn keys_beyond_a_field_list_can_be_dropped_and_those_of_a_json_schema_cannot() {
    let fields = RecordSchema::from_json(json!([
        {"name": "a", "type": "str"},
        {"name": "rows", "type": "list", "items": {"type": "dict", "properties": {"b": {"type": "str"}}, "additionalProperties": false}},
    ]))
    .unwrap();
    let value = json!({"id": 1, "a": "x", "rows": [{"b": "y", "n": 2}]});
    assert!(fields.validate(&value).is_err());
    let (kept, dropped) = fields.drop_unknown_keys(value.clone());
    assert_eq!(
        (kept, dropped),
        (json!({"a": "x", "rows": [{"b": "y"}]}), 2)
    );
    let own = RecordSchema::from_json(json!({"type": "object", "properties": {"a": {}}})).unwrap();
    assert_eq!(own.drop_unknown_keys(value.clone()), (value, 0));
}

#[test]
fn a_wrapped_schema_allows_lists_of_what_the_record_allows() {
    let record = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "self": {"$ref": "#"},
            "near": {"$ref": "#/properties/name"},
            "name": {"$ref": "#/$defs/Name"},
            "$ref": {"type": "integer"},
        },
        "$defs": {"Name": {"type": "string"}, "Again": {"$ref": "#"}},
    });
    let schema = RecordSchema::from_json(record).unwrap();
    let wrapped = RecordSchema::from_json(schema.wrapped()).unwrap();
    for (value, valid) in [
        (
            json!({"self": {"near": "x", "self": {"name": "y"}}, "$ref": 1}),
            true,
        ),
        (json!({"self": {"near": 1}}), false),
        (json!({"self": {"self": {"name": 1}}}), false),
        (json!({"$ref": "no"}), false),
    ] {
        assert_eq!(schema.validate(&value).is_ok(), valid, "{value}");
        let list = json!({"records": [value]});
        assert_eq!(wrapped.validate(&list).is_ok(), valid, "{list}");
    }
}

#[test]
fn a_reference_that_leads_only_to_itself_says_nothing() {
    for definitions in [
        json!({"A": {"$ref": "#/$defs/A"}}),
        json!({
            "A": {"allOf": [{"$ref": "#/$defs/B"}]},
            "B": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/A"}]},
        }),
    ] {
        let schema = json!({"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": definitions});
        let schema = RecordSchema::from_json(schema).unwrap();
        assert!(schema.validate(&json!({"a": 1})).is_ok());
        for renderer in [&TypeScript as &dyn SchemaRenderer, &AnnotatedJson] {
            assert!(renderer.render(&schema).unwrap().contains('a'));
        }
    }
}
