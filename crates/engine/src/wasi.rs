//! What a core module may import: the functions of WASI preview 1, and the socket functions that WasmEdge adds.
//!
//! The rows are what WasmEdge 0.17.1 registers, read from the library itself (name and type of every function
//! of its WASI module). It offers no memory, table or global, and nothing under another module name.

use std::fmt;

use crate::exec;

/// The module name of WASI.
pub const MODULE: &str = "wasi_snapshot_preview1";

/// A type of a parameter or a result; no function of the table uses another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueType {
    /// A 32-bit integer.
    I32,
    /// A 64-bit integer.
    I64,
}

impl fmt::Display for ValueType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::I32 => "i32",
            Self::I64 => "i64",
        })
    }
}

/// The type of a function that can be imported. It prints as `func (i32, i64) -> (i32)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signature {
    // One letter for each value, `i` for i32 and `I` for i64: the table stays readable.
    params: &'static str,
    results: &'static str,
}

impl Signature {
    /// The types of the parameters, in order.
    pub fn params(self) -> impl ExactSizeIterator<Item = ValueType> {
        values(self.params)
    }

    /// The types of the results, in order.
    pub fn results(self) -> impl ExactSizeIterator<Item = ValueType> {
        values(self.results)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("func ")?;
        list(f, self.params())?;
        f.write_str(" -> ")?;
        list(f, self.results())
    }
}

fn values(letters: &'static str) -> impl ExactSizeIterator<Item = ValueType> {
    letters.bytes().map(|letter| if letter == b'I' { ValueType::I64 } else { ValueType::I32 })
}

fn list(f: &mut fmt::Formatter<'_>, values: impl Iterator<Item = ValueType>) -> fmt::Result {
    f.write_str("(")?;
    for (place, value) in values.enumerate() {
        write!(f, "{}{value}", if place == 0 { "" } else { ", " })?;
    }
    f.write_str(")")
}

/// The type of the function `module.name`, or `None` when no engine for core modules offers it.
#[must_use]
pub fn signature(module: &str, name: &str) -> Option<Signature> {
    if module == exec::MODULE {
        let (_, params) = EXEC.iter().find(|row| row.0 == name)?;
        return Some(Signature { params, results: "i" });
    }
    if module != MODULE {
        return None;
    }
    let row = FUNCTIONS.binary_search_by_key(&name, |row| row.0).ok()?;
    let (_, params, results) = FUNCTIONS[row];
    Some(Signature { params, results })
}

/// The names of all functions that can be imported from [`MODULE`], sorted.
pub fn names() -> impl Iterator<Item = &'static str> {
    FUNCTIONS.iter().map(|row| row.0)
}

/// The functions that start programs, with their parameters: `exec(command, length, stdin, length, result)`, where `command` is
/// the program and its arguments, each with a NUL behind it, and `result` gets the exit code and the lengths of both outputs
/// as three `u32`; and `exec_output(stream, buffer, length)`, which copies what the last one printed to stream 1 or 2.
const EXEC: [(&str, &str); 2] = [("exec", "iiiii"), ("exec_output", "iii")];

/// Name, parameters, results; sorted by name. Version 2 of a socket function takes addresses of 128 bytes that
/// carry their family.
#[rustfmt::skip]
const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("args_get", "ii", "i"),
    ("args_sizes_get", "ii", "i"),
    ("clock_res_get", "ii", "i"),
    ("clock_time_get", "iIi", "i"),
    ("environ_get", "ii", "i"),
    ("environ_sizes_get", "ii", "i"),
    ("epoll_oneoff", "iiii", "i"),
    ("fd_advise", "iIIi", "i"),
    ("fd_allocate", "iII", "i"),
    ("fd_close", "i", "i"),
    ("fd_datasync", "i", "i"),
    ("fd_fdstat_get", "ii", "i"),
    ("fd_fdstat_set_flags", "ii", "i"),
    ("fd_fdstat_set_rights", "iII", "i"),
    ("fd_filestat_get", "ii", "i"),
    ("fd_filestat_set_size", "iI", "i"),
    ("fd_filestat_set_times", "iIIi", "i"),
    ("fd_pread", "iiiIi", "i"),
    ("fd_prestat_dir_name", "iii", "i"),
    ("fd_prestat_get", "ii", "i"),
    ("fd_pwrite", "iiiIi", "i"),
    ("fd_read", "iiii", "i"),
    ("fd_readdir", "iiiIi", "i"),
    ("fd_renumber", "ii", "i"),
    ("fd_seek", "iIii", "i"),
    ("fd_sync", "i", "i"),
    ("fd_tell", "ii", "i"),
    ("fd_write", "iiii", "i"),
    ("path_create_directory", "iii", "i"),
    ("path_filestat_get", "iiiii", "i"),
    ("path_filestat_set_times", "iiiiIIi", "i"),
    ("path_link", "iiiiiii", "i"),
    ("path_open", "iiiiiIIii", "i"),
    ("path_readlink", "iiiiii", "i"),
    ("path_remove_directory", "iii", "i"),
    ("path_rename", "iiiiii", "i"),
    ("path_symlink", "iiiii", "i"),
    ("path_unlink_file", "iii", "i"),
    ("poll_oneoff", "iiii", "i"),
    ("proc_exit", "i", ""),
    ("proc_raise", "i", "i"),
    ("random_get", "ii", "i"),
    ("sched_yield", "", "i"),
    ("sock_accept", "ii", "i"),
    ("sock_accept_v2", "iii", "i"),
    ("sock_bind", "iii", "i"),
    ("sock_bind_v2", "iii", "i"),
    ("sock_connect", "iii", "i"),
    ("sock_connect_v2", "iii", "i"),
    ("sock_getaddrinfo", "iiiiiiii", "i"),
    ("sock_getlocaladdr", "iiii", "i"),
    ("sock_getlocaladdr_v2", "iii", "i"),
    ("sock_getpeeraddr", "iiii", "i"),
    ("sock_getpeeraddr_v2", "iii", "i"),
    ("sock_getsockopt", "iiiii", "i"),
    ("sock_listen", "ii", "i"),
    ("sock_listen_v2", "ii", "i"),
    ("sock_open", "iii", "i"),
    ("sock_open_v2", "iii", "i"),
    ("sock_recv", "iiiiii", "i"),
    ("sock_recv_from", "iiiiiii", "i"),
    ("sock_recv_from_v2", "iiiiiiii", "i"),
    ("sock_recv_v2", "iiiiii", "i"),
    ("sock_send", "iiiii", "i"),
    ("sock_send_to", "iiiiiii", "i"),
    ("sock_send_to_v2", "iiiiiii", "i"),
    ("sock_send_v2", "iiiii", "i"),
    ("sock_setsockopt", "iiiii", "i"),
    ("sock_shutdown", "ii", "i"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_without_repetition() {
        assert!(FUNCTIONS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert!(
            FUNCTIONS.iter().all(|row| row.1.bytes().chain(row.2.bytes()).all(|c| c == b'i' || c == b'I'))
        );
    }

    #[test]
    fn a_function_is_found_with_its_type() {
        let seek = signature(MODULE, "fd_seek").unwrap();
        assert_eq!(seek.to_string(), "func (i32, i64, i32, i32) -> (i32)");
        assert_eq!(seek.params().len(), 4);
        assert_eq!(signature(MODULE, "proc_exit").unwrap().to_string(), "func (i32) -> ()");
        assert_eq!(signature(MODULE, "sched_yield").unwrap().to_string(), "func () -> (i32)");
    }

    #[test]
    fn every_name_of_preview_1_is_there_and_nothing_else_is() {
        for name in ["args_get", "path_open", "poll_oneoff", "sock_accept", "sock_open_v2", "random_get"] {
            assert!(signature(MODULE, name).is_some(), "{name}");
        }
        assert!(names().all(|name| signature(MODULE, name).is_some()));
        assert_eq!(signature("env", "fd_write"), None);
        assert_eq!(signature("wasi_unstable", "fd_write"), None);
        assert_eq!(signature(MODULE, "thread-spawn"), None);
    }
}
