//! What a worker does: it takes one session from its control socket, runs it, tells how it ended, and leaves.
//!
//! It runs in a process of its own that `prefork` has set up, with one thread and with descriptors of known
//! numbers. It leaves with a status that confirms its report ([`frames::message::Report::exit_status`]).

mod confine;
mod exec;
mod network;
mod rehearsal;
mod stdio;
mod template;

use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;
use std::time::Duration;

use engine::{Code, Dir, Ending, Engine, Entry, Run};
use frames::message::{Ended, exit};
use frames::{Kind, Report, SessionSpec};

use network::Given;
pub use rehearsal::rehearse;
use stdio::{FrameSender, FrameWriter};
pub use template::{Printed, Warmed, warm};

/// The descriptors of a worker, by number.
#[derive(Debug, Clone, Copy)]
pub struct Fds {
    /// The guest's standard input.
    pub stdin: RawFd,
    /// The pipe that output goes out of, as frames.
    pub frames: RawFd,
    /// The socket that the session came by. What the worker says of itself goes there: nobody waits for it, so it wakes
    /// nobody.
    pub control: RawFd,
}

/// A page of WebAssembly memory in bytes.
const PAGE: u64 = 64 * 1024;

/// What an engine may allocate beside linear memory, in bytes: a loaded module (a 26 MB interpreter takes ten times
/// its size) and its own stack.
const ENGINE_DATA: u64 = 512 << 20;

/// Runs one session and returns the status to leave with.
///
/// `given` are the descriptors that came with the session, `printed` is what its template has printed.
pub fn serve(
    engine: &mut dyn Engine,
    spec: &SessionSpec,
    given: Vec<OwnedFd>,
    fds: Fds,
    printed: &Printed,
) -> i32 {
    let Some(Given { module, stdout, connection, network, exec }) = Given::of(spec, given) else {
        return exit::BROKEN;
    };
    let Some((mut control, mut writer)) = begin(fds, spec) else { return exit::BROKEN };
    writer.raw_stdout(stdout);
    writer.connection(connection);
    writer.exec(exec);
    if limit(spec.max_pages).is_err() || printed.print(&mut writer).is_err() {
        return exit::BROKEN;
    }
    let request = Request {
        compiled: spec.compiled,
        max_pages: spec.max_pages,
        args: &spec.args,
        env: &spec.env,
        dirs: &spec.dirs,
        init: spec.init.as_deref(),
        network: network.as_ref(),
        session: Some(spec),
        prepared: engine.is_prepared(),
    };
    let ending =
        with_run(&request, module.as_fd(), |code, run| match engine.run_prepared(run, &mut writer) {
            Some(ending) => ending,
            None => engine.run(code, run, &mut writer),
        });
    let ending = ending.unwrap_or_else(Ending::LoadFailed);
    // Before the end is told: nothing follows that.
    if let Ending::Returned { value, .. } = &ending
        && writer.value(value).is_err()
    {
        return exit::BROKEN;
    }
    end(&mut control, ending, writer.load())
}

/// Tells the supervisor that the session is taken; where it is told more, and the session's streams. `None` when nobody
/// listens: the supervisor is gone, and so will this process be in a moment.
fn begin(fds: Fds, spec: &SessionSpec) -> Option<(FrameSender<'static>, FrameWriter<'static>)> {
    let writer = FrameWriter::new(sys::stdio::numbered(fds.stdin)?, sys::stdio::numbered(fds.frames)?);
    let mut control = FrameSender::new(sys::stdio::numbered(fds.control)?);
    control.control(Kind::Started, &std::process::id().to_le_bytes()).ok()?;
    if spec.yield_after_ms > 0 {
        // A guest that cannot be told to step back is a nuisance, not a danger.
        let _ = sys::sched::yield_after(Duration::from_millis(u64::from(spec.yield_after_ms)));
    }
    Some((control, writer))
}

/// Linear memory has its limit of pages. This one is for what the engine allocates on the guest's behalf: an
/// interpreter's stack grows on the heap, and a guest that recurses for ever would take the machine's memory.
fn limit(max_pages: u32) -> std::io::Result<()> {
    sys::child::limit_data(u64::from(max_pages) * PAGE + ENGINE_DATA)
}

/// Reports how the session ended; the status to leave with.
fn end(control: &mut FrameSender<'_>, ending: Ending, load: Option<Duration>) -> i32 {
    let report = match ending {
        Ending::Exited(code) => Report::Exited { code },
        Ending::Returned { ok, .. } => Report::Returned { ok },
        Ending::Trapped { trap, message } => Report::Trapped { trap: trap.to_owned(), message },
        Ending::LoadFailed(message) => Report::LoadFailed { message },
    };
    let status = report.exit_status();
    let ended = Ended { report, load_us: load.map(|load| load.as_micros() as u64) };
    let Ok(bytes) = frames::message::encode(&ended) else { return exit::BROKEN };
    match control.control(Kind::Result, &bytes[frames::message::PREFIX_LEN..]) {
        Ok(()) => status,
        Err(_) => exit::BROKEN,
    }
}

/// What is to be run, by a session or by a template.
struct Request<'a> {
    compiled: bool,
    max_pages: u32,
    args: &'a [String],
    env: &'a [String],
    dirs: &'a [frames::message::Dir],
    init: Option<&'a str>,
    network: Option<&'a engine::Network>,
    /// What only a session has.
    session: Option<&'a SessionSpec>,
    /// Its file is not looked at any more.
    prepared: bool,
}

/// What a run has that only a session says.
fn of_session<'a>(spec: &'a SessionSpec, run: Run<'a>) -> Run<'a> {
    let entry = match (&spec.invoke, spec.serve) {
        (Some(invoke), _) => Entry::Invoke { function: &invoke.function, args: &invoke.args },
        (None, Some(serve)) => Entry::Serve {
            max_requests: serve.max_requests,
            timeout: Duration::from_millis(serve.timeout_ms),
        },
        (None, None) => Entry::Program,
    };
    let deadline = (spec.deadline_ms > 0).then(|| Duration::from_millis(spec.deadline_ms));
    Run { entry, deadline, ready_export: spec.ready_export.as_deref(), ..run }
}

/// Opens folders; the error says which one cannot be used.
fn open(dirs: &[frames::message::Dir]) -> Result<Vec<(File, &frames::message::Dir)>, String> {
    let open = |dir| {
        let dir: &frames::message::Dir = dir;
        match File::open(&dir.host) {
            Ok(file) if file.metadata().is_ok_and(|facts| facts.is_dir()) => Ok((file, dir)),
            Ok(_) => Err(format!("{} is not a folder", dir.host)),
            Err(error) => Err(format!("cannot open the folder {}: {error}", dir.host)),
        }
    };
    dirs.iter().map(open).collect()
}

/// Opens the folders of a request, has the kernel hold a session to them, and hands it on in the engine's terms; the error
/// says which folder cannot be used.
fn with_run<T>(
    request: &Request<'_>,
    module: BorrowedFd<'_>,
    body: impl FnOnce(Code<'_>, &Run<'_>) -> T,
) -> Result<T, String> {
    // Folders are opened here and handed on as descriptors: a path may hold what the engine's own notation for
    // folders uses as a separator, and cannot be exchanged between this look and the engine's.
    let opened = open(request.dirs)?;
    if request.session.is_some() {
        confine::confine(&opened, (!request.prepared).then_some(module), request.network)?;
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
    let code = Code { path: Path::new(&path), compiled: request.compiled };
    let Request { max_pages, args, env, init, network, session, .. } = *request;
    let common = Run { args, env, dirs: &dirs, max_pages, init, network, ..Run::default() };
    Ok(body(code, &session.map_or(common, |spec| of_session(spec, common))))
}
