//! Walks an answer and reads every value in it, leaving out prose, fences and thinking.

use std::ops::Deref;

use super::label;
use super::look::View;
use super::machine::{End, Found, Frame};
use super::thinking::{self, Tag};
use super::tolerant;
use super::{Limits, Repair, Repairs, Shape, strict};

/// What an answer holds.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) finds: Vec<Find>,
    pub(super) repairs: Repairs,
    /// Whether a thinking section took up all the rest.
    pub(super) unfinished_thinking: bool,
}

/// A value, and what stood before it.
#[derive(Debug)]
pub(super) struct Find {
    pub(super) found: Found,
    /// Whether nothing but separators stood between this value and the one before.
    pub(super) joined: bool,
    /// Whether an earlier value broke off, so that this one may be part of it.
    pub(super) after_break: bool,
    pub(super) place: Place,
}

/// What stands around a value.
#[derive(Debug, Default)]
pub(super) struct Place {
    /// The words before it, as far as they may say what it is.
    pub(super) before: String,
    /// The outermost pair of tags around it.
    pub(super) tag: Option<String>,
    /// Whether it is a part of a sentence, rather than standing by itself or behind a label.
    pub(super) in_sentence: bool,
}

/// How many values of a list one that stands alone counts for, since it takes some twenty times as long.
const WEIGHT: usize = 20;

/// How many tags may be open: those further in are passed over.
const MOST_TAGS: usize = 16;

/// Finds every value in a text.
pub(super) fn scan(text: &str, shape: &Shape, limits: &Limits) -> Scan {
    let mut walk = Walk {
        view: View {
            text,
            bytes: text.as_bytes(),
            shape,
        },
        limits,
        values_left: limits.max_values,
        pos: 0,
        gap: 0,
        words: false,
        prose: false,
        in_fence: false,
        resync: None,
        strict_tried: false,
        full: false,
        unclosed: [false; thinking::KINDS],
        tags: Vec::new(),
        stack: Vec::new(),
        scan: Scan::default(),
    };
    walk.walk();
    walk.scan
}

#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the place"
)]
struct Walk<'a> {
    view: View<'a>,
    limits: &'a Limits,
    values_left: usize,
    pos: usize,
    /// Where the stretch since the last value starts.
    gap: usize,
    /// Whether there are words in it.
    words: bool,
    /// Whether there were words anywhere.
    prose: bool,
    in_fence: bool,
    /// Set once a value broke off, when only the unmistakable start of a record counts as one.
    resync: Option<Resync>,
    strict_tried: bool,
    /// Set once there were too many values, when none is read any more.
    full: bool,
    /// Kinds of thinking section known to have no end further on, so that none is searched for twice.
    unclosed: [bool; thinking::KINDS],
    /// The tags that are open, and how many values were found before each.
    tags: Vec<(String, usize)>,
    /// The stack of the tolerant reader, kept so that it need not grow anew.
    stack: Vec<Frame>,
    scan: Scan,
}

/// The way back to the records after one that broke off.
///
/// What is nested in the broken record must not be taken for the next record. So one counts only where all
/// brackets of the broken one are closed again, or at the start of a line and as far in as the broken one.
#[derive(Clone, Copy)]
struct Resync {
    /// How many brackets are still to be closed, as far as can be told.
    levels: isize,
    /// How far in the broken record starts, if it starts its line.
    indent: Option<usize>,
}

impl<'a> Deref for Walk<'a> {
    type Target = View<'a>;

    fn deref(&self) -> &View<'a> {
        &self.view
    }
}

impl Walk<'_> {
    fn walk(&mut self) {
        while let Some(&byte) = self.bytes.get(self.pos) {
            match byte {
                b'<' | b'[' | b'.' | b'a' | 0xe2 if self.thinking() => {}
                b'{' | b'[' | 0xef if self.starts_value() => self.value(),
                b'"' if self.starts_member() => self.value(),
                b'`' | b'~' if self.fence() => {}
                b'<' => self.markup(),
                _ => {
                    self.count_bracket(byte);
                    let c = self.char_at(self.pos).unwrap_or(' ');
                    // Numbers alone count what they stand before: `1. {…}`, `2. {…}`.
                    self.words |= c.is_alphabetic();
                    self.prose |= c.is_alphanumeric();
                    self.pos += c.len_utf8();
                }
            }
        }
        if self.prose {
            self.scan.repairs.add(Repair::Prose);
        }
    }

    /// Deals with a thinking tag; returns whether there was one.
    fn thinking(&mut self) -> bool {
        let (length, kind) = match thinking::tag(self.text, self.pos) {
            None => return false,
            Some(Tag::Close { length }) => {
                self.forget_before(self.pos + length);
                return true;
            }
            Some(Tag::Open { length, kind }) => (length, kind),
        };
        let end = || thinking::end(self.text, self.pos + length, kind);
        let end = (!self.unclosed[kind]).then(end).flatten();
        // A tag in the middle of a sentence is only spoken of.
        if end.is_none() && !self.at_line_start() {
            self.unclosed[kind] = true;
            return false;
        }
        self.scan.repairs.add(Repair::Thinking);
        self.scan.unfinished_thinking |= end.is_none();
        self.pos = end.unwrap_or(self.bytes.len());
        true
    }

    /// All up to here was thinking whose start was not marked.
    fn forget_before(&mut self, end: usize) {
        self.scan.finds.clear();
        self.scan.repairs.add(Repair::Thinking);
        self.pos = end;
        self.gap = end;
        self.words = false;
        self.prose = false;
        self.in_fence = false;
        self.resync = None;
    }

    fn at_line_start(&self) -> bool {
        let before = self.text[..self.pos].trim_end_matches([' ', '\t']);
        before.is_empty() || before.ends_with(['\n', '\u{feff}'])
    }

    /// Skips the marks of a fence and the name of its language.
    fn fence(&mut self) -> bool {
        let mark = self.bytes[self.pos];
        let end = self.run(self.pos, usize::MAX, |byte| byte == mark);
        if end < self.pos + 3 {
            return false;
        }
        self.pos = end;
        self.in_fence = !self.in_fence;
        if self.in_fence {
            self.scan.repairs.add(Repair::CodeFence);
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_-+".contains(&byte);
            self.pos = self.run(end, 20, is_name);
        }
        true
    }

    /// Skips a tag such as `<json>` or `</answer>`, so that its name is no word, and sees what a pair of tags holds.
    fn markup(&mut self) {
        let closes = self.starts(self.pos, "</");
        let start = self.pos + 1 + usize::from(closes);
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"/_|-".contains(&byte);
        let name_end = self.run(start, 32, is_name);
        let has_attributes = name_end > start && self.bytes.get(name_end) == Some(&b' ');
        let reach = if has_attributes { 128 } else { 0 };
        let end = self.run(name_end, reach, |byte| !b"><{\n".contains(&byte));
        if self.bytes.get(end) != Some(&b'>') {
            return self.pos += 1;
        }
        let name = &self.text[start..name_end];
        if closes {
            if let Some(at) = self.tags.iter().rposition(|(open, _)| open == name) {
                let from = self.tags[at].1;
                self.tags.truncate(at);
                for find in self.scan.finds.iter_mut().skip(from) {
                    find.place.tag = Some(name.to_owned());
                }
            }
            self.gap = end + 1;
        } else if self.tags.len() < MOST_TAGS {
            self.tags.push((name.to_owned(), self.scan.finds.len()));
        }
        self.pos = end + 1;
    }

    fn starts_value(&self) -> bool {
        if self.full || !matches!(self.mark(self.pos), b'{' | b'[') {
            return false;
        }
        let Some(resync) = self.resync else {
            return !self.is_plain_brace();
        };
        let is_in_line = || resync.indent.is_some() && resync.indent == self.indent(self.pos);
        let list = self.bytes[self.pos] == b'[';
        let brace = if list {
            self.next(self.pos + 1)
        } else {
            self.pos
        };
        let starts =
            || self.record_starts(brace) || self.bare_key_known(self.next(self.past(brace)));
        (resync.levels <= 0 || is_in_line()) && self.mark(brace) == b'{' && starts()
    }

    /// Whether a record starts here whose brace is missing, or the list of them: `"key":` at the start of a line.
    fn starts_member(&self) -> bool {
        let known = |key| key == self.shape.wrapper_key() || self.shape.knows(key);
        !self.full
            && self.resync.is_none()
            && self.at_line_start()
            && self.member_name(self.pos).is_some_and(known)
    }

    /// Whether a brace here cannot open an object, going by what follows. Only saves the trying.
    fn is_plain_brace(&self) -> bool {
        let body = self.past(self.pos);
        // What may follow: a key with quotes or without, the end, a comment, an ellipsis.
        let at = self.next(body);
        let next = self.bytes.get(at).copied().unwrap_or(b'}');
        let may_follow = next.is_ascii_alphanumeric() || b"\"'`_$}/#.,:*".contains(&next);
        let is_beyond_ascii = next >= 0x80 && !matches!(self.mark(at), b'{' | b'[');
        let may_open = (may_follow || is_beyond_ascii) && !holds_names(&self.text[body..]);
        self.mark(self.pos) == b'{' && !may_open
    }

    fn count_bracket(&mut self, byte: u8) {
        if let Some(resync) = &mut self.resync {
            match byte {
                b'{' | b'[' => resync.levels += 1,
                b'}' | b']' => resync.levels -= 1,
                _ => {}
            }
        }
    }

    fn value(&mut self) {
        let start = self.pos;
        let found = self.read();
        self.pos = found.span.end.max(start + 1);
        while !self.text.is_char_boundary(self.pos) {
            self.pos += 1;
        }
        if found.end == End::NotJson {
            self.words = true;
            return;
        }
        if may_run_over(&found)
            && let Some(end) = thinking::lone_close(&self.text[found.span.clone()])
        {
            self.forget_before(start + end);
            return;
        }
        let after_break = self.resync.is_some();
        let joined = !self.scan.finds.is_empty() && (!self.words || after_break);
        let place = Place {
            before: label::reach(&self.text[self.gap..start]).to_owned(),
            tag: None,
            in_sentence: !joined && self.in_sentence(start),
        };
        self.gap = self.pos;
        // What is not about records parts those before it from those after it, as words do.
        self.words = !found.serious;
        self.full |= found.end == End::TooMany;
        let lost = match found.end {
            End::TooDeep | End::TooMany => true,
            End::Broken => found.serious,
            _ => false,
        };
        if lost {
            let (record, levels) = found.record.unwrap_or((start, 1));
            self.resync = Some(Resync {
                levels: isize::try_from(levels).unwrap_or(isize::MAX),
                indent: self.indent(record),
            });
        } else if let Some(resync) = &mut self.resync {
            resync.levels = 0;
        }
        self.values_left = self.values_left.saturating_sub(WEIGHT);
        self.scan.finds.push(Find {
            found,
            joined,
            after_break,
            place,
        });
    }

    /// Whether words go on behind the value that ends here, or those before it on its line lead up to it without a sign.
    fn in_sentence(&self, start: usize) -> bool {
        let line = self.text[self.gap..start]
            .rsplit('\n')
            .next()
            .unwrap_or_default();
        let before = line.trim_end_matches([' ', '`', '"', '*']);
        let after = &self.bytes[self.pos..self.run(self.pos, 80, |byte| byte != b'\n')];
        let is_word = |byte: &u8| byte.is_ascii_alphabetic() || *byte >= 0x80;
        // The rest of a tag or a row of a table is no sentence.
        let goes_on = after.iter().any(is_word) && !after.iter().any(|byte| b"<|{/".contains(byte));
        goes_on || before.ends_with(char::is_alphanumeric)
    }

    /// Reads the value here: strictly if, from here to the last bracket, it is one; else tolerantly.
    fn read(&mut self) -> Found {
        let start = self.pos;
        if !self.strict_tried {
            self.strict_tried = true;
            let end = self.text[start..].rfind(['}', ']']);
            if let Some(end) = end.map(|at| start + at + 1)
                && let Some(read) = strict::read(&self.text[start..end], self.limits)
            {
                return Found::strict(read, start..end);
            }
        }
        let left = &mut self.values_left;
        tolerant::read(self.view, start, self.limits, left, &mut self.stack)
    }

    /// How far in a place is, if only white space stands before it on its line. None beyond 64 bytes.
    fn indent(&self, at: usize) -> Option<usize> {
        let before = &self.bytes[..at];
        let space = before
            .iter()
            .rev()
            .take(64)
            .take_while(|byte| b" \t".contains(byte));
        let length = space.count();
        let starts_line = length == at || before[at - length - 1] == b'\n';
        starts_line.then_some(length)
    }
}

/// Whether a value may go on into what is not its own: it did not end, or where a text in it ends was a guess. With no
/// such doubt, a closing tag of thinking in it is something it speaks of.
fn may_run_over(found: &Found) -> bool {
    let guesses = [
        Repair::InnerQuote,
        Repair::MissingQuote,
        Repair::JoinedStrings,
        Repair::Comment,
    ];
    found.end != End::Whole || guesses.iter().any(|repair| found.repairs[*repair] > 0)
}

/// Whether a brace holds nothing but names, as in prose that speaks of `{question, answer}`.
fn holds_names(body: &str) -> bool {
    const QUOTES: [char; 3] = ['"', '\'', '`'];
    let rest = body.trim_start_matches(|c: char| {
        c.is_alphanumeric() || QUOTES.contains(&c) || matches!(c, '_' | '-' | ',' | ' ')
    });
    rest.starts_with('}')
        && body[..body.len() - rest.len()].split(',').all(|name| {
            let name = name.trim().trim_matches(QUOTES);
            !name.is_empty() && !name.contains(QUOTES)
        })
}
