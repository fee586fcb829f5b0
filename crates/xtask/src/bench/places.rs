//! Where things are.

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};

fn folder(variable: &str, otherwise: PathBuf) -> PathBuf {
    std::env::var_os(variable).map_or(otherwise, PathBuf::from)
}

/// The folder of the repository.
pub(crate) fn repository() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// One of our programs.
pub(crate) fn program(name: &str) -> PathBuf {
    folder("HERO_BIN_DIR", repository().join("target/release")).join(name)
}

/// The folder of our guests.
pub(crate) fn guests() -> PathBuf {
    folder("HERO_RUNNER_SERVICES_DIR", repository().join("services/target/wasm32-wasip1/release"))
}

/// The load generator: installed with the guests, or where it was built.
pub(crate) fn scenario() -> Result<PathBuf> {
    let built = repository().join("services/scenario/target/scenario.wasm");
    let found = [guests().join("scenario.wasm"), built].into_iter().find(|path| path.exists());
    found.context("scenario.wasm is not there: run scripts/components.sh")
}

/// What takes minutes to make and is kept: the only folder that a benchmark leaves behind.
pub(crate) fn cache() -> Result<PathBuf> {
    let home = std::env::var_os("HOME").context("HOME is not set")?;
    let folder = PathBuf::from(home).join(".cache/hero_runner/bench");
    std::fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// A program that others built for WASI.
pub(crate) fn real_guest(name: &str) -> Result<PathBuf> {
    let path = folder("HERO_REAL_GUESTS_DIR", cache()?.with_file_name("guests")).join(format!("{name}.wasm"));
    ensure!(path.exists(), "{} is not there: run scripts/fetch_real_guests.sh", path.display());
    Ok(path)
}

/// A program on the path.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|dir| dir.join(name)).find(|program| program.is_file())
}
