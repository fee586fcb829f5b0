//! `cargo xtask bench components`: sessions of a component beside `wasmtime run`, a `wasi:http` handler beside
//! `wasmtime serve`, and the load that the scenario makes beside wrk's.

mod handler;
mod hello;
mod scenario;
mod target;

use anyhow::{Error, Result};

use super::Bench;
use super::chart;
use super::gateway::peer;
use super::sample::Ratio;
use super::table::Table;

/// What was to be reached, and what was.
struct Goal {
    wanted: &'static str,
    measured: Option<Ratio>,
    reached: fn(f64) -> bool,
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let components = peer::build()?;
    let hello = hello::measure(bench, &components)?;
    let handler = handler::measure(bench, &components)?;
    let scenario = scenario::measure(bench)?;
    println!("## Components\n");
    hello.print();
    handler.print();
    scenario.print();
    let goals = hello.goals().into_iter().chain(handler.goals()).chain(scenario.goals());
    println!("{}", table(goals));
    let panels = [hello.panel(), handler.panel(), scenario.panel()];
    chart::draw(&bench.options.out.join("components.svg"), &panels)
}

/// Why a row is not there, in one line.
fn why(error: &Error) -> String {
    format!("{error:#}").lines().next().unwrap_or_default().to_owned()
}

fn table(goals: impl Iterator<Item = Goal>) -> Table {
    let mut table = Table::new(&["wanted", "measured", "reached"]);
    for Goal { wanted, measured, reached } in goals {
        let (measured, reached) = match measured {
            None => ("-".to_owned(), "not measured"),
            Some(ratio) if reached(ratio.median) => (ratio.to_string(), "yes"),
            Some(ratio) => (ratio.to_string(), "no"),
        };
        table.row([wanted.to_owned(), measured, reached.to_owned()]);
    }
    table
}
