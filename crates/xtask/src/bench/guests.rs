//! Guests that only a benchmark needs, and folders of guests.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::places;
use super::server::Setup;

/// A guest that writes to every page of so many MiB before it asks for its input, prints the input, and ends.
fn filled(megabytes: u32) -> String {
    format!(
        r#"(module
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") {pages})
  (func (export "_start") (local $at i32)
    (loop $next
      (i32.store (local.get $at) (i32.const 1))
      (br_if $next
        (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4096))) (i32.const {bytes}))))
    ;; One piece of 1024 bytes at 64; its length is where the number of bytes read goes.
    (i32.store (i32.const 0) (i32.const 64))
    (i32.store (i32.const 4) (i32.const 1024))
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 4)))
    (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"#,
        pages = megabytes * 16,
        bytes = megabytes << 20,
    )
}

pub(crate) fn filled_name(megabytes: u32) -> String {
    format!("filled_{megabytes}")
}

/// A folder of guests in a folder: `hello`, `greet` and `echo`, one for each of these sizes, and these of others.
pub(crate) fn folder(dir: &Path, sizes: &[u32], real: &[&str]) -> Result<PathBuf> {
    let folder = dir.join("guests");
    fs::create_dir_all(&folder)?;
    for name in ["hello.wasm", "greet.wasm", "echo.wasm"] {
        let from = places::guests().join(name);
        fs::copy(&from, folder.join(name))
            .with_context(|| format!("{}: run build.sh first", from.display()))?;
    }
    for size in sizes {
        fs::write(folder.join(filled_name(*size) + ".wasm"), wat::parse_str(filled(*size))?)?;
    }
    for name in real {
        fs::copy(places::real_guest(name)?, folder.join(format!("{name}.wasm")))?;
    }
    Ok(folder)
}

/// The state of a server that has compiled these guests. Compiling CPython takes minutes, so it is kept; a server
/// that does not want it compiles anew.
pub(crate) fn compiled_state(services: &Path, names: &[String]) -> Result<PathBuf> {
    let kept = places::cache()?.join("state");
    let found = kept.exists().then_some(kept.as_path());
    let server = Setup { services: Some(services), state: found, ..Setup::default() }.start()?;
    for name in names {
        eprintln!("compiling {name} unless it is kept");
        server.compiled(name)?;
    }
    server.into_state(&kept)?;
    Ok(kept)
}
