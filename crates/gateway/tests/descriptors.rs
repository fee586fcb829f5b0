//! A process without a descriptor left. In a process of its own, because the limit is the process's.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use gateway::{Gateway, Routes, Settings};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn ask(stream: &mut TcpStream) -> String {
    stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a timeout");
    // Who is turned away may not be there any more when it asks.
    let _ = stream.write_all(b"GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("a text")
}

#[test]
fn a_client_is_told_and_later_ones_are_served() {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(128), ..limit }).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let settings = Settings { tcp: Some(SocketAddr::from(([127, 0, 0, 1], 0))), ..Settings::default() };
    let gateway = runtime.block_on(Gateway::bind(settings, Routes::default())).unwrap();
    let address = gateway.tcp_address().unwrap();
    let counters = gateway.counters();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let serving = std::thread::spawn(move || {
        runtime.block_on(async {
            let serve = gateway.serve(async {
                let _ = stopped.await;
            });
            ready.send(()).expect("somebody waits");
            serve.await;
        });
    });
    is_ready.recv().unwrap();
    assert!(ask(&mut TcpStream::connect(address).unwrap()).contains("no_such_service"));

    while counters.open_connections() > 0 {
        std::thread::yield_now();
    }
    let mut held: Vec<File> = Vec::new();
    while let Ok(file) = File::open("/dev/null") {
        held.push(file);
    }
    // One for the client; for the gateway's side of it there is none.
    held.pop();
    let mut client = TcpStream::connect(address).unwrap();
    assert!(ask(&mut client).contains("too_many_connections"));
    drop((client, held));
    assert!(ask(&mut TcpStream::connect(address).unwrap()).contains("no_such_service"));
    drop(stop);
    serving.join().unwrap();
}
