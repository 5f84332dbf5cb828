//! The words of grammar of some languages, and what each does.

use std::sync::LazyLock;

use serde::Deserialize;
use serde::de::value::StrDeserializer;

use super::hashed::hash;
use crate::dedup::hashed_map::HashedMap;

/// What a word of grammar does; the data file explains each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Role {
    Drop,
    Be,
    Auxiliary,
    Was,
    Did,
    Modal,
    Can,
    Person,
    You,
    Your,
    Label,
    Link,
    Whether,
    Without,
    Open,
    Ask,
    How,
    Wrapper,
    Lead,
    Tell,
    Name,
    Please,
    Frame,
    Filler,
    Imperative,
    Not,
    And,
    Or,
}

/// Languages that have lists, at most.
const LANGUAGES: usize = 8;

/// The roles of one word.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Roles {
    by_language: [Option<Role>; LANGUAGES],
    /// The hash of the digits, where it is a number in words.
    pub(super) number: Option<u64>,
}

static WORDS: LazyLock<HashedMap<u64, Roles>> = LazyLock::new(|| {
    let mut words: HashedMap<u64, Roles> = HashedMap::default();
    let mut languages: Vec<&str> = Vec::new();
    let lines = include_str!("data/function_words.txt").lines();
    for line in lines.filter(|line| !line.starts_with('#')) {
        let mut parts = line.split(' ');
        let (Some(language), Some(name)) = (parts.next(), parts.next()) else {
            continue;
        };
        let number = languages.iter().position(|known| *known == language);
        let number = number.unwrap_or_else(|| {
            languages.push(language);
            languages.len() - 1
        });
        for (value, word) in parts.enumerate() {
            let roles = words.entry(hash(word.as_bytes())).or_default();
            if name == "number" {
                roles.number = Some(hash(value.to_string().as_bytes()));
            } else {
                roles.by_language[number] = Some(role(name));
            }
        }
    }
    words
});

fn role(name: &str) -> Role {
    Role::deserialize(StrDeserializer::<serde::de::value::Error>::new(name))
        .expect("the data file names no other role")
}

/// Returns the roles of a word by its hash in lower case.
pub(super) fn roles(word: u64) -> Option<&'static Roles> {
    WORDS.get(&word)
}

/// Which language's words of grammar a text uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Language {
    number: usize,
    /// Whether the text has any of its words of grammar.
    is_known: bool,
}

impl Language {
    /// Returns the language that most of these words are words of grammar in; English in doubt.
    pub(super) fn of(words: impl Iterator<Item = &'static Roles>) -> Self {
        let mut counts = [0_usize; LANGUAGES];
        for roles in words {
            for (count, role) in counts.iter_mut().zip(&roles.by_language) {
                *count += usize::from(role.is_some());
            }
        }
        let most = counts.into_iter().max().unwrap_or(0);
        Self {
            number: counts.iter().position(|count| *count == most).unwrap_or(0),
            is_known: most > 0,
        }
    }

    pub(super) fn role(self, roles: Option<&Roles>) -> Option<Role> {
        roles.and_then(|roles| roles.by_language[self.number])
    }

    pub(super) fn is_english(self) -> bool {
        self.number == 0
    }

    /// Tells what is said in one language from the same in another: 0 where it is English, or cannot be told.
    pub(super) fn number(self) -> u64 {
        self.number as u64
    }

    pub(super) fn is_known(self) -> bool {
        self.is_known
    }
}
