//! Programs of others, from Debian's packages: those of the machine, or fetched into a folder of our own, and never into
//! the system.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::bench::places;

/// A program, and where its libraries are if they came with it.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    path: PathBuf,
    libraries: Option<OsString>,
}

impl Program {
    /// The program of a package: from the path, or fetched before, or fetched now.
    ///
    /// # Errors
    /// When it cannot be had; what went wrong, and what to do.
    pub(crate) fn find(name: &str) -> Result<Self> {
        if let Some(path) = places::on_path(name).or_else(|| in_sbin(name)) {
            return Ok(Self { path, libraries: None });
        }
        let folder = places::cache()?.join("debian").join(name);
        if unpacked(&folder, name).is_err() {
            fetch(&folder, name).with_context(|| {
                format!("{name} is not installed and cannot be fetched (`apt-get install {name}`)")
            })?;
        }
        let program = unpacked(&folder, name)?;
        let tried = program.command().arg("-v").stdin(Stdio::null()).output()?;
        // wrk ends with 1 when it is asked for its version; the loader, when a library is missing, with 127.
        ensure!(
            tried.status.code() != Some(127),
            "{name} does not start: {}",
            String::from_utf8_lossy(&tried.stderr).trim()
        );
        Ok(program)
    }

    /// A command that runs it.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        if let Some(libraries) = &self.libraries {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        command
    }
}

/// Daemons are installed where only the path of an administrator leads to.
fn in_sbin(name: &str) -> Option<PathBuf> {
    Some(Path::new("/usr/sbin").join(name)).filter(|path| path.is_file())
}

/// What was unpacked into a folder.
fn unpacked(folder: &Path, name: &str) -> Result<Program> {
    let places = ["usr/bin", "usr/sbin"].map(|place| folder.join(place).join(name));
    let path = places.into_iter().find(|path| path.is_file());
    let path = path.with_context(|| format!("{name} is not in {}", folder.display()))?;
    let libraries = fs::read_dir(folder.join("usr/lib")).into_iter().flatten().flatten();
    // One folder for each architecture, such as `x86_64-linux-gnu`.
    let libraries =
        libraries.map(|entry| entry.path()).filter(|path| path.to_string_lossy().ends_with("-gnu"));
    let libraries = std::env::join_paths(libraries)?;
    Ok(Program { path, libraries: (!libraries.is_empty()).then_some(libraries) })
}

/// Fetches a package and those libraries of it that are not installed. Neither needs to be root.
fn fetch(folder: &Path, name: &str) -> Result<()> {
    eprintln!("fetching Debian's package {name}");
    let asked =
        output(Command::new("apt-cache").args(["depends", "--no-recommends", "--no-suggests", name]))?;
    let needed =
        asked.lines().filter_map(|line| line.trim().trim_start_matches('|').strip_prefix("Depends: "));
    let needed = needed.filter(|package| package.starts_with("lib") && !is_installed(package));
    let above = folder.parent().context("no folder")?;
    fs::create_dir_all(above)?;
    // Beside its place, so that what is there is always whole.
    let part = tempfile::Builder::new().prefix(name).tempdir_in(above)?;
    output(Command::new("apt-get").arg("download").arg(name).args(needed).current_dir(part.path()))?;
    let tree = part.path().join("tree");
    for entry in
        fs::read_dir(part.path())?.flatten().filter(|entry| entry.path().extension() == Some("deb".as_ref()))
    {
        output(Command::new("dpkg").arg("-x").arg(entry.path()).arg(&tree))?;
    }
    let _ = fs::remove_dir_all(folder);
    fs::rename(&tree, folder).with_context(|| format!("cannot make {}", folder.display()))
}

fn is_installed(package: &str) -> bool {
    let asked = Command::new("dpkg-query").args(["-W", "-f", "${db:Status-Status}", package]).output();
    asked.is_ok_and(|asked| asked.stdout == b"installed")
}

/// What a command prints, if it ends well.
fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
