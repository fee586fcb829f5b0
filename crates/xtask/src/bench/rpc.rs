//! A lean JSON-RPC client: blocking, one connection that stays open, requests that were written before the clock runs.
//! The machine of the server pays for the client, too; this one costs two system calls for a call.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::signals;

/// The bytes of a call, HTTP head included.
pub(crate) fn request(method: &str, params: &Value) -> Vec<u8> {
    let body = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }).to_string();
    let head = format!(
        "POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    (head + &body).into_bytes()
}

/// A connection to the server.
#[derive(Debug)]
pub(crate) struct Rpc {
    stream: UnixStream,
    buffer: Vec<u8>,
    /// How many bytes the last reply had, head included.
    pub(crate) size: usize,
}

impl Rpc {
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)?;
        // Longer than any call that waits.
        stream.set_read_timeout(Some(Duration::from_secs(300)))?;
        Ok(Self { stream, buffer: Vec::new(), size: 0 })
    }

    pub(crate) fn send(&mut self, request: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(request)?)
    }

    /// The body of the reply.
    pub(crate) fn receive(&mut self) -> Result<&[u8]> {
        let (mut have, mut whole) = (0, None);
        while whole.is_none_or(|(_, end)| have < end) {
            if self.buffer.len() < have + 4096 {
                self.buffer.resize(have + 64 * 1024, 0);
            }
            let got = signals::read(&self.stream, &mut self.buffer[have..])?;
            ensure!(got > 0, "the server closed the connection");
            have += got;
            if whole.is_none() {
                whole = head(&self.buffer[..have])?;
            }
        }
        let (begin, end) = whole.unwrap_or_default();
        ensure!(have == end, "more than one reply came");
        self.size = end;
        Ok(&self.buffer[begin..end])
    }

    pub(crate) fn exchange(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.send(request)?;
        self.receive()
    }

    /// Any call; for what is not timed.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        result(self.exchange(&request(method, params))?).with_context(|| format!("{method} {params}"))
    }
}

/// Where the body begins and ends, once the head is there.
fn head(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end) = memchr::memmem::find(bytes, b"\r\n\r\n") else { return Ok(None) };
    let text = std::str::from_utf8(&bytes[..end])?;
    let length = text.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    Ok(Some((end + 4, end + 4 + length.with_context(|| format!("no length: {text}"))?)))
}

/// What a reply says.
pub(crate) fn result(body: &[u8]) -> Result<Value> {
    let mut reply: Value = serde_json::from_slice(body)?;
    match reply.get("error") {
        Some(error) => bail!("{error}"),
        None => Ok(reply["result"].take()),
    }
}
