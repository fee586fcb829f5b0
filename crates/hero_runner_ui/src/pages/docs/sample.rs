//! Parameters to try a method with: of what there is on this server.

use api::method::{
    ModuleListMethod, NoParams, ScheduleListMethod, ServiceListMethod, SessionListMethod, TemplateListMethod,
};
use api::schedule::ScheduleQuery;
use api::session::SessionList;
use serde_json::{Map, Value, json};

use crate::shell::Visit;

/// The names of things that a parameter can be filled with.
#[derive(Debug, Default)]
pub(super) struct Known {
    session: Option<String>,
    module: Option<String>,
    template: Option<String>,
    service: Option<String>,
    schedule: Option<String>,
}

/// Asks the server for one of each.
pub(super) async fn known(visit: &Visit) -> Known {
    let newest = SessionList { limit: Some(1), ..SessionList::default() };
    let (sessions, modules, templates, services, schedules) = tokio::join!(
        visit.ask::<SessionListMethod>(newest),
        visit.ask::<ModuleListMethod>(NoParams {}),
        visit.ask::<TemplateListMethod>(NoParams {}),
        visit.ask::<ServiceListMethod>(NoParams {}),
        visit.ask::<ScheduleListMethod>(ScheduleQuery::default()),
    );
    let module = modules.ok().and_then(|list| {
        let hello = list.modules.iter().find(|module| module.name == "hello").cloned();
        hello.or_else(|| list.modules.into_iter().next()).map(|module| module.name)
    });
    Known {
        session: sessions.ok().and_then(|page| page.sessions.into_iter().next()).map(|one| one.session_id),
        module,
        template: templates.ok().and_then(|list| list.templates.into_iter().next()).map(|one| one.name),
        service: services.ok().and_then(|list| list.services.into_iter().next()).map(|one| one.name),
        schedule: schedules.ok().and_then(|list| list.schedules.into_iter().next()).map(|one| one.id),
    }
}

/// An object of parameters: those that are needed, and some that show most.
pub(super) fn params(method: &str, rows: &[Value], known: &Known) -> Value {
    let or = |name: &Option<String>, otherwise: &str| json!(name.as_deref().unwrap_or(otherwise));
    if method == "session_start" {
        return json!({ "module": or(&known.module, "hello"), "args": [], "wait_ms": 5000 });
    }
    let noun = method.split('_').next().unwrap_or_default();
    let mut object = Map::new();
    for row in rows.iter().filter(|row| row["required"] == true) {
        let name = row["name"].as_str().unwrap_or_default();
        let value = match (noun, name) {
            (_, "session_id") => or(&known.session, "ses-…"),
            (_, "module") | ("module", "name") => or(&known.module, "hello"),
            ("template", "name") => or(&known.template, "hello"),
            ("service", "name") => or(&known.service, "hello"),
            ("schedule", "id") => or(&known.schedule, "hello/tick"),
            _ => empty(&row["schema"]),
        };
        object.insert(name.to_owned(), value);
    }
    let offered = |name: &str| rows.iter().any(|row| row["name"] == name);
    for (name, value) in [("limit", json!(5)), ("history", json!(5))] {
        if offered(name) {
            object.insert(name.to_owned(), value);
        }
    }
    Value::Object(object)
}

/// Something of the right type.
fn empty(schema: &Value) -> Value {
    let kind = schema["type"].as_str().or_else(|| schema["type"][0].as_str());
    match kind {
        Some("string") => json!(""),
        Some("integer" | "number") => json!(0),
        Some("boolean") => json!(true),
        Some("array") => json!([]),
        _ => json!({}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_there() {
        let document = api::openrpc::document();
        for method in document["methods"].as_array().unwrap() {
            let rows = method["params"].as_array().unwrap();
            let sample = params(method["name"].as_str().unwrap(), rows, &Known::default());
            for row in rows.iter().filter(|row| row["required"] == true) {
                assert!(sample.get(row["name"].as_str().unwrap()).is_some(), "{method}");
            }
        }
    }
}
