//! The thread that writes a socket. It is also the one that ends a connection.

use std::{io, sync::Arc};

use sanswarm::Hangup;

use crate::{
    conn::{Conn, Fresh},
    read,
    socket::Socket,
    threads::Kind,
};

/// Drives a connection from its first byte to its last.
pub(crate) fn run(conn: &Arc<Conn>, socket: Arc<Socket>) {
    socket.set_up();
    let reader = {
        let (conn, socket, threads) = (conn.clone(), socket.clone(), conn.shared.threads.clone());
        let run = move || read::run(&conn, &socket);
        threads.spawn(Kind::Ours, "sanswarm-read", usize::MAX, run)
    };
    if reader.is_ok() {
        write(conn, &socket);
    }
    {
        let mut inner = conn.lock();
        inner.broken = true;
        conn.stop_reader(&mut inner);
    }
    socket.cut();
    if let Ok(reader) = reader {
        let _ = reader.join();
    }
    conn.end();
}

/// Sends what is due until the link says that it is over.
fn write(conn: &Arc<Conn>, socket: &Socket) {
    let (mut out, mut fresh) = (Vec::new(), Fresh::default());
    loop {
        let mut inner = conn.lock();
        conn.pump(&mut inner, &mut fresh);
        if inner.send.take_ready(&mut out) || (socket.has_unsent() && !inner.broken) {
            if inner.broken {
                out.clear();
            }
            // There is room now: writers go on while the socket takes what we have.
            conn.pump(&mut inner, &mut fresh);
            drop(inner);
            conn.hand_over(&mut fresh);
            if !send(conn, socket, &out) {
                let mut inner = conn.lock();
                (inner.broken, inner.unsent) = (true, true);
                drop(inner);
                socket.cut(); // The read thread sees what has arrived, and then the end.
            }
            out.clear();
            continue;
        }
        let (is_home, hangup) = (inner.recv.is_some(), inner.hangup());
        if is_home && hangup > inner.hung_up {
            inner.hung_up = hangup;
            drop(inner);
            conn.hand_over(&mut fresh);
            if hangup == Hangup::Both {
                return;
            }
            socket.finish();
            continue;
        }
        if !fresh.is_empty() {
            drop(inner);
            conn.hand_over(&mut fresh);
            continue;
        }
        out = Vec::new();
        inner.send.release();
        socket.release();
        drop(conn.wait_due(inner));
    }
}

/// Sends all of `out`. Returns whether it did: the socket may break, or the link give up.
fn send(conn: &Arc<Conn>, socket: &Socket, out: &[u8]) -> bool {
    let mut sent = 0;
    while sent < out.len() || socket.has_unsent() {
        match socket.write(&out[sent..]) {
            Ok(0) if sent < out.len() => return false,
            Ok(n) => sent += n,
            Err(error) => match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
                    let mut fresh = Fresh::default();
                    let mut inner = conn.lock();
                    conn.pump(&mut inner, &mut fresh);
                    let is_over = inner.broken || inner.is_overdue();
                    drop(inner);
                    conn.hand_over(&mut fresh);
                    if is_over {
                        return false;
                    }
                    socket.wait_writable();
                }
                _ => return false,
            },
        }
    }
    true
}
