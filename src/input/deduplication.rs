//! `deduplication` in its JSON form.

use std::ops::Bound;

use serde_json::{Value, json};

use super::described::{Described, described};
use super::form::{Choice, Form, Maybe, ModelForm, Number, is_off, parts};
use super::place::{Notes, Place, SETTINGS, presentable};
use super::reader::Reader;
use crate::dedup::{Deduplication, Method, Scope};
use crate::llm::ModelName;
use crate::llm::models::STATIC;
use crate::schema::{RecordSchema, find_field};

pub(super) const KEY: &str = "deduplication";

const METHODS: Choice<Method> = parts! {
    Method {
        Method::Near.as_str() => Near, "The same in slightly other words.";
        Method::Exact.as_str() => Exact, "Equal but for case, spaces and marks at the ends.";
        Method::Off.as_str() => Off, "Repeats are accepted.";
    }
};

const SCOPES: Choice<Scope> = parts! {
    Scope {
        "run" => Run, "No record of the run is repeated.";
        "topic" => Topic, "No record of the same topic is repeated.";
    }
};

const THRESHOLD: Number<Option<f32>> = Number {
    bounds: (Bound::Included(0.0), Bound::Included(1.0)),
    advice: "write a number from 0 to 1",
    #[allow(clippy::cast_possible_truncation)] // From 0 to 1.
    read: |cosine| Some(cosine as f32),
    // By way of its decimal form: 0.9 is not to become 0.8999999761581421.
    write: |cosine| cosine.and_then(|cosine| cosine.to_string().parse::<f64>().ok()).into(),
};

described! {
    impl Deduplication {
        /// How records are compared.
        #[example("\"exact\"")]
        method: Method, METHODS;
        /// The fields that decide, as names or paths such as `meta.source`. Unless given, those that do not follow from others.
        #[example("[\"question\"]")]
        fields: Option<Vec<String>>, Maybe(Names);
        /// With which records a record is compared.
        #[example("\"topic\"")]
        scope: Scope, SCOPES;
        /// The cosine from which on two embeddings are the same; 0.9 unless given.
        #[example("0.9")]
        threshold: Option<f32>, THRESHOLD;
        /// A model, as `provider/model`, that is asked for embeddings as well, and finds free rewordings; or `static/` and the
        /// directory of a static model, which lies beside the input and needs the feature `static-embeddings`.
        #[example("\"openai/text-embedding-3-small\"")]
        embedding_model: Option<ModelName>, Maybe(EmbeddingModel);
    }
}

pub(super) struct DeduplicationForm;

impl Form<Deduplication> for DeduplicationForm {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Deduplication> {
        const ADVICE: &str = r#"write "near", "exact", "off", or an object such as {"method": "near", "fields": ["question"]}"#;
        match value {
            off if is_off(&off) => Some(Deduplication::new(Method::Off)),
            Value::String(name) => {
                let method = METHODS.find(&name).map(Deduplication::new);
                let problem = || format!("is \"{}\", which is no method", presentable(&name));
                method.or_else(|| place.fault(problem(), ADVICE))
            }
            Value::Object(object) => {
                let mut reader = Reader::new(object, place.here());
                reader.refuse_unknown_keys(Deduplication::KEYS, &[]);
                Some(Deduplication::read(&mut reader))
            }
            other => place.refuse(&other, ADVICE),
        }
    }

    fn write(&self, deduplication: &Deduplication) -> Value {
        let default = Deduplication::default().write();
        let mut object = deduplication.write();
        object.retain(|key, value| key == "method" || default.get(key) != Some(value));
        if object.len() == 1 {
            return object["method"].take();
        }
        object.into()
    }

    fn schema(&self) -> Value {
        let mut object = Deduplication::schema();
        object["description"] = json!("A method with its settings:");
        json!({"anyOf": [METHODS.schema(), {"const": false, "description": "The same as `off`."}, object]})
    }
}

/// The name of a model, or the directory of one that lies beside the input.
struct EmbeddingModel;

impl Form<ModelName> for EmbeddingModel {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<ModelName> {
        let name: ModelName = ModelForm.read(value, place)?;
        if name.provider() != STATIC {
            return Some(name);
        }
        let directory = place.beside(name.model().into());
        let files = std::fs::read_dir(&directory).into_iter().flatten();
        files.flatten().for_each(|file| place.reads(&file.path()));
        let directory = Value::from(format!("{STATIC}/{}", directory.display()));
        ModelForm.read(directory, place)
    }

    fn write(&self, name: &ModelName) -> Value {
        ModelForm.write(name)
    }

    fn schema(&self) -> Value {
        Form::<ModelName>::schema(&ModelForm)
    }
}

/// A name, or a list of names.
struct Names;

impl Form<Vec<String>> for Names {
    fn read(&self, value: Value, place: &mut Place<'_>) -> Option<Vec<String>> {
        let names: Option<Vec<_>> = match &value {
            Value::String(name) => Some(vec![name.clone()]),
            Value::Array(names) => {
                let names = names.iter().map(|name| name.as_str().map(str::to_owned));
                names.collect()
            }
            _ => None,
        };
        let is_named = |name: &String| !name.trim().is_empty();
        match names {
            Some(names) if !names.is_empty() && names.iter().all(is_named) => Some(names),
            _ => place.fault(
                "is no list of names, or an empty one",
                r#"write names of fields, such as ["question"]"#,
            ),
        }
    }

    fn write(&self, names: &Vec<String>) -> Value {
        names.clone().into()
    }

    fn schema(&self) -> Value {
        let list = json!({"type": "array", "items": {"type": "string"}, "minItems": 1});
        json!({"anyOf": [{"type": "string"}, list]})
    }
}

/// Checks that the fields which decide are in the schema.
pub(super) fn check(deduplication: &Deduplication, schema: &RecordSchema, notes: &mut Notes) {
    for field in deduplication.fields.iter().flatten() {
        if let Err((_, advice)) = find_field(schema, field) {
            let problem = format!(
                "names `{}`, which the schema does not have",
                presentable(field)
            );
            let mut place = Place::new(SETTINGS, notes);
            place.at(KEY).at("fields").fault::<()>(problem, advice);
        }
    }
}
