//! How a call ended, in the words that all engines use.

use engine::Ending;
use wasmtime::{Error, Trap, WasmBacktrace};
use wasmtime_wasi::I32Exit;

/// How deep a trap's message shows the guest's calls.
const FRAMES: usize = 8;

/// The end of a run whose call failed.
pub(crate) fn ending(error: &Error) -> Ending {
    if let Some(I32Exit(code)) = error.downcast_ref() {
        return Ending::Exited(*code);
    }
    let (trap, mut message) = match error.downcast_ref::<Trap>() {
        Some(trap) => (name(*trap), trap.to_string()),
        None => ("host_function_failed", cause(error)),
    };
    if let Some(backtrace) = error.downcast_ref::<WasmBacktrace>() {
        let names = backtrace.frames().iter().filter_map(wasmtime::FrameInfo::func_name).take(FRAMES);
        let names: Vec<&str> = names.collect();
        if !names.is_empty() {
            message = format!("{message}, in {}", names.join(" called by "));
        }
    }
    Ending::Trapped { trap, message }
}

/// The end of a run whose module could not be instantiated: its own code may have failed, or the engine.
pub(crate) fn of_instantiation(error: &Error) -> Ending {
    if error.is::<Trap>() || error.is::<I32Exit>() {
        return ending(error);
    }
    Ending::LoadFailed(format!("it cannot be instantiated: {}", cause(error)))
}

/// The words of an error without the calls that led to it.
fn cause(error: &Error) -> String {
    let words: Vec<String> = error
        .chain()
        .map(ToString::to_string)
        .filter(|part| !part.starts_with("error while executing at wasm backtrace"))
        .collect();
    words.join(": ")
}

/// The names of traps, which are the same for all engines.
fn name(trap: Trap) -> &'static str {
    match trap {
        Trap::StackOverflow => "stack_overflow",
        Trap::MemoryOutOfBounds => "memory_out_of_bounds",
        Trap::HeapMisaligned => "unaligned_atomic",
        Trap::TableOutOfBounds => "undefined_element",
        Trap::IndirectCallToNull => "uninitialized_element",
        Trap::BadSignature => "indirect_call_type_mismatch",
        Trap::IntegerOverflow => "integer_overflow",
        Trap::IntegerDivisionByZero => "integer_divide_by_zero",
        Trap::BadConversionToInteger => "invalid_conversion_to_integer",
        Trap::UnreachableCodeReached => "unreachable",
        Trap::Interrupt => "interrupted",
        Trap::UncaughtException => "uncaught_exception",
        _ => "trap",
    }
}
