//! Looking for more before going to sleep.
//!
//! What a thread has passed on is answered within a few hundred microseconds as a rule. To sleep meanwhile lets the
//! processor halt, and waking it takes 20–60 µs: half of what an event pays for going through us. So a thread that has
//! read something asks the kernel for more for a while, as Linux does for halting guests (haltpoll) and busy sockets
//! (SO_BUSY_POLL). It gives the processor to whoever wants it at each look, and sleeps at once where more has not come
//! soon lately.

use std::cell::{Cell, RefCell};
use std::future::{Future, poll_fn};
use std::task::{Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that is looked for more. A workerd takes 50 to 300 µs for its part of an event that does little.
const MOST: Duration = Duration::from_micros(400);

/// Where the time starts to grow from.
const LEAST: Duration = Duration::from_micros(50);

thread_local! {
    /// Of this thread; `None` where nobody looks.
    static WINDOW: Cell<Option<Window>> = const { Cell::new(None) };
    /// Wakes who looks, while nothing was read for long.
    static SLEEPER: RefCell<Option<Waker>> = const { RefCell::new(None) };
}

/// How long to look for more after something was read: it grows while that would have helped, and shrinks while not.
#[derive(Clone, Copy, Debug)]
struct Window {
    length: Duration,
    read: Instant,
}

impl Window {
    fn new(now: Instant) -> Self {
        Window { length: Duration::ZERO, read: now }
    }

    /// Something was read.
    fn read(&mut self, now: Instant) {
        let waited = now.saturating_duration_since(self.read);
        self.read = now;
        if waited > MOST {
            self.length /= 2;
            if self.length < LEAST {
                self.length = Duration::ZERO;
            }
        } else if waited > self.length {
            self.length = (self.length * 2).clamp(LEAST, MOST);
        }
    }

    fn is_open(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.read) < self.length
    }
}

/// Something was read on this thread.
pub(super) fn read() {
    let Some(mut window) = WINDOW.get() else { return };
    window.read(Instant::now());
    WINDOW.set(Some(window));
    if !window.length.is_zero()
        && let Some(sleeper) = SLEEPER.take()
    {
        sleeper.wake();
    }
}

fn is_open() -> bool {
    WINDOW.get().is_some_and(|window| window.is_open(Instant::now()))
}

/// Keeps the thread of a current-thread runtime looking for more after each read, until `end`; to be the future that
/// the runtime blocks on. A machine with a single processor has nobody to answer meanwhile: nothing is looked for.
pub(super) async fn until(end: impl Future<Output = ()>) {
    if thread::available_parallelism().is_ok_and(|count| count.get() > 1) {
        WINDOW.set(Some(Window::new(Instant::now())));
    }
    tokio::select! {
        biased;
        () = end => {}
        () = look() => {}
    }
}

async fn look() {
    loop {
        poll_fn(|cx| {
            if is_open() {
                return Poll::Ready(());
            }
            SLEEPER.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await;
        while is_open() {
            thread::yield_now();
            // The runtime asks the kernel for events before it comes back here.
            tokio::task::yield_now().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The window after reads that came so many microseconds apart.
    fn after(gaps: &[u64]) -> Window {
        let mut now = Instant::now();
        let mut window = Window::new(now);
        for gap in gaps {
            now += Duration::from_micros(*gap);
            window.read(now);
        }
        window
    }

    #[test]
    fn answers_are_waited_for_awake() {
        // A request, its answer, and a second later the next one.
        let event = [1_000_000, 120, 250, 90];
        let window = after(&event.repeat(5));
        assert!(window.is_open(window.read + Duration::from_micros(250)), "{window:?}");
    }

    #[test]
    fn what_comes_now_and_then_is_waited_for_asleep() {
        let mut gaps = vec![100; 10];
        gaps.extend([10_000; 4]);
        let window = after(&gaps);
        assert!(!window.is_open(window.read), "{window:?}");
    }

    proptest! {
        #[test]
        fn the_window_is_bounded(gaps in prop::collection::vec(0u64..2_000_000, 0..200)) {
            let window = after(&gaps);
            prop_assert!(!window.is_open(window.read + MOST));
        }
    }

    #[test]
    fn a_thread_that_reads_nothing_sleeps_until_it_reads() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let sleeps = || SLEEPER.with_borrow(Option::is_some);
        // Set here rather than grown by reads: a test that is kept from the processor for long has shrunk it by then.
        let open = || WINDOW.set(Some(Window { length: MOST, read: Instant::now() }));
        runtime.block_on(until(async {
            open();
            while is_open() {
                tokio::task::yield_now().await;
            }
            tokio::task::yield_now().await;
            assert!(sleeps());
            open();
            read();
            assert!(!sleeps());
        }));
    }
}
