//! The life of a template's process: asked for, warm, gone.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, Weak};
use std::time::Instant;

use frames::{FromZygote, Warm};
use tokio::net::unix::pipe;

use super::{FAILED, Made};
use crate::core::{Core, Shared, Stem, StemId};
use crate::driver;
use crate::pool::{Event, Limits, Pool};
use crate::session::lock;
use crate::zygote::{Listener, ZygoteSender};

/// How much of what a template's process itself prints is kept, in bytes: enough to say why it failed.
const TAIL: usize = 2048;

/// Why a template is not there any more.
#[derive(Debug)]
pub(crate) enum Gone {
    /// It was let go.
    Retired,
    /// The module cannot be brought to where its sessions begin.
    Unfit(String),
    /// Its process ended.
    Died(String),
}

impl Shared {
    /// Asks the zygote for a template and follows it from then on.
    pub(crate) fn make_template(
        self: &Arc<Self>,
        core: &mut Core,
        made: Made,
        limits: Limits,
        module: &Arc<OwnedFd>,
    ) -> std::io::Result<StemId> {
        let base = made.key.base();
        // One that is not there yet looks after the templates once it is.
        driver::want(self, core, base);
        let base = core.stems.get(&base).and_then(|base| base.zygote.as_ref());
        let (zygote, _) = base.ok_or(std::io::ErrorKind::NotConnected)?;
        let (control, theirs) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let (host, their_host) = std::io::pipe()?;
        let id = core.templates.last + 1;
        zygote.template(
            id,
            made.title.clone(),
            made.key.spec.clone(),
            [theirs.as_fd(), module.as_fd(), their_host.as_fd()],
        )?;
        core.templates.last = id;
        let mut stem = Stem::new(Pool::new(limits));
        stem.made = Some(made);
        core.stems.insert(id, stem);
        tokio::spawn(drive(Arc::downgrade(self), id, control, host.into()));
        Ok(id)
    }

    /// A template is gone, or was never ready: forgets it and gives what waits for it to the zygote's workers.
    fn remove_template(self: &Arc<Self>, id: StemId, gone: &Gone) {
        driver::lost(self, id);
        let mut core = lock(&self.core);
        let Some(mut stem) = core.stems.remove(&id) else { return };
        if let Some(pidfd) = stem.pidfd.take() {
            // One that does not answer does not read the end of its control socket either.
            let _ = sys::pidfd::send_signal(pidfd, sys::pidfd::SIGKILL);
        }
        let Some(made) = stem.made.take() else { return };
        match gone {
            Gone::Retired => tracing::debug!(template = made.title, "a template was let go"),
            Gone::Unfit(why) | Gone::Died(why) => tracing::warn!(template = made.title, why, "no template"),
        }
        match &made.declared {
            Some(name) => self.declared_gone(&mut core, name, id, gone, &made.key),
            None => {
                core.templates.automatic.retain(|_, known| *known != id);
                if let Some(uses) = core.templates.uses.get_mut(&made.key) {
                    uses.count = 0;
                    uses.not_before = (!matches!(gone, Gone::Retired)).then(|| Instant::now() + FAILED);
                }
            }
        }
        // Each goes in front of the one before, so the last goes first.
        let base = made.key.base();
        for no in stem.pool.take_queue().into_iter().rev() {
            if let Some(session) = core.sessions.get(&no) {
                session.stem.store(base, Relaxed);
            }
            self.step_in(&mut core, base, Event::Resubmit(no));
        }
    }

    /// Tells the pool and the declared template that sessions can be forked; the process's number.
    fn template_ready(self: &Arc<Self>, id: StemId, sender: ZygoteSender, pid: u32) {
        let mut core = lock(&self.core);
        let Some(stem) = core.stems.get_mut(&id) else { return };
        stem.zygote = Some((sender, pid));
        stem.last_used = Instant::now();
        let Some(made) = &mut stem.made else { return };
        made.warm_ms = Some(made.began.elapsed().as_millis() as u64);
        made.pid = Some(pid);
        let declared = made.declared.clone();
        self.step_in(&mut core, id, Event::ZygoteReady);
        if let Some(name) = declared {
            Self::declared_ready(&mut core, &name, id);
        }
        self.weigh.notify_one();
    }
}

/// A template's task: waits until it is ready, serves it, and forgets it in the end.
async fn drive(shared: Weak<Shared>, id: StemId, control: UnixStream, host: OwnedFd) {
    let Some(shared) = shared.upgrade() else { return };
    let said = Arc::new(Mutex::new(Vec::new()));
    let listening = tokio::spawn(listen(host, Arc::clone(&said)));
    let gone = match warm(&shared, id, &control).await {
        Ok((mut listener, sender, pid)) => {
            shared.template_ready(id, sender, pid);
            driver::serve(&shared, id, &mut listener).await;
            let retired = lock(&shared.core)
                .stems
                .get(&id)
                .and_then(|stem| stem.made.as_ref())
                .is_none_or(|made| made.retired);
            if retired || shared.draining.load(Relaxed) {
                Gone::Retired
            } else {
                Gone::Died("its process ended".to_owned())
            }
        }
        Err(gone) => gone,
    };
    // The process has the last word, and takes it before it is gone; but whoever it has left behind may hold the pipe.
    drop(control);
    let _ = tokio::time::timeout(std::time::Duration::from_millis(200), listening).await;
    let gone = match gone {
        Gone::Died(why) => Gone::Died(why + &last_line(&lock(&said))),
        other => other,
    };
    shared.remove_template(id, &gone);
}

async fn warm(
    shared: &Arc<Shared>,
    id: StemId,
    control: &UnixStream,
) -> Result<(Listener, ZygoteSender, u32), Gone> {
    let died = |error: std::io::Error| Gone::Died(error.to_string());
    let mut listener = Listener::new(control).map_err(died)?;
    let sender = ZygoteSender::new(control).map_err(died)?;
    let patience = shared.config.template_warm;
    match tokio::time::timeout(patience, listener.receive()).await {
        Ok(Ok((FromZygote::Ready { pid, .. }, _))) => Ok((listener, sender, pid)),
        Ok(Ok((FromZygote::NotWarm { why }, _))) => Err(Gone::Unfit(why)),
        Ok(_) => Err(Gone::Died("its process ended before it was warm".to_owned())),
        Err(_) => {
            let core = lock(&shared.core);
            let warm = core.stems.get(&id).and_then(|stem| Some(stem.made.as_ref()?.key.spec.warm.clone()));
            let point = match warm {
                Some(Warm::Stdin) => "to its first read of standard input".to_owned(),
                Some(Warm::Export(name)) => format!("back from its function {name:?}"),
                _ => "into memory".to_owned(),
            };
            Err(Gone::Unfit(format!("it did not come {point} within {} ms", patience.as_millis())))
        }
    }
}

/// Keeps the end of what a template's process itself prints.
async fn listen(host: OwnedFd, said: Arc<Mutex<Vec<u8>>>) {
    use tokio::io::AsyncReadExt;
    let file = std::fs::File::from(host);
    if nonblocking(&file).is_err() {
        return;
    }
    let Ok(mut pipe) = pipe::Receiver::from_file_unchecked(file) else { return };
    let mut buffer = [0; 1024];
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let mut said = lock(&said);
        said.extend_from_slice(&buffer[..count]);
        let surplus = said.len().saturating_sub(TAIL);
        said.drain(..surplus);
    }
}

fn nonblocking(file: &std::fs::File) -> nix::Result<()> {
    use nix::fcntl::{FcntlArg, OFlag, fcntl};
    fcntl(file, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).map(|_| ())
}

fn last_line(said: &[u8]) -> String {
    let text = String::from_utf8_lossy(said);
    text.lines().rfind(|line| !line.trim().is_empty()).map_or_else(String::new, |line| format!(": {line}"))
}
