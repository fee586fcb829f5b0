//! The sessions of one run.

use std::time::Duration;

use api::Outcome;
use api::method::{SessionStartMethod, SessionStopMethod, SessionWaitMethod};
use api::session::{SessionResult, SessionStart, SessionStop, SessionWait, Waited};
use client::Client;
use futures_util::future::{join_all, try_join_all};
use scenario_report::Part;

use crate::cli::millis;
use crate::console::Console;
use crate::text;

/// How long one call waits; shorter calls notice a lost connection earlier.
const STEP: Duration = Duration::from_secs(60);

/// The sessions that were started.
pub(super) struct Sessions<'a> {
    client: &'a Client,
    ids: Vec<String>,
}

impl<'a> Sessions<'a> {
    pub(super) fn new(client: &'a Client) -> Self {
        Self { client, ids: Vec::new() }
    }

    pub(super) fn client(&self) -> &'a Client {
        self.client
    }

    /// Starts them at once; when one fails, those that were started are known all the same.
    pub(super) async fn start(&mut self, requests: impl Iterator<Item = SessionStart>) -> anyhow::Result<()> {
        let starts = requests.map(|request| self.client.call::<SessionStartMethod>(request));
        let mut failure = None;
        for started in join_all(starts).await {
            match started {
                Ok(started) => self.ids.push(started.session_id),
                Err(error) => failure = Some(error),
            }
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Awaits all of them, and adds up what they measured. The first that fails ends this.
    pub(super) async fn merged(&self) -> anyhow::Result<Part> {
        let parts = try_join_all(self.ids.iter().map(|id| part(self.client, id))).await?;
        let mut whole = Part::default();
        for part in &parts {
            whole.merge(part);
        }
        Ok(whole)
    }

    /// Stops those that still run.
    pub(super) async fn stop(&self, console: &Console) {
        let stops = self.ids.iter().map(|id| async move {
            let request = SessionStop { session_id: id.clone(), grace_ms: Some(0) };
            (id, self.client.call::<SessionStopMethod>(request).await)
        });
        for (id, result) in join_all(stops).await {
            if let Err(error) = result {
                console.note(&format!("cannot stop {id}: {error}"));
            }
        }
    }
}

/// What one session measured.
async fn part(client: &Client, id: &str) -> anyhow::Result<Part> {
    let result = loop {
        let request =
            SessionWait { session_id: id.to_owned(), wait_ms: Some(millis(STEP)), ..SessionWait::default() };
        if let Some(Waited::Ended(result)) = client.call::<SessionWaitMethod>(request).await? {
            break result;
        }
    };
    read(id, &result)
}

/// What a session returned, or why it did not.
fn read(id: &str, result: &SessionResult) -> anyhow::Result<Part> {
    let returned = result.value.as_ref().and_then(|value| value.as_str());
    match (&result.outcome, returned) {
        (Outcome::Returned { ok: true }, Some(json)) => serde_json::from_str(json)
            .map_err(|error| anyhow::anyhow!("{id} returned no part of a scenario: {error}")),
        (Outcome::Returned { ok: false }, Some(message)) => Err(anyhow::anyhow!("{}", text::plain(message))),
        (Outcome::Returned { .. }, None) => Err(anyhow::anyhow!("{id} returned no part of a scenario")),
        (outcome, _) => {
            let said = result.stderr.trim();
            let said = if said.is_empty() { String::new() } else { format!(": {said}") };
            Err(anyhow::anyhow!("{}", text::plain(&format!("{id} {outcome}{said}"))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn result(outcome: &Value, value: Value) -> SessionResult {
        let rest = json!({
            "success": true, "outcome": outcome, "exit_code": null, "stdout": "", "stderr": "oops\n",
            "truncated": false, "started_at": null, "duration_ms": null, "cpu_ms": null, "max_rss_kb": null,
            "value": value,
        });
        serde_json::from_value(rest).unwrap()
    }

    #[test]
    fn a_session_returns_a_part_or_says_why_not() {
        let part = Part { users: 3, ..Part::default() };
        let returned = json!({ "kind": "returned", "ok": true });
        let good = result(&returned, json!(serde_json::to_string(&part).unwrap()));
        assert_eq!(read("ses-1", &good).unwrap(), part);

        let failed = result(&json!({ "kind": "returned", "ok": false }), json!("no such address"));
        assert_eq!(read("ses-1", &failed).unwrap_err().to_string(), "no such address");
        let other = read("ses-1", &result(&returned, json!(3))).unwrap_err().to_string();
        assert!(other.contains("ses-1 returned no part"), "{other}");
        let late =
            read("ses-1", &result(&json!({ "kind": "timed_out" }), Value::Null)).unwrap_err().to_string();
        assert_eq!(late, "ses-1 timed out: oops");
    }
}
