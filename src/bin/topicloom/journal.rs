//! `topicloom inspect`: what a journal holds.

use topicloom::Result;
use topicloom::journal::{Entry, JournalReader};
use topicloom::llm::Usage;

use crate::args::InspectArgs;

/// Shows plan, progress, failures and usage; with a task, the raw answers to it.
pub(crate) fn inspect(args: &InspectArgs) -> Result<()> {
    let mut reader = JournalReader::open(&args.journal)?;
    let mut seen = Seen::default();
    for entry in reader.by_ref() {
        let entry = entry?;
        match (args.task, &entry) {
            (None, _) if args.raw => println!("{}", json(&entry)),
            (None, _) => seen.take(&entry),
            (Some(task), Entry::Answered(answer)) if answer.task == task => {
                eprintln!(
                    "task {task}, asked of {}, ended with {:?}, {} tokens in, {} out",
                    answer.model,
                    answer.response.finish_reason,
                    answer.response.usage.input_tokens,
                    answer.response.usage.output_tokens
                );
                println!("{}", answer.response.text);
            }
            (Some(task), Entry::Failed(failure)) if failure.task == task => {
                eprintln!(
                    "task {task}, asked of {}, failed: {}",
                    failure.model, failure.kind
                );
            }
            (Some(_), _) => {}
        }
    }
    if args.task.is_none() && !args.raw {
        seen.show();
    }
    if reader.cut_off() > 0 {
        eprintln!(
            "note: {} bytes at the end belong to an entry that was cut off",
            reader.cut_off()
        );
    }
    Ok(())
}

fn json(entry: &Entry) -> String {
    serde_json::to_string(entry).expect("an entry has no key that JSON cannot hold")
}

#[derive(Default)]
struct Seen {
    topics: Vec<(String, u64, u64, u64)>,
    usage: Usage,
    failed_calls: u64,
    ended: Vec<String>,
}

impl Seen {
    fn take(&mut self, entry: &Entry) {
        match entry {
            Entry::Started(header) => println!(
                "format {}, written by topicloom {}, seed {}",
                header.format, header.library, header.seed
            ),
            Entry::TopicAnswered(answer) => self.usage += answer.response.usage,
            Entry::Planned(plan) => {
                self.topics = plan
                    .topics
                    .iter()
                    .map(|topic| (topic.topic.to_string(), topic.quota, 0, 0))
                    .collect();
            }
            Entry::Answered(answer) => {
                self.usage += answer.response.usage;
                self.failed_calls += answer.failed_calls.len() as u64;
                if let Some(topic) = self.topics.get_mut(answer.topic) {
                    topic.2 += 1;
                }
            }
            Entry::Failed(failure) => {
                self.failed_calls += failure.failed_calls.len() as u64;
                if let Some(topic) = self.topics.get_mut(failure.topic) {
                    topic.3 += 1;
                }
            }
            Entry::Finished { outcome } => self.ended.push(outcome.to_string()),
            _ => {}
        }
    }

    fn show(&self) {
        println!("   quota  answers   failed  topic");
        for (name, quota, answers, failed) in &self.topics {
            println!("{quota:>8} {answers:>8} {failed:>8}  {name}");
        }
        println!(
            "{} tokens in, {} out; {} calls failed",
            self.usage.input_tokens, self.usage.output_tokens, self.failed_calls
        );
        match self.ended.last() {
            Some(outcome) => println!("ended: {outcome}"),
            None => println!("not ended: `topicloom resume` goes on with it"),
        }
    }
}
