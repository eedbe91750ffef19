//! The HTTP side of a link face: what two real workerds see of each other through it.

mod endings;
mod handover;
mod pair;
mod peers;
mod switchboard;

use pair::{CALLER_CF, Outcome, Pair, TARGET_CF};
use serde_json::Value;
use switchboard::{Face, Switchboard, Way};

/// The one expected difference between two runs of a case: nothing. Each case runs over both bindings, and what the
/// calling worker saw must be equal, byte for byte.
#[tokio::test]
async fn workers_see_the_same_through_the_face_as_directly() -> Outcome {
    let pair = Pair::start().await?;
    let route = Switchboard::to(&pair.target());
    let _face = Face::listen(&pair.face(), route.clone())?;
    let names: Vec<String> = serde_json::from_slice(pair.ask("link", "", &[]).await?.body())?;
    assert!(names.len() > 15, "the caller lists its cases");
    for name in names {
        let path = name.replace(' ', "%20");
        let direct: Value = serde_json::from_slice(pair.ask("direct", &path, &[]).await?.body())?;
        let linked: Value = serde_json::from_slice(pair.ask("link", &path, &[]).await?.body())?;
        assert!(direct.get("thrown").is_none(), "{name} works directly: {direct:#}");
        assert_eq!(linked, direct, "{name}");
    }
    assert!(pair.ask("link", "plain", &[]).await?.body().len() > 2);
    Ok(())
}

/// The same where the target is asked over Cap'n Proto, but for two things: workerd does not say there how long the
/// body of an answer to HEAD would be, and connect() is refused.
#[tokio::test]
async fn workers_see_the_same_when_the_event_is_converted() -> Outcome {
    let pair = Pair::start().await?;
    let route = Switchboard::new(Way::Convert(pair.target_debug().into()));
    let _face = Face::listen(&pair.face(), route.clone())?;
    let names: Vec<String> = serde_json::from_slice(pair.ask("link", "", &[]).await?.body())?;
    for name in names.iter().filter(|name| *name != "connect event") {
        let path = name.replace(' ', "%20");
        let mut direct: Value = serde_json::from_slice(pair.ask("direct", &path, &[]).await?.body())?;
        let mut linked: Value = serde_json::from_slice(pair.ask("link", &path, &[]).await?.body())?;
        if name == "methods" || name == "statuses" {
            forget_lengths_of_no_bodies(&mut direct);
            forget_lengths_of_no_bodies(&mut linked);
        }
        assert_eq!(linked, direct, "{name}");
    }
    let refused: Value = serde_json::from_slice(pair.ask("link", "connect%20event", &[]).await?.body())?;
    assert!(refused["thrown"].is_string(), "{refused}");
    peers::until(|| route.leases() == 0).await
}

fn forget_lengths_of_no_bodies(answers: &mut Value) {
    for answer in answers.as_array_mut().into_iter().flatten().filter(|answer| answer["noBody"] == true) {
        if let Some(headers) = answer["headers"].as_array_mut() {
            headers.retain(|header| header[0] != "content-length");
        }
    }
}

#[tokio::test]
async fn a_worker_cannot_forge_cf() -> Outcome {
    let pair = Pair::start().await?;
    let _face = Face::listen(&pair.face(), Switchboard::to(&pair.target()))?;
    let forged = [(CALLER_CF, r#"{"forged":1}"#), (TARGET_CF, r#"{"forged":2}"#)];
    let answer: Value = serde_json::from_slice(pair.ask("link", "forward", &forged).await?.body())?;
    assert_eq!(answer["cf"], "undefined");
    let headers = answer["headers"].to_string();
    assert!(!headers.contains("forged"), "{headers}");
    Ok(())
}

/// workerd keeps its connections to the face; every request on them goes where the route points at that moment.
#[tokio::test]
async fn a_turn_moves_the_next_request_and_a_parked_one_waits_for_it() -> Outcome {
    let pair = Pair::start().await?;
    let route = Switchboard::new(Way::Park);
    let _face = Face::listen(&pair.face(), route.clone())?;
    let turn = async {
        peers::until(|| route.counts.begun.load(std::sync::atomic::Ordering::SeqCst) == 1).await?;
        route.turn(Way::To(pair.target().into()));
        Outcome::Ok(())
    };
    let (answer, turned) = tokio::join!(pair.ask("link", "forward", &[]), turn);
    turned?;
    assert_eq!(answer?.status(), 200);
    let why = r#"Worker "api" not found. Make sure it is running."#.to_owned();
    route.turn(Way::Refuse(jackfield::router::http::RouteError::Unavailable(why.clone())));
    let refused = pair.ask("link", "forward", &[]).await?;
    assert_eq!(
        (refused.status().as_u16(), refused.headers()["jackfield-error"].to_str()?),
        (503, "unavailable")
    );
    assert_eq!(refused.body(), format!("{why}\n").as_bytes());
    peers::until(|| route.leases() == 0).await
}
