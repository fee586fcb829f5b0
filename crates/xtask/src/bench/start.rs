//! `cargo xtask bench start`: from `session_start` to the result over rpc.sock.

use std::rc::Rc;

use anyhow::Result;
use serde_json::{Value, json};

use super::chart::{self, Panel};
use super::floor::Floor;
use super::jobs::{self, Job};
use super::rivals::{self, Rival};
use super::rounds::{BLOCK, Measured, Pacing, Rounds};
use super::server::{Server, Setup};
use super::table::{Table, number};
use super::wire::{self, CONNECTIONS};
use super::{Bench, places};

const WARM: &str = "ours: warm, a worker of the module's template";
const INSIDE: &str = "of that, from the hand-over to the end, as the server counts it";
const PARKED: &str = "ours: parked, a worker for any module";
const COLD: &str = "ours: cold, forked on demand";
const ZYGOTE: &str = "floor: fork+exit+wait of the zygote";
const BURNING: &str = "ours: warm, beside guests that burn every core";
const BURNING_FORK: &str = "floor: fork+exit+wait, static C, beside such guests";

/// Sessions that are alive beside the one that is measured.
const ALIVE: [usize; 4] = [1, 10, 100, 1000];

fn key(name: &str, pacing: Pacing) -> String {
    format!("{name}, {}", pacing.name())
}

fn alive_name(alive: usize) -> String {
    format!("{alive} sessions alive")
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let alone = Setup::default().set("templates_max", 0);
    let warm = Setup::default().start()?;
    let parked = alone.clone().start()?;
    let cold = alone.set("spare_min", 0).set("spare_max", 0).start()?;
    let crowds: Vec<(usize, Server)> =
        ALIVE.into_iter().map(|alive| Ok((alive, crowd(bench, alive)?))).collect::<Result<_>>()?;
    let mut rounds = Rounds::new(bench);

    let fixed = &bench.floors.fixed;
    let floors = [
        ("floor: fork+exit+wait, static C", fixed, "fork"),
        ("floor: fork+exit+wait, dynamic C", &bench.floors.dynamic, "fork"),
        ("floor: 128 bytes to a waiting process, 64 back", fixed, "handoff"),
    ];
    let mut rows: Vec<String> = Vec::new();
    for (name, program, mode) in floors {
        for pacing in Pacing::BOTH {
            let mut floor = Floor::start(program, &[mode])?;
            rounds.add(key(name, pacing), move || floor.block(pacing));
        }
        rows.push(name.to_owned());
    }
    for pacing in Pacing::BOTH {
        let mut zygote = Floor::start(&places::program("hero_runner_zygote"), &["--fork-floor"])?;
        rounds.add(key(ZYGOTE, pacing), move || zygote.block(pacing));
    }
    rows.push(ZYGOTE.to_owned());

    let mut shares = Vec::new();
    for (name, kind, server) in [(WARM, "warm", &warm), (PARKED, "parked", &parked), (COLD, "cold", &cold)] {
        let job = Rc::new(Job::hello(kind));
        server.compiled("greet")?;
        job.settle(server)?;
        for pacing in Pacing::BOTH {
            let job = Rc::clone(&job);
            rounds.add(key(name, pacing), move || job.block(server, pacing));
        }
        rows.push(name.to_owned());
        if kind == "warm" {
            for pacing in Pacing::BOTH {
                let job = Rc::clone(&job);
                rounds.add(key(INSIDE, pacing), move || job.inside(server, pacing));
            }
            rows.push(INSIDE.to_owned());
        }
        shares.push((kind, job));
    }
    let rivals = Rc::new(rivals::of_hello(bench.dir.path(), &warm)?);
    for (at, rival) in rivals.iter().enumerate().filter(|(_, rival)| rival.missing.is_none()) {
        for pacing in Pacing::BOTH {
            let rivals = Rc::clone(&rivals);
            rounds.add(key(&rival.name, pacing), move || {
                Ok(rivals[at].block(pacing)?.into_iter().nth(1).unwrap_or_default())
            });
        }
    }
    let _pong = wire::add(&mut rounds, bench, &warm)?;
    for (alive, server) in &crowds {
        let job = Job::hello("warm");
        job.settle(server)?;
        rounds.add(alive_name(*alive), move || job.block(server, Pacing::Paced));
    }
    burning(&mut rounds, bench, &warm)?;

    let measured = rounds.run()?;
    print(bench, &measured, &rows, &rivals);
    for (kind, job) in shares {
        println!("{kind}, back to back: {:.1} % of the sessions found a worker of that kind.", job.share());
    }
    draw(bench, &measured, &rows, &rivals)
}

/// A server with so many sessions that wait for their standard input, beside the one that will be measured.
fn crowd(bench: &Bench, alive: usize) -> Result<Server> {
    let count = bench.options.pick(alive, alive.min(40)) - 1;
    let server = Setup::default().set("max_sessions", count + 50).start()?;
    server.compiled("greet")?;
    server.compiled("echo")?;
    jobs::blocked(&server, &json!({ "module": "echo" }), count)?;
    Ok(server)
}

/// Adds what is measured while a guest for each core does nothing but compute.
fn burning<'a>(rounds: &mut Rounds<'a>, bench: &Bench, server: &'a Server) -> Result<()> {
    server.compiled("faulty_spin")?;
    let cores = std::thread::available_parallelism()?.get();
    let job = Job::hello("warm");
    let burn = move || {
        let spinning = jobs::blocked(server, &json!({ "module": "faulty_spin" }), cores)?;
        jobs::stepped_back(server, &spinning)?;
        Ok::<_, anyhow::Error>(spinning)
    };
    rounds.add(BURNING, move || {
        let spinning: Vec<Value> = burn()?;
        let sample = job.block(server, Pacing::Paced);
        jobs::stop(server, &spinning)?;
        sample
    });
    let mut floor = Floor::start(&bench.floors.fixed, &["fork"])?;
    rounds.add(BURNING_FORK, move || {
        let spinning: Vec<Value> = burn()?;
        let sample = floor.block(Pacing::Paced);
        jobs::stop(server, &spinning)?;
        sample
    });
    Ok(())
}

fn print(bench: &Bench, measured: &Measured, rows: &[String], rivals: &[Rival]) {
    println!("## Start\n\n{}", measured.note());
    println!(
        "Blocks of {BLOCK} (rivals: 10); microseconds. Ours: one call over rpc.sock from a lean blocking client that \
         shares the machine, history included; the paced ones were all looked up to be of the kind that the row says.\n"
    );
    let [paced, tight] = Pacing::BOTH;
    let mut table = Table::new(&[
        "what",
        "p50, 2-3 ms apart",
        "p99",
        "p50, back to back",
        "p99",
        "warm / it, apart",
        "warm / it, back to back",
    ]);
    let names = rivals.iter().map(|rival| (rival.name.as_str(), rival.missing.as_deref()));
    for (name, missing) in rows.iter().map(|name| (name.as_str(), None)).chain(names) {
        if let Some(missing) = missing {
            table.row([name.to_owned(), missing.to_owned()]);
            continue;
        }
        let both = [paced, tight].map(|pacing| measured.series(&key(name, pacing)));
        let mut cells = vec![name.to_owned()];
        cells.extend(both.iter().flat_map(|series| [number(series.p50()), number(series.p99())]));
        for (series, pacing) in both.iter().zip([paced, tight]) {
            let compared = name != WARM && measured.has(&key(name, pacing));
            let warm = measured.series(&key(WARM, pacing));
            cells.push(if compared { format!("{:#}", warm.over(series)) } else { String::new() });
        }
        table.row(cells);
    }
    println!("{table}");

    let mut table = Table::new(&[
        "connections",
        "session_get p50",
        "ping-pong p50",
        "call / ping-pong",
        "calls/s",
        "ping-pongs/s",
        "calls / ping-pongs",
    ]);
    for connections in CONNECTIONS {
        let pair =
            |what| [wire::call_name, wire::floor_name].map(|name| measured.series(&name(connections, what)));
        let ([call, floor], [calls, floors]) = (pair("µs"), pair("/s"));
        table.row([
            connections.to_string(),
            number(call.p50()),
            number(floor.p50()),
            call.over(&floor).to_string(),
            number(calls.p50()),
            number(floors.p50()),
            calls.over(&floors).to_string(),
        ]);
    }
    println!(
        "A call against as many bytes to and fro over a Unix socket; one thread keeps one under way on each connection.\n\n{table}"
    );

    let mut table = Table::new(&["alive beside it", "p50", "p99", "it / 1 alive"]);
    let alone = measured.series(&alive_name(ALIVE[0]));
    for alive in ALIVE {
        let series = measured.series(&alive_name(alive));
        let shown = bench.options.pick(alive, alive.min(40));
        table.row([
            shown.to_string(),
            number(series.p50()),
            number(series.p99()),
            series.over(&alone).to_string(),
        ]);
    }
    println!("Warm starts, 2-3 ms apart, on servers with sessions that wait for standard input.\n\n{table}");

    let mut table = Table::new(&["what, 2-3 ms apart", "p50", "p99"]);
    for name in [key(WARM, Pacing::Paced).as_str(), BURNING, BURNING_FORK] {
        let series = measured.series(name);
        table.row([name.to_owned(), number(series.p50()), number(series.p99())]);
    }
    println!("{table}");
}

fn draw(bench: &Bench, measured: &Measured, rows: &[String], rivals: &[Rival]) -> Result<()> {
    let names = rows.iter().chain(rivals.iter().map(|rival| &rival.name));
    let bars = names.map(|name| {
        let paced = measured.series(&key(name, Pacing::Paced)).p50();
        let tight = measured.series(&key(name, Pacing::Tight)).p50();
        (name.clone(), if paced.is_finite() { paced } else { tight })
    });
    let calls = |name: fn(usize, &str) -> String| {
        CONNECTIONS.iter().map(|count| measured.series(&name(*count, "/s")).p50()).collect::<Vec<_>>()
    };
    let (p50, p99): (Vec<f64>, Vec<f64>) = ALIVE
        .iter()
        .map(|alive| measured.series(&alive_name(*alive)))
        .map(|series| (series.p50(), series.p99()))
        .unzip();
    let text = |numbers: &[usize]| numbers.iter().map(ToString::to_string).collect::<Vec<_>>();
    let panels = [
        Panel::Bars {
            title: "Start to result of hello, µs p50, 2-3 ms apart (zygote: back to back)".to_owned(),
            logarithmic: true,
            bars: bars.collect(),
        },
        Panel::Lines {
            title: "Start to result beside sessions that wait, µs".to_owned(),
            steps: text(&ALIVE),
            below: "sessions alive",
            lines: vec![("p50".to_owned(), p50), ("p99".to_owned(), p99)],
        },
        Panel::Lines {
            title: "Calls a second".to_owned(),
            steps: text(&CONNECTIONS),
            below: "connections",
            lines: vec![
                ("session_get".to_owned(), calls(wire::call_name)),
                ("bare bytes to and fro".to_owned(), calls(wire::floor_name)),
            ],
        },
    ];
    chart::draw(&bench.options.out.join("start.svg"), &panels)
}
