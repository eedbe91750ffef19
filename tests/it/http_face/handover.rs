//! Sockets that leave HTTP behind: Cap'n Proto, connect events, upgrades.

use std::io::{Read as _, Write as _};

use jackfield::router::http::EventKind;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;

use super::pair::Outcome;
use super::peers::{Peer, soon, until};
use super::switchboard::{Face, Switchboard};

#[tokio::test]
async fn a_connect_without_a_port_is_handed_over_with_the_bytes_behind_it() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("face");
    let route = Switchboard::to(&folder.path().join("nobody"));
    let mut face = Face::listen(&path, route.clone())?;
    let mut caller = Peer::connect(&path).await?;
    caller.send("CONNECT link HTTP/1.1\r\n\r\n\0\0early").await?;
    assert_eq!(caller.head().await?, "HTTP/1.1 200 OK\r\n\r\n");
    let handed = soon(face.capnp.recv()).await?.ok_or("the face lives")?;
    assert_eq!(&handed.read[..], b"\0\0early");
    let mut socket = handed.socket;
    socket.write_all(b"from us")?;
    assert_eq!(caller.read_to("us").await?, "from us");
    caller.send("later").await?;
    socket.set_nonblocking(false)?;
    let mut later = [0; 5];
    socket.read_exact(&mut later)?;
    assert_eq!(&later, b"later");
    assert_eq!(route.counts.begun.load(std::sync::atomic::Ordering::SeqCst), 0, "a session is not an event");
    Ok(())
}

#[tokio::test]
async fn another_name_is_refused_and_says_which_link_this_is() -> Outcome {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("face");
    let mut face = Face::listen(&path, Switchboard::to(&folder.path().join("nobody")))?;
    let mut caller = Peer::connect(&path).await?;
    caller.send("CONNECT lin HTTP/1.1\r\n\r\n").await?;
    assert!(caller.head().await?.starts_with("HTTP/1.1 404 "));
    assert!(caller.read_to("\n").await?.contains("web/API"));
    assert!(face.capnp.try_recv().is_err());
    Ok(())
}

/// `env.API.connect("link:1")` names the Cap'n Proto host, but with a port: it is a worker's own event.
#[tokio::test]
async fn a_connect_with_a_port_is_relayed_and_never_taken_for_capnp() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (path, socket) = (folder.path().join("face"), folder.path().join("target"));
    let listener = UnixListener::bind(&socket)?;
    let route = Switchboard::to(&socket);
    let mut face = Face::listen(&path, route.clone())?;
    let mut caller = Peer::connect(&path).await?;
    caller.send("CONNECT link:1 HTTP/1.1\r\n\r\nearly").await?;
    let mut target = Peer::accept(&listener).await?;
    assert_eq!(target.head().await?, "CONNECT link:1 HTTP/1.1\r\n\r\n");
    target.send("HTTP/1.1 200 Fine\r\n\r\nwelcome").await?;
    assert_eq!(caller.read_to("welcome").await?, "HTTP/1.1 200 Fine\r\n\r\nwelcome");
    assert_eq!(target.read_to("early").await?, "early");
    // One direction ends before the other.
    soon(caller.0.shutdown()).await??;
    assert_eq!(target.rest().await?, "");
    target.send("still here").await?;
    drop(target);
    assert_eq!(caller.rest().await?, "still here");
    assert!(face.capnp.try_recv().is_err());
    assert_eq!(*route.counts.kinds.lock().expect("no test panics with it"), [EventKind::Connect]);
    until(|| route.leases() == 0).await
}

#[tokio::test]
async fn a_target_that_refuses_a_connect_answers_for_itself() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (path, socket) = (folder.path().join("face"), folder.path().join("target"));
    let listener = UnixListener::bind(&socket)?;
    let _face = Face::listen(&path, Switchboard::to(&socket))?;
    let mut caller = Peer::connect(&path).await?;
    caller.send("CONNECT db:5432 HTTP/1.1\r\n\r\n").await?;
    let mut target = Peer::accept(&listener).await?;
    target.head().await?;
    target.send("HTTP/1.1 501 No Handler\r\ncontent-length: 2\r\n\r\nno").await?;
    assert_eq!(caller.read_to("no").await?, "HTTP/1.1 501 No Handler\r\ncontent-length: 2\r\n\r\nno");
    Ok(())
}

#[tokio::test]
async fn bytes_behind_an_upgrade_pass_untouched_and_a_lost_side_ends_the_other() -> Outcome {
    let folder = tempfile::tempdir()?;
    let (path, socket) = (folder.path().join("face"), folder.path().join("target"));
    let listener = UnixListener::bind(&socket)?;
    let route = Switchboard::to(&socket);
    let _face = Face::listen(&path, route.clone())?;
    let mut caller = Peer::connect(&path).await?;
    caller.send("GET http://a/ HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n").await?;
    let mut target = Peer::accept(&listener).await?;
    target.head().await?;
    let early = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nx-a: 1\r\nx-a: 2\r\n\r\nGET /";
    target.send(early).await?;
    let head = caller.read_to("GET /").await?.to_lowercase();
    assert!(head.contains("x-a: 1\r\nx-a: 2\r\n"), "{head}");
    let mut received = vec![0; 1 << 20];
    let receive = soon(target.0.read_exact(&mut received));
    let (sent, read) = tokio::join!(caller.send(vec![b'x'; 1 << 20]), receive);
    sent?;
    read??;
    assert!(received.iter().all(|byte| *byte == b'x'));
    assert_eq!(route.leases(), 1, "held while the socket is open");
    drop(caller);
    assert_eq!(target.rest().await?, "");
    until(|| route.leases() == 0).await
}
