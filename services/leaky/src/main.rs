//! A service that takes memory and never gives it back: `/leak?mb=N` takes so much and says how much
//! that is in all. With `LEAK_MB_PER_S` it takes so much each second by itself.

use std::hint::black_box;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::sleep;
use web::{Body, Request, Response, StatusCode};

static TAKEN_MB: AtomicU64 = AtomicU64::new(0);

fn main() -> ExitCode {
    web::run(async {
        let per_second = std::env::var("LEAK_MB_PER_S").unwrap_or_default();
        if let Ok(mb @ 1..) = per_second.parse() {
            tokio::spawn(async move {
                loop {
                    leak(mb);
                    sleep(Duration::from_secs(1)).await;
                }
            });
        }
        web::serve(handle).await
    })
}

async fn handle(request: Request<Body>) -> Response<Body> {
    match request.uri().path() {
        "/health" => web::healthy(),
        "/leak" => {
            let total = leak(web::number(&request, "mb", 10));
            web::text(StatusCode::OK, format!("{total} MB\n"))
        }
        _ => web::not_found(),
    }
}

/// Takes `mb` MiB, writes to all of it, and says how much that is in all.
fn leak(mb: u64) -> u64 {
    for _ in 0..mb {
        // Nobody reads it, and still it has to be there.
        black_box(Vec::leak(vec![1_u8; 1 << 20]));
    }
    TAKEN_MB.fetch_add(mb, Ordering::Relaxed) + mb
}
