//! HTTP/1.1 by hand: what is sent and what comes back are bytes.

use std::future::Future;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;

/// What takes longer than this hangs.
const HANG: Duration = Duration::from_secs(30);

/// Waits, but not for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(HANG, future).await.expect("it hangs")
}

/// A stream, and what was read from it too early.
pub(crate) struct Wire<S = TcpStream> {
    pub(crate) stream: S,
    early: Vec<u8>,
}

/// A message as it was on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    /// The head without its empty line.
    pub(crate) head: String,
    /// The body with its framing, as far as it has one.
    pub(crate) body: Vec<u8>,
}

impl Message {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status")
    }

    pub(crate) fn first_line(&self) -> &str {
        self.head.lines().next().unwrap_or_default()
    }

    /// The values of a field, one for each line.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.head.lines().skip(1).filter_map(|line| line.split_once(':'));
        lines.filter(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).collect()
    }

    /// The value of a field that is there at most once.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} is there more than once: {}", self.head);
        all.first().copied()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.clone()).expect("a text")
    }

    /// The code of one of the gateway's own answers.
    pub(crate) fn code(&self) -> String {
        let json: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        json["error"]["code"].as_str().expect("a code").to_owned()
    }

    fn is_chunked(&self) -> bool {
        self.field("transfer-encoding") == Some("chunked")
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Wire<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, early: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        within(self.stream.write_all(bytes.as_ref())).await.expect("the other end reads");
    }

    /// Sends what may not be taken to its end.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = within(self.stream.write_all(bytes.as_ref())).await;
    }

    async fn more(&mut self) -> usize {
        within(self.stream.read_buf(&mut self.early)).await.unwrap_or(0)
    }

    /// Reads up to and with `end`; none if the stream ends before.
    pub(crate) async fn until(&mut self, end: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = self.early.windows(end.len()).position(|window| window == end) {
                return Some(self.early.drain(..at + end.len()).collect());
            }
            if self.more().await == 0 {
                return None;
            }
        }
    }

    pub(crate) async fn exactly(&mut self, count: usize) -> Option<Vec<u8>> {
        while self.early.len() < count {
            if self.more().await == 0 {
                return None;
            }
        }
        Some(self.early.drain(..count).collect())
    }

    /// Reads to the end of the stream, orderly or not.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await > 0 {}
        std::mem::take(&mut self.early)
    }

    pub(crate) async fn head(&mut self) -> Option<Message> {
        let head = self.until(b"\r\n\r\n").await?;
        let head = String::from_utf8(head).expect("a text").trim_end().to_owned();
        Some(Message { head, body: Vec::new() })
    }

    /// Reads a request or a response with its body; none if the stream ends before.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        let mut message = self.head().await?;
        if message.is_chunked() {
            loop {
                let line = self.until(b"\r\n").await?;
                let text = std::str::from_utf8(&line).expect("a size").trim_end();
                let size = usize::from_str_radix(text, 16).expect("a size");
                message.body.extend_from_slice(&line);
                if size == 0 {
                    loop {
                        let trailer = self.until(b"\r\n").await?;
                        message.body.extend_from_slice(&trailer);
                        if trailer == b"\r\n" {
                            return Some(message);
                        }
                    }
                }
                message.body.extend(self.exactly(size + 2).await?);
            }
        }
        let length = message.field("content-length").map_or(0, |length| length.parse().expect("a number"));
        message.body = self.exactly(length).await?;
        Some(message)
    }

    /// Sends a request and reads the response.
    pub(crate) async fn call(&mut self, request: impl AsRef<[u8]>) -> Message {
        self.send(request).await;
        self.message().await.expect("a response")
    }

    /// Whether the other end closes now, without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.rest().await.is_empty()
    }
}
