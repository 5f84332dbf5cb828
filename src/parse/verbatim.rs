//! Backslashes that stand for themselves, in paths and patterns whose author did not escape them.
//!
//! `C:\new\table.txt` reads as a line feed and a tab to JSON. What shows a backslash of the author's own is a drive
//! letter before it, a file's ending, or an escape beside it that JSON does not know. It counts for the word it stands in; a
//! pattern (`\d+`) counts for the tabs of the whole text.

use std::ops::Range;

/// Returns which of the control characters at `suspects`, all written as escapes, are backslashes and a letter, with the
/// places of backslashes that were two. `singles` are the places of backslashes before what JSON does not know. All in order.
pub(super) fn find(text: &str, suspects: &[usize], singles: &[usize]) -> Vec<usize> {
    let bytes = text.as_bytes();
    let mut found = Vec::new();
    let pattern = singles.iter().any(|at| is_class(bytes, *at));
    // Without a backslash in a name or a pattern, only a drive letter tells.
    if !pattern && !singles.iter().any(|at| joins(bytes, *at)) && !bytes.contains(&b':') {
        return found;
    }
    let mut rest = suspects;
    while let Some(&first) = rest.first() {
        let place = word_around(bytes, first, suspects);
        let before = |end: usize, places: &[usize]| places.partition_point(|at| *at < end);
        let (inside, after) = rest.split_at(before(place.end, rest));
        let own = &singles[before(place.start, singles)..before(place.end, singles)];
        let word = Word {
            bytes,
            place,
            inside,
            own,
        };
        if word.is_path() || own.iter().any(|at| is_class(bytes, *at)) {
            found.extend(word.is_share().then_some(word.place.start));
            found.extend(inside.iter().filter(|at| !word.ends_sentence(**at)));
        } else if pattern {
            found.extend(inside.iter().filter(|at| stands_alone(bytes, **at)));
        }
        rest = after;
    }
    found
}

/// A run of text without white space other than the control characters in question.
struct Word<'a> {
    bytes: &'a [u8],
    place: Range<usize>,
    inside: &'a [usize],
    own: &'a [usize],
}

fn word_around(bytes: &[u8], at: usize, suspects: &[usize]) -> Range<usize> {
    let is_space =
        |at: &usize| bytes[*at].is_ascii_whitespace() && suspects.binary_search(at).is_err();
    let start = (0..at).rev().find(is_space).map_or(0, |at| at + 1);
    let end = (at..bytes.len()).find(is_space);
    start..end.unwrap_or(bytes.len())
}

impl Word<'_> {
    fn is_separator(&self, at: usize) -> bool {
        self.inside.binary_search(&at).is_ok() || self.own.binary_search(&at).is_ok()
    }

    /// Whether something other than line feeds parts it.
    fn is_more_than_lines(&self) -> bool {
        !self.own.is_empty() || self.inside.iter().any(|at| self.bytes[*at] != b'\n')
    }

    fn is_path(&self) -> bool {
        let text = &self.bytes[self.place.clone()];
        if let Some(colon) = text.iter().position(|byte| *byte == b':') {
            let letter = colon > 0 && text[colon - 1].is_ascii_alphabetic();
            let alone = colon < 2 || !text[colon - 2].is_ascii_alphanumeric();
            let start = self.place.start + colon + 1;
            if letter && alone && self.is_separator(start) {
                let rest = &self.bytes[start..self.place.end];
                // The letter of an escape is a name of its own before a backslash that starts another.
                let starts_name = |at: usize| {
                    self.own.contains(&at)
                        && self.bytes.get(at + 1).is_some_and(|next| is_name(*next))
                };
                // A name starts with no small letter before a capital, as a label's text behind a tab seems to.
                let empty = |at: &usize| {
                    let next = self.bytes[..self.place.end].get(at + 1);
                    next.is_none_or(|next| self.own.is_empty() && next.is_ascii_uppercase())
                        || (self.is_separator(at + 1) && !starts_name(at + 1))
                };
                return rest.iter().all(|byte| !b":?*\"<>|".contains(byte))
                    && !self.inside.iter().any(empty)
                    && (self.is_more_than_lines() || has_ending(rest));
            }
        }
        let is_plain = |byte: &u8| is_name(*byte) || b"\\\n\t\r\x08\x0c,;:)\"'`".contains(byte);
        let has_own = !self.own.is_empty()
            && text.iter().all(is_plain)
            && (has_ending(text) || self.is_share());
        let mut separators = self.inside.iter().chain(self.own);
        separators.all(|at| joins(self.bytes, *at)) && (has_own || self.goes_on_after_drive())
    }

    /// Whether it goes on with a path that has a space in it.
    fn goes_on_after_drive(&self) -> bool {
        let before = self.bytes[..self.place.start].strip_suffix(b" ");
        let mut words = before.unwrap_or_default().rsplit(u8::is_ascii_whitespace);
        let is_drive = |pair: &[u8]| pair[0].is_ascii_alphabetic() && pair[1] == b':';
        let drive = words.next().unwrap_or_default().windows(2).any(is_drive);
        drive && self.inside.len() + self.own.len() > 1 && self.is_more_than_lines()
    }

    /// Whether its first backslash was two: that of a share.
    fn is_share(&self) -> bool {
        let start = self.place.start;
        let doubled = self.bytes[start] == b'\\' && !self.is_separator(start);
        let next = self.bytes.get(start + 1);
        doubled && next.is_some_and(u8::is_ascii_alphanumeric)
    }

    /// Whether a line feed follows the end of a sentence, and so is one.
    fn ends_sentence(&self, at: usize) -> bool {
        let before = at.checked_sub(1).map_or(b' ', |at| self.bytes[at]);
        let drive = before == b':' && at > 1 && self.bytes[at - 2].is_ascii_alphabetic();
        let after = self.bytes.get(at + 1).copied().unwrap_or(b' ');
        let begins =
            after.is_ascii_uppercase() || after.is_ascii_digit() || b" \t\n-*#".contains(&after);
        self.bytes[at] == b'\n' && !drive && b".!?,;:)\"".contains(&before) && begins
    }
}

/// Whether a separator stands behind a name.
fn joins(bytes: &[u8], at: usize) -> bool {
    at > 0 && is_name(bytes[at - 1])
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"_-.~%$".contains(&byte)
}

/// Whether a path ends with a file's ending.
fn has_ending(path: &[u8]) -> bool {
    let end = path.iter().rposition(u8::is_ascii_alphanumeric);
    let path = &path[..end.map_or(0, |at| at + 1)];
    let mut parts = path.rsplit(|byte| !byte.is_ascii_alphanumeric());
    let ending = parts.next().map_or(0, <[u8]>::len);
    let stem = &path[..path.len() - ending];
    (1..=5).contains(&ending) && stem.ends_with(b".") && stem.len() > 1
}

/// Whether a backslash starts a class of characters: `\d`, not the start of a name.
fn is_class(bytes: &[u8], at: usize) -> bool {
    let next = |ahead: usize| bytes.get(at + ahead).copied().unwrap_or(b' ');
    b"dDwWsS".contains(&next(1)) && !next(2).is_ascii_alphabetic()
}

/// Whether a tab is spoken of, or stands in a pattern: not one that indents a line.
fn stands_alone(bytes: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).map_or(b'\n', |at| bytes[at]);
    let after = bytes.get(at + 1).copied().unwrap_or(b' ');
    match bytes[at] {
        b'\t' => !matches!(before, b'\n' | b'\t'),
        b'\n' => before == b' ' && b" ,.;)".contains(&after),
        _ => false,
    }
}
