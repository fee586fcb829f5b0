//! A gateway for one test, and upstreams for it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use gateway::{Address, Admission, Backend, Counters, Gateway, Routes, Settings, Target};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::wire::{Message, Wire, within};

/// A gateway that runs.
pub(crate) struct Bed {
    pub(crate) address: SocketAddr,
    pub(crate) routes: Routes,
    pub(crate) counters: Arc<Counters>,
    pub(crate) stop: Option<oneshot::Sender<()>>,
    pub(crate) served: JoinHandle<()>,
}

/// Settings for tests: no limit that is met by chance.
pub(crate) fn settings() -> Settings {
    let long = Duration::from_secs(600);
    Settings {
        tcp: Some(SocketAddr::from(([127, 0, 0, 1], 0))),
        head_timeout: long,
        body_timeout: long,
        idle_timeout: long,
        response_timeout: long,
        ..Settings::default()
    }
}

impl Bed {
    pub(crate) async fn with(settings: Settings) -> Self {
        let routes = Routes::default();
        let gateway = Gateway::bind(settings, routes.clone()).await.expect("a free address");
        let address = gateway.tcp_address().unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0)));
        let counters = gateway.counters();
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(gateway.serve(async {
            // Dropped with the bed.
            let _ = stopped.await;
        }));
        Self { address, routes, counters, stop: Some(stop), served }
    }

    pub(crate) async fn new() -> Self {
        Self::with(settings()).await
    }

    /// With one upstream under `/api`.
    pub(crate) async fn before(address: Address) -> Self {
        let bed = Self::new().await;
        bed.route("api", address);
        bed
    }

    pub(crate) fn route(&self, prefix: &str, address: Address) -> Leases {
        let leases = Leases::default();
        let target = Fixed { name: prefix.to_owned(), address, leases: leases.clone() };
        self.routes.set(prefix, Arc::new(target));
        leases
    }

    pub(crate) async fn connect(&self) -> Wire {
        Wire::new(within(TcpStream::connect(self.address)).await.expect("the gateway listens"))
    }

    /// One request on a connection of its own.
    pub(crate) async fn call(&self, request: impl AsRef<[u8]>) -> Message {
        self.connect().await.call(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Message {
        self.call(get(path)).await
    }
}

/// A plain request.
pub(crate) fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// How many leases are held.
#[derive(Clone, Default)]
pub(crate) struct Leases(Arc<AtomicUsize>);

impl Leases {
    pub(crate) fn held(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    /// Waits until so many are held.
    pub(crate) async fn reach(&self, count: usize) {
        until(|| self.held() == count).await;
    }
}

/// Waits until something has come about that nobody tells of.
pub(crate) async fn until(mut what: impl FnMut() -> bool) {
    within(async {
        while !what() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

struct Lease(Arc<AtomicUsize>);

impl Drop for Lease {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A target that is always there.
struct Fixed {
    name: String,
    address: Address,
    leases: Leases,
}

impl Target for Fixed {
    fn name(&self) -> &str {
        &self.name
    }

    fn admit(&self) -> Admission {
        self.leases.0.fetch_add(1, Ordering::SeqCst);
        let lease = Box::new(Lease(self.leases.0.clone()));
        Admission::Now(Ok(Backend::Http { address: self.address.clone(), lease }))
    }
}

/// A listener for an upstream that a test plays itself.
pub(crate) struct Stage(TcpListener);

impl Stage {
    pub(crate) async fn new() -> (Self, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = Address::Tcp(listener.local_addr().expect("an address"));
        (Self(listener), address)
    }

    pub(crate) async fn accept(&self) -> Wire {
        Wire::new(within(self.0.accept()).await.expect("the gateway connects").0)
    }
}

/// An upstream that answers every request alike and keeps its connections; what it was sent comes out of the channel.
pub(crate) async fn answering(response: impl Into<Vec<u8>>) -> (Address, mpsc::UnboundedReceiver<Message>) {
    let response = response.into();
    let (stage, address) = Stage::new().await;
    let (seen, seeing) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        loop {
            let Ok((stream, _)) = stage.0.accept().await else { return };
            let (seen, response) = (seen.clone(), response.clone());
            tokio::spawn(async move {
                let mut wire = Wire::new(stream);
                while let Some(request) = wire.message().await {
                    let _ = seen.send(request);
                    wire.try_send(&response).await;
                }
            });
        }
    });
    (address, seeing)
}

/// An upstream that says `ok`.
pub(crate) async fn ok() -> (Address, mpsc::UnboundedReceiver<Message>) {
    answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await
}

/// An address where nobody listens.
pub(crate) fn nobody() -> Address {
    Address::Unix(Path::new("/nonexistent/nobody.sock").into())
}

/// The next thing that an upstream was sent.
pub(crate) async fn next(seen: &mut mpsc::UnboundedReceiver<Message>) -> Message {
    within(seen.recv()).await.expect("a request")
}
