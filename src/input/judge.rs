//! `judge`: a model that scores records.

use std::sync::Arc;

use serde_json::{Value, json};

use super::described::{Described as _, Keys, described};
use super::form::{Form, List, Maybe, ModelForm, Text, Whole};
use super::labels::{Labels, LabelsForm};
use super::parameters::ParametersForm;
use super::place::Place;
use crate::error::Result;
use crate::filter::{Criterion, Judge};
use crate::llm::{ModelName, Parameters};

described! {
    impl JudgeSettings {
        /// The model that is asked; the one that writes records unless given.
        #[example("\"openai/gpt-4o\"")]
        model: Option<ModelName>, Maybe(ModelForm);
        /// What it scores by.
        #[example("[{\"name\": \"correct\", \"description\": \"The answer is right.\", \"scale\": [1, 5]}]")]
        #[example("[\"correct\", \"clear\"]")]
        criteria: Vec<Criterion>, List(CriterionForm);
        /// Which scores are enough: a condition over the names of the criteria, with `>=`, `&&`, `||` and parentheses. Changed, it
        /// is applied to the scores in the journal, without a call.
        #[example("\"correct >= 4 && clear >= 3\"")]
        accept: String, Text;
        /// Times the model is asked about a record; the condition is over the means.
        #[example("3")]
        votes: u32, Whole(1..=100);
        /// Parameters of a call, such as `temperature`.
        #[example("{\"temperature\": 0}")]
        model_kwargs: Arc<Parameters>, ParametersForm;
        /// Records that people looked at, to compare the judge with them: each with its fields, and beside them a score under the name
        /// of a criterion, or `true` or `false` under `accept`. A file, or the rows themselves.
        #[example("\"labels.csv\"")]
        labels: Labels, LabelsForm;
    }
}

/// A model that scores each record, and which scores are enough: `judge` in JSON. [`Judge`] is made of it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JudgeSettings {
    /// The model that is asked; the one that writes records unless given.
    pub model: Option<ModelName>,
    /// What it scores by.
    pub criteria: Vec<Criterion>,
    /// Which scores are enough.
    pub accept: String,
    /// Times the model is asked about a record.
    pub votes: u32,
    /// Parameters of a call.
    pub model_kwargs: Arc<Parameters>,
    /// Records that people looked at, with their labels.
    pub labels: Labels,
}

impl Default for JudgeSettings {
    fn default() -> Self {
        Self {
            model: None,
            criteria: Vec::new(),
            accept: String::new(),
            votes: 1,
            model_kwargs: Arc::default(),
            labels: Labels::default(),
        }
    }
}

impl JudgeSettings {
    /// Creates the judge that is described, of records that were asked for like this.
    ///
    /// # Errors
    ///
    /// As [`Judge::new`].
    pub(crate) fn judge(&self, instruction: Option<&str>) -> Result<Judge> {
        let judge = Judge::new(self.criteria.iter().cloned(), &*self.accept)?
            .votes(self.votes)
            .parameters(Arc::clone(&self.model_kwargs));
        Ok(match instruction {
            Some(instruction) => judge.instruction(instruction),
            None => judge,
        })
    }
}

pub(super) struct JudgeForm;

impl Form<JudgeSettings> for JudgeForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<JudgeSettings> {
        let before = place.faults();
        let settings: JudgeSettings = Keys.read(value, place)?;
        if place.faults() == before
            && let Err(error) = settings.judge(None)
        {
            return place.fault_of(error.message());
        }
        Some(settings)
    }

    fn write(&self, settings: &JudgeSettings) -> Value {
        Keys.write(settings)
    }

    fn schema(&self) -> Value {
        let mut schema = JudgeSettings::schema();
        schema["required"] = json!(["criteria", "accept"]);
        schema
    }
}

/// A criterion, or its name alone.
struct CriterionForm;

described! {
    impl Criterion {
        /// Its name, which `accept` uses.
        #[example("\"correct\"")]
        name: String, Text;
        /// What it means, for the model.
        #[example("\"The answer is right.\"")]
        description: Option<String>, Maybe(Text);
        /// The lowest and the highest score.
        #[example("[0, 10]")]
        scale: (i64, i64), ScaleForm;
    }
}

impl Form<Criterion> for CriterionForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Criterion> {
        match value {
            Value::String(name) => Some(Criterion::new(name)),
            value => Keys.read(value, place),
        }
    }

    fn write(&self, criterion: &Criterion) -> Value {
        Keys.write(criterion)
    }

    fn schema(&self) -> Value {
        json!({"anyOf": [{"type": "string"}, Criterion::schema()]})
    }
}

/// The two ends of a scale.
struct ScaleForm;

impl Form<(i64, i64)> for ScaleForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<(i64, i64)> {
        serde_json::from_value(value).ok().or_else(|| {
            place.fault(
                "is not the two ends of a scale",
                "write whole numbers, such as [1, 5]",
            )
        })
    }

    fn write(&self, scale: &(i64, i64)) -> Value {
        json!(scale)
    }

    fn schema(&self) -> Value {
        json!({"type": "array", "items": {"type": "integer"}, "minItems": 2, "maxItems": 2})
    }
}
