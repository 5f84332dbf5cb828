//! What arrives as a body: read up to a limit, unpacked, and taken apart into JSON values.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::Read;
use std::ops::RangeInclusive;

use encoding_rs::Encoding;
use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use reqwest::Response;
use reqwest::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use serde::de::IgnoredAny;
use serde_json::Value;

use crate::error::{Error, ErrorKind, Result};

/// How a body ended.
#[derive(Debug, PartialEq, Eq)]
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

/// Undoes a compression that nobody asked for, up to `limit` bytes. What is not compressed, or not in a way that is
/// known here, stays as it is.
pub(super) fn unpack(headers: &HeaderMap, body: Vec<u8>, limit: usize) -> Body {
    // Some proxies compress without the header, and others leave it on what they have unpacked. So the bytes decide,
    // but for raw deflate, which has no mark: it is what neither has zlib's mark nor starts as text does.
    let deflated = content_encoding(headers).contains("deflate");
    let packed: Box<dyn Read + '_> = match body.as_slice() {
        [0x1f, 0x8b, ..] => Box::new(MultiGzDecoder::new(&*body)),
        [first, second, ..]
            if deflated && first & 0x0f == 8 && u16::from_be_bytes([*first, *second]) % 31 == 0 =>
        {
            Box::new(ZlibDecoder::new(&*body))
        }
        [first, ..] if deflated && !b"{[\"<: \r\n\xef".contains(first) && !is_text(&body) => {
            Box::new(DeflateDecoder::new(&*body))
        }
        _ => return Body::Whole(body),
    };
    let mut bytes = Vec::new();
    let read = packed.take(limit as u64 + 1).read_to_end(&mut bytes);
    match read {
        Err(_) => Body::Whole(body),
        Ok(_) if bytes.len() > limit => {
            bytes.truncate(limit);
            Body::TooLong(bytes)
        }
        Ok(_) => Body::Whole(bytes),
    }
}

fn is_text(body: &[u8]) -> bool {
    std::str::from_utf8(body).is_ok_and(|text| !text.contains('\0'))
}

fn content_encoding(headers: &HeaderMap) -> String {
    let value = headers.get(CONTENT_ENCODING);
    let value = value.and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_ascii_lowercase()
}

/// Returns the objects and lists of JSON that a body holds: one, or the events of a stream where a server streams
/// unasked.
///
/// The content type is only looked at when nothing can be read, since gateways get it wrong both ways. Lines that
/// keep a connection alive may come before the JSON, and anything behind it.
///
/// # Errors
///
/// [`Empty`](ErrorKind::Empty) where nothing arrived, [`Malformed`](ErrorKind::Malformed) where no JSON did.
pub(crate) fn json_values(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Value>> {
    let text = text(headers, body);
    let error = match serde_json::from_str(&text) {
        Ok(Value::String(inner)) => match serde_json::from_str(&inner) {
            // A gateway has written its JSON as a text of JSON.
            Ok(value @ (Value::Object(_) | Value::Array(_))) => return Ok(vec![value]),
            _ => None,
        },
        Ok(value @ (Value::Object(_) | Value::Array(_))) => return Ok(vec![value]),
        Ok(_) => None,
        Err(error) => Some(error),
    };
    let lines: Vec<&str> = text.lines().filter_map(data_of).collect();
    let data = lines.join("\n");
    let mut values = sequence(&data);
    if values.is_empty() {
        values = sequence(&repaired(&data));
    }
    if !values.is_empty() {
        return Ok(values);
    }
    if data.trim().is_empty() {
        return Err(Error::new(
            ErrorKind::Empty,
            "the provider answered with an empty body",
        ));
    }
    Err(not_json(headers, &text, error.as_ref()))
}

/// Returns a body as text, without the mark and the blanks before it: UTF-8, or else in the charset that its type names.
pub(crate) fn text(headers: &HeaderMap, body: &[u8]) -> String {
    let text = match std::str::from_utf8(body) {
        Ok(text) => Cow::Borrowed(text),
        // What is neither is kept as it is: a record with a lost character in it is asked for again.
        Err(_) => charset(headers).map_or_else(
            || String::from_utf8_lossy(body),
            |charset| charset.decode_without_bom_handling(body).0,
        ),
    };
    text.trim_start_matches(|c: char| c == '\u{feff}' || c.is_whitespace())
        .trim_end()
        .to_owned()
}

fn charset(headers: &HeaderMap) -> Option<&'static Encoding> {
    let mut parameters = content_type(headers).split(';').skip(1);
    parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        let is_charset = name.trim().eq_ignore_ascii_case("charset");
        Encoding::for_label(value.as_bytes()).filter(|_| is_charset)
    })
}

fn content_type(headers: &HeaderMap) -> &str {
    let value = headers.get(CONTENT_TYPE);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Returns what a line of an event stream has for data; a line of anything else is data as a whole.
fn data_of(line: &str) -> Option<&str> {
    let bare = line.trim_start();
    let other = [":", "event:", "id:", "retry:"];
    if other.iter().any(|field| bare.starts_with(field)) {
        return None;
    }
    Some(bare.strip_prefix("data:").unwrap_or(line))
}

/// Reads objects and lists up to the first thing that is neither.
fn sequence(text: &str) -> Vec<Value> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if let Some(after) = ["data:", "[DONE]"]
            .iter()
            .find_map(|mark| rest.strip_prefix(mark))
        {
            rest = after;
            continue;
        }
        let mut stream = serde_json::Deserializer::from_str(rest).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value @ (Value::Object(_) | Value::Array(_)))) => {
                rest = &rest[stream.byte_offset()..];
                values.push(value);
            }
            _ => return values,
        }
    }
}

/// Writes null for numbers that JSON does not have, escapes what was put into its texts as it was, and replaces halves
/// of characters: what careless encoders send in and beside a good answer.
fn repaired(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len());
    let mut quoted = false;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let mut length = c.len_utf8();
        match c {
            '"' => match pasted(&rest[1..]).filter(|_| !quoted) {
                Some(json) => {
                    repaired.push_str(&Value::from(json).to_string());
                    at += json.len() + 2;
                    continue;
                }
                None => quoted = !quoted,
            },
            '\\' if quoted => {
                let half = |from: usize, halves: RangeInclusive<u16>| {
                    let digits = rest.get(from..from + 6)?.strip_prefix("\\u")?;
                    let unit = u16::from_str_radix(digits, 16).ok()?;
                    halves.contains(&unit).then_some(())
                };
                let (first, second) = (half(0, 0xd800..=0xdbff), half(6, 0xdc00..=0xdfff));
                if first.or(half(0, 0xdc00..=0xdfff)).is_none() {
                    length += rest[1..].chars().next().map_or(0, char::len_utf8);
                } else if first.and(second).is_some() {
                    length = 12;
                } else {
                    repaired.push_str("\\ufffd");
                    at += 6;
                    continue;
                }
            }
            '\0'..='\x1f' if quoted => {
                let _ = write!(repaired, "\\u{:04x}", u32::from(c));
                at += length;
                continue;
            }
            'N' | 'I' | '-' if !quoted => {
                let words = ["NaN", "Infinity", "-Infinity", "-NaN"];
                if let Some(word) = words.iter().find(|word| rest.starts_with(**word)) {
                    repaired.push_str("null");
                    at += word.len();
                    continue;
                }
            }
            _ => {}
        }
        repaired.push_str(&rest[..length]);
        at += length;
    }
    repaired
}

/// Returns the JSON that a text starts with, if nothing but the end of a quote follows.
fn pasted(text: &str) -> Option<&str> {
    if !text.starts_with(['{', '[']) {
        return None;
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    let (json, rest) = text.split_at(values.byte_offset());
    rest.starts_with('"').then_some(json)
}

/// Says what arrived instead. serde's message is not repeated, because it quotes the body.
fn not_json(headers: &HeaderMap, body: &str, error: Option<&serde_json::Error>) -> Error {
    let content_type = content_type(headers).to_ascii_lowercase();
    let encoding = content_encoding(headers);
    let bytes = body.len().to_string();
    if body.starts_with('<') || content_type.starts_with("text/html") {
        return Error::new(
            ErrorKind::Malformed,
            "the provider answered with a web page instead of JSON; a proxy or a wrong base URL may be why",
        )
        .with_unreached()
        .with_context("bytes", bytes);
    }
    let message = if body.starts_with("data:") || content_type.starts_with("text/event-stream") {
        "the provider answered with an event stream that holds no JSON".to_owned()
    } else if body.starts_with('\u{1f}') || !["", "identity"].contains(&encoding.as_str()) {
        "the provider's answer is compressed, though that was not asked for, and cannot be unpacked"
            .to_owned()
    } else {
        match error {
            Some(error) if error.is_eof() => {
                "the provider's answer ends in the middle of its JSON".to_owned()
            }
            Some(error) => format!(
                "the provider's answer is not JSON, at line {} column {}",
                error.line(),
                error.column()
            ),
            None => "the provider's answer is neither an object nor a list of JSON".to_owned(),
        }
    };
    Error::new(ErrorKind::Malformed, message).with_context("bytes", bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn values(body: &str) -> Result<Vec<Value>, ErrorKind> {
        json_values(&HeaderMap::new(), body.as_bytes()).map_err(|error| error.kind())
    }

    #[test]
    fn keep_alive_lines_before_the_body_are_skipped() {
        for body in [
            "\n\n\n{}",
            ": keep-alive\n\n: keep-alive\r\n\r\n{}",
            " \r\n{}\n",
            "{} trailing",
        ] {
            assert_eq!(values(body), Ok(vec![json!({})]), "{body:?}");
        }
    }

    #[test]
    fn nothing_is_told_apart_from_nonsense() {
        for body in ["", "\n\n", ": keep-alive\n\n", ": keep-alive", "\u{feff}"] {
            assert_eq!(values(body), Err(ErrorKind::Empty), "{body:?}");
        }
        for body in [
            "<html>",
            "data: x\n\n",
            "{\"a\":",
            "502 Bad Gateway",
            "null",
            "upstream error",
        ] {
            assert_eq!(values(body), Err(ErrorKind::Malformed), "{body:?}");
        }
    }

    #[test]
    fn what_careless_encoders_send_is_repaired_and_texts_stay_as_they_are() {
        for (body, expected) in [
            (
                r#"{"a": NaN, "b": [-Infinity, Infinity, -1]}"#,
                json!({"a": null, "b": [null, null, -1]}),
            ),
            (
                r#"{"a": "{"b": [1, "two"]}", "c": "[1]"}"#,
                json!({"a": "{\"b\": [1, \"two\"]}", "c": "[1]"}),
            ),
            (
                r#"{"a": "NaN \" -Infinity \\", "b": NaN}"#,
                json!({"a": "NaN \" -Infinity \\", "b": null}),
            ),
            ("{\"a\": \"one\ttwo\"}", json!({"a": "one\ttwo"})),
            (
                r#"{"a": "\ud83d\ude00 \ud83d \ude00 \u00e9", "b": NaN}"#,
                json!({"a": "😀 \u{fffd} \u{fffd} é", "b": null}),
            ),
        ] {
            assert_eq!(values(body), Ok(vec![expected]), "{body}");
        }
    }

    #[test]
    fn a_body_that_is_no_utf_8_is_read_in_the_charset_of_its_type() {
        let read = |content_type: &'static str, body: &[u8]| {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type.parse().unwrap())]);
            text(&headers, body)
        };
        let latin = b"Cr\xe8me \x80";
        assert_eq!(
            read("application/json; charset=ISO-8859-1", latin),
            "Crème €"
        );
        assert_eq!(
            read("text/plain;Charset=\"windows-1251\"", latin),
            "Crиme Ђ"
        );
        let utf_8 = "Crème".as_bytes();
        assert_eq!(read("application/json; charset=ISO-8859-1", utf_8), "Crème");
        assert_eq!(read("application/json", latin), "Cr\u{fffd}me \u{fffd}");
    }

    #[test]
    fn a_body_is_never_quoted() {
        for body in ["SECRET", "\"SECRET\"", "{\"SECRET\": 1", "<p>SECRET"] {
            let error = json_values(&HeaderMap::new(), body.as_bytes()).unwrap_err();
            assert!(!format!("{error:?}").contains("SECRET"), "{body}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_body_makes_the_reader_panic(bytes: Vec<u8>, shaped in r#"(data:|[{}\[\]",:NI\\-]|\\u|d83d|\n| |é){0,40}"#) {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_ENCODING, "deflate".parse().unwrap());
            let (Body::Whole(bytes) | Body::TooLong(bytes)) = unpack(&headers, bytes, 1_000);
            let _ = (json_values(&headers, &bytes), json_values(&headers, shaped.as_bytes()));
        }
    }
}
