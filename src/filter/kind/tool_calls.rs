//! What a user asks for, and the calls of tools that do it: `{"query", "tool_calls": [{"name", "arguments"}]}`.

use std::fmt;

use serde_json::{Map, Value, json};

use super::in_words;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{RecordSchema, walk};

/// Which tools may be called, and how often.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct ToolCalls {
    pub(crate) tools: Vec<Tool>,
    /// The fewest and the most calls of a record.
    pub(crate) calls: (u64, u64),
}

impl Default for ToolCalls {
    fn default() -> Self {
        Self {
            tools: Vec::new(),
            calls: (1, 1),
        }
    }
}

/// A tool, as OpenAI defines one.
#[derive(Clone, PartialEq)]
pub(crate) struct Tool {
    pub(crate) name: String,
    description: Option<String>,
    /// The schema of its arguments.
    parameters: Value,
    /// As it is written.
    pub(crate) definition: Value,
}

impl Tool {
    /// Reads `{"type": "function", "function": {...}}`, or what stands under `function`.
    ///
    /// # Errors
    ///
    /// As `problem; advice`, where it has no name, or its parameters are no schema of an object.
    pub(crate) fn new(definition: Value) -> Result<Self> {
        let wrong = |problem: &'static str| Err(Error::new(ErrorKind::InvalidInput, problem));
        let function = definition.get("function").unwrap_or(&definition);
        let name = function
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .trim();
        if name.is_empty() {
            return wrong(
                r#"is no tool with a name; write it as OpenAI has it: {"type": "function", "function": {"name": "...", "parameters": {...}}}"#,
            );
        }
        let nothing = json!({"type": "object", "properties": {}});
        let parameters = function
            .get("parameters")
            .filter(|parameters| !parameters.is_null());
        let schema = RecordSchema::from_json_schema(parameters.unwrap_or(&nothing).clone());
        let schema = schema.map_err(|error| {
            let said = error.message().replace("output_schema", "parameters");
            Error::new(
                ErrorKind::InvalidInput,
                format!("has parameters that are no schema of an object: {said}"),
            )
        })?;
        let mut parameters = schema.as_json().clone();
        // A call with an argument that no one defined is wrong, unless the tool says that it takes others.
        let may_have_others = [
            "additionalProperties",
            "patternProperties",
            "unevaluatedProperties",
            "allOf",
            "anyOf",
            "oneOf",
            "$ref",
        ];
        if let Value::Object(map) = &mut parameters
            && !may_have_others
                .iter()
                .any(|keyword| map.contains_key(*keyword))
        {
            map.insert("additionalProperties".to_owned(), false.into());
        }
        let description = function.get("description").and_then(Value::as_str);
        Ok(Self {
            name: name.to_owned(),
            description: description.map(str::to_owned),
            parameters,
            definition,
        })
    }

    /// Returns the schema of a call, which stands at this place.
    fn call(&self, place: &str) -> Value {
        let mut arguments = self.parameters.clone();
        let here = format!("{place}/properties/arguments");
        walk::each_reference_mut(&mut arguments, &mut |reference| {
            Some(format!("#{here}{}", reference.strip_prefix('#')?))
        });
        let mut name = json!({"const": self.name});
        if let Some(description) = &self.description {
            name["description"] = description.as_str().into();
        }
        json!({
            "type": "object", "properties": {"name": name, "arguments": arguments}, "required": ["name", "arguments"],
            "additionalProperties": false,
        })
    }
}

/// Names it alone.
impl fmt::Debug for Tool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl ToolCalls {
    pub(super) fn schema(&self) -> Value {
        const CALLS: &str = "/properties/tool_calls/items";
        let calls = match &self.tools[..] {
            [tool] => tool.call(CALLS),
            tools => {
                let tools = tools.iter().enumerate();
                let calls = tools.map(|(place, tool)| tool.call(&format!("{CALLS}/anyOf/{place}")));
                json!({"anyOf": calls.collect::<Vec<_>>()})
            }
        };
        let (least, most) = self.calls;
        let calls = json!({
            "type": "array", "description": self.in_words(), "items": calls, "minItems": least, "maxItems": most, "uniqueItems": true,
        });
        let properties = Map::from_iter([
            (
                "query".to_owned(),
                json!({"type": "string", "description": "What a user asks for, in their own words, with all that the calls need."}),
            ),
            ("tool_calls".to_owned(), calls),
        ]);
        json!({
            "type": "object", "properties": properties, "required": ["query", "tool_calls"], "additionalProperties": false,
        })
    }

    fn in_words(&self) -> String {
        let none = if self.calls.0 == 0 {
            ", none where no tool fits"
        } else {
            ""
        };
        let calls = in_words(self.calls, "call");
        format!("The answer in calls of tools: {calls}{none}.")
    }
}

#[cfg(test)]
mod tests {
    use super::super::RecordKind;
    use super::*;
    use crate::schema::{Dialect, SchemaRenderer as _, TypeScript, read_json_texts};

    fn tools() -> Value {
        json!([
            {"type": "function", "function": {
                "name": "get_weather", "description": "Says how the weather is.",
                "parameters": {
                    "type": "object",
                    "properties": {
                        "city": {"type": "string"},
                        "unit": {"$ref": "#/$defs/unit"},
                        "days": {"type": "integer", "minimum": 1, "maximum": 7},
                    },
                    "required": ["city"],
                    "$defs": {"unit": {"enum": ["celsius", "fahrenheit"]}},
                },
            }},
            // Without the wrapping, and without parameters.
            {"name": "list_cities", "description": "Names the cities that are known."},
            {"name": "note", "parameters": {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"], "additionalProperties": {"type": "string"}}},
        ])
    }

    fn kind(calls: (u64, u64), tools: &Value) -> RecordKind {
        let tools = tools.as_array().expect("a list").iter();
        let tools = tools.map(|tool| Tool::new(tool.clone()).expect("it is a tool"));
        RecordKind::ToolCalls(ToolCalls {
            tools: tools.collect(),
            calls,
        })
    }

    /// Returns the calls as they are accepted; nothing where they are refused.
    fn taken(kind: &RecordKind, calls: &Value) -> Option<Value> {
        let schema = kind.schema().expect("it is a schema");
        let record = json!({"query": "How is the weather in Oslo?", "tool_calls": calls});
        let (record, _) = schema.drop_unknown_keys(record);
        let (mut record, _) = read_json_texts(record, &schema);
        schema.validate(&record).ok()?;
        Some(record["tool_calls"].take())
    }

    #[test]
    fn calls_as_models_give_them() {
        let call = |arguments: Value| json!([{"name": "get_weather", "arguments": arguments}]);
        let oslo = call(json!({"city": "Oslo"}));
        let (one, few) = (kind((1, 1), &tools()), kind((0, 3), &tools()));
        for (kind, given, expected) in [
            (&one, oslo.clone(), Some(oslo.clone())),
            // The arguments as a text, as OpenAI sends them.
            (
                &one,
                call(json!("{\"city\": \"Oslo\"}")),
                Some(oslo.clone()),
            ),
            (
                &one,
                json!([{"name": "list_cities", "arguments": "{}"}]),
                Some(json!([{"name": "list_cities", "arguments": {}}])),
            ),
            // One call that is no list, as a text.
            (&one, oslo.to_string().into(), Some(oslo.clone())),
            (
                &one,
                call(json!({"city": "Oslo", "unit": "celsius", "days": 3})),
                Some(call(json!({"city": "Oslo", "unit": "celsius", "days": 3}))),
            ),
            (&one, call(json!({"city": "Oslo", "unit": "kelvin"})), None),
            (&one, call(json!({"city": "Oslo", "days": 9})), None),
            (&one, call(json!({"unit": "celsius"})), None),
            // An argument that the tool does not have; one that it takes.
            (
                &one,
                call(json!({"city": "Oslo", "country": "Norway"})),
                None,
            ),
            (
                &one,
                json!([{"name": "note", "arguments": {"text": "x", "colour": "red"}}]),
                Some(json!([{"name": "note", "arguments": {"text": "x", "colour": "red"}}])),
            ),
            // A tool that there is not, and the arguments of another one.
            (
                &one,
                json!([{"name": "get_forecast", "arguments": {"city": "Oslo"}}]),
                None,
            ),
            (
                &one,
                json!([{"name": "note", "arguments": {"city": "Oslo"}}]),
                None,
            ),
            (&one, json!([{"name": "list_cities"}]), None),
            // The nesting of a response.
            (
                &one,
                json!([{"id": "call_1", "type": "function", "function": {"name": "get_weather", "arguments": "{\"city\": \"Oslo\"}"}}]),
                None,
            ),
            (&one, json!([]), None),
            (&few, json!([]), Some(json!([]))),
            (
                &few,
                json!([{"name": "get_weather", "arguments": {"city": "Oslo"}}, {"name": "get_weather", "arguments": {"city": "Rome"}}]),
                Some(
                    json!([{"name": "get_weather", "arguments": {"city": "Oslo"}}, {"name": "get_weather", "arguments": {"city": "Rome"}}]),
                ),
            ),
            // The same call twice does nothing twice.
            (
                &few,
                json!([{"name": "list_cities", "arguments": {}}, {"name": "list_cities", "arguments": {}}]),
                None,
            ),
            (&one, json!("get_weather(city='Oslo')"), None),
        ] {
            assert_eq!(taken(kind, &given), expected, "{given}");
        }
        let alone = kind((1, 1), &json!([tools()[0]]));
        assert_eq!(
            taken(&alone, &call(json!("{\"city\": \"Oslo\"}"))),
            Some(oslo)
        );
        assert_eq!(
            taken(&alone, &call(json!({"city": "Oslo", "unit": "kelvin"}))),
            None
        );
    }

    #[test]
    fn every_dialect_takes_the_schema_and_gives_calls_back() {
        let schema = kind((1, 2), &tools()).schema().expect("it is a schema");
        for dialect in Dialect::ALL {
            schema
                .compile(dialect)
                .unwrap_or_else(|error| panic!("{dialect:?}: {error}"));
        }
    }

    #[test]
    fn a_prompt_says_what_each_tool_does() {
        let schema = kind((1, 2), &tools()).schema().expect("it is a schema");
        let shown = TypeScript.render(&schema).expect("it can be shown");
        for words in [
            "name: \"get_weather\"; // Says how the weather is.",
            "// The answer in calls of tools: 1 to 2 calls.",
            "tool_calls: ({",
            "})[];",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
    }

    #[test]
    fn what_is_no_tool_says_what_to_write() {
        for (tool, told) in [
            (
                json!("get_weather"),
                "is no tool with a name; write it as OpenAI has it",
            ),
            (json!({"type": "function"}), "is no tool with a name"),
            (
                json!({"name": "x", "parameters": {"type": "array"}}),
                "has parameters that are no schema of an object",
            ),
            (
                json!({"name": "x", "parameters": {"type": "object", "properties": {"y": {"type": "text"}}}}),
                "/properties/y",
            ),
        ] {
            let error = Tool::new(tool).expect_err("it is wrong");
            assert!(error.message().contains(told), "{}", error.message());
        }
    }
}
