//! Tells the program with WasmEdge where to find WasmEdge's library.
//!
//! The private WasmEdge of the set-up comes with a C library newer than the machine's, so the program names that
//! library's own loader and folder; the machine's C library stays as it is. One that is installed where the
//! system's loader does not look is named by its folder.

fn main() {
    // Code, constants and variables each begin on a huge page of their own (`sys::memory::compact_code`).
    println!("cargo:rustc-link-arg-bins=-Wl,-z,max-page-size=0x200000");
    println!("cargo:rerun-if-env-changed=HERO_RUNNER_WASMEDGE_RUNTIME");
    println!("cargo:rerun-if-env-changed=HERO_RUNNER_WASMEDGE_LIB");
    if let Ok(folder) = std::env::var("HERO_RUNNER_WASMEDGE_LIB")
        && !folder.is_empty()
    {
        println!("cargo:rustc-link-arg-bin=hero_runner_zygote=-Wl,-rpath,{folder}");
    }
    if let Ok(runtime) = std::env::var("HERO_RUNNER_WASMEDGE_RUNTIME")
        && !runtime.is_empty()
    {
        println!("cargo:rustc-link-arg-bin=hero_runner_zygote=-Wl,--disable-new-dtags,-rpath,{runtime}");
        println!(
            "cargo:rustc-link-arg-bin=hero_runner_zygote=-Wl,--dynamic-linker={runtime}/ld-linux-x86-64.so.2"
        );
        println!("cargo:rustc-link-arg-bin=hero_runner_zygote=-Wl,--allow-shlib-undefined");
        // The set-up puts a stand-in for the compiler's library there; see `without_compiler` in that program.
        println!("cargo:rustc-env=HERO_RUNNER_WITHOUT_COMPILER={runtime}/../without_compiler.so");
    }
}
