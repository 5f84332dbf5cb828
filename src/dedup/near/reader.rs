//! Reads texts, one after the other.

use super::hashed::hash;
use super::mood::Text;
use super::phrase::Phrase;
use super::reading::Reading;
use super::sentences::write;
use super::text::{is_code, is_symbolic, normalised};
use super::tokens::{Tokens, code, squeezed};
use crate::dedup::fold::fold_case;

/// Reads texts; its buffers serve one after the other.
#[derive(Debug, Default)]
pub(super) struct Reader {
    tokens: Tokens,
    phrase: Phrase,
}

impl Reader {
    /// Adds what a text says, at a place that tells its field from the others.
    pub(super) fn read(&mut self, text: &str, place: u64, reading: &mut Reading) {
        let text = normalised(text);
        if text.trim().is_empty() {
            return;
        }
        if is_code(&text) {
            return reading.add_exact(place, code(&text));
        }
        if is_symbolic(&text) {
            return reading.add_exact(place, squeezed(&text));
        }
        let handed = self.tokens(&text);
        let before = reading.sentences.len();
        write(&self.tokens.list, place, &mut self.phrase, reading);
        if let Some(handed) = handed {
            reading.add_exact(place, squeezed(handed));
        }
        if reading.sentences.len() == before {
            // Words of grammar alone.
            let small = text
                .split_whitespace()
                .flat_map(|word| word.chars().flat_map(fold_case).chain([' ']));
            let small: String = small.collect();
            reading.add_exact(
                place,
                hash(small.trim_end_matches(['.', '?', '!', ' ']).as_bytes()),
            );
        }
    }

    /// Takes a text apart, up to a colon behind which something is handed over: "translate: hello, where is the bank". Returns that,
    /// of which every sign may matter.
    fn tokens<'a>(&mut self, text: &'a str) -> Option<&'a str> {
        self.tokens.clear();
        let mut rest = text;
        while let Some(at) = find_colon(rest) {
            let (head, tail) = rest.split_at(at + 1);
            let sentence = self.tokens.list.len();
            self.tokens.add(head);
            if Text::new(&self.tokens.list[sentence..]).ends_with_content() {
                return Some(tail);
            }
            rest = tail;
        }
        self.tokens.add(rest);
        None
    }
}

/// Returns where a colon stands that something follows in another word.
fn find_colon(text: &str) -> Option<usize> {
    let mut colons = text.match_indices(':').map(|(at, _)| at);
    let text = text.trim_end();
    colons.find(|at| {
        text.get(at + 1..)
            .is_some_and(|behind| behind.starts_with(char::is_whitespace))
    })
}
