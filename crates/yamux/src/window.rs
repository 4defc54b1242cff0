//! Flow control: what each end may still send.

use crate::error::Error;

/// The window that every stream starts with in both directions, in bytes (spec, "Flow control").
pub const INITIAL_WINDOW_BYTES: u32 = 256 * 1024;

/// The largest receive window that can be configured, in bytes.
pub(crate) const MAX_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

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

/// What the peer may still send on a stream. The size of the window is always
/// what is open + what has arrived and was not read + what was read and not given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecvWindow {
    open: u32,
    read: u32,
}

impl RecvWindow {
    /// A window of `size` bytes, of which the peer knows the initial ones.
    pub(crate) fn new(size: u32) -> Self {
        Self { open: INITIAL_WINDOW_BYTES, read: size.saturating_sub(INITIAL_WINDOW_BYTES) }
    }

    /// The peer sends `length` bytes.
    pub(crate) fn receive(&mut self, length: u32) -> Result<(), Error> {
        self.open = self.open.checked_sub(length).ok_or(Error::WindowExceeded { length, window: self.open })?;
        Ok(())
    }

    /// The application has read `n` bytes more; never more than arrived.
    pub(crate) fn consume(&mut self, n: usize, size: u32) {
        let unread = size.saturating_sub(self.open).saturating_sub(self.read);
        self.read += u32::try_from(n).unwrap_or(u32::MAX).min(unread);
    }

    /// What could be given back.
    pub(crate) fn read(self) -> u32 {
        self.read
    }

    /// Whether so much could be given back that it is worth a frame.
    pub(crate) fn is_due(self, size: u32) -> bool {
        self.read >= size / 2
    }

    /// All that was read has been given back.
    pub(crate) fn granted(&mut self) {
        self.open += core::mem::take(&mut self.read);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u32 = INITIAL_WINDOW_BYTES;

    #[test]
    fn credit_follows_consumption_at_half_the_window() {
        let mut window = RecvWindow::new(SIZE);
        window.receive(SIZE).unwrap();
        assert_eq!(window.receive(1), Err(Error::WindowExceeded { length: 1, window: 0 }));
        window.consume(SIZE as usize / 2 - 1, SIZE);
        assert!(!window.is_due(SIZE));
        window.consume(1, SIZE);
        assert!(window.is_due(SIZE));
        window.granted();
        assert_eq!((window.open, window.read), (SIZE / 2, 0));
    }

    #[test]
    fn no_more_is_given_back_than_arrived() {
        let mut window = RecvWindow::new(SIZE);
        window.receive(10).unwrap();
        window.consume(usize::MAX, SIZE);
        window.consume(1, SIZE);
        assert_eq!(window.read(), 10);
    }

    #[test]
    fn credit_never_wraps() {
        let mut window = SendWindow::INITIAL;
        window.add(u32::MAX - SIZE).unwrap();
        assert_eq!(window.left(), u32::MAX as usize);
        assert_eq!(window.add(1), Err(Error::CreditOverflow));
        assert_eq!(window.left(), u32::MAX as usize);
    }
}
