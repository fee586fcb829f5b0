//! Copies standard input to standard output, byte for byte, each piece as soon as it is read.

use std::io::{self, Read, Write};

fn main() -> io::Result<()> {
    let (mut input, mut output) = (io::stdin().lock(), io::stdout().lock());
    let mut buffer = [0; 16 * 1024];
    loop {
        match input.read(&mut buffer)? {
            0 => return Ok(()),
            read => {
                output.write_all(&buffer[..read])?;
                // Otherwise half a line would wait for its end.
                output.flush()?;
            }
        }
    }
}
