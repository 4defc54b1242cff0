//! A proxy that lets a connection through until some byte, and then does it harm.

#![allow(dead_code, reason = "each test uses a part of it")]

use core::{
    net::SocketAddr,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};
use std::{
    io,
    sync::Arc,
    thread::{self, JoinHandle},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    runtime::{Builder, Handle},
    sync::{Notify, oneshot},
};

/// What happens to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Nothing comes through any more; both sockets stay open, and nobody reads them.
    Stall,
    /// What comes in one direction is thrown away.
    Swallow,
    /// The end of the bytes, for both ends.
    Cut,
    /// The end of the bytes in one direction. The other goes on.
    HalfCut,
    /// Both ends are reset.
    Reset,
    /// The sender of the byte is reset; the other end hears nothing of it.
    HalfOpen,
    /// Byte by byte for a while.
    Trickle,
    /// Nothing for a moment.
    Delay,
}

impl Fault {
    pub(crate) const ALL: [Self; 8] =
        [Self::Stall, Self::Swallow, Self::Cut, Self::HalfCut, Self::Reset, Self::HalfOpen, Self::Trickle, Self::Delay];

    /// Whether the connection goes on behind it as if nothing had happened.
    pub(crate) fn is_harmless(self) -> bool {
        matches!(self, Self::Trickle | Self::Delay)
    }
}

/// What is done to one connection, and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) fault: Fault,
    /// In the bytes of the dialer; else in those of the listener.
    pub(crate) of_dialer: bool,
    /// Behind so many bytes.
    pub(crate) at: usize,
}

/// So many bytes come one by one.
const TRICKLE: usize = 600;

/// How long a moment is.
const DELAY: Duration = Duration::from_millis(60);

/// The thread of all proxies of a test.
pub(crate) struct Proxies {
    handle: Handle,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// One proxy, for one connection. Dropping it ends it.
pub(crate) struct Proxy {
    pub(crate) at: SocketAddr,
    is_hit: Arc<AtomicBool>,
    strike: Arc<Notify>,
    _end: oneshot::Sender<()>,
}

impl Proxy {
    /// Whether the fault has happened.
    pub(crate) fn is_hit(&self) -> bool {
        self.is_hit.load(Ordering::SeqCst)
    }

    /// Does the harm now.
    pub(crate) fn strike(&self) {
        self.strike.notify_one();
    }
}

impl Proxies {
    pub(crate) fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        let (handle, (end, ended)) = (runtime.handle().clone(), oneshot::channel());
        let run = move || drop(runtime.block_on(ended));
        let thread = thread::Builder::new().name("proxies".to_owned()).spawn(run).unwrap();
        Self { handle, end: Some(end), thread: Some(thread) }
    }

    /// A proxy before `target` that does what is planned to the first connection.
    pub(crate) fn open(&self, target: SocketAddr, plan: Plan) -> Proxy {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        listener.set_nonblocking(true).unwrap();
        let (is_hit, (end, ended)) = (Arc::<AtomicBool>::default(), oneshot::channel());
        let (strike, hit) = (Arc::new(Notify::new()), is_hit.clone());
        let struck = strike.clone();
        self.handle.spawn(async move {
            tokio::select! {
                _ = ended => {}
                _ = serve(listener, target, plan, (&hit, &struck)) => {}
            }
        });
        Proxy { at, is_hit, strike, _end: end }
    }
}

impl Drop for Proxies {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(
    listener: std::net::TcpListener,
    target: SocketAddr,
    plan: Plan,
    (hit, strike): (&AtomicBool, &Notify),
) -> io::Result<()> {
    let (mut dialer, _) = TcpListener::from_std(listener)?.accept().await?;
    let mut listener = TcpStream::connect(target).await?;
    dialer.set_nodelay(true)?;
    listener.set_nodelay(true)?;
    let (from, to) = if plan.of_dialer { (&mut dialer, &mut listener) } else { (&mut listener, &mut dialer) };
    let is_hit = tokio::select! {
        is_hit = carry(from, to, plan) => is_hit,
        () = strike.notified() => true,
    };
    let (from, to) = if plan.of_dialer { (dialer, listener) } else { (listener, dialer) };
    if is_hit {
        hit.store(true, Ordering::SeqCst);
        harm(from, to, plan.fault).await?;
    }
    Ok(())
}

/// Carries bytes until the place of the fault is reached, which it says, or both directions have ended.
async fn carry(from: &mut TcpStream, to: &mut TcpStream, plan: Plan) -> bool {
    let ((from_read, from_write), (to_read, to_write)) = (from.split(), to.split());
    let there = pump(from_read, to_write, Some(plan.at));
    let back = pump(to_read, from_write, None);
    tokio::pin!(there, back);
    tokio::select! {
        is_hit = &mut there => is_hit || back.await,
        _ = &mut back => there.await,
    }
}

/// Carries bytes in one direction until `at`, which it says, or their end, which it passes on.
async fn pump(mut from: impl AsyncRead + Unpin, mut to: impl AsyncWrite + Unpin, at: Option<usize>) -> bool {
    let (mut buffer, mut left) = ([0; 16 * 1024], at.unwrap_or(usize::MAX));
    while left > 0 {
        let room = left.min(buffer.len());
        match from.read(&mut buffer[..room]).await {
            Ok(n) if n > 0 && to.write_all(&buffer[..n]).await.is_ok() => left -= n,
            _ => {
                let _ = to.shutdown().await;
                return false;
            }
        }
    }
    true
}

async fn harm(mut from: TcpStream, mut to: TcpStream, fault: Fault) -> io::Result<()> {
    match fault {
        Fault::Stall => core::future::pending().await,
        Fault::Reset => {
            from.set_zero_linger()?;
            to.set_zero_linger()?;
        }
        Fault::HalfOpen => {
            from.set_zero_linger()?;
            drop(from);
            core::future::pending::<()>().await;
        }
        // Closing a socket with unread bytes would reset it.
        Fault::Cut => {
            from.shutdown().await?;
            to.shutdown().await?;
            let _ = tokio::join!(swallow(&mut from), swallow(&mut to));
        }
        Fault::HalfCut => {
            to.shutdown().await?;
            let ((from_read, from_write), (to_read, _to_write)) = (from.split(), to.split());
            tokio::join!(swallow(from_read), pump(to_read, from_write, None));
        }
        Fault::Swallow => {
            let ((from_read, from_write), (to_read, _to_write)) = (from.split(), to.split());
            tokio::join!(swallow(from_read), pump(to_read, from_write, None));
        }
        Fault::Delay => {
            tokio::time::sleep(DELAY).await;
            carry(&mut from, &mut to, Plan { fault, of_dialer: true, at: usize::MAX }).await;
        }
        Fault::Trickle => {
            let ((mut from_read, from_write), (to_read, mut to_write)) = (from.split(), to.split());
            let slow = async {
                for _ in 0..TRICKLE {
                    let Ok(byte) = from_read.read_u8().await else { break };
                    if to_write.write_u8(byte).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                }
                pump(from_read, to_write, None).await
            };
            tokio::join!(slow, pump(to_read, from_write, None));
        }
    }
    Ok(())
}

async fn swallow(mut from: impl AsyncRead + Unpin) {
    let mut buffer = [0; 16 * 1024];
    while from.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
}
