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
    /// Environment variables that move it elsewhere, before those that every provider has.
    pub(super) base_url_variables: &'static [&'static str],
    /// Environment variables that hold the key, before the one that every provider has.
    pub(super) key_variables: &'static [&'static str],
    /// Whether it serves nobody without a key.
    pub needs_key: bool,
    pub(super) auth: Auth,
    pub(super) path: Path,
    pub(super) output: &'static [(&'static str, &'static [OutputMode])],
    pub(super) dialect: Dialect,
    pub(super) output_limit: OutputLimit,
    /// What stands before the name of a model of OpenAI's, which is what tells a reasoning one; `None` where none are served.
    pub(super) openai_prefix: Option<&'static str>,
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
    /// The same below `openai`, beside the provider's own format.
    BesideOwn,
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

    /// Returns the environment variables that move it elsewhere, the first one that is set winning.
    #[must_use]
    pub fn base_url_variables(&self) -> Vec<String> {
        base_url_variables(self.base_url_variables, self.name)
    }

    /// Returns the environment variables that hold the key, the first one that is set winning.
    #[must_use]
    pub fn key_variables(&self) -> Vec<String> {
        key_variables(self.key_variables, self.name)
    }

    /// Returns whether the model is one of OpenAI's that reason before they answer, and so refuse `temperature` and
    /// `max_tokens`.
    pub(super) fn reasons(&self, model: &str) -> bool {
        self.openai_prefix
            .and_then(|prefix| model.strip_prefix(prefix))
            .is_some_and(is_openai_reasoning)
    }

    /// Returns whether the model's prompt cache has to be asked for.
    pub(super) fn wants_cache_marks(&self, model: &str) -> bool {
        self.cache_marks
            .iter()
            .any(|prefix| model.starts_with(prefix))
    }
}

/// Returns the variables that may hold a provider's base URL: its own, and then `NAME_API_BASE` and `NAME_BASE_URL`.
pub(in crate::llm) fn base_url_variables(own: &[&str], provider: &str) -> Vec<String> {
    variables(own, provider, &["API_BASE", "BASE_URL"])
}

/// Returns the variables that may hold a provider's key: its own, and then `NAME_API_KEY`.
pub(super) fn key_variables(own: &[&str], provider: &str) -> Vec<String> {
    variables(own, provider, &["API_KEY"])
}

fn variables(own: &[&str], provider: &str, ends: &[&str]) -> Vec<String> {
    let plain = |letter: char| match letter.to_ascii_uppercase() {
        letter if letter.is_ascii_alphanumeric() => letter,
        _ => '_',
    };
    let name: String = provider.chars().map(plain).collect();
    let mut all: Vec<String> = own.iter().map(|own| (*own).to_owned()).collect();
    for end in ends {
        let variable = format!("{name}_{end}");
        if !all.contains(&variable) {
            all.push(variable);
        }
    }
    all
}

/// Tells OpenAI's models that reason before they answer by family and version: `o1` and later, `gpt-5` and later. They
/// refuse `temperature` other than 1 (gpt-5.1 and later take it with reasoning switched off) and `max_tokens`:
/// <https://platform.openai.com/docs/guides/reasoning>.
fn is_openai_reasoning(model: &str) -> bool {
    let version = |rest: &str| -> Option<u32> {
        let end = rest.find(|letter: char| !letter.is_ascii_digit());
        rest[..end.unwrap_or(rest.len())].parse().ok()
    };
    if let Some(rest) = model.strip_prefix("gpt-") {
        return version(rest).is_some_and(|version| version >= 5);
    }
    model.strip_prefix('o').and_then(version).is_some()
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
    openai_prefix: None,
    cache_marks: &[],
    prompt_cache_key: false,
    require_parameters: false,
};

/// Ollama's own variable, which names what its server listens to.
pub(super) const OLLAMA_HOST: &str = "OLLAMA_HOST";

/// A server known only by its base URL: asked as most are, in the dialect that works nearly everywhere.
pub(super) const COMPATIBLE: Preset = Preset {
    needs_key: false,
    ..USUAL
};

/// A row of a provider that is asked as most are.
const fn hosted(
    name: &'static str,
    base_url: &'static str,
    key_variables: &'static [&'static str],
) -> Preset {
    Preset {
        name,
        base_url: Some(base_url),
        key_variables,
        ..USUAL
    }
}

/// A row of a server on one's own machine.
const fn local(name: &'static str, base_url: &'static str) -> Preset {
    Preset {
        name,
        base_url: Some(base_url),
        needs_key: false,
        ..USUAL
    }
}

static PRESETS: [Preset; 59] = [
    Preset {
        base_url_variables: &["OPENAI_BASE_URL"],
        output: OPENAI_OUTPUT,
        output_limit: OutputLimit::MaxCompletionTokens,
        openai_prefix: Some(""),
        prompt_cache_key: true,
        ..hosted("openai", "https://api.openai.com/v1", &[])
    },
    // The header and both paths: learn.microsoft.com, "Azure OpenAI in Microsoft Foundry Models v1 API"; a model is
    // called by its deployment's name, so what is known of models fits only where that is the model's own.
    Preset {
        name: "azure",
        base_url_variables: &["AZURE_API_BASE", "AZURE_OPENAI_ENDPOINT"],
        key_variables: &["AZURE_API_KEY", "AZURE_OPENAI_API_KEY"],
        auth: Auth::ApiKey,
        path: Path::Azure,
        output: OPENAI_OUTPUT,
        dialect: Dialect::Azure,
        output_limit: OutputLimit::MaxCompletionTokens,
        openai_prefix: Some(""),
        ..USUAL
    },
    // Models of others in Foundry: learn.microsoft.com, "Azure AI Model Inference REST API".
    Preset {
        name: "azure_ai",
        auth: Auth::ApiKey,
        ..USUAL
    },
    // `require_parameters`: openrouter.ai/docs/features/provider-routing; marks: openrouter.ai/docs/features/prompt-caching.
    Preset {
        output: &[(ANY, &[Strict, Schema, Tool, Json])],
        openai_prefix: Some("openai/"),
        cache_marks: &["anthropic/"],
        require_parameters: true,
        ..hosted("openrouter", "https://openrouter.ai/api/v1", &[])
    },
    // Enforced on gpt-oss only: console.groq.com/docs/structured-outputs.
    Preset {
        output: &[
            ("openai/gpt-oss", &[Strict, Schema, Tool, Json]),
            (ANY, &[Schema, Tool, Json]),
        ],
        dialect: Dialect::Groq,
        ..hosted("groq", "https://api.groq.com/openai/v1", &[])
    },
    Preset {
        output: &[(ANY, &[Strict, Schema, Tool, Json])],
        dialect: Dialect::Mistral,
        ..hosted("mistral", "https://api.mistral.ai/v1", &[])
    },
    Preset {
        output: &[(ANY, &[Strict, Schema, Tool, Json])],
        dialect: Dialect::Mistral,
        ..hosted("codestral", "https://codestral.mistral.ai/v1", &[])
    },
    // No `json_schema`; the thinking model refuses a forced tool: api-docs.deepseek.com/guides/json_mode,
    // crewAIInc/crewAI#6191.
    Preset {
        output: &[("deepseek-reasoner", &[Json]), (ANY, &[Tool, Json])],
        ..hosted("deepseek", "https://api.deepseek.com", &[])
    },
    Preset {
        output: &[(ANY, &[Schema, Json])],
        ..hosted(
            "together_ai",
            "https://api.together.xyz/v1",
            &[
                "TOGETHER_API_KEY",
                "TOGETHER_AI_API_KEY",
                "TOGETHERAI_API_KEY",
            ],
        )
    },
    Preset {
        base_url_variables: &["FIREWORKS_API_BASE"],
        ..hosted(
            "fireworks_ai",
            "https://api.fireworks.ai/inference/v1",
            &[
                "FIREWORKS_API_KEY",
                "FIREWORKS_AI_API_KEY",
                "FIREWORKSAI_API_KEY",
            ],
        )
    },
    Preset {
        output: &[(ANY, &[Strict, Schema, Tool, Json])],
        ..hosted("xai", "https://api.x.ai/v1", &[])
    },
    // Tools are not forced: docs.perplexity.ai/guides/structured-outputs.
    Preset {
        output: &[(ANY, &[Schema])],
        ..hosted(
            "perplexity",
            "https://api.perplexity.ai",
            &["PERPLEXITYAI_API_KEY", "PERPLEXITY_API_KEY"],
        )
    },
    hosted("ai21", "https://api.ai21.com/studio/v1", &[]),
    hosted("aiml", "https://api.aimlapi.com/v1", &[]),
    hosted("baseten", "https://inference.baseten.co/v1", &[]),
    // docs.aws.amazon.com/bedrock: "Invoke a model with the OpenAI Chat Completions API".
    hosted(
        "bedrock",
        "https://bedrock-runtime.{AWS_REGION_NAME|AWS_REGION|AWS_DEFAULT_REGION}.amazonaws.com/openai/v1",
        &["AWS_BEARER_TOKEN_BEDROCK"],
    ),
    hosted("cerebras", "https://api.cerebras.ai/v1", &[]),
    hosted("chutes", "https://llm.chutes.ai/v1", &[]),
    // developers.cloudflare.com/workers-ai/configuration/open-ai-compatibility.
    hosted(
        "cloudflare",
        "https://api.cloudflare.com/client/v4/accounts/{CLOUDFLARE_ACCOUNT_ID}/ai/v1",
        &["CLOUDFLARE_API_KEY", "CLOUDFLARE_API_TOKEN"],
    ),
    // docs.cohere.com/docs/compatibility-api.
    hosted(
        "cohere",
        "https://api.cohere.ai/compatibility/v1",
        &["COHERE_API_KEY", "CO_API_KEY"],
    ),
    hosted("cometapi", "https://api.cometapi.com/v1", &[]),
    hosted(
        "dashscope",
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1",
        &[],
    ),
    // A workspace's own: `https://HOST/serving-endpoints`.
    Preset {
        name: "databricks",
        key_variables: &["DATABRICKS_API_KEY", "DATABRICKS_TOKEN"],
        ..USUAL
    },
    hosted("deepinfra", "https://api.deepinfra.com/v1/openai", &[]),
    hosted("featherless_ai", "https://api.featherless.ai/v1", &[]),
    hosted(
        "friendliai",
        "https://api.friendli.ai/serverless/v1",
        &["FRIENDLIAI_API_KEY", "FRIENDLI_TOKEN"],
    ),
    // docs.github.com/rest/models/inference.
    Preset {
        openai_prefix: Some("openai/"),
        ..hosted(
            "github",
            "https://models.github.ai/inference",
            &["GITHUB_API_KEY", "GITHUB_TOKEN"],
        )
    },
    hosted("gradient_ai", "https://inference.do-ai.run/v1", &[]),
    // huggingface.co/docs/inference-providers.
    hosted(
        "huggingface",
        "https://router.huggingface.co/v1",
        &["HUGGINGFACE_API_KEY", "HF_TOKEN"],
    ),
    hosted("hyperbolic", "https://api.hyperbolic.xyz/v1", &[]),
    hosted("inception", "https://api.inceptionlabs.ai/v1", &[]),
    hosted("lambda_ai", "https://api.lambda.ai/v1", &["LAMBDA_API_KEY"]),
    Preset {
        base_url_variables: &["LLAMA_API_BASE"],
        ..hosted(
            "meta_llama",
            "https://api.llama.com/compat/v1",
            &["LLAMA_API_KEY"],
        )
    },
    hosted("minimax", "https://api.minimax.io/v1", &[]),
    hosted("moonshot", "https://api.moonshot.ai/v1", &[]),
    hosted("morph", "https://api.morphllm.com/v1", &[]),
    hosted(
        "nano-gpt",
        "https://nano-gpt.com/api/v1",
        &["NANOGPT_API_KEY"],
    ),
    hosted("nebius", "https://api.studio.nebius.ai/v1", &[]),
    hosted("novita", "https://api.novita.ai/v3/openai", &[]),
    hosted("nscale", "https://inference.api.nscale.com/v1", &[]),
    Preset {
        dialect: Dialect::Vllm,
        ..hosted("nvidia_nim", "https://integrate.api.nvidia.com/v1", &[])
    },
    hosted(
        "ovhcloud",
        "https://oai.endpoints.kepler.ai.cloud.ovh.net/v1",
        &[],
    ),
    hosted("poe", "https://api.poe.com/v1", &[]),
    hosted("sambanova", "https://api.sambanova.ai/v1", &[]),
    hosted(
        "scaleway",
        "https://api.scaleway.ai/v1",
        &["SCW_SECRET_KEY"],
    ),
    hosted("v0", "https://api.v0.dev/v1", &[]),
    Preset {
        openai_prefix: Some("openai/"),
        ..hosted(
            "vercel_ai_gateway",
            "https://ai-gateway.vercel.sh/v1",
            &["VERCEL_AI_GATEWAY_API_KEY", "AI_GATEWAY_API_KEY"],
        )
    },
    // The key is an access token: cloud.google.com/vertex-ai/generative-ai/docs/start/openai.
    hosted(
        "vertex_ai",
        "https://{VERTEXAI_LOCATION|VERTEX_LOCATION}-aiplatform.googleapis.com/v1/projects/{VERTEXAI_PROJECT|GOOGLE_CLOUD_PROJECT}/locations/{VERTEXAI_LOCATION|VERTEX_LOCATION}/endpoints/openapi",
        &["VERTEXAI_ACCESS_TOKEN"],
    ),
    hosted(
        "volcengine",
        "https://ark.cn-beijing.volces.com/api/v3",
        &["VOLCENGINE_API_KEY", "ARK_API_KEY"],
    ),
    hosted("wandb", "https://api.inference.wandb.ai/v1", &[]),
    hosted("zai", "https://api.z.ai/api/paas/v4", &[]),
    // No forced tool: ollama's `openai.go` has no `tool_choice`.
    Preset {
        base_url_variables: &["OLLAMA_API_BASE", "OLLAMA_BASE_URL", OLLAMA_HOST],
        path: Path::BelowV1,
        output: &[(ANY, &[Schema, Json])],
        dialect: Dialect::LlamaCpp,
        ..local("ollama", "http://localhost:11434/v1")
    },
    Preset {
        dialect: Dialect::Vllm,
        ..local("hosted_vllm", "http://localhost:8000/v1")
    },
    local("sglang", "http://localhost:30000/v1"),
    Preset {
        base_url_variables: &["LLAMA_CPP_API_BASE", "LLAMAFILE_API_BASE"],
        key_variables: &["LLAMA_CPP_API_KEY", "LLAMA_API_KEY"],
        path: Path::BelowV1,
        output: &[(ANY, &[Schema, Json])],
        dialect: Dialect::LlamaCpp,
        ..local("llama.cpp", "http://localhost:8080/v1")
    },
    // `json_object` is refused: lmstudio.ai/docs/app/api/structured-output, lmstudio-bug-tracker#189.
    Preset {
        output: &[(ANY, &[Schema])],
        dialect: Dialect::LlamaCpp,
        ..local("lm_studio", "http://localhost:1234/v1")
    },
    local("litellm_proxy", "http://localhost:4000"),
    local("docker_model_runner", "http://localhost:12434/engines/v1"),
    local("xinference", "http://localhost:9997/v1"),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::llm::price::PriceTable;
    use std::collections::HashSet;

    #[test]
    fn every_row_is_complete() {
        let mut names = HashSet::new();
        for preset in presets() {
            assert!(names.insert(preset.name), "{} is there twice", preset.name);
            assert!(!preset.key_variables().is_empty(), "{}", preset.name);
            assert!(!preset.output_modes("any").is_empty(), "{}", preset.name);
            if let Some(url) = preset.base_url {
                assert!(!url.ends_with('/'), "{}", preset.name);
                let local = url.starts_with("http://localhost:");
                assert!(local || url.starts_with("https://"), "{}", preset.name);
                assert_eq!(local, !preset.needs_key, "{}", preset.name);
                // What runs on this machine costs nothing, unless it hands on.
                let model = format!("{}/any", preset.name);
                let is_free = PriceTable::known().get(&model).is_some();
                let hands_on = preset.name == "litellm_proxy";
                assert_eq!(is_free, local && !hands_on, "{}", preset.name);
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
    }

    #[test]
    fn models_that_reason_are_told_by_family_and_version() {
        let openai = preset("openai").unwrap();
        for model in ["gpt-5-mini", "gpt-6.2-sol", "gpt-10", "o1", "o3-mini", "o7"] {
            assert!(openai.reasons(model), "{model}");
        }
        for model in [
            "gpt-4o",
            "gpt-4.1",
            "gpt-3.5-turbo",
            "gpt-oss-20b",
            "omni",
            "chatgpt-4o-latest",
        ] {
            assert!(!openai.reasons(model), "{model}");
        }
        let router = preset("openrouter").unwrap();
        assert!(router.reasons("openai/gpt-6") && !router.reasons("gpt-6"));
    }

    #[test]
    fn every_provider_has_variables_of_its_name() {
        let groq = preset("groq").unwrap();
        assert_eq!(
            groq.base_url_variables(),
            ["GROQ_API_BASE", "GROQ_BASE_URL"]
        );
        assert_eq!(groq.key_variables(), ["GROQ_API_KEY"]);
        let own = base_url_variables(&[], "my.house-1");
        assert_eq!(own, ["MY_HOUSE_1_API_BASE", "MY_HOUSE_1_BASE_URL"]);
    }
}
