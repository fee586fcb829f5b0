use super::*;

fn put(dir: &Path, name: &str, text: &str) {
    let folder = dir.join(name).join("config");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("service.json"), text).expect("a file");
}

#[test]
fn what_is_wrong_is_told_with_its_key_and_keeps_nothing_back() {
    let dir = tempfile::tempdir().unwrap();
    let rows = [
        ("a_good", r#"{"prefix":"a","url":"http://127.0.0.1:15001"}"#, None),
        ("b_prefix", r#"{"prefix":"a","port":15002}"#, Some(("prefix", "a_good"))),
        ("c_port", r#"{"prefix":"c","port":15001}"#, Some(("port", "a_good"))),
        ("d_unknown", r#"{"prefix":"d","port":1,"memroy_limit_mb":1}"#, Some(("memroy_limit_mb", "unknown"))),
        ("e_nested", r#"{"prefix":"e","port":2,"health":{"pth":"/"}}"#, Some(("health.pth", "unknown"))),
        ("f_type", r#"{"prefix":"f","port":3,"memory_limit_mb":"64"}"#, Some(("memory_limit_mb", "invalid"))),
        ("g_none", r#"{"prefix":"g"}"#, Some(("port", "needs"))),
        ("h_both", r#"{"prefix":"h","port":4,"url":"http://127.0.0.1:4"}"#, Some(("url", "not both"))),
        ("i_far", r#"{"prefix":"i","url":"http://10.0.0.1:80"}"#, Some(("url", "loopback"))),
        ("j_dots", r#"{"prefix":"a/../b","port":5}"#, Some(("prefix", "segment"))),
        ("k_gateway", r#"{"prefix":"k","port":14000}"#, Some(("port", "gateway"))),
        ("l_requires", r#"{"prefix":"l","port":6,"requires":["nobody"]}"#, Some(("requires", "nobody"))),
        ("m_reserved", r#"{"prefix":"-/x","port":7}"#, Some(("prefix", "gateway"))),
        (
            "n_schedule",
            r#"{"prefix":"n","port":8,"schedules":[{"endpoint":"x","interval_secs":1}]}"#,
            Some(("schedules[0].endpoint", "")),
        ),
        ("o_json", r#"{"prefix":"#, Some(("prefix", "EOF"))),
        ("p_one", r#"{"prefix":"p","port":9,"requires":["q_two"]}"#, Some(("requires", "itself"))),
        ("q_two", r#"{"prefix":"q","port":10,"requires":["p_one"]}"#, Some(("requires", ""))),
        ("r_handler", r#"{"prefix":"r","kind":"handler"}"#, None),
        ("s_auto", r#"{"prefix":"a/b","port":"auto","requires":["a_good"]}"#, None),
        (
            "t_range",
            r#"{"prefix":"t","port":11,"health":{"interval_secs":0}}"#,
            Some(("health.interval_secs", "0")),
        ),
    ];
    for (name, text, _) in rows {
        put(dir.path(), name, text);
    }
    let (found, problems) = scan(dir.path(), None, Some(([127, 0, 0, 1], 14000).into()));
    for (name, _, wrong) in rows {
        let problem = problems.iter().find(|problem| problem.name == name);
        match wrong {
            None => assert!(found.contains_key(name), "{name}: {problem:?}"),
            Some((key, reason)) => {
                let problem = problem.unwrap_or_else(|| panic!("{name} was taken"));
                assert_eq!(problem.key.as_deref().unwrap_or(""), key, "{problem:?}");
                assert!(problem.reason.contains(reason), "{problem:?}");
                assert!(problem.file.ends_with("config/service.json"));
            }
        }
    }
}

#[test]
fn relative_folders_start_at_the_service() {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path(), "a", r#"{"prefix":"a","port":1,"dirs":[{"host":"data"}]}"#);
    assert_eq!(scan(dir.path(), None, None).1[0].key.as_deref(), Some("dirs[0].host"));
    std::fs::create_dir(dir.path().join("a/data")).unwrap();
    let (found, _) = scan(dir.path(), None, None);
    let grant = &found["a"].spec.dirs[0];
    assert_eq!(grant.guest.as_deref(), Some("data"));
    assert_eq!(grant.host, dir.path().join("a/data").to_string_lossy());
}

#[test]
fn the_keys_of_a_package_are_those_of_a_service() {
    let dir = tempfile::tempdir().unwrap();
    let base = |more: &str| format!(r#"{{"prefix":"a","port":1{more}}}"#);
    put(
        dir.path(),
        "a",
        &base(
            r#","limits":{"memory_mb":9},"retries":{"max":2},"fallback":"b.wasm","permissions":{"fs":"read"}"#,
        ),
    );
    for (file, content) in [("app.wasm", "one"), ("b.wasm", "two")] {
        std::fs::write(dir.path().join("a").join(file), content).unwrap();
    }
    let (found, problems) = scan(dir.path(), None, None);
    let one = found.get("a").unwrap_or_else(|| panic!("{problems:?}"));
    assert_eq!((one.spec.memory_limit_mb, one.spec.restart.intensity), (Some(9), 2));
    assert_eq!((one.spec.dirs.len(), one.spec.dirs[0].guest.as_deref()), (1, Some("/")));
    assert!(one.module().starts_with("sha256:"), "the bare module is its own");
    let standby = one.standby().unwrap();
    assert!(standby.module().starts_with("sha256:") && standby.module() != one.module());
    assert!(standby.standby().is_none());
    for (more, key) in [
        (r#","limits":{"memory_mb":9},"memory_limit_mb":8"#, "limits.memory_mb"),
        (r#","retries":{"max":2},"restart":{"intensity":1}"#, "retries"),
        (r#","name":"b""#, "name"),
        (r#","entrypoint":"../b/app.wasm""#, "entrypoint"),
        (r#","entrypoint":"none.wasm""#, "entrypoint"),
        (r#","fallback":"/etc/passwd""#, "fallback"),
        (r#","permissions":{"fs":{"read":["../x"]}}"#, "permissions.fs.read[0]"),
    ] {
        put(dir.path(), "a", &base(more));
        assert_eq!(scan(dir.path(), None, None).1[0].key.as_deref(), Some(key), "{more}");
    }
}
