//! Where results go, and how they look there.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

/// The choices that hold for everything that is printed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Console {
    /// Results are JSON.
    pub(crate) json: bool,
    /// Nothing is said that was not asked for.
    pub(crate) quiet: bool,
    /// Standard output takes colours.
    pub(crate) color: bool,
}

/// The styles that are used, as their SGR parameters.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Style {
    Bold,
    Dim,
    Green,
    Yellow,
    Red,
}

impl Style {
    fn code(self) -> u8 {
        match self {
            Self::Bold => 1,
            Self::Dim => 2,
            Self::Red => 31,
            Self::Green => 32,
            Self::Yellow => 33,
        }
    }
}

impl Console {
    pub(crate) fn new(json: bool, quiet: bool, no_color: bool) -> Self {
        // https://no-color.org: present and not empty, whatever its value.
        let refused = no_color || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self { json, quiet, color: !refused && !json && io::stdout().is_terminal() }
    }

    /// The text in a style, where colours are taken.
    pub(crate) fn paint(&self, style: Style, text: &str) -> String {
        if self.color { format!("\x1b[{}m{text}\x1b[0m", style.code()) } else { text.to_owned() }
    }

    /// Prints a result as JSON.
    pub(crate) fn json<T: Serialize>(&self, value: &T) -> anyhow::Result<()> {
        let text = serde_json::to_string_pretty(value)?;
        self.print(&(text + "\n"))
    }

    /// Prints a result as it is.
    pub(crate) fn print(&self, text: &str) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
        Ok(())
    }

    /// Tells that something was done, unless nobody wants to know.
    pub(crate) fn say(&self, text: &str) -> anyhow::Result<()> {
        if self.quiet { Ok(()) } else { self.print(&format!("{text}\n")) }
    }

    /// Tells something beside the result.
    pub(crate) fn note(&self, text: &str) {
        if !self.quiet {
            // Standard error that is gone leaves nowhere to complain to.
            let _ = writeln!(io::stderr().lock(), "hero_runner: {text}");
        }
    }
}
