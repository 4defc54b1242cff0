//! The task of one connection: it moves bytes between its socket and the node.

use core::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, Waker},
};
use std::{
    net::{Shutdown, TcpStream},
    sync::Arc,
};

use async_io::Async;
use futures_io::{AsyncRead, AsyncWrite};
use sanswarm::{ConnId, Instant};
use sanswarm_host::trace::Span;

use crate::node::{Shared, State};

/// After so many bytes, in and out, the task lets others run.
const TURN_BYTES: usize = 256 * 1024;

/// What the node's tasks know of a connection that has a socket.
#[derive(Default)]
pub(crate) struct Conn {
    /// Its task, while it waits.
    pub(crate) task: Option<Waker>,
    /// All has been sent.
    pub(crate) is_shut: bool,
    pub(crate) span: Span,
}

/// Runs until the node wants the socket closed.
pub(crate) async fn run(shared: Arc<Shared>, conn: ConnId, socket: Async<TcpStream>) {
    poll_fn(|cx| shared.call(|state, now| state.turn(&shared, now, cx, conn, &socket))).await;
}

impl State {
    fn turn(
        &mut self,
        shared: &Arc<Shared>,
        now: Instant,
        cx: &mut Context<'_>,
        conn: ConnId,
        socket: &Async<TcpStream>,
    ) -> Poll<()> {
        let mut moved = 0;
        loop {
            // What was read makes something to be sent, and what is sent makes room.
            let n = self.write(cx, conn, socket) + self.read(cx, conn, socket);
            self.go_on(shared, now);
            let Some(entry) = self.conns.get_mut(&conn) else { return Poll::Ready(()) };
            if entry.is_shut && self.node.ready(conn).is_empty() {
                entry.is_shut = false;
                let _ = socket.get_ref().shutdown(Shutdown::Write);
            }
            entry.task = Some(cx.waker().clone());
            moved += n;
            if n == 0 || moved >= TURN_BYTES {
                if n > 0 {
                    cx.waker().wake_by_ref();
                }
                return Poll::Pending;
            }
        }
    }

    fn write(&mut self, cx: &mut Context<'_>, conn: ConnId, mut socket: &Async<TcpStream>) -> usize {
        let mut moved = 0;
        while !self.node.ready(conn).is_empty() && moved < TURN_BYTES {
            match Pin::new(&mut socket).poll_write(cx, self.node.ready(conn)) {
                Poll::Pending => break,
                Poll::Ready(Ok(n)) if n > 0 => {
                    self.node.sent(conn, n);
                    moved += n;
                }
                Poll::Ready(_) => {
                    self.node.handle_broken(conn);
                    break;
                }
            }
        }
        moved
    }

    fn read(&mut self, cx: &mut Context<'_>, conn: ConnId, mut socket: &Async<TcpStream>) -> usize {
        if !self.node.wants_input(conn) {
            return 0;
        }
        let Some(recv) = self.node.recv_buf(conn) else { return 0 };
        match Pin::new(&mut socket).poll_read(cx, recv.spare()) {
            Poll::Pending => {
                recv.release();
                return 0;
            }
            Poll::Ready(Ok(n)) if n > 0 => {
                recv.filled(n);
                self.node.wake(conn);
                return n;
            }
            Poll::Ready(Ok(_)) => self.node.handle_eof(conn),
            Poll::Ready(Err(_)) => self.node.handle_broken(conn),
        }
        1 // The node has to look at it.
    }
}
