//! Answers that are escaped as a whole, and so hold no JSON until the escaping is undone once.

use super::Repair;

/// Undoes the escaping of a whole answer, if it is escaped.
pub(super) fn unescape(text: &str) -> Option<(String, Repair)> {
    if let Some(plain) = unquote(text) {
        return Some((plain, Repair::Quotation));
    }
    let start = first_after_bracket(text)?;
    if start.starts_with("\"\"") && start[2..].starts_with(char::is_alphanumeric) {
        return Some((text.replace("\"\"", "\""), Repair::DoubledQuote));
    }
    if start.starts_with("\\\"") {
        return Some((decode(text, '\\', backslash), Repair::DoubleEncoded));
    }
    // An HTML-escaped answer has entities for all its quotes and so no quote at all.
    let quotes = ["&quot;", "&#34;", "&#x22;"];
    if quotes.iter().any(|quote| start.starts_with(quote)) && !text.contains('"') {
        return Some((decode(text, '&', entity), Repair::HtmlEntities));
    }
    None
}

/// Takes the marks of a quotation off the lines that have one, if the first bracket stands on such a line.
fn unquote(text: &str) -> Option<String> {
    let open = text.find(['{', '['])?;
    let line = text[..open].rfind('\n').map_or(0, |at| at + 1);
    if !text[line..open].starts_with("> ") {
        return None;
    }
    let lines = text.split('\n').map(|line| {
        let bare = line.strip_prefix("> ").or_else(|| line.strip_prefix('>'));
        bare.unwrap_or(line)
    });
    Some(lines.collect::<Vec<_>>().join("\n"))
}

/// What follows the first brace, or the bracket that stands in its place. `[` may stand between them and before.
fn first_after_bracket(text: &str) -> Option<&str> {
    let open = text.find(['{', '['])?;
    let is_before = |c: char| matches!(c, '{' | '[') || c.is_ascii_whitespace();
    let rest = text[open..].trim_start_matches(is_before);
    Some(rest.trim_start_matches("\\n").trim_start())
}

/// Replaces each escape, which starts with a mark, by the character it stands for, and leaves what is no escape.
/// `read` returns that character and the bytes it took up.
fn decode(text: &str, mark: char, read: impl Fn(&str) -> Option<(char, usize)>) -> String {
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(mark) {
        decoded.push_str(&rest[..at]);
        rest = &rest[at..];
        let (c, length) = read(rest).unwrap_or((mark, 1));
        decoded.push(c);
        rest = &rest[length..];
    }
    decoded.push_str(rest);
    decoded
}

fn entity(text: &str) -> Option<(char, usize)> {
    // The longest entity decoded here is `&#x10ffff;`.
    let end = text.bytes().take(10).position(|byte| byte == b';')?;
    let c = match &text[1..end] {
        "quot" => '"',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "apos" => '\'',
        name => {
            let code = name.strip_prefix('#')?;
            let hex = code.strip_prefix(['x', 'X']);
            let code = hex.map_or_else(|| code.parse(), |hex| u32::from_str_radix(hex, 16));
            char::from_u32(code.ok()?)?
        }
    };
    Some((c, end + 1))
}

fn backslash(text: &str) -> Option<(char, usize)> {
    let c = match text.as_bytes().get(1)? {
        byte @ (b'"' | b'\\' | b'/') => char::from(*byte),
        b'n' => '\n',
        b't' => '\t',
        b'r' => '\r',
        _ => return None,
    };
    Some((c, 2))
}
