//! The state of a run, as a fold over what happened. Pure: no I/O, no clock, no async.
//!
//! Whether a record is accepted depends only on the order in which answers are settled, never on when tasks
//! were issued; so folding a journal gives the same records as the run that wrote it.

mod asked_again;
mod breaker;
mod open_topics;
mod pass_rates;
mod request_sizes;
#[cfg(test)]
mod simulated;
mod topic_stats;

use self::breaker::Breaker;
use self::open_topics::OpenTopics;
use self::pass_rates::PassRates;
use self::request_sizes::RequestSizes;
use crate::diversity::Sightings;
use crate::error::{Error, ErrorKind, Result};
use crate::guard::caught;
use crate::input::RecordsPerRequest;
use crate::outcome::{AnswerFault, EmptyAttempt, Rejection, TopicExhausted};
use crate::random::Random;
use crate::schedule::{SchedulingPolicy, TopicProgress};

pub(crate) use self::asked_again::AskedAgain;
pub(crate) use self::breaker::Opened;
pub(crate) use self::request_sizes::{AnswerEnd, AnswerSize};
pub(crate) use self::topic_stats::TopicStats;

/// Rounds in a row that gave nothing before a topic is given up, where the caller says no number: what was in flight together may
/// have come to nothing for one reason.
const FEWEST_ROUNDS: u32 = 3;

/// Failed calls say more about the provider than about the topic, so a topic may have three times as many.
const CALL_PATIENCE: u32 = 3;

/// Answers of which none gave a record that are too many for a run. At one record for ten answers, this many give none in one of
/// 40 000 runs.
const FRUITLESS: u64 = 100;

/// Rounds of answers that were all cut off before anything could be read, and after which more patience changes nothing: where
/// the limit is ours, it has grown by then, and where it is the caller's, only the caller can raise it.
const CUT_OFF: u64 = 6;

/// Misses in a row that give up a topic that never gave anything, where each was declined. Of prompts that are declined half of
/// the time, one topic in 4000 is given up for nothing.
const DECLINED: u32 = 12;

/// What the ledger decides by.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LedgerRules {
    /// Attempts in a row that give nothing before a topic is given up. Where there is no number, the evidence decides.
    pub(crate) miss_threshold: Option<u32>,
    /// Records asked for in one call.
    pub(crate) records_per_request: RecordsPerRequest,
    /// Calls that may be in flight, and tasks, some of which wait for a call.
    pub(crate) concurrency: u64,
    pub(crate) most_tasks: u64,
    /// Rounds of failing calls before the run is stopped.
    pub(crate) breaker_rounds: u32,
    /// Whether the open quota of a topic that is given up moves to the others.
    pub(crate) reallocate: bool,
    /// Seeds the order in which topics are served.
    pub(crate) seed: u64,
}

/// One ask: a topic and a number of records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Task {
    /// Unique in the run, counting from 0.
    pub(crate) id: u64,
    /// Index of the topic in the plan.
    pub(crate) topic: usize,
    /// Records asked for.
    pub(crate) wanted: u64,
    /// The round of misses it belongs to: 1, or one more than the rounds that gave nothing before it.
    pub(crate) round: u32,
    /// The breaker's mark at the time it was issued.
    epoch: u64,
}

impl Task {
    /// Creates the task that a journal tells of.
    pub(crate) fn replayed(id: u64, topic: usize, wanted: u64, round: u32) -> Self {
        Self {
            id,
            topic,
            wanted,
            round,
            epoch: 0,
        }
    }
}

/// What is known of a topic's luck beside its progress.
#[derive(Debug, Clone, Copy, Default)]
struct Streak {
    /// Rounds of misses in a row; a task is a new round only if it was issued after the round before it.
    rounds: u32,
    /// Failed calls in a row.
    failures: u32,
    /// Answers that gave nothing for which their output mode is to blame.
    excused: u32,
    /// Misses in a row that were declined.
    declined: u32,
    tasks_in_flight: u32,
    /// What it has open, as counted in the run's sum.
    open: u64,
}

/// The state of a run.
#[derive(Debug)]
pub(crate) struct Ledger {
    rules: LedgerRules,
    /// Quota moves between topics of the same group alone; empty where all are of one.
    groups: Vec<usize>,
    progress: Vec<TopicProgress>,
    streaks: Vec<Streak>,
    stats: Vec<TopicStats>,
    /// What each topic has left to give, as far as its repetitions tell.
    sightings: Vec<Sightings>,
    pass_rates: PassRates,
    sizes: RequestSizes,
    open: OpenTopics,
    breaker: Breaker,
    cut_off: CutOff,
    next_task: u64,
    quota: u64,
    accepted: u64,
    /// Records that may be asked for, over all topics.
    open_records: u64,
    tasks_in_flight: u64,
    /// Candidates of the answer that is being settled.
    candidates: AnswerCandidates,
}

/// What became of the candidates of one answer. Those for which there was no room say nothing.
#[derive(Debug, Clone, Copy, Default)]
struct AnswerCandidates {
    accepted: u64,
    rejected: u64,
}

impl AnswerCandidates {
    /// Returns the part that was accepted.
    #[allow(clippy::cast_precision_loss)] // An answer holds far fewer than 2⁵³.
    fn share_accepted(self) -> f64 {
        self.accepted as f64 / (self.accepted + self.rejected).max(1) as f64
    }
}

impl Ledger {
    /// Creates the state before the first task, from the quotas of the plan.
    pub(crate) fn new(quotas: &[u64], rules: LedgerRules) -> Self {
        let mut order: Vec<usize> = (0..quotas.len())
            .filter(|&topic| quotas[topic] > 0)
            .collect();
        Random::new(rules.seed)
            .fork("topic order")
            .shuffle(&mut order);
        let mut ledger = Self {
            rules,
            groups: Vec::new(),
            progress: quotas
                .iter()
                .map(|&quota| TopicProgress::new(quota))
                .collect(),
            streaks: vec![Streak::default(); quotas.len()],
            stats: vec![TopicStats::default(); quotas.len()],
            sightings: vec![Sightings::new(); quotas.len()],
            pass_rates: PassRates::new(quotas.len()),
            sizes: RequestSizes::new(rules.records_per_request),
            open: OpenTopics::new(quotas.len(), order),
            breaker: Breaker::new(rules.breaker_rounds),
            cut_off: CutOff::default(),
            next_task: 0,
            quota: quotas.iter().sum(),
            accepted: 0,
            open_records: 0,
            tasks_in_flight: 0,
            candidates: AnswerCandidates::default(),
        };
        (0..quotas.len()).for_each(|topic| ledger.refresh(topic));
        ledger
    }

    /// Sets the group of each topic.
    pub(crate) fn with_groups(mut self, groups: Vec<usize>) -> Self {
        self.groups = groups;
        self
    }

    /// Returns the next task, or `None` while nothing is open.
    ///
    /// # Errors
    ///
    /// Where the policy picks a topic that is not open.
    pub(crate) fn issue(&mut self, policy: &mut dyn SchedulingPolicy) -> Result<Option<Task>> {
        if self.open.as_slice().is_empty() {
            return Ok(None);
        }
        let topic = policy.pick(&self.progress, self.open.as_slice());
        if !self.open.contains(topic) {
            return Err(Error::new(
                ErrorKind::Plugin,
                "the scheduling policy picked a topic that is not open",
            ));
        }
        let task = Task {
            id: self.next_task,
            topic,
            wanted: self.progress[topic].open().min(self.records_at_once()),
            round: self.streaks[topic].rounds + 1,
            epoch: self.breaker.epoch(),
        };
        self.book(&task);
        Ok(Some(task))
    }

    fn records_at_once(&self) -> u64 {
        let free = |most: u64| most.saturating_sub(self.tasks_in_flight);
        let (calls, waiting) = (free(self.rules.concurrency), free(self.rules.most_tasks));
        let share = if calls > 0 { calls } else { waiting.max(1) };
        self.sizes.next(self.open_records, share)
    }

    /// Whether the next task would ask for more records if it were known that they fit into an answer.
    pub(crate) fn learns_from_first(&self) -> bool {
        self.sizes.is_unknown() && self.open_records > self.rules.most_tasks
    }

    /// Returns the output limit of a request for this many records, where models have lost themselves in loops.
    pub(crate) fn limit_after_loops(&self, records: u64) -> Option<u64> {
        self.sizes.limit(records)
    }

    /// Books a task that a journal tells of as in flight.
    ///
    /// # Errors
    ///
    /// Where the scheduling policy, which takes note of it, panics.
    pub(crate) fn replay(&mut self, task: &Task, policy: &mut dyn SchedulingPolicy) -> Result<()> {
        caught("the scheduling policy", || policy.replayed(task.topic))?;
        self.book(task);
        Ok(())
    }

    fn book(&mut self, task: &Task) {
        self.next_task = self.next_task.max(task.id + 1);
        self.stats[task.topic].tasks += 1;
        self.progress[task.topic].in_flight += task.wanted;
        self.streaks[task.topic].tasks_in_flight += 1;
        self.tasks_in_flight += 1;
        self.refresh(task.topic);
    }

    /// Returns whether another record of the topic would be accepted if it were new.
    pub(crate) fn has_room(&self, topic: usize) -> bool {
        self.progress[topic].accepted < self.progress[topic].quota
    }

    /// Takes note of how many records an answer held, and of how it ended.
    pub(crate) fn saw_size(&mut self, answer: &AnswerSize<'_>) {
        self.sizes.saw(answer);
    }

    /// Returns the number of the task that is issued next.
    pub(crate) fn next_task(&self) -> u64 {
        self.next_task
    }

    /// Books that candidates were found, before each is accepted or rejected.
    pub(crate) fn found(&mut self, topic: usize, candidates: usize) {
        self.stats[topic].candidates.total += candidates as u64;
    }

    /// Books an accepted record; the caller has asked [`has_room`](Self::has_room).
    pub(crate) fn accept(&mut self, topic: usize) {
        debug_assert!(self.has_room(topic), "nothing over quota is accepted");
        self.sightings[topic].seen_new(self.accepted);
        self.progress[topic].accepted += 1;
        self.stats[topic].candidates.accepted += 1;
        self.candidates.accepted += 1;
        self.accepted += 1;
    }

    /// Books a candidate that repeats the record of this ordinal, or something that is no record of the run.
    pub(crate) fn repeated(&mut self, topic: usize, of: Option<u64>) {
        match of {
            Some(ordinal) => self.sightings[topic].seen_again(ordinal),
            None => self.sightings[topic].seen_known(),
        }
        self.reject(topic, Rejection::Duplicate);
    }

    /// Books a rejected candidate.
    pub(crate) fn reject(&mut self, topic: usize, rejection: Rejection) {
        self.stats[topic].candidates.rejected.add(rejection);
        self.candidates.rejected += u64::from(rejection != Rejection::Surplus);
    }

    /// Closes a task that was answered, after its candidates were booked. Returns the topic's end, if this is it.
    ///
    /// `miss` is why the answer gave nothing, or `None` where a record was accepted; `fault` is what was wrong
    /// with the answer itself, which may be set beside records that came before a cut.
    pub(crate) fn answered(
        &mut self,
        task: &Task,
        miss: Option<EmptyAttempt>,
        fault: Option<AnswerFault>,
        failed_calls: usize,
    ) -> Option<TopicExhausted> {
        let share_accepted = self.candidates.share_accepted();
        self.close(task, miss, fault, failed_calls);
        let given_up = match miss {
            None => {
                self.hit(task.topic, share_accepted);
                None
            }
            Some(miss) => self.miss(task, miss),
        };
        self.refresh(task.topic);
        given_up
    }

    /// Closes a task whose answer gave nothing, and says more of how it was asked for than of its topic.
    pub(crate) fn excused(
        &mut self,
        task: &Task,
        miss: EmptyAttempt,
        fault: Option<AnswerFault>,
        failed_calls: usize,
    ) {
        self.close(task, Some(miss), fault, failed_calls);
        self.streaks[task.topic].excused += 1;
        self.stats[task.topic].last_miss = Some(miss);
        self.refresh(task.topic);
    }

    fn close(
        &mut self,
        task: &Task,
        miss: Option<EmptyAttempt>,
        fault: Option<AnswerFault>,
        failed_calls: usize,
    ) {
        let stats = &mut self.stats[task.topic];
        stats.answers += 1;
        stats.calls += failed_calls as u64 + 1;
        if let Some(fault) = fault {
            stats.faults.add(fault);
        }
        if miss == Some(EmptyAttempt::Answer(AnswerFault::Truncated)) {
            self.cut_off.count(task.id, self.next_task);
        } else {
            self.cut_off = CutOff::default();
        }
        self.breaker
            .answered(failed_calls, !miss.is_some_and(is_of_no_use));
        self.release(task);
        self.streaks[task.topic].failures = 0;
        self.candidates = AnswerCandidates::default();
    }

    /// Closes a task whose call failed finally. Returns the topic's end, if this is it.
    pub(crate) fn failed(
        &mut self,
        task: &Task,
        kind: ErrorKind,
        calls: usize,
    ) -> Option<TopicExhausted> {
        let stats = &mut self.stats[task.topic];
        stats.failures.add(kind);
        stats.calls += calls as u64;
        self.breaker.failed(kind, calls, task.epoch);
        self.release(task);
        if kind == ErrorKind::Timeout {
            self.sizes.timed_out(task.wanted);
        }
        let given_up = if kind.is_provider_trouble() {
            let streak = &mut self.streaks[task.topic];
            streak.failures += 1;
            let failures = streak.failures;
            self.stats[task.topic].last_miss = Some(EmptyAttempt::Call(kind));
            let rounds = self.rules.miss_threshold.unwrap_or(FEWEST_ROUNDS);
            (failures >= rounds * CALL_PATIENCE)
                .then(|| {
                    self.give_up(
                        task.topic,
                        TopicExhausted::new(failures, EmptyAttempt::Call(kind)),
                    )
                })
                .flatten()
        } else {
            self.miss(task, EmptyAttempt::Call(kind))
        };
        self.refresh(task.topic);
        given_up
    }

    /// Closes a task that was cancelled before an answer arrived.
    pub(crate) fn cancelled(&mut self, task: &Task) {
        self.stats[task.topic].cancelled += 1;
        self.release(task);
        self.refresh(task.topic);
    }

    /// Returns why no more calls are worth their price, if so.
    pub(crate) fn is_hopeless(&self) -> Option<Opened> {
        let opened = self.breaker.is_open();
        if opened.is_some() || self.accepted > 0 || self.rules.miss_threshold.is_some() {
            return opened;
        }
        let misses = self.progress.iter().map(|topic| u64::from(topic.misses));
        let misses = misses.sum();
        if self.cut_off.rounds >= CUT_OFF {
            Some(Opened::CutOff(self.cut_off.answers))
        } else {
            (misses >= FRUITLESS).then_some(Opened::Fruitless(misses))
        }
    }

    /// Forgets failed calls of an earlier process: its outage may be over. So may be the limit that cut its answers off.
    pub(crate) fn forget_outage(&mut self) {
        self.cut_off = CutOff::default();
        self.breaker = Breaker::new(self.rules.breaker_rounds);
    }

    /// Returns whether every record asked for was accepted.
    pub(crate) fn is_complete(&self) -> bool {
        self.accepted == self.quota
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted
    }

    pub(crate) fn progress(&self) -> &[TopicProgress] {
        &self.progress
    }

    pub(crate) fn stats(&self) -> &[TopicStats] {
        &self.stats
    }

    fn release(&mut self, task: &Task) {
        self.progress[task.topic].in_flight -= task.wanted;
        self.streaks[task.topic].tasks_in_flight -= 1;
        self.tasks_in_flight -= 1;
    }

    fn hit(&mut self, topic: usize, share_accepted: f64) {
        let misses = &mut self.progress[topic].misses;
        self.pass_rates.gave(topic, *misses, share_accepted);
        *misses = 0;
        self.streaks[topic].rounds = 0;
    }

    fn miss(&mut self, task: &Task, miss: EmptyAttempt) -> Option<TopicExhausted> {
        let streak = &mut self.streaks[task.topic];
        if task.round == streak.rounds + 1 {
            streak.rounds += 1;
        }
        streak.declined = if miss.is_declined() {
            streak.declined + 1
        } else {
            0
        };
        let progress = &mut self.progress[task.topic];
        progress.misses += 1;
        let (misses, rounds) = (progress.misses, streak.rounds);
        let wanted = progress.quota.saturating_sub(progress.accepted);
        self.pass_rates.gave_nothing(task.topic, misses);
        self.stats[task.topic].last_miss = Some(miss);
        if miss == EmptyAttempt::Rejected(Rejection::Duplicate)
            && let Some(saturated) = self.sightings[task.topic].is_saturated(wanted)
        {
            return self.give_up(task.topic, TopicExhausted::saturated(misses, saturated));
        }
        let rounds_wanted = self.rules.miss_threshold.unwrap_or(FEWEST_ROUNDS);
        if rounds >= rounds_wanted && misses >= self.misses_to_give_up(task.topic) {
            return self.give_up(task.topic, TopicExhausted::new(misses, miss));
        }
        None
    }

    /// Returns how many misses in a row give the topic up: as many as the caller says, or as are more than bad luck.
    fn misses_to_give_up(&self, topic: usize) -> u32 {
        self.rules.miss_threshold.unwrap_or_else(|| {
            let TopicProgress {
                quota, accepted, ..
            } = self.progress[topic];
            let more_than_luck = self.pass_rates.misses_to_give_up(topic, quota);
            if accepted > 0 {
                return more_than_luck;
            }
            let streak = &self.streaks[topic];
            if streak.declined >= DECLINED {
                return DECLINED;
            }
            // What was excused was paid for nothing as well.
            more_than_luck
                .saturating_sub(streak.excused)
                .max(FEWEST_ROUNDS)
        })
    }

    fn give_up(&mut self, topic: usize, given_up: TopicExhausted) -> Option<TopicExhausted> {
        let progress = &mut self.progress[topic];
        if progress.given_up || progress.accepted >= progress.quota {
            return None;
        }
        progress.given_up = true;
        self.stats[topic].given_up = Some(given_up);
        if self.rules.reallocate {
            self.move_quota_away(topic);
        }
        Some(given_up)
    }

    /// Moves what a given-up topic still owes to the topics that go on, evenly and in the order of the plan.
    fn move_quota_away(&mut self, from: usize) {
        let others: Vec<usize> = (0..self.progress.len())
            .filter(|&topic| !self.progress[topic].given_up && self.progress[topic].quota > 0)
            .filter(|&topic| self.groups.get(topic) == self.groups.get(from))
            .collect();
        let Some(count) = u64::try_from(others.len()).ok().filter(|&count| count > 0) else {
            return;
        };
        let moved = self.progress[from].quota - self.progress[from].accepted;
        self.progress[from].quota -= moved;
        self.stats[from].moved_away += moved;
        for (&topic, place) in others.iter().zip(0..) {
            let share = moved / count + u64::from(place < moved % count);
            self.progress[topic].quota += share;
            self.stats[topic].moved_in += share;
            self.refresh(topic);
        }
    }

    /// Puts a topic in or out of the open set.
    ///
    /// A topic is in doubt when its very first attempts gave nothing, or half as many in a row as give it up. It then has no
    /// more tasks in flight than half of what it may still miss: if it is saturated, they are lost. Where calls fail, it has one.
    fn refresh(&mut self, topic: usize) {
        let (progress, streak) = (&self.progress[topic], &self.streaks[topic]);
        let open = progress.open();
        let most = if streak.failures > 0 {
            1
        } else if progress.misses == 0 {
            u32::MAX
        } else {
            let enough = self.misses_to_give_up(topic);
            let in_doubt = progress.accepted == 0 || 2 * progress.misses >= enough;
            let left = enough.saturating_sub(progress.misses);
            if in_doubt {
                (left / 2).max(1)
            } else {
                u32::MAX
            }
        };
        self.open
            .set(topic, open > 0 && streak.tasks_in_flight < most);
        let counted = &mut self.streaks[topic].open;
        self.open_records = self.open_records - *counted + open;
        *counted = open;
    }
}

/// Answers in a row that were cut off before anything could be read.
#[derive(Debug, Default)]
struct CutOff {
    answers: u64,
    /// Those that were asked for after the round before had ended: many in flight are one.
    rounds: u64,
    /// The first task of the next round.
    next: u64,
}

impl CutOff {
    fn count(&mut self, task: u64, next_task: u64) {
        self.answers += 1;
        if task >= self.next {
            self.rounds += 1;
            self.next = next_task;
        }
    }
}

/// Whether an answer was paid for nothing that could be read.
fn is_of_no_use(miss: EmptyAttempt) -> bool {
    use AnswerFault::{Empty, NoRecords, Unreadable};
    matches!(miss, EmptyAttempt::Answer(Empty | NoRecords | Unreadable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::RoundRobin;

    const RULES: LedgerRules = LedgerRules {
        miss_threshold: Some(3),
        records_per_request: RecordsPerRequest::Fixed(1),
        concurrency: 10,
        most_tasks: 20,
        breaker_rounds: 3,
        reallocate: false,
        seed: 7,
    };

    const DUPLICATE: EmptyAttempt = EmptyAttempt::Rejected(Rejection::Duplicate);

    fn next(ledger: &mut Ledger) -> Option<Task> {
        ledger
            .issue(&mut RoundRobin::default())
            .expect("round robin picks an open topic")
    }

    fn give(ledger: &mut Ledger, task: &Task) {
        ledger.accept(task.topic);
        ledger.answered(task, None, None, 0);
    }

    #[test]
    fn no_more_is_asked_for_than_is_missing() {
        let mut ledger = Ledger::new(&[2, 1], RULES);
        let tasks: Vec<Task> = std::iter::from_fn(|| next(&mut ledger)).collect();
        assert_eq!(tasks.len(), 3);
        for task in &tasks {
            give(&mut ledger, task);
        }
        assert!(ledger.is_complete());
        assert_eq!(next(&mut ledger), None);
    }

    #[test]
    fn a_miss_reopens_its_place() {
        let mut ledger = Ledger::new(&[1], RULES);
        let task = next(&mut ledger).expect("one is open");
        ledger.answered(&task, Some(DUPLICATE), None, 0);
        assert_eq!(next(&mut ledger).map(|task| task.round), Some(2));
    }

    #[test]
    fn a_run_whose_answers_are_all_cut_off_ends_after_some_rounds_of_them() {
        let rules = LedgerRules {
            miss_threshold: None,
            ..RULES
        };
        let cut_off = AnswerFault::Truncated;
        for in_flight in [1, 8] {
            let mut ledger = Ledger::new(&[50], rules);
            let mut answers = 0;
            while ledger.is_hopeless().is_none() {
                let tasks: Vec<Task> = (0..in_flight).filter_map(|_| next(&mut ledger)).collect();
                for task in &tasks {
                    answers += 1;
                    let miss = EmptyAttempt::Answer(cut_off);
                    ledger.answered(task, Some(miss), Some(cut_off), 0);
                }
            }
            assert_eq!(ledger.is_hopeless(), Some(Opened::CutOff(answers)));
            // A topic that gave nothing is asked for less at once.
            assert!((6..=6 * in_flight).contains(&answers), "{answers}");
        }
    }

    #[test]
    fn a_topic_that_never_gave_anything_is_given_up_at_the_threshold() {
        let mut ledger = Ledger::new(&[50], RULES);
        let mut ends = Vec::new();
        while let Some(task) = next(&mut ledger) {
            ends.push(ledger.answered(&task, Some(DUPLICATE), None, 0));
        }
        assert_eq!(ends.len(), 3);
        assert_eq!(ends[2], Some(TopicExhausted::new(3, DUPLICATE)));
    }

    #[test]
    fn misses_that_were_in_flight_together_are_one_round() {
        let mut ledger = Ledger::new(&[50], RULES);
        let tasks: Vec<Task> = std::iter::from_fn(|| next(&mut ledger)).take(20).collect();
        for task in &tasks {
            assert_eq!(ledger.answered(task, Some(DUPLICATE), None, 0), None);
        }
        // In doubt now: one at a time.
        let task = next(&mut ledger).expect("still open");
        assert_eq!(next(&mut ledger), None);
        give(&mut ledger, &task);
        assert!(next(&mut ledger).is_some());
    }

    #[test]
    fn what_is_excused_is_a_part_of_what_a_topic_without_a_record_may_cost() {
        let rules = LedgerRules {
            miss_threshold: None,
            ..RULES
        };
        for (excused, most) in [(0, 30), (10, 30), (40, 43)] {
            let mut ledger = Ledger::new(&[5], rules);
            let mut answers = 0;
            while let Some(task) = next(&mut ledger) {
                answers += 1;
                if answers <= excused {
                    ledger.excused(&task, DUPLICATE, None, 0);
                } else {
                    ledger.answered(&task, Some(DUPLICATE), None, 0);
                }
            }
            assert_eq!(answers, most, "{excused}");
        }
    }

    #[test]
    fn a_given_up_topic_takes_what_was_still_in_flight() {
        let mut ledger = Ledger::new(
            &[10],
            LedgerRules {
                miss_threshold: Some(1),
                ..RULES
            },
        );
        let first = next(&mut ledger).expect("open");
        let second = next(&mut ledger).expect("open");
        assert!(ledger.answered(&first, Some(DUPLICATE), None, 0).is_some());
        assert!(ledger.has_room(second.topic));
        give(&mut ledger, &second);
        assert_eq!((ledger.accepted(), next(&mut ledger)), (1, None));
    }

    #[test]
    fn what_a_dry_topic_owes_moves_to_the_others() {
        let mut ledger = Ledger::new(
            &[5, 4, 4],
            LedgerRules {
                miss_threshold: Some(1),
                reallocate: true,
                ..RULES
            },
        );
        let task = Task::replayed(0, 0, 1, 1);
        ledger.book(&task);
        ledger.answered(&task, Some(DUPLICATE), None, 0);
        let quotas: Vec<u64> = ledger.progress().iter().map(|topic| topic.quota).collect();
        assert_eq!(quotas, [0, 7, 6]);
        let mut made = 0;
        while let Some(task) = next(&mut ledger) {
            give(&mut ledger, &task);
            made += 1;
        }
        assert_eq!(made, 13);
        assert!(ledger.is_complete());
    }

    #[test]
    fn what_a_dry_topic_owes_stays_in_its_group() {
        let rules = LedgerRules {
            miss_threshold: Some(1),
            reallocate: true,
            ..RULES
        };
        let mut ledger = Ledger::new(&[5, 4, 4, 2], rules).with_groups(vec![0, 1, 0, 2]);
        for topic in [0, 3] {
            let task = Task::replayed(topic as u64, topic, 1, 1);
            ledger.book(&task);
            ledger.answered(&task, Some(DUPLICATE), None, 0);
        }
        let quotas: Vec<u64> = ledger.progress().iter().map(|topic| topic.quota).collect();
        assert_eq!(quotas, [0, 4, 9, 2]);
    }

    #[test]
    fn failing_calls_are_the_providers_trouble_before_they_are_the_topics() {
        let mut ledger = Ledger::new(&[5], RULES);
        let mut failures = 0;
        while let Some(task) = next(&mut ledger) {
            ledger.failed(&task, ErrorKind::Overloaded, 1);
            failures += 1;
        }
        assert_eq!(failures, 9);
    }

    #[test]
    fn a_policy_that_picks_a_closed_topic_is_an_error() {
        #[derive(Debug)]
        struct Wrong;
        impl SchedulingPolicy for Wrong {
            fn pick(&mut self, topics: &[TopicProgress], _open: &[usize]) -> usize {
                topics.len()
            }
        }
        let error = Ledger::new(&[5], RULES).issue(&mut Wrong).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Plugin);
    }
}
