//! Wasmtime as an engine: components with WASI preview 2, and core modules with preview 1.
