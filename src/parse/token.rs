//! Tokens of the tolerant reader that stand without quotes: numbers, words, texts, keys.

use serde_json::Value;

use super::machine::{End, Machine, Step};
use super::{Repair, scalar};

/// The longest text without quotes, in bytes.
const MAX_BARE: usize = 1024;

fn is_of_number(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._+-".contains(&byte)
}

impl Machine<'_> {
    pub(super) fn number(&mut self) -> Step<Value> {
        let mut end = self.run(self.pos, usize::MAX, is_of_number);
        if self.in_object() {
            end = self.thousands(end);
        }
        let token = &self.text[self.pos..end];
        let number = scalar::number(token).filter(|_| self.ends_scalar(end));
        self.scalar(end, number)
    }

    pub(super) fn word(&mut self) -> Step<Value> {
        let is_of_word = |byte: u8| byte.is_ascii_alphanumeric() || b"_-".contains(&byte);
        let end = self.run(self.pos, usize::MAX, is_of_word);
        let word = &self.text[self.pos..end];
        let literal = scalar::literal(word).filter(|_| self.ends_scalar(end));
        // One word alone needs no known key before it.
        let bare = || {
            (self.in_object() && self.ends_member(end))
                .then(|| (word.into(), Some(Repair::UnquotedValue)))
        };
        let value = literal.or_else(bare);
        self.scalar(end, value)
    }

    /// Takes the token before `end` for what it is, if it is one and ends there; else it may be the start of a text.
    fn scalar(&mut self, end: usize, value: Option<(Value, Option<Repair>)>) -> Step<Value> {
        let Some((value, repair)) = value else {
            return self.bare_text();
        };
        repair.into_iter().for_each(|repair| self.repair(repair));
        self.pos = end;
        self.firm = true;
        Ok(value)
    }

    /// Extends digits by groups of three after commas, which inside an object can be nothing else.
    fn thousands(&self, end: usize) -> usize {
        let digits = self.text[self.pos..end].trim_start_matches(['+', '-']);
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
            at = self.run(at, usize::MAX, is_of_number);
        }
        at
    }

    /// Reads a text that has no quotes, or no opening one: up to where the record must go on or end. Only under a key of
    /// the record, and with none of JSON's own marks in it.
    pub(super) fn bare_text(&mut self) -> Step<Value> {
        let key = self.top_object().and_then(|object| object.key.as_deref());
        if !key.is_some_and(|key| self.shape.recognises(key)) {
            return Err(self.broken());
        }
        let start = self.pos;
        let mut end = start;
        let mut commas = false;
        loop {
            let byte = *self.bytes.get(end).ok_or(End::Cut)?;
            let after = self.next(end + 1);
            let member = || self.member_at(after) || self.bare_key_known(after);
            match byte {
                _ if end - start >= MAX_BARE => return Err(self.broken()),
                b'"' if !commas && self.ends_bare_text(after) => break,
                b',' if member() => break,
                b'}' if !commas && self.object_may_end(end + 1, true) => break,
                b'\n' if self.bytes.get(after) == Some(&b'}') || member() => break,
                b'{' | b'[' | b'}' | b']' | b'"' | b'\\' | b'\n' | b'`' | 0x08 | 0x0c => {
                    return Err(self.broken());
                }
                _ => commas |= byte == b',',
            }
            end += 1;
        }
        let text = self.text[start..end].trim_end().trim_end_matches(',');
        // A sum is for the author to work out, and so is a number that is none. `6+` is not one.
        let parts = text.strip_suffix('+').unwrap_or(text);
        let sum = text.starts_with(|c: char| c.is_ascii_digit()) && parts.contains(['+', '*', '=']);
        if sum || text.parse::<f64>().is_ok() {
            return Err(self.broken());
        }
        let value = text.into();
        self.repair(Repair::UnquotedValue);
        self.pos = end + usize::from(self.bytes[end] == b'"');
        self.firm = true;
        Ok(value)
    }

    /// Whether a quote before this place can only be the closing one of a text that has no opening one.
    fn ends_bare_text(&self, next: usize) -> bool {
        let past = self.past(next);
        match self.mark(next) {
            b',' => self.member_at(self.next(past)),
            b'}' => self.object_may_end(past, true),
            _ => false,
        }
    }

    /// Whether a number or a literal ends here, rather than being the first word of more.
    fn ends_scalar(&self, at: usize) -> bool {
        if self.is_end(at) {
            return true;
        }
        let ends = self.bytes[at].is_ascii_whitespace() || self.mark(at) != 0;
        let next = self.look(at, true);
        let goes_on = |byte: &u8| byte.is_ascii_alphanumeric() || b"-/%:(+*".contains(byte);
        ends && (next.newline || !self.bytes.get(next.at).is_some_and(goes_on))
    }

    /// Whether nothing more of a value can follow on this line.
    fn ends_member(&self, at: usize) -> bool {
        let next = self.look(at, true);
        next.newline || matches!(next.mark, b',' | b'}' | b']')
    }
}
