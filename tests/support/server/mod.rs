//! A server on this machine that plays a model provider, faults included, and keeps its own books.

// Each test uses a part of it.
#![allow(dead_code, unused_imports)]

mod answer;
mod books;
mod connection;
mod fault;
#[path = "../../../src/testing/gauge.rs"]
mod gauge;
mod wire;

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

pub(crate) use answer::{RawReply, ServedAnswer};
pub(crate) use books::ServerBooks;
pub(crate) use fault::ServerFault;
pub(crate) use wire::{Question, Wire};

use gauge::Gauge;
use topicloom::random::Random;

type Respond = dyn Fn(&Question<'_>) -> ServedAnswer + Send + Sync;

/// A server on this machine that plays a model provider.
///
/// It speaks one provider's format, answers with what a closure says, breaks what it is told to break, and
/// keeps its own books of calls and tokens to compare with a run's report. Dropping it closes it and all of
/// its connections.
pub(crate) struct ProviderServer {
    wire: Wire,
    address: SocketAddr,
    shared: Arc<Shared>,
    _stop: oneshot::Sender<()>,
}

/// What all connections of a server share.
struct Shared {
    wire: Wire,
    respond: Box<Respond>,
    delay: Duration,
    faults: fault::Plan,
    headers: Vec<(String, String)>,
    gauge: Arc<Gauge>,
    books: Mutex<ServerBooks>,
}

impl Shared {
    fn books(&self) -> std::sync::MutexGuard<'_, ServerBooks> {
        // Counts stay counts even if a responder panicked.
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProviderServer {
    /// Starts a server that answers what `respond` says, at once and without faults. Its connections are
    /// served on the runtime this is called in.
    ///
    /// # Errors
    ///
    /// Where no port of the loopback device can be had.
    pub(crate) async fn start<R, A>(wire: Wire, respond: R) -> std::io::Result<Self>
    where
        R: Fn(&Question<'_>) -> A + Send + Sync + 'static,
        A: Into<ServedAnswer>,
    {
        Self::builder(wire, respond).start().await
    }

    /// Prepares a server with delays, faults or headers.
    pub(crate) fn builder<R, A>(wire: Wire, respond: R) -> ProviderServerBuilder
    where
        R: Fn(&Question<'_>) -> A + Send + Sync + 'static,
        A: Into<ServedAnswer>,
    {
        ProviderServerBuilder {
            wire,
            respond: Box::new(move |question| respond(question).into()),
            delay: Duration::ZERO,
            faults: fault::Plan::default(),
            headers: Vec::new(),
        }
    }

    /// Returns the base URL to give to a client, with the version path that the provider's own has.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}{}", self.address, self.wire.base_path())
    }

    /// Returns what the server was asked and what it answered so far.
    pub(crate) fn books(&self) -> ServerBooks {
        let mut books = self.shared.books().clone();
        books.peak_concurrency = self.shared.gauge.peak();
        books
    }

    /// Returns how many calls arrived.
    pub(crate) fn calls(&self) -> u64 {
        self.shared.books().calls
    }

    /// Returns how many calls are being answered right now.
    pub(crate) fn in_flight(&self) -> usize {
        self.shared.gauge.inside()
    }

    /// Returns the most calls that were ever being answered at the same time.
    pub(crate) fn peak_concurrency(&self) -> usize {
        self.shared.gauge.peak()
    }
}

impl fmt::Debug for ProviderServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderServer")
            .field("wire", &self.wire)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Prepares a [`ProviderServer`].
pub(crate) struct ProviderServerBuilder {
    wire: Wire,
    respond: Box<Respond>,
    delay: Duration,
    faults: fault::Plan,
    headers: Vec<(String, String)>,
}

impl ProviderServerBuilder {
    /// Waits this long before each answer. The default is not at all.
    pub(crate) fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Breaks this share of calls, from 0 to 1, in this way. Shares of several faults add up to at most 1;
    /// which call is hit depends on the seed and on the order of arrival.
    pub(crate) fn fault(mut self, fault: ServerFault, share: f64) -> Self {
        self.faults.add(fault, share);
        self
    }

    /// Breaks the first calls in these ways, in this order, before anything is left to chance.
    pub(crate) fn first(mut self, faults: impl IntoIterator<Item = ServerFault>) -> Self {
        self.faults.begin_with(faults);
        self
    }

    /// Sets the seed of chance. The default is 0.
    pub(crate) fn seed(mut self, seed: u64) -> Self {
        self.faults.random = Random::new(seed);
        self
    }

    /// Sends one more header with every answer, such as `x-ratelimit-remaining-requests`.
    pub(crate) fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Starts the server on the runtime this is called in.
    ///
    /// # Errors
    ///
    /// Where no port of the loopback device can be had.
    pub(crate) async fn start(self) -> std::io::Result<ProviderServer> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let shared = self.into_shared();
        tokio::spawn(serve(listener, Arc::clone(&shared), stopped));
        Ok(ProviderServer {
            wire: shared.wire,
            address,
            shared,
            _stop: stop,
        })
    }

    /// Starts the server on a thread and runtime of its own, named `provider-server`, so that what it costs
    /// can be told from what its clients cost.
    ///
    /// # Errors
    ///
    /// Where no port of the loopback device or no thread can be had.
    pub(crate) fn start_on_thread(self) -> std::io::Result<ProviderServer> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let shared = self.into_shared();
        let on_thread = Arc::clone(&shared);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        std::thread::Builder::new()
            .name("provider-server".to_owned())
            .spawn(move || {
                runtime.block_on(async move {
                    if let Ok(listener) = TcpListener::from_std(listener) {
                        serve(listener, on_thread, stopped).await;
                    }
                });
            })?;
        Ok(ProviderServer {
            wire: shared.wire,
            address,
            shared,
            _stop: stop,
        })
    }

    fn into_shared(self) -> Arc<Shared> {
        Arc::new(Shared {
            wire: self.wire,
            respond: self.respond,
            delay: self.delay,
            faults: self.faults,
            headers: self.headers,
            gauge: Arc::default(),
            books: Mutex::default(),
        })
    }
}

impl fmt::Debug for ProviderServerBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProviderServerBuilder")
            .field("wire", &self.wire)
            .field("delay", &self.delay)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

/// Accepts connections until the handle is dropped; then all connections end with the set that holds them.
async fn serve(listener: TcpListener, shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = &mut stopped => return,
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    connections.spawn(connection::serve(stream, Arc::clone(&shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}
