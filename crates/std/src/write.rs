//! The thread that writes a socket. It is also the one that ends a connection.

use core::time::Duration;
use std::{
    io::{self, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
};

use sanswarm::Hangup;

use crate::{
    conn::{Conn, Fresh},
    read,
    threads::Kind,
};

/// How long a full socket may keep the thread from looking at the link's deadlines. They are late by this at most.
const FULL: Duration = Duration::from_millis(100);

/// Drives a connection from its first byte to its last.
pub(crate) fn run(conn: &Arc<Conn>, socket: Arc<TcpStream>) {
    let _ = socket.set_nodelay(true);
    let _ = socket.set_write_timeout(Some(FULL));
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
    let _ = socket.shutdown(Shutdown::Both);
    if let Ok(reader) = reader {
        let _ = reader.join();
    }
    conn.end();
}

/// Sends what is due until the link says that it is over.
fn write(conn: &Arc<Conn>, socket: &TcpStream) {
    let (mut out, mut fresh) = (Vec::new(), Fresh::default());
    loop {
        let mut inner = conn.lock();
        conn.pump(&mut inner, &mut fresh);
        if inner.send.take_ready(&mut out) {
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
                let _ = socket.shutdown(Shutdown::Both); // The read thread sees what has arrived, and then the end.
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
            let _ = socket.shutdown(Shutdown::Write);
            continue;
        }
        if !fresh.is_empty() {
            drop(inner);
            conn.hand_over(&mut fresh);
            continue;
        }
        out = Vec::new();
        inner.send.release();
        drop(conn.wait_due(inner));
    }
}

/// Sends all of `out`. Returns whether it did: the socket may break, or the link give up.
fn send(conn: &Arc<Conn>, mut socket: &TcpStream, out: &[u8]) -> bool {
    let mut sent = 0;
    while sent < out.len() {
        match socket.write(&out[sent..]) {
            Ok(0) => return false,
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
                }
                _ => return false,
            },
        }
    }
    true
}
