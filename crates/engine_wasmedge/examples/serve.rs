//! Runs a guest that answers HTTP on the port in `PORT`, asks it from many connections that stay open, and says how
//! often it answered: `serve MODULE PATH [interpreted|compiled] [CONNECTIONS] [SECONDS] [tcp|unix]`.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::exit;
use std::time::{Duration, Instant};

use engine::{Code, Connect, Engine, Listener, Network, Output, Run, Stdio};
use engine_wasmedge::WasmEdge;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

type Failure = Box<dyn std::error::Error + Send + Sync>;

struct Terminal;

impl Stdio for Terminal {
    fn write(&mut self, _: Output, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        io::stderr().write_vectored(slices)
    }

    fn read(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(0)
    }

    fn random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        sys::random::fill(buffer)
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().collect();
    let argument = |at: usize, default: &str| arguments.get(at).map_or(default.to_owned(), Clone::clone);
    let (module, path) = (argument(1, "hello.wasm"), argument(2, "/hello"));
    let (compiled, unix) = (argument(3, "interpreted") == "compiled", argument(6, "tcp") == "unix");
    let (connections, seconds) = (argument(4, "64").parse()?, argument(5, "5").parse()?);

    let mut engine = WasmEdge::default();
    let folder = tempfile::tempdir()?;
    let (artifact, socket) = (folder.path().join("module.so"), folder.path().join("socket"));
    if compiled {
        engine.compile(Path::new(&module), &artifact)?;
    }
    let (tcp, beside) = (TcpListener::bind("127.0.0.1:0")?, UnixListener::bind(&socket)?);
    tcp.set_nonblocking(true)?;
    beside.set_nonblocking(true)?;
    let address = tcp.local_addr()?;
    let sockets: Vec<OwnedFd> = vec![tcp.into(), beside.into()];
    let listeners = vec![Listener { port: address.port(), sockets }];
    let network = Network { listeners, connect: Connect::Nothing };

    std::thread::spawn(move || {
        let asked = match unix {
            true => ask(
                connections,
                seconds,
                &path,
                || UnixStream::connect(&socket),
                |one| one.set_nonblocking(true),
            ),
            false => ask(
                connections,
                seconds,
                &path,
                || TcpStream::connect(address),
                |one| one.set_nonblocking(true),
            ),
        };
        // The guest would go on for ever.
        exit(match asked {
            Ok(said) => {
                println!("{said}");
                0
            }
            Err(error) => {
                eprintln!("{error}");
                1
            }
        });
    });
    let code = Code { path: if compiled { &artifact } else { Path::new(&module) }, compiled };
    let (args, env) = (["guest".to_owned()], [format!("PORT={}", address.port())]);
    let run = Run { args: &args, env: &env, max_pages: 1024, network: Some(&network), ..Run::default() };
    Err(format!("the guest left: {:?}", engine.run(code, &run, &mut Terminal)).into())
}

/// Asks on all connections at once, each again as soon as it has its answer.
fn ask<S: Read + Write + AsFd>(
    connections: usize,
    seconds: u64,
    path: &str,
    connect: impl Fn() -> io::Result<S>,
    nonblocking: impl Fn(&S) -> io::Result<()>,
) -> Result<String, Failure> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: guest\r\n\r\n");
    let mut streams = Vec::new();
    let mut expected = 0;
    for _ in 0..connections {
        let mut stream = connect()?;
        // The first answer says how long they all are.
        stream.write_all(request.as_bytes())?;
        expected = stream.read(&mut [0; 65536])?;
        nonblocking(&stream)?;
        streams.push((stream, 0, Instant::now()));
    }
    let mut times = Vec::new();
    let begin = Instant::now();
    for (stream, _, asked) in &mut streams {
        *asked = Instant::now();
        stream.write_all(request.as_bytes())?;
    }
    while begin.elapsed() < Duration::from_secs(seconds) {
        let mut fds: Vec<PollFd<'_>> =
            streams.iter().map(|(stream, ..)| PollFd::new(stream.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut fds, PollTimeout::NONE)?;
        let ready: Vec<bool> = fds.iter().map(|fd| fd.any().unwrap_or(false)).collect();
        for ((stream, had, asked), _) in streams.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            match stream.read(&mut [0; 65536])? {
                0 => return Err("a connection was closed".into()),
                more => *had += more,
            }
            if *had >= expected {
                times.push(asked.elapsed());
                (*had, *asked) = (0, Instant::now());
                stream.write_all(request.as_bytes())?;
            }
        }
    }
    times.sort_unstable();
    let rate = times.len() as f64 / begin.elapsed().as_secs_f64();
    let at = |part: usize| times.get(times.len() * part / 100).copied().unwrap_or_default();
    Ok(format!(
        "{connections} connections: {rate:.0} requests/s, half in {:?}, 99 of 100 in {:?}",
        at(50),
        at(99)
    ))
}
