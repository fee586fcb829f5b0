//! The text of a script, as the parser reads it.

use std::cell::Cell;
use std::io::{self, Read};

use envelope::stack_left;

/// How much of the stack the parser leaves alone, in bytes: enough to return with an error.
const STACK_RESERVE: usize = 1 << 20;

/// A line and a column, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Default for Place {
    fn default() -> Self {
        Self { line: 1, column: 1 }
    }
}

/// A reader that knows how far it came, and stops a parser that goes too deep: the parser reads at every depth, and has
/// no limit of its own.
#[derive(Debug)]
pub struct Text<'a> {
    rest: &'a [u8],
    place: &'a Cell<Place>,
}

impl<'a> Text<'a> {
    /// The place of what comes next is kept in `place`.
    pub fn new(text: &'a str, place: &'a Cell<Place>) -> Self {
        Self { rest: text.as_bytes(), place }
    }
}

impl Read for Text<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if stack_left() < STACK_RESERVE {
            return Err(io::Error::other("the script is nested too deeply"));
        }
        let count = self.rest.read(buffer)?;
        let mut place = self.place.get();
        for byte in &buffer[..count] {
            match byte {
                b'\n' => place = Place { line: place.line + 1, column: 1 },
                // What continues a character of UTF-8.
                0x80..=0xbf => {}
                _ => place.column += 1,
            }
        }
        self.place.set(place);
        Ok(count)
    }
}
