//! Sockets of guests, by guests written in the text format and real sockets of the test.

mod connect;
mod descriptors;
mod guest;
mod listen;
