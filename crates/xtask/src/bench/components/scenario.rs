//! The load that `hero_runner scenario run` makes beside wrk's, on the same servers.

mod block;

use std::fs;
use std::net::SocketAddr;

use anyhow::Result;

use super::target::{Quick, TEXT, slow};
use super::{Goal, why};
use crate::bench::chart::Panel;
use crate::bench::gateway::load::{Line, What, Wrk};
use crate::bench::gateway::site::ask;
use crate::bench::processes::Cpu;
use crate::bench::rounds::{Measured, Rounds};
use crate::bench::sample::Ratio;
use crate::bench::server::{Server, Setup};
use crate::bench::table::{Table, number};
use crate::bench::{Bench, places};
use block::Scenario;

const WRK: &str = "wrk, one thread";
const ONE: &str = "ours: `scenario run`";
const TWO: &str = "ours: `scenario run --processes 2`";

/// Who is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Quick,
    Slow,
}

impl Target {
    fn name(self) -> &'static str {
        match self {
            Self::Quick => "nginx",
            Self::Slow => "takes 4-8 ms",
        }
    }

    /// Users, or connections. One shows how long an answer takes.
    fn connections(self) -> &'static [usize] {
        match self {
            Self::Quick => &[1, 8, 32],
            Self::Slow => &[8, 32],
        }
    }

    /// Fewer users than processes there cannot be, and two processes do not measure time better than one.
    fn askers(self, connections: usize) -> &'static [&'static str] {
        if self == Self::Quick && connections > 1 { &[WRK, ONE, TWO] } else { &[WRK, ONE] }
    }
}

/// Where the goals are judged: as many users as one process has no trouble with.
const USERS: usize = 8;

/// The module's name.
const MODULE: &str = "scenario";

fn key(target: Target, name: &str, connections: usize) -> String {
    format!("{name}, {}, connections: {connections}", target.name())
}

/// What is compared.
struct Row {
    target: Target,
    name: &'static str,
    connections: usize,
    /// How it asks, or the reason why it is not there.
    asker: Result<Asker, String>,
}

enum Asker {
    Wrk(Line),
    Ours(Scenario),
}

impl Row {
    fn new(
        target: Target,
        name: &'static str,
        connections: usize,
        address: SocketAddr,
        seconds: u64,
    ) -> Self {
        let key = key(target, name, connections);
        let processes = match name {
            ONE => 1,
            TWO => 2,
            _ => 0,
        };
        let asker = if processes > 0 {
            let id = format!("{target:?}_{connections}_{processes}");
            Asker::Ours(Scenario { key, id, processes, users: connections, seconds, address })
        } else {
            let (path, nobody) = ("/".to_owned(), Cpu::Nobody);
            Asker::Wrk(Line {
                key,
                connections,
                seconds,
                address,
                path,
                text: TEXT,
                proxy: nobody,
                service: nobody,
            })
        };
        Self { target, name, connections, asker: Ok(asker) }
    }

    fn key(&self) -> String {
        key(self.target, self.name, self.connections)
    }
}

/// The numbers.
pub(crate) struct Load {
    measured: Measured,
    rows: Vec<Row>,
    /// What went wrong, as the rows stand.
    wrong: Vec<String>,
}

pub(crate) fn measure(bench: &Bench) -> Result<Load> {
    let (dir, seconds) = (bench.dir.path(), bench.options.pick(2, 1));
    let wrk = Wrk::find(dir)?;
    let quick = Quick::start(&dir.join("quick"));
    let slow = slow()?;
    let mut rows = Vec::new();
    for target in [Target::Quick, Target::Slow] {
        let address = match (&quick, target) {
            (_, Target::Slow) => Ok(slow),
            (Ok(quick), _) => Ok(quick.address),
            (Err(error), _) => Err(why(error)),
        };
        for connections in target.connections().iter().copied() {
            for name in target.askers(connections).iter().copied() {
                rows.push(match &address {
                    Ok(address) => Row::new(target, name, connections, *address, seconds),
                    Err(why) => Row { target, name, connections, asker: Err(why.clone()) },
                });
            }
        }
    }
    let server = generator(bench, &rows);
    let mut rounds = Rounds::new(bench);
    for row in &mut rows {
        match (&row.asker, &server) {
            (Ok(Asker::Ours(_)), Err(error)) => row.asker = Err(why(error)),
            (Ok(Asker::Wrk(line)), _) => ask(line.address, &line.path, line.text)?,
            _ => {}
        }
    }
    for row in &rows {
        match (&row.asker, &server) {
            (Ok(Asker::Wrk(line)), _) => rounds.add_many(line.all(), || wrk.block(line)),
            (Ok(Asker::Ours(scenario)), Ok(server)) => {
                let names = Scenario::YIELDS.map(|what| what.of(&scenario.key)).to_vec();
                rounds.add_many(names, move || scenario.block(server, dir));
            }
            _ => {}
        }
    }
    let measured = rounds.run()?;
    // Of a scenario none is wrong, or its block would have failed.
    let wrong = rows.iter().map(|row| wrk.wrong(&row.key()).to_string()).collect();
    Ok(Load { measured, rows, wrong })
}

/// A server that has the load generator, which has run the first of the scenarios.
fn generator(bench: &Bench, rows: &[Row]) -> Result<Server> {
    let services = bench.dir.path().join("generator");
    fs::create_dir_all(&services)?;
    fs::copy(places::scenario()?, services.join(format!("{MODULE}.wasm")))?;
    let setup = Setup { services: Some(&services), ..Setup::default() };
    let server = setup.start()?;
    let first = rows.iter().find_map(|row| match &row.asker {
        Ok(Asker::Ours(scenario)) => Some(scenario),
        _ => None,
    });
    if let Some(first) = first {
        first.block(&server, bench.dir.path())?;
    }
    Ok(server)
}

impl Load {
    fn over(&self, target: Target, connections: usize, names: [&str; 2], what: What) -> Option<Ratio> {
        let [it, other] = names.map(|name| what.of(&key(target, name, connections)));
        let there = self.measured.has(&it) && self.measured.has(&other);
        there.then(|| self.measured.series(&it).over(&self.measured.series(&other)))
    }

    pub(crate) fn print(&self) {
        println!(
            "### The load of a scenario\n\n{}\nThe users of a scenario without think time beside as many connections of wrk, all of \
             which stay open; each asks as soon as it has its answer. p50 and p99 are as each reports them, in microseconds; \
             in wrk's a late answer counts as well for the requests that waited behind it. The processor time is that of the \
             sessions, their start included, and of wrk. nginx has one worker and answers at once: there all \
             of them measure mostly themselves. The other server takes 4 to 8 ms for each answer: there they measure it.\n",
            self.measured.note()
        );
        let mut table = Table::new(&[
            "server",
            "users",
            "what",
            "requests/s",
            "p50",
            "p99",
            "processor time, µs a request",
            "requests/s, it / wrk",
            "requests per second of processor time, it / wrk",
            "p50, it / wrk",
            "p99, it / wrk",
            "wrong answers",
        ]);
        for (row, wrong) in self.rows.iter().zip(&self.wrong) {
            let mut cells =
                vec![row.target.name().to_owned(), row.connections.to_string(), row.name.to_owned()];
            if let Err(why) = &row.asker {
                cells.push(why.clone());
            } else {
                let values = Scenario::YIELDS;
                cells.extend(values.map(|what| number(self.measured.series(&what.of(&row.key())).p50())));
                let over = |names, what| {
                    let ratio = self.over(row.target, row.connections, names, what);
                    let ratio = ratio.filter(|_| row.name != WRK);
                    ratio.map_or(String::new(), |ratio| ratio.to_string())
                };
                let it = [row.name, WRK];
                cells.extend([
                    over(it, What::Rate),
                    over([WRK, row.name], What::Asker),
                    over(it, What::P50),
                    over(it, What::P99),
                    wrong.clone(),
                ]);
            }
            table.row(cells);
        }
        println!("{table}");
    }

    pub(crate) fn goals(&self) -> [Goal; 3] {
        let agrees = |wanted, what| Goal {
            wanted,
            measured: self.over(Target::Slow, USERS, [ONE, WRK], what),
            reached: |ratio| (0.9..=1.1).contains(&ratio),
        };
        [
            Goal {
                wanted: "requests of a scenario per second of processor time, of wrk's: 0.25 or more",
                measured: self.over(Target::Quick, USERS, [WRK, ONE], What::Asker),
                reached: |ratio| ratio >= 0.25,
            },
            agrees("p50 of a scenario, of wrk's: 0.90 to 1.10", What::P50),
            agrees("p99 of a scenario, of wrk's: 0.90 to 1.10", What::P99),
        ]
    }

    pub(crate) fn panel(&self) -> Panel {
        let rows = self.rows.iter().filter(|row| row.target == Target::Quick);
        let rate = |row: &Row| self.measured.series(&What::Rate.of(&row.key())).p50();
        Panel::Bars {
            title: "Requests a second that load is made of, on nginx".to_owned(),
            logarithmic: false,
            bars: rows.map(|row| (row.key(), rate(row))).collect(),
        }
    }
}
