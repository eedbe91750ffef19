//! How events end: kept connections, refusals, death, cuts, callers that go away, and the face itself.

use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::time::timeout;

use super::pair::Outcome;
use super::peers::{Peer, soon, until};
use super::switchboard::{Face, Switchboard, Way};

const GET: &str = "GET http://a/ HTTP/1.1\r\n\r\n";
const HI: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi";

struct Bench {
    folder: TempDir,
    route: Switchboard,
    face: Face,
    listener: UnixListener,
    caller: Peer,
}

async fn bench() -> Outcome<Bench> {
    let folder = tempfile::tempdir()?;
    let (path, socket) = (folder.path().join("face"), folder.path().join("one"));
    let listener = UnixListener::bind(&socket)?;
    let route = Switchboard::to(&socket);
    let face = Face::listen(&path, route.clone())?;
    let caller = Peer::connect(&path).await?;
    Ok(Bench { folder, route, face, listener, caller })
}

/// A request that reached the target, which has not answered yet.
async fn delivered(bench: &mut Bench) -> Outcome<Peer> {
    bench.caller.send(GET).await?;
    let mut target = Peer::accept(&bench.listener).await?;
    assert_eq!(target.head().await?, GET);
    Ok(target)
}

#[tokio::test]
async fn connections_are_kept_and_one_that_died_idle_is_replaced_without_a_failure() -> Outcome {
    let mut bench = bench().await?;
    let mut target = delivered(&mut bench).await?;
    target.send(HI).await?;
    assert_eq!(bench.caller.read_to("hi").await?, HI);
    bench.caller.send(GET).await?;
    assert_eq!(target.head().await?, GET, "on the same connection");
    target.send(HI).await?;
    bench.caller.read_to("hi").await?;
    drop(target);
    let mut target = delivered(&mut bench).await?;
    target.send(HI).await?;
    assert_eq!(bench.caller.read_to("hi").await?, HI);
    assert_eq!((bench.route.counts.begun.load(SeqCst), bench.route.counts.refused.load(SeqCst)), (3, 0));
    until(|| bench.route.leases() == 0).await
}

#[tokio::test]
async fn an_upstream_that_cannot_be_opened_is_named_to_the_route_which_finds_another() -> Outcome {
    let mut bench = bench().await?;
    bench.route.turn(Way::To(bench.folder.path().join("gone").into()));
    bench.caller.send(GET).await?;
    until(|| bench.route.counts.refused.load(SeqCst) == 1).await?;
    bench.route.turn(Way::To(bench.folder.path().join("one").into()));
    let mut target = Peer::accept(&bench.listener).await?;
    assert_eq!(target.head().await?, GET);
    target.send(HI).await?;
    assert_eq!(bench.caller.read_to("hi").await?, HI);
    assert_eq!(bench.route.counts.begun.load(SeqCst), 1, "one event");
    Ok(())
}

#[tokio::test]
async fn death_before_the_head_is_a_503_and_nothing_is_sent_again() -> Outcome {
    let mut bench = bench().await?;
    drop(delivered(&mut bench).await?);
    let head = bench.caller.head().await?;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("jackfield-error: broken"), "{head}");
    assert!(bench.caller.read_to("\n").await?.starts_with("api ended while"));
    assert_eq!(bench.route.counts.broken.load(SeqCst), 1);
    // Had it been sent again, that connection would be first in this queue.
    let mut second = delivered(&mut bench).await?;
    second.send(HI).await?;
    assert_eq!(bench.caller.read_to("hi").await?, HI);
    Ok(())
}

/// The rest of the upload is still on its way when the target closes; its answer counts, not our failing write.
#[tokio::test]
async fn an_answer_before_the_end_of_the_upload_is_not_lost() -> Outcome {
    let mut bench = bench().await?;
    bench.caller.send("POST http://a/ HTTP/1.1\r\ncontent-length: 1000000\r\n\r\n").await?;
    let mut target = Peer::accept(&bench.listener).await?;
    target.head().await?;
    let answer = "HTTP/1.1 413 Too Much\r\nconnection: close\r\ncontent-length: 2\r\n\r\nno";
    target.send(answer).await?;
    drop(target);
    // Whether all of this still gets away is open; the answer is not.
    let _: Outcome = bench.caller.send(vec![b'x'; 500_000]).await;
    assert_eq!(bench.caller.read_to("no").await?, answer);
    Ok(())
}

#[tokio::test]
async fn death_within_a_body_is_no_clean_end() -> Outcome {
    for (framing, piece) in [("content-length: 10", "half"), ("transfer-encoding: chunked", "4\r\nhalf\r\n")]
    {
        let mut bench = bench().await?;
        let mut target = delivered(&mut bench).await?;
        target.send(format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n{piece}")).await?;
        bench.caller.read_to("half").await?;
        drop(target);
        let rest = bench.caller.rest().await?;
        assert!(!rest.contains('0'), "no last chunk after {rest:?}");
        assert_eq!(bench.route.counts.broken.load(SeqCst), 1);
        until(|| bench.route.leases() == 0).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_cut_is_a_503_before_the_head_and_a_closed_connection_after_it() -> Outcome {
    let mut bench = bench().await?;
    let mut target = delivered(&mut bench).await?;
    bench.route.cut();
    let head = bench.caller.head().await?;
    assert!(head.starts_with("HTTP/1.1 503 ") && head.contains("jackfield-error: cut"), "{head}");
    assert!(bench.caller.read_to("\n").await?.contains("--cut"));
    assert_eq!(target.rest().await?, "", "the exchange was broken off");

    let mut target = delivered(&mut bench).await?;
    target.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await?;
    bench.caller.read_to("half").await?;
    bench.route.cut();
    assert_eq!(bench.caller.rest().await?, "");
    assert_eq!(target.rest().await?, "");
    until(|| bench.route.leases() == 0).await
}

#[tokio::test]
async fn a_cut_closes_both_sides_of_a_tunnel() -> Outcome {
    let mut bench = bench().await?;
    bench.caller.send("CONNECT a:1 HTTP/1.1\r\n\r\n").await?;
    let mut target = Peer::accept(&bench.listener).await?;
    target.head().await?;
    target.send("HTTP/1.1 200 OK\r\n\r\nhi").await?;
    bench.caller.read_to("hi").await?;
    bench.route.cut();
    assert_eq!((bench.caller.rest().await?, target.rest().await?), (String::new(), String::new()));
    until(|| bench.route.leases() == 0).await
}

#[tokio::test]
async fn a_caller_that_goes_away_takes_its_request_along() -> Outcome {
    let mut waiting = bench().await?;
    let mut target = delivered(&mut waiting).await?;
    drop(waiting.caller);
    assert_eq!(target.rest().await?, "");
    until(|| waiting.route.leases() == 0).await?;

    let mut reading = bench().await?;
    let mut target = delivered(&mut reading).await?;
    target.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\na\r\n").await?;
    reading.caller.read_to("a").await?;
    drop(reading.caller);
    assert_eq!(target.rest().await?, "");
    until(|| reading.route.leases() == 0).await?;

    let mut parked = bench().await?;
    parked.route.turn(Way::Park);
    parked.caller.send(GET).await?;
    until(|| parked.route.counts.begun.load(SeqCst) == 1).await?;
    drop(parked.caller);
    until(|| parked.face.lifetime.tasks() == 1).await
}

/// A side that does not read stops the other one: nothing piles up in between.
#[tokio::test]
async fn a_reader_that_stops_stops_the_writer() -> Outcome {
    const MUCH: usize = 64 << 20;
    let mut bench = bench().await?;
    let mut target = delivered(&mut bench).await?;
    target.send(format!("HTTP/1.1 200 OK\r\ncontent-length: {MUCH}\r\n\r\n")).await?;
    let piece = vec![b'x'; 1 << 16];
    let mut taken = 0;
    // Ends when nothing more is taken: the time is only how long "nothing" is watched.
    while let Ok(written) = timeout(Duration::from_millis(300), target.0.write(&piece)).await {
        taken += written?;
    }
    assert!(taken < 4 << 20, "{taken} bytes were taken from a target whose caller reads nothing");
    bench.caller.head().await?;
    let write = async {
        while taken < MUCH {
            let piece = piece.get(..piece.len().min(MUCH - taken)).unwrap_or_default();
            taken += target.0.write(piece).await?;
        }
        Ok::<_, std::io::Error>(())
    };
    let mut all = vec![0; MUCH];
    let (wrote, read) = soon(async { tokio::join!(write, bench.caller.0.read_exact(&mut all)) }).await?;
    wrote?;
    assert_eq!(read?, MUCH);
    Ok(())
}

#[tokio::test]
async fn a_drained_face_lets_events_end_and_then_has_no_task_left() -> Outcome {
    let mut bench = bench().await?;
    let mut target = delivered(&mut bench).await?;
    let idle = Peer::connect(&bench.folder.path().join("face")).await;
    bench.face.lifetime.drain();
    target.send(HI).await?;
    assert!(bench.caller.read_to("hi").await?.ends_with("\r\n\r\nhi"));
    assert_eq!(bench.caller.rest().await?, "", "closed after its last event");
    soon(bench.face.lifetime.ended()).await?;
    assert_eq!((bench.face.lifetime.tasks(), bench.face.upstreams.idle_connections()), (0, 0));
    drop(idle);
    Ok(())
}
