//! Prints `tick 1` to `tick 10`, one a second.
//!
//! `ticker [COUNT [INTERVAL_MS]]`

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

fn main() -> ExitCode {
    let (Some(count), Some(interval_ms)) = (number(1, 10), number(2, 1000)) else {
        eprintln!("usage: ticker [COUNT [INTERVAL_MS]]");
        return ExitCode::from(2);
    };
    for tick in 1..=count {
        println!("tick {tick}");
        if tick < count {
            sleep(Duration::from_millis(interval_ms));
        }
    }
    ExitCode::SUCCESS
}

/// The argument at `position`, `default` where there is none, nothing where it is no number.
fn number(position: usize, default: u64) -> Option<u64> {
    std::env::args().nth(position).map_or(Some(default), |text| text.parse().ok())
}
