//! A gateway in front of servers that run already.
//!
//! ```sh
//! cargo run --release -p gateway --example proxy -- 127.0.0.1:8080 api=/tmp/api.sock shop=127.0.0.1:9000
//! ```

use std::path::Path;
use std::sync::Arc;

use gateway::{Address, Admission, Backend, Gateway, Routes, Settings, Target};

/// As in hero_runner_server.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A server that is always there.
struct Fixed {
    name: String,
    address: Address,
}

impl Target for Fixed {
    fn name(&self) -> &str {
        &self.name
    }

    fn admit(&self) -> Admission {
        Admission::Now(Ok(Backend::Http { address: self.address.clone(), lease: Box::new(()) }))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let listen = arguments.next().and_then(|address| address.parse().ok());
    let routes = Routes::default();
    for argument in arguments {
        let Some((prefix, address)) = argument.split_once('=') else { continue };
        let address = match address.parse() {
            Ok(address) => Address::Tcp(address),
            Err(_) => Address::Unix(Path::new(address).into()),
        };
        routes.set(prefix, Arc::new(Fixed { name: prefix.to_owned(), address }));
    }
    let settings = Settings { tcp: listen, ..Settings::default() };
    let gateway = Gateway::bind(settings, routes).await?;
    gateway.serve(std::future::pending()).await;
    Ok(())
}
