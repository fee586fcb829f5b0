//! The dashboard, over real sockets, in front of a small server on another one.

mod assets;
mod doors;
mod escapes;
mod forms;
mod pages;
mod panel;
mod pass;
mod program;
mod samples;
mod stand_in;
mod wire;
