//! Finds the version of Wasmtime, which the library itself tells only in part.

use std::io::{Error, ErrorKind};

fn main() -> Result<(), Error> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
    println!("cargo:rerun-if-changed={path}");
    let lock = std::fs::read_to_string(path)?;
    let version = lock
        .split_once("name = \"wasmtime\"\nversion = \"")
        .and_then(|(_, rest)| rest.split_once('"'))
        .ok_or_else(|| Error::new(ErrorKind::NotFound, "Cargo.lock names no version of wasmtime"))?;
    println!("cargo:rustc-env=WASMTIME_VERSION={}", version.0);
    Ok(())
}
