//! `deduplication` in its JSON form.

use serde_json::{Map, Value, json};

use super::reader::{Reader, kind};
use crate::closest::closest;
use crate::dedup::{Deduplication, Method, Scope};
use crate::fault::{InputFault, InputFaults};
use crate::schema::RecordSchema;

pub(super) const KEY: &str = "deduplication";

const ADVICE: &str = r#"write "near", "exact", "off", or an object such as {"method": "near", "fields": ["question"]}"#;

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Deduplication> {
    let value = reader.take(KEY)?;
    let read = match &value {
        Value::String(name) => method(name).map(Deduplication::new),
        Value::Object(object) => from_object(object),
        other => Err(format!("is {}", kind(other))),
    };
    match read {
        Ok(deduplication) => Some(deduplication),
        Err(problem) => {
            reader.fault(KEY, problem, ADVICE);
            None
        }
    }
}

fn method(name: &str) -> Result<Method, String> {
    let found = Method::ALL
        .into_iter()
        .find(|method| method.as_str() == name);
    found.ok_or_else(|| format!("is \"{}\", which is no method", presentable(name)))
}

fn from_object(object: &Map<String, Value>) -> Result<Deduplication, String> {
    let mut read = Deduplication::default();
    for (key, value) in object {
        let wrong = |what: &str| format!("has a `{key}` that is {}, not {what}", kind(value));
        match key.as_str() {
            _ if value.is_null() => {}
            "method" => read.method = method(value.as_str().ok_or_else(|| wrong("a method"))?)?,
            "scope" => {
                read.scope = match value.as_str() {
                    Some("run") => Scope::Run,
                    Some("topic") => Scope::Topic,
                    _ => {
                        return Err(r#"has a `scope` that is neither "run" nor "topic""#.to_owned());
                    }
                }
            }
            "fields" => {
                let names = names(value);
                read.fields =
                    Some(names.ok_or("has `fields` that are no list of names, or an empty one")?);
            }
            "threshold" => {
                let cosine = value
                    .as_f64()
                    .ok_or_else(|| wrong("a number from 0 to 1"))?;
                if !(0.0..=1.0).contains(&cosine) {
                    return Err(format!(
                        "has a `threshold` of {cosine}, which is not from 0 to 1"
                    ));
                }
                #[allow(clippy::cast_possible_truncation)] // From 0 to 1.
                let cosine = cosine as f32;
                read.threshold = Some(cosine);
            }
            "embedding_model" => {
                let name = value.as_str().ok_or_else(|| wrong("`provider/model`"))?;
                let model = name.parse().map_err(|_| {
                    "has an `embedding_model` that is not `provider/model`".to_owned()
                })?;
                read.embedding_model = Some(model);
            }
            other => {
                let known = ["method", "fields", "scope", "threshold", "embedding_model"];
                let meant = closest(other, known)
                    .map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"));
                return Err(format!(
                    "has a key `{}` that is not known{meant}",
                    presentable(other)
                ));
            }
        }
    }
    Ok(read)
}

/// Returns the beginning of what may be anything.
fn presentable(text: &str) -> String {
    text.chars().take(40).filter(|c| !c.is_control()).collect()
}

fn names(value: &Value) -> Option<Vec<String>> {
    let names: Option<Vec<String>> = match value {
        Value::String(name) => Some(vec![name.clone()]),
        Value::Array(names) => names
            .iter()
            .map(|name| name.as_str().map(str::to_owned))
            .collect(),
        _ => None,
    };
    names.filter(|names| !names.is_empty() && names.iter().all(|name| !name.trim().is_empty()))
}

/// Checks that the fields which decide are in the schema.
pub(super) fn check(
    deduplication: &Deduplication,
    schema: &RecordSchema,
    faults: &mut InputFaults,
) {
    for field in deduplication.fields.iter().flatten() {
        let Err((unknown, known)) = find(schema.as_json(), schema.as_json(), field) else {
            continue;
        };
        let advice = match closest(unknown, known.iter().copied()) {
            Some(meant) => format!("did you mean `{}`?", field.replace(unknown, meant)),
            None if known.is_empty() => "name the field that holds it".to_owned(),
            None => format!("write one of these: {}", known.join(", ")),
        };
        faults.push(InputFault::new(
            format!("data_factory_config.{KEY}.fields"),
            format!(
                "names `{}`, which the schema does not have",
                presentable(field)
            ),
            advice,
        ));
    }
}

/// Looks for a path in a schema. Returns the part that is not there, and the names that are.
fn find<'a>(
    root: &'a Value,
    object: &'a Value,
    path: &'a str,
) -> Result<(), (&'a str, Vec<&'a str>)> {
    let object = match object.get("$ref").and_then(Value::as_str) {
        Some(reference) => match root.pointer(reference.trim_start_matches('#')) {
            Some(object) => object,
            None => return Ok(()),
        },
        None => object,
    };
    let properties = object.get("properties").and_then(Value::as_object);
    if properties.is_some_and(|properties| properties.contains_key(path)) {
        return Ok(());
    }
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    match properties {
        // An object that may hold anything may hold this.
        None if object.get("type").is_none_or(|kind| kind == "object") => Ok(()),
        None => Err((first, Vec::new())),
        Some(properties) => match properties.get(first) {
            Some(_) if rest.is_empty() => Ok(()),
            Some(inner) => find(root, inner, rest),
            None => Err((first, properties.keys().map(String::as_str).collect())),
        },
    }
}

pub(super) fn to_json(deduplication: &Deduplication) -> Value {
    if *deduplication == Deduplication::new(deduplication.method) {
        return deduplication.method.as_str().into();
    }
    let mut object = Map::from_iter([("method".to_owned(), json!(deduplication.method.as_str()))]);
    let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
    if let Some(fields) = &deduplication.fields {
        set("fields", json!(fields));
    }
    if deduplication.scope == Scope::Topic {
        set("scope", json!("topic"));
    }
    if let Some(threshold) = deduplication.threshold {
        // By way of its decimal form: 0.9 is not to become 0.8999999761581421.
        set(
            "threshold",
            threshold
                .to_string()
                .parse()
                .map_or(Value::Null, |number: f64| json!(number)),
        );
    }
    if let Some(model) = &deduplication.embedding_model {
        set("embedding_model", json!(model.as_str()));
    }
    object.into()
}
