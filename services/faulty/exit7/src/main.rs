//! Prints a line on stderr and ends with exit code 7.

fn main() {
    eprintln!("exiting with 7");
    std::process::exit(7);
}
