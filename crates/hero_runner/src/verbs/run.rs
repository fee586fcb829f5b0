//! `hero_runner run`.

mod attach;
mod conditions;
pub(super) mod module;
mod package;
mod program;
pub(super) mod ready;
mod script;
mod service;
mod stdin;

use std::collections::BTreeMap;
use std::time::Duration;

use api::ErrorCode;
use api::method::{SessionRequestMethod, SessionStartMethod};
use api::session::{DirGrant, SessionRef, SessionStart};
use client::Client;
use program::Program;
use serde_json::json;

use crate::cli::{duration, millis};
use crate::{Context, exit, grant, size};

const AFTER: &str = "\
A file that is no WebAssembly module is a script. What runs it is the runtime of --runtime, else that of its `#!` line,
else that of its extension; `hero_runner runtime list` shows them. A script named - comes from standard input.
A folder (with a slash: ./NAME) or a .qyv is a package: its manifest says what it may do, and the flags add to that.
A word without a slash is a file when it ends in .wasm, or has another extension and is there; else it names a module.
`--invoke CALL` may also stand right behind the program.
Ctrl-C and SIGTERM stop the session; a second one kills it, a third one leaves it. Standard input is forwarded
when it is not a terminal, or with -i.";

/// Run a module, a package or a script as a session.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(crate) struct Args {
    /// A registered name, a digest (sha256:…), a .wasm file, a package, or a script; all that follows it are arguments for the program
    // One list, so that the program's own flags are not taken for ours.
    #[arg(required_unless_present_any = ["template", "module", "again"], trailing_var_arg = true, num_args = 1..)]
    #[arg(value_name = "PROGRAM [ARGS]")]
    program: Vec<String>,
    /// The file is a script for this runtime
    #[arg(long, value_name = "NAME", conflicts_with = "template")]
    runtime: Option<String>,
    /// Start from this template; all words are arguments for the program
    #[arg(long, value_name = "NAME")]
    template: Option<String>,
    /// Run this service in the foreground until Ctrl-C, as its declaration says
    #[arg(long, value_name = "SERVICE")]
    #[arg(conflicts_with_all = ["program", "runtime", "template", "env", "dir", "net", "working_dir", "timeout"])]
    #[arg(conflicts_with_all = ["memory", "label", "detach", "interactive", "engine", "invoke", "wait_ready"])]
    #[arg(conflicts_with_all = ["ready_line", "ready_export", "ready_timeout", "retries", "fallback"])]
    module: Option<String>,
    /// Run once more what this session was asked for, while the server knows it: its environment, folders and permissions too
    #[arg(long, value_name = "SESSION")]
    #[arg(conflicts_with_all = ["program", "runtime", "template", "module", "env", "dir", "net", "working_dir"])]
    #[arg(conflicts_with_all = ["timeout", "memory", "label", "engine", "invoke", "ready_line", "ready_export"])]
    #[arg(conflicts_with_all = ["ready_timeout", "retries", "fallback"])]
    again: Option<String>,
    /// Set a variable, or pass on the one that is set here
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = grant::variable)]
    env: Vec<(String, String)>,
    /// Let the program use a folder: to read, or with :rw to write as well
    #[arg(long, value_name = "HOST[::GUEST][:ro|:rw]", value_parser = grant::dir)]
    dir: Vec<DirGrant>,
    /// Let the program connect to a host and port, * for all ports; or to any
    #[arg(long, value_name = "HOST:PORT", value_parser = grant::net)]
    net: Vec<grant::Reach>,
    /// The folder, as the program sees it, from which relative paths start
    #[arg(short, long, value_name = "PATH")]
    working_dir: Option<String>,
    /// End the session after this time, with exit code 124
    #[arg(long, value_name = "TIME", value_parser = duration)]
    timeout: Option<Duration>,
    /// The most memory that the program may use: 64M, 1G, or a number of MiB
    #[arg(long, value_name = "SIZE", value_parser = size::mebibytes)]
    memory: Option<u32>,
    #[command(flatten)]
    conditions: conditions::Conditions,
    /// A name and a value to find the session by
    #[arg(long, value_name = "NAME=VALUE", value_parser = grant::label)]
    label: Vec<(String, String)>,
    /// Print the session's id and leave it running
    #[arg(short, long)]
    detach: bool,
    /// Forward standard input even when it is a terminal
    #[arg(short, long, conflicts_with = "detach")]
    interactive: bool,
}

pub(crate) async fn run(context: &Context, mut args: Args) -> anyhow::Result<u8> {
    args.conditions.take_invoke(&mut args.program);
    // Before the session exists, so that there is no moment in which Ctrl-C would leave it behind.
    let mut signals = attach::Signals::catch()?;
    if let Some(name) = args.module {
        return service::run(context, &name, signals).await;
    }
    let (detach, wait_ready, interactive) = (args.detach, args.conditions.wait_ready, args.interactive);
    let found = tokio::select! {
        found = find(&context.client, args) => found?,
        signal = signals.next() => return Ok(exit::by_signal(signal)),
    };
    let (program, request) = found;
    let repeats = request.retries.is_some() || request.fallback.is_some();
    let invokes = request.invoke.is_some();
    let forward = !(detach || wait_ready || repeats) && request.stdin_open && stdin::is_wanted(interactive);
    let request = SessionStart { stdin_open: forward, ..request };
    let started = match start(context, &program, &request, &mut signals).await? {
        Start::Done(started) => started,
        Start::Left(code) => return Ok(code),
    };
    let id = started.id;
    if detach {
        if context.console.json {
            context.console.json(&json!({ "session_id": id }))?;
        } else {
            context.console.print(&format!("{id}\n"))?;
        }
        return Ok(0);
    }
    if wait_ready {
        return ready::run(context, &id, signals, started.signal).await;
    }
    let pump = forward.then(|| tokio::spawn(stdin::forward(context.client.clone(), id.clone())));
    let code = attach::run(context, &id, signals, started.signal, invokes).await;
    if let Some(pump) = pump {
        pump.abort();
    }
    if let (Program::Package(package), Ok(1..)) = (&program, &code) {
        package::explain(context, package, request.dirs.len());
    }
    code
}

/// What is to be run, and what it is to be given. It is `stdin_open` where our standard input can be the program's.
async fn find(client: &Client, args: Args) -> anyhow::Result<(Program, SessionStart)> {
    if let Some(session_id) = args.again {
        let mut asked = client.call::<SessionRequestMethod>(SessionRef { session_id }).await?;
        asked.ready = asked.ready.or_else(|| args.conditions.ready());
        return Ok((Program::Asked, asked));
    }
    let mut words = args.program.into_iter();
    let program = match args.template {
        Some(template) => Program::Template(template),
        None => Program::find(client, &words.next().unwrap_or_default(), args.runtime.as_deref()).await?,
    };
    let request = SessionStart {
        args: words.collect(),
        env_vars: args.env.into_iter().collect::<BTreeMap<_, _>>(),
        working_dir: args.working_dir,
        stdin_open: program.reads_input(),
        dirs: args.dir,
        timeout_ms: args.timeout.map(millis),
        memory_limit_mb: args.memory,
        labels: args.label.into_iter().collect(),
        permissions: grant::permissions(args.net),
        ..SessionStart::default()
    };
    let request = args.conditions.put_into(request, client).await?;
    Ok((program, request))
}

struct Started {
    id: String,
    /// A signal that came while the server was asked to start it.
    signal: Option<i32>,
}

enum Start {
    Done(Started),
    /// A signal came first; this is the exit code.
    Left(u8),
}

/// Starts the session. Up to the call that starts it, a signal just ends us; from then on there may be a session to
/// stop, so one signal waits for the answer, and only the next one does not.
async fn start(
    context: &Context,
    program: &Program,
    request: &SessionStart,
    signals: &mut attach::Signals,
) -> anyhow::Result<Start> {
    let mut signal = None;
    let mut upload = false;
    loop {
        let request = tokio::select! {
            request = program.put_into(request.clone(), &context.client, upload) => request?,
            signal = signals.next() => return Ok(Start::Left(exit::by_signal(signal))),
        };
        let mut call = std::pin::pin!(context.client.call::<SessionStartMethod>(request));
        let reply = loop {
            tokio::select! {
                reply = &mut call => break reply,
                next = signals.next() => {
                    if let Some(first) = signal.replace(next) {
                        context.console.note("left while the server was starting the session");
                        return Ok(Start::Left(exit::by_signal(first)));
                    }
                }
            }
        };
        match reply {
            // The file's content was removed since the server was asked for it: upload it after all.
            Err(error)
                if !upload && program.is_uploaded() && error.code() == Some(ErrorCode::ModuleNotFound) =>
            {
                upload = true;
            }
            Err(error) => return Err(program.explain(error)),
            Ok(started) => return Ok(Start::Done(Started { id: started.session_id, signal })),
        }
    }
}
