//! What the server says, as the pages show it.

pub(crate) mod schedule;
pub(crate) mod service;

mod moment;

pub(crate) use moment::{Moment, span};
