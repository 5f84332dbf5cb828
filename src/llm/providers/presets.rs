//! Providers that speak OpenAI's chat format, as data: adding one is a row here and a test case.
//!
//! Prefixes and environment variables are LiteLLM's where it has them, since people's files and shells hold
//! them (`get_llm_provider_logic.py` and `docs.litellm.ai/docs/set_keys`). One error table (`openai/error.rs`) serves
//! all rows: no two of them use the same word for different things.

use crate::llm::OutputMode;
use crate::llm::OutputMode::{Json, Schema, Strict, Tool};
use crate::schema::Dialect;

/// What a provider of OpenAI's chat format is called, where it is, and how it differs.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Preset {
    /// The prefix of its models' names.
    pub name: &'static str,
    /// Where it is, unless it is wherever the user runs it.
    pub base_url: Option<&'static str>,
    /// The environment variables that move it elsewhere, the first one that is set winning.
    pub base_url_variables: &'static [&'static str],
    /// The environment variables that hold the key, the first one that is set winning.
    pub key_variables: &'static [&'static str],
    /// Whether it serves nobody without a key.
    pub needs_key: bool,
    pub(super) auth: Auth,
    pub(super) path: Path,
    pub(super) output: &'static [(&'static str, &'static [OutputMode])],
    pub(super) dialect: Dialect,
    pub(super) output_limit: OutputLimit,
    /// Prefixes of models that refuse `temperature`.
    pub(super) no_temperature: &'static [&'static str],
    /// Prefixes of models whose prompt cache has to be asked for with `cache_control` marks.
    pub(super) cache_marks: &'static [&'static str],
    pub(super) prompt_cache_key: bool,
    /// Whether to ask only for backends that know every parameter, where structured output depends on it.
    pub(super) require_parameters: bool,
}

/// How the key is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Auth {
    Bearer,
    ApiKey,
}

/// Where below the base URL the chat is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    /// `chat/completions`.
    Plain,
    /// The same below `v1`, which users of the server leave out of its base URL.
    BelowV1,
    /// Azure's: by deployment where an `api-version` is given, else the undated v1.
    Azure,
}

/// What `max_tokens` is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OutputLimit {
    MaxTokens,
    /// `max_completion_tokens`, which OpenAI's reasoning models insist on and its others take too. Servers that
    /// stand in for it under another base URL often know only the old name and ignore the new one (Ollama's
    /// `openai.go` has no such field), so there the new one goes to reasoning models alone.
    MaxCompletionTokens,
}

impl Preset {
    /// Returns the ways of asking this model for structured output, best first.
    pub(super) fn output_modes(&self, model: &str) -> &'static [OutputMode] {
        self.output
            .iter()
            .find(|(prefix, _)| model.starts_with(prefix))
            .map_or(&[], |(_, modes)| modes)
    }

    /// Returns whether the model is one that refuses `temperature`.
    pub(super) fn refuses_temperature(&self, model: &str) -> bool {
        starts_with_one_of(model, self.no_temperature)
    }

    /// Returns whether the model's prompt cache has to be asked for.
    pub(super) fn wants_cache_marks(&self, model: &str) -> bool {
        starts_with_one_of(model, self.cache_marks)
    }
}

fn starts_with_one_of(model: &str, prefixes: &[&str]) -> bool {
    prefixes.iter().any(|prefix| model.starts_with(prefix))
}

/// Returns the table.
#[must_use]
pub fn presets() -> &'static [Preset] {
    &PRESETS
}

/// Returns the row of this name.
pub(in crate::llm) fn preset(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

const ANY: &str = "";

/// Models of OpenAI that reason before they answer. They refuse `temperature` other than 1 (gpt-5.1 and later take
/// it with reasoning switched off) and `max_tokens`: <https://platform.openai.com/docs/guides/reasoning>.
pub(super) const OPENAI_REASONING: &[&str] = &["o1", "o3", "o4", "gpt-5"];

/// `json_schema` came with gpt-4o, `json_object` with gpt-4-turbo; gpt-4 itself knows tools only:
/// <https://platform.openai.com/docs/guides/structured-outputs#supported-models>.
const OPENAI_OUTPUT: &[(&str, &[OutputMode])] = &[
    ("gpt-4o", &[Strict, Schema, Tool, Json]),
    ("gpt-4.", &[Strict, Schema, Tool, Json]),
    ("gpt-4-turbo", &[Tool, Json]),
    ("gpt-4-1106", &[Tool, Json]),
    ("gpt-4-0125", &[Tool, Json]),
    ("gpt-4", &[Tool]),
    ("gpt-3.5", &[Tool, Json]),
    (ANY, &[Strict, Schema, Tool, Json]),
];

/// What most rows have; a row below says where it differs.
const USUAL: Preset = Preset {
    name: "",
    base_url: None,
    base_url_variables: &[],
    key_variables: &[],
    needs_key: true,
    auth: Auth::Bearer,
    path: Path::Plain,
    output: &[(ANY, &[Schema, Tool, Json])],
    dialect: Dialect::OpenAiStrict,
    output_limit: OutputLimit::MaxTokens,
    no_temperature: &[],
    cache_marks: &[],
    prompt_cache_key: false,
    require_parameters: false,
};

/// A server known only by its base URL: asked as most are, in the dialect that works nearly everywhere.
pub(super) const COMPATIBLE: Preset = Preset {
    needs_key: false,
    ..USUAL
};

static PRESETS: [Preset; 14] = [
    Preset {
        name: "openai",
        base_url: Some("https://api.openai.com/v1"),
        base_url_variables: &["OPENAI_BASE_URL", "OPENAI_API_BASE"],
        key_variables: &["OPENAI_API_KEY"],
        output: OPENAI_OUTPUT,
        output_limit: OutputLimit::MaxCompletionTokens,
        no_temperature: OPENAI_REASONING,
        prompt_cache_key: true,
        ..USUAL
    },
    // The header and both paths: learn.microsoft.com, "Azure OpenAI in Microsoft Foundry Models v1 API"; a model is
    // called by its deployment's name, so the lists of models fit only where that is the model's own.
    Preset {
        name: "azure",
        base_url_variables: &["AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"],
        key_variables: &["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"],
        auth: Auth::ApiKey,
        path: Path::Azure,
        output: OPENAI_OUTPUT,
        dialect: Dialect::Azure,
        output_limit: OutputLimit::MaxCompletionTokens,
        no_temperature: OPENAI_REASONING,
        ..USUAL
    },
    // `require_parameters`: openrouter.ai/docs/features/provider-routing; marks: openrouter.ai/docs/features/prompt-caching.
    Preset {
        name: "openrouter",
        base_url: Some("https://openrouter.ai/api/v1"),
        base_url_variables: &["OPENROUTER_API_BASE"],
        key_variables: &["OPENROUTER_API_KEY"],
        output: &[(ANY, &[Strict, Schema, Tool, Json])],
        no_temperature: &["openai/o1", "openai/o3", "openai/o4", "openai/gpt-5"],
        cache_marks: &["anthropic/"],
        require_parameters: true,
        ..USUAL
    },
    // Enforced on gpt-oss only: console.groq.com/docs/structured-outputs.
    Preset {
        name: "groq",
        base_url: Some("https://api.groq.com/openai/v1"),
        base_url_variables: &["GROQ_API_BASE"],
        key_variables: &["GROQ_API_KEY"],
        output: &[
            ("openai/gpt-oss", &[Strict, Schema, Tool, Json]),
            (ANY, &[Schema, Tool, Json]),
        ],
        dialect: Dialect::Groq,
        ..USUAL
    },
    Preset {
        name: "mistral",
        base_url: Some("https://api.mistral.ai/v1"),
        base_url_variables: &["MISTRAL_API_BASE"],
        key_variables: &["MISTRAL_API_KEY"],
        output: &[(ANY, &[Strict, Schema, Tool, Json])],
        dialect: Dialect::Mistral,
        ..USUAL
    },
    // No `json_schema`; the thinking model refuses a forced tool: api-docs.deepseek.com/guides/json_mode,
    // crewAIInc/crewAI#6191.
    Preset {
        name: "deepseek",
        base_url: Some("https://api.deepseek.com"),
        base_url_variables: &["DEEPSEEK_API_BASE"],
        key_variables: &["DEEPSEEK_API_KEY"],
        output: &[("deepseek-reasoner", &[Json]), (ANY, &[Tool, Json])],
        ..USUAL
    },
    Preset {
        name: "together_ai",
        base_url: Some("https://api.together.xyz/v1"),
        base_url_variables: &["TOGETHER_AI_API_BASE"],
        key_variables: &[
            "TOGETHER_API_KEY",
            "TOGETHER_AI_API_KEY",
            "TOGETHERAI_API_KEY",
        ],
        output: &[(ANY, &[Schema, Json])],
        ..USUAL
    },
    Preset {
        name: "fireworks_ai",
        base_url: Some("https://api.fireworks.ai/inference/v1"),
        base_url_variables: &["FIREWORKS_API_BASE"],
        key_variables: &[
            "FIREWORKS_API_KEY",
            "FIREWORKS_AI_API_KEY",
            "FIREWORKSAI_API_KEY",
        ],
        ..USUAL
    },
    Preset {
        name: "xai",
        base_url: Some("https://api.x.ai/v1"),
        base_url_variables: &["XAI_API_BASE"],
        key_variables: &["XAI_API_KEY"],
        output: &[(ANY, &[Strict, Schema, Tool, Json])],
        ..USUAL
    },
    // No forced tool: ollama's `openai.go` has no `tool_choice`.
    Preset {
        name: "ollama",
        base_url: Some("http://localhost:11434/v1"),
        base_url_variables: &["OLLAMA_API_BASE"],
        key_variables: &["OLLAMA_API_KEY"],
        needs_key: false,
        path: Path::BelowV1,
        output: &[(ANY, &[Schema, Json])],
        dialect: Dialect::LlamaCpp,
        ..USUAL
    },
    Preset {
        name: "hosted_vllm",
        base_url: Some("http://localhost:8000/v1"),
        base_url_variables: &["HOSTED_VLLM_API_BASE"],
        key_variables: &["HOSTED_VLLM_API_KEY"],
        needs_key: false,
        dialect: Dialect::Vllm,
        ..USUAL
    },
    Preset {
        name: "llama.cpp",
        base_url: Some("http://localhost:8080/v1"),
        base_url_variables: &["LLAMA_CPP_API_BASE", "LLAMAFILE_API_BASE"],
        key_variables: &["LLAMA_CPP_API_KEY", "LLAMA_API_KEY"],
        needs_key: false,
        path: Path::BelowV1,
        output: &[(ANY, &[Schema, Json])],
        dialect: Dialect::LlamaCpp,
        ..USUAL
    },
    // `json_object` is refused: lmstudio.ai/docs/app/api/structured-output, lmstudio-bug-tracker#189.
    Preset {
        name: "lm_studio",
        base_url: Some("http://localhost:1234/v1"),
        base_url_variables: &["LM_STUDIO_API_BASE"],
        key_variables: &["LM_STUDIO_API_KEY"],
        needs_key: false,
        output: &[(ANY, &[Schema])],
        dialect: Dialect::LlamaCpp,
        ..USUAL
    },
    Preset {
        name: "nvidia_nim",
        base_url: Some("https://integrate.api.nvidia.com/v1"),
        base_url_variables: &["NVIDIA_NIM_API_BASE"],
        key_variables: &["NVIDIA_NIM_API_KEY"],
        dialect: Dialect::Vllm,
        ..USUAL
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_row_is_complete() {
        let mut names = HashSet::new();
        for preset in presets() {
            assert!(names.insert(preset.name), "{} is there twice", preset.name);
            assert!(!preset.key_variables.is_empty(), "{}", preset.name);
            assert!(!preset.base_url_variables.is_empty(), "{}", preset.name);
            assert!(!preset.output_modes("any").is_empty(), "{}", preset.name);
            if let Some(url) = preset.base_url {
                assert!(!url.ends_with('/'), "{}", preset.name);
                let local = url.starts_with("http://localhost:");
                assert!(local || url.starts_with("https://"), "{}", preset.name);
                assert_eq!(local, !preset.needs_key, "{}", preset.name);
            }
        }
    }

    #[test]
    fn old_models_are_not_asked_for_what_they_never_learned() {
        let openai = preset("openai").unwrap();
        assert_eq!(openai.output_modes("gpt-4"), [Tool]);
        assert_eq!(openai.output_modes("gpt-4-turbo"), [Tool, Json]);
        assert_eq!(openai.output_modes("gpt-4o-mini")[0], Strict);
        assert_eq!(openai.output_modes("gpt-4.1")[0], Strict);
        assert_eq!(openai.output_modes("gpt-7")[0], Strict);
        assert!(openai.refuses_temperature("gpt-5-mini"));
        assert!(!openai.refuses_temperature("gpt-4o"));
    }
}
