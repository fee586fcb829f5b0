//! Packages: a manifest beside its modules, read and checked; and what a WebAssembly file says of itself.
