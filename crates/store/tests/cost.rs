//! What the history costs. Run with `cargo test --release -p store --test cost -- --ignored --nocapture`.
#![allow(clippy::unwrap_used, reason = "a test; functions beside the tests are not recognised as such")]

mod support;

use std::time::{Duration, Instant};

use api::SessionState;
use store::history::Settings;
use support::{block, flush, open, record};

/// CPU time of the thread named `history`.
fn writer_cpu() -> Duration {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let nanos: u64 = tasks
        .map(|task| task.unwrap().path())
        .filter(|task| std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.trim() == "history"))
        .map(|task| std::fs::read_to_string(task.join("schedstat")).unwrap())
        .map(|stat| stat.split(' ').next().unwrap().parse::<u64>().unwrap())
        .sum();
    Duration::from_nanos(nanos)
}

#[test]
#[ignore = "a measurement"]
fn short_sessions() {
    for (batch, labels) in [(1000, false), (100, false), (10, false), (1, false), (1000, true)] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (history, _) = open(dir.path(), Settings::default());
        let rounds = 20_000 / batch;
        let (mut caller, mut no) = (Duration::ZERO, 0);
        let before = writer_cpu();
        for _ in 0..rounds.min(2000) {
            let mut work: Vec<_> = (0..batch)
                .map(|_| {
                    no += 1;
                    let make = |state| {
                        let mut record = record(no, state);
                        if labels {
                            record.info.labels.insert("team".into(), "seven".into());
                        }
                        record
                    };
                    let states = [SessionState::Pending, SessionState::Running, SessionState::Succeeded];
                    (no, states.map(make), block(0, 3, 150))
                })
                .collect();
            let begun = Instant::now();
            for (no, [pending, running, ended], lines) in work.drain(..) {
                history.put(pending);
                history.put(running);
                history.append(no, lines);
                history.put(ended);
            }
            caller += begun.elapsed();
            flush(&history);
        }
        let cpu = writer_cpu() - before;
        println!(
            "batch {batch:4} labels {labels}: {:.2} us of the writer, {:.2} us of the caller per session (4 calls), {} commits, {:.0} bytes on disk per session",
            cpu.as_secs_f64() * 1e6 / no as f64,
            caller.as_secs_f64() * 1e6 / no as f64,
            history.stats().commits,
            history.bytes() as f64 / no as f64,
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn a_flood() {
    for size in [64 << 10, 256 << 10] {
        let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let (history, _) = open(dir.path(), Settings::default());
        history.put(record(1, SessionState::Running));
        let blocks: Vec<_> = (0..(512 << 20) / size as u64).map(|n| block(n * 650, 650, size)).collect();
        flush(&history);
        let (before, begun) = (writer_cpu(), Instant::now());
        let (mut worst, mut caller) = (Duration::ZERO, Duration::ZERO);
        for block in blocks {
            while history.pending_bytes() > 32 << 20 {
                std::thread::sleep(Duration::from_micros(200));
            }
            let call = Instant::now();
            history.append(1, block);
            worst = worst.max(call.elapsed());
            caller += call.elapsed();
        }
        flush(&history);
        let seconds = begun.elapsed().as_secs_f64();
        println!(
            "flood of {} KiB blocks beyond the 64 MiB cap: {:.0} MB/s, writer {:.0}% of a core, caller {:.2} us per block, worst {:.0} us; {:?}; {} MiB on disk",
            size >> 10,
            (512u64 << 20) as f64 / 1e6 / seconds,
            (writer_cpu() - before).as_secs_f64() * 100.0 / seconds,
            caller.as_secs_f64() * 1e6 / ((512 << 20) / size) as f64,
            worst.as_secs_f64() * 1e6,
            history.log_extent(1).unwrap(),
            history.bytes() >> 20,
        );
    }
}

#[test]
#[ignore = "a measurement"]
fn reading() {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (history, _) = open(dir.path(), Settings::default());
    for no in 1..=100_000u64 {
        history.put(record(no, if no % 1000 == 0 { SessionState::Running } else { SessionState::Succeeded }));
        history.append(no, block(0, 3, 150));
    }
    flush(&history);
    let time = |what: &str, call: &dyn Fn() -> usize| {
        call();
        let begun = Instant::now();
        let found = (0..20).map(|_| call()).sum::<usize>() / 20;
        println!(
            "100,000 records, {what}: {:.0} us, {found} found",
            begun.elapsed().as_secs_f64() * 1e6 / 20.0
        );
    };
    use store::history::read::Filter;
    let running = Filter { state: Some(SessionState::Running), ..Filter::default() };
    let ended = Filter { state: Some(SessionState::Succeeded), ..Filter::default() };
    let module = Filter { module: Some("module1".into()), ..Filter::default() };
    time("newest 100", &|| history.list(&Filter::default(), None, 100).unwrap().len());
    time("running", &|| history.list(&running, None, 100).unwrap().len());
    time("ended before 50,000", &|| history.list(&ended, Some(50_000), 100).unwrap().len());
    time("by module", &|| history.list(&module, None, 100).unwrap().len());
    time("by id", &|| history.get("ses-00000fff").unwrap().into_iter().count());
    time("counts", &|| history.counts().unwrap().len());
    time("blocks", &|| history.blocks(777, 0, 1 << 20).unwrap().len());
    let begun = Instant::now();
    drop(history);
    println!("close {:?}", begun.elapsed());
    let begun = Instant::now();
    let (_history, opened) = open(dir.path(), Settings::default());
    println!("open with {} unfinished: {:?}", opened.unfinished.len(), begun.elapsed());
}

#[test]
#[ignore = "a measurement"]
fn modules() {
    use store::{Database, modules};
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let database = Database::open(dir.path()).unwrap();
    let modules = modules::Modules::open(&database, modules::Settings::new("t")).unwrap();
    let body = "(drop (i32.add (i32.const 1) (i32.const 2)))".repeat(100);
    let functions = format!("(func {body})").repeat(8000);
    let text = format!(r#"(module (memory (export "memory") 1) (func (export "_start")) {functions})"#);
    let module = wat::parse_str(text).unwrap();
    let begun = Instant::now();
    let mut upload = modules.upload(Some("big")).unwrap();
    for piece in module.chunks(64 << 10) {
        upload.write(piece).unwrap();
    }
    let written = begun.elapsed();
    let digest = upload.finish(None).unwrap().info.digest;
    println!(
        "upload of {} bytes: written and hashed in {written:?}, checked and named in {:?}",
        module.len(),
        begun.elapsed() - written
    );
    for key in ["big", &digest] {
        let begun = Instant::now();
        for _ in 0..1_000_000 {
            std::hint::black_box(modules.resolve(key).unwrap());
        }
        println!("resolve by {} letters: {} ns", key.len(), begun.elapsed().as_nanos() / 1_000_000);
    }
}

#[test]
#[ignore = "a measurement"]
fn a_search_through_everything() {
    use store::history::read::Filter;
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (history, _) = open(dir.path(), Settings::default());
    for no in 1..=100_000 {
        let mut record = record(no, SessionState::Succeeded);
        record.info.labels.insert("team".into(), format!("seven of {no}"));
        history.put(record);
        if no % 5000 == 0 {
            flush(&history);
        }
    }
    // One that is there, one that is nowhere, one that every record has where it is not searched for.
    for text in ["seven of 77", "nowhere", "succeeded"] {
        let filter = Filter { search: Some(text.into()), ..Filter::default() };
        let begun = Instant::now();
        let found = history.list(&filter, None, 101).unwrap().len();
        println!("{text:?}: {found} found in {:.1} ms", begun.elapsed().as_secs_f64() * 1e3);
    }
}
