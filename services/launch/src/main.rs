//! `launch PROGRAM [ARGS]`: has a program of the host started with this program's standard input, prints what it prints, and
//! ends with its exit code. It needs the permission `exec`, and the program on the list of the server's settings.

use std::io::{Read, Write};
use std::process::ExitCode;

#[link(wasm_import_module = "hero_runner")]
#[allow(unsafe_code, reason = "the imports themselves are what this program shows")]
unsafe extern "C" {
    /// Runs a command, which is the program and its arguments, each with a NUL behind it; puts exit code and both lengths of
    /// output where `result` is. The answer is an errno, 0 for success.
    fn exec(
        command: *const u8,
        command_length: usize,
        stdin: *const u8,
        stdin_length: usize,
        result: *mut [u32; 3],
    ) -> u32;

    /// Copies what the last program printed to stream 1 or 2.
    fn exec_output(stream: u32, buffer: *mut u8, length: usize) -> u32;
}

#[allow(unsafe_code, reason = "calls the imports above")]
fn run(command: &[u8], stdin: &[u8]) -> Result<(u32, Vec<u8>, Vec<u8>), u32> {
    let errno = |number: u32| if number == 0 { Ok(()) } else { Err(number) };
    let mut result = [0; 3];
    // SAFETY: both texts and the result are ours and as long as we say.
    errno(unsafe { exec(command.as_ptr(), command.len(), stdin.as_ptr(), stdin.len(), &raw mut result) })?;
    let [code, out, err] = result;
    let (mut stdout, mut stderr) = (vec![0; out as usize], vec![0; err as usize]);
    // SAFETY: the buffer is ours and as long as we say.
    errno(unsafe { exec_output(1, stdout.as_mut_ptr(), stdout.len()) })?;
    // SAFETY: the buffer is ours and as long as we say.
    errno(unsafe { exec_output(2, stderr.as_mut_ptr(), stderr.len()) })?;
    Ok((code, stdout, stderr))
}

fn main() -> std::io::Result<ExitCode> {
    let command: Vec<u8> =
        std::env::args().skip(1).flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect();
    let mut stdin = Vec::new();
    std::io::stdin().read_to_end(&mut stdin)?;
    Ok(match run(&command, &stdin) {
        Ok((code, stdout, stderr)) => {
            std::io::stdout().write_all(&stdout)?;
            std::io::stderr().write_all(&stderr)?;
            ExitCode::from(code.min(125) as u8)
        }
        Err(errno) => {
            eprintln!("exec failed with errno {errno}");
            ExitCode::from(125)
        }
    })
}
