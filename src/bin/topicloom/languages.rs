//! The languages of a data set, for its card.

use std::collections::BTreeMap;

use serde_json::Value;
use topicloom::JsonRecord;
use topicloom::filter::Language;

/// Texts that are looked at; it takes some 20 µs each.
const MOST: u64 = 2000;

/// The bytes of a text that is long enough to be certain of.
const SENTENCE: usize = 40;

/// Counts the languages of texts.
#[derive(Default)]
pub(crate) struct Languages {
    texts: u64,
    sure: BTreeMap<&'static str, u64>,
}

impl Languages {
    /// Looks at the texts of a record, unless enough were seen.
    pub(crate) fn see(&mut self, record: &JsonRecord) {
        record.values().for_each(|value| self.see_value(value));
    }

    fn see_value(&mut self, value: &Value) {
        match value {
            Value::String(text) if self.texts < MOST && text.len() >= SENTENCE => {
                if let Some(language) = Language::of(text) {
                    self.texts += 1;
                    *self.sure.entry(language.as_str()).or_default() += 1;
                }
            }
            Value::Array(items) => items.iter().for_each(|item| self.see_value(item)),
            Value::Object(fields) => fields.values().for_each(|field| self.see_value(field)),
            _ => {}
        }
    }

    /// Returns those that one of ten texts is in, or more, the most frequent first.
    pub(crate) fn of_the_set(&self) -> Vec<&'static str> {
        let mut frequent: Vec<_> = self
            .sure
            .iter()
            .filter(|(_, count)| **count * 10 >= self.texts)
            .collect();
        frequent.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        frequent
            .into_iter()
            .map(|(language, _)| *language)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_language_is_told_where_a_tenth_of_the_texts_is_in_it() {
        let mut languages = Languages::default();
        let english = "Twice a day the sea rises, and nobody on the shore asks why any more.";
        let german = "Zweimal am Tag steigt das Meer, und niemand, der am Ufer steht, fragt noch danach, warum das eigentlich \
                      so ist und ob es auch anders sein könnte.";
        let french =
            "Deux fois par jour la mer monte, et personne sur la plage ne demande pourquoi.";
        let see = |languages: &mut Languages, value: Value| {
            languages.see(value.as_object().expect("an object"));
        };
        see(
            &mut languages,
            json!({"a": french, "n": 3, "code": "let x = y[1]; fn f() -> u8 {}"}),
        );
        for _ in 0..10 {
            see(
                &mut languages,
                json!({"a": english, "b": [{"c": german}], "d": english, "e": "ok"}),
            );
        }
        assert_eq!(languages.of_the_set(), ["en", "de"]);
        assert!(Languages::default().of_the_set().is_empty());
    }
}
