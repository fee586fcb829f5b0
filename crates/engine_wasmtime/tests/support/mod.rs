//! Runs modules written as text, in this process.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::path::PathBuf;

use engine::{Code, Ending, Engine, Entry, Output, Run, Stdio};
use engine_wasmtime::Wasmtime;

/// Streams that remember.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    /// How many writes there were.
    pub(crate) writes: usize,
    pub(crate) ready: bool,
    pub(crate) stdin: Option<File>,
}

impl Stdio for Streams {
    fn write(&mut self, output: Output, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let place = match output {
            Output::Stdout => &mut self.stdout,
            Output::Stderr => &mut self.stderr,
        };
        self.writes += 1;
        slices.iter().for_each(|slice| place.extend_from_slice(slice));
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn read(&mut self, slices: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        self.stdin.as_mut().map_or(Ok(0), |file| file.read(&mut slices[0]))
    }

    fn ready(&mut self) {
        self.ready = true;
    }

    fn stdin_fd(&self) -> Option<BorrowedFd<'_>> {
        self.stdin.as_ref().map(AsFd::as_fd)
    }

    fn random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        sys::random::fill(buffer)
    }
}

/// A module, compiled.
pub(crate) struct Artifact {
    folder: tempfile::TempDir,
}

impl Artifact {
    pub(crate) fn of(text: &str) -> Self {
        Self::try_of(text).expect("it compiles")
    }

    pub(crate) fn try_of(text: &str) -> Result<Self, engine::Error> {
        let folder = tempfile::tempdir().expect("a folder");
        let (module, artifact) = (folder.path().join("module"), folder.path().join("artifact"));
        std::fs::write(&module, wat::parse_str(text).expect("valid text")).expect("the file is written");
        Wasmtime::default().compile(&module, &artifact)?;
        Ok(Self { folder })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("artifact")
    }

    /// Runs it with these streams.
    pub(crate) fn run(&self, run: &Run<'_>, streams: &mut Streams) -> Ending {
        Wasmtime::default().run(Code { path: &self.path(), compiled: true }, run, streams)
    }

    /// Calls a function of it.
    pub(crate) fn invoke(&self, function: &str, args: &str) -> Ending {
        let run = Run { max_pages: 64, entry: Entry::Invoke { function, args }, ..Run::default() };
        self.run(&run, &mut Streams::default())
    }
}

/// Why it could not be loaded.
pub(crate) fn why(ending: Ending) -> String {
    match ending {
        Ending::LoadFailed(why) => why,
        other => panic!("it has to fail before it runs: {other:?}"),
    }
}
