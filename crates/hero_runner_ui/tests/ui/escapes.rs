//! What comes from guests, callers and addresses is text, wherever it is shown.

use crate::samples::{PAGES, everything};
use crate::stand_in::Pages;

const EVIL: &str = "</script><script>alert(1)</script><b onclick=\"x\">'&";

#[tokio::test]
async fn nothing_that_is_named_becomes_markup() {
    let pages = Pages::new(|method, _| everything(EVIL, method));
    for path in PAGES {
        let seen = pages.get(path, "").await;
        assert_eq!(seen.status, 200, "{path}: {}", seen.body);
        let body = seen.body.replace("<script type=\"application/json\" id=\"boot\">", "");
        let scripts = body.matches("<script").count();
        // Those of the layout.
        assert_eq!(
            scripts,
            body.matches("<script src=\"/assets/").count()
                + body.matches("<script type=\"module\" src=\"/assets/").count()
        );
        assert!(!body.contains("<script>") && !body.contains("<b onclick"), "{path}: {body}");
        if path.contains("docs") {
            continue;
        }
        // Escaped once: neither not at all, nor twice.
        assert!(
            body.contains("&#60;script&#62;alert(1)") || body.contains("\\u003cscript>alert(1)"),
            "{path}: {body}"
        );
        assert!(!body.contains("&#38;#") && !body.contains("&amp;#"), "{path}: {body}");
        assert!(!body.contains("href=\"javascript:"), "{path}: {body}");
    }
}

#[tokio::test]
async fn the_address_is_shown_as_text() {
    let pages = Pages::new(|method, _| everything("thing", method));
    for path in [
        "/%3Cscript%3Ealert(1)%3C/script%3E",
        "/docs/%3Cscript%3E",
        "/sessions?q=%22%3E%3Cscript%3E&state=%3Cscript%3E",
        "/admin?q=%3Cscript%3E",
        "/logs?session=%3Cscript%3E",
    ] {
        let seen = pages.get(path, "").await;
        assert!(!seen.body.contains("<script>"), "{path}: {}", seen.body);
    }
}

#[tokio::test]
async fn the_log_as_text_is_a_download_and_no_page() {
    let pages = Pages::new(|method, _| everything(EVIL, method));
    let seen = pages.get("/sessions/ses-%22%0d%0ax/log.txt", "").await;
    assert_eq!((seen.status, seen.header("content-type")), (200, Some("text/plain; charset=utf-8")));
    assert_eq!(seen.header("content-disposition"), Some("attachment; filename=\"ses-x.log\""));
    assert!(seen.body.contains(&format!("[2 lines are no longer there]\n{EVIL}\n")), "{}", seen.body);
}
