//! Clocks that run, stand still, jump forward and are set back.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use proptest::prelude::*;

use super::*;

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

fn wall(text: &str) -> i64 {
    text.parse::<Timestamp>().expect("a time").as_millisecond()
}

fn every(seconds: u64, now: Now) -> Rhythm {
    let schedule = Schedule { interval_secs: Some(seconds), ..Schedule::default() };
    Rhythm::new(&schedule, now).expect("a rhythm")
}

fn cron(pattern: &str, zone: &str, now: Now) -> Rhythm {
    let schedule =
        Schedule { cron: Some(pattern.into()), timezone: Some(zone.into()), ..Schedule::default() };
    Rhythm::new(&schedule, now).expect("a rhythm")
}

/// What a clock in a zone shows.
fn shown(zone: &TimeZone, wall: i64) -> DateTime {
    zone.to_datetime(Timestamp::from_millisecond(wall).expect("a time"))
}

fn due(rhythm: &Rhythm) -> Option<i64> {
    match rhythm {
        Rhythm::Every(_) => None,
        Rhythm::Calendar(dated) => dated.due,
    }
}

/// Sleeps as it is told to until so many milliseconds have passed, and answers when it fired, by the wall clock.
fn live(rhythm: &mut Rhythm, now: &mut Now, length: i64) -> Vec<String> {
    let end = now.wall + length;
    let mut fired = Vec::new();
    loop {
        let step = rhythm.look(*now);
        if step.fire {
            fired.push(Timestamp::from_millisecond(now.wall).expect("a time").to_string());
        }
        assert!(step.wake > now.steady, "it would spin");
        let rest = step.wake - now.steady;
        let rest_of_life = u64::try_from(end - now.wall).expect("time runs forward");
        if rest >= rest_of_life {
            *now = Now { steady: now.steady + rest_of_life, wall: end };
            return fired;
        }
        *now = Now { steady: step.wake, wall: now.wall + i64::try_from(rest).expect("a short rest") };
    }
}

#[test]
fn an_interval_keeps_to_its_grid_and_makes_up_for_nothing() {
    let start = Now { steady: 500, wall: 0 };
    let mut rhythm = every(60, start);
    let look = |rhythm: &mut Rhythm, steady| rhythm.look(Now { steady, wall: 0 });
    assert_eq!(look(&mut rhythm, 500), Step { fire: false, wake: 60_500 });
    assert_eq!(look(&mut rhythm, 60_499), Step { fire: false, wake: 60_500 });
    // Late by a little: the grid does not move.
    assert_eq!(look(&mut rhythm, 60_900), Step { fire: true, wake: 120_500 });
    // Late by much: one call.
    assert_eq!(look(&mut rhythm, 1_000_000), Step { fire: true, wake: 1_020_500 });
    assert_eq!(look(&mut rhythm, 1_000_000), Step { fire: false, wake: 1_020_500 });
    assert_eq!(rhythm.next(Now { steady: 1_000_000, wall: 7 }), Some(20_507));
}

#[test]
fn an_interval_does_not_care_for_the_wall_clock() {
    let mut rhythm = every(1, Now { steady: 0, wall: 0 });
    for wall in [i64::MAX, i64::MIN, 0] {
        assert!(!rhythm.look(Now { steady: 999, wall }).fire);
    }
    assert!(rhythm.look(Now { steady: 1000, wall: i64::MIN }).fire);
}

#[test]
fn an_interval_longer_than_the_clock_is_never_over() {
    let mut rhythm = every(u64::MAX, Now { steady: 5, wall: 0 });
    assert_eq!(rhythm.look(Now { steady: u64::MAX - 1, wall: 0 }), Step { fire: false, wake: u64::MAX });
    assert_eq!(rhythm.next(Now { steady: 5, wall: 0 }), None);
}

#[test]
fn a_calendar_fires_on_time_and_is_looked_at_every_thirty_seconds() {
    let mut now = Now { steady: 0, wall: wall("2026-05-05T09:58:10Z") };
    let mut rhythm = cron("0 10 * * *", "UTC", now);
    assert_eq!(rhythm.next(now), u64::try_from(wall("2026-05-05T10:00:00Z")).ok());
    assert_eq!(rhythm.look(now), Step { fire: false, wake: 30_000 });
    let fired = live(&mut rhythm, &mut now, 48 * HOUR);
    assert_eq!(fired, ["2026-05-05T10:00:00Z", "2026-05-06T10:00:00Z"]);
}

#[test]
fn daylight_saving_takes_nothing_and_adds_nothing() {
    for (start, expected) in [
        ("2026-03-28T12:00:00Z", ["2026-03-29T01:00:00Z", "2026-03-30T00:30:00Z"]),
        ("2026-10-24T12:00:00Z", ["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"]),
    ] {
        let mut now = Now { steady: 0, wall: wall(start) };
        let mut rhythm = cron("30 2 * * *", "Europe/Brussels", now);
        assert_eq!(live(&mut rhythm, &mut now, 48 * HOUR), expected);
    }
}

#[test]
fn a_clock_set_forward_fires_once_for_what_was_jumped_over() {
    let mut now = Now { steady: 0, wall: wall("2026-05-05T10:00:30Z") };
    let mut rhythm = cron("*/10 * * * *", "UTC", now);
    now.wall += 5 * HOUR;
    let first = rhythm.look(now);
    assert!(first.fire);
    assert_eq!(live(&mut rhythm, &mut now, 10 * MINUTE), ["2026-05-05T15:10:00Z"]);
    // Nothing was due in between: nothing is made up for.
    let mut daily = cron("0 10 * * *", "UTC", now);
    now.wall += HOUR;
    assert!(!daily.look(now).fire);
}

#[test]
fn a_clock_set_back_a_little_repeats_nothing() {
    let mut now = Now { steady: 0, wall: wall("2026-05-05T09:59:00Z") };
    let mut rhythm = cron("0 * * * *", "UTC", now);
    assert_eq!(live(&mut rhythm, &mut now, 2 * MINUTE), ["2026-05-05T10:00:00Z"]);
    now.wall -= 3 * HOUR - 1;
    assert_eq!(live(&mut rhythm, &mut now, 4 * HOUR), ["2026-05-05T11:00:00Z"]);
}

#[test]
fn a_clock_set_back_by_much_starts_anew() {
    let mut now = Now { steady: 0, wall: wall("2026-05-05T09:59:00Z") };
    let mut rhythm = cron("0 * * * *", "UTC", now);
    assert_eq!(live(&mut rhythm, &mut now, 2 * MINUTE), ["2026-05-05T10:00:00Z"]);
    // The clock ran on for a while before it was set: what counts is by how much it was set.
    now.steady += 20_000;
    now.wall += 20_000 - 3 * HOUR;
    assert_eq!(live(&mut rhythm, &mut now, 2 * HOUR), ["2026-05-05T08:00:00Z", "2026-05-05T09:00:00Z"]);
}

#[test]
fn steps_back_add_up_so_that_the_silence_has_an_end() {
    let mut now = Now { steady: 0, wall: wall("2026-05-05T10:01:00Z") };
    let mut rhythm = cron("0 * * * *", "UTC", now);
    now.wall -= 2 * HOUR;
    assert!(live(&mut rhythm, &mut now, 5 * MINUTE).is_empty());
    now.wall -= 2 * HOUR;
    assert_eq!(live(&mut rhythm, &mut now, HOUR), ["2026-05-05T07:00:00Z"]);
}

#[test]
fn a_declaration_has_one_of_interval_and_cron() {
    let now = Now { steady: 0, wall: 0 };
    let key = |schedule: Schedule| Rhythm::new(&schedule, now).map(|_| ()).expect_err("it is wrong").0;
    let zone = || Some("UTC".to_owned());
    assert_eq!(key(Schedule::default()), "interval_secs");
    assert_eq!(key(Schedule { interval_secs: Some(0), ..Schedule::default() }), "interval_secs");
    assert_eq!(key(Schedule { interval_secs: Some(1), timezone: zone(), ..Schedule::default() }), "timezone");
    let both = Schedule { interval_secs: Some(1), cron: Some("* * * * *".into()), ..Schedule::default() };
    assert_eq!(key(both), "cron");
}

/// What becomes of the clocks from one look to the next: how long it takes, and by how much the wall clock is set.
fn histories(set: std::ops::Range<i64>) -> impl Strategy<Value = Vec<(u64, i64)>> {
    let passed = prop_oneof![4 => 0..40_000_u64, 1 => 0..20_000_000_u64];
    let set = prop_oneof![3 => Just(0_i64), 1 => -120_000..120_000_i64, 1 => set];
    proptest::collection::vec((passed, set), 1..200)
}

fn patterns() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&[
        "* * * * *",
        "*/7 * * * *",
        "30 2 * * *",
        "0,30 1-3 * * *",
        "0 0 1 * *",
        "15 */2 * * sun",
    ])
}

fn zones() -> impl Strategy<Value = &'static str> {
    prop::sample::select(&[
        "UTC",
        "Europe/Brussels",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/St_Johns",
    ])
}

/// Around the changes of 2026 in most zones, and far from them.
fn starts() -> impl Strategy<Value = i64> {
    let near = prop::sample::select(&[
        "2026-03-08T00:00:00Z",
        "2026-03-29T00:00:00Z",
        "2026-10-03T12:00:00Z",
        "2026-10-25T00:00:00Z",
    ]);
    (near, -12 * HOUR..12 * HOUR).prop_map(|(near, away)| wall(near) + away)
}

proptest! {
    #[test]
    fn no_history_makes_an_interval_leave_its_grid(
        seconds in 1..200_u64,
        start in 0..1_000_000_u64,
        history in proptest::collection::vec(0..300_000_u64, 1..200),
    ) {
        let mut now = Now { steady: start, wall: 0 };
        let mut rhythm = every(seconds, now);
        let mut last = 0;
        for passed in history {
            now.steady += passed;
            let step = rhythm.look(now);
            let place = (now.steady - start) / (seconds * 1000);
            // One call for each stretch of the grid at most, and for all stretches that were looked at.
            prop_assert_eq!(step.fire, place > last);
            last = place;
            prop_assert_eq!(step.wake, start + (place + 1) * seconds * 1000);
        }
    }

    #[test]
    fn no_civil_minute_is_called_twice_and_there_is_no_burst(
        pattern in patterns(),
        zone in zones(),
        start in starts(),
        history in histories(-6 * HOUR..6 * HOUR),
    ) {
        let mut now = Now { steady: 0, wall: start };
        let mut rhythm = cron(pattern, zone, now);
        let mut latest = start;
        let mut fired: Option<(DateTime, i64)> = None;
        let zone = TimeZone::get(zone).expect("a zone");
        for (passed, set) in history {
            let unset = now.wall + i64::try_from(passed).expect("small");
            now = Now { steady: now.steady + passed, wall: unset + set };
            latest = latest.max(unset).max(now.wall);
            if latest - now.wall >= SET_BACK {
                (latest, fired) = (now.wall, None);
            }
            let before = due(&rhythm);
            let step = rhythm.look(now);
            if step.fire {
                let what = before.expect("something was due");
                prop_assert!(what <= now.wall, "called too early");
                let civil = shown(&zone, what);
                if let Some((last, when)) = fired {
                    prop_assert!(civil > last, "{civil} after {last}");
                    // What was jumped over with the call before is not made up for.
                    prop_assert!(what > when, "{what} was over at {when}");
                }
                fired = Some((civil, now.wall));
            }
            prop_assert!(!rhythm.look(now).fire, "twice in one moment");
            prop_assert!(step.wake > now.steady && step.wake <= now.steady + LOOK);
        }
    }

    #[test]
    fn without_anybody_at_the_clock_every_time_is_called(
        pattern in patterns(),
        zone in zones(),
        start in starts(),
        hours in 1..30_i64,
    ) {
        let mut now = Now { steady: 0, wall: start };
        let mut rhythm = cron(pattern, zone, now);
        let fired = live(&mut rhythm, &mut now, hours * HOUR);
        // The same by a walk through all minutes: those that the clock shows for the first time, and right behind a
        // gap those that it leaves out. The pattern is asked in UTC, where nothing is left out and nothing comes twice.
        let civil = Calendar::new(pattern, None).expect("a calendar");
        let in_utc = |civil| TimeZone::UTC.to_timestamp(civil).expect("a time").as_millisecond();
        let zone = TimeZone::get(zone).expect("a zone");
        let past = (start - 4 * HOUR..=start).step_by(30_000);
        let mut latest = past.map(|wall| shown(&zone, wall)).max().expect("some");
        let mut expected = Vec::new();
        let first = start - start.rem_euclid(MINUTE) + MINUTE;
        for wall in (first..start + hours * HOUR).step_by(60_000) {
            let now = shown(&zone, wall);
            if now > latest {
                if civil.next(in_utc(latest)).is_some_and(|due| due <= in_utc(now)) {
                    expected.push(Timestamp::from_millisecond(wall).expect("a time").to_string());
                }
                latest = now;
            }
        }
        prop_assert_eq!(fired, expected);
    }
}
