//! What a worker does: it takes one session from its control socket, runs it, tells how it ended, and leaves.
//!
//! It runs in a process of its own that `prefork` has set up, with one thread and with descriptors of known
//! numbers. It leaves with a status that confirms its report ([`frames::message::Report::exit_status`]).

mod stdio;

use std::fs::File;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::path::Path;

use engine::{Code, Dir, Ending, Engine, Run};
use frames::message::exit;
use frames::{Kind, Report, SessionSpec};

pub use stdio::FrameWriter;

/// The descriptors of a worker, by number.
#[derive(Debug, Clone, Copy)]
pub struct Fds {
    /// The guest's standard input.
    pub stdin: RawFd,
    /// The pipe that the frames go out of.
    pub frames: RawFd,
}

/// A page of WebAssembly memory in bytes.
const PAGE: u64 = 64 * 1024;

/// What an engine may allocate beside linear memory, in bytes: a loaded module (a 26 MB interpreter takes ten times
/// its size) and its own stack.
const ENGINE_DATA: u64 = 512 << 20;

/// Runs one session and returns the status to leave with.
///
/// `module` is the descriptor that came with the session.
pub fn serve(engine: &mut dyn Engine, spec: &SessionSpec, module: BorrowedFd<'_>, fds: Fds) -> i32 {
    let (Some(stdin), Some(frames)) = (sys::stdio::numbered(fds.stdin), sys::stdio::numbered(fds.frames))
    else {
        return exit::BROKEN;
    };
    let mut writer = FrameWriter::new(stdin, frames);
    if writer.control(Kind::Started, &std::process::id().to_le_bytes()).is_err() {
        // Nobody listens: the supervisor is gone, and so will this process be in a moment.
        return exit::BROKEN;
    }
    // Linear memory has its limit of pages. This one is for what the engine allocates on the guest's behalf: an
    // interpreter's stack grows on the heap, and a guest that recurses for ever would take the machine's memory.
    let data = u64::from(spec.max_pages) * PAGE + ENGINE_DATA;
    if sys::child::limit_data(data).is_err() {
        return exit::BROKEN;
    }
    let report = match run(engine, spec, module, &mut writer) {
        Ending::Exited(code) => Report::Exited { code },
        Ending::Trapped { trap, message } => Report::Trapped { trap: trap.to_owned(), message },
        Ending::LoadFailed(message) => Report::LoadFailed { message },
    };
    let Ok(bytes) = frames::message::encode(&report) else { return exit::BROKEN };
    match writer.control(Kind::Result, &bytes[frames::message::PREFIX_LEN..]) {
        Ok(()) => report.exit_status(),
        Err(_) => exit::BROKEN,
    }
}

fn run(
    engine: &mut dyn Engine,
    spec: &SessionSpec,
    module: BorrowedFd<'_>,
    writer: &mut FrameWriter<'_>,
) -> Ending {
    // Folders are opened here and handed on as descriptors: a path may hold what the engine's own notation for
    // folders uses as a separator, and cannot be exchanged between this look and the engine's.
    let mut opened = Vec::with_capacity(spec.dirs.len());
    for dir in &spec.dirs {
        match File::open(&dir.host) {
            Ok(file) if file.metadata().is_ok_and(|facts| facts.is_dir()) => {
                opened.push((file, dir));
            }
            Ok(_) => return Ending::LoadFailed(format!("{} is not a folder", dir.host)),
            Err(error) => return Ending::LoadFailed(format!("cannot open the folder {}: {error}", dir.host)),
        }
    }
    // The engine opens without following a link, which the descriptor's name is; its `.` is a folder.
    let hosts: Vec<String> =
        opened.iter().map(|(file, _)| format!("/proc/self/fd/{}/.", file.as_raw_fd())).collect();
    let dirs: Vec<Dir<'_>> = opened
        .iter()
        .zip(&hosts)
        .map(|((_, dir), host)| Dir { host, guest: &dir.guest, read_only: dir.read_only })
        .collect();
    let path = format!("/proc/self/fd/{}", module.as_raw_fd());
    let code = Code { path: Path::new(&path), compiled: spec.compiled };
    let run = Run { args: &spec.args, env: &spec.env, dirs: &dirs, max_pages: spec.max_pages };
    match engine.run_prepared(&run, writer) {
        Some(ending) => ending,
        None => engine.run(code, &run, writer),
    }
}
