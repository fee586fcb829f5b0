//! A page instead of the one that was asked for, which says why and what to do.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;

use crate::html::html;
use crate::server::{Failure, Kind};
use crate::shell::Shell;

#[derive(Debug, Template)]
#[template(path = "problem.html")]
struct Problem<'a> {
    shell: Shell,
    title: &'a str,
    reason: &'a str,
    hint: Option<&'a str>,
    command: Option<&'a str>,
    back: Option<(&'a str, &'a str)>,
}

/// What the server did not give. The page looks again by itself, so it is there when the server is.
pub(crate) fn failed(shell: Shell, failure: &Failure) -> Response {
    failed_with_way(shell, failure, None)
}

/// The same, with where to go instead: its address and its words.
pub(crate) fn failed_with_way(shell: Shell, failure: &Failure, back: Option<(&str, &str)>) -> Response {
    let (title, command) = match failure.kind {
        Kind::Down => ("The server does not run", Some("hero_runner --start")),
        Kind::Silent => ("The server does not answer", None),
        Kind::Refused if failure.status == StatusCode::NOT_FOUND => ("There is no such thing", None),
        Kind::Refused => ("The server refused", None),
        Kind::Older => {
            ("The server is older than this program", Some("hero_runner --stop && hero_runner --start"))
        }
    };
    let back = back.filter(|_| matches!(failure.kind, Kind::Refused | Kind::Older));
    // The command is the hint; and of what is not there the server's own tells how a program would list what is, as the link
    // does for a reader.
    let listed = back.is_some() && failure.status == StatusCode::NOT_FOUND;
    let hint = failure.hint.as_deref().filter(|_| command.is_none() && !listed);
    html(failure.status, &Problem { shell, title, reason: &failure.reason, hint, command, back })
}

/// One thing that is to be said.
pub(crate) fn say(
    shell: Shell,
    status: StatusCode,
    title: &str,
    reason: &str,
    hint: Option<&str>,
) -> Response {
    let back = Some(("/sessions", "To the sessions"));
    html(status, &Problem { shell: shell.still(), title, reason, hint, command: None, back })
}
