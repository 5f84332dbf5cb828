//! The names of what was repaired, and how often each was.

use crate::counts::{Counts, counted};

counted! {
    /// One kind of thing that was put right, or set aside, to get at what a model meant.
    ///
    /// An answer that is valid JSON and nothing else has none of these.
    pub enum Repair {
        /// Words before, between or after the JSON were set aside.
        Prose => "prose",
        /// The JSON stood in a code fence, closed or not.
        CodeFence => "code_fence",
        /// A thinking section was set aside.
        Thinking => "thinking",
        /// A record was set aside, since another takes its place: a draft before the final version, an example before the
        /// answer, what is said again.
        Superseded => "superseded",
        /// Several JSON values followed one another: JSON Lines, or objects without an array around them.
        ValueSequence => "value_sequence",
        /// Records stood in a table, under labels or in YAML instead of JSON.
        PlainForm => "plain_form",
        /// The whole answer was escaped for HTML.
        HtmlEntities => "html_entities",
        /// Every line of the answer was marked as a quotation.
        Quotation => "quotation",
        /// The whole answer was a JSON text inside a JSON string.
        DoubleEncoded => "double_encoded",
        /// A record stood under the `properties` of its repeated schema.
        SchemaEcho => "schema_echo",
        /// A byte order mark or another invisible character stood between tokens.
        InvisibleCharacter => "invisible_character",
        /// Full-width punctuation stood where JSON wants the plain one.
        FullWidthPunctuation => "full_width_punctuation",
        /// A comment was left out.
        Comment => "comment",
        /// An ellipsis between elements was left out.
        Ellipsis => "ellipsis",
        /// A word or a mark between members was left out.
        StrayText => "stray_text",
        /// A comma too many was left out.
        ExtraComma => "extra_comma",
        /// A comma was missing.
        MissingComma => "missing_comma",
        /// A colon was missing, or written in another language's way.
        MissingColon => "missing_colon",
        /// An opening brace was missing.
        MissingOpen => "missing_open",
        /// A closing bracket was missing although the answer goes on or is complete.
        MissingClose => "missing_close",
        /// A closing bracket too many was left out.
        ExtraClose => "extra_close",
        /// A key was written in another way than the one property it can mean: `First Name` for `first_name`.
        RenamedKey => "renamed_key",
        /// A key had no quotes.
        UnquotedKey => "unquoted_key",
        /// A value had no quotes, or no opening one.
        UnquotedValue => "unquoted_value",
        /// A string stood in single quotes.
        SingleQuotes => "single_quotes",
        /// A string stood in typographic quotes.
        TypographicQuotes => "typographic_quotes",
        /// A string stood in backticks or triple quotes.
        OtherQuotes => "other_quotes",
        /// The closing quote of a string was missing.
        MissingQuote => "missing_quote",
        /// A quote inside a string was not escaped.
        InnerQuote => "inner_quote",
        /// Quotes were doubled instead of escaped.
        DoubledQuote => "doubled_quote",
        /// A newline, tab or other control character stood in a string as it is.
        RawControl => "raw_control",
        /// A backslash was followed by what JSON does not know; it was kept as written.
        InvalidEscape => "invalid_escape",
        /// A valid JSON escape was a backslash of the author's own: of a LaTeX command, a path or a pattern.
        LatexEscape => "latex_escape",
        /// Half a surrogate pair became U+FFFD.
        LoneSurrogate => "lone_surrogate",
        /// Neighbouring strings were joined to one.
        JoinedStrings => "joined_strings",
        /// A literal of another language (`True`, `None`, `undefined`) became JSON's.
        ForeignLiteral => "foreign_literal",
        /// `NaN` or an infinity became null.
        NonFinite => "non_finite",
        /// A number was written in a form that JSON does not know.
        NumberForm => "number_form",
        /// A key appeared twice in one object; the later value stands.
        DuplicateKey => "duplicate_key",
        /// An object whose keys start over was split into two.
        SplitObject => "split_object",
    }
}

/// How often each [`Repair`] was needed.
pub type Repairs = Counts<Repair>;
