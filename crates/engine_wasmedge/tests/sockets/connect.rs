//! Guests that connect.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use engine::{Connect, Network};

use crate::guest::{Left, connecting, run, start};

/// Says `ping` to who connects, and hears an answer of 4 bytes.
fn server() -> (u16, JoinHandle<[u8; 4]>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    let served = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        // Long enough that a guest that blocks has to wait for it.
        thread::sleep(Duration::from_millis(30));
        stream.write_all(b"ping").expect("it takes it");
        let mut heard = [0; 4];
        stream.read_exact(&mut heard).expect("it answers");
        heard
    });
    (port, served)
}

/// Connects to the address at 0, hears 4 bytes and says them again.
const ANSWER: &str = "
    (local.set $c (call $socket (i32.const 2)))
    (call $ok (call $connect (local.get $c) (i32.const 0) PORT) (i32.const 20))
    (call $want (call $recv (local.get $c)) (i32.const 4) (i32.const 21))
    (call $send (local.get $c) (i32.const 4))
    (call $ok (call $close (local.get $c)) (i32.const 22))";

#[test]
fn what_is_not_listed_is_refused_with_a_word() {
    let body = start(81, ANSWER);
    let said = "hero_runner: this session may not connect to 127.0.0.1:81; permissions.net has to list it\n";
    let refused = Left::with(20_002, said);
    assert_eq!(run(&body, &Network::default()), refused);
    assert_eq!(run(&body, &connecting("127.0.0.1", 80)), refused);
    assert_eq!(run(&body, &connecting("192.0.2.1", 0)), refused);
}

#[test]
fn what_is_listed_is_reached() {
    for host in ["127.0.0.1", "localhost"] {
        for any in [true, false] {
            let (port, heard) = server();
            let network = connecting(host, if any { 0 } else { port });
            assert_eq!(run(&start(port, ANSWER), &network), Left::quietly(), "{host}");
            assert_eq!(&heard.join().unwrap(), b"ping");
        }
    }
    let (port, heard) = server();
    let network = Network { listeners: Vec::new(), connect: Connect::Anything };
    assert_eq!(run(&start(port, ANSWER), &network), Left::quietly());
    assert_eq!(&heard.join().unwrap(), b"ping");
}

/// Looks up NAME (9 bytes at 300) and `http` as the crate `wasmedge_wasi_socket` does, with places for two results, and
/// puts the first address where the others find it.
const LOOK_UP: &str = r#"
    (i32.store8 (i32.const 332) (i32.const 0)) (i32.store8 (i32.const 334) (i32.const 1))
    (i32.store8 (i32.const 335) (i32.const 2))
    (i32.store (i32.const 360) (i32.const 400))
    (i32.store (i32.const 412) (i32.const 500)) (i32.store (i32.const 424) (i32.const 440))
    (i32.store (i32.const 504) (i32.const 14)) (i32.store (i32.const 508) (i32.const 600))
    (i32.store (i32.const 452) (i32.const 520)) (i32.store (i32.const 464) (i32.const 0))
    (i32.store (i32.const 524) (i32.const 14)) (i32.store (i32.const 528) (i32.const 640))
    (call $ok (call $getaddrinfo (i32.const 300) (i32.const 10) (i32.const 320) (i32.const 5) (i32.const 332)
      (i32.const 360) (i32.const 2) (i32.const 364)) (i32.const 30))
    (call $want (i32.load (i32.const 364)) (i32.const 1) (i32.const 31))
    (call $want (i32.load8_u (i32.const 402)) (i32.const 1) (i32.const 32))
    (call $want (i32.load (i32.const 408)) (i32.const 16) (i32.const 33))
    (call $want (i32.load16_u (i32.const 600)) (i32.const 0x5000) (i32.const 34))
    (i32.store (i32.const 16) (i32.load (i32.const 602)))"#;

fn looking_up(name: &str, port: u16) -> String {
    let texts = format!(r#"(data (i32.const 300) "{name}\00") (data (i32.const 320) "http\00")"#);
    format!("{texts} {}", start(port, &format!("{LOOK_UP} {ANSWER}")))
}

#[test]
fn a_name_that_is_listed_is_looked_up_and_reached() {
    let (port, heard) = server();
    assert_eq!(run(&looking_up("localhost", port), &connecting("localhost", port)), Left::quietly());
    assert_eq!(&heard.join().unwrap(), b"ping");
}

#[test]
fn a_name_that_is_not_listed_is_not_even_looked_up() {
    let said = "hero_runner: this session may not look up other.org; permissions.net has to list it\n";
    let left = run(&looking_up("other.org", 80), &connecting("localhost", 80));
    assert_eq!(left, Left::with(30_002, said));
}

#[test]
fn who_does_not_block_learns_later_whether_it_is_connected() {
    let (port, heard) = server();
    // In progress, or done: this machine is near.
    let body = start(
        port,
        "(local.set $c (call $socket (i32.const 2)))
         (call $ok (call $flags (local.get $c) (i32.const 4)) (i32.const 20))
         (local.set $n (call $connect (local.get $c) (i32.const 0) PORT))
         (if (i32.ne (local.get $n) (i32.const 26)) (then (call $ok (local.get $n) (i32.const 21))))
         (drop (call $wait (local.get $c) (i32.const 2)))
         (i32.store (i32.const 260) (i32.const 4))
         (call $ok (call $getsockopt (local.get $c) (i32.const 0) (i32.const 2) (i32.const 256) (i32.const 260))
           (i32.const 22))
         (call $ok (i32.load (i32.const 256)) (i32.const 23))
         (call $want (call $sock_recv (local.get $c) (i32.const 48) (i32.const 1) (i32.const 0) (i32.const 40)
           (i32.const 44)) (i32.const 6) (i32.const 24))
         (drop (call $wait (local.get $c) (i32.const 1)))
         (call $want (call $recv (local.get $c)) (i32.const 4) (i32.const 25))
         (call $send (local.get $c) (i32.const 4))",
    );
    assert_eq!(run(&body, &connecting("127.0.0.1", port)), Left::quietly());
    assert_eq!(&heard.join().unwrap(), b"ping");
}

#[test]
fn where_nobody_listens_the_guest_is_told() {
    let free = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("it has one").port();
    let left = run(&start(free, ANSWER), &connecting("127.0.0.1", free));
    assert_eq!(left, Left::with(20_014, ""));
}

#[test]
fn a_call_that_may_wait_sends_everything_and_can_receive_everything() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it has one").port();
    let heard = thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("somebody connects");
        thread::sleep(Duration::from_millis(30));
        let mut heard = vec![0; 240 << 16];
        stream.read_exact(&mut heard).expect("all of it comes");
        for _ in 0..4 {
            stream.write_all(&[7; 16]).expect("it takes it");
            thread::sleep(Duration::from_millis(5));
        }
        stream.read(&mut [0]).expect("its end")
    });
    // 15 MiB, more than the kernel keeps for a socket; then two buffers of 32 bytes that are to be filled.
    let body = start(
        port,
        "(drop (memory.grow (i32.const 2)))
         (local.set $c (call $socket (i32.const 2)))
         (call $ok (call $connect (local.get $c) (i32.const 0) PORT) (i32.const 20))
         (local.set $n (i32.const 240))
         (loop $again
           (call $send (local.get $c) (i32.const 65536))
           (call $want (i32.load (i32.const 40)) (i32.const 65536) (i32.const 21))
           (local.set $n (i32.sub (local.get $n) (i32.const 1)))
           (br_if $again (local.get $n)))
         (i32.store (i32.const 52) (i32.const 32))
         (i32.store (i32.const 56) (i32.const 2048))
         (i32.store (i32.const 60) (i32.const 32))
         (call $ok (call $sock_recv (local.get $c) (i32.const 48) (i32.const 2) (i32.const 2) (i32.const 40)
           (i32.const 44)) (i32.const 22))
         (call $want (i32.load (i32.const 40)) (i32.const 64) (i32.const 23))
         (call $want (i32.load8_u (i32.const 2079)) (i32.const 7) (i32.const 24))
         (call $ok (call $close (local.get $c)) (i32.const 25))",
    );
    assert_eq!(run(&body, &connecting("127.0.0.1", port)), Left::quietly());
    assert_eq!(heard.join().unwrap(), 0);
}

/// Asks over UDP and wants an answer of 3 bytes, from the port that it asked.
const ASK: &str = "
    (local.set $c (call $socket (i32.const 1)))
    (call $ok (call $bind (local.get $c) (i32.const 0) (i32.const 0)) (i32.const 20))
    (i32.store (i32.const 52) (i32.const 4))
    (call $ok (call $send_to (local.get $c) (i32.const 48) (i32.const 1) (i32.const 0) PORT (i32.const 0)
      (i32.const 40)) (i32.const 21))
    (i32.store (i32.const 52) (i32.const 4096))
    (i32.store (i32.const 256) (i32.const 300))
    (i32.store (i32.const 260) (i32.const 128))
    (call $ok (call $recv_from (local.get $c) (i32.const 48) (i32.const 1) (i32.const 256) (i32.const 0)
      (i32.const 264) (i32.const 40) (i32.const 44)) (i32.const 22))
    (call $want (i32.load (i32.const 40)) (i32.const 3) (i32.const 23))
    (call $want (i32.load (i32.const 264)) PORT (i32.const 24))
    (call $want (i32.load16_u (i32.const 300)) (i32.const 1) (i32.const 25))";

#[test]
fn datagrams_go_to_what_is_listed_and_come_from_there() {
    let (server, stranger) =
        (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let port = server.local_addr().unwrap().port();
    let served = thread::spawn(move || {
        let mut buffer = [0; 16];
        let (len, guest) = server.recv_from(&mut buffer).expect("it asks");
        stranger.send_to(b"from somebody else", guest).expect("it can");
        server.send_to(b"yes", guest).expect("it can");
        len
    });
    assert_eq!(run(&start(port, ASK), &connecting("127.0.0.1", port)), Left::quietly());
    assert_eq!(served.join().unwrap(), 4);
    let said = "hero_runner: this session may not connect to 127.0.0.1:53; permissions.net has to list it\n";
    assert_eq!(run(&start(53, ASK), &connecting("127.0.0.1", port)), Left::with(21_002, said));
}

#[test]
fn nobody_listens_for_datagrams() {
    let body = start(
        53,
        "(local.set $c (call $socket (i32.const 1)))
         (call $ok (call $bind (local.get $c) (i32.const 0) PORT) (i32.const 20))",
    );
    let said = "hero_runner: this session may not listen on UDP port 53; it was given no port\n";
    assert_eq!(run(&body, &Network::default()), Left::with(20_002, said));
}

#[test]
fn an_option_can_be_set_before_there_is_a_connection() {
    let (port, heard) = server();
    // SO_KEEPALIVE; SO_ACCEPTCONN is none that can be set.
    let body = start(
        port,
        "(local.set $c (call $socket (i32.const 2)))
         (i32.store (i32.const 256) (i32.const 1))
         (i32.store (i32.const 264) (i32.const 4))
         (call $ok (call $setsockopt (local.get $c) (i32.const 0) (i32.const 7) (i32.const 256) (i32.const 4))
           (i32.const 20))
         (call $want (call $setsockopt (local.get $c) (i32.const 0) (i32.const 13) (i32.const 256) (i32.const 4))
           (i32.const 50) (i32.const 21))
         (call $ok (call $connect (local.get $c) (i32.const 0) PORT) (i32.const 22))
         (call $ok (call $getsockopt (local.get $c) (i32.const 0) (i32.const 7) (i32.const 260) (i32.const 264))
           (i32.const 23))
         (call $want (i32.load (i32.const 260)) (i32.const 1) (i32.const 24))
         (call $want (call $recv (local.get $c)) (i32.const 4) (i32.const 25))
         (call $send (local.get $c) (i32.const 4))",
    );
    assert_eq!(run(&body, &connecting("127.0.0.1", port)), Left::quietly());
    assert_eq!(&heard.join().unwrap(), b"ping");
}
