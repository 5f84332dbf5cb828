//! A preview in words, for a terminal.

use std::fmt::{self, Write};

use super::{AnswerPreview, CallPreview, Preview, RecordPreview, RecordVerdict, TaskPreview};
use crate::llm::price::Usd;
use crate::llm::{FinishReason, Message, OutputFormat, OutputMode, Role};

impl fmt::Display for Preview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut told = Vec::new();
        for task in &self.tasks {
            show_task(f, task, &mut told)?;
        }
        let (usage, spending) = (self.report.usage(), &self.report.spending);
        write!(
            f,
            "== {} records of {} tasks; {} calls; {} tokens in, {} out",
            self.report.accepted,
            self.tasks.len(),
            self.report.calls_made(),
            usage.input_tokens,
            usage.output_tokens,
        )?;
        if spending.cost > Usd::ZERO {
            write!(f, "; {}", spending.cost)?;
        }
        writeln!(f)?;
        for (reason, count) in self.report.most_invalid() {
            writeln!(f, "-- {count} invalid: {reason}")?;
        }
        Ok(())
    }
}

impl fmt::Display for TaskPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        show_task(f, self, &mut Vec::new())
    }
}

/// Shows a task. A message that was shown already, to whichever task, is not shown again.
fn show_task(
    f: &mut fmt::Formatter<'_>,
    task: &TaskPreview,
    told: &mut Vec<Message>,
) -> fmt::Result {
    writeln!(
        f,
        "== task {}: {}\n",
        task.task,
        Printable(task.topic.name())
    )?;
    for (number, call) in (1..).zip(&task.calls) {
        show_call(f, call, number, told)?;
    }
    if let Some(error) = &task.error {
        writeln!(f, "-- failed: {error}\n")?;
        return Ok(());
    }
    if let Some(fault) = task.fault {
        writeln!(f, "-- the answer has a fault: {fault}")?;
    }
    let repairs: Vec<String> = task
        .repairs
        .iter()
        .map(|(repair, times)| format!("{repair} ({times})"))
        .collect();
    if !repairs.is_empty() {
        writeln!(f, "-- repaired: {}", repairs.join(", "))?;
    }
    let coercions: Vec<String> = task.coercions.iter().map(ToString::to_string).collect();
    if !coercions.is_empty() {
        writeln!(f, "-- given another type: {}", coercions.join(", "))?;
    }
    if task.records.is_empty() {
        writeln!(f, "-- no record was found\n")?;
    }
    for record in &task.records {
        writeln!(f, "-- {record}\n")?;
    }
    Ok(())
}

fn show_call(
    f: &mut fmt::Formatter<'_>,
    call: &CallPreview,
    number: usize,
    told: &mut Vec<Message>,
) -> fmt::Result {
    let again = if number == 1 { "" } else { ", once more" };
    writeln!(f, "-- to {}{again} ({})", call.model, asked(&call.output))?;
    for message in &call.messages {
        let role = match message.role {
            Role::System => "system",
            Role::User => "user",
            Role::Assistant => "assistant",
        };
        if told.contains(message) {
            writeln!(f, "[{role}] as above")?;
            continue;
        }
        writeln!(f, "[{role}]\n{}", Printable(message.text.trim_end()))?;
        told.push(message.clone());
    }
    writeln!(f)?;
    match &call.end {
        Some(Ok(answer)) => writeln!(f, "{answer}\n"),
        Some(Err(error)) => {
            writeln!(f, "-- no answer: {error}")?;
            if let Some(words) = &call.provider_words {
                writeln!(f, "-- the provider's words: {}", Printable(words))?;
            }
            writeln!(f)
        }
        None => writeln!(f, "-- no answer that was waited for\n"),
    }
}

/// Says how the answer is to be formed.
fn asked(output: &OutputFormat) -> &'static str {
    match output {
        OutputFormat::Text => "the schema is in the prompt",
        OutputFormat::Json => "as JSON; the schema is in the prompt",
        OutputFormat::Schema(schema) => match schema.mode {
            OutputMode::Strict => "with a schema that the provider enforces",
            OutputMode::Tool => "with a tool to call",
            _ => "with a schema",
        },
    }
}

fn ended(finish_reason: FinishReason) -> &'static str {
    match finish_reason {
        FinishReason::Stop => "whole",
        FinishReason::Length => "cut off at the output limit",
        FinishReason::ContentFilter => "stopped by the provider's content filter",
        FinishReason::Refusal => "declined",
        FinishReason::Other => "ended for another reason",
    }
}

impl fmt::Display for AnswerPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            text,
            usage,
            finish_reason,
        } = self;
        write!(
            f,
            "-- answer: {} tokens in, {} out, {ended}\n{}",
            usage.input_tokens,
            usage.output_tokens,
            Printable(text.trim_end()),
            ended = ended(*finish_reason),
        )
    }
}

impl fmt::Display for RecordPreview {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.verdict)?;
        match &self.data {
            Some(data) => {
                let json = serde_json::to_string_pretty(data).map_err(|_| fmt::Error)?;
                write!(f, "\n{}", Printable(&json))
            }
            None => Ok(()),
        }
    }
}

impl fmt::Display for RecordVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { ordinal } => write!(f, "record {ordinal}: accepted"),
            Self::Rejected {
                rejection,
                reason,
                repeats,
            } => {
                write!(f, "rejected: {rejection}")?;
                if let Some(found) = repeats {
                    write!(f, " of {} (similarity {:.2})", found.of, found.similarity)?;
                }
                match reason {
                    Some(reason) => write!(f, ": {}", Printable(reason)),
                    None => Ok(()),
                }
            }
        }
    }
}

/// Text of a model, which may hold anything: what would move the cursor, colour the terminal or turn the direction of
/// writing is written as its code.
struct Printable<'a>(&'a str);

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            let is_plain = !character.is_control() && !turns_direction(character);
            if is_plain || matches!(character, '\n' | '\t') {
                f.write_char(character)?;
            } else {
                write!(f, "\\u{{{:x}}}", u32::from(character))?;
            }
        }
        Ok(())
    }
}

fn turns_direction(character: char) -> bool {
    matches!(character, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_model_writes_cannot_steer_the_terminal() {
        let text = "a\u{1b}[31mred\u{9b}K\r\u{202e}b\n\tc é 字";
        let shown = Printable(text).to_string();
        assert_eq!(shown, "a\\u{1b}[31mred\\u{9b}K\\u{d}\\u{202e}b\n\tc é 字");
    }
}
