//! Links that lead to handlers in Rust.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use futures::{SinkExt, StreamExt, stream};
use http::{Request, Response};
use jackfield::client::serve::{Handler, Reply, fetch_with};
use jackfield::client::{Address, Body, Message, Session, Thrown};
use jackfield::router::{ServeError, Served};
use serde_json::json;

use super::cast::{cast, soon};
use super::visitor::Visitor;
use crate::support::rig::Rig;

/// Does what `workers/api.js` does, and counts the events that hang.
fn double(hanging: Arc<AtomicUsize>) -> impl Handler {
    struct Hangs(Arc<AtomicUsize>);
    impl Drop for Hangs {
        fn drop(&mut self) {
            self.0.fetch_sub(1, SeqCst);
        }
    }
    fetch_with(move |request: Request<Body>| {
        let hanging = hanging.clone();
        async move {
            Ok::<Reply, Thrown>(match request.uri().path() {
                "/hang" => {
                    hanging.fetch_add(1, SeqCst);
                    let _hangs = Hangs(hanging);
                    std::future::pending().await
                }
                "/bytes" => {
                    let endless =
                        stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b'r'; 16384])));
                    Response::new(Body::stream(None, endless)).into()
                }
                "/socket" => Reply::websocket(|mut socket| async move {
                    while let Some(Ok(message)) = socket.next().await {
                        let answer = match message {
                            Message::Text(text) => Message::Text(format!("rust {text}")),
                            other => other,
                        };
                        if socket.send(answer).await.is_err() {
                            return;
                        }
                    }
                }),
                "/x" => return Err(Thrown::type_error("not today")),
                _ => Response::new(Body::from(format!("rust {}", request.uri()))).into(),
            })
        }
    })
}

fn serve(rig: &Rig, hanging: &Arc<AtomicUsize>, socket: &str) -> Result<Served, ServeError> {
    let path = rig.runtime.folder().join(socket);
    rig.router.serve("rust".parse().unwrap(), &path, Arc::new(double(hanging.clone())))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_leads_to_a_handler_and_away() {
    let rig = cast().await;
    let hanging = Arc::default();
    let served = serve(&rig, &hanging, "h1").unwrap();
    let taken = serve(&rig, &hanging, "h2").err().unwrap();
    assert!(taken.to_string().contains("already"), "{taken}");
    let talk = rig.talk("web").await;
    assert_eq!(talk.get("fetch").await, json!([200, "blue https://api.test/"]));
    rig.retarget("web/API", "rust").await;
    assert_eq!(talk.get("fetch").await, json!([200, "rust https://api.test/"]));
    assert_eq!(talk.get("holdBody").await, json!("r"));
    assert_eq!(talk.get("useBody").await, json!("r"));
    assert_eq!(talk.get("holdSocket").await, json!("rust hi"));
    rig.retarget("web/API", "api@green").await;
    assert_eq!(talk.get("fetch").await, json!([200, "green https://api.test/"]));
    assert_eq!(talk.get("useBody").await, json!("r"), "what is held stays");
    assert_eq!(talk.get("useSocket").await, json!("rust hi"));
    talk.get("dropBody").await;
    talk.get("dropSocket").await;
    rig.until("all leases back", |shared| shared.leased() <= 1).await;
    drop(served);
    let counts = rig.counts();
    assert_eq!((counts.failed, counts.broken, counts.cut), (0, 0, 0));
}

/// Over Cap'n Proto: a worker's own debug-port binding, and a client of ours.
#[tokio::test(flavor = "multi_thread")]
async fn a_handler_throws_into_a_worker() {
    let rig = cast().await;
    let _served = serve(&rig, &Arc::default(), "h").unwrap();
    rig.retarget("web/API", "rust").await;
    let face = rig.runtime.debug_face(&"web".parse().unwrap());
    let visitor = Visitor::start(&rig);
    let talk = visitor.talk().await;
    visitor.hold_port(&talk, "API", None).await;
    let failure = talk.fail("portFetch").await;
    assert_eq!((&*failure.name, &*failure.message), ("TypeError", "not today"));
    let session = Session::connect(&Address::Unix(face)).await.unwrap();
    let request = Request::get("http://a/").body(Body::empty()).unwrap();
    let response = soon("an answer", session.entrypoint("API", None, None).fetch(request)).await.unwrap();
    assert_eq!(soon("the body", response.into_body().text()).await.unwrap(), "rust http://a/");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_handler_that_is_taken_away_is_waited_for() {
    let rig = cast().await;
    let hanging: Arc<AtomicUsize> = Arc::default();
    let served = serve(&rig, &hanging, "h1").unwrap();
    rig.retarget("web/API", "rust").await;
    let talk = rig.talk("web").await;
    let hang = talk.begin("fetch", &[json!("/hang")]);
    rig.until("an event that hangs", |_| hanging.load(SeqCst) == 1).await;
    drop(served);
    let parked = talk.begin("fetch", &[]);
    rig.until("a parked event", |shared| shared.waiting() == 1).await;
    assert_eq!(hanging.load(SeqCst), 1, "what began goes on");
    let _served = serve(&rig, &hanging, "h2").unwrap();
    assert_eq!(parked.await, Ok(json!([200, "rust https://api.test/"])));
    // Whoever asked goes away, and the handler's work with it.
    drop((hang, talk));
    rig.until("nothing that hangs", |_| hanging.load(SeqCst) == 0).await;

    let talk = rig.talk("web").await;
    let hang = talk.begin("fetch", &[json!("/hang")]);
    rig.until("an event that hangs", |_| hanging.load(SeqCst) == 1).await;
    rig.move_all(&[("web/API", "api@green")], true).await;
    assert_eq!(hang.await.unwrap()[0], 503);
    rig.until("nothing that hangs", |_| hanging.load(SeqCst) == 0).await;
    soon("the stop", rig.router.stop(std::time::Duration::from_secs(3600))).await;
}
