//! Prints `c 1`, `c 2`, … every 10 ms until it is killed, or until COUNT: where its lines pause,
//! something on the host disturbed it.
//!
//! `canary [COUNT]`

use std::process::ExitCode;
use std::thread::sleep;
use std::time::{Duration, Instant};

fn main() -> ExitCode {
    let Ok(count) = std::env::args().nth(1).map_or(Ok(u64::MAX), |text| text.parse::<u64>()) else {
        eprintln!("usage: canary [COUNT]");
        return ExitCode::from(2);
    };
    let step = Duration::from_millis(10);
    // Towards fixed moments, so that the time of printing does not add up.
    let mut next = Instant::now();
    for line in 1..=count {
        println!("c {line}");
        next += step;
        let now = Instant::now();
        match next.checked_duration_since(now) {
            Some(wait) => sleep(wait),
            // Late: go on from here, and do not catch up in a burst.
            None => next = now,
        }
    }
    ExitCode::SUCCESS
}
