//! WasmEdge as an engine: core modules with WASI preview 1.
//!
//! The guest's standard streams and its randomness do not go through the engine's own WASI functions. They go
//! through ours ([`wasi`]), which take the place of `fd_read`, `fd_write`, `poll_oneoff` and `random_get` in
//! the engine's WASI module. A guest with a network has our functions for sockets too ([`sockets`]). Everything else
//! of WASI is the engine's.

mod errno;
mod exec;
mod host;
mod poll;
mod raw;
mod sockets;
mod wasi;

use std::path::Path;

use engine::{Code, Ending, Engine, Entry, Error, Nowhere, Run, Stdio};

/// The engine. It keeps at most the one module that was prepared: a worker runs one session and leaves.
#[derive(Debug, Default)]
pub struct WasmEdge {
    prepared: Option<(raw::Wasi, raw::Instance)>,
    /// The module of [`Engine::warm`].
    rehearsal: Option<(raw::Wasi, raw::Instance)>,
}

/// A module that touches what all modules touch: its memory, a standard stream, the way out.
const WARMING: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (func (export "_start")
    (drop (memory.grow (i32.const 1)))
    (i32.store (i32.const 8) (i32.const 64))
    (drop (call $write (i32.const 1) (i32.const 8) (i32.const 1) (i32.const 32)))
    (call $exit (i32.const 0))))"#;

impl Engine for WasmEdge {
    fn version(&self) -> String {
        format!("wasmedge {}", raw::version())
    }

    fn growth_refused(&self) -> &'static [&'static str] {
        // Linear memory at its limit of pages; the interpreter's own stack at the limit of the process.
        &["Memory grow page failed, exceeded limited", "std::bad_alloc"]
    }

    fn warm(&mut self) -> Result<(), Error> {
        let bytes = wat::parse_str(WARMING).map_err(|error| Error(error.to_string()))?;
        let run = Run { args: &["warm".to_owned()], max_pages: 16, ..Run::default() };
        let (module, config) =
            raw::load_bytes(&bytes, run.max_pages).map_err(|fault| Error(fault.message))?;
        let loaded = raw::Wasi::create(run.args, run.env, &[], None)
            .and_then(|wasi| Ok((wasi, raw::instantiate(module, config, &wasi)?)));
        let (wasi, instance) = loaded.map_err(|fault| Error(fault.message))?;
        match started(&wasi, &instance, &mut Nowhere) {
            Ending::Exited(0) => {
                self.rehearsal = Some((wasi, instance));
                Ok(())
            }
            other => Err(Error(format!("the engine does not work here: {other:?}"))),
        }
    }

    fn rehearse(&mut self) {
        // Both worked before the fork. A run begins with what the first does, and does it again.
        if let Some((wasi, _)) = &self.prepared {
            let _ = wasi.reset(&["rehearsal".to_owned()], &[], &[], None);
        }
        if let Some((wasi, instance)) = &self.rehearsal {
            let _ = wasi.reset(&["rehearsal".to_owned()], &[], &[], None);
            let _ = started(wasi, instance, &mut Nowhere);
        }
    }

    fn run(&mut self, code: Code<'_>, run: &Run<'_>, stdio: &mut dyn Stdio) -> Ending {
        if let Err(ending) = is_program(run) {
            return ending;
        }
        match raw::load_file(code.path, code.compiled, run.max_pages) {
            Ok((module, config)) => run_loaded(module, config, run, stdio),
            Err(fault) => Ending::LoadFailed(fault.message),
        }
    }

    fn prepare(&mut self, code: Code<'_>, run: &Run<'_>, stdio: &mut dyn Stdio) -> Result<(), Error> {
        let error = |fault: raw::Fault| Error(fault.message);
        let (module, config) = raw::load_file(code.path, code.compiled, run.max_pages).map_err(error)?;
        let wasi = raw::Wasi::create(run.args, run.env, &folders(run), run.network).map_err(error)?;
        if let Some(name) = run.init {
            let instance =
                wasi.with_streams(stdio, || raw::instantiate(module, config, &wasi)).map_err(error)?;
            initialise(&wasi, &instance, name, stdio)
                .map_err(|ending| Error(format!("its function {name:?}: {ending}")))?;
            self.prepared = Some((wasi, instance));
            return Ok(());
        }
        let instance = raw::instantiate(module, config, &wasi).map_err(error)?;
        if wasi.missed() {
            // What it would have printed or drawn belongs to each session, not to all of them.
            return Err(Error("its start section uses standard streams or random numbers".to_owned()));
        }
        self.prepared = Some((wasi, instance));
        Ok(())
    }

    fn is_prepared(&self) -> bool {
        self.prepared.is_some()
    }

    fn run_prepared(&mut self, run: &Run<'_>, stdio: &mut dyn Stdio) -> Option<Ending> {
        let (wasi, instance) = self.prepared.take()?;
        Some(match wasi.reset(run.args, run.env, &folders(run), run.network) {
            Ok(()) => ready_and_started(&wasi, &instance, run, stdio),
            Err(fault) => Ending::LoadFailed(fault.message),
        })
    }

    fn compile(&self, module: &Path, artifact: &Path) -> Result<(), Error> {
        raw::compile(module, artifact).map_err(|fault| Error(fault.message))
    }
}

fn run_loaded(module: raw::Module, config: raw::Config, run: &Run<'_>, stdio: &mut dyn Stdio) -> Ending {
    let instance = raw::Wasi::create(run.args, run.env, &folders(run), run.network)
        // A module's start section runs here already, and may print.
        .and_then(|wasi| Ok((wasi, wasi.with_streams(stdio, || raw::instantiate(module, config, &wasi))?)));
    let (wasi, instance) = match instance {
        Ok(both) => both,
        Err(fault) => return Ending::LoadFailed(fault.message),
    };
    stdio.loaded();
    if let Some(name) = run.init
        && let Err(ending) = initialise(&wasi, &instance, name, stdio)
    {
        return ending;
    }
    ready_and_started(&wasi, &instance, run, stdio)
}

/// Core modules are programs; the error is the end of a run that wants something else of one.
fn is_program(run: &Run<'_>) -> Result<(), Ending> {
    let why = match run.entry {
        Entry::Program => return Ok(()),
        Entry::Invoke { .. } => "it is a core module: only a component's functions have types",
        Entry::Serve { .. } => "it is a core module: only a component can answer HTTP requests",
    };
    Err(Ending::LoadFailed(why.to_owned()))
}

/// Has the guest get ready where the run says so, and starts it.
fn ready_and_started(
    wasi: &raw::Wasi,
    instance: &raw::Instance,
    run: &Run<'_>,
    stdio: &mut dyn Stdio,
) -> Ending {
    if let Err(ending) = is_program(run) {
        return ending;
    }
    stdio.loaded();
    if let Some(name) = run.ready_export {
        if let Err(ending) = initialise(wasi, instance, name, stdio) {
            return ending;
        }
        stdio.ready();
    }
    started(wasi, instance, stdio)
}

/// Calls an exported initialiser; an error is the end of the run.
fn initialise(
    wasi: &raw::Wasi,
    instance: &raw::Instance,
    name: &str,
    stdio: &mut dyn Stdio,
) -> Result<(), Ending> {
    let function = instance.export(name).ok_or_else(|| {
        Ending::LoadFailed(format!("the module exports no function {name:?} without parameters and results"))
    })?;
    match raw::call(wasi, instance, function, stdio) {
        // A guest may leave for good here too, by `proc_exit`.
        Ok(raw::Called::Returned) => Ok(()),
        Ok(raw::Called::Exited(code)) => Err(Ending::Exited(code)),
        Err(fault) => Err(Ending::Trapped { trap: trap_name(fault.code), message: fault.message }),
    }
}

/// The folders of a run in the engine's notation.
fn folders(run: &Run<'_>) -> Vec<String> {
    let folder = |dir: &engine::Dir<'_>| {
        let mode = if dir.read_only { ":readonly" } else { "" };
        format!("{}:{}{mode}", dir.guest, dir.host)
    };
    run.dirs.iter().map(folder).collect()
}

fn started(wasi: &raw::Wasi, instance: &raw::Instance, stdio: &mut dyn Stdio) -> Ending {
    match raw::call(wasi, instance, instance.start, stdio) {
        Ok(raw::Called::Returned) => Ending::Exited(0),
        Ok(raw::Called::Exited(code)) => Ending::Exited(code),
        Err(fault) => Ending::Trapped { trap: trap_name(fault.code), message: fault.message },
    }
}

/// The names of traps, by the engine's error codes (its `enum.inc`).
fn trap_name(code: u32) -> &'static str {
    match code {
        0x02 => "runtime_error",
        0x07 => "interrupted",
        0x0403 => "function_signature_mismatch",
        0x0404 => "integer_divide_by_zero",
        0x0405 => "integer_overflow",
        0x0406 => "invalid_conversion_to_integer",
        0x0407 => "table_out_of_bounds",
        0x0408 => "memory_out_of_bounds",
        0x040A => "unreachable",
        0x040B => "uninitialized_element",
        0x040C => "undefined_element",
        0x040D => "indirect_call_type_mismatch",
        0x040E => "host_function_failed",
        0x0410 => "unaligned_atomic",
        0x0419 => "uncaught_exception",
        _ => "trap",
    }
}
