//! What a field must be like, as a file can say it.

use std::borrow::Cow;
use std::fmt;

use async_trait::async_trait;
use regex::Regex;
use serde_json::Value;

use super::{FilterVerdict, Language, RecordFilter, label};
use crate::candidate::{Candidate, at_path};
use crate::error::{Error, ErrorKind, Result};

/// What a field must be like; an entry of `filters` in the input. What is not set is not asked for.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct FieldRule {
    /// The fewest characters it may have.
    pub min_chars: Option<u64>,
    /// The most characters it may have.
    pub max_chars: Option<u64>,
    /// A regular expression that it has to match somewhere; `^` and `$` tie it to the ends.
    pub regex: Option<String>,
    /// The values it may have.
    pub one_of: Option<Vec<Value>>,
    /// The language it has to be in. A text that is too short to tell passes.
    pub language: Option<Language>,
}

/// Keeps records whose field is as a rule says. A record without the field passes: whether it has to be there is the schema's
/// business. What is no text is taken in its JSON form.
///
/// ```
/// use topicloom::Pipeline;
/// use topicloom::filter::{FieldFilter, FieldRule};
/// use topicloom::llm::OfflineModel;
///
/// let mut rule = FieldRule::default();
/// rule.min_chars = Some(20);
/// let pipeline = Pipeline::builder(OfflineModel::new("offline/loom"))
///     .filter(FieldFilter::new("answer", rule)?)
///     .build();
/// # drop(pipeline);
/// # Ok::<(), topicloom::Error>(())
/// ```
pub struct FieldFilter {
    path: String,
    rule: FieldRule,
    regex: Option<Regex>,
}

impl FieldRule {
    /// Returns what is asked for, as a sentence goes on that begins with a field; nothing where that is nothing.
    pub(crate) fn wanted(&self) -> String {
        let rules = [
            self.min_chars
                .map(|least| format!("has at least {least} characters")),
            self.max_chars
                .map(|most| format!("has at most {most} characters")),
            self.regex
                .as_ref()
                .map(|regex| format!("matches the regular expression {regex}")),
            self.one_of.as_ref().map(|values| {
                let values: Vec<String> = values.iter().map(Value::to_string).collect();
                format!("is one of {}", values.join(", "))
            }),
            self.language
                .map(|language| format!("is in {}", language.name())),
        ];
        rules
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(" and ")
    }
}

/// Returns the first values, as JSON.
fn listed(values: &[Value]) -> String {
    const MOST: usize = 8;
    let mut shown: Vec<String> = values
        .iter()
        .take(MOST)
        .map(|value| shortened(&value.to_string(), 40))
        .collect();
    if values.len() > MOST {
        shown.push(format!("and {} more", values.len() - MOST));
    }
    shown.join(", ")
}

/// Returns the beginning of what a caller wrote, on one line.
fn shortened(text: &str, most: usize) -> String {
    let line: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    match line.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

impl FieldFilter {
    /// Stands for the record as a whole: all its texts, one after the other.
    pub const RECORD: &'static str = "*";

    /// Creates a filter for a field, named or at a path such as `meta.source`, or for the [whole record](Self::RECORD).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::InvalidInput`] where `regex` is no regular expression.
    pub fn new(field: impl Into<String>, rule: FieldRule) -> Result<Self> {
        let regex = rule.regex.as_deref().map(Regex::new).transpose();
        let regex = regex.map_err(|error| {
            // The last line of several says what is wrong; those before show the expression.
            let said = error.to_string();
            let said = said.lines().last().unwrap_or_default();
            let said = said.trim_start_matches("error: ");
            let message = format!("is no regular expression: {said}");
            Error::new(ErrorKind::InvalidInput, message)
        })?;
        Ok(Self {
            path: field.into(),
            rule,
            regex,
        })
    }

    /// Returns what is wrong with a value, as a sentence goes on that begins with the field.
    fn fault(&self, value: &Value) -> Option<String> {
        let text = match value {
            Value::String(text) => Cow::Borrowed(text.as_str()),
            other => Cow::Owned(other.to_string()),
        };
        let rule = &self.rule;
        let chars = || text.chars().count() as u64;
        if let Some(least) = rule.min_chars.filter(|least| chars() < *least) {
            return Some(format!("has fewer than {least} characters"));
        }
        if let Some(most) = rule.max_chars.filter(|most| chars() > *most) {
            return Some(format!("has more than {most} characters"));
        }
        if self
            .regex
            .as_ref()
            .is_some_and(|regex| !regex.is_match(&text))
        {
            let pattern = rule.regex.as_deref().unwrap_or_default();
            let shown = shortened(pattern, 200);
            return Some(format!("does not match the regular expression {shown}"));
        }
        let wanted = rule.one_of.as_ref();
        if let Some(wanted) = wanted.filter(|wanted| !wanted.contains(value)) {
            let shown = listed(wanted);
            return Some(format!("is none of the values that are wanted: {shown}"));
        }
        let language = rule.language.filter(|language| language.excludes(&text));
        language.map(|language| format!("is not in {}", language.name()))
    }
}

/// Adds the texts in a value, each on a line.
fn add_texts(value: &Value, texts: &mut String) {
    match value {
        Value::String(text) => {
            texts.push_str(text);
            texts.push('\n');
        }
        Value::Array(items) => items.iter().for_each(|item| add_texts(item, texts)),
        Value::Object(object) => object.values().for_each(|item| add_texts(item, texts)),
        _ => {}
    }
}

#[async_trait]
impl RecordFilter for FieldFilter {
    async fn check(&self, candidate: &Candidate<'_>) -> Result<FilterVerdict> {
        let is_whole = self.path == Self::RECORD;
        let fault = if is_whole {
            let mut texts = String::new();
            candidate
                .data()
                .values()
                .for_each(|value| add_texts(value, &mut texts));
            self.fault(&texts.into())
        } else {
            let value = at_path(candidate.data(), &self.path).filter(|value| !value.is_null());
            value.and_then(|value| self.fault(value))
        };
        Ok(fault.map_or(FilterVerdict::Keep, |fault| {
            let reason = if is_whole {
                label(&format!("the record {fault}"))
            } else {
                label(&format!("`{}` {fault}", self.path))
            };
            FilterVerdict::Reject(reason.unwrap_or("a field is not as it should be"))
        }))
    }
}

/// Shows the field and not what it must be like.
impl fmt::Debug for FieldFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FieldFilter")
            .field("field", &self.path)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    async fn verdict(rule: FieldRule, field: &str, data: Value) -> FilterVerdict {
        let filter = FieldFilter::new(field, rule).unwrap();
        let candidate = Candidate::new("a topic", data.as_object().unwrap());
        filter.check(&candidate).await.unwrap()
    }

    #[tokio::test]
    async fn a_rule_keeps_what_it_asks_for_and_says_what_is_wrong_with_the_rest() {
        let min = FieldRule {
            min_chars: Some(3),
            ..FieldRule::default()
        };
        let max = FieldRule {
            max_chars: Some(3),
            ..FieldRule::default()
        };
        let regex = FieldRule {
            regex: Some("^[a-z]+$".to_owned()),
            ..FieldRule::default()
        };
        let one_of = FieldRule {
            one_of: Some(vec![json!("yes"), json!(2)]),
            ..FieldRule::default()
        };
        for (rule, value, refused) in [
            (&min, json!("日本語"), None),
            (&min, json!("日本"), Some("`x` has fewer than 3 characters")),
            (&max, json!("日本語"), None),
            (&max, json!([1, 2]), Some("`x` has more than 3 characters")),
            (&regex, json!("tide"), None),
            (
                &regex,
                json!("Tide"),
                Some("`x` does not match the regular expression ^[a-z]+$"),
            ),
            (&one_of, json!(2), None),
            (
                &one_of,
                json!("no"),
                Some("`x` is none of the values that are wanted: \"yes\", 2"),
            ),
            (&one_of, Value::Null, None),
        ] {
            let verdict = verdict(rule.clone(), "x", json!({"x": value})).await;
            let wanted = refused.map_or(FilterVerdict::Keep, FilterVerdict::Reject);
            assert_eq!(verdict, wanted);
        }
    }

    #[tokio::test]
    async fn a_field_is_found_by_name_or_path_and_may_be_missing() {
        let rule = FieldRule {
            min_chars: Some(3),
            ..FieldRule::default()
        };
        let keeps = async |field: &str| {
            let data = json!({"meta": {"source": "x"}, "a.b": "long enough"});
            verdict(rule.clone(), field, data).await == FilterVerdict::Keep
        };
        assert!(!keeps("meta.source").await);
        assert!(keeps("a.b").await && keeps("meta.year").await && keeps("none").await);
    }

    #[tokio::test]
    async fn a_record_is_judged_by_all_its_texts() {
        let mut rule = FieldRule {
            language: Some("en".parse().unwrap()),
            ..FieldRule::default()
        };
        let german = json!({"topic": "tides", "answers": [{"text": "Die Gezeiten entstehen durch die Anziehung des Mondes und der Sonne."}]});
        for (field, refused) in [
            ("*", Some("the record is not in English")),
            ("answers", Some("`answers` is not in English")),
            ("topic", None),
        ] {
            let wanted = refused.map_or(FilterVerdict::Keep, FilterVerdict::Reject);
            assert_eq!(verdict(rule.clone(), field, german.clone()).await, wanted);
        }
        rule.language = Some("de".parse().unwrap());
        rule.min_chars = Some(70);
        assert_eq!(verdict(rule, "*", german).await, FilterVerdict::Keep);
    }

    #[test]
    fn a_rule_is_told_and_many_values_are_not() {
        let rule = FieldRule {
            min_chars: Some(3),
            one_of: Some(vec![json!("yes"), json!(2)]),
            ..FieldRule::default()
        };
        assert_eq!(
            rule.wanted(),
            "has at least 3 characters and is one of \"yes\", 2"
        );
        assert_eq!(FieldRule::default().wanted(), "");
        let many: Vec<Value> = (0..10).map(Value::from).collect();
        assert_eq!(listed(&many), "0, 1, 2, 3, 4, 5, 6, 7, and 2 more");
        assert_eq!(shortened("a\nbc", 3), "a b…");
    }

    #[test]
    fn a_broken_expression_is_said_without_what_is_in_it() {
        let rule = FieldRule {
            regex: Some("secret(".to_owned()),
            ..FieldRule::default()
        };
        let error = FieldFilter::new("x", rule).unwrap_err().to_string();
        assert!(
            error.contains("unclosed group") && !error.contains("secret"),
            "{error}"
        );
    }
}
