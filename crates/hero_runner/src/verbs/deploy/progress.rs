//! How far a deployment is, on the terminal.

use std::io::{self, IsTerminal, Write};

use client::deploy::Progress;

use crate::console::Console;
use crate::text;

/// What is shown beside the result, on standard error: all of it on a terminal, else only what went wrong.
#[derive(Debug)]
pub(super) struct Shown {
    terminal: bool,
    console: Console,
}

impl Shown {
    pub(super) fn new(console: &Console) -> Self {
        let terminal = !console.quiet && !console.json && io::stderr().is_terminal();
        Self { terminal, console: *console }
    }

    /// A step that is done.
    pub(super) fn line(&self, text: &str) {
        if self.terminal {
            // Standard error that is gone leaves nowhere to complain to.
            let _ = writeln!(io::stderr().lock(), "\r\x1b[K{}", text::plain(text));
        }
    }

    /// What happens to the package.
    pub(super) fn step(&self, step: &Progress) {
        if !self.terminal {
            return;
        }
        match step {
            Progress::Sent(sent, total) => {
                let (sent, total) = ((*sent).min(*total), (*total).max(1));
                let filled = usize::try_from(sent * 24 / total).unwrap_or_default();
                let bar = format!("{}{}", "=".repeat(filled), " ".repeat(24 - filled));
                let text =
                    format!("\r\x1b[Ksending [{bar}] {:3} % of {}", sent * 100 / total, text::bytes(total));
                let mut err = io::stderr().lock();
                let _ = write!(err, "{text}").and_then(|()| err.flush());
            }
            Progress::Stage(name, data) => self.line(&stage(name, data)),
        }
    }

    /// Leaves the line of the bar.
    pub(super) fn end(&self) {
        if self.terminal {
            let _ = write!(io::stderr().lock(), "\r\x1b[K");
        }
    }

    /// Something that went wrong and is tried again.
    pub(super) fn note(&self, text: &str) {
        self.console.note(&text::plain(text));
    }
}

fn stage(name: &str, data: &serde_json::Value) -> String {
    let number = |key: &str| data[key].as_u64().unwrap_or_default();
    match name {
        "received" => format!("received {}", text::bytes(number("bytes"))),
        "unpacked" => format!("unpacked {} files, {}", number("files"), text::bytes(number("bytes"))),
        "compiled" => "compiled".to_owned(),
        "starting" => format!("starting version {}", number("version")),
        "ready" => format!("version {} is ready", number("version")),
        other => other.to_owned(),
    }
}
