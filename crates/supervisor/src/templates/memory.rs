//! What templates take of the memory, and who goes when it is too much.

use std::sync::Weak;
use std::time::Duration;

use crate::core::{Core, Shared, StemId};
use crate::proc::pss_kb;
use crate::read::blocking;
use crate::session::lock;

/// How often templates are weighed, while there are any.
const EVERY: Duration = Duration::from_secs(5);

/// Weighs templates for as long as the supervisor lives: one that becomes warm at once, all of them now and then.
pub(crate) async fn watch(shared: Weak<Shared>) {
    loop {
        let Some(strong) = shared.upgrade() else { return };
        let some = lock(&strong.core).stems.len() > 1;
        let wait =
            async { if some { tokio::time::sleep(EVERY).await } else { std::future::pending().await } };
        tokio::select! {
            () = strong.weigh.notified() => {}
            () = wait => {}
        }
        let processes = processes(&lock(&strong.core));
        let weights = blocking(move || {
            let weigh =
                |(id, pids): (StemId, Vec<u32>)| (id, pids.into_iter().filter_map(pss_kb).sum::<u64>());
            Ok(processes.into_iter().map(weigh).collect::<Vec<_>>())
        })
        .await;
        if let Ok(weights) = weights {
            strong.weighed(&weights);
        }
    }
}

/// Each warm template with its parked workers.
fn processes(core: &Core) -> Vec<(StemId, Vec<u32>)> {
    let template = |(id, stem): (&StemId, &crate::core::Stem)| {
        let own = stem.made.as_ref()?.pid?;
        let parked = stem.slots.values().filter(|slot| slot.session.is_none() && slot.pid != 0);
        Some((*id, std::iter::once(own).chain(parked.map(|slot| slot.pid)).collect()))
    };
    core.stems.iter().filter_map(template).collect()
}

impl Shared {
    /// Notes the weights, and lets templates go while they are too heavy together: first those that the server made
    /// by itself, then the others, those first that were not used for the longest time.
    fn weighed(&self, weights: &[(StemId, u64)]) {
        let budget = self.config.templates_memory_kb;
        let mut core = lock(&self.core);
        for (id, kb) in weights {
            if let Some(made) = core.stems.get_mut(id).and_then(|stem| stem.made.as_mut()) {
                made.pss_kb = Some(*kb);
            }
        }
        let mut total: u64 = weights.iter().map(|(_, kb)| kb).sum();
        let mut idle: Vec<_> = weights
            .iter()
            .filter_map(|(id, kb)| {
                let stem = core.stems.get(id)?;
                let made = stem.made.as_ref().filter(|made| !made.retired)?;
                let alone = *kb > budget;
                let busy = stem.pool.running() + stem.pool.queued() > 0;
                (alone || !busy).then_some((!alone, made.declared.is_some(), stem.last_used, *id, *kb))
            })
            .collect();
        idle.sort_unstable();
        for (_, _, _, id, kb) in idle {
            if total <= budget {
                return;
            }
            let made = core.stems.get(&id).and_then(|stem| stem.made.as_ref());
            let (title, declared) =
                made.map_or_else(Default::default, |made| (made.title.clone(), made.declared.clone()));
            tracing::info!(template = title, kb, budget, "a template is let go for want of room");
            Self::retire(&mut core, id);
            core.templates.evicted += 1;
            if let Some(name) = declared.filter(|_| kb > budget) {
                Self::too_large(&mut core, &name, kb, budget);
            }
            total -= kb;
        }
    }
}
