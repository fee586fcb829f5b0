//! The program: arguments, lock, socket, runtime.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use api::paths;
use clap::Parser;
use client::Client;
use hero_runner_ui::lock::Lock;
use hero_runner_ui::{NAME, serve, socket};

/// The pages of hero_runner for a browser; its gateway passes them on.
#[derive(Debug, Parser)]
#[command(name = "hero_runner_ui", version)]
struct Args {
    /// The socket to listen on [default: $HERO_SOCKET_DIR/hero_runner/ui.sock under ~/hero/var/sockets]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The server's socket [default: $HERO_SOCKET_DIR/hero_runner/rpc.sock under ~/hero/var/sockets]
    #[arg(long, value_name = "PATH")]
    server_socket: Option<PathBuf>,
    /// Leave the session and the terminal of whoever started it
    #[arg(long, hide = true)]
    daemonized: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .with_max_level(tracing::Level::INFO)
        .init();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{NAME}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: Args) -> Result<()> {
    if args.daemonized
        && let Err(error) = rustix::process::setsid()
    {
        // The leader of a process group cannot leave its session; it was started so, and the pages work all the same.
        tracing::debug!(%error, "setsid");
    }
    let socket = args.socket.unwrap_or_else(|| paths::ui_socket(&paths::process_env));
    let socket = std::path::absolute(&socket).unwrap_or(socket);
    let server = args.server_socket.unwrap_or_else(|| paths::rpc_socket(&paths::process_env));
    let server = std::path::absolute(&server).unwrap_or(server);
    let lock = Lock::take(&socket)?;
    let bound = socket::bind(&socket, &lock)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be built")?;
    // The socket's file goes when `bound` does, while the lock is still held.
    let served = runtime.block_on(async {
        tracing::info!(socket = %socket.display(), server = %server.display(), version = api::VERSION, "ready");
        serve::until_told_to_stop(bound.listener, Client::new(server)).await
    });
    runtime.shutdown_background();
    drop(bound.file);
    drop(lock);
    served
}
