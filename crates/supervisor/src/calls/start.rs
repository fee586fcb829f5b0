//! `session_start`

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use api::error::{Error, ErrorCode};
use api::session::{
    Attempt, Limits, RunMode, SessionInfo, SessionStart, SessionStarted, SessionWait, Waited,
};
use api::{Outcome, SessionState};

use super::launch::Order;
use super::request::kept;
use super::specification::{PAGES_PER_MB, granted, invalid};
use super::{SessionHandle, Wiring};
use crate::pool::Event;
use crate::ready::Signs;
use crate::repeat::{Repeat, note};
use crate::session::{Session, Waiting, lock, now_ms};
use crate::{Result, Supervisor};

impl Supervisor {
    /// Starts a session, and waits for its end when the request says so.
    ///
    /// # Errors
    /// When the request is wrong, the module or template unknown or unfit, the queue full, or the server draining.
    pub async fn session_start(&self, request: SessionStart) -> Result<SessionStarted> {
        let (wait_ms, kept) = (request.wait_ms, kept(&request));
        let started = self.session_start_wired(request, Wiring::default()).await?;
        if let Some(text) = kept {
            started.keep(text);
        }
        let session_id = started.id().to_owned();
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
        mut wiring: Wiring,
    ) -> Result<SessionHandle> {
        let (shared, asked) = (&self.shared, Instant::now());
        shared.accepts(wiring.resident)?;
        granted(&mut request, &shared.config.exec_programs)?;
        repeatable(&request, &wiring)?;
        let plan = shared.plan(&mut request)?;
        let stdin = match wiring.stdin.is_empty() {
            true => plan.stdin.clone().into(),
            false => wiring.stdin.clone(),
        };
        let id = new_id();
        let timeout_ms = request.timeout_ms.or(shared.config.timeout_ms).filter(|limit| *limit > 0);
        let (raw_stdout, given) = (wiring.stdout.is_some(), wiring.given());
        let order = Order { id: &id, wiring: &wiring, raw_stdout, given, stdin: &stdin, timeout_ms };
        let fallback = match &request.fallback {
            Some(name) => {
                let other = SessionStart { module: Some(name.clone()), ..request.clone() };
                Some(shared.launch(&other, None, &order).await?)
            }
            None => None,
        };
        let mut attempts = Vec::new();
        let (launch, fallback) = match (shared.launch(&request, Some(&plan), &order).await, fallback) {
            (Err(error), Some(fallback)) if cannot_load(error.code) => {
                let (module, outcome) = (
                    request.module.clone().unwrap_or_default(),
                    Outcome::LoadFailed { message: error.message },
                );
                attempts.push(Attempt { module, started_at: None, ended_at: now_ms(), outcome });
                (fallback, None)
            }
            (launch, fallback) => (launch?, fallback),
        };
        let mode = launch.mode;
        let limits = Limits {
            timeout_ms,
            memory_limit_mb: Some(launch.waiting.spec.max_pages / PAGES_PER_MB),
            output_limit_bytes: (!wiring.resident)
                .then_some(request.output_limit_bytes.unwrap_or(shared.config.output_limit_bytes)),
            memory_cgroup_mb: None,
        };
        let forward = request.forward_logs.unwrap_or(shared.config.forward_all);
        let said = attempts.first().map(|attempt| {
            note(format!(
                "attempt 1 ended: {}: {}; {} takes over",
                attempt.module, attempt.outcome, launch.named
            ))
        });
        let mut info = SessionInfo {
            session_id: id.clone(),
            module: launch.named.clone(),
            template: plan.template.as_ref().map(|(name, _)| name.clone()),
            digest: launch.module.digest.to_string(),
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
            load_ms: None,
            cpu_ms: None,
            max_rss_kb: None,
            minor_faults: None,
            start: None,
            mode: Some(mode),
            engine: Some(launch.waiting.engine),
            limits: limits.clone(),
            attempts,
            value: None,
            log_next_seq: 0,
            log_dropped: 0,
        };
        if mode == RunMode::Interpreted {
            shared.compile.want(&launch.module.digest, launch.waiting.engine);
        }
        let mut core = lock(&shared.core);
        // Asked again under the lock: who drains has either seen this session or is seen here.
        shared.accepts(wiring.resident)?;
        let [running, queued, _] = core.counts();
        let full = || {
            shared.counters.rejected.fetch_add(1, Relaxed);
            let message = format!("{running} sessions run and {queued} wait, which is as many as may");
            Error::new(ErrorCode::QueueFull, message)
        };
        let stem = shared.stem(&mut core, &launch);
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
        let waiting = Waiting { began: asked, ..launch.waiting.clone() };
        let ready = request.ready.as_ref().map(Signs::declared);
        let repeat = (request.retries.is_some() || fallback.is_some())
            .then(|| Repeat::new(request.retries, launch, fallback));
        let no = core.next_no;
        core.next_no += 1;
        let limit = limits.output_limit_bytes.unwrap_or(u64::MAX);
        let ring_lines = shared.config.ring_lines;
        let session = Arc::new(Session::new(no, info, waiting, ring_lines, limit, forward, (ready, repeat)));
        core.ids.insert(id, no);
        core.live += 1;
        core.sessions.insert(no, Arc::clone(&session));
        session.stem.store(stem, Relaxed);
        if let Some(line) = said {
            // Before anything that it prints.
            shared.record(&session);
            shared.publish(&session, vec![line]);
        }
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
}

/// Whether a module that could not be started for this reason would not be the next time either.
fn cannot_load(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::ModuleNotFound
            | ErrorCode::ModuleInvalid
            | ErrorCode::ModuleImportMissing
            | ErrorCode::ModuleUnsupported
            | ErrorCode::ModuleLoad
    )
}

/// The most retries.
const MAX_RETRIES: u32 = 100;

/// Refuses what cannot be run a second time.
fn repeatable(request: &SessionStart, wiring: &Wiring) -> Result<()> {
    let retries = request.retries.as_ref().map_or(0, |retries| retries.max);
    if retries > MAX_RETRIES {
        return Err(invalid(format!("retries: max is {retries}, and at most {MAX_RETRIES} may be")));
    }
    if retries == 0 && request.fallback.is_none() {
        return Ok(());
    }
    let wired = wiring.stdout.is_some() || wiring.serve.is_some() || !wiring.listeners.is_empty();
    if request.stdin_open || wired || wiring.resident {
        return Err(invalid(
            "retries and fallback need a session that can be run again: give its whole input as stdin, and leave \
             stdin_open out"
                .to_owned(),
        ));
    }
    Ok(())
}

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
