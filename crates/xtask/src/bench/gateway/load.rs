//! Requests as fast as they are answered, by wrk.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use super::debian::Program;
use crate::bench::processes::Cpu;
use crate::bench::sample::Sample;

/// wrk's own numbers, in a line that a program can read. It asks for nothing while requests run, so the script costs them
/// nothing.
const SCRIPT: &str = "done = function(summary, latency)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format('told %d %d %d %d %d %d\\n', summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), errors.status, broken))
end
";

/// The load generator.
#[derive(Debug)]
pub(crate) struct Wrk {
    program: Program,
    script: PathBuf,
    /// What went wrong, by the names of the lines.
    wrong: RefCell<BTreeMap<String, Wrong>>,
}

/// Answers that were none.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Wrong {
    pub(crate) requests: u64,
    /// Answers with another status than 2xx and 3xx.
    pub(crate) status: u64,
    /// Connections that failed, broke, or gave no answer for two seconds.
    pub(crate) sockets: u64,
}

/// What is measured of one line: where it asks, and whose processor time is counted.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) key: String,
    pub(crate) connections: usize,
    pub(crate) seconds: u64,
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    /// What a right answer says.
    pub(crate) text: &'static str,
    pub(crate) proxy: Cpu,
    pub(crate) service: Cpu,
}

/// What a block of a line yields, in this order.
#[derive(Debug, Clone, Copy)]
pub(crate) enum What {
    /// Requests a second.
    Rate,
    /// Microseconds from a request to its answer, the median.
    P50,
    /// The same, what 99 of 100 are below.
    P99,
    /// Microseconds of processor time that the proxy took for a request.
    Proxy,
    /// And the service.
    Service,
    /// And whoever asks.
    Asker,
}

impl What {
    /// All of them.
    const ALL: [Self; 6] = [Self::Rate, Self::P50, Self::P99, Self::Proxy, Self::Service, Self::Asker];

    /// What is of interest about a proxy.
    pub(crate) const SHOWN: [Self; 5] = [Self::Rate, Self::P50, Self::P99, Self::Proxy, Self::Service];

    /// Where this value of a line is found.
    pub(crate) fn of(self, key: &str) -> String {
        format!("{key}: {self:?}")
    }
}

impl Line {
    /// Where all values of it are found.
    pub(crate) fn all(&self) -> Vec<String> {
        What::ALL.map(|what| what.of(&self.key)).to_vec()
    }
}

impl Wrk {
    pub(crate) fn find(dir: &Path) -> Result<Self> {
        let (program, script) = (Program::find("wrk")?, dir.join("wrk.lua"));
        std::fs::write(&script, SCRIPT)?;
        Ok(Self { program, script, wrong: RefCell::default() })
    }

    /// A block of requests, all from one thread.
    pub(crate) fn block(&self, line: &Line) -> Result<Vec<Sample>> {
        let mut command = self.program.command();
        let (connections, seconds) = (line.connections.to_string(), line.seconds.to_string());
        let url = format!("http://{}{}", line.address, line.path);
        command.args(["-t", "1", "-c", &connections, "-d", &seconds, "-s"]).arg(&self.script).arg(url);
        let used = || [line.proxy, line.service, Cpu::Ended].map(|cpu| cpu.micros());
        let before = used();
        let output =
            command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
        let after = used();
        let text = String::from_utf8_lossy(&output.stdout);
        let told = text.lines().find_map(|line| line.strip_prefix("told "));
        let told = told
            .with_context(|| format!("{command:?} said: {text}{}", String::from_utf8_lossy(&output.stderr)));
        let numbers = told?.split(' ').map(|word| Ok(word.parse()?)).collect::<Result<Vec<u64>>>()?;
        let [requests, micros, p50, p99, status, sockets] = numbers[..] else {
            anyhow::bail!("{command:?} told {numbers:?}");
        };
        ensure!(requests > 0, "{}: no request was answered", line.key);
        let mut wrong = self.wrong.borrow_mut();
        let wrong = wrong.entry(line.key.clone()).or_default();
        wrong.requests += requests;
        wrong.status += status;
        wrong.sockets += sockets;
        let requests = requests as f64;
        let [proxy, service, asker] = [0, 1, 2].map(|at| (after[at] - before[at]) / requests);
        let values = [requests / (micros as f64 / 1e6), p50 as f64, p99 as f64, proxy, service, asker];
        Ok(values.map(Sample::from).to_vec())
    }

    /// What went wrong in a line, in all of its blocks.
    pub(crate) fn wrong(&self, key: &str) -> Wrong {
        self.wrong.borrow().get(key).copied().unwrap_or_default()
    }
}

impl std::fmt::Display for Wrong {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.status, self.sockets) {
            (0, 0) => f.write_str("none"),
            (status, sockets) => {
                write!(
                    f,
                    "of {} requests {status} had a wrong status, {sockets} sockets failed",
                    self.requests
                )
            }
        }
    }
}
