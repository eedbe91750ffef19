//! Interleaved rounds: in each, every path has its turn, in another order.

use std::collections::BTreeMap;
use std::io;
use std::time::{Duration, Instant};

use crate::world::{Client, Route, World};

/// Fewer rounds than this say nothing.
const LEAST_ROUNDS: usize = 3;

/// One thing that is measured.
#[derive(Clone, Copy)]
pub struct Case {
    pub name: &'static str,
    /// Calls at once.
    pub at: usize,
    /// Calls on each lane of one request.
    pub calls: usize,
    pub rounds: usize,
    /// Rounds end after this time even if there are fewer: a busy machine must not make a run endless.
    pub within: Duration,
}

impl Case {
    /// The cases of a whole run; `quick` has fewer rounds.
    pub fn all(quick: bool) -> Vec<Case> {
        let case = |name, at, calls, rounds: usize| {
            let (rounds, seconds) = if quick { ((rounds / 8).max(LEAST_ROUNDS), 5) } else { (rounds, 35) };
            Case { name, at, calls, rounds, within: Duration::from_secs(seconds) }
        };
        vec![
            case("rpc", 1, 25, 400),
            case("fetch", 1, 25, 240),
            case("connect", 1, 5, 240),
            case("rpc", 64, 20, 48),
            case("fetch", 64, 8, 32),
            case("stream", 1, 1, 12),
        ]
    }

    /// Whether a path can take it: what forwards Cap'n Proto takes no plain HTTP.
    pub fn goes_over(self, route: Route) -> bool {
        !(self.name == "fetch" && route.middle == "capnp-rpc")
    }

    fn path(self, route: Route, calls: usize) -> String {
        format!("/{}?path={}&at={}&n={calls}", self.name, route.binding(), self.at)
    }
}

/// What was seen of one case over one path.
#[derive(Default)]
pub struct Seen {
    /// Microseconds a call, one value a round: the time of a request with many calls, shared out.
    pub call_us: Vec<f64>,
    /// Microseconds of a request with one call. Only where calls are made one after the other.
    pub single_us: Vec<f64>,
    /// Microseconds of the middle's processor time a call.
    pub cpu_us: Vec<f64>,
    pub rss_mb: Option<f64>,
}

/// Numbers that look random enough to shuffle with, the same in every run.
struct Shuffle(u64);

impl Shuffle {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as usize) % bound.max(1)
    }

    fn order(&mut self, routes: &mut [Route]) {
        for last in (1..routes.len()).rev() {
            routes.swap(last, self.below(last + 1));
        }
    }
}

pub fn run(world: &World, case: Case, routes: &[Route]) -> io::Result<BTreeMap<Route, Seen>> {
    let mut routes: Vec<_> = routes.iter().copied().filter(|route| case.goes_over(*route)).collect();
    let mut client = Client::dial(&world.caller)?;
    let mut all: BTreeMap<Route, Seen> = BTreeMap::new();
    // Connections are opened, and code is compiled, before anything counts.
    for route in &routes {
        client.get(&case.path(*route, case.calls))?;
    }
    let mut shuffle = Shuffle(1);
    let start = Instant::now();
    for round in 0..case.rounds {
        if round >= LEAST_ROUNDS && start.elapsed() > case.within {
            break;
        }
        shuffle.order(&mut routes);
        for route in &routes {
            let seen = all.entry(*route).or_default();
            one(world, &mut client, case, *route, seen)?;
        }
    }
    for (route, seen) in &mut all {
        seen.rss_mb = world.middles.get(route.middle).and_then(|middle| middle.rss_mb());
    }
    Ok(all)
}

fn one(world: &World, client: &mut Client, case: Case, route: Route, seen: &mut Seen) -> io::Result<()> {
    let middle = world.middles.get(route.middle);
    let path = case.path(route, case.calls);
    let calls = (case.calls * case.at) as f64;
    let cpu = middle.and_then(|middle| middle.cpu());
    let start = Instant::now();
    client.get(&path)?;
    seen.call_us.push(start.elapsed().as_secs_f64() * 1e6 / calls);
    if let (Some(before), Some(after)) = (cpu, middle.and_then(|middle| middle.cpu())) {
        seen.cpu_us.push(after.saturating_sub(before).as_secs_f64() * 1e6 / calls);
    }
    if case.at == 1 && case.calls > 1 {
        let path = case.path(route, 1);
        for _ in 0..2 {
            let start = Instant::now();
            client.get(&path)?;
            seen.single_us.push(start.elapsed().as_secs_f64() * 1e6);
        }
    }
    Ok(())
}
