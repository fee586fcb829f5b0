//! Templates: a zygote for one module that is used often. The module stands instantiated in its memory, and its
//! workers are forked from there, so that a session of it loads nothing.
//!
//! The server makes them by itself, after a few sessions of a compiled module with the same memory limit, and
//! lets go of them when nobody has used them for a while. A template is a process of its own below the zygote:
//! a module that breaks the engine while it is prepared breaks nothing else, and its sessions run on the
//! zygote's workers as before.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use frames::{FromZygote, TemplateSpec};

use crate::core::{Core, ROOT, Shared, Stem, StemId};
use crate::driver;
use crate::pool::{Event, Pool};
use crate::session::lock;
use crate::zygote::{Listener, ZygoteSender};

/// How many sessions of a module make it worth a template.
const USES: u32 = 3;

/// How long a template may take to prepare its module.
const PREPARE: Duration = Duration::from_secs(10);

/// How long a module is not tried again after its template failed.
const FAILED: Duration = Duration::from_secs(60);

/// How long a template stays that nobody uses.
pub(crate) const TEMPLATE_IDLE: Duration = Duration::from_secs(60);

/// How many modules' uses are counted at once.
const COUNTED: usize = 1024;

/// What a template is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The module's content.
    pub(crate) digest: Arc<str>,
    /// The limit of its memory, which is fixed when it is instantiated.
    pub(crate) max_pages: u32,
}

#[derive(Debug, Default)]
struct Uses {
    count: u32,
    not_before: Option<Instant>,
}

/// The templates there are, and what may become one.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    ids: HashMap<Key, StemId>,
    uses: HashMap<Key, Uses>,
    last: StemId,
}

impl Shared {
    /// The stem for a session of this compiled module: its template if there is one that is ready, else the zygote.
    /// Counts the use, and makes a template when there were enough.
    pub(crate) fn stem_for(
        self: &Arc<Self>,
        core: &mut Core,
        key: Key,
        name: &str,
        module: &Arc<OwnedFd>,
    ) -> StemId {
        let now = Instant::now();
        if let Some(id) = core.templates.ids.get(&key) {
            let Some(stem) = core.stems.get_mut(id) else { return ROOT };
            stem.last_used = now;
            return if stem.pool.is_ready() { *id } else { ROOT };
        }
        if core.templates.uses.len() >= COUNTED {
            core.templates.uses.clear();
        }
        let uses = core.templates.uses.entry(key.clone()).or_default();
        uses.count = uses.count.saturating_add(1);
        let wanted = uses.count >= USES && uses.not_before.is_none_or(|at| at <= now);
        if wanted
            && core.templates.ids.len() < self.config.templates_max
            && let Err(error) = self.make_template(core, key, name, module)
        {
            tracing::warn!(%error, name, "no template");
        }
        ROOT
    }

    fn make_template(
        self: &Arc<Self>,
        core: &mut Core,
        key: Key,
        name: &str,
        module: &Arc<OwnedFd>,
    ) -> std::io::Result<()> {
        let Some((zygote, _)) = core.stems.get(&ROOT).and_then(|root| root.zygote.as_ref()) else {
            return Ok(());
        };
        let (control, theirs) = UnixStream::pair()?;
        control.set_nonblocking(true)?;
        let id = core.templates.last + 1;
        let spec = TemplateSpec { name: name.to_owned(), compiled: true, max_pages: key.max_pages };
        zygote.template(id, spec, [theirs.as_fd(), module.as_fd()])?;
        core.templates.last = id;
        core.templates.ids.insert(key.clone(), id);
        core.stems.insert(id, Stem::new(Pool::new(self.config.pool)));
        tokio::spawn(drive(Arc::downgrade(self), id, key, control));
        Ok(())
    }

    /// Lets a template go that nobody has used for a while; true when it is to end.
    pub(crate) fn retire_idle(&self, id: StemId) -> bool {
        let mut core = lock(&self.core);
        let Some(stem) = core.stems.get(&id) else { return true };
        let idle = stem.last_used.elapsed() >= TEMPLATE_IDLE;
        if !idle || stem.pool.running() + stem.pool.queued() > 0 {
            return false;
        }
        // From here on no session finds it.
        core.templates.ids.retain(|_, known| *known != id);
        true
    }

    /// A template is gone, or was never ready: forgets it and gives what waits for it to the zygote's workers.
    fn remove_template(self: &Arc<Self>, id: StemId, key: &Key, failed: bool) {
        driver::lost(self, id);
        let mut core = lock(&self.core);
        core.templates.ids.retain(|_, known| *known != id);
        if let Some(uses) = core.templates.uses.get_mut(key) {
            uses.count = 0;
            uses.not_before = failed.then(|| Instant::now() + FAILED);
        }
        let Some(mut stem) = core.stems.remove(&id) else { return };
        if let Some(pidfd) = stem.pidfd.take() {
            // One that does not answer does not read the end of its control socket either.
            let _ = sys::pidfd::send_signal(pidfd, sys::pidfd::SIGKILL);
        }
        // Each goes in front of the one before, so the last goes first.
        for no in stem.pool.take_queue().into_iter().rev() {
            if let Some(session) = core.sessions.get(&no) {
                session.stem.store(ROOT, Relaxed);
            }
            self.step_in(&mut core, ROOT, Event::Resubmit(no));
        }
    }
}

/// A template's task: waits until it is ready, serves it, and forgets it in the end.
async fn drive(shared: Weak<Shared>, id: StemId, key: Key, control: UnixStream) {
    let Some(shared) = shared.upgrade() else { return };
    let ready = match Listener::new(&control) {
        Ok(mut listener) => match tokio::time::timeout(PREPARE, listener.receive()).await {
            Ok(Ok((FromZygote::Ready { pid, .. }, _))) => Some((listener, pid)),
            _ => None,
        },
        Err(_) => None,
    };
    let sender = ZygoteSender::new(&control);
    let (Some((mut listener, pid)), Ok(sender)) = (ready, sender) else {
        tracing::warn!(
            digest = &*key.digest,
            "a template did not become ready; the module starts without it"
        );
        shared.remove_template(id, &key, true);
        return;
    };
    {
        let mut core = lock(&shared.core);
        if let Some(stem) = core.stems.get_mut(&id) {
            stem.zygote = Some((sender, pid));
        }
        shared.step_in(&mut core, id, Event::ZygoteReady);
    }
    driver::serve(&shared, id, &mut listener).await;
    shared.remove_template(id, &key, false);
}
