//! rust-libp2p's crates, put together as its transports do.
//!
//! There is no executor: what the ends' users do and both connections are polled in turn.

use std::{
    cell::RefCell,
    collections::VecDeque,
    future::poll_fn,
    hint::black_box,
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
};

use futures::{AsyncReadExt, AsyncWriteExt, executor::block_on, future::join};
use libp2p_core::upgrade::{InboundConnectionUpgrade, OutboundConnectionUpgrade};
use libp2p_identity::Keypair;
use libp2p_noise::Output;
use multistream_select::{Negotiated, Version, dialer_select_proto, listener_select_proto};
use yamux_0_14::{Config, Connection, Mode, Stream};

use super::{PATIENCE, PROTOCOL, Pair};
use crate::pipe::SharedDuplex;

type Channel = Negotiated<Output<Negotiated<SharedDuplex>>>;

pub(super) fn node() -> Box<dyn FnMut() -> Box<dyn Pair>> {
    let config = |seed: u8| {
        let keypair = Keypair::ed25519_from_bytes([seed; 32]).expect("32 bytes");
        libp2p_noise::Config::new(&keypair).expect("it signs")
    };
    let (dialer, listener, pipe) = (config(10), config(20), SharedDuplex::pair());
    Box::new(move || {
        let (near, far) = pipe.clone();
        near.clear();
        let dialer = async {
            let (name, io) = dialer_select_proto(near, ["/noise"], Version::V1Lazy).await.expect("agreed");
            let (_, io) = dialer.clone().upgrade_outbound(io, name).await.expect("no fault");
            let (_, io) = dialer_select_proto(io, ["/yamux/1.0.0"], Version::V1Lazy).await.expect("agreed");
            Connection::new(io, Config::default(), Mode::Client)
        };
        let listener = async {
            let (name, io) = listener_select_proto(far, ["/noise"]).await.expect("agreed");
            let (_, io) = listener.clone().upgrade_inbound(io, name).await.expect("no fault");
            let (_, io) = listener_select_proto(io, ["/yamux/1.0.0"]).await.expect("agreed");
            Connection::new(io, Config::default(), Mode::Server)
        };
        // A lazy dialer's proposal leaves with what it writes next, so it has to be driven for the listener to hear of it.
        let dialer = async {
            let mut dialer = dialer.await;
            poll_fn(|cx| {
                assert!(dialer.poll_next_inbound(cx).is_pending(), "nobody opens streams");
                Poll::Ready(())
            })
            .await;
            dialer
        };
        let (dialer, listener) = block_on(join(dialer, listener));
        Box::new(RustLibp2p { dialer, listener, accepted: Rc::default(), streams: None, buffer: vec![0; 64 << 10] })
    })
}

type Accepted = Rc<RefCell<VecDeque<Stream>>>;

struct RustLibp2p {
    dialer: Connection<Channel>,
    listener: Connection<Channel>,
    accepted: Accepted,
    streams: Option<(Negotiated<Stream>, Negotiated<Stream>)>,
    buffer: Vec<u8>,
}

impl RustLibp2p {
    /// Lets both ends' users and connections do what they can, in turn, until both users are done.
    fn run<A, B>(&mut self, near: impl Future<Output = A>, far: impl Future<Output = B>) -> (A, B) {
        let (mut near, mut far) = (pin!(near), pin!(far));
        let (mut done_near, mut done_far) = (None, None);
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..PATIENCE {
            if done_near.is_none() {
                done_near = ready(near.as_mut().poll(&mut cx));
            }
            self.drive(&mut cx);
            if done_far.is_none() {
                done_far = ready(far.as_mut().poll(&mut cx));
            }
            if let (Some(_), Some(_)) = (&done_near, &done_far) {
                break;
            }
        }
        done_near.zip(done_far).expect("it ends in time")
    }

    fn drive(&mut self, cx: &mut Context<'_>) {
        assert!(self.dialer.poll_next_inbound(cx).is_pending(), "nobody opens streams");
        if let Poll::Ready(stream) = self.listener.poll_next_inbound(cx) {
            self.accepted.borrow_mut().push_back(stream.expect("open").expect("no fault"));
        }
    }

    fn new_stream(&mut self) -> Stream {
        let mut cx = Context::from_waker(Waker::noop());
        for _ in 0..PATIENCE {
            if let Poll::Ready(stream) = self.dialer.poll_new_outbound(&mut cx) {
                return stream.expect("it takes streams");
            }
            self.drive(&mut cx);
        }
        panic!("it takes too long");
    }
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

async fn dial(stream: Stream) -> Negotiated<Stream> {
    let (_, mut stream) = dialer_select_proto(stream, [PROTOCOL], Version::V1).await.expect("agreed");
    stream.flush().await.expect("open");
    stream
}

async fn accept(accepted: Accepted) -> Negotiated<Stream> {
    let stream = poll_fn(|_| accepted.borrow_mut().pop_front().map_or(Poll::Pending, Poll::Ready)).await;
    listener_select_proto(stream, [PROTOCOL]).await.expect("agreed").1
}

impl Pair for RustLibp2p {
    fn open_and_close(&mut self) {
        let (stream, accepted) = (self.new_stream(), self.accepted.clone());
        let near = async {
            let mut stream = dial(stream).await;
            stream.close().await.expect("open");
            assert_eq!(stream.read(&mut [0; 16]).await.expect("an end"), 0);
        };
        let far = async {
            let mut stream = accept(accepted).await;
            assert_eq!(stream.read(&mut [0; 16]).await.expect("an end"), 0);
            stream.close().await.expect("open");
        };
        self.run(near, far);
    }

    fn open(&mut self) {
        let (stream, accepted) = (self.new_stream(), self.accepted.clone());
        self.streams = Some(self.run(dial(stream), accept(accepted)));
    }

    fn transfer(&mut self, data: &[u8], bytes: usize) {
        let (mut from, mut to) = self.streams.take().expect("opened");
        let mut buffer = std::mem::take(&mut self.buffer);
        let write = async {
            let mut left = bytes;
            while left > 0 {
                let piece = &data[..data.len().min(left)];
                from.write_all(piece).await.expect("open");
                left -= piece.len();
            }
            from.flush().await.expect("open");
        };
        let read = async {
            let mut left = bytes;
            while left > 0 {
                let n = to.read(&mut buffer).await.expect("open");
                assert!(n > 0, "the stream goes on");
                left -= black_box(&buffer[..n]).len();
            }
        };
        self.run(write, read);
        (self.streams, self.buffer) = (Some((from, to)), buffer);
    }
}
