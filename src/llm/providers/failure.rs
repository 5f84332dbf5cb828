//! Turns what a provider refused, once classified, into an error that shows nothing it should not.

use std::borrow::Cow;

use serde_json::Value;

use super::body_hint::{BodyHint, Period, TOO_LONG, visit};
use crate::error::{Error, ErrorKind, Retry};
use crate::llm::http::{Reply, announced_limits, retry_hint, wait_for_limits};
use crate::llm::request_parts::{CACHE_MARKS, MAX_COMPLETION_TOKENS, MAX_TOKENS, SYSTEM};
use crate::llm::{ApiKey, ChatRequest, OutputFormat, Role};

/// What a refusal comes down to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What went wrong.
    pub(super) kind: ErrorKind,
    /// What happened, in the library's own words: a provider's message may quote the prompt or the key.
    pub(super) message: &'static str,
}

impl Verdict {
    pub(super) const QUOTA: Self = Self::new(
        ErrorKind::Quota,
        "no credit is left with the provider, or a spending limit is reached",
    );
    pub(super) const FILTER: Self = Self::new(
        ErrorKind::ContentFilter,
        "the provider's content filter stopped the prompt",
    );
    const DAY: Self = Self::new(
        ErrorKind::Quota,
        "the day's quota with the provider is used up",
    );
    const TOO_LARGE: Self = Self::new(
        ErrorKind::ContextLength,
        "one request asks for more tokens than the provider takes in a minute; set max_tokens lower, or ask for fewer records at once",
    );
    const MEMORY: Self = Self::new(
        ErrorKind::BadRequest,
        "the server has too little memory for this model",
    );
    const FAR: Self = Self::new(
        ErrorKind::Quota,
        "a limit of the provider's is reached, which is over later than a run waits",
    );
    pub(super) const CONTEXT: Self = Self::new(
        ErrorKind::ContextLength,
        "the prompt and the asked-for output do not fit into the model's context",
    );
    pub(super) const SCHEMA: Self = Self::new(
        ErrorKind::SchemaRefused,
        "the provider refuses this schema, or this way of asking for structured output",
    );

    pub(super) const fn new(kind: ErrorKind, message: &'static str) -> Self {
        Self { kind, message }
    }
}

/// What a provider says of its refusal, beside the status.
#[derive(Debug, Default)]
pub(super) struct Refusal {
    /// Codes and types, most telling first.
    pub(super) words: Vec<String>,
    /// The parameter at fault, as the provider names it.
    pub(super) parameter: Option<String>,
    /// The message in lower case: looked at, never shown.
    pub(super) message: String,
}

impl Refusal {
    /// Adds a code or type, be it a text or a number.
    pub(super) fn add_word(&mut self, word: Option<&Value>) {
        match word {
            Some(Value::String(word)) if !word.is_empty() => self.words.push(word.clone()),
            Some(Value::Number(word)) => self.words.push(word.to_string()),
            _ => {}
        }
    }

    /// Returns whether one of the codes and types is one of these.
    pub(super) fn says(&self, words: &[&str]) -> bool {
        self.words
            .iter()
            .any(|word| words.iter().any(|known| word.eq_ignore_ascii_case(known)))
    }

    /// Returns the verdict that holds in every format: no money is left, a filter refuses the prompt, or there is no such model.
    pub(super) fn verdict(&self, status: u16, said: &Value) -> Option<Verdict> {
        if self.mentions(MONEY) {
            return Some(Verdict::QUOTA);
        }
        if self.mentions(&["plain http request was sent to https port"]) {
            return Some(Verdict::new(
                ErrorKind::Config,
                "the server is reached by https only; write https:// in the base URL",
            ));
        }
        if matches!(status, 400..=403) && self.mentions(&["has been disabled", "deactivated"]) {
            return Some(Verdict::new(
                ErrorKind::Auth,
                "the provider has disabled the account of this key",
            ));
        }
        // OpenRouter's.
        if status == 404 && self.mentions(&["data policy"]) {
            return Some(Verdict::new(
                ErrorKind::Auth,
                "the account's privacy settings rule out everybody who serves this model",
            ));
        }
        if status >= 500 && self.mentions(&["system memory"]) {
            return Some(Verdict::MEMORY);
        }
        if status >= 500 && self.speaks_of_system() {
            return Some(by_status(400));
        }
        let mut is_filtered = false;
        visit(said, &mut |key, value| {
            // Zhipu's.
            is_filtered |= key == "contentFilter";
            if key.starts_with("content_filter_result") {
                visit(value, &mut |key, value| {
                    is_filtered |= key == "filtered" && *value == Value::Bool(true);
                });
            }
        });
        let refuses = matches!(status, 400 | 403 | 422);
        if is_filtered || refuses && self.mentions(FILTER) {
            return Some(Verdict::FILTER);
        }
        let has_no_model = match status {
            400 | 422 => self.says_there_is_no_model(),
            // What one-api and New API say of a model that none of their channels has.
            503 => self.mentions(&["no available channel", "无可用渠道"]),
            _ => false,
        };
        has_no_model.then(|| by_status(404))
    }

    fn says_there_is_no_model(&self) -> bool {
        /// Between the word and what is said of it stands a name, as in "the model `x` that you ask for was not found".
        const WORDS_BETWEEN: usize = 6;
        let mut models = self.message.match_indices("model");
        let said = [
            "unknown model",
            "no such model",
            "invalid model",
            "not a valid model",
        ];
        self.mentions(&said)
            || models.any(|(at, _)| {
                let rest = &self.message[at..];
                let is_near = |end| rest[..end].split_whitespace().count() <= 1 + WORDS_BETWEEN;
                let mut ends = NO_MODEL.iter().filter_map(|said| rest.find(said));
                ends.any(is_near)
            })
    }

    /// Returns whether it is the system message that is refused: chat templates of some models know no such role.
    fn speaks_of_system(&self) -> bool {
        let says = |words: &[&str]| self.mentions(words);
        says(&["role"]) && says(&["system", "user", "assistant"])
            || says(&["system", "developer"]) && says(&["instruction", "message", "prompt"])
    }

    /// Returns what a parameter must be, where it is said: "`stream` must be set to true".
    fn demand(&self) -> Option<(&str, bool)> {
        let words: Vec<&str> = identifiers(&self.message).collect();
        let demands = |at: usize| match words.get(at + 1..)? {
            ["must", "be", "set", "to", value, ..] | ["must", "be", value, ..] => {
                Some((words[at], value.parse().ok()?))
            }
            _ => None,
        };
        (0..words.len()).find_map(demands)
    }

    /// Returns whether one request asks for more than a limit ever lets through: "Limit 30000, Requested 32300".
    fn asks_too_much(&self) -> bool {
        let number_behind = |word: &str| {
            let (_, rest) = self.message.split_once(word)?;
            let rest = rest.trim_start_matches([':', ' ', '=']);
            let digits = rest.find(|c: char| !c.is_ascii_digit());
            rest[..digits.unwrap_or(rest.len())].parse::<u64>().ok()
        };
        let limit = number_behind("limit ").or_else(|| number_behind("limit:"));
        limit.is_some_and(|limit| number_behind("requested").is_some_and(|asked| asked > limit))
    }

    /// Returns whether it is a page or XML that does not speak of keys.
    fn is_page(&self) -> bool {
        self.message.starts_with('<') && !self.mentions(&["key", "token", "credential"])
    }

    /// Returns whether the message holds one of these.
    pub(super) fn mentions(&self, parts: &[&str]) -> bool {
        parts.iter().any(|part| self.message.contains(part))
    }
}

/// How it is said that no money is left, where no code says it.
const MONEY: &[&str] = &[
    "insufficient balance",
    "insufficient credits",
    "available credits",
    "credit balance",
    "credits are depleted",
    "requires more credits",
    "prepayment",
    "spending cap",
    "spend cap",
    "spending limit",
    "spend limit",
    "specified api usage limits",
];

/// How a refusal of too many calls says that no money is left, and one of what the key may do, where nothing else is said.
const SPENT: &[&str] = &["balance", "overdue", "suspended", "余额", "欠费"];
const SPENT_403: &[&str] = &["credit", "quota", "limit exceeded", "额度"];

/// How it is said that a filter refuses the prompt.
const FILTER: &[&str] = &[
    "content filter",
    "content management policy",
    "content policy",
    "contentpolicy",
];

/// How it is said of a model that there is none.
const NO_MODEL: [&str; 3] = ["not exist", "doesn't exist", "not found"];

/// The call that failed, for what may and may not be said about it.
pub(super) struct Call<'a> {
    pub(super) model: &'a str,
    pub(super) key: Option<&'a ApiKey>,
    pub(super) request: &'a ChatRequest,
}

impl Call<'_> {
    /// Builds the error of a refused call.
    pub(super) fn refused(
        &self,
        verdict: Verdict,
        status: u16,
        reply: &Reply,
        refusal: &Refusal,
        said: &Value,
    ) -> Error {
        let mut hint = retry_hint(&reply.headers, reply.at);
        let in_body = BodyHint::read(said, &refusal.message, reply.at);
        hint.after = hint.after.or(in_body.after);
        let rate = announced_limits(&reply.headers, reply.at);
        let structured = !matches!(self.request.output, OutputFormat::Text);
        let verdict = match (verdict.kind, hint.should_retry) {
            // A provider that asks to be asked again has no quarrel with the request.
            (ErrorKind::BadRequest, Some(true)) => Verdict::new(
                ErrorKind::Overloaded,
                "the provider refused the call and asks to try again",
            ),
            // A router that finds nobody who takes all of the request answers 404, as if there were no such model.
            (ErrorKind::UnknownModel, _) if structured && self.is_about_another_thing(refusal) => {
                Verdict::new(
                    ErrorKind::SchemaRefused,
                    "nobody is found who takes this schema, or this way of asking for structured output",
                )
            }
            (ErrorKind::RateLimited, _) if refusal.mentions(SPENT) => Verdict::QUOTA,
            (ErrorKind::Auth, _)
                if status == 403 && (refusal.mentions(SPENT) || refusal.mentions(SPENT_403)) =>
            {
                Verdict::QUOTA
            }
            (ErrorKind::RateLimited, _) if refusal.asks_too_much() => Verdict::TOO_LARGE,
            // With a wait, a quota in words is a window that slides.
            (ErrorKind::RateLimited, _)
                if in_body.is_daily
                    || in_body.named == Some(Period::Day) && hint.after.is_none() =>
            {
                Verdict::DAY
            }
            (ErrorKind::RateLimited, _)
                if in_body.is_far
                    || in_body.named == Some(Period::Longer) && hint.after.is_none()
                    || hint.after.is_some_and(|wait| wait > TOO_LONG) =>
            {
                Verdict::FAR
            }
            _ => verdict,
        };
        if verdict.kind == ErrorKind::RateLimited {
            hint.after = hint.after.or(rate.as_ref().and_then(wait_for_limits));
        }
        let error = Error::new(verdict.kind, self.message(verdict, status, refusal));
        let retry = match error.retry() {
            Retry::Never => Retry::Never,
            usual => hint.decide(usual),
        };
        let mut error = error
            .with_retry(retry)
            .with_rate(rate)
            .with_context("model", self.model)
            .with_context("status", status.to_string());
        if let Some(code) = refusal.words.iter().find_map(|word| self.showable(word)) {
            error = error.with_context("code", code);
        }
        let demand = refusal
            .demand()
            .and_then(|(name, value)| Some((self.showable(name)?, value)));
        if let Some((name, value)) = demand {
            error = error.with_context("parameter", name);
            error = error.with_context("instead", value.to_string());
        } else if let Some(parameter) = self.parameter(refusal) {
            error = error.with_context("parameter", parameter);
            if let Some(instead) = Self::instead(parameter, refusal) {
                error = error.with_context("instead", instead);
            }
        }
        if let Some(id) = request_id(reply).and_then(|id| self.showable(id)) {
            error = error.with_context("request_id", id);
        }
        error
    }

    /// Returns what happened, and what to change where that is known.
    fn message(&self, verdict: Verdict, status: u16, refusal: &Refusal) -> Cow<'static, str> {
        let said = verdict.message;
        match verdict.kind {
            ErrorKind::Auth if refusal.is_page() && status != 401 => {
                "access is refused by a page, perhaps of a gateway or firewall before the provider"
                    .into()
            }
            ErrorKind::Auth => match self.key.and_then(ApiKey::variable) {
                Some(variable) => format!("{said}; check {variable}").into(),
                None => said.into(),
            },
            ErrorKind::BadRequest | ErrorKind::ContextLength => match self.parameter(refusal) {
                Some(limit) if LIMITS.contains(&limit) => {
                    format!("{said}; it does not like `{limit}`: set it lower").into()
                }
                Some(parameter) if verdict.kind == ErrorKind::BadRequest => {
                    format!("{said}; it does not like `{parameter}`").into()
                }
                _ => said.into(),
            },
            ErrorKind::UnknownModel if self.model.starts_with("ollama/") => {
                let (_, name) = self.model.split_once('/').unwrap_or_default();
                format!("{said}; `ollama pull {name}` fetches it").into()
            }
            _ => said.into(),
        }
    }

    /// Returns the word if it can be nothing but a code: short, of plain letters, and with no piece of the key or the
    /// prompt in it, whatever the server echoes.
    fn showable(&self, word: &str) -> Option<String> {
        /// Pieces shorter than this are in every text; a shorter word is looked for as a whole.
        const PIECE: usize = 8;
        let plain = (1..=64).contains(&word.len())
            && word
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte));
        if !plain {
            return None;
        }
        // A status code tells nothing of a prompt that happens to hold its number.
        let is_status = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
        let key = self.key.map(ApiKey::expose);
        let texts = self.request.messages.iter().map(|message| &*message.text);
        let echoed = !is_status
            && key.into_iter().chain(texts).any(|text| {
                word.as_bytes()
                    .windows(PIECE.min(word.len()))
                    .filter_map(|piece| std::str::from_utf8(piece).ok())
                    .any(|piece| text.contains(piece))
            });
        (!echoed).then(|| word.to_owned())
    }

    /// Returns whether a refusal that would be of an unknown model is of something else by its words: it names a
    /// parameter of the request, or does not speak of a model at all.
    fn is_about_another_thing(&self, refusal: &Refusal) -> bool {
        let (_, model) = self.model.split_once('/').unwrap_or(("", self.model));
        let model = model.to_lowercase();
        let speaks_of_a_model = |text: &str| {
            let text = text.to_lowercase();
            ["model", "deployment", &model]
                .iter()
                .any(|word| text.contains(word))
        };
        let texts = refusal.words.iter().chain([&refusal.message]);
        // Without a code it may be any server's word for a path that it does not know.
        !refusal.words.is_empty()
            && (self.parameter(refusal).is_some()
                || !texts.into_iter().any(|it| speaks_of_a_model(it)))
    }

    /// Names the parameter at fault, if it is one of this request: as the provider says, or else the first that the
    /// message mentions, since what follows it is what would have been right.
    fn parameter(&self, refusal: &Refusal) -> Option<&str> {
        let parameters = &self.request.parameters;
        let ours = [
            ("temperature", parameters.temperature.is_some()),
            (LIMITS[0], parameters.max_tokens.is_some()),
            (LIMITS[1], parameters.max_tokens.is_some()),
            ("prompt_cache_key", self.request.cache_key.is_some()),
            (
                CACHE_MARKS,
                self.request
                    .messages
                    .iter()
                    .any(|message| message.ends_stable_prefix),
            ),
        ];
        let structured = !matches!(self.request.output, OutputFormat::Text);
        let formats = ["response_format", "tool_choice", "tools"].map(|name| (name, structured));
        let ours = ours.into_iter().chain(formats);
        let extra = parameters.extra.keys().map(String::as_str);
        let sent: Vec<&str> = ours
            .filter_map(|(name, is_sent)| is_sent.then_some(name))
            .chain(extra)
            .collect();
        let has_system = self
            .request
            .messages
            .iter()
            .any(|it| it.role == Role::System);
        let find = |word: &str| sent.iter().copied().find(|name| is_same(name, word));
        if let Some(parameter) = &refusal.parameter {
            let system = (has_system && parameter == SYSTEM).then_some(SYSTEM);
            return identifiers(parameter).find_map(find).or(system);
        }
        let limit = || {
            let limit = sent.iter().copied().find(|name| LIMITS.contains(name));
            limit.filter(|_| refusal.mentions(LIMIT_IN_WORDS))
        };
        let system = || (has_system && refusal.speaks_of_system()).then_some(SYSTEM);
        let by_part = || {
            let mut names = parameters.extra.iter().filter(|(name, value)| {
                is_spoken_of(name, &refusal.message)
                    || value.as_object().is_some_and(|inner| {
                        inner
                            .keys()
                            .any(|name| is_spoken_of(name, &refusal.message))
                    })
            });
            let (name, _) = names.next()?;
            names.next().is_none().then_some(name.as_str())
        };
        identifiers(&refusal.message)
            .find_map(find)
            .or_else(limit)
            .or_else(system)
            .or_else(by_part)
    }

    /// Names the output limit's other name, where the refusal of the one says that it should be that.
    fn instead(parameter: &str, refusal: &Refusal) -> Option<&'static str> {
        let other = match LIMITS.iter().position(|name| *name == parameter)? {
            0 => LIMITS[1],
            _ => LIMITS[0],
        };
        let is_named = identifiers(&refusal.message).any(|word| is_same(other, word));
        (is_named || refusal.says(&["unsupported_parameter"])).then_some(other)
    }
}

/// The names of the output limit in the requests of those who speak `OpenAI`'s format.
const LIMITS: [&str; 2] = [MAX_TOKENS, MAX_COMPLETION_TOKENS];

/// What else the output limit is called in a refusal.
const LIMIT_IN_WORDS: &[&str] = &[
    "max_new_tokens",
    "max_output_tokens",
    "maxoutputtokens",
    "maximum tokens",
];

/// Returns whether a message in lower case has a word that begins with a part of this name, as "thinking" does for `think`.
fn is_spoken_of(name: &str, message: &str) -> bool {
    /// Shorter parts are in many words.
    const PART: usize = 5;
    let mut parts: Vec<String> = vec![String::new()];
    for c in name.chars() {
        if c == '_' || c.is_uppercase() {
            parts.push(String::new());
        }
        if let Some(part) = parts.last_mut().filter(|_| c != '_') {
            part.extend(c.to_lowercase());
        }
    }
    let is_part = |part: &&String| part.len() >= PART;
    parts
        .iter()
        .filter(is_part)
        .any(|part| identifiers(message).any(|word| word.starts_with(part.as_str())))
}

/// Returns where in a request the fault is that a server in Python found in it: `{"detail": [{"loc": ["body", "system"]}]}`.
pub(super) fn misplaced(body: &Value) -> Option<&str> {
    // Mistral's is one deeper.
    let place = body
        .pointer("/detail/0/loc")
        .or_else(|| body.pointer("/message/detail/0/loc"))?
        .as_array()?;
    place
        .iter()
        .rev()
        .find_map(Value::as_str)
        .filter(|name| *name != "body")
}

/// Returns the words of a text that could be names of parameters.
fn identifiers(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| !word.is_empty())
}

/// Returns whether a word is this name, as `topP` is `top_p`.
fn is_same(name: &str, word: &str) -> bool {
    let letters = |text: &str| {
        text.bytes()
            .filter(|byte| *byte != b'_')
            .map(|byte| byte.to_ascii_lowercase())
            .collect::<Vec<_>>()
    };
    name.eq_ignore_ascii_case(word) || letters(name) == letters(word)
}

fn request_id(reply: &Reply) -> Option<&str> {
    ["x-request-id", "request-id", "apim-request-id"]
        .iter()
        .find_map(|name| reply.headers.get(*name)?.to_str().ok())
}

/// Returns the verdict on a status alone, for a refusal that says nothing else.
pub(super) fn by_status(status: u16) -> Verdict {
    match status {
        300..=399 => Verdict::new(
            ErrorKind::Config,
            "the provider redirects elsewhere; set the base URL it now has",
        ),
        401 => Verdict::new(ErrorKind::Auth, "the provider does not accept the key"),
        402 => Verdict::new(ErrorKind::Quota, "the provider asks for payment"),
        403 => Verdict::new(
            ErrorKind::Auth,
            "the key may not do this, or the provider does not serve this place",
        ),
        404 | 410 => Verdict::new(
            ErrorKind::UnknownModel,
            "the provider knows no such model, or the base URL is wrong",
        ),
        408 | 504 | 524 => Verdict::new(
            ErrorKind::Timeout,
            "the provider or a gateway before it ran out of time",
        ),
        413 => Verdict::new(
            ErrorKind::ContextLength,
            "the request is larger than the provider takes",
        ),
        // 409 is a lock that is held and 425 a request sent too early, both of them passing; 498 is Groq's
        // word for no free capacity.
        409 | 425 | 498 => Verdict::new(
            ErrorKind::Overloaded,
            "the provider cannot take the call right now",
        ),
        429 => Verdict::new(ErrorKind::RateLimited, "the provider asked to slow down"),
        407 => Verdict::new(
            ErrorKind::Config,
            "a proxy asks for credentials; write them into its URL, as in HTTPS_PROXY=http://name:password@host:port",
        ),
        405 | 501 => Verdict::new(
            ErrorKind::BadRequest,
            "the server does not do what it is asked for; is the base URL that of a model's API?",
        ),
        500.. => Verdict::new(ErrorKind::Overloaded, "the provider is failing"),
        _ => Verdict::new(ErrorKind::BadRequest, "the provider refused the request"),
    }
}
