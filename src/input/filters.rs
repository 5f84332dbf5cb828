//! `filters`: what fields must be like.

use serde_json::{Value, json};

use super::Settings;
use super::described::described;
use super::form::{Anything, Form, List, Maybe, POSITIVE, Text};
use super::place::{Notes, Place, SETTINGS, presentable};
use crate::filter::{FieldFilter, FieldRule, Language};
use crate::schema::{RecordSchema, find_field};

pub(super) const KEY: &str = "filters";

described! {
    impl FieldRule {
        /// The fewest characters it may have.
        #[example("20")]
        min_chars: Option<u64>, POSITIVE;
        /// The most characters it may have.
        #[example("400")]
        max_chars: Option<u64>, POSITIVE;
        /// A regular expression that it has to match somewhere; `^` and `$` tie it to the ends.
        #[example("\"^[A-Z]\"")]
        regex: Option<String>, Text;
        /// The values it may have.
        #[example("[\"easy\", \"hard\"]")]
        one_of: Option<Vec<Value>>, Maybe(List(Anything));
        /// The language it has to be in, as a code such as `en`, `de` or `pt`. A text that is too short to tell passes.
        #[example("\"en\"")]
        language: Option<Language>, Maybe(LanguageForm);
    }
}

/// The code of a language.
struct LanguageForm;

impl Form<Language> for LanguageForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Language> {
        let code: String = Text.read(value, place)?;
        match code.parse() {
            Ok(language) => Some(language),
            Err(error) => place.fault_of(error.message()),
        }
    }

    fn write(&self, language: &Language) -> Value {
        language.as_str().into()
    }

    fn schema(&self) -> Value {
        let codes = Language::codes().collect::<Vec<_>>().join("|");
        json!({"type": "string", "pattern": format!("^({codes}|no)\\b")})
    }
}

/// Checks that the fields are in the schema, and that a record can be as the rules say.
pub(super) fn check(settings: &Settings, schema: &RecordSchema, notes: &mut Notes) {
    for (field, rule) in &settings.filters {
        let mut settings = Place::new(SETTINGS, notes);
        let mut filters = settings.at(KEY);
        let mut place = filters.at(&presentable(field));
        if field == FieldFilter::RECORD {
            if rule.one_of.is_some() {
                let advice = "name the field that has one of them";
                place.at("one_of").fault::<()>("is about no field", advice);
            }
        } else if let Err((problem, advice)) = find_field(schema, field) {
            place.fault::<()>(problem, advice);
        }
        if let (Some(least), Some(most)) = (rule.min_chars, rule.max_chars)
            && least > most
        {
            let problem = format!("asks for at least {least} characters and at most {most}");
            place.fault::<()>(problem, "leave room between them");
        }
        if let Err(error) = FieldFilter::new(field, rule.clone()) {
            let advice = "write one in the syntax of the `regex` crate";
            place.at("regex").fault::<()>(error.message(), advice);
        }
    }
}
