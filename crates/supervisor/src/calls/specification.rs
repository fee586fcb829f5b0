//! A request of `session_start` as a worker needs it: checked, with all defaults.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use api::error::{Error, ErrorCode};
use api::permission::{Fs, OwnFolder};
use api::session::{DirGrant, DirMode, RunMode, SessionStart};
use base64::Engine as _;
use frames::SessionSpec;
use frames::message::{Dir, Invoke};

use crate::Result;

/// The most bytes that arguments, environment and folders of a session may have together. They go through one
/// socket message, whose room is about 200 kB by default (net.core.wmem_default).
const MAX_REQUEST: usize = 128 * 1024;

/// The longest name of a function, in bytes.
const MAX_NAME: usize = 1024;

/// A page of WebAssembly memory is 64 KiB, so a MiB has 16; there are at most 65536 pages.
pub(super) const PAGES_PER_MB: u32 = 16;
const MAX_PAGES: u32 = 65_536;

pub(super) fn invalid(message: String) -> Error {
    Error::new(ErrorCode::InvalidParams, message)
}

/// What a request says about standard input.
pub(super) fn stdin(request: &SessionStart) -> Result<Vec<u8>> {
    match (&request.stdin, &request.stdin_base64) {
        (Some(_), Some(_)) => Err(invalid("give stdin or stdin_base64, not both".to_owned())),
        (Some(text), None) => Ok(text.clone().into_bytes()),
        (None, Some(text)) => base64::engine::general_purpose::STANDARD
            .decode(text)
            .map_err(|error| invalid(format!("stdin_base64 is not base64: {error}"))),
        (None, None) => Ok(Vec::new()),
    }
}

/// A request as the worker needs it.
pub(crate) fn specification(
    request: &SessionStart,
    id: &str,
    default_mb: u32,
    mode: RunMode,
) -> Result<SessionSpec> {
    let module = request.module.as_deref().unwrap_or_default();
    let program = module.rsplit('/').next().unwrap_or(module).to_owned();
    let args: Vec<String> = std::iter::once(program).chain(request.args.iter().cloned()).collect();
    let mut env = Vec::with_capacity(request.env_vars.len());
    for (name, value) in &request.env_vars {
        if name.is_empty() || name.contains('=') {
            return Err(invalid(format!("env_vars: {name:?} cannot be the name of a variable")));
        }
        env.push(format!("{name}={value}"));
    }
    let mut dirs = Vec::with_capacity(request.dirs.len());
    let mut seen = HashSet::new();
    for grant in &request.dirs {
        let dir = folder(grant)?;
        if !seen.insert(dir.guest.clone()) {
            return Err(invalid(format!("dirs: {} is given twice", dir.guest)));
        }
        dirs.push(dir);
    }
    if let Some(working) = &request.working_dir {
        // WASI has no current folder: a relative path is looked up in the folder that the guest sees as `.`.
        dirs.retain(|dir| dir.guest != ".");
        dirs.push(working_folder(working, &dirs)?);
        env.retain(|variable| !variable.starts_with("PWD="));
        env.push(format!("PWD={working}"));
    }
    if let Some(text) = args.iter().chain(&env).find(|text| text.contains('\0')) {
        return Err(invalid(format!("{text:?} holds a NUL, which no argument or variable can")));
    }
    let size: usize = args.iter().chain(&env).map(|text| text.len() + 8).sum::<usize>()
        + dirs.iter().map(|dir| dir.host.len() + dir.guest.len() + 16).sum::<usize>();
    if size > MAX_REQUEST {
        let message = format!("arguments, environment and folders have {size} bytes; {MAX_REQUEST} may be");
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    let megabytes = request.memory_limit_mb.unwrap_or(default_mb);
    if megabytes == 0 {
        return Err(invalid("memory_limit_mb has to be at least 1".to_owned()));
    }
    let invoke = invoke(request)?;
    let size = size + invoke.as_ref().map_or(0, |call| call.function.len() + call.args.len());
    if size > MAX_REQUEST {
        let message =
            format!("the request and the arguments of invoke have {size} bytes; {MAX_REQUEST} may be");
        return Err(Error::new(ErrorCode::TooLarge, message));
    }
    let ready_export = match request.ready.as_ref().and_then(|ready| ready.export.clone()) {
        Some(name) if name.is_empty() || name.len() > MAX_NAME => {
            return Err(invalid(format!("ready: {name:?} cannot be the name of an export")));
        }
        name => name,
    };
    Ok(SessionSpec {
        session_id: id.to_owned(),
        compiled: mode == RunMode::Compiled,
        args,
        env,
        dirs,
        max_pages: megabytes.saturating_mul(PAGES_PER_MB).min(MAX_PAGES),
        init: None,
        yield_after_ms: 0,
        raw_stdout: false,
        network: None,
        invoke,
        serve: None,
        ready_export,
        deadline_ms: 0,
        exec: request.permissions.exec,
    })
}

/// The call that a request asks for.
fn invoke(request: &SessionStart) -> Result<Option<Invoke>> {
    let Some(function) = request.invoke.clone() else {
        return match request.invoke_args.is_empty() {
            true => Ok(None),
            false => Err(invalid("invoke_args belong to invoke".to_owned())),
        };
    };
    let whole = function.contains('(');
    if function.is_empty() || !whole && function.len() > MAX_NAME {
        return Err(invalid("invoke: this cannot be the name of a function".to_owned()));
    }
    if whole && !request.invoke_args.is_empty() {
        return Err(invalid(format!(
            "invoke: {function:?} has its arguments already; leave invoke_args out"
        )));
    }
    let args = match whole {
        true => String::new(),
        false => serde_json::to_string(&request.invoke_args)
            .map_err(|error| invalid(format!("invoke_args: {error}")))?,
    };
    Ok(Some(Invoke { function, args }))
}

/// Turns the folders that a request's permissions list into grants, and refuses what only a package can have.
pub(super) fn granted(request: &mut SessionStart, programs: &[PathBuf]) -> Result<()> {
    if request.permissions.exec && programs.is_empty() {
        let message = "permissions: exec: this server lets sessions start no program; its setting exec_programs lists \
                       those that they may";
        return Err(Error::new(ErrorCode::PermissionDenied, message));
    }
    if let Some(line) = request.ready.as_ref().and_then(|ready| ready.line.as_ref())
        && (line.is_empty() || line.contains('\n') || line.len() > crate::ready::MAX_LINE)
    {
        let most = crate::ready::MAX_LINE;
        return Err(invalid(format!("ready: line has to be one line of 1 to {most} bytes")));
    }
    let folders = match std::mem::take(&mut request.permissions.fs) {
        Fs::Own(OwnFolder::None) => return Ok(()),
        Fs::Own(_) => {
            let message = "permissions: fs: a session that belongs to no package has no folder of its own; list folders";
            return Err(Error::new(ErrorCode::PermissionDenied, message));
        }
        Fs::Listed(folders) => folders,
    };
    let modes = [(folders.read, DirMode::Read), (folders.read_write, DirMode::ReadWrite)];
    for (texts, mode) in modes {
        for text in texts {
            let (host, guest) = match text.split_once("::") {
                Some((host, guest)) => (host.to_owned(), Some(guest.to_owned())),
                None => (text, None),
            };
            if !Path::new(&host).is_absolute() {
                return Err(Error::new(
                    ErrorCode::PermissionDenied,
                    format!(
                        "permissions: fs: {host}: a relative path belongs to a package; give an absolute one"
                    ),
                ));
            }
            request.dirs.push(DirGrant { host, guest, mode });
        }
    }
    Ok(())
}

fn folder(grant: &DirGrant) -> Result<Dir> {
    let refused = |why: &str| Error::new(ErrorCode::PathNotAllowed, format!("dirs: {}: {why}", grant.host));
    let host = Path::new(&grant.host);
    if !host.is_absolute() {
        return Err(refused("the host's path has to be absolute"));
    }
    // One look, so that the caller learns it now; the worker looks again when it opens the folder.
    match std::fs::metadata(host) {
        Ok(facts) if facts.is_dir() => {}
        Ok(_) => return Err(refused("not a folder")),
        Err(error) => return Err(refused(&error.to_string())),
    }
    let guest = grant.guest.clone().unwrap_or_else(|| grant.host.clone());
    if guest.is_empty() || guest.contains([':', '\0']) {
        return Err(invalid(format!("dirs: {guest:?} cannot be the guest's name of a folder")));
    }
    Ok(Dir { host: grant.host.clone(), guest, read_only: grant.mode == DirMode::Read })
}

/// The folder that `working_dir` names inside one of those that are granted.
fn working_folder(working: &str, dirs: &[Dir]) -> Result<Dir> {
    let path = Path::new(working);
    let inside = |dir: &&Dir| path.starts_with(&dir.guest);
    let best = dirs.iter().filter(inside).max_by_key(|dir| dir.guest.len());
    let refused = |why: &str| Error::new(ErrorCode::PathNotAllowed, format!("working_dir: {working}: {why}"));
    let dir = best.ok_or_else(|| refused("it lies in none of the dirs"))?;
    let rest = path.strip_prefix(&dir.guest).map_err(|_| refused("it lies in none of the dirs"))?;
    if rest.components().any(|part| !matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Err(refused("`..` is not allowed here"));
    }
    let host = Path::new(&dir.host).join(rest);
    // A link inside the folder must not lead the working folder out of it.
    let real = host.canonicalize().map_err(|error| refused(&error.to_string()))?;
    let root = Path::new(&dir.host).canonicalize().map_err(|error| refused(&error.to_string()))?;
    if !real.starts_with(root) || !real.is_dir() {
        return Err(refused("not a folder inside the dirs"));
    }
    let host = real.into_os_string().into_string().map_err(|_| refused("its path is not UTF-8"))?;
    Ok(Dir { host, guest: ".".to_owned(), read_only: dir.read_only })
}
