//! Models that write records: one, or several that share the work.

use serde_json::{Value, json};

use super::form::{Form, ModelForm, Whole};
use super::place::Place;
use crate::llm::ModelName;

/// Models with their weights; at least one.
pub(super) type Models = Vec<(ModelName, u32)>;

pub(super) struct ModelsForm;

/// A weight says how a hundred calls, or a thousand, are shared out.
const WEIGHT: Whole = Whole(1..=1_000);

impl Form<Models> for ModelsForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Models> {
        const ADVICE: &str = r#"write one as `provider/model`, or several with weights: {"openai/gpt-4o": 3, "openai/gpt-4o-mini": 1}"#;
        let several: Vec<(Value, Value, String)> = match value {
            Value::String(_) => return Some(vec![(ModelForm.read(value, place)?, 1)]),
            Value::Array(names) => {
                let names = names.into_iter().enumerate();
                names
                    .map(|(index, name)| (name, json!(1), format!("[{index}]")))
                    .collect()
            }
            Value::Object(weights) => {
                let weights = weights.into_iter();
                weights
                    .map(|(name, weight)| (json!(name), weight, name))
                    .collect()
            }
            other => return place.refuse(&other, ADVICE),
        };
        if several.is_empty() {
            return place.fault("names no model", ADVICE);
        }
        let before = place.faults();
        let read = several.into_iter().filter_map(|(name, weight, key)| {
            let mut place = place.at(&key);
            Some((
                ModelForm.read(name, &mut place)?,
                WEIGHT.read(weight, &mut place)?,
            ))
        });
        let read = read.collect();
        (place.faults() == before).then_some(read)
    }

    fn write(&self, models: &Models) -> Value {
        match &models[..] {
            [(model, _)] => model.as_str().into(),
            several => {
                let several = several.iter();
                several
                    .map(|(model, weight)| (model.as_str().to_owned(), json!(weight)))
                    .collect()
            }
        }
    }

    fn schema(&self) -> Value {
        let name = Form::<ModelName>::schema(&ModelForm);
        let weights = json!({
            "type": "object",
            "description": "Several that share the calls, each with its weight.",
            "minProperties": 1,
            "additionalProperties": Form::<u32>::schema(&WEIGHT),
        });
        let list = json!({"type": "array", "description": "Several that share the calls evenly.", "items": name, "minItems": 1});
        json!({"anyOf": [name, weights, list]})
    }
}
