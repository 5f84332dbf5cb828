//! Pairs of answers to one prompt, of which one is the better: `{"prompt", "chosen", "rejected"}`.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use serde_json::{Map, Value, json};

use crate::candidate::Candidate;
use crate::error::Result;
use crate::filter::{Added, FilterVerdict, Judge, ModelFilter};
use crate::llm::{ChatRequest, FinishReason, LlmClient, Message, ModelName, Parameters};
use crate::scores::{Scores, Vote};

/// The fields of the two answers.
const ANSWERS: [&str; 2] = ["chosen", "rejected"];

/// Where the other answer comes from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Preference {
    /// The model that gives it; the one that writes records unless given.
    pub(crate) rejected_model: Option<ModelName>,
    /// Parameters of its call.
    pub(crate) model_kwargs: Arc<Parameters>,
}

/// Returns the shape of a whole pair, or of what the model is asked to write of it.
pub(super) fn schema(whole: bool) -> Value {
    let text = |about: &str| json!({"type": "string", "description": about});
    let mut fields = Map::from_iter([
        (
            "prompt".to_owned(),
            text(
                "What a user asks for, in their own words. It says all that is needed to answer it.",
            ),
        ),
        (
            "chosen".to_owned(),
            text("The answer to it, as good as it can be."),
        ),
    ]);
    if whole {
        fields.insert(
            "rejected".to_owned(),
            text("The answer that is not as good."),
        );
    }
    let names: Vec<String> = fields.keys().cloned().collect();
    json!({"type": "object", "properties": fields, "required": names, "additionalProperties": false})
}

/// The output limit of the other answer unless the caller gave one.
const ROOM: u64 = 4_096;

/// Asks a model for another answer to the prompt of a record, which becomes its `rejected`.
#[derive(Debug)]
pub(crate) struct OtherAnswer {
    pub(crate) parameters: Arc<Parameters>,
}

/// Returns what a model answers, without what it thought first.
fn spoken(text: &str) -> &str {
    let after = text
        .rsplit_once("</think>")
        .map_or(text, |(_, after)| after);
    after.trim()
}

/// Returns whether two answers are the same but for case and white space.
fn are_same(one: &str, other: &str) -> bool {
    let words =
        |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_lowercase).collect() };
    words(one) == words(other)
}

#[async_trait]
impl ModelFilter for OtherAnswer {
    async fn check(
        &self,
        candidate: &Candidate<'_>,
        model: &dyn LlmClient,
    ) -> Result<FilterVerdict> {
        let mut parameters = Arc::clone(&self.parameters);
        if !parameters.limits_output() {
            Arc::make_mut(&mut parameters).max_tokens = Some(ROOM);
        }
        let prompt = Message::user(candidate.text("prompt").unwrap_or_default());
        let request = ChatRequest::new(vec![prompt]).with_parameters(parameters);
        let answer = model.complete(&request).await?;
        let text = spoken(&answer.text);
        let is_same = || {
            candidate
                .text("chosen")
                .is_some_and(|chosen| are_same(chosen, text))
        };
        Ok(match answer.finish_reason {
            FinishReason::Length => FilterVerdict::Reject("the other answer was cut off"),
            FinishReason::Refusal | FinishReason::ContentFilter => {
                FilterVerdict::Reject("the prompt got no other answer")
            }
            _ if text.is_empty() => FilterVerdict::Reject("the prompt got no other answer"),
            _ if is_same() => FilterVerdict::Reject("both answers are the same"),
            _ => FilterVerdict::Completed(Added::field(ANSWERS[1], text)),
        })
    }

    fn key(&self) -> String {
        json!(["other answer 1", self.parameters.key()]).to_string()
    }
}

/// Has a judge score both answers of a pair, and takes those of which it accepts exactly one, which becomes `chosen`.
#[derive(Debug)]
pub(crate) struct PairJudge(pub(crate) Judge);

impl PairJudge {
    /// Returns whether each of the two answers is accepted.
    fn accepts(&self, scores: &Scores) -> [bool; 2] {
        let means = scores.means();
        ANSWERS.map(|answer| {
            let own = means.iter().filter_map(|(name, mean)| {
                let name = name.strip_prefix(answer)?.strip_prefix('.')?;
                Some((name, *mean))
            });
            self.0.accepts(&own.collect())
        })
    }
}

#[async_trait]
impl ModelFilter for PairJudge {
    async fn check(
        &self,
        candidate: &Candidate<'_>,
        model: &dyn LlmClient,
    ) -> Result<FilterVerdict> {
        // By itself, and under the same name: the judge does not know which is which.
        let shown = ANSWERS.map(|answer| {
            let text = |name: &str| Value::from(candidate.text(name).unwrap_or_default());
            Map::from_iter([
                ("prompt".to_owned(), text("prompt")),
                ("answer".to_owned(), text(answer)),
            ])
        });
        let [one, other] = shown
            .each_ref()
            .map(|data| Candidate::new(candidate.topic(), data));
        let votes =
            futures::future::try_join(self.0.votes_on(&one, model), self.0.votes_on(&other, model));
        let (one, other) = votes.await?;
        let pairs = one.into_iter().zip(other).map(|(one, other)| {
            // What is wrong with the answer of the model that is asked again.
            let words = one.words.clone();
            let scores = ANSWERS
                .into_iter()
                .zip([one, other])
                .flat_map(|(answer, vote)| {
                    let scores = vote.scores.into_iter();
                    scores.map(move |(name, score)| (format!("{answer}.{name}"), score))
                });
            Vote::new(scores.collect(), words)
        });
        Ok(FilterVerdict::Scored(Scores::new(pairs.collect())))
    }

    fn key(&self) -> String {
        format!("pairs, each by {}", self.0.key())
    }

    fn refuses(&self, scores: &Scores) -> Option<&'static str> {
        match self.accepts(scores) {
            [true, true] => Some("the judge accepts both answers"),
            [false, false] => Some("the judge accepts neither answer"),
            _ => None,
        }
    }

    fn settle(&self, record: &mut Map<String, Value>, scores: &mut Scores) -> bool {
        if self.accepts(scores) != [false, true] {
            return false;
        }
        let [chosen, rejected] = ANSWERS.map(|name| record.get(name).cloned().unwrap_or_default());
        record.insert(ANSWERS[0].to_owned(), rejected);
        record.insert(ANSWERS[1].to_owned(), chosen);
        let votes = scores.votes().iter().cloned().map(|mut vote| {
            let named = mem::take(&mut vote.scores).into_iter();
            vote.scores = named
                .map(|(name, score)| (swapped(&name), score))
                .collect::<BTreeMap<_, _>>();
            vote
        });
        *scores = Scores::new(votes.collect());
        true
    }

    fn rule(&self) -> String {
        self.0.rule()
    }
}

/// Returns the same name of the other answer.
fn swapped(name: &str) -> String {
    let [chosen, rejected] = ANSWERS;
    match (name.strip_prefix(chosen), name.strip_prefix(rejected)) {
        (Some(rest), _) => format!("{rejected}{rest}"),
        (_, Some(rest)) => format!("{chosen}{rest}"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::filter::Criterion;
    use crate::llm::ChatResponse;

    /// Answers as a test says.
    struct Says(Box<dyn Fn(&str) -> ChatResponse + Send + Sync>);

    impl std::fmt::Debug for Says {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Says")
        }
    }

    #[async_trait]
    impl LlmClient for Says {
        async fn complete(&self, request: &ChatRequest) -> Result<ChatResponse> {
            assert!(
                request.parameters.limits_output(),
                "a cap has something to hold"
            );
            Ok((self.0)(request.last_text()))
        }

        fn model(&self) -> &'static str {
            "test/says"
        }
    }

    fn pair(chosen: &str, rejected: &str) -> Map<String, Value> {
        let pair =
            json!({"prompt": "Why is the sea salty?", "chosen": chosen, "rejected": rejected});
        pair.as_object().cloned().expect("it is an object")
    }

    #[tokio::test]
    async fn other_answers_as_models_give_them() {
        const NONE: Result<&str, &str> = Err("the prompt got no other answer");
        use FinishReason::{ContentFilter, Length, Refusal, Stop};
        for (text, reason, expected) in [
            ("Because of the fish.", Stop, Ok("Because of the fish.")),
            ("\n\n  It just is.\n", Stop, Ok("It just is.")),
            (
                "**Salt** comes from:\n- rivers",
                Stop,
                Ok("**Salt** comes from:\n- rivers"),
            ),
            ("{\"answer\": \"salt\"}", Stop, Ok("{\"answer\": \"salt\"}")),
            ("I do not know, sorry.", Stop, Ok("I do not know, sorry.")),
            ("<think>Rivers?</think>\n\nFish.", Stop, Ok("Fish.")),
            ("<think>Rivers?</think>", Stop, NONE),
            (" ", Stop, NONE),
            (
                "rivers  BRING salt.",
                Stop,
                Err("both answers are the same"),
            ),
            ("Well, rivers", Length, Err("the other answer was cut off")),
            ("I can't help with that.", Refusal, NONE),
            ("", ContentFilter, NONE),
        ] {
            let says = move |_: &str| ChatResponse::new(text).with_finish_reason(reason);
            let mut record = pair("Rivers bring salt.", "");
            record.shift_remove("rejected");
            let parameters = Arc::default();
            let filter = OtherAnswer { parameters };
            let candidate = Candidate::new("the sea", &record);
            let verdict = filter.check(&candidate, &Says(Box::new(says))).await;
            let expected = match expected {
                Ok(text) => FilterVerdict::Completed(Added::field("rejected", text)),
                Err(reason) => FilterVerdict::Reject(reason),
            };
            assert_eq!(verdict.expect("it decides"), expected);
        }
    }

    #[tokio::test]
    async fn a_pair_has_one_answer_that_the_judge_accepts() {
        let judge = Judge::new([Criterion::new("good")], "good >= 4").expect("a judge");
        let judge = PairJudge(judge.votes(2));
        // As many points as the answer has words.
        let points = Says(Box::new(|asked| {
            let (_, record) = asked.split_once("Record: ").expect("it is shown a record");
            let record: Value = serde_json::from_str(record).expect("it is JSON");
            assert_eq!(
                record.as_object().map(Map::len),
                Some(2),
                "which is which is not told"
            );
            let words = record["answer"]
                .as_str()
                .map_or(0, |text| text.split(' ').count());
            ChatResponse::new(json!({"words": "", "good": words}).to_string())
        }));
        for (chosen, rejected, expected) in [
            ("It is the rivers.", "Fish.", Ok("It is the rivers.")),
            ("Fish.", "It is the rivers.", Ok("It is the rivers.")),
            ("Fish.", "Salt.", Err("the judge accepts neither answer")),
            (
                "It is the rivers.",
                "Rocks, rain and rivers.",
                Err("the judge accepts both answers"),
            ),
        ] {
            let mut record = pair(chosen, rejected);
            let candidate = Candidate::new("the sea", &record);
            let verdict = judge.check(&candidate, &points).await.expect("it decides");
            let FilterVerdict::Scored(mut scores) = verdict else {
                panic!("{verdict:?}");
            };
            if let Some(reason) = judge.refuses(&scores) {
                assert_eq!(Err(reason), expected);
                continue;
            }
            judge.settle(&mut record, &mut scores);
            assert_eq!(expected, Ok(record["chosen"].as_str().expect("a text")));
            let means = scores.means();
            assert!(
                means["chosen.good"] >= 4.0 && means["rejected.good"] < 4.0,
                "{means:?}"
            );
            assert_ne!(record["chosen"], record["rejected"]);
        }
    }
}
