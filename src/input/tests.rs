//! Inputs, good and bad, by both ways.

use std::fmt::Write;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::json;

use super::*;
use crate::error::ErrorKind;
use crate::fault::InputFaults;
use crate::schema::Field;
use crate::topic::Angles;

/// What a case file comes to: its canonical form, its plan and its warnings, or what is wrong with it.
fn outcome(text: &str) -> String {
    let input = match GenerateByTopicInput::from_json_str(text) {
        Ok(input) => input,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::InvalidInput);
            // A setting that is added changes no snapshot.
            let settings: Vec<_> = Settings::KEYS.iter().map(|key| key.names[0]).collect();
            let settings = settings.join("`, `");
            return error.to_string().replace(&settings, "(all settings)");
        }
    };
    let mut json = input.to_json();
    // What is as it is by default is told in `docs/input.md`.
    let default = Settings::default().write();
    let settings = json["data_factory_config"].as_object_mut().unwrap();
    settings.retain(|key, value| default.get(key) != Some(value));
    let mut outcome = serde_json::to_string_pretty(&json).unwrap();
    let allocation = input.allocation();
    for planned in &allocation.given {
        write!(outcome, "\n{} x {}", planned.quota, planned.topic).unwrap();
    }
    if !allocation.generated.is_empty() {
        write!(outcome, "\ngenerated: {:?}", allocation.generated).unwrap();
    }
    for note in &allocation.notes {
        write!(outcome, "\nnote: {note}").unwrap();
    }
    for warning in input.warnings() {
        write!(outcome, "\nwarning: {warning}").unwrap();
    }
    outcome
}

#[test]
fn inputs_come_to_what_was_reviewed() {
    insta::with_settings!({
        snapshot_path => "../../tests/cases/input",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::glob!("../../tests/cases/input", "*.json", |path| {
            let text = std::fs::read_to_string(path).unwrap();
            let outcome = outcome(&text);
            assert!(!outcome.contains("sk-secret"));
            insta::assert_snapshot!(outcome);
        });
    });
}

#[test]
fn the_canonical_form_reads_as_the_same_input() {
    insta::glob!("../../tests/cases/input", "ok_*.json", |path| {
        let text = std::fs::read_to_string(path).unwrap();
        let input: GenerateByTopicInput = text.parse().unwrap();
        let again = GenerateByTopicInput::from_json_value(input.to_json()).unwrap();
        assert_eq!(again.to_json(), input.to_json());
        assert_eq!(again.allocation(), input.allocation());
        assert_eq!(again.settings(), input.settings());
        assert_eq!(again.fingerprint(), input.fingerprint());
        let rebuilt = input.to_builder().build().unwrap();
        assert_eq!(rebuilt.to_json(), input.to_json());
        assert_eq!(rebuilt.warnings(), input.warnings());
    });
}

#[test]
fn the_builder_says_what_the_reference_example_says() {
    let built = GenerateByTopicInput::builder()
        .user_instruction("Generate Q&A pairs about machine learning concepts")
        .num_records(100)
        .records_per_topic(5)
        .topics(["supervised learning", "unsupervised learning"])
        .topic_with_count("reinforcement learning", 3)
        .topic("neural networks")
        .topic_model("openai/gpt-4")
        .topic_parameter("temperature", 0.7)
        .generation_model("openai/gpt-4")
        .generation_parameters(json!({"temperature": 0.8, "max_tokens": 200}))
        .output_fields([
            Field::str("question"),
            Field::str("answer"),
            Field::str("difficulty"),
        ])
        .max_concurrency(4)
        .call_timeout(Duration::from_secs(120))
        .build()
        .unwrap();
    let read: GenerateByTopicInput = GenerateByTopicInput::reference_example().parse().unwrap();
    assert_eq!(built.fingerprint(), read.fingerprint());
    assert_eq!(built.settings(), read.settings());
    assert_eq!(built.generation_parameters(), read.generation_parameters());
    assert_eq!(built.generation_parameters().max_tokens, Some(200));
    assert_eq!(built.schema(), read.schema());
    let quotas: Vec<u64> = read
        .allocation()
        .given
        .iter()
        .map(|planned| planned.quota)
        .collect();
    assert_eq!(quotas, [33, 32, 3, 32]);
}

#[test]
fn the_builder_and_json_report_the_same_faults() {
    let built = GenerateByTopicInput::builder()
        .num_records(1)
        .topics([("a", 2)])
        .topic(" ")
        .generation_model("llama3")
        .topic_parameters(json!([]))
        .max_concurrency(0)
        .max_cost_usd(f64::NAN)
        .output_fields([])
        .build()
        .unwrap_err();
    let fields: Vec<_> = InputFaults::of(&built)
        .map(|fault| fault.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "data_factory_config.max_cost_usd",
            "topic_model_kwargs",
            "generation_model_name",
            "output_schema",
            "data_factory_config.max_concurrency",
            "topics[1]",
        ]
    );
}

#[test]
fn every_builder_setting_arrives() {
    let input = GenerateByTopicInput::builder()
        .topic("a")
        .no_num_records()
        .max_concurrency(2)
        .call_timeout(Duration::from_millis(1_500))
        .give_up_after(4)
        .stop_after_failed_rounds(5)
        .show_progress(false)
        .local_storage("runs")
        .seed(u64::MAX)
        .records_per_request(6)
        .max_retries(0)
        .avoid_examples(7)
        .max_cost_usd(0.5)
        .max_tokens_total(8)
        .max_calls(9)
        .reallocate(true)
        .coerce_types(true)
        .allow_placeholders(true)
        .assert_formats(true)
        .generation_parameter("max_tokens", 10)
        .max_tokens_ceiling(11)
        .angles(&Angles::generated(4).most_asks(3))
        .deduplication(crate::dedup::Method::Exact)
        .already_seen("seeds.jsonl")
        .already_seen("test.jsonl")
        .build()
        .unwrap();
    let expected = Settings {
        max_concurrency: 2,
        call_timeout: Duration::from_millis(1_500),
        give_up_after: Some(4),
        stop_after_failed_rounds: 5,
        show_progress: false,
        storage: Storage::Local(Some("runs".into())),
        seed: Some(u64::MAX),
        records_per_request: RecordsPerRequest::Fixed(6),
        max_retries: 0,
        avoid_examples: Some(7),
        max_cost_usd: Some(0.5),
        max_tokens_total: Some(8),
        max_calls: Some(9),
        reallocate: true,
        coerce_types: true,
        allow_placeholders: true,
        assert_formats: true,
        max_tokens_ceiling: Some(11),
        angles: Some(Angles::generated(4).most_asks(3)),
        deduplication: crate::dedup::Method::Exact.into(),
        already_seen: vec!["seeds.jsonl".into(), "test.jsonl".into()],
        ..Settings::default()
    };
    assert_eq!(input.settings(), &expected);
    assert_eq!(input.num_records(), None);
}

#[test]
fn a_setting_may_have_the_name_it_has_in_rust() {
    let read = |config: Value| {
        let document = json!({"topics": ["a"], "data_factory_config": config});
        GenerateByTopicInput::from_json_value(document)
    };
    let input = read(json!({"call_timeout": 5, "give_up_after": 6, "stop_after_failed_rounds": 7}));
    let starfish = json!({
        "task_runner_timeout": 5, "dead_queue_threshold": 6, "job_run_stop_threshold": 7,
    });
    let same = read(starfish).unwrap();
    let input = input.unwrap();
    assert_eq!(input.settings(), same.settings());
    assert_eq!(input.to_json(), same.to_json());
    assert_eq!(input.fingerprint(), same.fingerprint());
    let set = input.to_builder().set("call_timeout", 8).build();
    assert_eq!(set.unwrap().settings().call_timeout.as_secs(), 8);

    let validator = jsonschema::validator_for(&GenerateByTopicInput::json_schema()).unwrap();
    for (timeout, is_valid) in [(5, true), (0, false)] {
        let document = json!({"data_factory_config": {"call_timeout": timeout}});
        assert_eq!(validator.is_valid(&document), is_valid);
    }
    let wrong = read(json!({"give_up_after": 0, "call_timeout": 1, "task_runner_timeout": 2}));
    let wrong = wrong.unwrap_err().to_string();
    for told in [
        "data_factory_config.give_up_after: is 0; write a number from 1 to 1000",
        "data_factory_config.call_timeout: is said twice, as `task_runner_timeout` too",
    ] {
        assert!(wrong.contains(told), "{wrong}");
    }
}

#[test]
fn a_ceiling_without_a_limit_is_warned_of_once() {
    let input = GenerateByTopicInput::builder()
        .topic("a")
        .max_tokens_ceiling(400)
        .build()
        .unwrap();
    assert_eq!(input.warnings().len(), 1);
    let again = input.to_builder().build().unwrap();
    assert_eq!(again.warnings(), input.warnings());
}

#[test]
fn defaults_are_those_of_the_contract() {
    let input = GenerateByTopicInput::from_json_str(r#"{"user_instruction": "x"}"#).unwrap();
    assert_eq!(input.num_records(), Some(10));
    assert_eq!(input.records_per_topic(), 10);
    assert_eq!(input.topics(), None);
    assert_eq!(input.topic_model().as_str(), "openai/gpt-4o-mini");
    assert_eq!(input.topic_parameters().temperature, Some(1.0));
    assert_eq!(input.generation_model().as_str(), "openai/gpt-4o-mini");
    assert_eq!(input.generation_parameters().temperature, None);
    assert_eq!(input.schema(), &RecordSchema::default());
    assert_eq!(input.settings(), &Settings::default());
    assert!(input.warnings().is_empty());
}

#[test]
fn records_have_the_type_of_the_output() {
    #[derive(Deserialize, JsonSchema)]
    #[allow(dead_code)]
    struct Fact {
        fact: String,
    }
    let input = GenerateByTopicInput::builder()
        .topic("a")
        .output::<Fact>()
        .build();
    let input: GenerateByTopicInput<Fact> = input.unwrap();
    assert_eq!(input.schema().property_names(), ["fact"]);

    let error = GenerateByTopicInput::builder()
        .topic("a")
        .output::<String>()
        .build()
        .unwrap_err();
    assert_eq!(
        InputFaults::of(&error).next().unwrap().field,
        "output_schema"
    );

    let read: GenerateByTopicInput = input.to_json().to_string().parse().unwrap();
    assert_eq!(read.fingerprint(), input.fingerprint());
    assert_eq!(read.decoded_as::<Fact>().schema(), input.schema());
}

#[test]
fn a_changed_input_has_another_fingerprint_and_a_changed_pace_has_not() {
    let input: GenerateByTopicInput = GenerateByTopicInput::reference_example().parse().unwrap();
    let pace = input
        .to_builder()
        .max_concurrency(9)
        .max_calls(1_000)
        .build()
        .unwrap();
    assert_eq!(pace.settings().max_concurrency, 9);
    assert_eq!(pace.fingerprint(), input.fingerprint());
    for changed in [
        input.to_builder().num_records(101),
        input.to_builder().topic("one more"),
        input.to_builder().user_instruction("another"),
        input.to_builder().seed(1),
        input.to_builder().generation_parameter("temperature", 0.9),
        input.to_builder().output_fields([Field::str("question")]),
    ] {
        assert_ne!(changed.build().unwrap().fingerprint(), input.fingerprint());
    }
    // Pinned: journals are told apart by it across versions.
    assert_eq!(
        format!("{:032x}", input.fingerprint()),
        "94462f75afac97f79eb95ca8b110b2f5"
    );
}

#[test]
fn an_input_that_sets_everything_keeps_its_fingerprint() {
    let text = include_str!("../../tests/cases/input/ok_everything.json");
    let input: GenerateByTopicInput = text.parse().unwrap();
    // Pinned, as its canonical form is by the snapshot: journals are told apart by it across versions.
    assert_eq!(
        format!("{:032x}", input.fingerprint()),
        "00aef1d83bc5d004b783f8e3191bde48"
    );
}

#[test]
fn a_builder_made_of_an_input_without_topics_takes_topics() {
    let input = GenerateByTopicInput::from_json_str(r#"{"user_instruction": "x"}"#).unwrap();
    let more = input.to_builder().topic("a").build().unwrap();
    assert_eq!(more.topics().map(<[_]>::len), Some(1));
}

#[test]
fn debug_output_shows_nothing_of_what_the_caller_wrote() {
    let builder = GenerateByTopicInput::builder()
        .user_instruction("secret words")
        .topic_with_count("secret topic", 1)
        .topic("secret other")
        .generation_parameter("user", "secret value")
        .output_fields([Field::str("answer").description("secret description")]);
    let shown = format!("{builder:?}");
    let input = builder.build().unwrap();
    assert!(!shown.contains("secret"), "{shown}");
    assert!(!format!("{input:?}").contains("secret"), "{input:?}");
    assert!(!format!("{:?}", input.topics()).contains("secret"));
    assert!(!format!("{:?}", input.generation_parameters()).contains("secret"));
}

#[test]
fn ten_megabytes_of_topics_are_read() {
    let topics: Vec<String> = (0..700_000)
        .map(|index| format!("topic {index:06}"))
        .collect();
    let text = json!({"num_records": 1_000_000, "topics": topics}).to_string();
    assert!(text.len() > 10_000_000);
    let input = GenerateByTopicInput::from_json_str(&text).unwrap();
    assert_eq!(input.allocation().given.len(), 700_000);
    assert_eq!(input.allocation().total(), 1_000_000);
}

#[test]
fn ten_megabytes_of_blank_topics_give_a_short_error() {
    let text = json!({"topics": vec![""; 3_500_000]}).to_string();
    let error = GenerateByTopicInput::from_json_str(&text).unwrap_err();
    assert!(error.message().contains("3500000 faults"), "{error}");
    assert!(error.to_string().len() < 5_000);
    let one = json!({"topics": ["x".repeat(10_000_000)]}).to_string();
    let error = GenerateByTopicInput::from_json_str(&one).unwrap_err();
    assert!(error.to_string().len() < 500, "{error}");
}

/// Every key there is, with the object it stands in.
fn all_keys() -> Vec<(&'static str, &'static InputKey)> {
    use crate::dedup::Deduplication;
    use crate::filter::FieldRule;
    use crate::llm::RateLimit;
    use crate::prompt::PromptTexts;

    fn of<T: described::Described>(
        object: &'static str,
    ) -> impl Iterator<Item = (&'static str, &'static InputKey)> {
        T::KEYS.iter().map(move |key| (object, key))
    }
    of::<Document>("")
        .chain(of::<Settings>("data_factory_config"))
        .chain(of::<ProviderSettings>("providers"))
        .chain(of::<Deduplication>("deduplication"))
        .chain(of::<FieldRule>("filters"))
        .chain(of::<RateLimit>("rate_limits"))
        .chain(of::<PromptTexts>("prompts"))
        .chain(of::<OutputFile>("output"))
        .chain(of::<JournalPlace>("journal"))
        .chain(of::<topics::TopicSources>("topics"))
        .collect()
}

#[test]
fn every_key_of_the_schema_is_described_with_examples_that_fit() {
    fn look(schema: &Value, path: &str, keys: &mut usize) {
        for (name, key) in schema["properties"].as_object().into_iter().flatten() {
            let path = format!("{path}.{name}");
            let about = key["description"].as_str().unwrap_or_default();
            if key.get("$ref").is_none() && !about.starts_with("Accepted from Starfish") {
                *keys += 1;
                assert!(about.len() > 5 && about.ends_with('.'), "{path}: {about}");
                let examples = key["examples"]
                    .as_array()
                    .filter(|examples| !examples.is_empty());
                let mut alone = key.clone();
                alone["$defs"] = GenerateByTopicInput::json_schema()["$defs"].take();
                let validator = jsonschema::validator_for(&alone).unwrap();
                for example in examples.unwrap_or_else(|| panic!("{path} has no example")) {
                    assert!(validator.is_valid(example), "{path}: {example}");
                }
            }
            look(key, &path, keys);
        }
        for within in ["additionalProperties", "items"] {
            if let Some(inner) = schema.get(within) {
                look(inner, path, keys);
            }
        }
        for several in ["anyOf", "oneOf"] {
            for inner in schema[several].as_array().into_iter().flatten() {
                look(inner, path, keys);
            }
        }
    }
    let schema = GenerateByTopicInput::json_schema();
    let mut keys = 0;
    look(&schema, "", &mut keys);
    look(&schema["$defs"]["Settings"], "", &mut keys);
    assert!(keys > 80, "{keys}");
}

#[test]
fn files_that_an_input_names_lie_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("in.json");
    let said = json!({"topics": ["a"], "num_records": 1, "already_seen": ["seen.jsonl", "/absolute.jsonl"]});
    std::fs::write(&file, said.to_string()).unwrap();
    let input = GenerateByTopicInput::from_file(&file).unwrap();
    let wanted = [folder.path().join("seen.jsonl"), "/absolute.jsonl".into()];
    assert_eq!(input.settings().already_seen, wanted);
    let again = GenerateByTopicInput::from_json_value(input.to_json()).unwrap();
    assert_eq!(
        again.settings().already_seen,
        wanted,
        "as a journal keeps it"
    );
    let beside_nothing = GenerateByTopicInput::from_json_value(said).unwrap();
    assert_eq!(
        beside_nothing.settings().already_seen[0],
        Path::new("seen.jsonl")
    );
}

#[test]
fn every_example_is_read_in_every_format_and_wherever_it_may_stand() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("manuals")).unwrap();
    for (file, text) in [
        ("system.jinja", "{{ schema }}"),
        ("products.csv", "id,name,price\n7,Brake pads,29\n"),
        ("manuals/a.md", "A text."),
    ] {
        std::fs::write(folder.path().join(file), text).unwrap();
    }
    let read = |text: &str, format| {
        let builder = GenerateByTopicInputBuilder::from_text(text.as_bytes(), format)?;
        builder.files_in(folder.path()).build()
    };
    let fields =
        ["question", "answer", "difficulty"].map(|name| json!({"name": name, "type": "str"}));
    let base = json!({
        "user_instruction": "x", "topics": ["a"], "generation_model_kwargs": {"max_tokens": 100}, "output_schema": fields,
    });
    for (object, key) in all_keys() {
        for example in key.examples {
            let value: Value = serde_json::from_str(example).unwrap();
            let mut places = vec![];
            let names = key.names.iter();
            for name in names {
                let mut input = base.clone();
                match object {
                    "" => {
                        // A row is a topic of its own, and examples are of the default shape.
                        let others: &[&str] = match key.names[0] {
                            "source" | "documents" => &["topics"],
                            "examples" | "kind" => &["output_schema"],
                            own => &[own],
                        };
                        let all = input.as_object_mut().unwrap();
                        others
                            .iter()
                            .for_each(|other| drop(all.shift_remove(*other)));
                        input[name] = value.clone();
                    }
                    "data_factory_config" => {
                        input[object][name] = value.clone();
                        let mut beside = base.clone();
                        beside[name] = value.clone();
                        places.push(beside);
                    }
                    "providers" | "rate_limits" => input[object]["house"][name] = value.clone(),
                    "filters" => input[object]["answer"][name] = value.clone(),
                    "output" | "journal" => {
                        input[object] = json!({"path": "x"});
                        input[object][name] = value.clone();
                    }
                    "topics" => {
                        input[object] = json!({});
                        input[object][name] = value.clone();
                    }
                    _ => input[object][name] = value.clone(),
                }
                places.push(input);
            }
            for input in places {
                let text = input.to_string();
                let json = read(&text, InputFormat::Json)
                    .unwrap_or_else(|error| panic!("{example}: {error}"));
                #[cfg(feature = "formats")]
                {
                    let yaml = read(&text, InputFormat::Yaml)
                        .unwrap_or_else(|error| panic!("{example}: {error}"));
                    assert_eq!(yaml.to_json(), json.to_json());
                    let toml = toml::to_string(&input).unwrap();
                    let toml = read(&toml, InputFormat::Toml)
                        .unwrap_or_else(|error| panic!("{example}: {error}"));
                    assert_eq!(toml.to_json(), json.to_json());
                }
                let again = read(&json.to_json().to_string(), InputFormat::Json).unwrap();
                assert_eq!(again.settings(), json.settings(), "{example}");
                assert_eq!(again.fingerprint(), json.fingerprint(), "{example}");
            }
        }
    }
}

#[test]
fn an_input_is_a_value_of_serde() {
    #[derive(serde::Serialize, Deserialize)]
    struct Job {
        input: GenerateByTopicInput,
    }
    let job: Job =
        serde_json::from_value(json!({"input": {"topics": ["a"], "max_retries": 2}})).unwrap();
    assert_eq!(job.input.settings().max_retries, 2);
    let written = serde_json::to_value(&job).unwrap();
    assert_eq!(written["input"], job.input.to_json());
    let refused = serde_json::from_value::<Job>(json!({"input": {"topcs": []}}))
        .err()
        .unwrap();
    assert!(
        refused.to_string().contains("did you mean `topics`?"),
        "{refused}"
    );
}

#[test]
fn an_input_that_comes_from_no_file_reads_none() {
    for document in [
        json!({"topics": {"file": "Cargo.toml"}}),
        json!({"topics": ["a"], "prompts": {"request": {"file": "Cargo.toml"}}}),
    ] {
        let error = GenerateByTopicInput::from_json_value(document).unwrap_err();
        assert!(
            error.message().contains("does not come from one"),
            "{error}"
        );
    }
}

#[test]
fn several_faults_of_the_parts_are_said_where_they_are() {
    let error = GenerateByTopicInput::from_json_value(json!({
        "topics": {"tree": [0], "generated": 3, "given": ["a"], "leaves": 3, "fiel": "x"}, "user_instruction": "x",
        "models": {"openai/gpt-4o": 0}, "fallback_models": ["/x"],
        "rate_limits": {"openai/*": {"request_per_minute": 3}}, "scheduling": "at_once", "schema_renderer": "type_script",
        "filters": {"answr": {"min_chars": 3}, "*": {"one_of": [1]}, "difficulty": {"language": "German"}, "answer": {"regex": "(", "min_chars": 9, "max_chars": 3}},
        "prompts": {"request": "{{ topics }}", "system": "{% if %}"},
        "output": {"path": " ", "shape": "mesages=question:anwser"}, "journal": "postgres://me:SECRET@host/db",
    }))
    .unwrap_err()
    .to_string();
    for said in [
        "topics.leaves: is not a known key",
        "topics.tree[0]: is 0",
        "models.openai/gpt-4o: is 0",
        "fallback_models[0]: ",
        "rate_limits.openai/*.request_per_minute: is not a known key; did you mean `requests_per_minute`?",
        "scheduling: is `at_once`; write one of `round_robin`, `in_order`",
        "schema_renderer: is `type_script`; did you mean `typescript`?",
        "topics.fiel: is not a known key; did you mean `file`?",
        "filters.*.one_of: is about no field",
        "filters.difficulty.language: is no code of a language that can be told from others; write `de`",
        "filters.answr: is no field of the schema; did you mean `answer`?",
        "filters.answer.regex: is no regular expression: unclosed group",
        "filters.answer: asks for at least 9 characters and at most 3",
        "prompts.request: the template `prompts.request` cannot be used: it uses `topics`",
        "prompts.system: the template `prompts.system` cannot be used",
        "output.path: is blank; name a file",
        "output.shape: `mesages` is no shape; did you mean `messages`?",
        "journal: holds a password",
    ] {
        assert!(error.contains(said), "{said}: {error}");
    }
    assert!(!error.contains("SECRET"), "{error}");
}

#[test]
fn topics_are_generated_beside_given_ones_as_said() {
    let quotas = |topics: Value| {
        let document = json!({"topics": topics, "user_instruction": "x", "num_records": 20});
        let input = GenerateByTopicInput::from_json_value(document).unwrap();
        let given: Vec<u64> = input
            .allocation()
            .given
            .iter()
            .map(|planned| planned.quota)
            .collect();
        (given, input.allocation().generated.clone())
    };
    assert_eq!(quotas(json!({"generated": 3})), (vec![], vec![7, 7, 6]));
    assert_eq!(quotas(json!({"tree": [2, 2]})), (vec![], vec![5; 4]));
    assert_eq!(
        quotas(json!({"tree": [9, 9], "generated": 2})),
        (vec![], vec![10; 2])
    );
    assert_eq!(
        quotas(json!({"given": ["a", {"b": 2}], "generated": 2})),
        (vec![6, 2], vec![6, 6])
    );
    assert_eq!(quotas(json!({"generated": 50})), (vec![], vec![1; 20]));
    assert_eq!(quotas(json!({"given": ["a"]})), (vec![20], vec![]));
}

#[test]
fn what_can_be_switched_off_is_so_with_off_and_with_false() {
    let read = |setting: &str, value: Value| {
        let fields = ["answer", "difficulty"].map(|name| json!({"name": name, "type": "str"}));
        let mut document = json!({"topics": ["a"], "generation_model_kwargs": {"max_tokens": 100}, "output_schema": fields});
        document[setting] = value;
        GenerateByTopicInput::from_json_value(document).map(|input| input.settings().clone())
    };
    let mut switches = Vec::new();
    for key in Settings::KEYS {
        let name = key.names[0];
        if !key.schema().to_string().contains(r#"["off",false]"#) {
            continue;
        }
        switches.push(name);
        for example in key.examples {
            let example = serde_json::from_str(example).unwrap();
            assert_ne!(
                read(name, example).unwrap(),
                read(name, Value::Null).unwrap(),
                "{name}"
            );
        }
        let off = read(name, false.into()).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(read(name, "off".into()).unwrap(), off, "{name}");
        match name {
            "storage" | "journal" => assert_eq!(off.storage, Storage::InMemory),
            _ => assert_eq!(off, read(name, Value::Null).unwrap(), "{name}"),
        }
    }
    assert_eq!(switches.len(), 16, "{switches:?}");
    // It has a method of this name.
    assert_eq!(
        read("deduplication", false.into()).unwrap(),
        read("deduplication", "off".into()).unwrap()
    );
}

#[test]
fn what_is_wrong_with_attributes_is_said_with_what_to_change() {
    let error = GenerateByTopicInput::from_json_value(json!({
        "topics": ["a"], "output_schema": [{"name": "level", "type": "str", "enum": ["easy", "hard"]}],
        "attributes": {
            "percent": {"a": 30, "b": 70}, "sign": {"a": -0.5, "b": 1.5}, "none": [], "word": "x", "odd": [null],
            "twice": ["a", "a"], "level": ["easy", "medium"], "topic": ["a"],
        },
    }))
    .unwrap_err()
    .to_string();
    for said in [
        "attributes.percent: has shares that add up to 100; write parts of 1, such as 0.3 for `a`",
        "attributes.sign.a: is -0.5; write a share of 0 or more",
        "attributes.none: has no value; write values with shares",
        "attributes.word: is a string",
        "attributes.odd: has null as a value",
        "attributes.twice: has `a` twice",
        "attributes.level: has `medium`, which the field of that name cannot hold",
        "attributes.topic: is no name",
    ] {
        assert!(error.contains(said), "{said}: {error}");
    }
}

#[test]
fn values_of_attributes_have_the_types_of_their_fields() {
    let input = GenerateByTopicInput::from_json_value(json!({
        "topics": ["a"], "attributes": {"stars": {"1": 0.333, "2": 0.333, "3": 0.333}, "free": {"1": 0.4, "2": 0.6}},
        "output_schema": [{"name": "stars", "type": "int"}],
    }))
    .unwrap();
    let values = |input: &GenerateByTopicInput, place: usize| -> Vec<Value> {
        let values = input.attributes()[place].values.iter();
        values.map(|(value, _)| value.clone()).collect()
    };
    assert_eq!(values(&input, 0), [json!(1), json!(2), json!(3)]);
    assert_eq!(values(&input, 1), [json!("1"), json!("2")]);
    let again = GenerateByTopicInput::from_json_value(input.to_json()).unwrap();
    assert_eq!(
        (again.attributes(), again.fingerprint()),
        (input.attributes(), input.fingerprint())
    );
}
