//! From the tokens of a text to what its sentences say.

use super::detail::DetailKind;
use super::function_words::{Language, Role};
use super::hashed::{hash, mix};
use super::phrase::{Form, Label, Phrase};
use super::reading::{Reading, Sentence};
use super::tokens::{Capitals, Exact, Token, Word};

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
        labels: Vec::new(),
        order: 0,
        order_at_start: 0,
        words_at_start,
        stated: 0,
        stated_at_start: 0,
        is_quoted: false,
        capitals: 0,
    };
    for (at, token) in tokens.iter().enumerate() {
        writer.token(token, at);
    }
    writer.end(tokens.len());
    writer.finish();
}

/// What a sentence does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mood {
    /// Its words of grammar and the order of its phrases carry nothing.
    Asks,
    /// Each word counts.
    States,
    /// It greets, thanks or says that something is asked, and counts for nothing.
    Frames,
}

/// A text, and what is known of it as a whole.
struct Text<'a> {
    tokens: &'a [Token],
    language: Language,
    /// Words without a role in the language, or with one that carries meaning; counted up to three.
    content: usize,
    /// Whether its capitals tell anything: it has some, and is neither a title nor shouted.
    is_cased: bool,
}

impl<'a> Text<'a> {
    fn new(tokens: &'a [Token]) -> Self {
        let words = || {
            tokens.iter().filter_map(|token| match token {
                Token::Word(word) => Some(word),
                _ => None,
            })
        };
        let language = Language::of(words().filter_map(|word| word.roles));
        let carries_meaning =
            |word: &&Word| matches!(language.role(word.roles), None | Some(Role::Not));
        let content = || words().filter(carries_meaning);
        let has_capital = |word: &Word| word.capitals != Capitals::None;
        let many = content().take(3).count();
        let is_title = many > 2 && content().all(has_capital);
        let is_shouted = words().take(3).count() > 2 && words().all(has_capital);
        Self {
            tokens,
            language,
            content: many,
            is_cased: words().any(has_capital) && !is_title && !is_shouted,
        }
    }

    /// Returns what the sentence from a token on does.
    fn mood(&self, from: usize) -> Mood {
        let (mut frame, mut states, mut begins, mut labelled) = (false, false, true, false);
        // An auxiliary asks where it is the very first word: "was it late", not "it was late".
        let mut first = true;
        let mut of_person = false;
        for token in &self.tokens[from..] {
            let role = match token {
                Token::End { asks: true } => return Mood::Asks,
                Token::End { asks: false } => break,
                Token::Quote => continue,
                Token::Pause => {
                    (begins, first) = (labelled, labelled);
                    continue;
                }
                Token::Exact(_, kind) => {
                    (begins, first) = (false, false);
                    states |= *kind != Exact::Number;
                    continue;
                }
                Token::Word(word) => self.language.role(word.roles),
            };
            let was_first = std::mem::take(&mut first);
            match role {
                Some(Role::Open | Role::Ask | Role::How) if begins => return Mood::Asks,
                // "I work" is no order to work.
                Some(Role::Lead | Role::Imperative) if begins && !of_person => {
                    return Mood::Asks;
                }
                Some(
                    Role::Passive
                    | Role::Was
                    | Role::Auxiliary
                    | Role::Did
                    | Role::Modal
                    | Role::Can,
                ) if was_first && self.language.is_english() => {
                    return Mood::Asks;
                }
                Some(Role::Frame) => frame = true,
                Some(Role::Person | Role::You) => of_person |= was_first,
                Some(
                    Role::Please
                    | Role::Drop
                    | Role::Passive
                    | Role::Was
                    | Role::Auxiliary
                    | Role::Did,
                ) => {}
                _ => {
                    labelled |= begins && matches!(role, Some(Role::Label | Role::Link));
                    begins = false;
                    states |= matches!(role, None | Some(Role::Not));
                }
            }
        }
        if frame && !states {
            Mood::Frames
        } else {
            Mood::States
        }
    }

    fn is_exact(&self, at: Option<usize>) -> bool {
        at.is_some_and(|at| matches!(self.tokens.get(at), Some(Token::Exact(..))))
    }

    /// Returns whether a number, a sign or a word that is spoken of stands before a token.
    fn ends_exact(&self, at: usize) -> bool {
        let mut before = self.tokens[..at].iter().rev();
        match before.find(|token| !matches!(token, Token::Quote)) {
            Some(Token::Word(word)) => word.mentioned,
            before => matches!(before, Some(Token::Exact(..))),
        }
    }

    /// Returns whether an "and" or an "or" stands at a token.
    fn joins(&self, at: usize) -> bool {
        let role = match self.tokens.get(at) {
            Some(Token::Word(word)) => self.language.role(word.roles),
            _ => None,
        };
        matches!(role, Some(Role::And | Role::Or))
    }

    /// Returns whether a sentence or a part of it ends at a token: "what does a lawyer do".
    fn ends(&self, at: usize) -> bool {
        matches!(
            self.tokens.get(at),
            None | Some(Token::Pause | Token::End { .. } | Token::Quote)
        )
    }

    fn beside_sign(&self, at: usize) -> bool {
        let is_sign = |at: usize| matches!(self.tokens.get(at), Some(Token::Exact(_, Exact::Sign)));
        at.checked_sub(1).is_some_and(is_sign) || is_sign(at + 1)
    }

    fn behind_number(&self, at: usize) -> bool {
        let before = at.checked_sub(1).map(|at| self.tokens[at]);
        matches!(before, Some(Token::Exact(_, Exact::Number)))
    }
}

/// How far a sentence has been read.
#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // Each is set by a word of its own.
struct Progress {
    is_begun: bool,
    /// What it holds so far, beside words of grammar.
    holds: Holds,
    asks: Asks,
    /// The last word was "how".
    after_how: bool,
    has_how: bool,
    persons: Persons,
    /// It begins with "is" or "was", or holds a word such as "who" or "why".
    has_asked: bool,
    is_past: bool,
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

/// Puts tokens together into phrases, and phrases into sentences.
struct Writer<'a> {
    text: Text<'a>,
    place: u64,
    reading: &'a mut Reading,
    mood: Mood,
    progress: Progress,
    phrase: &'a mut Phrase,
    /// The phrases of the sentence, each with the sum of its words.
    phrases: Vec<(u64, u64)>,
    /// The words that have opened phrases of the sentence.
    labels: Vec<u64>,
    order: u64,
    order_at_start: u64,
    words_at_start: usize,
    stated: u64,
    stated_at_start: u64,
    /// Whether what is read stands in quotes: it is spoken of, and counts word by word.
    is_quoted: bool,
    capitals: u64,
}

impl Writer<'_> {
    fn token(&mut self, token: &Token, at: usize) {
        let after_how = std::mem::take(&mut self.progress.after_how);
        match token {
            Token::Pause
                if self.text.is_exact(at.checked_sub(1)) && self.text.is_exact(Some(at + 1)) =>
            {
                self.add(u64::from(b','), DetailKind::Word, false);
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
                // "In the long run, does ...": the sentence begins behind it.
                let is_prefix = self.phrase.label.is_some() && self.phrases.is_empty();
                self.flush();
                self.forget_frame();
                self.progress.is_begun &= !is_prefix;
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
                self.add(*value, DetailKind::Exact, false);
            }
            Token::Word(word) => self.word(word, at, after_how),
        }
    }

    fn word(&mut self, word: &Word, at: usize, after_how: bool) {
        let begins = !std::mem::replace(&mut self.progress.is_begun, true);
        let role = self.text.language.role(word.roles);
        let role = role
            .filter(|role| !matches!(role, Role::Auxiliary | Role::Did) || !self.text.ends(at + 1));
        let is_exact = word.mentioned || role.is_some() && self.text.beside_sign(at);
        if role != Some(Role::Please) {
            self.state(if is_exact { word.exact } else { word.small });
        }
        if is_exact {
            self.progress.holds = Holds::Content;
            return self.add(word.exact, DetailKind::Exact, false);
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
            let label = self.phrase.label.map_or(0, |label| label.word);
            let place = mix(label, self.phrase.words.len() as u64);
            self.capitals = self.capitals.wrapping_add(mix(place, word.exact));
        }
        // "US" is no "us".
        let role = role.filter(|_| !is_symbol);
        match role {
            Some(Role::Drop | Role::Please) => self.progress.is_begun = !begins,
            Some(person @ (Role::Person | Role::You | Role::Your)) => self.person(person, word),
            Some(auxiliary @ (Role::Auxiliary | Role::Did | Role::Passive | Role::Was)) => {
                self.auxiliary(auxiliary, begins);
            }
            Some(Role::Lead) if self.is_unasked() => self.asked(),
            Some(Role::Open | Role::Ask | Role::How) => {
                self.flush();
                if self.is_unasked() {
                    self.asked();
                }
                if role != Some(Role::Open) {
                    self.lone(word.small);
                }
                self.progress.asks = Asks::Something;
                self.progress.after_how = role == Some(Role::How);
                self.progress.has_how |= role == Some(Role::How);
                self.progress.has_asked |= role == Some(Role::Ask);
            }
            // "How to" and "how can I" are "how do I".
            Some(Role::Label | Role::Link | Role::Can) if after_how => self.phrase.verb = Some(0),
            Some(Role::Label | Role::Link) => {
                // "What is in the box" is not "what is the box".
                let is_told = self.phrase.form == Form::Be && self.phrase.words.is_empty();
                self.flush();
                let is_link = role == Some(Role::Link) && !is_told;
                if !is_link {
                    self.reading.keep(word.small, DetailKind::Word);
                }
                let earlier = self.labels.iter().filter(|label| **label == word.small);
                self.phrase.label = Some(Label {
                    word: word.small,
                    is_link,
                    is_carried: false,
                    earlier: earlier.count() as u64,
                });
                self.labels.push(word.small);
            }
            // The order of numbers and of what is quoted counts: "between 3.8 and 3.9".
            Some(Role::And) if self.text.ends_exact(at) => {}
            Some(Role::And) => self.join(None),
            Some(Role::Or) => self.join(Some(word.small)),
            Some(Role::Frame) if self.progress.holds != Holds::Content => {
                self.progress.holds = Holds::Frame;
                self.add(word.small, DetailKind::Word, false);
            }
            Some(modal @ (Role::Modal | Role::Can)) => {
                if begins {
                    self.asks_yes_or_no();
                }
                // "Would you translate" is "translate": nothing is asked before that.
                let value = if modal == Role::Can { CAN } else { word.small };
                self.add(value, DetailKind::Word, false);
                if !begins {
                    self.progress.holds = Holds::Content;
                }
                self.phrase.verb = Some(self.phrase.words.len());
            }
            Some(Role::Imperative) => {
                // "Can you list" is "list".
                if self.is_unasked() && !self.progress.is_past {
                    self.asked();
                }
                self.progress.asks = Asks::Something;
                self.content(word, DetailKind::Word, is_name);
            }
            Some(Role::Not) => self.content(word, DetailKind::Negation, is_name),
            Some(Role::Lead | Role::Frame) | None => {
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

    fn auxiliary(&mut self, role: Role, begins: bool) {
        if begins {
            self.asks_yes_or_no();
            self.progress.has_asked |= matches!(role, Role::Passive | Role::Was);
        }
        let is_past = matches!(role, Role::Did | Role::Was);
        if is_past && !std::mem::replace(&mut self.progress.is_past, true) {
            self.lone(PAST);
        }
        if matches!(role, Role::Passive | Role::Was) && self.phrase.form == Form::Active {
            self.phrase.form = Form::Be;
        }
        self.phrase.verb.get_or_insert(self.phrase.words.len());
    }

    /// Takes note of a word for the one who asks or is asked.
    fn person(&mut self, role: Role, word: &Word) {
        let is_yours = role == Role::Your && !self.progress.has_how && !self.progress.persons.you;
        if is_yours || self.is_about_person() {
            return self.content(word, DetailKind::Word, false);
        }
        self.phrase.has_person = true;
        let persons = &mut self.progress.persons;
        if role != Role::Person {
            persons.you = true;
        } else if !std::mem::replace(&mut persons.i, true) && persons.you {
            // "Can I call you" is not "can you call me".
            self.lone(YOU_FIRST);
        }
    }

    /// Ends a phrase at an "and" or an "or"; what follows stands where it stood.
    fn join(&mut self, or: Option<u64>) {
        let carried = self.phrase.label.map(|label| Label {
            is_carried: true,
            ..label
        });
        self.flush();
        if let Some(or) = or {
            self.lone(or);
        }
        self.phrase.label = carried;
    }

    /// Adds a word that carries meaning.
    fn content(&mut self, word: &Word, kind: DetailKind, is_name: bool) {
        self.progress.holds = Holds::Content;
        // A word alone is a term, which inflection makes another one, and so is a name.
        let has_stem = self.text.language.is_english() && self.text.content > 1 && !is_name;
        let value = if has_stem { word.stem } else { word.small };
        self.add(value, kind, word.is_participle);
    }

    fn add(&mut self, value: u64, kind: DetailKind, is_participle: bool) {
        self.phrase.add(value, is_participle);
        self.reading.keep(value, kind);
    }

    /// Adds what is a phrase of its own.
    fn lone(&mut self, value: u64) {
        let value = mix(self.place, value);
        self.phrases.push((value, value));
        self.reading.keep(value, DetailKind::Word);
    }

    fn state(&mut self, value: u64) {
        if self.mood == Mood::States || self.is_quoted {
            let at = self.phrase.words.len() as u64;
            self.stated = self.stated.wrapping_add(mix(mix(self.place, at), value));
        }
    }

    fn asks_yes_or_no(&mut self) {
        if self.mood != Mood::Asks {
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

    /// Forgets that somebody asks: "can you tell me", "I was wondering".
    fn asked(&mut self) {
        if self.progress.holds == Holds::Frame || self.progress.asks == Asks::YesOrNo {
            self.forget();
        }
        self.progress.holds = Holds::Nothing;
        self.progress.asks = Asks::Something;
        self.progress.persons = Persons::default();
    }

    /// Forgets a sentence that holds nothing but courtesy.
    fn forget_frame(&mut self) {
        if self.progress.holds == Holds::Frame {
            self.stated = self.stated_at_start;
            self.forget();
            self.progress = Progress::default();
        }
    }

    fn forget(&mut self) {
        self.phrase.clear();
        self.phrases.clear();
        self.labels.clear();
        self.order = self.order_at_start;
        if let Some(words) = &mut self.reading.words {
            words.truncate(self.words_at_start);
        }
    }

    fn flush(&mut self) {
        let phrase = self.phrase.close(self.place, &mut self.order);
        self.phrases.extend(phrase);
    }

    /// Ends a sentence; the next one begins at a token.
    fn end(&mut self, next: usize) {
        self.flush();
        if self.mood == Mood::Frames {
            self.forget();
        }
        self.forget_frame();
        if !self.phrases.is_empty() {
            let (phrases, words) = self.phrases.drain(..).fold((0_u64, 0_u64), |sum, phrase| {
                (sum.0.wrapping_add(phrase.0), sum.1.wrapping_add(phrase.1))
            });
            // What stands in another sentence, or in another language, says something else.
            let language = self.text.language.number();
            let phrases = mix(self.place, phrases).wrapping_add(language);
            let words = words.wrapping_add(language);
            self.reading.sentences.push(Sentence { phrases, words });
        }
        self.labels.clear();
        self.stated_at_start = self.stated;
        self.order_at_start = self.order;
        self.words_at_start = self.reading.words.as_ref().map_or(0, Vec::len);
        self.progress = Progress::default();
        self.mood = self.text.mood(next);
    }

    fn finish(self) {
        let reading = self.reading;
        reading.stated = reading.stated.wrapping_add(self.stated);
        if self.text.is_cased {
            // Never 0, which stands for a text without capitals.
            let capitals = mix(self.place, self.capitals | 1);
            reading.capitals = reading.capitals.wrapping_add(capitals);
        }
        reading.order = reading.order.wrapping_add(mix(self.place, self.order));
    }
}
