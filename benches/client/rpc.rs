//! Calls over one debug port, by us and by capnp-rpc.

use std::io::{Error, Result};

use jackfield::client::{Entrypoint, Stub};
use jackfield::wire::v8::JsValue;

use super::capnp::{Client, Object};
use super::report::Report;
use super::rounds::{AT_ONCE, expect, many, timed};
use super::worker::with_worker;

pub fn run(rounds: usize, report: &mut Report) -> Result<()> {
    with_worker(async |ours, theirs, _| {
        let made = ours.call("adder", []).await.map_err(Error::other)?;
        let our_adder = Stub::of(&made).ok_or_else(|| Error::other("it makes no object"))?;
        let their_adder = theirs.make("adder").await?;
        for (how, at_once) in [("one after the other", 1), ("64 at once", AT_ONCE)] {
            let (mut us, mut them) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
            for _ in 0..rounds {
                us[0].push(timed(many(at_once, || add(ours))).await?);
                them[0].push(timed(many(at_once, || their_add(theirs))).await?);
                us[1].push(timed(many(at_once, || add_on(&our_adder))).await?);
                them[1].push(timed(many(at_once, || their_add_on(theirs, &their_adder))).await?);
            }
            for (index, what) in ["add(1, 2)", "stub.add(1, 2)"].into_iter().enumerate() {
                report.add(&format!("{what}, {how}"), &us[index], ("capnp-rpc", &them[index]), Some(1.0));
            }
        }
        Ok(())
    })
}

async fn add(api: &Entrypoint) -> Result<()> {
    right(api.call("add", [1.into(), 2.into()]).await.map_err(Error::other)?)
}

async fn add_on(adder: &Stub) -> Result<()> {
    right(adder.call("add", [1.into(), 2.into()]).await.map_err(Error::other)?)
}

async fn their_add(client: &Client) -> Result<()> {
    right(client.add(1, 2).await?)
}

async fn their_add_on(client: &Client, adder: &Object) -> Result<()> {
    right(client.add_on(adder, 1, 2).await?)
}

fn right(sum: JsValue) -> Result<()> {
    expect(sum == 3.into())
}
