//! `hero_runner scenario run`.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use api::permission::Net;
use api::session::SessionStart;
use api::{ErrorCode, Permissions};
use scenario_plan::Scenario;
use scenario_report::Part;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

use super::super::run::module::Module;
use super::{chart, parts, progress};
use crate::cli::millis;
use crate::failure::advise;
use crate::{Context, exit};

/// What a session may take beside its test: to load, to resolve names, to await the last answers.
const MARGIN: Duration = Duration::from_secs(60);

const AFTER: &str = "\
The sessions may connect to the hosts and ports in the scenario's URLs and to nothing else. What is printed is JSON:
total_requests, successful, failed, latency_p50_ms, latency_p95_ms, latency_p99_ms, duration_seconds, throughput_rps,
errors by kind, and a few more. Ctrl-C stops the sessions.";

/// Run a scenario.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct Args {
    /// The scenario
    #[arg(value_name = "FILE.yaml")]
    file: PathBuf,
    /// Spread the users over so many sessions
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u32).range(1..=1000))]
    processes: u32,
    /// The load generator: a registered name, a digest, or a .wasm file
    #[arg(long, value_name = "MODULE", default_value = "scenario")]
    module: String,
    /// Write result.json and latency.svg into this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Draw the latencies into this file
    #[arg(long, value_name = "FILE.svg")]
    chart: Option<PathBuf>,
    /// Show nothing but the result
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let file = args.file.display();
    let yaml = fs::read_to_string(&args.file).with_context(|| format!("cannot read {file}"))?;
    let scenario = Scenario::parse(&yaml).map_err(|error| anyhow::anyhow!("{file}: {error}"))?;
    // Before there are sessions that somebody would have to stop.
    for place in [args.out.as_deref(), args.chart.as_deref().and_then(Path::parent)].into_iter().flatten() {
        fs::create_dir_all(place).with_context(|| format!("cannot make the folder {}", place.display()))?;
    }
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;

    let count = args.processes.min(scenario.load.total_users);
    if count < args.processes {
        context.console.note(&format!("{count} processes, because there are no more users"));
    }
    let mut sessions = parts::Sessions::new(&context.client);
    let bar = (!args.json && !context.console.quiet).then(|| progress::Bar::new(&scenario, count)).flatten();
    let signal = tokio::select! {
        merged = measure(&mut sessions, &args.module, &scenario, &yaml, count) => match merged {
            Ok(part) => {
                drop(bar);
                return finish(context, &args, &part);
            }
            Err(error) => {
                drop(bar);
                sessions.stop(&context.console).await;
                return Err(explain(error, &args.module));
            }
        },
        never = progress::show(bar.as_ref()) => match never {},
        _ = interrupt.recv() => SignalKind::interrupt(),
        _ = terminate.recv() => SignalKind::terminate(),
    };
    drop(bar);
    sessions.stop(&context.console).await;
    Ok(exit::by_signal(signal.as_raw_value()))
}

/// Starts the sessions, awaits them, and adds up what they measured.
async fn measure(
    sessions: &mut parts::Sessions<'_>,
    module: &str,
    scenario: &Scenario,
    yaml: &str,
    count: u32,
) -> anyhow::Result<Part> {
    let module = Module::find(module)?.prepare(sessions.client(), false).await?;
    let permissions = Permissions { net: reach(scenario)?, ..Permissions::default() };
    let longest = scenario.workflow.iter().map(|step| step.params.timeout).max().unwrap_or_default();
    let timeout = scenario.load.test_duration + longest + MARGIN;
    let request = |part: u32| SessionStart {
        module: Some(module.clone()),
        invoke: Some("run-part".to_owned()),
        invoke_args: vec![json!(yaml), json!(part), json!(count)],
        permissions: permissions.clone(),
        timeout_ms: Some(millis(timeout)),
        labels: [("scenario".to_owned(), scenario.id.clone()), ("part".to_owned(), part.to_string())].into(),
        ..SessionStart::default()
    };
    sessions.start((0..count).map(request)).await?;
    sessions.merged().await
}

/// The hosts and ports of the URLs.
fn reach(scenario: &Scenario) -> anyhow::Result<Net> {
    let parsed = scenario.destinations().into_iter().map(|text| text.parse().map_err(anyhow::Error::msg));
    Ok(Net::Listed(parsed.collect::<anyhow::Result<_>>()?))
}

/// Prints the result, and writes what else was asked for.
fn finish(context: &Context, args: &Args, part: &Part) -> anyhow::Result<u8> {
    let report = part.report();
    if let Some(folder) = &args.out {
        write(&folder.join("result.json"), &(serde_json::to_string_pretty(&report)? + "\n"))?;
        write(&folder.join("latency.svg"), &chart::draw(part)?)?;
    }
    if let Some(file) = &args.chart {
        write(file, &chart::draw(part)?)?;
    }
    context.console.json(&report)?;
    Ok(0)
}

fn write(file: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

/// What to do where the load generator itself is missing.
fn explain(error: anyhow::Error, module: &str) -> anyhow::Error {
    match error.downcast_ref::<client::Error>() {
        Some(cause) if cause.code() == Some(ErrorCode::ModuleNotFound) => advise(
            cause.summary(),
            format!("build it with scripts/components.sh, then `hero_runner modules put {module} FILE.wasm`"),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_urls_name_can_be_reached() {
        let yaml = "\
scenario:
  id: a
  load: { total_users: 1, test_duration: 1s }
  workflow:
    - { id: a, type: http, params: { url: 'http://127.0.0.1:14000/a' } }
    - { id: b, type: http, params: { url: 'https://Example.org/b' } }
    - { id: c, type: http, params: { url: 'http://[::1]/c' } }
";
        let net = reach(&Scenario::parse(yaml).unwrap()).unwrap();
        let listed = ["127.0.0.1:14000", "[::1]:80", "example.org:443"].map(|text| text.parse().unwrap());
        assert_eq!(net, Net::Listed(listed.to_vec()));
    }
}
