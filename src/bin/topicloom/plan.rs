//! `topicloom plan`: topics and quotas, without a call.

use topicloom::Result;

use crate::args::PlanArgs;
use crate::input;

pub(crate) fn plan(args: &PlanArgs) -> Result<()> {
    let input = input::read(&args.input, false)?;
    let allocation = input.allocation();
    for planned in &allocation.given {
        println!("{:>8}  {}", planned.quota, planned.topic);
    }
    for quota in &allocation.generated {
        println!(
            "{quota:>8}  (a topic that {} is to invent)",
            input.topic_model()
        );
    }
    let topics = allocation.given.len() + allocation.generated.len();
    println!("{:>8}  records, {topics} topics", allocation.total());
    for note in &allocation.notes {
        eprintln!("note: {note}");
    }
    Ok(())
}
