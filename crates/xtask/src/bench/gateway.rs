//! `cargo xtask bench gateway`: requests to a service straight, through the gateway and through nginx; a handler beside
//! `wasmtime serve`.

pub(crate) mod child;
pub(crate) mod debian;
pub(crate) mod load;
pub(crate) mod nginx;
pub(crate) mod peer;
pub(crate) mod site;

use std::net::SocketAddr;

use anyhow::Result;

use super::Bench;
use super::chart::{self, Panel};
use super::jobs::Job;
use super::processes::Cpu;
use super::rounds::{Measured, Pacing, Rounds};
use super::sample::Ratio;
use super::table::{Table, number};
use debian::Program;
use load::{Line, What, Wrk};
use nginx::Nginx;
use peer::Peer;
use site::{HANDLER, PREFIX, Site, ask};

const STRAIGHT: &str = "straight to the service's port";
const GATEWAY: &str = "ours: the gateway";
const NGINX: &str = "nginx, 1 worker";
const NGINX_AUTO: &str = "nginx, a worker for each core";
const NGINX_SOCKET: &str = "nginx, 1 worker, to the service's Unix socket";
const HANDLED: &str = "ours: a handler, through the gateway";
const SERVED: &str = "`wasmtime serve`";
const SESSION: &str = "of that: a session of greet, session_start to result";

/// Connections that ask for all that goes through.
const BUSY: usize = 32;

/// One that shows how long an answer takes.
const ONE: usize = 1;

/// As many as a crowd has.
const MANY: usize = 1000;

/// Connections to handlers.
const HANDLERS: [usize; 2] = [1, 8];

/// What the first tables say.
const PROXIED: &str = "\
wrk with one thread asks back to back over connections that stay open, and shares the machine with all of it; its p50 and \
p99 are those of a block, in microseconds, and a late answer counts as well for the requests that waited behind it. The \
service is `hello`, one process of WebAssembly. The gateway is one thread and reaches the service by a Unix socket; nginx \
passes on the same header fields, keeps 64 connections to the service's TCP port, and writes no log.";

/// What the table of handlers says.
const HANDLERS_ARE: &str = "\
A handler answers each request in a process of its own, forked for it and gone after it, with a log and a place in the \
history. `wasmtime serve` answers each in an instance of its own, all in one process, from a component that says the same \
(`crates/xtask/peer`).";

/// What is compared: its name, its connections, and how it is asked, or the reason why it is not there.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) connections: usize,
    pub(crate) line: std::result::Result<Line, String>,
}

impl Row {
    pub(crate) fn key(&self) -> String {
        key(self.name, self.connections)
    }
}

pub(crate) fn key(name: &str, connections: usize) -> String {
    format!("{name}, connections: {connections}")
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let wrk = Wrk::find(bench.dir.path())?;
    let site = Site::start(bench.dir.path())?;
    let (nginx, peer) = (nginx(bench, &site), Peer::start(bench.dir.path(), None));
    let ([proxied, crowd], handled) = (proxied(bench, &site, &nginx), handled(&site, &peer));
    let (job, server) = (Job::hello("warm"), &site.server);
    job.settle(server)?;
    let few = rounds(bench, &wrk, &proxied)?.run()?;
    // By itself: what proxies keep open of so many, the service would have to look after in all other blocks.
    let many = rounds(bench, &wrk, &crowd)?.run()?;
    let mut rounds = rounds(bench, &wrk, &handled)?;
    rounds.add(SESSION, || job.block(server, Pacing::Tight));
    let handlers = rounds.run()?;
    println!("## Gateway\n\n{}", few.note());
    println!("{PROXIED}\n\n{}", table(&few, &wrk, &proxied));
    println!("The same with many connections. {}\n\n{}", many.note(), table(&many, &wrk, &crowd));
    println!("{HANDLERS_ARE} {}\n\n{}", handlers.note(), handler_table(&handlers, &wrk, &handled));
    let starts = site.starts()?.map(|(start, percent)| format!("{} % {start}", number(percent)));
    println!("How the processes of the handler's last sessions came to be: {}.\n", starts.join(", "));
    println!("{}", goals(&few, &handlers));
    let bars = |measured: &Measured, rows: &[Row], connections: &[usize], what: What| {
        let rows = rows.iter().filter(|row| connections.contains(&row.connections));
        let label = |row: &Row| if connections.len() == 1 { row.name.to_owned() } else { row.key() };
        rows.map(|row| (label(row), measured.series(&what.of(&row.key())).p50())).collect()
    };
    let panel = |title: &str, bars| Panel::Bars { title: title.to_owned(), logarithmic: false, bars };
    let panels = [
        panel(
            &format!("Requests a second over {BUSY} connections"),
            bars(&few, &proxied, &[BUSY], What::Rate),
        ),
        panel(
            "From a request to its answer over one connection, µs p50",
            bars(&few, &proxied, &[ONE], What::P50),
        ),
        panel("Requests a second to a handler", bars(&handlers, &handled, &HANDLERS, What::Rate)),
    ];
    chart::draw(&bench.options.out.join("gateway.svg"), &panels)
}

/// Rounds of a block of each row that is there.
pub(crate) fn rounds<'a>(bench: &'a Bench, wrk: &'a Wrk, rows: &'a [Row]) -> Result<Rounds<'a>> {
    let mut rounds = Rounds::new(bench);
    for line in rows.iter().filter_map(|row| row.line.as_ref().ok()) {
        ask(line.address, &line.path, line.text)?;
        rounds.add_many(line.all(), || wrk.block(line));
    }
    Ok(rounds)
}

/// Two of them, because the gateway is one thread and nginx need not be.
fn nginx(bench: &Bench, site: &Site) -> Result<[Nginx; 2]> {
    let program = Program::find("nginx")?;
    let start = |folder, workers| Nginx::start(&program, &bench.dir.path().join(folder), workers, site);
    Ok([start("nginx", "1")?, start("nginx_auto", "auto")?])
}

/// All that asks `hello`: over few connections, and over many.
fn proxied(bench: &Bench, site: &Site, nginx: &Result<[Nginx; 2]>) -> [Vec<Row>; 2] {
    let seconds = bench.options.pick(2, 1);
    let row = |name, connections, proxy: Result<(SocketAddr, Cpu), String>| {
        let path = if name == STRAIGHT { "/hello".to_owned() } else { format!("/{PREFIX}/hello") };
        let line = proxy.map(|(address, proxy)| Line {
            key: key(name, connections),
            connections,
            seconds: if connections == ONE { 1 } else { seconds },
            address,
            path,
            text: "hello, world\n",
            proxy,
            service: Cpu::Tree(site.service),
        });
        Row { name, connections, line }
    };
    let straight = |connections| row(STRAIGHT, connections, Ok((site.straight, Cpu::Nobody)));
    let gateway = |connections| row(GATEWAY, connections, Ok((site.gateway, site.gateway_cpu())));
    let nginx = |name, connections| {
        let found = nginx.as_ref().map_err(|error| format!("{error:#}")).map(|[one, auto]| {
            let nginx = if name == NGINX_AUTO { auto } else { one };
            let address = if name == NGINX_SOCKET { nginx.to_socket } else { nginx.to_port };
            (address, Cpu::Tree(nginx.pid()))
        });
        row(name, connections, found)
    };
    let few = vec![
        straight(BUSY),
        gateway(BUSY),
        nginx(NGINX, BUSY),
        nginx(NGINX_SOCKET, BUSY),
        nginx(NGINX_AUTO, BUSY),
        straight(ONE),
        gateway(ONE),
        nginx(NGINX, ONE),
    ];
    [few, vec![straight(MANY), gateway(MANY), nginx(NGINX, MANY)]]
}

/// The handler and its peer.
fn handled(site: &Site, peer: &Result<Peer>) -> Vec<Row> {
    let row = |name, connections, address: Result<SocketAddr, String>| {
        let path = if name == HANDLED { HANDLER } else { "/" }.to_owned();
        let line = address.map(|address| Line {
            key: key(name, connections),
            connections,
            seconds: 1,
            address,
            path,
            text: "hello from a handler\n",
            proxy: Cpu::Nobody,
            service: Cpu::Nobody,
        });
        Row { name, connections, line }
    };
    let ours = HANDLERS.map(|connections| row(HANDLED, connections, Ok(site.gateway)));
    let peers = HANDLERS.map(|connections| {
        let address = peer.as_ref().map(|peer| peer.address).map_err(|error| format!("{error:#}"));
        row(SERVED, connections, address)
    });
    ours.into_iter().chain(peers).collect()
}

/// What a row of a number of connections is to another one; nothing follows from one that is not there.
pub(crate) fn over(measured: &Measured, connections: usize, names: [&str; 2], what: What) -> Option<Ratio> {
    let [it, other] = names.map(|name| what.of(&key(name, connections)));
    let there = measured.has(&it) && measured.has(&other);
    there.then(|| measured.series(&it).over(&measured.series(&other)))
}

pub(crate) fn shown(ratio: Option<Ratio>) -> String {
    ratio.map_or_else(|| "-".to_owned(), |ratio| ratio.to_string())
}

fn table(measured: &Measured, wrk: &Wrk, rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "connections",
        "what",
        "requests/s",
        "p50",
        "p99",
        "processor time of the proxy, µs a request",
        "of the service",
        "requests/s, it / nginx, 1 worker",
        "p99, it / nginx, 1 worker",
        "wrong answers",
    ]);
    for row in rows {
        let mut cells = vec![row.connections.to_string(), row.name.to_owned()];
        match &row.line {
            Err(why) => cells.push(why.clone()),
            Ok(_) => {
                cells.extend(What::SHOWN.map(|what| number(measured.series(&what.of(&row.key())).p50())));
                let over = |what| shown(over(measured, row.connections, [row.name, NGINX], what));
                cells.extend([over(What::Rate), over(What::P99), wrk.wrong(&row.key()).to_string()]);
            }
        }
        table.row(cells);
    }
    table
}

fn handler_table(measured: &Measured, wrk: &Wrk, rows: &[Row]) -> Table {
    let mut table = Table::new(&[
        "connections",
        "what",
        "requests/s",
        "p50",
        "p99",
        "requests/s, ours / it",
        "p50, ours / it",
        "wrong answers",
    ]);
    for row in rows {
        let mut cells = vec![row.connections.to_string(), row.name.to_owned()];
        match &row.line {
            Err(why) => cells.push(why.clone()),
            Ok(_) => {
                let all = [What::Rate, What::P50, What::P99];
                cells.extend(all.map(|what| number(measured.series(&what.of(&row.key())).p50())));
                let over = |what| shown(over(measured, row.connections, [HANDLED, row.name], what));
                cells.extend([over(What::Rate), over(What::P50), wrk.wrong(&row.key()).to_string()]);
            }
        }
        table.row(cells);
    }
    let session = measured.series(SESSION);
    let part = measured.series(&What::P50.of(&key(HANDLED, ONE))).over(&session).to_string();
    let [p50, p99] = [session.p50(), session.p99()].map(number);
    table.row(["1".to_owned(), SESSION.to_owned(), "-".to_owned(), p50, p99, "-".to_owned(), part]);
    table
}

/// What was to be reached, and what was.
fn goals(few: &Measured, handlers: &Measured) -> Table {
    let mut table = Table::new(&["wanted", "measured", "reached"]);
    let mut row = |wanted: &str, measured: String, reached: bool| {
        table.row([wanted.to_owned(), measured, if reached { "yes" } else { "no" }.to_owned()]);
    };
    let gateway = |what| over(few, BUSY, [GATEWAY, NGINX], what);
    let (rate, p99) = (gateway(What::Rate), gateway(What::P99));
    let is = |ratio: Option<Ratio>, fits: fn(f64) -> bool| ratio.is_some_and(|ratio| fits(ratio.median));
    row("requests/s of the gateway: 0.70 of nginx's or more", shown(rate), is(rate, |rate| rate >= 0.7));
    row("p99 of the gateway: twice nginx's or less", shown(p99), is(p99, |p99| p99 <= 2.0));
    let p50 = |measured: &Measured, name| measured.series(&What::P50.of(&key(name, ONE))).p50();
    let (straight, handler) = (p50(few, STRAIGHT), p50(handlers, HANDLED));
    let micros = |p50| format!("p50 {} µs", number(p50));
    row("an answer of the service without a wait of 40 ms", micros(straight), straight < 20e3);
    row("an answer of a handler, its fork included: p50 of 2 ms or less", micros(handler), handler <= 2e3);
    table
}
