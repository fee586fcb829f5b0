//! One session's task: reads what its worker sends until the process is gone, keeps its time, and tells the end.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use api::{LogKind, Outcome};
use bytes::{Buf, Bytes, BytesMut};
use frames::frame::MAX_VALUE;
use frames::message::Ended;
use frames::{Decoder, Kind, Report, Stream};
use sys::pidfd::{SIGKILL, SIGTERM};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::core::Shared;
use crate::lines::Assembler;
use crate::logs::Line;
use crate::outcome::{Cause, decide};
use crate::session::{Session, Waiting, lock, millis, now_ms};
use crate::slot::Exit;

/// How much one read takes at most, in bytes.
const READ: usize = 256 * 1024;

/// How much one read of what a dead process left behind takes, in bytes.
const REST: usize = 4096;

/// What is shorter than this is copied out of the buffer, in bytes. Lines share what they were read into, and a few short
/// ones would keep all of it in memory for as long as they are kept themselves.
const COPY: usize = READ / 8;

/// The most that is read of a control socket, in bytes: two headers, a pid, and a report of the greatest length.
const CONTROL: u64 = (2 * frames::frame::HEADER_LEN + 4 + frames::frame::MAX_PAYLOAD) as u64;

/// How long a line may stand open before it is shown as partial.
const OPEN_LINE: Duration = Duration::from_millis(50);

/// How long the pipes are read on after the process is gone. Its own ends close with it; only a descendant that
/// it should not have could keep them open.
const AFTER_EXIT: Duration = Duration::from_secs(2);

/// How long after a process has closed its pipes it is to be gone, before the zygote is asked for its word.
const EXIT_OWED: Duration = Duration::from_secs(1);

/// What a session's process can be heard on: the reading ends of its pipes, and its control socket, which is looked at
/// once it is gone.
pub(crate) struct Pipes {
    pub(crate) frames: OwnedFd,
    pub(crate) host: OwnedFd,
    pub(crate) control: UnixStream,
}

/// What the pipes have told so far.
#[derive(Default)]
struct Heard {
    decoder: Decoder,
    buffer: BytesMut,
    assembler: Assembler,
    /// The worker has taken the session: from here on the guest may have run.
    started: bool,
    report: Option<Report>,
    load_us: Option<u64>,
    /// What the invoked function has returned, as JSON.
    value: Vec<u8>,
    /// It sent what is no frame.
    broken: bool,
    growth_refused: bool,
}

/// Runs the session's task to its end. `exit` brings the kernel's word, or is dropped when the zygote is lost.
pub(crate) async fn run(
    shared: Arc<Shared>,
    session: Arc<Session>,
    pipes: Pipes,
    exit: oneshot::Receiver<Exit>,
    waiting: Waiting,
) {
    let began = waiting.began;
    let (frames, host) = (receiver(pipes.frames), receiver(pipes.host));
    let (exit, mut heard) = match (frames, host) {
        (Ok(frames), Ok(host)) => read(&shared, &session, frames, host, exit, waiting.timeout).await,
        (frames, host) => {
            tracing::error!(session = session.id, ?frames, ?host, "cannot watch a session's pipes");
            session.signal(SIGKILL);
            (exit.await.ok(), Heard { started: true, ..Heard::default() })
        }
    };
    take_control(&session, pipes.control, &mut heard);
    if !heard.started {
        // The worker was killed while it was parked, and perhaps the zygote with it. The guest has not begun, so
        // another worker may run it. First, whoever still writes to the old one has to notice.
        *session.stdin.lock().await = None;
        if shared.again(&session, waiting) {
            tracing::debug!(session = session.id, "a worker died before it took its session");
            return;
        }
    }
    finish(&shared, &session, exit, heard, began.elapsed());
}

fn receiver(fd: OwnedFd) -> std::io::Result<pipe::Receiver> {
    pipe::Receiver::from_file_unchecked(std::fs::File::from(fd))
}

async fn read(
    shared: &Shared,
    session: &Arc<Session>,
    frames: pipe::Receiver,
    host: pipe::Receiver,
    mut exit: oneshot::Receiver<Exit>,
    timeout: Option<Duration>,
) -> (Option<Exit>, Heard) {
    let mut heard = Heard::default();
    let (mut frames_open, mut host_open) = (true, true);
    let (mut ended, mut gone): (Option<Exit>, bool) = (None, false);
    let mut deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut ready_by = session.ready.as_ref().map(|signs| Instant::now() + signs.timeout);
    let mut kill_at: Option<Instant> = None;
    let mut open_until: Option<Instant> = None;
    // When the reading of what the process left ends; before, when the process has to be gone.
    let mut last_at: Option<Instant> = None;
    let far = || Instant::now() + Duration::from_secs(86_400);
    while frames_open || host_open || !gone {
        // When the disk is behind, reading waits, and then its end does too.
        let may_end = !gone || !frames_open || !shared.history_behind();
        tokio::select! {
            // The order matters: a guest that floods always has something to read, and has to end all the same.
            biased;
            status = &mut exit, if !gone => {
                gone = true;
                ended = status.ok();
                lock(&session.pidfd).take();
                if ended.is_some() {
                    // It is dead, so all that it has written is in its pipes, whoever keeps them open a little longer.
                    while frames_open && let Took::More = take_frames(shared, session, &frames, &mut heard, rest) {}
                    while host_open && let Took::More = take_host(shared, session, &host, &mut heard, rest) {}
                    break;
                }
                (deadline, ready_by, kill_at) = (None, None, None);
                last_at = Some(Instant::now() + AFTER_EXIT);
            }
            () = session.kill.notified(), if !gone => {
                let wanted = *lock(&session.killing);
                if let Some((_, grace)) = wanted {
                    session.signal(if grace.is_zero() { SIGKILL } else { SIGTERM });
                    // Asking again never gives it more time.
                    let at = Instant::now() + grace;
                    kill_at = Some(kill_at.map_or(at, |before| before.min(at)));
                }
            }
            () = sleep_until(deadline.unwrap_or_else(far)), if deadline.is_some() => {
                deadline = None;
                session.request_kill(Cause::Timeout, Duration::ZERO);
            }
            () = sleep_until(ready_by.unwrap_or_else(far)), if ready_by.is_some() => {
                ready_by = None;
                if !lock(&session.info).ready {
                    session.request_kill(Cause::NotReady, Duration::ZERO);
                }
            }
            () = sleep_until(kill_at.unwrap_or_else(far)), if kill_at.is_some() => {
                kill_at = None;
                session.signal(SIGKILL);
            }
            ready = host.readable(), if host_open => {
                host_open = ready.is_ok() && take_host(shared, session, &host, &mut heard, ready_part) != Took::End;
            }
            ready = readable(shared, &frames), if frames_open => {
                frames_open = ready.is_ok() && take_frames(shared, session, &frames, &mut heard, ready_part) != Took::End;
            }
            () = sleep_until(open_until.unwrap_or_else(far)), if open_until.is_some() => {
                let mut lines = Vec::new();
                heard.assembler.flush(&mut lines);
                shared.publish(session, lines);
            }
            () = sleep_until(last_at.unwrap_or_else(far)), if last_at.is_some() && may_end => {
                if gone {
                    break;
                }
                // It has closed its pipes, so it is dead, or broken and has to be. Only the zygote's word is due.
                session.signal(SIGKILL);
                shared.exit_owed(session.stem.load(Relaxed));
                last_at = None;
            }
        }
        if !frames_open && !host_open && !gone && last_at.is_none() {
            last_at = Some(Instant::now() + EXIT_OWED);
        }
        open_until = match (heard.assembler.is_open(), open_until) {
            (true, None) => Some(Instant::now() + OPEN_LINE),
            (true, until) => until,
            (false, _) => None,
        };
    }
    let mut lines = Vec::new();
    heard.assembler.flush(&mut lines);
    shared.publish(session, lines);
    (ended, heard)
}

/// Waits until the pipe has something and the history has room for it. While the disk is behind, the pipe fills
/// and blocks the guest, and nobody else.
async fn readable(shared: &Shared, pipe: &pipe::Receiver) -> std::io::Result<()> {
    shared.wait_for_history().await;
    pipe.readable().await
}

/// What a look into a pipe brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Took {
    /// There may be more.
    More,
    /// There is nothing now.
    Nothing,
    /// There will be nothing any more.
    End,
}

/// A way to read from a pipe.
type ReadPart = fn(&pipe::Receiver, &mut BytesMut) -> std::io::Result<usize>;

/// Reads what the runtime was told is there.
fn ready_part(pipe: &pipe::Receiver, buffer: &mut BytesMut) -> std::io::Result<usize> {
    buffer.reserve(READ / 4);
    pipe.try_read_buf(buffer)
}

/// Reads what is there, whether the runtime was told or not.
fn rest(pipe: &pipe::Receiver, buffer: &mut BytesMut) -> std::io::Result<usize> {
    let len = buffer.len();
    buffer.resize(len + REST, 0);
    let got = nix::unistd::read(pipe, &mut buffer[len..]);
    buffer.truncate(len + got.unwrap_or_default());
    Ok(got?)
}

/// Looks into a pipe in this way. One that fails has come to its end.
fn look(session: &Session, pipe: &pipe::Receiver, buffer: &mut BytesMut, read: ReadPart) -> Took {
    match read(pipe, buffer) {
        Ok(0) => Took::End,
        Ok(_) => Took::More,
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Took::Nothing,
        Err(error) => {
            tracing::warn!(session = session.id, %error, "a session's pipe failed");
            Took::End
        }
    }
}

/// Reads what is there.
fn take_frames(
    shared: &Shared,
    session: &Arc<Session>,
    pipe: &pipe::Receiver,
    heard: &mut Heard,
    read: ReadPart,
) -> Took {
    let took = look(session, pipe, &mut heard.buffer, read);
    if took != Took::More {
        return took;
    }
    let (mut used, mut pieces) = (0, Vec::new());
    let mut ready = false;
    loop {
        match heard.decoder.next(&heard.buffer[used..]) {
            Ok(Some((frame, len))) => {
                let payload = used + len - frame.payload.len()..used + len;
                match frame.header.kind {
                    Kind::Log => pieces.push((frame.header.stream, frame.header.time / 1_000_000, payload)),
                    Kind::Ready => ready = true,
                    Kind::Value if heard.value.len() + frame.payload.len() <= MAX_VALUE => {
                        heard.value.extend_from_slice(frame.payload);
                    }
                    // A worker checks the length; one that does not is not believed.
                    Kind::Value => heard.value.clear(),
                    // These come by the control socket.
                    Kind::Result | Kind::Started => {}
                }
                used += len;
            }
            Ok(None) => break,
            Err(error) => {
                // A worker that speaks nonsense has been taken over or is broken: nothing more from it counts.
                tracing::warn!(session = session.id, %error, "a worker broke the protocol; it is killed");
                session.signal(SIGKILL);
                (heard.started, heard.broken) = (true, true);
                return Took::End;
            }
        }
    }
    let taken = if used < COPY {
        let taken = Bytes::copy_from_slice(&heard.buffer[..used]);
        heard.buffer.advance(used);
        taken
    } else {
        heard.buffer.split_to(used).freeze()
    };
    let mut lines = Vec::with_capacity(pieces.len());
    for (stream, ts_ms, range) in pieces {
        let kind = if stream == Some(Stream::Stderr) { LogKind::Stderr } else { LogKind::Stdout };
        heard.assembler.push(kind, ts_ms, &taken.slice(range), &mut lines);
    }
    ready |= session.ready.as_ref().is_some_and(|signs| signs.are_in(&lines));
    shared.publish(session, lines);
    if ready {
        // Whoever waits for it finds the line in the log.
        shared.ready(session);
    }
    Took::More
}

/// Reads what the process has said of itself: that it took the session, and how that ended. Nobody waits for either, so
/// neither wakes this server while the session runs. The process is gone, or never will be.
fn take_control(session: &Session, mut control: UnixStream, heard: &mut Heard) {
    let mut bytes = Vec::with_capacity(256);
    // It does not block, and what came before an error is kept.
    let _ = (&mut control).take(CONTROL).read_to_end(&mut bytes);
    let (mut decoder, mut used) = (Decoder::default(), 0);
    loop {
        match decoder.next(&bytes[used..]) {
            Ok(Some((frame, size))) => {
                heard.started = true;
                if frame.header.kind == Kind::Result && !heard.broken {
                    let ended = frames::message::decode::<Ended>(frame.payload).ok();
                    heard.load_us = ended.as_ref().and_then(|ended| ended.load_us);
                    heard.report = ended.map(|ended| ended.report);
                }
                used += size;
            }
            Ok(None) => return,
            Err(error) => {
                tracing::warn!(session = session.id, %error, "a worker broke the protocol");
                (heard.started, heard.report) = (true, None);
                return;
            }
        }
    }
}

/// Reads what the process itself prints.
fn take_host(
    shared: &Shared,
    session: &Arc<Session>,
    pipe: &pipe::Receiver,
    heard: &mut Heard,
    read: ReadPart,
) -> Took {
    let mut buffer = BytesMut::new();
    let took = look(session, pipe, &mut buffer, read);
    if took != Took::More {
        return took;
    }
    let refused = |text: &String| memchr::memmem::find(&buffer, text.as_bytes()).is_some();
    heard.growth_refused |= shared.growth_refused().iter().any(refused);
    let mut lines: Vec<Line> = Vec::new();
    heard.assembler.push(LogKind::Host, now_ms(), &Bytes::copy_from_slice(&buffer), &mut lines);
    shared.publish(session, lines);
    Took::More
}

fn finish(shared: &Arc<Shared>, session: &Arc<Session>, exit: Option<Exit>, heard: Heard, ran: Duration) {
    let cause = lock(&session.killing).map(|(cause, _)| cause);
    let status = exit.map(|exit| exit.status);
    shared.counters.cpu_us.fetch_add(exit.map_or(0, |exit| exit.cpu_us), Relaxed);
    let cgroup = lock(&session.cgroup).take();
    let outcome = match decide(cause, status, heard.report, heard.growth_refused) {
        Outcome::Killed { signal: SIGKILL } if cgroup.is_some_and(|group| group.was_out_of_memory()) => {
            Outcome::MemoryLimit
        }
        outcome => outcome,
    };
    // JSON from a worker that was taken over may be none.
    let value = matches!(outcome, Outcome::Returned { .. })
        .then(|| serde_json::from_slice(&heard.value).unwrap_or(serde_json::Value::Null));
    {
        let mut info = lock(&session.info);
        info.duration_ms = Some(millis(ran.as_micros() as u64));
        // A claim; it cannot have taken longer than the whole.
        info.load_ms = heard.load_us.map(|load| millis(load.min(ran.as_micros() as u64)));
        info.cpu_ms = exit.map(|exit| exit.cpu_us / 1000);
        info.max_rss_kb = exit.map(|exit| exit.max_rss_kb);
        info.minor_faults = exit.map(|exit| exit.minor_faults);
        info.value = value;
    }
    shared.ended_or_again(session, outcome);
}
