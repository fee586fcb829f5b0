//! Reads a scenario, has it executed, and reports.

use std::time::Duration;

use bindings::hero::scenario::executor;
use scenario_plan::Scenario;
use scenario_report::{Histogram, Part};

#[allow(unsafe_code, reason = "what wit-bindgen makes calls what the host makes")]
#[allow(missing_docs, reason = "documented in the WIT")]
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "scheduler" });
}

#[allow(unsafe_code, reason = "functions with fixed names are what the host finds")]
mod exports {
    use super::{Scheduler, bindings};
    bindings::export!(Scheduler with_types_in bindings);
}

struct Scheduler;

impl bindings::Guest for Scheduler {
    fn run_scenario(yaml: String) -> Result<String, String> {
        let part = run(&yaml, 0, 1)?;
        serde_json::to_string_pretty(&part.report()).map_err(|error| error.to_string())
    }

    fn run_part(yaml: String, part: u32, parts: u32) -> Result<String, String> {
        let part = run(&yaml, part, parts)?;
        serde_json::to_string(&part).map_err(|error| error.to_string())
    }
}

fn run(yaml: &str, part: u32, parts: u32) -> Result<Part, String> {
    if part >= parts {
        return Err(format!("there is no part {part} of {parts}: parts are counted from 0"));
    }
    let scenario = Scenario::parse(yaml)?;
    let load = executor::Load {
        total_users: scenario.load.total_users,
        part,
        parts,
        ramp_duration: nanos(scenario.load.ramp_duration),
        test_duration: nanos(scenario.load.test_duration),
        ip_pool: scenario.load.ip_pool.iter().map(ToString::to_string).collect(),
    };
    let users = (part..load.total_users).step_by(parts as usize).count() as u64;
    let workflow: Vec<executor::Step> = scenario.workflow.into_iter().map(step).collect();
    let tally = executor::run(&workflow, &load)?;
    let latencies = Histogram::from_buckets(tally.buckets, tally.latency_sum, tally.latency_max)
        .ok_or("the executor's histogram has a bucket that cannot be")?;
    Ok(Part {
        scenario: scenario.id,
        users,
        successful: tally.successful,
        failed: tally.failed,
        unfinished: tally.unfinished,
        bytes_received: tally.bytes_received,
        duration_ns: tally.duration,
        errors: tally.errors.into_iter().collect(),
        latencies,
    })
}

fn step(step: scenario_plan::Step) -> executor::Step {
    let params = step.params;
    let request = executor::Request {
        method: params.method,
        url: params.url,
        headers: params.headers.into_iter().collect(),
        body: params.body.into_bytes(),
        timeout: nanos(params.timeout),
        keep_alive: params.keep_alive,
        ca: params.ca,
    };
    executor::Step { id: step.id, request, think_time: nanos(step.think_time) }
}

/// Long enough for centuries.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
