//! Topics that a model invents.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::json;

use super::collected::Collected;
use super::listed::listed;
use super::{Topic, TopicProvider, TopicRequest};
use crate::error::{ErrorKind, Result};
use crate::llm::{
    ChatRequest, FinishReason, OutputFormat, OutputMode, OutputSchema, Parameters, Purpose,
};
use crate::prompt::TopicsContext;
use crate::random::Random;

/// Asks the run's topic model for topics, in batches, until there are enough or it has nothing new to say.
///
/// Every ask shows the names there are. What an answer repeats is left out and asked for again, and so is what is
/// no name: a sentence, a refusal, a blank, an endless text. It gives up after a few asks in a row that
/// brought nothing new, and after about twice as many asks as a model that never repeats itself would need;
/// then it returns what it has.
///
/// An error that ends the run is passed on at once. Any other costs the ask; it is passed on if no ask at all was answered.
#[derive(Debug, Clone)]
pub struct GeneratedTopics {
    batch_size: usize,
    patience: usize,
}

impl GeneratedTopics {
    /// Creates a provider that asks for up to 50 topics at once and gives up after 3 asks in a row that
    /// brought nothing new.
    #[must_use]
    pub fn new() -> Self {
        Self {
            // Some 300 tokens of answer: far from any output limit, and few enough for a model to oversee
            // what it has named already.
            batch_size: 50,
            // A list of names is hardly ever of no use three times in a row by chance.
            patience: 3,
        }
    }

    /// Sets how many topics are asked for at once; at least 1.
    #[must_use]
    pub fn batch_size(mut self, topics: usize) -> Self {
        self.batch_size = topics.max(1);
        self
    }

    /// Sets after how many asks in a row that brought nothing new it gives up; at least 1.
    #[must_use]
    pub fn patience(mut self, asks: usize) -> Self {
        self.patience = asks.max(1);
        self
    }

    /// Each ask may bring half of what it asks for, and the last few come hard.
    fn most_asks(&self, count: usize) -> usize {
        count
            .div_ceil(self.batch_size)
            .saturating_mul(2)
            .saturating_add(self.patience)
    }

    async fn ask(
        &self,
        request: &TopicRequest<'_>,
        collected: &Collected,
        ask: usize,
    ) -> Result<Vec<String>> {
        let known = request.existing.iter().chain(collected.topics());
        let names: Vec<&str> = known.map(Topic::name).collect();
        let (shown, omitted) = both_ends(&names, MOST_SHOWN);
        let count = collected.missing().min(self.batch_size);
        let context = TopicsContext::new(request.instruction, count).with_existing(&shown, omitted);
        let seed = Random::new(request.seed).nth(ask as u64).next_u64();
        ask_for_names(request, &context, seed).await
    }
}

impl Default for GeneratedTopics {
    fn default() -> Self {
        Self::new()
    }
}

#[async_trait]
impl TopicProvider for GeneratedTopics {
    async fn topics(&self, request: &TopicRequest<'_>) -> Result<Vec<Topic>> {
        let mut collected = Collected::invented(request);
        let mut barren = 0;
        let mut answered = false;
        let mut last_error = None;
        for ask in 0..self.most_asks(request.count) {
            if collected.missing() == 0 || barren == self.patience {
                break;
            }
            let mut new = 0;
            match self.ask(request, &collected, ask).await {
                Ok(names) => {
                    answered = true;
                    for name in names {
                        let is_wanted = collected.missing() > 0;
                        let is_new = collected.offer(Topic::new(name));
                        if is_wanted && !is_new {
                            request.refused.add(REPEATED);
                        }
                        new += usize::from(is_new);
                    }
                }
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => last_error = Some(error),
            }
            barren = if new == 0 { barren + 1 } else { 0 };
        }
        match last_error {
            Some(error) if !answered => Err(error),
            _ => Ok(collected.into_topics()),
        }
    }
}

/// Names shown in a prompt at most: at some five tokens a name, 1 500 tokens. What is not shown and comes again is
/// noticed all the same.
pub(super) const MOST_SHOWN: usize = 300;

/// Asks the run's topic model and returns what is a name in its answer. `seed` is no other ask's: a journal knows an
/// answer by it.
///
/// The answer has a limit unless the caller gave one: the schema's on how many names there are, and one on its tokens, for
/// a model that does not stop. Where that cut off an answer before its first name, as hidden reasoning does, it is asked
/// once more with more room.
pub(super) async fn ask_for_names(
    request: &TopicRequest<'_>,
    context: &TopicsContext<'_>,
    seed: u64,
) -> Result<Vec<String>> {
    let messages = request.prompts.topics(context)?;
    let ask = async |room: u64, seed: u64| {
        let mut parameters = Parameters::clone(&request.parameters);
        let is_limited = parameters.limits_output();
        if !is_limited {
            parameters.max_tokens =
                Some(room * (TOKENS_OF_ALL + TOKENS_OF_A_NAME * context.count as u64));
        }
        let chat = ChatRequest::new(messages.clone())
            .with_output(OutputFormat::Schema(Arc::new(answer(context.count))))
            .with_parameters(Arc::new(parameters))
            .with_purpose(Purpose::Topics)
            .with_seed(seed);
        match request.model.complete(&chat).await {
            Ok(response) => {
                let listed = listed(&response.text);
                let mut names = Vec::new();
                for name in without_markers(&listed) {
                    match fault_of(name) {
                        None => names.push(name.to_owned()),
                        Some(fault) => request.refused.add(fault),
                    }
                }
                let wants_room = names.is_empty()
                    && !is_limited
                    && response.finish_reason == FinishReason::Length;
                Ok((names, wants_room))
            }
            // The model's way of saying that it has nothing to say.
            Err(error) if error.kind() == ErrorKind::ContentFilter => Ok((Vec::new(), false)),
            Err(error) => Err(error),
        }
    };
    let (names, wants_room) = ask(1, seed).await?;
    if !wants_room {
        return Ok(names);
    }
    let again = Random::new(seed).fork("more room").next_u64();
    ask(MORE_ROOM, again).await.map(|(names, _)| names)
}

/// The room for one name: a dozen words in a language that takes three tokens a word.
const TOKENS_OF_A_NAME: u64 = 32;

/// The room for what stands around the names, and for some thought.
const TOKENS_OF_ALL: u64 = 1_024;

/// How much more room an answer gets that was cut off before its first name.
const MORE_ROOM: u64 = 8;

/// The form of an answer with up to this many names.
fn answer(count: usize) -> OutputSchema {
    let schema = json!({
        "type": "object",
        "properties": {"topics": {"type": "array", "items": {"type": "string"}, "maxItems": count}},
        "required": ["topics"],
        "additionalProperties": false,
    });
    OutputSchema::new("topics", schema, OutputMode::Strict)
}

/// Returns the first and the last names of a list that is too long, and how many are left out between them.
///
/// The first ones are the caller's own and what comes to a model's mind first; the last ones are what it is
/// busy with.
pub(super) fn both_ends<'a>(names: &[&'a str], most: usize) -> (Vec<&'a str>, usize) {
    let omitted = names.len().saturating_sub(most);
    if omitted == 0 {
        return (names.to_vec(), 0);
    }
    let (first, rest) = names.split_at(most / 2);
    ([first, &rest[omitted..]].concat(), omitted)
}

/// Returns the answers that are not blank, without the numbers or bullets of a list.
fn without_markers(answers: &[String]) -> Vec<&str> {
    let trimmed = answers.iter().map(|answer| answer.trim());
    let trimmed: Vec<&str> = trimmed.filter(|name| !name.is_empty()).collect();
    // A number before every name is the list's; before one of them it is the name's own, as in `3. Liga`.
    let numbered: Option<Vec<&str>> = trimmed.iter().map(|name| after_marker(name)).collect();
    match numbered {
        Some(names) if names.len() > 1 => names,
        _ => trimmed,
    }
}

fn after_marker(name: &str) -> Option<&str> {
    let digits = name.trim_start_matches(|character: char| character.is_ascii_digit());
    let rest = if digits.len() < name.len() {
        digits.strip_prefix(['.', ')', ':'])?
    } else {
        name.strip_prefix(['-', '*', '•'])?
    };
    let after = rest.trim_start();
    (after.len() < rest.len()).then_some(after)
}

/// What is wrong with a name that was there already.
pub(super) const REPEATED: &str = "repeats another";

/// Returns why a text does not name something, but says something.
fn fault_of(text: &str) -> Option<&'static str> {
    /// The prompt asks for eight words; beyond twice that it is a description.
    const MOST_WORDS: usize = 16;
    /// What sixteen long words come to; also a bound for languages without spaces.
    const MOST_CHARACTERS: usize = 160;
    /// Short texts may end in a full stop, as in `Tesla Inc.`
    const WORDS_OF_A_SENTENCE: usize = 5;

    // Counts no further than it has to: an answer may be megabytes long.
    if text.chars().nth(MOST_CHARACTERS).is_some() {
        return Some("more than 160 characters");
    }
    let words = text.split_whitespace().count();
    let last = text.split_whitespace().next_back().unwrap_or_default();
    let abbreviated = last.trim_end_matches('.').contains('.');
    let ends_a_sentence = text.ends_with(['.', '!', ':', '…', '。']) && !abbreviated;
    if text.chars().any(char::is_control) || !text.chars().any(char::is_alphanumeric) {
        Some("no letter, or several lines")
    } else if is_refusal(text) {
        Some("declines to name one")
    } else if words > MOST_WORDS {
        Some("more than 16 words")
    } else if ends_a_sentence && words >= WORDS_OF_A_SENTENCE {
        Some("a sentence")
    } else {
        None
    }
}

fn is_refusal(text: &str) -> bool {
    const OPENINGS: [&str; 9] = [
        "i'm sorry",
        "i am sorry",
        "sorry,",
        "i cannot",
        "i can't",
        "i'm unable",
        "i am unable",
        "as an ai",
        "unfortunately,",
    ];
    let plain = text.replace('\u{2019}', "'").to_lowercase();
    OPENINGS.iter().any(|opening| plain.starts_with(opening))
}

#[cfg(all(test, feature = "testing"))]
mod tests {
    use super::super::test_request::{names, request};
    use super::*;
    use crate::error::{Error, Retry};
    use crate::llm::ChatResponse;
    use crate::testing::{ScriptedAnswer, scripted};

    fn answer(names: &[&str]) -> ScriptedAnswer {
        json!({"topics": names}).into()
    }

    #[tokio::test]
    async fn what_is_missing_is_asked_for_again_and_what_there_is_is_shown() {
        let model = scripted([
            answer(&["tides", "Currents", "tides ", "", "SALINITY"]),
            "Sure! ```json\n{\"topics\": [\"currents\", \"corals\", \"reefs\",]}\n```".into(),
        ]);
        let existing = [Topic::new("salinity")];
        let request = request(4, &model).with_existing(&existing).with_seed(7);
        let topics = GeneratedTopics::new().topics(&request).await.unwrap();
        assert_eq!(names(&topics), ["tides", "Currents", "corals", "reefs"]);

        let asked = model.requests();
        assert!(asked[0].last_text().contains("\n- salinity\n"));
        assert!(asked[0].last_text().contains("4 new topics"));
        for name in ["salinity", "tides", "Currents"] {
            assert!(asked[1].last_text().contains(&format!("\n- {name}\n")));
        }
        assert!(asked[1].last_text().contains("2 new topics"));
        assert_eq!(asked[0].purpose, Purpose::Topics);
        assert_ne!(asked[0].seed, asked[1].seed);
        // What stays the same comes first, so that the provider can cache it.
        assert_eq!(asked[0].messages[0], asked[1].messages[0]);
        assert!(asked[0].messages[0].ends_stable_prefix);
    }

    #[tokio::test]
    async fn topics_are_asked_for_in_batches() {
        let model = scripted([
            answer(&["a", "b"]),
            answer(&["c", "d"]),
            answer(&["e", "f"]),
        ]);
        let provider = GeneratedTopics::new().batch_size(2);
        let topics = provider.topics(&request(5, &model)).await.unwrap();
        assert_eq!(names(&topics), ["a", "b", "c", "d", "e"]);
        assert!(model.requests()[2].last_text().contains("1 new topic."));
    }

    #[tokio::test]
    async fn a_model_that_repeats_itself_is_given_up_with_what_it_gave() {
        let model = scripted(["a", "a", "a", "a"].map(|name| answer(&[name])));
        let topics = GeneratedTopics::new()
            .topics(&request(9, &model))
            .await
            .unwrap();
        assert_eq!(names(&topics), ["a"]);
        assert_eq!(model.unused(), 0);
    }

    #[tokio::test]
    async fn a_model_that_trickles_is_given_up_too() {
        let answers: Vec<_> = (0..50)
            .map(|index| answer(&[&format!("t{index}")]))
            .collect();
        let model = scripted(answers);
        let topics = GeneratedTopics::new()
            .topics(&request(40, &model))
            .await
            .unwrap();
        assert_eq!(
            topics.len(),
            5,
            "two asks for one batch, and three of patience"
        );
    }

    #[tokio::test]
    async fn an_answer_is_bounded_and_one_cut_off_before_its_first_name_gets_more_room() {
        let thinking = ChatResponse::new("").with_finish_reason(FinishReason::Length);
        let model = scripted([thinking.into(), answer(&["tides", "reefs"])]);
        let topics = GeneratedTopics::new()
            .topics(&request(2, &model))
            .await
            .unwrap();
        assert_eq!(names(&topics), ["tides", "reefs"]);
        let asked = model.requests();
        let limits: Vec<_> = asked.iter().map(|ask| ask.parameters.max_tokens).collect();
        assert_eq!(limits, [Some(1_088), Some(8_704)]);
        assert_ne!(asked[0].seed, asked[1].seed);
        let OutputFormat::Schema(schema) = &asked[0].output else {
            panic!("it asks with a schema");
        };
        assert_eq!(schema.schema["properties"]["topics"]["maxItems"], 2);
    }

    #[tokio::test]
    async fn refusals_and_sentences_are_no_topics() {
        let model = scripted([
            ScriptedAnswer::from("I'm sorry, but I can't help with that."),
            json!({"topics": ["I\u{2019}m sorry, no", "...", "Here are some topics for you:", "a\u{7}b"]}).into(),
            json!({"topics": ["x".repeat(1_000_000), "word ".repeat(40)]}).into(),
        ]);
        let request = request(2, &model);
        let topics = GeneratedTopics::new().topics(&request).await.unwrap();
        assert!(topics.is_empty(), "{topics:?}");
        let why = request.refused.take().expect("it says why");
        for reason in [
            "declines to name one (1)",
            "no letter, or several lines (2)",
            "more than 160 characters (2)",
            "a sentence (1)",
        ] {
            assert!(why.contains(reason), "{why}");
        }
    }

    #[tokio::test]
    async fn a_fatal_error_is_passed_on_at_once_and_a_passing_one_costs_an_ask() {
        let model = scripted([ScriptedAnswer::from(ErrorKind::Quota)]);
        let error = GeneratedTopics::new()
            .topics(&request(1, &model))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Quota);

        let exhausted = || Error::new(ErrorKind::Timeout, "too late").with_retry(Retry::Never);
        let model = scripted([exhausted().into(), answer(&["a"])]);
        let topics = GeneratedTopics::new()
            .topics(&request(1, &model))
            .await
            .unwrap();
        assert_eq!(names(&topics), ["a"]);

        let model = scripted([exhausted(), exhausted(), exhausted()]);
        let error = GeneratedTopics::new()
            .topics(&request(1, &model))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout);
    }

    #[tokio::test]
    async fn nothing_is_asked_where_nothing_is_wanted() {
        let model = scripted(Vec::<ScriptedAnswer>::new());
        assert!(
            GeneratedTopics::new()
                .topics(&request(0, &model))
                .await
                .unwrap()
                .is_empty()
        );
    }

    #[tokio::test]
    async fn a_long_list_of_existing_names_is_shown_in_part() {
        let existing: Vec<Topic> = (0..1_000)
            .map(|index| Topic::new(format!("t{index}")))
            .collect();
        let model = scripted([answer(&["t500", "new"])]);
        let request = request(1, &model).with_existing(&existing);
        let topics = GeneratedTopics::new().topics(&request).await.unwrap();
        assert_eq!(
            names(&topics),
            ["new"],
            "t500 was not shown, and is noticed all the same"
        );
        let asked = model.requests()[0].last_text().to_owned();
        assert_eq!(asked.matches("\n- ").count(), 300);
        assert!(asked.contains("700 more"));
        assert!(asked.contains("\n- t0\n") && asked.contains("\n- t999\n"));
    }

    #[test]
    fn markers_of_a_list_are_taken_off_where_every_name_has_one() {
        let names = |answers: &[&str]| {
            let answers: Vec<String> = answers.iter().map(|name| (*name).to_owned()).collect();
            without_markers(&answers).join("|")
        };
        assert_eq!(names(&["1. tides", "2. reefs"]), "tides|reefs");
        assert_eq!(names(&["- tides", "* reefs"]), "tides|reefs");
        assert_eq!(names(&["3. Liga", "Bundesliga"]), "3. Liga|Bundesliga");
        assert_eq!(names(&["2001: A Space Odyssey"]), "2001: A Space Odyssey");
        assert_eq!(
            names(&["-40 degrees", "1.5 volts"]),
            "-40 degrees|1.5 volts"
        );
    }

    #[test]
    fn names_may_look_like_sentences_if_they_are_short() {
        for name in [
            "Tesla Inc.",
            "The early history of the U.S.",
            "Why do we dream?",
            "海洋学",
        ] {
            assert_eq!(fault_of(name), None, "{name}");
        }
        for text in [
            "Here is a list of topics:",
            "The sea is deep and blue.",
            "—",
            "a\nb",
        ] {
            assert!(fault_of(text).is_some(), "{text}");
        }
    }
}
