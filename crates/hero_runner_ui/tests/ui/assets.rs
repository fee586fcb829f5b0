//! Scripts and styles: kept by the browser, for as long as they are the same.

use crate::stand_in::Pages;

async fn of_the_page(pages: &Pages) -> Vec<String> {
    let body = pages.get("/nothing", "").await.body;
    let addresses =
        body.split(['"', '#']).filter(|text| text.starts_with("/assets/") && text.matches('/').count() > 2);
    let mut addresses: Vec<String> = addresses.map(str::to_owned).collect();
    addresses.dedup();
    addresses
}

#[tokio::test]
async fn every_file_that_a_page_names_is_there_and_kept() {
    let pages = Pages::without_server();
    let addresses = of_the_page(&pages).await;
    for wanted in ["/js/app.js", "/js/theme.js", "/css/app.css", "/vendor/bootstrap.min.css", "/icons.svg"] {
        assert!(addresses.iter().any(|address| address.ends_with(wanted)), "{wanted} in {addresses:?}");
    }
    for address in addresses {
        let seen = pages.get(&address, "").await;
        assert_eq!(seen.status, 200, "{address}");
        assert_eq!(seen.header("cache-control"), Some("public, max-age=31536000, immutable"), "{address}");
        let kind = seen.header("content-type").unwrap();
        assert!(
            kind.starts_with("text/css") || kind.starts_with("text/javascript") || kind == "image/svg+xml",
            "{kind}"
        );
        let tag = seen.header("etag").unwrap().to_owned();
        let again = pages.get(&address, &format!("if-none-match: \"x\", W/{tag}\r\n")).await;
        assert_eq!((again.status, again.body.as_str()), (304, ""), "{address}");
    }
}

#[tokio::test]
async fn they_are_compressed_for_who_takes_it() {
    let pages = Pages::without_server();
    let addresses = of_the_page(&pages).await;
    let style = addresses.iter().find(|address| address.ends_with("bootstrap.min.css")).unwrap();
    let plain = pages.get(style, "").await;
    for (accepted, encoding) in [("gzip, br", "br"), ("gzip", "gzip")] {
        let seen = pages.get(style, &format!("accept-encoding: {accepted}\r\n")).await;
        assert_eq!(seen.header("content-encoding"), Some(encoding));
        assert_eq!(seen.header("vary"), Some("accept-encoding"));
        assert!(seen.body.len() < plain.body.len() / 2);
    }
}

#[tokio::test]
async fn another_bundle_is_not_kept_and_nothing_else_is_there() {
    let pages = Pages::without_server();
    let seen = pages.get("/assets/0000000000000000/js/app.js", "").await;
    assert_eq!((seen.status, seen.header("cache-control")), (200, Some("no-cache")));
    for path in [
        "/assets/0/nothing.js",
        "/assets/0/../Cargo.toml",
        "/assets/0/..%2FCargo.toml",
        "/assets/0//etc/passwd",
    ] {
        assert_eq!(pages.get(path, "").await.status, 404, "{path}");
    }
}
