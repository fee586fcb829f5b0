//! `session_start`

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use api::error::{Error, ErrorCode};
use api::session::{Limits, RunMode, SessionInfo, SessionStart, SessionStarted, SessionWait, Waited};
use api::template::Warm;
use api::{ModuleKind, SessionState};
use frames::Sockets;
use store::modules::Resolved;

use super::specification::{PAGES_PER_MB, specification};
use super::{SessionHandle, Wiring};
use crate::core::{Core, base};
use crate::driver::want_outgoing;
use crate::pool::Event;
use crate::session::{Session, Waiting, lock, now_ms, open};
use crate::templates::Key;
use crate::{Result, Supervisor};

impl Supervisor {
    /// Starts a session, and waits for its end when the request says so.
    ///
    /// # Errors
    /// When the request is wrong, the module or template unknown or unfit, the queue full, or the server draining.
    pub async fn session_start(&self, request: SessionStart) -> Result<SessionStarted> {
        let wait_ms = request.wait_ms;
        let session_id = self.session_start_wired(request, Wiring::default()).await?.id().to_owned();
        let result = match wait_ms {
            None => None,
            Some(_) => {
                let wait = SessionWait { session_id: session_id.clone(), wait_ms, ..SessionWait::default() };
                match self.session_wait(wait).await? {
                    Some(Waited::Ended(result)) => Some(result),
                    Some(Waited::Ready(_)) | None => None,
                }
            }
        };
        Ok(SessionStarted { session_id, result })
    }

    /// Starts a session with this wiring.
    ///
    /// # Errors
    /// As [`Self::session_start`].
    pub async fn session_start_wired(
        &self,
        mut request: SessionStart,
        wiring: Wiring,
    ) -> Result<SessionHandle> {
        let shared = &self.shared;
        if shared.draining.load(Relaxed) {
            return Err(draining());
        }
        let plan = shared.plan(&mut request)?;
        let named = request.module.clone().unwrap_or_default();
        let module = match &plan.template {
            Some(_) => shared.modules.resolve(&named)?,
            None => self.resolve(&named).await?,
        };
        let (path, mode) = code(&module, &named)?;
        let id = new_id();
        let mut spec = specification(&request, &id, shared.config.memory_limit_mb, mode)?;
        spec.yield_after_ms = if wiring.resident { 0 } else { shared.config.yield_after_ms };
        spec.raw_stdout = wiring.stdout.is_some();
        spec.network = wiring.network(&request.permissions);
        let sockets = spec.sockets();
        if let Some((_, template)) = &plan.template
            && let Warm::Export(name) = &template.warm
        {
            spec.init = Some(name.clone());
        }
        let key = match &plan.template {
            // The functions for sockets are in a template of their own, whatever was declared.
            Some((_, template)) if plan.fits && sockets == Sockets::None => Some(match template.warm {
                // Its initialiser ran with arguments of its own.
                Warm::Export(_) => shared.key(template, &module)?,
                Warm::Instantiate | Warm::Stdin => Key::declared(template, Arc::clone(&module.digest), &spec),
            }),
            _ => None,
        };
        let stdin = match wiring.stdin.is_empty() {
            true => plan.stdin.into(),
            false => wiring.stdin.clone(),
        };
        let timeout_ms = request.timeout_ms.or(shared.config.timeout_ms).filter(|limit| *limit > 0);
        let limits = Limits {
            timeout_ms,
            memory_limit_mb: Some(spec.max_pages / PAGES_PER_MB),
            output_limit_bytes: (!wiring.resident)
                .then_some(request.output_limit_bytes.unwrap_or(shared.config.output_limit_bytes)),
            memory_cgroup_mb: None,
        };
        let forward = request.forward_logs.unwrap_or(shared.config.forward_all);
        let mut info = SessionInfo {
            session_id: id.clone(),
            module: named,
            template: plan.template.as_ref().map(|(name, _)| name.clone()),
            digest: module.digest.to_string(),
            state: SessionState::Pending,
            ready: false,
            outcome: None,
            child_pid: None,
            args: plan.args,
            labels: request.labels,
            created_at: now_ms(),
            started_at: None,
            ended_at: None,
            duration_ms: None,
            cpu_ms: None,
            max_rss_kb: None,
            minor_faults: None,
            start: None,
            mode: Some(mode),
            limits: limits.clone(),
            attempts: Vec::new(),
            value: None,
            log_next_seq: 0,
            log_dropped: 0,
        };
        if mode == RunMode::Interpreted {
            shared.compile.want(&module.digest);
        }
        let mut core = lock(&shared.core);
        if shared.draining.load(Relaxed) {
            // Asked again under the lock: who drains has either seen this session or is seen here.
            return Err(draining());
        }
        let [running, queued, _] = core.counts();
        let full = || {
            shared.counters.rejected.fetch_add(1, Relaxed);
            let message = format!("{running} sessions run and {queued} wait, which is as many as may");
            Error::new(ErrorCode::QueueFull, message)
        };
        let file = file(&mut core, path)?;
        if sockets == Sockets::Outgoing {
            want_outgoing(shared, &mut core);
        }
        let stem = match (plan.template, key) {
            (Some((name, _)), Some(key)) => shared.declared_stem(&mut core, &name, key, &file),
            (template, _)
                if mode == RunMode::Compiled && (template.is_none() || sockets != Sockets::None) =>
            {
                let key = Key::instantiated(Arc::clone(&module.digest), spec.max_pages, sockets);
                shared.automatic_stem(&mut core, key, &info.module, &file)
            }
            _ => base(sockets),
        };
        if let Some(made) = core.stems.get(&stem).and_then(|stem| stem.made.as_ref()) {
            // A template that stands since before the module was compiled runs as it stands.
            let compiled = made.key.spec.compiled;
            info.mode = Some(if compiled { RunMode::Compiled } else { RunMode::Interpreted });
        }
        let at_once = core.stems.get(&stem).is_some_and(|stem| stem.pool.parked() > 0)
            && running < shared.config.pool.max_sessions;
        if !at_once && queued >= shared.config.pool.max_queue {
            return Err(full());
        }
        let (resident, given) = (wiring.resident, wiring.given());
        let waiting = Waiting {
            spec,
            module: file,
            given,
            stdin,
            stdin_open: request.stdin_open,
            timeout: timeout_ms.map(Duration::from_millis),
            resident,
            attempts: 0,
            began: Instant::now(),
        };
        let no = core.next_no;
        core.next_no += 1;
        let limit = limits.output_limit_bytes.unwrap_or(u64::MAX);
        let session = Arc::new(Session::new(no, info, waiting, shared.config.ring_lines, limit, forward));
        core.ids.insert(id, no);
        core.live += 1;
        core.sessions.insert(no, Arc::clone(&session));
        session.stem.store(stem, Relaxed);
        shared.step_in(&mut core, stem, Event::Submit(no));
        if !core.sessions.contains_key(&no) {
            return Err(full());
        }
        shared.counters.sessions.fetch_add(1, Relaxed);
        if session.state() == SessionState::Pending {
            shared.record(&session);
        }
        Ok(SessionHandle::new(shared, session))
    }

    /// Finds the module that a request names: a registered name, a digest, or a path in an allowed folder.
    async fn resolve(&self, named: &str) -> Result<Resolved> {
        if !named.contains('/') {
            return self.shared.modules.resolve(named);
        }
        let path = PathBuf::from(named);
        let (shared, named) = (Arc::clone(&self.shared), named.to_owned());
        crate::read::blocking(move || {
            let refused = |why: &str| Error::new(ErrorCode::PathNotAllowed, format!("{named}: {why}"));
            if !path.is_absolute() {
                return Err(refused("a module's path has to be absolute"));
            }
            // Links are followed first, so that a link inside an allowed folder cannot lead out of it.
            let real = path.canonicalize().map_err(|error| refused(&error.to_string()))?;
            let allowed = |dir: &PathBuf| dir.canonicalize().is_ok_and(|dir| real.starts_with(dir));
            if !shared.config.module_dirs.iter().any(allowed) {
                return Err(refused("not in a folder of the setting module_dirs"));
            }
            shared.by_path.resolve(&shared, &real)
        })
        .await
    }
}

/// What of a module is run, and how; `named` is for the message.
///
/// # Errors
/// When no engine here runs it.
pub(crate) fn code<'a>(module: &'a Resolved, named: &str) -> Result<(&'a Arc<Path>, RunMode)> {
    if module.kind == ModuleKind::Component {
        let message = format!("{named} is a component; this engine runs core modules");
        return Err(Error::new(ErrorCode::ModuleUnsupported, message));
    }
    Ok(match &module.artifact {
        Some(artifact) => (artifact, RunMode::Compiled),
        None => (&module.path, RunMode::Interpreted),
    })
}

/// The module's file, opened once for all its sessions: whoever reads it, reads from its beginning by path or map.
pub(crate) fn file(core: &mut Core, path: &Path) -> Result<Arc<OwnedFd>> {
    if let Some(file) = core.files.get(path) {
        return Ok(Arc::clone(file));
    }
    let file = open(path).map_err(|error| {
        let code = match error.raw_os_error() {
            // EMFILE, ENFILE, ENOMEM
            Some(24 | 23 | 12) => ErrorCode::ResourceExhausted,
            _ => ErrorCode::Internal,
        };
        Error::new(code, format!("cannot open {}: {error}", path.display()))
    })?;
    let file = Arc::new(file);
    if core.files.len() >= MAX_FILES {
        core.files.clear();
    }
    core.files.insert(path.to_owned(), Arc::clone(&file));
    Ok(file)
}

/// How many modules' files are held open.
const MAX_FILES: usize = 128;

/// A fresh id: 60 random bits in 12 letters of Crockford's base 32, which has none that look alike.
fn new_id() -> String {
    const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";
    let mut bits = uuid::Uuid::new_v4().as_u128();
    let mut id = String::from(crate::read::ID_PREFIX);
    for _ in 0..12 {
        id.push(char::from(LETTERS[(bits & 31) as usize]));
        bits >>= 5;
    }
    id
}

fn draining() -> Error {
    Error::new(ErrorCode::Draining, "the server is stopping and starts no session")
}
