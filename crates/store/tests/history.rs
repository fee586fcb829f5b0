//! The history as its users see it: what goes in comes out, what is too much goes, a full disk is survived.

mod support;

use std::collections::BTreeMap;

use api::{ErrorCode, SessionState};
use proptest::prelude::*;
use store::history::read::Filter;
use store::history::{BLOCK_OVERHEAD, Settings};
use support::{block, flush, now_ms, open, record, until};

const MB: u64 = 1 << 20;

#[test]
fn records_and_blocks_survive_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (history, opened) = open(dir.path(), Settings::default());
        assert_eq!((opened.max_no, opened.unfinished.len()), (0, 0));
        history.put(record(1, SessionState::Running));
        history.append(1, block(0, 10, 100));
        history.put(record(2, SessionState::Pending));
        history.put(record(1, SessionState::Succeeded));
    }
    let (history, opened) = open(dir.path(), Settings::default());
    assert_eq!(opened.max_no, 2);
    assert_eq!(opened.unfinished.iter().map(|r| r.no).collect::<Vec<_>>(), [2]);
    assert_eq!(history.get("ses-00000001").unwrap().unwrap().info.state, SessionState::Succeeded);
    assert_eq!(history.blocks(1, 0, 1).unwrap(), [block(0, 10, 100)]);
    assert_eq!(history.log_extent(1).unwrap().next_seq, 10);
    let stats = history.stats();
    assert!(stats.ok && stats.records == 2 && stats.log_bytes == 100 + BLOCK_OVERHEAD, "{stats:?}");
    assert!(history.bytes() > 0);
}

#[test]
fn records_are_found_by_id_prefix_filter_and_page() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = open(dir.path(), Settings::default());
    for no in 1..=30 {
        let mut record = record(no, if no > 25 { SessionState::Running } else { SessionState::Succeeded });
        if no % 10 == 0 {
            record.info.labels = BTreeMap::from([("team".to_owned(), format!("t{no}"))]);
        }
        history.put(record);
    }
    flush(&history);
    let nos = |filter: Filter, before, limit| -> Vec<u64> {
        history.list(&filter, before, limit).unwrap().iter().map(|r| r.no).collect()
    };
    assert_eq!(nos(Filter::default(), None, 3), [30, 29, 28]);
    assert_eq!(nos(Filter::default(), Some(28), 2), [27, 26]);
    let running = Filter { state: Some(SessionState::Running), ..Filter::default() };
    assert_eq!(nos(running, None, 100), [30, 29, 28, 27, 26]);
    let module = Filter { module: Some("module0".into()), ..Filter::default() };
    assert_eq!(nos(module, None, 2), [30, 27]);
    let digest = Filter { module: Some(format!("sha256:{:064x}", 1)), ..Filter::default() };
    assert_eq!(nos(digest, None, 1), [28]);
    let label = |text: &str| Filter { label: Some(text.into()), ..Filter::default() };
    assert_eq!(nos(label("team"), None, 100), [30, 20, 10]);
    assert_eq!(nos(label("team=t20"), None, 100), [20]);
    assert_eq!(nos(label("team=t2"), None, 100), [0u64; 0]);
    let both = Filter { state: Some(SessionState::Running), label: Some("team".into()), ..Filter::default() };
    assert_eq!(nos(both, None, 100), [30]);

    assert_eq!(history.get("ses-0000001e").unwrap().unwrap().no, 30);
    assert_eq!(history.get("ses-0000000a").unwrap().unwrap().no, 10);
    assert_eq!(history.get("ses-").unwrap_err().code, ErrorCode::InvalidState);
    assert_eq!(history.get("").unwrap(), None);
    assert_eq!(history.get("ses-f").unwrap(), None);
    assert_eq!(history.get_many(&[3, 99, 1]).unwrap().iter().map(|r| r.no).collect::<Vec<_>>(), [3, 1]);
    assert_eq!(history.counts().unwrap(), [(SessionState::Running, 5), (SessionState::Succeeded, 25)]);
}

#[test]
fn a_text_is_found_where_it_is_looked_for_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = open(dir.path(), Settings::default());
    for no in 1..=6 {
        let mut record = record(no, SessionState::Succeeded);
        match no {
            1 => record.info.module = "Resize-Images".into(),
            2 => record.info.template = Some("python".into()),
            3 => record.info.labels = BTreeMap::from([("team".to_owned(), "100%_done".to_owned())]),
            4 => record.info.args = vec!["--say".into(), "a \"quoted\" b\\c\nd".into()],
            5 => record.info.args = vec!["Grüße".into()],
            _ => {}
        }
        history.put(record);
    }
    flush(&history);
    let nos = |text: &str| -> Vec<u64> {
        let filter = Filter { search: Some(text.to_owned()), ..Filter::default() };
        history.list(&filter, None, 100).unwrap().iter().map(|r| r.no).collect()
    };
    assert_eq!(nos("resize-i"), [1]);
    assert_eq!(nos("PYTHON"), [2]);
    assert_eq!(nos("0%_d"), [3]);
    assert_eq!(nos("\"quoted\" b\\c\nd"), [4]);
    assert_eq!(nos("rüß"), [5]);
    assert_eq!(nos("ses-00000006"), [6]);
    // An argument of most, a wildcard of SQL, a label's name, a field of the record, the state, the end of one argument
    // and the beginning of the next.
    assert_eq!(nos("TWO"), [6, 3, 2, 1]);
    for absent in ["1_0%", "%", "team", "session_id", "succeeded", "one\",\"two", "sha256:"] {
        let wanted: &[u64] = if absent == "%" { &[3] } else { &[] };
        assert_eq!(nos(absent), wanted, "{absent}");
    }
    let both = Filter { search: Some("two".into()), module: Some("module0".into()), ..Filter::default() };
    assert_eq!(history.list(&both, Some(6), 100).unwrap().iter().map(|r| r.no).collect::<Vec<_>>(), [3]);
}

#[test]
fn an_id_that_is_taken_is_refused_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = open(dir.path(), Settings::default());
    let mut twin = record(2, SessionState::Running);
    twin.info.session_id = record(1, SessionState::Running).info.session_id;
    history.put(record(1, SessionState::Running));
    history.put(twin);
    history.put(record(3, SessionState::Running));
    history.append(3, store::history::Block { first_seq: u64::MAX - 2, ..block(0, 2, 10) });
    flush(&history);
    let stats = history.stats();
    assert!(stats.ok, "{stats:?}");
    assert_eq!((stats.records, stats.records_lost, stats.lines_lost), (2, 1, 2));
}

#[test]
fn a_session_keeps_its_newest_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = open(dir.path(), Settings { session_log_bytes: MB, ..Settings::default() });
    history.put(record(1, SessionState::Running));
    for n in 0..100 {
        history.append(1, block(n * 10, 10, 64 << 10));
        if n % 7 == 0 {
            flush(&history);
        }
    }
    flush(&history);
    let extent = history.log_extent(1).unwrap();
    assert!(extent.bytes <= MB && extent.bytes > MB - (70 << 10), "{extent:?}");
    assert_eq!(extent.next_seq, 1000);
    assert_eq!(extent.first_seq, extent.dropped_lines);
    assert_eq!(history.stats().lines_retired, extent.dropped_lines);
    assert_eq!(history.stats().log_bytes, extent.bytes);
    let blocks = history.blocks(1, 0, usize::MAX).unwrap();
    assert_eq!(blocks[0].first_seq, extent.first_seq, "a reader sees the gap");
    assert!(blocks.iter().all(|b| *b == block(b.first_seq, 10, 64 << 10)));
}

#[test]
fn logs_of_the_oldest_ended_sessions_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = open(dir.path(), Settings { total_log_bytes: 2 * MB, ..Settings::default() });
    history.put(record(1, SessionState::Running));
    history.append(1, block(0, 1, 500 << 10));
    for no in 2..=20 {
        history.put(record(no, SessionState::Succeeded));
        history.append(no, block(0, 5, 200 << 10));
        flush(&history);
    }
    assert!(history.stats().log_bytes <= 2 * MB);
    assert_eq!(history.stats().records, 20, "the records stay");
    assert_eq!(history.blocks(1, 0, 1).unwrap().len(), 1, "it still runs");
    assert_eq!(history.blocks(2, 0, 1).unwrap().len(), 0);
    assert_eq!(history.log_extent(2).unwrap().dropped_lines, 5);
    assert_eq!(history.blocks(20, 0, 1).unwrap().len(), 1);
}

#[test]
fn when_all_run_the_oldest_loses_its_oldest_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = open(dir.path(), Settings { total_log_bytes: 2 * MB, ..Settings::default() });
    for no in 1..=3 {
        history.put(record(no, SessionState::Running));
        for n in 0..10 {
            history.append(no, block(n, 1, 100 << 10));
        }
    }
    flush(&history);
    assert!(history.stats().log_bytes <= 2 * MB);
    assert_eq!(history.blocks(3, 0, usize::MAX).unwrap().len(), 10);
    assert!(history.log_extent(1).unwrap().first_seq > 0);
}

#[test]
fn records_go_by_count_and_by_age_but_not_while_they_run() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (history, _) = open(dir.path(), Settings { max_records: 50, ..Settings::default() });
        history.put(record(1, SessionState::Running));
        for no in 2..=200 {
            let mut record = record(no, SessionState::Failed);
            record.info.labels = BTreeMap::from([("k".to_owned(), "v".to_owned())]);
            record.info.ended_at = Some(now_ms() - 10_000 + no);
            history.put(record);
            history.append(no, block(0, 2, 10));
        }
        // All of them are in before the count says anything: on the way there it passes 50 too.
        flush(&history);
        until("retention catches up", || history.stats().records == 50);
        let nos: Vec<u64> =
            history.list(&Filter::default(), None, 1000).unwrap().iter().map(|r| r.no).collect();
        assert_eq!(nos.last(), Some(&1));
        assert_eq!(nos[nos.len() - 2], 152);
        let label = Filter { label: Some("k=v".into()), ..Filter::default() };
        assert_eq!(history.list(&label, None, 1000).unwrap().len(), 49);
        assert_eq!(history.stats().records_retired, 150);
        assert_eq!(history.stats().log_bytes, 49 * (10 + BLOCK_OVERHEAD));
    }
    let (history, opened) = open(dir.path(), Settings { max_age_days: 0, ..Settings::default() });
    assert_eq!(opened.max_no, 200);
    until("the aged are gone", || history.stats().records == 1);
    assert_eq!(history.stats().log_bytes, 0);
}

#[test]
fn a_lowered_cap_is_reached_in_pieces() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (history, _) = open(dir.path(), Settings::default());
        history.put(record(1, SessionState::Succeeded));
        for n in 0..640 {
            history.append(1, block(n, 1, 64 << 10));
        }
    }
    let (history, _) = open(dir.path(), Settings { total_log_bytes: MB, ..Settings::default() });
    until("the cap holds", || history.stats().log_bytes <= MB);
    assert!(history.stats().commits > 5, "{:?}", history.stats());
    assert_eq!(history.log_extent(1).unwrap().dropped_lines, history.stats().lines_retired);
}

#[test]
fn a_lowered_cap_of_sessions_holds_for_those_that_ended() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (history, _) = open(dir.path(), Settings::default());
        for no in 1..=3 {
            history.put(record(no, SessionState::Succeeded));
            for n in 0..160 {
                history.append(no, block(n, 1, 64 << 10));
            }
        }
    }
    let (history, _) = open(dir.path(), Settings { session_log_bytes: MB, ..Settings::default() });
    until("the caps hold", || history.stats().log_bytes <= 3 * MB);
    for no in 1..=3 {
        let extent = history.log_extent(no).unwrap();
        assert!(extent.bytes <= MB && extent.first_seq == extent.dropped_lines, "{extent:?}");
    }
}

#[test]
fn blocks_are_read_from_a_place_a_time_or_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = open(dir.path(), Settings::default());
    history.put(record(1, SessionState::Running));
    for n in [0, 10, 20, 50, 60] {
        history.append(1, block(n, 10, 100));
    }
    history.append(2, block(0, 1, 1));
    flush(&history);
    let firsts = |blocks: Vec<store::history::Block>| blocks.iter().map(|b| b.first_seq).collect::<Vec<_>>();
    assert_eq!(firsts(history.blocks(1, 0, 250).unwrap()), [0, 10, 20]);
    assert_eq!(firsts(history.blocks(1, 15, 1).unwrap()), [10]);
    assert_eq!(firsts(history.blocks(1, 35, 1).unwrap()), [50], "the next after a hole");
    assert_eq!(firsts(history.blocks(1, 69, 1000).unwrap()), [60]);
    assert_eq!(firsts(history.blocks(1, 70, 1000).unwrap()), [0u64; 0]);
    assert_eq!(firsts(history.blocks(1, u64::MAX, 1000).unwrap()), [0u64; 0]);
    assert_eq!(firsts(history.blocks(9, 0, 1000).unwrap()), [0u64; 0]);

    assert_eq!(firsts(history.blocks_from_ts(1, 0, 1).unwrap()), [0]);
    assert_eq!(firsts(history.blocks_from_ts(1, 1015, 1).unwrap()), [10]);
    assert_eq!(firsts(history.blocks_from_ts(1, 1035, 1).unwrap()), [50]);
    assert_eq!(firsts(history.blocks_from_ts(1, 1069, 1).unwrap()), [60]);
    assert_eq!(firsts(history.blocks_from_ts(1, 1070, 1).unwrap()), [0u64; 0]);

    assert_eq!(firsts(history.last_blocks(1, 15, usize::MAX).unwrap()), [50, 60]);
    assert_eq!(firsts(history.last_blocks(1, 1, usize::MAX).unwrap()), [60]);
    assert_eq!(firsts(history.last_blocks(1, 100, 250).unwrap()), [50, 60]);
    assert_eq!(firsts(history.last_blocks(1, 100, 1).unwrap()), [60]);
}

#[test]
fn a_block_sent_twice_counts_once() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = open(dir.path(), Settings::default());
    history.append(1, block(0, 10, 100));
    history.append(1, block(0, 10, 100));
    flush(&history);
    assert_eq!(history.stats().log_bytes, 100 + BLOCK_OVERHEAD);
}

#[test]
fn pending_bytes_return_to_zero() {
    let dir = tempfile::tempdir().unwrap();
    let (history, _) = open(dir.path(), Settings::default());
    for n in 0..100 {
        history.append(1, block(n, 1, 10_000));
    }
    assert!(history.pending_bytes() > 0);
    flush(&history);
    assert_eq!(history.pending_bytes(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Whatever is appended in whatever pieces: the books agree with the rows, the newest lines are there
    /// without a hole, and what is missing is counted.
    #[test]
    fn the_books_agree_with_the_rows(
        steps in prop::collection::vec((1u64..6, 1u32..20, 0usize..40_000, any::<bool>()), 1..60),
        session_cap in 10_000u64..200_000,
        total_cap in 50_000u64..400_000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let settings =
            Settings { session_log_bytes: session_cap, total_log_bytes: total_cap, ..Settings::default() };
        let (history, _) = open(dir.path(), settings);
        let mut next = BTreeMap::<u64, u64>::new();
        for (no, lines, size, pause) in steps {
            let seq = next.entry(no).or_default();
            if *seq == 0 {
                history.put(record(no, if no % 2 == 0 { SessionState::Running } else { SessionState::Succeeded }));
            }
            history.append(no, block(*seq, lines, size));
            *seq += u64::from(lines);
            if pause {
                flush(&history);
            }
        }
        flush(&history);
        until("the caps hold", || history.stats().log_bytes <= total_cap);
        let mut total = 0;
        for (no, next_seq) in next {
            let extent = history.log_extent(no).unwrap();
            let blocks = history.blocks(no, 0, usize::MAX).unwrap();
            let bytes: u64 = blocks.iter().map(|b| b.body.len() as u64 + BLOCK_OVERHEAD).sum();
            prop_assert_eq!(extent.bytes, bytes);
            prop_assert!(bytes <= session_cap);
            prop_assert_eq!(extent.next_seq, next_seq);
            prop_assert_eq!(extent.first_seq, extent.dropped_lines);
            let mut at = extent.first_seq;
            for block in blocks {
                prop_assert_eq!(block.first_seq, at);
                at = block.next_seq();
            }
            prop_assert_eq!(at, next_seq);
            total += bytes;
        }
        prop_assert_eq!(history.stats().log_bytes, total);
    }
}
