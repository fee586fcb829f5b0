//! A handler: one HTTP request per session, as in CGI/1.1 and WAGI. The request is in the environment,
//! its body on standard input; head and body of the answer go to standard output. It needs nothing but
//! the standard library.
//!
//! | path | answer |
//! |---|---|
//! | `/` | a greeting |
//! | `/env` | all variables as JSON |
//! | `/echo` | the request's body, with its content type |
//! | `/status/418` | that status |
//! | `/redirect` | to `/elsewhere` |
//! | `/count` | how many requests this memory has seen: always 1 |
//! | `/secret?set=TEXT` | what the request before left: always nothing |
//! | `/big?bytes=N` | so many bytes |
//! | `/slow?ms=N` | after so long |
//! | `/stderr` | with two lines on standard error |
//! | `/nohead` | a body without a head |
//! | `/half` | half of an answer, then a trap |
//! | `/trap` | none, but a trap |
//! | `/exit/3` | none, but exit code 3; `/exit/3?answer` answers before |

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::Duration;

/// Both would be remembered from request to request, if two ever shared a memory.
static SEEN: AtomicU32 = AtomicU32::new(0);
static SECRET: Mutex<String> = Mutex::new(String::new());

const TEXT: &str = "text/plain";

fn main() -> ExitCode {
    match answer(&mut io::stdout().lock()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cgi_echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn answer(out: &mut impl Write) -> io::Result<ExitCode> {
    SEEN.fetch_add(1, Ordering::Relaxed);
    let path = variable("PATH_INFO");
    let (route, rest) = match path.trim_start_matches('/').split_once('/') {
        Some((route, rest)) => (route, rest),
        None => (path.trim_start_matches('/'), ""),
    };
    match route {
        "" => text(out, "hello from a handler\n")?,
        "env" => {
            head(out, "200 OK", "application/json")?;
            writeln!(out, "{}", json(&std::env::vars_os().map(lossy).collect()))?;
        }
        "echo" => {
            let content_type = variable("CONTENT_TYPE");
            head(out, "200 OK", if content_type.is_empty() { TEXT } else { &content_type })?;
            io::copy(&mut io::stdin().lock(), out)?;
        }
        "status" if rest.parse().is_ok_and(|status| (200..600).contains(&status)) => {
            head(out, &format!("{rest} as asked"), TEXT)?;
            writeln!(out, "status {rest}")?;
        }
        "redirect" => out.write_all(b"Status: 302 Found\nLocation: /elsewhere\n\n")?,
        "count" => text(out, &format!("{}\n", SEEN.load(Ordering::Relaxed)))?,
        "secret" => {
            let mut secret = SECRET.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            text(out, &format!("before: {:?}\n", *secret))?;
            *secret = parameter("set").unwrap_or_default();
        }
        "big" => big(out, number("bytes"))?,
        "slow" => {
            sleep(Duration::from_millis(number("ms")));
            text(out, "at last\n")?;
        }
        "stderr" => {
            eprintln!("a request came in");
            text(out, "see standard error\n")?;
            eprintln!("and was answered");
        }
        "nohead" => out.write_all(b"this is no head\n")?,
        "half" => {
            out.write_all(b"Content-Type: text/plain\nContent-Length: 20\n\nhalf of it")?;
            out.flush()?;
            panic!("in the middle of the answer");
        }
        "trap" => panic!("asked to"),
        "exit" => {
            let Ok(code) = rest.parse::<u8>() else {
                head(out, "400 Bad Request", TEXT)?;
                out.write_all(b"an exit code is a number to 255\n")?;
                return Ok(ExitCode::SUCCESS);
            };
            if variable("QUERY_STRING") == "answer" {
                text(out, &format!("exit code {code}\n"))?;
            }
            return Ok(ExitCode::from(code));
        }
        _ => {
            head(out, "404 Not Found", TEXT)?;
            out.write_all(b"not found\n")?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Status and content type, and the empty line after them.
fn head(out: &mut impl Write, status: &str, content_type: &str) -> io::Result<()> {
    write!(out, "Status: {status}\nContent-Type: {content_type}\n\n")
}

fn text(out: &mut impl Write, body: &str) -> io::Result<()> {
    head(out, "200 OK", TEXT)?;
    out.write_all(body.as_bytes())
}

fn big(out: &mut impl Write, mut bytes: u64) -> io::Result<()> {
    let piece = [b'x'; 16 * 1024];
    head(out, "200 OK", "application/octet-stream")?;
    while bytes > 0 {
        let length = bytes.min(piece.len() as u64) as usize;
        out.write_all(&piece[..length])?;
        bytes -= length as u64;
    }
    Ok(())
}

/// A variable of the request, empty where it is not set.
fn variable(name: &str) -> String {
    std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A parameter of the query, as it is written there.
fn parameter(name: &str) -> Option<String> {
    let query = variable("QUERY_STRING");
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned)
}

/// A parameter that is a number, 0 where there is none.
fn number(name: &str) -> u64 {
    parameter(name).and_then(|value| value.parse().ok()).unwrap_or(0)
}

fn lossy((name, value): (std::ffi::OsString, std::ffi::OsString)) -> (String, String) {
    (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned())
}

fn json(variables: &BTreeMap<String, String>) -> String {
    let members: Vec<_> =
        variables.iter().map(|(name, value)| format!("{}:{}", quoted(name), quoted(value))).collect();
    format!("{{{}}}", members.join(","))
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            control if u32::from(control) < 0x20 => {
                // Writing to a string does not fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(control));
            }
            other => quoted.push(other),
        }
    }
    quoted + "\""
}
