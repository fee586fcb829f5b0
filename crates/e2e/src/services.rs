//! Services of a server of a test: declared in a folder of its own, asked straight and through the gateway.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde_json::{Value, json};

use crate::door::Door;
use crate::http::{Reply, Request};
use crate::patience::{eventually, patience};
use crate::places;
use crate::server::Server;

/// A port of 127.0.0.1 that nobody listens on.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    listener.local_addr().expect("a socket has an address").port()
}

/// What a `service.json` says: this prefix, a port that is free unless the rest says where it listens or that it is a
/// handler, and the rest.
///
/// # Panics
/// When the rest is no object.
#[must_use]
pub fn spec(prefix: &str, rest: Value) -> Value {
    let mut spec = json!({ "prefix": prefix });
    for (key, value) in rest.as_object().expect("a declaration is an object") {
        spec[key] = value.clone();
    }
    if ["url", "port"].iter().all(|key| spec.get(key).is_none()) && spec["kind"] != "handler" {
        spec["port"] = json!("auto");
    }
    spec
}

impl Server {
    /// Its folder of services, when it was set up with some.
    #[must_use]
    pub fn services_dir(&self) -> PathBuf {
        self.dir().join("services")
    }

    /// Writes the `service.json` of a service, as text: it may be wrong.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn declare(&self, name: &str, text: impl ToString) {
        let folder = self.services_dir().join(name).join("config");
        std::fs::create_dir_all(&folder).expect("the service's folder can be made");
        let part = folder.join("part");
        std::fs::write(&part, text.to_string()).expect("a declaration can be written");
        std::fs::rename(part, folder.join("service.json")).expect("a declaration can be put in its place");
    }

    /// Puts a guest into the services folder as the module of this name, in place of what is there.
    ///
    /// # Panics
    /// When it was not built, or cannot be copied.
    pub fn put_guest(&self, name: &str, guest: &str) {
        let bytes = std::fs::read(places::guest(guest)).expect("a guest can be read");
        self.put_module(name, &bytes);
    }

    /// Puts a module of this name into the services folder.
    ///
    /// # Panics
    /// When it cannot be written.
    pub fn put_module(&self, name: &str, wasm: &[u8]) {
        let part = self.services_dir().join(format!("{name}.part"));
        std::fs::write(&part, wasm).expect("a module can be written");
        std::fs::rename(part, self.services_dir().join(format!("{name}.wasm")))
            .expect("a module can be put in its place");
    }

    /// What `service_get` says of a service itself.
    ///
    /// # Panics
    /// When there is no such service.
    #[must_use]
    pub fn service(&self, name: &str) -> Value {
        self.service_detail(name)["service"].take()
    }

    /// What `service_get` answers.
    ///
    /// # Panics
    /// When there is no such service.
    #[must_use]
    pub fn service_detail(&self, name: &str) -> Value {
        self.call("service_get", json!({ "name": name }))
    }

    /// Waits until a service is in this state.
    ///
    /// # Panics
    /// When it does not come there.
    pub fn until_service(&self, name: &str, state: &str) -> Value {
        let mut last = Value::Null;
        let reached = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            eventually(&format!("{name} is {state}"), || {
                last = self.service(name);
                (last["state"] == state).then(|| last.clone())
            })
        }));
        reached.unwrap_or_else(|_| panic!("{name} is not {state}: {:#}", self.service_detail(name)))
    }

    /// Waits until a service is ready, in a session other than this one.
    ///
    /// # Panics
    /// When it does not come there.
    pub fn until_other(&self, name: &str, session_id: &str) -> Value {
        eventually(&format!("{name} is ready in another process than {session_id}"), || {
            let service = self.service(name);
            let others = service["instances"].as_array().is_some_and(|all| {
                !all.is_empty()
                    && all.iter().all(|one| one["session_id"] != session_id && one["ready"] == true)
            });
            (service["state"] == "ready" && others).then_some(service)
        })
    }

    /// Calls one of the methods that take a service's name.
    ///
    /// # Panics
    /// When it is refused.
    pub fn order(&self, method: &str, name: &str) -> Value {
        self.call(method, json!({ "name": name }))
    }

    /// The declarations that were refused.
    #[must_use]
    pub fn problems(&self) -> Vec<Value> {
        let list = self.call("service_list", json!({}));
        list["problems"].as_array().cloned().unwrap_or_default()
    }

    /// The reason for which the declaration of this service was refused, with its key before it.
    ///
    /// # Panics
    /// When it was not refused.
    #[must_use]
    pub fn problem(&self, name: &str) -> String {
        let problems = self.problems();
        let found = problems.iter().find(|problem| problem["name"] == name);
        let problem = found.unwrap_or_else(|| panic!("{name} was not refused: {problems:#?}"));
        let file = problem["file"].as_str().unwrap_or_default();
        assert!(file.ends_with(&format!("{name}/config/service.json")), "{problem:#}");
        let text = |key: &str| problem[key].as_str().unwrap_or_default();
        format!("{}: {}", text("key"), text("reason"))
    }

    /// The session of a service's first process.
    ///
    /// # Panics
    /// When it has none.
    #[must_use]
    pub fn service_session(&self, name: &str) -> String {
        let service = self.service(name);
        let id = service["instances"][0]["session_id"].as_str();
        id.unwrap_or_else(|| panic!("{name} has no process: {service:#}")).to_owned()
    }

    /// The sessions of a service that run.
    #[must_use]
    pub fn running_of(&self, name: &str) -> Vec<Value> {
        let query = json!({ "label": format!("service={name}"), "state": "running", "limit": 1000 });
        let page = self.call("session_list", query);
        page["sessions"].as_array().cloned().unwrap_or_default()
    }

    /// Where a service listens.
    ///
    /// # Panics
    /// When it listens nowhere.
    #[must_use]
    pub fn door_of(&self, name: &str) -> Door {
        let service = self.service(name);
        let address = service["address"].as_str();
        door(address.unwrap_or_else(|| panic!("{name} listens nowhere: {service:#}")))
    }

    /// A GET of a service, straight.
    ///
    /// # Panics
    /// When there is no reply.
    #[must_use]
    pub fn straight(&self, name: &str, path: &str) -> Reply {
        get(&self.door_of(name), path)
    }

    /// Where the gateway listens for TCP.
    ///
    /// # Panics
    /// When it does not.
    #[must_use]
    pub fn gateway(&self) -> Door {
        let list = self.call("service_list", json!({}));
        door(list["gateway"].as_str().expect("the gateway listens"))
    }

    /// The gateway's Unix socket.
    #[must_use]
    pub fn gateway_socket(&self) -> Door {
        Door::Unix(self.socket().with_file_name("gateway.sock"))
    }

    /// A GET through the gateway.
    ///
    /// # Panics
    /// When there is no reply.
    #[must_use]
    pub fn via(&self, path: &str) -> Reply {
        get(&self.gateway(), path)
    }

    /// The text that a GET through the gateway brings.
    ///
    /// # Panics
    /// When it is not answered with 200.
    #[must_use]
    pub fn text_via(&self, path: &str) -> String {
        good(path, self.via(path))
    }

    /// The text that a GET of a service brings, straight.
    ///
    /// # Panics
    /// When it is not answered with 200.
    #[must_use]
    pub fn text_of(&self, name: &str, path: &str) -> String {
        good(path, self.straight(name, path))
    }
}

fn good(path: &str, reply: Reply) -> String {
    let status = reply.status;
    let text = reply.text();
    assert_eq!(status, 200, "{path}: {text}");
    text
}

/// The address in `http://127.0.0.1:14000`.
///
/// # Panics
/// When there is none.
#[must_use]
pub fn door(url: &str) -> Door {
    let address: Option<SocketAddr> = url.strip_prefix("http://").and_then(|rest| rest.parse().ok());
    Door::Tcp(address.unwrap_or_else(|| panic!("{url} is no address")))
}

/// A GET.
///
/// # Panics
/// When there is no reply.
#[must_use]
pub fn get(door: &Door, path: &str) -> Reply {
    request(door, "GET", path, &[], b"")
}

/// A request.
///
/// # Panics
/// When there is no reply.
#[must_use]
pub fn request(door: &Door, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let reply = Request { method, path, headers, body }.send_to(door, patience());
    reply.unwrap_or_else(|error| panic!("{method} {path} has no reply from {door:?}: {error}"))
}
