//! journald's native protocol: a datagram of fields for each line.

use std::io;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use api::LogKind;
use supervisor::logs::Line;

/// journald may be slow, but not for ever.
const SEND_TIMEOUT: Duration = Duration::from_secs(2);

#[derive(Debug)]
pub(super) struct Journal {
    socket: UnixDatagram,
    path: PathBuf,
    buffer: Vec<u8>,
}

impl Journal {
    /// The way to journald, if it is there.
    pub(super) fn open(path: &Path) -> Option<Self> {
        if !path.exists() {
            return None;
        }
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_write_timeout(Some(SEND_TIMEOUT)).ok()?;
        Some(Self { socket, path: path.to_owned(), buffer: Vec::with_capacity(512) })
    }

    pub(super) fn send(&mut self, session_id: &str, line: &Line) -> io::Result<()> {
        self.buffer.clear();
        fields(&mut self.buffer, session_id, line);
        // By its path each time: a journald that was restarted has another socket there.
        self.socket.send_to(&self.buffer, &self.path).map(drop)
    }
}

fn fields(out: &mut Vec<u8>, session_id: &str, line: &Line) {
    // 6 is info and 4 is warning in syslog's scale.
    let priority = match line.kind {
        LogKind::Stdout => "6",
        LogKind::Stderr | LogKind::Host => "4",
    };
    field(out, "MESSAGE", &line.bytes);
    field(out, "PRIORITY", priority.as_bytes());
    field(out, "SYSLOG_IDENTIFIER", api::SERVICE.as_bytes());
    field(out, "SESSION", session_id.as_bytes());
    field(out, "KIND", line.kind.name().as_bytes());
}

/// A field, in the form with a length where the value has a line feed, so that a value can never be a field.
fn field(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    out.extend_from_slice(name.as_bytes());
    if value.contains(&b'\n') {
        out.push(b'\n');
        out.extend_from_slice(&(value.len() as u64).to_le_bytes());
    } else {
        out.push(b'=');
    }
    out.extend_from_slice(value);
    out.push(b'\n');
}
