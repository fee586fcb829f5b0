//! The processes that hold a warm engine: a program for each engine, which differ in nothing but that.
//!
//! `--zygote` forks workers for the supervisor, which passes its end of the control socket as descriptor 0.
//! `--compile` makes an artifact of one module, under limits, and leaves. They are programs of their own so that
//! the server never maps an engine, and so that a lost zygote can be replaced: a fork of the server itself
//! is no longer possible once its runtime has threads. Each has one engine, and no fork of it pays for another's.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;

use engine::Engine;
use frames::message::exit;
use frames::{FromZygote, SessionSpec, TemplateSpec};
use prefork::{CONTROL, FRAMES, Identity, Link, MODULE, Role, STDIN, Zygote};
use sys::filter::Network;
use sys::fork::{exit_now, exit_quickly};
use sys::title::Title;
use worker::{Printed, Warmed};

/// A program for one engine.
#[derive(Debug, Clone, Copy)]
pub struct Program {
    /// Its file's name.
    pub name: &'static str,
    /// Done before the engine is warmed; it may execute the program again.
    pub first: fn(),
    /// The beginnings of the names of libraries with much code, which is moved into huge pages.
    pub large_libraries: &'static [&'static str],
    /// What of the network is left to sessions that may connect.
    pub outgoing: Network,
}

/// Does what the arguments say.
pub fn main<E: Engine + Default>(program: &Program) -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let args: Vec<&str> = args.iter().map(|arg| arg.trim_end()).collect();
    let name = program.name;
    let usage = format!(
        "usage: {name} --version
       {name} --zygote PARENT_PID [--outgoing]
       {name} --fork-floor
       {name} --compile MODULE ARTIFACT CPU_SECONDS MEMORY_MB PARENT_PID idle|low|normal"
    );
    let result = match args.get(1..).unwrap_or_default() {
        ["--version"] => {
            println!("{name} {} ({})", env!("CARGO_PKG_VERSION"), E::default().version());
            Ok(())
        }
        ["--zygote", parent, rest @ ..] if matches!(rest, [] | ["--outgoing"]) => {
            let network = if rest.is_empty() { Network::Given } else { program.outgoing };
            parent.parse().map_err(|_| usage).and_then(|parent| zygote::<E>(program, parent, network))
        }
        ["--compile", module, artifact, seconds, megabytes, parent, priority] => {
            match [seconds, megabytes, parent].map(|number| number.parse::<u32>()) {
                [Ok(seconds), Ok(megabytes), Ok(parent)] => {
                    let limits = [seconds, megabytes, parent];
                    compile::<E>(Path::new(module), Path::new(artifact), limits, priority)
                }
                _ => Err(usage),
            }
        }
        ["--fork-floor"] => fork_floor::<E>(program),
        _ => {
            eprintln!("{usage}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{name}: {message}");
            ExitCode::FAILURE
        }
    }
}

fn zygote<E: Engine + Default>(program: &Program, parent: i32, network: Network) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    (program.first)();
    sys::child::die_with_parent(parent).map_err(text)?;
    sys::child::close_strays().map_err(text)?;
    sys::child::become_subreaper().map_err(text)?;
    let control = sys::child::inherited(0).map_err(text)?;
    let title = Title::find().map_err(text)?;
    let zygote = Zygote::root(control, title, network).map_err(text)?;
    let mut engine = E::default();
    engine.warm().map_err(|error| error.to_string())?;
    compact(program);
    title.set("hero_runner: zygote");
    exit_now(live(zygote, program, &mut engine, title, &Printed::default()))
}

/// Serves as a zygote, and then as whatever a fork has made of this process; the status to leave with.
fn live(zygote: Zygote, program: &Program, engine: &mut dyn Engine, title: Title, printed: &Printed) -> i32 {
    match zygote.serve(&identity(engine)) {
        Ok(Role::Worker) => match rehearsed(engine, title) {
            Ok((spec, given)) => exit_quickly(worker::serve(engine, &spec, given, FDS, printed)),
            Err(status) => status,
        },
        Ok(Role::Template(spec)) => template(program, engine, title, &spec),
        Ok(Role::Ended) => exit::UNUSED,
        Ok(Role::Broken) => exit::BROKEN,
        Err(error) => {
            eprintln!("{}: {error}", program.name);
            exit::BROKEN
        }
    }
}

fn identity(engine: &dyn Engine) -> Identity {
    let growth_refused = engine.growth_refused().iter().map(|text| (*text).to_owned()).collect();
    Identity { engine: engine.version(), growth_refused }
}

/// Gets ready, and waits for a session.
fn rehearsed(engine: &mut dyn Engine, title: Title) -> Result<(SessionSpec, Vec<OwnedFd>), i32> {
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
fn template(program: &Program, engine: &mut dyn Engine, title: Title, spec: &TemplateSpec) -> i32 {
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
                // What was open before it was prepared has lower numbers.
                let held =
                    if engine.keeps_files() { sys::child::open_fds(MODULE + 1) } else { Ok(Vec::new()) };
                let Ok(held) = held else { return exit::BROKEN };
                slim();
                live(Zygote::new(control, title).holding(held), program, engine, title, &printed)
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
fn compact(program: &Program) {
    let _ = sys::memory::compact_code(program.large_libraries);
}

/// Makes this process cheap to fork. It works without, only slower.
fn slim() {
    let _ = sys::memory::collapse();
}

/// For the benchmark: for every line on standard input, forks 50 times from the warm process, waits for each child,
/// and prints the nanoseconds that each took. A number on the line is a pause before each fork, in microseconds, which
/// grows to one and a half of it.
fn fork_floor<E: Engine + Default>(program: &Program) -> Result<(), String> {
    use std::io::{BufRead, Write};
    let text = |error: std::io::Error| error.to_string();
    (program.first)();
    let mut engine = E::default();
    engine.warm().map_err(|error| error.to_string())?;
    compact(program);
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

fn compile<E: Engine + Default>(
    module: &Path,
    artifact: &Path,
    limits: [u32; 3],
    priority: &str,
) -> Result<(), String> {
    let [seconds, megabytes, parent] = limits;
    let text = |error: std::io::Error| error.to_string();
    sys::child::die_with_parent(parent as i32).map_err(text)?;
    sys::child::close_strays().map_err(text)?;
    sys::child::limit_compile(u64::from(seconds), u64::from(megabytes) << 20).map_err(text)?;
    sys::child::no_new_privileges().map_err(text)?;
    let engine = E::default();
    // Sessions that run now matter more than those that would run faster later; but somebody may wait for this one.
    match priority {
        "idle" => sys::sched::run_when_idle().map_err(text)?,
        "low" => sys::sched::run_after_others().map_err(text)?,
        "normal" => {}
        other => return Err(format!("there is no priority {other:?}")),
    }
    engine.compile(module, artifact).map_err(|error| error.to_string())
}
