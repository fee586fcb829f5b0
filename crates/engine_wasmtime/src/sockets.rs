//! Two interfaces of `wasi:sockets` with our own functions: making a socket says which permission is missing, and
//! names are looked up by the session's policy.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use wasmtime::component::{HasData, Linker, Resource, ResourceType};
use wasmtime::{AsContextMut, Result, StoreContextMut};
use wasmtime_wasi::p2::bindings::sockets::network::{ErrorCode, IpAddress, IpAddressFamily, Network};
use wasmtime_wasi::p2::bindings::sockets::{network, tcp_create_socket};
use wasmtime_wasi::p2::{DynPollable, Pollable, SocketError, TcpSocket, subscribe};
use wasmtime_wasi::sockets::{WasiSocketsCtxView, WasiSocketsView};

use crate::net::Net;
use crate::state::Host;

/// The interface for names, in the version of the engine's own, which ours takes the place of.
const NAMES: &str = "wasi:sockets/ip-name-lookup@0.2.12";

/// Puts ours in the place of the engine's.
///
/// # Errors
/// When the linker does not take them.
pub(crate) fn add(linker: &mut Linker<Host>) -> Result<()> {
    linker.allow_shadowing(true);
    tcp_create_socket::add_to_linker::<Host, Sockets>(linker, |host| {
        let net = host.net.clone();
        View { net, sockets: host.sockets() }
    })?;
    let mut names = linker.instance(NAMES)?;
    names.resource("resolve-address-stream", ResourceType::host::<Answer>(), |mut store, number| {
        store.data_mut().table.delete(Resource::<Answer>::new_own(number))?;
        Ok(())
    })?;
    names.func_wrap("resolve-addresses", resolve)?;
    names.func_wrap("[method]resolve-address-stream.resolve-next-address", next)?;
    names.func_wrap("[method]resolve-address-stream.subscribe", wait)?;
    linker.allow_shadowing(false);
    Ok(())
}

struct Sockets;

impl HasData for Sockets {
    type Data<'a> = View<'a>;
}

struct View<'a> {
    net: Net,
    sockets: WasiSocketsCtxView<'a>,
}

impl network::HostNetwork for View<'_> {
    fn drop(&mut self, network: Resource<Network>) -> Result<()> {
        network::HostNetwork::drop(&mut self.sockets, network)
    }
}

impl network::Host for View<'_> {
    fn convert_error_code(&mut self, error: SocketError) -> Result<ErrorCode> {
        network::Host::convert_error_code(&mut self.sockets, error)
    }

    fn network_error_code(&mut self, error: Resource<wasmtime::Error>) -> Result<Option<ErrorCode>> {
        network::Host::network_error_code(&mut self.sockets, error)
    }
}

impl tcp_create_socket::Host for View<'_> {
    fn create_tcp_socket(
        &mut self,
        family: IpAddressFamily,
    ) -> std::result::Result<Resource<TcpSocket>, SocketError> {
        if !self.net.is_granted() {
            return Err(ErrorCode::AccessDenied.into());
        }
        tcp_create_socket::Host::create_tcp_socket(&mut self.sockets, family)
    }
}

/// The answer to a question for a name.
enum Answer {
    Waiting(Pin<Box<dyn Future<Output = Found> + Send>>),
    Known(Found),
}

type Found = std::result::Result<std::vec::IntoIter<IpAddr>, ErrorCode>;

impl Answer {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<&mut Found> {
        if let Self::Waiting(question) = self {
            let Poll::Ready(found) = question.as_mut().poll(cx) else { return Poll::Pending };
            *self = Self::Known(found);
        }
        match self {
            Self::Known(found) => Poll::Ready(found),
            Self::Waiting(_) => Poll::Pending,
        }
    }
}

#[wasmtime_wasi::async_trait]
impl Pollable for Answer {
    async fn ready(&mut self) {
        std::future::poll_fn(|cx| self.poll(cx).map(|_| ())).await;
    }
}

type Asked = std::result::Result<Resource<Answer>, ErrorCode>;

fn resolve(
    mut store: StoreContextMut<'_, Host>,
    (_network, name): (Resource<Network>, String),
) -> Result<(Asked,)> {
    let host = store.data_mut();
    if !host.net.is_granted() {
        return Ok((Err(ErrorCode::AccessDenied),));
    }
    let net = host.net.clone();
    let mut answer = Answer::Waiting(Box::pin(async move {
        // An address may be written with brackets, as in a URL.
        let bare = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(&name);
        match net.resolve(bare).await {
            Ok(found) if found.is_empty() => Err(ErrorCode::NameUnresolvable),
            Ok(found) => Ok(found.into_iter()),
            Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(ErrorCode::AccessDenied)
            }
            Err(_) => Err(ErrorCode::NameUnresolvable),
        }
    }));
    // A refusal is known at once.
    if let Poll::Ready(Err(code)) = answer.poll(&mut Context::from_waker(Waker::noop())) {
        return Ok((Err(*code),));
    }
    Ok((Ok(host.table.push(answer)?),))
}

type Next = std::result::Result<Option<IpAddress>, ErrorCode>;

fn next(mut store: StoreContextMut<'_, Host>, (answer,): (Resource<Answer>,)) -> Result<(Next,)> {
    let answer = store.data_mut().table.get_mut(&answer)?;
    Ok((match answer.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Pending => Err(ErrorCode::WouldBlock),
        Poll::Ready(Ok(found)) => Ok(found.next().map(Into::into)),
        Poll::Ready(Err(code)) => Err(*code),
    },))
}

fn wait(
    mut store: StoreContextMut<'_, Host>,
    (answer,): (Resource<Answer>,),
) -> Result<(Resource<DynPollable>,)> {
    Ok((subscribe(&mut store.as_context_mut().data_mut().table, answer)?,))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ours_takes_the_place_of_the_engines() {
        let engine = crate::config::engine().unwrap();
        let mut linker = Linker::<Host>::new(engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
        // It is there under this name, in this version.
        assert!(linker.instance(NAMES).unwrap().func_wrap("resolve-addresses", resolve).is_err());
        assert!(add(&mut linker).is_ok());
    }
}
