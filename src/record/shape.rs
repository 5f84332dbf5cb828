//! The shapes in which models are trained: what a record becomes on its way into a file.

use std::fmt;
use std::str::FromStr;

use serde_json::{Map, Value, json};

use super::JsonRecord;
use crate::candidate::at_path;
use crate::closest::closest;
use crate::error::{Error, ErrorKind, Result};
use crate::schema::{RecordSchema, find_field};

/// A shape for training, and the fields of a record that go into it.
///
/// | written as | a row |
/// |---|---|
/// | `messages=question:answer` | `{"messages": [{"role": "user", "content": …}, {"role": "assistant", "content": …}]}` |
/// | `sharegpt=question:answer` | `{"conversations": [{"from": "human", "value": …}, {"from": "gpt", "value": …}]}` |
/// | `alpaca=question:context:answer` | `{"instruction": …, "input": …, "output": …}`; of two fields, `input` is empty |
/// | `prompt-completion=question:answer` | `{"prompt": …, "completion": …}` |
/// | `preference=question:good:bad` | `{"prompt": …, "chosen": …, "rejected": …}` |
/// | `text=question:answer` | `{"text": …}`, the fields with an empty line between them |
///
/// Fields are names or paths such as `meta.source`; `topic` is the record's topic. With `,system=TEXT` at the end, the first three
/// begin with a system prompt. More fields of `messages` and `sharegpt` are further turns. A field that is missing or null is an
/// empty text, and what is no text is written as JSON.
///
/// ```
/// use topicloom::record::Shape;
///
/// let shape: Shape = "prompt-completion=question:answer".parse()?;
/// let record = serde_json::json!({"question": "Why?", "answer": "So."});
/// let row = shape.row(record.as_object().expect("it is an object"));
/// assert_eq!(row["completion"], "So.");
/// # Ok::<(), topicloom::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Shape {
    said: String,
    fields: Vec<String>,
    columns: Vec<(&'static str, Part)>,
}

/// What stands somewhere in a row.
#[derive(Clone, PartialEq, Eq)]
enum Part {
    Said(String),
    /// Texts of fields, with an empty line between them.
    Fields(Vec<String>),
    List(Vec<Part>),
    Object(Vec<(&'static str, Part)>),
}

type Columns = Vec<(&'static str, Part)>;

/// A shape's name, how it is written, and what it makes of that number of fields and a system prompt, if it takes them.
type Kind = (
    &'static str,
    &'static str,
    fn(&[String], Option<&str>) -> Option<Columns>,
);

const KINDS: [Kind; 6] = [
    (
        "messages",
        "messages=USER:ASSISTANT[,system=TEXT]",
        |fields, system| {
            let roles = ["system", "user", "assistant"];
            Some(vec![(
                "messages",
                turns(fields, system, ("role", "content"), roles)?,
            )])
        },
    ),
    (
        "sharegpt",
        "sharegpt=HUMAN:GPT[,system=TEXT]",
        |fields, system| {
            let roles = ["system", "human", "gpt"];
            Some(vec![(
                "conversations",
                turns(fields, system, ("from", "value"), roles)?,
            )])
        },
    ),
    (
        "alpaca",
        "alpaca=INSTRUCTION[:INPUT]:OUTPUT[,system=TEXT]",
        |fields, system| {
            let (instruction, input, output) = match fields {
                [instruction, output] => (instruction, Part::Said(String::new()), output),
                [instruction, input, output] => (instruction, field(input), output),
                _ => return None,
            };
            let mut columns = vec![
                ("instruction", field(instruction)),
                ("input", input),
                ("output", field(output)),
            ];
            columns.extend(system.map(|text| ("system", Part::Said(text.to_owned()))));
            Some(columns)
        },
    ),
    (
        "prompt-completion",
        "prompt-completion=PROMPT:COMPLETION",
        |fields, system| named(["prompt", "completion"], fields, system),
    ),
    (
        "preference",
        "preference=PROMPT:CHOSEN:REJECTED",
        |fields, system| named(["prompt", "chosen", "rejected"], fields, system),
    ),
    ("text", "text=FIELD[:FIELD...]", |fields, system| {
        (system.is_none()).then(|| vec![("text", Part::Fields(fields.to_vec()))])
    }),
];

fn field(name: &str) -> Part {
    Part::Fields(vec![name.to_owned()])
}

/// Fields under names of the shape's own.
fn named<const N: usize>(
    names: [&'static str; N],
    fields: &[String],
    system: Option<&str>,
) -> Option<Columns> {
    let fits = fields.len() == N && system.is_none();
    fits.then(|| {
        names
            .into_iter()
            .zip(fields.iter().map(|it| field(it)))
            .collect()
    })
}

/// A conversation in which two take turns.
fn turns(
    fields: &[String],
    system: Option<&str>,
    (who, what): (&'static str, &'static str),
    [first, user, assistant]: [&str; 3],
) -> Option<Part> {
    let turn =
        |role: &str, said| Part::Object(vec![(who, Part::Said(role.to_owned())), (what, said)]);
    let roles = [user, assistant].into_iter().cycle();
    let begins = system.map(|text| turn(first, Part::Said(text.to_owned())));
    let said = roles
        .zip(fields)
        .map(|(role, name)| turn(role, field(name)));
    fields
        .len()
        .is_multiple_of(2)
        .then(|| Part::List(begins.into_iter().chain(said).collect()))
}

impl Part {
    fn fill(&self, record: &JsonRecord) -> Value {
        match self {
            Self::Said(text) => text.as_str().into(),
            Self::Fields(names) => {
                let texts: Vec<String> = names.iter().map(|name| text_of(record, name)).collect();
                texts.join("\n\n").into()
            }
            Self::List(parts) => parts.iter().map(|part| part.fill(record)).collect(),
            Self::Object(parts) => fill(parts, record).into(),
        }
    }

    fn schema(&self) -> Value {
        match self {
            Self::Said(_) | Self::Fields(_) => json!({"type": "string"}),
            Self::List(parts) => json!({"type": "array", "items": parts[0].schema()}),
            Self::Object(parts) => schema(parts),
        }
    }
}

fn fill(parts: &[(&'static str, Part)], record: &JsonRecord) -> JsonRecord {
    let parts = parts.iter();
    parts
        .map(|(name, part)| ((*name).to_owned(), part.fill(record)))
        .collect()
}

fn schema(parts: &[(&'static str, Part)]) -> Value {
    let names: Vec<_> = parts.iter().map(|(name, _)| *name).collect();
    let each = parts.iter();
    let properties: Map<String, Value> = each
        .map(|(name, part)| ((*name).to_owned(), part.schema()))
        .collect();
    json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
}

fn text_of(record: &JsonRecord, name: &str) -> String {
    match at_path(record, name) {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

impl Shape {
    /// Returns the row that a record becomes; `record` has its topic under `topic`, as an export does.
    #[must_use]
    pub fn row(&self, record: &JsonRecord) -> JsonRecord {
        fill(&self.columns, record)
    }

    /// Returns the schema of the rows.
    ///
    /// # Panics
    ///
    /// Never: a list of columns is a schema.
    #[must_use]
    pub fn schema(&self) -> RecordSchema {
        RecordSchema::from_json_schema(schema(&self.columns)).expect("columns are a schema")
    }

    /// Checks that a schema has the fields.
    ///
    /// # Errors
    ///
    /// `InvalidInput` with the first that it does not have, and the closest name.
    pub fn check(&self, schema: &RecordSchema) -> Result<()> {
        for name in self.fields.iter().filter(|name| *name != "topic") {
            if let Err((problem, advice)) = find_field(schema, name) {
                return Err(invalid(format!("`{name}` {problem}; {advice}")));
            }
        }
        Ok(())
    }
}

impl FromStr for Shape {
    type Err = Error;

    /// Reads `KIND=FIELD:FIELD`, with `,system=TEXT` behind it where there is a system prompt.
    fn from_str(said: &str) -> Result<Self> {
        let (kind, rest) = said.split_once('=').unwrap_or((said, ""));
        let kind = kind.trim();
        let Some((_, usage, build)) = KINDS.iter().find(|(name, ..)| *name == kind) else {
            let names = KINDS.map(|(name, ..)| name);
            let advice = match closest(kind, names) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("write one of `{}`", names.join("`, `")),
            };
            return Err(invalid(format!("`{kind}` is no shape; {advice}")));
        };
        let (fields, system) = match rest.split_once(",system=") {
            Some((fields, system)) => (fields, Some(system)),
            None => (rest, None),
        };
        let fields: Vec<String> = fields.split(':').map(|it| it.trim().to_owned()).collect();
        let columns = (!fields.iter().any(String::is_empty))
            .then(|| build(&fields, system))
            .flatten();
        let columns = columns
            .ok_or_else(|| invalid(format!("does not fit the shape `{kind}`; write `{usage}`")))?;
        Ok(Self {
            said: said.to_owned(),
            fields,
            columns,
        })
    }
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::InvalidInput, message)
}

/// Writes what it was read from.
impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said)
    }
}

/// Shows the fields, and no prompt.
impl fmt::Debug for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shape")
            .field("fields", &self.fields)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(shape: &str) -> String {
        let record = json!({
            "question": "Why?", "answer": "So.", "meta": {"level": 3, "tags": ["a"]}, "none": null, "topic": "tides",
        });
        let shape: Shape = shape.parse().unwrap();
        let row = shape.row(record.as_object().unwrap());
        shape.schema().validate(&row.clone().into()).unwrap();
        serde_json::to_string(&row).unwrap()
    }

    #[test]
    fn each_shape_is_what_its_trainers_read() {
        for (shape, expected) in [
            (
                "messages=question:answer,system=Be brief, and kind.",
                r#"{"messages":[{"role":"system","content":"Be brief, and kind."},{"role":"user","content":"Why?"},{"role":"assistant","content":"So."}]}"#,
            ),
            (
                "sharegpt=question:answer:topic:none",
                r#"{"conversations":[{"from":"human","value":"Why?"},{"from":"gpt","value":"So."},{"from":"human","value":"tides"},{"from":"gpt","value":""}]}"#,
            ),
            (
                "alpaca=question:answer",
                r#"{"instruction":"Why?","input":"","output":"So."}"#,
            ),
            (
                "alpaca=question:meta.level:answer,system=x",
                r#"{"instruction":"Why?","input":"3","output":"So.","system":"x"}"#,
            ),
            (
                "prompt-completion=question : answer",
                r#"{"prompt":"Why?","completion":"So."}"#,
            ),
            (
                "preference=question:answer:meta.tags",
                r#"{"prompt":"Why?","chosen":"So.","rejected":"[\"a\"]"}"#,
            ),
            ("text=question:answer", r#"{"text":"Why?\n\nSo."}"#),
        ] {
            assert_eq!(row(shape), expected);
        }
    }

    #[test]
    fn a_wrong_shape_says_what_is_right() {
        let message = |said: &str| said.parse::<Shape>().unwrap_err().message().to_owned();
        assert_eq!(
            message("mesages=a:b"),
            "`mesages` is no shape; did you mean `messages`?"
        );
        for (said, usage) in [
            ("messages", "`messages=USER:ASSISTANT[,system=TEXT]`"),
            ("messages=a:b:c", "`messages=USER:ASSISTANT[,system=TEXT]`"),
            ("text=a,system=x", "`text=FIELD[:FIELD...]`"),
            ("preference=a:b", "`preference=PROMPT:CHOSEN:REJECTED`"),
            (
                "alpaca=a::b",
                "`alpaca=INSTRUCTION[:INPUT]:OUTPUT[,system=TEXT]`",
            ),
        ] {
            assert!(message(said).contains(usage), "{}", message(said));
        }
        let shape: Shape = "messages=qestion:answer".parse().unwrap();
        let error = shape.check(&RecordSchema::default()).unwrap_err();
        assert_eq!(
            error.message(),
            "`qestion` is no field of the schema; did you mean `question`?"
        );
        let shape: Shape = "messages=topic:answer".parse().unwrap();
        assert!(shape.check(&RecordSchema::default()).is_ok());
    }
}
