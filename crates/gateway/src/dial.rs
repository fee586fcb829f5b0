//! Upstreams without an address: whoever owns them makes a connection when one is wanted, and each leads to a process of its
//! own.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::UnixStream;

use crate::target::{BoxFuture, Refusal};

/// Makes connections to an upstream that has no address.
pub trait Dial: Send + Sync + 'static {
    /// Makes one, when no idle one is left.
    fn dial(&self) -> BoxFuture<'static, Result<Dialed, Refusal>>;

    /// The longest that this may take, and after it the head of an answer.
    fn timeout(&self) -> Duration;
}

/// A connection that was made.
pub struct Dialed {
    /// The stream; it speaks HTTP/1.1.
    pub stream: UnixStream,
    /// What is known of its other end.
    pub line: Arc<dyn Line>,
}

/// What is known of the other end of a connection.
pub trait Line: Send + Sync + 'static {
    /// Whether it may get another request.
    fn is_wanted(&self) -> bool;

    /// What a client is told whose request got no answer: the connection broke, or it was `late`.
    fn lost(&self, late: bool) -> BoxFuture<'static, Refusal>;

    /// Nobody waits any more for the answer that it owes.
    fn cut(&self);
}

/// An upstream without an address. Clones are the same.
#[derive(Clone)]
pub struct Dialer {
    id: u64,
    dial: Arc<dyn Dial>,
}

impl Dialer {
    /// An upstream that no other is the same as.
    #[must_use]
    pub fn new(dial: Arc<dyn Dial>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self { id: NEXT.fetch_add(1, Ordering::Relaxed), dial }
    }

    pub(crate) async fn dial(&self) -> Result<Dialed, Refusal> {
        self.dial.dial().await
    }

    pub(crate) fn timeout(&self) -> Duration {
        self.dial.timeout()
    }
}

impl PartialEq for Dialer {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Dialer {}

impl Hash for Dialer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id.hash(state);
    }
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("id", &self.id).finish_non_exhaustive()
    }
}

impl fmt::Debug for Dialed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialed").field("stream", &self.stream).finish_non_exhaustive()
    }
}

/// Who is at the other end of a connection, and whether an answer is still due. Dropped before that has come to its end,
/// it says so.
#[derive(Default)]
pub(crate) struct Peer {
    line: Option<Arc<dyn Line>>,
    owes: bool,
}

impl Peer {
    pub(crate) fn new(line: Option<Arc<dyn Line>>) -> Self {
        Self { line, owes: false }
    }

    pub(crate) fn line(&self) -> Option<Arc<dyn Line>> {
        self.line.clone()
    }

    /// A request was sent, or its answer came to its end.
    pub(crate) fn owes(&mut self, owes: bool) {
        self.owes = owes;
    }

    pub(crate) fn is_dialed(&self) -> bool {
        self.line.is_some()
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.line.as_ref().is_none_or(|line| line.is_wanted())
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if let Some(line) = self.line.as_ref().filter(|_| self.owes) {
            line.cut();
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("owes", &self.owes).finish_non_exhaustive()
    }
}
