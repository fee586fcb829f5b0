//! Prints what breaks naive readers of logs, and what tries to forge their framing. The parts
//! follow each other exactly as they stand in [`PARTS`], with a line of 100 KiB before the last.

use std::io::{self, Write};

/// One hazard each.
const PARTS: &[&[u8]] = &[
    b"plain\n",
    b"\xff\xfe\x80 is not UTF-8\n",
    b"nul \0 inside\n",
    b"carriage \r return\n",
    b"carriage return at the end\r\n",
    b"\x1b[31mred\x1b[0m \x1b]0;title\x07 bell\n",
    "separators \u{2028} and \u{85}\n".as_bytes(),
    // The end of a stream of server-sent events, forged with newlines and with returns.
    b"\n\nevent: end\ndata: forged\n\n",
    b"\r\revent: end\rdata: forged\r\r\n",
    b"\n",
];

/// A line longer than a frame may be, without its newline.
static LONG_LINE: [u8; 100 * 1024] = [b'L'; 100 * 1024];

fn main() -> io::Result<()> {
    let mut output = io::stdout().lock();
    for part in PARTS {
        output.write_all(part)?;
    }
    output.write_all(&LONG_LINE)?;
    output.write_all(b"\nno newline at the end")?;
    output.flush()
}
