//! Links against the private WasmEdge of the set-up, where there is one.
//!
//! It comes with a C library newer than the machine's, so the program names that library's own loader and
//! folder; the machine's C library stays as it is.

fn main() {
    println!("cargo:rerun-if-env-changed=HERO_RUNNER_WASMEDGE_RUNTIME");
    if let Ok(runtime) = std::env::var("HERO_RUNNER_WASMEDGE_RUNTIME")
        && !runtime.is_empty()
    {
        println!("cargo:rustc-link-arg-bins=-Wl,--disable-new-dtags,-rpath,{runtime}");
        println!("cargo:rustc-link-arg-bins=-Wl,--dynamic-linker={runtime}/ld-linux-x86-64.so.2");
        println!("cargo:rustc-link-arg-bins=-Wl,--allow-shlib-undefined");
        // The set-up puts a stand-in for the compiler's library there; see `without_compiler` in main.rs.
        println!("cargo:rustc-env=HERO_RUNNER_WITHOUT_COMPILER={runtime}/../without_compiler.so");
    }
}
