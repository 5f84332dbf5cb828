//! What a user asks for, and the calls of tools that do it: `{"query", "tool_calls": [{"name", "arguments"}]}`.

use std::fmt;

use serde_json::{Map, Value, json};

use super::in_words;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{RecordSchema, traverse};

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
        traverse::each_reference_mut(&mut arguments, &mut |reference| {
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
    use super::*;
    use crate::schema::{Dialect, SchemaRenderer as _, TypeScript};

    fn schema() -> RecordSchema {
        let tools = include_str!("../../../tests/cases/kinds/tools.json");
        let tools: Vec<Value> = serde_json::from_str(tools).expect("it is JSON");
        let tools = tools.into_iter().map(Tool::new).collect::<Result<_>>();
        let tools = tools.expect("they are tools");
        let calls = ToolCalls {
            tools,
            calls: (1, 2),
        };
        RecordSchema::from_json_schema(calls.schema()).expect("it is a schema")
    }

    #[test]
    fn every_dialect_takes_the_schema_and_calls_come_back_from_it() {
        let record = |arguments: Value| json!({"query": "x", "tool_calls": [{"name": "get_weather", "arguments": arguments}]});
        for dialect in Dialect::ALL {
            let compiled = schema().compile(dialect);
            let compiled = compiled.unwrap_or_else(|error| panic!("{dialect:?}: {error}"));
            // Where every key is required, one that is not there is null.
            let mut asked = json!({"city": "Oslo"});
            if compiled.schema.to_string().contains("null") {
                asked = json!({"city": "Oslo", "unit": null, "days": null});
            }
            let restored = compiled
                .restore_record(record(asked))
                .expect("it comes back");
            assert_eq!(restored, record(json!({"city": "Oslo"})), "{dialect:?}");
            assert!(schema().validate(&restored).is_ok());
        }
    }

    #[test]
    fn a_prompt_says_what_each_tool_does() {
        let shown = TypeScript.render(&schema()).expect("it can be shown");
        for words in [
            "name: \"get_weather\"; // Says how the weather is.",
            "// The answer in calls of tools: 1 to 2 calls.",
            "tool_calls: ({",
            "})[];",
        ] {
            assert!(shown.contains(words), "{words}: {shown}");
        }
    }
}
