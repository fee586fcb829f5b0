//! A call of the API against bytes of the same number to and fro over a Unix socket.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, ensure};
use serde_json::json;

use super::Bench;
use super::floor::Floor;
use super::rounds::Rounds;
use super::rpc::{self, Rpc};
use super::sample::Sample;
use super::server::Server;

/// How many connections call at once.
pub(crate) const CONNECTIONS: [usize; 5] = [1, 2, 4, 8, 16];

pub(crate) fn call_name(connections: usize, what: &str) -> String {
    format!("session_get, {connections} connections, {what}")
}

pub(crate) fn floor_name(connections: usize, what: &str) -> String {
    format!("ping-pong, {connections} connections, {what}")
}

/// Something that answers.
trait Peer {
    fn send(&mut self) -> Result<()>;
    fn receive(&mut self) -> Result<()>;
}

struct Call(Rpc, Vec<u8>);

impl Peer for Call {
    fn send(&mut self) -> Result<()> {
        self.0.send(&self.1)
    }

    fn receive(&mut self) -> Result<()> {
        self.0.receive().map(|_| ())
    }
}

struct Bytes(UnixStream, Vec<u8>, Vec<u8>);

impl Peer for Bytes {
    fn send(&mut self) -> Result<()> {
        Ok(self.0.write_all(&self.1)?)
    }

    fn receive(&mut self) -> Result<()> {
        Ok(self.0.read_exact(&mut self.2)?)
    }
}

/// Keeps one request under way on each connection, from one thread; the time of each, and how many there were a second.
fn drive(peers: &mut [impl Peer], calls: usize) -> Result<Vec<Sample>> {
    let mut took = Sample::default();
    let begin = Instant::now();
    let mut sent = Vec::new();
    for peer in peers.iter_mut() {
        sent.push(Instant::now());
        peer.send()?;
    }
    for call in 0..calls {
        let at = call % peers.len();
        peers[at].receive()?;
        took.push(sent[at].elapsed().as_secs_f64() * 1e6);
        if call + peers.len() < calls {
            sent[at] = Instant::now();
            peers[at].send()?;
        }
    }
    Ok(vec![took, Sample::from(calls as f64 / begin.elapsed().as_secs_f64())])
}

/// Adds both sides with each number of connections. The floor's process is given back to be kept.
pub(crate) fn add<'a>(rounds: &mut Rounds<'a>, bench: &'a Bench, server: &Server) -> Result<Floor> {
    // One that runs: the record of one that has ended would leave memory after some rounds, for the disk.
    let started = server.call("session_start", &json!({ "module": "echo", "stdin_open": true }))?;
    let named = json!({ "session_id": started["session_id"] });
    server.call("session_wait", &json!({ "session_id": started["session_id"], "for": "ready" }))?;
    let request = rpc::request("session_get", &named);
    let mut rpc = server.rpc()?;
    rpc.exchange(&request)?;
    let (size, path) = (rpc.size, bench.dir.path().join("pong.sock"));
    let args = ["pong", &path.display().to_string(), &request.len().to_string(), &size.to_string()];
    let mut floor = Floor::start(&bench.floors.fixed, &args)?;
    ensure!(floor.hear()? == "ready\n", "the floor does not listen");
    let calls = bench.options.pick(4000, 400);
    for connections in CONNECTIONS {
        let names = |name: fn(usize, &str) -> String| vec![name(connections, "µs"), name(connections, "/s")];
        let (socket, request) = (server.socket.clone(), request.clone());
        let bytes = request.clone();
        rounds.add_many(names(call_name), move || {
            let open = |socket: &Path| Ok(Call(Rpc::connect(socket)?, request.clone()));
            let mut peers = (0..connections).map(|_| open(&socket)).collect::<Result<Vec<_>>>()?;
            drive(&mut peers, calls)
        });
        let path = path.clone();
        rounds.add_many(names(floor_name), move || {
            let open = || Ok(Bytes(UnixStream::connect(&path)?, bytes.clone(), vec![0; size]));
            let mut peers = (0..connections).map(|_| open()).collect::<Result<Vec<_>>>()?;
            drive(&mut peers, calls)
        });
    }
    Ok(floor)
}
