//! Failures: one line with what and why, one with what to do.

use std::fmt;
use std::io::{self, Write};

use serde_json::json;

use crate::console::Console;
use crate::exit;

/// A failure of our own that knows what to do about it.
#[derive(Debug)]
struct Advice {
    message: String,
    hint: String,
}

impl fmt::Display for Advice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Advice {}

/// A failure with a hint.
pub(crate) fn advise(message: impl Into<String>, hint: impl Into<String>) -> anyhow::Error {
    Advice { message: message.into(), hint: hint.into() }.into()
}

/// What is printed about a failure.
struct Told {
    message: String,
    hint: Option<String>,
    code: Option<i32>,
}

fn tell(error: &anyhow::Error) -> Told {
    let mut told = Told { message: String::new(), hint: None, code: None };
    for cause in error.chain() {
        if !told.message.is_empty() {
            told.message.push_str(": ");
        }
        if let Some(error) = cause.downcast_ref::<client::Error>() {
            told.message.push_str(&error.summary());
            told.hint = error.hint().map(str::to_owned);
            if let client::Error::Rpc { code, .. } = error {
                told.code = Some(*code);
            }
            // Its summary has told the causes below it.
            break;
        }
        told.message.push_str(&cause.to_string());
        if let Some(faults) = cause.downcast_ref::<package::Faults>() {
            told.hint = Some(faults.code().hint().to_owned());
            told.code = Some(faults.code().code());
        }
        if let Some(advice) = cause.downcast_ref::<Advice>() {
            told.hint = Some(advice.hint.clone());
        }
    }
    told
}

/// Prints a failure and returns the exit code. A reader that went away is no failure to talk about.
pub(crate) fn report(console: &Console, error: &anyhow::Error, code: u8) -> u8 {
    // A connection to the server that breaks is another matter, and one to talk about.
    let from_server = error.chain().any(|cause| cause.is::<client::Error>());
    let broken_pipe = error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    });
    if broken_pipe && !from_server {
        return exit::BROKEN_PIPE;
    }
    let told = tell(error);
    let mut err = io::stderr().lock();
    // Standard error that is gone leaves nowhere to complain to.
    let _ = if console.json {
        let name = told.code.and_then(api::ErrorCode::from_code).map(api::ErrorCode::name);
        let body =
            json!({ "message": told.message, "hint": told.hint, "code": told.code, "code_name": name });
        writeln!(err, "{}", json!({ "error": body }))
    } else {
        let hint = told.hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        writeln!(err, "hero_runner: {}{hint}", told.message)
    };
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn the_causes_are_told_once_and_the_hint_apart() {
        let source = io::Error::from(io::ErrorKind::NotFound);
        let error: client::Error = client::Error::NotRunning { path: "/s".into(), source };
        let error = Err::<(), _>(error).context("cannot stop ses-1").unwrap_err();
        let told = tell(&error);
        assert_eq!(told.message, "cannot stop ses-1: no server listens on /s (entity not found)");
        assert_eq!(told.hint.as_deref(), Some("start it with `hero_runner --start`"));
    }

    #[test]
    fn our_own_advice_is_found_under_its_context() {
        let told = tell(&advise("no such folder", "make it").context("--dir x"));
        assert_eq!(
            (told.message.as_str(), told.hint.as_deref()),
            ("--dir x: no such folder", Some("make it"))
        );
    }
}
