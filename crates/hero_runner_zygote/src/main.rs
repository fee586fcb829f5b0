//! The process that holds the warm engine.
//!
//! `--zygote` forks workers for the supervisor, which passes its end of the control socket as descriptor 0.
//! `--compile` makes an artifact of one module, under limits, and leaves. It is a program of its own so that
//! the server never maps the engine, and so that a lost zygote can be replaced: a fork of the server itself
//! is no longer possible once its runtime has threads.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;
use std::process::ExitCode;

use engine::{Code, Engine};
use engine_wasmedge::WasmEdge;
use frames::message::exit;
use frames::{SessionSpec, TemplateSpec};
use prefork::{CONTROL, FRAMES, Identity, Image, Link, STDIN, Zygote};
use sys::title::Title;

const USAGE: &str = "usage: hero_runner_zygote --version
       hero_runner_zygote --zygote PARENT_PID
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
        ["--zygote", parent] => parent.parse().map_err(|_| USAGE.to_owned()).and_then(zygote),
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

fn zygote(parent: i32) -> Result<(), String> {
    let text = |error: std::io::Error| error.to_string();
    without_compiler();
    sys::child::die_with_parent(parent).map_err(text)?;
    sys::child::close_strays().map_err(text)?;
    sys::child::become_subreaper().map_err(text)?;
    let control = sys::child::inherited(0).map_err(text)?;
    let title = Title::find().map_err(text)?;
    let mut engine = WasmEdge::default();
    engine.warm().map_err(|error| error.to_string())?;
    title.set("hero_runner: zygote");
    Zygote::new(control, title).serve(&mut Warm { engine }).map_err(|error| error.to_string())
}

/// The engine as an image to fork from.
#[derive(Debug, Default)]
struct Warm {
    engine: WasmEdge,
}

impl Image for Warm {
    fn identity(&self) -> Identity {
        let growth_refused = self.engine.growth_refused().iter().map(|text| (*text).to_owned()).collect();
        Identity { engine: self.engine.version(), growth_refused }
    }

    fn work(&mut self, title: Title) -> i32 {
        let Ok(control) = sys::child::inherited(CONTROL) else { return exit::BROKEN };
        // There is one session; the socket is closed before the guest begins.
        let (spec, fds) = match Link::new(control).receive::<SessionSpec>() {
            Ok(Some(session)) => session,
            // The supervisor has no use for this worker any more.
            Ok(None) => return exit::UNUSED,
            Err(_) => return exit::BROKEN,
        };
        let Some(module) = fds.first() else { return exit::BROKEN };
        title.set(&format!("hero_runner: {}", spec.session_id));
        worker::serve(&mut self.engine, &spec, module.as_fd(), worker::Fds { stdin: STDIN, frames: FRAMES })
    }

    fn prepare(&mut self, spec: &TemplateSpec, module: OwnedFd) -> Result<(), String> {
        let path = format!("/proc/self/fd/{}", module.as_raw_fd());
        let code = Code { path: Path::new(&path), compiled: spec.compiled };
        self.engine.prepare(code, spec.max_pages).map_err(|error| error.to_string())
    }
}

/// For the benchmark: for every line on standard input, forks 50 times from the warm process, waits for each child,
/// and prints the nanoseconds that each took.
fn fork_floor() -> Result<(), String> {
    use std::io::{BufRead, Write};
    let text = |error: std::io::Error| error.to_string();
    without_compiler();
    WasmEdge::default().warm().map_err(|error| error.to_string())?;
    for _ in std::io::stdin().lock().lines() {
        let mut line = String::new();
        for _ in 0..50 {
            let begin = std::time::Instant::now();
            match sys::fork::fork_single_threaded().map_err(text)? {
                sys::fork::Fork::Child => sys::fork::exit_now(0),
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
    sys::child::run_when_idle().map_err(text)?;
    WasmEdge::default().compile(module, artifact).map_err(|error| error.to_string())
}
