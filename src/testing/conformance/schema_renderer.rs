//! What a schema renderer promises.

use serde_json::json;

use crate::schema::{RecordSchema, SchemaRenderer};

/// Checks a renderer: it shows each of a set of schemas, the same way every time, and names every property.
///
/// # Panics
///
/// If the renderer breaks a promise, with a message that says which.
///
/// ```
/// use topicloom::schema::TypeScript;
/// use topicloom::testing::conformance;
///
/// conformance::schema_renderer(&TypeScript);
/// ```
pub fn schema_renderer(renderer: &dyn SchemaRenderer) {
    for (what, schema) in schemas() {
        let text = match renderer.render(&schema) {
            Ok(text) => text,
            Err(error) => panic!("the renderer cannot show {what}: {error}"),
        };
        assert!(
            !text.trim().is_empty(),
            "the renderer shows nothing of {what}"
        );
        for name in schema.property_names() {
            // Quoted names may be escaped.
            let quoted = json!(name).to_string();
            assert!(
                text.contains(name.as_str()) || text.contains(quoted.trim_matches('"')),
                "the renderer leaves out the property `{name}` of {what}"
            );
        }
        let again = renderer.render(&schema).ok();
        let copied = RecordSchema::from_json_schema(schema.as_json().clone())
            .ok()
            .and_then(|copy| renderer.render(&copy).ok());
        assert!(
            again.as_ref() == Some(&text) && copied == again,
            "the renderer shows {what} differently the second time"
        );
    }
}

/// Schemas that a renderer meets: plain ones, and the corners of the draft.
fn schemas() -> Vec<(&'static str, RecordSchema)> {
    let schemas = [
        (
            "constraints and descriptions of several lines",
            json!({"type": "object", "properties": {
                "name": {"type": "string", "minLength": 2, "description": "A full\nname"},
                "scores": {"type": "array", "items": {"type": "number", "minimum": 0}, "maxItems": 3},
                "level": {"enum": ["easy", "hard", null]},
            }, "required": ["name"], "additionalProperties": false}),
        ),
        (
            "a schema that refers to itself",
            json!({"type": "object", "properties": {
                "value": {"type": "integer"},
                "children": {"type": "array", "items": {"$ref": "#"}},
            }, "required": ["value"]}),
        ),
        (
            "definitions that refer to each other",
            json!({"$ref": "#/$defs/Person", "$defs": {
                "Person": {"type": "object", "properties": {
                    "full_name": {"type": "string"}, "employer": {"$ref": "#/$defs/Firm"}}},
                "Firm": {"type": "object", "properties": {
                    "staff": {"type": "array", "items": {"$ref": "#/$defs/Person"}}}},
            }}),
        ),
        (
            "alternatives at the root",
            json!({"oneOf": [
                {"type": "object", "properties": {"kind": {"const": "a"}, "alpha": {"type": "string"}}, "required": ["kind"]},
                {"type": "object", "properties": {"kind": {"const": "b"}, "beta": {"type": ["integer", "null"]}}, "required": ["kind"]},
            ]}),
        ),
        (
            "parts put together",
            json!({"allOf": [
                {"type": "object", "properties": {"left": {"type": "boolean"}}},
                {"type": "object", "properties": {"right": true}},
            ]}),
        ),
        (
            "names with spaces, quotes and other scripts",
            json!({"properties": {"two words": {}, "say \"so\"": {}, "質問": {"type": "string"}, "1st": {}}}),
        ),
        (
            "maps, tuples and nothing known",
            json!({"type": "object", "properties": {
                "counts": {"type": "object", "additionalProperties": {"type": "integer"}},
                "point": {"type": "array", "prefixItems": [{"type": "number"}, {"type": "number"}], "items": false},
                "free": true,
                "never": false,
            }}),
        ),
        ("an object of any keys", json!({"type": "object"})),
    ];
    let read = schemas.into_iter().map(|(what, schema)| {
        let schema = RecordSchema::from_json_schema(schema).expect("a schema of a record");
        (what, schema)
    });
    std::iter::once(("the default schema", RecordSchema::default()))
        .chain(read)
        .collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::error::{Error, ErrorKind};
    use crate::schema::{AnnotatedJson, TypeScript};

    #[test]
    fn our_renderers_keep_their_promises() {
        schema_renderer(&TypeScript);
        schema_renderer(&AnnotatedJson);
        schema_renderer(&|schema: &RecordSchema| Ok(schema.as_json().to_string()));
    }

    #[test]
    #[should_panic(expected = "leaves out the property")]
    fn a_renderer_that_shows_required_names_only_fails() {
        schema_renderer(&|schema: &RecordSchema| {
            Ok(format!("required: {}", schema.required_names().join(", ")))
        });
    }

    #[test]
    #[should_panic(expected = "differently the second time")]
    fn a_renderer_that_counts_its_calls_fails() {
        let calls = AtomicUsize::new(0);
        schema_renderer(&move |schema: &RecordSchema| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            Ok(format!("{call}: {}", schema.as_json()))
        });
    }

    #[test]
    #[should_panic(expected = "cannot show a schema that refers to itself")]
    fn a_renderer_that_gives_up_on_recursion_fails() {
        schema_renderer(&|schema: &RecordSchema| {
            let text = schema.as_json().to_string();
            if text.contains("\"$ref\":\"#\"") {
                return Err(Error::new(ErrorKind::Prompt, "no recursion here"));
            }
            Ok(text)
        });
    }

    #[test]
    #[should_panic(expected = "shows nothing")]
    fn a_renderer_that_shows_nothing_fails() {
        schema_renderer(&|_: &RecordSchema| Ok(" \n".to_owned()));
    }
}
