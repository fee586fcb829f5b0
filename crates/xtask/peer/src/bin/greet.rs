//! Prints what the guest `greet` prints, as a component.

fn main() {
    println!("hello, world");
}
