//! `rival MODULE.cwasm`: runs a module that `wasmtime compile` made, with WASI preview 1, and leaves.

use std::process::exit;

use wasmtime::{Config, Engine, Linker, Module, Result, Store};
use wasmtime_wasi::p1::{self, WasiP1Ctx};
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

fn main() -> Result<()> {
    let Some(path) = std::env::args_os().nth(1) else {
        eprintln!("usage: rival MODULE.cwasm");
        exit(2);
    };
    let engine = Engine::new(&Config::new())?;
    // SAFETY: the benchmark compiled this file itself, a moment ago, in a folder of its own.
    let module = unsafe { Module::deserialize_file(&engine, path)? };
    let mut linker: Linker<WasiP1Ctx> = Linker::new(&engine);
    p1::add_to_linker_sync(&mut linker, |context| context)?;
    let context = WasiCtxBuilder::new().inherit_stdio().build_p1();
    let mut store = Store::new(&engine, context);
    let instance = linker.instantiate(&mut store, &module)?;
    let run = instance.get_typed_func::<(), ()>(&mut store, "_start")?.call(&mut store, ());
    // Nothing is torn down: the process ends anyway.
    match run {
        Ok(()) => exit(0),
        Err(error) => match error.downcast_ref::<I32Exit>() {
            Some(code) => exit(code.0),
            None => Err(error),
        },
    }
}
