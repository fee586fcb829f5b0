//! `hero_runner runtime`.

mod add;
mod list;
mod recipe;

use api::method::{NoParams, TemplateListMethod};
use api::template::{TemplateInfo, TemplateOrigin};
use clap::Subcommand;
use client::Client;

use super::templates;
use crate::Context;

/// List, add and remove runtimes for scripts.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the runtimes, and which scripts they run
    List,
    /// Make an interpreter a runtime, so that `run` takes its scripts
    Add(add::Args),
    /// Remove runtimes; their modules stay
    Rm {
        /// Their names
        #[arg(required = true, value_name = "NAME")]
        names: Vec<String>,
    },
}

pub(crate) async fn run(context: &Context, args: Args) -> anyhow::Result<u8> {
    match args.verb.unwrap_or(Verb::List) {
        Verb::List => list::run(context).await,
        Verb::Add(args) => add::run(context, args).await,
        Verb::Rm { names } => templates::remove(context, &names, "runtime").await,
    }
}

/// The templates that run scripts. Where two want the same scripts, what somebody asked for comes before what a file or
/// the server brings.
pub(super) async fn all(client: &Client) -> client::Result<Vec<TemplateInfo>> {
    let mut templates = client.call::<TemplateListMethod>(NoParams {}).await?.templates;
    templates.retain(|template| template.spec.script.is_some());
    templates.sort_by_key(|template| match template.origin {
        TemplateOrigin::Created => 0,
        TemplateOrigin::File => 1,
        TemplateOrigin::Builtin => 2,
        TemplateOrigin::Automatic => 3,
    });
    Ok(templates)
}
