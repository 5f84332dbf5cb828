//! The prompts of a run: what all of them begin with, and what a task is asked.

use std::sync::Arc;

use super::RunParts;
use crate::error::Result;
use crate::filter::{FieldFilter, FieldRule};
use crate::guard::caught;
use crate::llm::Message;
use crate::prompt::{RequestContext, SystemContext};
use crate::schema::{RECORDS_KEY, find_field, skeleton};
use crate::topic::Topic;

/// Words what a run asks its models.
pub(crate) struct RunPrompts {
    parts: Arc<RunParts>,
    /// What never changes comes first, so that providers serve it from their prefix cache.
    system: Message,
    pub(super) cache_key: Arc<str>,
    /// What a prompt shows where the answer was not bound to the schema otherwise.
    skeleton: String,
    /// What fields have to be like beyond the schema.
    rules: Vec<String>,
}

/// Characters of the rules that a prompt tells: where there are more, only a record that breaks one hears of it.
const MOST_OF_RULES: usize = 400;

/// What the prompt of a task says beside its topic.
#[derive(Default)]
pub(crate) struct PromptParts<'a> {
    /// How many records are asked for.
    pub(crate) wanted: u64,
    pub(crate) angle: Option<&'a str>,
    /// The places of the examples that it shows.
    pub(crate) examples: &'a [usize],
    /// Records that are not to be repeated.
    pub(crate) avoid: &'a [String],
    pub(crate) feedback: Option<&'a str>,
    pub(crate) shows_skeleton: bool,
}

impl RunPrompts {
    /// Words what all prompts begin with.
    ///
    /// # Errors
    ///
    /// Where the schema or the prompt cannot be rendered.
    pub(crate) fn new(parts: &Arc<RunParts>) -> Result<Self> {
        let plug_ins = &parts.plug_ins;
        let schema_text = caught("the schema renderer", || {
            plug_ins.renderer.render(&parts.schema)
        })??;
        let system = SystemContext {
            instruction: parts.input.user_instruction(),
            ..SystemContext::new(&schema_text, RECORDS_KEY)
        };
        let system = plug_ins.prompts.system(&system)?;
        let rules = parts.settings().filters.iter();
        let rules = rules.filter(|(field, rule)| {
            // Other fields are not the model's to write.
            let is_asked =
                *field == FieldFilter::RECORD || find_field(&parts.schema, field).is_ok();
            is_asked && **rule != FieldRule::default()
        });
        let mut rules: Vec<String> = rules
            .map(|(field, rule)| match field.as_str() {
                FieldFilter::RECORD => format!("the whole {}", rule.wanted()),
                field => format!("`{field}` {}", rule.wanted()),
            })
            .collect();
        if rules.iter().map(String::len).sum::<usize>() > MOST_OF_RULES {
            rules.clear();
        }
        Ok(Self {
            rules,
            skeleton: skeleton(&parts.schema),
            cache_key: cache_key(&system).into(),
            system: Message::system(system).ending_stable_prefix(),
            parts: Arc::clone(parts),
        })
    }

    /// Returns what a model is told that is asked for records of a topic.
    ///
    /// # Errors
    ///
    /// Where the prompt cannot be rendered.
    pub(crate) fn messages(&self, topic: &Topic, asked: &PromptParts<'_>) -> Result<Vec<Message>> {
        let input = &self.parts.input;
        let count = usize::try_from(asked.wanted).unwrap_or(usize::MAX);
        // A leaf of a tree says more with the branch it grows on.
        let (name, variables) = (topic.placed_name(), topic.variables());
        let given = &input.examples().given;
        let examples = asked.examples.iter().filter_map(|place| given.get(*place));
        let examples: Vec<String> = examples.map(ToString::to_string).collect();
        let request = RequestContext {
            row: topic.row(),
            variables: &variables,
            instruction: input.user_instruction(),
            skeleton: asked.shows_skeleton.then_some(&*self.skeleton),
            angle: asked.angle,
            examples: &examples,
            avoid: asked.avoid,
            feedback: asked.feedback,
            rules: &self.rules,
            ..RequestContext::new(&name, count)
        };
        let request = self.parts.plug_ins.prompts.request(&request)?;
        Ok(vec![self.system.clone(), Message::user(request)])
    }
}

/// Names the system message without telling what is in it.
fn cache_key(system: &str) -> String {
    format!(
        "topicloom-{:016x}",
        xxhash_rust::xxh3::xxh3_64(system.as_bytes())
    )
}
