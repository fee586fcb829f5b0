//! Upstreams without an address: connections that their owner makes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use gateway::{Address, BoxFuture, Dial, Dialed, Dialer, Line, Refusal};
use http::StatusCode;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use crate::setup::{Bed, get, until};
use crate::wire::within;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What became of the lines of an owner.
#[derive(Default)]
struct Fate {
    dialed: AtomicUsize,
    cut: AtomicUsize,
    retired: AtomicBool,
    refuses: AtomicBool,
}

struct Owner {
    fate: Arc<Fate>,
    ends: mpsc::UnboundedSender<UnixStream>,
    timeout: Duration,
}

struct OneLine(Arc<Fate>);

impl Dial for Owner {
    fn dial(&self) -> BoxFuture<'static, Result<Dialed, Refusal>> {
        let (fate, ends) = (Arc::clone(&self.fate), self.ends.clone());
        Box::pin(async move {
            if fate.refuses.load(Ordering::SeqCst) {
                let reason = "it has no room".to_owned();
                return Err(Refusal { status: StatusCode::SERVICE_UNAVAILABLE, reason, retry_after: None });
            }
            fate.dialed.fetch_add(1, Ordering::SeqCst);
            let (stream, theirs) = UnixStream::pair().expect("the test has what it needs");
            ends.send(theirs).expect("the test has what it needs");
            Ok(Dialed { stream, line: Arc::new(OneLine(fate)) })
        })
    }

    fn timeout(&self) -> Duration {
        self.timeout
    }
}

impl Line for OneLine {
    fn is_wanted(&self) -> bool {
        !self.0.retired.load(Ordering::SeqCst)
    }

    fn lost(&self, late: bool) -> BoxFuture<'static, Refusal> {
        let status = if late { StatusCode::GATEWAY_TIMEOUT } else { StatusCode::BAD_GATEWAY };
        Box::pin(async move { Refusal { status, reason: "it fell over".to_owned(), retry_after: None } })
    }

    fn cut(&self) {
        self.0.cut.fetch_add(1, Ordering::SeqCst);
    }
}

/// A gateway before such an owner, and the other ends of its connections.
async fn bed(timeout: Duration) -> (Bed, Arc<Fate>, mpsc::UnboundedReceiver<UnixStream>) {
    let fate = Arc::<Fate>::default();
    let (ends, other_ends) = mpsc::unbounded_channel();
    let owner = Owner { fate: Arc::clone(&fate), ends, timeout };
    let bed = Bed::before(Address::Dial(Dialer::new(Arc::new(owner)))).await;
    (bed, fate, other_ends)
}

const LONG: Duration = Duration::from_secs(600);

async fn head(stream: &mut UnixStream) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        assert_ne!(within(stream.read_buf(&mut head)).await.expect("the test has what it needs"), 0);
    }
    String::from_utf8(head).expect("the test has what it needs")
}

#[tokio::test]
async fn a_line_is_kept_for_the_next_request_while_it_is_wanted() {
    let (bed, fate, mut ends) = bed(LONG).await;
    let mut client = bed.connect().await;
    client.send(get("/api/a?b")).await;
    let mut line = ends.recv().await.unwrap();
    assert!(head(&mut line).await.starts_with("GET /a?b HTTP/1.1\r\n"));
    line.write_all(OK).await.unwrap();
    assert_eq!(client.message().await.unwrap().text(), "ok");
    client.send(get("/api")).await;
    head(&mut line).await;
    line.write_all(OK).await.unwrap();
    assert_eq!(client.message().await.unwrap().text(), "ok");
    assert_eq!(fate.dialed.load(Ordering::SeqCst), 1);
    fate.retired.store(true, Ordering::SeqCst);
    client.send(get("/api")).await;
    let mut other = ends.recv().await.unwrap();
    head(&mut other).await;
    other.write_all(OK).await.unwrap();
    assert_eq!(client.message().await.unwrap().text(), "ok");
    // The one that is not wanted was closed.
    assert_eq!(within(line.read(&mut [0; 1])).await.unwrap(), 0);
    assert_eq!(fate.cut.load(Ordering::SeqCst), 0, "all was said");
}

#[tokio::test]
async fn the_owner_says_why_there_is_no_answer() {
    let (bed, fate, mut ends) = bed(LONG).await;
    let mut client = bed.connect().await;
    client.send(get("/api")).await;
    let mut line = ends.recv().await.unwrap();
    head(&mut line).await;
    drop(line);
    let answer = client.message().await.unwrap();
    assert!(answer.text().contains("it fell over") && answer.text().contains("service_failed"));
    fate.refuses.store(true, Ordering::SeqCst);
    let answer = bed.get("/api").await;
    assert!(answer.text().contains("it has no room"));
    assert_eq!(fate.cut.load(Ordering::SeqCst), 0, "it was gone by itself");
}

#[tokio::test]
async fn one_that_is_late_is_cut() {
    let (bed, fate, mut ends) = bed(Duration::from_millis(50)).await;
    let answer = bed.get("/api").await;
    assert!(answer.text().contains("service_timeout"));
    assert_eq!(fate.cut.load(Ordering::SeqCst), 1);
    let mut line = ends.recv().await.unwrap();
    head(&mut line).await;
    assert_eq!(within(line.read(&mut [0; 1])).await.unwrap(), 0);
}

#[tokio::test]
async fn a_client_that_goes_away_cuts_its_line() {
    let (bed, fate, mut ends) = bed(LONG).await;
    for begins in [false, true] {
        let before = fate.cut.load(Ordering::SeqCst);
        let mut client = bed.connect().await;
        client.send(get("/api")).await;
        let mut line = ends.recv().await.unwrap();
        head(&mut line).await;
        if begins {
            line.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nok").await.unwrap();
            client.head().await.unwrap();
        }
        drop(client);
        until(|| fate.cut.load(Ordering::SeqCst) == before + 1).await;
    }
}
