//! The process that holds the warm engine.
//!
//! `--zygote` forks workers for the supervisor, which passes its end of the control socket as descriptor 0.
//! `--compile` makes an artifact of one module, under limits, and leaves. It is a program of its own so that
//! the server never maps the engine, and so that a lost zygote can be replaced: a fork of the server itself
//! is no longer possible once its runtime has threads.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;

use engine::Engine;
use engine_wasmedge::WasmEdge;
use frames::message::exit;
use frames::{FromZygote, SessionSpec, TemplateSpec};
use prefork::{CONTROL, FRAMES, Identity, Link, MODULE, Role, STDIN, Zygote};
use sys::fork::{exit_now, exit_quickly};
use sys::title::Title;
use worker::{Printed, Warmed};

const USAGE: &str = "usage: hero_runner_zygote --version
       hero_runner_zygote --zygote PARENT_PID [--outgoing]
       hero_runner_zygote --fork-floor
       hero_runner_zygote --compile MODULE ARTIFACT CPU_SECONDS MEMORY_MB PARENT_PID";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(|arg| arg.trim_end()).collect();
    let result = match args.get(1..).unwrap_or_default() {
        ["--version"] => {
            println!("hero_runner_zygote {} ({})", env!("CARGO_PKG_VERSION"), WasmEdge::default().version());
            Ok(())
        }
        ["--zygote", parent, rest @ ..] if matches!(rest, [] | ["--outgoing"]) => {
            parent.parse().map_err(|_| USAGE.to_owned()).and_then(|parent| zygote(parent, !rest.is_empty()))
        }
        ["--compile", module, artifact, seconds, megabytes, parent] => {
            compile(Path::new(module), Path::new(artifact), [seconds, megabytes, parent])
        }
        ["--fork-floor"] => fork_floor(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("hero_runner_zygote: {message}");
            ExitCode::FAILURE
        }
    }
}

/// Executes this program again with a stand-in for the compiler's library, where the set-up made one.
///
/// The engine's library needs hundreds of symbols of LLVM to be loaded and not one to run: they are the compiler's.
/// Without that library the process has a third fewer mappings and relocated pages, and a fork of it takes two thirds
/// of the time. A stand-in's symbols all trap. The process stays the same one: its pid, its descriptors and its death
/// signal survive.
fn without_compiler() {
    use std::os::unix::process::CommandExt;
    const VARIABLE: &str = "LD_PRELOAD";
    let Some(stand_in) = option_env!("HERO_RUNNER_WITHOUT_COMPILER") else { return };
    if std::env::var_os(VARIABLE).is_some() || !Path::new(stand_in).exists() {
        return;
    }
    let mut args = std::env::args_os();
    let title = args.next().unwrap_or_default();
    let error =
        std::process::Command::new("/proc/self/exe").arg0(title).args(args).env(VARIABLE, stand_in).exec();
    // It works without, only slower.
    eprintln!("hero_runner_zygote: cannot execute itself again: {error}");
}

/// With `outgoing` its sessions may open connections.
fn zygote(parent: i32, outgoing: bool) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    without_compiler();
    sys::child::die_with_parent(parent).map_err(text)?;
    sys::child::close_strays().map_err(text)?;
    sys::child::become_subreaper().map_err(text)?;
    let control = sys::child::inherited(0).map_err(text)?;
    let title = Title::find().map_err(text)?;
    let mut engine = WasmEdge::default();
    engine.warm().map_err(|error| error.to_string())?;
    compact();
    title.set("hero_runner: zygote");
    let zygote = Zygote::root(control, title, outgoing).map_err(text)?;
    exit_now(live(zygote, &mut engine, title, &Printed::default()))
}

/// Serves as a zygote, and then as whatever a fork has made of this process; the status to leave with.
fn live(zygote: Zygote, engine: &mut WasmEdge, title: Title, printed: &Printed) -> i32 {
    match zygote.serve(&identity(engine)) {
        Ok(Role::Worker) => match rehearsed(engine, title) {
            Ok((spec, given)) => exit_quickly(worker::serve(engine, &spec, given, FDS, printed)),
            Err(status) => status,
        },
        Ok(Role::Template(spec)) => template(engine, title, &spec),
        Ok(Role::Ended) => exit::UNUSED,
        Ok(Role::Broken) => exit::BROKEN,
        Err(error) => {
            eprintln!("hero_runner_zygote: {error}");
            exit::BROKEN
        }
    }
}

fn identity(engine: &WasmEdge) -> Identity {
    let growth_refused = engine.growth_refused().iter().map(|text| (*text).to_owned()).collect();
    Identity { engine: engine.version(), growth_refused }
}

/// Gets ready, and waits for a session.
fn rehearsed(engine: &mut WasmEdge, title: Title) -> Result<(SessionSpec, Vec<OwnedFd>), i32> {
    worker::rehearse(engine);
    session(title)
}

const FDS: worker::Fds = worker::Fds { stdin: STDIN, frames: FRAMES, control: CONTROL };

/// Waits until the supervisor has a session for this worker; the error is the status to leave with without one.
fn session(title: Title) -> Result<(SessionSpec, Vec<OwnedFd>), i32> {
    // It stays open for what the worker says of itself.
    let control = sys::stdio::numbered(CONTROL).ok_or(exit::BROKEN)?;
    match Link::new(control).receive::<SessionSpec>() {
        Ok(Some((spec, given))) => {
            title.set(&format!("hero_runner: {}", spec.session_id));
            Ok((spec, given))
        }
        // The supervisor has no use for this worker any more.
        Ok(None) => Err(exit::UNUSED),
        Err(_) => Err(exit::BROKEN),
    }
}

/// Prepares a module and serves as its zygote; the status to leave with.
fn template(engine: &mut WasmEdge, title: Title, spec: &TemplateSpec) -> i32 {
    let (Ok(control), Some(module)) = (sys::child::inherited(CONTROL), sys::stdio::numbered(MODULE)) else {
        return exit::BROKEN;
    };
    let identity = identity(engine);
    let mut control = Some(control);
    let mut fork = || {
        let (Some(control), Ok(guest)) = (control.take(), sys::child::open_fds(MODULE + 1)) else {
            exit_now(exit::BROKEN)
        };
        slim();
        match Zygote::new(control, title).keeping(guest).serve(&identity) {
            // The module goes on in the session, from here.
            Ok(Role::Worker) => session(title).map_or_else(|status| exit_now(status), |(spec, _)| spec),
            Ok(Role::Ended) => exit_now(exit::UNUSED),
            Ok(Role::Broken | Role::Template(_)) | Err(_) => exit_now(exit::BROKEN),
        }
    };
    match worker::warm(engine, spec, module, FDS, &mut fork) {
        Ok(Warmed::Session(status)) => exit_quickly(status),
        Ok(Warmed::Template(printed)) => match control {
            Some(control) => {
                slim();
                live(Zygote::new(control, title), engine, title, &printed)
            }
            None => exit::BROKEN,
        },
        Err(why) => {
            if let Some(control) = control {
                // A supervisor that is gone needs no reason.
                let _ = Link::new(control).send(&FromZygote::NotWarm { why }, &[]);
            }
            exit::LOAD_FAILED
        }
    }
}

/// Makes the program and the engine cheap to inherit. They work without, only slower.
fn compact() {
    let _ = sys::memory::compact_code(&["libwasmedge.so", "libstdc++.so"]);
}

/// Makes this process cheap to fork. It works without, only slower.
fn slim() {
    let _ = sys::memory::collapse();
}

/// For the benchmark: for every line on standard input, forks 50 times from the warm process, waits for each child,
/// and prints the nanoseconds that each took. A number on the line is a pause before each fork, in microseconds, which
/// grows to one and a half of it.
fn fork_floor() -> Result<(), String> {
    use std::io::{BufRead, Write};
    let text = |error: std::io::Error| error.to_string();
    without_compiler();
    WasmEdge::default().warm().map_err(|error| error.to_string())?;
    compact();
    for pause in std::io::stdin().lock().lines() {
        let pause: u64 = pause.map_err(text)?.trim().parse().unwrap_or(0);
        let mut line = String::new();
        for turn in 0..50 {
            if pause > 0 {
                std::thread::sleep(std::time::Duration::from_micros(pause + pause * turn / 100));
            }
            let begin = std::time::Instant::now();
            match sys::fork::fork_single_threaded().map_err(text)? {
                sys::fork::Fork::Child => exit_now(0),
                sys::fork::Fork::Parent { pid, .. } => sys::rusage::wait(pid.as_raw()).map_err(text)?,
            };
            line.push_str(&format!("{} ", begin.elapsed().as_nanos()));
        }
        println!("{line}");
        std::io::stdout().flush().map_err(text)?;
    }
    Ok(())
}

fn compile(module: &Path, artifact: &Path, limits: [&str; 3]) -> Result<(), String> {
    let [Ok(seconds), Ok(megabytes), Ok(parent)] = limits.map(str::parse::<u32>) else {
        return Err(USAGE.to_owned());
    };
    let text = |error: std::io::Error| error.to_string();
    sys::child::die_with_parent(parent as i32).map_err(text)?;
    sys::child::close_strays().map_err(text)?;
    sys::child::limit_compile(u64::from(seconds), u64::from(megabytes) << 20).map_err(text)?;
    sys::child::no_new_privileges().map_err(text)?;
    // Sessions that run now matter more than those that would run faster later.
    sys::sched::run_when_idle().map_err(text)?;
    WasmEdge::default().compile(module, artifact).map_err(|error| error.to_string())
}
