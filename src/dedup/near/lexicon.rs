//! What is known about words: the data files, read once.
//!
//! Everything works without them; they only tell apart what carries meaning from what does not. A word no file
//! knows carries meaning.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::LazyLock;

use super::lexer::{Kind, Lexeme, hash, lex};
use super::order::kept;
use super::stem::stem;

/// What is known about a word, as a set of bits.
pub(super) mod trait_of {
    /// Carries grammar, not meaning.
    pub(in super::super) const FUNCTION: u32 = 1;
    /// Only says that something is asked, in front of what is.
    pub(in super::super) const LEAD: u32 = 1 << 1;
    /// The same, in front of "of" only.
    pub(in super::super) const LEAD_OF: u32 = 1 << 2;
    /// Only says that something is asked, at the end.
    pub(in super::super) const TAIL: u32 = 1 << 3;
    /// Turns a statement around.
    pub(in super::super) const NEGATION: u32 = 1 << 4;
    /// Has an opposite, or bounds what is asked.
    pub(in super::super) const WEIGHTY: u32 = 1 << 5;
    /// A question word.
    pub(in super::super) const ASKS: u32 = 1 << 6;
    /// Opens a clause that can be left out.
    pub(in super::super) const STRONG: u32 = 1 << 7;
    /// The same, at the end of a sentence.
    pub(in super::super) const WEAK: u32 = 1 << 8;
    /// Shows a text to be English.
    pub(in super::super) const ENGLISH: u32 = 1 << 9;
    /// A number, in words or digits.
    pub(in super::super) const NUMBER: u32 = 1 << 10;
    /// Announces a question in front of a colon.
    pub(in super::super) const LABEL: u32 = 1 << 11;
    /// Starts with a capital inside a sentence.
    pub(in super::super) const CAPITAL: u32 = 1 << 12;
    /// Only says that something is asked, at the end of a sentence that says enough.
    pub(in super::super) const TAIL_OF_TWO: u32 = 1 << 14;
    /// Is about the answer, not about the question.
    pub(in super::super) const ANSWER: u32 = 1 << 16;
    /// Asks for a yes or a no in front of everything else.
    pub(in super::super) const YES_NO: u32 = 1 << 17;
    /// Ranks what follows.
    pub(in super::super) const RANK: u32 = 1 << 18;
    /// A general noun, such as "cause".
    pub(in super::super) const GENERAL: u32 = 1 << 19;
    /// Ends like an adverb and is none.
    pub(in super::super) const NO_ADVERB: u32 = 1 << 20;
    /// Ends like an adverb.
    pub(in super::super) const ADVERB: u32 = 1 << 21;
    /// "What" and "which".
    pub(in super::super) const WHAT: u32 = 1 << 22;
    /// "Do", "does" and "did".
    pub(in super::super) const DOES: u32 = 1 << 23;
    /// "And" and "or".
    pub(in super::super) const JOINS: u32 = 1 << 24;
    /// Leaves the reach of a preposition open: "from the city and the village".
    pub(in super::super) const OPEN: u32 = 1 << 25;
    /// Ends like a present participle.
    pub(in super::super) const PARTICIPLE: u32 = 1 << 15;
    /// An operator.
    pub(in super::super) const SIGN: u32 = 1 << 13;
    /// A unit of measure.
    pub(in super::super) const UNIT: u32 = 1 << 26;
    /// Says little beside other words.
    pub(in super::super) const LIGHT: u32 = 1 << 27;
    /// Tells somebody to do something.
    pub(in super::super) const COMMAND: u32 = 1 << 28;
    /// Speaks of the one who asks or of the one who answers.
    pub(in super::super) const SPEAKER: u32 = 1 << 29;
}

use trait_of as is;

/// A word as comparison sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Word {
    /// Names its meaning: the same for all forms and synonyms.
    pub(super) meaning: u32,
    /// What is known about it, see [`trait_of`].
    pub(super) traits: u32,
    /// The preposition it is, from 1; 0 for others.
    pub(super) role: u8,
    /// The same for all words that may stand for one another in some question, see [`Lexicon::stand_for_another`].
    pub(super) circle: u32,
}

impl Word {
    /// Creates a word of which nothing but its meaning is known.
    pub(super) fn meaning(meaning: u32) -> Self {
        Self::with(meaning, 0)
    }

    /// Creates a word of which this is known.
    pub(super) fn with(meaning: u32, traits: u32) -> Self {
        Self {
            meaning,
            traits,
            role: 0,
            circle: meaning,
        }
    }

    pub(super) fn is(self, traits: u32) -> bool {
        self.traits & traits != 0
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) word: Word,
    /// Whether phrases begin with it.
    pub(super) starts_phrase: bool,
}

/// Question words that narrow what is asked. "What" does not.
pub(super) const HOW: u32 = 1;
pub(super) const WHY: u32 = 2;
pub(super) const WHO: u32 = 3;
pub(super) const WHEN: u32 = 4;
pub(super) const WHERE: u32 = 5;
/// Not a word: asks for a yes or a no.
pub(super) const WHETHER: u32 = 6;

/// Not a word either: asks how much.
pub(super) const AMOUNT: u32 = 7;

const ASKING: [(&str, u32); 7] = [
    ("how", HOW),
    ("why", WHY),
    ("who", WHO),
    ("whom", WHO),
    ("whose", WHO),
    ("when", WHEN),
    ("where", WHERE),
];

/// The role of a word under "from".
pub(super) const FROM: u8 = 1;
/// The role of a word under "to".
pub(super) const TO: u8 = 2;
/// The role of a word under "than".
pub(super) const THAN: u8 = 3;
/// The role of a word under "by", which names who acts in a passive.
pub(super) const BY: u8 = 4;
/// The role of a word under "of".
pub(super) const OF: u8 = 5;
/// The roles of words under "from", "to" and "than".
pub(super) const DIRECTED: [u32; 3] = [1, 2, 3];
/// The role of a word under "on".
pub(super) const ON: u32 = 6;

/// Words that say how things compare or belong together, whichever is named first.
const SYMMETRIC: [&str; 6] = [
    "differ", "compare", "similar", "relation", "combine", "interact",
];

type Map<V> = HashMap<u64, V, BuildHasherDefault<Ready>>;

/// Everything the data files say.
pub(super) struct Lexicon {
    words: Map<Entry>,
    /// Meanings of stems that are not their own, and their circles.
    stems: Map<(u32, u32)>,
    /// Circles of meanings that are not their own.
    circles: Map<u32>,
    /// Pairs of meanings that may stand for one another.
    pairs: HashSet<u64, BuildHasherDefault<Ready>>,
    /// From the hash of each beginning of a phrase to what it stands for, if it is a whole one.
    phrases: Map<Option<Box<[Word]>>>,
    /// Per meaning, the question words it makes superfluous, as bits.
    answers: Map<u8>,
    /// What a word turns into under a question word.
    turns: Vec<(u32, u32, u32)>,
    /// What "why" asks for.
    cause: u32,
    /// What somebody or something does.
    role: u32,
    /// What "how much" asks for.
    amount: u32,
    units: Map<u32>,
    /// Meanings that compare things, so that their order says nothing.
    symmetric: Vec<u32>,
    /// Meanings that relate what stands before them to what stands behind, as far as they are kept.
    relations: HashSet<u64, BuildHasherDefault<Ready>>,
    /// What "or" says beside its grammar: one of these, and not all.
    any: u32,
    /// What "than" says in front of a number.
    than: u32,
}

/// The lexicon, built at first use from the data files.
pub(super) static LEXICON: LazyLock<Lexicon> = LazyLock::new(Lexicon::build);

/// Returns whether a word sticking to a number is its unit.
pub(super) fn is_unit(word: &str) -> bool {
    UNITS.contains_key(&hash(word))
}

// Apart from the lexicon, since the lexer needs them to read the other files.
static UNITS: LazyLock<Map<u32>> = LazyLock::new(|| {
    let mut units = Map::default();
    for line in lines(include_str!("data/units.txt")) {
        let mut words = line.split_whitespace();
        let first = words.next().unwrap_or_default();
        let meaning = own_meaning(first);
        for word in std::iter::once(first).chain(words) {
            units.entry(hash(word)).or_insert(meaning);
        }
    }
    units
});

impl Lexicon {
    fn build() -> Self {
        let mut lexicon = Self {
            words: Map::default(),
            stems: Map::default(),
            circles: Map::default(),
            pairs: HashSet::default(),
            phrases: Map::default(),
            answers: Map::default(),
            turns: Vec::new(),
            cause: 0,
            role: 0,
            amount: 0,
            units: UNITS.clone(),
            symmetric: Vec::new(),
            relations: HashSet::default(),
            any: 0,
            than: 0,
        };
        lexicon.read_classes(include_str!("data/irregular.txt"));
        lexicon.read_classes(include_str!("data/synonyms.txt"));
        lexicon.read_units();
        lexicon.read_numbers(include_str!("data/numbers.txt"));
        lexicon.read_sections(include_str!("data/function_words.txt"));
        lexicon.read_sections(include_str!("data/clauses.txt"));
        lexicon.read_sections(include_str!("data/leads.txt"));
        lexicon.read_sections(include_str!("data/tails.txt"));
        lexicon.read_traits(include_str!("data/negations.txt"), is::NEGATION);
        lexicon.read_sections(include_str!("data/weighty_words.txt"));
        for (word, meaning) in ASKING {
            let entry = lexicon.entry(word);
            entry.word.traits |= is::ASKS;
            entry.word.meaning = meaning;
        }
        lexicon.read_near_synonyms(include_str!("data/near_synonyms.txt"));
        lexicon.read_answers(include_str!("data/questions.txt"));
        lexicon.read_phrases(include_str!("data/phrases.txt"));
        lexicon.cause = lexicon.meaning_of("cause");
        lexicon.amount = lexicon.meaning_of("amount");
        lexicon.role = lexicon.meaning_of("role");
        lexicon.symmetric = SYMMETRIC.map(|word| lexicon.meaning_of(word)).into();
        lexicon.relations = lines(include_str!("data/relations.txt"))
            .flat_map(str::split_whitespace)
            .map(|word| kept(lexicon.meaning_of(word)).into())
            .collect();
        lexicon.any = lexicon.meaning_of("or");
        lexicon.than = lexicon.meaning_of("than");
        lexicon
    }

    /// Looks a folded word up by itself and, if nobody knows it, by its stem.
    pub(super) fn word(&self, hash: u64, folded: &str, buffer: &mut String) -> Word {
        match self.words.get(&hash) {
            Some(entry) => entry.word,
            None => self.unknown(folded, buffer),
        }
    }

    /// Looks a folded word up by its stem.
    pub(super) fn unknown(&self, folded: &str, buffer: &mut String) -> Word {
        let hash = hash(stem(folded, buffer));
        match self.stems.get(&hash) {
            Some(&(meaning, circle)) => Word {
                circle,
                ..Word::meaning(meaning)
            },
            None => Word::meaning(shorten(hash)),
        }
    }

    /// Returns what the files say about a word as it stands.
    pub(super) fn known(&self, hash: u64) -> Option<Word> {
        self.words.get(&hash).map(|entry| entry.word)
    }

    /// Returns what the files say about a piece of text, if it is a word.
    pub(super) fn entry_of(&self, piece: &Lexeme) -> Option<&Entry> {
        if matches!(piece.kind, Kind::Word | Kind::Glyph) {
            self.words.get(&piece.hash)
        } else {
            None
        }
    }

    /// Returns the meaning of a word after a number, if it is a unit.
    pub(super) fn unit(&self, hash: u64) -> Option<u32> {
        self.units.get(&hash).copied()
    }

    /// Returns the longest phrase these pieces begin with: how many they are, and what it stands for.
    pub(super) fn phrase(&self, pieces: &[Lexeme]) -> Option<(usize, &[Word])> {
        let kind = pieces.first()?.kind;
        let mut found = None;
        let mut hash = 0;
        for (length, piece) in (1..).zip(pieces) {
            hash = phrase_hash(hash, piece.hash);
            match self.phrases.get(&hash) {
                Some(stands_for) if piece.kind == kind => {
                    found = stands_for.as_deref().map(|words| (length, words)).or(found);
                }
                _ => break,
            }
        }
        found
    }

    /// Returns whether a word of this meaning already says what the question word asks.
    pub(super) fn answers(&self, meaning: u32, question: u32) -> bool {
        self.answers
            .get(&u64::from(meaning))
            .is_some_and(|questions| questions & (1 << question) != 0)
    }

    /// Returns the word that says what a question word asks, where it is one word: the cause for "why".
    pub(super) fn asked_by(&self, question: u32) -> Option<u32> {
        (question == WHY).then_some(self.cause)
    }

    /// Returns the meaning of "amount", which is what is asked by "how much".
    pub(super) fn amount(&self) -> u32 {
        self.amount
    }

    /// Returns the meaning of "role", which is what is asked by "what does it do".
    pub(super) fn role(&self) -> u32 {
        self.role
    }

    /// Returns whether two meanings, as far as they are kept, may stand for one another.
    pub(super) fn stand_for_another(&self, one: u32, other: u32) -> bool {
        self.pairs.contains(&pair(one, other))
    }

    /// Returns whether a word says how things compare.
    pub(super) fn is_symmetric(&self, meaning: u32) -> bool {
        self.symmetric.contains(&meaning)
    }

    /// Returns whether a word, as far as it is kept, relates what stands before it to what stands behind.
    pub(super) fn relates(&self, meaning: u32) -> bool {
        self.relations.contains(&meaning.into())
    }

    /// Returns the meaning of "than".
    pub(super) fn than(&self) -> u32 {
        self.than
    }

    /// Returns the meaning of "or".
    pub(super) fn any(&self) -> u32 {
        self.any
    }

    /// Returns what a word means under a question word.
    pub(super) fn under_question(&self, meaning: u32, question: u32) -> u32 {
        let turn = self
            .turns
            .iter()
            .find(|(asked, word, _)| (*asked, *word) == (question, meaning));
        turn.map_or(meaning, |(_, _, turned)| *turned)
    }

    fn meaning_of_stem(&self, folded: &str, buffer: &mut String) -> u32 {
        let hash = hash(stem(folded, buffer));
        self.stems
            .get(&hash)
            .map_or_else(|| shorten(hash), |(meaning, _)| *meaning)
    }

    fn entry(&mut self, word: &str) -> &mut Entry {
        let meaning = self.meaning_of_stem(word, &mut String::new());
        self.words.entry(hash(word)).or_insert(Entry {
            word: Word::meaning(meaning),
            starts_phrase: false,
        })
    }

    fn read_classes(&mut self, file: &str) {
        let mut buffer = String::new();
        for line in lines(file) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let meaning = self.meaning_of(words[0]);
            for word in words {
                // The first line that names a word has it. An irregular form is known by itself, a regular one by
                // its stem, so that its other forms belong too.
                self.stems
                    .entry(hash(stem(word, &mut buffer)))
                    .or_insert((meaning, meaning));
                if !self.words.contains_key(&hash(word)) {
                    self.entry(word).word.meaning = meaning;
                }
            }
        }
    }

    fn read_near_synonyms(&mut self, file: &str) {
        let mut buffer = String::new();
        for line in lines(file) {
            let line: Vec<u32> = line
                .split_whitespace()
                .map(|word| {
                    let meaning = self.meaning_of(word);
                    let stem = hash(stem(word, &mut buffer));
                    self.stems.entry(stem).or_insert((meaning, meaning));
                    meaning
                })
                .collect();
            for (at, &one) in line.iter().enumerate() {
                for &other in &line[..at] {
                    self.pairs.insert(pair(one, other));
                }
            }
            let (joined, rest) = (self.circle(line[0]), &line[1..]);
            for &meaning in rest {
                let circle = self.circle(meaning);
                for old in self.circles.values_mut().filter(|old| **old == circle) {
                    *old = joined;
                }
                self.circles.insert(meaning.into(), joined);
                self.circles.insert(circle.into(), joined);
            }
        }
        let circles = &self.circles;
        for entry in self.words.values_mut() {
            let meaning = u64::from(entry.word.meaning);
            entry.word.circle = circles.get(&meaning).copied().unwrap_or(entry.word.meaning);
        }
        for (meaning, circle) in self.stems.values_mut() {
            *circle = circles
                .get(&u64::from(*meaning))
                .copied()
                .unwrap_or(*meaning);
        }
    }

    /// Returns the circle of near synonyms of a meaning.
    pub(super) fn circle(&self, meaning: u32) -> u32 {
        self.circles
            .get(&meaning.into())
            .copied()
            .unwrap_or(meaning)
    }

    fn meaning_of(&self, word: &str) -> u32 {
        match self.words.get(&hash(word)) {
            Some(entry) => entry.word.meaning,
            None => self.meaning_of_stem(word, &mut String::new()),
        }
    }

    fn read_units(&mut self) {
        for line in lines(include_str!("data/units.txt")) {
            // Short forms mean something else without a number in front: "m", "in", "s".
            for word in line.split_whitespace().filter(|w| w.len() > 4) {
                let meaning = UNITS[&hash(word)];
                let entry = self.entry(word);
                entry.word.meaning = meaning;
                entry.word.traits |= is::UNIT;
            }
        }
    }

    fn read_numbers(&mut self, file: &str) {
        for line in lines(file) {
            let mut words = line.split_whitespace();
            let meaning = own_meaning(words.next().unwrap_or_default());
            for word in words {
                let entry = self.entry(word);
                entry.word.meaning = meaning;
                entry.word.traits |= is::NUMBER;
            }
        }
    }

    fn read_sections(&mut self, file: &str) {
        const ROLES: [&str; 10] = [
            "from", "to", "than", "by", "of", "on", "in", "for", "with", "between",
        ];
        let (mut traits, mut role) = (0, 0);
        for line in lines(file) {
            if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
                (traits, role) = match name {
                    "lead" => (is::LEAD, 0),
                    "lead-of" => (is::LEAD_OF, 0),
                    "tail" => (is::TAIL, 0),
                    "tail-of-two" => (is::TAIL_OF_TWO, 0),
                    "label" => (is::LABEL, 0),
                    "strong" => (is::STRONG | is::FUNCTION, 0),
                    "weak" => (is::WEAK, 0),
                    "what" => (is::WHAT, 0),
                    "does" => (is::DOES, 0),
                    "joins" => (is::JOINS, 0),
                    "open" => (is::OPEN, 0),
                    "weighty" => (is::WEIGHTY, 0),
                    "not-adverbs" => (is::NO_ADVERB, 0),
                    "rank" => (is::RANK, 0),
                    "general" => (is::GENERAL, 0),
                    "answer" => (is::ANSWER, 0),
                    "light" => (is::LIGHT, 0),
                    "command" => (is::COMMAND, 0),
                    "speaker" => (is::SPEAKER | is::FUNCTION, 0),
                    "yes-no" => (is::YES_NO, 0),
                    "english" => (is::ENGLISH, 0),
                    _ => {
                        let role = (1..).zip(ROLES).find(|(_, known)| *known == name);
                        (is::FUNCTION, role.map_or(0, |(role, _)| role))
                    }
                };
                continue;
            }
            for word in line.split_whitespace() {
                let entry = self.entry(word);
                entry.word.traits |= traits;
                entry.word.role |= role;
            }
        }
    }

    fn read_traits(&mut self, file: &str, traits: u32) {
        for word in lines(file).flat_map(str::split_whitespace) {
            self.entry(word).word.traits |= traits;
        }
    }

    fn read_answers(&mut self, file: &str) {
        for line in lines(file) {
            let Some((question, words)) = line.split_once(':') else {
                continue;
            };
            let question = match question {
                "amount" => AMOUNT,
                word => self.meaning_of(word),
            };
            for word in words.split_whitespace() {
                let (word, turned) = word.split_once('>').unwrap_or((word, word));
                let meaning = self.meaning_of(word);
                if word != turned {
                    let turned = self.meaning_of(turned);
                    self.turns.push((question, meaning, turned));
                }
                *self.answers.entry(meaning.into()).or_default() |= 1 << question;
            }
        }
    }

    fn read_phrases(&mut self, file: &str) {
        for line in lines(file) {
            let Some((phrase, stands_for)) = line.split_once('=') else {
                continue;
            };
            let words: Vec<Word> = stands_for
                .split_whitespace()
                .map(|word| self.word(hash(word), word, &mut String::new()))
                .collect();
            for phrase in alternatives(phrase) {
                self.read_phrase(&phrase, &words);
            }
        }
    }

    fn read_phrase(&mut self, phrase: &str, stands_for: &[Word]) {
        let pieces: Vec<u64> = lex(phrase)
            .pieces
            .iter()
            .filter(|piece| matches!(piece.kind, Kind::Word | Kind::Glyph))
            .map(|piece| piece.hash)
            .collect();
        let Some(&first) = pieces.first() else {
            return;
        };
        let mut hash = 0;
        for piece in &pieces {
            hash = phrase_hash(hash, *piece);
            self.phrases.entry(hash).or_default();
        }
        self.phrases
            .entry(hash)
            .or_default()
            .get_or_insert(stands_for.into());
        let word = phrase.split_whitespace().next().unwrap_or_default();
        let meaning = self.meaning_of_stem(word, &mut String::new());
        let entry = self.words.entry(first).or_insert(Entry {
            word: Word::meaning(meaning),
            starts_phrase: false,
        });
        entry.starts_phrase = true;
        if pieces.len() == 1 && phrase.contains('\'') {
            entry.word.traits |= is::ENGLISH;
        }
    }
}

/// Writes out the alternatives in a phrase: "a good/fine way" is "a good way" and "a fine way". An underscore joins
/// the words of one alternative.
fn alternatives(phrase: &str) -> Vec<String> {
    let mut written = vec![String::new()];
    for word in phrase.split_whitespace() {
        written = written
            .iter()
            .flat_map(|before| {
                word.split('/')
                    .map(move |word| format!("{before} {}", word.replace('_', " ")))
            })
            .collect();
    }
    for phrase in &mut written {
        phrase.remove(0);
    }
    written
}

/// Returns the key of two meanings in either order.
fn pair(one: u32, other: u32) -> u64 {
    let (one, other) = (kept(one), kept(other));
    u64::from(one.min(other)) << 32 | u64::from(one.max(other))
}

/// Returns the meaning of a word that has none but its own.
pub(super) fn own_meaning(word: &str) -> u32 {
    shorten(hash(word))
}

/// Shortens a hash to a meaning. The first numbers are the question words.
pub(super) fn shorten(hash: u64) -> u32 {
    ((hash >> 32) as u32) | 0x10
}

fn phrase_hash(beginning: u64, word: u64) -> u64 {
    // An odd multiplier with well spread bits, from the golden ratio.
    (beginning.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

fn lines(file: &str) -> impl Iterator<Item = &str> {
    file.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// A hasher for keys that are hashes already.
#[derive(Default)]
pub(super) struct Ready(u64);

impl Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(byte.into());
        }
    }

    fn write_u64(&mut self, key: u64) {
        // Meanings have 32 bits; the map wants the upper ones spread as well.
        self.0 = key.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
