//! `cargo xtask bench interpreters`: scripts of CPython and QuickJS, warm at their standard input.

use std::rc::Rc;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::Bench;
use super::chart::{self, Panel};
use super::floor::Floor;
use super::guests;
use super::jobs::Job;
use super::rivals::{self, Rival};
use super::rounds::{Measured, Pacing, Rounds};
use super::rpc;
use super::sample::Sample;
use super::server::{Server, Setup};
use super::sse::Reader;
use super::table::{Table, number};

/// MiB that a warm guest has written to.
const SIZES: [u32; 5] = [1, 10, 50, 100, 200];

/// How QuickJS takes a script from its input.
const EVAL: [&str; 3] = ["--std", "--eval", "std.evalScript(std.in.readAsString())"];

const CPYTHON: &str = "ours: CPython, warm at its input";
const QUICKJS: &str = "ours: QuickJS, warm at its input";

/// Where a script's first output, its end and its result are found.
fn keys(name: &str) -> [String; 3] {
    ["first output", "end", "result"].map(|what| format!("{name}: {what}"))
}

fn ready_name(size: u32) -> String {
    format!("{size} MiB, a worker stands ready")
}

fn forked_name(size: u32) -> String {
    format!("{size} MiB, forked on demand")
}

fn fork_name(size: u32) -> String {
    format!("{size} MiB, bare fork, pages of 4 KiB")
}

fn huge_name(size: u32) -> String {
    format!("{size} MiB, bare fork, huge pages")
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let services = guests::folder(bench.dir.path(), &SIZES, &["cpython", "quickjs"])?;
    let names: Vec<String> = ["greet", "cpython", "quickjs"]
        .into_iter()
        .map(str::to_owned)
        .chain(SIZES.map(guests::filled_name))
        .collect();
    let state = guests::compiled_state(&services, &names)?;
    let server = Setup { services: Some(&services), state: Some(&state), ..Setup::default() }
        .set("memory_limit_mb", 256)
        .start()?;
    server.template(&json!({ "name": "py", "module": "cpython", "warm": "stdin" }))?;
    server.template(&json!({ "name": "js", "module": "quickjs", "warm": "stdin", "args": EVAL }))?;

    let mut rounds = Rounds::new(bench);
    let jobs = [
        ("ours: hello, warm", Job::hello("warm")),
        (CPYTHON, Job::new(json!({ "template": "py", "stdin": "print(1)\n" }), "1\n", "warm")),
        (
            "ours: CPython, which starts in each session",
            Job::new(json!({ "module": "cpython", "stdin": "print(1)\n" }), "1\n", ""),
        ),
        (QUICKJS, Job::new(json!({ "template": "js", "stdin": "console.log(1)" }), "1\n", "warm")),
        (
            "ours: QuickJS, which starts in each session",
            Job::new(json!({ "module": "quickjs", "args": EVAL, "stdin": "console.log(1)" }), "1\n", ""),
        ),
    ];
    let mut rows = Vec::new();
    for (name, job) in jobs {
        job.settle(&server)?;
        let [first, end, result] = keys(name);
        let (server, request) = (&server, rpc::request("session_start", &job.params));
        rounds.add_many(vec![first, end], move || observed(server, &request));
        rounds.add(result, move || job.block(server, Pacing::Paced));
        rows.push(name.to_owned());
    }
    let rivals = Rc::new(rivals(&server)?);
    for (at, rival) in rivals.iter().enumerate().filter(|(_, rival)| rival.missing.is_none()) {
        let [first, end, _] = keys(&rival.name);
        let rivals = Rc::clone(&rivals);
        rounds.add_many(vec![first, end], move || Ok(rivals[at].block(Pacing::Paced)?.to_vec()));
    }
    growth(&mut rounds, bench, &server)?;
    let measured = rounds.run()?;
    print(&measured, &rows, &rivals, &server)?;
    draw(bench, &measured, &rows, &rivals)
}

/// A block of sessions, each followed from its start to its end: first output, end.
fn observed(server: &Server, request: &[u8]) -> Result<Vec<Sample>> {
    let mut rpc = server.rpc()?;
    let mut samples = vec![Sample::default(), Sample::default()];
    for _ in 0..super::rounds::BLOCK / 2 {
        let (mut reader, mut seen) = (Reader::connect(&server.socket)?, Vec::new());
        Pacing::Paced.rest();
        let begin = Instant::now();
        let id = rpc::result(rpc.exchange(request)?)?["session_id"].take();
        reader.follow(id.as_str().context("no id")?)?;
        for (sample, event) in samples.iter_mut().zip(["event: stdout\n", "event: end\n"]) {
            reader.until(event, &mut seen)?;
            sample.push(begin.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(samples)
}

/// The same artifacts with the engine's own command, and the host's own interpreter.
fn rivals(server: &Server) -> Result<Vec<Rival>> {
    let mut all = Vec::new();
    for (name, module, args, script) in
        [("CPython", "cpython", &[][..], "print(1)\n"), ("QuickJS", "quickjs", &EVAL[..], "console.log(1)")]
    {
        let mut rival = rivals::wasmedge(&server.artifact(module)?, args, "1\n").input(script);
        rival.name = format!("{}: {name}", rival.name);
        all.push(rival);
    }
    all.push(rivals::python("print(1)", "1\n"));
    Ok(all)
}

/// Adds guests of several sizes that wait for their input: handed to a worker that stands ready, forked on demand, and
/// the bare fork of a process of that size.
fn growth<'a>(rounds: &mut Rounds<'a>, bench: &Bench, server: &'a Server) -> Result<()> {
    for size in SIZES {
        let module = guests::filled_name(size);
        let (ready, forked) = (format!("ready_{size}"), format!("forked_{size}"));
        server.template(&json!({ "name": ready, "module": module, "warm": "stdin" }))?;
        server.template(&json!({
            "name": forked, "module": module, "warm": "stdin", "min_spare": 0, "max_spare": 0,
        }))?;
        for (name, template) in [(ready_name(size), ready), (forked_name(size), forked)] {
            let job = Job::new(json!({ "template": template, "stdin": "x\n" }), "x\n", "warm");
            job.settle(server)?;
            let ([first, end, result], request) = (keys(&name), rpc::request("session_start", &job.params));
            rounds.add_many(vec![first, end], move || observed(server, &request));
            rounds.add(result, move || job.block(server, Pacing::Paced));
        }
        let size_text = size.to_string();
        for (name, args) in
            [(fork_name(size), &["fork", &size_text][..]), (huge_name(size), &["fork", &size_text, "huge"])]
        {
            let mut floor = Floor::start(&bench.floors.fixed, args)?;
            rounds.add(name, move || floor.block(Pacing::Paced));
        }
    }
    Ok(())
}

fn print(measured: &Measured, rows: &[String], rivals: &[Rival], server: &Server) -> Result<()> {
    println!("## Interpreters\n\n{}", measured.note());
    println!(
        "2-3 ms apart; microseconds. The script prints 1. First output and end of ours are seen by an SSE reader whose \
         connection stands already; the result is one call. Those of rivals are read from a pipe, and the end is that of \
         the process.\n"
    );
    let mut table = Table::new(&[
        "what",
        "first output p50",
        "p99",
        "end p50",
        "result p50",
        "p99",
        "end, it / CPython warm at its input",
    ]);
    let warm = measured.series(&keys(CPYTHON)[1]);
    let all =
        rows.iter().map(|name| (name, None)).chain(rivals.iter().map(|one| (&one.name, one.missing.clone())));
    for (name, missing) in all {
        let [first, end, result] = keys(name).map(|key| measured.series(&key));
        table.row(match missing {
            Some(missing) => vec![name.clone(), missing],
            None => vec![
                name.clone(),
                number(first.p50()),
                number(first.p99()),
                number(end.p50()),
                number(result.p50()),
                number(result.p99()),
                end.over(&warm).to_string(),
            ],
        });
    }
    println!("{table}");
    let mut table = Table::new(&[
        "MiB written",
        "worker ready: first output p50",
        "p99",
        "result p50",
        "forked on demand: first output p50",
        "result p50",
        "bare fork+exit+wait of as much in C, 4 KiB pages, p50",
        "huge pages, p50",
        "result on demand / bare fork, huge pages",
        "template's Pss, kB",
    ]);
    for size in SIZES {
        let of = |name: &str| keys(name).map(|key| measured.series(&key));
        let ([first, _, ready], [forked_first, _, forked]) = (of(&ready_name(size)), of(&forked_name(size)));
        let [fork, huge] = [fork_name(size), huge_name(size)].map(|name| measured.series(&name));
        let template: Value = server.call("template_get", &json!({ "name": format!("ready_{size}") }))?;
        table.row([
            size.to_string(),
            number(first.p50()),
            number(first.p99()),
            number(ready.p50()),
            number(forked_first.p50()),
            number(forked.p50()),
            number(fork.p50()),
            number(huge.p50()),
            forked.over(&huge).to_string(),
            number(template["pss_kb"].as_f64().unwrap_or(f64::NAN)),
        ]);
    }
    println!(
        "A guest that had written so much memory when it asked for its input, and prints that.\n\n{table}"
    );
    Ok(())
}

fn draw(bench: &Bench, measured: &Measured, rows: &[String], rivals: &[Rival]) -> Result<()> {
    let names = rows.iter().chain(rivals.iter().map(|rival| &rival.name));
    let bars = names.map(|name| (name.clone(), measured.series(&keys(name)[0]).p50())).collect();
    let p50 = |names: [String; SIZES.len()]| names.map(|name| measured.series(&name).p50()).to_vec();
    let first = |name: fn(u32) -> String| p50(SIZES.map(|size| keys(&name(size))[0].clone()));
    let panels = [
        Panel::Bars { title: "First output of a script, µs p50".to_owned(), logarithmic: true, bars },
        Panel::Lines {
            title: "First output against the memory of the warm guest, µs p50".to_owned(),
            steps: SIZES.map(|size| size.to_string()).to_vec(),
            below: "MiB written before the input is asked for",
            lines: vec![
                ("ours, a worker stands ready".to_owned(), first(ready_name)),
                ("ours, forked on demand".to_owned(), first(forked_name)),
                (
                    "floor: bare fork+exit+wait of as much in pages of 4 KiB".to_owned(),
                    p50(SIZES.map(fork_name)),
                ),
                ("floor: the same in huge pages".to_owned(), p50(SIZES.map(huge_name))),
            ],
        },
    ];
    chart::draw(&bench.options.out.join("interpreters.svg"), &panels)
}
