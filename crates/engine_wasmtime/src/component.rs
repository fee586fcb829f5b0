//! Runs of components.

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use engine::{Ending, Entry};
use wasm_wave::untyped::UntypedFuncCall;
use wasmtime::Store;
use wasmtime::component::{Func, Instance, Val};

use crate::exports::{self, Export};
use crate::state::{Host, Session};
use crate::{http, stdio, trap, value};

/// An instance that was made before its session came, and of which nothing has run.
pub(crate) struct Standing {
    store: Store<Host>,
    instance: Instance,
}

/// Makes an instance ahead, for all forks of this process, of a component of which no code runs by that. `None` when it
/// cannot be made; then each session is told why.
pub(crate) fn stand(session: Session<'_>) -> Option<Standing> {
    let mut store = session.store().ok()?;
    // Without code of the guest there is nothing to wait for.
    let instance =
        match pin!(session.pre.instantiate_async(&mut store)).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(instance) => instance.ok()?,
            Poll::Pending => return None,
        };
    Some(Standing { store, instance })
}

/// Runs a component from its instantiation to its end.
pub(crate) async fn run(session: Session<'_>, standing: Option<Standing>) -> Ending {
    let ended = match session.run.entry {
        Entry::Serve { max_requests, timeout } => {
            serve(session, standing, http::Limits { max_requests, timeout }).await
        }
        Entry::Program => program(session, standing).await,
        Entry::Invoke { function, args } => invoke(session, standing, function, args).await,
    };
    match ended {
        Ok(ending) | Err(ending) => ending,
    }
}

/// Makes an instance, or takes the one that stands, and has it get ready where the run says so. The error is the end of the
/// run.
async fn instantiate(
    session: Session<'_>,
    standing: Option<Standing>,
) -> Result<(Store<Host>, Instance), Ending> {
    let (mut store, instance) = match standing {
        Some(Standing { mut store, instance }) => {
            session.take_over(&mut store).map_err(Ending::LoadFailed)?;
            (store, instance)
        }
        None => {
            let mut store = session.store().map_err(Ending::LoadFailed)?;
            let instance = session.pre.instantiate_async(&mut store).await;
            let instance = instance.map_err(|error| trap::of_instantiation(&error))?;
            (store, instance)
        }
    };
    stdio::loaded();
    for name in [session.run.init, session.run.ready_export].into_iter().flatten() {
        let functions = functions(session);
        let export = exports::find(&functions, name).map_err(Ending::LoadFailed)?;
        if export.ty.params().len() > 0 {
            return Err(Ending::LoadFailed(format!("{} has to have no parameters", export.signature())));
        }
        let (ok, value) = call(session, &mut store, &instance, export, &[]).await?;
        if !ok {
            return Err(Ending::Returned { ok, value });
        }
    }
    if session.run.ready_export.is_some() {
        stdio::ready();
    }
    Ok((store, instance))
}

fn functions(session: Session<'_>) -> Vec<Export> {
    exports::functions(session.pre.engine(), session.pre.component())
}

async fn program(session: Session<'_>, standing: Option<Standing>) -> Result<Ending, Ending> {
    let functions = functions(session);
    let export = exports::program(&functions).map_err(Ending::LoadFailed)?;
    let (mut store, instance) = instantiate(session, standing).await?;
    let function = function(session, &mut store, &instance, export)?;
    let mut results = [Val::Bool(false)];
    let called = function.call_async(&mut store, &[], &mut results).await;
    leave(store);
    Ok(match (called, &results[0]) {
        (Err(error), _) => trap::ending(&error),
        (Ok(()), Val::Result(Err(_))) => Ending::Exited(1),
        (Ok(()), _) => Ending::Exited(0),
    })
}

/// Answers the requests that come on the connection that standard input is.
async fn serve(
    session: Session<'_>,
    standing: Option<Standing>,
    limits: http::Limits,
) -> Result<Ending, Ending> {
    let socket = stdio::stdin_fd().ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected));
    let socket = socket.and_then(|fd| fd.try_clone_to_owned());
    let socket = socket.and_then(|fd| {
        let socket = std::os::unix::net::UnixStream::from(fd);
        socket.set_nonblocking(true).map(|()| socket.into())
    });
    let socket =
        socket.map_err(|error| Ending::LoadFailed(format!("it has no connection to serve: {error}")))?;
    let (mut store, instance) = instantiate(session, standing).await?;
    let served = http::serve(&mut store, &instance, socket, limits).await;
    leave(store);
    Ok(match served {
        Ok(()) => Ending::Exited(0),
        Err(error) if error.is::<http::TimedOut>() => {
            Ending::Trapped { trap: "interrupted", message: error.to_string() }
        }
        Err(error) if error.is::<http::NoAnswer>() => {
            Ending::Trapped { trap: "no_answer", message: error.to_string() }
        }
        Err(error) => trap::ending(&error),
    })
}

async fn invoke(
    session: Session<'_>,
    standing: Option<Standing>,
    wanted: &str,
    args: &str,
) -> Result<Ending, Ending> {
    let functions = functions(session);
    let (export, args) = arguments(&functions, wanted, args).map_err(Ending::LoadFailed)?;
    let (mut store, instance) = instantiate(session, standing).await?;
    let (ok, value) = call(session, &mut store, &instance, export, &args).await?;
    leave(store);
    Ok(Ending::Returned { ok, value })
}

/// The function that is meant, and its arguments in its types.
fn arguments<'a>(
    functions: &'a [Export],
    wanted: &str,
    args: &str,
) -> Result<(&'a Export, Vec<Val>), String> {
    let Some((name, _)) = wanted.split_once('(') else {
        let export = exports::find(functions, wanted)?;
        let args =
            value::arguments(&export.ty, args).map_err(|why| format!("{}: {why}", export.signature()))?;
        return Ok((export, args));
    };
    let export = exports::find(functions, name.trim())?;
    let why = |error| format!("{}: {error}", export.signature());
    // The grammar knows no interfaces; the name was for us.
    let call = format!("call{}", &wanted[name.len()..]);
    let call = UntypedFuncCall::parse(&call).map_err(why)?;
    let types: Vec<_> = export.ty.params().map(|(_, ty)| ty).collect();
    Ok((export, call.to_wasm_params::<Val>(&types).map_err(why)?))
}

/// Calls a function; what it returned, as JSON, and whether that is no error.
async fn call(
    session: Session<'_>,
    store: &mut Store<Host>,
    instance: &Instance,
    export: &Export,
    args: &[Val],
) -> Result<(bool, String), Ending> {
    let function = function(session, store, instance, export)?;
    let mut results = vec![Val::Bool(false); export.ty.results().len()];
    function.call_async(store, args, &mut results).await.map_err(|error| trap::ending(&error))?;
    value::returned(&results).map_err(|why| Ending::LoadFailed(format!("{}: {why}", export.signature())))
}

fn function(
    session: Session<'_>,
    store: &mut Store<Host>,
    instance: &Instance,
    export: &Export,
) -> Result<Func, Ending> {
    let index = export.index(session.pre.component());
    index
        .and_then(|index| instance.get_func(store, index))
        .ok_or_else(|| Ending::LoadFailed(format!("its function {} cannot be found", export.signature())))
}

/// The process ends with the session; taking the guest apart before would only cost time.
fn leave(store: Store<Host>) {
    std::mem::forget(store);
}
