//! `angles` in its JSON form.

use serde_json::{Map, Value, json};

use super::form::Form;
use super::place::{Place, whole};
use crate::topic::{AngleSource, Angles};

const ADVICE: &str =
    r#"write "neutral", a list such as ["for a child", "a common mistake"], or {"generated": 8}"#;

/// More than that is no list of points of view, and does not come out of one call.
const MOST: u64 = 100;

/// As many topics as an input may ask for.
const MOST_ASKS: u64 = 1_000_000;

pub(super) struct AnglesForm;

impl Form<Angles> for AnglesForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Angles> {
        let read = match &value {
            Value::String(name) if name == "neutral" => Ok(Angles::neutral()),
            Value::String(_) => Err("is not a known source of angles".to_owned()),
            Value::Array(angles) => given(angles),
            Value::Object(object) => generated(object),
            other => return place.refuse(other, ADVICE),
        };
        match read {
            Ok(angles) => Some(angles),
            Err(problem) => place.fault(problem, ADVICE),
        }
    }

    fn write(&self, angles: &Angles) -> Value {
        match angles.source() {
            AngleSource::Given(angles) => angles.iter().map(|angle| &**angle).collect(),
            AngleSource::PerTopic(count) => {
                json!({"generated": count, "most_asks": angles.asks_at_most()})
            }
            AngleSource::Once(count) => json!({"generated_once": count}),
        }
    }

    fn schema(&self) -> Value {
        let count = |about: &str, maximum: u64| json!({"description": about, "type": "integer", "minimum": 1, "maximum": maximum, "examples": [8]});
        json!({"oneOf": [
            {"const": "neutral", "description": "A dozen that suit most topics."},
            {"type": "array", "description": "Your own, for every topic.", "items": {"type": "string"}, "minItems": 1},
            {
                "type": "object",
                "description": "Invented by the topic model, when the run is planned:",
                "minProperties": 1,
                "maxProperties": 2,
                "properties": {
                    "generated": count("So many for each topic, in one call per topic.", MOST),
                    "generated_once": count("So many for all topics alike, in one call.", MOST),
                    "most_asks": count(
                        "With `generated`, the most calls that are made for angles; topics beyond share what the last one brings. 100 unless given.",
                        MOST_ASKS,
                    ),
                },
                "additionalProperties": false,
            },
        ]})
    }
}

fn given(angles: &[Value]) -> Result<Angles, String> {
    let texts: Option<Vec<&str>> = angles.iter().map(Value::as_str).collect();
    match texts {
        Some(texts) if texts.iter().any(|text| !text.trim().is_empty()) => Ok(Angles::given(texts)),
        Some(_) => Err("is a list without an angle".to_owned()),
        None => Err("is a list of something else than strings".to_owned()),
    }
}

fn generated(object: &Map<String, Value>) -> Result<Angles, String> {
    let number = |key: &str| object.get(key).map(|count| count_of(key, count));
    let angles = match (number("generated"), number("generated_once")) {
        (Some(count), None) => Angles::generated(count?),
        (None, Some(count)) => Angles::generated_once(count?),
        _ => return Err("is an object that names no source of angles, or two".to_owned()),
    };
    let most_asks = number("most_asks").transpose()?;
    if object.len() > 1 + usize::from(most_asks.is_some()) {
        return Err("is an object with an unknown key".to_owned());
    }
    Ok(match most_asks {
        Some(most) => angles.most_asks(most),
        None => angles,
    })
}

fn count_of(key: &str, count: &Value) -> Result<usize, String> {
    let most = if key == "most_asks" { MOST_ASKS } else { MOST };
    match whole(count) {
        Ok(count) if (1..=most).contains(&count) => Ok(small(count)),
        Ok(count) => Err(format!("has {count} for `{key}`, and not 1 to {most}")),
        Err((problem, _)) => Err(format!("has a `{key}` that {problem}")),
    }
}

fn small(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}
