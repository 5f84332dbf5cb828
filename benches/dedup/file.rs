//! Labelled sets of anybody's: a line of JSON a question, `{"text": …, "cluster": 1, "kind": "synonyms", "part": "open"}`.
//! Questions of one cluster say the same.

use std::fs::read_to_string;

use serde_json::Value;

use super::generate::{Kind, Labelled};

/// Reads a set; what is wrong with it ends the bench.
pub fn read(path: &str) -> Vec<Labelled> {
    let text = read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let labelled = |(number, line): (usize, &str)| {
        let row: Value = serde_json::from_str(line)
            .unwrap_or_else(|error| panic!("{path}, line {number}: {error}"));
        let part = row["part"].as_str().unwrap_or("all").to_owned();
        let cluster = row["cluster"].as_u64().and_then(|at| at.try_into().ok());
        let read = || {
            Some(Labelled {
                text: row["text"].as_str()?.to_owned(),
                cluster: cluster?,
                kind: kind(row["kind"].as_str()?)?,
                part: part.leak(),
            })
        };
        read().unwrap_or_else(|| panic!("{path}, line {number}: text, cluster or kind is missing"))
    };
    (1..).zip(text.lines()).map(labelled).collect()
}

/// Returns the kind of this name.
pub fn kind(name: &str) -> Option<Kind> {
    Some(match name {
        "base" => Kind::Base,
        "exact" => Kind::Exact,
        "case_space" => Kind::CaseAndSpace,
        "unicode" => Kind::UnicodeForm,
        "markup" => Kind::Markup,
        "word_order" => Kind::WordOrder,
        "inflection" => Kind::Inflection,
        "synonyms" => Kind::Synonyms,
        "clause" => Kind::ClauseAdded,
        "boilerplate" => Kind::Boilerplate,
        "paraphrase" => Kind::Paraphrase,
        "number" => Kind::OtherNumber,
        "unit" => Kind::OtherUnit,
        "operator" => Kind::OtherOperator,
        "entity" => Kind::OtherEntity,
        "antonym" => Kind::Opposite,
        "negation" => Kind::Negation,
        "direction" => Kind::Direction,
        "aspect" => Kind::Aspect,
        _ => return None,
    })
}
