use super::*;

fn sources(env: &[(&str, &str)], flags: &[&str]) -> Sources {
    let mut all = BTreeMap::from([("HOME".to_owned(), "/nowhere/home".to_owned())]);
    all.extend(env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let args = std::iter::once("hero_runner_server").chain(flags.iter().copied()).map(Into::into);
    parse(args, Sources { env: all, ..Sources::default() }).unwrap().sources
}

#[test]
fn the_defaults_follow_the_hero_folders() {
    let resolved = sources(&[], &[]).resolve().unwrap();
    assert_eq!(resolved.settings.socket, Path::new("/nowhere/home/hero/var/sockets/hero_runner/rpc.sock"));
    assert_eq!(resolved.settings.services_dir, Path::new("/nowhere/home/hero/var/hero_runner/services"));
    assert_eq!(resolved.settings.spare_min, 2);
    assert_eq!(resolved.origin("spare_min"), Origin::Default);
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    std::fs::write(&file, "spare_min = 3\nspare_max = 30\nmax_sessions = 300\nmodule_dirs = [\"/a\"]\n")
        .unwrap();
    let dir = dir.path().to_str().unwrap();
    let env =
        [("HERO_RUNNER_STATE_DIR", dir), ("HERO_RUNNER_SPARE_MIN", "4"), ("HERO_RUNNER_SPARE_MAX", "40")];
    let resolved = sources(&env, &["--spare-min", "5"]).resolve().unwrap();
    let settings = &resolved.settings;
    assert_eq!((settings.spare_min, settings.spare_max, settings.max_sessions), (5, 40, 300));
    assert_eq!(settings.module_dirs, [Path::new("/a")]);
    assert_eq!(resolved.origin("spare_min"), Origin::Flag("--spare-min".into()));
    assert_eq!(resolved.origin("spare_max"), Origin::Environment("HERO_RUNNER_SPARE_MAX".into()));
    assert_eq!(resolved.origin("max_sessions"), Origin::File(file));
    let text = resolved.show(Format::Text);
    assert!(text.contains("spare_min = 5 ") && text.contains("# flag --spare-min"), "{text}");
    let json: serde_json::Value = serde_json::from_str(&resolved.show(Format::Json)).unwrap();
    assert_eq!(json["spare_max"]["value"], 40);
    assert_eq!(json["spare_max"]["from"], "environment HERO_RUNNER_SPARE_MAX");
    assert_eq!(json.as_object().unwrap().len(), ROWS.len());
}

#[test]
fn an_unknown_key_names_itself_and_its_source() {
    let error = sources(&[("HERO_RUNNER_SPARE_MINN", "1")], &[]).resolve().unwrap_err();
    assert_eq!(error.origin, Origin::Environment("HERO_RUNNER_SPARE_MINN".into()));
    assert!(error.to_string().contains("HERO_RUNNER_SPARE_MINN"));

    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("my.toml");
    std::fs::write(&file, "spare_minn = 3\n").unwrap();
    let error = sources(&[], &["--config", file.to_str().unwrap()]).resolve().unwrap_err();
    assert_eq!((error.key.as_str(), error.origin), ("spare_minn", Origin::File(file)));

    let args = ["hero_runner_server", "--spare-minn", "1"].map(Into::into);
    let error = parse(args, Sources::default()).unwrap_err();
    assert_eq!(error.exit_code(), 2);
    assert!(error.to_string().contains("--spare-minn"), "{error}");
}

#[test]
fn the_variables_of_the_build_are_no_settings_and_no_error() {
    let env =
        [("HERO_RUNNER_CACHE_DIR", "/x"), ("HERO_RUNNER_WASMEDGE_RUNTIME", "/y"), ("HERO_SOCKET_DIR", "/s")];
    let resolved = sources(&env, &[]).resolve().unwrap();
    assert_eq!(resolved.settings.socket, Path::new("/s/hero_runner/rpc.sock"));
}

#[test]
fn bad_values_are_refused_with_key_and_source() {
    for (flag, word) in [
        ("--spare-min=x", "whole number"),
        ("--spare-min=-1", "whole number"),
        ("--max-sessions=4294967296", "whole number"),
        ("--spare-min=9", "spare_max"),
        ("--max-sessions=0", "1 or more"),
        ("--compile=maybe", "neither true nor false"),
        ("--log-level=loud", "not one of"),
        ("--state-dir=~/x", "tilde"),
        ("--server-threads=0", "1 to 64"),
    ] {
        let error = sources(&[], &[flag]).resolve().unwrap_err();
        assert!(error.to_string().contains(word), "{flag}: {error}");
        assert!(error.to_string().contains("flag --"), "{flag}: {error}");
    }
    let long = format!("/{}/rpc.sock", "x".repeat(100));
    let error = sources(&[("HERO_RUNNER_SOCKET", &long)], &[]).resolve().unwrap_err();
    assert!(error.problem.contains("107"), "{error}");
}

#[test]
fn a_file_that_was_named_has_to_exist_and_be_toml() {
    let error = sources(&[("HERO_RUNNER_CONFIG", "/nowhere/c.toml")], &[]).resolve().unwrap_err();
    assert!(error.to_string().contains("/nowhere/c.toml"), "{error}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("config.toml");
    for (text, word) in [
        ("spare_min = ", "TOML"),
        ("spare_min = \"3\"", "whole number"),
        ("services_dir = \"x\"", "slash"),
        ("state_dir = \"/x\"", "cannot move it"),
    ] {
        std::fs::write(&file, text).unwrap();
        let env = [("HERO_RUNNER_STATE_DIR", dir.path().to_str().unwrap())];
        let error = sources(&env, &[]).resolve().unwrap_err();
        assert!(error.to_string().contains(word), "{text}: {error}");
    }
}

#[test]
fn lists_and_switches_read_as_people_write_them() {
    let resolved = sources(
        &[("HERO_RUNNER_FORWARD_LOGS", "1")],
        &["--module-dirs", "/a:/b", "--module-dirs", "/c", "--compile=false"],
    )
    .resolve()
    .unwrap();
    assert_eq!(resolved.settings.module_dirs, ["/a", "/b", "/c"].map(PathBuf::from));
    assert!(resolved.settings.forward_logs && !resolved.settings.compile);
    assert!(sources(&[], &["--forward-logs"]).resolve().unwrap().settings.forward_logs);
}

#[test]
fn a_change_is_told_by_name() {
    let old = sources(&[], &[]).resolve().unwrap();
    let new = sources(&[], &["--log-level", "debug", "--spare-max", "9"]).resolve().unwrap();
    assert_eq!(old.changes(&new), ["log_level", "spare_max"]);
}
