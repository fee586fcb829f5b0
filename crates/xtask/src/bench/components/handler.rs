//! Requests to a `wasi:http` component: through the gateway, and to `wasmtime serve`.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::json;

use super::{Goal, why};
use crate::bench::Bench;
use crate::bench::chart::Panel;
use crate::bench::gateway::load::{Line, What, Wrk};
use crate::bench::gateway::peer::Peer;
use crate::bench::gateway::site::{ask, describe, parse};
use crate::bench::gateway::{Row, key, over, rounds, shown};
use crate::bench::processes::Cpu;
use crate::bench::rounds::Measured;
use crate::bench::sample::Ratio;
use crate::bench::server::{Server, Setup};
use crate::bench::table::{Table, number};

/// As many requests as nobody asks in a run.
const ALWAYS: u32 = 1_000_000_000;

/// The services: their names, how many requests a process of theirs answers, and what the table says.
const OURS: [(&str, u32, &str); 3] = [
    ("fresh", 1, "ours: a process for each request"),
    ("reused", 1000, "ours: a process for 1,000 requests"),
    ("kept", ALWAYS, "ours: processes that stay"),
];
const SERVED: &str = "`wasmtime serve`: an instance for each request";
const SERVED_KEPT: &str = "`wasmtime serve`: instances that stay";

const CONNECTIONS: [usize; 3] = [1, 8, 32];

/// Where the goal is judged: as many connections as keep both cores busy.
const BUSY: usize = 8;

const TEXT: &str = "hello from a handler\n";

/// The numbers.
pub(crate) struct Handler {
    measured: Measured,
    rows: Vec<Row>,
    /// What went wrong, as the rows stand.
    wrong: Vec<String>,
}

pub(crate) fn measure(bench: &Bench, components: &Path) -> Result<Handler> {
    let wrk = Wrk::find(bench.dir.path())?;
    let services = bench.dir.path().join("handlers");
    fs::create_dir_all(&services)?;
    fs::copy(components.join("peer.wasm"), services.join("peer.wasm"))?;
    for (name, max_requests, _) in OURS {
        let spec =
            json!({ "prefix": name, "kind": "handler", "module": "peer", "max_requests": max_requests });
        describe(&services, name, &spec)?;
    }
    let setup = Setup { services: Some(&services), ..Setup::default() };
    let server = setup.set("gateway_listen", "127.0.0.1:0").set("services", "true").start()?;
    let peers = [(SERVED, None), (SERVED_KEPT, Some(ALWAYS))]
        .map(|(name, reused)| (name, Peer::start(bench.dir.path(), reused)));
    let mut addresses = Vec::new();
    for (name, _, what) in OURS {
        let address = serves(&server, name).map_err(|error| why(&error));
        addresses.push((what, address, format!("/{name}/")));
    }
    for (name, peer) in &peers {
        let address = peer.as_ref().map(|peer| peer.address).map_err(why);
        addresses.push((*name, address, "/".to_owned()));
    }
    let rows: Vec<Row> = CONNECTIONS
        .into_iter()
        .flat_map(|connections| addresses.iter().map(move |address| row(connections, address)))
        .collect();
    let measured = rounds(bench, &wrk, &rows)?.run()?;
    let wrong = rows.iter().map(|row| wrk.wrong(&row.key()).to_string()).collect();
    Ok(Handler { measured, rows, wrong })
}

/// Waits until a service answers through the gateway, and says where that is.
fn serves(server: &Server, name: &str) -> Result<SocketAddr> {
    let get = |server: &Server| server.call("service_get", &json!({ "name": name }));
    let ready = server.until(&format!("the service {name} is ready"), 60, |server| {
        Ok((get(server)?["service"]["state"] == "ready").then_some(()))
    });
    ready.with_context(|| get(server).map_or_else(|error| error.to_string(), |detail| detail.to_string()))?;
    let listed = server.call("service_list", &json!({}))?;
    let gateway = parse(listed["gateway"].as_str().context("the gateway does not listen")?)?;
    ask(gateway, &format!("/{name}/"), TEXT)?;
    Ok(gateway)
}

fn row(
    connections: usize,
    (name, address, path): &(&'static str, Result<SocketAddr, String>, String),
) -> Row {
    let line = address.clone().map(|address| Line {
        key: key(name, connections),
        connections,
        seconds: 1,
        address,
        path: path.clone(),
        text: TEXT,
        proxy: Cpu::Nobody,
        service: Cpu::Nobody,
    });
    Row { name, connections, line }
}

impl Handler {
    fn over(&self, connections: usize, names: [&str; 2], what: What) -> Option<Ratio> {
        over(&self.measured, connections, names, what)
    }

    pub(crate) fn print(&self) {
        println!(
            "### A handler\n\n{}\nThe same component behind all of them (`crates/xtask/peer`); wrk with one thread asks back to \
             back over connections that stay open, a second in each round, and shares the machine with all of it; p50 and \
             p99 are those of a block, in microseconds. Ours answer through the gateway. Instances of `wasmtime serve` stay with \
             `--max-instance-reuse-count`.\n",
            self.measured.note()
        );
        let mut table = Table::new(&[
            "connections",
            "what",
            "requests/s",
            "p50",
            "p99",
            "requests/s, it / `wasmtime serve`",
            "requests/s, it / `wasmtime serve` whose instances stay",
            "p99, it / `wasmtime serve`",
            "wrong answers",
        ]);
        for (row, wrong) in self.rows.iter().zip(&self.wrong) {
            let mut cells = vec![row.connections.to_string(), row.name.to_owned()];
            match &row.line {
                Err(why) => cells.push(why.clone()),
                Ok(_) => {
                    let values = [What::Rate, What::P50, What::P99];
                    cells.extend(values.map(|what| number(self.measured.series(&what.of(&row.key())).p50())));
                    let beside = |other, what| shown(self.over(row.connections, [row.name, other], what));
                    cells.extend([
                        beside(SERVED, What::Rate),
                        beside(SERVED_KEPT, What::Rate),
                        beside(SERVED, What::P99),
                        wrong.clone(),
                    ]);
                }
            }
            table.row(cells);
        }
        println!("{table}");
    }

    pub(crate) fn goals(&self) -> [Goal; 2] {
        let kept = OURS[2].2;
        let goal = |wanted, rival| Goal {
            wanted,
            measured: self.over(BUSY, [kept, rival], What::Rate),
            reached: |ratio| ratio >= 0.8,
        };
        [
            goal("requests/s of a handler whose processes stay, of `wasmtime serve`'s: 0.80 or more", SERVED),
            goal("the same, of `wasmtime serve`'s whose instances stay: 0.80 or more", SERVED_KEPT),
        ]
    }

    pub(crate) fn panel(&self) -> Panel {
        let rate = |row: &Row| self.measured.series(&What::Rate.of(&row.key())).p50();
        Panel::Bars {
            title: "Requests a second to a wasi:http component".to_owned(),
            logarithmic: false,
            bars: self.rows.iter().map(|row| (row.key(), rate(row))).collect(),
        }
    }
}
