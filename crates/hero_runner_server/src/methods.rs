//! The table of methods: from a name and raw parameters to a raw reply.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;

use api::{Method, error::Error};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use serde_json::value::RawValue;

use crate::refusal::Refusal;

/// A reply in JSON, or why there is none.
pub type Reply = Result<Bytes, Refusal>;

type Call = Box<dyn Fn(Option<&RawValue>) -> BoxFuture<'static, Reply> + Send + Sync>;

/// The methods that can be called, by name.
#[derive(Default)]
pub struct Methods {
    calls: HashMap<&'static str, Call>,
}

impl fmt::Debug for Methods {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.calls.keys()).finish()
    }
}

impl Methods {
    /// Registers a method by its type. `call` must not do anything before the future it returns is polled.
    pub fn on<M, F, R>(&mut self, call: F)
    where
        M: Method,
        F: Fn(M::Params) -> R + Send + Sync + 'static,
        R: Future<Output = Result<M::Reply, Error>> + Send + 'static,
    {
        let call = move |params: Option<&RawValue>| -> BoxFuture<'static, Reply> {
            // Without parameters a method sees an empty object, so that serde names what is missing.
            match serde_json::from_str::<M::Params>(params.map_or("{}", RawValue::get)) {
                Ok(params) => {
                    let reply = call(params);
                    Box::pin(async move { encode(&reply.await?) })
                }
                Err(error) => Box::pin(std::future::ready(Err(Refusal::invalid_params(M::NAME, error)))),
            }
        };
        self.calls.insert(M::NAME, Box::new(call));
    }

    /// Registers a method that takes nothing and always answers the same text of JSON.
    pub fn constant<M: Method>(&mut self, text: Bytes) {
        let call = move |params: Option<&RawValue>| -> BoxFuture<'static, Reply> {
            let reply = match serde_json::from_str::<M::Params>(params.map_or("{}", RawValue::get)) {
                Ok(_) => Ok(text.clone()),
                Err(error) => Err(Refusal::invalid_params(M::NAME, error)),
            };
            Box::pin(std::future::ready(reply))
        };
        self.calls.insert(M::NAME, Box::new(call));
    }

    /// The names, in no order.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.calls.keys().copied()
    }

    /// Calls a method.
    pub async fn call(&self, method: &str, params: Option<&RawValue>) -> Reply {
        match self.calls.get(method) {
            Some(call) => call(params).await,
            None => Err(Refusal::method_not_found(method)),
        }
    }
}

fn encode<T: serde::Serialize>(reply: &T) -> Reply {
    match serde_json::to_vec(reply) {
        Ok(text) => Ok(text.into()),
        Err(error) => {
            let message = format!("the reply cannot be written as JSON: {error}");
            Err(Error::new(api::ErrorCode::Internal, message).into())
        }
    }
}
