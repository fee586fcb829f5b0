//! How a script comes to a guest that runs scripts, and what such guests do alike.
//!
//! The guest prepares everything that is the same for all scripts, and only then reads standard input: sessions are
//! forked where it reads for the first time. The first line is the envelope, JSON; all that follows is the script's:
//!
//! ```text
//! {"name":"hello.js","args":["a","b"],"env":{"K":"v"},"source":"print('hello')"}
//! ```

use std::collections::BTreeMap;
use std::io::{self, BufRead, Write};
use std::{fmt, hint, process, ptr};

/// The code a guest leaves with when its script failed.
pub const SCRIPT_FAILED: i64 = 1;

/// The code a guest leaves with when no script came.
pub const NO_SCRIPT: i64 = 2;

/// A script and what it is started with.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
pub struct Envelope {
    /// What messages call it, such as `hello.js`. No file of this name has to exist.
    pub name: String,
    /// Its arguments, without its name.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Its text.
    pub source: String,
}

/// Why there is no script.
#[derive(Debug)]
pub enum Fault {
    /// The input was at its end.
    Nothing,
    /// The input could not be read.
    Input(io::Error),
    /// The first line is something else.
    Malformed(serde_json::Error),
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => out.write_str("no script came on standard input"),
            Self::Input(error) => write!(out, "cannot read standard input: {error}"),
            Self::Malformed(error) => {
                write!(out, "the first line of standard input is not a script's envelope: {error}")
            }
        }
    }
}

impl Envelope {
    /// Reads the first line of `input`, and nothing beyond it.
    ///
    /// # Errors
    /// Where there is no line, or it is no envelope.
    pub fn read(input: &mut impl BufRead) -> Result<Self, Fault> {
        let mut line = Vec::new();
        match input.read_until(b'\n', &mut line).map_err(Fault::Input)? {
            0 => Err(Fault::Nothing),
            _ => serde_json::from_slice(&line).map_err(Fault::Malformed),
        }
    }

    /// The envelope on standard input. Without one, the process says why and ends.
    #[must_use]
    pub fn receive() -> Self {
        Self::read(&mut io::stdin().lock()).unwrap_or_else(|fault| {
            print_line(io::stderr(), fault.to_string());
            end(NO_SCRIPT)
        })
    }
}

/// The next line of `input` without its end, nothing at the end of the input. Bytes that are not UTF-8 are replaced.
///
/// # Errors
/// Where the input cannot be read.
pub fn next_line(input: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = Vec::new();
    if input.read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    let line = line.strip_suffix(b"\n").unwrap_or(&line);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    Ok(Some(String::from_utf8_lossy(line).into_owned()))
}

/// Writes `line` and its end in one piece, so that the two streams keep the order in which the script wrote. When
/// nobody takes the output, the process ends: nothing that the script still does would be seen.
pub fn print_line(mut output: impl Write, mut line: String) {
    line.push('\n');
    if output.write_all(line.as_bytes()).and_then(|()| output.flush()).is_err() {
        end(SCRIPT_FAILED);
    }
}

/// Ends the process. Of any number, the low eight bits are the code, as with programs everywhere.
pub fn end(code: i64) -> ! {
    process::exit((code & 0xff) as i32)
}

/// How much of the stack is left, in bytes. A guest's stack begins where its memory begins and is used from its end, so
/// that running over it is a trap; a guest that asks in time can report an error of its language instead.
#[must_use]
pub fn stack_left() -> usize {
    let here = 0_u8;
    ptr::from_ref(hint::black_box(&here)).addr()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &str) -> Result<Envelope, String> {
        Envelope::read(&mut input.as_bytes()).map_err(|fault| fault.to_string())
    }

    #[test]
    fn a_full_envelope() {
        let envelope = read(
            r#"{"name":"hello.js","args":["a","b c"],"env":{"K":"v"},"source":"print(1)\nprint(\"ä\")\n"}"#,
        );
        let expected = Envelope {
            name: "hello.js".to_owned(),
            args: vec!["a".to_owned(), "b c".to_owned()],
            env: BTreeMap::from([("K".to_owned(), "v".to_owned())]),
            source: "print(1)\nprint(\"ä\")\n".to_owned(),
        };
        assert_eq!(envelope, Ok(expected));
    }

    #[test]
    fn arguments_and_environment_may_be_left_out_and_unknown_fields_are_left_alone() {
        let envelope = read(r#"{"name":"a","source":"","later":[1]}"#).unwrap();
        assert!(envelope.args.is_empty() && envelope.env.is_empty());
    }

    #[test]
    fn what_follows_the_first_line_is_the_scripts() {
        let mut input: &[u8] = b"{\"name\":\"a\",\"source\":\"b\"}\none\r\n\n\xffthree";
        Envelope::read(&mut input).unwrap();
        assert_eq!(next_line(&mut input).unwrap().as_deref(), Some("one"));
        assert_eq!(next_line(&mut input).unwrap().as_deref(), Some(""));
        assert_eq!(next_line(&mut input).unwrap().as_deref(), Some("\u{fffd}three"));
        assert_eq!(next_line(&mut input).unwrap(), None);
    }

    #[test]
    fn no_script() {
        assert_eq!(read("").unwrap_err(), "no script came on standard input");
        for malformed in
            ["\n", "print(1)", "{}", r#"{"name":"a"}"#, r#"{"name":"a","source":1}"#, "{\"name\":"]
        {
            let error = read(malformed).unwrap_err();
            assert!(
                error.starts_with("the first line of standard input is not a script's envelope: "),
                "{error}"
            );
        }
        let bytes: &[u8] = b"{\"name\":\"\xff\",\"source\":\"\"}\n";
        assert!(matches!(Envelope::read(&mut &*bytes), Err(Fault::Malformed(_))));
    }

    #[test]
    fn a_line_is_one_write() {
        struct Writes(Vec<Vec<u8>>);
        impl Write for &mut Writes {
            fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
                self.0.push(bytes.to_vec());
                Ok(bytes.len())
            }
            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }
        }
        let mut writes = Writes(Vec::new());
        print_line(&mut writes, "one\ntwo".to_owned());
        assert_eq!(writes.0, [b"one\ntwo\n"]);
    }
}
