//! From `session_start` to the result of a component that prints a line.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::{Goal, why};
use crate::bench::chart::Panel;
use crate::bench::jobs::Job;
use crate::bench::rivals::{self, Rival};
use crate::bench::rounds::{BLOCK, Measured, Pacing, Rounds};
use crate::bench::sample::Ratio;
use crate::bench::server::{Server, Setup};
use crate::bench::table::{Table, number};
use crate::bench::{Bench, places};

const WARM: &str = "ours: warm, a worker of the component's template";
const INSIDE: &str = "of that, from the hand-over to the end, as the server counts it";
const PARKED: &str = "ours: parked, a worker for any module";
const COLD: &str = "ours: cold, forked on demand";
const CORE: &str = "ours: warm, the same program as a core module";
const RIVAL: &str = "one `wasmtime run --allow-precompiled` per job";

const PRINTS: &str = "hello, world\n";

/// The module's names: the component, and what is built of the same program for the other engine.
const COMPONENT: &str = "greet_component";
const MODULE: &str = "greet";

/// Where the numbers are, and what is not there.
#[derive(Debug)]
pub(crate) struct Hello {
    measured: Measured,
    /// Names, and why a row is not there.
    rows: Vec<(&'static str, Option<String>)>,
    /// What the back-to-back blocks found.
    shares: Vec<(&'static str, f64)>,
}

/// A contender of ours.
struct Ours<'a> {
    name: &'static str,
    job: Job,
    server: &'a Server,
}

fn key(name: &str, pacing: Pacing) -> String {
    format!("{name}, {}", pacing.name())
}

pub(crate) fn measure(bench: &Bench, components: &Path) -> Result<Hello> {
    let component = components.join("greet.wasm");
    let services = bench.dir.path().join("greets");
    fs::create_dir_all(&services)?;
    fs::copy(&component, services.join(format!("{COMPONENT}.wasm")))?;
    let module = places::guests().join("greet.wasm");
    fs::copy(&module, services.join(format!("{MODULE}.wasm")))
        .with_context(|| format!("{}: run build.sh first", module.display()))?;

    let setup = Setup { services: Some(&services), ..Setup::default() };
    let alone = setup.clone().set("templates_max", 0);
    let warm = setup.start()?;
    let parked = alone.clone().start()?;
    let cold = alone.set("spare_min", 0).set("spare_max", 0).start()?;
    let contenders = [
        (WARM, COMPONENT, "warm", &warm),
        (PARKED, COMPONENT, "parked", &parked),
        (COLD, COMPONENT, "cold", &cold),
        (CORE, MODULE, "warm", &warm),
    ];
    let (mut rows, mut ours) = (Vec::new(), Vec::new());
    for (name, module, start, server) in contenders {
        let job = Job::new(json!({ "module": module }), PRINTS, start);
        let there = server.compiled(module).and_then(|()| job.settle(server));
        rows.push((name, there.as_ref().err().map(why)));
        if there.is_ok() {
            ours.push(Ours { name, job, server });
        }
        if name == WARM {
            rows.push((INSIDE, there.err().map(|_| "-".to_owned())));
        }
    }
    let rival = rivals::wasmtime_run(bench.dir.path(), &component, PRINTS);
    rows.push((RIVAL, rival.missing.clone()));
    let measured = rounds(bench, &ours, &rival)?;
    let shares = ours.iter().map(|ours| (ours.name, ours.job.share())).collect();
    Ok(Hello { measured, rows, shares })
}

fn rounds(bench: &Bench, ours: &[Ours<'_>], rival: &Rival) -> Result<Measured> {
    let mut rounds = Rounds::new(bench);
    for pacing in Pacing::BOTH {
        for Ours { name, job, server } in ours {
            rounds.add(key(name, pacing), move || job.block(server, pacing));
            if *name == WARM {
                rounds.add(key(INSIDE, pacing), move || job.inside(server, pacing));
            }
        }
        if rival.missing.is_none() {
            rounds.add(key(RIVAL, pacing), move || {
                let [_, end] = rival.block(pacing)?;
                Ok(end)
            });
        }
    }
    rounds.run()
}

impl Hello {
    /// How many times as long one takes as another.
    fn over(&self, [it, other]: [&str; 2], pacing: Pacing) -> Option<Ratio> {
        let [it, other] = [it, other].map(|name| key(name, pacing));
        let there = self.measured.has(&it) && self.measured.has(&other);
        there.then(|| self.measured.series(&it).over(&self.measured.series(&other)))
    }

    pub(crate) fn print(&self) {
        println!(
            "### A session\n\n{}\nBlocks of {BLOCK} (the rival: 10); microseconds. A component for wasm32-wasip2 that prints a \
             line. Ours: one call of `session_start`, which returns with the result, from a lean blocking client; the rival \
             runs the same file as `wasmtime compile` left it.\n",
            self.measured.note()
        );
        let mut table = Table::new(&[
            "what",
            "p50, 2-3 ms apart",
            "p99",
            "p50, back to back",
            "p99",
            "rival / it, apart",
            "rival / it, back to back",
        ]);
        for (name, missing) in &self.rows {
            let mut cells = vec![(*name).to_owned()];
            if let Some(missing) = missing {
                cells.push(missing.clone());
            } else {
                let series = Pacing::BOTH.map(|pacing| self.measured.series(&key(name, pacing)));
                cells.extend(series.iter().flat_map(|series| [number(series.p50()), number(series.p99())]));
                let ratio = |pacing| if *name == RIVAL { None } else { self.over([RIVAL, name], pacing) };
                cells.extend(
                    Pacing::BOTH.map(|pacing| ratio(pacing).map_or(String::new(), |ratio| ratio.to_string())),
                );
            }
            table.row(cells);
        }
        println!("{table}");
        for (name, share) in &self.shares {
            println!("{name}: {share:.1} % of its sessions were of that kind.");
        }
        println!();
    }

    pub(crate) fn goals(&self) -> [Goal; 2] {
        let goal = |wanted, pacing| Goal {
            wanted,
            measured: self.over([RIVAL, WARM], pacing),
            reached: |ratio| ratio >= 8.0,
        };
        let [apart, tight] = Pacing::BOTH;
        [
            goal("a job takes an eighth of `wasmtime run`'s time or less, 2-3 ms apart: 8 or more", apart),
            goal("the same, back to back: 8 or more", tight),
        ]
    }

    pub(crate) fn panel(&self) -> Panel {
        let bars = self.rows.iter();
        let p50 = |name| self.measured.series(&key(name, Pacing::Paced)).p50();
        Panel::Bars {
            title: "Start to result of a component, µs p50, 2-3 ms apart".to_owned(),
            logarithmic: true,
            bars: bars.map(|(name, _)| ((*name).to_owned(), p50(name))).collect(),
        }
    }
}
