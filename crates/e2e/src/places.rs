//! Where programs and guests are.

use std::path::{Path, PathBuf};

/// The folder of the repository.
#[must_use]
pub fn repository() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    folder.canonicalize().unwrap_or(folder)
}

/// One of our programs.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let folder = match api::paths::process_env("HERO_BIN_DIR") {
        Some(folder) => PathBuf::from(folder),
        // target/PROFILE/deps/TEST-HASH
        None => {
            let own = std::env::current_exe().expect("a process knows its own program");
            own.ancestors().nth(2).expect("a test's program lies in target/PROFILE/deps").to_owned()
        }
    };
    let path = folder.join(name);
    assert!(
        path.is_file(),
        "{} is missing: `cargo build -p hero_runner_server -p hero_runner_zygote -p hero_runner`, or set HERO_BIN_DIR",
        path.display()
    );
    path
}

/// The folder of the built guests.
///
/// # Panics
/// When they were not built.
#[must_use]
pub fn guests() -> PathBuf {
    let folder = api::paths::process_env("HERO_RUNNER_SERVICES_DIR")
        .map_or_else(|| repository().join("services/target/wasm32-wasip1/release"), PathBuf::from);
    assert!(
        folder.join("hello.wasm").is_file(),
        "no guests in {}: `cd services && cargo build --release --target wasm32-wasip1`, or set HERO_RUNNER_SERVICES_DIR",
        folder.display()
    );
    folder
}

/// The file of a built guest.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn guest(name: &str) -> PathBuf {
    let path = guests().join(format!("{name}.wasm"));
    assert!(path.is_file(), "{} is missing", path.display());
    path
}

/// The file of a part of the load generator, as it is before it is composed.
///
/// # Panics
/// When it was not built.
#[must_use]
pub fn scenario_part(name: &str) -> PathBuf {
    let path = repository().join(format!("services/scenario/target/wasm32-wasip2/release/{name}.wasm"));
    assert!(path.is_file(), "{} is missing: build.sh builds it", path.display());
    path
}
