//! Strings of the tolerant reader: what is in them.
//!
//! Text is kept as the author wrote it. What is undone is what broke it: a quote that was not escaped, a raw line
//! break, a backslash that JSON does not know.

use super::look::Quote;
use super::machine::{End, Machine, Step};
use super::quote::{Draft, Role, Verdict};
use super::{Repair, latex};

impl Machine<'_> {
    /// Reads the string whose opening quote is here.
    pub(super) fn string(&mut self, role: Role) -> Step<String> {
        let mut text = self.one_string(role)?;
        while role == Role::Member && self.joins_another() {
            self.repair(Repair::JoinedStrings);
            text.push_str(&self.one_string(role)?);
        }
        Ok(text)
    }

    fn one_string(&mut self, role: Role) -> Step<String> {
        let quote = self
            .triple_at(self.pos)
            .or_else(|| self.quote_at(self.pos))
            .ok_or(End::Broken)?;
        self.pos += quote.open.len();
        let mut draft = Draft {
            start: self.pos,
            ..Draft::default()
        };
        loop {
            self.plain(quote, &mut draft)?;
            let at = self.pos;
            let Some(length) = quote.closing_length(&self.bytes[at..]) else {
                self.special(quote, &mut draft)?;
                continue;
            };
            match self.verdict(quote, at, length, role, &draft) {
                Verdict::Close if !draft.doubt => {
                    self.pos = at + length;
                    self.firm = self.is_firm(quote, at, &draft);
                    break;
                }
                Verdict::Inner if self.is_doubled(at, &draft) => {
                    self.repair(Repair::DoubledQuote);
                    draft.doubled = true;
                    draft.text.push('"');
                    self.pos = at + 2;
                }
                Verdict::Inner => {
                    self.note_inner(at, length, &mut draft);
                    draft.text.push_str(&self.text[at..at + length]);
                    self.pos = at + length;
                }
                Verdict::Before(end) => {
                    draft.text.truncate(draft.text.len() - (at - end));
                    draft.escapes.truncate(draft.text.len());
                    // A closing quote of another kind right before the missing one was the closing quote.
                    if draft.text.ends_with('”') && !draft.text.contains('“') {
                        draft.text.pop();
                        self.repair(Repair::TypographicQuotes);
                    }
                    self.repair(Repair::MissingQuote);
                    draft.controls = 0;
                    self.pos = end;
                    break;
                }
                Verdict::Close | Verdict::Broken => return Err(End::Broken),
            }
        }
        // What a template puts there is for the author's program to say.
        if quote.open == "`" && draft.text.contains("${") {
            return Err(End::Broken);
        }
        let inner = draft.dirty.then_some(Repair::InnerQuote);
        quote
            .repair
            .into_iter()
            .chain(inner)
            .for_each(|repair| self.repair(repair));
        (0..draft.controls).for_each(|_| self.repair(Repair::RawControl));
        for _ in 0..latex::undo(&mut draft.text, draft.escapes) {
            self.repair(Repair::LatexEscape);
        }
        Ok(draft.text)
    }

    /// Whether a quote is doubled to escape it: the first two before a word, and then others up to the end of the string.
    fn is_doubled(&self, at: usize, draft: &Draft) -> bool {
        let Some(after) = self.text[at..].strip_prefix("\"\"") else {
            return false;
        };
        let opens = after.starts_with(char::is_alphanumeric)
            && !self.text[draft.start..at].ends_with(|c: char| !c.is_whitespace() && c != '(');
        let ends = matches!(self.look(at + 2, false).mark, b',' | b':' | b'}' | b']');
        opens || (draft.doubled && !ends)
    }

    /// Copies plain text up to the next byte that may mean something.
    fn plain(&mut self, quote: &Quote, draft: &mut Draft) -> Step {
        let rest = &self.bytes[self.pos..];
        let [one, other] = quote.closing_bytes();
        let special = |byte: &u8| *byte == one || *byte == b'\\' || *byte < 0x20 || *byte == other;
        let Some(length) = rest.iter().position(special) else {
            self.pos = self.bytes.len();
            return Err(self.end_in_text());
        };
        draft.text.push_str(&self.text[self.pos..self.pos + length]);
        self.pos += length;
        Ok(())
    }

    /// Says why a string has no end: with all brackets at the end of the answer, its quote was forgotten.
    fn end_in_text(&self) -> End {
        let text = self.text.trim_end().trim_end_matches(['`', '~']);
        let last = text
            .bytes()
            .rev()
            .filter(|byte| !byte.is_ascii_whitespace());
        let brackets = last.take_while(|byte| matches!(byte, b']' | b'}'));
        let depth = self.frames.len();
        if brackets.take(depth).count() == depth {
            End::Broken
        } else {
            End::Cut
        }
    }

    /// Reads a byte that means something but closes nothing.
    fn special(&mut self, quote: &Quote, draft: &mut Draft) -> Step {
        let byte = self.bytes[self.pos];
        if byte == b'\\' {
            return self.escape(quote, draft);
        }
        draft.controls += u32::from(byte < 0x20 && quote.is_one_line());
        self.char_of_text(draft);
        Ok(())
    }

    fn char_of_text(&mut self, draft: &mut Draft) {
        self.char_at(self.pos)
            .into_iter()
            .for_each(|c| draft.push(c));
        self.pos = self.past(self.pos);
    }

    fn escape(&mut self, quote: &Quote, draft: &mut Draft) -> Step {
        let Some(&next) = self.bytes.get(self.pos + 1) else {
            self.pos = self.bytes.len();
            return Err(End::Cut);
        };
        let is_hex = next == b'x' && quote.open == "'";
        let code = is_hex.then(|| self.hex(self.pos + 2, 2)).flatten();
        let code = code.and_then(char::from_u32);
        let c = match next {
            b'"' | b'/' => char::from(next),
            b'\\' => {
                let after = self.bytes.get(self.pos + 2).copied().unwrap_or(b' ');
                if after.is_ascii_alphabetic() {
                    draft.escapes.doubled += 1;
                } else if after != b'\\' && !draft.text.ends_with('\\') {
                    draft.escapes.rows.push(draft.text.len());
                }
                '\\'
            }
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                self.unicode(draft);
                return Ok(());
            }
            // A continued line, and the escapes of languages whose strings stand in other quotes.
            b'\n' | b'\'' => {
                if quote.open != "'" {
                    self.repair(Repair::InvalidEscape);
                }
                char::from(next)
            }
            b'`' if quote.open == "`" => '`',
            b'x' if code.is_some() => {
                self.repair(Repair::InvalidEscape);
                self.pos += 2;
                code.unwrap_or_default()
            }
            _ => {
                self.keep_backslash(draft);
                return Ok(());
            }
        };
        if b"bfnrt".contains(&next) {
            draft.escapes.suspects.push(draft.text.len());
        }
        draft.text.push(c);
        self.pos += 2;
        Ok(())
    }

    /// Keeps a backslash that JSON does not know. What follows is text, even where it would be a quote or another one.
    fn keep_backslash(&mut self, draft: &mut Draft) {
        self.repair(Repair::InvalidEscape);
        draft.escapes.singles.push(draft.text.len());
        draft.text.push('\\');
        self.pos += 1;
        if self.peek().is_some_and(|byte| byte >= 0x20) {
            self.char_of_text(draft);
        }
    }

    fn unicode(&mut self, draft: &mut Draft) {
        let Some(unit) = self.hex(self.pos + 2, 4) else {
            return self.keep_backslash(draft);
        };
        self.pos += 6;
        let rest = self.text[self.pos..].strip_prefix("\\u");
        let second = rest.and_then(|_| self.hex(self.pos + 2, 4));
        let mut c = char::from_u32(unit);
        if let (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) = (unit, second) {
            c = char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00));
            self.pos += 6;
        }
        if c.is_none() {
            self.repair(Repair::LoneSurrogate);
        }
        draft.push(c.unwrap_or('\u{fffd}'));
    }

    fn hex(&self, at: usize, digits: usize) -> Option<u32> {
        let token = self.text.get(at..at + digits)?;
        let hex = token.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| u32::from_str_radix(token, 16).ok()).flatten()
    }
}
