//! What load is made on: nginx, which answers at once, and a server that takes a few milliseconds for each answer.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::bench::gateway::child::{Daemon, free_address, listens};
use crate::bench::gateway::debian::Program;
use crate::bench::gateway::nginx::configuration;
use crate::bench::rounds::random;

/// What both answer.
pub(crate) const TEXT: &str = "hello, world\n";

/// An nginx with one worker that answers from its configuration.
#[derive(Debug)]
pub(crate) struct Quick {
    _daemon: Daemon,
    pub(crate) address: SocketAddr,
}

impl Quick {
    /// Starts one, everything of it in this folder.
    pub(crate) fn start(dir: &Path) -> Result<Self> {
        std::fs::create_dir_all(dir)?;
        let (program, address) = (Program::find("nginx")?, free_address()?);
        let answer = "default_type text/plain; location / { return 200 \"hello, world\\n\"; }";
        let server = format!("  server {{ listen {address} backlog=4096; {answer} }}\n");
        std::fs::write(dir.join("nginx.conf"), configuration("1", &server)?)?;
        let mut command = program.command();
        command.arg("-p").arg(dir).args(["-c", "nginx.conf", "-e", "stderr"]);
        let serves = |_: &str| listens(address).then_some(());
        let (daemon, ()) = Daemon::start(&mut command, &dir.join("said"), serves)?;
        Ok(Self { _daemon: daemon, address })
    }
}

/// The shortest wait before an answer, and what it is longer at most. The longest is less than twice the average, so that
/// wrk does not make up requests that would have waited behind a late one.
const WAIT: [u64; 2] = [4000, 4000];

/// Starts the server that takes its time. Its threads end with this process: one for each connection.
pub(crate) fn slow() -> Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // Whose client is gone has nothing left to do.
            thread::spawn(move || answer(stream));
        }
    });
    Ok(address)
}

/// Answers requests without bodies, one after the other, until the client leaves.
fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    stream.set_nodelay(true)?;
    let [least, more] = WAIT;
    let reply = format!(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{TEXT}",
        TEXT.len()
    );
    let (mut buffer, mut have) = ([0; 4096], 0);
    loop {
        match stream.read(&mut buffer[have..])? {
            // It has left, or what it sends is no head.
            0 => return Ok(()),
            got => have += got,
        }
        if buffer[..have].ends_with(b"\r\n\r\n") {
            thread::sleep(Duration::from_micros(least + random(more)));
            stream.write_all(reply.as_bytes())?;
            if memchr::memmem::find(&buffer[..have], b"connection: close").is_some() {
                return Ok(());
            }
            have = 0;
        }
    }
}
