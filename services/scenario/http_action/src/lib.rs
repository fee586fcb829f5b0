//! HTTP/1.1 requests, one at a time per user and many users at a time, on connections that are kept.

mod action;
mod answer;
mod engine;
mod link;
mod origin;
mod tls;
mod user;

use std::rc::Rc;

use bindings::exports::hero::scenario::http_action::{
    Action, ActionBorrow, Completion, Guest, GuestAction, GuestUser, Request,
};

#[allow(unsafe_code, reason = "what wit-bindgen makes calls what the host makes")]
#[allow(missing_docs, reason = "documented in the WIT")]
mod bindings {
    wit_bindgen::generate!({ path: "../wit", world: "http-actions" });
}

#[allow(unsafe_code, reason = "functions with fixed names are what the host finds")]
mod exports {
    use super::{HttpAction, bindings};
    bindings::export!(HttpAction with_types_in bindings);
}

struct HttpAction;

impl Guest for HttpAction {
    type Action = Prepared;
    type User = Handle;

    fn wait(until: u64) -> Vec<Completion> {
        engine::wait(until)
    }
}

/// A request, shared with those who are sending it.
struct Prepared(Rc<action::Action>);

impl GuestAction for Prepared {
    fn prepare(request: Request) -> Result<Action, String> {
        action::Action::prepare(request).map(|action| Action::new(Self(Rc::new(action))))
    }
}

/// A user's place among all of them.
struct Handle(usize);

impl GuestUser for Handle {
    fn new(token: u32, source: Option<String>) -> Self {
        Self(engine::add(user::User::new(token, source)))
    }

    fn start(&self, action: ActionBorrow<'_>) {
        engine::start(self.0, action.get::<Prepared>().0.clone());
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        engine::remove(self.0);
    }
}
