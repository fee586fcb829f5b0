//! What a handler is compared with: `wasmtime serve`, which makes an instance of a component for each request, in one
//! process.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use super::child::Daemon;
use crate::bench::rivals;

const TARGET: &str = "wasm32-wasip2";

/// A running `wasmtime serve`.
#[derive(Debug)]
pub(crate) struct Peer {
    _daemon: Daemon,
    pub(crate) address: SocketAddr,
}

impl Peer {
    /// Builds the component and serves it; with a number, so many requests are answered by an instance.
    pub(crate) fn start(dir: &Path, reused: Option<u32>) -> Result<Self> {
        let (program, component) = (rivals::wasmtime_program()?, build()?.join("peer.wasm"));
        let mut command = Command::new(program);
        // The interfaces of a command line are what the standard library imports; nothing else is granted.
        command.args(["serve", "-S", "cli", "--addr", "127.0.0.1:0"]);
        if let Some(requests) = reused {
            command.arg("--max-instance-reuse-count").arg(requests.to_string());
        }
        command.arg(component);
        let serves = |said: &str| {
            let (_, rest) = said.split_once("http://")?;
            rest.split_once('/')?.0.parse().ok()
        };
        let says = dir.join(format!("wasmtime_serve_{}", reused.unwrap_or(1)));
        let (daemon, address) = Daemon::start(&mut command, &says, serves)?;
        Ok(Self { _daemon: daemon, address })
    }
}

/// Builds the components where cargo builds what is ours: the folder with `peer.wasm`, which answers requests, and
/// `greet.wasm`, a program that prints a line.
pub(crate) fn build() -> Result<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/peer"));
    let own = std::env::current_exe()?;
    // target/release/xtask
    let target = own.ancestors().nth(2).context("no target folder")?.join("peer");
    let mut command = Command::new("cargo");
    command
        .args(["build", "--release", "--locked", "--quiet", "--target", TARGET, "--target-dir"])
        .arg(&target)
        .current_dir(folder);
    let output = command.output().context("cannot run cargo")?;
    let said = String::from_utf8_lossy(&output.stderr);
    let why = said.lines().find(|line| line.starts_with("error")).unwrap_or("cargo failed");
    ensure!(
        output.status.success(),
        "cannot build the components of crates/xtask/peer: {why} (`rustup target add {TARGET}`)"
    );
    Ok(target.join(TARGET).join("release"))
}
