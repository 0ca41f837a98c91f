//! Background loops: started, tracked, stopped together. The only place that spawns.

use std::time::Duration;

use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The loops of a process.
#[derive(Debug, Clone, Default)]
pub struct Workers {
    tracker: TaskTracker,
    cancel: CancellationToken,
}

impl Workers {
    /// Cancelled when the loops must end.
    pub fn token(&self) -> CancellationToken {
        self.cancel.clone()
    }

    /// Starts a loop. It must end soon after the token is cancelled.
    pub fn start(&self, name: &'static str, work: impl Future<Output = ()> + Send + 'static) {
        self.tracker.spawn(async move {
            work.await;
            tracing::debug!(worker = name, "A worker ended");
        });
    }

    /// Runs `work` again and again with a pause between, until the token is cancelled: `work` may be left at any await.
    pub fn every<F, W>(&self, name: &'static str, pause: Duration, mut work: W)
    where
        W: FnMut() -> F + Send + 'static,
        F: Future<Output = ()> + Send,
    {
        let cancel = self.token();
        self.start(name, async move {
            let rounds = async {
                loop {
                    tokio::time::sleep(pause).await;
                    work().await;
                }
            };
            cancel.run_until_cancelled(rounds).await;
        });
    }

    /// Ends all loops and waits for them, at most for `grace`. Says whether all ended.
    pub async fn stop(&self, grace: Duration) -> bool {
        self.cancel.cancel();
        self.tracker.close();
        tokio::time::timeout(grace, self.tracker.wait()).await.is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn stopping_waits_for_every_loop() {
        let workers = Workers::default();
        let token = workers.token();
        let (tell, told) = tokio::sync::oneshot::channel();
        workers.start("test", async move {
            token.cancelled().await;
            let _ = tell.send(());
        });
        assert!(workers.stop(Duration::from_secs(5)).await);
        assert!(told.await.is_ok());
    }

    #[tokio::test]
    async fn work_that_hangs_does_not_hold_up_the_end() {
        let workers = Workers::default();
        let (tell, mut begun) = tokio::sync::mpsc::channel(1);
        workers.every("test", Duration::ZERO, move || {
            let tell = tell.clone();
            async move {
                let _ = tell.send(()).await;
                std::future::pending::<()>().await;
            }
        });
        begun.recv().await.unwrap();
        assert!(workers.stop(Duration::from_secs(5)).await);
    }
}
