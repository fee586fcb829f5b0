//! Prints one line and ends: the smallest session there is.

fn main() {
    println!("hello, world");
}
