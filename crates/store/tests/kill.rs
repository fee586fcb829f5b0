//! SIGKILL at any moment: what was acknowledged is there, and nothing is there by half.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::Duration;

use api::SessionState;
use store::history::{BLOCK_OVERHEAD, Settings};
use support::{block, flush, open, record};

const CHILD: &str = "STORE_TEST_KILL_DIR";

/// Not a test: what the killed process runs. It appends to a new session in each life and prints what was
/// acknowledged.
#[test]
fn the_process_that_is_killed() {
    let Ok(dir) = std::env::var(CHILD) else { return };
    let (history, opened) = open(dir.as_ref(), Settings::default());
    let no = opened.max_no + 1;
    history.put(record(no, SessionState::Running));
    for n in 0u64.. {
        history.append(no, block(n * 10, 10, (n as usize * 977) % 60_000));
        if n % 3 == 0 {
            flush(&history);
            // Not println: the test harness would capture it.
            writeln!(std::io::stdout(), "acknowledged {no} {}", n * 10 + 10).unwrap();
        }
    }
}

#[test]
fn what_was_acknowledged_survives_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..30u64 {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "the_process_that_is_killed", "--nocapture"])
            .env(CHILD, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let reader = std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .filter_map(|line| {
                    let mut words = line.split_once("acknowledged ")?.1.split(' ').map(str::parse::<u64>);
                    Some((words.next()?.ok()?, words.next()?.ok()?))
                })
                .last()
        });
        // Spread over start, first commits and the middle of a flood.
        std::thread::sleep(Duration::from_millis(15 + round * 37 % 200));
        child.kill().unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9), "it did not end by itself");
        let acknowledged = reader.join().unwrap();

        let (history, opened) = open(dir.path(), Settings::default());
        let total: u64 = (1..=opened.max_no).map(|no| history.log_extent(no).unwrap().bytes).sum();
        assert_eq!(history.stats().log_bytes, total);
        // Earlier sessions were looked through in earlier rounds.
        let no = opened.max_no;
        let (mut at, mut bytes) = (0, 0);
        for found in history.blocks(no, 0, usize::MAX).unwrap() {
            assert_eq!(found, block(at, 10, (at as usize / 10 * 977) % 60_000), "whole and in order");
            at = found.next_seq();
            bytes += found.body.len() as u64 + BLOCK_OVERHEAD;
        }
        let extent = history.log_extent(no).unwrap();
        assert_eq!((extent.next_seq, extent.bytes), (at, bytes));
        if let Some((last, seq)) = acknowledged {
            assert!(last == no && at >= seq, "round {round}: {at} of {seq} acknowledged in {last}");
        }
        assert!(history.quarantined().is_none());
        if let Some((last, _)) = acknowledged {
            assert_eq!(opened.unfinished.last().map(|r| r.no), Some(last));
        }
        // The supervisor would mark them interrupted; here they end so that the next round finds only its own.
        for mut unfinished in opened.unfinished {
            unfinished.info.state = SessionState::Failed;
            history.put(unfinished);
        }
    }
}
