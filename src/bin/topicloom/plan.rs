//! `topicloom plan`: topics and quotas, without a call.

use topicloom::Result;

use crate::args::PlanArgs;
use crate::{input, out};

pub(crate) fn plan(args: &PlanArgs) -> Result<()> {
    let input = input::read(args.input.as_deref(), &args.adjust, false)?;
    let allocation = input.allocation();
    let mut given = allocation.clone();
    given.generated.clear();
    let plan = given.complete(Vec::new())?.crossed(input.attributes());
    for planned in &plan.topics {
        let topic = out::on_one_line(&planned.topic.to_string());
        out::line(format_args!("{:>8}  {topic}", planned.quota))?;
    }
    for quota in &allocation.generated {
        out::line(format_args!(
            "{quota:>8}  (a topic that {} is to invent)",
            input.topic_model()
        ))?;
    }
    let topics = allocation.given.len() + allocation.generated.len();
    out::line(format_args!(
        "{:>8}  records, {topics} topics",
        allocation.total()
    ))?;
    out::line(format_args!(
        "compared by {}",
        input.settings().deduplication.describe(input.schema())
    ))?;
    for note in &allocation.notes {
        eprintln!("note: {note}");
    }
    Ok(())
}
