//! Waiting for what the gateway answers.

use super::Gateway;
use crate::{get, until};

impl Gateway {
    /// Waits until a path of a host answers with this status.
    pub async fn until_status(&self, host: &str, path: &str, status: u16) {
        let what = format!("{host}{path} answers {status}");
        until(&what, async || self.get(host, path).await.status == status).await;
    }

    /// Waits until `a.test` is served on a new connection.
    pub async fn until_served(&self) {
        until("new connections are served", async || {
            let asked = get("/").host("a.test");
            let answer = self.connect().await.try_ask(&asked).await;
            answer.is_ok_and(|answer| answer.status == 200)
        })
        .await;
    }
}
