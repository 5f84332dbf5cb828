//! A web service that sends records as they are accepted, one JSON object a line. When the client goes away, the run stops.
//!
//! ```text
//! cargo run --example web_service
//! curl -N 'http://127.0.0.1:3000/records' -H 'content-type: application/json' -d '{"topics": ["tides"], "num_records": 5}'
//! ```
//!
//! With `NAME/MODEL` behind it, that model is asked instead of the stand-in.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Json, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures::StreamExt;
use serde::Deserialize;
use serde_json::json;
use topicloom::{Error, GenerateByTopicInput, Pipeline};

/// What a client may choose. The model and the caps are the service's.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    topics: Vec<String>,
    num_records: u64,
}

struct Service {
    /// One for all requests: its runs share the connections and the limits of their models.
    pipeline: Pipeline,
    input: GenerateByTopicInput,
}

async fn records(
    State(service): State<Arc<Service>>,
    Json(wish): Json<Wish>,
) -> Result<Response, Refused> {
    let input = service.input.to_builder().topics(wish.topics);
    let input = input.num_records(wish.num_records.min(100)).build()?;
    let run = service.pipeline.run(input)?;
    let lines = run.map(|item| {
        let line = match item {
            Ok(record) => json!({"topic": record.topic, "data": record.data}),
            // The last item, where records are missing.
            Err(error) => json!({"error": error.to_string()}),
        };
        Ok::<_, Error>(Bytes::from(format!("{line}\n")))
    });
    let kind = [(header::CONTENT_TYPE, "application/x-ndjson")];
    Ok((kind, Body::from_stream(lines)).into_response())
}

/// What is wrong with the wish, in words that the client may see.
struct Refused(Error);

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        (StatusCode::UNPROCESSABLE_ENTITY, self.0.to_string()).into_response()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let model = std::env::args().nth(1);
    let model = model.as_deref().unwrap_or("offline/loom");
    let input = GenerateByTopicInput::builder()
        .user_instruction("Questions with answers for a quiz")
        .topic_model(model)
        .generation_model(model)
        .max_calls(300)
        .build()?;
    let pipeline = Pipeline::from_input(&input)?;
    let service = Arc::new(Service { pipeline, input });
    let routes = Router::new()
        .route("/records", post(records))
        .with_state(service);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    Ok(axum::serve(listener, routes).await?)
}
