//! Schedules with a gateway that is a server on a Unix socket, and with a database.

use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use api::error::ErrorCode;
use api::schedule::{Overlap, Schedule, ScheduleInfo, ScheduleQuery, ScheduleRun};
use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use services::schedules::Schedules;
use store::Database;
use tokio::net::UnixListener;
use tokio::sync::{Semaphore, mpsc};

type Body = UnsyncBoxBody<Bytes, Infallible>;

/// What only a hang can exceed.
const HANG: Duration = Duration::from_secs(60);

/// What the gateway was asked.
#[derive(Debug)]
struct Asked {
    head: hyper::http::request::Parts,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.head.headers.get(name).map_or("", |value| value.to_str().expect("text"))
    }
}

/// How the gateway's calls of `/<prefix>/slow…` stand: they wait to be let go.
#[derive(Debug)]
struct Slow {
    let_go: Semaphore,
    now: AtomicUsize,
    most: AtomicUsize,
}

/// A gateway, a folder for the database and schedules over both.
struct Place {
    folder: tempfile::TempDir,
    asked: mpsc::UnboundedReceiver<Asked>,
    slow: Arc<Slow>,
    schedules: Schedules,
}

fn text(status: u16, text: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(text.into()).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    response
}

async fn answer(
    request: Request<Incoming>,
    told: mpsc::UnboundedSender<Asked>,
    slow: Arc<Slow>,
) -> Response<Body> {
    let (head, body) = request.into_parts();
    let path = head.uri.path().to_owned();
    let body = body.collect().await.map(|body| body.to_bytes()).unwrap_or_default();
    let is_slow = path.contains("/slow");
    if is_slow {
        let now = slow.now.fetch_add(1, Ordering::SeqCst) + 1;
        slow.most.fetch_max(now, Ordering::SeqCst);
    }
    let _ = told.send(Asked { head, body: String::from_utf8(body.to_vec()).expect("text") });
    if is_slow {
        slow.let_go.acquire().await.expect("it stays open").forget();
        slow.now.fetch_sub(1, Ordering::SeqCst);
    }
    match path.as_str() {
        "/svc/missing" => text(404, "nothing here"),
        "/svc/endless" => {
            let part = Bytes::from(vec![b'x'; 4096]);
            let parts = futures_util::stream::repeat_with(move || Ok(Frame::data(part.clone())));
            Response::new(StreamBody::new(parts).boxed_unsync())
        }
        "/svc/stuck" => {
            use futures_util::StreamExt as _;
            let begin = futures_util::stream::once(async { Ok(Frame::data(Bytes::from_static(b"begin"))) });
            Response::new(StreamBody::new(begin.chain(futures_util::stream::pending())).boxed_unsync())
        }
        _ => text(200, "done"),
    }
}

impl Place {
    fn socket(&self) -> PathBuf {
        self.folder.path().join("gateway.sock")
    }

    /// Schedules over the same database and gateway, as after a restart.
    fn again(&self) -> Schedules {
        Schedules::new(open(&self.folder), self.socket())
    }

    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let listener = UnixListener::bind(folder.path().join("gateway.sock")).expect("a socket");
        let (tell, asked) = mpsc::unbounded_channel();
        let slow =
            Arc::new(Slow { let_go: Semaphore::new(0), now: AtomicUsize::new(0), most: AtomicUsize::new(0) });
        let seen = Arc::clone(&slow);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (tell, slow) = (tell.clone(), Arc::clone(&seen));
                let service = hyper::service::service_fn(move |request| {
                    let answer = answer(request, tell.clone(), Arc::clone(&slow));
                    async { Ok::<_, Infallible>(answer.await) }
                });
                let http = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
            }
        });
        let schedules = Schedules::new(open(&folder), folder.path().join("gateway.sock"));
        Self { folder, asked, slow, schedules }
    }

    /// The next call that arrives.
    async fn arrives(&mut self) -> Asked {
        tokio::time::timeout(HANG, self.asked.recv()).await.expect("a call").expect("the gateway lives")
    }

    /// Waits until a schedule is as it should be.
    async fn until(&self, id: &str, what: impl Fn(&ScheduleInfo) -> bool) -> ScheduleInfo {
        let seen = async {
            loop {
                let info = show(&self.schedules, id).await;
                if what(&info) {
                    return info;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(HANG, seen).await.expect("it comes to that")
    }
}

fn open(folder: &tempfile::TempDir) -> store::schedules::Schedules {
    store::schedules::Schedules::open(&Database::open(folder.path()).expect("a database")).expect("a store")
}

async fn show(schedules: &Schedules, id: &str) -> ScheduleInfo {
    let list = schedules.list(ScheduleQuery::default()).await.expect("a list");
    list.schedules.into_iter().find(|schedule| schedule.id == id).expect("it is there")
}

async fn history(schedules: &Schedules, id: &str) -> Vec<ScheduleRun> {
    let query = ScheduleQuery { service: Some("svc".into()), history: Some(50) };
    schedules.list(query).await.expect("a list").history.remove(id).unwrap_or_default()
}

fn every(seconds: u64, endpoint: &str) -> Schedule {
    Schedule { endpoint: endpoint.into(), interval_secs: Some(seconds), ..Schedule::default() }
}

/// One that is not due while a test runs.
fn rarely(endpoint: &str) -> Schedule {
    every(1_000_000, endpoint)
}

#[tokio::test]
async fn calls_arrive_as_they_are_declared() {
    let mut place = Place::new();
    let schedule = Schedule {
        name: Some("tick".into()),
        method: Some("POST".into()),
        headers: [("X-Token".to_owned(), "secret".to_owned())].into(),
        body: Some("hi".into()),
        ..every(1, "/in?a=b")
    };
    place.schedules.set("svc", "svc", &[schedule]);
    for _ in 0..2 {
        let asked = place.arrives().await;
        assert_eq!(asked.head.method, hyper::Method::POST);
        assert_eq!(asked.head.uri, "/svc/in?a=b");
        assert_eq!(asked.header("host"), "localhost");
        assert_eq!(asked.header("x-token"), "secret");
        assert_eq!(asked.header("user-agent"), format!("hero_runner-schedule/{}", api::VERSION));
        assert_eq!(asked.header("x-hero-schedule"), "svc/tick");
        assert_eq!(asked.body, "hi");
    }
    let info = place.until("svc/tick", |info| info.runs >= 2 && info.last_run.is_some()).await;
    let last = info.last_run.unwrap();
    assert_eq!(
        (last.status, last.body_head.as_str(), last.error, last.manual),
        (Some(200), "done", None, false)
    );
    assert!(info.next_at.is_some_and(|next| next > last.at));
    assert_eq!((info.method.as_str(), info.when.as_str()), ("POST", "every 1 s"));
}

#[tokio::test]
async fn a_slow_one_is_not_called_again_and_that_is_counted() {
    let mut place = Place::new();
    place.schedules.set("svc", "svc", &[every(1, "/slow")]);
    place.arrives().await;
    let info = place.until("svc/slow", |info| info.skipped >= 2).await;
    assert!(info.running && info.runs == 1);
    place.slow.let_go.add_permits(1);
    place.arrives().await;
    assert_eq!(place.slow.most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn with_queue_calls_follow_each_other() {
    let mut place = Place::new();
    let schedule = Schedule { overlap: Overlap::Queue, ..every(1, "/slow") };
    place.schedules.set("svc", "svc", &[schedule]);
    place.arrives().await;
    // One waits, and one more was due.
    place.until("svc/slow", |info| info.skipped >= 1).await;
    place.slow.let_go.add_permits(1);
    place.arrives().await;
    let mine = tokio::spawn({
        let schedules = place.schedules.clone();
        async move { schedules.run_now("svc/slow").await }
    });
    while !mine.is_finished() {
        place.slow.let_go.add_permits(1);
        place.arrives().await;
        tokio::task::yield_now().await;
    }
    assert!(mine.await.unwrap().unwrap().manual);
    assert_eq!(place.slow.most.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_pause_outlives_a_restart_and_so_does_its_end() {
    let mut place = Place::new();
    place.schedules.set("svc", "svc", &[every(1, "/x")]);
    place.arrives().await;
    assert!(place.schedules.pause("svc/x").await.unwrap().next_at.is_none());
    let before = place.until("svc/x", |info| !info.running).await;
    place.schedules.stop().await;

    let second = place.again();
    second.set("svc", "svc", &[every(1, "/x")]);
    let after = show(&second, "svc/x").await;
    assert!(after.paused && after.next_at.is_none());
    assert_eq!(after.last_run, before.last_run);
    assert_eq!((after.runs, history(&second, "svc/x").await.len() as u64), (0, before.runs));
    assert!(!second.resume("svc/x").await.unwrap().paused);
    while place.asked.try_recv().is_ok() {}
    place.arrives().await;
    second.stop().await;

    let third = place.again();
    third.set("svc", "svc", &[rarely("/x")]);
    assert!(!show(&third, "svc/x").await.paused);
    assert_eq!(third.pause("svc/y").await.unwrap_err().code, ErrorCode::ScheduleNotFound);
}

#[tokio::test]
async fn a_call_that_is_asked_for_answers_what_the_service_did() {
    let mut place = Place::new();
    let all = ["/ok", "/missing", "/endless", "/slow"].map(rarely);
    place.schedules.set("svc", "svc", &all);
    let run = async |id: &str| place.schedules.run_now(id).await.expect("a result");
    let ok = run("svc/ok").await;
    assert_eq!((ok.status, ok.body_head.as_str(), &ok.error, ok.manual), (Some(200), "done", &None, true));
    let missing = run("svc/missing").await;
    assert_eq!(
        (missing.status, missing.body_head.as_str(), missing.error),
        (Some(404), "nothing here", None)
    );
    let endless = run("svc/endless").await;
    assert_eq!((endless.status, endless.body_head.len(), endless.error), (Some(200), 1024, None));
    assert_eq!(history(&place.schedules, "svc/ok").await, [ok]);

    let schedules = place.schedules.clone();
    let slow = tokio::spawn(async move { schedules.run_now("svc/slow").await });
    while place.arrives().await.head.uri != "/svc/slow" {}
    let refused = place.schedules.run_now("svc/slow").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::InvalidState);
    place.slow.let_go.add_permits(1);
    assert_eq!(slow.await.unwrap().unwrap().status, Some(200));
    assert_eq!(place.schedules.run_now("svc/nothing").await.unwrap_err().code, ErrorCode::ScheduleNotFound);
}

#[tokio::test]
async fn what_goes_wrong_is_told_and_recorded() {
    let place = Place::new();
    let brief = |endpoint| Schedule { timeout_ms: Some(50), ..rarely(endpoint) };
    place.schedules.set("svc", "svc", &[brief("/slow"), brief("/stuck"), rarely("/x")]);
    let slow = place.schedules.run_now("svc/slow").await.unwrap();
    assert_eq!(slow.status, None);
    assert!(slow.error.as_ref().is_some_and(|why| why.contains("50 ms")), "{slow:?}");
    let stuck = place.schedules.run_now("svc/stuck").await.unwrap();
    assert_eq!((stuck.status, stuck.body_head.as_str()), (Some(200), "begin"));
    assert!(stuck.error.as_ref().is_some_and(|why| why.contains("50 ms")), "{stuck:?}");
    assert_eq!(history(&place.schedules, "svc/stuck").await, [stuck]);

    let nobody = Schedules::new(open(&place.folder), place.folder.path().join("nobody.sock"));
    nobody.set("svc", "svc", &[rarely("/x")]);
    let run = nobody.run_now("svc/x").await.unwrap();
    assert!(run.status.is_none() && run.error.is_some_and(|why| why.contains("gateway")));
    assert!(show(&nobody, "svc/x").await.last_run.is_some_and(|run| run.error.is_some()));
}

#[tokio::test]
async fn a_service_that_is_stopped_is_not_called() {
    let mut place = Place::new();
    place.schedules.active("svc", false);
    place.schedules.set("svc", "svc", &[every(1, "/stopped")]);
    place.schedules.set("other", "other", &[every(1, "/on")]);
    for _ in 0..3 {
        assert_eq!(place.arrives().await.head.uri, "/other/on");
    }
    assert_eq!(show(&place.schedules, "svc/stopped").await.next_at, None);
    assert_eq!(place.schedules.run_now("svc/stopped").await.unwrap_err().code, ErrorCode::InvalidState);
    place.schedules.active("svc", true);
    while place.arrives().await.head.uri != "/svc/stopped" {}
    place.schedules.remove("svc");
    let list =
        place.schedules.list(ScheduleQuery { service: Some("svc".into()), history: None }).await.unwrap();
    assert!(list.schedules.is_empty());
}

#[tokio::test]
async fn schedules_go_on_without_a_database() {
    let mut place = Place::new();
    place.schedules.set("svc", "svc", &[every(1, "/x")]);
    place.arrives().await;
    let other = rusqlite::Connection::open(place.folder.path().join("hero_runner.db")).unwrap();
    other.execute_batch("DROP TABLE schedule_runs; DROP TABLE schedules").unwrap();
    for _ in 0..2 {
        place.arrives().await;
    }
    assert!(place.schedules.pause("svc/x").await.unwrap().paused);
    assert_eq!(place.schedules.run_now("svc/x").await.unwrap().status, Some(200));
    let query = ScheduleQuery { service: None, history: Some(1) };
    assert_eq!(place.schedules.list(query).await.unwrap_err().code, ErrorCode::Internal);
}

#[tokio::test]
async fn the_end_drops_what_is_under_way_and_makes_no_more_calls() {
    let mut place = Place::new();
    place.schedules.set("svc", "svc", &[every(1, "/slow"), every(1, "/x")]);
    while place.arrives().await.head.uri != "/svc/slow" {}
    tokio::time::timeout(HANG, place.schedules.stop()).await.expect("it ends");
    let dropped = history(&place.schedules, "svc/slow").await;
    assert!(dropped[0].error.as_ref().is_some_and(|why| why.contains("stopped")), "{dropped:?}");
    let info = show(&place.schedules, "svc/x").await;
    assert_eq!((info.running, info.next_at), (false, None));
    assert_eq!(place.schedules.run_now("svc/x").await.unwrap_err().code, ErrorCode::Draining);
    // A second time is no harm.
    place.schedules.stop().await;
}
