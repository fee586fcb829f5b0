//! What becomes of calls that are due, asked for, paused and taken away.

use super::*;

const S: u64 = 1000;

fn at(steady: u64) -> Now {
    Now { steady, wall: i64::try_from(steady).expect("small") }
}

fn every(seconds: u64, overlap: Overlap) -> Schedule {
    Schedule { endpoint: "/x".into(), interval_secs: Some(seconds), overlap, ..Schedule::default() }
}

fn set(table: &mut Table, service: &str, schedules: &[Schedule], now: Now) {
    table.set(service, read(service, service, schedules, now));
}

fn table(overlap: Overlap) -> Table {
    let mut table = Table::default();
    set(&mut table, "a", &[every(10, overlap)], at(0));
    table
}

fn run() -> ScheduleRun {
    ScheduleRun { at: 1, status: None, duration_ms: 0, body_head: String::new(), error: None, manual: false }
}

/// How many calls are begun at this time.
fn due(table: &mut Table, steady: u64) -> usize {
    table.tick(at(steady)).0.len()
}

fn get(table: &Table) -> ScheduleInfo {
    table.get("a/x", at(0)).expect("it is there")
}

fn code(result: Result<Option<Start>, Error>) -> ErrorCode {
    result.expect_err("refused").code
}

#[test]
fn with_skip_what_is_due_meanwhile_is_left_out_and_counted() {
    let mut table = table(Overlap::Skip);
    assert_eq!(table.tick(at(0)).1, 10 * S);
    assert_eq!(due(&mut table, 10 * S), 1);
    assert_eq!((due(&mut table, 20 * S), due(&mut table, 30 * S)), (0, 0));
    let info = get(&table);
    assert!(info.running);
    assert_eq!((info.runs, info.skipped, info.last_run), (1, 2, None));
    assert!(table.ended("a/x", run()).is_none());
    assert_eq!(get(&table).last_run, Some(run()));
    assert_eq!(due(&mut table, 39 * S), 0);
    assert_eq!(due(&mut table, 40 * S), 1);
}

#[test]
fn with_queue_one_waits_and_never_more() {
    let mut table = table(Overlap::Queue);
    assert_eq!(due(&mut table, 10 * S), 1);
    assert_eq!((due(&mut table, 20 * S), due(&mut table, 30 * S)), (0, 0));
    assert_eq!((get(&table).runs, get(&table).skipped), (1, 1));
    assert!(table.ended("a/x", run()).is_some());
    assert!(get(&table).running);
    assert!(table.ended("a/x", run()).is_none());
    assert_eq!((get(&table).runs, get(&table).running), (2, false));
}

#[test]
fn who_asks_is_refused_or_waits_its_turn() {
    let ask = |table: &mut Table| table.ask("a/x", oneshot::channel().0);
    let mut skip = table(Overlap::Skip);
    assert!(ask(&mut skip).unwrap().is_some_and(|start| start.manual && start.replies.len() == 1));
    assert_eq!(code(ask(&mut skip)), ErrorCode::InvalidState);
    assert_eq!(code(skip.ask("a/y", oneshot::channel().0)), ErrorCode::ScheduleNotFound);

    let mut queue = table(Overlap::Queue);
    assert_eq!((due(&mut queue, 10 * S), due(&mut queue, 20 * S)), (1, 0));
    // The call that is due and waits becomes the one that is asked for, twice.
    assert!(ask(&mut queue).unwrap().is_none() && ask(&mut queue).unwrap().is_none());
    let next = queue.ended("a/x", run()).unwrap();
    assert!(next.manual);
    assert_eq!(next.replies.len(), 2);
    assert!(queue.ended("a/x", run()).is_none());

    queue.close();
    assert_eq!(code(ask(&mut queue)), ErrorCode::Draining);
    assert_eq!(due(&mut queue, 100 * S), 0);
    assert_eq!(get(&queue).next_at, None);
}

#[test]
fn what_is_paused_or_stopped_is_not_called_and_not_made_up_for() {
    let pause = |table: &mut Table, paused, steady| table.pause("a/x", paused, at(steady)).unwrap();
    let active = |table: &mut Table, active, steady| table.active("a", active, at(steady));
    let ways: [fn(&mut Table, bool, u64); 2] = [
        |table, on, steady| table.pause("a/x", !on, at(steady)).expect("it is there"),
        |table, on, steady| table.active("a", on, at(steady)),
    ];
    for way in ways {
        let mut table = table(Overlap::Queue);
        assert_eq!((due(&mut table, 10 * S), due(&mut table, 20 * S)), (1, 0));
        way(&mut table, false, 21 * S);
        assert_eq!(get(&table).next_at, None);
        // What waited is not called, either.
        assert!(table.ended("a/x", run()).is_none());
        assert_eq!(table.tick(at(55 * S)).1, u64::MAX);
        way(&mut table, true, 56 * S);
        assert_eq!(table.get("a/x", at(56 * S)).unwrap().next_at, Some(60 * S));
        assert_eq!((due(&mut table, 59 * S), due(&mut table, 60 * S)), (0, 1));
    }
    // Asked for by somebody, one that is paused is called, and one of a stopped service is not.
    let mut table = table(Overlap::Skip);
    pause(&mut table, true, 0);
    assert!(table.ask("a/x", oneshot::channel().0).unwrap().is_some());
    table.ended("a/x", run());
    active(&mut table, false, 0);
    assert_eq!(code(table.ask("a/x", oneshot::channel().0)), ErrorCode::InvalidState);
    assert_eq!(table.pause("a/y", true, at(0)).unwrap_err().code, ErrorCode::ScheduleNotFound);
}

#[test]
fn a_service_may_be_stopped_before_it_is_declared() {
    let mut table = Table::default();
    table.active("a", false, at(0));
    set(&mut table, "a", &[every(10, Overlap::Skip)], at(0));
    assert_eq!(due(&mut table, 10 * S), 0);
    table.active("a", true, at(15 * S));
    assert_eq!(due(&mut table, 20 * S), 1);
}

#[test]
fn what_did_not_change_keeps_its_place_and_what_did_begins_anew() {
    let mut table = Table::default();
    let other = Schedule { endpoint: "/y".into(), ..every(10, Overlap::Skip) };
    set(&mut table, "a", &[every(10, Overlap::Skip), other.clone()], at(0));
    set(&mut table, "ab", &[every(10, Overlap::Skip)], at(0));
    assert_eq!(due(&mut table, 10 * S), 3);
    let slower = Schedule { interval_secs: Some(20), ..other };
    set(&mut table, "a", &[every(10, Overlap::Skip), slower], at(15 * S));
    let list = table.list(Some("a"), at(15 * S));
    let shown: Vec<_> =
        list.iter().map(|one| (one.id.as_str(), one.next_at, one.runs, one.running)).collect();
    assert_eq!(shown, [("a/x", Some(20 * S), 1, true), ("a/y", Some(35 * S), 0, true)]);
    assert_eq!(list[1].when, "every 20 s");
    // The call of before ends; until then the new one is left out.
    assert_eq!((due(&mut table, 35 * S), table.list(Some("a"), at(0))[1].skipped), (0, 1));
    table.remove("a");
    assert_eq!(table.list(None, at(0)).len(), 1);
    assert_eq!(code(table.ask("a/x", oneshot::channel().0)), ErrorCode::ScheduleNotFound);
    // What comes back while its call is under way waits for the end of that one, too.
    set(&mut table, "a", &[every(10, Overlap::Skip)], at(40 * S));
    assert_eq!(code(table.ask("a/x", oneshot::channel().0)), ErrorCode::InvalidState);
    table.ended("a/x", run());
    table.ended("a/y", run());
    assert_eq!(table.entries.len(), 2);
}

#[test]
fn what_cannot_be_called_is_left_out() {
    let mut table = Table::default();
    let wrong = Schedule { endpoint: "/y y".into(), ..every(10, Overlap::Skip) };
    let never = Schedule { interval_secs: None, ..every(10, Overlap::Skip) };
    set(&mut table, "a", &[wrong, every(10, Overlap::Skip), never], at(0));
    let ids: Vec<String> = table.list(None, at(0)).into_iter().map(|one| one.id).collect();
    assert_eq!(ids, ["a/x"]);
}

#[test]
fn what_is_known_from_before_is_shown() {
    let mut table = table(Overlap::Skip);
    let (id, other) = ("a/x".to_owned(), "b/y".to_owned());
    table.know(Known { paused: [id.clone(), other].into(), last: [(id, run())].into() });
    let info = get(&table);
    assert!(info.paused);
    assert_eq!((info.next_at, info.last_run), (None, Some(run())));
}

#[test]
fn times_are_told_in_words() {
    let cron = |zone: Option<&str>| Schedule {
        cron: Some("0 * * * *".into()),
        timezone: zone.map(str::to_owned),
        ..Schedule::default()
    };
    assert_eq!(words(&cron(None)), "0 * * * * (UTC)");
    assert_eq!(words(&cron(Some("Europe/Brussels"))), "0 * * * * (Europe/Brussels)");
    assert_eq!(words(&every(60, Overlap::Skip)), "every 60 s");
}
