//! A service that fails in the way that `CRASH` says:
//!
//! | `CRASH` | what it does |
//! |---|---|
//! | `at_once` | ends with exit code 3 before it listens |
//! | `after_ms:N` | ends with exit code 1 after so long |
//! | `never_healthy` | answers probes with status 503 |
//! | `mute` | takes requests and never answers |
//! | `on_request`, and by default | ends with exit code 1 when it is asked for `/crash` |

use std::future::pending;
use std::process::{ExitCode, exit};
use std::time::Duration;

use tokio::time::sleep;
use web::{Body, Request, Response, StatusCode};

fn main() -> ExitCode {
    let crash = crash();
    if crash == "at_once" {
        eprintln!("crashy: at once");
        return ExitCode::from(3);
    }
    web::run(async move {
        if let Some(ms) = crash.strip_prefix("after_ms:") {
            let ms = ms.parse().map_err(|_| format!("CRASH is {crash:?}, which has no number"))?;
            tokio::spawn(async move {
                sleep(Duration::from_millis(ms)).await;
                eprintln!("crashy: after {ms} ms");
                exit(1);
            });
        }
        web::serve(handle).await
    })
}

fn crash() -> String {
    std::env::var("CRASH").unwrap_or_default()
}

async fn handle(request: Request<Body>) -> Response<Body> {
    let crash = crash();
    match (request.uri().path(), crash.as_str()) {
        (_, "mute") => pending().await,
        ("/health", "never_healthy") => web::text(StatusCode::SERVICE_UNAVAILABLE, "never\n"),
        ("/health", _) => web::healthy(),
        ("/hello", _) => web::text(StatusCode::OK, "hello from crashy\n"),
        ("/crash", "on_request" | "") => {
            eprintln!("crashy: on request");
            exit(1);
        }
        _ => web::not_found(),
    }
}
