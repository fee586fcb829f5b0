//! Floors: programs that do only what the kernel has to do.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::rounds::Pacing;
use super::sample::Sample;

/// The floor's program, linked in both ways.
#[derive(Debug)]
pub(crate) struct Floors {
    pub(crate) fixed: PathBuf,
    pub(crate) dynamic: PathBuf,
}

impl Floors {
    pub(crate) fn build(dir: &Path) -> Result<Self> {
        let compile = |name: &str, linking: &[&str]| -> Result<PathBuf> {
            let (source, program) = (concat!(env!("CARGO_MANIFEST_DIR"), "/floor/floor.c"), dir.join(name));
            let mut compiler = Command::new("cc");
            compiler.args(["-O2", "-o"]).arg(&program).arg(source).args(linking);
            ensure!(compiler.status().context("a C compiler is needed: cc")?.success(), "cc failed");
            Ok(program)
        };
        Ok(Self { fixed: compile("floor_static", &["-static"])?, dynamic: compile("floor", &[])? })
    }
}

/// A process that does what it is told, line by line, and prints what that took. It leaves with us.
#[derive(Debug)]
pub(crate) struct Floor {
    child: Child,
    told: ChildStdin,
    says: BufReader<ChildStdout>,
}

impl Floor {
    pub(crate) fn start(program: &Path, args: &[&str]) -> Result<Self> {
        Self::spawn(Command::new(program).args(args))
    }

    pub(crate) fn spawn(command: &mut Command) -> Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {command:?}"))?;
        let told = child.stdin.take().context("no stdin")?;
        let says = BufReader::new(child.stdout.take().context("no stdout")?);
        Ok(Self { child, told, says })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        Ok(writeln!(self.told, "{line}")?)
    }

    pub(crate) fn hear(&mut self) -> Result<String> {
        let mut line = String::new();
        ensure!(self.says.read_line(&mut line)? > 0, "a floor ended");
        Ok(line)
    }

    /// One block of what it does.
    pub(crate) fn block(&mut self, pacing: Pacing) -> Result<Sample> {
        self.tell(&pacing.micros().to_string())?;
        let line = self.hear()?;
        let took = line.split_whitespace().map(|word| Ok(word.parse::<f64>()? / 1000.0));
        took.collect::<Result<Sample>>().with_context(|| format!("a floor said {line:?}"))
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
