//! Tokens of the tolerant reader that stand without quotes: numbers, words, keys.

use serde_json::Value;

use super::tolerant::{End, Frame, Machine, Step};
use super::trivia::is_invisible;
use super::{Mend, scalar};

/// The longest text without quotes, in bytes.
const MAX_BARE: usize = 1024;

impl Machine<'_> {
    pub(super) fn number(&mut self) -> Step<Value> {
        let start = self.pos;
        let mut end = start + self.token_length(start);
        if matches!(self.frames.last(), Some(Frame::Object(_))) {
            end = self.thousands(start, end);
        }
        if end == self.bytes.len() {
            return Err(End::Cut);
        }
        let number = scalar::number(&self.text[start..end]).filter(|_| self.ends_scalar(end));
        let Some((value, mend)) = number else {
            return self.bare_text();
        };
        if let Some(mend) = mend {
            self.mend(mend);
        }
        self.pos = end;
        self.firm = true;
        Ok(value)
    }

    pub(super) fn token_length(&self, start: usize) -> usize {
        self.bytes[start..]
            .iter()
            .take_while(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'+' | b'-')
            })
            .count()
    }

    /// Extends digits by groups of three after commas, which inside an object can be nothing else.
    pub(super) fn thousands(&self, start: usize, end: usize) -> usize {
        let digits = self.text[start..end].trim_start_matches(['+', '-']);
        if !(1..=3).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return end;
        }
        let mut at = end;
        while let [b',', a, b, c, ..] = self.bytes[at..]
            && [a, b, c].iter().all(u8::is_ascii_digit)
            && !self.bytes.get(at + 4).is_some_and(u8::is_ascii_digit)
        {
            at += 4;
        }
        if at > end && self.bytes.get(at) == Some(&b'.') {
            at += self.token_length(at);
        }
        at
    }

    pub(super) fn ends_token(&self, at: usize) -> bool {
        self.bytes[at].is_ascii_whitespace()
            || matches!(
                self.bytes[at],
                b',' | b'}' | b']' | b'/' | b'#' | b'`' | b';'
            )
            || self.mark(at).is_some()
            || self.invisible(at).is_some()
    }

    pub(super) fn word(&mut self) -> Step<Value> {
        let start = self.pos;
        let end = start
            + self.bytes[start..]
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
                .count();
        if end == self.bytes.len() {
            return Err(End::Cut);
        }
        let word = &self.text[start..end];
        let value =
            if let Some((value, mend)) = scalar::literal(word).filter(|_| self.ends_scalar(end)) {
                if let Some(mend) = mend {
                    self.mends.add(mend);
                }
                value
            } else if matches!(self.frames.last(), Some(Frame::Object(_)))
                && word.len() <= 64
                && self.ends_member(end)
            {
                self.mends.add(Mend::UnquotedValue);
                Value::String(word.to_owned())
            } else {
                return self.bare_text();
            };
        self.pos = end;
        self.firm = true;
        Ok(value)
    }

    /// Reads a text that has no quotes, or no opening one: up to where the record must go on or end.
    pub(super) fn bare_text(&mut self) -> Step<Value> {
        let known = match self.frames.last() {
            Some(Frame::Object(object)) => object
                .key
                .as_deref()
                .is_some_and(|key| self.shape.recognises(key)),
            _ => false,
        };
        let start = self.pos;
        let mut at = start;
        let mut commas = false;
        let end = loop {
            let Some(byte) = self
                .bytes
                .get(at)
                .filter(|_| known && at - start < MAX_BARE)
            else {
                return Err(if at == self.bytes.len() && known {
                    End::Cut
                } else {
                    self.broken()
                });
            };
            let after = self.look(at + 1, false).0;
            match byte {
                b'"' if !commas && self.is_end_of_bare(after) => break at,
                b',' if self.member_at(after) || self.bare_key_known(after) => break at,
                b'}' if !commas && self.object_may_end(at + 1, true) => break at,
                b'\n'
                    if self.member_at(after)
                        || self.bare_key_known(after)
                        || self.mark(after) == Some((b'}', 1)) =>
                {
                    break at;
                }
                b'{' | b'[' | b'}' | b']' | b'"' | b'\\' | b'\n' | b'`' | 0x08 | 0x0c => {
                    return Err(self.broken());
                }
                _ => commas |= *byte == b',',
            }
            at += 1;
        };
        let text = self.text[start..end]
            .trim_end()
            .trim_end_matches(',')
            .to_owned();
        // A sum is for the author to work out, and so is a number that is none.
        let sum = text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(['+', '*', '=']);
        if sum || text.parse::<f64>().is_ok() {
            return Err(self.broken());
        }
        let closed = self.bytes[end] == b'"';
        self.mend(Mend::UnquotedValue);
        self.pos = end + usize::from(closed);
        self.firm = true;
        Ok(Value::String(text))
    }

    /// Whether a quote before this place can only be the closing one of a text that has no opening one.
    fn is_end_of_bare(&self, next: usize) -> bool {
        match self.mark(next) {
            Some((b',', length)) => self.member_at(self.look(next + length, false).0),
            Some((b'}', length)) => self.object_may_end(next + length, true),
            _ => false,
        }
    }

    /// Whether a number or a literal ends here, rather than being the first word of more.
    fn ends_scalar(&self, at: usize) -> bool {
        let (next, newline) = self.look(at, true);
        let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"-/%:(+*".contains(byte);
        self.ends_token(at)
            && (newline || !self.bytes.get(next).is_some_and(goes_on) || self.bare_key_known(next))
    }

    /// Whether nothing more of a value can follow on this line.
    pub(super) fn ends_member(&self, at: usize) -> bool {
        let (next, newline) = self.look(at, true);
        newline || matches!(self.mark(next), Some((b',' | b'}' | b']', _)))
    }

    pub(super) fn bare_key(&mut self) -> Step<String> {
        let start = self.pos;
        let length = bare_key_length(&self.text[start..]);
        if length == 0 {
            return Err(self.broken());
        }
        if start + length == self.bytes.len() {
            return Err(End::Cut);
        }
        self.pos += length;
        Ok(self.text[start..self.pos].to_owned())
    }

    /// Takes invisible characters off the rim of a key if that makes it a known one.
    pub(super) fn bare_of_invisibles(&mut self, key: String) -> String {
        if self.shape.knows(&key) {
            return key;
        }
        let bare = key.trim_matches(|c: char| c.is_whitespace() || is_invisible(c));
        if bare.len() < key.len() && self.shape.knows(bare) {
            let bare = bare.to_owned();
            self.mend(Mend::InvisibleCharacter);
            return bare;
        }
        key
    }
}

/// The length of a key without quotes: letters of any script, digits, `_`, `-`, `$`. Longer than 64 bytes is none.
pub(super) fn bare_key_length(text: &str) -> usize {
    let mut length = 0;
    for c in text.chars() {
        if !(c.is_alphanumeric() || matches!(c, '_' | '-' | '$')) {
            break;
        }
        length += c.len_utf8();
        if length > 64 {
            return 0;
        }
    }
    length
}
