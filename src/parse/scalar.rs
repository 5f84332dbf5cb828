//! Numbers and words outside strings.

use serde_json::{Number, Value};

use super::Repair;

/// Reads a number in any form that models write, given the run of characters it may consist of.
///
/// Returns `None` where only a guess would make a number of it, such as `12:30`, `5%` or `1/2`.
pub(super) fn number(token: &str) -> Option<(Value, Option<Repair>)> {
    if let Some(number) = strict(token) {
        return Some((number, None));
    }
    let (sign, body) = match token.as_bytes().first()? {
        b'-' => ("-", &token[1..]),
        b'+' => ("", &token[1..]),
        _ => ("", token),
    };
    if let Some(found @ (_, Some(Repair::NonFinite))) = literal(body) {
        return Some(found);
    }
    if let Some(hex) = body.strip_prefix("0x").or_else(|| body.strip_prefix("0X")) {
        let value = i64::from_str_radix(hex, 16)
            .ok()
            .filter(|_| !hex.starts_with(['+', '-']))?;
        let value = if sign.is_empty() { value } else { -value };
        return Some((value.into(), Some(Repair::NumberForm)));
    }
    let plain = plain_form(sign, body)?;
    strict(&plain).map(|number| (number, Some(Repair::NumberForm)))
}

/// What `serde_json` makes of a number, so that both readers agree to the last bit.
fn strict(token: &str) -> Option<Value> {
    let is_plain = token.starts_with(|c: char| c.is_ascii_digit() || c == '-');
    let number = serde_json::from_str::<Number>(token).ok();
    number.filter(|_| is_plain).map(Value::Number)
}

/// Rewrites digits with separators, leading zeros and bare points to JSON's form.
fn plain_form(sign: &str, body: &str) -> Option<String> {
    let bytes = body.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut digits = String::with_capacity(body.len() + 2);
    for (at, &byte) in bytes.iter().enumerate() {
        match byte {
            b'_' | b',' if is_digit(at.wrapping_sub(1)) && is_digit(at + 1) => {}
            b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-' => digits.push(char::from(byte)),
            _ => return None,
        }
    }
    let length = digits.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = digits.split_at(length);
    let fraction = rest.strip_prefix('.');
    // A point needs a digit on one side at least.
    let lacks_fraction = fraction.is_some_and(|fraction| !fraction.starts_with(char::is_numeric));
    if whole.is_empty() && (fraction.is_none() || lacks_fraction) {
        return None;
    }
    let whole = Some(whole.trim_start_matches('0')).filter(|whole| !whole.is_empty());
    let whole = whole.unwrap_or("0");
    Some(match fraction {
        Some(exponent) if lacks_fraction => format!("{sign}{whole}.0{exponent}"),
        _ => format!("{sign}{whole}{rest}"),
    })
}

/// Reads a literal of JSON or of a neighbouring language.
pub(super) fn literal(word: &str) -> Option<(Value, Option<Repair>)> {
    Some(match word {
        "true" => (Value::Bool(true), None),
        "false" => (Value::Bool(false), None),
        "null" => (Value::Null, None),
        "True" | "TRUE" => (Value::Bool(true), Some(Repair::ForeignLiteral)),
        "False" | "FALSE" => (Value::Bool(false), Some(Repair::ForeignLiteral)),
        "None" | "Null" | "NULL" | "nil" | "undefined" => {
            (Value::Null, Some(Repair::ForeignLiteral))
        }
        "NaN" | "nan" | "Infinity" | "inf" => (Value::Null, Some(Repair::NonFinite)),
        _ => return None,
    })
}
