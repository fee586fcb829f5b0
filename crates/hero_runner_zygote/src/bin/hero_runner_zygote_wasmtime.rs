//! The zygote with Wasmtime.

use std::process::ExitCode;

use engine_wasmtime::Wasmtime;
use hero_runner_zygote::Program;
use sys::filter::Network;

fn main() -> ExitCode {
    hero_runner_zygote::main::<Wasmtime>(&Program {
        name: "hero_runner_zygote_wasmtime",
        first: || {},
        large_libraries: &[],
        // A component may choose the address that its connections come from.
        outgoing: Network::OutgoingFrom,
    })
}
