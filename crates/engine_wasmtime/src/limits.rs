//! What a guest may have of memory and tables, all its instances together.

use wasmtime::ResourceLimiter;

/// A page of WebAssembly memory in bytes.
const PAGE: u64 = 64 * 1024;
/// The most entries that all tables have together. Their memory is the engine's, not the guest's.
const MAX_ELEMENTS: usize = 1 << 20;
/// The most instances, memories and tables of one store. A component has a few for each module in it.
const MAX_PARTS: usize = 1000;

/// What is said to whoever reads what the process itself prints; the supervisor tells by it a guest that failed for want of
/// memory from one that failed by itself.
pub(crate) const REFUSED: &str = "memory growth refused";

/// What a guest may have, and has.
#[derive(Debug)]
pub(crate) struct Limits {
    /// In bytes.
    most: u64,
    memory: u64,
    elements: usize,
    /// What the growth that is going on adds.
    growing: u64,
    said: bool,
}

impl Limits {
    /// Limits of so many pages of 64 KiB.
    pub(crate) fn new(max_pages: u32) -> Self {
        Self { most: u64::from(max_pages) * PAGE, memory: 0, elements: 0, growing: 0, said: false }
    }

    fn refuse(&mut self, why: &str) {
        if !std::mem::replace(&mut self.said, true) {
            eprintln!("hero_runner: {REFUSED}: {why}");
        }
    }
}

impl ResourceLimiter for Limits {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let more = desired.saturating_sub(current) as u64;
        let total = self.memory.saturating_add(more);
        if total > self.most {
            self.growing = 0;
            self.refuse(&format!("the guest wants {total} bytes, its limit is {}", self.most));
            return Ok(false);
        }
        (self.memory, self.growing) = (total, more);
        Ok(true)
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        self.memory -= std::mem::take(&mut self.growing);
        self.refuse(&format!("{error:#}"));
        Ok(())
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let total = self.elements.saturating_add(desired.saturating_sub(current));
        let allowed = total <= MAX_ELEMENTS;
        if allowed {
            self.elements = total;
        }
        Ok(allowed)
    }

    fn instances(&self) -> usize {
        MAX_PARTS
    }

    fn tables(&self) -> usize {
        MAX_PARTS
    }

    fn memories(&self) -> usize {
        MAX_PARTS
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_memories_together_have_the_limit() {
        let mut limits = Limits::new(4);
        let page = PAGE as usize;
        assert!(limits.memory_growing(0, 3 * page, None).unwrap());
        assert!(!limits.memory_growing(0, 2 * page, None).unwrap());
        assert!(limits.memory_growing(0, page, None).unwrap());
        // What was not to be had counts no longer.
        limits.memory_grow_failed(wasmtime::Error::msg("no")).unwrap();
        assert!(limits.memory_growing(0, page, None).unwrap());
        assert!(!limits.memory_growing(3 * page, 4 * page, None).unwrap());
    }

    #[test]
    fn tables_have_a_limit_of_their_own() {
        let mut limits = Limits::new(1);
        assert!(limits.table_growing(0, MAX_ELEMENTS, None).unwrap());
        assert!(!limits.table_growing(0, 1, None).unwrap());
    }
}
