//! What a worker does before it waits for its session, so that the session finds its memory ready.

use std::hint::black_box;

use engine::Engine;
use frames::message::{self, PREFIX_LEN};
use frames::{Kind, SessionSpec};

use crate::stdio::FrameSender;

/// How much deeper than a rehearsal a session's stack may go and still find it there, in bytes.
const DEEPER: usize = 16 * 1024;

/// Does what every session does, with nobody to see it. A forked process takes a page fault for each page that it touches
/// for the first time; these are taken here, while nobody waits.
pub fn rehearse(engine: &mut dyn Engine) {
    let mut stack = [0_u8; DEEPER];
    black_box(&mut stack);
    let spec = SessionSpec {
        session_id: "rehearsal".to_owned(),
        compiled: true,
        args: vec!["rehearsal".to_owned()],
        env: Vec::new(),
        dirs: Vec::new(),
        max_pages: 1,
        init: None,
        yield_after_ms: 0,
        raw_stdout: false,
        network: None,
        invoke: None,
        serve: None,
        ready_export: None,
        deadline_ms: 0,
        exec: false,
    };
    if let Ok(bytes) = message::encode(&spec) {
        black_box(message::decode::<SessionSpec>(&bytes[PREFIX_LEN..]).is_ok());
    }
    // A frame into a pipe that nobody reads.
    if let Ok((_reader, writer)) = std::io::pipe() {
        use std::os::fd::AsFd;
        let _ = FrameSender::new(writer.as_fd()).control(Kind::Started, &[0; 4]);
    }
    let _ = sys::sched::yield_after(std::time::Duration::ZERO);
    engine.rehearse();
}
