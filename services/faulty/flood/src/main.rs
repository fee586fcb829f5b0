//! Prints lines of 100 bytes, newline included, as fast as it can. Each begins with its number,
//! 12 digits from 000000000001 on.
//!
//! ```text
//! flood [LINES] [--no-newline] [--unbuffered]
//!   LINES          how many (default: no end)
//!   --no-newline   a `.` where the newline would be: one line without end
//!   --unbuffered   one fd_write for each line, instead of one for every 640
//! ```

use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

const LINE: usize = 100;
const DIGITS: usize = 12;

fn main() -> ExitCode {
    let (mut lines, mut newline, mut buffered) = (u64::MAX, true, true);
    for argument in std::env::args().skip(1) {
        match (argument.as_str(), argument.parse()) {
            ("--no-newline", _) => newline = false,
            ("--unbuffered", _) => buffered = false,
            (_, Ok(number)) => lines = number,
            _ => {
                eprintln!("usage: flood [LINES] [--no-newline] [--unbuffered]");
                return ExitCode::from(2);
            }
        }
    }
    let end = if newline { b'\n' } else { b'.' };
    let mut output = io::stdout().lock();
    let result = if buffered {
        flood(&mut BufWriter::with_capacity(640 * LINE, output), lines, end, false)
    } else {
        flood(&mut output, lines, end, true)
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flood: {error}");
            ExitCode::FAILURE
        }
    }
}

fn flood(output: &mut impl Write, lines: u64, end: u8, flush_each: bool) -> io::Result<()> {
    let mut line = [b'x'; LINE];
    line[..DIGITS].fill(b'0');
    line[DIGITS] = b' ';
    line[LINE - 1] = end;
    for _ in 0..lines {
        count_up(&mut line[..DIGITS]);
        output.write_all(&line)?;
        if flush_each {
            output.flush()?;
        }
    }
    output.flush()
}

/// Adds one to a number in decimal digits. Formatting each line would be most of the work.
fn count_up(digits: &mut [u8]) {
    for digit in digits.iter_mut().rev() {
        if *digit < b'9' {
            *digit += 1;
            return;
        }
        *digit = b'0';
    }
}
