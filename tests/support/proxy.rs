//! A way to a server that can be cut, fall silent, or lead elsewhere.

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes connections on to a port of the loopback device, until it is told otherwise.
pub(crate) struct Proxy {
    port: u16,
    way: watch::Sender<Way>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    To(u16),
    /// Takes connections and bytes, and passes nothing on: what was connected then stays silent.
    Silent,
}

impl Proxy {
    pub(crate) async fn to(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let proxy = Self {
            port: listener.local_addr().expect("it is bound").port(),
            way: watch::Sender::new(Way::To(port)),
        };
        let way = proxy.way.subscribe();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(pass(stream, way.clone()));
            }
        });
        proxy
    }

    /// Returns the URL of a server with this proxy on the way.
    pub(crate) fn url(&self, url: &str) -> String {
        let (before, port) = url.rsplit_once(':').expect("it has a port");
        let (_, database) = port.split_once('/').expect("it names a database");
        format!("{before}:{}/{database}", self.port)
    }

    pub(crate) fn fall_silent(&self) {
        self.way.send_replace(Way::Silent);
    }

    /// Cuts all connections, and passes new ones on to this port.
    pub(crate) fn lead_to(&self, port: u16) {
        self.way.send_replace(Way::To(port));
    }
}

async fn pass(mut stream: TcpStream, mut way: watch::Receiver<Way>) {
    let first = *way.borrow_and_update();
    if let Way::To(port) = first
        && let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await
    {
        tokio::select! {
            _ = copy_bidirectional(&mut stream, &mut server) => return,
            _ = way.changed() => {}
        }
        if *way.borrow() == Way::Silent {
            std::future::pending::<()>().await;
        }
    } else if first == Way::Silent {
        std::future::pending::<()>().await;
    }
}
