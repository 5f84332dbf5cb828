//! Puts concurrent requests into one call.

use std::fmt;
use std::iter::repeat_n;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared, try_join_all};
use tokio::sync::Notify;
use tokio::time::timeout;

use super::{Embedder, embed_each, is_refusal, may_be_of_texts};
use crate::error::{Error, Result};

/// Puts requests that arrive within a few milliseconds of one another into one call.
///
/// A batch waits for [`wait`](Self::wait) after its first text and goes at once when [`most`](Self::most) texts are
/// in it. Nothing is spawned: a caller who waits for a batch drives it, the others take over from one who is dropped,
/// and when all are dropped the call is, too. A text whose asker is gone before the batch goes is not sent.
///
/// A batch that was refused, that the server failed at or whose answer cannot be read is asked for again in halves, down to
/// single texts, so that a text that cannot be embedded does not cost the others. Where all texts of a refused batch pass in
/// smaller calls, they were too many: the largest call that passed is the largest that is made from then on. Any other failure
/// fails each asker in the same way, without its source.
///
/// Needs a tokio runtime with time.
///
/// ```
/// use std::time::Duration;
/// use topicloom::embedding::Batched;
/// # use topicloom::embedding::Embedder;
/// # fn example(embedder: impl Embedder) {
/// let embedder = Batched::new(embedder).most(256).wait(Duration::from_millis(20));
/// # }
/// ```
pub struct Batched<E> {
    embedder: Arc<E>,
    sizes: Arc<Sizes>,
    wait: Duration,
    open: Mutex<Option<Open>>,
}

impl<E> Batched<E> {
    /// Creates a wrapper that waits 5 ms for up to 64 texts.
    pub fn new(embedder: E) -> Self {
        Self {
            embedder: Arc::new(embedder),
            sizes: Arc::new(Sizes::of(64)),
            wait: Duration::from_millis(5),
            open: Mutex::new(None),
        }
    }

    /// Sets how many texts go into one call at most. The default is 64: what is saved beyond is little, and a server that
    /// takes fewer costs a few refused calls.
    ///
    /// 0 means 1.
    #[must_use]
    pub fn most(mut self, texts: usize) -> Self {
        self.sizes = Arc::new(Sizes::of(texts.max(1)));
        self
    }

    /// Sets how long a text waits for others. The default is 5 ms, a fraction of what a call takes.
    #[must_use]
    pub fn wait(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

/// A vector, or why there is none.
type Embedded = Result<Vec<f32>, Arc<Error>>;

/// What came of each text, by its place.
type Answer = Arc<Vec<Option<Embedded>>>;

/// How many texts go into a call at most, and how many the largest that passed had.
#[derive(Debug)]
struct Sizes {
    most: AtomicUsize,
    passed: AtomicUsize,
}

impl Sizes {
    fn of(most: usize) -> Self {
        Self {
            most: AtomicUsize::new(most),
            passed: AtomicUsize::new(0),
        }
    }

    fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }
}

/// A batch that is still collecting. It lives only as long as somebody waits for it.
struct Open {
    texts: Arc<Texts>,
    answer: WeakShared<BoxFuture<'static, Answer>>,
}

/// The texts of a batch, until it goes.
#[derive(Default)]
struct Texts {
    /// `None` once it went; in it, `None` for a text that nobody waits for any more.
    waiting: Mutex<Option<Vec<Option<String>>>>,
    full: Notify,
}

impl Texts {
    fn waiting(&self) -> MutexGuard<'_, Option<Vec<Option<String>>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds texts, unless the batch went or has no room for them.
    fn add(self: &Arc<Self>, texts: &[&str], most: usize) -> Option<Seat> {
        let mut waiting = self.waiting();
        let waiting = waiting.as_mut()?;
        let places = waiting.len()..waiting.len() + texts.len();
        if places.end >= most {
            self.full.notify_one();
        }
        (places.end <= most).then(|| {
            waiting.extend(texts.iter().map(|text| Some((*text).to_owned())));
            Seat {
                texts: Arc::clone(self),
                places,
            }
        })
    }
}

/// The places of one asker's texts, which are taken out when nobody waits for them.
struct Seat {
    texts: Arc<Texts>,
    places: Range<usize>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(waiting) = self.texts.waiting().as_mut() {
            waiting[self.places.clone()].fill(None);
        }
    }
}

async fn ask<E: Embedder>(
    embedder: Arc<E>,
    texts: Arc<Texts>,
    wait: Duration,
    sizes: Arc<Sizes>,
) -> Answer {
    // Full or late, the batch goes.
    let _ = timeout(wait, texts.full.notified()).await;
    let waiting = texts.waiting().take().unwrap_or_default();
    let asked: Vec<&str> = waiting.iter().flatten().map(String::as_str).collect();
    let mut outcomes = embed_in_parts(&*embedder, &asked, &sizes).await.into_iter();
    let by_place = waiting
        .iter()
        .map(|text| text.as_ref().and_then(|_| outcomes.next()));
    Arc::new(by_place.collect())
}

/// Embeds texts in as few calls as they pass in, one after the other, so that a server that is down is asked for few.
async fn embed_in_parts<E: Embedder>(embedder: &E, texts: &[&str], sizes: &Sizes) -> Vec<Embedded> {
    let mut outcomes = Vec::with_capacity(texts.len());
    let mut parts: Vec<&[&str]> = texts.chunks(sizes.most()).rev().collect();
    let mut may_be_too_many = false;
    while let Some(part) = parts.pop() {
        match embed_each(embedder, part).await {
            Ok(vectors) => {
                sizes.passed.fetch_max(part.len(), Ordering::Relaxed);
                outcomes.extend(vectors.into_iter().map(Ok));
            }
            Err(error) if part.len() > 1 && may_be_of_texts(&error) => {
                let passed = sizes.passed.load(Ordering::Relaxed);
                may_be_too_many |= is_refusal(&error) && part.len() > passed;
                let (first, second) = part.split_at(part.len().div_ceil(2));
                parts.extend([second, first]);
            }
            Err(error) if is_refusal(&error) || error.is_of_its_text() => {
                outcomes.push(Err(Arc::new(error)));
            }
            Err(error) => {
                let rest = texts.len() - outcomes.len();
                outcomes.extend(repeat_n(Err(Arc::new(error)), rest));
                break;
            }
        }
    }
    if may_be_too_many && outcomes.iter().all(Result::is_ok) {
        let passed = sizes.passed.load(Ordering::Relaxed);
        sizes.most.fetch_min(passed, Ordering::Relaxed);
    }
    outcomes
}

impl<E: Embedder> Batched<E> {
    fn join(&self, texts: &[&str], most: usize) -> (Seat, Shared<BoxFuture<'static, Answer>>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(batch) = open.as_ref()
            && let Some(answer) = batch.answer.upgrade()
            && let Some(seat) = batch.texts.add(texts, most)
        {
            return (seat, answer);
        }
        let batch = Arc::new(Texts {
            waiting: Mutex::new(Some(Vec::new())),
            full: Notify::new(),
        });
        let seat = batch
            .add(texts, most)
            .expect("an empty batch has room for a part of at most so many texts");
        let (embedder, sizes) = (Arc::clone(&self.embedder), Arc::clone(&self.sizes));
        let answer = ask(embedder, Arc::clone(&batch), self.wait, sizes)
            .boxed()
            .shared();
        *open = answer.downgrade().map(|answer| Open {
            texts: batch,
            answer,
        });
        (seat, answer)
    }

    /// Embeds at most as many texts as one call takes.
    async fn embed_part(&self, texts: &[&str], most: usize) -> Result<Vec<Vec<f32>>> {
        let (seat, answer) = self.join(texts, most);
        let answer = answer.await;
        let own = answer[seat.places.clone()].iter().flatten().cloned();
        own.map(|embedded| embedded.map_err(|error| copy_of(&error)))
            .collect()
    }
}

fn copy_of(error: &Error) -> Error {
    let copy = Error::new(error.kind(), error.message().to_owned())
        .with_retry(error.retry())
        .with_fatal(error.is_fatal())
        .with_rate(error.rate().copied());
    let copy = if error.is_of_its_text() {
        copy.with_text_at_fault()
    } else {
        copy
    };
    error
        .context()
        .fold(copy, |copy, (name, value)| copy.with_context(name, value))
}

#[async_trait]
#[deny(clippy::missing_trait_methods)]
impl<E: Embedder> Embedder for Batched<E> {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let most = self.sizes.most();
        let parts = texts.chunks(most).map(|part| self.embed_part(part, most));
        Ok(try_join_all(parts).await?.into_iter().flatten().collect())
    }

    fn name(&self) -> &str {
        self.embedder.name()
    }
}

impl<E: fmt::Debug> fmt::Debug for Batched<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batched")
            .field("embedder", &self.embedder)
            .field("most", &self.sizes.most())
            .field("wait", &self.wait)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use futures::future::join_all;
    use tokio::time::{Instant, sleep};

    use super::*;
    use crate::error::ErrorKind;

    /// Takes 100 ms a call, and remembers what it was asked.
    #[derive(Debug, Default)]
    struct Slow {
        calls: Mutex<Vec<Vec<String>>>,
        refuses: Option<(&'static str, ErrorKind)>,
        /// Refuses calls of more texts than this, unless it is 0.
        takes: usize,
    }

    impl Slow {
        fn calls(&self) -> Vec<usize> {
            self.calls.lock().unwrap().iter().map(Vec::len).collect()
        }
    }

    #[async_trait]
    impl Embedder for Slow {
        async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
            let asked = texts.iter().map(ToString::to_string).collect();
            self.calls.lock().unwrap().push(asked);
            sleep(Duration::from_millis(100)).await;
            match self.refuses {
                Some((text, kind)) if texts.contains(&text) => {
                    Err(Error::new(kind, "no").with_context("model", "slow"))
                }
                _ if self.takes > 0 && texts.len() > self.takes => {
                    Err(Error::new(ErrorKind::BadRequest, "too many"))
                }
                _ => Ok(texts.iter().map(|text| vector(text)).collect()),
            }
        }

        fn name(&self) -> &'static str {
            "slow"
        }
    }

    fn vector(text: &str) -> Vec<f32> {
        vec![f32::from(u16::try_from(text.len()).unwrap()), 1.0]
    }

    fn batched(slow: &Arc<Slow>) -> Batched<Arc<Slow>> {
        Batched::new(Arc::clone(slow))
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_asked_together_is_one_call_and_each_gets_its_own() {
        let slow = Arc::new(Slow::default());
        let embedder = batched(&slow);
        let texts: Vec<String> = (0..20).map(|n| "x".repeat(n)).collect();
        let start = Instant::now();
        let all = join_all(texts.iter().map(|text| async {
            let own = [text.as_str(), "y"];
            embedder.embed(&own).await.unwrap()
        }))
        .await;
        for (text, vectors) in texts.iter().zip(all) {
            assert_eq!(vectors, [vector(text), vector("y")]);
        }
        assert_eq!(slow.calls(), [40]);
        assert_eq!(start.elapsed(), Duration::from_millis(105));
    }

    #[tokio::test(start_paused = true)]
    async fn a_full_batch_goes_at_once_and_a_large_request_is_cut() {
        let slow = Arc::new(Slow::default());
        let embedder = batched(&slow).most(4).wait(Duration::from_secs(60));
        let start = Instant::now();
        let vectors = embedder.embed(&["a"; 8]).await.unwrap();
        assert_eq!((vectors.len(), slow.calls()), (8, vec![4, 4]));
        assert_eq!(start.elapsed(), Duration::from_millis(100));
        assert!(embedder.embed(&[]).await.unwrap().is_empty());
        assert_eq!(slow.calls().len(), 2, "nothing is not asked for");
    }

    #[tokio::test(start_paused = true)]
    async fn the_others_take_over_from_one_who_is_dropped() {
        for dropped_after in [2, 50] {
            let slow = Arc::new(Slow::default());
            let embedder = batched(&slow);
            let first = timeout(Duration::from_millis(dropped_after), embedder.embed(&["a"]));
            let (first, second) = tokio::join!(first, embedder.embed(&["bb"]));
            assert!(first.is_err());
            assert_eq!(second.unwrap(), [vector("bb")]);
            let sent = if dropped_after < 5 { 1 } else { 2 };
            assert_eq!(slow.calls(), [sent], "a text nobody waits for is not sent");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_nobody_waits_for_is_forgotten() {
        let slow = Arc::new(Slow::default());
        let embedder = batched(&slow);
        assert!(
            timeout(Duration::from_millis(1), embedder.embed(&["a"]))
                .await
                .is_err()
        );
        sleep(Duration::from_secs(1)).await;
        assert!(slow.calls().is_empty());
        assert_eq!(embedder.embed(&["b"]).await.unwrap(), [vector("b")]);
        assert_eq!(slow.calls(), [1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_batch_fails_each_in_the_same_way() {
        let refuses = Some(("bad", ErrorKind::RateLimited));
        let slow = Arc::new(Slow {
            refuses,
            ..Slow::default()
        });
        let embedder = batched(&slow);
        let (good, bad) = tokio::join!(embedder.embed(&["good"]), embedder.embed(&["bad"]));
        for error in [good.unwrap_err(), bad.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::RateLimited);
            assert_eq!(error.context().next(), Some(("model", "slow")));
        }
        assert_eq!(slow.calls(), [2]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_refused_text_does_not_cost_the_others() {
        let refuses = Some(("bad", ErrorKind::ContextLength));
        let slow = Arc::new(Slow {
            refuses,
            ..Slow::default()
        });
        let embedder = batched(&slow);
        let (good, bad) = tokio::join!(embedder.embed(&["good"]), embedder.embed(&["bad"]));
        assert_eq!(good.unwrap(), [vector("good")]);
        assert_eq!(bad.unwrap_err().kind(), ErrorKind::ContextLength);
    }

    /// Asks for this many texts at once, each by itself.
    async fn each(embedder: &Batched<Arc<Slow>>, count: usize) -> Vec<Result<Vec<Vec<f32>>>> {
        let texts: Vec<String> = (0..count).map(|n| n.to_string()).collect();
        let asked = texts.iter().map(|text| async {
            let text = [text.as_str()];
            embedder.embed(&text).await
        });
        join_all(asked).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_takes_fewer_texts_is_asked_for_as_many_as_passed() {
        let slow = Arc::new(Slow {
            takes: 10,
            ..Slow::default()
        });
        let embedder = batched(&slow);
        for _ in 0..2 {
            assert!(each(&embedder, 25).await.iter().all(Result::is_ok));
        }
        let sizes = [25, 13, 7, 6, 12, 6, 6];
        assert_eq!(slow.calls(), [&sizes[..], &[7, 7, 7, 4]].concat());
    }

    #[tokio::test(start_paused = true)]
    async fn a_text_that_is_refused_costs_no_other_and_makes_no_batch_smaller() {
        for kind in [ErrorKind::BadRequest, ErrorKind::ContextLength] {
            let slow = Arc::new(Slow {
                refuses: Some(("3", kind)),
                ..Slow::default()
            });
            let embedder = batched(&slow);
            let outcomes = each(&embedder, 8).await;
            let failed: Vec<bool> = outcomes.iter().map(Result::is_err).collect();
            assert_eq!(
                failed,
                [false, false, false, true, false, false, false, false]
            );
            assert_eq!(slow.calls(), [8, 4, 2, 2, 1, 1, 4]);
            each(&embedder, 3).await;
            assert_eq!(slow.calls()[7..], [3]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_down_is_asked_for_one_text_at_last() {
        let slow = Arc::new(Slow {
            refuses: Some(("0", ErrorKind::Overloaded)),
            ..Slow::default()
        });
        let embedder = batched(&slow);
        for failed in each(&embedder, 8).await {
            assert_eq!(failed.unwrap_err().kind(), ErrorKind::Overloaded);
        }
        assert_eq!(slow.calls(), [8, 4, 2, 1]);
    }
}
