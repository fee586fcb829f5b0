//! Asks the linker for a larger stack.

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    if std::env::var("CARGO_CFG_TARGET_FAMILY").is_ok_and(|family| family == "wasm") {
        // Compiled, the same calls take up to three quarters of this on the host's stack, which has 8 MiB.
        println!("cargo::rustc-link-arg-bins=-zstack-size={}", 8 << 20);
    }
}
