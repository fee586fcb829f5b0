//! The functions that a component exports, by the names that people use for them.

use wasmtime::Engine;
use wasmtime::component::types::{ComponentFunc, ComponentItem};
use wasmtime::component::{Component, ComponentExportIndex};

use crate::value;

/// An exported function.
pub(crate) struct Export {
    /// The interface that it is in, with its version.
    interface: Option<String>,
    name: String,
    pub(crate) ty: ComponentFunc,
}

impl Export {
    /// Its name, with the interface's before it.
    fn full(&self) -> String {
        match &self.interface {
            Some(interface) => format!("{interface}#{}", self.name),
            None => self.name.clone(),
        }
    }

    /// Its name and its type, as in WIT.
    pub(crate) fn signature(&self) -> String {
        format!("{}{}", self.full(), value::signature(&self.ty))
    }

    /// Where the component has it.
    pub(crate) fn index(&self, component: &Component) -> Option<ComponentExportIndex> {
        let within = match &self.interface {
            Some(interface) => Some(component.get_export_index(None, interface)?),
            None => None,
        };
        component.get_export_index(within.as_ref(), &self.name)
    }

    /// Whether it is meant by a name, which may leave out the interface's version.
    fn is_meant_by(&self, wanted: &str) -> bool {
        match (wanted.rsplit_once('#'), &self.interface) {
            (None, _) => same(&self.name, wanted),
            (Some((within, name)), Some(interface)) => {
                let bare = interface.split_once('@').map_or(interface.as_str(), |(bare, _)| bare);
                same(&self.name, name) && (within == interface || within == bare)
            }
            (Some(_), None) => false,
        }
    }
}

/// Whether a name is the one that is wanted; `_` is taken for `-`, which other languages have not in names.
fn same(name: &str, wanted: &str) -> bool {
    name == wanted || name == wanted.replace('_', "-")
}

/// All functions that can be called: those of the component itself and of the interfaces that it exports. Methods are none,
/// nobody outside has the resources for them.
pub(crate) fn functions(engine: &Engine, component: &Component) -> Vec<Export> {
    let mut found = Vec::new();
    for (name, item) in component.component_type().exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(ty) => {
                found.push(Export { interface: None, name: name.to_owned(), ty });
            }
            ComponentItem::ComponentInstance(instance) => {
                for (inner, item) in instance.exports(engine) {
                    if let ComponentItem::ComponentFunc(ty) = item.ty
                        && !inner.starts_with('[')
                    {
                        let interface = Some(name.to_owned());
                        found.push(Export { interface, name: inner.to_owned(), ty });
                    }
                }
            }
            _ => {}
        }
    }
    // Its own come first, whatever the order in the file.
    found.sort_by_key(|export| export.interface.is_some());
    found
}

/// The function that a name means: one of the component itself, or the only one of that name in its interfaces.
///
/// # Errors
/// Which functions there are, when none or more than one is meant.
pub(crate) fn find<'a>(functions: &'a [Export], wanted: &str) -> Result<&'a Export, String> {
    let meant: Vec<&Export> = functions.iter().filter(|export| export.is_meant_by(wanted)).collect();
    if let Some(own) = meant.iter().find(|export| export.interface.is_none()) {
        return Ok(own);
    }
    match meant[..] {
        [] => Err(format!("it exports no function {wanted:?}; it exports {}", list(functions.iter()))),
        [only] => Ok(only),
        _ => Err(format!("{wanted:?} is the name of more than one function: {}", list(meant.into_iter()))),
    }
}

fn list<'a>(functions: impl Iterator<Item = &'a Export>) -> String {
    let names: Vec<String> = functions.map(Export::full).collect();
    if names.is_empty() { "no functions".to_owned() } else { names.join(", ") }
}

/// The function that a program starts with.
///
/// # Errors
/// Which functions there are instead.
pub(crate) fn program(functions: &[Export]) -> Result<&Export, String> {
    let is_run = |export: &&Export| {
        export.interface.as_deref().is_some_and(|name| name.starts_with("wasi:cli/run@"))
            && export.name == "run"
    };
    functions.iter().find(is_run).ok_or_else(|| {
        format!("it is no program: it exports no wasi:cli/run, but {}", list(functions.iter()))
    })
}
