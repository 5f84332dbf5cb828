//! What the words before a value say of it.
//!
//! Words decide only between values that answer the same ask twice. A word such as "final" or "better" is a sign of that
//! where the label speaks of the answer itself ("Final answer:"), not of a subject ("Final exams"); and a word such as
//! "example" is none where it counts what it stands before ("Example 3:").

/// What the words before a value announce.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Cue {
    None,
    /// A format or an example that may be the answer, unless a better one follows.
    Format,
    /// An example by way of explanation: never the answer if it is a single object.
    Aside,
    /// Something that takes the place of what came before.
    Revision,
}

/// The words before a value, as far as they say what it is.
#[derive(Debug, Clone)]
pub(super) struct Label {
    pub(super) cue: Cue,
    /// The word that announces it.
    word: String,
    /// Whether that word counts: `Example 3`, `Draft B`.
    pub(super) counts: bool,
    /// Whether the label speaks of the answer itself and of nothing else.
    pub(super) is_plain: bool,
    /// The last word.
    last: String,
}

/// How far back words are looked at, in bytes: a sentence.
const REACH: usize = 120;

const REVISIONS: [&str; 9] = [
    "correct", "revis", "final", "instead", "improved", "fixed", "redo", "better", "actual",
];

const FORMATS: [&str; 8] = [
    "example",
    "format",
    "schema",
    "template",
    "structure",
    "draft",
    "sample",
    "instruction",
];

/// What an answer is called.
const ANSWERS: [&str; 14] = [
    "answer", "version", "json", "output", "response", "list", "result", "record", "object",
    "array", "set", "data", "attempt", "one",
];

/// Words that say nothing of a subject.
const SMALL: [&str; 34] = [
    "a", "an", "the", "this", "these", "that", "here", "is", "are", "s", "ll", "my", "your", "i",
    "you", "we", "it", "let", "me", "will", "now", "now", "of", "for", "to", "in", "with", "as",
    "and", "use", "please", "gave", "was", "new",
];

impl Label {
    pub(super) fn of(gap: &str) -> Self {
        let mut from = gap.len().saturating_sub(REACH);
        while !gap.is_char_boundary(from) {
            from += 1;
        }
        let gap = &gap[from..];
        let mut label = Self {
            cue: Cue::None,
            word: String::new(),
            counts: false,
            is_plain: true,
            last: String::new(),
        };
        let clause = clause_start(gap);
        let mut at = 0;
        for piece in gap.split(|c: char| !c.is_alphanumeric()) {
            let start = at;
            at += piece.len()
                + gap[at + piece.len()..]
                    .chars()
                    .next()
                    .map_or(0, char::len_utf8);
            if piece.is_empty() {
                continue;
            }
            let word = piece.to_lowercase();
            let (cue, counted) = cue(&label.last, &word);
            if start >= clause {
                let is = |words: &[&str]| words.iter().any(|start| word.starts_with(start));
                label.is_plain &=
                    cue != Cue::None || is(&ANSWERS) || SMALL.contains(&word.as_str());
            }
            if cue > label.cue {
                label.cue = cue;
                label.counts = false;
                label.word.clone_from(&word);
            } else if label.cue != Cue::None && label.last == label.word {
                label.counts = counted || (piece.len() == 1 && piece != "a");
            }
            label.last = word;
        }
        label
    }

    /// Whether two labels announce their values in the same way.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.cue == other.cue && self.word == other.word
    }

    /// Whether this label goes on with a series, as the last of "First record", "Second record", "Final record".
    pub(super) fn ends_series(&self, before: &[&Self]) -> bool {
        let alike = |other: &&&Self| {
            other.cue == Cue::None && other.last == self.last && !self.last.is_empty()
        };
        before.iter().filter(alike).count() > 1
    }
}

/// Returns where the last line with words in it starts, or the last sentence on it.
fn clause_start(gap: &str) -> usize {
    let end = gap.trim_end_matches(|c: char| !c.is_alphanumeric()).len();
    let line = gap[..end].rfind('\n').map_or(0, |at| at + 1);
    let sentence = [". ", "! ", "? ", ", "]
        .iter()
        .filter_map(|mark| gap[line..end].rfind(mark))
        .max();
    sentence.map_or(line, |at| line + at + 1)
}

/// What one word announces, and whether it is a number.
fn cue(before: &str, word: &str) -> (Cue, bool) {
    let starts = |beginnings: &[&str]| {
        beginnings
            .iter()
            .any(|beginning| word.starts_with(beginning))
    };
    let cue = if starts(&REVISIONS) {
        Cue::Revision
    } else if matches!(
        (before, word),
        ("for", "example" | "instance") | ("e", "g") | ("such", "as") | ("looks" | "look", "like")
    ) {
        Cue::Aside
    } else if starts(&FORMATS) {
        Cue::Format
    } else {
        Cue::None
    };
    (cue, word.starts_with(|c: char| c.is_numeric()))
}
