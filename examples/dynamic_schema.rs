//! A shape that is known at run time only: a field list, or any JSON Schema.
//!
//! ```text
//! cargo run --example dynamic_schema
//! ```

use serde_json::json;
use topicloom::schema::Field;
use topicloom::{GenerateByTopicInput, generate_by_topic};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base = || {
        GenerateByTopicInput::builder()
            .user_instruction("Recipes a student can cook")
            .num_records(3)
            .topics(["pasta", "soup", "salad"])
            .generation_model("offline/loom")
    };

    let fields = [
        Field::str("title").description("At most six words"),
        Field::int("minutes"),
    ];
    for record in generate_by_topic(base().output_fields(fields).build()?).await? {
        println!("{}", serde_json::to_string(&record)?);
    }

    let schema = json!({
        "type": "object",
        "properties": {
            "title": {"type": "string"},
            "ingredients": {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 5},
            "vegan": {"type": "boolean"},
        },
        "required": ["title", "ingredients", "vegan"],
        "additionalProperties": false,
    });
    for record in generate_by_topic(base().output_json_schema(schema).build()?).await? {
        println!("{}", serde_json::to_string(&record)?);
    }
    Ok(())
}
