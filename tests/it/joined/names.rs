//! Two of one name: who is called, and how a link moves.

use super::stage::{Stage, entry, target};

#[tokio::test]
async fn two_branches_of_one_worker_are_told_apart_and_links_choose() {
    let stage = Stage::new();
    let web = stage.run(&["--scope", "main"]).await;
    let (main, feature) = (stage.run(&["--scope", "main"]).await, stage.run(&["--scope", "feature"]).await);
    let (caller, one, two) = (target("web"), target("one"), target("two"));
    web.register("web", &entry(&caller));
    feature.register("api", &entry(&two));
    stage.until(&[("api@feature", "up"), ("web@main", "up")]).await;
    assert_eq!(web.fetch("api", None).await.unwrap(), "two", "the only one");
    main.register("api", &entry(&one));
    stage.until(&[("api@feature", "up"), ("api@main", "up"), ("web@main", "up")]).await;
    assert_eq!(web.fetch("api", None).await.unwrap(), "one", "the same scope");

    let (code, told, said) = stage.ask(&["retarget", "web/api", "api@feature", "--json"]).await;
    assert_eq!((code, &told["links"][0]["link"]), (0, &"web@main/api".into()), "{said}");
    assert_eq!(web.fetch("api", None).await.unwrap(), "two", "as the operator says");
    // Ending keeps the name's meaning: the other scope is not a stand-in.
    assert_eq!(feature.end().await, 0);
    stage.until(&[("api@feature", "down"), ("api@main", "up"), ("web@main", "up")]).await;
    let waiting = web.fetch("api", None).await.unwrap_err();
    assert!(
        waiting.contains("not found. Make sure it is running") && waiting.contains("api@feature"),
        "{waiting}"
    );
    stage.down().await;
}

#[tokio::test]
async fn the_same_worker_twice_in_one_scope_gets_a_number() {
    let stage = Stage::new();
    let (_first, one) = stage.joined("api", "one").await;
    stage.until(&[("api@x", "up")]).await;
    let _second = stage.joined("api", "two").await;
    stage.until(&[("api@x", "up"), ("api@x-2", "up")]).await;
    let named = stage.run(&["--name", "front"]).await;
    named.register("web", &entry(&one));
    stage.until(&[("api@x", "up"), ("api@x-2", "up"), ("front", "up")]).await;
    stage.down().await;
}

#[tokio::test]
async fn names_that_are_none_are_refused_before_anything_starts() {
    let stage = Stage::new();
    for option in [["--name", "a/b"], ["--scope", "a b"]] {
        let (code, _, said) = stage.ask(&["run", option[0], option[1], "--", "true"]).await;
        assert!(code == 2 && said.contains("session"), "{said}");
    }
    let (code, ..) = stage.ask(&["ls"]).await;
    assert_ne!(code, 0, "a daemon was started");
}
