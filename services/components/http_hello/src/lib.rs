//! A handler that is a `wasi:http` component. `/` says hello; the other paths show what such a handler can do, and what
//! becomes of one that does not behave.

mod body;
mod fetch;

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use wasip2::clocks::monotonic_clock;
use wasip2::http::types::{Fields, IncomingRequest, OutgoingResponse, ResponseOutparam};

use body::Answer;

struct Hello;

wasip2::http::proxy::export!(Hello);

/// Requests that this memory has seen.
static SEEN: AtomicU32 = AtomicU32::new(0);

impl wasip2::exports::http::incoming_handler::Guest for Hello {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let seen = SEEN.fetch_add(1, Ordering::Relaxed) + 1;
        let target = request.path_with_query().unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((&target, ""));
        match path {
            "/" => text(out, "hello, world\n"),
            "/count" => text(out, &format!("{seen}\n")),
            "/echo" => body::echo(&request, Answer::begin(out, 200, &[])),
            "/request" => text(out, &shown(&request)),
            "/status" => {
                let code = number(query, "code").unwrap_or(200);
                let code = u16::try_from(code).unwrap_or(500);
                Answer::begin(out, code, &[("x-asked", query)]).end();
            }
            "/stream" => body::stream(Answer::begin(out, 200, &[]), number(query, "bytes").unwrap_or(0)),
            "/delay" => {
                wait(number(query, "ms").unwrap_or(0));
                text(out, "late\n");
            }
            "/after" => {
                text(out, &format!("{seen}\n"));
                wait(number(query, "ms").unwrap_or(0));
                eprintln!("and done");
            }
            "/drip" => drip(out, number(query, "ms").unwrap_or(10)),
            "/fetch" => fetch::fetch(query.strip_prefix("url=").unwrap_or_default(), out),
            "/print" => {
                println!("to standard output");
                eprintln!("to standard error");
                text(out, "printed\n");
            }
            "/environment" => {
                let all: String = std::env::vars().map(|(name, value)| format!("{name}={value}\n")).collect();
                text(out, &all);
            }
            "/trap" => panic!("as asked"),
            "/trap-late" => {
                let answer = Answer::begin(out, 200, &[]);
                answer.write(b"the beginning\n");
                panic!("as asked, in the middle");
            }
            "/trap-after" => {
                text(out, "all of it\n");
                panic!("as asked, at the end");
            }
            "/exit" => std::process::exit(3),
            "/silent" => {}
            "/spin" => loop {
                std::hint::black_box(0);
            },
            "/grow" => {
                let mut all = Vec::new();
                loop {
                    all.push(std::hint::black_box(vec![1_u8; 1 << 20]));
                }
            }
            _ => {
                let answer = Answer::begin(out, 404, &[]);
                answer.write(b"there is no such path\n");
                answer.end();
            }
        }
    }
}

fn text(out: ResponseOutparam, text: &str) {
    let answer = Answer::begin(out, 200, &[("content-type", "text/plain")]);
    answer.write(text.as_bytes());
    answer.end();
}

/// A line a moment, until the client has gone away.
fn drip(out: ResponseOutparam, ms: u64) {
    let answer = Answer::begin(out, 200, &[]);
    while answer.write(b"drip\n") {
        wait(ms);
    }
}

fn wait(ms: u64) {
    let ns = u64::try_from(Duration::from_millis(ms).as_nanos()).unwrap_or(u64::MAX);
    monotonic_clock::subscribe_duration(ns).block();
}

/// What a guest sees of a request.
fn shown(request: &IncomingRequest) -> String {
    let mut text = format!(
        "method {:?}\npath {}\nauthority {}\n",
        request.method(),
        request.path_with_query().unwrap_or_default(),
        request.authority().unwrap_or_default()
    );
    for (name, value) in request.headers().entries() {
        text.push_str(&format!("header {name}: {}\n", String::from_utf8_lossy(&value)));
    }
    text
}

/// The number that a query gives a name.
fn number(query: &str, name: &str) -> Option<u64> {
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')?.parse().ok())
}

/// The head of an answer.
fn head(code: u16, fields: &[(&str, &str)]) -> OutgoingResponse {
    let headers = Fields::new();
    for (name, value) in fields {
        // What cannot be a field is left out.
        let _ = headers.append(name, value.as_bytes());
    }
    let response = OutgoingResponse::new(headers);
    // What cannot be a status stays 200.
    let _ = response.set_status_code(code);
    response
}
