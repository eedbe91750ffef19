//! What a measurement is made of.

use std::future::Future;
use std::io::{Error, Result};
use std::time::{Duration, Instant};

use futures::future::try_join_all;

/// Small events in one measurement.
const EVENTS: usize = 256;
pub const AT_ONCE: usize = 64;

pub async fn timed<T>(what: impl Future<Output = Result<T>>) -> Result<Duration> {
    let begun = Instant::now();
    what.await?;
    Ok(begun.elapsed())
}

/// So many events, some of them at once.
pub async fn many<F: Future<Output = Result<()>>>(at_once: usize, one: impl Fn() -> F) -> Result<()> {
    for _ in 0..EVENTS / at_once {
        try_join_all((0..at_once).map(|_| one())).await?;
    }
    Ok(())
}

pub fn expect(right: bool) -> Result<()> {
    if right { Ok(()) } else { Err(Error::other("an answer is wrong")) }
}
