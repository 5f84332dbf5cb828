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
        let mut builder = TemplatePrompts::builder();
        for (template, text) in self.texts() {
            builder = builder.template(template, text);
        }
        for (name, value) in &self.variables {
            builder = builder.variable(name, value.clone());
        }
        builder.build()
    }

    /// Returns each template by itself, with its key in the input.
    pub(crate) fn each_alone(&self) -> impl Iterator<Item = (&'static str, Self)> {
        let Self {
            system,
            request,
            topics_system,
            topics,
            variables,
        } = self;
        let one = |change: fn(&mut Self) -> &mut Option<String>, text: &Option<String>| {
            let mut alone = Self {
                variables: variables.clone(),
                ..Self::default()
            };
            change(&mut alone).clone_from(text);
            alone
        };
        [
            ("system", one(|alone| &mut alone.system, system)),
            ("request", one(|alone| &mut alone.request, request)),
            (
                "topics_system",
                one(|alone| &mut alone.topics_system, topics_system),
            ),
            ("topics", one(|alone| &mut alone.topics, topics)),
        ]
        .into_iter()
    }

    fn texts(&self) -> impl Iterator<Item = (Template, &String)> {
        let all = [
            (Template::Stable, &self.system),
            (Template::Ask, &self.request),
            (Template::TopicsStable, &self.topics_system),
            (Template::Topics, &self.topics),
        ];
        all.into_iter()
            .filter_map(|(template, text)| Some((template, text.as_ref()?)))
    }
}

/// Shows which templates are replaced, and no text.
impl fmt::Debug for PromptTexts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replaced: Vec<_> = self.texts().map(|(template, _)| template).collect();
        f.debug_struct("PromptTexts")
            .field("replaced", &replaced)
            .field("variables", &self.variables.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}
