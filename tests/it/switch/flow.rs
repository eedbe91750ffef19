//! Callers and targets that stand still: they stop their own traffic, and nobody else's.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use super::cast::cast;
use crate::support::alone::{is_alone, resident};

/// Lets a process go on, whatever the test comes to.
struct Stopped(Pid);

impl Stopped {
    fn new(pid: Pid) -> Self {
        kill_process(pid, Signal::STOP).unwrap();
        Stopped(pid)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = kill_process(self.0, Signal::CONT);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_stands_still_stops_only_its_own_streams() {
    const MIB: usize = 1 << 20;
    if !is_alone("switch::flow::a_caller_that_stands_still_stops_only_its_own_streams").await {
        return;
    }
    let rig = cast().await;
    let (talk, other) = (rig.talk("web").await, rig.talk("other").await);
    let before = resident();
    for (pull, size) in [("pull", 64 * MIB), ("pullBody", 256 * MIB)] {
        talk.begin(pull, &[json!(size)]).await.unwrap();
        let stopped = Stopped::new(rig.pid("web").await);
        for _ in 0..50 {
            assert_eq!(other.get("who").await, json!("blue"));
            assert_eq!(other.get("fetch").await[0], 200);
        }
        let grown = resident().saturating_sub(before);
        assert!(grown < 16 * MIB, "{grown} bytes more are resident while {size} want through");
        drop(stopped);
        assert_eq!(talk.get("pulled").await, json!(size));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_at_a_breakpoint_is_healthy() {
    let rig = cast().await;
    rig.move_all(&[("other/API", "api@green")], false).await;
    let (talk, other) = (rig.talk("web").await, rig.talk("other").await);
    assert_eq!(talk.get("holdStub").await, json!("blue 1"));
    let stopped = Stopped::new(rig.pid("api@blue").await);
    let began = rig.counts().began;
    let stuck = [talk.begin("useStub", &[]), talk.begin("who", &[])];
    rig.until("the event", |shared| shared.counts().began > began).await;
    for _ in 0..50 {
        assert_eq!(other.get("who").await, json!("green"));
    }
    // The same caller, on its way to another target.
    rig.retarget("web/API", "api@green").await;
    assert_eq!(talk.get("who").await, json!("green"));
    drop(stopped);
    let [stub, who] = stuck;
    assert_eq!((stub.await, who.await), (Ok(json!("blue 2")), Ok(json!("blue"))));
}
