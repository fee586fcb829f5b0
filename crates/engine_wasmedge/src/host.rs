//! Functions of ours inside the engine's WASI module: how the engine calls them, and what they see of the guest.
#![allow(unsafe_code, reason = "the engine has a C interface and no other")]

use std::ffi::c_void;
use std::marker::PhantomData;

use engine::Stdio;
use wasmedge_sys::ffi;

use crate::{poll, wasi};

/// What our functions get at: set for the time of a run.
pub(crate) struct Host {
    pub(crate) wasi: *const ffi::WasmEdge_ModuleInstanceContext,
    pub(crate) stdio: Option<*mut dyn Stdio>,
    /// The guest called one of our functions when there were no streams for it.
    pub(crate) missed: bool,
}

type HostFunction = unsafe extern "C" fn(
    *mut c_void,
    *const ffi::WasmEdge_CallingFrameContext,
    *const ffi::WasmEdge_Value,
    *mut ffi::WasmEdge_Value,
) -> ffi::WasmEdge_Result;

/// Puts all functions of ours into the engine's WASI module.
pub(crate) fn install(module: *mut ffi::WasmEdge_ModuleInstanceContext, host: *mut Host) {
    replace(module, host, "fd_write", 4, fd_write);
    replace(module, host, "fd_read", 4, fd_read);
    replace(module, host, "poll_oneoff", 4, poll_oneoff);
    replace(module, host, "random_get", 2, random_get);
}

/// Puts a function of ours into the WASI module; one of the same name is no longer found there. All of them
/// take some `i32` and return one.
fn replace(
    module: *mut ffi::WasmEdge_ModuleInstanceContext,
    host: *mut Host,
    name: &str,
    parameters: u32,
    function: HostFunction,
) {
    // SAFETY: the call takes and touches nothing.
    let i32_type = unsafe { ffi::WasmEdge_ValTypeGenI32() };
    let list = [i32_type; 8];
    // SAFETY: the list is alive and longer than both lengths; the engine copies it.
    let ty = unsafe { ffi::WasmEdge_FunctionTypeCreate(list.as_ptr(), parameters, list.as_ptr(), 1) };
    // SAFETY: the type is alive; `host` lives as long as the process.
    let instance = unsafe { ffi::WasmEdge_FunctionInstanceCreate(ty, Some(function), host.cast(), 0) };
    // SAFETY: name and length belong together, and the string outlives the call, which copies it.
    let name = unsafe { ffi::WasmEdge_StringWrap(name.as_ptr().cast(), name.len() as u32) };
    // SAFETY: all three are alive; the module takes the function over.
    unsafe { ffi::WasmEdge_ModuleInstanceAddFunction(module, name, instance) };
}

/// The guest during one call: its memory and its descriptors.
#[derive(Clone, Copy)]
pub(crate) struct Guest<'call> {
    memory: *mut ffi::WasmEdge_MemoryInstanceContext,
    wasi: *const ffi::WasmEdge_ModuleInstanceContext,
    call: PhantomData<&'call ()>,
}

impl<'call> Guest<'call> {
    /// The part of the guest's memory, or `None` when it is not all inside.
    pub(crate) fn bytes(self, offset: u32, len: u32) -> Option<&'call mut [u8]> {
        if len == 0 {
            return Some(&mut []);
        }
        // SAFETY: the memory is alive; the engine returns null when the range is not inside.
        let start =
            unsafe { ffi::WasmEdge_MemoryInstanceGetPointer(self.memory, u64::from(offset), u64::from(len)) };
        if start.is_null() {
            return None;
        }
        // SAFETY: the engine says that `len` bytes are there. The guest stands still during the call, so nobody
        // else changes or moves them; plain bytes have no invalid values. Slices of one call overlap when the
        // guest says so: they are only handed to the kernel, never compared with each other or kept.
        Some(unsafe { std::slice::from_raw_parts_mut(start, len as usize) })
    }

    /// The process's descriptor behind a number of the guest's.
    pub(crate) fn native(self, fd: i32) -> Option<i32> {
        let mut native = 0_u64;
        // SAFETY: the WASI module is alive; `native` is a live variable.
        let result =
            unsafe { ffi::WasmEdge_ModuleInstanceWASIGetNativeHandler(self.wasi, fd, &raw mut native) };
        (result == 0).then(|| i32::try_from(native).ok()).flatten()
    }
}

/// Calls `body` with the parameters of a host function and stores the errno that it returns.
///
/// # Safety
/// To be called only from a host function that was made by [`replace`], with that function's own arguments.
unsafe fn called<const N: usize>(
    data: *mut c_void,
    frame: *const ffi::WasmEdge_CallingFrameContext,
    parameters: *const ffi::WasmEdge_Value,
    returns: *mut ffi::WasmEdge_Value,
    body: fn(Guest<'_>, &mut dyn Stdio, [u32; N]) -> wasi::Errno,
) -> ffi::WasmEdge_Result {
    // SAFETY: `replace` put a host object there that lives as long as the process.
    let host = unsafe { &mut *data.cast::<Host>() };
    // SAFETY: the frame is that of the running call.
    let memory = unsafe { ffi::WasmEdge_CallingFrameGetMemoryInstance(frame, 0) };
    let errno = match host.stdio {
        Some(stdio) if !memory.is_null() => {
            // SAFETY: the type of the function has N parameters.
            let parameters = unsafe { std::slice::from_raw_parts(parameters, N) };
            let parameters = std::array::from_fn(|index| parameters[index].Value as u32);
            // SAFETY: `start` set the pointer for the time of the run, and host functions do not nest.
            let stdio = unsafe { &mut *stdio };
            body(Guest { memory, wasi: host.wasi, call: PhantomData }, stdio, parameters)
        }
        _ => {
            host.missed = true;
            wasi::Errno::FAULT
        }
    };
    // SAFETY: the call takes a plain value.
    let value = unsafe { ffi::WasmEdge_ValueGenI32(i32::from(errno.0)) };
    // SAFETY: the type of the function has one result, whose place this is.
    unsafe { returns.write(value) };
    ffi::WasmEdge_Result { Code: 0 }
}

macro_rules! host_functions {
    ($($path:ident::$name:ident),*) => {$(
        unsafe extern "C" fn $name(
            data: *mut c_void,
            frame: *const ffi::WasmEdge_CallingFrameContext,
            parameters: *const ffi::WasmEdge_Value,
            returns: *mut ffi::WasmEdge_Value,
        ) -> ffi::WasmEdge_Result {
            // SAFETY: these are the arguments of this very call.
            unsafe { called(data, frame, parameters, returns, $path::$name) }
        }
    )*};
}

host_functions!(wasi::fd_write, wasi::fd_read, poll::poll_oneoff, wasi::random_get);
