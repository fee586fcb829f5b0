//! Compiling, and loading what was compiled.
#![allow(unsafe_code, reason = "an artifact is machine code")]

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use engine::Code;
use sys::fork::{Fork, exit_now, fork_single_threaded};
use wasmparser::{Parser, Payload};
use wasmtime::component::{Component, InstancePre, Linker};
use wasmtime::{Engine, Module, Precompiled};

use crate::core_module::Core;
use crate::state::Host;

/// A module that is ready to be instantiated.
pub(crate) enum Loaded {
    Component {
        pre: InstancePre<Host>,
        /// None of its code runs by instantiating it.
        still: bool,
    },
    Core(wasmtime::InstancePre<Core>),
}

/// What modules may import, by their kind.
pub(crate) struct Linkers {
    pub(crate) component: Linker<Host>,
    pub(crate) core: wasmtime::Linker<Core>,
}

/// Loads an artifact and finds what it imports.
///
/// # Errors
/// Why it cannot be loaded, or what it imports that is not there.
pub(crate) fn load(engine: &Engine, linkers: &Linkers, code: Code<'_>) -> Result<Loaded, String> {
    if !code.compiled {
        return Err(
            "the engine runs only what was compiled before: compiling takes threads and time".to_owned()
        );
    }
    let text = |error: wasmtime::Error| format!("the artifact cannot be loaded: {error:#}");
    let none = |error: wasmtime::Error| format!("the artifact is none of this engine's: {error:#}");
    match Engine::detect_precompiled_file(code.path).map_err(none)? {
        Some(Precompiled::Component) => {
            // SAFETY: `Code::compiled` says that this host's own compile process made the file, by `compile`. It lies in the
            // store of artifacts, which no guest and no user can write; the engine compares its version and settings.
            let component = unsafe { Component::deserialize_file(engine, code.path) }.map_err(text)?;
            component.initialize_copy_on_write_image().map_err(text)?;
            let pre = linkers.component.instantiate_pre(&component).map_err(|error| missing(&error))?;
            Ok(Loaded::Component { pre, still: says_still(code.path).unwrap_or_default() })
        }
        Some(Precompiled::Module) => {
            // SAFETY: as above.
            let module = unsafe { Module::deserialize_file(engine, code.path) }.map_err(text)?;
            module.initialize_copy_on_write_image().map_err(text)?;
            linkers.core.instantiate_pre(&module).map(Loaded::Core).map_err(|error| missing(&error))
        }
        None => Err("the artifact is none of this engine's".to_owned()),
    }
}

/// Compiles a component or a core module, whichever the file's header says.
///
/// # Errors
/// When the engine refuses the module, or a file cannot be read or written.
pub(crate) fn compile(engine: &Engine, module: &Path, artifact: &Path) -> Result<(), String> {
    let bytes = std::fs::read(module).map_err(|error| format!("cannot read the module: {error}"))?;
    // Behind the magic number: the version, and whether it is a layer of its own.
    let compiled = match bytes.get(6..8) {
        Some([1, 0]) => engine.precompile_component(&bytes),
        _ => engine.precompile_module(&bytes),
    };
    let mut compiled = compiled.map_err(|error| format!("{error:#}"))?;
    if is_still(&bytes) {
        compiled.extend_from_slice(STILL);
    }
    std::fs::write(artifact, compiled).map_err(|error| format!("cannot write the artifact: {error}"))
}

/// What stands behind the artifact of a module of which no code runs by instantiating it. Artifacts are object files, which
/// have their length in themselves.
const STILL: &[u8] = b"hero_runner:still";

/// Whether no code of a module runs by instantiating it: nothing in it has a start function.
fn is_still(bytes: &[u8]) -> bool {
    Parser::new(0).parse_all(bytes).all(|payload| {
        !matches!(payload, Err(_) | Ok(Payload::StartSection { .. } | Payload::ComponentStartSection { .. }))
    })
}

/// Whether an artifact is of such a module.
fn says_still(artifact: &Path) -> io::Result<bool> {
    let mut file = File::open(artifact)?;
    file.seek(SeekFrom::End(-(STILL.len() as i64)))?;
    let mut end = [0; STILL.len()];
    file.read_exact(&mut end)?;
    Ok(end == STILL)
}

/// Compiles a small component of ours and loads it. A forked process compiles: what a compiler leaves in memory would be paid
/// for by every fork of this one.
///
/// # Errors
/// When the engine does not work here.
pub(crate) fn own(engine: &Engine, bytes: &[u8]) -> Result<Component, String> {
    let text = |error: wasmtime::Error| format!("{error:#}");
    let artifact = match compile_apart(engine, bytes) {
        Ok(artifact) => artifact,
        // Where there are more threads, nobody forks.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => {
            engine.precompile_component(bytes).map_err(text)?
        }
        Err(error) => return Err(format!("a component of its own cannot be compiled: {error}")),
    };
    // SAFETY: this very engine has compiled it, here or in a fork of this process.
    unsafe { Component::deserialize(engine, artifact) }.map_err(text)
}

fn compile_apart(engine: &Engine, bytes: &[u8]) -> io::Result<Vec<u8>> {
    let (mut reader, mut writer) = io::pipe()?;
    match fork_single_threaded()? {
        Fork::Child => {
            let compiled = engine.precompile_component(bytes).ok();
            let written = compiled.is_some_and(|compiled| writer.write_all(&compiled).is_ok());
            exit_now(i32::from(!written))
        }
        Fork::Parent { pid, .. } => {
            drop(writer);
            let mut artifact = Vec::new();
            let read = reader.read_to_end(&mut artifact);
            sys::rusage::wait(pid.as_raw())?;
            read.map(|_| artifact)
        }
    }
}

/// The engine's words for an import that is not there, in ours: what is imported is between its quotation marks.
fn missing(error: &wasmtime::Error) -> String {
    let words = format!("{error:#}");
    let quoted = |text: &str| text.split('`').nth(1).map(str::to_owned);
    if let Some(rest) = words.strip_prefix("component imports ")
        && let (Some(kind), Some(name)) = (rest.split(' ').next(), quoted(rest))
    {
        // Of WASI a part may be missing, or be of another type: the engine says which further on. Nothing else is offered.
        let part = words.split_once("in the linker: ").filter(|_| name.starts_with("wasi:"));
        let part = part.map(|(_, part)| format!(" ({part})")).unwrap_or_default();
        return format!("it imports {kind} \"{name}\", which nothing here offers{part}");
    }
    if words.starts_with("unknown import")
        && let Some(name) = quoted(&words)
    {
        return format!("it imports \"{name}\", which nothing here offers");
    }
    words
}
