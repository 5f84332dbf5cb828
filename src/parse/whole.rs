//! Answers that are escaped as a whole, and so hold no JSON until the escaping is undone once.

use super::Mend;

/// Undoes the escaping of a whole answer, if it is escaped.
pub(super) fn unescape(text: &str) -> Option<(String, Mend)> {
    if let Some(plain) = unquote(text) {
        return Some((plain, Mend::Quotation));
    }
    let start = first_after_bracket(text)?;
    if start.starts_with("\"\"") && start[2..].starts_with(char::is_alphanumeric) {
        return Some((text.replace("\"\"", "\""), Mend::DoubledQuote));
    }
    if start.starts_with("\\\"") {
        return Some((decode_backslashes(text), Mend::DoubleEncoded));
    }
    // An HTML-escaped answer has entities for all its quotes and so no quote at all.
    let entity = ["&quot;", "&#34;", "&#x22;"];
    if entity.iter().any(|quote| start.starts_with(quote)) && !text.contains('"') {
        return Some((decode_entities(text), Mend::HtmlEntities));
    }
    None
}

/// Takes the marks of a quotation off the lines that have one, if the first bracket stands on such a line.
fn unquote(text: &str) -> Option<String> {
    let open = text.bytes().position(|byte| matches!(byte, b'{' | b'['))?;
    let line = text[..open].rfind('\n').map_or(0, |at| at + 1);
    if !text[line..open].starts_with("> ") {
        return None;
    }
    let bare = |line: &str| {
        line.strip_prefix('>')
            .map_or(line, |rest| rest.strip_prefix(' ').unwrap_or(rest))
            .to_owned()
    };
    Some(text.split('\n').map(bare).collect::<Vec<_>>().join("\n"))
}

/// What follows the first brace, or the bracket that stands in its place. `[` may stand between them and before.
fn first_after_bracket(text: &str) -> Option<&str> {
    let open = text.bytes().position(|byte| matches!(byte, b'{' | b'['))?;
    let rest = text[open..]
        .trim_start_matches(|c: char| c == '{' || c == '[' || c.is_ascii_whitespace())
        .trim_start_matches("\\n")
        .trim_start();
    Some(rest)
}

fn decode_entities(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        // The longest entity decoded here is `&#x10ffff;`.
        let end = rest
            .as_bytes()
            .iter()
            .take(10)
            .position(|byte| *byte == b';');
        let c = end.and_then(|end| entity(&rest[1..end]));
        if let (Some(c), Some(end)) = (c, end) {
            decoded.push(c);
            rest = &rest[end + 1..];
        } else {
            decoded.push('&');
            rest = &rest[1..];
        }
    }
    decoded.push_str(rest);
    decoded
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "quot" => '"',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "apos" => '\'',
        "nbsp" => '\u{a0}',
        _ => {
            let code = name.strip_prefix('#')?;
            let code = match code.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => code.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

/// Undoes one level of JSON escaping, leaving what is no escape as it is.
fn decode_backslashes(text: &str) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        decoded.push_str(&rest[..at]);
        let c = match rest.as_bytes().get(at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'n') => '\n',
            Some(b't') => '\t',
            Some(b'r') => '\r',
            _ => {
                decoded.push('\\');
                rest = &rest[at + 1..];
                continue;
            }
        };
        decoded.push(c);
        rest = &rest[at + 2..];
    }
    decoded.push_str(rest);
    decoded
}
