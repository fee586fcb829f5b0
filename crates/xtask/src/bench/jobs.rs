//! Sessions of ours, from the call to the result.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::rounds::{BLOCK, Pacing};
use super::rpc::{self, Rpc};
use super::sample::Sample;
use super::server::Server;

/// A session that is run again and again: one call, which waits for the result.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) params: Value,
    request: Vec<u8>,
    /// What it prints.
    prints: String,
    /// How its process has to come to be: `warm`, `parked` or `cold`; empty where any way will do.
    start: &'static str,
    /// Sessions back to back, and how many of them came to be in that way.
    back_to_back: [AtomicU64; 2],
}

impl Job {
    pub(crate) fn new(params: Value, prints: &str, start: &'static str) -> Self {
        let mut waiting = params.clone();
        waiting["wait_ms"] = json!(60_000);
        let request = rpc::request("session_start", &waiting);
        Self { params, request, prints: prints.to_owned(), start, back_to_back: Default::default() }
    }

    pub(crate) fn hello(start: &'static str) -> Self {
        Self::new(json!({ "module": "greet" }), "hello, world\n", start)
    }

    /// Runs it; the microseconds from the call to the result, and from the hand-over to a worker to its end as the server
    /// counts them; and the session's id.
    pub(crate) fn run(&self, rpc: &mut Rpc) -> Result<([f64; 2], Value)> {
        let begin = Instant::now();
        let body = rpc.exchange(&self.request)?;
        let took = begin.elapsed().as_secs_f64() * 1e6;
        let mut reply = rpc::result(body).with_context(|| self.params.to_string())?;
        let result = &reply["result"];
        ensure!(result["success"] == true && result["stdout"] == *self.prints, "it answered {reply}");
        let inside = result["duration_ms"].as_f64().context("it has no duration")? * 1000.0;
        Ok(([took, inside], reply["session_id"].take()))
    }

    /// A block of them.
    pub(crate) fn block(&self, server: &Server, pacing: Pacing) -> Result<Sample> {
        self.blocks(server, pacing, |[took, _]| took)
    }

    /// A block of them, without the call: from the hand-over to a worker to its end.
    pub(crate) fn inside(&self, server: &Server, pacing: Pacing) -> Result<Sample> {
        self.blocks(server, pacing, |[_, inside]| inside)
    }

    /// A block of them. How their processes came to be is looked up behind it, off the clock.
    fn blocks(&self, server: &Server, pacing: Pacing, time: fn([f64; 2]) -> f64) -> Result<Sample> {
        let (mut sample, mut ids) = (Sample::default(), Vec::new());
        let mut rpc = server.rpc()?;
        for _ in 0..BLOCK {
            pacing.rest();
            let (took, id) = self.run(&mut rpc)?;
            sample.push(time(took));
            ids.push(id);
        }
        let mut right = 0;
        for id in ids {
            right += u64::from(self.is_right(&mut rpc, &id)?);
        }
        if pacing == Pacing::Paced {
            ensure!(
                right == BLOCK as u64,
                "{right} of {BLOCK} sessions were {}: {}",
                self.start,
                self.params
            );
        }
        self.back_to_back[0].fetch_add(BLOCK as u64, Relaxed);
        self.back_to_back[1].fetch_add(right, Relaxed);
        Ok(sample)
    }

    fn is_right(&self, rpc: &mut Rpc, id: &Value) -> Result<bool> {
        let info = rpc.call("session_get", &json!({ "session_id": id }))?;
        Ok(self.start.is_empty() || info["start"] == *self.start)
    }

    /// Runs it until its processes come to be as they have to.
    pub(crate) fn settle(&self, server: &Server) -> Result<()> {
        let mut rpc = server.rpc()?;
        server.until(&format!("{} is {}", self.params, self.start), 60, |_| {
            let (_, id) = self.run(&mut rpc)?;
            Ok(self.is_right(&mut rpc, &id)?.then_some(()))
        })
    }

    /// How many in a hundred came to be as they have to.
    pub(crate) fn share(&self) -> f64 {
        let [all, right] = self.back_to_back.each_ref().map(|count| count.load(Relaxed) as f64);
        right / all * 100.0
    }

    /// Runs them one after the other until the time is over; how many there were.
    pub(crate) fn repeat(&self, server: &Server, until: Instant) -> Result<u64> {
        let (mut rpc, mut count) = (server.rpc()?, 0);
        while Instant::now() < until {
            let body = rpc.exchange(&self.request)?;
            // A look for the words instead of a parser, so that the client takes less from the server's cores.
            let well = memchr::memmem::find(body, br#""success":true"#).is_some();
            ensure!(well, "it answered {}", String::from_utf8_lossy(body));
            count += 1;
        }
        Ok(count)
    }
}

/// Starts sessions that wait for their standard input, and waits until all of them run.
pub(crate) fn blocked(server: &Server, params: &Value, count: usize) -> Result<Vec<Value>> {
    let mut params = params.clone();
    params["stdin_open"] = json!(true);
    let (mut rpc, request) = (server.rpc()?, rpc::request("session_start", &params));
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(rpc::result(rpc.exchange(&request)?)?["session_id"].take());
    }
    server.until("all sessions run", 60, |server| {
        let stats = server.call("stats", &json!({}))?;
        Ok((stats["queued"] == 0 && stats["running"].as_u64() >= Some(count as u64)).then_some(()))
    })?;
    Ok(ids)
}

/// Waits until the kernel runs these sessions only when nothing else wants the processor (policy 5, SCHED_IDLE), as the
/// server has it for sessions that compute for long.
pub(crate) fn stepped_back(server: &Server, ids: &[Value]) -> Result<()> {
    for id in ids {
        server.until("a session steps back", 10, |server| {
            let info = server.call("session_get", &json!({ "session_id": id }))?;
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", info["child_pid"]))?;
            let policy = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(41 - 3));
            Ok((policy == Some("5")).then_some(()))
        })?;
    }
    Ok(())
}

/// Ends sessions at once and waits until none of them runs.
pub(crate) fn stop(server: &Server, ids: &[Value]) -> Result<()> {
    let mut rpc = server.rpc()?;
    for id in ids {
        rpc.call("session_stop", &json!({ "session_id": id, "grace_ms": 0 }))?;
    }
    for id in ids {
        rpc.call("session_wait", &json!({ "session_id": id }))?;
    }
    Ok(())
}
