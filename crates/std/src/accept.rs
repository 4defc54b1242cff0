//! Accepting sockets.

use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Weak},
    thread,
};

use sanswarm::Multiaddr;
use socket2::{Domain, SockRef, Socket, Type};

use crate::{
    shared::{Command, Shared},
    socket,
    threads::Kind,
};
use sanswarm_host::multiaddr_like;

/// The rest after an accept that failed for want of something, file descriptors mostly.
pub(crate) const REST: Duration = Duration::from_millis(50);

/// Connections that the system holds until they are accepted.
const BACKLOG: i32 = 1024;

/// A listener whose thread runs.
#[derive(Debug)]
pub(crate) struct Acceptor {
    addr: SocketAddr,
    wanted: Multiaddr,
    /// The thread's.
    listener: Weak<TcpListener>,
    stop: Arc<AtomicBool>,
}

impl Acceptor {
    /// Binds, and accepts on a thread of its own. When that has ended, the control hears of it.
    pub(crate) fn start(wanted: Multiaddr, addr: SocketAddr, shared: &Arc<Shared>) -> io::Result<Self> {
        let listener = Arc::new(bind(addr)?);
        let stop = Arc::default();
        let addr = listener.local_addr()?;
        let acceptor = Self { addr, wanted: wanted.clone(), listener: Arc::downgrade(&listener), stop };
        let (stop, orders) = (acceptor.stop.clone(), shared.clone());
        let run = move || {
            run(&listener, &wanted, &stop, &orders);
            drop(listener);
            orders.command(Command::Unlistened { wanted });
        };
        shared.threads.spawn(Kind::Accept, "sanswarm-accept", usize::MAX, run)?;
        Ok(acceptor)
    }

    /// The address that was bound.
    pub(crate) fn bound(&self) -> Multiaddr {
        multiaddr_like(&self.wanted, self.addr)
    }

    /// Ends the thread, which waits for somebody to connect: some systems wake it when its socket is shut down, on the
    /// others we connect ourselves. May have to be repeated.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let Some(listener) = self.listener.upgrade() else { return };
        if SockRef::from(&*listener).shutdown(Shutdown::Both).is_ok() {
            return;
        }
        drop(listener);
        let mut addr = self.addr;
        if addr.ip().is_unspecified() {
            addr.set_ip(if addr.is_ipv4() { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) });
        }
        let _ = TcpStream::connect_timeout(&addr, REST);
    }
}

/// A listening socket. One of IPv6 takes IPv6 only, so that the same port can be listened on by IPv4 beside it.
pub(crate) fn bind(addr: SocketAddr) -> io::Result<TcpListener> {
    let socket = Socket::new(Domain::for_address(addr), Type::STREAM, None)?;
    if addr.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    // On Windows it would let others take the port away.
    if cfg!(unix) {
        socket.set_reuse_address(true)?;
    }
    socket.bind(&addr.into())?;
    socket.listen(BACKLOG)?;
    Ok(socket.into())
}

fn run(listener: &TcpListener, wanted: &Multiaddr, stop: &AtomicBool, shared: &Shared) {
    loop {
        let accepted = listener.accept();
        if stop.load(Ordering::Relaxed) {
            return;
        }
        match accepted {
            // One at a time, so that floods wait in the system's queue and not in ours.
            Ok((socket, remote)) => {
                let Ok(local) = socket.local_addr() else { continue };
                let (local, remote) = (multiaddr_like(wanted, local), multiaddr_like(wanted, remote));
                let socket = socket::accepted(socket, wanted);
                let _ = shared.ask(|done| Command::Accepted { socket, local, remote, done });
            }
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
