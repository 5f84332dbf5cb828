//! From the tokens of a text to what its sentences say.

use super::detail::DetailKind;
use super::function_words::Role;
use super::hashed::{hash, mix};
use super::mood::{Mood, Text};
use super::phrase::{Closed, Label, Phrase};
use super::reading::{Reading, Sentence};
use super::tokens::{Capitals, Token, Word};

/// What stands for a question that asks for a yes or a no.
const YES_OR_NO: u64 = 0x79_6e;

/// What stands for "can" and "could".
const CAN: u64 = 0x63_61_6e;

/// What stands for a sentence that speaks of the one who is asked, and then of the one who asks.
const YOU_FIRST: u64 = 0x79_6f_75;

/// What stands for a question about what is past.
const PAST: u64 = 0x70_61;

/// Adds what the tokens of a text say.
pub(super) fn write(tokens: &[Token], place: u64, phrase: &mut Phrase, reading: &mut Reading) {
    let text = Text::new(tokens);
    let words_at_start = reading.words.as_ref().map_or(0, Vec::len);
    let mut writer = Writer {
        mood: text.mood(0),
        text,
        place,
        reading,
        progress: Progress::default(),
        phrase,
        phrases: Vec::new(),
        owners: Vec::new(),
        order: 0,
        order_at_start: 0,
        before: None,
        sequence: 0,
        words_at_start,
        stated: 0,
        stated_at_start: 0,
        is_quoted: false,
        capitals: 0,
        capitals_at_start: 0,
    };
    for (at, token) in tokens.iter().enumerate() {
        writer.token(token, at);
    }
    writer.end(tokens.len());
    writer.finish();
}

/// Sums up the phrases of a sentence, and its words. What stands in front counts as if it stood behind; the rest keeps its order.
fn sums(phrases: &[Closed]) -> (u64, u64) {
    let (mut lone, mut order, mut words) = (0_u64, 0_u64, 0_u64);
    for phrase in phrases {
        words = words.wrapping_add(phrase.sum);
        if phrase.is_lone {
            lone = lone.wrapping_add(phrase.hash);
        }
    }
    for is_front in [false, true] {
        let placed = |phrase: &&Closed| !phrase.is_lone && phrase.is_front == is_front;
        for phrase in phrases.iter().filter(placed) {
            order = mix(order, phrase.hash);
        }
    }
    (order.wrapping_add(lone), words)
}

/// How far a sentence has been read.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // Each is set by a word of its own.
struct Progress {
    is_begun: bool,
    /// What it holds so far, beside words of grammar.
    holds: Holds,
    asks: Asks,
    after: After,
    has_how: bool,
    persons: Persons,
    /// It begins with "is" or "was", or holds a word such as "who" or "why".
    has_asked: bool,
    is_past: bool,
    /// The verb that asks for something by its name.
    verb: Option<Verb>,
    /// What follows is courtesy.
    is_over: bool,
}

/// What the last word was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum After {
    #[default]
    Any,
    How,
    /// One like "concept".
    Wrapper,
}

/// Whom a sentence speaks of.
#[derive(Debug, Default)]
struct Persons {
    i: bool,
    you: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Holds {
    #[default]
    Nothing,
    /// Words of courtesy.
    Frame,
    Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Asks {
    #[default]
    Nothing,
    YesOrNo,
    Something,
}

/// What a verb asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verb {
    Describe,
    Name,
}

/// Puts tokens together into phrases, and phrases into sentences.
struct Writer<'a> {
    text: Text<'a>,
    place: u64,
    reading: &'a mut Reading,
    mood: Mood,
    progress: Progress,
    phrase: &'a mut Phrase,
    /// The phrases of the sentence.
    phrases: Vec<Closed>,
    /// Those of the owners of what the phrase speaks of, which stand behind it.
    owners: Vec<Closed>,
    order: u64,
    order_at_start: u64,
    /// The words of the sentence before.
    before: Option<u64>,
    sequence: u64,
    words_at_start: usize,
    stated: u64,
    stated_at_start: u64,
    /// Whether what is read stands in quotes: it is spoken of, and counts word by word.
    is_quoted: bool,
    capitals: u64,
    capitals_at_start: u64,
}

impl Writer<'_> {
    fn token(&mut self, token: &Token, at: usize) {
        let after = std::mem::take(&mut self.progress.after);
        if self.progress.is_over && !matches!(token, Token::End { .. } | Token::Quote) {
            return;
        }
        match token {
            // "..., please", "..., thanks in advance".
            Token::Pause
                if self.progress.holds == Holds::Content
                    && !self.is_quoted
                    && self.text.is_talk(at + 1) =>
            {
                self.progress.is_over = true;
            }
            // "Bolts, washers, and nuts" is "bolts, washers and nuts".
            Token::Pause if self.text.joins(at + 1) => {}
            Token::Pause
                if self.mood == Mood::States
                    && self.phrase.label.is_none()
                    && self.progress.holds == Holds::Content =>
            {
                self.state(u64::from(b','));
            }
            Token::Pause => {
                self.flush();
                self.forget_frame();
                // "In the long run, does ...": the sentence begins behind it.
                let opens = |phrase: &Closed| phrase.is_labelled || phrase.is_lone;
                if self.phrases.iter().all(opens) || self.text.begins_question(at + 1) {
                    let phrases = self.phrases.iter_mut();
                    phrases.for_each(|phrase| phrase.is_front = true);
                    self.progress.is_begun = false;
                }
            }
            Token::End { asks } => {
                if *asks && self.progress.asks == Asks::Nothing && self.text.language.is_known() {
                    // Nothing but the mark makes it a question.
                    self.lone(YES_OR_NO);
                }
                self.end(at + 1);
            }
            Token::Quote => self.is_quoted = !self.is_quoted,
            Token::Exact(value, _) => {
                self.state(*value);
                self.progress.is_begun = true;
                self.progress.holds = Holds::Content;
                self.add(*value, DetailKind::Exact);
            }
            Token::Word(word) => self.word(word, at, after),
        }
    }

    fn word(&mut self, word: &Word, at: usize, after: After) {
        let begins = !std::mem::replace(&mut self.progress.is_begun, true);
        let is_framed = self.progress.holds == Holds::Frame;
        let role = self.text.role(word, at, is_framed || self.is_to_say());
        // "What does a lawyer do in court": the second one is no auxiliary.
        let is_main = self.text.ends(at + 1) || self.text.opens(at + 1);
        let role = role.filter(|role| !matches!(role, Role::Auxiliary | Role::Did) || !is_main);
        let is_exact = word.mentioned || role.is_some() && self.text.beside_sign(at);
        if role != Some(Role::Please) || self.is_quoted {
            self.state_word(word, role, is_exact);
        }
        if is_exact {
            self.progress.holds = Holds::Content;
            return self.add(word.exact, DetailKind::Exact);
        }
        let is_symbol = self.text.is_cased && word.capitals == Capitals::Inner;
        // "I" has its capital wherever it stands.
        let is_name = self.text.is_cased
            && word.capitals == Capitals::First
            && !begins
            && word.exact != hash(b"I");
        // A capital within a sentence may be a matter of taste, unless it is all that tells two texts apart.
        let is_telling = role.is_some() || self.text.content < 3 || self.mood == Mood::States;
        if is_symbol || is_name && is_telling {
            self.capital(word.exact);
        }
        // "US" is no "us".
        let role = role.filter(|_| !is_symbol);
        match role {
            Some(Role::Drop) if word.small == hash(b"'s") => self.owner(),
            Some(Role::Drop | Role::Please) => {
                self.progress.is_begun = !begins;
                self.phrase.thing = self.phrase.words.len();
            }
            Some(person @ (Role::Person | Role::You | Role::Your)) => {
                self.person(person, word, after);
            }
            Some(auxiliary @ (Role::Auxiliary | Role::Did | Role::Be | Role::Was)) => {
                self.auxiliary(auxiliary, begins);
            }
            Some(Role::Lead | Role::Tell) if self.is_unasked() => {
                self.asked();
                let is_named = role == Some(Role::Tell);
                self.progress.verb = Some(if is_named { Verb::Name } else { Verb::Describe });
            }
            // "List the rules of" is "what are the rules of", and "list rules" is not "what are rules".
            Some(Role::Name) if self.is_unasked() && self.text.is_definite(at + 1) => {
                self.asked();
                self.progress.verb = Some(Verb::Name);
            }
            Some(asks @ (Role::Open | Role::Ask | Role::How)) => self.asks(asks, word, at),
            // "How to" and "how can I" are "how do I".
            Some(Role::Label | Role::Link | Role::Can) if after == After::How => {}
            // "Explain the concept of entropy" is "explain entropy".
            Some(Role::Wrapper) if self.is_to_say() && self.text.wraps(at + 1) => {
                self.progress.after = After::Wrapper;
                self.progress.verb = None;
            }
            Some(Role::Link | Role::Label) if after == After::Wrapper => {}
            // "I'm wondering whether it is" is "is it".
            Some(Role::Whether) if is_framed || self.is_to_say() => {
                self.asked();
                self.asks_yes_or_no();
                self.progress.is_begun = false;
            }
            Some(opens @ (Role::Label | Role::Link | Role::Whether | Role::Without)) => {
                self.open(opens, word);
            }
            Some(Role::And) => {}
            Some(Role::Frame) if self.progress.holds != Holds::Content => {
                self.progress.holds = Holds::Frame;
                self.add(word.small, DetailKind::Word);
            }
            Some(modal @ (Role::Modal | Role::Can)) => self.modal(modal, word, begins),
            Some(Role::Imperative | Role::Name) => {
                // "Can you list" is "list".
                if self.is_unasked() && !self.progress.is_past {
                    self.asked();
                }
                self.progress.asks = Asks::Something;
                self.content(word, DetailKind::Word, is_name);
                self.phrase.thing = self.phrase.words.len();
            }
            Some(Role::Not) => self.content(word, DetailKind::Negation, is_name),
            Some(
                Role::Wrapper | Role::Lead | Role::Tell | Role::Frame | Role::Filler | Role::Or,
            )
            | None => {
                let has_to_be_there = is_name || is_symbol || self.text.behind_number(at);
                let kind = if has_to_be_there {
                    DetailKind::Name
                } else {
                    DetailKind::Word
                };
                self.content(word, kind, is_name);
            }
        }
    }

    /// Takes what was named last for the owner of what follows.
    fn owner(&mut self) {
        let of = Label {
            word: hash(b"of"),
            is_link: true,
        };
        let owner = self.phrase.owner(of, self.place, &mut self.order);
        self.owners.extend(owner);
    }

    /// Takes note of a capital that tells something.
    fn capital(&mut self, word: u64) {
        // "Peru's capital" is "the capital of Peru".
        let label = self.phrase.label.filter(|label| label.word != hash(b"of"));
        let label = label.map_or(0, |label| label.word);
        let at = match self.mood {
            Mood::Asks => 0,
            _ => self.phrase.words.len() as u64,
        };
        self.capitals = self.capitals.wrapping_add(mix(mix(label, at), word));
    }

    /// Begins to ask with a word such as "what" or "why".
    fn asks(&mut self, role: Role, word: &Word, at: usize) {
        if self.mood == Mood::States && self.progress.holds == Holds::Content {
            return self.open(Role::Label, word);
        }
        self.flush();
        if self.is_unasked() {
            self.asked();
        }
        if role != Role::Open {
            self.lone(word.small);
        }
        self.progress.verb = None;
        self.progress.asks = Asks::Something;
        if role == Role::How {
            self.progress.after = After::How;
            // "How old are you" is no way to do something.
            let is_way = self.text.is_way(at + 1);
            self.progress.has_how |= is_way;
            self.progress.has_asked |= !is_way;
        }
        self.progress.has_asked |= role == Role::Ask;
    }

    /// Opens a phrase with a word such as a preposition.
    fn open(&mut self, role: Role, word: &Word) {
        // "What is in the box" is not "what is the box".
        let is_told = self.phrase.has_be && self.phrase.words.is_empty();
        self.flush();
        let is_link = role == Role::Link && !is_told;
        if role == Role::Without {
            self.reading.keep(word.small, DetailKind::Negation);
        } else if !is_link {
            self.reading.keep(word.small, DetailKind::Word);
        }
        self.phrase.label = Some(Label {
            word: word.small,
            is_link,
        });
    }

    fn modal(&mut self, role: Role, word: &Word, begins: bool) {
        if begins {
            self.asks_yes_or_no();
        }
        let value = if role == Role::Can { CAN } else { word.small };
        if self.mood == Mood::Asks && self.phrase.label.is_none() {
            // "Whether cats can eat" is "can cats eat".
            self.lone(value);
        } else {
            self.add(value, DetailKind::Word);
        }
        // "Would you translate" is "translate": nothing is asked before that.
        if !begins && self.progress.asks != Asks::YesOrNo {
            self.progress.holds = Holds::Content;
        }
    }

    fn auxiliary(&mut self, role: Role, begins: bool) {
        if begins {
            self.asks_yes_or_no();
            self.progress.has_asked |= matches!(role, Role::Be | Role::Was);
        }
        let is_past = matches!(role, Role::Did | Role::Was);
        if is_past && !std::mem::replace(&mut self.progress.is_past, true) {
            self.lone(PAST);
        }
        self.phrase.has_be |= matches!(role, Role::Be | Role::Was);
    }

    /// Takes note of a word for the one who asks or is asked.
    fn person(&mut self, role: Role, word: &Word, after: After) {
        let is_yours = role == Role::Your && !self.progress.has_how && !self.progress.persons.you;
        // "Tell me how I can" is "how can I".
        self.progress.after = after;
        if is_yours || self.is_about_person() {
            return self.content(word, DetailKind::Word, false);
        }
        self.phrase.has_person = true;
        self.phrase.thing = self.phrase.words.len();
        let persons = &mut self.progress.persons;
        if role != Role::Person {
            persons.you = true;
        } else if !std::mem::replace(&mut persons.i, true) && persons.you {
            // "Can I call you" is not "can you call me".
            self.lone(YOU_FIRST);
        }
    }

    /// Adds a word that carries meaning.
    fn content(&mut self, word: &Word, kind: DetailKind, is_name: bool) {
        self.progress.holds = Holds::Content;
        if is_name && !std::mem::replace(&mut self.phrase.ends_with_name, is_name) {
            self.phrase.thing = self.phrase.words.len();
        }
        self.phrase.ends_with_name = is_name;
        // A word alone is a term, which inflection makes another one, and so is a name.
        let has_stem = self.text.language.is_english() && self.text.content > 1 && !is_name;
        let value = if has_stem { word.stem } else { word.small };
        self.add(value, kind);
    }

    fn add(&mut self, value: u64, kind: DetailKind) {
        self.phrase.words.push(value);
        self.reading.keep(value, kind);
    }

    /// Adds what is a phrase of its own.
    fn lone(&mut self, value: u64) {
        let value = mix(self.place, value);
        self.phrases.push(Closed {
            hash: value,
            sum: value,
            is_lone: true,
            is_labelled: false,
            is_front: false,
        });
        self.reading.keep(value, DetailKind::Word);
    }

    fn state(&mut self, value: u64) {
        self.state_at(self.phrase.words.len(), value);
    }

    /// Adds a word that is stated.
    fn state_word(&mut self, word: &Word, role: Option<Role>, is_exact: bool) {
        let value = if word.mentioned {
            mix(word.exact, 1)
        } else if is_exact {
            word.exact
        } else {
            word.small
        };
        let opens = matches!(
            role,
            Some(Role::Label | Role::Link | Role::Whether | Role::Without)
        );
        let at = if opens && !is_exact {
            0
        } else {
            self.phrase.words.len()
        };
        self.state_at(at, value);
    }

    /// Adds a word or a sign that is stated, with how many words stand before it in its phrase.
    fn state_at(&mut self, at: usize, value: u64) {
        if self.mood == Mood::States || self.is_quoted {
            self.stated = self
                .stated
                .wrapping_add(mix(mix(self.place, at as u64), value));
        }
    }

    fn asks_yes_or_no(&mut self) {
        if self.mood != Mood::Asks || self.progress.asks == Asks::YesOrNo {
            return;
        }
        self.lone(YES_OR_NO);
        self.progress.asks = Asks::YesOrNo;
    }

    /// Whether it matters who asks or is asked, as in "why am I tired". In longer questions, and in those for a way to do
    /// something, most say "I" and "you" of anybody.
    fn is_about_person(&self) -> bool {
        self.text.content < 3 && self.progress.has_asked && self.phrase.label.is_none()
    }

    fn is_unasked(&self) -> bool {
        self.progress.holds != Holds::Content && self.progress.asks != Asks::Something
    }

    /// Whether something is to be said, and nothing yet told of it: "explain".
    fn is_to_say(&self) -> bool {
        self.progress.holds == Holds::Nothing && self.progress.asks == Asks::Something
    }

    /// Forgets that somebody asks: "can you tell me", "I was wondering".
    fn asked(&mut self) {
        if self.progress.holds == Holds::Frame || self.progress.asks == Asks::YesOrNo {
            self.forget();
            self.progress.is_past = false;
        }
        self.progress.holds = Holds::Nothing;
        self.progress.asks = Asks::Something;
        self.progress.persons = Persons::default();
    }

    /// Forgets a sentence that holds nothing but courtesy.
    fn forget_frame(&mut self) {
        if self.progress.holds == Holds::Frame && !self.is_quoted {
            self.stated = self.stated_at_start;
            self.forget();
            self.progress = Progress::default();
        }
    }

    fn forget(&mut self) {
        self.phrase.clear();
        self.owners.clear();
        self.phrases.clear();
        self.order = self.order_at_start;
        self.capitals = self.capitals_at_start;
        if let Some(words) = &mut self.reading.words {
            words.truncate(self.words_at_start);
        }
    }

    fn flush(&mut self) {
        let phrase = self.phrase.close(self.place, &mut self.order);
        self.phrases.extend(phrase);
        // "Anna's brother's" is "of the brother of Anna".
        self.phrases.extend(self.owners.drain(..).rev());
    }

    /// Ends a sentence; the next one begins at a token.
    fn end(&mut self, next: usize) {
        self.flush();
        if self.mood == Mood::Frames {
            self.forget();
        }
        self.forget_frame();
        if !self.phrases.is_empty() {
            let (phrases, words) = sums(&self.phrases);
            self.phrases.clear();
            // What stands in another sentence, or in another language, says something else.
            let language = self.text.language.number();
            let phrases = mix(self.place, phrases).wrapping_add(language);
            let words = words.wrapping_add(language);
            self.reading.sentences.push(Sentence { phrases, words });
            if let Some(before) = self.before.replace(words) {
                self.sequence = mix(mix(self.sequence, before), words);
            }
            if let Some(verb) = self.progress.verb {
                let verbs = mix(self.place, verb as u64 + 1);
                self.reading.verbs = self.reading.verbs.wrapping_add(verbs);
            }
        }
        self.stated_at_start = self.stated;
        self.order_at_start = self.order;
        self.capitals_at_start = self.capitals;
        self.words_at_start = self.reading.words.as_ref().map_or(0, Vec::len);
        self.progress = Progress::default();
        self.mood = self.text.mood(next);
    }

    fn finish(self) {
        let reading = self.reading;
        if self.sequence != 0 {
            reading.sequence = reading
                .sequence
                .wrapping_add(mix(self.place, self.sequence));
        }
        reading.stated = reading.stated.wrapping_add(self.stated);
        if self.text.is_cased {
            // Never 0, which stands for a text without capitals.
            let capitals = mix(self.place, self.capitals | 1);
            reading.capitals = reading.capitals.wrapping_add(capitals);
        }
        reading.order = reading.order.wrapping_add(mix(self.place, self.order));
    }
}
