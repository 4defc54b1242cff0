//! Accepting sockets.

use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    io,
    net::{TcpListener, TcpStream},
    sync::Arc,
    thread,
};

use crate::{
    shared::{Command, Shared},
    threads::Kind,
};

/// The rest after an accept that failed for want of something, file descriptors mostly.
pub(crate) const REST: Duration = Duration::from_millis(50);

/// A listener whose thread runs.
#[derive(Debug)]
pub(crate) struct Acceptor {
    pub(crate) addr: SocketAddr,
    stop: Arc<AtomicBool>,
}

impl Acceptor {
    /// Binds, and accepts on a thread of its own.
    pub(crate) fn start(addr: SocketAddr, shared: &Arc<Shared>) -> io::Result<Self> {
        let listener = TcpListener::bind(addr)?;
        let acceptor = Self { addr: listener.local_addr()?, stop: Arc::default() };
        let (stop, orders) = (acceptor.stop.clone(), shared.clone());
        let run = move || run(&listener, &stop, &orders);
        shared.threads.spawn(Kind::Accept, "sanswarm-accept", usize::MAX, run)?;
        Ok(acceptor)
    }

    /// Ends the thread: it waits for somebody to connect, so we do. May have to be repeated.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(if addr.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) });
        }
        let _ = TcpStream::connect_timeout(&addr, REST);
    }
}

fn run(listener: &TcpListener, stop: &AtomicBool, shared: &Shared) {
    loop {
        let accepted = listener.accept();
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match accepted {
            // One at a time, so that floods wait in the system's queue and not in ours.
            Ok((socket, _)) => drop(shared.ask(|done| Command::Accepted { socket, done })),
            Err(error) if is_passing(&error) => {}
            Err(_) => thread::sleep(REST),
        }
    }
}

/// Whether it says only that the one who came has left again.
pub(crate) fn is_passing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::Interrupted | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    )
}
