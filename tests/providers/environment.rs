//! Keys and base URLs from the environment.
//!
//! A process cannot change its own environment safely, so each case runs the test below in a process of its own.

use std::process::Command;

use crate::server::{ProviderServer, Question, Wire};
use topicloom::llm::models::client_for;

use crate::common::text;

/// Makes a client for the model named in `CHILD_MODEL`, asks it where `CHILD_ASKS`, and prints how that went.
#[tokio::test]
#[ignore = "run by the other tests of this file, each in an environment of its own"]
async fn child() {
    let name = std::env::var("CHILD_MODEL").unwrap().parse().unwrap();
    let said = match client_for(&name) {
        Err(error) => format!("refused: {error}"),
        Ok(client) if std::env::var("CHILD_ASKS").is_ok() => {
            match client.complete(&text("a prompt")).await {
                Ok(answer) => format!("answered: {}", answer.text),
                Err(error) => format!("failed: {error}"),
            }
        }
        Ok(client) => format!("made: {client:?}"),
    };
    println!("SAID {said}");
}

fn say(model: &str, environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "environment::child", "--ignored", "--nocapture"])
        .env_clear()
        .env("CHILD_MODEL", model)
        .envs(environment.iter().copied())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let (_, said) = printed
        .split_once("SAID ")
        .unwrap_or_else(|| panic!("{printed}"));
    said.lines().next().unwrap().to_owned()
}

#[test]
fn a_missing_key_names_the_variable_to_set() {
    for (model, variable) in [
        ("openai/gpt-4", "OPENAI_API_KEY"),
        ("anthropic/claude", "ANTHROPIC_API_KEY"),
        ("gemini/gemini-2.5-flash", "GEMINI_API_KEY"),
        ("groq/llama", "GROQ_API_KEY"),
        ("openrouter/a/b", "OPENROUTER_API_KEY"),
        ("azure/gpt", "AZURE_API_BASE"),
    ] {
        let said = say(model, &[("UNRELATED", "x")]);
        assert!(
            said.starts_with("refused") && said.contains(variable) && said.contains("(config"),
            "{said}"
        );
    }
    let said = say("openai/gpt-4", &[("OPENAI_API_KEY", "  ")]);
    assert!(said.contains("OPENAI_API_KEY"), "{said}");
    let azure = [("AZURE_API_BASE", "https://x.openai.azure.com")];
    let said = say("azure/gpt", &azure);
    assert!(said.contains("AZURE_API_KEY"), "{said}");
}

#[test]
fn a_model_of_ones_own_needs_no_key() {
    for model in [
        "ollama/qwen3",
        "hosted_vllm/qwen3",
        "lm_studio/x",
        "llama.cpp/x",
    ] {
        let said = say(model, &[]);
        assert!(said.starts_with("made"), "{said}");
        assert!(said.contains("http://localhost:"), "{said}");
    }
}

#[test]
fn a_wrong_base_url_names_the_variable_and_does_not_repeat_it() {
    let said = say(
        "openai/gpt-4",
        &[("OPENAI_API_KEY", "sk"), ("OPENAI_BASE_URL", "SECRET")],
    );
    assert!(
        said.contains("OPENAI_BASE_URL") && !said.contains("SECRET"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn key_and_base_url_from_the_environment_are_used() {
    for (wire, model, key, base) in [
        (
            Wire::OpenAi,
            "openai/gpt-4",
            "OPENAI_API_KEY",
            "OPENAI_BASE_URL",
        ),
        (
            Wire::Anthropic,
            "anthropic/claude-haiku-4-5",
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_BASE_URL",
        ),
        (
            Wire::Gemini,
            "gemini/gemini-2.5-flash",
            "GEMINI_API_KEY",
            "GEMINI_API_BASE",
        ),
        (
            Wire::OpenAi,
            "together_ai/llama",
            "TOGETHERAI_API_KEY",
            "TOGETHER_AI_API_BASE",
        ),
        (
            Wire::OpenAi,
            "hosted_vllm/qwen3",
            "HOSTED_VLLM_API_KEY",
            "HOSTED_VLLM_API_BASE",
        ),
    ] {
        let server = ProviderServer::start(wire, |question: &Question<'_>| {
            format!("key={}", question.key().trim_start_matches("Bearer "))
        })
        .await
        .unwrap();
        let url = server.base_url();
        let said = tokio::task::spawn_blocking(move || {
            // A proxy cannot reach this machine's own loopback, and is not asked to.
            let proxy = ("http_proxy", "http://127.0.0.1:9");
            say(
                model,
                &[(key, "sk-env\n"), (base, &url), ("CHILD_ASKS", "1"), proxy],
            )
        })
        .await
        .unwrap();
        assert_eq!(said, "answered: key=sk-env", "{model}");
    }
    let server = ProviderServer::start(Wire::OpenAi, |_: &_| "hello")
        .await
        .unwrap();
    let url = server.base_url();
    let said = tokio::task::spawn_blocking(move || {
        say(
            "openai/gpt-4",
            &[("OPENAI_BASE_URL", &url), ("CHILD_ASKS", "1")],
        )
    })
    .await
    .unwrap();
    assert_eq!(
        said, "answered: hello",
        "a server that stands in needs no key"
    );
    assert_eq!(server.books().without_key, 1);
}

#[test]
fn without_certificates_plain_http_still_works() {
    let said = say(
        "hosted_vllm/qwen3",
        &[
            ("SSL_CERT_FILE", "/nonexistent"),
            ("SSL_CERT_DIR", "/nonexistent"),
            ("HOSTED_VLLM_API_BASE", "http://192.0.2.1:9/v1"),
        ],
    );
    assert!(said.starts_with("made"), "{said}");
}
