//! The imports by which a guest has programs of the host started.

use engine::exec::{Command, Finished, INTERFACE, MODULE, RESULT_LEN, run};
use wasmtime::component::{ComponentType, Lift, Linker, Lower};
use wasmtime::{Caller, Extern, Memory, StoreContextMut};

use crate::core_module::Core;
use crate::state::Host;
use crate::stdio;

/// The error numbers of WASI preview 1 for an address outside of the memory, and for a guest without streams.
const FAULT: u16 = 21;
const IO: u16 = 29;

/// How a program ended, as a component sees it.
#[derive(Debug, ComponentType, Lower, Lift)]
#[component(record)]
struct Output {
    code: i32,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// Offers the interface to components.
///
/// # Errors
/// When the engine does not take it.
pub(crate) fn add(linker: &mut Linker<Host>) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.func_wrap("run", |_: StoreContextMut<'_, Host>, call| {
        let (program, args, stdin): (String, Vec<String>, Vec<u8>) = call;
        let command = Command { program: &program, args: &args, stdin: &stdin };
        let result = stdio::with(|stdio| Ok(run(stdio, command).map_err(|refused| refused.to_string())));
        let result = result.unwrap_or_else(|error| Err(error.to_string()));
        Ok((result.map(|Finished { code, stdout, stderr }| Output { code, stdout, stderr }),))
    })
}

/// Offers the functions to core modules.
///
/// # Errors
/// When the engine does not take them.
pub(crate) fn add_to_core(linker: &mut wasmtime::Linker<Core>) -> wasmtime::Result<()> {
    linker.func_wrap(MODULE, "exec", exec)?;
    linker.func_wrap(MODULE, "exec_output", exec_output)?;
    Ok(())
}

fn exec(
    mut caller: Caller<'_, Core>,
    command: u32,
    command_len: u32,
    stdin: u32,
    stdin_len: u32,
    place: u32,
) -> u32 {
    let errno = |result: Result<(), u16>| result.err().map_or(0, u32::from);
    errno((|| {
        let memory = memory(&mut caller)?;
        let (bytes, core) = memory.data_and_store_mut(&mut caller);
        // Before the program runs: a place that is none must not be found out afterwards.
        part(bytes, place, RESULT_LEN as u32)?;
        let (command, stdin) = (part(bytes, command, command_len)?, part(bytes, stdin, stdin_len)?);
        let told = stdio::with(|stdio| Ok(core.exec.exec(stdio, command, stdin))).map_err(|_| IO)??;
        part_mut(bytes, place, RESULT_LEN as u32)?.copy_from_slice(&told);
        Ok(())
    })())
}

fn exec_output(mut caller: Caller<'_, Core>, stream: u32, buffer: u32, len: u32) -> u32 {
    let copied = memory(&mut caller).and_then(|memory| {
        let (bytes, core) = memory.data_and_store_mut(&mut caller);
        core.exec.output(stream, part_mut(bytes, buffer, len)?)
    });
    copied.err().map_or(0, u32::from)
}

fn memory(caller: &mut Caller<'_, Core>) -> Result<Memory, u16> {
    caller.get_export("memory").and_then(Extern::into_memory).ok_or(FAULT)
}

fn part(memory: &[u8], offset: u32, len: u32) -> Result<&[u8], u16> {
    memory.get(offset as usize..).and_then(|rest| rest.get(..len as usize)).ok_or(FAULT)
}

fn part_mut(memory: &mut [u8], offset: u32, len: u32) -> Result<&mut [u8], u16> {
    memory.get_mut(offset as usize..).and_then(|rest| rest.get_mut(..len as usize)).ok_or(FAULT)
}
