//! What a request of `session_start` names: a module, a template, or a script with its runtime.

use std::sync::Arc;

use api::error::{Error, ErrorCode};
use api::session::SessionStart;
use api::template::{ScriptPass, TemplateCreate, Warm};

use super::specification::{invalid, stdin};
use crate::Result;
use crate::core::Shared;
use crate::session::lock;

/// A request in terms of a module.
#[derive(Debug)]
pub(super) struct Plan {
    /// The declared template that it named.
    pub(super) template: Option<(String, Arc<TemplateCreate>)>,
    /// Whether a process of that template can serve it; otherwise its module is run from the beginning.
    pub(super) fits: bool,
    /// The arguments as the session shows them.
    pub(super) args: Vec<String>,
    /// What goes to standard input.
    pub(super) stdin: Vec<u8>,
}

impl Shared {
    /// Puts the request in terms of a module: afterwards `module`, `args`, `env_vars`, `dirs` and `memory_limit_mb` are
    /// what a worker that runs the module from the beginning needs.
    pub(super) fn plan(&self, request: &mut SessionStart) -> Result<Plan> {
        match (&request.module, &request.template, &request.script) {
            (Some(_), None, None) => {}
            (None, Some(name), None) => {
                let (name, spec) = self.declared(name)?;
                return from_template(request, name, spec);
            }
            (None, None, Some(_)) => {
                let Some(runtime) = &request.runtime else {
                    return Err(invalid(
                        "a script needs a runtime: template_list shows those there are".to_owned(),
                    ));
                };
                let (name, spec) = self.declared(runtime)?;
                return from_script(request, name, spec);
            }
            _ => return Err(invalid("give exactly one of module, template and script".to_owned())),
        }
        if request.runtime.is_some() || request.script_name.is_some() {
            return Err(invalid("runtime and script_name belong to a script".to_owned()));
        }
        Ok(Plan { template: None, fits: false, args: request.args.clone(), stdin: stdin(request)? })
    }

    fn declared(&self, name: &str) -> Result<(String, Arc<TemplateCreate>)> {
        match lock(&self.core).templates.declared.get(name) {
            Some(declared) => Ok((name.to_owned(), Arc::clone(&declared.spec))),
            None => Err(Error::new(ErrorCode::TemplateNotFound, format!("there is no template {name:?}"))),
        }
    }
}

fn from_template(request: &mut SessionStart, name: String, spec: Arc<TemplateCreate>) -> Result<Plan> {
    if request.runtime.is_some() || request.script_name.is_some() {
        return Err(invalid("runtime and script_name belong to a script".to_owned()));
    }
    let refused = |what: &str| {
        let why = "it ran up to its first read of standard input before this session";
        Err(invalid(format!("template {name:?} cannot give a session its own {what}: {why}")))
    };
    if request.memory_limit_mb.is_some() && request.memory_limit_mb != spec.memory_limit_mb {
        return Err(invalid(format!("template {name:?} has its memory limit, which its sessions share")));
    }
    if spec.warm == Warm::Stdin {
        if !request.args.is_empty() && request.args != spec.args {
            return refused("arguments");
        }
        if !request.env_vars.is_empty() && request.env_vars != spec.env_vars {
            return refused("environment");
        }
        if request.working_dir.is_some() || !request.dirs.is_empty() && request.dirs != spec.dirs {
            return refused("folders");
        }
        if request.permissions.exec {
            return refused("permission exec");
        }
        request.env_vars.clone_from(&spec.env_vars);
    } else {
        for (variable, value) in &spec.env_vars {
            request.env_vars.entry(variable.clone()).or_insert_with(|| value.clone());
        }
    }
    if request.args.is_empty() {
        request.args.clone_from(&spec.args);
    }
    if request.dirs.is_empty() {
        request.dirs.clone_from(&spec.dirs);
    }
    request.memory_limit_mb = spec.memory_limit_mb;
    request.module = Some(spec.module.clone());
    let (args, stdin) = (request.args.clone(), stdin(request)?);
    Ok(Plan { template: Some((name, spec)), fits: true, args, stdin })
}

fn from_script(request: &mut SessionStart, name: String, spec: Arc<TemplateCreate>) -> Result<Plan> {
    let Some(script) = &spec.script else {
        return Err(invalid(format!("template {name:?} is no runtime for scripts")));
    };
    let source = request.script.take().unwrap_or_default();
    let own = stdin(request)?;
    let args = std::mem::replace(&mut request.args, spec.args.clone());
    let env = std::mem::replace(&mut request.env_vars, spec.env_vars.clone());
    let stdin = match script.pass {
        ScriptPass::Stdin => {
            if !(args.is_empty() && env.is_empty() && own.is_empty()) || request.stdin_open {
                let why =
                    "its standard input is the script, which can have no arguments, environment or input";
                return Err(invalid(format!("runtime {name:?}: {why}")));
            }
            source.into_bytes()
        }
        ScriptPass::Envelope => {
            let script_name = request.script_name.as_deref().unwrap_or("script");
            let head = serde_json::json!({ "name": script_name, "args": args, "env": env, "source": source });
            let mut stdin = head.to_string().into_bytes();
            stdin.push(b'\n');
            stdin.extend_from_slice(&own);
            stdin
        }
    };
    // What an interpreter that runs already cannot be given: then one runs from the beginning.
    let memory = request.memory_limit_mb.is_none_or(|limit| Some(limit) == spec.memory_limit_mb);
    let fits =
        memory && !request.permissions.exec && request.dirs.is_empty() && request.working_dir.is_none();
    // An interpreter may have its library in a folder.
    let own_dirs = std::mem::replace(&mut request.dirs, spec.dirs.clone());
    request.dirs.extend(own_dirs);
    request.memory_limit_mb = request.memory_limit_mb.or(spec.memory_limit_mb);
    request.module = Some(spec.module.clone());
    Ok(Plan { template: Some((name, spec)), fits, args, stdin })
}
