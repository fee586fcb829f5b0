//! Guests that listen.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};

use engine::{Ending, Network};

use crate::guest::{How, Left, listening, run, run_as, start, tcp, unix};

/// Says something to who listens there, and hears what it answers.
fn exchange(mut stream: impl Read + Write, said: &[u8], finish: impl FnOnce()) -> Vec<u8> {
    stream.write_all(said).expect("it takes it");
    finish();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("it answers");
    heard
}

fn over_tcp(port: u16, said: &[u8]) -> Vec<u8> {
    let stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    exchange(&stream, said, || stream.shutdown(Shutdown::Write).expect("it can"))
}

fn over_unix(path: &PathBuf, said: &[u8]) -> Vec<u8> {
    let stream = UnixStream::connect(path).expect("somebody listens");
    exchange(&stream, said, || stream.shutdown(Shutdown::Write).expect("it can"))
}

/// Two ways to one guest: TCP and a Unix socket.
struct Two {
    network: Network,
    port: u16,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

fn two() -> Two {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let (socket, port) = tcp();
    let network = listening(port, vec![socket, unix(&path)]);
    Two { network, port, path, _folder: folder }
}

fn client<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
    thread::spawn(body)
}

#[test]
fn a_guest_binds_its_port_accepts_and_echoes() {
    for how in [How::Interpreted, How::Compiled, How::Prepared] {
        let (socket, port) = tcp();
        let network = listening(port, vec![socket]);
        let heard = client(move || over_tcp(port, b"hello"));
        let body = start(port, "(call $echo (call $accept (call $listen PORT)))");
        assert_eq!(run_as(how, &body, Some(&network)), Left::quietly(), "{how:?}");
        assert_eq!(heard.join().unwrap(), b"hello", "{how:?}");
    }
}

#[test]
fn one_guest_answers_a_unix_socket_beside_its_port() {
    let Two { network, port, path, _folder } = two();
    let heard =
        client(move || [over_unix(&path, b"one"), over_tcp(port, b"two"), over_unix(&path, b"three")]);
    let body = start(
        port,
        "(local.set $l (call $listen PORT))
         (call $echo (call $accept (local.get $l)))
         (call $echo (call $accept (local.get $l)))
         (call $echo (call $accept (local.get $l)))",
    );
    assert_eq!(run(&body, &network), Left::quietly());
    assert_eq!(heard.join().unwrap(), [b"one".to_vec(), b"two".to_vec(), b"three".to_vec()]);
}

#[test]
fn who_does_not_block_polls_and_wakes_for_either_socket() {
    let Two { network, port, path, _folder } = two();
    let heard = client(move || {
        thread::sleep(std::time::Duration::from_millis(50));
        [over_unix(&path, b"one"), over_tcp(port, b"two")]
    });
    // The second connection is accepted as one that does not block.
    let body = start(
        port,
        "(local.set $l (call $listen PORT))
         (call $ok (call $flags (local.get $l) (i32.const 4)) (i32.const 20))
         (call $want (call $sock_accept (local.get $l) (i32.const 32)) (i32.const 6) (i32.const 21))
         (call $want (call $wait (local.get $l) (i32.const 1)) (i32.const 1) (i32.const 22))
         (call $echo (call $accept (local.get $l)))
         (drop (call $wait (local.get $l) (i32.const 1)))
         (call $ok (call $accept3 (local.get $l) (i32.const 4) (i32.const 32)) (i32.const 23))
         (local.set $c (i32.load (i32.const 32)))
         (call $ok (call $stat (local.get $c) (i32.const 256)) (i32.const 24))
         (call $want (i32.load8_u (i32.const 256)) (i32.const 6) (i32.const 25))
         (call $want (i32.load16_u (i32.const 258)) (i32.const 4) (i32.const 26))
         (drop (call $wait (local.get $c) (i32.const 1)))
         (drop (call $wait (local.get $c) (i32.const 2)))
         (call $ok (call $flags (local.get $c) (i32.const 0)) (i32.const 27))
         (call $echo (local.get $c))",
    );
    assert_eq!(run(&body, &network), Left::quietly());
    assert_eq!(heard.join().unwrap(), [b"one".to_vec(), b"two".to_vec()]);
}

#[test]
fn a_port_that_was_not_given_is_refused_with_a_word() {
    let body = start(8080, "(drop (call $listen PORT))");
    let said = "hero_runner: this session may not listen on port 8080; it was given no port\n";
    assert_eq!(run(&body, &Network::default()), Left::with(2002, said));
    let (socket, port) = tcp();
    let said = format!("hero_runner: this session may not listen on port 8080; it was given {port}\n");
    assert_eq!(run(&body, &listening(port, vec![socket])), Left::with(2002, &said));
}

#[test]
fn a_session_without_a_network_has_none_in_a_template_for_one() {
    let body = start(8080, "(drop (call $listen PORT))");
    let left = run_as(How::Prepared, &body, None);
    assert_eq!(left.ending, Ending::Exited(2002));
}

#[test]
fn a_port_is_bound_once_at_a_time_and_shutting_it_down_does_not_close_it() {
    let (socket, port) = tcp();
    let network = listening(port, vec![socket]);
    let heard = client(move || over_tcp(port, b"still there"));
    let body = start(
        port,
        "(local.set $l (call $listen PORT))
         (local.set $c (call $socket (i32.const 2)))
         (call $want (call $bind (local.get $c) (i32.const 0) PORT) (i32.const 3) (i32.const 20))
         (call $want (call $shutdown (local.get $l) (i32.const 3)) (i32.const 53) (i32.const 21))
         (call $ok (call $close (local.get $l)) (i32.const 22))
         (call $ok (call $bind (local.get $c) (i32.const 0) PORT) (i32.const 23))
         (call $echo (call $accept (local.get $c)))",
    );
    assert_eq!(run(&body, &network), Left::quietly());
    assert_eq!(heard.join().unwrap(), b"still there");
}

/// Accepts one connection and sends its own address and the other's: of each the 4 bytes, and the port in 32 bits.
const ADDRESSES: &str = "
    (local.set $l (call $listen PORT))
    (local.set $c (call $accept (local.get $l)))
    (i32.store (i32.const 256) (i32.const 1024))
    (i32.store (i32.const 260) (i32.const 16))
    (call $ok (call $local (local.get $c) (i32.const 256) (i32.const 264) (i32.const 1028)) (i32.const 20))
    (call $want (i32.load (i32.const 264)) (i32.const 4) (i32.const 21))
    (i32.store (i32.const 256) (i32.const 2048))
    (i32.store (i32.const 260) (i32.const 128))
    (call $ok (call $peer (local.get $c) (i32.const 256) (i32.const 1036)) (i32.const 22))
    (call $want (i32.load16_u (i32.const 2048)) (i32.const 1) (i32.const 23))
    (i32.store (i32.const 1032) (i32.load (i32.const 2050)))
    (call $send (local.get $c) (i32.const 16))
    (call $ok (call $close (local.get $c)) (i32.const 24))";

fn address(bytes: &[u8]) -> ([u8; 4], u32) {
    let part = |at: usize| std::array::from_fn(|index| bytes[at + index]);
    (part(0), u32::from_le_bytes(part(4)))
}

#[test]
fn addresses_are_those_of_the_kernel_over_tcp_and_localhost_over_unix() {
    let Two { network, port, path, _folder } = two();
    let heard = client(move || over_unix(&path, b""));
    // What the guest calls its port, it is told.
    assert_eq!(run(&start(port, ADDRESSES), &network), Left::quietly());
    let heard = heard.join().unwrap();
    assert_eq!(address(&heard), ([127, 0, 0, 1], port.into()));
    assert_eq!(address(&heard[8..]), ([127, 0, 0, 1], 0));

    let heard = client(move || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).unwrap();
        (heard, stream.local_addr().unwrap().port())
    });
    assert_eq!(run(&start(port, ADDRESSES), &network), Left::quietly());
    let (heard, own) = heard.join().unwrap();
    assert_eq!(address(&heard), ([127, 0, 0, 1], port.into()));
    assert_eq!(address(&heard[8..]), ([127, 0, 0, 1], own.into()));
}

#[test]
fn a_guest_has_at_most_so_many_sockets() {
    let body = start(
        0,
        "(loop $again
           (drop (call $socket (i32.const 2)))
           (local.set $n (i32.add (local.get $n) (i32.const 1)))
           (br_if $again (i32.lt_u (local.get $n) (i32.const 1024))))
         (call $want (call $open (i32.const 1) (i32.const 2) (i32.const 32)) (i32.const 33) (i32.const 20))
         (call $ok (call $close (i32.load (i32.const 32))) (i32.const 21))
         (drop (call $socket (i32.const 2)))",
    );
    assert_eq!(run(&body, &Network::default()), Left::quietly());
}

#[test]
fn a_timeout_ends_a_wait() {
    let (socket, port) = tcp();
    let network = listening(port, vec![socket]);
    // 50 ms, for accepting and for receiving.
    let body = start(
        port,
        "(i64.store (i32.const 256) (i64.const 0))
         (i64.store (i32.const 264) (i64.const 50000))
         (local.set $l (call $listen PORT))
         (call $ok (call $setsockopt (local.get $l) (i32.const 0) (i32.const 11) (i32.const 256) (i32.const 16))
           (i32.const 20))
         (call $want (call $sock_accept (local.get $l) (i32.const 32)) (i32.const 6) (i32.const 21))
         (i32.store (i32.const 280) (i32.const 16))
         (call $ok (call $getsockopt (local.get $l) (i32.const 0) (i32.const 11) (i32.const 288) (i32.const 280))
           (i32.const 22))
         (call $want (i32.load (i32.const 296)) (i32.const 50000) (i32.const 23))",
    );
    let before = std::time::Instant::now();
    assert_eq!(run(&body, &network), Left::quietly());
    assert!(before.elapsed() >= std::time::Duration::from_millis(50));
}
