use std::os::unix::net::UnixDatagram;

use api::LogKind;

use super::*;

fn line(kind: LogKind, bytes: &'static [u8]) -> Line {
    Line { ts_ms: 1_700_000_000_123, kind, partial: false, bytes: bytes.into() }
}

fn target(dir: &Path) -> Target {
    Target { journal: dir.join("journal"), file: dir.join("sessions.log"), rotate_bytes: 64 << 20, keep: 3 }
}

/// Reads a datagram as journald does.
fn parse(datagram: &[u8]) -> Vec<(String, Vec<u8>)> {
    let mut fields = Vec::new();
    let mut rest = datagram;
    while !rest.is_empty() {
        let end = rest.iter().position(|byte| matches!(byte, b'=' | b'\n')).unwrap();
        let name = String::from_utf8(rest[..end].to_vec()).unwrap();
        let length;
        if rest[end] == b'=' {
            rest = &rest[end + 1..];
            length = rest.iter().position(|byte| *byte == b'\n').unwrap();
        } else {
            length = u64::from_le_bytes(rest[end + 1..end + 9].try_into().unwrap()) as usize;
            rest = &rest[end + 9..];
        }
        fields.push((name, rest[..length].to_vec()));
        assert_eq!(rest[length], b'\n');
        rest = &rest[length + 1..];
    }
    fields
}

#[test]
fn journald_gets_each_line_with_its_session_and_kind() {
    let dir = tempfile::tempdir().unwrap();
    let target = target(dir.path());
    let journal = UnixDatagram::bind(&target.journal).unwrap();
    let forwarder = Forwarder::open_to(target.clone()).unwrap();
    let forged: &[u8] = b"x\nSESSION=forged\nPRIORITY=0";
    forwarder.send("ses-1", &line(LogKind::Stdout, b"hello"));
    forwarder.send("ses-2", &line(LogKind::Stderr, forged));
    let read = || {
        let mut buffer = [0; 4096];
        let size = journal.recv(&mut buffer).unwrap();
        parse(&buffer[..size])
    };
    let field = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
    assert_eq!(
        read(),
        [
            field("MESSAGE", b"hello"),
            field("PRIORITY", b"6"),
            field("SYSLOG_IDENTIFIER", b"hero_runner"),
            field("SESSION", b"ses-1"),
            field("KIND", b"stdout"),
        ]
    );
    let second = read();
    assert_eq!(second[0], field("MESSAGE", forged));
    assert_eq!(second[3], field("SESSION", b"ses-2"));
    assert_eq!(second.len(), 5);
    drop(forwarder);
    assert!(!target.file.exists());
}

#[test]
fn without_journald_the_lines_are_json_in_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let target = target(dir.path());
    let forwarder = Forwarder::open_to(target.clone()).unwrap();
    let batch = Batch::new(5, vec![line(LogKind::Stdout, b"a\"b"), line(LogKind::Host, b"\xff\n")]);
    forwarder.send_batch("ses-1", &batch);
    drop(forwarder);
    let text = std::fs::read_to_string(&target.file).unwrap();
    let rows: Vec<serde_json::Value> = text.lines().map(|row| serde_json::from_str(row).unwrap()).collect();
    let first =
        serde_json::json!({"session":"ses-1","kind":"stdout","ts_ms":1_700_000_000_123_u64,"line":"a\"b"});
    assert_eq!(rows[0], first);
    assert_eq!(rows[1]["line"], "\u{fffd}\n");
    assert_eq!(rows[1]["base64"], "/wo=");
}

#[test]
fn a_journald_that_went_away_leaves_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let target = target(dir.path());
    let journal = UnixDatagram::bind(&target.journal).unwrap();
    let forwarder = Forwarder::open_to(target.clone()).unwrap();
    drop(journal);
    forwarder.send("ses-1", &line(LogKind::Stdout, b"still here"));
    drop(forwarder);
    assert!(std::fs::read_to_string(&target.file).unwrap().contains("still here"));
}

#[test]
fn the_file_rotates_and_keeps_three() {
    let dir = tempfile::tempdir().unwrap();
    let target = Target { rotate_bytes: 1000, ..target(dir.path()) };
    for run in 0..2 {
        // The second run goes on with the file that the first one left.
        let forwarder = Forwarder::open_to(target.clone()).unwrap();
        for number in 0..50 {
            let bytes = format!("run {run} line {number:03} {}", "x".repeat(40)).into_bytes().into();
            let line = Line { ts_ms: number, kind: LogKind::Stdout, partial: false, bytes };
            forwarder.send("ses-1", &line);
        }
    }
    let mut names: Vec<String> = std::fs::read_dir(dir.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert_eq!(names, ["sessions.log", "sessions.log.1", "sessions.log.2", "sessions.log.3"]);
    let mut all = String::new();
    for name in names.iter().rev() {
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(text.len() <= 1000, "{name} has {} bytes", text.len());
        assert!(text.ends_with("}\n"));
        all.push_str(&text);
    }
    // What is kept is the end, in order and without holes.
    let kept: Vec<u64> = all
        .lines()
        .map(|row| serde_json::from_str::<serde_json::Value>(row).unwrap()["ts_ms"].as_u64().unwrap())
        .collect();
    assert_eq!(kept.last(), Some(&49));
    assert!(kept.len() > 20);
    assert!(kept.windows(2).all(|pair| (pair[0] + 1) % 50 == pair[1]));
}

#[test]
fn a_sender_never_waits_and_losses_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let target = target(dir.path());
    // A journald that reads nothing: the kernel's queue for it is full after a few datagrams.
    let _journal = UnixDatagram::bind(&target.journal).unwrap();
    let forwarder = Forwarder::open_to(target.clone()).unwrap();
    let begin = std::time::Instant::now();
    for _ in 0..QUEUE * 2 {
        forwarder.send("ses-1", &line(LogKind::Stdout, b"flood"));
    }
    assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    assert!(forwarder.lost() > 0);
    // The file takes what waited, so that the server can go.
    drop(forwarder);
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(std::fs::read_to_string(&target.file).unwrap().lines().count() > QUEUE / 2);
}
