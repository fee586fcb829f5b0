//! `hero_runner services deploy`.

use std::path::PathBuf;

use anyhow::Context as _;
use api::method::ServiceDeployMethod;
use api::service::ServiceDeploy;

use super::{declaration, line};
use crate::Context;
use crate::failure::advise;
use crate::verbs::run::module::Module;

/// Declare a service or another version of it.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Its name
    name: String,
    /// What its service.json is to say
    #[arg(long, value_name = "FILE")]
    spec: PathBuf,
    /// Its module, which is registered before; else it has to be registered already
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let Context { client, console } = context;
    let name = args.name;
    let spec = declaration::read(&args.spec).map_err(|fault| {
        let hint = "`hero_runner services schema` says what there is; docs/services.md describes it";
        advise(format!("{}: {fault}", args.spec.display()), hint)
    })?;
    if let Some(file) = &args.module {
        let registered = spec.module.as_deref().unwrap_or(&name);
        if registered.starts_with("sha256:") {
            let message = format!("{} names a module by its digest", args.spec.display());
            return Err(advise(message, "leave out --module, or the key `module`"));
        }
        Module::register(client, registered, file).await?;
    }
    let request = ServiceDeploy { name: name.clone(), spec, module_base64: None };
    let deployed = client.call::<ServiceDeployMethod>(request).await;
    let detail = deployed.with_context(|| format!("cannot deploy service {name}"))?;
    if console.json {
        console.json(&detail)?;
    } else {
        let url = detail.service.url.as_ref().map(|url| format!(" {url}")).unwrap_or_default();
        console.say(&format!("{}{url}", line(&detail.service)))?;
    }
    Ok(0)
}
