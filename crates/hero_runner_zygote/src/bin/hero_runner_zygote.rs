//! The zygote with WasmEdge.

use std::path::Path;
use std::process::ExitCode;

use engine_wasmedge::WasmEdge;
use hero_runner_zygote::Program;
use sys::filter::Network;

fn main() -> ExitCode {
    hero_runner_zygote::main::<WasmEdge>(&Program {
        name: "hero_runner_zygote",
        first: without_compiler,
        large_libraries: &["libwasmedge.so", "libstdc++.so"],
        outgoing: Network::Outgoing,
    })
}

/// Executes this program again with a stand-in for the compiler's library, where the set-up made one.
///
/// The engine's library needs hundreds of symbols of LLVM to be loaded and not one to run: they are the compiler's.
/// Without that library the process has a third fewer mappings and relocated pages, and a fork of it takes two thirds
/// of the time. A stand-in's symbols all trap. The process stays the same one: its pid, its descriptors and its death
/// signal survive.
fn without_compiler() {
    use std::os::unix::process::CommandExt;
    const VARIABLE: &str = "LD_PRELOAD";
    let Some(stand_in) = option_env!("HERO_RUNNER_WITHOUT_COMPILER") else { return };
    if std::env::var_os(VARIABLE).is_some() || !Path::new(stand_in).exists() {
        return;
    }
    let mut args = std::env::args_os();
    let title = args.next().unwrap_or_default();
    let error =
        std::process::Command::new("/proc/self/exe").arg0(title).args(args).env(VARIABLE, stand_in).exec();
    // It works without, only slower.
    eprintln!("hero_runner_zygote: cannot execute itself again: {error}");
}
