use super::*;

const WHOLE: &str = "\
scenario:
  id: shop
  description: Two steps.
  load:
    total_users: 20
    ramp_duration: 500ms
    test_duration: 2m
    ip_pool: [127.0.0.1, \"::1\"]
  workflow:
    - id: look
      type: http
      params:
        url: http://127.0.0.1:14000/hello
      think_time: 1.5
    - id: buy
      type: http
      name: Buys it
      params:
        method: POST
        url: https://shop.example/buy
        headers: { Content-Type: application/json, X-Count: \"3\" }
        body: '{\"n\":1}'
        timeout: 3s
        keep_alive: false
";

#[test]
fn a_scenario_is_read() {
    let scenario = Scenario::parse(WHOLE).unwrap();
    assert_eq!((scenario.load.total_users, scenario.load.ip_pool.len()), (20, 2));
    assert_eq!(scenario.load.ramp_duration, Duration::from_millis(500));
    assert_eq!(scenario.load.test_duration, Duration::from_secs(120));
    let [look, buy] = scenario.workflow.as_slice() else { panic!("{scenario:?}") };
    assert_eq!((look.params.method.as_str(), look.params.keep_alive), ("GET", true));
    assert_eq!(
        (look.think_time, look.params.timeout),
        (Duration::from_millis(1500), Duration::from_secs(10))
    );
    assert_eq!((buy.params.body.as_str(), buy.params.headers["X-Count"].as_str()), ("{\"n\":1}", "3"));
    let destinations: Vec<String> = scenario.destinations().into_iter().collect();
    assert_eq!(destinations, ["127.0.0.1:14000", "shop.example:443"]);
}

#[test]
fn what_is_wrong_is_told_with_its_line() {
    for (from, to, line, says) in [
        ("total_users: 20", "total_users: 0", 5, "from 1 to"),
        ("total_users: 20", "total_users: -1", 5, "from 1 to"),
        ("total_users: 20", "total_users: many", 5, "many"),
        ("total_users: 20", "totl_users: 20", 5, "totl_users"),
        ("test_duration: 2m", "test_duration: 2 weeks", 7, "500ms"),
        ("test_duration: 2m", "test_duration: 0", 7, "longer than zero"),
        ("127.0.0.1, ", "127.0.0.256, ", 8, "IP address"),
        (
            "type: http\n      params:\n        url: http",
            "type: ftp\n      params:\n        url: http",
            11,
            "ftp",
        ),
        ("url: http://127", "url: ftp://127", 13, "http://"),
        ("method: POST", "method: P OST", 19, "P OST"),
        ("X-Count", "X Count", 21, "X Count"),
        ("X-Count", "Content-Length", 21, "body"),
        ("timeout: 3s", "timeout: [", 23, "timeout"),
    ] {
        let yaml = WHOLE.replacen(from, to, 1);
        assert_ne!(yaml, WHOLE, "{from}");
        let error = Scenario::parse(&yaml).unwrap_err();
        eprintln!("{to}: {error}");
        assert!(error.contains(&format!("line {line}")) && error.contains(says), "{to}: {error}");
    }
    let error = Scenario::parse("scenario:\n  id: a\n").unwrap_err();
    assert!(error.contains("load"), "{error}");
    assert!(Scenario::parse("").is_err() && Scenario::parse("3").is_err());
}
