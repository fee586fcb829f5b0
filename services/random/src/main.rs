//! Prints 32 random bytes in hexadecimal, straight from the host's `random_get`: no generator of
//! this program stands between, so two sessions that print the same were given the same.

use std::process::ExitCode;

#[link(wasm_import_module = "wasi_snapshot_preview1")]
#[allow(unsafe_code, reason = "the import itself is what this program shows")]
unsafe extern "C" {
    /// Fills `length` bytes at `buffer`; the answer is an errno, 0 for success.
    fn random_get(buffer: *mut u8, length: usize) -> u16;
}

#[allow(unsafe_code, reason = "calls the import above")]
fn main() -> ExitCode {
    let mut bytes = [0_u8; 32];
    // SAFETY: the buffer is ours and as long as we say.
    let errno = unsafe { random_get(bytes.as_mut_ptr(), bytes.len()) };
    if errno != 0 {
        eprintln!("random_get failed with errno {errno}");
        return ExitCode::FAILURE;
    }
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    println!("{text}");
    ExitCode::SUCCESS
}
