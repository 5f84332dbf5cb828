//! Why no value was found, and where.

use std::borrow::Cow;

use serde_json::Value;

use crate::error::{Error, ErrorKind};

/// Says which keyword at which place of the value could not be satisfied.
#[derive(Debug)]
pub(in super::super) struct Refusal(Box<Inner>);

#[derive(Debug)]
struct Inner {
    keyword: &'static str,
    path: String,
    why: Cow<'static, str>,
    is_final: bool,
}

impl Refusal {
    pub(super) fn new(
        keyword: &'static str,
        path: &[Cow<'_, str>],
        why: Cow<'static, str>,
    ) -> Self {
        let path = path.iter().fold(String::new(), |path, part| {
            format!("{path}/{}", part.replace('~', "~0").replace('/', "~1"))
        });
        Self(Box::new(Inner {
            keyword,
            path,
            why,
            is_final: false,
        }))
    }

    /// Says that no other choice of branches can help, since the schema itself is not understood.
    pub(super) fn finally(mut self) -> Self {
        self.0.is_final = true;
        self
    }

    pub(super) fn is_final(&self) -> bool {
        self.0.is_final
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let Inner {
            keyword, path, why, ..
        } = *refusal.0;
        let message = format!("the offline model cannot satisfy the schema's `{keyword}`: {why}");
        let path = if path.is_empty() {
            "/".to_owned()
        } else {
            path
        };
        Self::new(ErrorKind::SchemaRefused, message)
            .with_context("keyword", keyword)
            .with_context("path", path)
    }
}

/// Finds what a reference inside the same schema points to: `#`, `#/a/pointer` or `#anchor`.
pub(super) fn resolve<'s>(root: &'s Value, reference: &str) -> Option<&'s Value> {
    let fragment = match reference.split_once('#') {
        Some(("", fragment)) => fragment,
        // The schema may name itself.
        Some((base, fragment)) if root.get("$id").and_then(Value::as_str) == Some(base) => fragment,
        _ => return None,
    };
    if fragment.is_empty() || fragment.starts_with('/') {
        return root.pointer(&percent_decoded(fragment));
    }
    let definitions = ["$defs", "definitions"]
        .iter()
        .filter_map(|key| root.get(key)?.as_object());
    definitions
        .flat_map(|definitions| definitions.values())
        .find(|schema| schema.get("$anchor").and_then(Value::as_str) == Some(fragment))
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let code = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        match code.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) if first == b'%' => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}
