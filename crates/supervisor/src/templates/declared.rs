//! Declared templates: what was asked for, what stands for it now, and when it is tried again.

use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use api::session::SessionStart;
use api::template::{TemplateCreate, TemplateInfo, TemplateOrigin, TemplateState};
use frames::TemplateSpec;
use store::modules::Resolved;

use super::warming::Gone;
use super::{Key, Made};
use crate::Result;
use crate::calls::{file, specification};
use crate::core::{Core, Shared, Stem, StemId};
use crate::engines::{code, mode};
use crate::pool::Limits;
use crate::session::lock;

/// How long after a failure it is tried again, at first: after its process ended, and after the module turned out to
/// be unfit, which the same content will again. It doubles with every failure, up to the last.
const BACKOFF: (Duration, Duration, Duration) =
    (Duration::from_secs(1), Duration::from_secs(60), Duration::from_secs(3600));

/// A template that was asked for.
#[derive(Debug)]
pub(crate) struct Declared {
    pub(crate) spec: Arc<TemplateCreate>,
    pub(crate) origin: TemplateOrigin,
    /// The process that sessions are forked from.
    pub(crate) warm: Option<StemId>,
    /// The process that will be.
    pub(crate) warming: Option<StemId>,
    pub(crate) sessions: u64,
    pub(crate) failures: u32,
    pub(crate) why: Option<String>,
    pub(crate) not_before: Option<Instant>,
    /// What failed: something else is tried at once.
    failed: Option<Key>,
}

impl Declared {
    pub(crate) fn new(spec: TemplateCreate, origin: TemplateOrigin) -> Self {
        let (sessions, failures) = (0, 0);
        let spec = Arc::new(spec);
        Self {
            spec,
            origin,
            warm: None,
            warming: None,
            sessions,
            failures,
            why: None,
            not_before: None,
            failed: None,
        }
    }

    /// Whether it is to have a process at all times.
    fn stands(&self) -> bool {
        self.spec.ttl_s.is_none() || self.warm.is_some()
    }

    /// Notes a failure; when it may be tried again.
    fn failed(&mut self, why: &str, first: Duration, key: Option<&Key>) -> Duration {
        let wait = first.saturating_mul(1 << self.failures.min(12)).min(BACKOFF.2);
        self.failures += 1;
        self.why = Some(why.to_owned());
        self.failed = key.cloned();
        self.not_before = Some(Instant::now() + wait);
        wait
    }
}

impl Shared {
    /// What a declared template has to have in memory now, and its module.
    pub(crate) fn target(&self, template: &TemplateCreate) -> Result<(Key, Resolved)> {
        let module = self.modules.resolve(&template.module)?;
        let key = self.key(template, &module)?;
        Ok((key, module))
    }

    /// What a declared template has to have in memory when its module is this one.
    pub(crate) fn key(&self, template: &TemplateCreate, module: &Resolved) -> Result<Key> {
        let engine = self.engine(None, module, &template.module)?;
        module.complete(&template.module)?;
        let mode = mode(module, engine);
        let request = SessionStart {
            module: Some(template.module.clone()),
            args: template.args.clone(),
            env_vars: template.env_vars.clone(),
            dirs: template.dirs.clone(),
            memory_limit_mb: template.memory_limit_mb,
            ..SessionStart::default()
        };
        let session = specification(&request, "", self.config.memory_limit_mb, mode)?;
        Ok(Key::declared(template, Arc::clone(&module.digest), engine, &session))
    }

    /// The stem for a session of a declared template: its process if it is warm and holds what it has to, else the
    /// zygote; the process is made then.
    pub(crate) fn declared_stem(
        self: &Arc<Self>,
        core: &mut Core,
        name: &str,
        key: Key,
        module: &Arc<OwnedFd>,
    ) -> StemId {
        let base = key.base();
        let Some(declared) = core.templates.declared.get_mut(name) else { return base };
        declared.sessions += 1;
        if let Some(id) = declared.warm
            && let Some(stem) = core.stems.get_mut(&id)
            && let Some(made) = &stem.made
            && stem.pool.is_ready()
            && same_but_compiled(&made.key, &key)
        {
            let current = made.key == key;
            stem.last_used = Instant::now();
            if !current {
                self.warm_up(core, name, key, module);
            }
            return id;
        }
        self.warm_up(core, name, key, module);
        base
    }

    /// Makes the process of a declared template, unless one is on its way or it is too early to try again.
    fn warm_up(self: &Arc<Self>, core: &mut Core, name: &str, key: Key, module: &Arc<OwnedFd>) {
        let Some(declared) = core.templates.declared.get(name) else { return };
        let too_early = declared.not_before.is_some_and(|at| at > Instant::now());
        if too_early && declared.failed.as_ref().is_none_or(|failed| *failed == key) {
            return;
        }
        let made_for =
            |id: StemId| core.stems.get(&id).and_then(|stem| stem.made.as_ref()).map(|made| &made.key);
        if declared.warming.and_then(made_for) == Some(&key) {
            return;
        }
        let (outdated, spec) = (declared.warming, Arc::clone(&declared.spec));
        if let Some(outdated) = outdated {
            Self::retire(core, outdated);
        }
        let usual = self.config.pool;
        let spare = |asked: Option<u32>, usual: usize| asked.map_or(usual, |spare| spare as usize);
        let limits = Limits {
            spare_min: spare(spec.min_spare, usual.spare_min),
            spare_max: spare(spec.max_spare, usual.spare_max),
            ..usual
        };
        let made = Made {
            key,
            title: name.to_owned(),
            declared: Some(name.to_owned()),
            ttl: spec.ttl_s.map(Duration::from_secs),
            began: Instant::now(),
            warm_ms: None,
            pid: None,
            pss_kb: None,
            retired: false,
        };
        match self.make_template(core, made, limits, module) {
            Ok(id) => {
                if let Some(declared) = core.templates.declared.get_mut(name) {
                    declared.warming = Some(id);
                }
            }
            // The zygote is being replaced; whoever does that looks after the templates.
            Err(error) => tracing::debug!(%error, name, "no template"),
        }
    }

    /// Its process is warm: sessions are forked from it, and no more from the one before.
    pub(super) fn declared_ready(core: &mut Core, name: &str, id: StemId) {
        let current = core.templates.declared.get_mut(name).filter(|declared| declared.warming == Some(id));
        let Some(declared) = current else { return Self::retire(core, id) };
        declared.warming = None;
        (declared.failures, declared.not_before, declared.why) = (0, None, None);
        let before = declared.warm.replace(id);
        tracing::info!(template = name, "warm");
        if let Some(before) = before {
            Self::retire(core, before);
        }
    }

    /// Its process is gone.
    pub(super) fn declared_gone(
        self: &Arc<Self>,
        core: &mut Core,
        name: &str,
        id: StemId,
        gone: &Gone,
        key: &Key,
    ) {
        let Some(declared) = core.templates.declared.get_mut(name) else { return };
        let was = declared.warm.take_if(|known| *known == id).is_some();
        let would = declared.warming.take_if(|known| *known == id).is_some();
        let wait = match gone {
            Gone::Died(why) if was || would => declared.failed(why, BACKOFF.0, Some(key)),
            Gone::Unfit(why) if was || would => declared.failed(why, BACKOFF.1, Some(key)),
            _ => return,
        };
        if declared.spec.ttl_s.is_none() {
            let (shared, name) = (Arc::downgrade(self), name.to_owned());
            tokio::spawn(async move {
                tokio::time::sleep(wait).await;
                if let Some(shared) = shared.upgrade() {
                    shared.refresh(&name, false);
                }
            });
        }
    }

    /// Its process was let go because it alone takes more memory than all may.
    pub(super) fn too_large(core: &mut Core, name: &str, pss_kb: u64, budget_kb: u64) {
        if let Some(declared) = core.templates.declared.get_mut(name) {
            let (takes, may) = (pss_kb / 1024, budget_kb / 1024);
            let why = format!("it takes {takes} MiB, and the setting templates_memory_mb allows {may}");
            declared.failed(&why, BACKOFF.1, None);
        }
    }

    /// Makes sure that a template that is to stand does, with its module as it is now; `at_once` also one that otherwise
    /// begins with its first session.
    pub(crate) fn refresh(self: &Arc<Self>, name: &str, at_once: bool) {
        let spec = match lock(&self.core).templates.declared.get(name) {
            Some(declared) if at_once || declared.stands() => Arc::clone(&declared.spec),
            _ => return,
        };
        let target = self.target(&spec);
        let mut core = lock(&self.core);
        let target = target.and_then(|(key, module)| {
            if module.artifact(key.engine).is_none() {
                self.compile.want(&module.digest, key.engine);
            }
            let (path, _) = code(&module, key.engine)?;
            Ok((key, file(&mut core, path)?))
        });
        let Some(declared) = core.templates.declared.get_mut(name) else { return };
        match target {
            Ok((key, module)) => {
                let warm =
                    declared.warm.and_then(|id| core.stems.get(&id)).and_then(|stem| stem.made.as_ref());
                if warm.is_none_or(|made| made.key != key) {
                    self.warm_up(&mut core, name, key, &module);
                }
            }
            Err(error) => {
                // Its module is gone, for example. Whoever brings it back comes here again.
                declared.why = Some(error.message);
                declared.failures += 1;
                if let Some(id) = declared.warm {
                    Self::retire(&mut core, id);
                }
            }
        }
    }

    /// As [`Self::refresh`], for all of them: modules or the zygote have changed.
    pub(crate) fn refresh_all(self: &Arc<Self>) {
        let names: Vec<String> = lock(&self.core).templates.declared.keys().cloned().collect();
        for name in names {
            self.refresh(&name, false);
        }
    }
}

/// Whether sessions of one may run in the other: the same content, perhaps once compiled and once not.
fn same_but_compiled(one: &Key, other: &Key) -> bool {
    let spec = TemplateSpec { compiled: other.spec.compiled, ..one.spec.clone() };
    one.digest == other.digest && one.engine == other.engine && spec == other.spec
}

/// A declared template as the API shows it.
pub(crate) fn information(core: &Core, name: &str, declared: &Declared) -> TemplateInfo {
    let stem = declared.warm.or(declared.warming).and_then(|id| core.stems.get(&id));
    let now = Instant::now();
    let state = match (declared.warm, declared.warming) {
        (Some(_), _) => TemplateState::Warm,
        (None, Some(_)) => TemplateState::Warming,
        (None, None) if declared.failures > 0 => TemplateState::Failed,
        (None, None) => TemplateState::Idle,
    };
    let retry = declared.not_before.map(|at| at.saturating_duration_since(now).as_millis() as u64);
    TemplateInfo {
        spec: (*declared.spec).clone(),
        origin: declared.origin,
        why: declared.why.clone(),
        retry_in_ms: retry,
        sessions_total: declared.sessions,
        failures: declared.failures,
        ..described(name, state, stem)
    }
}

/// What a process of a template tells by itself.
pub(crate) fn described(name: &str, state: TemplateState, stem: Option<&Stem>) -> TemplateInfo {
    let made = stem.and_then(|stem| stem.made.as_ref());
    TemplateInfo {
        name: name.to_owned(),
        spec: TemplateCreate::default(),
        origin: TemplateOrigin::Automatic,
        state,
        why: None,
        retry_in_ms: None,
        digest: made.map(|made| made.key.digest.to_string()),
        pid: made.and_then(|made| made.pid),
        warm_ms: made.and_then(|made| made.warm_ms),
        pss_kb: made.and_then(|made| made.pss_kb),
        parked: stem.map_or(0, |stem| stem.pool.parked() as u64),
        running: stem.map_or(0, |stem| stem.pool.running() as u64),
        sessions_total: 0,
        failures: 0,
    }
}
