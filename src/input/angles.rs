//! `angles` in its JSON form.

use serde_json::{Value, json};

use super::described::{Described as _, Keys, described};
use super::form::{Form, Maybe, Whole};
use super::place::Place;
use crate::topic::{AngleSource, Angles};

const ADVICE: &str =
    r#"write "neutral", a list such as ["for a child", "a common mistake"], or {"generated": 8}"#;

/// More than that is no list of points of view, and does not come out of one call.
const MOST: Whole = Whole(1..=100);

/// As many topics as an input may ask for.
const MOST_ASKS: Whole = Whole(1..=1_000_000);

#[derive(Default)]
struct GeneratedAngles {
    generated: Option<u32>,
    generated_once: Option<u32>,
    most_asks: Option<u32>,
}

described! {
    impl GeneratedAngles {
        /// So many for each topic, in one call per topic.
        #[example("8")]
        generated: Option<u32>, Maybe(MOST);
        /// So many for all topics alike, in one call.
        #[example("8")]
        generated_once: Option<u32>, Maybe(MOST);
        /// With `generated`, the most calls that are made for angles; topics beyond share what the last one brings. 100 unless
        /// given.
        #[example("8")]
        most_asks: Option<u32>, Maybe(MOST_ASKS);
    }
}

impl GeneratedAngles {
    fn angles(&self) -> Result<Angles, String> {
        let small = |count: u32| usize::try_from(count).unwrap_or(usize::MAX);
        let angles = match (self.generated, self.generated_once) {
            (Some(count), None) => Angles::generated(small(count)),
            (None, Some(count)) => Angles::generated_once(small(count)),
            _ => return Err("is an object that names no source of angles, or two".to_owned()),
        };
        Ok(match self.most_asks {
            Some(most) => angles.most_asks(small(most)),
            None => angles,
        })
    }
}

pub(super) struct AnglesForm;

impl Form<Angles> for AnglesForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Angles> {
        let read = match &value {
            Value::String(name) if name == "neutral" => Ok(Angles::neutral()),
            Value::String(_) => Err("is not a known source of angles".to_owned()),
            Value::Array(angles) => given(angles),
            Value::Object(_) => {
                let before = place.faults();
                let generated: GeneratedAngles = Keys.read(value, place)?;
                if place.faults() > before {
                    return None;
                }
                generated.angles()
            }
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
        let mut generated = GeneratedAngles::schema();
        generated["description"] = json!("Invented by the topic model, when the run is planned:");
        generated["minProperties"] = json!(1);
        json!({"oneOf": [
            {"const": "neutral", "description": "A dozen that suit most topics."},
            {"type": "array", "description": "Your own, for every topic.", "items": {"type": "string"}, "minItems": 1},
            generated,
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
