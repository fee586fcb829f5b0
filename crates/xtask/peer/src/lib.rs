//! Answers each HTTP request with one line, as the guest `cgi_echo` answers `/`.

use wasip2::http::types::{Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam};

struct Greeter;

wasip2::http::proxy::export!(Greeter);

impl wasip2::exports::http::incoming_handler::Guest for Greeter {
    fn handle(_: IncomingRequest, out: ResponseOutparam) {
        let headers = Fields::new();
        headers.set("content-type", &[b"text/plain".to_vec()]).expect("the field is one");
        let response = OutgoingResponse::new(headers);
        let body = response.body().expect("nobody has taken the body");
        ResponseOutparam::set(out, Ok(response));
        let stream = body.write().expect("nobody has taken the stream");
        // A client that is gone needs no answer.
        let _ = stream.blocking_write_and_flush(b"hello from a handler\n");
        drop(stream);
        let _ = OutgoingBody::finish(body, None);
    }
}
