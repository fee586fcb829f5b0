//! Floors: programs that do only what the kernel has to do.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::sample::Sample;

/// Compiles the floor's C program, statically or not.
pub(crate) fn build(dir: &Path, is_static: bool) -> Result<PathBuf> {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/floor/floor.c");
    let program = dir.join(if is_static { "floor_static" } else { "floor" });
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-o"]).arg(&program).arg(source);
    if is_static {
        compiler.arg("-static");
    }
    ensure!(compiler.status().context("a C compiler is needed: cc")?.success(), "cc failed");
    Ok(program)
}

/// A process that forks when it is told to and prints what each fork took.
pub(crate) struct Forks {
    child: Child,
    told: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Forks {
    pub(crate) fn start(program: &Path, args: &[&str]) -> Result<Self> {
        let mut child =
            Command::new(program).args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let told = child.stdin.take().context("no stdin")?;
        let says = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self { child, told, says })
    }

    /// One block of 50 forks.
    pub(crate) fn block(&mut self) -> Result<Sample> {
        self.told.write_all(b"\n")?;
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        let sample: Sample =
            line.split_whitespace().filter_map(|word| word.parse().ok()).map(|ns: f64| ns / 1000.0).collect();
        ensure!(!sample.p50().is_nan(), "the floor said {line:?}");
        Ok(sample)
    }
}

impl Drop for Forks {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
