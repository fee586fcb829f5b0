//! What an engine is.
pub mod wasi;
