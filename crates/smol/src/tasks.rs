//! The other tasks of a node: its timer, its dials and its listeners; and what they ask of the system.

use core::{future::poll_fn, pin::Pin, task::Poll, time::Duration};
use std::{
    net::{TcpListener, TcpStream},
    sync::Arc,
};

use async_channel::Receiver;
use async_io::{Async, Timer};
use futures_lite::future::or;
use sanswarm::{ConnId, Multiaddr, Question, ResolveId, Role, TransportError};
use sanswarm_host::{
    lookup, multiaddr, secret, socket_addr,
    trace::{self, Span},
    transport_error,
};

use crate::node::Shared;

/// After an accept that failed for the host's sake (no descriptor is left, mostly), this long nothing is accepted.
const PAUSE: Duration = Duration::from_millis(50);

/// Tells the node that time has passed, until it has ended.
pub(crate) async fn timer(shared: Arc<Shared>) {
    let mut timer = Timer::never();
    poll_fn(|cx| {
        loop {
            shared.call(|state, now| state.node.handle_timeout(now));
            let mut state = shared.lock();
            if state.cut.is_some() {
                return Poll::Ready(());
            }
            let due = state.node.poll_timeout().map(|deadline| deadline.at);
            state.timer = (Some(cx.waker().clone()), due);
            drop(state);
            match due.and_then(|due| shared.at(due)) {
                Some(at) => timer.set_at(at),
                None => timer = Timer::never(),
            }
            if Pin::new(&mut timer).poll(cx).is_pending() {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// Connects and tells how it went, unless nobody wants to know any more.
pub(crate) async fn dial(shared: Arc<Shared>, conn: ConnId, address: Multiaddr, abandoned: Receiver<()>) {
    let given_up = async {
        let _ = abandoned.recv().await;
        Err(TransportError::TimedOut)
    };
    let socket = or(connect(&address), given_up).await;
    shared.call(|state, now| {
        state.dials.remove(&conn);
        match socket.and_then(|socket| Ok((socket, secret()?))) {
            Ok((socket, secret)) if state.node.handle_dialed(now, conn, secret) => {
                state.add(&shared, conn, socket, Span::connection(conn, Role::Dialer, || Some(address.clone())));
            }
            Ok(_) => {}
            Err(cause) => {
                trace::dial_failed(conn, cause);
                state.node.handle_dial_failed(now, conn, cause);
            }
        }
    });
}

async fn connect(address: &Multiaddr) -> Result<Async<TcpStream>, TransportError> {
    let address = socket_addr(address).ok_or(TransportError::Unsupported)?;
    Async::<TcpStream>::connect(address).await.map_err(|error| transport_error(&error))
}

/// Looks a name up, in a thread that waits for the system.
pub(crate) async fn resolve(shared: Arc<Shared>, id: ResolveId, question: Question) {
    let result = blocking::unblock(|| lookup(question)).await;
    shared.call(|state, now| state.node.handle_resolved(now, id, result));
}

/// Hands in what a listener accepts, until the node ends.
pub(crate) async fn accept(shared: Arc<Shared>, listener: Async<TcpListener>, running: Receiver<()>) {
    let ended = || async {
        let _ = running.recv().await;
        None
    };
    while let Some(accepted) = or(async { Some(listener.accept().await) }, ended()).await {
        let Ok((socket, remote)) = accepted else {
            Timer::after(PAUSE).await;
            continue;
        };
        let Some((local, secret)) = socket.get_ref().local_addr().ok().zip(secret().ok()) else { continue };
        shared.call(|state, now| match state.node.handle_accepted(now, multiaddr(local), multiaddr(remote), secret) {
            Ok(conn) => {
                let span = Span::connection(conn, Role::Listener, || Some(multiaddr(remote)));
                state.add(&shared, conn, socket, span);
            }
            Err(denied) => trace::denied(&multiaddr(remote), denied),
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "an adapter reads the clock")]
pub(crate) fn clock() -> std::time::Instant {
    std::time::Instant::now()
}
