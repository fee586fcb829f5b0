//! A guest, what it is given, and what it leaves behind.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixListener;

use engine::{Code, Connect, Destination, Dir, Ending, Engine, Listener, Network, Output, Run, Stdio};
use engine_wasmedge::WasmEdge;

/// What all guests begin with. An address lies at 0, a list of one buffer (1024, 4096 bytes) at 48. A guest leaves with
/// 1000 times the step that failed, and the errno.
const PRELUDE: &str = r#"
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (import "wasi_snapshot_preview1" "sock_open" (func $open (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_bind" (func $bind (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_listen" (func $sock_listen (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $sock_accept (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_accept" (func $accept3 (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_connect" (func $connect (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv"
    (func $sock_recv (param i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_recv_from"
    (func $recv_from (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send" (func $sock_send (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_send_to"
    (func $send_to (param i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_shutdown" (func $shutdown (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_getsockopt"
    (func $getsockopt (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_setsockopt"
    (func $setsockopt (param i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_getlocaladdr"
    (func $local (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_getpeeraddr"
    (func $peer (param i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "sock_getaddrinfo"
    (func $getaddrinfo (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $stat (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_fdstat_set_flags" (func $flags (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\10\00\00\00\04\00\00\00")
  (data (i32.const 16) "\7f\00\00\01")
  (data (i32.const 48) "\00\04\00\00\00\10\00\00")

  ;; Leaves unless the errno is the one that is wanted.
  (func $want (param $errno i32) (param $wanted i32) (param $step i32)
    (if (i32.ne (local.get $errno) (local.get $wanted))
      (then (call $exit (i32.add (i32.mul (local.get $step) (i32.const 1000)) (local.get $errno))))))
  (func $ok (param $errno i32) (param $step i32)
    (call $want (local.get $errno) (i32.const 0) (local.get $step)))
  ;; A socket: of type 1 for datagrams, 2 for a stream.
  (func $socket (param $type i32) (result i32)
    (call $ok (call $open (i32.const 1) (local.get $type) (i32.const 32)) (i32.const 1))
    (i32.load (i32.const 32)))
  (func $listen (param $port i32) (result i32) (local $fd i32)
    (local.set $fd (call $socket (i32.const 2)))
    (call $ok (call $bind (local.get $fd) (i32.const 0) (local.get $port)) (i32.const 2))
    (call $ok (call $sock_listen (local.get $fd) (i32.const 128)) (i32.const 3))
    (local.get $fd))
  (func $accept (param $fd i32) (result i32)
    (call $ok (call $sock_accept (local.get $fd) (i32.const 32)) (i32.const 4))
    (i32.load (i32.const 32)))
  (func $recv (param $fd i32) (result i32)
    (i32.store (i32.const 52) (i32.const 4096))
    (call $ok (call $sock_recv (local.get $fd) (i32.const 48) (i32.const 1) (i32.const 0) (i32.const 40)
      (i32.const 44)) (i32.const 5))
    (i32.load (i32.const 40)))
  (func $send (param $fd i32) (param $len i32)
    (i32.store (i32.const 52) (local.get $len))
    (call $ok (call $sock_send (local.get $fd) (i32.const 48) (i32.const 1) (i32.const 0) (i32.const 40))
      (i32.const 6)))
  ;; Sends back what comes, up to its end.
  (func $echo (param $fd i32) (local $len i32)
    (loop $again
      (if (local.tee $len (call $recv (local.get $fd)))
        (then (call $send (local.get $fd) (local.get $len)) (br $again))))
    (call $ok (call $close (local.get $fd)) (i32.const 7)))
  ;; Waits a second for one descriptor (1 reads, 2 writes); the count of bytes that it says.
  (func $wait (param $fd i32) (param $what i32) (result i32)
    (i64.store (i32.const 64) (i64.const 7))
    (i32.store8 (i32.const 72) (local.get $what))
    (i32.store (i32.const 80) (local.get $fd))
    (i32.store8 (i32.const 120) (i32.const 0))
    (i32.store (i32.const 128) (i32.const 1))
    (i64.store (i32.const 136) (i64.const 1000000000))
    (call $ok (call $poll (i32.const 64) (i32.const 160) (i32.const 2) (i32.const 224)) (i32.const 8))
    (call $want (i32.load (i32.const 224)) (i32.const 1) (i32.const 9))
    (call $want (i32.load8_u (i32.const 170)) (local.get $what) (i32.const 10))
    (call $ok (i32.load16_u (i32.const 168)) (i32.const 11))
    (i32.load (i32.const 176)))
"#;

/// What a guest leaves behind.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) ending: Ending,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Left {
    /// It ended by itself, without a word.
    pub(crate) fn quietly() -> Self {
        Self { ending: Ending::Exited(0), stdout: Vec::new(), stderr: String::new() }
    }

    pub(crate) fn with(ending: i32, stderr: &str) -> Self {
        Self { ending: Ending::Exited(ending), stdout: Vec::new(), stderr: stderr.to_owned() }
    }
}

#[derive(Default)]
struct Terminal {
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Stdio for Terminal {
    fn write(&mut self, output: Output, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        match output {
            Output::Stdout => self.stdout.extend(&bytes),
            Output::Stderr => self.stderr.extend(&bytes),
        }
        Ok(bytes.len())
    }

    fn read(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(0)
    }

    fn random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(4);
        Ok(())
    }
}

/// How a guest comes to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    Interpreted,
    Compiled,
    /// Made ready with no network in particular, and run with one.
    Prepared,
}

/// Runs a guest: the text behind the prelude, with a folder `/data` and this network.
pub(crate) fn run_as(how: How, body: &str, network: Option<&Network>) -> Left {
    let folder = tempfile::tempdir().expect("a folder");
    let (module, artifact) = (folder.path().join("guest.wasm"), folder.path().join("guest.so"));
    let bytes = wat::parse_str(format!("(module {PRELUDE} {body})")).expect("the text is right");
    fs::write(&module, bytes).expect("the module is written");
    let mut engine = WasmEdge::default();
    let compiled = how == How::Compiled;
    if compiled {
        engine.compile(&module, &artifact).expect("it compiles");
    }
    let host = folder.path().to_str().expect("a name");
    let dirs = [Dir { host, guest: "/data", read_only: false }];
    let args = ["guest".to_owned()];
    let run = Run { args: &args, dirs: &dirs, max_pages: 16, network, ..Run::default() };
    let code = Code { path: if compiled { &artifact } else { &module }, compiled };
    let mut terminal = Terminal::default();
    let ending = if how == How::Prepared {
        let empty = Network::default();
        let ready = Run { network: Some(&empty), ..run };
        engine.prepare(code, &ready, &mut terminal).expect("it can be prepared");
        engine.rehearse();
        engine.run_prepared(&run, &mut terminal).expect("it was prepared")
    } else {
        engine.run(code, &run, &mut terminal)
    };
    let stderr = String::from_utf8(terminal.stderr).expect("text");
    Left { ending, stdout: terminal.stdout, stderr }
}

/// Runs a guest with the interpreter.
pub(crate) fn run(body: &str, network: &Network) -> Left {
    run_as(How::Interpreted, body, Some(network))
}

/// A `_start` of these instructions; `PORT` in it is the port.
pub(crate) fn start(port: u16, body: &str) -> String {
    let body = body.replace("PORT", &format!("(i32.const {port})"));
    format!(r#"(func (export "_start") (local $l i32) (local $c i32) (local $n i32) {body})"#)
}

/// A listening socket of this machine, and its port.
pub(crate) fn tcp() -> (OwnedFd, u16) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("it can");
    let port = listener.local_addr().expect("it has one").port();
    (listener.into(), port)
}

/// A listening Unix socket.
pub(crate) fn unix(path: &std::path::Path) -> OwnedFd {
    let listener = UnixListener::bind(path).expect("a place");
    listener.set_nonblocking(true).expect("it can");
    listener.into()
}

/// A network with these sockets behind one port.
pub(crate) fn listening(port: u16, sockets: Vec<OwnedFd>) -> Network {
    Network { listeners: vec![Listener { port, sockets }], connect: Connect::Nothing }
}

/// A network with one place to connect to.
pub(crate) fn connecting(host: &str, port: u16) -> Network {
    let list = vec![Destination { host: host.to_owned(), port }];
    Network { listeners: Vec::new(), connect: Connect::Listed(list) }
}
