//! Prompts in a caller's own words, as an input says them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value;

use super::{Template, TemplatePrompts};
use crate::error::Result;

/// Templates of one's own, and variables for them; `prompts` in the input. What is not set is the library's.
#[derive(Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct PromptTexts {
    /// What stays the same over a run: the system message of requests for records.
    pub system: Option<String>,
    /// One request for records.
    pub request: Option<String>,
    /// The system message of requests for topics.
    pub topics_system: Option<String>,
    /// One request for topics.
    pub topics: Option<String>,
    /// Variables that each of these templates may use beside its own.
    pub variables: BTreeMap<String, Value>,
}

impl PromptTexts {
    /// Compiles the templates.
    ///
    /// # Errors
    ///
    /// As [`TemplatePromptsBuilder::build`](super::TemplatePromptsBuilder::build).
    pub fn prompts(&self) -> Result<TemplatePrompts> {
        self.compile(self.texts())
    }

    /// Compiles each template by itself, under its key in the input.
    pub(crate) fn each_alone(
        &self,
    ) -> impl Iterator<Item = (&'static str, Result<TemplatePrompts>)> {
        self.texts().map(|one| (one.0, self.compile([one])))
    }

    fn compile<'a>(
        &self,
        texts: impl IntoIterator<Item = (&'static str, Template, &'a String)>,
    ) -> Result<TemplatePrompts> {
        let mut builder = TemplatePrompts::builder();
        for (_, template, text) in texts {
            builder = builder.template(template, text);
        }
        for (name, value) in &self.variables {
            builder = builder.variable(name, value.clone());
        }
        builder.build()
    }

    /// Returns the templates that are set, each with its key in the input.
    fn texts(&self) -> impl Iterator<Item = (&'static str, Template, &String)> {
        let all = [
            ("system", Template::System, &self.system),
            ("request", Template::Request, &self.request),
            ("topics_system", Template::TopicsSystem, &self.topics_system),
            ("topics", Template::Topics, &self.topics),
        ];
        all.into_iter()
            .filter_map(|(key, template, text)| Some((key, template, text.as_ref()?)))
    }
}

/// Shows which templates are replaced, and no text.
impl fmt::Debug for PromptTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replaced: Vec<_> = self.texts().map(|(_, template, _)| template).collect();
        f.debug_struct("PromptTexts")
            .field("replaced", &replaced)
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
