//! Packages: a manifest beside its modules, read and checked; and what a WebAssembly file says of itself.
//!
//! [`Package::open`] takes a folder or a manifest and gives what there is to run. What is wrong comes as [`Faults`], all of them,
//! each with its file, line, column and key. [`inspect`] tells what a module or a component imports, exports and needs, and
//! [`check`] whether a package could run.

pub mod archive;
pub mod check;
pub mod fault;
pub mod folder;
pub mod inspect;
pub mod manifest;
pub mod service;

pub use fault::{Fault, Faults, Place};
pub use folder::Package;
