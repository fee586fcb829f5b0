//! `launch_component PROGRAM [ARGS]`: has a program of the host started with this program's standard input, and prints what it
//! prints. It needs the permission `exec`, and the program on the list of the server's settings.

use std::io::{Read, Write};
use std::process::ExitCode;

use bindings::hero::runner::exec;

#[allow(unsafe_code, missing_docs, reason = "it is generated")]
mod bindings {
    wit_bindgen::generate!({ world: "launch", generate_all });
}

fn main() -> std::io::Result<ExitCode> {
    let mut words = std::env::args().skip(1);
    let Some(program) = words.next() else {
        eprintln!("usage: launch_component PROGRAM [ARGS]");
        return Ok(ExitCode::from(2));
    };
    let args: Vec<String> = words.collect();
    let mut stdin = Vec::new();
    std::io::stdin().read_to_end(&mut stdin)?;
    Ok(match exec::run(&program, &args, &stdin) {
        Ok(output) => {
            std::io::stdout().write_all(&output.stdout)?;
            std::io::stderr().write_all(&output.stderr)?;
            if output.code == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    })
}
