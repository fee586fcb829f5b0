//! Functions of ours inside the engine's WASI module: how the engine calls them, and what they see of the guest.
#![allow(unsafe_code, reason = "the engine has a C interface and no other")]

use std::ffi::c_void;
use std::marker::PhantomData;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use engine::Stdio;
use engine::exec::Calls;
use nix::sys::socket::{SockFlag, accept4};
use wasmedge_sys::ffi;

use crate::errno::Errno;
use crate::sockets::{self, Call, Sockets};
use crate::{exec, poll, wasi};

/// What our functions get at: set for the time of a run.
pub(crate) struct Host {
    pub(crate) wasi: *const ffi::WasmEdge_ModuleInstanceContext,
    pub(crate) stdio: Option<*mut dyn Stdio>,
    /// The guest called one of our functions when there were no streams for it.
    pub(crate) missed: bool,
    /// Of a guest with a network.
    pub(crate) sockets: Option<Box<Sockets>>,
    /// Of a guest that imports functions to start programs.
    pub(crate) exec: Calls,
}

type HostFunction = unsafe extern "C" fn(
    *mut c_void,
    *const ffi::WasmEdge_CallingFrameContext,
    *const ffi::WasmEdge_Value,
    *mut ffi::WasmEdge_Value,
) -> ffi::WasmEdge_Result;

/// A function of ours. It takes so many `i32` and returns one, the errno.
pub(crate) struct Function {
    name: &'static str,
    parameters: u32,
    function: HostFunction,
}

/// Puts functions of ours into the engine's WASI module; those of the same names are no longer found there.
pub(crate) fn install(
    module: *mut ffi::WasmEdge_ModuleInstanceContext,
    host: *mut Host,
    functions: &[Function],
) {
    // SAFETY: the call takes and touches nothing.
    let i32_type = unsafe { ffi::WasmEdge_ValTypeGenI32() };
    let list = [i32_type; 8];
    for Function { name, parameters, function } in functions {
        // SAFETY: the list is alive and longer than both lengths; the engine copies it.
        let ty = unsafe { ffi::WasmEdge_FunctionTypeCreate(list.as_ptr(), *parameters, list.as_ptr(), 1) };
        // SAFETY: the type is alive; `host` lives as long as the process.
        let instance = unsafe { ffi::WasmEdge_FunctionInstanceCreate(ty, Some(*function), host.cast(), 0) };
        // SAFETY: name and length belong together, and the string outlives the call, which copies it.
        let name = unsafe { ffi::WasmEdge_StringWrap(name.as_ptr().cast(), name.len() as u32) };
        // SAFETY: all three are alive; the module takes the function over.
        unsafe { ffi::WasmEdge_ModuleInstanceAddFunction(module, name, instance) };
    }
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

/// Accepts a connection of a listening socket, as a descriptor that does not block.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> nix::Result<OwnedFd> {
    let fd = accept4(listener.as_raw_fd(), SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Calls `body` with the parameters of a host function and stores the errno that it returns.
///
/// # Safety
/// To be called only from a host function with N parameters that [`install`] made, with that function's own arguments.
unsafe fn called<const N: usize>(
    data: *mut c_void,
    frame: *const ffi::WasmEdge_CallingFrameContext,
    parameters: *const ffi::WasmEdge_Value,
    returns: *mut ffi::WasmEdge_Value,
    body: impl FnOnce(&mut Host, Guest<'_>, &mut dyn Stdio, [u32; N]) -> Errno,
) -> ffi::WasmEdge_Result {
    // SAFETY: `install` put a host object there that lives as long as the process.
    let host = unsafe { &mut *data.cast::<Host>() };
    // SAFETY: the frame is that of the running call.
    let memory = unsafe { ffi::WasmEdge_CallingFrameGetMemoryInstance(frame, 0) };
    let errno = match host.stdio {
        Some(stdio) if !memory.is_null() => {
            // SAFETY: the type of the function has N parameters.
            let parameters = unsafe { std::slice::from_raw_parts(parameters, N) };
            let parameters = std::array::from_fn(|index| parameters[index].Value as u32);
            // SAFETY: `with_streams` set the pointer for the time of the run, and host functions do not nest.
            let stdio = unsafe { &mut *stdio };
            let guest = Guest { memory, wasi: host.wasi, call: PhantomData };
            body(host, guest, stdio, parameters)
        }
        _ => {
            host.missed = true;
            Errno::FAULT
        }
    };
    // SAFETY: the call takes a plain value.
    let value = unsafe { ffi::WasmEdge_ValueGenI32(i32::from(errno.0)) };
    // SAFETY: the type of the function has one result, whose place this is.
    unsafe { returns.write(value) };
    ffi::WasmEdge_Result { Code: 0 }
}

/// The body of a function that has to do with sockets, as [`called`] wants it.
fn with_sockets<const N: usize>(
    body: fn(Call<'_>, [u32; N]) -> Result<(), Errno>,
) -> impl FnOnce(&mut Host, Guest<'_>, &mut dyn Stdio, [u32; N]) -> Errno {
    move |host, guest, stdio, parameters| match &mut host.sockets {
        Some(sockets) => body(Call { guest, stdio, sockets }, parameters).err().unwrap_or(Errno::SUCCESS),
        None => Errno::NOSYS,
    }
}

/// The body of a function that has not.
fn plain<const N: usize>(
    body: fn(Guest<'_>, &mut dyn Stdio, [u32; N]) -> Errno,
) -> impl FnOnce(&mut Host, Guest<'_>, &mut dyn Stdio, [u32; N]) -> Errno {
    move |_, guest, stdio, parameters| body(guest, stdio, parameters)
}

/// The body of a function that has to do with programs.
fn with_exec<const N: usize>(
    body: fn(exec::Call<'_>, [u32; N]) -> Result<(), Errno>,
) -> impl FnOnce(&mut Host, Guest<'_>, &mut dyn Stdio, [u32; N]) -> Errno {
    move |host, guest, stdio, parameters| {
        body(exec::Call { guest, stdio, calls: &mut host.exec }, parameters).err().unwrap_or(Errno::SUCCESS)
    }
}

/// A list of [`Function`], each with its name, how many parameters it takes, and its body.
macro_rules! functions {
    ($kind:ident: $($name:ident($count:literal) = $body:path;)*) => {
        &[$(Function {
            name: stringify!($name),
            parameters: $count,
            function: {
                unsafe extern "C" fn $name(
                    data: *mut c_void,
                    frame: *const ffi::WasmEdge_CallingFrameContext,
                    parameters: *const ffi::WasmEdge_Value,
                    returns: *mut ffi::WasmEdge_Value,
                ) -> ffi::WasmEdge_Result {
                    // SAFETY: these are the arguments of this very call, and the function's type has this many.
                    unsafe { called::<$count>(data, frame, parameters, returns, $kind($body)) }
                }
                $name
            },
        }),*]
    };
}

/// Those that every guest has.
pub(crate) const STREAMS: &[Function] = functions! { plain:
    fd_write(4) = wasi::fd_write;
    fd_read(4) = wasi::fd_read;
    poll_oneoff(4) = poll::poll_oneoff;
    random_get(2) = wasi::random_get;
};

/// Those that a guest with a network has besides, some of them instead of the above. The engine takes `X_v2` where a
/// module imports `X` with that function's type.
pub(crate) const SOCKETS: &[Function] = functions! { with_sockets:
    epoll_oneoff(4) = sockets::poll_oneoff;
    fd_close(1) = sockets::fd_close;
    fd_fdstat_get(2) = sockets::fd_fdstat_get;
    fd_fdstat_set_flags(2) = sockets::fd_fdstat_set_flags;
    fd_read(4) = sockets::fd_read;
    fd_write(4) = sockets::fd_write;
    poll_oneoff(4) = sockets::poll_oneoff;
    sock_accept(2) = sockets::sock_accept;
    sock_accept_v2(3) = sockets::sock_accept_v2;
    sock_bind(3) = sockets::sock_bind;
    sock_bind_v2(3) = sockets::sock_bind;
    sock_connect(3) = sockets::sock_connect;
    sock_connect_v2(3) = sockets::sock_connect;
    sock_getaddrinfo(8) = sockets::sock_getaddrinfo;
    sock_getlocaladdr(4) = sockets::sock_getlocaladdr;
    sock_getlocaladdr_v2(3) = sockets::sock_getlocaladdr_v2;
    sock_getpeeraddr(4) = sockets::sock_getpeeraddr;
    sock_getpeeraddr_v2(3) = sockets::sock_getpeeraddr_v2;
    sock_getsockopt(5) = sockets::sock_getsockopt;
    sock_listen(2) = sockets::sock_listen;
    sock_listen_v2(2) = sockets::sock_listen;
    sock_open(3) = sockets::sock_open;
    sock_open_v2(3) = sockets::sock_open;
    sock_recv(6) = sockets::sock_recv;
    sock_recv_v2(6) = sockets::sock_recv;
    sock_recv_from(7) = sockets::sock_recv_from;
    sock_recv_from_v2(8) = sockets::sock_recv_from_v2;
    sock_send(5) = sockets::sock_send;
    sock_send_v2(5) = sockets::sock_send;
    sock_send_to(7) = sockets::sock_send_to;
    sock_send_to_v2(7) = sockets::sock_send_to;
    sock_setsockopt(5) = sockets::sock_setsockopt;
    sock_shutdown(2) = sockets::sock_shutdown;
};

/// Those of a module of their own, for a guest that imports them.
pub(crate) const EXEC: &[Function] = functions! { with_exec:
    exec(5) = exec::exec;
    exec_output(3) = exec::exec_output;
};
