//! The calls of the API, one file for each verb.

mod list;
mod logs;
mod modules;
mod plan;
mod result;
mod specification;
mod start;
mod stats;
mod stdin;
mod stop;
mod subscribe;
mod templates;

pub(crate) use modules::ByPath;
pub use modules::ModuleUpload;
pub(crate) use specification::specification;
pub(crate) use start::{code, file};
