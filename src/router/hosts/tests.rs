//! Which session a host means.

use hyper::header::HeaderValue;

use super::*;
use crate::router::{Change, Links, Origin};
use crate::session::Exports;

fn hosts(names: &[&str]) -> Hosts {
    let links = Links::new();
    let exports = Exports {
        default: true,
        entrypoints: ["Admin", "feature"].map(str::to_owned).into(),
        ..Exports::default()
    };
    let exports = Arc::new(exports);
    let define = |name: &&str| match name.strip_prefix('+') {
        Some(name) => Change::JoinSession(name.parse().unwrap(), Origin::Run),
        None => {
            let exports = Some(exports.clone());
            Change::DefineSession { session: name.parse().unwrap(), classes: Vec::new(), exports }
        }
    };
    links.change(names.iter().map(define).collect(), None).unwrap();
    Hosts::of(&links.snapshot())
}

fn found(hosts: &Hosts, typed: &str) -> String {
    match hosts.find(typed) {
        Meant::Session(session, None) => session.to_string(),
        Meant::Session(session, Some(entrypoint)) => format!("{session}#{entrypoint}"),
        other => format!("{other:?}").chars().take_while(|c| c.is_alphabetic()).collect(),
    }
}

#[test]
fn a_scope_goes_before_an_entrypoint_and_a_name_alone_means_the_only_one() {
    let all = hosts(&[
        "web",
        "api",
        "api@feature",
        "Site@x",
        "+joined@y",
        "a.b",
        "a@b",
        "Two",
        "two",
        "m@p",
        "m@q",
    ]);
    let cases = [
        ("web", "web"),
        ("WEB", "web"),
        ("admin.web", "web#Admin"),
        ("default.web", "web"),
        ("feature.web", "web#feature"),
        ("api", "api"),
        ("api.feature", "api@feature"),
        ("admin.api.feature", "api@feature#Admin"),
        ("site", "Site@x"),
        ("site.x", "Site@x"),
        ("admin.site", "Site@x#Admin"),
        ("joined", "joined@y"),
        ("Any.joined", "joined@y#Any"),
        ("a.b", "a@b"),
        ("Two", "Two"),
        ("two", "two"),
        ("TWO", "Several"),
        ("m", "Several"),
        ("admin.m", "Several"),
        ("m.q", "m@q"),
        ("nope.web", "NoEntrypoint"),
        ("nope", "Nobody"),
        ("x.y.z", "Nobody"),
    ];
    for (typed, meant) in cases {
        assert_eq!(found(&all, typed), meant, "{typed}");
    }
    let shortest = |name: &str, entrypoint| all.shortest(&name.parse().unwrap(), entrypoint);
    assert_eq!(shortest("Site@x", None).unwrap(), "site");
    assert_eq!(shortest("api@feature", Some("Admin")).unwrap(), "admin.api.feature");
    assert_eq!(shortest("web", Some("default")).unwrap(), "web");
    assert_eq!(shortest("a.b", None), None, "hidden by a@b");
}

#[test]
fn at_its_own_address_a_session_is_called_by_hosts_of_this_machine_alone() {
    let ask = |host: &str| {
        let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_str(host).unwrap())]);
        is_here(&"/".parse().unwrap(), &headers, "127.0.0.7".parse().unwrap())
    };
    let good = [
        "localhost",
        "LocalHost:8787",
        "127.0.0.1:8787",
        "127.0.0.1:9000",
        "127.0.0.7:8787",
        "[::1]:8787",
        "[::1]",
        "tenant.web.localhost:8787",
    ];
    for host in good {
        assert_eq!(ask(host), Ok(()), "{host}");
    }
    let bad = [
        "",
        ":8787",
        "evil.com",
        "evil.com:8787",
        "localhost.evil.com:8787",
        "localhost:8787:1",
        "localhost:",
        "localhost:http",
        "localhost.:8787",
        ".localhost:8787",
        "weblocalhost",
        "localhost6:8787",
        "127.0.0.2:8787",
        "127.1:8787",
        "0177.0.0.7:8787",
        "10.0.2.555:8787",
        "[::1]x:8787",
        "[::1]8787",
        "::1",
        "[::]:8787",
        "user@localhost:8787",
    ];
    for host in bad {
        assert!(ask(host).is_err(), "{host}");
    }
    let none = is_here(&"/".parse().unwrap(), &HeaderMap::new(), "127.0.0.1".parse().unwrap());
    assert!(none.is_err());
}

#[test]
fn only_hosts_under_localhost_are_believed() {
    let ask = |hosts: &[&str], uri: &str, port| {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(HOST, HeaderValue::from_str(host).unwrap());
        }
        asked(&Method::GET, &uri.parse().unwrap(), &headers, port)
    };
    let good = |host: &str| ask(&[host], "/", 8080);
    for host in ["localhost:8080", "LOCALHOST:8080", "127.0.0.1:8080", "[::1]:8080"] {
        assert_eq!(good(host), Ok(Asked::Ingress), "{host}");
    }
    assert_eq!(good("Web.LocalHost:8080"), Ok(Asked::Name("Web".into())));
    assert_eq!(good("a.b-c_d.localhost:8080"), Ok(Asked::Name("a.b-c_d".into())));
    assert_eq!(ask(&["web.localhost"], "/", 80), Ok(Asked::Name("web".into())));
    assert_eq!(
        ask(&["web.localhost:8080"], "http://WEB.localhost:8080/", 8080),
        Ok(Asked::Name("web".into()))
    );
    let bad = [
        "",
        ":8080",
        "localhost",
        "localhost:80",
        "localhost:08080",
        "localhost:8080:8080",
        "localhost.:8080",
        "web.localhost.:8080",
        ".localhost:8080",
        "a..localhost:8080",
        "a..b.localhost:8080",
        "weblocalhost:8080",
        "localhost6:8080",
        "evil.com:8080",
        "localhost.evil.com:8080",
        "web.localhost:8080.evil.com",
        "127.0.0.2:8080",
        "127.1:8080",
        "0177.0.0.1:8080",
        "2130706433:8080",
        "0.0.0.0:8080",
        "10.0.2.555:8080",
        "::1:8080",
        "[::]:8080",
        "[::ffff:127.0.0.1]:8080",
        "web.127.0.0.1:8080",
        "user@localhost:8080",
        "web localhost:8080",
        "web.localhost:8080 ",
        "we%62.localhost:8080",
        "a/b.localhost:8080",
    ];
    for host in bad {
        assert!(good(host).is_err(), "{host}");
    }
    assert!(ask(&[], "/", 8080).is_err());
    assert!(ask(&["localhost:8080", "localhost:8080"], "/", 8080).is_err());
    assert!(ask(&["localhost:8080"], "http://web.localhost:8080/", 8080).is_err());
    let headers = HeaderMap::from_iter([(HOST, HeaderValue::from_static("web.localhost:8080"))]);
    assert!(asked(&Method::CONNECT, &"web.localhost:8080".parse().unwrap(), &headers, 8080).is_err());
}
