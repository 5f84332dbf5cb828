//! Finds records that are equal after normalisation.

use std::cell::RefCell;
use std::collections::hash_map::Entry;
use std::fmt;

use async_trait::async_trait;
use serde_json::Value;
use unicode_normalization::UnicodeNormalization;
use xxhash_rust::xxh3::xxh3_128;

use super::compared::{Compared, compared_settings};
use super::fold::{fold_case, is_invisible};
use super::hashed_map::HashedMap;
use super::{Deduplicator, Fields, Match, Memory, Reference, Scope, Verdict};
use crate::candidate::Candidate;
use crate::error::Result;

/// Bytes of a record for which there is room kept on each thread.
const MOST_KEPT: usize = 1 << 16;

/// Refuses records that are equal after normalisation.
///
/// Ignored are Unicode forms (NFKC), letter case, invisible characters, the amount of white space, punctuation
/// at the ends of a text, the order of fields, and fields that are null. Everything else makes a record new.
///
/// Compares every field of a record with all records of the run unless told otherwise.
///
/// ```
/// use topicloom::dedup::ExactDuplicates;
///
/// let deduplicator = ExactDuplicates::default().fields(["question"]);
/// ```
#[derive(Debug, Clone)]
pub struct ExactDuplicates {
    compared: Compared,
}

impl Default for ExactDuplicates {
    fn default() -> Self {
        Self {
            compared: Compared::new(Fields::All),
        }
    }
}

impl ExactDuplicates {
    compared_settings!("[`Fields::All`](crate::dedup::Fields::All)");

    fn digest(&self, candidate: &Candidate<'_>) -> ExactFingerprint {
        thread_local! {
            /// Serves one record after the other.
            static CANONICAL: RefCell<Vec<u8>> = RefCell::default();
        }
        CANONICAL.with_borrow_mut(|canonical| {
            canonical.clear();
            if self.compared.scope == Scope::Topic {
                write_text(candidate.topic(), canonical);
            }
            for (name, value) in self.compared.values(candidate) {
                write_key(name, canonical);
                write_value(value, canonical);
            }
            let hash = xxh3_128(canonical);
            // One long record does not keep its room forever.
            canonical.shrink_to(MOST_KEPT);
            ExactFingerprint(hash)
        })
    }
}

#[async_trait]
impl Deduplicator for ExactDuplicates {
    type Fingerprint = ExactFingerprint;
    type Memory = ExactMemory;

    async fn fingerprint(&self, candidate: &Candidate<'_>) -> Result<ExactFingerprint> {
        Ok(self.digest(candidate))
    }

    fn memory(&self) -> ExactMemory {
        ExactMemory::default()
    }

    fn describe(&self) -> String {
        self.compared.describe("exact")
    }
}

/// A hash of the canonical form of a record: 128 bits, so that strangers do not meet by chance.
///
/// Among a billion records the chance of one false duplicate is about 10⁻²¹.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExactFingerprint(u128);

/// The fingerprints of one run: about 40 bytes a record.
#[derive(Default)]
pub struct ExactMemory {
    seen: HashedMap<u128, Reference>,
}

impl Memory for ExactMemory {
    type Fingerprint = ExactFingerprint;

    fn find(&self, fingerprint: &ExactFingerprint) -> Option<Match> {
        let of = self.seen.get(&fingerprint.0)?.clone();
        Some(Match {
            of,
            similarity: 1.0,
            method: "exact",
        })
    }

    fn admit(&mut self, fingerprint: ExactFingerprint, reference: Reference) -> Verdict {
        match self.seen.entry(fingerprint.0) {
            Entry::Occupied(first) => Verdict::duplicate(first.get().clone(), 1.0).by("exact"),
            Entry::Vacant(place) => {
                place.insert(reference);
                Verdict::Unique
            }
        }
    }
}

impl fmt::Debug for ExactMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ExactMemory")
            .field("seen", &self.seen.len())
            .finish()
    }
}

// Every value starts with a tag and every list ends with one, so that no two values share a canonical form by
// running into each other. The tags are bytes that UTF-8 text never holds.
const KEY: u8 = 0xf8;
const TEXT: u8 = 0xf9;
const NUMBER: u8 = 0xfa;
const TRUE: u8 = 0xfb;
const FALSE: u8 = 0xfc;
const OPEN: u8 = 0xfd;
const CLOSE: u8 = 0xfe;
const NULL: u8 = 0xff;

fn write_value(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Null => out.push(NULL),
        Value::Bool(true) => out.push(TRUE),
        Value::Bool(false) => out.push(FALSE),
        Value::Number(number) => {
            out.push(NUMBER);
            let text = number.to_string();
            // A model writes 1 or 1.0 as it likes.
            out.extend(text.strip_suffix(".0").unwrap_or(&text).bytes());
        }
        Value::String(text) => write_text(text, out),
        Value::Array(items) => {
            out.push(OPEN);
            for item in items {
                write_value(item, out);
            }
            out.push(CLOSE);
        }
        Value::Object(map) => {
            out.push(OPEN);
            let mut fields: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            fields.sort_unstable_by_key(|(name, _)| *name);
            for (name, value) in fields {
                write_key(name, out);
                write_value(value, out);
            }
            out.push(CLOSE);
        }
    }
}

fn write_key(name: &str, out: &mut Vec<u8>) {
    out.push(KEY);
    out.extend_from_slice(name.as_bytes());
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    out.push(TEXT);
    if text.is_ascii() {
        write_ascii(text.as_bytes(), out);
    } else {
        out.extend_from_slice(canonical_text(text).as_bytes());
    }
}

/// Writes an ASCII text, which most are, as [`canonical_text`] has it, in one go.
fn write_ascii(text: &[u8], out: &mut Vec<u8>) {
    // Of ASCII, a gap is the space and what comes before it, and DEL.
    let is_gap = |byte: u8| byte <= b' ' || byte == 0x7f;
    let is_edge = |byte: u8| is_gap(byte) || is_sentence_punctuation(char::from(byte));
    // A text of punctuation alone is told apart by its punctuation.
    let inner = within(text, is_edge)
        .or_else(|| within(text, is_gap))
        .unwrap_or_default();
    if is_single_spaced(inner) {
        let start = out.len();
        out.extend_from_slice(inner);
        out[start..].make_ascii_lowercase();
        return;
    }
    let mut is_behind_gap = false;
    for &byte in inner {
        if is_gap(byte) {
            is_behind_gap = true;
            continue;
        }
        if std::mem::take(&mut is_behind_gap) {
            out.push(b' ');
        }
        out.push(byte.to_ascii_lowercase());
    }
}

/// Whether an ASCII text has no gaps but single spaces, as most have.
fn is_single_spaced(text: &[u8]) -> bool {
    // Both folds go to the end without a branch, so that many bytes are looked at together.
    let other_gap = |byte: &u8| byte.wrapping_sub(b' ') | byte.wrapping_add(1);
    let other_gaps = text.iter().fold(0, |any, byte| any | other_gap(byte)) & 0x80;
    let pairs = text.iter().zip(text.iter().skip(1));
    let from_spaces = pairs.map(|(one, next)| (one ^ b' ') | (next ^ b' '));
    other_gaps == 0 && from_spaces.fold(u8::MAX, u8::min) > 0
}

/// Returns a text without its edges; nothing if it is nothing else.
fn within(text: &[u8], is_edge: impl Fn(u8) -> bool) -> Option<&[u8]> {
    let first = text.iter().position(|byte| !is_edge(*byte))?;
    let last = text.iter().rposition(|byte| !is_edge(*byte))?;
    Some(&text[first..=last])
}

/// Normalises a text: NFKC, case folding, no invisible characters, single spaces, no punctuation at the ends.
fn canonical_text(text: &str) -> String {
    let canonical = single_spaced(text);
    let inner = canonical.trim_matches(|c| c == ' ' || is_sentence_punctuation(c));
    // A text of punctuation alone is told apart by its punctuation.
    if inner.is_empty() || inner.len() == canonical.len() {
        canonical
    } else {
        inner.to_owned()
    }
}

fn single_spaced(text: &str) -> String {
    let mut spaced = String::with_capacity(text.len());
    let mut gap = false;
    // Folding can leave NFKC and NFKC can bring capitals back, hence the second round; see the property test.
    let folded: String = text.nfkc().flat_map(fold_case).collect();
    for c in folded.nfkc() {
        if is_gap(c) {
            gap = true;
        } else if !is_invisible(c) {
            if gap && !spaced.is_empty() {
                spaced.push(' ');
            }
            gap = false;
            spaced.push(c);
        }
    }
    spaced
}

fn is_gap(c: char) -> bool {
    c.is_whitespace() || c.is_control()
}

/// Characters that end or wrap a sentence. Signs that carry meaning at an end, as in `C++`, `C#`, `50%` or `f(x)`, are not among
/// them.
const SENTENCE_PUNCTUATION: &str = ".,;:!?\"'`…¿¡«»“”„‘’‹›。、「」『』،؛؟۔।";

fn is_sentence_punctuation(c: char) -> bool {
    SENTENCE_PUNCTUATION.contains(c)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn fingerprint(deduplicator: &ExactDuplicates, topic: &str, data: &Value) -> ExactFingerprint {
        let candidate = Candidate::new(topic, data.as_object().expect("an object"));
        deduplicator.digest(&candidate)
    }

    fn same(a: &Value, b: &Value) -> bool {
        let deduplicator = ExactDuplicates::default();
        fingerprint(&deduplicator, "t", a) == fingerprint(&deduplicator, "t", b)
    }

    #[test]
    fn what_carries_no_meaning_is_ignored() {
        let plain = json!({"q": "What is a straße?", "n": 1});
        for other in [
            json!({"n": 1, "q": "What is a straße?"}),
            json!({"q": "  what  IS\na STRASSE…", "n": 1.0}),
            json!({"q": "Ｗhat is\u{200b} a straße", "n": 1, "note": null}),
            json!({"q": "\u{feff}“What is a strasse?”", "n": 1}),
        ] {
            assert!(same(&plain, &other), "{other}");
        }
    }

    #[test]
    fn what_carries_meaning_is_kept() {
        let plain = json!({"q": "What is C?"});
        for other in [
            json!({"q": "What is C++?"}),
            json!({"q": "What is C#?"}),
            json!({"q": "What is C", "n": 1}),
            json!({"p": "What is C?"}),
            json!({"q": ["What is C?"]}),
            json!({"q": "What is (C)?"}),
            json!({"q": ""}),
        ] {
            assert!(!same(&plain, &other), "{other}");
        }
        assert!(!same(&json!({"q": "?"}), &json!({"q": "!"})));
        assert!(!same(&json!({"q": ["a", "b"]}), &json!({"q": ["b", "a"]})));
        assert!(!same(
            &json!({"q": [["a"], "b"]}),
            &json!({"q": ["a", ["b"]]})
        ));
    }

    #[test]
    fn only_the_named_fields_decide() {
        let deduplicator = ExactDuplicates::default().fields(["q"]);
        let a = fingerprint(&deduplicator, "t", &json!({"q": "x", "a": "y"}));
        let b = fingerprint(&deduplicator, "t", &json!({"q": "X", "a": "z"}));
        assert_eq!(a, b);
    }

    #[test]
    fn a_topic_is_its_own_world_where_the_scope_says_so() {
        let deduplicator = ExactDuplicates::default().scope(Scope::Topic);
        let data = json!({"q": "x"});
        assert_ne!(
            fingerprint(&deduplicator, "a", &data),
            fingerprint(&deduplicator, "b", &data)
        );
    }

    #[test]
    fn the_first_one_is_what_the_others_repeat() {
        let deduplicator = ExactDuplicates::default();
        let mut memory = deduplicator.memory();
        let print = fingerprint(&deduplicator, "t", &json!({"q": "x"}));
        assert!(memory.admit(print, Reference::Record(0)).is_unique());
        for ordinal in 1..3 {
            assert_eq!(
                memory.admit(print, Reference::Record(ordinal)),
                Verdict::duplicate(Reference::Record(0), 1.0).by("exact")
            );
        }
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in "\\PC*") {
            let once = canonical_text(&text);
            prop_assert_eq!(canonical_text(&once), once);
        }

        #[test]
        fn the_way_for_ascii_leads_to_the_same_place(text in "[\\x00-\\x7f]*") {
            let mut short = Vec::new();
            write_ascii(text.as_bytes(), &mut short);
            prop_assert_eq!(short, canonical_text(&text).into_bytes());
        }
    }
}
