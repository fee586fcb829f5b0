//! The calls into WasmEdge's C interface, behind safe functions.
//!
//! Nothing made here is ever deleted: the process that made it serves one session and leaves by `_exit`, and
//! tearing an instance down costs more than a tenth of a short session. The types are therefore plain
//! copyable pointers to objects that live as long as the process.
#![allow(unsafe_code, reason = "the engine has a C interface and no other")]

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use engine::exec::{self, Calls};
use engine::{Network, Stdio};
use wasmedge_sys::ffi;

use crate::host::{self, Host};
use crate::sockets::Sockets;

mod original;

pub(crate) use original::{FDSTAT, Original};

/// What the engine says when it refuses.
#[derive(Debug)]
pub(crate) struct Fault {
    /// The engine's error code.
    pub(crate) code: u32,
    /// The engine's words.
    pub(crate) message: String,
}

impl Fault {
    fn new(message: &str) -> Self {
        Self { code: 0, message: message.to_owned() }
    }
}

fn check(result: ffi::WasmEdge_Result) -> Result<(), Fault> {
    // SAFETY: both calls take a plain value.
    let (ok, code) = unsafe { (ffi::WasmEdge_ResultOK(result), ffi::WasmEdge_ResultGetCode(result)) };
    if ok {
        return Ok(());
    }
    // SAFETY: the engine returns a static NUL-terminated string for every code.
    let message = unsafe { CStr::from_ptr(ffi::WasmEdge_ResultGetMessage(result)) };
    Err(Fault { code, message: message.to_string_lossy().into_owned() })
}

/// The engine's version.
pub(crate) fn version() -> String {
    // SAFETY: the engine returns a static NUL-terminated string.
    unsafe { CStr::from_ptr(ffi::WasmEdge_VersionGet()) }.to_string_lossy().into_owned()
}

/// Settings for loading and running.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Config(*mut ffi::WasmEdge_ConfigureContext);

fn config(compiled: bool, max_pages: u32) -> Config {
    // SAFETY: no precondition; the object is ours and stays.
    let config = unsafe { ffi::WasmEdge_ConfigureCreate() };
    let mode = if compiled { ffi::WasmEdge_RunMode_AOT } else { ffi::WasmEdge_RunMode_Interpreter };
    // SAFETY: the object is alive; since 0.17 artifacts are used only in this mode.
    unsafe { ffi::WasmEdge_ConfigureSetRunMode(config, mode) };
    // SAFETY: the object is alive.
    unsafe { ffi::WasmEdge_ConfigureSetMaxMemoryPage(config, u64::from(max_pages)) };
    Config(config)
}

/// A module that was loaded and validated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Module(*mut ffi::WasmEdge_ASTModuleContext);

fn validated(config: Config, module: *mut ffi::WasmEdge_ASTModuleContext) -> Result<Module, Fault> {
    // SAFETY: the settings are alive.
    let validator = unsafe { ffi::WasmEdge_ValidatorCreate(config.0) };
    // SAFETY: both objects are alive; the module was just loaded.
    check(unsafe { ffi::WasmEdge_ValidatorValidate(validator, module) })?;
    Ok(Module(module))
}

/// Loads a module or an artifact from a file.
pub(crate) fn load_file(path: &Path, compiled: bool, max_pages: u32) -> Result<(Module, Config), Fault> {
    let path = c_string(path.as_os_str().as_bytes())?;
    let config = config(compiled, max_pages);
    let mut module = ptr::null_mut();
    // SAFETY: the settings are alive.
    let loader = unsafe { ffi::WasmEdge_LoaderCreate(config.0) };
    // SAFETY: loader and path are alive; `module` receives an object that is ours.
    check(unsafe { ffi::WasmEdge_LoaderParseFromFile(loader, &raw mut module, path.as_ptr()) })?;
    Ok((validated(config, module)?, config))
}

/// Loads a module from memory.
pub(crate) fn load_bytes(bytes: &[u8], max_pages: u32) -> Result<(Module, Config), Fault> {
    let len = u32::try_from(bytes.len()).map_err(|_| Fault::new("the module is larger than 4 GiB"))?;
    let config = config(false, max_pages);
    let mut module = ptr::null_mut();
    // SAFETY: the settings are alive.
    let loader = unsafe { ffi::WasmEdge_LoaderCreate(config.0) };
    // SAFETY: loader and bytes are alive; `module` receives an object that is ours.
    check(unsafe { ffi::WasmEdge_LoaderParseFromBuffer(loader, &raw mut module, bytes.as_ptr(), len) })?;
    Ok((validated(config, module)?, config))
}

/// Compiles a module for this machine into a shared object.
pub(crate) fn compile(module: &Path, artifact: &Path) -> Result<(), Fault> {
    let module = c_string(module.as_os_str().as_bytes())?;
    let artifact = c_string(artifact.as_os_str().as_bytes())?;
    let config = config(true, u32::from(u16::MAX));
    // SAFETY: the settings are alive. A shared object keeps its code in the file: it is mapped instead of
    // copied, so that all workers share it.
    unsafe {
        ffi::WasmEdge_ConfigureCompilerSetOutputFormat(config.0, ffi::WasmEdge_CompilerOutputFormat_Native);
    }
    // SAFETY: the settings are alive.
    unsafe {
        ffi::WasmEdge_ConfigureCompilerSetOptimizationLevel(
            config.0,
            ffi::WasmEdge_CompilerOptimizationLevel_O2,
        );
    }
    // SAFETY: the settings are alive.
    let compiler = unsafe { ffi::WasmEdge_CompilerCreate(config.0) };
    if compiler.is_null() {
        return Err(Fault::new("this build of the engine has no compiler"));
    }
    // SAFETY: the compiler and both paths are alive.
    check(unsafe { ffi::WasmEdge_CompilerCompile(compiler, module.as_ptr(), artifact.as_ptr()) })
}

fn c_string(bytes: &[u8]) -> Result<CString, Fault> {
    CString::new(bytes).map_err(|_| Fault::new("a NUL byte in a path, an argument or the environment"))
}

/// The engine's WASI module with our functions in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wasi {
    module: *mut ffi::WasmEdge_ModuleInstanceContext,
    host: *mut Host,
}

struct Strings {
    /// Keeps what `pointers` point to.
    _owned: Vec<CString>,
    pointers: Vec<*const c_char>,
}

impl Strings {
    fn new(list: &[String]) -> Result<Self, Fault> {
        let owned = list.iter().map(|text| c_string(text.as_bytes())).collect::<Result<Vec<_>, _>>()?;
        let pointers = owned.iter().map(|text| text.as_ptr()).collect();
        Ok(Self { _owned: owned, pointers })
    }

    fn len(&self) -> u32 {
        self.pointers.len() as u32
    }
}

impl Wasi {
    /// Makes the module for these arguments, environment and folders (`guest:host` or `guest:host:readonly`). Functions
    /// for sockets are in it when there is a network.
    pub(crate) fn create(
        args: &[String],
        env: &[String],
        dirs: &[String],
        network: Option<&Network>,
    ) -> Result<Self, Fault> {
        let (args, env, dirs) = (Strings::new(args)?, Strings::new(env)?, Strings::new(dirs)?);
        // SAFETY: the three lists are alive and as long as is said; the engine copies them.
        let module = unsafe {
            ffi::WasmEdge_ModuleInstanceCreateWASI(
                args.pointers.as_ptr(),
                args.len(),
                env.pointers.as_ptr(),
                env.len(),
                dirs.pointers.as_ptr(),
                dirs.len(),
            )
        };
        if module.is_null() {
            return Err(Fault::new("the engine could not set up WASI"));
        }
        let sockets = match network {
            Some(network) => Some(Box::new(Sockets::new(Original::of(module)?, network))),
            None => None,
        };
        let host = Box::into_raw(Box::new(Host {
            wasi: module,
            stdio: None,
            missed: false,
            sockets,
            exec: Calls::default(),
        }));
        host::install(module, host, host::STREAMS);
        if network.is_some() {
            host::install(module, host, host::SOCKETS);
        }
        Ok(Self { module, host })
    }
}

impl Wasi {
    /// Begins anew with these arguments, environment, folders and network: what a fork of a prepared module does first.
    ///
    /// # Errors
    /// When there is a NUL byte in one of the texts, or a network for a module that was made without.
    pub(crate) fn reset(
        &self,
        args: &[String],
        env: &[String],
        dirs: &[String],
        network: Option<&Network>,
    ) -> Result<(), Fault> {
        // SAFETY: the host object lives as long as the process, and nobody else uses it now.
        match (unsafe { &mut (*self.host).sockets }, network) {
            (Some(sockets), network) => sockets.reset(network.unwrap_or(&Network::default())),
            (None, Some(_)) => return Err(Fault::new("this module was made ready without a network")),
            (None, None) => {}
        }
        let (args, env, dirs) = (Strings::new(args)?, Strings::new(env)?, Strings::new(dirs)?);
        // SAFETY: the module is alive; the three lists are alive and as long as is said; the engine copies them.
        unsafe {
            ffi::WasmEdge_ModuleInstanceInitWASI(
                self.module,
                args.pointers.as_ptr(),
                args.len(),
                env.pointers.as_ptr(),
                env.len(),
                dirs.pointers.as_ptr(),
                dirs.len(),
            );
        }
        Ok(())
    }
}

/// A module in memory, ready to start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Instance {
    executor: *mut ffi::WasmEdge_ExecutorContext,
    module: *mut ffi::WasmEdge_ModuleInstanceContext,
    pub(crate) start: Function,
}

/// An exported function that takes nothing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function(*mut ffi::WasmEdge_FunctionInstanceContext);

/// How a call came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Called {
    /// The function returned.
    Returned,
    /// The guest called `proc_exit`.
    Exited(i32),
}

/// Instantiates a program with its imports.
pub(crate) fn instantiate(module: Module, config: Config, wasi: &Wasi) -> Result<Instance, Fault> {
    let (executor, instance) = executable(module, config, wasi.module, Some(wasi.host))?;
    match export(instance, "_start") {
        Some(start) => Ok(Instance { executor, module: instance, start }),
        None => Err(Fault::new("the module exports no function `_start`")),
    }
}

/// Instantiates a module with its imports, and what executes it. With a host, functions to start programs are among what it
/// may import.
fn executable(
    module: Module,
    config: Config,
    wasi: *mut ffi::WasmEdge_ModuleInstanceContext,
    host: Option<*mut Host>,
) -> Result<(*mut ffi::WasmEdge_ExecutorContext, *mut ffi::WasmEdge_ModuleInstanceContext), Fault> {
    // SAFETY: the settings are alive; statistics are not wanted.
    let executor = unsafe { ffi::WasmEdge_ExecutorCreate(config.0, ptr::null_mut()) };
    // SAFETY: no precondition.
    let store = unsafe { ffi::WasmEdge_StoreCreate() };
    // SAFETY: all three are alive.
    check(unsafe { ffi::WasmEdge_ExecutorRegisterImport(executor, store, wasi) })?;
    if let Some(host) = host
        && imports_from(module, exec::MODULE)
    {
        // SAFETY: name and length belong together, and the string outlives the call, which copies it.
        let name =
            unsafe { ffi::WasmEdge_StringWrap(exec::MODULE.as_ptr().cast(), exec::MODULE.len() as u32) };
        // SAFETY: the name is alive.
        let programs = unsafe { ffi::WasmEdge_ModuleInstanceCreate(name) };
        host::install(programs, host, host::EXEC);
        // SAFETY: all three are alive.
        check(unsafe { ffi::WasmEdge_ExecutorRegisterImport(executor, store, programs) })?;
    }
    let mut instance = ptr::null_mut();
    // SAFETY: all are alive; `instance` receives an object that is ours.
    check(unsafe { ffi::WasmEdge_ExecutorInstantiate(executor, &raw mut instance, store, module.0) })?;
    Ok((executor, instance))
}

/// Whether a module imports anything from a module of this name.
fn imports_from(module: Module, name: &str) -> bool {
    // SAFETY: the module is alive.
    let count = unsafe { ffi::WasmEdge_ASTModuleListImportsLength(module.0) };
    let mut imports = vec![ptr::null(); count as usize];
    // SAFETY: the module is alive, and the list has this length.
    unsafe { ffi::WasmEdge_ASTModuleListImports(module.0, imports.as_mut_ptr(), count) };
    imports.into_iter().any(|import| {
        // SAFETY: the import belongs to the module, which is alive, and so does the string.
        let from = unsafe { ffi::WasmEdge_ImportTypeGetModuleName(import) };
        // SAFETY: the engine says that the string has this many bytes.
        let from = unsafe { std::slice::from_raw_parts(from.Buf.cast::<u8>(), from.Length as usize) };
        from == name.as_bytes()
    })
}

/// The exported function of this name, if there is one and it takes nothing.
fn export(instance: *const ffi::WasmEdge_ModuleInstanceContext, name: &str) -> Option<Function> {
    let len = u32::try_from(name.len()).ok()?;
    // SAFETY: name and length belong together and outlive the calls.
    let name = unsafe { ffi::WasmEdge_StringWrap(name.as_ptr().cast(), len) };
    // SAFETY: the instance is alive.
    let function = unsafe { ffi::WasmEdge_ModuleInstanceFindFunction(instance, name) };
    if function.is_null() {
        return None;
    }
    // SAFETY: the function is alive, and so is its type.
    let parameters = unsafe {
        ffi::WasmEdge_FunctionTypeGetParametersLength(ffi::WasmEdge_FunctionInstanceGetFunctionType(function))
    };
    (parameters == 0).then_some(Function(function))
}

impl Instance {
    /// The exported function of this name, if there is one and it takes nothing.
    pub(crate) fn export(&self, name: &str) -> Option<Function> {
        export(self.module, name)
    }
}

/// Calls a function to its end; what it returns is dropped.
pub(crate) fn call(
    wasi: &Wasi,
    instance: &Instance,
    function: Function,
    stdio: &mut dyn Stdio,
) -> Result<Called, Fault> {
    // SAFETY: executor and function are alive; the function takes nothing.
    let result = wasi.with_streams(stdio, || unsafe {
        ffi::WasmEdge_ExecutorInvoke(instance.executor, function.0, ptr::null(), 0, ptr::null_mut(), 0)
    });
    check(result)?;
    // SAFETY: the call takes a plain value.
    if unsafe { ffi::WasmEdge_ResultGetCode(result) } != TERMINATED {
        return Ok(Called::Returned);
    }
    // SAFETY: the module is alive.
    Ok(Called::Exited(unsafe { ffi::WasmEdge_ModuleInstanceWASIGetExitCode(wasi.module) } as i32))
}

/// The engine's code for `proc_exit`, which is no error to it.
const TERMINATED: u32 = 1;

impl Wasi {
    /// Gives the guest these standard streams while `body` runs.
    pub(crate) fn with_streams<T>(&self, stdio: &mut dyn Stdio, body: impl FnOnce() -> T) -> T {
        // SAFETY: only the lifetime is forgotten; the pointer is taken away again below, before the borrow ends.
        let stdio: *mut (dyn Stdio + 'static) = unsafe { std::mem::transmute(ptr::from_mut(stdio)) };
        // SAFETY: the host object lives as long as the process, and nobody else uses it now.
        unsafe { (*self.host).stdio = Some(stdio) };
        let result = body();
        // SAFETY: as above.
        unsafe { (*self.host).stdio = None };
        result
    }

    /// Whether the guest called one of our functions when there were no streams for it.
    pub(crate) fn missed(&self) -> bool {
        // SAFETY: the host object lives as long as the process, and nobody else uses it now.
        unsafe { (*self.host).missed }
    }
}
