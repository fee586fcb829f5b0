//! `cargo xtask bench density`: what an idle session costs in memory.

use std::path::Path;

use anyhow::{Result, ensure};
use serde_json::json;

use super::chart::{self, Panel};
use super::floor::Floor;
use super::memory::{self, Group};
use super::sample::Sample;
use super::server::Setup;
use super::table::{Table, number};
use super::{Bench, guests, jobs, processes, signals};

/// Memory does not depend on how fast a machine is just now, so few rounds do.
const ROUNDS: usize = 3;

/// Workers that stand ready of each pool whose size is not what is measured.
const SPARE: usize = 2;

/// What is measured. Each is started with none, with some and with twice as many.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Static,
    Dynamic,
    /// Workers that stand ready for any module.
    Parked,
    /// Workers of a template that stand ready.
    Ready,
    /// Sessions that wait for their standard input.
    Echo,
    /// Sessions of CPython that wait for their script.
    Python,
}

const KINDS: [(Kind, &str); 6] = [
    (Kind::Static, "floor: static C process in read(2)"),
    (Kind::Dynamic, "floor: dynamic C process in read(2)"),
    (Kind::Parked, "ours: parked worker for any module"),
    (Kind::Ready, "ours: parked worker of hello's template"),
    (Kind::Echo, "ours: session of echo that waits for its input"),
    (Kind::Python, "ours: session of CPython, warm, that waits for its script"),
];

/// Memory in kB with so many of them: the charge, the sum of their Pss, and the Pss of the process above them.
fn memory(bench: &Bench, kind: Kind, count: usize, folders: [&Path; 2]) -> Result<[f64; 3]> {
    signals::check()?;
    let group = Group::new(&format!("{kind:?}_{count}"));
    let told = |pid| {
        let used = memory::used_kb(group.as_ref());
        let below = processes::descendants(pid).into_iter().filter_map(processes::pss_kb).sum();
        [used, below, processes::pss_kb(pid).unwrap_or(f64::NAN)]
    };
    if let Kind::Static | Kind::Dynamic = kind {
        let program = if matches!(kind, Kind::Static) { &bench.floors.fixed } else { &bench.floors.dynamic };
        let mut command = match &group {
            Some(group) => group.command(program),
            None => std::process::Command::new(program),
        };
        let mut floor = Floor::spawn(command.args(["idle", &count.to_string()]))?;
        ensure!(floor.hear()? == "ready\n", "the floor is not ready");
        return Ok(told(floor.pid()));
    }
    let [services, state] = folders.map(Some);
    // Pools that neither grow nor shrink, so that nothing but the number that is asked for differs.
    let (mut workers, mut ready) = (SPARE, SPARE);
    match kind {
        Kind::Parked => workers += count,
        Kind::Ready => ready += count,
        _ => {}
    }
    let server = Setup { services, state, group: group.as_ref(), ..Setup::default() }
        .set("max_sessions", count + 50)
        .set("templates_max", 0)
        .set("spare_min", workers)
        .set("spare_max", workers)
        .start()?;
    let (module, warm) = match kind {
        Kind::Python => ("cpython", "stdin"),
        Kind::Echo => ("echo", "instantiate"),
        _ => ("greet", "instantiate"),
    };
    server.template(&json!({
        "name": "idle", "module": module, "warm": warm, "min_spare": ready, "max_spare": ready,
    }))?;
    let sessions = if let Kind::Echo | Kind::Python = kind { count } else { 0 };
    jobs::blocked(&server, &json!({ "template": "idle" }), sessions)?;
    // The zygote, the template, and what they forked.
    let expected = 2 + workers + ready + sessions;
    server.until(&format!("{expected} processes are below the server"), 60, |server| {
        Ok((processes::descendants(server.pid()).len() >= expected).then_some(()))
    })?;
    Ok(told(server.pid()))
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let counts = bench.options.pick([200, 400], [10, 20]);
    let services = guests::folder(bench.dir.path(), &[], &["cpython"])?;
    let state = guests::compiled_state(&services, &["greet", "echo", "cpython"].map(str::to_owned))?;
    // kB of one with the smaller and the larger number, its Pss with the larger, and what the server has more for it.
    let mut taken: [[Sample; 4]; KINDS.len()] = Default::default();
    for _ in 0..bench.options.rounds.min(ROUNDS) {
        for ((kind, name), taken) in KINDS.iter().zip(&mut taken) {
            let ask = |count| memory(bench, *kind, count, [&services, &state]);
            let (none, some, many) = (ask(0)?, ask(counts[0])?, ask(counts[1])?);
            let each = |with: [f64; 3], count: usize, at: usize| (with[at] - none[at]) / count as f64;
            let values = [
                each(some, counts[0], 0),
                each(many, counts[1], 0),
                each(many, counts[1], 1),
                each(many, counts[1], 2),
            ];
            eprintln!("{name}: {values:.0?} kB");
            taken.iter_mut().zip(values).for_each(|(sample, value)| sample.push(value));
        }
    }

    let means = Group::new("shown").map_or_else(
        || {
            "the difference of MemTotal - MemAvailable of the machine (there is no memory cgroup here)"
                .to_owned()
        },
        |group| format!("the charge of a memory cgroup ({})", group.version),
    );
    println!("## Density\n");
    println!(
        "Medians of {} rounds, of {means}: with {} and with {} of them, less that with none, for each. It holds page \
         tables, kernel stacks and sockets, and what the server keeps of a session; Pss holds none of the kernel's.\n",
        bench.options.rounds.min(ROUNDS),
        counts[0],
        counts[1]
    );
    let mut table = Table::new(&[
        "what",
        "kB each",
        "in a GiB",
        "with fewer / with more of them",
        "it / static C",
        "its Pss, kB",
        "more Pss of the server, kB",
    ]);
    let floor = taken[0][1].p50();
    for ((_, name), [fewer, more, pss, above]) in KINDS.iter().zip(&taken) {
        let each = more.p50();
        table.row([
            (*name).to_owned(),
            number(each),
            number((1024.0 * 1024.0 / each).floor()),
            format!("{:.3}", fewer.p50() / each),
            format!("{:.2}", each / floor),
            number(pss.p50()),
            number(above.p50().max(0.0)),
        ]);
    }
    println!("{table}");
    let bars =
        KINDS.iter().zip(&taken).map(|((_, name), taken)| ((*name).to_owned(), taken[1].p50())).collect();
    let panel = Panel::Bars { title: "Memory of one that is idle, kB".to_owned(), logarithmic: false, bars };
    chart::draw(&bench.options.out.join("density.svg"), &[panel])
}
