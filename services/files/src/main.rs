//! Does one thing to a file or folder. An error goes to stderr, with exit code 1.
//!
//! ```text
//! files read PATH            its content on stdout
//! files write PATH TEXT      creates or replaces
//! files append PATH TEXT     creates or extends
//! files list DIR             one name a line, sorted; folders end in a slash
//! files remove PATH          a file, a link or an empty folder
//! files mkdir PATH
//! files stat PATH            "file SIZE", "dir", "symlink" or "other"; links are not followed
//! files symlink TARGET LINK
//! files rename FROM TO
//! ```

use std::ffi::{CString, c_char, c_int};
use std::fs::{self, File};
use std::io::{self, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["read", path] => read(path),
        ["write", path, text] => fs::write(path, text),
        ["append", path, text] => append(path, text),
        ["list", dir] => list(dir),
        ["remove", path] => remove(path),
        ["mkdir", path] => fs::create_dir(path),
        ["stat", path] => stat(path),
        ["symlink", target, link] => symlink(target, link),
        ["rename", from, to] => fs::rename(from, to),
        _ => {
            eprintln!("usage: files read|write|append|list|remove|mkdir|stat|symlink|rename PATH ...");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("files: {}: {error}", words.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn read(path: &str) -> io::Result<()> {
    io::copy(&mut File::open(path)?, &mut io::stdout().lock())?;
    Ok(())
}

fn append(path: &str, text: &str) -> io::Result<()> {
    File::options().append(true).create(true).open(path)?.write_all(text.as_bytes())
}

fn list(dir: &str) -> io::Result<()> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let slash = if entry.file_type()?.is_dir() { "/" } else { "" };
        names.push(format!("{}{slash}", entry.file_name().to_string_lossy()));
    }
    names.sort();
    for name in names {
        println!("{name}");
    }
    Ok(())
}

fn remove(path: &str) -> io::Result<()> {
    if fs::symlink_metadata(path)?.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) }
}

fn stat(path: &str) -> io::Result<()> {
    let metadata = fs::symlink_metadata(path)?;
    if metadata.is_file() {
        println!("file {}", metadata.len());
    } else if metadata.is_dir() {
        println!("dir");
    } else if metadata.is_symlink() {
        println!("symlink");
    } else {
        println!("other");
    }
    Ok(())
}

/// Links are not in the standard library's stable interface for WASI; they are in the C library
/// below it.
#[allow(unsafe_code, reason = "one call into the C library that every guest is linked with")]
fn symlink(target: &str, link: &str) -> io::Result<()> {
    unsafe extern "C" {
        fn symlink(target: *const c_char, link: *const c_char) -> c_int;
    }
    let (target, link) = (CString::new(target)?, CString::new(link)?);
    // SAFETY: both are strings that end in NUL and outlive the call.
    if unsafe { symlink(target.as_ptr(), link.as_ptr()) } == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
