//! The program itself, as far as it goes without an engine: flags, exit codes, two servers on one folder.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};

use hero_runner_server::lock::Lock;
use hero_runner_server::settings::Sources;

fn run(env: &[(&str, &str)], args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hero_runner_server"));
    command.env_clear().env("HOME", "/nowhere").envs(env.iter().copied()).args(args);
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (status.code().unwrap(), text(stdout), text(stderr))
}

#[test]
fn help_and_version_go_to_standard_output() {
    let (code, out, _) = run(&[], &["--version"]);
    assert_eq!((code, out), (0, format!("hero_runner_server {}\n", api::VERSION)));
    let (code, out, _) = run(&[], &["--help"]);
    assert_eq!(code, 0);
    for row in hero_runner_server::settings::ROWS {
        assert!(out.contains(&format!("--{}", row.flag())), "{} is missing", row.name);
        assert!(out.contains(row.doc.trim().trim_end_matches('.')), "{} has no sentence", row.name);
    }
}

#[test]
fn wrong_usage_and_wrong_settings_exit_with_2() {
    let (code, _, err) = run(&[], &["--nonsense"]);
    assert!(code == 2 && err.contains("--nonsense"), "{err}");
    let (code, _, err) = run(&[("HERO_RUNNER_NONSENSE", "1")], &[]);
    assert!(code == 2 && err.contains("HERO_RUNNER_NONSENSE"), "{err}");
    let (code, _, err) = run(&[("HERO_RUNNER_SPARE_MIN", "many")], &["--print-config"]);
    assert!(
        code == 2 && err.contains("spare_min") && err.contains("environment HERO_RUNNER_SPARE_MIN"),
        "{err}"
    );
}

#[test]
fn print_config_shows_value_and_source() {
    let (code, out, _) = run(&[("HERO_RUNNER_SPARE_MAX", "9")], &["--print-config"]);
    assert!(code == 0 && out.lines().any(|line| line.starts_with("spare_max = 9 ")), "{out}");
    let (code, out, _) = run(&[("HERO_RUNNER_SPARE_MAX", "9")], &["--print-config", "-o", "json"]);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &json["spare_max"]["from"]), (0, &"environment HERO_RUNNER_SPARE_MAX".into()));
}

#[test]
fn a_second_server_on_one_folder_exits_with_1_and_the_number_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let place = dir.path().to_str().unwrap();
    let env = [("HERO_SOCKET_DIR", place), ("HERO_RUNNER_STATE_DIR", place)];
    let all = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let settings = Sources { env: all, ..Sources::default() }.resolve().unwrap().settings;
    let lock = Lock::take(&settings).unwrap();
    let (code, _, err) = run(&env, &[]);
    assert_eq!(code, 1);
    assert!(err.contains(&format!("pid {}", std::process::id())), "{err}");
    drop(lock);
}
