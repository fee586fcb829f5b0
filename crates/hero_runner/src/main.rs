//! `hero_runner`: the command line.
//!
//! It talks to the server over its Unix socket and knows nothing else of it. What a guest prints goes to
//! standard output and standard error byte for byte, what hero_runner itself has to say goes to standard error.

mod cli;
mod console;
mod doctor;
mod exit;
mod failure;
mod grant;
mod lifecycle;
mod pages;
mod render;
mod size;
mod table;
mod text;
mod verbs;

use std::process::ExitCode;

use cli::{Action, Cli};
use console::Console;

/// What every verb works with.
struct Context {
    client: client::Client,
    console: Console,
}

fn main() -> ExitCode {
    let cli = Cli::read();
    let console = Console::new(cli.json(), cli.quiet, cli.no_color);
    let socket = cli.socket();
    let action = cli.action();
    let failure_code = action.failure_code();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("hero_runner: cannot start: {error}");
            return ExitCode::from(failure_code);
        }
    };
    let code = runtime.block_on(async {
        let context = Context { client: client::Client::new(socket), console };
        match dispatch(&context, action).await {
            Ok(code) => code,
            Err(error) => failure::report(&context.console, &error, failure_code),
        }
    });
    // A read of standard input may still be under way in a thread; nobody waits for it.
    runtime.shutdown_background();
    ExitCode::from(code)
}

async fn dispatch(context: &Context, action: Action) -> anyhow::Result<u8> {
    match action {
        Action::Start { foreground, ui } => lifecycle::start::run(context, foreground, ui).await,
        Action::Stop { timeout } => lifecycle::stop::run(context, timeout).await,
        Action::Status => lifecycle::status::run(context).await,
        Action::Verb(verb) => verbs::run(context, *verb).await,
    }
}
