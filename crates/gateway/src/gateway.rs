//! The gateway's life: bound, serving, stopping, gone.

use std::fs::File;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::StatusCode;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::answer::Answer;
use crate::client::{Client, Core};
use crate::connection;
use crate::counters::{Counters, add};
use crate::listen::Listener;
use crate::routes::Routes;
use crate::settings::Settings;
use crate::socket::Socket;

/// How long requests may take to finish after the order to stop.
const LINGER: Duration = Duration::from_secs(5);
/// The pause after the process ran out of descriptors.
const PAUSE: Duration = Duration::from_millis(50);
/// How often connections to upstreams are looked after.
const SWEEP: Duration = Duration::from_secs(5);

/// The entry point for HTTP, bound to its addresses.
#[derive(Debug)]
pub struct Gateway {
    core: Arc<Core>,
    listeners: Vec<Listener>,
    room: Arc<Semaphore>,
}

impl Gateway {
    /// Listens where the settings say; to be called in the runtime that will serve.
    ///
    /// # Errors
    ///
    /// An address that cannot be listened on, and why; no address at all.
    pub async fn bind(mut settings: Settings, routes: Routes) -> io::Result<Self> {
        let mut listeners = Vec::new();
        if let Some(address) = settings.tcp {
            listeners.push(Listener::tcp(address).await?);
        }
        if let Some(path) = &settings.unix {
            listeners.push(Listener::unix(path)?);
        }
        if listeners.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "the gateway has no address to listen on",
            ));
        }
        // As many as can be waited for at the end.
        settings.max_connections = settings.max_connections.clamp(1, 1 << 24);
        let room = Arc::new(Semaphore::new(settings.max_connections));
        let cut = CancellationToken::new();
        let core = Core {
            settings,
            routes,
            pool: Arc::default(),
            counters: Arc::default(),
            stop: cut.child_token(),
            cut,
        };
        Ok(Self { core: Arc::new(core), listeners, room })
    }

    /// The TCP address that is listened on, with the port that was taken.
    #[must_use]
    pub fn tcp_address(&self) -> Option<SocketAddr> {
        self.listeners.iter().find_map(|listener| match listener {
            Listener::Tcp(listener) => listener.local_addr().ok(),
            Listener::Unix { .. } => None,
        })
    }

    /// The gateway's numbers, which can still be read when it is gone.
    #[must_use]
    pub fn counters(&self) -> Arc<Counters> {
        self.core.counters.clone()
    }

    /// Serves until `stop` resolves. Then there are no new connections, and what is under way has 5 seconds to finish.
    pub async fn serve(self, stop: impl Future<Output = ()>) {
        let Self { core, listeners, room } = self;
        // Who drops this future wants an end as well.
        let _cut = core.cut.clone().drop_guard();
        let mut doors = JoinSet::new();
        for listener in listeners {
            doors.spawn(accept(core.clone(), listener, room.clone()));
        }
        let mut sweep = tokio::time::interval(SWEEP);
        sweep.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let sweeping = async {
            loop {
                sweep.tick().await;
                core.pool.sweep();
            }
        };
        tokio::select! {
            () = stop => {}
            () = sweeping => {}
        }
        doors.shutdown().await;
        core.stop.cancel();
        let all = u32::try_from(core.settings.max_connections).unwrap_or(u32::MAX);
        if tokio::time::timeout(LINGER, room.acquire_many(all)).await.is_err() {
            tracing::debug!(open = core.counters.open_connections(), "connections are cut");
            core.cut.cancel();
            // They end when they are polled next, and hold descriptors until then.
            let _ = tokio::time::timeout(LINGER, room.acquire_many(all)).await;
        }
    }
}

async fn accept(core: Arc<Core>, listener: Listener, room: Arc<Semaphore>) {
    let mut reserve = Reserve::new();
    loop {
        let (socket, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) if is_exhausted(&error) => {
                tracing::error!(%error, "no descriptor is left for a connection");
                reserve.refuse_one(&core, &listener);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            Err(error) => {
                // Such as a client that was gone before it was accepted.
                tracing::debug!(%error, "accepting a connection failed");
                continue;
            }
        };
        match room.clone().try_acquire_owned() {
            Ok(place) => {
                let client = Client::new(core.clone(), peer, place);
                tokio::spawn(connection::serve(client, socket));
            }
            Err(_) => refuse(&core, &socket),
        }
    }
}

fn is_exhausted(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Answers without reading: the reply is small enough for the socket's own buffer.
fn refuse(core: &Core, socket: &Socket) {
    add(&core.counters.refused);
    let status = StatusCode::SERVICE_UNAVAILABLE;
    let message = "as many connections are open as the gateway takes";
    let body = Answer::new(status, "too_many_connections", message, "try again later").json();
    let head = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\nconnection: close";
    socket.write_now(format!("{head}\r\ncontent-length: {}\r\n\r\n{body}", body.len()).as_bytes());
}

/// A descriptor that is given up when there is no other, so that one client at a time can be told.
struct Reserve {
    file: Option<File>,
}

impl Reserve {
    fn new() -> Self {
        Self { file: File::open("/dev/null").ok() }
    }

    fn refuse_one(&mut self, core: &Core, listener: &Listener) {
        self.file = None;
        let mut next = std::pin::pin!(listener.accept());
        let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
        if let std::task::Poll::Ready(Ok((socket, _))) = next.as_mut().poll(&mut cx) {
            refuse(core, &socket);
        }
        self.file = File::open("/dev/null").ok();
    }
}
