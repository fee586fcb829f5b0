//! The program: arguments, lock, socket, port, runtime.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use api::paths;
use clap::Parser;
use client::Client;
use hero_runner_ui::app::App;
use hero_runner_ui::assets::Assets;
use hero_runner_ui::door::port::Port;
use hero_runner_ui::{NAME, serve};
use listen::Lock;
use tokio::net::UnixListener;

/// The dashboard of hero_runner, for a browser.
#[derive(Debug, Parser)]
#[command(name = "hero_runner_ui", version)]
struct Args {
    /// The socket to listen on [default: $HERO_SOCKET_DIR/hero_runner/ui.sock under ~/hero/var/sockets]
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
    /// The server's socket [default: $HERO_SOCKET_DIR/hero_runner/rpc.sock under ~/hero/var/sockets]
    #[arg(long, value_name = "PATH")]
    server_socket: Option<PathBuf>,
    /// Also listen for browsers, on a port of this machine; the URL with its token is in ui.url beside the socket
    #[arg(long, value_name = "ADDRESS:PORT", value_parser = loopback)]
    listen: Option<SocketAddr>,
    /// Another name under which browsers reach the port, with :PORT where it is another one
    #[arg(long, value_name = "NAME", requires = "listen")]
    host: Vec<String>,
    /// How long a token is good for, in hours; then, and with each start, there is a new one
    #[arg(long, value_name = "HOURS", default_value_t = 168.0, value_parser = hours)]
    token_hours: f64,
    /// Scripts and styles from this folder instead of the built-in ones, for who works on them
    #[arg(long, hide = true, value_name = "DIR")]
    assets: Option<PathBuf>,
    /// Leave the session and the terminal of whoever started it
    #[arg(long, hide = true)]
    daemonized: bool,
}

fn loopback(text: &str) -> Result<SocketAddr, String> {
    let example = "say 127.0.0.1:14001 or [::1]:14001";
    let address: SocketAddr = text.parse().map_err(|error| format!("{error}; {example}"))?;
    if address.ip().is_loopback() {
        return Ok(address);
    }
    Err(format!("{} is not an address of this machine alone; {example}", address.ip()))
}

fn hours(text: &str) -> Result<f64, String> {
    let hours: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (1e-3..=1e6).contains(&hours) {
        Ok(hours)
    } else {
        Err("it is a number of hours, from 0.001 on".to_owned())
    }
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
    let absolute = |path: PathBuf| std::path::absolute(&path).unwrap_or(path);
    let socket = absolute(args.socket.unwrap_or_else(|| paths::ui_socket(&paths::process_env)));
    let server = absolute(args.server_socket.unwrap_or_else(|| paths::rpc_socket(&paths::process_env)));
    listen::check_folder(&socket)?;
    // `ui.lock`; the server's own in this folder is `lock`. It is what allows to replace a socket that is left over.
    let lock = Lock::take(&socket.with_extension("lock"), NAME)?;
    let (listener, file) = listen::bind(&socket)?;
    let valid = Duration::try_from_secs_f64(args.token_hours * 3600.0).context("--token-hours")?;
    let port = args.listen.and_then(|address| match Port::open(address, &args.host, valid, &socket) {
        Ok(port) => {
            tracing::info!(address = port.address, "browsers are served; `hero_runner ui` prints the URL");
            Some(port)
        }
        // The socket, and with it the gateway's panel, is served all the same.
        Err(error) => {
            tracing::warn!(
                "browsers are not served on {address}: {error:#}; name another port with --listen"
            );
            None
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("the runtime cannot be built")?;
    // The socket's file goes while the lock is still held.
    let served = runtime.block_on(async {
        let assets = args.assets.map_or_else(Assets::embedded, Assets::of_folder);
        let address = port.as_ref().map(|port| port.address.clone());
        let app = App { server: Client::new(&server), assets, address };
        let private = UnixListener::from_std(listener).context("the socket cannot be polled")?;
        tracing::info!(socket = %socket.display(), server = %server.display(), version = api::VERSION, "ready");
        serve::until_told_to_stop(Arc::new(app), private, port).await
    });
    runtime.shutdown_background();
    drop(file);
    drop(lock);
    served
}
