//! Templates: a zygote for one module. The module stands in its memory, instantiated or run up to where its sessions
//! begin, and its workers are forked from there.
//!
//! Some are declared: by a call, by a file, or because they come with the server. Others the server makes by itself,
//! after a few sessions of a compiled module with the same memory limit, and lets go of when nobody has used them for a
//! while. A template is a process of its own below the zygote: a module that breaks the engine while it is prepared
//! breaks nothing else, and its sessions run on the zygote's workers, from the beginning.

mod declared;
mod memory;
mod warming;

use std::collections::{BTreeMap, HashMap};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::session::EngineKind;
use api::template::TemplateCreate;
use frames::{SessionSpec, Sockets, TemplateSpec, Warm};

pub(crate) use declared::{Declared, described, information};
pub(crate) use memory::watch;

use crate::core::{Core, Shared, StemId, base};

/// How many sessions of a module make it worth a template.
const USES: u32 = 3;

/// How long a module is not tried again after its automatic template failed.
const FAILED: Duration = Duration::from_secs(60);

/// How long an automatic template stays that nobody uses; when memory is short, it goes before.
const AUTOMATIC_TTL: Duration = Duration::from_secs(600);

/// How many modules' uses are counted at once.
const COUNTED: usize = 1024;

/// What stands in a template's memory: two sessions with the same key can be forked from the same process.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// The module's content.
    pub(crate) digest: Arc<str>,
    /// Whose memory it is.
    pub(crate) engine: EngineKind,
    /// What was made of it.
    pub(crate) spec: TemplateSpec,
}

impl Key {
    /// The key of a template of a compiled module that every session with this memory limit and such sockets can use.
    pub(crate) fn instantiated(
        digest: Arc<str>,
        engine: EngineKind,
        max_pages: u32,
        sockets: Sockets,
    ) -> Self {
        let (args, env, dirs) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            digest,
            engine,
            spec: TemplateSpec {
                compiled: true,
                max_pages,
                warm: Warm::Instantiate,
                args,
                env,
                dirs,
                sockets,
            },
        }
    }

    /// The key of a declared template of this content; `session` is one that has its arguments, environment and folders.
    pub(crate) fn declared(
        template: &TemplateCreate,
        digest: Arc<str>,
        engine: EngineKind,
        session: &SessionSpec,
    ) -> Self {
        let (compiled, max_pages) = (session.compiled, session.max_pages);
        let warm = match &template.warm {
            // Nothing of them is in memory: each session brings its own.
            api::template::Warm::Instantiate => {
                let mut key = Self::instantiated(digest, engine, max_pages, Sockets::None);
                key.spec.compiled = compiled;
                return key;
            }
            api::template::Warm::Export(name) => Warm::Export(name.clone()),
            api::template::Warm::Stdin => Warm::Stdin,
        };
        let (args, env, dirs) = (session.args.clone(), session.env.clone(), session.dirs.clone());
        let sockets = Sockets::None;
        Self { digest, engine, spec: TemplateSpec { compiled, max_pages, warm, args, env, dirs, sockets } }
    }

    /// The zygote that it is forked from.
    pub(crate) fn base(&self) -> StemId {
        base(self.engine, self.spec.sockets)
    }
}

/// What a stem is that is a template.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) key: Key,
    /// For the process title and lists.
    pub(crate) title: String,
    /// The declared template that it stands for.
    pub(crate) declared: Option<String>,
    /// How long it stays without a session.
    pub(crate) ttl: Option<Duration>,
    pub(crate) began: Instant,
    /// When it was warm.
    pub(crate) warm_ms: Option<u64>,
    pub(crate) pid: Option<u32>,
    pub(crate) pss_kb: Option<u64>,
    /// No new session finds it; it leaves when its last one has ended.
    pub(crate) retired: bool,
}

#[derive(Debug, Default)]
struct Uses {
    count: u32,
    not_before: Option<Instant>,
}

/// The templates there are, and what may become one.
#[derive(Debug, Default)]
pub(crate) struct Templates {
    /// The automatic ones.
    automatic: HashMap<Key, StemId>,
    uses: HashMap<Key, Uses>,
    pub(crate) declared: BTreeMap<String, Declared>,
    last: StemId,
    /// How many were let go for want of room.
    pub(crate) evicted: u64,
}

impl Shared {
    /// The stem for a session that names no template: that of an automatic one if it is ready, else the zygote. Counts
    /// the use, and makes a template when there were enough.
    pub(crate) fn automatic_stem(
        self: &Arc<Self>,
        core: &mut Core,
        key: Key,
        name: &str,
        module: &Arc<OwnedFd>,
    ) -> StemId {
        let (now, base) = (Instant::now(), key.base());
        if let Some(id) = core.templates.automatic.get(&key) {
            let Some(stem) = core.stems.get_mut(id) else { return base };
            stem.last_used = now;
            return if stem.pool.is_ready() { *id } else { base };
        }
        if core.templates.uses.len() >= COUNTED {
            core.templates.uses.clear();
        }
        let uses = core.templates.uses.entry(key.clone()).or_default();
        uses.count = uses.count.saturating_add(1);
        let wanted = uses.count >= USES && uses.not_before.is_none_or(|at| at <= now);
        if wanted && core.templates.automatic.len() < self.config.templates_max {
            let made = Made {
                key: key.clone(),
                title: name.to_owned(),
                declared: None,
                ttl: Some(AUTOMATIC_TTL),
                began: now,
                warm_ms: None,
                pid: None,
                pss_kb: None,
                retired: false,
            };
            match self.make_template(core, made, self.config.pool, module) {
                Ok(id) => _ = core.templates.automatic.insert(key, id),
                Err(error) => tracing::warn!(%error, name, "no template"),
            }
        }
        base
    }

    /// From here on no new session finds this template. It leaves once its last one has ended.
    pub(crate) fn retire(core: &mut Core, id: StemId) {
        core.templates.automatic.retain(|_, known| *known != id);
        for declared in core.templates.declared.values_mut() {
            declared.warm.take_if(|known| *known == id);
            declared.warming.take_if(|known| *known == id);
        }
        if let Some(stem) = core.stems.get_mut(&id) {
            if let Some(made) = &mut stem.made {
                made.retired = true;
            }
            stem.ticks.notify_one();
        }
    }

    /// Retires a template that nobody has used for as long as it stays; true when a retired one can end.
    pub(crate) fn may_leave(core: &mut Core, id: StemId) -> bool {
        let Some(stem) = core.stems.get(&id) else { return true };
        let Some(made) = &stem.made else { return false };
        let busy = stem.pool.running() + stem.pool.queued() > 0;
        if made.retired {
            return !busy;
        }
        if busy || made.ttl.is_none_or(|ttl| stem.last_used.elapsed() < ttl) {
            return false;
        }
        Self::retire(core, id);
        true
    }
}
