//! Where a string ends when the quotes inside it may not be escaped.
//!
//! A quote ends a string if what follows can only be the JSON around it; the keys of the wanted record are
//! the strongest sign. Otherwise it is text. Where both could be, the string is given up: a record lost is better
//! than a record wrong.
//!
//! One function for each place of a string, whose arms are what may follow its quote, in the order of the argument. A string
//! is *clean* as long as no quote in it was taken for text: then less of a sign is enough to end it.

use super::latex;
use super::look::{KEY_REACH, Key, Quote};
use super::machine::Machine;

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
    pub(super) doubled: bool,
    pub(super) escapes: latex::Escapes,
    pub(super) controls: u32,
}

impl Draft {
    /// Adds a character that stands there as it is, or by number. A backspace or a form feed is no part of any text: a
    /// backslash was decoded before it came here.
    pub(super) fn push(&mut self, c: char) {
        if matches!(c, '\u{8}' | '\u{c}') {
            self.escapes.suspects.push(self.text.len());
        }
        self.text.push(c);
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

use Verdict::{Before, Broken, Close, Inner};

/// The end, unless a quotation is still open in the string.
fn close_unless(open: bool, otherwise: Verdict) -> Verdict {
    if open { otherwise } else { Close }
}

impl Machine<'_> {
    /// Decides what the quote at `at` is.
    pub(super) fn verdict(
        &self,
        quote: &Quote,
        at: usize,
        length: usize,
        role: Role,
        draft: &Draft,
    ) -> Verdict {
        match role {
            _ if quote.is_triple() => Close,
            Role::Key => self.key_verdict(at + length, draft),
            Role::Element => self.element_verdict(at, at + length, draft),
            Role::Member => {
                let verdict = self.member_verdict(at, at + length, draft);
                let is_doubtful = verdict == Inner && !draft.dirty && quote.open == "\"";
                let missing = is_doubtful.then(|| self.missing_quote(at, draft)).flatten();
                missing.map_or(verdict, Before)
            }
        }
    }

    fn key_verdict(&self, after: usize, draft: &Draft) -> Verdict {
        let next = self.look(after, true).at;
        let text = &draft.text;
        if self.is_end(next) || self.colon(next).is_some() || self.shape.recognises(text) {
            return Close;
        }
        // `"key: "value"`: the closing quote of the key is missing.
        let key = text.trim_end().strip_suffix(':');
        // Where an escape was read, the text is shorter than what stands there.
        let is_as_written = self.text[draft.start..].starts_with(text);
        match key.filter(|key| is_as_written && self.shape.recognises(key)) {
            Some(key) => Before(draft.start + key.len()),
            None => Broken,
        }
    }

    fn member_verdict(&self, at: usize, after: usize, draft: &Draft) -> Verdict {
        let clean = !draft.dirty;
        let open = draft.open_inner;
        let next = self.look(after, clean);
        let past = self.past(next.at);
        match next.mark {
            _ if self.is_end(next.at) => Close,
            b',' | b';' => self.before_comma(past, open, draft),
            b'}' if !self.object_may_end(past, clean) => Inner,
            b'}' => close_unless(open, Broken),
            b']' if clean => Close,
            b'{' if clean && self.starts_over(next.at) => Close,
            0 if self.quote_at(next.at).is_some() => match self.key_at(next.at) {
                Key::Known => close_unless(open, Broken),
                Key::Plausible | Key::Odd if clean => {
                    close_unless(self.opens(at, after, draft), Inner)
                }
                Key::No | Key::Cut if clean && next.newline => Close,
                _ => Inner,
            },
            0 if clean => match self.bytes[next.at] {
                b'+' if self.quote_at(self.next(past)).is_some() => {
                    close_unless(self.opens(at, after, draft), Inner)
                }
                _ if next.newline && (self.at_fence(next.at) || self.bare_key_known(next.at)) => {
                    Close
                }
                b'.' | b'|' if self.member_at(self.next(past)) => Close,
                _ => Inner,
            },
            _ => Inner,
        }
    }

    /// The quote is followed by a comma, which ends before `from`.
    fn before_comma(&self, from: usize, open: bool, draft: &Draft) -> Verdict {
        let clean = !draft.dirty;
        let next = self.look(from, clean);
        let at = next.at;
        match next.mark {
            b'}' | b']' | b',' if clean => Close,
            b'{' if clean && self.record_starts(at) => Close,
            b':' if clean && self.bare_key_known(self.past(at)) => Close,
            0 => self.before_comma_and_word(at, open, draft),
            _ => Inner,
        }
    }

    fn before_comma_and_word(&self, at: usize, open: bool, draft: &Draft) -> Verdict {
        let clean = !draft.dirty;
        if self.quote_at(at).is_some() {
            let object = self.top_object().zip(self.key_text(at));
            let seen = || object.is_some_and(|(object, key)| object.map.contains_key(key));
            return match self.key_at(at) {
                Key::Known if open || (draft.dirty && seen()) => Broken,
                Key::Known | Key::Cut => Close,
                Key::Plausible | Key::Odd if clean => Close,
                Key::Plausible => close_unless(open || draft.nested, Inner),
                Key::No | Key::Odd if open => Inner,
                Key::No | Key::Odd => Broken,
            };
        }
        if self.bare_key_known(at) {
            return close_unless(open, Broken);
        }
        let bare = self.top_object().is_some_and(|object| object.bare_keys);
        let stars = self.run(at, 3, |byte| byte == b'*');
        let goes_on =
            self.member_at(stars) || (bare && self.bare_key_at(at)) || self.words_before_key(at);
        if clean && goes_on { Close } else { Inner }
    }

    fn element_verdict(&self, at: usize, after: usize, draft: &Draft) -> Verdict {
        let clean = !draft.dirty;
        let open = draft.open_inner;
        let next = self.look(after, clean);
        let ends = |at: usize| {
            let beyond = self.look(at, false);
            self.is_end(beyond.at) || matches!(beyond.mark, b',' | b'}' | b']')
        };
        match next.mark {
            b']' | b'}' if clean => Close,
            b']' if ends(self.past(next.at)) => close_unless(open, Broken),
            b',' => {
                let value = self.look(self.past(next.at), clean);
                let starts = self.is_end(value.at)
                    || self.quote_at(value.at).is_some()
                    || matches!(value.mark, b'{' | b'[' | b']' | b',')
                    || (clean && matches!(self.bytes[value.at], b'-' | b'0'..=b'9'))
                    || (clean && self.literal_at(value.at));
                close_unless(open || !starts, Inner)
            }
            b':' => Broken,
            0 if self.quote_at(next.at).is_some() => {
                // It may stand for inches, or for seconds.
                let measure = self.text[draft.start..at].ends_with(char::is_numeric);
                if clean && measure && !next.newline {
                    return Broken;
                }
                let parts = next.newline || (clean && !self.opens(at, after, draft));
                close_unless(open || !parts, Inner)
            }
            _ => Inner,
        }
    }

    /// Whether an object may end before `from`, judging by what follows.
    pub(super) fn object_may_end(&self, from: usize, clean: bool) -> bool {
        let next = self.look(from, clean);
        let at = next.at;
        let in_object = self.parent_object().is_some();
        match next.mark {
            _ if self.is_end(at) || self.at_fence(at) => true,
            b'}' | b']' => true,
            b'{' => clean || self.record_starts(at),
            b',' | b';' => {
                let beyond = self.look(self.past(at), clean).at;
                self.goes_on_after_object(beyond, clean)
            }
            _ if clean && self.stray_quote(at) && !self.is_open_in_text(from) => true,
            // After the outermost brace anything may come, but hardly the rest of a string.
            _ if self.frames.len() < 2 => {
                let quote = self.quote_at(at);
                (next.newline && (clean || quote.is_none()))
                    || (clean && quote.is_none_or(|quote| quote.open == "`"))
            }
            _ => in_object && clean && self.key_at(at) != Key::No,
        }
    }

    /// Whether the brace before `from` may close one that the text around it opened.
    fn is_open_in_text(&self, from: usize) -> bool {
        let before = &self.bytes[from.saturating_sub(KEY_REACH)..from];
        let mut parts = before.rsplit(|byte| *byte == b'"');
        parts.nth(1).is_some_and(|text| text.contains(&b'{'))
    }

    /// Whether what follows an object and a comma goes on with what is around the object.
    fn goes_on_after_object(&self, at: usize, clean: bool) -> bool {
        let mark = self.mark(at);
        if self.is_end(at) {
            return true;
        }
        if self.parent_object().is_some() {
            let key = self.key_at(at);
            return matches!(key, Key::Known | Key::Cut)
                || (clean && (key != Key::No || self.bare_key_at(at)));
        }
        match mark {
            b'{' => clean || self.record_starts(at),
            b']' => true,
            _ => {
                let words = self.bytes[at].is_ascii_alphabetic() && !self.literal_at(at);
                clean && (!words || self.record_after_words(at).is_some())
            }
        }
    }

    /// Whether the next record starts at a brace: its first key is one that this record has.
    fn starts_over(&self, brace: usize) -> bool {
        let object = self
            .top_object()
            .zip(self.key_text(self.next(self.past(brace))));
        object.is_some_and(|(object, key)| object.map.contains_key(key))
    }

    /// Whether the quote at `at` rather opens than closes something inside a text.
    fn opens(&self, at: usize, after: usize, draft: &Draft) -> bool {
        let before = &self.text[draft.start..at];
        let free = before.is_empty() || before.ends_with(may_stand_before_quotation);
        free && self
            .char_at(after)
            .is_some_and(|c| !c.is_whitespace() && !",.;:!?)]}".contains(c))
    }

    /// Remembers what a quote taken for text says about the ones to come.
    pub(super) fn note_inner(&self, at: usize, length: usize, draft: &mut Draft) {
        let after = at + length;
        draft.open_inner = self.opens(at, after, draft);
        if draft.open_inner {
            draft.doubt |= self.key_at(at) == Key::Known;
        } else {
            draft.nested |= self.look(after, false).mark == b':';
        }
        draft.dirty = true;
    }

    /// Where the string ended, if the quote opens the next key and the string before it lost its own: a key not seen
    /// yet, on a new line or after a comma, or the first key of the next record.
    fn missing_quote(&self, at: usize, draft: &Draft) -> Option<usize> {
        if self.key_at(at) != Key::Known {
            return None;
        }
        let (key, object) = self.key_text(at).zip(self.top_object())?;
        let body = &self.text[draft.start..at];
        let trimmed = body.trim_end();
        let seen = object.map.contains_key(key);
        let text = if let Some(before) = trimmed.strip_suffix('{') {
            let before = before.trim_end().trim_end_matches(',').trim_end();
            let text = before.strip_suffix('}')?.trim_end();
            (seen && self.shape.overlap(&object.map) > 0 && !text.contains(['{', '}', '\\']))
                .then_some(text)
        } else {
            let text = trimmed.strip_suffix(',');
            let parted =
                body[trimmed.len()..].contains('\n') || (text.is_some() && self.member_at(at));
            (parted
                && !seen
                && object.key.as_deref() != Some(key)
                && !trimmed.contains(['\n', '\\']))
            .then_some(text.unwrap_or(trimmed))
        };
        Some(draft.start + text?.len())
    }

    /// Moves on to the next string, if one follows that continues this one.
    pub(super) fn joins_another(&mut self) -> bool {
        let next = self.look(self.pos, false);
        let (at, joins) = if self.bytes.get(next.at) == Some(&b'+') {
            (self.next(next.at + 1), true)
        } else {
            (next.at, next.newline && self.key_at(next.at) == Key::No)
        };
        let joins = joins && self.quote_at(at).is_some();
        if joins {
            self.pos = at;
        }
        joins
    }

    /// Whether the closing quote at `at` would be one even if the text went on: not after what a quotation or
    /// a measure in inches may follow.
    pub(super) fn is_firm(&self, quote: &Quote, at: usize, draft: &Draft) -> bool {
        let text = &self.text[draft.start..at];
        quote.open.starts_with('"')
            && !draft.dirty
            && !text.ends_with(|c: char| c.is_numeric() || may_stand_before_quotation(c))
    }
}

fn may_stand_before_quotation(c: char) -> bool {
    c.is_whitespace() || "([{<=:,;-—/>".contains(c)
}
