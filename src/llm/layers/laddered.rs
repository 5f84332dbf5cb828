//! Asks for structured output as firmly as the backend can, and less firmly where it refuses.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use serde_json::Value;
use tracing::debug;

use crate::error::{ErrorKind, Result};
use crate::llm::{
    Capabilities, ChatRequest, ChatResponse, LlmClient, OutputFormat, OutputMode, OutputSchema,
};
use crate::schema::dialect::compile;
use crate::schema::{Dialect, canonical};

/// Puts a request's schema into the backend's dialect, and climbs down a rung when the backend refuses it.
///
/// The rungs are the backend's [`output_modes`](Capabilities::output_modes), best first, and below them asking
/// in the prompt alone. What worked is remembered per schema, so a refusal is paid for once; how many items a list
/// at the top must have makes no other schema. A schema that the dialect cannot say skips the rung without a call. The response tells how it was asked for in
/// [`asked`](ChatResponse::asked), which is what brings the answer back into the caller's shape.
///
/// Put it around the retries: a refused schema is not the fault of the attempt.
///
/// ```
/// use topicloom::llm::layers::{Laddered, Retrying};
/// # use topicloom::llm::LlmClient;
/// # fn example(client: impl LlmClient) {
/// let client = Laddered::new(Retrying::new(client));
/// # }
/// ```
pub struct Laddered<C> {
    inner: C,
    ladders: Mutex<Ladders>,
}

/// What is known of schemas, by their fingerprints.
#[derive(Default)]
struct Ladders {
    known: HashMap<u128, Ladder>,
    /// Rungs that were refused, by family.
    refused: HashMap<u128, usize>,
}

/// What is known of one schema.
struct Ladder {
    /// The same for all schemas that differ in how many items a list must have.
    family: u128,
    /// The request's format on the rung that is in use.
    format: Option<(usize, Rung)>,
}

#[derive(Clone)]
struct Rung {
    output: OutputFormat,
    asked: (OutputMode, Dialect),
}

impl<C> Laddered<C> {
    /// Creates a layer that has seen no schema yet.
    pub fn new(inner: C) -> Self {
        Self {
            inner,
            ladders: Mutex::default(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Ladders> {
        self.ladders
            .lock()
            .expect("compiling a schema does not panic")
    }
}

impl<C: LlmClient> Laddered<C> {
    /// Returns the highest rung that was not refused, and its number.
    fn rung(&self, schema: &OutputSchema) -> (usize, Rung) {
        let capabilities = self.inner.capabilities();
        let mut ladders = self.lock();
        let Ladders { known, refused } = &mut *ladders;
        let ladder = known.entry(schema.fingerprint()).or_insert_with(|| Ladder {
            family: family(&schema.schema),
            format: None,
        });
        let refused = refused.entry(ladder.family).or_default();
        if let Some((number, rung)) = &ladder.format
            && number == refused
        {
            return (*number, rung.clone());
        }
        loop {
            match rung(schema, capabilities, *refused) {
                Some(rung) => {
                    ladder.format = Some((*refused, rung.clone()));
                    return (*refused, rung);
                }
                None => *refused += 1,
            }
        }
    }

    fn refuse(&self, schema: &OutputSchema, number: usize) {
        let mut ladders = self.lock();
        let Ladders { known, refused } = &mut *ladders;
        if let Some(ladder) = known.get(&schema.fingerprint()) {
            // Calls in flight together are refused together: one rung down, not one for each.
            let refused = refused.entry(ladder.family).or_default();
            *refused = (*refused).max(number + 1);
        }
    }
}

/// Hashes a schema without how many items the lists at its top have, which differs from request to request.
fn family(schema: &Value) -> u128 {
    let mut schema = schema.clone();
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        for list in properties.values_mut().filter_map(Value::as_object_mut) {
            list.shift_remove("minItems");
            list.shift_remove("maxItems");
        }
    }
    canonical::hash(&schema)
}

/// Returns how to ask on this rung, or `None` if the dialect cannot say the schema.
fn rung(schema: &OutputSchema, capabilities: Capabilities, number: usize) -> Option<Rung> {
    let mode = capabilities
        .output_modes
        .get(number)
        .copied()
        .unwrap_or(OutputMode::Prompt);
    // Where nothing is enforced, the model reads the schema as it was written.
    let dialect = if mode == OutputMode::Strict {
        capabilities.dialect
    } else {
        Dialect::Full
    };
    let output = match mode {
        OutputMode::Strict | OutputMode::Schema | OutputMode::Tool => {
            let compiled = match compile(&schema.schema, dialect) {
                Ok(compiled) => compiled.schema,
                Err(refusal) => {
                    debug!(%refusal, "the schema is asked for less firmly");
                    return None;
                }
            };
            OutputFormat::Schema(Arc::new(OutputSchema::new(&*schema.name, compiled, mode)))
        }
        OutputMode::Json => OutputFormat::Json,
        OutputMode::Prompt => OutputFormat::Text,
    };
    Some(Rung {
        output,
        asked: (mode, dialect),
    })
}

impl<C: fmt::Debug> fmt::Debug for Laddered<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Laddered")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<C: LlmClient> LlmClient for Laddered<C> {
    async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
        let OutputFormat::Schema(schema) = &request.output else {
            return self.inner.complete(request).await;
        };
        loop {
            let (number, rung) = self.rung(schema);
            let asked = request.clone().with_output(rung.output);
            match self.inner.complete(&asked).await {
                Err(error)
                    if error.kind() == ErrorKind::SchemaRefused
                        && rung.asked.0 != OutputMode::Prompt =>
                {
                    self.refuse(schema, number);
                }
                Ok(mut response) => {
                    response.asked = Some(rung.asked);
                    return Ok(response);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn model(&self) -> &str {
        self.inner.model()
    }

    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::testing::mock_llm;

    const LADDER: Capabilities = Capabilities::structured(
        &[OutputMode::Strict, OutputMode::Tool, OutputMode::Json],
        Dialect::OpenAiStrict,
    );

    fn request() -> ChatRequest {
        let schema =
            json!({"type": "object", "properties": {"note": {"type": "string", "minLength": 3}}});
        let schema = OutputSchema::new("records", schema, OutputMode::Strict);
        ChatRequest::default().with_output(OutputFormat::Schema(Arc::new(schema)))
    }

    fn shown(output: &OutputFormat) -> String {
        match output {
            OutputFormat::Schema(schema) => format!("{:?}", schema.mode),
            other => format!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_refusal_moves_one_rung_down_and_is_remembered() {
        let (model, mut handle) = mock_llm();
        let client = Arc::new(Laddered::new(model.with_capabilities(LADDER)));
        let asking = Arc::clone(&client);
        let first = tokio::spawn(async move { asking.complete(&request()).await });
        for rung in ["Strict", "Tool"] {
            let call = handle.next_call().await;
            assert_eq!(shown(&call.request().output), rung);
            call.fail(ErrorKind::SchemaRefused);
        }
        let call = handle.next_call().await;
        assert_eq!(shown(&call.request().output), "Json");
        call.text("{}");
        let response = first.await.expect("no panic").expect("answered");
        assert_eq!(response.asked, Some((OutputMode::Json, Dialect::Full)));

        let second = tokio::spawn(async move { client.complete(&request()).await });
        let call = handle.next_call().await;
        assert_eq!(shown(&call.request().output), "Json");
        call.text("{}");
        assert!(second.await.expect("no panic").is_ok());
        handle.no_more_calls();
    }

    #[tokio::test]
    async fn a_refusal_holds_for_every_number_of_items() {
        let (model, mut handle) = mock_llm();
        let client = Arc::new(Laddered::new(model.with_capabilities(LADDER)));
        for (items, rungs) in [(3, &["Strict", "Tool"][..]), (1, &["Tool"]), (3, &["Tool"])] {
            let list = json!({"type": "array", "items": {"type": "string"}, "minItems": items, "maxItems": items});
            let schema = json!({"type": "object", "properties": {"list": list}});
            let schema = Arc::new(OutputSchema::new("records", schema, OutputMode::Strict));
            let request = ChatRequest::default().with_output(OutputFormat::Schema(schema));
            let asking = Arc::clone(&client);
            let answer = tokio::spawn(async move { asking.complete(&request).await });
            for rung in rungs {
                let call = handle.next_call().await;
                assert_eq!(shown(&call.request().output), *rung);
                match *rung {
                    "Strict" => call.fail(ErrorKind::SchemaRefused),
                    _ => call.text("{}"),
                }
            }
            assert!(answer.await.expect("no panic").is_ok());
        }
        handle.no_more_calls();
    }

    #[tokio::test]
    async fn the_schema_arrives_in_the_dialect() {
        let (model, mut handle) = mock_llm();
        let client = Laddered::new(model.with_capabilities(LADDER));
        let asking = tokio::spawn(async move { client.complete(&request()).await });
        let call = handle.next_call().await;
        let OutputFormat::Schema(schema) = &call.request().output else {
            panic!("a schema is asked for")
        };
        assert_eq!(schema.schema["required"], json!(["note"]));
        assert_eq!(schema.schema.pointer("/properties/note/minLength"), None);
        call.text("{}");
        assert!(asking.await.expect("no panic").is_ok());
        handle.no_more_calls();
    }

    #[tokio::test]
    async fn a_backend_that_knows_no_structure_is_asked_for_text() {
        let (model, mut handle) = mock_llm();
        let client = Laddered::new(model);
        let asking = tokio::spawn(async move { client.complete(&request()).await });
        let call = handle.next_call().await;
        assert_eq!(shown(&call.request().output), "Text");
        call.fail(ErrorKind::SchemaRefused);
        assert!(asking.await.expect("no panic").is_err());
        handle.no_more_calls();
    }
}
