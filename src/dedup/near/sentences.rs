//! From the tokens of a text to what its sentences say.

use super::detail::DetailKind;
use super::function_words::{Language, Role};
use super::hashed::{hash, mix};
use super::phrase::{Closed, Form, Label, Phrase};
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

/// Words of a thing in a list, at most.
const MOST_OF_ITEM: usize = 4;

/// Tokens that are looked ahead, at most, so that no text costs more than its length.
const FAR: usize = 40;

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
        let carries_meaning = |word: &&Word| {
            matches!(
                language.role(word.roles),
                None | Some(Role::Not | Role::Without)
            )
        };
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
        let mut asked = false;
        for (at, token) in self.tokens.iter().enumerate().skip(from) {
            let role = match token {
                Token::End { asks } => {
                    asked = *asks;
                    break;
                }
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
                Token::Word(word) => self.role(word, at, frame),
            };
            let was_first = std::mem::take(&mut first);
            match role {
                Some(Role::Open | Role::Ask | Role::How) if begins || frame && !states => {
                    return Mood::Asks;
                }
                Some(Role::Whether) if frame && !states => return Mood::Asks,
                // "I work" is no order to work.
                Some(Role::Lead | Role::Tell | Role::Name | Role::Imperative)
                    if begins && !of_person =>
                {
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
                    labelled |= begins
                        && matches!(
                            role,
                            Some(Role::Label | Role::Link | Role::Whether | Role::Without)
                        );
                    begins = false;
                    let negates =
                        role == Some(Role::Not) && self.listed(at + 1) != Some(Role::Frame);
                    states |= negates || matches!(role, None | Some(Role::Wrapper | Role::Without));
                }
            }
        }
        if frame && !states {
            Mood::Frames
        } else if asked {
            Mood::Asks
        } else {
            Mood::States
        }
    }

    /// Returns whether the sentence holds nothing but talk from a token on.
    fn is_talk(&self, from: usize) -> bool {
        let end = |at: &usize| matches!(self.tokens.get(*at), None | Some(Token::End { .. }));
        (from..from + FAR).any(|at| end(&at)) && self.mood(from) == Mood::Frames
    }

    /// Returns the role of the word at a token. One that only fills a frame has none outside of one.
    fn role(&self, word: &Word, at: usize, is_framed: bool) -> Option<Role> {
        match self.language.role(word.roles) {
            Some(Role::Filler) if is_framed || self.listed(at + 1) == Some(Role::Frame) => {
                Some(Role::Frame)
            }
            Some(Role::Filler) => None,
            // "I would like to know".
            Some(Role::Modal) if self.is(at + 1, b"like") => Some(Role::Frame),
            Some(Role::Label) if is_framed && self.is(at, b"like") => Some(Role::Frame),
            role => role,
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

    /// Returns whether "of" or "by", or something in quotes, stands at a token. "The notion of the author" is the author's.
    fn wraps(&self, at: usize) -> bool {
        match self.tokens.get(at) {
            Some(Token::Word(word)) if word.mentioned => true,
            Some(Token::Quote) => true,
            _ => (self.is(at, b"of") || self.is(at, b"by")) && !self.is(at + 1, b"the"),
        }
    }

    fn is(&self, at: usize, small: &[u8]) -> bool {
        matches!(self.tokens.get(at), Some(Token::Word(word)) if word.small == hash(small))
    }

    /// Returns whether a certain thing, which is told by what it is of, or a number of things is named from a token on: "the area
    /// of", but not "the dog a bone".
    fn is_definite(&self, at: usize) -> bool {
        // "Give me the rules of".
        let at = at + usize::from(self.listed(at) == Some(Role::Person));
        if self.is(at, b"the") {
            return (at + 1..at + FAR)
                .take_while(|at| !self.ends(*at))
                .any(|at| self.is(at, b"of"));
        }
        // "Give a definition of".
        self.is_exact(Some(at))
            || self.listed(at) == Some(Role::Drop) && self.listed(at + 1) == Some(Role::Wrapper)
    }

    /// Returns the role that a token has in a list of words.
    fn listed(&self, at: usize) -> Option<Role> {
        match self.tokens.get(at) {
            Some(Token::Word(word)) => self.language.role(word.roles),
            _ => None,
        }
    }

    /// Returns whether an "and" or an "or" stands at a token.
    fn joins(&self, at: usize) -> bool {
        matches!(self.listed(at), Some(Role::And | Role::Or))
    }

    /// Returns whether a word that carries meaning stands at a token.
    fn is_content(&self, at: usize) -> bool {
        matches!(self.tokens.get(at), Some(Token::Word(_))) && self.listed(at).is_none()
    }

    /// Returns whether a comma stands between things of which an "and" or an "or" joins the last: each has few words.
    fn is_in_list(&self, comma: usize) -> bool {
        let mut words = 0;
        for at in (comma + 1..self.tokens.len()).take(FAR) {
            match self.tokens[at] {
                Token::Pause => words = 0,
                Token::Word(_) if self.joins(at) => return words > 0,
                // "In summer, is golf or tennis ...".
                Token::Word(_)
                    if words < MOST_OF_ITEM
                        && matches!(self.listed(at), None | Some(Role::Drop | Role::Filler)) =>
                {
                    words += 1;
                }
                _ => return false,
            }
        }
        false
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

/// Sums up phrases, whatever their order, and their words.
///
/// Those that one word opens keep their order, what stands in front as if it stood behind: "noon in Rome, in Lima" is not "noon in
/// Lima, in Rome".
fn sums(phrases: &[Closed]) -> (u64, u64) {
    let mut opened: Vec<(u64, u64)> = Vec::new();
    let mut sums = (0_u64, 0_u64);
    let (front, behind): (Vec<&Closed>, Vec<&Closed>) =
        phrases.iter().partition(|phrase| phrase.is_front);
    for phrase in behind.into_iter().chain(front) {
        let mut hash = phrase.hash;
        if let Some(label) = phrase.label {
            let known = opened.iter().position(|(word, _)| *word == label.word);
            let place = known.unwrap_or_else(|| {
                opened.push((label.word, 0));
                opened.len() - 1
            });
            let phrases = &mut opened[place].1;
            *phrases += u64::from(!label.is_carried);
            hash = mix(hash, *phrases);
        }
        sums.0 = sums.0.wrapping_add(hash);
        sums.1 = sums.1.wrapping_add(phrase.sum);
    }
    sums
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
    has_auxiliary: bool,
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
            Token::Pause if self.progress.holds == Holds::Content && self.text.is_talk(at + 1) => {
                self.progress.is_over = true;
            }
            Token::Pause
                if self.text.is_exact(at.checked_sub(1)) && self.text.is_exact(Some(at + 1)) =>
            {
                self.add(u64::from(b','), DetailKind::Word, false);
            }
            // "Bolts, washers, and nuts" is "bolts, washers and nuts".
            Token::Pause if self.text.joins(at + 1) => {}
            // Who stands where in a row may be what is stated.
            Token::Pause
                if self.mood == Mood::Asks
                    && self.phrase.label.is_some()
                    && self.text.is_in_list(at) =>
            {
                self.join(None);
            }
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
                if self.phrases.iter().all(|phrase| phrase.label.is_some()) {
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
                self.add(*value, DetailKind::Exact, false);
            }
            Token::Word(word) => self.word(word, at, after),
        }
    }

    fn word(&mut self, word: &Word, at: usize, after: After) {
        let begins = !std::mem::replace(&mut self.progress.is_begun, true);
        let is_framed = self.progress.holds == Holds::Frame;
        let role = self.text.role(word, at, is_framed);
        // "What does a lawyer do", "do in court": the second one is no auxiliary.
        let is_main = self.text.ends(at + 1)
            || self.progress.has_auxiliary && self.text.listed(at + 1).is_some();
        let role = role.filter(|role| !matches!(role, Role::Auxiliary | Role::Did) || !is_main);
        let is_exact = word.mentioned || role.is_some() && self.text.beside_sign(at);
        if role != Some(Role::Please) {
            let opens = !is_exact
                && matches!(
                    role,
                    Some(Role::Label | Role::Link | Role::Whether | Role::Without)
                );
            let at = if opens { 0 } else { self.phrase.words.len() };
            self.state_at(at, if is_exact { word.exact } else { word.small });
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
            Some(person @ (Role::Person | Role::You | Role::Your)) => self.person(person, word),
            Some(auxiliary @ (Role::Auxiliary | Role::Did | Role::Passive | Role::Was)) => {
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
            Some(asks @ (Role::Open | Role::Ask | Role::How)) => self.asks(asks, word),
            // "How to" and "how can I" are "how do I".
            Some(Role::Label | Role::Link | Role::Can) if after == After::How => {
                self.phrase.verb = Some(0);
            }
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
            // The order of numbers and of what is quoted counts: "between 3.8 and 3.9".
            Some(Role::And) if self.text.ends_exact(at) => {}
            Some(Role::And | Role::Or) if self.joins_words(at) => {
                self.phrase.joined = Some(self.phrase.words.len() - 1);
                if role == Some(Role::Or) {
                    self.lone(word.small);
                }
            }
            Some(Role::And) => self.join(None),
            Some(Role::Or) => self.join(Some(word.small)),
            Some(Role::Frame) if self.progress.holds != Holds::Content => {
                self.progress.holds = Holds::Frame;
                self.add(word.small, DetailKind::Word, false);
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
            Some(Role::Wrapper | Role::Lead | Role::Tell | Role::Frame | Role::Filler) | None => {
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
            is_carried: false,
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
    fn asks(&mut self, role: Role, word: &Word) {
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
            self.progress.has_how = true;
        }
        self.progress.has_asked |= role == Role::Ask;
    }

    /// Opens a phrase with a word such as a preposition.
    fn open(&mut self, role: Role, word: &Word) {
        // "What is in the box" is not "what is the box".
        let is_told = self.phrase.form == Form::Be && self.phrase.words.is_empty();
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
            is_carried: false,
        });
    }

    fn modal(&mut self, role: Role, word: &Word, begins: bool) {
        if begins {
            self.asks_yes_or_no();
        }
        self.progress.has_auxiliary = true;
        let value = if role == Role::Can { CAN } else { word.small };
        let verb = self.phrase.words.len();
        if self.mood == Mood::Asks && self.phrase.label.is_none() {
            // "Whether cats can eat" is "can cats eat".
            self.lone(value);
        } else {
            self.add(value, DetailKind::Word, false);
        }
        let is_yes_or_no = self.progress.asks == Asks::YesOrNo;
        // "Would you translate" is "translate": nothing is asked before that.
        if !begins && !is_yes_or_no {
            self.progress.holds = Holds::Content;
        }
        self.phrase.verb = Some(if is_yes_or_no { 0 } else { verb });
    }

    fn auxiliary(&mut self, role: Role, begins: bool) {
        if begins {
            self.asks_yes_or_no();
            self.progress.has_asked |= matches!(role, Role::Passive | Role::Was);
        }
        self.progress.has_auxiliary |= matches!(role, Role::Auxiliary | Role::Did);
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
        self.phrase.thing = self.phrase.words.len();
        let persons = &mut self.progress.persons;
        if role != Role::Person {
            persons.you = true;
        } else if !std::mem::replace(&mut persons.i, true) && persons.you {
            // "Can I call you" is not "can you call me".
            self.lone(YOU_FIRST);
        }
    }

    /// Returns whether an "and" or an "or" joins the words beside it rather than phrases: "take aspirin and zinc together", where
    /// a verb stands in front.
    fn joins_words(&self, at: usize) -> bool {
        let least = match self.phrase.label {
            None => 2,
            Some(label) if label.word == hash(b"to") && !label.is_carried => 1,
            Some(_) => return false,
        };
        // "Do cats chase mice and dogs chase cats" joins sentences.
        let behind = (at + 1..at + 4).take_while(|at| self.text.is_content(*at));
        self.phrase.words.len() >= least && (1..3).contains(&behind.count())
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
        if is_name && !std::mem::replace(&mut self.phrase.ends_with_name, is_name) {
            self.phrase.thing = self.phrase.words.len();
        }
        self.phrase.ends_with_name = is_name;
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
        self.phrases.push(Closed {
            hash: value,
            sum: value,
            label: None,
            is_front: false,
        });
        self.reading.keep(value, DetailKind::Word);
    }

    fn state(&mut self, value: u64) {
        self.state_at(self.phrase.words.len(), value);
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
            self.progress.has_auxiliary = false;
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
        self.owners.clear();
        self.phrases.clear();
        self.order = self.order_at_start;
        self.capitals = self.capitals_at_start;
        if let Some(words) = &mut self.reading.words {
            words.truncate(self.words_at_start);
        }
    }

    fn flush(&mut self) {
        self.progress.has_auxiliary = false;
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
        reading.stated = reading.stated.wrapping_add(self.stated);
        if self.text.is_cased {
            // Never 0, which stands for a text without capitals.
            let capitals = mix(self.place, self.capitals | 1);
            reading.capitals = reading.capitals.wrapping_add(capitals);
        }
        reading.order = reading.order.wrapping_add(mix(self.place, self.order));
    }
}
