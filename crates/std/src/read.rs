//! The thread that reads a socket.

use std::{io, sync::Arc};

use crate::{
    conn::{Conn, Fresh},
    socket::Socket,
};

/// Reads until the peer ends, or the socket breaks, or the connection is over.
pub(crate) fn run(conn: &Arc<Conn>, socket: &Socket) {
    let mut fresh = Fresh::default();
    loop {
        let inner = conn.wait_room(conn.lock());
        if inner.stop {
            return;
        }
        drop(inner);
        // Wait without a buffer, so that an idle connection holds none and the link can go on with it meanwhile.
        let is_end = match socket.wait() {
            Ok(is_end) => is_end,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => true,
        };
        let Some(mut recv) = conn.lock().recv.take() else { return };
        let (mut n, mut room) = (0, 0);
        if is_end {
            recv.set_eof();
        } else {
            // Bytes are there and nobody else reads: this does not block.
            let spare = recv.spare();
            room = spare.len();
            n = socket.read(spare).unwrap_or(0); // An error is met again by the next look at the socket.
            recv.filled(n);
        }
        let mut inner = conn.lock();
        inner.recv = Some(recv);
        conn.pump(&mut inner, &mut fresh);
        if let (true, Some(recv)) = (n < room, &mut inner.recv) {
            recv.release(); // The socket is empty.
            socket.release();
        }
        if socket.has_unsent() {
            conn.wake_writer(&mut inner);
        }
        conn.settle(&mut inner);
        drop(inner);
        conn.hand_over(&mut fresh);
        if is_end {
            return;
        }
    }
}
