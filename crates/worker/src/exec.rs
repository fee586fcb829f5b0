//! Programs of the host: a worker cannot start any, the kernel's filter forbids it. It asks the supervisor.

use std::io::{self, ErrorKind, IoSlice, IoSliceMut};
use std::os::fd::BorrowedFd;

use engine::exec::{Command, Finished, Refused};
use frames::message::{Exec, Execed, PREFIX_LEN, announced, decode, encode};

/// Has the supervisor run a program to its end.
///
/// # Errors
/// What the supervisor says against it.
pub(crate) fn ask(supervisor: BorrowedFd<'_>, command: Command<'_>) -> Result<Finished, Refused> {
    let Command { program, args, stdin } = command;
    let request = Exec { program: program.to_owned(), args: args.to_vec(), stdin: stdin.to_vec() };
    let failed = |error: &dyn std::fmt::Display| Refused::Failed(format!("{program}: {error}"));
    let bytes = encode(&request).map_err(|error| failed(&error))?;
    match exchange(supervisor, &bytes).map_err(|error| failed(&error))? {
        Execed::Finished { code, stdout, stderr } => Ok(Finished { code, stdout, stderr }),
        Execed::Unlisted => Err(Refused::Unlisted(program.to_owned())),
        Execed::Failed { why } => Err(failed(&why)),
    }
}

fn exchange(supervisor: BorrowedFd<'_>, mut request: &[u8]) -> io::Result<Execed> {
    while !request.is_empty() {
        match sys::stdio::write_vectored(supervisor, &[IoSlice::new(request)]) {
            Ok(written) => request = &request[written..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut prefix = [0; PREFIX_LEN];
    read(supervisor, &mut prefix)?;
    let mut reply = vec![0; announced(prefix).map_err(io::Error::other)?];
    read(supervisor, &mut reply)?;
    decode(&reply).map_err(io::Error::other)
}

fn read(supervisor: BorrowedFd<'_>, mut buffer: &mut [u8]) -> io::Result<()> {
    while !buffer.is_empty() {
        match sys::stdio::read_vectored(supervisor, &mut [IoSliceMut::new(buffer)]) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(count) => buffer = &mut buffer[count..],
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
