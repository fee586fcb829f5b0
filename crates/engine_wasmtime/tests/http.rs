//! A component that serves HTTP on one connection, run as a worker runs it. The guest is `services/components/http_hello`.

use std::io::{self, IoSlice, IoSliceMut, Read as _, Write as _};
use std::net::TcpListener;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use engine::{Code, Connect, Destination, Ending, Engine as _, Entry, Network, Output, Run, Stdio};
use engine_wasmtime::Wasmtime;

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(30);

/// The guest, compiled once for all tests.
fn artifact() -> &'static Path {
    static ARTIFACT: OnceLock<PathBuf> = OnceLock::new();
    ARTIFACT.get_or_init(|| {
        let folder = std::env::var_os("HERO_RUNNER_SERVICES_DIR").map_or_else(
            || {
                Path::new(env!("CARGO_MANIFEST_DIR"))
                    .join("../../services/components/target/wasm32-wasip2/release")
            },
            PathBuf::from,
        );
        let guest = folder.join("http_hello.wasm");
        assert!(guest.is_file(), "{} is not built: scripts/components.sh builds it", guest.display());
        let artifact = std::env::temp_dir().join(format!("http_hello-{}.cwasm", std::process::id()));
        Wasmtime::default().compile(&guest, &artifact).expect("the test's own side works");
        artifact
    })
}

/// The streams of a session that serves.
struct Streams {
    connection: UnixStream,
    log: Arc<Mutex<String>>,
}

impl Stdio for Streams {
    fn write(&mut self, _: Output, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let text: String = slices.iter().map(|slice| String::from_utf8_lossy(slice)).collect();
        self.log.lock().expect("the test's own side works").push_str(&text);
        Ok(slices.iter().map(|slice| slice.len()).sum())
    }

    fn read(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        Ok(0)
    }

    fn stdin_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.connection.as_fd())
    }

    fn random(&mut self, buffer: &mut [u8]) -> io::Result<()> {
        buffer.fill(7);
        Ok(())
    }
}

/// A guest that serves, in a thread of its own.
struct Served {
    connection: UnixStream,
    run: JoinHandle<Ending>,
    log: Arc<Mutex<String>>,
}

impl Served {
    fn start(max_requests: u32, timeout: Duration, connect: Connect) -> Self {
        let artifact = artifact();
        let (connection, theirs) = UnixStream::pair().expect("the test's own side works");
        connection.set_read_timeout(Some(LONG)).expect("the test's own side works");
        let log = Arc::<Mutex<String>>::default();
        let mut streams = Streams { connection: theirs, log: Arc::clone(&log) };
        let run = std::thread::spawn(move || {
            let network = Network { listeners: Vec::new(), connect };
            let run = Run {
                args: &["guest".to_owned()],
                max_pages: 256,
                network: Some(&network),
                entry: Entry::Serve { max_requests, timeout },
                ..Run::default()
            };
            Wasmtime::default().run(Code { path: artifact, compiled: true }, &run, &mut streams)
        });
        Self { connection, run, log }
    }

    /// One for one request.
    fn once() -> Self {
        Self::start(1, LONG, Connect::Nothing)
    }

    fn send(&mut self, text: &str) {
        self.connection.write_all(text.as_bytes()).expect("the test's own side works");
    }

    fn get(&mut self, path: &str) {
        self.send(&format!("GET {path} HTTP/1.1\r\nhost: example.org\r\n\r\n"));
    }

    /// Reads until the answer ends as this does.
    fn until(&mut self, end: &str) -> String {
        let mut all = Vec::new();
        while !all.ends_with(end.as_bytes()) {
            let mut piece = [0; 4096];
            let count = self.connection.read(&mut piece).expect("the test's own side works");
            assert!(count > 0, "it ended with {:?}", String::from_utf8_lossy(&all));
            all.extend_from_slice(&piece[..count]);
        }
        String::from_utf8(all).expect("the test's own side works")
    }

    /// Reads to the end; what came, how the run ended, and its log.
    fn end(mut self) -> (String, Ending, String) {
        let mut all = Vec::new();
        // A connection that is cut may be reset.
        let _ = self.connection.read_to_end(&mut all);
        drop(self.connection);
        let ending = self.run.join().expect("the test's own side works");
        let log = self.log.lock().expect("the test's own side works").clone();
        (String::from_utf8(all).expect("the test's own side works"), ending, log)
    }
}

/// The end of a body in chunks.
const END: &str = "\r\n0\r\n\r\n";

fn trap(ending: &Ending) -> &'static str {
    match ending {
        Ending::Trapped { trap, .. } => trap,
        other => panic!("it did not trap: {other:?}"),
    }
}

#[test]
fn a_request_is_answered_and_the_run_is_over() {
    let mut guest = Served::once();
    guest.get("/");
    let (answer, ending, _) = guest.end();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.contains("connection: close\r\n") && answer.contains("hello, world\n"), "{answer}");
    assert_eq!(ending, Ending::Exited(0));
}

#[test]
fn the_guest_sees_the_request_as_it_was_sent() {
    let mut guest = Served::once();
    guest.send("PURGE /request?a=%20b HTTP/1.1\r\nhost: example.org:81\r\nx-own: one\r\nx-own: two\r\n\r\n");
    let (answer, ..) = guest.end();
    for line in
        ["Other(\"PURGE\")", "path /request?a=%20b", "authority example.org:81", "x-own: one", "x-own: two"]
    {
        assert!(answer.contains(line), "{line} is not in {answer}");
    }
}

#[test]
fn memory_lasts_from_request_to_request_and_the_last_one_closes() {
    let mut guest = Served::start(3, LONG, Connect::Nothing);
    for count in 1..3 {
        guest.get("/count");
        let answer = guest.until(END);
        assert!(answer.contains(&format!("\r\n{count}\n")) && !answer.contains("connection:"), "{answer}");
    }
    guest.get("/count");
    let (answer, ending, _) = guest.end();
    assert!(answer.contains("\r\n3\n") && answer.contains("connection: close"), "{answer}");
    assert_eq!(ending, Ending::Exited(0));
}

#[test]
fn what_a_guest_does_after_its_answer_is_not_cut_short() {
    let mut guest = Served::start(2, LONG, Connect::Nothing);
    for count in 1..=2 {
        // The second comes before the call for the first has returned.
        guest.get("/after?ms=100");
        let answer = guest.until(END);
        assert!(answer.contains(&format!("\r\n{count}\n")), "{answer}");
    }
    let (_, ending, log) = guest.end();
    assert_eq!((ending, log.matches("and done").count()), (Ending::Exited(0), 2));
}

#[test]
fn a_connection_that_is_closed_ends_the_run() {
    let mut guest = Served::start(3, LONG, Connect::Nothing);
    guest.get("/count");
    guest.until(END);
    assert_eq!(guest.end().1, Ending::Exited(0));
    // In the middle of an answer, too.
    let mut guest = Served::start(3, LONG, Connect::Nothing);
    guest.get("/drip?ms=1");
    guest.until("drip\n\r\n");
    drop(guest.connection);
    assert_eq!(guest.run.join().unwrap(), Ending::Exited(0));
}

#[test]
fn bodies_go_in_and_out_while_they_come() {
    let mut guest = Served::once();
    guest.send("POST /echo HTTP/1.1\r\nhost: a\r\ncontent-length: 8\r\n\r\nabcd");
    guest.until("4\r\nabcd\r\n");
    guest.send("efgh");
    assert!(guest.end().0.contains("4\r\nefgh\r\n0\r\n\r\n"));
    let mut guest = Served::once();
    guest.get("/stream?bytes=3000000");
    let (answer, ending, _) = guest.end();
    assert_eq!(answer.matches('x').count(), 3_000_000);
    assert!(answer.ends_with(END));
    assert_eq!(ending, Ending::Exited(0));
}

#[test]
fn a_guest_that_traps_answers_nothing_or_breaks_off() {
    let mut guest = Served::start(5, LONG, Connect::Nothing);
    guest.get("/trap");
    let (answer, ending, log) = guest.end();
    assert_eq!((answer.as_str(), trap(&ending)), ("", "unreachable"));
    assert!(log.contains("as asked"), "{log}");
    let mut guest = Served::start(5, LONG, Connect::Nothing);
    guest.get("/trap-late");
    let (answer, ending, _) = guest.end();
    assert!(answer.contains("the beginning") && !answer.ends_with(END), "{answer}");
    assert_eq!(trap(&ending), "unreachable");
    // What was said whole is delivered whole.
    let mut guest = Served::start(5, LONG, Connect::Nothing);
    guest.get("/trap-after");
    let (answer, ending, _) = guest.end();
    assert!(answer.contains("all of it\n") && answer.ends_with(END), "{answer}");
    assert_eq!(trap(&ending), "unreachable");
    let mut guest = Served::start(5, LONG, Connect::Nothing);
    guest.get("/exit");
    let (answer, ending, _) = guest.end();
    // WASI 0.2 tells only whether an end is good.
    assert_eq!((answer.as_str(), ending), ("", Ending::Exited(1)));
}

#[test]
fn a_guest_that_does_not_answer_is_told_from_one_that_is_late() {
    let mut guest = Served::start(5, LONG, Connect::Nothing);
    guest.get("/silent");
    let (answer, ending, _) = guest.end();
    assert_eq!((answer.as_str(), trap(&ending)), ("", "no_answer"));
    for path in ["/delay?ms=60000", "/spin"] {
        let mut guest = Served::start(5, Duration::from_millis(200), Connect::Nothing);
        guest.get(path);
        let (answer, ending, _) = guest.end();
        assert_eq!((answer.as_str(), trap(&ending)), ("", "interrupted"), "{path}");
    }
    // What it had said until then was said.
    let mut guest = Served::start(5, Duration::from_millis(500), Connect::Nothing);
    guest.get("/drip?ms=1");
    let (answer, ending, _) = guest.end();
    assert!(answer.contains("drip\n") && !answer.ends_with(END), "{answer}");
    assert_eq!(trap(&ending), "interrupted");
}

#[test]
fn requests_of_the_guest_go_where_it_may_connect() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = [0; 4096];
        let count = stream.read(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 203 Other\r\ncontent-length: 3\r\n\r\nhey").unwrap();
        String::from_utf8_lossy(&head[..count]).into_owned()
    });
    let url = format!("http://127.0.0.1:{port}/a?b");
    let others = Connect::Listed(vec![Destination { host: "127.0.0.1".to_owned(), port: port ^ 1 }]);
    for connect in [Connect::Nothing, others] {
        let mut guest = Served::start(1, LONG, connect);
        guest.get(&format!("/fetch?url={url}"));
        let (answer, _, log) = guest.end();
        assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("HttpRequestDenied"), "{answer}");
        assert!(log.contains(&format!("permission 127.0.0.1:{port}: may not connect")), "{log}");
    }
    let listed = Connect::Listed(vec![Destination { host: "localhost".to_owned(), port }]);
    let mut guest = Served::start(1, LONG, listed);
    guest.get(&format!("/fetch?url={url}"));
    let (answer, ..) = guest.end();
    assert!(answer.starts_with("HTTP/1.1 203") && answer.contains("hey"), "{answer}");
    let asked = answering.join().unwrap();
    assert!(asked.starts_with("GET /a?b HTTP/1.1\r\n"), "{asked}");
    assert!(asked.contains(&format!("host: 127.0.0.1:{port}\r\n")), "{asked}");
}

#[test]
fn https_wants_a_certificate_that_it_knows() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let greeted = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut hello = [0; 3];
        stream.read_exact(&mut hello).unwrap();
        hello
    });
    let mut guest = Served::start(1, LONG, Connect::Anything);
    guest.get(&format!("/fetch?url=https://127.0.0.1:{port}/"));
    let (answer, ..) = guest.end();
    assert!(answer.starts_with("HTTP/1.1 502") && answer.contains("TlsProtocolError"), "{answer}");
    // A handshake record of TLS.
    assert_eq!(greeted.join().unwrap()[..2], [22, 3]);
}
