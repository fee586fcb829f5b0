//! What a file is, by its first bytes.

use std::fmt;

use api::ErrorCode;
use api::error::Error;

use super::Kind;

/// Why a file is none that could be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What kind of fault it is.
    pub code: ErrorCode,
    /// What it is; for bytes that are wrong, with their offset.
    pub reason: String,
}

impl Refused {
    pub(super) fn invalid(reason: impl Into<String>) -> Self {
        Self { code: ErrorCode::ModuleInvalid, reason: reason.into() }
    }

    pub(super) fn malformed(error: &wasmparser::BinaryReaderError) -> Self {
        Self::invalid(format!("not valid: {} (at offset {:#x})", error.message(), error.offset()))
    }

    pub(super) fn precompiled(what: &str) -> Self {
        let reason = format!(
            "{what}: code compiled elsewhere is never run; give the plain .wasm file, it is compiled here"
        );
        Self { code: ErrorCode::ModuleUnsupported, reason }
    }
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refused {}

impl From<Refused> for Error {
    fn from(refused: Refused) -> Self {
        Self::new(refused.code, refused.reason)
    }
}

/// Whether a file begins as a core module or as a component.
///
/// # Errors
/// When it is neither; native code is called what it is.
pub fn header(bytes: &[u8]) -> Result<Kind, Refused> {
    const NATIVE: [(&[u8], &str); 6] = [
        (b"\x7fELF", "ELF, which is also what Wasmtime compiles to (.cwasm)"),
        (b"\xcf\xfa\xed\xfe", "Mach-O"),
        (b"\xfe\xed\xfa\xcf", "Mach-O"),
        (b"\xca\xfe\xba\xbe", "Mach-O"),
        (b"MZ", "PE"),
        (b"!<arch>\n", "static"),
    ];
    if bytes.is_empty() {
        return Err(Refused::invalid("the file is empty"));
    }
    if let Some((_, format)) = NATIVE.iter().find(|(magic, _)| bytes.starts_with(magic)) {
        return Err(Refused::precompiled(&format!("the file is native code ({format})")));
    }
    let text = bytes.trim_ascii_start();
    if text.starts_with(b"(module") || text.starts_with(b"(component") {
        let reason = "the file is in the text format: convert it to binary first (wasm-tools parse)";
        return Err(Refused::invalid(reason));
    }
    if !bytes.starts_with(b"\0asm") {
        return Err(Refused::invalid(
            "not a WebAssembly file: it does not begin with \\0asm (at offset 0x0)",
        ));
    }
    match bytes.get(4..8) {
        Some([1, 0, 0, 0]) => Ok(Kind::Module),
        Some([_, _, 1, 0]) => Ok(Kind::Component),
        Some(version) => {
            Err(Refused::invalid(format!("unknown version {version:02x?} of WebAssembly (at offset 0x4)")))
        }
        None => {
            Err(Refused::invalid(format!("the file ends inside its header (at offset {:#x})", bytes.len())))
        }
    }
}
