//! What prompts promise.

use serde_json::Map;

use crate::prompt::{Prompts, RequestContext, SystemContext, TopicsContext};

/// Text that would do something if it were evaluated instead of shown.
const HOSTILE: &str = "{{ 7 * 7 }} {% for x in y %} \"quoted\"\n\u{202e}";

/// Checks prompts: the same context gives the same text, what is given is shown and not evaluated, and the word
/// JSON is there.
///
/// # Panics
///
/// If the prompts break a promise, with a message that says which.
///
/// ```
/// use topicloom::prompt::TemplatePrompts;
/// use topicloom::testing::conformance;
///
/// conformance::prompts(&TemplatePrompts::default());
/// ```
pub fn prompts(prompts: &impl Prompts) {
    for instruction in [None, Some("about rivers"), Some(HOSTILE)] {
        let context = SystemContext {
            instruction,
            ..SystemContext::new("{ name: string }", "records")
        };
        let text = rendered(prompts.system(&context));
        assert_eq!(
            text,
            rendered(prompts.system(&context)),
            "the same context gives another text"
        );
        assert!(
            text.contains("name: string"),
            "the system message does not show the schema"
        );
        assert!(
            text.contains("JSON"),
            "the system message does not say JSON, which some providers demand"
        );
        assert!(
            !text.contains("49"),
            "the instruction was evaluated and not shown"
        );
    }
    for topic in ["rivers", HOSTILE] {
        let avoid = ["What is the delta of the Nile?".to_owned()];
        let variables = Map::from_iter([("level".to_owned(), "hard".into())]);
        let examples = [r#"{"name":"Rhine"}"#.to_owned()];
        let context = RequestContext {
            variables: &variables,
            examples: &examples,
            avoid: &avoid,
            feedback: Some("`name` is missing"),
            ..RequestContext::new(topic, 3)
        };
        let text = rendered(prompts.request(&context));
        assert_eq!(
            text,
            rendered(prompts.request(&context)),
            "the same context gives another text"
        );
        assert!(
            text.contains(topic.trim_end().split('\n').next().unwrap_or(topic)),
            "the topic is not shown"
        );
        assert!(
            text.contains("level: hard"),
            "the value of an attribute is not shown"
        );
        assert!(text.contains(&examples[0]), "an example is not shown");
        assert!(text.contains(&avoid[0]), "a record to avoid is not shown");
        assert!(
            text.contains("`name` is missing"),
            "what was wrong is not shown"
        );
        let context = RequestContext::new(topic, 1);
        assert!(
            !rendered(prompts.request(&context)).is_empty(),
            "nothing is asked for"
        );
    }
    let messages = rendered(prompts.topics(&TopicsContext::new(Some("about rivers"), 5)));
    assert!(!messages.is_empty(), "no topics are asked for");
}

fn rendered<T>(result: crate::error::Result<T>) -> T {
    result.unwrap_or_else(|error| panic!("a prompt cannot be worded: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Result;
    use crate::llm::Message;
    use crate::prompt::TemplatePrompts;

    #[test]
    fn ours_keep_their_promises() {
        prompts(&TemplatePrompts::default());
    }

    #[test]
    #[should_panic(expected = "does not show the schema")]
    fn prompts_without_the_schema_fail() {
        #[derive(Debug)]
        struct Mute;
        impl Prompts for Mute {
            fn system(&self, _: &SystemContext<'_>) -> Result<String> {
                Ok("JSON".to_owned())
            }
            fn request(&self, _: &RequestContext<'_>) -> Result<String> {
                Ok(String::new())
            }
            fn topics(&self, _: &TopicsContext<'_>) -> Result<Vec<Message>> {
                Ok(Vec::new())
            }
        }
        prompts(&Mute);
    }
}
