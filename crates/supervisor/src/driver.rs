//! Keeps a zygote: listens to it, tells the pool, and replaces it when it is lost.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use frames::FromZygote;

use crate::core::{Core, Shared};
use crate::pool::Event;
use crate::session::lock;
use crate::slot::Exit;
use crate::zygote::{Zygote, ZygoteProcess};

/// How long a zygote may owe an answer. One that is stopped or stuck is killed and replaced.
const OWED: Duration = Duration::from_secs(5);

/// How long to wait before a zygote is tried again that did not become warm, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Serves one zygote after the other, for as long as the supervisor lives.
pub(crate) async fn run(shared: Weak<Shared>, first: Zygote) {
    let mut zygote = Some(first);
    let mut retry = RETRY.0;
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let current = match zygote.take() {
            Some(current) => Ok(current),
            None => replace(&shared).await,
        };
        match current {
            Ok(mut current) => {
                match install(&shared, &current) {
                    Ok(()) => {
                        retry = RETRY.0;
                        serve(&shared, &mut current).await;
                    }
                    Err(error) => {
                        tracing::error!(%error, "cannot talk to the zygote");
                        tokio::time::sleep(retry).await;
                        retry = (retry * 2).min(RETRY.1);
                    }
                }
                // Killing it kills its workers: no half of the old tree lives beside the new one.
                drop(current);
                lost(&shared);
                if shared.draining.load(Relaxed) {
                    return;
                }
                shared.counters.zygote_restarts.fetch_add(1, Relaxed);
            }
            Err(error) => {
                tracing::error!(%error, "no new zygote; trying again");
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(RETRY.1);
            }
        }
    }
}

async fn replace(shared: &Shared) -> std::io::Result<Zygote> {
    ZygoteProcess::spawn(&shared.config.zygote)?.warm().await
}

fn install(shared: &Arc<Shared>, zygote: &Zygote) -> std::io::Result<()> {
    let sender = zygote.sender()?;
    let mut core = lock(&shared.core);
    core.zygote = Some((sender, zygote.pid));
    core.engine.clone_from(&zygote.engine);
    core.growth_refused = Arc::from(zygote.growth_refused.as_slice());
    shared.step_in(&mut core, Event::ZygoteReady);
    Ok(())
}

fn lost(shared: &Arc<Shared>) {
    let mut core = lock(&shared.core);
    core.zygote = None;
    core.owed_since = None;
    // Dropping a slot tells its session's task that the kernel's word will not come.
    core.slots.clear();
    shared.step_in(&mut core, Event::ZygoteLost);
}

/// Listens until the zygote is lost.
async fn serve(shared: &Arc<Shared>, zygote: &mut Zygote) {
    loop {
        let (tick, owed) = {
            let core = lock(&shared.core);
            (core.pool.next_tick(), core.owed_since)
        };
        let wake = [tick, owed.map(|since| since + OWED)].into_iter().flatten().min();
        let wake = wake.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            message = zygote.receive() => match message {
                Ok((message, fd)) => heard(shared, message, fd),
                Err(error) => {
                    tracing::warn!(%error, pid = zygote.pid, "the zygote is lost; its sessions end");
                    return;
                }
            },
            () = shared.ticks.notified() => {}
            () = tokio::time::sleep_until(wake.into()) => {
                if owed.is_some_and(|since| since.elapsed() >= OWED) {
                    // The answer may be here already: this process too may have been stopped for that long.
                    match tokio::time::timeout(Duration::ZERO, zygote.receive()).await {
                        Ok(Ok((message, fd))) => heard(shared, message, fd),
                        Ok(Err(_)) | Err(_) => {
                            tracing::warn!(pid = zygote.pid, "the zygote does not answer; it is replaced");
                            return;
                        }
                    }
                }
                shared.step(Event::Tick);
            }
        }
    }
}

fn heard(shared: &Arc<Shared>, message: FromZygote, fd: Option<std::os::fd::OwnedFd>) {
    match message {
        FromZygote::Forked { slot, pid } => {
            let mut core = lock(&shared.core);
            if fd.is_none() {
                // No room for its pidfd, and without that it could not be killed safely. The end of its control
                // socket makes it leave.
                tracing::warn!(pid, "a worker is let go: too many open files");
                core.slots.remove(&slot);
                shared.step_in(&mut core, Event::ForkFailed(slot));
            } else {
                if let Some(entry) = core.slots.get_mut(&slot) {
                    (entry.pid, entry.pidfd) = (pid, fd);
                }
                shared.step_in(&mut core, Event::Forked(slot));
            }
            answered(&mut core);
        }
        FromZygote::ForkFailed { slot, errno } => {
            let error = std::io::Error::from_raw_os_error(errno);
            tracing::warn!(%error, "the zygote cannot fork");
            let mut core = lock(&shared.core);
            core.slots.remove(&slot);
            shared.step_in(&mut core, Event::ForkFailed(slot));
            answered(&mut core);
        }
        FromZygote::Exited { slot, status, cpu_us, max_rss_kb, minor_faults: _ } => {
            shared.worker_exited(slot, Exit { status, cpu_us, max_rss_kb });
        }
        // Only the first message of a zygote is this one.
        FromZygote::Ready { .. } => {}
    }
}

/// The zygote has answered. If it owes another answer, the time for that one begins now.
fn answered(core: &mut Core) {
    core.owed_since = (core.pool.forking() > 0).then(Instant::now);
}
