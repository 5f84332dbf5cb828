//! `kind`: records of a kind that is common.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::Settings;
use super::described::{Described, Keys, described};
use super::form::{Choice, Form, Maybe, ModelForm, Whole, parts};
use super::parameters::ParametersForm;
use super::place::{Notes, Place, SETTINGS, presentable};
use crate::closest::closest;
use crate::filter::{Chat, Preference, RecordKind, Speaker, SystemMessage, Tool, ToolCalls};
use crate::llm::{ModelName, Parameters};

pub(super) const KEY: &str = "kind";

/// The kinds, and what a record of each is.
const KINDS: [(&str, &str); 3] = [
    (
        "chat",
        "A chat of a user and an assistant: `{\"messages\": [{\"role\", \"content\"}]}`.",
    ),
    (
        "tool_calls",
        "What a user asks for, and the calls of tools that do it: `{\"query\", \"tool_calls\": [{\"name\", \"arguments\"}]}`.",
    ),
    (
        "preference",
        "A prompt with two answers, of which one is the better: `{\"prompt\", \"chosen\", \"rejected\"}`.",
    ),
];

const SYSTEMS: Choice<SystemMessage> = parts! {
    SystemMessage {
        "none" => None, "There is none.";
        "optional" => Optional, "There may be one.";
        "required" => Required, "There is one.";
    }
};

const SPEAKERS: Choice<Speaker> = parts! {
    Speaker {
        "assistant" => Assistant, "The assistant.";
        "user" => User, "The user.";
        "either" => Either, "Either.";
    }
};

described! {
    impl Chat {
        /// The fewest and the most messages, the system message not counted; or one number.
        #[example("[2, 6]")]
        turns: (u64, u64), RangeForm(Whole(1..=100));
        /// Whether a system message comes first.
        #[example("\"required\"")]
        system: SystemMessage, SYSTEMS;
        /// Whose message is the last.
        #[example("\"user\"")]
        last_speaker: Speaker, SPEAKERS;
    }
}

described! {
    impl ToolCalls {
        /// The tools, as OpenAI defines them: a list, or a JSON file of one beside the input. The arguments of each call fit the
        /// `parameters` of its tool.
        #[example("[{\"type\": \"function\", \"function\": {\"name\": \"get_weather\", \"parameters\": {\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\"}}, \"required\": [\"city\"]}}}]")]
        #[example("\"tools.json\"")]
        tools: Vec<Tool>, ToolsForm;
        /// The fewest and the most calls of a record, or one number; 0 where no tool may fit.
        #[example("[0, 3]")]
        calls: (u64, u64), RangeForm(Whole(0..=100));
    }
}

described! {
    impl Preference {
        /// The model that gives the answer which is rejected, or with a `judge` the other answer. The one that writes records unless
        /// given; then there has to be a judge.
        #[example("\"openai/gpt-4o-mini\"")]
        rejected_model: Option<ModelName>, Maybe(ModelForm);
        /// Parameters of its calls, such as `temperature`.
        #[example("{\"temperature\": 1.2}")]
        model_kwargs: Arc<Parameters>, ParametersForm;
    }
}

/// A name, or an object with the name and its settings.
pub(super) struct KindForm;

impl Form<RecordKind> for KindForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<RecordKind> {
        let names = KINDS.map(|(name, _)| name);
        let advice = format!(
            "write one of `{}`, or one with its settings: {{\"chat\": {{\"turns\": [2, 6]}}}}",
            names.join("`, `")
        );
        let before = place.faults();
        let (name, settings, mut place) = match value {
            Value::String(name) => (name, Map::new().into(), place.here()),
            Value::Object(object) => {
                let said = object.into_iter();
                let mut said = said.filter(|(_, settings)| !settings.is_null());
                let Some((name, settings)) = said.next() else {
                    return place.fault("is an object that names no kind", advice);
                };
                if said.next().is_some() {
                    return place.fault("names more than one kind", advice);
                }
                let place = place.at(&presentable(&name));
                (name, settings, place)
            }
            other => return place.refuse(&other, advice),
        };
        let kind = match &*name {
            "chat" => RecordKind::Chat(Keys.read(settings, &mut place)?),
            "tool_calls" => RecordKind::ToolCalls(Keys.read(settings, &mut place)?),
            "preference" => RecordKind::Preference(Keys.read(settings, &mut place)?),
            other => {
                let meant = closest(other, names).map(|meant| format!("did you mean `{meant}`?"));
                return place.fault("is no kind of record", meant.unwrap_or(advice));
            }
        };
        if place.faults() > before {
            return None;
        }
        match &kind {
            RecordKind::Chat(chat) if chat.bounds().is_none() => {
                let last = SPEAKERS.name(chat.last_speaker);
                let problem = format!(
                    "leaves no number of messages that the user begins and the {last} ends"
                );
                return place
                    .at("turns")
                    .fault(problem, "give it room for one more");
            }
            RecordKind::ToolCalls(calls) if calls.tools.is_empty() => {
                let advice = "list them under `tools`, or name a file of them";
                return place.fault("names no tools", advice);
            }
            _ => {}
        }
        match kind.schema() {
            Ok(_) => Some(kind),
            Err(error) => place.fault_of(error.message()),
        }
    }

    fn write(&self, kind: &RecordKind) -> Value {
        let (name, settings) = match kind {
            RecordKind::Chat(chat) => ("chat", Keys.write(chat)),
            RecordKind::ToolCalls(calls) => ("tool_calls", Keys.write(calls)),
            RecordKind::Preference(preference) => ("preference", Keys.write(preference)),
        };
        if settings.is_null() {
            return name.into();
        }
        json!({name: settings})
    }

    fn schema(&self) -> Value {
        let mut kinds: Vec<Value> = KINDS
            .iter()
            .map(|(name, about)| json!({"const": name, "description": about}))
            .collect();
        let settings = [
            (
                Chat::schema(),
                json!({"turns": [2, 6], "system": "required"}),
            ),
            (
                ToolCalls::schema(),
                json!({"tools": [{"name": "list_cities"}], "calls": [0, 3]}),
            ),
            (
                Preference::schema(),
                json!({"rejected_model": "openai/gpt-4o-mini"}),
            ),
        ];
        let settings = KINDS
            .into_iter()
            .zip(settings)
            .map(|((name, _), (mut schema, example))| {
                schema["description"] = format!("Settings of the kind `{name}`.").into();
                schema["examples"] = json!([example]);
                (name.to_owned(), schema)
            });
        let settings: Map<String, Value> = settings.collect();
        kinds.push(json!({
            "type": "object", "description": "One of them with its settings:", "properties": settings, "additionalProperties": false, "minProperties": 1, "maxProperties": 1,
        }));
        json!({"anyOf": kinds})
    }
}

/// Checks that a pair gets its other answer from somewhere.
pub(super) fn check(kind: Option<&RecordKind>, settings: &Settings, notes: &mut Notes) {
    if let Some(RecordKind::Preference(preference)) = kind
        && preference.rejected_model.is_none()
        && settings.judge.is_none()
    {
        let problem = "does not say where the answer comes from that is rejected";
        let advice = "name a `rejected_model`, or have a `judge` choose between two answers of the same model";
        Place::new(KEY, notes).fault::<()>(problem, advice);
    }
    let labels = settings
        .judge
        .as_ref()
        .map_or(0, |judge| judge.labels.len());
    if matches!(kind, Some(RecordKind::Preference(_))) && labels > 0 {
        let problem =
            "are of records, and the judge of a preference looks at each of two answers by itself";
        let advice = "leave them out, and compare the judge with people in a run that makes one answer to each prompt";
        Place::new(SETTINGS, notes)
            .at("judge")
            .at("labels")
            .fault::<()>(problem, advice);
    }
}

/// Two ends, or one number that is both.
struct RangeForm(Whole);

impl Form<(u64, u64)> for RangeForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<(u64, u64)> {
        let (least, most) = match value {
            Value::Array(ends) => match <[Value; 2]>::try_from(ends) {
                Ok([least, most]) => (
                    self.0.read(least, &mut place.at("[0]"))?,
                    self.0.read(most, &mut place.at("[1]"))?,
                ),
                Err(_) => {
                    return place.fault(
                        "is no range",
                        "write its two ends, such as [2, 6], or one number",
                    );
                }
            },
            number => {
                let number = self.0.read(number, place)?;
                (number, number)
            }
        };
        if least > most || most == 0 {
            return place.fault(
                format!("goes from {least} to {most}"),
                "write the smaller number first, and a larger one than 0 last",
            );
        }
        Some((least, most))
    }

    fn write(&self, (least, most): &(u64, u64)) -> Value {
        json!([least, most])
    }

    fn schema(&self) -> Value {
        let number = Form::<u64>::schema(&self.0);
        json!({"anyOf": [{"type": "array", "items": number, "minItems": 2, "maxItems": 2}, number]})
    }
}

/// A list of tools, or the name of a file of one.
struct ToolsForm;

impl Form<Vec<Tool>> for ToolsForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Vec<Tool>> {
        const ADVICE: &str = "write a list of tools as OpenAI defines them, or name a file of one";
        let value = if value.is_string() {
            let text = place.read_text(&value)?;
            match serde_json::from_str(&text) {
                Ok(read) => read,
                Err(error) => {
                    return place.fault(format!("names a file that is no JSON: {error}"), ADVICE);
                }
            }
        } else {
            value
        };
        let Value::Array(definitions) = value else {
            return place.refuse(&value, ADVICE);
        };
        let before = place.faults();
        let mut tools: Vec<Tool> = Vec::new();
        for (index, definition) in definitions.into_iter().enumerate() {
            let mut place = place.at(&format!("[{index}]"));
            match Tool::new(definition) {
                Ok(tool) if tools.iter().any(|known| known.name == tool.name) => {
                    let problem = format!(
                        "has the name `{}`, as another one has",
                        presentable(&tool.name)
                    );
                    place.fault::<()>(problem, "give each its own");
                }
                Ok(tool) => tools.push(tool),
                Err(error) => drop(place.fault_of::<()>(error.message())),
            }
        }
        (place.faults() == before).then_some(tools)
    }

    fn write(&self, tools: &Vec<Tool>) -> Value {
        tools.iter().map(|tool| tool.definition.clone()).collect()
    }

    fn schema(&self) -> Value {
        json!({"anyOf": [
            {"type": "string", "description": "The name of a file."},
            {"type": "array", "description": "The tools themselves.", "minItems": 1, "items": {"type": "object"}},
        ]})
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use serde_json::{Value, json};

    use crate::candidate::Candidate;
    use crate::fault::InputFaults;
    use crate::filter::{FilterVerdict, RecordFilter as _};
    use crate::input::GenerateByTopicInputBuilder;
    use crate::schema::read_json_texts;

    const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cases/kinds");

    fn builder(kind: &Value) -> GenerateByTopicInputBuilder {
        let builder = GenerateByTopicInputBuilder::default().topics(["a"]);
        builder.kind(kind.clone()).files_in(FOLDER)
    }

    #[test]
    fn records_as_models_give_them() {
        let cases = include_str!("../../tests/cases/kinds/records.jsonl");
        for case in cases.lines() {
            let case: Value = serde_json::from_str(case).expect("it is JSON");
            let input = builder(&case["kind"]).build().expect("it is valid");
            let schema = input.asked_schema();
            let (record, _) = schema.drop_unknown_keys(case["record"].clone());
            let (record, _) = read_json_texts(record, schema);
            let data = record.as_object().expect("it is an object");
            let kind = input.kind().expect("it has one");
            let checked = kind.check(&Candidate::new("a", data)).now_or_never();
            let verdict = match checked.expect("it never waits").expect("it decides") {
                _ if schema.validate(&record).is_err() => "invalid",
                FilterVerdict::Reject(reason) => reason,
                _ => "accepted",
            };
            assert_eq!(verdict, case["verdict"], "{case}");
            let becomes = case.get("becomes").unwrap_or(&case["record"]);
            assert!(
                verdict != "accepted" || record == *becomes,
                "{case}: {record}"
            );
        }
    }

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for case in include_str!("../../tests/cases/kinds/faults.txt").lines() {
            let (kind, expected) = case.split_once(" => ").expect("it has two sides");
            let kind = serde_json::from_str(kind).expect("it is JSON");
            let error = builder(&kind).build().map(drop).expect_err("it is wrong");
            let faults = InputFaults::of(&error).map(ToString::to_string);
            let faults = faults.collect::<Vec<_>>().join("\n");
            assert!(faults.starts_with(expected), "{kind}: {faults}");
        }
        let both = builder(&"chat".into()).output_schema(crate::schema::RecordSchema::default());
        let error = both.build().map(drop).expect_err("it is said twice");
        assert!(
            error
                .message()
                .starts_with("output_schema: is said beside `kind`; leave one of them out"),
            "{error}"
        );
        let labels = json!([{"prompt": "a", "chosen": "b", "rejected": "c", "accept": true}]);
        let judge =
            json!({"criteria": [{"name": "clear"}], "accept": "clear >= 4", "labels": labels});
        let labelled = builder(&"preference".into()).set("data_factory_config.judge", judge);
        let error = labelled
            .build()
            .map(drop)
            .expect_err("they are of single answers");
        assert!(
            error
                .message()
                .starts_with("data_factory_config.judge.labels: are of records"),
            "{error}"
        );
    }
}
