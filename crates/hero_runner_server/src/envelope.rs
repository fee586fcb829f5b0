//! The envelope of JSON-RPC 2.0: from the bytes of a body to the bytes of the reply.
//!
//! It is our own and not a library's, because the one that fits here takes ids that are negative or fractional for
//! notifications and answers two of the specification's examples differently; `docs/decisions/0003-json-rpc-envelope.md`
//! has the record. Identifiers are never interpreted: what came is what goes back, digit for digit.

use std::borrow::Cow;

use api::{ErrorCode, error::Error};
use serde::de::{Deserialize, Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::methods::{Methods, Reply};
use crate::refusal::Refusal;

/// The deepest nesting of a body, the outermost value counted.
pub const DEPTH_MAX: usize = 128;

/// What a body may ask for.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most requests in a batch.
    pub batch: usize,
    /// When the replies of a batch have this many bytes, the rest of it is refused.
    pub batch_reply_bytes: usize,
}

#[derive(serde::Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    jsonrpc: Cow<'a, str>,
    #[serde(borrow)]
    method: Cow<'a, str>,
    // Some clients send null where they have no parameters; it does no harm.
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

#[derive(serde::Deserialize)]
struct OnlyId<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

/// Tells an id of null, which is answered, from no id at all, which is not.
fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// Answers a body; `None` where it holds notifications only.
pub async fn answer(methods: &Methods, limits: Limits, body: &[u8]) -> Option<Vec<u8>> {
    let text = match std::str::from_utf8(body) {
        Ok(text) => text,
        Err(error) => return Some(refused(&Refusal::parse_error(error))),
    };
    if too_deep(body) {
        return Some(refused(&Refusal::parse_error(format!("nested deeper than {DEPTH_MAX} levels"))));
    }
    if text.trim_start().starts_with('[') {
        return batch(methods, limits, text).await;
    }
    let mut out = Vec::with_capacity(256);
    match request(text) {
        Ok(request) => one(methods, &request, &mut out).await,
        // It is an invalid request only if it is valid JSON, to its end.
        Err(refusal) => match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => write(&mut out, recovered_id(text), Err(refusal)),
            Err(error) => write(&mut out, None, Err(Refusal::parse_error(error))),
        },
    }
    (!out.is_empty()).then_some(out)
}

async fn batch(methods: &Methods, limits: Limits, text: &str) -> Option<Vec<u8>> {
    let Elements { list, count } = match elements(text, limits.batch) {
        Ok(elements) => elements,
        Err(error) => return Some(refused(&Refusal::parse_error(error))),
    };
    if count == 0 {
        return Some(refused(&Refusal::invalid_request("the batch is empty")));
    }
    if count > limits.batch {
        let why = format!("the batch has {count} requests, batch_max is {}", limits.batch);
        return Some(refused(&Refusal::invalid_request(why)));
    }
    let mut out = vec![b'['];
    // One after the other: a batch may start a session, wait for it and read its result.
    for element in list {
        let before = out.len();
        if before > 1 {
            out.push(b',');
        }
        let start = out.len();
        match request(element.get()) {
            Ok(request) if start > limits.batch_reply_bytes => {
                if let Some(id) = request.id {
                    let message =
                        format!("the replies of this batch exceed {} bytes", limits.batch_reply_bytes);
                    write(&mut out, Some(id), Err(Error::new(ErrorCode::TooLarge, message).into()));
                }
            }
            Ok(request) => one(methods, &request, &mut out).await,
            Err(refusal) => write(&mut out, recovered_id(element.get()), Err(refusal)),
        }
        if out.len() == start {
            out.truncate(before);
        }
    }
    if out.len() == 1 {
        return None;
    }
    out.push(b']');
    Some(out)
}

/// Runs one request and appends its reply, if it is owed one.
async fn one(methods: &Methods, request: &Request<'_>, out: &mut Vec<u8>) {
    let reply = methods.call(&request.method, request.params).await;
    if let Some(id) = request.id {
        write(out, Some(id), reply);
    }
}

fn request(text: &str) -> Result<Request<'_>, Refusal> {
    // serde would take an array for the fields in their order.
    if !text.trim_start().starts_with('{') {
        return Err(Refusal::invalid_request("it is not an object"));
    }
    let request: Request<'_> = serde_json::from_str(text).map_err(Refusal::invalid_request)?;
    if request.jsonrpc != "2.0" {
        return Err(Refusal::invalid_request("`jsonrpc` is not \"2.0\""));
    }
    if request.id.is_some_and(|id| !is_id(id)) {
        return Err(Refusal::invalid_request("`id` is neither a string, a number nor null"));
    }
    if request.params.is_some_and(|params| !params.get().starts_with(['{', '['])) {
        return Err(Refusal::invalid_request("`params` is neither an object nor an array"));
    }
    Ok(request)
}

fn is_id(id: &RawValue) -> bool {
    matches!(id.get().as_bytes().first(), Some(b'"' | b'-' | b'0'..=b'9' | b'n'))
}

/// The id of a request that is otherwise invalid; null where that is not to be found either.
fn recovered_id(text: &str) -> Option<&RawValue> {
    if !text.trim_start().starts_with('{') {
        return None;
    }
    serde_json::from_str::<OnlyId<'_>>(text).ok()?.id.filter(|id| is_id(id))
}

fn refused(refusal: &Refusal) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    write(&mut out, None, Err(refusal.clone()));
    out
}

fn write(out: &mut Vec<u8>, id: Option<&RawValue>, reply: Reply) {
    let id = id.map_or("null", RawValue::get);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.as_bytes());
    match reply {
        Ok(result) => {
            out.extend_from_slice(br#","result":"#);
            out.extend_from_slice(&result);
        }
        Err(refusal) => {
            out.extend_from_slice(br#","error":"#);
            // Writing into memory fails only where a map has a key that is no string; there is no map.
            let _ = serde_json::to_writer(&mut *out, &refusal);
        }
    }
    out.push(b'}');
}

/// The elements of a batch: at most one more than the limit is kept, all are checked and counted.
struct Elements<'a> {
    list: Vec<&'a RawValue>,
    count: usize,
}

fn elements(text: &str, limit: usize) -> serde_json::Result<Elements<'_>> {
    struct Counting {
        limit: usize,
    }

    impl<'de> Visitor<'de> for Counting {
        type Value = Elements<'de>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a batch of requests")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            let mut list = Vec::new();
            while list.len() <= self.limit {
                match seq.next_element()? {
                    Some(element) => list.push(element),
                    None => return Ok(Elements { count: list.len(), list }),
                }
            }
            let mut count = list.len();
            while seq.next_element::<IgnoredAny>()?.is_some() {
                count += 1;
            }
            Ok(Elements { list, count })
        }
    }

    let mut deserializer = serde_json::Deserializer::from_str(text);
    let elements = deserializer.deserialize_seq(Counting { limit })?;
    deserializer.end()?;
    Ok(elements)
}

/// Whether brackets nest deeper than [`DEPTH_MAX`]. serde_json skips what it need not look at without counting.
fn too_deep(body: &[u8]) -> bool {
    if body.iter().filter(|byte| matches!(byte, b'[' | b'{')).count() <= DEPTH_MAX {
        return false;
    }
    let mut depth = 0_usize;
    let mut in_string = false;
    let mut bytes = body.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => in_string = !in_string,
            b'\\' if in_string => {
                bytes.next();
            }
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > DEPTH_MAX {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}
