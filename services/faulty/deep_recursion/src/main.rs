//! Prints a line, then calls itself without end, or DEPTH times. The frames hold nothing in the
//! guest's own memory, so it is the host's call stack that runs out.
//!
//! `deep_recursion [DEPTH]`

use std::process::ExitCode;

fn main() -> ExitCode {
    let Ok(depth) = std::env::args().nth(1).map_or(Ok(u64::MAX), |text| text.parse()) else {
        eprintln!("usage: deep_recursion [DEPTH]");
        return ExitCode::from(2);
    };
    println!("recursing");
    println!("came back with {}", descend(0, depth));
    ExitCode::SUCCESS
}

/// What happens to the result of the inner call depends on the order of all of them, so that no
/// compiler turns this into a loop.
#[inline(never)]
fn descend(level: u64, depth: u64) -> u64 {
    if level == depth {
        return level;
    }
    descend(level + 1, depth).rotate_left(3).wrapping_mul(level | 1) ^ level
}
