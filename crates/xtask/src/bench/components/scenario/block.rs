//! One run of a scenario.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::MODULE;
use crate::bench::gateway::load::What;
use crate::bench::places;
use crate::bench::sample::Sample;
use crate::bench::server::Server;

/// A scenario whose users ask for one page, as often as they can.
#[derive(Debug)]
pub(super) struct Scenario {
    pub(super) key: String,
    /// Its sessions have it as a label.
    pub(super) id: String,
    pub(super) processes: usize,
    pub(super) users: usize,
    pub(super) seconds: u64,
    pub(super) address: SocketAddr,
}

impl Scenario {
    /// What a run yields, in this order.
    pub(super) const YIELDS: [What; 4] = [What::Rate, What::P50, What::P99, What::Asker];

    /// Runs it once, as a user would.
    pub(super) fn block(&self, server: &Server, dir: &Path) -> Result<Vec<Sample>> {
        let file = dir.join(format!("{}.yaml", self.id));
        std::fs::write(&file, self.yaml())?;
        let mut command = Command::new(places::program("hero_runner"));
        command.arg("--socket").arg(&server.socket).args(["scenario", "run"]).arg(&file);
        command.args(["--json", "--module", MODULE, "--processes", &self.processes.to_string()]);
        let output =
            command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
        ensure!(
            output.status.success(),
            "{command:?} failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        let report: Value = serde_json::from_slice(&output.stdout)?;
        let field = |name: &str| report[name].as_f64().with_context(|| format!("no {name}: {report}"));
        let requests = field("successful")?;
        // What fails is fast or slow, and no load.
        ensure!(requests > 0.0 && field("failed")? == 0.0, "requests failed: {report}");
        let rate = field("throughput_rps")?;
        let [p50, p99] = [field("latency_p50_ms")?, field("latency_p99_ms")?].map(|took| took * 1000.0);
        let asker = self.cpu_micros(server)? / requests;
        Ok([rate, p50, p99, asker].map(Sample::from).to_vec())
    }

    /// The processor time of its last sessions.
    fn cpu_micros(&self, server: &Server) -> Result<f64> {
        let label = format!("scenario={}", self.id);
        let page = server.call("session_list", &json!({ "label": label, "limit": self.processes }))?;
        let sessions = page["sessions"].as_array().map_or(&[][..], Vec::as_slice);
        ensure!(sessions.len() == self.processes, "{label} has other sessions than expected: {page}");
        let mut micros = 0.0;
        for session in sessions {
            let id = json!({ "session_id": session["session_id"] });
            let info = server.call("session_get", &id)?;
            let used =
                info["cpu_ms"].as_f64().with_context(|| format!("it has no processor time: {info}"))?;
            micros += used * 1000.0;
        }
        Ok(micros)
    }

    fn yaml(&self) -> String {
        let Self { id, users, seconds, address, .. } = self;
        format!(
            "scenario:\n  id: {id}\n  load: {{ total_users: {users}, test_duration: {seconds}s }}\n  workflow:\n    \
             - {{ id: get, type: http, params: {{ url: \"http://{address}/\" }} }}\n"
        )
    }
}
