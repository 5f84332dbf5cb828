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
    "example", "format", "schema", "template", "structur", "draft", "sample", "instruct",
];

/// What an answer is called.
const ANSWERS: [&str; 14] = [
    "answer", "version", "json", "output", "response", "list", "result", "record", "object",
    "array", "set", "data", "attempt", "one",
];

/// Words that say nothing of a subject.
const SMALL: [&str; 33] = [
    "a", "an", "the", "this", "these", "that", "here", "is", "are", "s", "ll", "my", "your", "i",
    "you", "we", "it", "let", "me", "will", "now", "of", "for", "to", "in", "with", "as", "and",
    "use", "please", "gave", "was", "new",
];

/// Whether a word starts with one of those listed.
fn starts(word: &str, list: &[&str]) -> bool {
    list.iter().any(|start| word.starts_with(start))
}

/// Returns the end of a text, as far as it is looked at.
pub(super) fn reach(gap: &str) -> &str {
    let mut ends = gap.len().saturating_sub(REACH)..;
    ends.find_map(|from| gap.get(from..)).unwrap_or_default()
}

impl Label {
    pub(super) fn of(gap: &str) -> Self {
        let mut label = Self {
            cue: Cue::None,
            word: String::new(),
            is_plain: true,
            last: String::new(),
        };
        let clause = clause_start(gap);
        let mut at = 0;
        for piece in gap.split(|c: char| !c.is_alphanumeric()) {
            let start = at;
            let end = at + piece.len();
            at = end + gap[end..].chars().next().map_or(0, char::len_utf8);
            if piece.is_empty() {
                continue;
            }
            let word = piece.to_lowercase();
            let cue = cue(&label.last, &word);
            if start >= clause {
                let is_small = || SMALL.contains(&word.as_str());
                label.is_plain &= cue != Cue::None || starts(&word, &ANSWERS) || is_small();
            }
            if cue > label.cue {
                label.cue = cue;
                label.word.clone_from(&word);
            }
            label.last = word;
        }
        label
    }

    /// Whether two labels announce their values in the same way.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        self.cue == other.cue && self.word == other.word
    }

    /// Whether it ends with a number or a letter, as that of a record in a series: `Example 3`, `Draft B`.
    pub(super) fn counts(&self) -> bool {
        self.last.len() == 1 || self.last.starts_with(char::is_numeric)
    }

    /// Whether this label goes on with a series, as the last of "First record", "Second record", "Final record".
    pub(super) fn ends_series<'a>(&self, before: impl Iterator<Item = &'a Self>) -> bool {
        let alike = |other: &&Self| other.cue == Cue::None && other.last == self.last;
        !self.last.is_empty() && before.filter(alike).count() > 1
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

/// What a word announces behind another.
fn cue(before: &str, word: &str) -> Cue {
    match (before, word) {
        _ if starts(word, &REVISIONS) => Cue::Revision,
        ("for", "example" | "instance")
        | ("e", "g")
        | ("such", "as")
        | ("looks" | "look", "like") => Cue::Aside,
        _ if starts(word, &FORMATS) => Cue::Format,
        _ => Cue::None,
    }
}
