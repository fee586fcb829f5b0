//! One request to an upstream: over a connection that an earlier one left, or a new one.

mod download;
mod link;
mod pool;

use std::sync::Arc;
use std::time::{Duration, Instant};

use http::{Method, Request, Response};
use hyper::body::Incoming;

use crate::counters::{Counters, add};
use crate::dial::{Dialed, Line, Peer};
use crate::socket::Socket;
use crate::target::{Address, Refusal};
use crate::upload::{Fault, Upload};

pub(crate) use download::Download;
pub(crate) use link::Link;
pub(crate) use pool::{Pool, Shelf};

/// Why there is no response.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Nobody listens there.
    Connect(std::io::Error),
    /// The upstream went away, or what it sent is no response.
    Lost(hyper::Error),
    /// It was connected to, or had the request, for too long.
    Timeout,
    /// It answered what nobody asked for.
    Nonsense,
    /// Whoever owns it says why.
    Refused(Refusal),
    /// The request's own body failed.
    Upload(Fault),
}

/// How long a process may take at least until it can be asked: it may wait for its module to be compiled, or for its turn.
const DIAL: Duration = Duration::from_secs(30);

/// A response whose body is still on its way.
pub(crate) struct Reply {
    pub(crate) response: Response<Incoming>,
    pub(crate) link: Box<Link>,
    pub(crate) shelf: Arc<Shelf>,
}

/// Sends a request and waits for the head of its response.
pub(crate) async fn exchange(
    pool: &Pool,
    counters: &Counters,
    timeout: Duration,
    address: &Address,
    request: Request<Upload>,
) -> Result<Reply, Failure> {
    let shelf = pool.shelf(address);
    let mut request = request;
    if let Some(link) = shelf.take() {
        if !is_repeatable(&request) {
            // The upstream may have closed this connection already without the runtime having looked. What cannot be
            // sent twice waits until it has.
            tokio::task::yield_now().await;
        }
        // Clones of the body are the same body.
        let copy = copy(&request);
        let line = link.peer.line();
        match link.send(request, timeout).await {
            Ok((response, link)) => {
                add(&counters.reused);
                return Ok(Reply { response, link, shelf });
            }
            Err(error) => match again(*error, copy) {
                Ok(unsent) => request = unsent,
                Err(failure) => return Err(explained(failure, line).await),
            },
        }
    }
    let begun = Instant::now();
    let patience = if matches!(address, Address::Dial(_)) { timeout.max(DIAL) } else { timeout };
    let connected = tokio::time::timeout(patience, connect(address)).await;
    let (socket, peer) = connected.map_err(|_| Failure::Timeout)??;
    let line = peer.line();
    let link = Link::new(socket, peer).await?;
    add(&counters.connects);
    tracing::trace!(%address, took = ?begun.elapsed(), "connected to an upstream");
    match link.send(request, timeout).await {
        Ok((response, link)) => Ok(Reply { response, link, shelf }),
        Err(error) => Err(explained(error.failure, line).await),
    }
}

async fn connect(address: &Address) -> Result<(Socket, Peer), Failure> {
    match address {
        Address::Dial(dialer) => {
            let Dialed { stream, line } = dialer.dial().await.map_err(Failure::Refused)?;
            Ok((Socket::Unix(stream), Peer::new(Some(line))))
        }
        address => {
            let socket = Socket::connect(address).await.map_err(Failure::Connect)?;
            Ok((socket, Peer::default()))
        }
    }
}

/// A failure in the words of who knows more about it.
async fn explained(failure: Failure, line: Option<Arc<dyn Line>>) -> Failure {
    match (failure, line) {
        (Failure::Lost(error), Some(line)) => {
            tracing::debug!(%error, "a process is lost");
            Failure::Refused(line.lost(false).await)
        }
        (Failure::Timeout, Some(line)) => Failure::Refused(line.lost(true).await),
        (failure, _) => failure,
    }
}

/// Whether a request without an answer may be sent once more after all of it was sent (RFC 9110, section 9.2.2).
fn is_repeatable(request: &Request<Upload>) -> bool {
    let idempotent = matches!(
        *request.method(),
        Method::GET | Method::HEAD | Method::OPTIONS | Method::PUT | Method::DELETE | Method::TRACE
    );
    idempotent && request.body().is_empty()
}

/// The request to send over a new connection after an old one turned out to be closed, or why not.
fn again(error: link::Error, copy: Request<Upload>) -> Result<Request<Upload>, Failure> {
    // hyper hands back what it has not begun to write.
    if let Some(unsent) = error.unsent {
        return Ok(unsent);
    }
    let closed = matches!(&error.failure, Failure::Lost(error) if error.is_incomplete_message() || error.is_closed() || error.is_canceled() || is_io(error));
    // Without its body it was no request yet, whatever its method.
    let whole = copy.body().is_empty() || !copy.body().is_untouched();
    if closed && (!whole || is_repeatable(&copy)) { Ok(copy) } else { Err(error.failure) }
}

fn is_io(error: &hyper::Error) -> bool {
    std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>())
}

fn copy(request: &Request<Upload>) -> Request<Upload> {
    let mut copy = Request::new(request.body().clone());
    copy.method_mut().clone_from(request.method());
    copy.uri_mut().clone_from(request.uri());
    copy.headers_mut().clone_from(request.headers());
    copy
}
