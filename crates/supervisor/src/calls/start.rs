//! `session_start`

use std::collections::HashSet;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use api::error::{Error, ErrorCode};
use api::session::{DirGrant, DirMode, Limits, RunMode, SessionInfo, SessionStart, SessionStarted};
use api::{ModuleKind, SessionState};
use base64::Engine as _;
use frames::SessionSpec;
use frames::message::Dir;
use store::modules::Resolved;

use crate::core::{Core, ROOT};
use crate::pool::Event;
use crate::session::{Session, Waiting, lock, now_ms, open};
use crate::templates::Key;
use crate::{Result, Supervisor};

/// The most bytes that arguments, environment and folders of a session may have together. They go through one
/// socket message, whose room is about 200 kB by default (net.core.wmem_default).
const MAX_REQUEST: usize = 128 * 1024;

/// A page of WebAssembly memory is 64 KiB, so a MiB has 16; there are at most 65536 pages.
const PAGES_PER_MB: u32 = 16;
const MAX_PAGES: u32 = 65_536;

impl Supervisor {
    /// Starts a session.
    ///
    /// # Errors
    /// When the request is wrong, the module unknown or unfit, the queue full, or the server draining.
    pub async fn session_start(&self, request: SessionStart) -> Result<SessionStarted> {
        let shared = &self.shared;
        if shared.draining.load(Relaxed) {
            return Err(draining());
        }
        let module = self.resolve(&request.module).await?;
        if module.kind == ModuleKind::Component {
            let message = format!("{} is a component; this engine runs core modules", request.module);
            return Err(Error::new(ErrorCode::ModuleUnsupported, message));
        }
        let (path, mode) = match &module.artifact {
            Some(artifact) => (artifact, RunMode::Compiled),
            None => (&module.path, RunMode::Interpreted),
        };
        let id = new_id();
        let spec = specification(&request, &id, shared.config.memory_limit_mb, mode)?;
        let stdin = stdin(&request)?;
        let timeout_ms = request.timeout_ms.or(shared.config.timeout_ms).filter(|limit| *limit > 0);
        let limits = Limits {
            timeout_ms,
            memory_limit_mb: Some(spec.max_pages / PAGES_PER_MB),
            output_limit_bytes: Some(request.output_limit_bytes.unwrap_or(shared.config.output_limit_bytes)),
        };
        let forward = request.forward_logs.unwrap_or(shared.config.forward_all);
        let info = SessionInfo {
            session_id: id.clone(),
            module: request.module,
            digest: module.digest.to_string(),
            state: SessionState::Pending,
            ready: false,
            outcome: None,
            child_pid: None,
            args: request.args,
            labels: request.labels,
            created_at: now_ms(),
            started_at: None,
            ended_at: None,
            duration_ms: None,
            cpu_ms: None,
            max_rss_kb: None,
            start: None,
            mode: Some(mode),
            limits: limits.clone(),
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
        let content = Arc::clone(&module.digest);
        let module = file(&mut core, path)?;
        let stem = match mode {
            RunMode::Compiled => {
                let key = Key { digest: content, max_pages: spec.max_pages };
                shared.stem_for(&mut core, key, &info.module, &module)
            }
            RunMode::Interpreted => ROOT,
        };
        let [running, queued, _] = core.counts();
        let at_once = core.stems.get(&stem).is_some_and(|stem| stem.pool.parked() > 0)
            && running < shared.config.pool.max_sessions;
        if !at_once && queued >= shared.config.pool.max_queue {
            shared.counters.rejected.fetch_add(1, Relaxed);
            let message = format!("{running} sessions run and {queued} wait, which is as many as may");
            return Err(Error::new(ErrorCode::QueueFull, message));
        }
        let waiting = Waiting {
            spec,
            module,
            stdin: stdin.into(),
            stdin_open: request.stdin_open,
            timeout: timeout_ms.map(Duration::from_millis),
            attempts: 0,
            began: Instant::now(),
        };
        let no = core.next_no;
        core.next_no += 1;
        let limit = limits.output_limit_bytes.unwrap_or(u64::MAX);
        let session = Arc::new(Session::new(no, info, waiting, shared.config.ring_lines, limit, forward));
        core.ids.insert(id.clone(), no);
        core.live += 1;
        core.sessions.insert(no, Arc::clone(&session));
        session.stem.store(stem, Relaxed);
        shared.step_in(&mut core, stem, Event::Submit(no));
        if !core.sessions.contains_key(&no) {
            let message = format!("{running} sessions run and {queued} wait, which is as many as may");
            return Err(Error::new(ErrorCode::QueueFull, message));
        }
        shared.counters.sessions.fetch_add(1, Relaxed);
        if session.state() == SessionState::Pending {
            shared.record(&session);
        }
        Ok(SessionStarted { session_id: id })
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

/// The module's file, opened once for all its sessions: whoever reads it, reads from its beginning by path or map.
fn file(core: &mut Core, path: &Path) -> Result<Arc<OwnedFd>> {
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

fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidParams, message)
}

fn stdin(request: &SessionStart) -> Result<Vec<u8>> {
    match (&request.stdin, &request.stdin_base64) {
        (Some(_), Some(_)) => Err(invalid("give stdin or stdin_base64, not both".to_owned())),
        (Some(text), None) => Ok(text.clone().into_bytes()),
        (None, Some(text)) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|error| invalid(format!("stdin_base64 is not base64: {error}"))),
        (None, None) => Ok(Vec::new()),
    }
}

fn specification(request: &SessionStart, id: &str, default_mb: u32, mode: RunMode) -> Result<SessionSpec> {
    let program = request.module.rsplit('/').next().unwrap_or(&request.module).to_owned();
    let args: Vec<String> = std::iter::once(program).chain(request.args.iter().cloned()).collect();
    let mut env = Vec::with_capacity(request.env_vars.len());
    for (name, value) in &request.env_vars {
        if name.is_empty() || name.contains('=') {
            return Err(invalid(format!("env_vars: {name:?} cannot be the name of a variable")));
        }
        env.push(format!("{name}={value}"));
    }
    let mut dirs = Vec::with_capacity(request.dirs.len());
    let mut seen = HashSet::new();
    for grant in &request.dirs {
        let dir = folder(grant)?;
        if !seen.insert(dir.guest.clone()) {
            return Err(invalid(format!("dirs: {} is given twice", dir.guest)));
        }
        dirs.push(dir);
    }
    if let Some(working) = &request.working_dir {
        // WASI has no current folder: a relative path is looked up in the folder that the guest sees as `.`.
        dirs.retain(|dir| dir.guest != ".");
        dirs.push(working_folder(working, &dirs)?);
        env.retain(|variable| !variable.starts_with("PWD="));
        env.push(format!("PWD={working}"));
    }
    if let Some(text) = args.iter().chain(&env).find(|text| text.contains('\0')) {
        return Err(invalid(format!("{text:?} holds a NUL, which no argument or variable can")));
    }
    let size: usize = args.iter().chain(&env).map(|text| text.len() + 8).sum::<usize>()
        + dirs.iter().map(|dir| dir.host.len() + dir.guest.len() + 16).sum::<usize>();
    if size > MAX_REQUEST {
        let message = format!("arguments, environment and folders have {size} bytes; {MAX_REQUEST} may be");
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    let megabytes = request.memory_limit_mb.unwrap_or(default_mb);
    if megabytes == 0 {
        return Err(invalid("memory_limit_mb has to be at least 1".to_owned()));
    }
    Ok(SessionSpec {
        session_id: id.to_owned(),
        compiled: mode == RunMode::Compiled,
        args,
        env,
        dirs,
        max_pages: megabytes.saturating_mul(PAGES_PER_MB).min(MAX_PAGES),
    })
}

fn folder(grant: &DirGrant) -> Result<Dir> {
    let refused = |why: &str| Error::new(ErrorCode::PathNotAllowed, format!("dirs: {}: {why}", grant.host));
    let host = Path::new(&grant.host);
    if !host.is_absolute() {
        return Err(refused("the host's path has to be absolute"));
    }
    // One look, so that the caller learns it now; the worker looks again when it opens the folder.
    match std::fs::metadata(host) {
        Ok(facts) if facts.is_dir() => {}
        Ok(_) => return Err(refused("not a folder")),
        Err(error) => return Err(refused(&error.to_string())),
    }
    let guest = grant.guest.clone().unwrap_or_else(|| grant.host.clone());
    if guest.is_empty() || guest.contains([':', '\0']) {
        return Err(invalid(format!("dirs: {guest:?} cannot be the guest's name of a folder")));
    }
    Ok(Dir { host: grant.host.clone(), guest, read_only: grant.mode == DirMode::Read })
}

/// The folder that `working_dir` names inside one of those that are granted.
fn working_folder(working: &str, dirs: &[Dir]) -> Result<Dir> {
    let path = Path::new(working);
    let inside = |dir: &&Dir| path.starts_with(&dir.guest);
    let best = dirs.iter().filter(inside).max_by_key(|dir| dir.guest.len());
    let refused = |why: &str| Error::new(ErrorCode::PathNotAllowed, format!("working_dir: {working}: {why}"));
    let dir = best.ok_or_else(|| refused("it lies in none of the dirs"))?;
    let rest = path.strip_prefix(&dir.guest).map_err(|_| refused("it lies in none of the dirs"))?;
    if rest.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(refused("`..` is not allowed here"));
    }
    let host = Path::new(&dir.host).join(rest);
    // A link inside the folder must not lead the working folder out of it.
    let real = host.canonicalize().map_err(|error| refused(&error.to_string()))?;
    let root = Path::new(&dir.host).canonicalize().map_err(|error| refused(&error.to_string()))?;
    if !real.starts_with(root) || !real.is_dir() {
        return Err(refused("not a folder inside the dirs"));
    }
    let host = real.into_os_string().into_string().map_err(|_| refused("its path is not UTF-8"))?;
    Ok(Dir { host, guest: ".".to_owned(), read_only: dir.read_only })
}
