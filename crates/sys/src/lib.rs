//! The only home of raw system calls and of `unsafe`, behind safe functions that take and return owned
//! descriptors. One family of calls per file; each unsafe block says why it is sound.

pub mod child;
pub mod confine;
pub mod fdpass;
pub mod filter;
pub mod fork;
pub mod leave;
pub mod memory;
pub mod pidfd;
pub mod random;
pub mod rusage;
pub mod sched;
pub mod stdio;
pub mod tick;
pub mod title;
