//! Tells the tests and examples where to find WasmEdge's library, as `hero_runner_zygote` tells its program.

fn main() {
    println!("cargo:rerun-if-env-changed=HERO_RUNNER_WASMEDGE_RUNTIME");
    println!("cargo:rerun-if-env-changed=HERO_RUNNER_WASMEDGE_LIB");
    let folder = |name| std::env::var(name).ok().filter(|folder| !folder.is_empty());
    for kind in ["tests", "examples"] {
        if let Some(folder) = folder("HERO_RUNNER_WASMEDGE_LIB") {
            println!("cargo:rustc-link-arg-{kind}=-Wl,-rpath,{folder}");
        }
        if let Some(runtime) = folder("HERO_RUNNER_WASMEDGE_RUNTIME") {
            println!("cargo:rustc-link-arg-{kind}=-Wl,--disable-new-dtags,-rpath,{runtime}");
            println!("cargo:rustc-link-arg-{kind}=-Wl,--dynamic-linker={runtime}/ld-linux-x86-64.so.2");
            println!("cargo:rustc-link-arg-{kind}=-Wl,--allow-shlib-undefined");
        }
    }
}
