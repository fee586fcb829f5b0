//! As a session it prints one line and ends: the smallest there is. As a service, which is told its
//! port in `PORT`, it answers that line over HTTP: the smallest one with hyper and tokio.
//!
//! `GET /hello`, `GET /health`, and `GET /`, which says so.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::time::Duration;

use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::Http;
use hyper::service::service_fn;
use hyper::{Body, Method, Request, Response, StatusCode};
use tokio::net::TcpListener;

const HELLO: &str = "hello, world\n";

fn main() -> ExitCode {
    let Ok(port) = std::env::var("PORT") else {
        print!("{HELLO}");
        return ExitCode::SUCCESS;
    };
    match serve(&port) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hello: port {port}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Answers requests to this machine's `port`, until the service is stopped.
fn serve(port: &str) -> Result<(), Box<dyn Error>> {
    let address = SocketAddr::from(([127, 0, 0, 1], port.parse()?));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await?;
        println!("listening on {address}");
        // Head and body of an answer in one piece: written in two, the second would wait 40 ms for
        // an acknowledgement of the first.
        let mut http = Http::new();
        http.http1_only(true).http1_writev(false);
        loop {
            match listener.accept().await {
                Ok((stream, _)) => {
                    drop(tokio::spawn(http.serve_connection(stream, service_fn(handle))));
                }
                // One that was gone before it was looked at; or too many are open: let some end.
                Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    })
}

async fn handle(request: Request<Body>) -> Result<Response<Body>, Infallible> {
    Ok(match (request.method(), request.uri().path()) {
        (&Method::GET, "/") => text(StatusCode::OK, "hello: GET /hello, GET /health\n"),
        (&Method::GET, "/hello") => text(StatusCode::OK, HELLO),
        (&Method::GET, "/health") => text(StatusCode::OK, "OK"),
        _ => text(StatusCode::NOT_FOUND, "not found\n"),
    })
}

fn text(status: StatusCode, body: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}
