//! Why an answer gave fewer records than it seems to hold, and what to tell the model.

use crate::counts::counted;

counted! {
    /// What kept an answer, or a part of it, from becoming records. Of several, the last one here is told.
    pub enum Fault {
        /// The answer is blank.
        Blank => "blank",
        /// The answer holds no JSON, such as a refusal in prose.
        NoJson => "no_json",
        /// The answer never got past its thinking section.
        OnlyThinking => "only_thinking",
        /// Some of the JSON could not be read without guessing. What could be read is kept.
        Malformed => "malformed",
        /// The answer stops before its JSON ends. Whole records before the cut are kept.
        Truncated => "truncated",
        /// The answer is JSON, but not records of the wanted shape.
        NotRecords => "not_records",
        /// The answer has more bytes than [`Limits::max_bytes`](super::Limits::max_bytes).
        TooLong => "too_long",
        /// The JSON is nested deeper than [`Limits::max_depth`](super::Limits::max_depth).
        TooDeep => "too_deep",
        /// The JSON has more values than [`Limits::max_values`](super::Limits::max_values).
        TooMany => "too_many",
    }
}

impl Fault {
    /// Returns what to change, in words that a model can use when it is asked again.
    #[must_use]
    pub fn advice(self) -> &'static str {
        match self {
            Self::Blank => "The answer was empty. Answer with the JSON and nothing else.",
            Self::NoJson => {
                "The answer contained no JSON. Answer with the JSON and nothing else, without any explanation."
            }
            Self::OnlyThinking => {
                "The answer ended before the reasoning was finished. Keep the reasoning short and give the JSON after it."
            }
            Self::Truncated => {
                "The answer was cut off before the JSON was complete. Write shorter texts or fewer records, and close every bracket."
            }
            Self::Malformed => {
                "The JSON was not valid. Inside strings, write every double quote as \\\", every backslash as \\\\ and every line break as \\n; put commas between members and close every bracket."
            }
            Self::NotRecords => {
                "The answer was JSON, but not in the asked-for shape. Give a list of records with exactly the keys that were asked for, not a schema and not an explanation."
            }
            Self::TooLong => "The answer was far too long. Give only what was asked for.",
            Self::TooDeep => {
                "The JSON was nested too deeply. Use only the structure that was asked for."
            }
            Self::TooMany => "The JSON had far too many values. Give only what was asked for.",
        }
    }
}
