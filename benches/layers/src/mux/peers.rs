//! The asynchronous muxers of the registry.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use futures::{
    FutureExt, Stream as _,
    io::{AsyncRead, AsyncWrite},
};
use libp2p_core::{
    muxing::StreamMuxer,
    upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade},
};
use tokio::io::ReadBuf;

use super::polled::Connection;
use crate::pipe::Duplex;

macro_rules! yamux {
    ($yamux:ident) => {
        impl Connection for $yamux::Connection<Duplex> {
            type Stream = $yamux::Stream;

            fn pair(streams: usize) -> (Self, Self) {
                let mut config = $yamux::Config::default();
                config.set_max_connection_receive_window(None);
                config.set_max_num_streams(streams);
                let (near, far) = Duplex::pair();
                let dialer = Self::new(near, config.clone(), $yamux::Mode::Client);
                (dialer, Self::new(far, config, $yamux::Mode::Server))
            }

            fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Self::Stream> {
                self.poll_new_outbound(cx).map(|stream| stream.expect("open"))
            }

            fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Self::Stream> {
                self.poll_next_inbound(cx).map(|stream| stream.expect("open").expect("open"))
            }
        }
    };
}

yamux!(yamux_0_13);
yamux!(yamux_0_14);

impl Connection for tokio_yamux::Session<Duplex> {
    type Stream = TokioStream;

    fn pair(streams: usize) -> (Self, Self) {
        let config = tokio_yamux::Config {
            enable_keepalive: false, // It wants a runtime.
            max_stream_count: streams,
            ..tokio_yamux::Config::default()
        };
        let (near, far) = Duplex::pair();
        (Self::new_client(near, config), Self::new_server(far, config))
    }

    fn poll_open(&mut self, _: &mut Context<'_>) -> Poll<TokioStream> {
        Poll::Ready(TokioStream(self.open_stream().expect("open")))
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<TokioStream> {
        Pin::new(self).poll_next(cx).map(|stream| TokioStream(stream.expect("open").expect("open")))
    }
}

/// A stream of `tokio-yamux` with the traits of `futures`.
pub struct TokioStream(tokio_yamux::StreamHandle);

impl AsyncRead for TokioStream {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(tokio::io::AsyncRead::poll_read(Pin::new(&mut self.0), cx, &mut buffer))?;
        Poll::Ready(Ok(buffer.filled().len()))
    }
}

impl AsyncWrite for TokioStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = tokio::io::AsyncWrite::poll_write(Pin::new(&mut self.0), cx, bytes);
        if written.is_pending() {
            // Credit is noticed by who reads: without this the writer would not be woken.
            let _ = tokio::io::AsyncRead::poll_read(Pin::new(&mut self.0), cx, &mut ReadBuf::new(&mut []));
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_flush(Pin::new(&mut self.0), cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        tokio::io::AsyncWrite::poll_shutdown(Pin::new(&mut self.0), cx)
    }
}

impl Connection for libp2p_mplex::Multiplex<Duplex> {
    type Stream = libp2p_mplex::Substream<Duplex>;

    const STREAMS_DRIVE: bool = true;

    fn pair(streams: usize) -> (Self, Self) {
        let mut config = libp2p_mplex::Config::new();
        config.set_max_num_streams(streams);
        let (near, far) = Duplex::pair();
        let dialer = config.clone().upgrade_outbound(near, "").now_or_never().expect("at once");
        let listener = config.upgrade_inbound(far, "").now_or_never().expect("at once");
        (dialer.expect("open"), listener.expect("open"))
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<Self::Stream> {
        Pin::new(self).poll_outbound(cx).map(|stream| stream.expect("open"))
    }

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Self::Stream> {
        Pin::new(self).poll_inbound(cx).map(|stream| stream.expect("open"))
    }
}
