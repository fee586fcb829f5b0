//! Programs of the host that a guest may start, where its permissions and the server's settings both say so.
//!
//! A core module imports the functions of [`MODULE`], a component the interface [`INTERFACE`]. What they do is the same: name
//! a program of the server's list with its arguments and input, and get its exit code and what it printed.

use std::io::IoSlice;

use crate::{Output, Stdio};

/// The module name that a core module imports them from.
pub const MODULE: &str = "hero_runner";

/// The interface that a component imports.
pub const INTERFACE: &str = "hero:runner/exec@0.1.0";

/// A program to start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Command<'a> {
    /// Its path as the server's list has it, or the last part of that.
    pub program: &'a str,
    /// What follows the program's name.
    pub args: &'a [String],
    /// Its whole standard input.
    pub stdin: &'a [u8],
}

/// How a program ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Its exit code; 128 and the number of the signal when one ended it.
    pub code: i32,
    /// What it printed.
    pub stdout: Vec<u8>,
    /// What it printed there.
    pub stderr: Vec<u8>,
}

/// Why a program was not started, or did not come to its end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The session may start none.
    #[error("this session may not start programs; permissions.exec has to be true")]
    Permission,
    /// It is not on the list.
    #[error("{0:?} is not among the programs that the server's setting exec_programs lists")]
    Unlisted(String),
    /// It could not be started, or printed too much.
    #[error("{0}")]
    Failed(String),
}

/// What a core module sees of it: one call that runs a program, and one that copies what it printed.
#[derive(Debug, Default)]
pub struct Calls {
    last: Option<Finished>,
}

/// The error numbers of WASI preview 1 that these calls return.
mod errno {
    pub(super) const INVAL: u16 = 28;
    pub(super) const IO: u16 = 29;
    pub(super) const NOENT: u16 = 44;
    pub(super) const PERM: u16 = 63;
}

impl Calls {
    /// `exec`: runs a program to its end, and returns its exit code and the lengths of both outputs, little-endian. `command`
    /// is the program and its arguments, each with a NUL behind it. What is refused is said on the guest's standard error.
    ///
    /// # Errors
    /// An error number: `perm` without the permission, `noent` for a program that is not on the list, `inval` for a command
    /// that is none, `io` for one that failed.
    pub fn exec(
        &mut self,
        stdio: &mut dyn Stdio,
        command: &[u8],
        stdin: &[u8],
    ) -> Result<[u8; RESULT_LEN], u16> {
        let text = command.strip_suffix(b"\0").and_then(|text| std::str::from_utf8(text).ok());
        let mut words = text.ok_or(errno::INVAL)?.split('\0').map(str::to_owned);
        let program = words.next().filter(|program| !program.is_empty()).ok_or(errno::INVAL)?;
        let args: Vec<String> = words.collect();
        self.last = None;
        let finished = run(stdio, Command { program: &program, args: &args, stdin });
        let finished = finished.map_err(|refused| match refused {
            Refused::Permission => errno::PERM,
            Refused::Unlisted(_) => errno::NOENT,
            Refused::Failed(_) => errno::IO,
        })?;
        let lengths = [finished.stdout.len() as u32, finished.stderr.len() as u32];
        let words = [finished.code as u32, lengths[0], lengths[1]];
        self.last = Some(finished);
        let mut result = [0; RESULT_LEN];
        for (place, word) in result.chunks_exact_mut(4).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        Ok(result)
    }

    /// `exec_output`: copies what the last program printed to stream 1 or 2 into a buffer of at least its length.
    ///
    /// # Errors
    /// The number `inval` when there is no such output, or the buffer is shorter.
    pub fn output(&self, stream: u32, buffer: &mut [u8]) -> Result<(), u16> {
        let last = self.last.as_ref().ok_or(errno::INVAL)?;
        let output = match stream {
            1 => &last.stdout,
            2 => &last.stderr,
            _ => return Err(errno::INVAL),
        };
        buffer.get_mut(..output.len()).ok_or(errno::INVAL)?.copy_from_slice(output);
        Ok(())
    }
}

/// The length of what `exec` returns, in bytes.
pub const RESULT_LEN: usize = 12;

/// Runs a program; what is refused is also said on the guest's standard error.
///
/// # Errors
/// Why that may not be, or how it failed.
pub fn run(stdio: &mut dyn Stdio, command: Command<'_>) -> Result<Finished, Refused> {
    stdio.exec(command).inspect_err(|refused| {
        let line = format!("hero_runner: {refused}\n");
        // The guest gets its error in any case.
        let _ = stdio.write(Output::Stderr, &[IoSlice::new(line.as_bytes())]);
    })
}

#[cfg(test)]
mod tests {
    use std::io::{self, IoSliceMut};

    use super::*;

    /// Runs `cat`, and nothing else.
    #[derive(Default)]
    struct Cat(Vec<u8>);

    impl Stdio for Cat {
        fn write(&mut self, _: Output, slices: &[IoSlice<'_>]) -> io::Result<usize> {
            self.0.extend(slices.iter().flat_map(|slice| slice.iter()));
            Ok(slices.iter().map(|slice| slice.len()).sum())
        }

        fn read(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
            Ok(0)
        }

        fn random(&mut self, _: &mut [u8]) -> io::Result<()> {
            Ok(())
        }

        fn exec(&mut self, command: Command<'_>) -> Result<Finished, Refused> {
            match command.program {
                "cat" => Ok(Finished {
                    code: 3,
                    stdout: command.stdin.to_vec(),
                    stderr: command.args.concat().into_bytes(),
                }),
                other => Err(Refused::Unlisted(other.to_owned())),
            }
        }
    }

    #[test]
    fn a_program_runs_and_its_output_is_copied() {
        let (mut calls, mut stdio) = (Calls::default(), Cat::default());
        let mut buffer = [0; 4];
        assert_eq!(calls.output(1, &mut buffer), Err(errno::INVAL));
        let result = calls.exec(&mut stdio, b"cat\0-n\0x\0", b"text").unwrap();
        assert_eq!(result, [3, 0, 0, 0, 4, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(calls.output(1, &mut buffer), Ok(()));
        assert_eq!(&buffer, b"text");
        assert_eq!(calls.output(2, &mut buffer), Ok(()));
        assert_eq!(&buffer[..3], b"-nx");
        assert_eq!(calls.output(1, &mut buffer[..3]), Err(errno::INVAL));
        assert_eq!(calls.output(0, &mut buffer), Err(errno::INVAL));
    }

    #[test]
    fn what_is_no_command_or_not_listed_is_refused() {
        let (mut calls, mut stdio) = (Calls::default(), Cat::default());
        for wrong in [&b""[..], b"\0", b"cat", b"\0-n\0", b"\xff\0"] {
            assert_eq!(calls.exec(&mut stdio, wrong, b""), Err(errno::INVAL), "{wrong:?}");
        }
        assert_eq!(calls.exec(&mut stdio, b"rm\0", b""), Err(errno::NOENT));
        assert!(String::from_utf8_lossy(&stdio.0).contains("\"rm\" is not among the programs"));
    }

    #[test]
    fn without_the_permission_the_guest_is_told_so() {
        struct Deaf(Cat);
        impl Stdio for Deaf {
            fn write(&mut self, output: Output, slices: &[IoSlice<'_>]) -> io::Result<usize> {
                self.0.write(output, slices)
            }
            fn read(&mut self, _: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                Ok(0)
            }
            fn random(&mut self, _: &mut [u8]) -> io::Result<()> {
                Ok(())
            }
        }
        let mut stdio = Deaf(Cat::default());
        assert_eq!(Calls::default().exec(&mut stdio, b"cat\0", b""), Err(errno::PERM));
        assert!(String::from_utf8_lossy(&stdio.0.0).contains("permissions.exec has to be true"));
    }
}
