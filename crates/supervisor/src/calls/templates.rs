//! `template_create`, `template_list`, `template_get`, `template_remove`

use std::sync::Arc;

use api::error::{Error, ErrorCode};
use api::session::Done;
use api::template::{
    Script, ScriptPass, TemplateCreate, TemplateInfo, TemplateList, TemplateOrigin, TemplateState, Warm,
};

use super::specification::invalid;
use crate::core::{Core, Shared};
use crate::read::blocking;
use crate::session::lock;
use crate::templates::{Declared, described, information};
use crate::{Result, Supervisor};

impl Supervisor {
    /// Declares a template and begins to warm it.
    ///
    /// # Errors
    /// When its name cannot be one, its module is unknown or unfit, or the request is wrong.
    pub async fn template_create(&self, request: TemplateCreate) -> Result<TemplateInfo> {
        let shared = Arc::clone(&self.shared);
        blocking(move || {
            let name = shared.declare(request.clone(), TemplateOrigin::Created)?;
            shared.declared_store.put(&name, &request)?;
            shared.refresh(&name, true);
            let core = lock(&shared.core);
            let declared = core.templates.declared.get(&name).ok_or_else(|| not_found(&name))?;
            Ok(information(&core, &name, declared))
        })
        .await
    }

    /// Lists all templates.
    ///
    /// # Errors
    /// None today.
    pub async fn template_list(&self) -> Result<TemplateList> {
        let core = lock(&self.shared.core);
        let declared = core.templates.declared.iter();
        let mut templates: Vec<_> =
            declared.map(|(name, declared)| information(&core, name, declared)).collect();
        templates.extend(automatic(&core));
        templates.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(TemplateList { templates })
    }

    /// Shows one template.
    ///
    /// # Errors
    /// When there is none of this name.
    pub async fn template_get(&self, name: &str) -> Result<TemplateInfo> {
        let core = lock(&self.shared.core);
        match core.templates.declared.get(name) {
            Some(declared) => Ok(information(&core, name, declared)),
            None => automatic(&core).find(|known| known.name == name).ok_or_else(|| not_found(name)),
        }
    }

    /// Removes a template; its sessions run on to their end.
    ///
    /// # Errors
    /// When there is none of this name, or a file or the server itself declares it.
    pub async fn template_remove(&self, name: &str) -> Result<Done> {
        let (shared, name) = (Arc::clone(&self.shared), name.to_owned());
        blocking(move || {
            let origin = lock(&shared.core).templates.declared.get(&name).map(|declared| declared.origin);
            let declarer = match origin {
                Some(TemplateOrigin::File) => Some("the file of the setting templates_file declares it"),
                Some(TemplateOrigin::Builtin) => Some("it comes with the server"),
                _ => None,
            };
            if let Some(declarer) = declarer {
                let message = format!("template {name:?} cannot be removed: {declarer}");
                return Err(Error::new(ErrorCode::InvalidState, message));
            }
            if origin.is_some() {
                shared.declared_store.remove(&name)?;
            }
            let mut core = lock(&shared.core);
            let mut stems: Vec<_> = core
                .stems
                .iter()
                .filter(|(_, stem)| {
                    stem.made.as_ref().is_some_and(|made| made.title == name && !made.retired)
                })
                .map(|(id, _)| *id)
                .collect();
            if core.templates.declared.remove(&name).is_none() && stems.is_empty() {
                return Err(not_found(&name));
            }
            for id in stems.drain(..) {
                Shared::retire(&mut core, id);
            }
            // It may have stood in the place of one that comes with the server.
            if let Some(spec) = builtin().into_iter().find(|spec| spec.module == name) {
                core.templates.declared.insert(name, Declared::new(spec, TemplateOrigin::Builtin));
            }
            Ok(Done { ok: true })
        })
        .await
    }
}

/// Templates that the server made by itself.
fn automatic(core: &Core) -> impl Iterator<Item = TemplateInfo> {
    core.stems.values().filter_map(|stem| {
        let made = stem.made.as_ref().filter(|made| made.declared.is_none() && !made.retired)?;
        let state = if stem.pool.is_ready() { TemplateState::Warm } else { TemplateState::Warming };
        let mut shown = described(&made.title, state, Some(stem));
        shown.spec.module.clone_from(&made.title);
        shown.spec.memory_limit_mb = Some(made.key.spec.max_pages / super::specification::PAGES_PER_MB);
        Some(shown)
    })
}

fn not_found(name: &str) -> Error {
    Error::new(ErrorCode::TemplateNotFound, format!("there is no template {name:?}"))
}

/// The runtimes that come with the server: modules of these names, from the folder of services.
fn builtin() -> [TemplateCreate; 2] {
    [("javascript", ["js", "mjs"].as_slice(), ["node", "qjs"].as_slice()), ("rhai", &["rhai"], &[])].map(
        |(name, extensions, interpreters)| TemplateCreate {
            module: name.to_owned(),
            warm: Warm::Stdin,
            ttl_s: Some(BUILTIN_TTL_S),
            script: Some(Script {
                pass: ScriptPass::Envelope,
                extensions: extensions.iter().map(|&text| text.to_owned()).collect(),
                interpreters: interpreters.iter().map(|&text| text.to_owned()).collect(),
            }),
            ..TemplateCreate::default()
        },
    )
}

/// How long a runtime of the server's own stays warm without a script, in seconds.
const BUILTIN_TTL_S: u64 = 600;

impl Shared {
    /// Lists what is declared at the start: what comes with the server, what was asked for before, what the file says. None
    /// of them keeps the others, or the server, from starting.
    pub(crate) fn declare_all(&self) -> Result<()> {
        let known = builtin().into_iter().filter(|spec| self.modules.resolve(&spec.module).is_ok());
        let stored = self.declared_store.all()?;
        let mut core = lock(&self.core);
        let declared = &mut core.templates.declared;
        for spec in known {
            declared.insert(spec.module.clone(), Declared::new(spec, TemplateOrigin::Builtin));
        }
        for (name, spec) in stored {
            declared.insert(name, Declared::new(spec, TemplateOrigin::Created));
        }
        for spec in &self.config.templates {
            let name = spec.name.clone().unwrap_or_else(|| spec.module.clone());
            declared.insert(name, Declared::new(spec.clone(), TemplateOrigin::File));
        }
        Ok(())
    }

    /// Puts a template into the list, in the place of one of the same name; its name.
    pub(crate) fn declare(&self, spec: TemplateCreate, origin: TemplateOrigin) -> Result<String> {
        let name = spec.name.clone().unwrap_or_else(|| spec.module.clone());
        store::modules::check_name(&name)?;
        let spare = (spec.min_spare, spec.max_spare.unwrap_or(self.config.pool.spare_max as u32));
        if spare.0.is_some_and(|least| least > spare.1) {
            return Err(invalid(format!(
                "template {name:?}: min_spare is larger than max_spare, {}",
                spare.1
            )));
        }
        // Whatever is wrong with it is found now.
        self.target(&spec)?;
        let mut core = lock(&self.core);
        if let Some(before) = core.templates.declared.get(&name) {
            if before.origin != origin && before.origin != TemplateOrigin::Builtin {
                let message =
                    format!("template {name:?} is declared in the file of the setting templates_file");
                return Err(Error::new(ErrorCode::InvalidState, message));
            }
            for id in [before.warm, before.warming].into_iter().flatten() {
                Self::retire(&mut core, id);
            }
        }
        core.templates.declared.insert(name.clone(), Declared::new(spec, origin));
        Ok(name)
    }
}
