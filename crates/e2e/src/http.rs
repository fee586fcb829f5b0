//! HTTP/1.1 by hand over a Unix socket or TCP, one connection for each request: what goes out is exactly what a test says.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::Path;
use std::time::Duration;

use crate::door::{Door, Wire};

/// A reply whose body was not read yet.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    stream: BufReader<Wire>,
    framing: Framing,
}

#[derive(Debug)]
enum Framing {
    /// This many bytes are left.
    Length(u64),
    /// This many bytes are left of the chunk.
    Chunk(u64),
    Close,
}

impl Reply {
    /// A header field.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str())
    }

    /// The whole body.
    ///
    /// # Panics
    /// When the connection breaks before its end.
    #[must_use]
    pub fn body(mut self) -> Vec<u8> {
        let mut body = Vec::new();
        self.read_to_end(&mut body).expect("the reply has a body");
        body
    }

    /// The whole body, if it comes to its end.
    ///
    /// # Errors
    /// When the connection breaks before.
    pub fn whole(mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        self.read_to_end(&mut body)?;
        Ok(body)
    }

    /// The whole body as text.
    ///
    /// # Panics
    /// When the connection breaks before its end.
    #[must_use]
    pub fn text(self) -> String {
        String::from_utf8_lossy(&self.body()).into_owned()
    }

    /// What comes behind the head, whatever the head says: of an upgraded connection, or of one that is to be broken.
    #[must_use]
    pub fn into_stream(self) -> BufReader<Wire> {
        self.stream
    }

    /// The whole body as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(self) -> serde_json::Value {
        let status = self.status;
        let body = self.body();
        serde_json::from_slice(&body).unwrap_or_else(|error| {
            panic!("the body of a {status} is not JSON ({error}): {}", String::from_utf8_lossy(&body))
        })
    }

    fn chunk(&mut self) -> io::Result<u64> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        let size = line.trim_end().split(';').next().unwrap_or_default();
        u64::from_str_radix(size, 16)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, format!("`{line}` is no chunk's size")))
    }
}

impl Read for Reply {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Framing::Chunk(0) = self.framing {
            self.framing = match self.chunk()? {
                0 => Framing::Length(0),
                size => Framing::Chunk(size),
            };
        }
        let left = match self.framing {
            Framing::Length(0) => return Ok(0),
            Framing::Length(left) | Framing::Chunk(left) => left,
            Framing::Close => return self.stream.read(buffer),
        };
        let room = buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let got = self.stream.read(&mut buffer[..room])?;
        if got == 0 && room > 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let left = left - got as u64;
        if let Framing::Chunk(_) = self.framing {
            self.framing = Framing::Chunk(left);
            if left == 0 {
                let mut end = [0; 2];
                self.stream.read_exact(&mut end)?;
            }
        } else {
            self.framing = Framing::Length(left);
        }
        Ok(got)
    }
}

/// A request.
#[derive(Debug)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, with its query.
    pub path: &'a str,
    /// More header fields.
    pub headers: &'a [(&'a str, &'a str)],
    /// The body.
    pub body: &'a [u8],
}

impl Request<'_> {
    /// Sends it and reads the head of the reply.
    ///
    /// # Errors
    /// When nobody listens, the connection breaks, or nothing comes for `deadline`.
    pub fn send(&self, socket: &Path, deadline: Duration) -> io::Result<Reply> {
        self.send_to(&Door::Unix(socket.to_owned()), deadline)
    }

    /// Sends it there and reads the head of the reply.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_to(&self, door: &Door, deadline: Duration) -> io::Result<Reply> {
        let mut stream = door.connect(deadline)?;
        stream.write_all(self.head().as_bytes())?;
        // A server that refuses a body half-way answers all the same.
        let sent = stream.write_all(self.body);
        match read_head(stream) {
            Err(error) => Err(sent.err().unwrap_or(error)),
            reply => reply,
        }
    }

    /// Sends it there and reads the head of the reply while the body is still being sent: an answer that is as long as the
    /// request is read meanwhile.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_both_ways(&self, door: &Door, deadline: Duration) -> io::Result<Reply> {
        let mut stream = door.connect(deadline)?;
        stream.write_all(self.head().as_bytes())?;
        let (mut half, body) = (stream.try_clone()?, self.body.to_owned());
        // It ends with the body, with the connection, or with the deadline.
        std::thread::spawn(move || half.write_all(&body));
        read_head(stream)
    }

    fn head(&self) -> String {
        let mut head =
            format!("{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n", self.method, self.path);
        for (name, value) in self.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !self.body.is_empty() || self.method == "POST" {
            head += &format!("content-length: {}\r\n", self.body.len());
        }
        head + "\r\n"
    }
}

/// Reads the head of a reply.
///
/// # Errors
/// When the connection breaks, or it is not HTTP.
pub fn read_head(stream: impl Into<Wire>) -> io::Result<Reply> {
    read_head_from(BufReader::new(stream.into()))
}

/// Reads the head of a reply from a connection that was read from before.
///
/// # Errors
/// As [`read_head`].
pub fn read_head_from(mut stream: BufReader<Wire>) -> io::Result<Reply> {
    let invalid = |text: &str| io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: `{text}`"));
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let status = line.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)?.parse().ok());
    let status: u16 = status.ok_or_else(|| invalid(&line))?;
    let mut headers = Vec::new();
    loop {
        line.clear();
        stream.read_line(&mut line)?;
        if line.trim_end().is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let field = |name: &str| headers.iter().find(|(found, _)| found == name).map(|(_, value)| value.as_str());
    let framing = match (field("transfer-encoding"), field("content-length")) {
        (Some(_), _) => Framing::Chunk(0),
        (None, Some(length)) => Framing::Length(length.parse().map_err(|_| invalid(length))?),
        (None, None) if status == 204 || status == 304 || status == 101 => Framing::Length(0),
        (None, None) => Framing::Close,
    };
    Ok(Reply { status, headers, stream, framing })
}
