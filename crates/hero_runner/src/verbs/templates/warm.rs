//! Waiting until a template is warm.

use std::time::{Duration, Instant};

use api::method::{ModuleGetMethod, TemplateGetMethod};
use api::module::{ArtifactState, ModuleRef};
use api::template::{TemplateInfo, TemplateRef, TemplateState};
use client::Client;

use crate::Context;
use crate::failure::advise;

/// How long until the template is looked at again, at first and in the end.
const PAUSE: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// After this time we say what we wait for.
const SILENCE: Duration = Duration::from_secs(1);

/// Looks at a template until it is warm.
///
/// It fails when the template did. What fails interpreted, for want of time, may succeed once it is compiled: so a failure does
/// not count while its module is being compiled.
pub(crate) async fn until_warm(
    context: &Context,
    mut template: TemplateInfo,
) -> anyhow::Result<TemplateInfo> {
    let Context { client, console } = context;
    let name = template.name.clone();
    let begun = Instant::now();
    let mut pause = PAUSE.0;
    let mut told = false;
    let mut excused = 0;
    loop {
        match template.state {
            TemplateState::Warm => return Ok(template),
            // Nobody warms it before it is used.
            TemplateState::Idle if template.spec.ttl_s.is_some() => {
                console.note(&format!("{name} becomes warm with its first session"));
                return Ok(template);
            }
            TemplateState::Failed if template.failures > excused => {
                if !is_compiling(client, &template.spec.module).await? {
                    let why = template.why.as_deref().unwrap_or("the server does not say why");
                    return Err(advise(
                        format!("template {name} did not become warm: {why}"),
                        format!("`hero_runner templates show {name}` tells when it is tried again"),
                    ));
                }
                excused = template.failures;
            }
            _ => {}
        }
        if !told && begun.elapsed() > SILENCE {
            told = true;
            console.note(&format!("waiting until {name} is warm"));
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(PAUSE.1);
        template = client.call::<TemplateGetMethod>(TemplateRef { name: name.clone() }).await?;
    }
}

/// Whether a module is compiled right now, or waits for that.
pub(crate) async fn is_compiling(client: &Client, module: &str) -> client::Result<bool> {
    let detail = client.call::<ModuleGetMethod>(ModuleRef { name: module.to_owned() }).await;
    match detail {
        Ok(detail) => Ok(detail.info.artifact == ArtifactState::Compiling),
        // Not a reason to fail here: the template itself tells that its module is gone.
        Err(error) if error.code().is_some() => Ok(false),
        Err(error) => Err(error),
    }
}
