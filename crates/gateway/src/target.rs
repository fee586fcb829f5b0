//! What stands behind a prefix: the contract between the gateway and who runs the services.

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response, StatusCode};

use crate::body::Body;
use crate::dial::Dialer;

/// A future behind a pointer, as `Box::pin(async { … })` makes it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Held until the response's last byte (or the tunnel's end); dropping it says that the request is over.
pub type Lease = Box<dyn Send + Sync>;

/// A service, as the gateway sees it.
pub trait Target: Send + Sync + 'static {
    /// The name that clients are told when something is wrong with it.
    fn name(&self) -> &str;

    /// Where this request goes; may have to wait while the service starts. How long that may take is the target's
    /// own to decide; a client that goes away drops the future.
    fn admit(&self) -> Admission;

    /// The largest body of a request, in bytes, if it is not that of the settings.
    fn max_body_bytes(&self) -> Option<u64> {
        None
    }
}

/// What a [`Target`] says to a request.
pub enum Admission {
    /// It is decided.
    Now(Result<Backend, Refusal>),
    /// It will be.
    Later(BoxFuture<'static, Result<Backend, Refusal>>),
}

/// Who answers a request.
pub enum Backend {
    /// A server that speaks HTTP/1.1.
    Http {
        /// Where it listens.
        address: Address,
        /// Kept while the request lasts.
        lease: Lease,
    },
    /// A function of this process. It is never asked to upgrade a connection.
    Handler(Arc<dyn Respond>),
}

/// Where an upstream listens.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Address {
    /// A Unix stream socket.
    Unix(Arc<Path>),
    /// A TCP address.
    Tcp(SocketAddr),
    /// Nowhere: connections are made by who owns it. It is never asked to upgrade one.
    Dial(Dialer),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(address) => address.fmt(f),
            Self::Dial(_) => f.write_str("a process of its own"),
        }
    }
}

/// Why a request is not served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status of the answer.
    pub status: StatusCode,
    /// What the client is told, in a sentence.
    pub reason: String,
    /// When another try may do better, for the `Retry-After` field; rounded up to whole seconds.
    pub retry_after: Option<Duration>,
}

/// Answers requests inside of this process.
pub trait Respond: Send + Sync + 'static {
    /// Answers one request. An error of [`Call::request`]'s body is answered by the gateway itself (413, 408, 400),
    /// whatever comes back.
    fn respond(&self, call: Call) -> BoxFuture<'static, Result<Response<Body>, Refusal>>;
}

/// A request for a [`Respond`].
#[derive(Debug)]
pub struct Call {
    /// As it came, forwarded headers added, hop-by-hop ones gone.
    pub request: Request<Body>,
    /// The prefix that matched, without slashes around it.
    pub prefix: String,
    /// The path after the prefix, byte for byte; begins with `/` and has no query.
    pub rest: String,
    /// Who sent it; unknown on the Unix socket.
    pub peer: Option<SocketAddr>,
    /// Whether the client's connection is encrypted; the gateway speaks no TLS, so it is not.
    pub https: bool,
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Now(result) => f.debug_tuple("Now").field(result).finish(),
            Self::Later(_) => f.debug_tuple("Later").finish_non_exhaustive(),
        }
    }
}

impl fmt::Debug for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { address, .. } => {
                f.debug_struct("Http").field("address", address).finish_non_exhaustive()
            }
            Self::Handler(_) => f.debug_tuple("Handler").finish_non_exhaustive(),
        }
    }
}
