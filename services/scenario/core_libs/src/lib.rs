//! TCP over wasi:sockets without blocking. The connections live here, so that one call waits for all of them and no
//! pollable leaves this component: WASI traps when a stream goes before what was subscribed to it.

mod fault;
mod names;
mod poller;
mod socket;

use bindings::exports::hero::scenario::sockets::{Connection, Fault, Guest, GuestConnection, Kind, Progress};

#[allow(unsafe_code, reason = "what wit-bindgen makes calls what the host makes")]
#[allow(missing_docs, reason = "documented in the WIT")]
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "core-libs" });
}

#[allow(unsafe_code, reason = "functions with fixed names are what the host finds")]
mod exports {
    use super::{CoreLibs, bindings};
    bindings::export!(CoreLibs with_types_in bindings);
}

struct CoreLibs;

impl Guest for CoreLibs {
    type Connection = Handle;

    fn resolve(name: String, timeout: u64) -> Result<Vec<String>, Kind> {
        names::resolve(&name, timeout)
    }

    fn check_source(address: String) -> Result<(), Kind> {
        socket::check_source(&address)
    }

    fn wait(until: u64) -> Vec<u32> {
        poller::wait(until)
    }
}

/// A connection's place among all of them.
struct Handle(usize);

impl GuestConnection for Handle {
    fn connect(token: u32, address: String, source: Option<String>) -> Result<Connection, Kind> {
        let socket = socket::Socket::connect(token, &address, source.as_deref())?;
        Ok(Connection::new(Self(poller::add(socket))))
    }

    fn send(&self, bytes: Vec<u8>) -> Result<(), Fault> {
        poller::with(self.0, |socket| socket.send(bytes))
    }

    fn step(&self) -> Result<Progress, Fault> {
        poller::with(self.0, socket::Socket::step)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        poller::remove(self.0);
    }
}
