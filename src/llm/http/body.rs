//! What arrives as a body: read up to a limit, told apart from what is not JSON.

use reqwest::Response;
use reqwest::header::{CONTENT_TYPE, HeaderMap};
use serde::de::DeserializeOwned;

use crate::error::{Error, ErrorKind, Result};

/// How a body ended.
pub(super) enum Body {
    /// It is all here.
    Whole(Vec<u8>),
    /// It is longer than the limit; this much was read.
    TooLong(Vec<u8>),
}

/// Reads a body up to `limit` bytes.
pub(super) async fn read(response: &mut Response, limit: usize) -> reqwest::Result<Body> {
    // The length is the server's claim, so it is not trusted beyond 64 KiB, more than most answers have.
    let claimed = response.content_length().unwrap_or(0).min(64 * 1024);
    let mut bytes = Vec::with_capacity(usize::try_from(claimed).unwrap_or(0));
    while let Some(chunk) = response.chunk().await? {
        let room = limit - bytes.len();
        if chunk.len() > room {
            bytes.extend_from_slice(&chunk[..room]);
            return Ok(Body::TooLong(bytes));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body::Whole(bytes))
}

/// Reads JSON from the body of a successful answer.
///
/// Blank lines and comments of an event stream may precede it: DeepSeek and OpenRouter send them to keep a
/// connection alive. The content type is only looked at when the body is not JSON, since gateways get it
/// wrong both ways.
pub(crate) fn parse_json<T: DeserializeOwned>(headers: &HeaderMap, body: &[u8]) -> Result<T> {
    let body = skip_keep_alive(body);
    if body.is_empty() {
        return Err(Error::new(
            ErrorKind::Empty,
            "the provider answered with an empty body",
        ));
    }
    serde_json::from_slice(body).map_err(|error| not_json(headers, body, &error))
}

fn skip_keep_alive(mut body: &[u8]) -> &[u8] {
    loop {
        body = body.trim_ascii_start();
        if body.first() != Some(&b':') {
            return body;
        }
        let line = body.iter().position(|byte| *byte == b'\n');
        body = line.map_or(&[], |end| &body[end..]);
    }
}

/// Says what arrived instead. serde's message is not repeated, because it quotes the body.
fn not_json(headers: &HeaderMap, body: &[u8], error: &serde_json::Error) -> Error {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    let message = if body.starts_with(b"<") || content_type.starts_with("text/html") {
        "the provider answered with a web page instead of JSON; a proxy or a wrong base URL may be why"
            .to_owned()
    } else if body.starts_with(b"data:") || content_type.starts_with("text/event-stream") {
        "the provider answered with an event stream, which was not asked for".to_owned()
    } else if error.is_eof() {
        "the provider's answer ends in the middle of its JSON".to_owned()
    } else if error.is_data() {
        format!(
            "the provider's answer is JSON of another form than documented, at line {} column {}",
            error.line(),
            error.column()
        )
    } else {
        format!(
            "the provider's answer is not JSON, at line {} column {}",
            error.line(),
            error.column()
        )
    };
    Error::new(ErrorKind::Malformed, message).with_context("bytes", body.len().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    fn kind(body: &str) -> Result<Value, ErrorKind> {
        parse_json(&HeaderMap::new(), body.as_bytes()).map_err(|error| error.kind())
    }

    #[test]
    fn keep_alive_lines_before_the_body_are_skipped() {
        for body in [
            "\n\n\n{}",
            ": keep-alive\n\n: keep-alive\r\n\r\n{}",
            " \r\n{}\n",
        ] {
            assert_eq!(
                kind(body),
                Ok(Value::Object(serde_json::Map::new())),
                "{body:?}"
            );
        }
    }

    #[test]
    fn nothing_is_told_apart_from_nonsense() {
        for body in ["", "\n\n", ": keep-alive\n\n", ": keep-alive"] {
            assert_eq!(kind(body), Err(ErrorKind::Empty), "{body:?}");
        }
        for body in [
            "<html>",
            "data: {}\n\n",
            "{\"a\":",
            "{} trailing",
            "upstream error",
        ] {
            assert_eq!(kind(body), Err(ErrorKind::Malformed), "{body:?}");
        }
    }

    #[test]
    fn a_body_is_never_quoted() {
        for body in ["SECRET", "\"SECRET\"", "{\"SECRET\": 1", "<p>SECRET"] {
            let error = parse_json::<Vec<u8>>(&HeaderMap::new(), body.as_bytes()).unwrap_err();
            assert!(!format!("{error:?}").contains("SECRET"), "{body}");
        }
    }
}
