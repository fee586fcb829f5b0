//! The engine's settings, the same for compiling and for running: an artifact fits no other.

use std::sync::OnceLock;

use wasmtime::{Config, Engine, InstanceAllocationStrategy};

/// The deepest that a guest's calls may go, in bytes of stack.
const WASM_STACK: usize = 1 << 20;
/// The stack that a guest and the functions that it calls run on, in bytes.
const WHOLE_STACK: usize = 2 << 20;

static ENGINE: OnceLock<Engine> = OnceLock::new();

/// The one engine of this process.
///
/// # Errors
/// When the engine does not work on this machine.
pub(crate) fn engine() -> Result<&'static Engine, String> {
    if let Some(engine) = ENGINE.get() {
        return Ok(engine);
    }
    let engine = Engine::new(&config()).map_err(|error| format!("{error:#}"))?;
    Ok(ENGINE.get_or_init(|| engine))
}

/// Begins the next epoch. Safe in a signal handler.
pub(crate) fn next_epoch() {
    if let Some(engine) = ENGINE.get() {
        engine.increment_epoch();
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        // A pool of slots would cost every fork ten times what it saves.
        .allocation_strategy(InstanceAllocationStrategy::OnDemand)
        .memory_init_cow(true)
        .epoch_interruption(true)
        .max_wasm_stack(WASM_STACK)
        .async_stack_size(WHOLE_STACK);
    config
}
