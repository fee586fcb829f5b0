//! Pictures of the dashboard's pages, by the harness of its tests in a browser.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::bench::places;

pub(crate) const HELP: &str = "\
Programs come from target/release or HERO_BIN_DIR, guests from services/target/wasm32-wasip1/release or
HERO_RUNNER_SERVICES_DIR. Node, Chromium and what else is needed is installed when it is missing.";

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Where the pictures go
    #[arg(long, value_name = "DIR", default_value = "target/screenshots")]
    out: PathBuf,
    /// Renew those of docs/ui.md, too
    #[arg(long)]
    docs: bool,
}

/// Takes the pictures.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = places::repository();
    let server = places::program("hero_runner_server");
    ensure!(server.is_file(), "{} is not there: run ./build.sh, or set HERO_BIN_DIR", server.display());
    let out = std::path::absolute(&options.out).context("there is no working folder")?;
    let mut command = Command::new(root.join("scripts/in_browser.sh"));
    command.arg("crates/hero_runner_ui/tests/browser/screenshots.mjs").arg(&out);
    if options.docs {
        command.arg(root.join("docs/ui"));
    }
    command.env("HERO_BIN_DIR", server.with_file_name("")).env("HERO_RUNNER_SERVICES_DIR", places::guests());
    let status = command.status().context("scripts/in_browser.sh cannot be run")?;
    ensure!(status.success(), "the pictures were not taken: {status}");
    println!("{}", out.display());
    Ok(())
}
