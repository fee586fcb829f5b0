//! `hero_runner templates create`.

use anyhow::Context as _;
use api::method::TemplateCreateMethod;
use api::template::{TemplateCreate, Warm};

use super::shape::Shape;
use super::{state, warm};
use crate::verbs::run::module::Module;
use crate::{Context, text};

const AFTER: &str = "\
With --warm stdin the program runs up to its first read of standard input, and every session goes on from there:
arguments, environment and folders are the template's. Otherwise each session has its own.";

/// Keep a module warm under a name.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER)]
pub(super) struct Args {
    /// The template's name; one of the same name is replaced
    name: String,
    /// A registered name, a digest (sha256:…), or a .wasm file
    #[arg(long)]
    module: String,
    /// How far it runs before sessions begin: instantiate, export:NAME (until that function returned), or stdin
    #[arg(long, value_name = "POINT", default_value = "instantiate")]
    warm: Warm,
    #[command(flatten)]
    shape: Shape,
    /// Return when it is warm, or with exit code 1 when it cannot be
    #[arg(long)]
    wait: bool,
}

pub(super) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    let Context { client, console } = context;
    let name = args.name;
    let module = Module::find(&args.module)?.prepare(client, false).await?;
    let request = TemplateCreate { warm: args.warm, ..args.shape.request(name.clone(), module) };
    let created = client.call::<TemplateCreateMethod>(request).await;
    let mut template = created.with_context(|| format!("cannot create template {name}"))?;
    if args.wait {
        template = warm::until_warm(context, template).await?;
    }
    if console.json {
        console.json(&template)?;
    } else {
        let span = template.warm_ms.map(|ms| format!(", {}", text::span(ms.saturating_mul(1000))));
        console.say(&format!("{name} {}{}", state(template.state), span.unwrap_or_default()))?;
    }
    Ok(0)
}
