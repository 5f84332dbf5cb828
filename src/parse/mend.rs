//! The names of what was mended, and how often each was.

use std::fmt;

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

/// One kind of thing that was put right, or set aside, to get at what a model meant.
///
/// An answer that is valid JSON and nothing else has none of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Mend {
    /// Words before, between or after the JSON were set aside.
    Prose,
    /// The JSON stood in a code fence, closed or not.
    CodeFence,
    /// A thinking section was set aside.
    Thinking,
    /// Several JSON values followed one another: JSON Lines, or objects without an array around them.
    ValueSequence,
    /// The whole answer was escaped for HTML.
    HtmlEntities,
    /// The whole answer was a JSON text inside a JSON string.
    DoubleEncoded,
    /// A byte order mark or another invisible character stood between tokens or at the rim of a key.
    InvisibleCharacter,
    /// Full-width punctuation stood where JSON wants the plain one.
    FullWidthPunctuation,
    /// A comment was left out.
    Comment,
    /// An ellipsis between elements was left out.
    Ellipsis,
    /// A comma too many was left out.
    ExtraComma,
    /// A comma was missing.
    MissingComma,
    /// A colon was missing, or written in another language's way.
    MissingColon,
    /// A closing bracket was missing although the answer goes on or is complete.
    MissingClose,
    /// A closing bracket too many was left out.
    ExtraClose,
    /// A key had no quotes.
    UnquotedKey,
    /// A one-word value had no quotes.
    UnquotedValue,
    /// A string stood in single quotes.
    SingleQuotes,
    /// A string stood in typographic quotes.
    TypographicQuotes,
    /// A string stood in backticks or triple quotes.
    OtherQuotes,
    /// The closing quote of a string was missing.
    MissingQuote,
    /// A quote inside a string was not escaped.
    InnerQuote,
    /// A newline, tab or other control character stood in a string as it is.
    RawControl,
    /// A backslash was followed by what JSON does not know; it was kept as written.
    InvalidEscape,
    /// A valid JSON escape was the start of a LaTeX command, or of something else that wants its backslash.
    LatexEscape,
    /// Half a surrogate pair became U+FFFD.
    LoneSurrogate,
    /// Neighbouring strings were joined to one.
    JoinedStrings,
    /// A literal of another language (`True`, `None`, `undefined`) became JSON's.
    ForeignLiteral,
    /// `NaN` or an infinity became null.
    NonFinite,
    /// A number was written in a form that JSON does not know.
    NumberForm,
    /// A key appeared twice in one object; the later value stands.
    DuplicateKey,
    /// An object whose keys start over was split into two.
    SplitObject,
}

impl Mend {
    /// Every mend, in the order of declaration.
    pub const ALL: [Self; 32] = [
        Self::Prose,
        Self::CodeFence,
        Self::Thinking,
        Self::ValueSequence,
        Self::HtmlEntities,
        Self::DoubleEncoded,
        Self::InvisibleCharacter,
        Self::FullWidthPunctuation,
        Self::Comment,
        Self::Ellipsis,
        Self::ExtraComma,
        Self::MissingComma,
        Self::MissingColon,
        Self::MissingClose,
        Self::ExtraClose,
        Self::UnquotedKey,
        Self::UnquotedValue,
        Self::SingleQuotes,
        Self::TypographicQuotes,
        Self::OtherQuotes,
        Self::MissingQuote,
        Self::InnerQuote,
        Self::RawControl,
        Self::InvalidEscape,
        Self::LatexEscape,
        Self::LoneSurrogate,
        Self::JoinedStrings,
        Self::ForeignLiteral,
        Self::NonFinite,
        Self::NumberForm,
        Self::DuplicateKey,
        Self::SplitObject,
    ];

    /// Returns the name used in reports and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Prose => "prose",
            Self::CodeFence => "code_fence",
            Self::Thinking => "thinking",
            Self::ValueSequence => "value_sequence",
            Self::HtmlEntities => "html_entities",
            Self::DoubleEncoded => "double_encoded",
            Self::InvisibleCharacter => "invisible_character",
            Self::FullWidthPunctuation => "full_width_punctuation",
            Self::Comment => "comment",
            Self::Ellipsis => "ellipsis",
            Self::ExtraComma => "extra_comma",
            Self::MissingComma => "missing_comma",
            Self::MissingColon => "missing_colon",
            Self::MissingClose => "missing_close",
            Self::ExtraClose => "extra_close",
            Self::UnquotedKey => "unquoted_key",
            Self::UnquotedValue => "unquoted_value",
            Self::SingleQuotes => "single_quotes",
            Self::TypographicQuotes => "typographic_quotes",
            Self::OtherQuotes => "other_quotes",
            Self::MissingQuote => "missing_quote",
            Self::InnerQuote => "inner_quote",
            Self::RawControl => "raw_control",
            Self::InvalidEscape => "invalid_escape",
            Self::LatexEscape => "latex_escape",
            Self::LoneSurrogate => "lone_surrogate",
            Self::JoinedStrings => "joined_strings",
            Self::ForeignLiteral => "foreign_literal",
            Self::NonFinite => "non_finite",
            Self::NumberForm => "number_form",
            Self::DuplicateKey => "duplicate_key",
            Self::SplitObject => "split_object",
        }
    }
}

impl fmt::Display for Mend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How often each [`Mend`] was needed.
///
/// Serialises as a map from name to count that leaves out what was not needed.
///
/// ```
/// use topicloom::parse::{Mend, Mends};
///
/// let mut mends = Mends::default();
/// mends.add(Mend::MissingComma);
/// mends.add(Mend::MissingComma);
/// assert_eq!(mends.iter().collect::<Vec<_>>(), [(Mend::MissingComma, 2)]);
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Mends([u32; Mend::ALL.len()]);

impl Mends {
    /// Counts one more of a kind.
    pub fn add(&mut self, mend: Mend) {
        let count = &mut self.0[mend as usize];
        *count = count.saturating_add(1);
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// Returns how often a kind was needed.
    #[must_use]
    pub fn count(&self, mend: Mend) -> u32 {
        self.0[mend as usize]
    }

    /// Returns whether nothing needed mending.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(|count| *count == 0)
    }

    /// Iterates over what was needed, with its count, in the order of declaration.
    pub fn iter(&self) -> impl Iterator<Item = (Mend, u32)> + '_ {
        Mend::ALL
            .into_iter()
            .zip(self.0)
            .filter(|(_, count)| *count > 0)
    }
}

impl fmt::Debug for Mends {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl Serialize for Mends {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        for (mend, count) in self.iter() {
            map.serialize_entry(mend.as_str(), &count)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_serialised_ones_and_in_order() {
        for (index, mend) in Mend::ALL.into_iter().enumerate() {
            assert_eq!(mend as usize, index);
            assert_eq!(serde_json::to_value(mend).unwrap(), mend.as_str());
        }
    }

    #[test]
    fn counts_merge_and_serialise_by_name() {
        let mut one = Mends::default();
        one.add(Mend::Prose);
        let mut two = one;
        two.add(Mend::RawControl);
        one.merge(&two);
        assert_eq!(
            serde_json::to_string(&one).unwrap(),
            r#"{"prose":2,"raw_control":1}"#
        );
        assert!(!one.is_empty());
        assert_eq!(one.count(Mend::Comment), 0);
    }
}
