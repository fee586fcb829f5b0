//! The pool is driven through histories that no process has to live through.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const LIMITS: Limits = Limits { spare_min: 2, spare_max: 4, max_sessions: 3, max_queue: 5 };

fn step(pool: &mut Pool, now: Instant, event: Event) -> Vec<Action> {
    let mut actions = Vec::new();
    pool.step(now, event, &mut actions);
    actions
}

#[test]
fn a_ready_zygote_is_asked_for_the_spare_workers() {
    let (mut pool, now) = (Pool::new(LIMITS), Instant::now());
    assert_eq!(step(&mut pool, now, Event::ZygoteReady), [Action::Fork(0), Action::Fork(1)]);
    assert_eq!(step(&mut pool, now, Event::Forked(0)), []);
    assert_eq!(pool.parked(), 1);
}

#[test]
fn a_session_gets_a_parked_worker_at_once_and_the_pool_refills_when_that_disturbs_nobody() {
    let (mut pool, now) = (Pool::new(LIMITS), Instant::now());
    step(&mut pool, now, Event::ZygoteReady);
    step(&mut pool, now, Event::Forked(0));
    step(&mut pool, now, Event::Forked(1));
    assert_eq!(
        step(&mut pool, now, Event::Submit(7)),
        [Action::Assign { slot: 0, session: 7, waited: false }]
    );
    assert!(pool.wants_refill());
    assert_eq!(step(&mut pool, now, Event::Exited(0)), []);
    assert_eq!(step(&mut pool, now, Event::Refill), [Action::Fork(2)]);
    assert!(!pool.wants_refill());
}

#[test]
fn spare_workers_do_not_wait_for_a_session_that_takes_long() {
    let (mut pool, now) = (Pool::new(LIMITS), Instant::now());
    step(&mut pool, now, Event::ZygoteReady);
    step(&mut pool, now, Event::Forked(0));
    step(&mut pool, now, Event::Forked(1));
    step(&mut pool, now, Event::Submit(7));
    let due = pool.next_tick().expect("it is put off, not forgotten");
    assert!(due <= now + LINGER);
    assert_eq!(step(&mut pool, due, Event::Tick), [Action::Fork(2)]);
    // The last one that is parked leaves nobody to take the next session.
    assert_eq!(step(&mut pool, due, Event::Submit(8)).last(), Some(&Action::Fork(3)));
}

#[test]
fn a_session_waits_for_a_fork_when_none_is_parked() {
    let (mut pool, now) = (Pool::new(LIMITS), Instant::now());
    assert_eq!(step(&mut pool, now, Event::Submit(7)), []);
    step(&mut pool, now, Event::ZygoteReady);
    assert_eq!(
        step(&mut pool, now, Event::Forked(0)),
        [Action::Assign { slot: 0, session: 7, waited: true }, Action::Fork(4)]
    );
}

#[test]
fn the_queue_has_an_end() {
    let (mut pool, now) = (Pool::new(LIMITS), Instant::now());
    for session in 0..5 {
        assert_eq!(step(&mut pool, now, Event::Submit(session)), []);
    }
    assert_eq!(step(&mut pool, now, Event::Submit(5)), [Action::Reject(5)]);
    assert_eq!(pool.queued(), 5);
}

#[test]
fn a_lost_zygote_takes_its_sessions_with_it_and_the_queue_waits_for_the_next() {
    let limits = Limits { max_sessions: 1, ..LIMITS };
    let (mut pool, now) = (Pool::new(limits), Instant::now());
    step(&mut pool, now, Event::ZygoteReady);
    step(&mut pool, now, Event::Forked(0));
    step(&mut pool, now, Event::Submit(7));
    step(&mut pool, now, Event::Submit(8));
    assert_eq!(step(&mut pool, now, Event::ZygoteLost), [Action::Lost(7)]);
    assert_eq!((pool.running(), pool.queued(), pool.parked()), (0, 1, 0));
    let actions = step(&mut pool, now, Event::ZygoteReady);
    let Some(Action::Fork(slot)) = actions.first().copied() else { panic!("{actions:?}") };
    let actions = step(&mut pool, now, Event::Forked(slot));
    assert_eq!(actions.first(), Some(&Action::Assign { slot, session: 8, waited: true }));
}

#[test]
fn a_session_that_comes_back_goes_first_even_when_the_queue_is_full() {
    let limits = Limits { max_sessions: 1, max_queue: 1, ..LIMITS };
    let (mut pool, now) = (Pool::new(limits), Instant::now());
    step(&mut pool, now, Event::ZygoteReady);
    step(&mut pool, now, Event::Forked(0));
    step(&mut pool, now, Event::Submit(7));
    step(&mut pool, now, Event::Submit(8));
    // The worker of 7 was dead already.
    assert_eq!(step(&mut pool, now, Event::Exited(0)), []);
    assert_eq!(step(&mut pool, now, Event::Resubmit(7)), []);
    assert_eq!(pool.queued(), 2);
    let actions = step(&mut pool, now, Event::Forked(1));
    assert_eq!(actions.first(), Some(&Action::Assign { slot: 1, session: 7, waited: true }));
}

#[test]
fn workers_that_die_while_they_are_parked_are_not_replaced_in_a_loop() {
    let (mut pool, now) = (Pool::new(LIMITS), Instant::now());
    step(&mut pool, now, Event::ZygoteReady);
    step(&mut pool, now, Event::Forked(0));
    assert_eq!(step(&mut pool, now, Event::Exited(0)), []);
    assert_eq!(step(&mut pool, now, Event::Forked(1)), [], "the pause holds");
    let at = pool.next_tick().expect("a retry is due");
    assert_eq!(step(&mut pool, at, Event::Tick), [Action::Fork(2)]);
}

#[test]
fn failed_forks_are_tried_again_later_and_later() {
    let (mut pool, mut now) = (Pool::new(LIMITS), Instant::now());
    let mut waits = Vec::new();
    let mut actions = step(&mut pool, now, Event::ZygoteReady);
    for _ in 0..9 {
        for action in actions {
            if let Action::Fork(slot) = action {
                assert_eq!(step(&mut pool, now, Event::ForkFailed(slot)), []);
            }
        }
        let at = pool.next_tick().expect("a retry is due");
        waits.push(at - now);
        assert_eq!(step(&mut pool, now, Event::Tick), [], "too early");
        now = at;
        actions = step(&mut pool, now, Event::Tick);
        assert!(!actions.is_empty());
    }
    assert!(waits.is_sorted() && waits.last() == Some(&BACKOFF.1), "{waits:?}");
}

#[test]
fn the_pool_grows_under_load_and_shrinks_when_it_is_quiet() {
    let (mut pool, now) = (Pool::new(Limits { max_sessions: 100, ..LIMITS }), Instant::now());
    let mut open = step(&mut pool, now, Event::ZygoteReady);
    for session in 0..20 {
        open.extend(step(&mut pool, now, Event::Submit(session)));
    }
    while let Some(action) = open.pop() {
        match action {
            Action::Fork(slot) => open.extend(step(&mut pool, now, Event::Forked(slot))),
            Action::Assign { slot, .. } => open.extend(step(&mut pool, now, Event::Exited(slot))),
            _ => {}
        }
    }
    assert_eq!((pool.parked(), pool.queued(), pool.running()), (4, 0, 0));
    let later = pool.next_tick().expect("it will shrink");
    let retired = step(&mut pool, later, Event::Tick);
    assert_eq!(retired.len(), 2);
    assert!(retired.iter().all(|action| matches!(action, Action::Retire(_))), "{retired:?}");
    assert_eq!(pool.next_tick(), None);
}

#[derive(Debug, Clone, Copy)]
enum Move {
    Submit,
    Withdraw,
    Fork { fails: bool },
    Exit { parked: bool },
    Refill,
    LoseZygote,
    Pass(u16),
}

fn moves() -> impl Strategy<Value = Move> {
    prop_oneof![
        8 => Just(Move::Submit),
        1 => Just(Move::Withdraw),
        8 => proptest::bool::weighted(0.2).prop_map(|fails| Move::Fork { fails }),
        6 => any::<bool>().prop_map(|parked| Move::Exit { parked }),
        2 => Just(Move::Refill),
        1 => Just(Move::LoseZygote),
        2 => any::<u16>().prop_map(Move::Pass),
    ]
}

proptest! {
    #[test]
    fn no_session_is_lost_doubled_or_run_beyond_the_limits(history in proptest::collection::vec(moves(), 1..300)) {
        let mut pool = Pool::new(LIMITS);
        let mut now = Instant::now();
        let (mut forks, mut busy, mut parked) = (Vec::new(), HashMap::new(), Vec::new());
        let (mut submitted, mut waiting, mut assigned) = (0, VecDeque::new(), HashSet::new());
        let mut ready = false;
        for next in history.into_iter().chain([Move::LoseZygote]) {
            let event = match next {
                Move::Submit => { submitted += 1; waiting.push_back(submitted); Event::Submit(submitted) }
                Move::Withdraw => match waiting.pop_back() { Some(session) => Event::Withdraw(session), None => continue },
                Move::Fork { fails } => match forks.pop() {
                    Some(slot) if fails => Event::ForkFailed(slot),
                    Some(slot) => { parked.push(slot); Event::Forked(slot) }
                    None if !ready => { ready = true; Event::ZygoteReady }
                    None => continue,
                },
                Move::Exit { parked: true } => match parked.pop() { Some(slot) => Event::Exited(slot), None => continue },
                Move::Exit { parked: false } => match busy.keys().next().copied() {
                    Some(slot) => { busy.remove(&slot); Event::Exited(slot) }
                    None => continue,
                },
                Move::Refill => Event::Refill,
                Move::LoseZygote => { ready = false; forks.clear(); parked.clear(); Event::ZygoteLost }
                Move::Pass(millis) => { now += Duration::from_millis(u64::from(millis)); Event::Tick }
            };
            let mut lost = 0;
            for action in step(&mut pool, now, event) {
                match action {
                    Action::Fork(slot) => { prop_assert!(ready); forks.push(slot); }
                    Action::Assign { slot, session, .. } => {
                        prop_assert!(assigned.insert(session), "{session} was run twice");
                        prop_assert_eq!(waiting.pop_front(), Some(session), "first come, first served");
                        let place = parked.iter().position(|parked| *parked == slot);
                        prop_assert!(place.is_some(), "{} is not parked", slot);
                        parked.swap_remove(place.unwrap_or_default());
                        prop_assert!(busy.insert(slot, session).is_none());
                    }
                    Action::Reject(session) => {
                        prop_assert_eq!(waiting.pop_back(), Some(session));
                        prop_assert!(waiting.len() >= LIMITS.max_queue);
                    }
                    Action::Lost(session) => { lost += 1; prop_assert!(busy.values().any(|busy| *busy == session)); }
                    Action::Retire(slot) => parked.retain(|parked| *parked != slot),
                }
            }
            if matches!(event, Event::ZygoteLost) { prop_assert_eq!(lost, busy.len()); busy.clear(); }
            prop_assert!(busy.len() <= LIMITS.max_sessions);
            prop_assert!(waiting.len() <= LIMITS.max_queue);
            prop_assert_eq!((pool.running(), pool.queued(), pool.parked()), (busy.len(), waiting.len(), parked.len()));
            prop_assert!(pool.parked() + forks.len() <= LIMITS.spare_max.max(LIMITS.max_queue));
        }
    }
}
