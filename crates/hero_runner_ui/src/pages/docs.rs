//! `GET /docs` and `GET /docs/{method}`: the methods of the server, as its own document tells them.

mod sample;
mod schema;

use askama::Template;
use axum::extract::Path;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use self::schema::{Field, Part, Type};
use super::problem;
use crate::html::html;
use crate::server;
use crate::shell::{Shell, Visit};

#[derive(Debug, Template)]
#[template(path = "docs.html")]
struct Index {
    shell: Shell,
    groups: Vec<Group>,
    count: usize,
    version: String,
}

/// The methods about one thing.
#[derive(Debug)]
struct Group {
    noun: String,
    methods: Vec<(String, String)>,
}

#[derive(Debug, Template)]
#[template(path = "method.html")]
struct MethodPage {
    shell: Shell,
    groups: Vec<Group>,
    name: String,
    summary: String,
    params: Vec<Field>,
    result: Vec<Part>,
    errors: Vec<ErrorRow>,
    types: Vec<Type>,
    sample: String,
    /// The lines of the field that it is shown in.
    rows: usize,
    schema: String,
}

#[derive(Debug)]
struct ErrorRow {
    code: i64,
    name: String,
    retryable: bool,
    hint: String,
}

/// The methods by what they are about, in the order of the document.
fn groups(document: &Value) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for method in document["methods"].as_array().into_iter().flatten() {
        let name = method["name"].as_str().unwrap_or_default();
        let noun = match name.split_once('_') {
            Some(("log", _)) | None => "server",
            Some((noun, _)) => noun,
        };
        let noun = if noun == "stats" { "server" } else { noun };
        let row = (name.to_owned(), method["summary"].as_str().unwrap_or_default().to_owned());
        match groups.iter_mut().find(|group| group.noun == noun) {
            Some(group) => group.methods.push(row),
            None => groups.push(Group { noun: noun.to_owned(), methods: vec![row] }),
        }
    }
    groups
}

pub(crate) async fn index(visit: Visit) -> Response {
    let (shell, document) =
        tokio::join!(visit.shell("docs", "docs", "Docs"), server::openrpc(&visit.app.server));
    let document = match document {
        Ok(document) => document,
        Err(failure) => return problem::failed(shell, &failure),
    };
    let page = Index {
        shell: shell.still(),
        groups: groups(&document),
        count: document["methods"].as_array().map(Vec::len).unwrap_or_default(),
        version: document["info"]["version"].as_str().unwrap_or_default().to_owned(),
    };
    html(StatusCode::OK, &page)
}

pub(crate) async fn method(visit: Visit, Path(name): Path<String>) -> Response {
    let (shell, document, known) = tokio::join!(
        visit.shell("method", "docs", name.clone()),
        server::openrpc(&visit.app.server),
        sample::known(&visit),
    );
    let document = match document {
        Ok(document) => document,
        Err(failure) => return problem::failed(shell, &failure),
    };
    let Some(method) = document["methods"].as_array().into_iter().flatten().find(|row| row["name"] == name)
    else {
        let shown: String = name.chars().take(64).collect();
        let why = format!("The server has no method {shown}.");
        return problem::say(
            shell,
            StatusCode::NOT_FOUND,
            "No such method",
            &why,
            Some("Docs lists all methods."),
        );
    };
    let rows = method["params"].as_array().map(Vec::as_slice).unwrap_or_default();
    let error = |row: &Value| {
        let row = document.pointer(row["$ref"].as_str()?.strip_prefix('#')?)?;
        let data = &row["data"];
        Some(ErrorRow {
            code: row["code"].as_i64()?,
            name: row["message"].as_str()?.to_owned(),
            retryable: data["retryable"].as_bool().unwrap_or_default(),
            hint: data["hint"].as_str().unwrap_or_default().to_owned(),
        })
    };
    let sample = serde_json::to_string_pretty(&sample::params(&name, rows, &known)).unwrap_or_default();
    let page = MethodPage {
        rows: sample.lines().count().clamp(3, 12),
        sample,
        groups: groups(&document),
        summary: method["summary"].as_str().unwrap_or_default().to_owned(),
        params: rows.iter().map(schema::parameter).collect(),
        result: schema::words(&method["result"]["schema"]),
        errors: method["errors"].as_array().into_iter().flatten().filter_map(error).collect(),
        types: schema::reached(&document, [&method["params"], &method["result"]].into_iter()),
        schema: serde_json::to_string_pretty(method).unwrap_or_default(),
        shell: shell.still(),
        name,
    };
    html(StatusCode::OK, &page)
}
