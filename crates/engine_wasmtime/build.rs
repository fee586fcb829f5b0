//! Finds the version of Wasmtime, which the library itself tells only in part.

use std::io::{Error, ErrorKind};

fn main() -> Result<(), Error> {
    // Asked for when it runs: the checkout may have moved since it was built.
    let own = std::env::var("CARGO_MANIFEST_DIR").map_err(Error::other)?;
    let path = format!("{own}/../../Cargo.lock");
    println!("cargo:rerun-if-changed={path}");
    let lock = std::fs::read_to_string(&path)?;
    let version = lock
        .split_once("name = \"wasmtime\"\nversion = \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "Cargo.lock names no version of wasmtime"))?;
    println!("cargo:rustc-env=WASMTIME_VERSION={}", version.0);
    Ok(())
}
