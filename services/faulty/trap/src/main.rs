//! Prints a line, then executes `unreachable`.

fn main() {
    println!("about to trap");
    std::arch::wasm32::unreachable();
}
