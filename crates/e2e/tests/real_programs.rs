//! Programs that were built for WASI by others, unmodified: CPython and QuickJS, as `scripts/fetch_real_guests.sh` brings
//! them.

use std::path::PathBuf;

use e2e::{Server, Setup, json};

/// A program's bytes.
fn program(name: &str) -> Vec<u8> {
    let folder = std::env::var_os("HERO_REAL_GUESTS_DIR").map(PathBuf::from);
    let folder = folder.expect("HERO_REAL_GUESTS_DIR is not set: run ./test.sh, or set it to what scripts/fetch_real_guests.sh prints");
    std::fs::read(folder.join(name)).expect("the program is there")
}

fn server_with(name: &str, file: &str) -> Server {
    let server = Setup::new().start();
    let _ = server.upload(name, &program(file));
    server
}

#[test]
fn cpython_runs_a_script_from_its_input_with_a_folder() {
    let server = server_with("python", "cpython.wasm");
    let folder = server.dir().join("work");
    std::fs::create_dir(&folder).unwrap();
    std::fs::write(folder.join("in.txt"), "from the host\n").unwrap();
    let script = "
import os, sys
print('python', sys.version_info.major, os.listdir('/data'))
print(open('/data/in.txt').read().strip())
open('/data/out.txt', 'w').write('from the guest\\n')
print('a warning', file=sys.stderr)
sys.exit(3)
";
    let result = server.run(json!({
        "module": "python",
        "stdin": script,
        "dirs": [{ "host": folder, "guest": "/data", "mode": "read-write" }],
    }));
    assert_eq!(result["outcome"], json!({ "kind": "exited", "code": 3 }), "{result:#}");
    assert_eq!(result["stdout"], "python 3 ['in.txt']\nfrom the host\n");
    assert_eq!(result["stderr"], "a warning\n");
    assert_eq!(std::fs::read_to_string(folder.join("out.txt")).unwrap(), "from the guest\n");
}

#[test]
fn quickjs_runs_a_script_from_its_input() {
    let server = server_with("quickjs", "quickjs.wasm");
    let result = server.run(json!({
        "module": "quickjs",
        "args": ["--std", "--eval", "std.evalScript(std.in.readAsString())"],
        "stdin": "console.log([1, 2, 3].map(n => n * n).join(' '))",
    }));
    assert_eq!(result["outcome"], json!({ "kind": "exited", "code": 0 }), "{result:#}");
    assert_eq!(result["stdout"], "1 4 9\n");
}
