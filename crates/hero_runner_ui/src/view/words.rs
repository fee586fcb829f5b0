//! Sizes, states and ends in words.

use api::module::{ArtifactState, ModuleKind};
use api::session::{EngineKind, RunMode, SessionInfo, StartKind};
pub(crate) use api::size::{bytes, kib};
use api::{Outcome, SessionState};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use super::span;

/// A length of time in milliseconds.
pub(crate) fn millis(ms: u64) -> String {
    if ms == 0 { "< 1 ms".to_owned() } else { span(ms.saturating_mul(1000)) }
}

/// A limit in milliseconds, as somebody has written it: `30 s`, `1.5 s`, `250 ms`.
pub(crate) fn limit(ms: u64) -> String {
    match ms {
        0..1000 => format!("{ms} ms"),
        _ if ms.is_multiple_of(60_000) => format!("{} min", ms / 60_000),
        _ if ms.is_multiple_of(1000) => format!("{} s", ms / 1000),
        _ => millis(ms),
    }
}

/// A count with thin spaces between the thousands: `100 000`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun: `1 line`, `2 lines`.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A module as a request named it; a digest cut to what tells it apart.
pub(crate) fn module(name: &str) -> String {
    match name.strip_prefix("sha256:") {
        Some(digest) => format!("sha256:{}…", digest.chars().take(12).collect::<String>()),
        None => name.to_owned(),
    }
}

/// A session's id, cut to what tells it apart.
pub(crate) fn short_id(id: &str) -> String {
    let short: String = id.chars().take(20).collect();
    if short.len() < id.len() { format!("{short}…") } else { short }
}

/// Arguments as they would be written in a shell.
pub(crate) fn command_line(args: &[String]) -> String {
    let plain = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+:@%=,".contains(c))
    };
    let quoted = args
        .iter()
        .map(|word| if plain(word) { word.clone() } else { format!("'{}'", word.replace('\'', r"'\''")) });
    quoted.collect::<Vec<_>>().join(" ")
}

/// An address with the fields of its query that say something.
pub(crate) fn address(path: &str, fields: &[(&str, &str)]) -> String {
    let said = fields.iter().filter(|(_, value)| !value.is_empty());
    let pairs: Vec<String> = said.map(|(name, value)| format!("{name}={}", segment(value))).collect();
    if pairs.is_empty() { path.to_owned() } else { format!("{path}?{}", pairs.join("&")) }
}

/// A text as one segment of a path, or one value of a query.
pub(crate) fn segment(text: &str) -> String {
    const KEPT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
    utf8_percent_encode(text, KEPT).to_string()
}

/// A mark: words, and the class of its colour.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mark {
    pub(crate) words: String,
    pub(crate) tone: &'static str,
    /// More about it.
    pub(crate) why: Option<String>,
}

impl Mark {
    pub(crate) fn new(words: impl Into<String>, tone: &'static str) -> Self {
        Self { words: words.into(), tone, why: None }
    }

    fn why(self, why: &str) -> Self {
        Self { why: (!why.is_empty()).then(|| why.to_owned()), ..self }
    }
}

/// Where a session stands, or how it ended.
pub(crate) fn standing(session: &SessionInfo) -> Mark {
    match (&session.outcome, session.state) {
        (Some(outcome), _) => ended(outcome, session.limits.timeout_ms, session.limits.memory_limit_mb),
        (None, SessionState::Pending) => Mark::new("waits for a worker", "busy"),
        (None, SessionState::Running) if session.ready => Mark::new("running", "busy"),
        (None, SessionState::Running) => Mark::new("not ready yet", "busy"),
        (None, SessionState::Succeeded) => Mark::new("succeeded", "good"),
        (None, SessionState::Failed) => Mark::new("failed", "bad"),
        (None, SessionState::Cancelled) => Mark::new("stopped", "quiet"),
    }
}

/// How a session ended, with the limits that it ran into.
pub(crate) fn ended(outcome: &Outcome, timeout_ms: Option<u64>, memory_mb: Option<u32>) -> Mark {
    match outcome {
        Outcome::Exited { code: 0 } => Mark::new("exited 0", "good"),
        Outcome::Exited { code } => Mark::new(format!("exited {code}"), "bad"),
        Outcome::Returned { ok: true } => Mark::new("returned", "good"),
        Outcome::Returned { ok: false } => Mark::new("returned an error", "bad"),
        Outcome::Trapped { trap, message } => {
            let why = if message == trap { "" } else { message };
            Mark::new(format!("trapped: {}", trap.replace('_', " ")), "bad").why(why)
        }
        Outcome::LoadFailed { message } => Mark::new("could not be loaded", "bad").why(message),
        Outcome::TimedOut => Mark::new(
            timeout_ms.map_or("timed out".to_owned(), |ms| format!("timed out after {}", limit(ms))),
            "bad",
        ),
        Outcome::NotReady => Mark::new("was not ready in time", "bad"),
        Outcome::MemoryLimit => Mark::new(
            memory_mb.map_or("out of memory".to_owned(), |mb| format!("out of memory ({mb} MiB)")),
            "bad",
        ),
        Outcome::Killed { signal: 9 } => Mark::new("killed from outside", "bad").why("signal 9 (SIGKILL)"),
        Outcome::Killed { signal } => {
            Mark::new(format!("killed by signal {signal}"), "bad").why(if *signal == 11 {
                "SIGSEGV: most likely it recursed until its stack was full"
            } else {
                ""
            })
        }
        Outcome::Cancelled => Mark::new("stopped", "quiet"),
        Outcome::WorkerLost => Mark::new("its worker was lost", "bad"),
        Outcome::Interrupted => {
            Mark::new("interrupted", "bad").why("the server died while it ran, or was stopped")
        }
    }
}

/// How a session came to its process: the word, and what it means.
pub(crate) fn start(start: StartKind) -> (&'static str, &'static str) {
    match start {
        StartKind::Warm => ("warm", "forked from a template of its module"),
        StartKind::Parked => ("parked", "a worker stood ready for it"),
        StartKind::Cold => {
            ("cold", "it waited until a worker was forked, or for a template that was not warm")
        }
    }
}

/// Which code ran.
pub(crate) fn mode(mode: RunMode) -> &'static str {
    match mode {
        RunMode::Interpreted => "interpreted",
        RunMode::Compiled => "compiled",
    }
}

/// What a file is.
pub(crate) fn module_kind(kind: ModuleKind) -> &'static str {
    match kind {
        ModuleKind::Core => "core",
        ModuleKind::Component => "component",
    }
}

/// Whether a module runs compiled.
pub(crate) fn artifact(artifact: &ArtifactState) -> Mark {
    match artifact {
        ArtifactState::Interpreted => Mark::new("not yet", "quiet"),
        ArtifactState::Compiling => Mark::new("compiling", "busy"),
        ArtifactState::Compiled { size, compile_ms } => {
            Mark::new("compiled", "good").why(&format!("{} in {}", bytes(*size), millis(*compile_ms)))
        }
        ArtifactState::Failed { why } => Mark::new("failed", "bad").why(why),
    }
}

/// A text with words in backticks as HTML, in which these are code.
pub(crate) fn rich(text: &str) -> String {
    let mut html = String::new();
    let even = text.matches('`').count() / 2 * 2;
    for (place, piece) in text.splitn(even + 1, '`').enumerate() {
        let escaped =
            piece.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;");
        if place % 2 == 1 {
            html.push_str(&format!("<code>{escaped}</code>"));
        } else {
            html.push_str(&escaped);
        }
    }
    html
}

/// JSON inside of a `<script>` that is data: nothing in it can end that.
pub(crate) fn json(value: &serde_json::Value) -> String {
    value.to_string().replace('<', "\\u003c")
}

/// An engine's name.
pub(crate) fn engine(engine: EngineKind) -> &'static str {
    match engine {
        EngineKind::Wasmedge => "WasmEdge",
        EngineKind::Wasmtime => "Wasmtime",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_for_people() {
        assert_eq!([bytes(512), bytes(1_258_291), kib(1024)], ["512 B", "1.2 MiB", "1.0 MiB"]);
        assert_eq!(
            [limit(250), limit(30_000), limit(120_000), limit(1500)],
            ["250 ms", "30 s", "2 min", "1.5 s"]
        );
        assert_eq!(
            [count(7), count(1000), count(1_234_567)],
            ["7", "1\u{202f}000", "1\u{202f}234\u{202f}567"]
        );
        assert_eq!([plural(1, "line"), plural(0, "line")], ["1 line", "0 lines"]);
    }

    #[test]
    fn only_backticks_become_markup() {
        assert_eq!(rich("a `b<c` & `d"), "a <code>b&lt;c</code> &amp; `d");
        assert_eq!(json(&serde_json::json!("</script>")), r#""\u003c/script>""#);
    }

    #[test]
    fn an_end_says_what_it_ran_into() {
        let words = |outcome: Outcome| ended(&outcome, Some(30_000), Some(64)).words;
        assert_eq!(words(Outcome::TimedOut), "timed out after 30 s");
        assert_eq!(words(Outcome::MemoryLimit), "out of memory (64 MiB)");
        let trap = Outcome::Trapped { trap: "out_of_bounds".into(), message: "at 0x1".into() };
        assert_eq!(ended(&trap, None, None).why.as_deref(), Some("at 0x1"));
        assert_eq!(words(trap), "trapped: out of bounds");
        assert_eq!(ended(&Outcome::Exited { code: 0 }, None, None).tone, "good");
    }
}
