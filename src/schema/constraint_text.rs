//! What a constraint says, in words short enough for a prompt.

use serde_json::{Map, Value};

/// Constraints in the order in which they are told.
const TOLD: [&str; 18] = [
    "format",
    "pattern",
    "minLength",
    "maxLength",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "multipleOf",
    "minItems",
    "maxItems",
    "uniqueItems",
    "minContains",
    "maxContains",
    "minProperties",
    "maxProperties",
    "contentEncoding",
    "contentMediaType",
];

/// Returns what the constraints of `schema` say, one phrase each.
pub(super) fn constraints(schema: &Map<String, Value>) -> Vec<String> {
    TOLD.iter()
        .filter_map(|keyword| constraint(keyword, schema.get(*keyword)?))
        .collect()
}

/// Returns what one constraint says, or nothing if it constrains nothing that words of this length can say.
pub(super) fn constraint(keyword: &str, value: &Value) -> Option<String> {
    let number = || value.is_number().then(|| value.to_string());
    let text = || value.as_str();
    Some(match keyword {
        "format" if !is_meaningful_format(text()?) => return None,
        "format" => format!("format {}", text()?),
        "pattern" => format!("matches the pattern {}", text()?),
        "minLength" => counted("at least", value, "character")?,
        "maxLength" => counted("at most", value, "character")?,
        "minimum" => format!("at least {}", number()?),
        "exclusiveMinimum" => format!("more than {}", number()?),
        "maximum" => format!("at most {}", number()?),
        "exclusiveMaximum" => format!("less than {}", number()?),
        "multipleOf" => format!("a multiple of {}", number()?),
        "minItems" => counted("at least", value, "item")?,
        "maxItems" => counted("at most", value, "item")?,
        "uniqueItems" if value.as_bool()? => "no item twice".to_owned(),
        "minContains" => counted("at least", value, "matching item")?,
        "maxContains" => counted("at most", value, "matching item")?,
        "minProperties" => counted("at least", value, "key")?,
        "maxProperties" => counted("at most", value, "key")?,
        "contentEncoding" => format!("encoded as {}", text()?),
        "contentMediaType" => format!("media type {}", text()?),
        _ => return None,
    })
}

/// Returns what a list of values says.
pub(super) fn one_of(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(Value::to_string).collect();
    match values.as_slice() {
        [one] => format!("always {one}"),
        several => format!("one of {}", several.join(", ")),
    }
}

fn counted(how: &str, count: &Value, what: &str) -> Option<String> {
    count.as_number()?;
    let plural = if count.as_u64() == Some(1) { "" } else { "s" };
    Some(format!("{how} {count} {what}{plural}"))
}

/// Returns whether a format says more than the type does. Derived schemas name the width of Rust's numbers.
pub(super) fn is_meaningful_format(format: &str) -> bool {
    !matches!(
        format,
        "int8"
            | "int16"
            | "int32"
            | "int64"
            | "int128"
            | "int"
            | "uint8"
            | "uint16"
            | "uint32"
            | "uint64"
            | "uint128"
            | "uint"
            | "float"
            | "double"
    )
}

/// Returns the description of `schema` on one line, if it has one.
pub(super) fn description(schema: &Map<String, Value>) -> Option<String> {
    let text = schema.get("description")?.as_str()?;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    (!line.is_empty()).then_some(line)
}
