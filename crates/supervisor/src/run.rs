//! One session's task: reads what its worker sends until the process is gone, keeps its time, and tells the end.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use api::{LogKind, SessionState};
use bytes::{Buf, BytesMut};
use frames::{Decoder, Kind, Report, Stream};
use tokio::net::unix::pipe;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

use crate::core::Shared;
use crate::lines::Assembler;
use crate::logs::Line;
use crate::outcome::{Cause, decide};
use crate::session::{Session, lock, millis, now_ms};
use crate::slot::Exit;

/// How much one read takes at most, in bytes.
const READ: usize = 256 * 1024;

/// How long a line may stand open before it is shown as partial.
const OPEN_LINE: Duration = Duration::from_millis(50);

/// How long the pipes are read on after the process is gone. Its own ends close with it; only a descendant that
/// it should not have could keep them open.
const AFTER_EXIT: Duration = Duration::from_secs(2);

/// Signals, by their numbers on Linux.
const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// The reading ends of a session's pipes.
pub(crate) struct Pipes {
    pub(crate) frames: OwnedFd,
    pub(crate) host: OwnedFd,
}

/// What the pipes have told so far.
struct Heard {
    decoder: Decoder,
    buffer: BytesMut,
    assembler: Assembler,
    report: Option<Report>,
    growth_refused: bool,
}

/// Runs the session's task to its end. `exit` brings the kernel's word, or is dropped when the zygote is lost.
pub(crate) async fn run(
    shared: Arc<Shared>,
    session: Arc<Session>,
    pipes: Pipes,
    exit: oneshot::Receiver<Exit>,
    timeout: Option<Duration>,
) {
    let started = std::time::Instant::now();
    let (frames, host) = (receiver(pipes.frames), receiver(pipes.host));
    let exit = match (frames, host) {
        (Ok(frames), Ok(host)) => read(&shared, &session, frames, host, exit, timeout).await,
        (frames, host) => {
            tracing::error!(session = session.id, ?frames, ?host, "cannot watch a session's pipes");
            session.signal(SIGKILL);
            (exit.await.ok(), None, false)
        }
    };
    finish(&shared, &session, exit, started.elapsed());
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
) -> (Option<Exit>, Option<Report>, bool) {
    let mut heard = Heard {
        decoder: Decoder::default(),
        buffer: BytesMut::new(),
        assembler: Assembler::default(),
        report: None,
        growth_refused: false,
    };
    let (mut frames_open, mut host_open) = (true, true);
    let (mut ended, mut gone): (Option<Exit>, bool) = (None, false);
    let mut deadline = timeout.map(|timeout| Instant::now() + timeout);
    let mut kill_at: Option<Instant> = None;
    let mut open_until: Option<Instant> = None;
    let far = || Instant::now() + Duration::from_secs(86_400);
    while frames_open || host_open || !gone {
        tokio::select! {
            biased;
            ready = frames.readable(), if frames_open => {
                frames_open = ready.is_ok() && take_frames(shared, session, &frames, &mut heard).await;
            }
            ready = host.readable(), if host_open => {
                host_open = ready.is_ok() && take_host(shared, session, &host, &mut heard);
            }
            status = &mut exit, if !gone => {
                gone = true;
                ended = status.ok();
                lock(&session.pidfd).take();
                // From now on the same timer ends the reading.
                deadline = Some(Instant::now() + AFTER_EXIT);
                kill_at = None;
            }
            () = session.kill.notified(), if !gone => {
                let wanted = *lock(&session.killing);
                if let Some((_, grace)) = wanted {
                    session.signal(if grace.is_zero() { SIGKILL } else { SIGTERM });
                    kill_at = Some(Instant::now() + grace);
                }
            }
            () = sleep_until(deadline.unwrap_or_else(far)), if deadline.is_some() => {
                if gone {
                    break;
                }
                deadline = None;
                session.request_kill(Cause::Timeout, Duration::ZERO);
            }
            () = sleep_until(kill_at.unwrap_or_else(far)), if kill_at.is_some() => {
                kill_at = None;
                session.signal(SIGKILL);
            }
            () = sleep_until(open_until.unwrap_or_else(far)), if open_until.is_some() => {
                let mut lines = Vec::new();
                heard.assembler.flush(&mut lines);
                shared.publish(session, lines);
            }
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
    (ended, heard.report, heard.growth_refused)
}

/// Reads what is there; false at the end of the pipe.
async fn take_frames(
    shared: &Shared,
    session: &Arc<Session>,
    pipe: &pipe::Receiver,
    heard: &mut Heard,
) -> bool {
    // The disk is behind: let it catch up. The pipe fills meanwhile and blocks the guest, and nobody else.
    shared.wait_for_history().await;
    heard.buffer.reserve(READ / 4);
    match pipe.try_read_buf(&mut heard.buffer) {
        Ok(0) => return false,
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return true,
        Err(error) => {
            tracing::warn!(session = session.id, %error, "a session's pipe failed");
            return false;
        }
    }
    let (mut used, mut pieces) = (0, Vec::new());
    loop {
        match heard.decoder.next(&heard.buffer[used..]) {
            Ok(Some((frame, len))) => {
                let payload = used + len - frame.payload.len()..used + len;
                match frame.header.kind {
                    Kind::Log => pieces.push((frame.header.stream, frame.header.time / 1_000_000, payload)),
                    Kind::Result => heard.report = frames::message::decode(frame.payload).ok(),
                    Kind::Ready => shared.ready(session),
                    Kind::Started => {}
                }
                used += len;
            }
            Ok(None) => break,
            Err(error) => {
                // A worker that speaks nonsense has been taken over or is broken: nothing more from it counts.
                tracing::warn!(session = session.id, %error, "a worker broke the protocol; it is killed");
                session.signal(SIGKILL);
                heard.report = None;
                return false;
            }
        }
    }
    let taken = heard.buffer.split_to(used).freeze();
    let mut lines = Vec::with_capacity(pieces.len());
    for (stream, ts_ms, range) in pieces {
        let kind = if stream == Some(Stream::Stderr) { LogKind::Stderr } else { LogKind::Stdout };
        heard.assembler.push(kind, ts_ms, &taken.slice(range), &mut lines);
    }
    shared.publish(session, lines);
    true
}

/// Reads what the process itself prints; false at the end of the pipe.
fn take_host(shared: &Shared, session: &Arc<Session>, pipe: &pipe::Receiver, heard: &mut Heard) -> bool {
    let mut buffer = BytesMut::with_capacity(8 * 1024);
    match pipe.try_read_buf(&mut buffer) {
        Ok(0) => return false,
        Ok(_) => {}
        Err(error) => return error.kind() == std::io::ErrorKind::WouldBlock,
    }
    let refused = |text: &String| memchr::memmem::find(buffer.chunk(), text.as_bytes()).is_some();
    heard.growth_refused |= shared.growth_refused().iter().any(refused);
    let mut lines: Vec<Line> = Vec::new();
    heard.assembler.push(LogKind::Host, now_ms(), &buffer.freeze(), &mut lines);
    shared.publish(session, lines);
    true
}

fn finish(
    shared: &Arc<Shared>,
    session: &Arc<Session>,
    (exit, report, growth_refused): (Option<Exit>, Option<Report>, bool),
    ran: Duration,
) {
    let cause = lock(&session.killing).map(|(cause, _)| cause);
    let outcome = decide(cause, exit.map(|exit| exit.status), report, growth_refused);
    {
        let mut info = lock(&session.info);
        info.duration_ms = Some(millis(ran.as_micros() as u64));
        info.cpu_ms = exit.map(|exit| exit.cpu_us / 1000);
        info.max_rss_kb = exit.map(|exit| exit.max_rss_kb);
    }
    shared.ended(session, outcome);
    debug_assert!(session.state() != SessionState::Running);
}
