//! A file of JSON lines that is put aside when it is large.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use bytes::BytesMut;
use supervisor::logs::Line;

use crate::escape;

/// What is collected before it is written.
const BUFFER: usize = 64 * 1024;

#[derive(Debug)]
pub(super) struct RotatingFile {
    path: PathBuf,
    rotate_bytes: u64,
    keep: u32,
    file: Option<File>,
    size: u64,
    buffer: BytesMut,
}

impl RotatingFile {
    pub(super) fn new(path: PathBuf, rotate_bytes: u64, keep: u32) -> Self {
        Self { path, rotate_bytes, keep, file: None, size: 0, buffer: BytesMut::new() }
    }

    pub(super) fn write(&mut self, session_id: &str, line: &Line) -> io::Result<()> {
        let before = self.buffer.len();
        let out = &mut self.buffer;
        out.extend_from_slice(br#"{"session":""#);
        escape::text(out, session_id);
        out.extend_from_slice(br#"","kind":""#);
        out.extend_from_slice(line.kind.name().as_bytes());
        out.extend_from_slice(br#"","ts_ms":"#);
        escape::number(out, line.ts_ms);
        out.extend_from_slice(b",");
        escape::line(out, line);
        out.extend_from_slice(b"}\n");
        let added = (self.buffer.len() - before) as u64;
        if self.size + added > self.rotate_bytes && self.size > 0 {
            // The line that came last opens the new file.
            let last = self.buffer.split_off(before);
            self.flush()?;
            self.rotate()?;
            self.buffer = last;
        }
        self.size += added;
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> io::Result<()> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        // What cannot be written is given up, so that the buffer does not grow while the disk is full.
        let text = std::mem::take(&mut self.buffer);
        let mut file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().append(true).create(true).mode(0o600).open(&self.path)?;
                self.size = file.metadata()?.len() + text.len() as u64;
                file
            }
        };
        file.write_all(&text)?;
        self.file = Some(file);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        self.file = None;
        self.size = 0;
        let aside = |number: u32| {
            let mut name = self.path.clone().into_os_string();
            name.push(format!(".{number}"));
            PathBuf::from(name)
        };
        for number in (1..self.keep).rev() {
            match std::fs::rename(aside(number), aside(number + 1)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        match self.keep {
            0 => std::fs::remove_file(&self.path),
            _ => std::fs::rename(&self.path, aside(1)),
        }
    }
}
