//! Descriptors that are the engine's, in a guest that has a network.

use engine::{Ending, Network};

use crate::guest::{How, Left, run_as, start};

/// Writes what is known of 0, 1, 2 and the folder, which is 3. Sets flags of standard error, for which there is no right.
/// Then closes the folder and asks again.
const FACTS: &str = "
    (loop $again
      (call $ok (call $stat (local.get $n) (i32.add (i32.const 1024) (i32.mul (local.get $n) (i32.const 24))))
        (i32.const 20))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.lt_u (local.get $n) (i32.const 4))))
    (i32.store (i32.const 52) (i32.const 96))
    (call $ok (call $fd_write (i32.const 1) (i32.const 48) (i32.const 1) (i32.const 40)) (i32.const 21))
    (call $want (call $flags (i32.const 2) (i32.const 1)) (i32.const 76) (i32.const 22))
    (call $ok (call $close (i32.const 3)) (i32.const 23))
    (call $want (call $stat (i32.const 3) (i32.const 1024)) (i32.const 8) (i32.const 24))
    (call $want (call $close (i32.const 3)) (i32.const 8) (i32.const 25))
    (call $want (call $flags (i32.const 3) (i32.const 0)) (i32.const 8) (i32.const 26))";

#[test]
fn streams_and_folders_are_the_engines_as_before() {
    let network = Network::default();
    for how in [How::Interpreted, How::Compiled] {
        let before = run_as(how, &start(0, FACTS), None);
        assert_eq!(before.ending, Ending::Exited(0));
        assert_eq!(before.stdout.len(), 96);
        // A folder, with rights.
        assert_eq!(before.stdout[72], 3);
        assert_eq!(run_as(how, &start(0, FACTS), Some(&network)), before);
    }
}

#[test]
fn standard_streams_and_a_place_outside_of_the_memory_are_told_from_sockets() {
    let body = start(
        0,
        "(local.set $c (call $socket (i32.const 2)))
         (call $want (call $stat (local.get $c) (i32.const 65535)) (i32.const 21) (i32.const 20))
         (call $want (call $stat (i32.const 1) (i32.const 65535)) (i32.const 21) (i32.const 21))
         (call $want (call $fd_read (local.get $c) (i32.const 48) (i32.const 1) (i32.const 40)) (i32.const 53)
           (i32.const 22))
         (call $want (call $fd_write (local.get $c) (i32.const 48) (i32.const 1) (i32.const 40)) (i32.const 53)
           (i32.const 23))
         (call $ok (call $fd_read (i32.const 0) (i32.const 48) (i32.const 1) (i32.const 40)) (i32.const 24))
         (call $ok (i32.load (i32.const 40)) (i32.const 25))
         (call $ok (call $close (local.get $c)) (i32.const 26))
         (call $want (call $close (local.get $c)) (i32.const 8) (i32.const 27))
         (call $want (call $sock_recv (i32.const 1) (i32.const 48) (i32.const 1) (i32.const 0) (i32.const 40)
           (i32.const 44)) (i32.const 8) (i32.const 28))",
    );
    assert_eq!(run_as(How::Interpreted, &body, Some(&Network::default())), Left::quietly());
}
