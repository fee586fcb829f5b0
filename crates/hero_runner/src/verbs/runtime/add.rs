//! `hero_runner runtime add`.

use anyhow::Context as _;
use api::method::TemplateCreateMethod;
use api::template::{TemplateCreate, TemplateInfo, TemplateState, Warm};

use super::super::run::module::Module;
use super::super::templates::shape::Shape;
use super::super::templates::{state, warm};
use super::recipe::{Recipe, extension};
use crate::{Context, text};

const AFTER: &str = "\
Without --like the names decide: python… and cpython… are like python, qjs… and quickjs… like quickjs, all others like
stdin. The interpreter runs up to its first read of standard input, and every script goes on from there.";

/// Make an interpreter a runtime for scripts.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct Args {
    /// The runtime's name; one of the same name is replaced
    name: String,
    /// A .wasm file, which is registered under the runtime's name, or a registered module
    #[arg(value_name = "FILE.wasm|MODULE")]
    module: String,
    /// How scripts get into it
    #[arg(long, value_name = "RECIPE")]
    like: Option<Recipe>,
    /// A file extension of its scripts, instead of the usual ones; once for each
    #[arg(long = "ext", value_name = "EXT", value_parser = extension)]
    extensions: Vec<String>,
    /// A name after `#!` that means it, instead of the usual ones; once for each
    #[arg(long = "interpreter", value_name = "NAME")]
    interpreters: Vec<String>,
    #[command(flatten)]
    shape: Shape,
    /// Do not wait until it is warm
    #[arg(long)]
    no_wait: bool,
}

pub(super) async fn run(context: &Context, mut args: Args) -> anyhow::Result<u8> {
    let Context { client, console } = context;
    let name = args.name;
    let recipe = args.like.unwrap_or_else(|| Recipe::guess(&name, &args.module));
    let module = match Module::find(&args.module)? {
        Module::Known(module) => module,
        Module::File(file) => {
            Module::register(client, &name, &file).await?;
            name.clone()
        }
    };
    args.shape.args = recipe.args(args.shape.args);
    let request = TemplateCreate {
        warm: Warm::Stdin,
        script: Some(recipe.script(&args.extensions, &args.interpreters)),
        ..args.shape.request(name.clone(), module)
    };
    let created = client.call::<TemplateCreateMethod>(request).await;
    let mut runtime = created.with_context(|| format!("cannot create runtime {name}"))?;
    if !args.no_wait {
        if warm::is_compiling(client, &runtime.spec.module).await? {
            console.note(&format!(
                "{name} is compiled in the background; scripts run now, and faster once it is done"
            ));
        }
        runtime = warm::until_warm(context, runtime).await?;
    }
    if console.json {
        console.json(&runtime)?;
    } else {
        console.say(&told(&runtime))?;
    }
    Ok(0)
}

/// Where it stands, and how its scripts are run.
fn told(runtime: &TemplateInfo) -> String {
    let name = &runtime.name;
    let extension = runtime.spec.script.as_ref().and_then(|script| script.extensions.first());
    let how = match extension {
        Some(extension) => format!("hero_runner run FILE.{extension}"),
        None => format!("hero_runner run --runtime {name} FILE"),
    };
    let span = match (runtime.state, runtime.warm_ms) {
        (TemplateState::Warm, Some(ms)) => format!(" after {}", text::span(ms.saturating_mul(1000))),
        _ => String::new(),
    };
    format!("{name} is {}{span}; run a script with `{how}`", state(runtime.state))
}
