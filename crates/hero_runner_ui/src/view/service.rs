//! Services as rows.

use api::SessionState;
use api::service::{Instance, Probe, ServiceInfo, ServiceKind, ServiceProblem, ServiceState};

use super::{Moment, span};

/// A service.
#[derive(Debug)]
pub(crate) struct ServiceRow {
    pub(crate) name: String,
    /// Where the gateway serves it; none where the prefix is not one that a link could be made of.
    pub(crate) link: Option<String>,
    pub(crate) prefix: String,
    pub(crate) kind: &'static str,
    pub(crate) description: Option<String>,
    pub(crate) state: &'static str,
    /// The class of the state's mark.
    pub(crate) tone: &'static str,
    pub(crate) reason: Option<String>,
    pub(crate) next_try: Option<Moment>,
    pub(crate) ready_since: Option<Moment>,
    pub(crate) probe: Option<ProbeView>,
    pub(crate) instances: Vec<InstanceView>,
    pub(crate) restarts: u64,
    pub(crate) requests: u64,
    pub(crate) memory: String,
}

/// The last probe.
#[derive(Debug)]
pub(crate) struct ProbeView {
    pub(crate) verdict: &'static str,
    pub(crate) tone: &'static str,
    pub(crate) status: Option<u16>,
    pub(crate) latency: String,
    pub(crate) error: Option<String>,
    pub(crate) when: Moment,
}

/// A process.
#[derive(Debug)]
pub(crate) struct InstanceView {
    pub(crate) session: String,
    pub(crate) process: String,
    pub(crate) state: &'static str,
    pub(crate) requests: String,
}

/// A declaration that was refused.
#[derive(Debug)]
pub(crate) struct ProblemRow {
    pub(crate) name: String,
    pub(crate) file: String,
    pub(crate) key: Option<String>,
    pub(crate) reason: String,
}

impl ServiceRow {
    pub(crate) fn of(service: &ServiceInfo, now_ms: u64) -> Self {
        let (state, tone) = state(service.state);
        let ready = service.state == ServiceState::Ready;
        Self {
            name: service.name.clone(),
            link: link(&service.prefix),
            prefix: format!("/{}/", service.prefix),
            kind: match service.kind {
                ServiceKind::Listener => "listener",
                ServiceKind::Handler => "handler",
            },
            description: service.description.clone(),
            state,
            tone,
            reason: service.reason.clone(),
            next_try: service.next_try_at.map(|at| Moment::due(at, now_ms)),
            ready_since: service.ready_since.filter(|_| ready).map(|at| Moment::since(at, now_ms)),
            probe: service.last_probe.as_ref().map(|probe| ProbeView::of(probe, now_ms)),
            instances: service.instances.iter().map(InstanceView::of).collect(),
            restarts: service.restarts,
            requests: service.requests,
            memory: service.memory_limit_mb.map_or("default".to_owned(), |limit| format!("{limit} MiB")),
        }
    }
}

impl ProbeView {
    pub(crate) fn of(probe: &Probe, now_ms: u64) -> Self {
        Self {
            verdict: if probe.ok { "ok" } else { "bad" },
            tone: if probe.ok { "good" } else { "bad" },
            status: probe.status,
            latency: span(probe.latency_us),
            error: probe.error.clone(),
            when: Moment::at(probe.at, now_ms),
        }
    }
}

impl InstanceView {
    pub(crate) fn of(instance: &Instance) -> Self {
        Self {
            session: instance.session_id.clone(),
            process: instance.pid.map_or("no process".to_owned(), |pid| format!("pid {pid}")),
            state: match instance.state {
                SessionState::Pending => "waits for a worker",
                SessionState::Running if instance.ready => "takes requests",
                SessionState::Running => "runs, takes no requests",
                SessionState::Succeeded | SessionState::Failed | SessionState::Cancelled => "ended",
            },
            requests: match instance.requests {
                0 => String::new(),
                1 => "1 request under way".to_owned(),
                more => format!("{more} requests under way"),
            },
        }
    }
}

impl ProblemRow {
    pub(crate) fn of(problem: &ServiceProblem) -> Self {
        Self {
            name: problem.name.clone(),
            file: problem.file.clone(),
            key: problem.key.clone(),
            reason: problem.reason.clone(),
        }
    }
}

/// A state in words, and the class of its mark.
pub(crate) fn state(state: ServiceState) -> (&'static str, &'static str) {
    match state {
        ServiceState::Stopped => ("stopped", "quiet"),
        ServiceState::Waiting => ("waits for a service that it requires", "busy"),
        ServiceState::Starting => ("starting", "busy"),
        ServiceState::Ready => ("ready", "good"),
        ServiceState::Unhealthy => ("unhealthy", "bad"),
        ServiceState::Idle => ("idle, the next request starts it", "quiet"),
        ServiceState::Backoff => ("ended, will be started again", "bad"),
        ServiceState::Failed => ("failed", "bad"),
        ServiceState::Stopping => ("stopping", "busy"),
    }
}

/// `3 services: 1 ready, 2 failed`.
pub(crate) fn summary(services: &[ServiceInfo]) -> String {
    let groups: [(&str, &[ServiceState]); 5] = [
        ("ready", &[ServiceState::Ready]),
        ("on the way", &[ServiceState::Waiting, ServiceState::Starting, ServiceState::Stopping]),
        ("in trouble", &[ServiceState::Unhealthy, ServiceState::Backoff, ServiceState::Failed]),
        ("idle", &[ServiceState::Idle]),
        ("stopped", &[ServiceState::Stopped]),
    ];
    let count = |states: &[ServiceState]| services.iter().filter(|one| states.contains(&one.state)).count();
    let counts = groups.iter().map(|(words, states)| (words, count(states))).filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(words, count)| format!("{count} {words}")).collect();
    let noun = if services.len() == 1 { "service" } else { "services" };
    format!("{} {noun}: {}", services.len(), counts.join(", "))
}

/// The address of a service in the gateway. The server lets only such prefixes in; whatever else came could lead elsewhere.
fn link(prefix: &str) -> Option<String> {
    let letter = |letter: char| letter.is_ascii_alphanumeric() || "._~-".contains(letter);
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(letter);
    prefix.split('/').all(segment).then(|| format!("/{prefix}/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_prefix_becomes_a_link() {
        assert_eq!(link("hello").as_deref(), Some("/hello/"));
        assert_eq!(link("a/b.c~d").as_deref(), Some("/a/b.c~d/"));
        for wrong in ["", "/evil.example", "a//b", "a/../b", "x?y", "a b", "javascript:alert(1)", "a\"b"] {
            assert_eq!(link(wrong), None, "{wrong}");
        }
    }
}
