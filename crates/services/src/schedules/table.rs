//! All schedules and where each one stands: decisions, told what happens, without a clock, a socket or a disk.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use api::error::{Error, ErrorCode};
use api::schedule::{Overlap, Schedule, ScheduleInfo, ScheduleRun};
use store::schedules::Known;
use tokio::sync::oneshot;

use super::call::Call;
use super::check::ids;
use super::rhythm::{Now, Rhythm};

/// Who waits for the result of a call.
pub(super) type Reply = oneshot::Sender<ScheduleRun>;

/// A call that is to be made now. [`Table::ended`] wants to be told of its end.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) id: String,
    pub(super) call: Arc<Call>,
    /// Whether somebody asked for it, and who is to be told of it.
    pub(super) manual: bool,
    pub(super) replies: Vec<Reply>,
}

/// All schedules.
#[derive(Debug, Default)]
pub(super) struct Table {
    entries: BTreeMap<String, Entry>,
    /// Services that are not called.
    inactive: HashSet<String>,
    /// Schedules that are paused, also those that are not declared.
    paused: BTreeSet<String>,
    /// The last call of each schedule.
    last: HashMap<String, ScheduleRun>,
    /// Whether no call is made any more.
    closed: bool,
}

/// One schedule.
#[derive(Debug, Default)]
struct Entry {
    /// Nothing when it was taken away while a call is under way.
    declared: Option<Declared>,
    running: bool,
    waiting: Option<Waiting>,
    runs: u64,
    skipped: u64,
}

/// A schedule as it is declared.
#[derive(Debug)]
pub(super) struct Declared {
    service: String,
    schedule: Schedule,
    call: Arc<Call>,
    rhythm: Rhythm,
    /// When to look at the rhythm again, on the steady clock.
    wake: u64,
}

/// Reads the declarations of a service; one that cannot be called or has no times is left out. May touch the disk for
/// time zones, so that nobody holds a table meanwhile.
pub(super) fn read(service: &str, prefix: &str, schedules: &[Schedule], now: Now) -> Vec<(String, Declared)> {
    let one = |id: &str, schedule: &Schedule| -> Result<Declared, (&'static str, String)> {
        Ok(Declared {
            service: service.to_owned(),
            schedule: schedule.clone(),
            call: Arc::new(Call::new(id, prefix, schedule)?),
            rhythm: Rhythm::new(schedule, now)?,
            wake: now.steady,
        })
    };
    let mut declared = Vec::new();
    for (id, schedule) in ids(service, schedules).into_iter().zip(schedules) {
        match one(&id, schedule) {
            Ok(new) => declared.push((id, new)),
            Err((key, why)) => tracing::warn!(id, key, why, "a schedule is left out"),
        }
    }
    declared
}

/// The one call that waits for the one that is under way: because it is due, or because somebody asked for it.
#[derive(Debug, Default)]
struct Waiting {
    replies: Vec<Reply>,
    manual: bool,
}

impl Entry {
    fn start(&mut self, id: &str, waiting: Waiting) -> Option<Start> {
        let call = Arc::clone(&self.declared.as_ref()?.call);
        self.running = true;
        self.runs += 1;
        Some(Start { id: id.to_owned(), call, manual: waiting.manual, replies: waiting.replies })
    }
}

fn not_found(id: &str) -> Error {
    Error::new(ErrorCode::ScheduleNotFound, format!("there is no schedule {id:?}"))
}

impl Table {
    /// Takes over what is known from before.
    pub(super) fn know(&mut self, known: Known) {
        self.paused.extend(known.paused);
        for (id, run) in known.last {
            self.last.entry(id).or_insert(run);
        }
    }

    /// Declares all schedules of a service. Those that did not change stay as they are; one that did begins anew, except
    /// that a call that is under way goes on to its end.
    pub(super) fn set(&mut self, service: &str, declared: Vec<(String, Declared)>) {
        let ids: HashSet<String> = declared.iter().map(|(id, _)| id.clone()).collect();
        self.take_away(service, |id| !ids.contains(id));
        for (id, new) in declared {
            let entry = self.entries.entry(id).or_default();
            match &mut entry.declared {
                Some(known) if known.schedule == new.schedule => known.call = new.call,
                _ => {
                    entry.declared = Some(new);
                    (entry.runs, entry.skipped) = (0, 0);
                    entry.waiting.take_if(|waiting| !waiting.manual);
                }
            }
        }
    }

    /// Forgets a service.
    pub(super) fn remove(&mut self, service: &str) {
        self.take_away(service, |_| true);
        self.inactive.remove(service);
    }

    fn take_away(&mut self, service: &str, which: impl Fn(&String) -> bool) {
        self.entries.retain(|id, entry| {
            let its = id.strip_prefix(service).is_some_and(|rest| rest.starts_with('/'));
            if its && which(id) {
                (entry.declared, entry.waiting) = (None, None);
            }
            entry.declared.is_some() || entry.running
        });
    }

    /// Says whether a service is called. One that was never spoken of is.
    pub(super) fn active(&mut self, service: &str, active: bool, now: Now) {
        let changed =
            if active { self.inactive.remove(service) } else { self.inactive.insert(service.to_owned()) };
        if changed {
            let its = |declared: &Declared| declared.service == service;
            let touched = self.entries.values_mut().filter(|entry| entry.declared.as_ref().is_some_and(its));
            for entry in touched {
                if !active {
                    entry.waiting = None;
                }
                entry.leave_out(now);
            }
        }
    }

    /// Pauses or resumes a schedule.
    ///
    /// # Errors
    /// `schedule_not_found`.
    pub(super) fn pause(&mut self, id: &str, paused: bool, now: Now) -> Result<(), Error> {
        let entry = self.entries.get_mut(id).filter(|entry| entry.declared.is_some());
        let entry = entry.ok_or_else(|| not_found(id))?;
        if paused {
            self.paused.insert(id.to_owned());
            // A call that somebody asked for is made all the same.
            entry.waiting.take_if(|waiting| !waiting.manual);
        } else if self.paused.remove(id) {
            entry.leave_out(now);
        }
        Ok(())
    }

    /// Looks at the clocks: the calls that are due, and when to look again on the steady clock.
    pub(super) fn tick(&mut self, now: Now) -> (Vec<Start>, u64) {
        let (mut starts, mut wake) = (Vec::new(), u64::MAX);
        if self.closed {
            return (starts, wake);
        }
        for (id, entry) in &mut self.entries {
            let Some(declared) = &mut entry.declared else { continue };
            if self.paused.contains(id) || self.inactive.contains(&declared.service) {
                continue;
            }
            if declared.wake > now.steady {
                wake = wake.min(declared.wake);
                continue;
            }
            let step = declared.rhythm.look(now);
            declared.wake = step.wake;
            wake = wake.min(step.wake);
            let overlap = declared.schedule.overlap;
            match step.fire.then_some(overlap) {
                None => {}
                Some(_) if !entry.running => starts.extend(entry.start(id, Waiting::default())),
                Some(Overlap::Queue) if entry.waiting.is_none() => entry.waiting = Some(Waiting::default()),
                Some(_) => entry.skipped += 1,
            }
        }
        (starts, wake)
    }

    /// Asks for a call of a schedule, paused or not: it is made now, or behind the one that is under way. A call that
    /// waits there already becomes this one.
    ///
    /// # Errors
    /// `schedule_not_found`; `invalid_state` when a call is under way and none may wait, or the service is stopped;
    /// `draining` when no call is made any more.
    pub(super) fn ask(&mut self, id: &str, reply: Reply) -> Result<Option<Start>, Error> {
        if self.closed {
            return Err(Error::new(ErrorCode::Draining, "the server is stopping"));
        }
        let known = self.entries.get_mut(id).and_then(|entry| {
            let declared = entry.declared.as_ref()?;
            Some((declared.schedule.overlap, self.inactive.contains(&declared.service), entry))
        });
        let (overlap, inactive, entry) = known.ok_or_else(|| not_found(id))?;
        if inactive {
            return Err(Error::new(ErrorCode::InvalidState, format!("the service of {id} is stopped")));
        }
        match overlap {
            _ if !entry.running => Ok(entry.start(id, Waiting { replies: vec![reply], manual: true })),
            Overlap::Skip => Err(Error::new(ErrorCode::InvalidState, format!("a call of {id} is under way"))),
            Overlap::Queue => {
                let waiting = entry.waiting.get_or_insert_default();
                waiting.manual = true;
                waiting.replies.push(reply);
                Ok(None)
            }
        }
    }

    /// A call ended: the one that waited for that.
    pub(super) fn ended(&mut self, id: &str, run: ScheduleRun) -> Option<Start> {
        self.last.insert(id.to_owned(), run);
        let entry = self.entries.get_mut(id)?;
        entry.running = false;
        match entry.waiting.take() {
            Some(waiting) if !self.closed => return entry.start(id, waiting),
            _ => {}
        }
        if entry.declared.is_none() {
            self.entries.remove(id);
        }
        None
    }

    /// From now on no call is made.
    pub(super) fn close(&mut self) {
        self.closed = true;
        for entry in self.entries.values_mut() {
            entry.waiting = None;
        }
    }

    /// Whether no call is made any more.
    pub(super) fn closed(&self) -> bool {
        self.closed
    }

    /// What is known of all schedules, or of those of one service, by id.
    pub(super) fn list(&self, service: Option<&str>, now: Now) -> Vec<ScheduleInfo> {
        let declared =
            self.entries.iter().filter_map(|(id, entry)| Some((id, entry, entry.declared.as_ref()?)));
        declared
            .filter(|(_, _, declared)| service.is_none_or(|service| declared.service == service))
            .map(|(id, entry, declared)| self.show(id, entry, declared, now))
            .collect()
    }

    /// What is known of one.
    ///
    /// # Errors
    /// `schedule_not_found`.
    pub(super) fn get(&self, id: &str, now: Now) -> Result<ScheduleInfo, Error> {
        let entry = self.entries.get(id).and_then(|entry| Some((entry, entry.declared.as_ref()?)));
        entry.map(|(entry, declared)| self.show(id, entry, declared, now)).ok_or_else(|| not_found(id))
    }

    fn show(&self, id: &str, entry: &Entry, declared: &Declared, now: Now) -> ScheduleInfo {
        let paused = self.paused.contains(id);
        let rests = paused || self.closed || self.inactive.contains(&declared.service);
        ScheduleInfo {
            id: id.to_owned(),
            service: declared.service.clone(),
            endpoint: declared.schedule.endpoint.clone(),
            method: declared.call.method().to_string(),
            when: words(&declared.schedule),
            paused,
            running: entry.running,
            next_at: if rests { None } else { declared.rhythm.next(now) },
            last_run: self.last.get(id).cloned(),
            runs: entry.runs,
            skipped: entry.skipped,
        }
    }
}

impl Entry {
    /// What was due while nobody called is left out.
    fn leave_out(&mut self, now: Now) {
        if let Some(declared) = &mut self.declared {
            declared.wake = declared.rhythm.look(now).wake;
        }
    }
}

/// When a schedule is called, in words.
fn words(schedule: &Schedule) -> String {
    match (&schedule.cron, schedule.interval_secs) {
        (Some(cron), _) => format!("{cron} ({})", schedule.timezone.as_deref().unwrap_or("UTC")),
        (None, seconds) => format!("every {} s", seconds.unwrap_or_default()),
    }
}

#[cfg(test)]
#[path = "table_tests.rs"]
mod tests;
