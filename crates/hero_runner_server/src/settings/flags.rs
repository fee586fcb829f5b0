//! The command line of the server, made from the table.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Arg, ArgAction, Command, value_parser};

use super::{Format, ROWS, Sources, Value};

/// What the command line asks for.
#[derive(Debug, Clone)]
pub struct Call {
    /// The layers of the settings.
    pub sources: Sources,
    /// `--print-config`: show the settings in this format instead of serving.
    pub print_config: Option<Format>,
    /// `--daemonized`: become the leader of a session of one's own.
    pub daemonized: bool,
}

/// The command, with one flag for each row of the table.
#[must_use]
pub fn command() -> Command {
    let settings = ROWS.iter().map(|row| {
        let arg = Arg::new(row.name)
            .long(row.flag())
            .value_name(row.hint)
            .help(row.doc.trim())
            .help_heading("Settings");
        match (row.is_list, row.hint == bool::HINT) {
            (true, _) => arg.action(ArgAction::Append),
            // `--compile` alone is true; a value needs the `=`, so that it cannot swallow what follows.
            (_, true) => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
            _ => arg,
        }
    });
    Command::new("hero_runner_server")
        .version(api::VERSION)
        .about("Runs untrusted WebAssembly programs as sessions and answers on a Unix socket.")
        .after_help(
            "Each setting is also the key NAME of the file and the variable HERO_RUNNER_NAME. A flag wins over the\n\
             environment, the environment over the file, the file over the default. Exit codes: 0 it was told to stop,\n\
             1 it failed, 2 the command line or a setting is wrong.",
        )
        .arg(
            Arg::new("config")
                .long("config")
                .value_name("PATH")
                .value_parser(value_parser!(PathBuf))
                .help("The file with settings [default: HERO_RUNNER_CONFIG, else config.toml in the state folder]"),
        )
        .arg(
            Arg::new("print-config")
                .long("print-config")
                .action(ArgAction::SetTrue)
                .help("Show every setting and where its value comes from, then exit"),
        )
        .arg(
            Arg::new("output")
                .short('o')
                .long("output")
                .value_name("FORMAT")
                .value_parser(["text", "json"])
                .default_value("text")
                .help("The format of --print-config"),
        )
        .arg(
            Arg::new("daemonized")
                .long("daemonized")
                .action(ArgAction::SetTrue)
                .help("Leave the terminal's session; for `hero_runner --start`"),
        )
        .args(settings)
}

/// Reads a command line; the first argument is the program's name.
pub fn parse(args: impl IntoIterator<Item = OsString>, mut sources: Sources) -> Result<Call, clap::Error> {
    let matches = command().try_get_matches_from(args)?;
    for row in ROWS {
        if let Some(texts) = matches.get_many::<String>(row.name) {
            sources.flags.insert(row.name, texts.cloned().collect());
        }
    }
    sources.config = matches.get_one::<PathBuf>("config").cloned();
    let format = match matches.get_one::<String>("output").map(String::as_str) {
        Some("json") => Format::Json,
        _ => Format::Text,
    };
    Ok(Call {
        sources,
        print_config: matches.get_flag("print-config").then_some(format),
        daemonized: matches.get_flag("daemonized"),
    })
}
