//! The functions by which a guest has programs of the host started.

use engine::Stdio;
use engine::exec::{Calls, RESULT_LEN};

use crate::errno::Errno;
use crate::host::Guest;

/// A call of the guest's.
pub(crate) struct Call<'a> {
    pub(crate) guest: Guest<'a>,
    pub(crate) stdio: &'a mut dyn Stdio,
    pub(crate) calls: &'a mut Calls,
}

/// `exec(command, length, stdin, length, result) -> errno`
pub(crate) fn exec(
    Call { guest, stdio, calls }: Call<'_>,
    [command, command_len, stdin, stdin_len, result]: [u32; 5],
) -> Result<(), Errno> {
    let part = |offset, len| guest.bytes(offset, len).ok_or(Errno::FAULT);
    // Before the program runs: a place that is none must not be found out afterwards.
    let result = part(result, RESULT_LEN as u32)?;
    let told = calls.exec(stdio, part(command, command_len)?, part(stdin, stdin_len)?).map_err(Errno)?;
    result.copy_from_slice(&told);
    Ok(())
}

/// `exec_output(stream, buffer, length) -> errno`
pub(crate) fn exec_output(
    Call { guest, calls, .. }: Call<'_>,
    [stream, buffer, len]: [u32; 3],
) -> Result<(), Errno> {
    calls.output(stream, guest.bytes(buffer, len).ok_or(Errno::FAULT)?).map_err(Errno)
}
