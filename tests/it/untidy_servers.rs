//! Servers, routers and proxies that refuse what others take, or slip: runs go on, and say what they do differently.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::server::{ProviderServer, Question, RawReply, ServedAnswer, Wire};
use futures::future::join_all;
use serde_json::{Value, json};
use topicloom::llm::models::ModelRegistry;
use topicloom::llm::providers::{AnthropicClient, ClientOptions, GeminiClient, OpenAiClient};
use topicloom::llm::{LlmClient, ModelName};
use topicloom::{ErrorKind, GenerateByTopicInput, Pipeline, Report, Result};

use crate::over_http::word;

/// What a server does with a call (its number, from 1, and its body), where it is not answered.
type Rule = fn(u64, &Value) -> Option<ServedAnswer>;

struct Case {
    name: &'static str,
    model: &'static str,
    parameters: Value,
    rule: Rule,
    /// Calls beyond one for each record.
    most_wasted: u64,
    /// What the warnings say, in order.
    warnings: &'static [&'static str],
}

impl Case {
    fn new(name: &'static str, model: &'static str, most_wasted: u64, rule: Rule) -> Self {
        Self {
            name,
            model,
            parameters: json!({}),
            rule,
            most_wasted,
            warnings: &[],
        }
    }

    fn passing(mut self, parameters: Value, warnings: &'static [&'static str]) -> Self {
        self.parameters = parameters;
        self.warnings = warnings;
        self
    }
}

fn reply(status: u16, body: &str) -> ServedAnswer {
    RawReply::new(status, body).into()
}

fn page(status: u16) -> ServedAnswer {
    let page = RawReply::new(status, "<html><body>Please try later</body></html>");
    page.header("content-type", "text/html").into()
}

fn asks_for_a_schema(body: &Value) -> bool {
    body["response_format"]["type"] == "json_schema"
}

fn is_structured(body: &Value) -> bool {
    ["response_format", "tools", "output_config"]
        .iter()
        .any(|name| body.get(name).is_some())
        || body["generationConfig"].get("responseMimeType").is_some()
}

fn client(name: &ModelName, base_url: &str) -> Result<Arc<dyn LlmClient>> {
    let options = ClientOptions::new().base_url(base_url).api_key("a-key");
    Ok(match name.provider() {
        "anthropic" => Arc::new(AnthropicClient::new(name, options)?),
        "gemini" => Arc::new(GeminiClient::new(name, options)?),
        _ => Arc::new(OpenAiClient::new(name, options)?),
    })
}

async fn serve(model: &str, rule: Rule) -> ProviderServer {
    let wire = match model.split_once('/').expect("it has a provider").0 {
        "anthropic" => Wire::Anthropic,
        "gemini" => Wire::Gemini,
        _ => Wire::OpenAi,
    };
    let answers = AtomicU64::new(0);
    let respond = move |question: &Question<'_>| -> ServedAnswer {
        let broken = rule(question.call() + 1, &question.body());
        broken.unwrap_or_else(|| {
            let number = answers.fetch_add(1, Ordering::Relaxed);
            let (one, other) = (word(number), word(number * 7 + 3));
            let question = format!("What is the {one} of a {other}?");
            json!({"records": [{"question": question, "answer": format!("In {number} ways.")}]})
                .to_string()
                .into()
        })
    };
    let server = ProviderServer::builder(wire, respond).delay(Duration::from_millis(5));
    server.start().await.expect("a port is free")
}

async fn run(
    model: &'static str,
    parameters: &Value,
    server: &ProviderServer,
) -> std::result::Result<Report, (ErrorKind, Report)> {
    let input = GenerateByTopicInput::from_json_value(json!({
        "user_instruction": "Q&A pairs about places",
        "num_records": 20, "topics": ["coasts", "hills"],
        "generation_model_name": model, "generation_model_kwargs": parameters,
        "data_factory_config": {"max_concurrency": 4, "seed": 1},
    }))
    .expect("the input is valid");
    let base_url = server.base_url();
    let provider = input.generation_model().provider().to_owned();
    let registry = ModelRegistry::new().register(provider, move |name| client(name, &base_url));
    let pipeline = Pipeline::builder_from_input(&input, &registry).expect("it is known");
    match pipeline.build().generate(input).await {
        Ok(dataset) => Ok(dataset.report().clone()),
        Err(ended) => Err((ended.error().kind(), ended.report().clone())),
    }
}

fn slips() -> Vec<Case> {
    vec![
        Case::new("a router's bad pick", "openai/slip-1", 1, |call, _| {
            (call == 7).then(|| reply(400, r#"{"error": {"message": "upstream", "code": 400}}"#))
        }),
        Case::new("a page of the edge", "openai/slip-2", 1, |call, _| {
            (call == 9).then(|| page(403))
        }),
        Case::new(
            "a path that is gone for a moment",
            "openai/slip-3",
            1,
            |call, _| (call == 5).then(|| reply(404, r#"{"detail": "Not Found"}"#)),
        ),
        Case::new(
            "a key service that blinks",
            "openai/slip-4",
            4,
            |call, _| (9..=12).contains(&call).then(|| reply(401, "")),
        ),
        Case::new(
            "the same of another provider",
            "anthropic/claude-slip",
            1,
            |call, _| {
                (call == 6).then(|| {
                    let error = json!({"type": "invalid_request_error", "message": "Error"});
                    reply(400, &json!({"type": "error", "error": error}).to_string())
                })
            },
        ),
        Case::new("and of a third", "gemini/gemini-slip", 1, |call, _| {
            (call == 8).then(|| {
                let error =
                    json!({"code": 403, "message": "denied", "status": "PERMISSION_DENIED"});
                reply(403, &json!({"error": error}).to_string())
            })
        }),
        Case::new("the very first call", "openai/slip-5", 1, |call, _| {
            (call == 1).then(|| reply(400, r#"{"error": "bad request"}"#))
        }),
    ]
}

fn modes() -> Vec<Case> {
    vec![
        Case::new(
            "a grammar that crashes",
            "hosted_vllm/mode-1",
            8,
            |_, body| asks_for_a_schema(body).then(|| reply(500, "Internal Server Error")),
        ),
        Case::new(
            "a gateway that times no schema out",
            "groq/mode-2",
            14,
            |_, body| is_structured(body).then(|| page(502)),
        ),
        Case::new(
            "a page for a refusal",
            "together_ai/mode-3",
            8,
            |_, body| is_structured(body).then(|| page(400)),
        ),
        Case::new(
            "a method that is not allowed",
            "openai/mode-4",
            12,
            |_, body| asks_for_a_schema(body).then(|| reply(405, "")),
        ),
        Case::new(
            "a body that is too large",
            "openai/mode-5",
            12,
            |_, body| {
                asks_for_a_schema(body)
                    .then(|| reply(413, r#"{"error": {"message": "too large"}}"#))
            },
        ),
        Case::new(
            "a router with nobody who takes it",
            "openrouter/a/mode-6",
            12,
            |_, body| {
                is_structured(body).then(|| {
                    reply(
                        404,
                        r#"{"error": {"message": "Nobody can do this", "code": 404}}"#,
                    )
                })
            },
        ),
        Case::new(
            "an answer in no known form",
            "openai/mode-7",
            14,
            |_, body| asks_for_a_schema(body).then(|| reply(200, r#"{"status": "ok"}"#)),
        ),
        Case::new(
            "an answer with nothing in it",
            "deepseek/mode-8",
            14,
            |_, body| is_structured(body).then(|| "".into()),
        ),
        Case::new(
            "an overload by schema",
            "anthropic/claude-haiku-4-5-mode",
            12,
            |_, body| {
                body.get("output_config").is_some().then(|| {
                    let error = json!({"type": "overloaded_error", "message": "Overloaded"});
                    reply(529, &json!({"type": "error", "error": error}).to_string())
                })
            },
        ),
        Case::new(
            "an internal error by schema",
            "gemini/gemini-mode",
            14,
            |_, body| {
                is_structured(body).then(|| {
                    let error = json!({"code": 500, "message": "internal", "status": "INTERNAL"});
                    reply(500, &json!({"error": error}).to_string())
                })
            },
        ),
    ]
}

fn parameters() -> Vec<Case> {
    vec![
        Case::new("a hidden reasoning model", "azure/prod-eu", 6, |_, body| {
            body.get("temperature").is_some().then(|| {
                let error = json!({"message": "Unsupported value: 'temperature' does not support 0.3 with this model.",
                    "type": "invalid_request_error", "param": "temperature", "code": "unsupported_value"});
                reply(400, &json!({"error": error}).to_string())
            })
        })
        .passing(json!({"temperature": 0.3}), &["azure/prod-eu refuses `temperature`; it is left out"]),
        Case::new("a model behind a proxy", "openai/next-1", 6, |_, body| {
            body.get("max_tokens").is_some().then(|| {
                let error = json!({"message": "Use 'max_completion_tokens' instead of 'max_tokens'.", "param": "max_tokens"});
                reply(400, &json!({"error": error}).to_string())
            })
        })
        .passing(json!({"max_tokens": 300}), &["openai/next-1 refuses `max_tokens`; it is sent as `max_completion_tokens`"]),
        Case::new("a name without quotes", "openai/next-2", 6, |_, body| {
            body.get("top_k").is_some().then(|| {
                let error = json!({"message": "Unrecognized request argument supplied: top_k", "param": null});
                reply(400, &json!({"error": error}).to_string())
            })
        })
        .passing(json!({"top_k": 5, "top_p": 0.9}), &["openai/next-2 refuses `top_k`; it is left out"]),
        Case::new("a list of faults", "mistral/next-3", 6, |_, body| {
            body.get("seed").is_some().then(|| {
                let detail = json!([{"type": "extra_forbidden", "loc": ["body", "seed"], "msg": "Extra inputs are not permitted"}]);
                reply(422, &json!({"detail": detail}).to_string())
            })
        })
        .passing(json!({"seed": 5}), &["mistral/next-3 refuses `seed`; it is left out"]),
        Case::new("a list of what is known", "openai/next-4", 6, |_, body| {
            body.get("seed").is_some().then(|| {
                let message = "unknown field `seed`, expected one of `model`, `messages`, `response_format`, `temperature`";
                reply(422, &json!({"error": message}).to_string())
            })
        })
        .passing(json!({"temperature": 0.3, "seed": 5}), &["openai/next-4 refuses `seed`; it is left out"]),
        Case::new("one after the other", "openai/next-5", 12, |_, body| {
            let refused = ["frequency_penalty", "stop"].iter().find(|name| body.get(name).is_some())?;
            let message = format!("`{refused}` is not supported");
            Some(reply(400, &json!({"error": {"message": message}}).to_string()))
        })
        .passing(json!({"stop": "END", "frequency_penalty": 0.5}), &[
            "openai/next-5 refuses `frequency_penalty`; it is left out",
            "openai/next-5 refuses `stop`; it is left out",
        ]),
        Case::new("a younger model of another provider", "anthropic/claude-haiku-9", 6, |_, body| {
            body.get("temperature").is_some().then(|| {
                let error = json!({"type": "invalid_request_error", "message": "`temperature` is deprecated for this model."});
                reply(400, &json!({"type": "error", "error": error}).to_string())
            })
        })
        .passing(json!({"temperature": 0.3}), &["anthropic/claude-haiku-9 refuses `temperature`; it is left out"]),
        Case::new("no system message", "hosted_vllm/next-6", 6, |_, body| {
            let has_system = body["messages"][0]["role"] == "system";
            has_system.then(|| reply(400, r#"{"object": "error", "message": "System role not supported"}"#))
        })
        .passing(json!({}), &["hosted_vllm/next-6 takes no system message; its text is put before the user's message"]),
        Case::new("none by the template's words, as a fault of the server", "openai/next-7", 6, |_, body| {
            let has_system = body["messages"][0]["role"] == "system";
            let error = "Jinja Exception: Only user and assistant roles are supported!";
            has_system.then(|| reply(500, &json!({"error": {"message": error}}).to_string()))
        })
        .passing(json!({}), &["openai/next-7 takes no system message"]),
        Case::new("a switch that must be off", "openai/next-8", 6, |_, body| {
            let is_off = body.get("enable_thinking") == Some(&json!(false));
            let error = "parameter.enable_thinking must be set to false for non-streaming calls";
            (!is_off).then(|| reply(400, &json!({"error": {"message": error}}).to_string()))
        })
        .passing(json!({}), &["openai/next-8 demands that `enable_thinking` is false"]),
        Case::new("a parameter that is spoken of", "openai/next-9", 6, |_, body| {
            let error = r#""next-9" does not support thinking"#;
            body.get("think").is_some().then(|| reply(400, &json!({"error": error}).to_string()))
        })
        .passing(json!({"think": true, "top_p": 0.9}), &["openai/next-9 refuses `think`; it is left out"]),
        Case::new("marks for a cache", "anthropic/claude-haiku-9", 6, |_, body| {
            let message = "system.0.cache_control: Extra inputs are not permitted";
            let error = json!({"type": "invalid_request_error", "message": message});
            let is_marked = body.to_string().contains("cache_control");
            is_marked.then(|| reply(400, &json!({"type": "error", "error": error}).to_string()))
        })
        .passing(json!({}), &["anthropic/claude-haiku-9 refuses `cache_control`; it is left out"]),
        Case::new("and of a third", "gemini/gemini-next", 6, |_, body| {
            body["generationConfig"].get("presencePenalty").is_some().then(|| {
                let error = json!({"code": 400, "status": "INVALID_ARGUMENT",
                    "message": "Invalid JSON payload received. Unknown name \"presencePenalty\" at 'generation_config'"});
                reply(400, &json!({"error": error}).to_string())
            })
        })
        .passing(json!({"presence_penalty": 0.3}), &["gemini/gemini-next refuses `presence_penalty`; it is left out"]),
    ]
}

async fn holds(case: Case) -> Result<(), String> {
    let server = serve(case.model, case.rule).await;
    let report = run(case.model, &case.parameters, &server).await;
    let report = report.map_err(|(kind, report)| format!("{}: {kind}: {report:?}", case.name))?;
    let wasted = server.calls() - 20;
    let told = report.warnings.len() == case.warnings.len()
        && report
            .warnings
            .iter()
            .zip(case.warnings)
            .all(|(said, expected)| said.starts_with(expected));
    if report.accepted == 20 && wasted <= case.most_wasted && told {
        Ok(())
    } else {
        Err(format!(
            "{}: {wasted} calls too many; {:?}",
            case.name, report.warnings
        ))
    }
}

async fn all_hold(cases: Vec<Case>) {
    let all = join_all(cases.into_iter().map(holds)).await;
    let failed: Vec<String> = all.into_iter().filter_map(Result::err).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slip_costs_its_call_and_not_the_run() {
    all_hold(slips()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mode_that_never_works_is_left_whatever_the_server_says() {
    all_hold(modes()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parameter_that_is_refused_is_left_out_and_told() {
    all_hold(parameters()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_from_the_start_ends_the_run_at_once() {
    let refused: [(&str, ErrorKind, Rule); 6] = [
        ("openai/refused-1", ErrorKind::Auth, |_, _| {
            Some(reply(401, ""))
        }),
        ("openai/refused-2", ErrorKind::UnknownModel, |_, _| {
            let error = json!({"message": "The model `refused-2` does not exist", "code": "model_not_found"});
            Some(reply(404, &json!({"error": error}).to_string()))
        }),
        ("ollama/refused-3", ErrorKind::UnknownModel, |_, _| {
            let error = json!({"message": "model 'refused-3' not found", "type": "api_error"});
            Some(reply(404, &json!({"error": error}).to_string()))
        }),
        ("anthropic/refused-4", ErrorKind::Quota, |_, _| {
            let error = json!({"type": "api_error", "message": "insufficient balance (1008)"});
            Some(reply(500, &json!({"error": error}).to_string()))
        }),
        ("openai/refused-5", ErrorKind::Quota, |_, _| {
            let error = json!({"message": "Rate limit exceeded: free-models-per-day", "code": 429});
            Some(reply(429, &json!({"error": error}).to_string()))
        }),
        ("lm_studio/refused-6", ErrorKind::ContextLength, |_, _| {
            let error = "The prompt is greater than the context length (13055 >= 4096)";
            Some(reply(400, &json!({"error": error}).to_string()))
        }),
    ];
    for (model, expected, rule) in refused {
        let server = serve(model, rule).await;
        let started = Instant::now();
        let (kind, _) = run(model, &json!({}), &server)
            .await
            .expect_err("it is refused");
        assert_eq!(kind, expected, "{model}");
        assert!(server.calls() <= 8, "{model}: {} calls", server.calls());
        assert!(started.elapsed() < Duration::from_secs(2), "{model}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_that_refuses_one_topic_costs_that_topic() {
    let model = "azure/filtered";
    let server = serve(model, |_, body| {
        body.to_string().contains("Topic: hills").then(|| {
            let error = json!({"message": "The response was filtered", "code": "content_filter"});
            reply(400, &json!({"error": error}).to_string())
        })
    })
    .await;
    let (kind, report) = run(model, &json!({}), &server)
        .await
        .expect_err("half of it is refused");
    assert_eq!((kind, report.accepted), (ErrorKind::Incomplete, 10));
    assert!(report.given_up.listed[0].why.is_declined());
    assert!(server.calls() <= 40, "{} calls", server.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_in_words_is_waited_for() {
    let model = "groq/waits";
    let server = serve(model, |call, _| {
        let error = json!({"message": "Rate limit reached. Please try again in 1.5s."});
        (call == 1).then(|| reply(429, &json!({"error": error}).to_string()))
    })
    .await;
    let report = run(model, &json!({}), &server).await.expect("it completes");
    assert!(report.elapsed >= Duration::from_millis(1_500));
    assert!(server.calls() <= 24, "{} calls", server.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_declines_in_words_is_not_asked_for_long() {
    let model = "openai/polite";
    let server = serve(model, |_, _| {
        Some("I'm sorry, but I can't assist with that request.".into())
    })
    .await;
    let (kind, report) = run(model, &json!({}), &server)
        .await
        .expect_err("it declines");
    assert_eq!((kind, report.accepted), (ErrorKind::Incomplete, 0));
    let shown = report.to_string();
    assert!(shown.contains("the model declined"), "{shown}");
    assert!(shown.contains("nothing to use"), "{shown}");
    assert!(server.calls() <= 40, "{} calls", server.calls());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_withdrawn_ends_the_run_within_seconds() {
    let model = "openai/withdrawn";
    let server = serve(model, |call, _| (call > 10).then(|| reply(401, ""))).await;
    let (kind, report) = run(model, &json!({}), &server)
        .await
        .expect_err("it is refused");
    assert_eq!((kind, report.accepted), (ErrorKind::Auth, 10));
    assert!(server.calls() <= 40, "{} calls", server.calls());
    assert!(
        report.elapsed < Duration::from_secs(15),
        "{:?}",
        report.elapsed
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ignores_the_schema_is_noticed() {
    let model = "anthropic/claude-ignorant";
    let server = serve(model, |_, body| {
        (body.get("output_config").is_some() || body.get("tools").is_some())
            .then(|| "Here is what I know of coasts: they are long.".into())
    })
    .await;
    let report = run(model, &json!({}), &server)
        .await
        .expect("it completes in the end");
    assert_eq!(report.accepted, 20);
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    assert!(
        report.warnings[0].contains("seems to ignore"),
        "{:?}",
        report.warnings
    );
}
