//! Prints what the session was given: `arg N VALUE` for each argument (0 is the program), the
//! environment as `KEY=VALUE` sorted by key, then `cwd PATH`.

fn main() -> std::io::Result<()> {
    for (position, value) in std::env::args_os().enumerate() {
        println!("arg {position} {}", value.to_string_lossy());
    }
    let mut variables: Vec<_> = std::env::vars_os().collect();
    variables.sort();
    for (key, value) in variables {
        println!("{}={}", key.to_string_lossy(), value.to_string_lossy());
    }
    println!("cwd {}", std::env::current_dir()?.display());
    Ok(())
}
