//! Flow control: what each end may still send.

use core::{num::NonZeroU32, time::Duration};

use sanswarm_wire::Instant;

use crate::error::Error;

/// The window that every stream starts with in both directions, in bytes (spec, "Flow control").
pub const INITIAL_WINDOW_BYTES: u32 = 256 * 1024;

/// The largest receive window that can be configured, in bytes.
pub(crate) const MAX_WINDOW_BYTES: u32 = 1024 * 1024 * 1024;

/// What we may still send on a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendWindow(u32);

impl SendWindow {
    pub(crate) const INITIAL: Self = Self(INITIAL_WINDOW_BYTES);

    pub(crate) fn left(self) -> usize {
        self.0 as usize
    }

    pub(crate) fn add(&mut self, credit: u32) -> Result<(), Error> {
        self.0 = self.0.checked_add(credit).ok_or(Error::CreditOverflow)?;
        Ok(())
    }

    pub(crate) fn spend(&mut self, n: usize) {
        self.0 = self.0.saturating_sub(u32::try_from(n).unwrap_or(u32::MAX));
    }
}

/// A point in time in 32 bits: units of 16 µs, never 0. It wraps after 19 hours; a window may then grow once too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Tick(NonZeroU32);

impl Tick {
    fn new(now: Instant) -> Self {
        Self(NonZeroU32::MIN | (now.as_micros() >> 4) as u32)
    }

    fn until(self, now: Instant) -> Duration {
        Duration::from_micros(u64::from(Self::new(now).0.get().wrapping_sub(self.0.get())) << 4)
    }
}

/// What the peer may still send on a stream. The size of the window is always
/// what is open + what has arrived and was not read + what was read and not given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecvWindow {
    size: u32,
    open: u32,
    read: u32,
    /// When credit was given last.
    granted: Option<Tick>,
}

impl RecvWindow {
    /// A window of `size` bytes, of which the peer knows the initial ones.
    pub(crate) fn new(size: u32) -> Self {
        Self { size, open: INITIAL_WINDOW_BYTES, read: size.saturating_sub(INITIAL_WINDOW_BYTES), granted: None }
    }

    pub(crate) fn size(self) -> u32 {
        self.size
    }

    /// The peer sends `length` bytes.
    pub(crate) fn receive(&mut self, length: u32) -> Result<(), Error> {
        self.open = self.open.checked_sub(length).ok_or(Error::WindowExceeded { length, window: self.open })?;
        Ok(())
    }

    /// The application has read `n` bytes more; never more than arrived.
    pub(crate) fn consume(&mut self, n: usize) {
        let unread = self.size - self.open - self.read;
        self.read += u32::try_from(n).unwrap_or(u32::MAX).min(unread);
    }

    /// What could be given back.
    pub(crate) fn read(self) -> u32 {
        self.read
    }

    /// Whether so much could be given back that it is worth a frame.
    pub(crate) fn is_due(self) -> bool {
        self.read >= self.size / 2
    }

    /// Whether so much was read that it is worth a frame. The first credit of a window that starts large does not count.
    pub(crate) fn was_read(self) -> bool {
        self.is_due() && (self.granted.is_some() || self.size == INITIAL_WINDOW_BYTES)
    }

    /// By how much the window should grow with the credit that is due now, at most up to `max`: to twice its size if
    /// half of it was read within two round trips. A window that holds the peer back is read in one round trip, so it
    /// grows until it is four times what is on its way to a reader who keeps up.
    pub(crate) fn growth(self, now: Instant, round_trip: Duration, max: u32) -> u32 {
        match self.granted {
            Some(last) if self.is_due() && last.until(now) < round_trip * 2 => {
                self.size.min(max.saturating_sub(self.size))
            }
            _ => 0,
        }
    }

    /// Enlarges the window. The peer hears of it with the next credit.
    pub(crate) fn grow(&mut self, by: u32) {
        self.size += by;
        self.read += by;
    }

    /// All that was read has been given back.
    pub(crate) fn grant(&mut self, now: Instant) {
        self.open += core::mem::take(&mut self.read);
        self.granted = Some(Tick::new(now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = INITIAL_WINDOW_BYTES;

    fn at(micros: u64) -> Instant {
        Instant::from_micros(micros)
    }

    #[test]
    fn credit_follows_consumption_at_half_the_window() {
        let mut window = RecvWindow::new(SIZE);
        window.receive(SIZE).unwrap();
        assert_eq!(window.receive(1), Err(Error::WindowExceeded { length: 1, window: 0 }));
        window.consume(SIZE as usize / 2 - 1);
        assert!(!window.is_due());
        window.consume(1);
        assert!(window.is_due());
        window.grant(at(0));
        assert_eq!((window.open, window.read), (SIZE / 2, 0));
    }

    #[test]
    fn no_more_is_given_back_than_arrived() {
        let mut window = RecvWindow::new(SIZE);
        window.receive(10).unwrap();
        window.consume(usize::MAX);
        window.consume(1);
        assert_eq!(window.read(), 10);
    }

    #[test]
    fn credit_never_wraps() {
        let mut window = SendWindow::INITIAL;
        window.add(u32::MAX - SIZE).unwrap();
        assert_eq!(window.left(), u32::MAX as usize);
        assert_eq!(window.add(1), Err(Error::CreditOverflow));
        assert_eq!(window.left(), u32::MAX as usize);
        window.spend(usize::MAX);
        assert_eq!(window.left(), 0);
    }

    #[test]
    fn a_window_grows_if_half_of_it_was_read_within_two_round_trips() {
        let mut window = RecvWindow::new(SIZE);
        let round_trip = Duration::from_millis(10);
        window.receive(SIZE).unwrap();
        window.consume(SIZE as usize / 2);
        assert_eq!(window.growth(at(0), round_trip, u32::MAX), 0, "nobody knows how long the first half took");
        window.grant(at(1000));
        assert_eq!(window.growth(at(1001), round_trip, u32::MAX), 0, "nothing was read since");
        window.consume(SIZE as usize / 2);
        assert_eq!(window.growth(at(20_900), round_trip, u32::MAX), SIZE);
        assert_eq!(window.growth(at(20_900), round_trip, SIZE + 5), 5, "up to the limit");
        assert_eq!(window.growth(at(20_900), round_trip, SIZE - 1), 0);
        assert_eq!(window.growth(at(21_000), round_trip, u32::MAX), 0, "too slow to be held back by the window");
        window.grow(SIZE);
        window.grant(at(21_000));
        assert_eq!((window.size(), window.open, window.read), (2 * SIZE, 2 * SIZE, 0));
        window.receive(2 * SIZE).unwrap();
        window.consume(SIZE as usize - 1);
        assert!(!window.is_due());
        window.consume(1);
        assert_eq!(window.growth(at(22_000), round_trip, u32::MAX), 2 * SIZE);
    }

    #[test]
    fn no_round_trip_no_growth() {
        let mut window = RecvWindow::new(SIZE);
        window.grant(at(7));
        window.receive(SIZE).unwrap();
        window.consume(SIZE as usize);
        assert_eq!(window.growth(at(7), Duration::ZERO, u32::MAX), 0);
    }

    #[test]
    fn time_in_32_bits_wraps_and_is_never_zero() {
        for micros in [0, 16, 1 << 36, u64::MAX] {
            let tick = Tick::new(at(micros));
            assert_eq!(tick.until(at(micros)), Duration::ZERO);
            let later = at(micros.saturating_add(1 << 20));
            assert_eq!(tick.until(later), later.since(at(micros)), "{micros}");
        }
    }
}
