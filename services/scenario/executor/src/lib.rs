//! Runs the workflow of all users until the time is up: one loop, however many there are.

mod run;

use bindings::exports::hero::scenario::executor::{Guest, Load, Step, Tally};
use bindings::hero::scenario::http_action::Action;
use bindings::hero::scenario::sockets;

#[allow(unsafe_code, reason = "what wit-bindgen makes calls what the host makes")]
#[allow(missing_docs, reason = "documented in the WIT")]
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "executors" });
}

#[allow(unsafe_code, reason = "functions with fixed names are what the host finds")]
mod exports {
    use super::{Executor, bindings};
    bindings::export!(Executor with_types_in bindings);
}

struct Executor;

impl Guest for Executor {
    fn run(workflow: Vec<Step>, load: Load) -> Result<Tally, String> {
        if workflow.is_empty() || load.parts == 0 || load.part >= load.parts {
            return Err("a run needs a step, and its part is below the number of parts".to_owned());
        }
        for address in &load.ip_pool {
            sockets::check_source(address).map_err(|kind| match kind.as_str() {
                "address_not_here" => format!("ip_pool: {address} is not an address of this machine"),
                _ => format!("ip_pool: connections cannot come from {address}: {kind}"),
            })?;
        }
        let mut steps = Vec::with_capacity(workflow.len());
        for step in workflow {
            let action = Action::prepare(&step.request)
                .map_err(|error| format!("workflow: step {:?}: {error}", step.id))?;
            steps.push(run::Step { action, think_time: step.think_time });
        }
        Ok(run::Run::new(&steps, &load).finish().into())
    }
}

impl From<run::Counts> for Tally {
    fn from(counts: run::Counts) -> Self {
        Self {
            successful: counts.successful,
            failed: counts.failed,
            unfinished: counts.unfinished,
            bytes_received: counts.bytes_received,
            duration: counts.duration,
            errors: counts.errors.into_iter().collect(),
            buckets: counts.latencies.filled().map(|(bucket, count)| (bucket as u32, count)).collect(),
            latency_sum: counts.latencies.sum(),
            latency_max: counts.latencies.max(),
        }
    }
}
