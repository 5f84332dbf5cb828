//! `topicloom preview`: a few tasks in detail.

use topicloom::llm::models::ModelRegistry;
use topicloom::{Pipeline, Result};

use crate::args::PreviewArgs;
use crate::{input, out};

pub(crate) async fn preview(args: PreviewArgs) -> Result<()> {
    let input = input::read(args.input.as_deref(), &args.adjust, false)?;
    let prices = input::prices(&input, args.adjust.prices.as_deref())?;
    let pipeline = Pipeline::builder_from_input(&input, &ModelRegistry::new())?
        .prices(prices)
        .build();
    let compared_by = input.settings().deduplication.describe(input.schema());
    out::line(format_args!("compared by {compared_by}"))?;
    let preview = pipeline.preview(input, args.tasks).await?;
    out::line(preview.to_string().trim_end())?;
    preview.error.map_or(Ok(()), Err)
}
