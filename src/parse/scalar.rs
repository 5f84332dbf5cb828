//! Numbers and words outside strings.

use serde_json::{Number, Value};

use super::Mend;

/// Reads a number in any form that models write, given the run of characters it may consist of.
///
/// Returns `None` where only a guess would make a number of it, such as `12:30`, `5%` or `1/2`.
pub(super) fn number(token: &str) -> Option<(Value, Option<Mend>)> {
    if let Some(number) = strict(token) {
        return Some((number, None));
    }
    let (sign, body) = match token.as_bytes().first()? {
        b'-' => ("-", &token[1..]),
        b'+' => ("", &token[1..]),
        _ => ("", token),
    };
    if matches!(
        body,
        "Infinity" | "infinity" | "inf" | "Inf" | "NaN" | "nan"
    ) {
        return Some((Value::Null, Some(Mend::NonFinite)));
    }
    if let Some(hex) = body.strip_prefix("0x").or_else(|| body.strip_prefix("0X")) {
        let value = i64::from_str_radix(hex, 16)
            .ok()
            .filter(|_| !hex.starts_with(['+', '-']))?;
        let value = if sign.is_empty() { value } else { -value };
        return Some((value.into(), Some(Mend::NumberForm)));
    }
    let plain = plain_form(sign, body)?;
    strict(&plain).map(|number| (number, Some(Mend::NumberForm)))
}

/// What `serde_json` makes of a number, so that both readers agree to the last bit.
fn strict(token: &str) -> Option<Value> {
    let first = token.as_bytes().first()?;
    if !(first.is_ascii_digit() || *first == b'-') {
        return None;
    }
    serde_json::from_str::<Number>(token)
        .ok()
        .map(Value::Number)
}

/// Rewrites digits with separators, leading zeros and bare points to JSON's form.
fn plain_form(sign: &str, body: &str) -> Option<String> {
    let bytes = body.as_bytes();
    let separated = |at: usize| {
        let near = |at: Option<usize>| {
            at.and_then(|at| bytes.get(at))
                .is_some_and(u8::is_ascii_digit)
        };
        near(at.checked_sub(1)) && near(at.checked_add(1))
    };
    let mut digits = String::with_capacity(body.len() + 2);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'_' | b',' if separated(at) => {}
            b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' => digits.push(char::from(byte)),
            _ => return None,
        }
    }
    let whole = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = digits.split_at(whole);
    let trimmed = whole.trim_start_matches('0');
    let whole = if trimmed.is_empty() { "0" } else { trimmed };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => {
            let length = fraction.bytes().take_while(u8::is_ascii_digit).count();
            if length == 0 && digits.starts_with('.') {
                return None;
            }
            let (fraction, exponent) = fraction.split_at(length);
            let fraction = if fraction.is_empty() { "0" } else { fraction };
            format!(".{fraction}{exponent}")
        }
        None if digits.starts_with(|first: char| first.is_ascii_digit()) => rest.to_owned(),
        None => return None,
    };
    Some(format!("{sign}{whole}{rest}"))
}

/// Reads a literal of JSON or of a neighbouring language.
pub(super) fn literal(word: &str) -> Option<(Value, Option<Mend>)> {
    Some(match word {
        "true" => (Value::Bool(true), None),
        "false" => (Value::Bool(false), None),
        "null" => (Value::Null, None),
        "True" | "TRUE" => (Value::Bool(true), Some(Mend::ForeignLiteral)),
        "False" | "FALSE" => (Value::Bool(false), Some(Mend::ForeignLiteral)),
        "None" | "Null" | "NULL" | "nil" | "undefined" => (Value::Null, Some(Mend::ForeignLiteral)),
        "NaN" | "nan" | "Infinity" | "inf" => (Value::Null, Some(Mend::NonFinite)),
        _ => return None,
    })
}
