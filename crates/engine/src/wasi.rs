//! What a core module may import: the functions of WASI preview 1, and the socket functions that WasmEdge adds.
