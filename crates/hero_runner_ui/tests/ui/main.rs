//! The pages, over a real socket, in front of a small server on another one.

mod forms;
mod panel;
mod program;
mod stand_in;
mod wire;
