//! The calls of the API, one file for each verb.

mod list;
mod logs;
mod modules;
mod result;
mod start;
mod stats;
mod stdin;
mod stop;
mod subscribe;

pub(crate) use modules::ByPath;
pub use modules::ModuleUpload;
