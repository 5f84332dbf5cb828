//! Writes the texts of one answer.

use std::collections::HashSet;
use std::fmt::Write;

use super::super::format;
use super::field::{self, Kind};
use super::grammar::{
    Alternative, Article, Filling, Grammar, Piece, Section, Slot, inflect, takes_an,
};
use crate::random::Random;

/// How many characters a text may have.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Length {
    pub(in super::super) min: usize,
    pub(in super::super) max: Option<usize>,
}

impl Length {
    pub(in super::super) fn fits(self, text: &str) -> bool {
        let chars = text.chars().count();
        chars >= self.min && self.max.is_none_or(|max| chars <= max)
    }
}

/// How often a text of the right kind is drawn anew before it is cut or stretched to the asked-for length.
const DRAWS: usize = 6;

/// Writes texts about a topic; the fields of one record share what they are about.
pub(in super::super) struct Scribe {
    pub(in super::super) random: Random,
    grammar: &'static Grammar,
    topic: Option<String>,
    subject: Option<String>,
    focus: String,
    other: String,
    topics_in_use: HashSet<String>,
}

impl Scribe {
    /// Creates a writer for one answer.
    pub(in super::super) fn new(
        random: Random,
        topic: Option<String>,
        subject: Option<String>,
        topics_in_use: HashSet<String>,
    ) -> Self {
        let mut scribe = Self {
            random,
            grammar: Grammar::english(),
            topic,
            subject,
            focus: String::new(),
            other: String::new(),
            topics_in_use,
        };
        scribe.begin_record();
        scribe
    }

    /// Chooses anew what the texts are about.
    pub(in super::super) fn begin_record(&mut self) {
        let phrase = self.grammar.section("phrase");
        let mut focus = std::mem::take(&mut self.focus);
        let mut other = std::mem::take(&mut self.other);
        focus.clear();
        other.clear();
        self.expand(phrase, &mut focus);
        self.expand(phrase, &mut other);
        (self.focus, self.other) = (focus, other);
    }

    /// Writes the text of a field.
    pub(in super::super) fn text(&mut self, field: &str, length: Length) -> String {
        let kind = field::kind(field);
        let mut text = self.of_kind(kind);
        for _ in 1..DRAWS {
            if length.fits(&text) {
                return text;
            }
            text = self.of_kind(kind);
        }
        if length.fits(&text) {
            return text;
        }
        let chars = text.chars().count();
        if length.max.is_some_and(|max| chars > max) {
            text = self.words("phrase");
            if length.max.is_some_and(|max| text.chars().count() > max) {
                text = self.words("noun");
            }
        }
        self.stretch(&mut text, length.min);
        if let Some(max) = length.max {
            shorten(&mut text, length.min, max);
        }
        text
    }

    /// Writes the name of a topic that is not in use and was not written before.
    pub(in super::super) fn new_topic(&mut self) -> String {
        // Far more topics can be made than anyone lists; should all draws fail, a repeated one is honest.
        const DRAWS: usize = 1_000;
        let section = self.grammar.section("topic");
        let mut topic = String::new();
        for _ in 0..DRAWS {
            topic.clear();
            self.expand(section, &mut topic);
            if self.topics_in_use.insert(topic.to_lowercase()) {
                break;
            }
        }
        topic
    }

    /// Writes words of a section of the grammar, as they stand.
    pub(in super::super) fn words(&mut self, section: &str) -> String {
        let mut text = String::with_capacity(32);
        self.expand(self.grammar.section(section), &mut text);
        text
    }

    /// Writes a name for machines.
    pub(in super::super) fn slug(&mut self) -> String {
        let mut slug = self.words("noun_word");
        slug.push('_');
        slug.push_str(&self.words("noun_word"));
        slug
    }

    fn of_kind(&mut self, kind: Kind) -> String {
        let mut text = String::with_capacity(160);
        match kind {
            Kind::Sentences(section) => {
                self.expand(self.grammar.section(section), &mut text);
                capitalise_sentences(&mut text);
            }
            Kind::Words(section) => self.expand(self.grammar.section(section), &mut text),
            Kind::Topic => match &self.topic {
                Some(topic) => text.push_str(topic),
                None => self.expand(self.grammar.section("category"), &mut text),
            },
            Kind::Format(name) => {
                text = format::write(name, self).expect("each of these formats can be written");
            }
            Kind::Slug => {
                let number = self.random.below(1_000);
                write!(text, "{}_{number}", self.slug()).expect("a String takes all");
            }
            Kind::Path => {
                let endings = ["txt", "md", "csv", "json", "pdf", "rs", "py"];
                let ending = endings[self.random.index(endings.len())];
                let (folder, file) = (self.words("noun_word"), self.slug());
                write!(text, "{folder}/{file}.{ending}").expect("a String takes all");
            }
            Kind::Phone => {
                // 555-01xx is set aside for fiction; the area and the extension make numbers differ.
                let (area, line) = (200 + self.random.below(700), self.random.below(100));
                let extension = self.random.below(10_000);
                write!(text, "+1 {area} 555 01{line:02} ext. {extension:04}")
                    .expect("a String takes all");
            }
            Kind::Digits(count) => {
                text.push(char::from(b'1' + self.digit(9)));
                for _ in 1..count {
                    text.push(char::from(b'0' + self.digit(10)));
                }
            }
            Kind::Version => {
                let mut part = |n| self.random.below(n);
                write!(text, "{}.{}.{}", part(9), part(30), part(50)).expect("a String takes all");
            }
        }
        text
    }

    fn digit(&mut self, below: u64) -> u8 {
        u8::try_from(self.random.below(below)).expect("a digit is small")
    }

    fn expand(&mut self, section: Section, out: &mut String) {
        let grammar = self.grammar;
        let alternative: &'static Alternative = grammar.pick(section, &mut self.random);
        for piece in alternative {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Slot(slot) => self.fill(slot, out),
            }
        }
    }

    fn fill(&mut self, slot: &Slot, out: &mut String) {
        let start = out.len();
        match slot.article {
            Article::None => {}
            Article::Small => out.push_str("a "),
            Article::Capital => out.push_str("A "),
        }
        let word = out.len();
        match slot.filling {
            Filling::Section(section) => self.expand(section, out),
            Filling::Focus => out.push_str(&self.focus),
            Filling::Other => out.push_str(&self.other),
            Filling::Topic => match (&self.topic, &self.subject) {
                (Some(topic), _) => out.push_str(topic),
                (None, Some(subject)) => out.push_str(subject),
                (None, None) => self.expand(self.grammar.section("area"), out),
            },
            Filling::Subject => match &self.subject {
                Some(subject) => out.push_str(subject),
                None => self.expand(self.grammar.section("loose_subject"), out),
            },
            Filling::Number(low, high) => {
                let number = low + self.random.below(high - low + 1);
                write!(out, "{number}").expect("a String takes all");
            }
            Filling::Snake => {
                self.expand(self.grammar.section("noun_word"), out);
                out.push('_');
                self.expand(self.grammar.section("noun_word"), out);
            }
        }
        inflect(out, slot.ending);
        if slot.is_capital {
            capitalise(out, word);
        }
        if slot.article != Article::None && takes_an(&out[word..]) {
            out.insert(start + 1, 'n');
        }
    }

    fn stretch(&mut self, text: &mut String, min: usize) {
        let mut chars = text.chars().count();
        while chars < min {
            let more = self.of_kind(Kind::Sentences("body"));
            text.push(' ');
            text.push_str(&more);
            chars += 1 + more.chars().count();
        }
    }
}

/// Cuts a text to at most `max` characters, after a word if that leaves `min` of them.
fn shorten(text: &mut String, min: usize, max: usize) {
    let Some((end, _)) = text.char_indices().nth(max) else {
        return;
    };
    let mut cut = end;
    if let Some(space) = text[..end].rfind(' ')
        && text[..space].chars().count() >= min.max(1)
    {
        cut = space;
    }
    text.truncate(cut);
    if text.ends_with(' ') {
        text.pop();
        if text.chars().count() < min {
            text.push('s');
        }
    }
}

fn capitalise(text: &mut str, at: usize) {
    if let Some(first) = text.get_mut(at..=at) {
        first.make_ascii_uppercase();
    }
}

/// Makes the first letter of the text, and of each sentence in it, a capital.
fn capitalise_sentences(text: &mut str) {
    capitalise(text, 0);
    let mut from = 0;
    while let Some(found) = text[from..].find(['.', '?', '!', ':']) {
        let mark = from + found;
        from = mark + 1;
        if !text[mark..].starts_with(':') && text[from..].starts_with(' ') {
            capitalise(text, from + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scribe(seed: u64) -> Scribe {
        let topic = Some("neural networks".to_owned());
        Scribe::new(Random::new(seed), topic, None, HashSet::new())
    }

    #[test]
    fn every_length_can_be_met() {
        let mut scribe = scribe(1);
        for field in ["question", "name", "email", "summary", "tag", "code"] {
            for (min, max) in [
                (0, 0),
                (1, 1),
                (3, 3),
                (0, 9),
                (17, 17),
                (60, 64),
                (400, 410),
            ] {
                let length = Length {
                    min,
                    max: Some(max),
                };
                let text = scribe.text(field, length);
                assert!(length.fits(&text), "{field} {min}..={max}: {text:?}");
            }
        }
    }

    #[test]
    fn texts_speak_of_the_topic() {
        let mut scribe = scribe(2);
        let about = (0..200)
            .filter(|_| {
                scribe
                    .text("question", Length::default())
                    .contains("neural networks")
            })
            .count();
        assert!(about > 30, "{about}");
    }

    #[test]
    fn sentences_begin_with_a_capital_letter() {
        let mut scribe = scribe(3);
        for field in [
            "question",
            "answer",
            "explanation",
            "review",
            "step",
            "claim",
        ] {
            for _ in 0..100 {
                let text = scribe.text(field, Length::default());
                for sentence in text.split(". ") {
                    assert!(
                        !sentence.starts_with(|c: char| c.is_ascii_lowercase()),
                        "{text}"
                    );
                }
            }
        }
    }
}
