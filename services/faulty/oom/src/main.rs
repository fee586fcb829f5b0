//! Takes memory by the MiB and touches all of it, until there is none. Prints `N MiB` after
//! every 16. The end is the usual one of a Rust program: a message on stderr and a trap.

fn main() {
    let mut held = Vec::new();
    loop {
        // Filled with ones: zeroes would come from fresh pages that nobody touched.
        held.push(vec![1_u8; 1024 * 1024]);
        if held.len() % 16 == 0 {
            println!("{} MiB", held.len());
        }
    }
}
