//! Prints one line and ends: the smallest session there is, which benchmarks and gates measure.

fn main() {
    println!("hello, world");
}
