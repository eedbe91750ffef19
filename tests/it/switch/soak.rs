//! Tens of thousands of events while targets move and die; afterwards nothing is left behind.

use jackfield::router::switch::Shared;
use serde::Deserialize;

use super::cast::cast;
use crate::support::alone::{descriptors, is_alone, resident};
use crate::support::rig::Rig;

const EVENTS: usize = 20_000;
const BATCH: usize = 100;
/// Batches between two deaths of a target. In between, each batch brings a retarget.
const LIFE: usize = 20;

#[derive(Debug, Default, Deserialize)]
struct Batch {
    served: u64,
    retryable: u64,
    odd: Vec<serde_json::Value>,
}

#[tokio::test(flavor = "multi_thread")]
async fn twenty_thousand_events_leave_nothing_behind() {
    if !is_alone("switch::soak::twenty_thousand_events_leave_nothing_behind").await {
        return;
    }
    let rig = cast().await;
    // Everything that is made once is there, and measured, before it begins.
    let first = run(&rig, 0).await;
    assert_eq!(first.served, BATCH as u64);
    rig.retarget("web/API", "api@green").await;
    run(&rig, BATCH).await;
    at_rest(&rig, "before").await;
    let before = Left::now(rig.router.shared());
    let mut total = Batch::default();
    for turn in 0..EVENTS / BATCH {
        let name = ["blue", "green"][turn % 2];
        let batch = run(&rig, (turn + 2) * BATCH);
        let moved = async {
            rig.retarget("web/API", &format!("api@{name}")).await;
            if turn % LIFE == LIFE - 1 {
                rig.kill(&format!("api@{name}")).await;
            }
        };
        let (batch, ()) = futures::join!(batch, moved);
        assert!(batch.odd.is_empty(), "{:?}", batch.odd);
        total.served += batch.served;
        total.retryable += batch.retryable;
    }
    assert_eq!(total.served + total.retryable, EVENTS as u64);
    let counts = rig.counts();
    assert_eq!((counts.broken, counts.failed, counts.cut), (total.retryable, 0, 0));
    rig.up("api@blue").await;
    at_rest(&rig, "after").await;
    before.assert_same(rig.router.shared());
}

async fn run(rig: &Rig, first: usize) -> Batch {
    let said = rig.get("web", &format!("/batch?first={first}&size={BATCH}")).await;
    serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// Nothing under way, and kept connections closed: those of HTTP go after some seconds.
async fn at_rest(rig: &Rig, when: &str) {
    let idle = |shared: &Shared| shared.leased() <= 1 && shared.waiting() == 0 && shared.buffered() == 0;
    rig.until(&format!("rest {when}"), |shared| idle(shared) && rig.router.idle_http() == 0).await;
}

/// What a run may leave behind.
struct Left {
    callers: usize,
    descriptors: usize,
    resident: usize,
}

/// What the allocator may keep of a run, in bytes. A leak of 1 KiB an event would be as much.
const KEPT: usize = 20 << 20;

impl Left {
    fn now(shared: &Shared) -> Self {
        Left {
            callers: shared.callers(),
            // Idle upstream connections come and go with the generations.
            descriptors: descriptors() - shared.pooled(),
            resident: resident(),
        }
    }

    fn assert_same(&self, shared: &Shared) {
        let now = Left::now(shared);
        assert_eq!(now.callers, self.callers, "callers");
        assert!(
            now.descriptors <= self.descriptors + 2,
            "{} → {} descriptors",
            self.descriptors,
            now.descriptors
        );
        assert!(now.resident <= self.resident + KEPT, "{} → {} bytes resident", self.resident, now.resident);
    }
}
