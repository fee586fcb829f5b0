//! The engine's own functions that ours stand in for, still to be called for descriptors that are the engine's.

use wasmedge_sys::ffi;

use super::{Fault, check, executable, load_bytes};
use crate::errno::Errno;

/// The engine gives a function the memory of the module that calls it. A host function that is called from here has no
/// such module, so what needs a memory is called through this one.
const TRAMPOLINE: &str = r#"(module
  (import "wasi_snapshot_preview1" "fd_fdstat_get" (func $get (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "fd_fdstat_get") (param i32) (result i32) (call $get (local.get 0) (i32.const 0))))"#;

/// The size of the specification's `fdstat` in bytes.
pub(crate) const FDSTAT: usize = 24;

/// What ours call. All of it lives as long as the process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Original {
    executor: *mut ffi::WasmEdge_ExecutorContext,
    close: *const ffi::WasmEdge_FunctionInstanceContext,
    set_flags: *const ffi::WasmEdge_FunctionInstanceContext,
    stat: *const ffi::WasmEdge_FunctionInstanceContext,
    memory: *const ffi::WasmEdge_MemoryInstanceContext,
}

impl Original {
    /// Finds them in the engine's WASI module, before others take their names.
    pub(super) fn of(wasi: *mut ffi::WasmEdge_ModuleInstanceContext) -> Result<Self, Fault> {
        let bytes = wat::parse_str(TRAMPOLINE).map_err(|error| Fault::new(&error.to_string()))?;
        let (module, config) = load_bytes(&bytes, 1)?;
        let (executor, trampoline) = executable(module, config, wasi, None)?;
        // SAFETY: the instance is alive, the string static.
        let memory = unsafe { ffi::WasmEdge_ModuleInstanceFindMemory(trampoline, string("memory")) };
        let original = Self {
            executor,
            close: find(wasi, "fd_close"),
            set_flags: find(wasi, "fd_fdstat_set_flags"),
            stat: find(trampoline, "fd_fdstat_get"),
            memory,
        };
        if original.close.is_null() || original.set_flags.is_null() || memory.is_null() {
            return Err(Fault::new("the engine's WASI module is not the one that is expected"));
        }
        Ok(original)
    }

    /// `fd_close(fd)`
    pub(crate) fn close(&self, fd: u32) -> Result<(), Errno> {
        self.call(self.close, &[fd])
    }

    /// `fd_fdstat_set_flags(fd, flags)`
    pub(crate) fn set_flags(&self, fd: u32, flags: u32) -> Result<(), Errno> {
        self.call(self.set_flags, &[fd, flags])
    }

    /// `fd_fdstat_get(fd)`
    pub(crate) fn stat(&self, fd: u32) -> Result<[u8; FDSTAT], Errno> {
        self.call(self.stat, &[fd])?;
        // SAFETY: the memory is alive; the engine returns null when the range is not inside.
        let start = unsafe { ffi::WasmEdge_MemoryInstanceGetPointerConst(self.memory, 0, FDSTAT as u64) };
        if start.is_null() {
            return Err(Errno::FAULT);
        }
        // SAFETY: the engine says that so many bytes are there; bytes need no alignment and have no invalid values.
        Ok(unsafe { start.cast::<[u8; FDSTAT]>().read() })
    }

    fn call(
        &self,
        function: *const ffi::WasmEdge_FunctionInstanceContext,
        parameters: &[u32],
    ) -> Result<(), Errno> {
        // SAFETY: the call takes a plain value.
        let value = |number: &u32| unsafe { ffi::WasmEdge_ValueGenI32(number.cast_signed()) };
        let parameters: Vec<ffi::WasmEdge_Value> = parameters.iter().map(value).collect();
        let mut errno = value(&0);
        // SAFETY: executor and function are alive; the list is as long as is said, and there is room for one result.
        let result = unsafe {
            let count = parameters.len() as u32;
            ffi::WasmEdge_ExecutorInvoke(
                self.executor,
                function,
                parameters.as_ptr(),
                count,
                &raw mut errno,
                1,
            )
        };
        check(result).map_err(|_| Errno::IO)?;
        match Errno(errno.Value as u16) {
            Errno::SUCCESS => Ok(()),
            errno => Err(errno),
        }
    }
}

fn string(text: &'static str) -> ffi::WasmEdge_String {
    // SAFETY: text and length belong together and live for ever.
    unsafe { ffi::WasmEdge_StringWrap(text.as_ptr().cast(), text.len() as u32) }
}

/// The function of this name, or null.
fn find(
    instance: *const ffi::WasmEdge_ModuleInstanceContext,
    name: &'static str,
) -> *const ffi::WasmEdge_FunctionInstanceContext {
    // SAFETY: the instance is alive, the string static.
    unsafe { ffi::WasmEdge_ModuleInstanceFindFunction(instance, string(name)) }
}
