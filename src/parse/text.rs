//! Strings of the tolerant reader: what is in them.
//!
//! Text is kept as the author wrote it. What is undone is what broke it: a quote that was not escaped, a raw line
//! break, a backslash that JSON does not know.

use super::quote::{Quote, Verdict};
use super::tolerant::{End, Frame, Machine, Step};
use super::{Mend, latex};

/// Where a string stands, which decides what may follow it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Key,
    Member,
    Element,
}

/// What has been seen of a string so far.
#[derive(Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the text"
)]
pub(super) struct Draft {
    pub(super) text: String,
    /// Where its text starts in the answer.
    pub(super) start: usize,
    /// Whether a quote inside was taken for text.
    pub(super) dirty: bool,
    /// Whether a quote inside opened and none closed it yet.
    pub(super) open_inner: bool,
    /// Whether something inside looks like JSON of its own.
    pub(super) nested: bool,
    /// Whether something inside looks like the next member of this very record.
    pub(super) doubt: bool,
    /// Whether quotes inside are doubled.
    doubled: bool,
    suspects: Vec<usize>,
    rows: Vec<usize>,
    habit: latex::Habit,
    broken_pair: bool,
    controls: u32,
}

impl Draft {
    /// Remembers a control character that is no part of any text: a backslash was decoded before it came here.
    fn note_control(&mut self, c: char) {
        if matches!(c, '\u{8}' | '\u{c}') {
            self.suspects.push(self.text.len());
        }
    }
}

impl Machine<'_> {
    /// Reads the string whose opening quote is here.
    pub(super) fn string(&mut self, role: Role) -> Step<String> {
        let mut text = self.one_string(role)?;
        while role == Role::Member && self.joins_another() {
            self.mend(Mend::JoinedStrings);
            text.push_str(&self.one_string(role)?);
        }
        Ok(text)
    }

    fn one_string(&mut self, role: Role) -> Step<String> {
        let Some(quote) = self.quote_at(self.pos) else {
            return Err(End::Broken);
        };
        let quote = self.triple(quote, role);
        self.pos += quote.length;
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
                Verdict::Close => {
                    if draft.doubt {
                        return Err(End::Broken);
                    }
                    self.pos = at + length;
                    self.firm = self.is_firm(quote, at, &draft);
                    break;
                }
                Verdict::Inner if self.is_doubled(quote, at, &draft) => {
                    self.mend(Mend::DoubledQuote);
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
                    let cut = at - end;
                    draft.text.truncate(draft.text.len() - cut);
                    self.drop_lone_closer(&mut draft.text);
                    self.mend(Mend::MissingQuote);
                    draft.controls = 0;
                    self.pos = end;
                    break;
                }
                Verdict::Broken => return Err(End::Broken),
            }
        }
        if let Some(mend) = quote.mend() {
            self.mend(mend);
        }
        if draft.dirty {
            self.mend(Mend::InnerQuote);
        }
        for _ in 0..draft.controls {
            self.mend(Mend::RawControl);
        }
        if draft.broken_pair {
            self.mend(Mend::LoneSurrogate);
        }
        self.undo_latex(&mut draft);
        Ok(draft.text)
    }

    /// Whether a quote is doubled to escape it: the first two before a word, and then others up to the end of the string.
    fn is_doubled(&self, quote: Quote, at: usize, draft: &Draft) -> bool {
        let Some(after) = self.text[at..].strip_prefix("\"\"") else {
            return false;
        };
        let opens = after.starts_with(char::is_alphanumeric)
            && !self.text[draft.start..at].ends_with(|c: char| !c.is_whitespace() && c != '(');
        let ends = matches!(
            self.mark(self.look(at + 2, false).0),
            Some((b',' | b':' | b'}' | b']', _))
        );
        quote.open == '"' && (opens || (draft.doubled && !ends))
    }

    /// Copies plain text up to the next byte that may mean something.
    fn plain(&mut self, quote: Quote, draft: &mut Draft) -> Step {
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
        let mut rest = self.text.trim_end().trim_end_matches(['`', '~']).trim_end();
        let closes = self.frames.iter().all(|frame| {
            let bracket = if matches!(frame, Frame::Array(_)) {
                ']'
            } else {
                '}'
            };
            let before = rest.strip_suffix(bracket).map(str::trim_end);
            rest = before.unwrap_or(rest);
            before.is_some()
        });
        if closes { End::Broken } else { End::Cut }
    }

    /// Reads a byte that means something but closes nothing.
    fn special(&mut self, quote: Quote, draft: &mut Draft) -> Step {
        let byte = self.bytes[self.pos];
        if byte == b'\\' {
            return self.escape(quote, draft);
        }
        if byte < 0x20 {
            draft.controls += u32::from(quote.is_one_line());
            draft.note_control(char::from(byte));
        }
        let length = self.text[self.pos..]
            .chars()
            .next()
            .map_or(1, char::len_utf8);
        draft.text.push_str(&self.text[self.pos..self.pos + length]);
        self.pos += length;
        Ok(())
    }

    fn escape(&mut self, quote: Quote, draft: &mut Draft) -> Step {
        let Some(&next) = self.bytes.get(self.pos + 1) else {
            self.pos = self.bytes.len();
            return Err(End::Cut);
        };
        let after = self.bytes.get(self.pos + 2).copied().unwrap_or(b' ');
        let control = match next {
            b'"' | b'/' => {
                draft.text.push(char::from(next));
                self.pos += 2;
                return Ok(());
            }
            b'\\' => {
                let row =
                    !after.is_ascii_alphabetic() && after != b'\\' && !draft.text.ends_with('\\');
                if row {
                    draft.rows.push(draft.text.len());
                } else if after.is_ascii_alphabetic() {
                    draft.habit.doubled += 1;
                }
                draft.text.push('\\');
                self.pos += 2;
                return Ok(());
            }
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(draft),
            b'x' if quote.is_single() => {
                if let Some(c) = self.hex(self.pos + 2, 2).and_then(char::from_u32) {
                    draft.text.push(c);
                    self.pos += 4;
                    self.mend(Mend::InvalidEscape);
                    return Ok(());
                }
                self.keep_backslash(draft);
                return Ok(());
            }
            b'\n' | b'\'' => {
                // A continued line, and the escape of languages whose strings stand in single quotes.
                draft.text.push(char::from(next));
                self.pos += 2;
                if !quote.is_single() {
                    self.mend(Mend::InvalidEscape);
                }
                return Ok(());
            }
            b'`' if quote.open == '`' => {
                draft.text.push('`');
                self.pos += 2;
                return Ok(());
            }
            _ => {
                self.keep_backslash(draft);
                return Ok(());
            }
        };
        draft.suspects.push(draft.text.len());
        draft.text.push(control);
        self.pos += 2;
        Ok(())
    }

    fn keep_backslash(&mut self, draft: &mut Draft) {
        self.mend(Mend::InvalidEscape);
        draft.habit.singles.push(draft.text.len());
        draft.text.push('\\');
        self.pos += 1;
        // What follows is text, even where it would be a quote or another backslash.
        let length = self.text[self.pos..]
            .chars()
            .next()
            .map_or(0, char::len_utf8);
        if length > 0 && self.bytes[self.pos] >= 0x20 {
            draft.text.push_str(&self.text[self.pos..self.pos + length]);
            self.pos += length;
        }
    }

    fn unicode(&mut self, draft: &mut Draft) -> Step {
        if self.pos + 6 > self.bytes.len()
            && self.bytes[self.pos + 2..].iter().all(u8::is_ascii_hexdigit)
        {
            self.pos = self.bytes.len();
            return Err(End::Cut);
        }
        let Some(unit) = self.hex(self.pos + 2, 4) else {
            self.keep_backslash(draft);
            return Ok(());
        };
        if let Some(c) = char::from_u32(unit) {
            draft.note_control(c);
            draft.text.push(c);
            self.pos += 6;
            return Ok(());
        }
        let second = self.bytes[self.pos + 6..]
            .starts_with(b"\\u")
            .then(|| self.hex(self.pos + 8, 4))
            .flatten();
        if let (0xd800..=0xdbff, Some(low @ 0xdc00..=0xdfff)) = (unit, second) {
            let code = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            draft.text.push(char::from_u32(code).unwrap_or('\u{fffd}'));
            self.pos += 12;
            return Ok(());
        }
        draft.text.push('\u{fffd}');
        draft.broken_pair = true;
        self.pos += 6;
        Ok(())
    }

    fn hex(&self, at: usize, digits: usize) -> Option<u32> {
        let token = self.bytes.get(at..at + digits)?;
        if !token.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        u32::from_str_radix(&self.text[at..at + digits], 16).ok()
    }

    /// A closing quote of another kind right before a missing one was the closing quote.
    fn drop_lone_closer(&mut self, text: &mut String) {
        if text.ends_with('”') && !text.contains('“') {
            text.pop();
            self.mend(Mend::TypographicQuotes);
        }
    }

    fn undo_latex(&mut self, draft: &mut Draft) {
        if draft.habit.doubled == 0
            && !draft.habit.singles.is_empty()
            && (draft.text.contains("\\begin{") || draft.text.contains("\u{8}egin{"))
        {
            self.double_rows(draft);
        }
        for _ in 0..latex::undo(&mut draft.text, &draft.suspects, &draft.habit) {
            self.mend(Mend::LatexEscape);
        }
    }
    /// Gives the rows of a matrix their two backslashes back: an author who does not escape wrote both.
    fn double_rows(&mut self, draft: &mut Draft) {
        let mut text = String::with_capacity(draft.text.len() + draft.rows.len());
        let mut from = 0;
        let mut suspects = draft.suspects.iter_mut().peekable();
        for (count, &at) in draft.rows.iter().enumerate() {
            text.push_str(&draft.text[from..at]);
            text.push('\\');
            from = at;
            while let Some(suspect) = suspects.next_if(|suspect| **suspect < at) {
                *suspect += count;
            }
            self.mend(Mend::LatexEscape);
        }
        suspects.for_each(|suspect| *suspect += draft.rows.len());
        for single in &mut draft.habit.singles {
            *single += draft.rows.partition_point(|row| row < single);
        }
        text.push_str(&draft.text[from..]);
        draft.text = text;
    }
}
