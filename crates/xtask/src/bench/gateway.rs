//! `cargo xtask bench gateway`: requests to a service straight, through the gateway and through nginx; a handler beside
//! `wasmtime serve`.

mod child;
mod debian;
mod load;
mod nginx;
mod peer;
mod site;

use std::net::SocketAddr;

use anyhow::Result;

use super::Bench;
use super::chart::{self, Panel};
use super::jobs::Job;
use super::processes::Cpu;
use super::rounds::{Measured, Pacing, Rounds};
use super::sample::{Ratio, Series};
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
const SESSION: &str = "of that: a session of hello, session_start to result";

/// Connections that ask for all that goes through.
const BUSY: usize = 32;

/// One that shows how long an answer takes.
const ONE: usize = 1;

/// As many as a crowd has.
const MANY: usize = 1000;

/// Connections to handlers.
const HANDLERS: [usize; 2] = [1, 8];

/// What is compared: its name, its connections, and how it is asked, or the reason why it is not there.
struct Row {
    name: &'static str,
    connections: usize,
    line: std::result::Result<Line, String>,
}

impl Row {
    fn key(&self) -> String {
        key(self.name, self.connections)
    }
}

fn key(name: &str, connections: usize) -> String {
    format!("{name}, connections: {connections}")
}

pub(crate) fn run(bench: &Bench) -> Result<()> {
    let wrk = Wrk::find(bench.dir.path())?;
    let site = Site::start(bench.dir.path())?;
    let nginx = nginx(bench, &site);
    let (proxied, peer) = (proxied(bench, &site, &nginx), Peer::start(bench.dir.path()));
    let handled = handled(&site, &peer);
    let (job, server) = (Job::hello("warm"), &site.server);
    job.settle(server)?;
    let mut rounds = Rounds::new(bench);
    for line in proxied.iter().chain(&handled).filter_map(|row| row.line.as_ref().ok()) {
        ask(line.address, &line.path, line.text)?;
        rounds.add_many(line.all(), || wrk.block(line));
    }
    rounds.add(SESSION, || job.block(server, Pacing::Tight));
    let measured = rounds.run()?;
    print(&measured, &wrk, &proxied, &handled)?;
    let starts = site.starts()?.map(|(start, percent)| format!("{} % {start}", number(percent)));
    println!("How the processes of the handler's last sessions came to be: {}.\n", starts.join(", "));
    draw(bench, &measured, &proxied, &handled)
}

/// Two of them, because the gateway is one thread and nginx need not be.
fn nginx(bench: &Bench, site: &Site) -> Result<[Nginx; 2]> {
    let program = Program::find("nginx")?;
    let start = |folder, workers| Nginx::start(&program, &bench.dir.path().join(folder), workers, site);
    Ok([start("nginx", "1")?, start("nginx_auto", "auto")?])
}

/// All that asks `hello`.
fn proxied(bench: &Bench, site: &Site, nginx: &Result<[Nginx; 2]>) -> Vec<Row> {
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
    vec![
        straight(BUSY),
        gateway(BUSY),
        nginx(NGINX, BUSY),
        nginx(NGINX_SOCKET, BUSY),
        nginx(NGINX_AUTO, BUSY),
        straight(ONE),
        gateway(ONE),
        nginx(NGINX, ONE),
        gateway(MANY),
        nginx(NGINX, MANY),
    ]
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

/// A series of a line.
fn of(measured: &Measured, name: &str, connections: usize, what: What) -> Series {
    measured.series(&what.of(&key(name, connections)))
}

/// What a number of connections is compared with; nothing follows from a row that is not there.
fn over(measured: &Measured, row: &Row, name: &str, what: What) -> Option<Ratio> {
    let series = |name| of(measured, name, row.connections, what);
    measured.has(&what.of(&key(name, row.connections))).then(|| series(row.name).over(&series(name)))
}

fn shown(ratio: Option<Ratio>) -> String {
    ratio.map(|ratio| ratio.to_string()).unwrap_or_default()
}

fn print(measured: &Measured, wrk: &Wrk, proxied: &[Row], handled: &[Row]) -> Result<()> {
    println!("## Gateway\n\n{}", measured.note());
    println!(
        "wrk with one thread asks back to back over connections that stay open, and shares the machine with all of it; its \
         p50 and p99 are those of a block, in microseconds, and a late answer counts as well for the requests that waited \
         behind it. The service is `hello`, one process of WebAssembly. The \
         gateway is one thread and reaches the service by a Unix socket; nginx passes on the same header fields, keeps \
         64 connections to the service's TCP port, and writes no log.\n"
    );
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
    for row in proxied {
        let lead = [row.connections.to_string(), row.name.to_owned()];
        table.row(
            lead.into_iter().chain(match &row.line {
                Err(why) => vec![why.clone()],
                Ok(_) => What::ALL
                    .map(|what| number(of(measured, row.name, row.connections, what).p50()))
                    .into_iter()
                    .chain([What::Rate, What::P99].map(|what| shown(over(measured, row, NGINX, what))))
                    .chain([wrk.wrong(&row.key()).to_string()])
                    .collect(),
            }),
        );
    }
    println!("{table}");
    println!(
        "A handler answers each request in a process of its own, forked for it and gone after it, with its log and its \
         place in the history. `wasmtime serve` answers each in an instance of its own, all in one process, from a \
         component that says the same (`crates/xtask/peer`).\n"
    );
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
    for row in handled {
        let lead = [row.connections.to_string(), row.name.to_owned()];
        let ours = Row { name: HANDLED, connections: row.connections, line: Err(String::new()) };
        let over =
            |what| shown((row.name != HANDLED).then(|| over(measured, &ours, row.name, what)).flatten());
        table.row(
            lead.into_iter().chain(match &row.line {
                Err(why) => vec![why.clone()],
                Ok(_) => [What::Rate, What::P50, What::P99]
                    .map(|what| number(of(measured, row.name, row.connections, what).p50()))
                    .into_iter()
                    .chain([over(What::Rate), over(What::P50), wrk.wrong(&row.key()).to_string()])
                    .collect(),
            }),
        );
    }
    let session = measured.series(SESSION);
    let part = of(measured, HANDLED, ONE, What::P50).over(&session).to_string();
    let [p50, p99] = [session.p50(), session.p99()].map(number);
    table.row(["1".to_owned(), SESSION.to_owned(), String::new(), p50, p99, String::new(), part]);
    println!("{table}");
    goals(measured);
    Ok(())
}

/// What was to be reached, and what was.
fn goals(measured: &Measured) {
    let gateway = |what| of(measured, GATEWAY, BUSY, what).over(&of(measured, NGINX, BUSY, what));
    let (rate, p99) = (gateway(What::Rate), gateway(What::P99));
    let (straight, handler) =
        (of(measured, STRAIGHT, ONE, What::P50).p50(), of(measured, HANDLED, ONE, What::P50).p50());
    let mut table = Table::new(&["wanted", "measured", "reached"]);
    let mut row = |wanted: &str, measured: String, reached| {
        let reached = if reached { "yes" } else { "no" };
        table.row([wanted.to_owned(), measured, reached.to_owned()]);
    };
    row("requests/s of the gateway: 0.70 of nginx's or more", rate.to_string(), rate.median >= 0.7);
    row("p99 of the gateway: twice nginx's or less", p99.to_string(), p99.median <= 2.0);
    row(
        "an answer of the service without a wait of 40 ms",
        format!("p50 {} µs", number(straight)),
        straight < 20e3,
    );
    row("an answer of a handler: p50 of 2 ms or less", format!("p50 {} µs", number(handler)), handler <= 2e3);
    println!("{table}");
}

fn draw(bench: &Bench, measured: &Measured, proxied: &[Row], handled: &[Row]) -> Result<()> {
    let bars = |rows: &mut dyn Iterator<Item = &Row>, what| {
        rows.map(|row| {
            let connections =
                if row.connections == BUSY { String::new() } else { format!(", {}", row.connections) };
            (format!("{}{connections}", row.name), of(measured, row.name, row.connections, what).p50())
        })
        .collect()
    };
    let panel = |title: &str, bars| Panel::Bars { title: title.to_owned(), logarithmic: false, bars };
    let with = |connections| move |row: &&Row| row.connections == connections;
    let panels = [
        panel("Requests a second, 32 connections", bars(&mut proxied.iter().filter(with(BUSY)), What::Rate)),
        panel("An answer to one connection, µs p50", bars(&mut proxied.iter().filter(with(ONE)), What::P50)),
        panel(
            "Requests a second to handlers, with 1 and 8 connections",
            bars(&mut handled.iter(), What::Rate),
        ),
    ];
    chart::draw(&bench.options.out.join("gateway.svg"), &panels)
}
