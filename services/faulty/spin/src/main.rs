//! Prints a line, then runs for ever without another call to the host: nothing but a signal
//! reaches it.

use std::hint::black_box;

fn main() {
    println!("spinning");
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}
