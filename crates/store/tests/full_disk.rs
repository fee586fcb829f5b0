//! A disk that takes nothing more: the history says so, forgets what it must, and recovers.
#![allow(clippy::unwrap_used, reason = "a test; functions beside the tests are not recognised as such")]

mod support;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use api::{ErrorCode, SessionState};
use store::Database;
use store::history::Settings;
use store::modules::{self, Modules};
use support::{block, flush, open, record, until};

/// A file system of a few MiB, gone with the test.
struct Small {
    dir: tempfile::TempDir,
}

impl Small {
    fn mount(size: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = nix::mount::mount(
            Some("tmpfs"),
            dir.path(),
            Some("tmpfs"),
            nix::mount::MsFlags::MS_NODEV,
            Some(format!("size={size},mode=0700").as_str()),
        );
        match mounted {
            Ok(()) => Some(Self { dir }),
            Err(why) => {
                println!("skipped: no tmpfs can be mounted here ({why})");
                None
            }
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    /// Takes all the room that is left, and gives it back when the file is removed.
    fn fill(&self) -> std::path::PathBuf {
        use std::io::Write;
        let path = self.path().join("filler");
        let mut file = std::fs::File::create(&path).unwrap();
        while file.write_all(&[1; 4096]).is_ok() {}
        path
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = nix::mount::umount2(self.dir.path(), nix::mount::MntFlags::MNT_DETACH);
    }
}

#[test]
fn a_full_disk_degrades_the_history_and_room_heals_it() {
    let Some(disk) = Small::mount("6m") else { return };
    let (history, _) = open(disk.path(), Settings::default());
    history.put(record(1, SessionState::Running));
    history.append(1, block(0, 10, 1000));
    flush(&history);
    assert!(history.ok());

    let filler = disk.fill();
    for n in 1..400 {
        history.append(1, block(n * 10, 10, 64 << 10));
        history.put(record(1 + n, SessionState::Succeeded));
        if n % 10 == 0 {
            flush(&history);
        }
    }
    flush(&history);
    let stats = history.stats();
    assert!(!stats.ok && stats.error.is_some(), "{stats:?}");
    assert!(stats.lines_lost > 0 && stats.records_lost == 0, "{stats:?}");
    assert_eq!(history.pending_bytes(), 0, "nothing piles up");
    assert!(history.get("ses-00000001").unwrap().is_some(), "reading goes on");
    let begun = Instant::now();
    flush(&history);
    assert!(begun.elapsed().as_millis() < 1000, "nobody waits for a full disk");

    std::fs::remove_file(filler).unwrap();
    until("the history recovers", || history.ok());
    let stats = history.stats();
    assert_eq!(stats.records, 400, "all records were kept in memory: {stats:?}");
    assert_eq!(stats.error, None);
    let extent = history.log_extent(1).unwrap();
    assert_eq!(extent.dropped_lines, stats.lines_lost, "a reader can see what is missing");
    history.append(1, block(5000, 10, 1000));
    flush(&history);
    assert_eq!(history.blocks(1, 5000, 1).unwrap(), [block(5000, 10, 1000)]);
}

#[test]
fn a_full_disk_refuses_an_upload_as_retryable() {
    let Some(disk) = Small::mount("2m") else { return };
    let database = Database::open(disk.path()).unwrap();
    let modules = Modules::open(&database, modules::Settings::new("t")).unwrap();
    let mut upload = modules.upload(Some("large")).unwrap();
    let error = (0..100).find_map(|_| upload.write(&[0; 64 << 10]).err()).expect("the disk is full");
    assert_eq!(error.code, ErrorCode::ResourceExhausted);
    drop(upload);
    assert_eq!(std::fs::read_dir(disk.path().join("modules")).unwrap().count(), 0);
}

#[test]
fn a_lock_that_lasts_degrades_and_heals_too() {
    // The same way back without a mount: another connection holds the write lock beyond the patience of ours.
    let dir = tempfile::tempdir().unwrap();
    let database = Arc::new(Database::open(dir.path()).unwrap());
    let (history, _) = store::history::History::open(&database, Settings::default()).unwrap();
    flush(&history);
    let other = rusqlite::Connection::open(database.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    history.put(record(1, SessionState::Running));
    history.append(1, block(0, 3, 10));
    until("it gives up waiting", || !history.ok());
    assert_eq!(history.stats().lines_lost, 3);
    other.execute_batch("ROLLBACK").unwrap();
    until("it recovers", || history.ok());
    assert_eq!(history.stats().records, 1);
    assert_eq!(history.log_extent(1).unwrap().dropped_lines, 3);
}

#[test]
fn damage_under_a_running_server_is_moved_aside_at_the_next_start() {
    let dir = tempfile::tempdir().unwrap();
    {
        let (history, _) = open(dir.path(), Settings::default());
        for no in 1..200 {
            history.put(record(no, SessionState::Succeeded));
            history.append(no, block(0, 3, 20_000));
        }
    }
    // Every page but the first is overwritten while nobody has it open; the ends are looked at when it is opened.
    let path = dir.path().join("hero_runner.db");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[8192..].fill(0x5A);
    std::fs::write(&path, &bytes).unwrap();
    let database = Database::open(dir.path()).unwrap();
    assert!(database.quarantined().is_some_and(Path::exists));
    let (history, opened) = store::history::History::open(&Arc::new(database), Settings::default()).unwrap();
    assert_eq!(opened.max_no, 0);
    history.put(record(1, SessionState::Running));
    flush(&history);
    assert!(history.ok() && history.quarantined().is_some());
}
