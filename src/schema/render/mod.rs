//! What the prompt shows of a schema.

mod annotated;
mod skeleton;
mod typescript;

use std::fmt;

use super::RecordSchema;
use crate::error::Result;

pub use annotated::AnnotatedJson;
pub(crate) use skeleton::skeleton;
pub use typescript::TypeScript;

/// Says in a prompt what a record looks like.
///
/// The text describes *one* record; the prompt around it says how many are wanted and how they are wrapped.
/// A function of the schema is a renderer too:
///
/// ```
/// use topicloom::schema::{RecordSchema, SchemaRenderer, TypeScript};
///
/// let plain = |schema: &RecordSchema| Ok(schema.as_json().to_string());
/// assert!(plain.render(&RecordSchema::default())?.contains("question"));
/// # Ok::<(), topicloom::Error>(())
/// ```
///
/// # For implementors
///
/// The same schema must give the same text, or providers cannot cache the prompt's beginning. Name every
/// property that the root knows. A schema may refer to itself. `testing::conformance::schema_renderer` checks
/// all this.
pub trait SchemaRenderer: Send + Sync + 'static {
    /// Returns the text for a prompt.
    ///
    /// # Errors
    ///
    /// Fails with `Prompt` if the schema cannot be shown; that ends the run before the first call.
    fn render(&self, schema: &RecordSchema) -> Result<String>;

    /// Returns a name for debug output.
    fn name(&self) -> &'static str {
        std::any::type_name::<Self>()
    }
}

impl fmt::Debug for dyn SchemaRenderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<F> SchemaRenderer for F
where
    F: Fn(&RecordSchema) -> Result<String> + Send + Sync + 'static,
{
    fn render(&self, schema: &RecordSchema) -> Result<String> {
        self(schema)
    }
}

/// The library's own renderers, as an input names them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SchemaStyle {
    /// [`TypeScript`].
    #[default]
    TypeScript,
    /// [`AnnotatedJson`].
    AnnotatedJson,
}

impl SchemaRenderer for SchemaStyle {
    fn render(&self, schema: &RecordSchema) -> Result<String> {
        match self {
            Self::TypeScript => TypeScript.render(schema),
            Self::AnnotatedJson => AnnotatedJson.render(schema),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use insta::{assert_snapshot, glob, with_settings};

    fn show(renderer: &dyn SchemaRenderer, path: &std::path::Path) -> String {
        let text = std::fs::read_to_string(path).expect("a case file");
        let schema = RecordSchema::from_json(serde_json::from_str(&text).expect("JSON"))
            .expect("a schema of a record");
        renderer.render(&schema).expect("a renderable schema")
    }

    #[test]
    fn every_case_is_shown_as_reviewed() {
        with_settings!({
            snapshot_path => "../../../tests/cases/schema/render/snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            glob!("../../../tests/cases/schema/render", "*.json", |path| {
                assert_snapshot!("typescript", show(&TypeScript, path));
                assert_snapshot!("annotated", show(&AnnotatedJson, path));
            });
        });
    }

    #[test]
    fn a_boxed_renderer_prints_its_name() {
        let boxed: Box<dyn SchemaRenderer> = Box::new(TypeScript);
        assert!(format!("{boxed:?}").ends_with("TypeScript"));
    }
}
