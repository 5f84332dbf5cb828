//! The ways in which a server breaks a call, and which call is hit.

use std::time::Duration;

use topicloom::random::Random;

/// A way to break a call, as providers and the gateways before them do.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum ServerFault {
    /// 429, with `retry-after` where a delay is given (for Gemini in the body, as its servers do).
    RateLimited(Option<Duration>),
    /// 429 or what the provider has for it: no credit is left.
    NoCredit,
    /// 401: the key is unknown. The message quotes it, as some servers do.
    BadKey,
    /// 404: the model is unknown.
    UnknownModel,
    /// 400: the request does not fit into the context.
    ContextLength,
    /// 400: the schema is refused.
    SchemaRefused,
    /// 500.
    ServerError,
    /// 503, or Anthropic's 529.
    Overloaded,
    /// 200, and an error object for a body.
    ErrorInSuccess,
    /// 200, and a body that is no JSON.
    Malformed,
    /// 200, and JSON of quite another form.
    OtherJson,
    /// 200, and no body.
    EmptyBody,
    /// 200, and a web page of a proxy.
    WebPage,
    /// 502, and a web page of a proxy.
    BadGateway,
    /// 200, and the right body, called plain text.
    WrongContentType,
    /// 200, and a body that breaks off before its announced length.
    CutOff,
    /// 200, and a body in chunks that breaks off before the last.
    CutChunks,
    /// The connection is closed without a word.
    HungUp,
    /// 200, and blank lines and comments for so long before the right body.
    KeepAlive(Duration),
    /// 200, and so long a wait before the right answer.
    Slow(Duration),
    /// 200, and a body of at least this many bytes.
    TooLong(usize),
    /// 307 to another host.
    Redirect(String),
    /// A good answer whose text is no JSON.
    BrokenText,
}

impl ServerFault {
    /// Returns the name under which the books count it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::RateLimited(_) => "rate_limited",
            Self::NoCredit => "no_credit",
            Self::BadKey => "bad_key",
            Self::UnknownModel => "unknown_model",
            Self::ContextLength => "context_length",
            Self::SchemaRefused => "schema_refused",
            Self::ServerError => "server_error",
            Self::Overloaded => "overloaded",
            Self::ErrorInSuccess => "error_in_success",
            Self::Malformed => "malformed",
            Self::OtherJson => "other_json",
            Self::EmptyBody => "empty_body",
            Self::WebPage => "web_page",
            Self::BadGateway => "bad_gateway",
            Self::WrongContentType => "wrong_content_type",
            Self::CutOff => "cut_off",
            Self::CutChunks => "cut_chunks",
            Self::HungUp => "hung_up",
            Self::KeepAlive(_) => "keep_alive",
            Self::Slow(_) => "slow",
            Self::TooLong(_) => "too_long",
            Self::Redirect(_) => "redirect",
            Self::BrokenText => "broken_text",
        }
    }

    /// Returns whether an answer that costs tokens arrives all the same.
    pub(crate) fn is_answered(&self) -> bool {
        matches!(
            self,
            Self::WrongContentType | Self::KeepAlive(_) | Self::Slow(_) | Self::BrokenText
        )
    }
}

/// Which call is hit by which fault.
#[derive(Debug)]
pub(super) struct Plan {
    first: Vec<ServerFault>,
    shares: Vec<(ServerFault, f64)>,
    pub(super) random: Random,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            shares: Vec::new(),
            random: Random::new(0),
        }
    }
}

impl Plan {
    pub(super) fn add(&mut self, fault: ServerFault, share: f64) {
        self.shares.push((fault, share));
    }

    pub(super) fn begin_with(&mut self, faults: impl IntoIterator<Item = ServerFault>) {
        self.first.extend(faults);
    }

    /// Returns the fault of the call that arrived as number `call`, from 0.
    pub(super) fn fault(&self, call: u64) -> Option<&ServerFault> {
        let first = usize::try_from(call)
            .ok()
            .and_then(|call| self.first.get(call));
        if first.is_some() || self.shares.is_empty() {
            return first;
        }
        let mut drawn = self.random.nth(call).unit_f64();
        self.shares.iter().find_map(|(fault, share)| {
            drawn -= share;
            (drawn < 0.0).then_some(fault)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_hit_their_share_of_calls() {
        let mut plan = Plan::default();
        plan.begin_with([ServerFault::HungUp]);
        plan.add(ServerFault::ServerError, 0.05);
        plan.add(ServerFault::Malformed, 0.1);
        assert_eq!(plan.fault(0), Some(&ServerFault::HungUp));
        let count = |fault| {
            (1..=10_000)
                .filter(|call| plan.fault(*call) == Some(&fault))
                .count()
        };
        // Within four standard deviations of the expected 500 and 1 000.
        assert!((412..=588).contains(&count(ServerFault::ServerError)));
        assert!((880..=1_120).contains(&count(ServerFault::Malformed)));
    }
}
