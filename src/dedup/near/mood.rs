//! What a text is as a whole, and what each of its sentences does: ask, state or only greet.

use super::function_words::{Language, Role};
use super::hashed::hash;
use super::tokens::{Capitals, Exact, Token, Word};

/// Tokens that are looked ahead, at most, so that no text costs more than its length.
const FAR: usize = 40;

/// What a sentence does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mood {
    /// Its words of grammar and the order of its phrases carry nothing.
    Asks,
    /// Each word counts.
    States,
    /// It greets, thanks or says that something is asked, and counts for nothing.
    Frames,
}

/// A text, and what is known of it as a whole.
pub(super) struct Text<'a> {
    tokens: &'a [Token],
    pub(super) language: Language,
    /// Words without a role in the language, or with one that carries meaning; counted up to three.
    pub(super) content: usize,
    /// Whether its capitals tell anything: it has some, and is neither a title nor shouted.
    pub(super) is_cased: bool,
}

impl<'a> Text<'a> {
    pub(super) fn new(tokens: &'a [Token]) -> Self {
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
                None | Some(Role::Not | Role::Without | Role::Imperative)
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
    pub(super) fn mood(&self, from: usize) -> Mood {
        let asks = |from: usize| self.own_mood(from).0 == Mood::Asks;
        match self.own_mood(from) {
            // "Question 4: what is ..." has a number in front, and "Exercise 4: run" is another than "Exercise 5: run".
            (Mood::Frames, Some(next))
                if !asks(next) && !self.last_sentence().is_some_and(asks) =>
            {
                Mood::States
            }
            (mood, _) => mood,
        }
    }

    /// Returns whether the last sentence says something, rather than to announce what follows: "could you please tell me:".
    pub(super) fn ends_with_content(&self) -> bool {
        let start = self.last_sentence().unwrap_or(0);
        let mut is_framed = false;
        let mut sentence = self.tokens.iter().enumerate().skip(start);
        sentence.any(|(at, token)| match token {
            Token::Word(word) => {
                let role = self.role(word, at, is_framed);
                is_framed |= role == Some(Role::Frame);
                match role {
                    None | Some(Role::Imperative | Role::Name | Role::Wrapper | Role::Not) => true,
                    // "Is this a question:".
                    Some(Role::Be | Role::Was) => at == start,
                    _ => false,
                }
            }
            Token::Exact(_, kind) => *kind != Exact::Number,
            _ => false,
        })
    }

    /// Returns where the last sentence begins, unless it is the first one or begins far from its end.
    fn last_sentence(&self) -> Option<usize> {
        let mut tokens = self.tokens.iter().enumerate().rev().skip(1).take(FAR);
        let end = tokens.find(|(_, token)| matches!(token, Token::End { .. }));
        end.map(|(at, _)| at + 1)
    }

    /// Returns what the sentence from a token on does by itself, and where the next one begins if this one has a number.
    fn own_mood(&self, from: usize) -> (Mood, Option<usize>) {
        let (mut frame, mut states, mut begins, mut labelled) = (false, false, true, false);
        // An auxiliary asks where it is the very first word: "was it late", not "it was late".
        let mut first = true;
        let mut of_person = false;
        let (mut asked, mut is_numbered, mut next) = (false, false, None);
        for (at, token) in self.tokens.iter().enumerate().skip(from) {
            let role = match token {
                Token::End { asks } => {
                    asked = *asks;
                    next = is_numbered.then_some(at + 1);
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
                    is_numbered |= *kind == Exact::Number;
                    continue;
                }
                Token::Word(word) => self.role(word, at, frame),
            };
            let was_first = std::mem::take(&mut first);
            match role {
                Some(Role::Open | Role::Ask | Role::How) if begins || frame && !states => {
                    return (Mood::Asks, None);
                }
                Some(Role::Whether) if frame && !states => return (Mood::Asks, None),
                // "I work" is no order to work.
                Some(Role::Lead | Role::Tell | Role::Name | Role::Imperative)
                    if begins && !of_person =>
                {
                    return (Mood::Asks, None);
                }
                Some(
                    Role::Be | Role::Was | Role::Auxiliary | Role::Did | Role::Modal | Role::Can,
                ) if was_first && self.language.is_english() => {
                    return (Mood::Asks, None);
                }
                Some(Role::Frame) => frame = true,
                Some(Role::Person | Role::You) => of_person |= was_first,
                Some(Role::Please) => first = was_first,
                Some(Role::Drop | Role::Be | Role::Was | Role::Auxiliary | Role::Did) => {}
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
        let mood = if frame && !states {
            Mood::Frames
        } else if asked {
            Mood::Asks
        } else {
            Mood::States
        };
        (mood, next)
    }

    /// Returns whether the sentence holds nothing but talk from a token on.
    pub(super) fn is_talk(&self, from: usize) -> bool {
        let end = |at: &usize| matches!(self.tokens.get(*at), None | Some(Token::End { .. }));
        (from..from + FAR).any(|at| end(&at)) && self.mood(from) == Mood::Frames
    }

    /// Returns the role of the word at a token. One that only fills a frame has none outside of one.
    pub(super) fn role(&self, word: &Word, at: usize, is_framed: bool) -> Option<Role> {
        match self.language.role(word.roles) {
            Some(Role::Filler) if is_framed || self.listed(at + 1) == Some(Role::Frame) => {
                Some(Role::Frame)
            }
            Some(Role::Filler) if self.is(at, b"good") && self.is_time_of_day(at + 1) => {
                Some(Role::Frame)
            }
            Some(Role::Filler) => None,
            // "When the bell rings, ...", but not "when did".
            Some(Role::Ask)
                if !is_framed
                    && (self.is(at, b"when") || self.is(at, b"where"))
                    && !self.is_auxiliary(at + 1) =>
            {
                Some(Role::Label)
            }
            // "I would like to know".
            Some(Role::Modal) if self.is(at + 1, b"like") => Some(Role::Frame),
            Some(Role::Label) if is_framed && self.is(at, b"like") => Some(Role::Frame),
            role => role,
        }
    }

    fn is_time_of_day(&self, at: usize) -> bool {
        ["morning", "afternoon", "evening"]
            .iter()
            .any(|time| self.is(at, time.as_bytes()))
    }

    fn is_auxiliary(&self, at: usize) -> bool {
        matches!(
            self.listed(at),
            Some(Role::Be | Role::Was | Role::Auxiliary | Role::Did | Role::Modal | Role::Can)
        )
    }

    /// Returns whether what follows "how" asks for a way to do something.
    pub(super) fn is_way(&self, at: usize) -> bool {
        !matches!(self.listed(at), None | Some(Role::Be | Role::Was))
    }

    /// Returns whether a question begins at a token.
    pub(super) fn begins_question(&self, at: usize) -> bool {
        self.is_auxiliary(at) || matches!(self.listed(at), Some(Role::Open | Role::Ask | Role::How))
    }

    /// Returns whether "of" or "by", or something in quotes, stands at a token. "The notion of the author" is the author's.
    pub(super) fn wraps(&self, at: usize) -> bool {
        match self.tokens.get(at) {
            Some(Token::Word(word)) if word.mentioned => true,
            Some(Token::Quote) => true,
            _ => (self.is(at, b"of") || self.is(at, b"by")) && !self.is(at + 1, b"the"),
        }
    }

    pub(super) fn is(&self, at: usize, small: &[u8]) -> bool {
        matches!(self.tokens.get(at), Some(Token::Word(word)) if word.small == hash(small))
    }

    /// Returns whether a certain thing, which is told by what it is of, or a number of things is named from a token on: "the area
    /// of", but not "the dog a bone".
    pub(super) fn is_definite(&self, at: usize) -> bool {
        // "Give me the rules of".
        let at = at + usize::from(self.listed(at) == Some(Role::Person));
        if self.is(at, b"the") {
            return (at + 1..at + FAR)
                .take_while(|at| !self.ends(*at))
                .any(|at| self.is(at, b"of"));
        }
        // "Give a definition of".
        matches!(self.tokens.get(at), Some(Token::Exact(..)))
            || self.listed(at) == Some(Role::Drop) && self.listed(at + 1) == Some(Role::Wrapper)
    }

    /// Returns the role that a token has in a list of words.
    pub(super) fn listed(&self, at: usize) -> Option<Role> {
        match self.tokens.get(at) {
            Some(Token::Word(word)) => self.language.role(word.roles),
            _ => None,
        }
    }

    /// Returns whether an "and" or an "or" stands at a token.
    pub(super) fn joins(&self, at: usize) -> bool {
        matches!(self.listed(at), Some(Role::And | Role::Or))
    }

    /// Returns whether a word such as a preposition stands at a token.
    pub(super) fn opens(&self, at: usize) -> bool {
        matches!(
            self.listed(at),
            Some(Role::Label | Role::Link | Role::Whether | Role::Without | Role::Ask)
        )
    }

    /// Returns whether a sentence or a part of it ends at a token: "what does a lawyer do".
    pub(super) fn ends(&self, at: usize) -> bool {
        matches!(
            self.tokens.get(at),
            None | Some(Token::Pause | Token::End { .. } | Token::Quote)
        )
    }

    pub(super) fn beside_sign(&self, at: usize) -> bool {
        let is_sign = |at: usize| matches!(self.tokens.get(at), Some(Token::Exact(_, Exact::Sign)));
        at.checked_sub(1).is_some_and(is_sign) || is_sign(at + 1)
    }

    pub(super) fn behind_number(&self, at: usize) -> bool {
        let before = at.checked_sub(1).map(|at| self.tokens[at]);
        matches!(before, Some(Token::Exact(_, Exact::Number)))
    }
}
