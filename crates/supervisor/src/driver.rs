//! Keeps a zygote: listens to it, tells the pool, and replaces it when it is lost.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use frames::FromZygote;

use crate::core::{Core, ROOT, Shared, Stem, StemId, zygote};
use crate::pool::{Event, Limits, Pool, Slot};
use crate::session::lock;
use crate::slot::Exit;
use crate::zygote::{Listener, Zygote, ZygoteProcess};

/// How long a zygote may owe an answer. One that is stopped or stuck is killed and replaced.
const OWED: Duration = Duration::from_secs(5);

/// How long a template that has stayed its time and is still used is left alone.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// How long a zygote may take to leave when the server stops.
const LEAVE: Duration = Duration::from_secs(2);

/// How long to wait before a zygote is tried again that did not become warm, at first and at most.
const RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(10));

/// Serves one zygote after the other in this stem, for as long as the supervisor lives.
pub(crate) async fn run(shared: Weak<Shared>, id: StemId, first: Option<Zygote>) {
    let mut zygote = first;
    let mut retry = RETRY.0;
    loop {
        let Some(shared) = shared.upgrade() else { return };
        let current = match zygote.take() {
            Some(current) => Ok(current),
            None => start(&shared, id).await,
        };
        match current {
            Ok(mut current) => {
                let began = Instant::now();
                match install(&shared, id, &current) {
                    Ok(()) => serve(&shared, id, &mut current.listener).await,
                    Err(error) => tracing::error!(%error, "cannot talk to the zygote"),
                }
                if shared.draining.load(Relaxed) {
                    current.left(LEAVE).await;
                }
                // Killing it kills its workers: no half of the old tree lives beside the new one.
                drop(current);
                lost(&shared, id);
                if shared.draining.load(Relaxed) {
                    if id == ROOT {
                        shared.gone.notify_one();
                    }
                    return;
                }
                shared.counters.zygote_restarts.fetch_add(1, Relaxed);
                // One that is lost soon after its start may not be the last: not a loop of starts.
                if began.elapsed() < RETRY.1 {
                    tokio::time::sleep(retry).await;
                    retry = (retry * 2).min(RETRY.1);
                } else {
                    retry = RETRY.0;
                }
            }
            Err(error) => {
                tracing::error!(%error, "no new zygote; trying again");
                tokio::time::sleep(retry).await;
                retry = (retry * 2).min(RETRY.1);
            }
        }
    }
}

async fn start(shared: &Shared, id: StemId) -> std::io::Result<Zygote> {
    let (engine, outgoing) = zygote(id).ok_or(std::io::ErrorKind::NotFound)?;
    let program = shared.program(engine).map_err(|error| std::io::Error::other(error.message))?;
    ZygoteProcess::spawn(program, outgoing)?.warm().await
}

/// Makes sure that there is the stem of this zygote.
pub(crate) fn want(shared: &Arc<Shared>, core: &mut Core, id: StemId) {
    core.stems.entry(id).or_insert_with(|| {
        tokio::spawn(run(Arc::downgrade(shared), id, None));
        let spare_min = match zygote(id) {
            // Few sessions are of this kind, and they live long: none is forked in advance for nothing.
            Some((_, true)) => 0,
            _ => shared.config.pool.spare_min,
        };
        Stem::new(Pool::new(Limits { spare_min, ..shared.config.pool }))
    });
}

fn install(shared: &Arc<Shared>, id: StemId, zygote: &Zygote) -> std::io::Result<()> {
    let sender = zygote.sender()?;
    let mut core = lock(&shared.core);
    if let Some(stem) = core.stems.get_mut(&id) {
        stem.zygote = Some((sender, zygote.pid));
    }
    if id == ROOT {
        core.engine.clone_from(&zygote.engine);
    }
    let mut texts = core.growth_refused.to_vec();
    texts.extend(zygote.growth_refused.iter().filter(|text| !core.growth_refused.contains(text)).cloned());
    core.growth_refused = Arc::from(texts);
    shared.step_in(&mut core, id, Event::ZygoteReady);
    drop(core);
    // Templates are forked from it.
    shared.refresh_all();
    Ok(())
}

/// A zygote or template is gone: its sessions end.
pub(crate) fn lost(shared: &Arc<Shared>, id: StemId) {
    let mut core = lock(&shared.core);
    if let Some(stem) = core.stems.get_mut(&id) {
        stem.zygote = None;
        stem.owed_since = None;
        // Dropping a slot tells its session's task that the kernel's word will not come.
        stem.slots.clear();
    }
    shared.step_in(&mut core, id, Event::ZygoteLost);
}

/// Listens until the zygote is lost.
pub(crate) async fn serve(shared: &Arc<Shared>, id: StemId, zygote: &mut Listener) {
    loop {
        let (ticks, tick, owed, idle) = {
            let core = lock(&shared.core);
            let Some(stem) = core.stems.get(&id) else { return };
            let ttl = stem.made.as_ref().and_then(|made| made.ttl);
            let idle = ttl.map(|ttl| stem.last_used + ttl);
            (Arc::clone(&stem.ticks), stem.pool.next_tick(), stem.owed_since, idle)
        };
        if id != ROOT && Shared::may_leave(&mut lock(&shared.core), id) {
            return;
        }
        // One that is used is looked at again when that ends.
        let idle = idle.map(|at| at.max(Instant::now() + LOOK_AGAIN));
        let wake = [tick, owed.map(|since| since + OWED), idle].into_iter().flatten().min();
        let wake = wake.unwrap_or_else(|| Instant::now() + Duration::from_secs(3600));
        tokio::select! {
            message = zygote.receive() => match message {
                Ok((message, fd)) => {
                    let ended = matches!(message, FromZygote::Exited { .. });
                    heard(shared, id, message, fd);
                    if ended {
                        refill_later(shared, id).await;
                    }
                }
                Err(error) if shared.draining.load(Relaxed) => {
                    tracing::debug!(%error, stem = id, "a zygote has left");
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, stem = id, "a zygote is lost; its sessions end");
                    return;
                }
            },
            () = ticks.notified() => {}
            () = tokio::time::sleep_until(wake.into()) => {
                if owed.is_some_and(|since| since.elapsed() >= OWED) {
                    // The answer may be here already: this process too may have been stopped for that long.
                    match tokio::time::timeout(Duration::ZERO, zygote.receive()).await {
                        Ok(Ok((message, fd))) => heard(shared, id, message, fd),
                        Ok(Err(_)) | Err(_) => {
                            tracing::warn!(stem = id, "a zygote does not answer; it is replaced");
                            return;
                        }
                    }
                }
                shared.step(id, Event::Tick);
            }
        }
    }
}

fn heard(shared: &Arc<Shared>, id: StemId, message: FromZygote, fd: Option<std::os::fd::OwnedFd>) {
    match message {
        FromZygote::Forked { slot, pid } => {
            let mut core = lock(&shared.core);
            if fd.is_none() {
                // No room for its pidfd, and without that it could not be killed safely. The end of its control
                // socket makes it leave.
                tracing::warn!(pid, "a worker is let go: too many open files");
                forget(&mut core, id, slot);
                shared.step_in(&mut core, id, Event::ForkFailed(slot));
            } else {
                if let Some(entry) = core.stems.get_mut(&id).and_then(|stem| stem.slots.get_mut(&slot)) {
                    (entry.pid, entry.pidfd) = (pid, fd);
                }
                shared.step_in(&mut core, id, Event::Forked(slot));
            }
            answered(&mut core, id);
        }
        FromZygote::ForkFailed { slot, errno } => {
            let error = std::io::Error::from_raw_os_error(errno);
            tracing::warn!(%error, "the zygote cannot fork");
            let mut core = lock(&shared.core);
            forget(&mut core, id, slot);
            shared.step_in(&mut core, id, Event::ForkFailed(slot));
            answered(&mut core, id);
        }
        FromZygote::Exited { slot, status, cpu_us, max_rss_kb, minor_faults } => {
            shared.worker_exited(id, slot, Exit { status, cpu_us, max_rss_kb, minor_faults });
        }
        FromZygote::TemplateForked { template, pid: _ } => {
            if let Some(stem) = lock(&shared.core).stems.get_mut(&template) {
                stem.pidfd = fd;
            }
        }
        // Its control socket is closed with the request, which tells the template's own task.
        FromZygote::TemplateFailed { template } => tracing::warn!(template, "no template could be forked"),
        // Only the first message of a zygote is this one.
        FromZygote::Ready { .. } | FromZygote::NotWarm { .. } => {}
    }
}

/// Forks spare workers that were put off, once who waited for the session that ended has its answer: both its task and
/// the task of the call are woken, one after the other.
async fn refill_later(shared: &Arc<Shared>, id: StemId) {
    let wanted = || lock(&shared.core).stems.get(&id).is_some_and(|stem| stem.pool.wants_refill());
    if wanted() {
        for _ in 0..2 {
            tokio::task::yield_now().await;
        }
        shared.step(id, Event::Refill);
    }
}

fn forget(core: &mut Core, id: StemId, slot: Slot) {
    if let Some(stem) = core.stems.get_mut(&id) {
        stem.slots.remove(&slot);
    }
}

/// A zygote has answered. If it owes another answer, the time for that one begins now.
fn answered(core: &mut Core, id: StemId) {
    if let Some(stem) = core.stems.get_mut(&id) {
        stem.owed_since = (stem.pool.forking() > 0).then(Instant::now);
    }
}
