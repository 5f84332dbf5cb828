//! Where a string ends when the quotes inside it may not be escaped.
//!
//! A quote ends a string if what follows can only be the JSON around it; the keys of the wanted record are
//! the strongest sign. Otherwise it is text. Where both could be, the string is given up: a record lost is better
//! than a record wrong.

#![expect(
    clippy::match_same_arms,
    reason = "the order of the arms is the argument"
)]

use super::Mend;
use super::text::{Draft, Role};
use super::token::bare_key_length;
use super::tolerant::{Frame, Machine};

/// How far a look-ahead for a key goes, in bytes. Longer keys exist, but none in a record worth guessing for.
const KEY_REACH: usize = 256;

/// The quotes around a string.
#[derive(Debug, Clone, Copy)]
pub(super) struct Quote {
    pub(super) open: char,
    /// The bytes of the opening quote.
    pub(super) length: usize,
    triple: bool,
}

impl Quote {
    pub(super) fn is_single(self) -> bool {
        self.open == '\''
    }

    /// Whether a raw line break is an error between these quotes.
    pub(super) fn is_one_line(self) -> bool {
        !self.triple && self.open != '`'
    }

    pub(super) fn mend(self) -> Option<Mend> {
        match self.open {
            _ if self.triple => Some(Mend::OtherQuotes),
            '"' => None,
            '\'' => Some(Mend::SingleQuotes),
            '`' => Some(Mend::OtherQuotes),
            '＂' => Some(Mend::FullWidthPunctuation),
            _ => Some(Mend::TypographicQuotes),
        }
    }

    fn closers(self) -> &'static [&'static str] {
        match (self.open, self.triple) {
            ('"', false) => &["\""],
            ('"', true) => &["\"\"\""],
            ('\'', false) => &["'"],
            ('\'', true) => &["'''"],
            ('`', _) => &["`"],
            ('‘' | '’', _) => &["’", "'"],
            ('«', _) => &["»"],
            ('＂', _) => &["＂"],
            _ => &["”", "“", "\""],
        }
    }

    /// The bytes that a closing quote may start with.
    pub(super) fn closing_bytes(self) -> [u8; 2] {
        match self.open {
            '"' => [b'"', b'"'],
            '\'' => [b'\'', b'\''],
            '`' => [b'`', b'`'],
            '‘' | '’' => [0xe2, b'\''],
            '«' => [0xc2, 0xc2],
            '＂' => [0xef, 0xef],
            _ => [0xe2, b'"'],
        }
    }

    #[inline]
    pub(super) fn closing_length(self, rest: &[u8]) -> Option<usize> {
        // Most bytes close nothing, and need no closer look.
        let may_close = self.closing_bytes().contains(rest.first()?);
        may_close.then(|| self.closer_length(rest)).flatten()
    }

    fn closer_length(self, rest: &[u8]) -> Option<usize> {
        self.closers()
            .iter()
            .find(|closer| rest.starts_with(closer.as_bytes()))
            .map(|closer| closer.len())
    }
}

/// What a quote inside a string is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// The end.
    Close,
    /// Text.
    Inner,
    /// The start of the next key: the string ended at this earlier place, where its quote is missing.
    Before(usize),
    /// It could be either.
    Broken,
}

/// Whether a member starts at a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Key {
    /// With a key that a record has.
    Known,
    /// With something that could be a key.
    Plausible,
    /// With something that has a key's quotes and colon but reads like a sentence.
    Odd,
    /// The text ends before that can be told.
    Cut,
    No,
}

impl Machine<'_> {
    pub(super) fn quote_at(&self, at: usize) -> Option<Quote> {
        let byte = *self.bytes.get(at)?;
        let open = match byte {
            b'"' | b'\'' | b'`' => char::from(byte),
            0xc2 | 0xe2 | 0xef => self.text.get(at..)?.chars().next()?,
            _ => return None,
        };
        if byte == b'`' && self.at_fence(at) {
            return None;
        }
        matches!(
            open,
            '"' | '\'' | '`' | '“' | '”' | '„' | '‟' | '‘' | '’' | '«' | '＂'
        )
        .then(|| Quote {
            open,
            length: open.len_utf8(),
            triple: false,
        })
    }

    /// Sees whether a quote is the first of three that open a string over several lines.
    pub(super) fn triple(&self, quote: Quote, role: Role) -> Quote {
        let three: &[u8] = match quote.open {
            '"' => b"\"\"\"",
            '\'' => b"'''",
            _ => return quote,
        };
        let rest = &self.bytes[self.pos..];
        if role == Role::Key || !rest.starts_with(three) {
            return quote;
        }
        Quote {
            length: 3,
            triple: true,
            ..quote
        }
    }

    /// Skips white space, and comments if asked to; says whether a line ended on the way.
    pub(super) fn look(&self, from: usize, comments: bool) -> (usize, bool) {
        let mut at = from;
        let mut newline = false;
        while let Some(&byte) = self.bytes.get(at) {
            match byte {
                b'\n' => {
                    newline = true;
                    at += 1;
                }
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => at += 1,
                b'/' | b'#' if comments => match self.comment(at) {
                    Some(end) => at = end,
                    None => break,
                },
                0xc2.. => match self.invisible(at) {
                    Some(length) => at += length,
                    None => break,
                },
                _ => break,
            }
        }
        (at, newline)
    }

    /// Returns the length of a colon, or of what other languages write for it, and what that mends.
    pub(super) fn colon(&self, at: usize) -> Option<(usize, Option<Mend>)> {
        match self.mark(at) {
            Some((b':', 1)) => Some((1, None)),
            Some((b':', length)) => Some((length, Some(Mend::FullWidthPunctuation))),
            _ if self.bytes[at..].starts_with(b"=>") => Some((2, Some(Mend::MissingColon))),
            _ if self.bytes.get(at) == Some(&b'=') => Some((1, Some(Mend::MissingColon))),
            _ => None,
        }
    }

    /// Whether a key that a record has, and its colon, stand here.
    pub(super) fn member_at(&self, at: usize) -> bool {
        let key = self.quote_at(at).zip(self.key_text(at));
        key.is_some_and(|(quote, key)| {
            let close = at + quote.length + key.len();
            let length = quote.closing_length(&self.bytes[close..]).unwrap_or(1);
            let stars = self.bytes[close + length..]
                .iter()
                .take_while(|byte| **byte == b'*')
                .count();
            self.shape.recognises(key)
                && self
                    .colon(self.look(close + length + stars, false).0)
                    .is_some()
        })
    }

    /// Whether only words stand between here and such a member, on this line.
    pub(super) fn words_before_key(&self, at: usize) -> bool {
        let rest = self.bytes[at..].iter().take(40);
        let words = rest
            .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b' ')
            .count();
        self.member_at(at + words)
    }

    /// Decides what the quote at `at` is.
    pub(super) fn verdict(
        &self,
        quote: Quote,
        at: usize,
        length: usize,
        role: Role,
        draft: &Draft,
    ) -> Verdict {
        if quote.triple {
            return Verdict::Close;
        }
        match role {
            Role::Key => self.key_verdict(at + length, draft),
            Role::Member => self.member_verdict(quote, at, at + length, draft),
            Role::Element => self.element_verdict(at, at + length, draft),
        }
    }

    fn key_verdict(&self, after: usize, draft: &Draft) -> Verdict {
        let (next, _) = self.look(after, true);
        if next == self.bytes.len()
            || self.colon(next).is_some()
            || self.shape.recognises(&draft.text)
        {
            return Verdict::Close;
        }
        // `"key: "value"`: the closing quote of the key is missing.
        match draft.text.trim_end().strip_suffix(':') {
            Some(key) if self.shape.recognises(key) && !draft.dirty => {
                Verdict::Before(draft.start + key.len())
            }
            _ if self.bytes[next] == b'*' => Verdict::Close,
            _ => Verdict::Broken,
        }
    }

    fn member_verdict(&self, quote: Quote, at: usize, after: usize, draft: &Draft) -> Verdict {
        let clean = !draft.dirty;
        // Apostrophes open nothing that would have to close.
        let open = draft.open_inner && !quote.is_single();
        let (next, newline) = self.look(after, clean);
        if next == self.bytes.len() {
            return Verdict::Close;
        }
        let verdict = match self.mark(next) {
            Some((b',' | b';', length)) => self.before_comma(next + length, open, draft),
            Some((b'}', length)) => {
                match (self.object_may_end(next + length, clean), clean, open) {
                    (false, _, _) => Verdict::Inner,
                    (true, false, true) => Verdict::Broken,
                    _ => Verdict::Close,
                }
            }
            Some((b']', _)) if clean && !self.parent_is_an_object() => Verdict::Close,
            Some((b'{', _)) if newline && clean && !self.parent_is_an_object() => Verdict::Close,
            Some((b'{', _)) if clean && self.starts_over(next) => Verdict::Close,
            Some(_) => Verdict::Inner,
            None if self.quote_at(next).is_some() => match self.key_at(next) {
                Key::Known if open => Verdict::Broken,
                Key::Known => Verdict::Close,
                Key::Plausible | Key::Odd if clean && !self.opens(at, after, draft) => {
                    Verdict::Close
                }
                Key::No | Key::Cut if clean && newline => Verdict::Close,
                _ => Verdict::Inner,
            },
            None if self.bytes[next] == b'+' && clean => {
                let (operand, _) = self.look(next + 1, false);
                if self.quote_at(operand).is_some() && !self.opens(at, after, draft) {
                    Verdict::Close
                } else {
                    Verdict::Inner
                }
            }
            None if newline && clean && (self.at_fence(next) || self.bare_key_known(next)) => {
                Verdict::Close
            }
            None if clean
                && matches!(self.bytes[next], b'.' | b'|')
                && self.member_at(self.look(next + 1, false).0) =>
            {
                Verdict::Close
            }
            None => Verdict::Inner,
        };
        if verdict == Verdict::Inner
            && clean
            && let Some(end) = self.missing_quote(quote, at, draft)
        {
            return Verdict::Before(end);
        }
        verdict
    }

    /// The quote is followed by a comma, which ends before `from`.
    fn before_comma(&self, from: usize, open: bool, draft: &Draft) -> Verdict {
        let clean = !draft.dirty;
        let (next, _) = self.look(from, clean);
        let Some(&byte) = self.bytes.get(next) else {
            return Verdict::Close;
        };
        let seen = || {
            let object = self.top_object().zip(self.key_text(next));
            object.is_some_and(|(object, key)| object.map.contains_key(key))
        };
        match self.mark(next) {
            Some((b'}' | b']' | b',', _)) if clean => return Verdict::Close,
            Some((b'}', length)) if !open && self.object_may_end(next + length, clean) => {
                return Verdict::Close;
            }
            Some((b'{', _)) if clean && self.record_starts(next) => return Verdict::Close,
            Some((b':', 1)) if clean && self.bare_key_known(next + 1) => return Verdict::Close,
            Some(_) => return Verdict::Inner,
            None => {}
        }
        if self.quote_at(next).is_some() {
            return match self.key_at(next) {
                Key::Known if open || (draft.dirty && seen()) => Verdict::Broken,
                Key::Known | Key::Cut => Verdict::Close,
                Key::Plausible | Key::Odd if clean => Verdict::Close,
                Key::Plausible if open || draft.nested => Verdict::Inner,
                Key::Plausible => Verdict::Close,
                Key::No | Key::Odd if open => Verdict::Inner,
                Key::No | Key::Odd => Verdict::Broken,
            };
        }
        if self.bare_key_known(next) {
            return if open {
                Verdict::Broken
            } else {
                Verdict::Close
            };
        }
        if clean && byte == b'*' {
            let stars = self.bytes[next..]
                .iter()
                .take(3)
                .take_while(|byte| **byte == b'*')
                .count();
            if self.member_at(next + stars) {
                return Verdict::Close;
            }
        }
        let bare = self.top_object().is_some_and(|object| object.bare_keys);
        if clean && ((bare && self.bare_key_at(next)) || self.words_before_key(next)) {
            return Verdict::Close;
        }
        if clean && byte == b'.' && self.bytes[next..].starts_with(b"...") {
            return Verdict::Close;
        }
        Verdict::Inner
    }

    fn element_verdict(&self, at: usize, after: usize, draft: &Draft) -> Verdict {
        let clean = !draft.dirty;
        let open = draft.open_inner;
        let (next, newline) = self.look(after, clean);
        if next == self.bytes.len() {
            return Verdict::Close;
        }
        match self.mark(next) {
            Some((b']', _)) if clean => Verdict::Close,
            Some((b']', length)) => {
                let (beyond, _) = self.look(next + length, false);
                let ends = beyond == self.bytes.len()
                    || matches!(self.mark(beyond), Some((b',' | b'}' | b']', _)))
                    || self.at_fence(beyond);
                match (ends, open) {
                    (false, _) => Verdict::Inner,
                    (true, true) => Verdict::Broken,
                    (true, false) => Verdict::Close,
                }
            }
            Some((b',', length)) => {
                let (value, _) = self.look(next + length, clean);
                let starts = value == self.bytes.len()
                    || self.quote_at(value).is_some()
                    || matches!(self.mark(value), Some((b'{' | b'[' | b']' | b',', _)))
                    || (clean
                        && (self.bytes[value].is_ascii_digit()
                            || self.bytes[value] == b'-'
                            || self.bytes[value..].starts_with(b"...")
                            || self.literal_at(value)));
                if starts && !open {
                    Verdict::Close
                } else {
                    Verdict::Inner
                }
            }
            Some((b'}', _)) if clean && self.parent_is_an_object() => Verdict::Close,
            Some((b':', _)) if clean => Verdict::Broken,
            Some(_) => Verdict::Inner,
            None if self.quote_at(next).is_some() => {
                if clean && !newline && self.is_measure(at, draft) {
                    Verdict::Broken
                } else if (clean && !self.opens(at, after, draft)) || (newline && !open) {
                    Verdict::Close
                } else {
                    Verdict::Inner
                }
            }
            None if newline && clean && self.at_fence(next) => Verdict::Close,
            None => Verdict::Inner,
        }
    }

    /// Whether an object may end before `from`, judging by what follows.
    pub(super) fn object_may_end(&self, from: usize, clean: bool) -> bool {
        let (next, newline) = self.look(from, clean);
        let Some(&byte) = self.bytes.get(next) else {
            return true;
        };
        if self.at_fence(next) {
            return true;
        }
        let parent = self.parent();
        match (self.mark(next), parent) {
            (Some((b'}' | b']', _)), _) => true,
            (Some((b'{', _)), _) => clean || self.record_starts(next),
            (Some((b',' | b';', length)), _) => {
                let (beyond, _) = self.look(next + length, clean);
                self.goes_on_after_object(beyond, clean)
            }
            // After the outermost brace anything may come, but hardly the rest of a string.
            _ if clean && self.stray_quote(next) && !self.is_open_in_text(from) => true,
            (_, None) if clean => {
                newline || self.quote_at(next).is_none_or(|quote| quote.open == '`')
            }
            (_, None) => newline && self.quote_at(next).is_none(),
            (None, Some(Frame::Object(_))) => clean && self.key_at(next) != Key::No,
            (None, Some(Frame::Array(_))) => clean && byte == b'.',
            (Some(_), _) => false,
        }
    }

    /// Whether the brace before `from` may close one that the text around it opened.
    fn is_open_in_text(&self, from: usize) -> bool {
        let before = &self.bytes[from.saturating_sub(KEY_REACH)..from];
        let text = before.iter().rposition(|byte| *byte == b'"').unwrap_or(0);
        let start = before[..text]
            .iter()
            .rposition(|byte| *byte == b'"')
            .map_or(0, |at| at + 1);
        before[start..text].contains(&b'{')
    }

    /// Whether what follows an object and a comma goes on with what is around the object.
    fn goes_on_after_object(&self, at: usize, clean: bool) -> bool {
        let Some(&byte) = self.bytes.get(at) else {
            return true;
        };
        let mark = self.mark(at).map(|(mark, _)| mark);
        if matches!(self.parent(), Some(Frame::Object(_))) {
            let key = self.key_at(at);
            return mark == Some(b'}')
                || matches!(key, Key::Known | Key::Cut)
                || (clean && (matches!(key, Key::Plausible | Key::Odd) || self.bare_key_at(at)));
        }
        match mark {
            Some(b'{') => clean || self.record_starts(at),
            Some(b']') => true,
            _ => {
                let words = byte.is_ascii_alphabetic() && !self.literal_at(at);
                clean && (!words || self.record_after_words(at).is_some())
            }
        }
    }

    fn literal_at(&self, at: usize) -> bool {
        [
            "true", "false", "null", "True", "False", "None", "NaN", "Infinity",
        ]
        .iter()
        .any(|word| self.bytes[at..].starts_with(word.as_bytes()))
    }

    fn parent_is_an_object(&self) -> bool {
        matches!(self.parent(), Some(Frame::Object(_)))
    }

    /// Whether an object that looks like a record starts at a brace.
    pub(super) fn record_starts(&self, brace: usize) -> bool {
        let (key, _) = self.look(brace + 1, false);
        match self.key_at(key) {
            Key::Known | Key::Cut => true,
            Key::Plausible => self.shape.is_open(),
            Key::Odd | Key::No => false,
        }
    }

    /// Whether the next record starts at a brace: its first key is one that this record has.
    fn starts_over(&self, brace: usize) -> bool {
        let key = self.key_text(self.look(brace + 1, false).0);
        let object = self.top_object().zip(key);
        self.record_starts(brace)
            && object.is_some_and(|(object, key)| object.map.contains_key(key))
    }

    /// Returns the text of the key whose opening quote is at a place, if one ends within reach.
    pub(super) fn key_text(&self, at: usize) -> Option<&str> {
        let quote = self.quote_at(at)?;
        let start = at + quote.length;
        let reach = (start + KEY_REACH).min(self.bytes.len());
        let mut end = start;
        while end < reach
            && self.bytes[end] != b'\n'
            && quote.closing_length(&self.bytes[end..]).is_none()
        {
            end += if self.bytes[end] == b'\\' { 2 } else { 1 };
        }
        if end >= reach {
            return None;
        }
        quote.closing_length(&self.bytes[end..])?;
        self.text.get(start..end)
    }

    fn key_at(&self, at: usize) -> Key {
        let Some(quote) = self.quote_at(at) else {
            return Key::No;
        };
        let start = at + quote.length;
        let Some(text) = self.key_text(at) else {
            let ends_first = start + KEY_REACH >= self.bytes.len()
                && !self.bytes[start.min(self.bytes.len())..].contains(&b'\n');
            return if ends_first { Key::Cut } else { Key::No };
        };
        let close = start + text.len();
        let length = quote.closing_length(&self.bytes[close..]).unwrap_or(1);
        let (next, _) = self.look(close + length, false);
        if next == self.bytes.len() {
            return Key::Cut;
        }
        let colon = self.colon(next).is_some();
        // The colon of a key that is known may be missing.
        let known = self.shape.knows(text) || (colon && self.shape.recognises(text));
        if known && (colon || self.quote_at(next).is_some()) {
            Key::Known
        } else if !colon {
            Key::No
        } else if text.len() <= 64 && !text.contains(['.', ',', ';', '?', '!', '(', '{', '[']) {
            Key::Plausible
        } else {
            Key::Odd
        }
    }

    fn bare_key_at(&self, at: usize) -> bool {
        let length = bare_key_length(&self.text[at..]);
        length > 0 && self.colon(self.look(at + length, false).0).is_some()
    }

    /// Whether a known key without quotes, and its colon, stand at a place.
    pub(super) fn bare_key_known(&self, at: usize) -> bool {
        let length = bare_key_length(&self.text[at..]);
        let end = at + length;
        // The closing quote may be there without the opening one.
        let quote = usize::from(self.bytes.get(end) == Some(&b'"'));
        length > 0
            && self.colon(self.look(end + quote, false).0).is_some()
            && self.shape.recognises(&self.text[at..end])
    }

    /// Whether the quote at `at` rather opens than closes something inside a text.
    fn opens(&self, at: usize, after: usize, draft: &Draft) -> bool {
        let before = self.text[draft.start..at].chars().next_back();
        let next = self.text[after..].chars().next();
        let free = before.is_none_or(|c| c.is_whitespace() || "([{<=:,;-—/>".contains(c));
        free && next.is_some_and(|c| !c.is_whitespace() && !",.;:!?)]}".contains(c))
    }

    /// Remembers what a quote taken for text says about the ones to come.
    pub(super) fn note_inner(&self, at: usize, length: usize, draft: &mut Draft) {
        let after = at + length;
        if self.opens(at, after, draft) {
            draft.open_inner = true;
            draft.doubt |= self.key_at(at) == Key::Known;
        } else {
            draft.open_inner = false;
            draft.nested |= matches!(self.mark(self.look(after, false).0), Some((b':', _)));
        }
        draft.dirty = true;
    }

    /// Where the string ended, if the quote opens the next key and the string before it lost its own: a key not seen
    /// yet, on a new line or after a comma, or the first key of the next record.
    fn missing_quote(&self, quote: Quote, at: usize, draft: &Draft) -> Option<usize> {
        if self.key_at(at) != Key::Known || quote.open != '"' {
            return None;
        }
        let body = &self.text[draft.start..at];
        let trimmed = body.trim_end();
        let object = self.top_object()?;
        if let Some(before) = trimmed.strip_suffix('{') {
            let text = before
                .trim_end()
                .trim_end_matches(',')
                .trim_end()
                .strip_suffix('}')?;
            let whole =
                object.map.contains_key(self.key_text(at)?) && self.shape.overlap(&object.map) > 0;
            return (whole && !text.contains(['{', '}', '\\']))
                .then(|| draft.start + text.trim_end().len());
        }
        let key = self.key_text(at)?;
        if object.map.contains_key(key) || object.key.as_deref() == Some(key) {
            return None;
        }
        let line = body[trimmed.len()..].contains('\n');
        if !(line || (trimmed.ends_with(',') && self.member_at(at)))
            || trimmed.contains(['\n', '\\'])
        {
            return None;
        }
        let text = trimmed.strip_suffix(',').unwrap_or(trimmed);
        Some(draft.start + text.len())
    }

    /// Whether the quote at `at` may stand for inches, or for seconds.
    fn is_measure(&self, at: usize, draft: &Draft) -> bool {
        let before = self.text[draft.start..at].chars().next_back();
        before.is_some_and(char::is_numeric)
    }

    /// Whether a string is followed by another that continues it.
    pub(super) fn joins_another(&mut self) -> bool {
        let (next, newline) = self.look(self.pos, false);
        if self.bytes.get(next) == Some(&b'+') {
            let (operand, _) = self.look(next + 1, false);
            if self.quote_at(operand).is_some() {
                self.pos = operand;
                return true;
            }
            return false;
        }
        if newline && self.quote_at(next).is_some() && self.key_at(next) == Key::No {
            self.pos = next;
            return true;
        }
        false
    }

    /// Whether the closing quote at `at` would be one even if the text went on: not after what a quotation or
    /// a measure in inches may follow.
    pub(super) fn is_firm(&self, quote: Quote, at: usize, draft: &Draft) -> bool {
        let before = self.text[draft.start..at].chars().next_back();
        quote.open == '"'
            && !draft.dirty
            && before.is_some_and(|c| {
                !c.is_whitespace() && !c.is_numeric() && !"([{<=:,;-—/>".contains(c)
            })
    }
}
