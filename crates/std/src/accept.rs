//! Accepting sockets.

use core::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
    time::Duration,
};
use std::{
    io,
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Weak},
    thread,
};

use sanswarm::{Multiaddr, TransportError};
use socket2::{Domain, SockRef, Socket, Type};

use crate::{
    memory::Signal,
    shared::{Command, Shared},
    socket::{self, Kit, tcp_addr},
    threads::Kind,
};
use sanswarm_host::{MemoryListener, memory_number, multiaddr_like, transport_error};

/// The rest after an accept that failed for want of something, file descriptors mostly.
pub(crate) const REST: Duration = Duration::from_millis(50);

/// Connections that the system holds until they are accepted.
const BACKLOG: i32 = 1024;

/// A listener whose thread runs.
#[derive(Debug)]
pub(crate) struct Acceptor {
    bound: Multiaddr,
    door: Door,
    stop: Arc<AtomicBool>,
}

/// What the thread waits at.
#[derive(Debug)]
enum Door {
    Tcp { addr: SocketAddr, listener: Weak<TcpListener> },
    Memory(Arc<MemoryListener>),
}

impl Acceptor {
    /// Binds, and accepts on a thread of its own. When that has ended, the control hears of it.
    pub(crate) fn start(wanted: Multiaddr, kit: &Kit, shared: &Arc<Shared>) -> Result<Self, TransportError> {
        if let Some(number) = memory_number(&wanted) {
            return Self::start_in_memory(wanted, number, shared);
        }
        kit.check_listen(&wanted)?;
        let addr = tcp_addr(&wanted).ok_or(TransportError::Unsupported)?;
        Self::start_on_tcp(wanted, addr, kit.clone(), shared).map_err(|error| transport_error(&error))
    }

    fn start_in_memory(wanted: Multiaddr, number: u64, shared: &Arc<Shared>) -> Result<Self, TransportError> {
        let listener = Arc::new(MemoryListener::bind(number)?);
        let bound = listener.address();
        let acceptor = Self { bound, door: Door::Memory(listener.clone()), stop: Arc::default() };
        let orders = shared.clone();
        let run = move || {
            run_in_memory(&listener, &orders);
            orders.command(Command::Unlistened { wanted });
        };
        let started = shared.threads.spawn(Kind::Accept, "sanswarm-accept", usize::MAX, run);
        started.map(|_| acceptor).map_err(|error| transport_error(&error))
    }

    fn start_on_tcp(wanted: Multiaddr, addr: SocketAddr, kit: Kit, shared: &Arc<Shared>) -> io::Result<Self> {
        let listener = Arc::new(bind(addr)?);
        let addr = listener.local_addr()?;
        let door = Door::Tcp { addr, listener: Arc::downgrade(&listener) };
        let acceptor = Self { bound: multiaddr_like(&wanted, addr), door, stop: Arc::default() };
        let (stop, orders) = (acceptor.stop.clone(), shared.clone());
        let run = move || {
            run(&listener, &wanted, &kit, &stop, &orders);
            drop(listener);
            orders.command(Command::Unlistened { wanted });
        };
        shared.threads.spawn(Kind::Accept, "sanswarm-accept", usize::MAX, run)?;
        Ok(acceptor)
    }

    /// The address that was bound.
    pub(crate) fn bound(&self) -> Multiaddr {
        self.bound.clone()
    }

    /// Ends the thread, which waits for somebody to connect: some systems wake it when its socket is shut down, on the
    /// others we connect ourselves. May have to be repeated.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
        let (addr, listener) = match &self.door {
            Door::Memory(listener) => return listener.close(),
            Door::Tcp { addr, listener } => (*addr, listener),
        };
        let Some(listener) = listener.upgrade() else { return };
        if SockRef::from(&*listener).shutdown(Shutdown::Both).is_ok() {
            return;
        }
        drop(listener);
        let mut addr = addr;
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

fn run_in_memory(listener: &MemoryListener, shared: &Shared) {
    let (local, signal) = (listener.address(), Arc::<Signal>::default());
    let waker = signal.clone().into();
    loop {
        match listener.poll_accept(&Context::from_waker(&waker)) {
            Poll::Pending => signal.wait(None),
            Poll::Ready(None) => return,
            Poll::Ready(Some((pipe, remote))) => {
                let (socket, local) = (pipe.into(), local.clone());
                let _ = shared.ask(|done| Command::Accepted { socket, local, remote, done });
            }
        }
    }
}

fn run(listener: &TcpListener, wanted: &Multiaddr, kit: &Kit, stop: &AtomicBool, shared: &Shared) {
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
                let Ok(socket) = socket::accepted(socket, wanted, kit) else { continue };
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
