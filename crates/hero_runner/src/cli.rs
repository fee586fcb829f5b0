//! The arguments.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgGroup, CommandFactory, Parser, ValueEnum, error::ErrorKind};

use crate::exit;
use crate::verbs::Verb;

/// How results are printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON document, or one a line where results stream.
    Json,
}

const AFTER: &str = "\
Exit codes of `run` and `wait`: the guest's own (its lowest 8 bits), 124 timed out, 125 hero_runner failed,
134 trapped, 137 killed or out of memory, 128+n ended by signal n (130 Ctrl-C, 143 stopped).
Others: 0 done, 1 failed, 2 wrong usage. --status: 0 running, 1 dead but its socket is left, 3 not running,
4 unknown.";

/// Runs untrusted WebAssembly programs as sessions, each in a process of its own.
#[derive(Debug, Parser)]
#[command(name = "hero_runner", version, after_help = AFTER, arg_required_else_help = true)]
#[command(group = ArgGroup::new("lifecycle"))]
pub(crate) struct Cli {
    /// The server's socket [default: $HERO_SOCKET_DIR/hero_runner/rpc.sock under ~/hero/var/sockets]
    #[arg(long, global = true, value_name = "PATH", env = "HERO_RUNNER_SOCKET", hide_env_values = true)]
    socket: Option<PathBuf>,
    /// How results are printed
    #[arg(short, long, global = true, value_name = "FORMAT", default_value = "text")]
    output: Format,
    /// Print only what was asked for
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// No colours; NO_COLOR does the same, and so does an output that is not a terminal
    #[arg(long, global = true)]
    pub(crate) no_color: bool,

    /// Start the server and its pages for a browser, unless they run, and return when they answer
    #[arg(long, group = "lifecycle")]
    start: bool,
    /// With --start: become the server instead of starting it in the background; the pages are not started
    #[arg(long, requires = "start")]
    foreground: bool,
    /// With --start: without the pages for a browser
    #[arg(long, requires = "start", conflicts_with_all = ["stop", "status"])]
    no_ui: bool,
    /// With --start: where the dashboard is for browsers, on this machine, or off [default: HERO_RUNNER_UI_LISTEN, else 127.0.0.1:14001]
    #[arg(long, requires = "start", value_name = "ADDRESS:PORT", value_parser = listen)]
    #[arg(conflicts_with_all = ["stop", "status", "no_ui"])]
    ui_listen: Option<Listen>,
    /// Stop the server, everything that it runs, and its pages
    #[arg(long, group = "lifecycle")]
    stop: bool,
    /// With --stop: how long it may take before the server is killed
    #[arg(long, requires = "stop", value_name = "TIME", default_value = "30s", value_parser = duration)]
    timeout: Duration,
    /// Tell whether the server and its pages run
    #[arg(long, group = "lifecycle")]
    status: bool,

    #[command(subcommand)]
    verb: Option<Verb>,
}

/// Where the dashboard listens for browsers, unless the flag or this variable say otherwise.
const USUAL: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 14001));
const UI_LISTEN: &str = "HERO_RUNNER_UI_LISTEN";

/// Where the dashboard listens for browsers, if it does.
pub(crate) type Listen = Option<SocketAddr>;

/// What is to be done.
pub(crate) enum Action {
    /// `ui` is none without the pages, else where browsers find them, if they do.
    Start {
        foreground: bool,
        ui: Option<Listen>,
    },
    Stop {
        timeout: Duration,
    },
    Status,
    Verb(Box<Verb>),
}

impl Action {
    /// The exit code of hero_runner's own failure: one that no guest is likely to use, where a guest's is expected.
    pub(crate) fn failure_code(&self) -> u8 {
        match self {
            Self::Verb(verb) if matches!(**verb, Verb::Run(_) | Verb::Wait(_)) => exit::OWN_FAILURE,
            _ => 1,
        }
    }
}

impl Cli {
    /// Reads the process's arguments; leaves with 2 when they make no sense.
    pub(crate) fn read() -> Self {
        let cli = Self::parse();
        let flags = cli.start || cli.stop || cli.status;
        if flags && cli.verb.is_some() {
            let text = "--start, --stop and --status cannot be used with a command";
            Self::command().error(ErrorKind::ArgumentConflict, text).exit();
        }
        cli
    }

    pub(crate) fn json(&self) -> bool {
        self.output == Format::Json
    }

    pub(crate) fn socket(&self) -> PathBuf {
        let path = self.socket.clone().unwrap_or_else(|| api::paths::rpc_socket(&api::paths::process_env));
        // Absolute, because the server may be told about it and lives elsewhere.
        std::path::absolute(&path).unwrap_or(path)
    }

    /// What is to be done; leaves with 2 when that is nothing.
    pub(crate) fn action(self) -> Action {
        match self {
            Self { start: true, foreground, no_ui, ui_listen, .. } => {
                Action::Start { foreground, ui: (!no_ui).then(|| ui_listen.unwrap_or_else(usual_listen)) }
            }
            Self { stop: true, timeout, .. } => Action::Stop { timeout },
            Self { status: true, .. } => Action::Status,
            Self { verb: Some(verb), .. } => Action::Verb(Box::new(verb)),
            _ => {
                let text = "say what to do: a command, --start, --stop or --status";
                Self::command().error(ErrorKind::MissingSubcommand, text).exit()
            }
        }
    }
}

/// `5s`, `500ms`, `1h 30m`.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; say 500ms, 5s or 2m"))
}

/// Where the dashboard listens when nobody says it; leaves with 2 when the environment says it wrong.
fn usual_listen() -> Listen {
    let Some(text) = api::paths::process_env(UI_LISTEN) else { return Some(USUAL) };
    listen(&text).unwrap_or_else(|why| {
        Cli::command().error(ErrorKind::ValueValidation, format!("{UI_LISTEN}: {why}")).exit()
    })
}

/// `127.0.0.1:14001`, or `off`.
fn listen(text: &str) -> Result<Listen, String> {
    let example = "say 127.0.0.1:14001, or off";
    if text == "off" {
        return Ok(None);
    }
    let address: SocketAddr = text.parse().map_err(|error| format!("{error}; {example}"))?;
    if !address.ip().is_loopback() {
        return Err(format!("{} is not an address of this machine alone; {example}", address.ip()));
    }
    Ok(Some(address))
}

/// A duration as the API's milliseconds.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn browsers_are_served_on_this_machine_only() {
        assert_eq!(listen("127.0.0.1:14001"), Ok(Some(SocketAddr::from(([127, 0, 0, 1], 14001)))));
        assert_eq!(listen("off"), Ok(None));
        assert!(listen("0.0.0.0:14001").unwrap_err().contains("this machine alone"));
        assert!(listen("14001").unwrap_err().contains("or off"));
    }

    #[test]
    fn durations_need_their_unit() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert!(duration("5").unwrap_err().contains("say 500ms"));
        assert!(duration("-5s").is_err() && duration("").is_err());
    }

    #[test]
    fn only_one_thing_at_a_time() {
        let parse = |args: &[&str]| Cli::try_parse_from([&["hero_runner"], args].concat());
        assert!(parse(&["--start", "--stop"]).is_err());
        assert!(parse(&["--timeout", "5s"]).is_err());
        assert!(parse(&["--stop", "--timeout", "5s"]).is_ok());
        assert!(parse(&["--start", "--foreground"]).is_ok());
        assert!(parse(&["--start", "--no-ui"]).is_ok() && parse(&["--stop", "--no-ui"]).is_err());
        assert!(
            parse(&["--start", "--ui-listen", "127.0.0.1:1"]).is_ok()
                && parse(&["--ui-listen", "off"]).is_err()
        );
        assert!(parse(&["ps", "-o", "json", "--socket", "/s"]).is_ok());
        assert!(parse(&["run", "hello", "-x", "--", "y"]).is_ok());
    }
}
