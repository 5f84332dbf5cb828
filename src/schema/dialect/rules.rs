//! What each dialect accepts, as data. The source of each fact stands beside it.

use serde_json::Value;

use super::Dialect;

/// What a provider's structured output accepts of JSON Schema.
#[derive(Debug)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "a table of independent facts, one row per dialect"
)]
pub(super) struct Rules {
    /// Whether the schema is sent as the caller wrote it.
    pub verbatim: bool,
    /// Whether every property must be listed in `required`.
    pub all_required: bool,
    /// Whether an object may have keys that are not listed, described by `additionalProperties`.
    pub maps: bool,
    /// Whether `$ref` to `$defs` is accepted where there is no recursion.
    pub references: bool,
    /// Whether a schema may refer to itself.
    pub recursion: bool,
    /// Whether the root may be something other than one object.
    pub any_root: bool,
    /// Whether `type` may be a list. Otherwise null is an alternative of its own.
    pub type_lists: bool,
    /// Whether listed values may be texts and numbers only, none of them empty.
    pub plain_enums: bool,
    /// Whether a list may have a type per position.
    pub tuples: bool,
    /// Whether a value may be anything at all (`{}`).
    pub anything: bool,
    /// Whether objects that are alternatives must differ in their first key, or in its values.
    pub distinct_first_keys: bool,
    /// Whether `propertyOrdering` is sent, without which properties come sorted.
    pub ordering: bool,
    /// Constraints that the provider enforces. `format` and `minItems` have rules of their own.
    pub keywords: &'static [&'static str],
    /// Formats that the provider enforces.
    pub formats: &'static [&'static str],
    /// The largest `minItems` accepted.
    pub min_items: u64,
    /// Whether bounds hold for integers only.
    pub integer_bounds_only: bool,
    /// Whether a pattern must be anchored at both ends.
    pub anchored_patterns: bool,
    /// Whether a pattern may not stand beside a length.
    pub pattern_or_length: bool,
    pub limits: Limits,
}

/// Counts above which a provider refuses a schema. `None` where it documents none.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Properties of all objects together.
    pub properties: Option<usize>,
    /// Objects inside objects, the root being the first.
    pub depth: Option<usize>,
    /// Characters of property names, definition names and enum values together.
    pub name_chars: Option<usize>,
    /// Values of all enums together.
    pub enum_values: Option<usize>,
    /// An enum with more values than the first may have no more characters than the second.
    pub long_enum: Option<(usize, usize)>,
    /// Properties that may be left out.
    pub optional: Option<usize>,
    /// Properties and items with alternatives.
    pub unions: Option<usize>,
}

const UNLIMITED: Limits = Limits {
    properties: None,
    depth: None,
    name_chars: None,
    enum_values: None,
    long_enum: None,
    optional: None,
    unions: None,
};

/// OpenAI, "Structured Outputs: supported schemas", as of February 2026 (collected in
/// UnitVectorY-Labs/jsonschemaprofiles, docs/OPENAI.md). Lengths are left out: pydantic-ai's
/// `profiles/openai.py` treats `minLength` and `maxLength` as incompatible.
const OPENAI_STRICT: Rules = Rules {
    verbatim: false,
    all_required: true,
    maps: false,
    references: true,
    recursion: true,
    any_root: false,
    type_lists: true,
    plain_enums: false,
    tuples: false,
    anything: false,
    // "Objects provided via 'anyOf' must not share identical first keys", says a 400 reported by users.
    distinct_first_keys: true,
    ordering: false,
    keywords: &[
        "pattern",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "multipleOf",
        "minItems",
        "maxItems",
    ],
    formats: &[
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "ipv4",
        "ipv6",
        "uuid",
    ],
    min_items: u64::MAX,
    integer_bounds_only: false,
    anchored_patterns: false,
    pattern_or_length: false,
    limits: Limits {
        properties: Some(5_000),
        depth: Some(10),
        name_chars: Some(120_000),
        enum_values: Some(1_000),
        long_enum: Some((250, 15_000)),
        ..UNLIMITED
    },
};

/// learn.microsoft.com, "Structured outputs" for Azure OpenAI: the limits of older API versions, because
/// which ones hold depends on the deployment, and without the type-specific keywords, which that page lists as
/// unsupported.
const AZURE: Rules = Rules {
    keywords: &[],
    formats: &[],
    min_items: 0,
    limits: Limits {
        properties: Some(100),
        depth: Some(5),
        enum_values: Some(500),
        ..OPENAI_STRICT.limits
    },
    ..OPENAI_STRICT
};

/// anthropic-sdk-python `lib/_parse/_transform.py` (formats, `minItems`, what moves to the description);
/// recursion and the compiled-grammar errors from Anthropic's documentation; 16 unions and 24 optional
/// properties as reported in alphaXiv/agents #49. A null beside an enum is an alternative of its own, since
/// the SDK takes no null among enum values.
const ANTHROPIC: Rules = Rules {
    all_required: false,
    distinct_first_keys: false,
    recursion: false,
    type_lists: false,
    keywords: &["minItems"],
    formats: &[
        "date-time",
        "time",
        "date",
        "duration",
        "email",
        "hostname",
        "uri",
        "ipv4",
        "ipv6",
        "uuid",
    ],
    min_items: 1,
    limits: Limits {
        optional: Some(24),
        unions: Some(16),
        ..UNLIMITED
    },
    ..OPENAI_STRICT
};

/// Google, "Structured output: JSON Schema support", 26 February 2026 (collected in
/// UnitVectorY-Labs/jsonschemaprofiles, docs/GEMINI.md). `$ref` came in November 2025, with recursion unrolled to
/// an undocumented depth, so references are written out and recursion is refused. Models before 2.5 order
/// properties only by `propertyOrdering`. The page knows `enum` for texts and numbers alone, and 400s reported by users
/// (`enum[3]: cannot be empty`) say the same, so that null is an alternative beside it.
const GEMINI: Rules = Rules {
    all_required: false,
    distinct_first_keys: false,
    plain_enums: true,
    maps: true,
    references: false,
    recursion: false,
    tuples: true,
    ordering: true,
    keywords: &["minimum", "maximum", "minItems", "maxItems"],
    formats: &["date-time", "date", "time"],
    limits: UNLIMITED,
    ..OPENAI_STRICT
};

/// llama.cpp `grammars/README.md` and its schema converter: bounds for integers only, patterns anchored at
/// both ends, nested `$ref` and `prefixItems` weak, everything else skipped without a word.
/// Ollama hands its `format` to the same converter.
const LLAMA_CPP: Rules = Rules {
    all_required: false,
    distinct_first_keys: false,
    maps: true,
    references: false,
    any_root: true,
    anything: true,
    keywords: &[
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "exclusiveMaximum",
        "minItems",
        "maxItems",
    ],
    formats: &["date-time", "date", "time", "uuid"],
    integer_bounds_only: true,
    anchored_patterns: true,
    pattern_or_length: true,
    limits: UNLIMITED,
    ..OPENAI_STRICT
};

/// vLLM's list of what its default backend (xgrammar) cannot do: `multipleOf`, `uniqueItems`, `contains`,
/// `propertyNames`, `patternProperties`, unknown formats, a pattern together with a length.
const VLLM: Rules = Rules {
    all_required: false,
    distinct_first_keys: false,
    maps: true,
    any_root: true,
    tuples: true,
    anything: true,
    keywords: LLAMA_CPP.keywords,
    formats: ANTHROPIC.formats,
    pattern_or_length: true,
    limits: UNLIMITED,
    ..OPENAI_STRICT
};

/// mistralai/client-python makes strict schemas the way openai-python does; no limits are documented.
const MISTRAL: Rules = Rules {
    limits: UNLIMITED,
    ..OPENAI_STRICT
};

/// Groq documents OpenAI's strict rules for its strict mode.
const GROQ: Rules = OPENAI_STRICT;

/// Everything is sent as it is. The other rows only tell how the way back is made.
const FULL: Rules = Rules {
    verbatim: true,
    distinct_first_keys: false,
    maps: true,
    any_root: true,
    tuples: true,
    anything: true,
    all_required: false,
    limits: UNLIMITED,
    ..OPENAI_STRICT
};

impl Rules {
    pub(super) fn of(dialect: Dialect) -> &'static Self {
        match dialect {
            Dialect::Full => &FULL,
            Dialect::OpenAiStrict => &OPENAI_STRICT,
            Dialect::Azure => &AZURE,
            Dialect::Anthropic => &ANTHROPIC,
            Dialect::Gemini => &GEMINI,
            Dialect::LlamaCpp => &LLAMA_CPP,
            Dialect::Vllm => &VLLM,
            Dialect::Mistral => &MISTRAL,
            Dialect::Groq => &GROQ,
        }
    }

    /// Returns whether the provider enforces this constraint on a value of this type.
    pub(super) fn enforces(&self, keyword: &str, value: &Value, kind: &str) -> bool {
        match keyword {
            "format" => {
                kind == "string"
                    && value
                        .as_str()
                        .is_some_and(|format| self.formats.contains(&format))
            }
            "minItems" => {
                self.keywords.contains(&keyword)
                    && value.as_u64().is_some_and(|least| least <= self.min_items)
            }
            "pattern" => {
                self.keywords.contains(&keyword)
                    && value.as_str().is_some_and(|pattern| {
                        !self.anchored_patterns
                            || (pattern.starts_with('^') && pattern.ends_with('$'))
                    })
            }
            "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
                self.keywords.contains(&keyword) && !(self.integer_bounds_only && kind == "number")
            }
            _ => self.keywords.contains(&keyword),
        }
    }
}
