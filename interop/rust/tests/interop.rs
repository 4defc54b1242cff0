//! sanswarm against rust-libp2p, over yamux and over mplex. Each test runs in every direction: ours dials, theirs dials and
//! negotiates by V1, and theirs dials and negotiates by V1Lazy.

use futures::future::try_join_all;
use interop_rust::{AnyPipe, ECHO, Muxer, Ours, PATIENCE, THEIR_AGENT, Theirs, echo, exchange, payload, soon};
use libp2p::{core::upgrade::Version, identify, ping, swarm::SwarmEvent};
use libp2p_stream::OpenStreamError as TheirOpenError;
use sanswarm_tokio::{CloseReason, Event, OpenStreamError, ProtocolName, core::RefusalCause};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

const MIB: usize = 1 << 20;

/// What neither side speaks.
const NOPE: &str = "/nope/1.0.0";

/// Who dials.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Dialer {
    Ours,
    Theirs(Version),
}

const DIALERS: [Dialer; 3] = [Dialer::Ours, Dialer::Theirs(Version::V1), Dialer::Theirs(Version::V1Lazy)];

/// Every muxer in every direction.
fn all() -> impl Iterator<Item = (Muxer, Dialer)> {
    [Muxer::Yamux, Muxer::Mplex].into_iter().flat_map(|muxer| DIALERS.map(|dialer| (muxer, dialer)))
}

/// A connected pair.
struct Pair {
    dialer: Dialer,
    ours: Ours,
    theirs: Theirs,
}

impl Pair {
    async fn connect(dialer: Dialer) -> Self {
        Self::over(Muxer::Yamux, dialer).await
    }

    async fn over(muxer: Muxer, dialer: Dialer) -> Self {
        let version = match dialer {
            Dialer::Ours => Version::V1,
            Dialer::Theirs(version) => version,
        };
        let (mut ours, mut theirs) = (Ours::start(muxer).await, Theirs::start(version, muxer).await);
        match dialer {
            Dialer::Ours => ours.connect(&theirs.address).await,
            Dialer::Theirs(_) => theirs.connect(&ours.address).await,
        }
        // A lazy dialer calls itself connected before the listener has seen the last of the handshake.
        let agreed = ours.next("our side of the connection", |event| match event {
            Event::Connected { muxer, .. } => Some(muxer),
            _ => None,
        });
        assert_eq!(agreed.await, muxer);
        Self { dialer, ours, theirs }
    }

    /// Opens a stream from the dialer of the connection.
    async fn open(&self) -> AnyPipe {
        match self.dialer {
            Dialer::Ours => self.ours.open(self.theirs.id, ECHO).await.expect("it speaks echo"),
            Dialer::Theirs(_) => self.theirs.open(self.ours.id(), ECHO).await.expect("it speaks echo"),
        }
    }

    /// Takes a stream at the listener of the connection.
    async fn accept(&mut self) -> AnyPipe {
        match self.dialer {
            Dialer::Ours => self.theirs.accept().await,
            Dialer::Theirs(_) => self.ours.accept().await,
        }
    }

    /// Echoes `len` bytes on `streams` streams at once and compares them.
    async fn echoes(&mut self, streams: usize, len: usize) {
        // A lazy stream reaches the listener with its first byte, so all of it runs at once.
        let opened = futures::future::join_all((0..streams).map(|_| self.open())).await;
        let dialing = opened.into_iter().enumerate().map(|(i, stream)| async move {
            let sent = payload(len, i);
            let got = exchange(stream, &sent).await?;
            assert!(got == sent, "stream {i}: {} bytes sent, {} other bytes back", sent.len(), got.len());
            std::io::Result::Ok(())
        });
        let listening = async {
            let mut servers = Vec::new();
            for _ in 0..streams {
                servers.push(tokio::spawn(echo(self.accept().await)));
            }
            for server in servers {
                assert_eq!(server.await.expect("no panic")?, len);
            }
            std::io::Result::Ok(())
        };
        soon("the echoes", async { tokio::try_join!(try_join_all(dialing), listening) }).await.expect("no I/O error");
    }

    /// Runs the dialer's and the listener's part on one stream.
    async fn on_a_stream(
        &mut self,
        dialing: impl AsyncFnOnce(AnyPipe) -> std::io::Result<()>,
        listening: impl AsyncFnOnce(AnyPipe) -> std::io::Result<()>,
    ) {
        let dialer = self.dialer;
        let stream = self.open().await;
        let both = async { tokio::try_join!(dialing(stream), async { listening(self.accept().await).await }) };
        if let Err(error) = soon("both parts", both).await {
            panic!("{dialer:?} dials: {error}");
        }
    }
}

#[tokio::test]
async fn each_pings_the_other() {
    for (muxer, dialer) in all() {
        let mut pair = Pair::over(muxer, dialer).await;
        let rtt = soon("our ping", pair.ours.node.ping(pair.theirs.id)).await.expect("an answer");
        assert!(rtt < PATIENCE);
        let us = pair.ours.id();
        let rtt = pair.theirs.next("their ping", |event| match event {
            SwarmEvent::Behaviour(interop_rust::Said::Ping(ping::Event { peer, result, .. })) if peer == us => {
                Some(result.expect("an answer"))
            }
            _ => None,
        });
        assert!(rtt.await < PATIENCE);
    }
}

#[tokio::test]
async fn each_identifies_the_other() {
    for (muxer, dialer) in all() {
        let mut pair = Pair::over(muxer, dialer).await;
        let us = pair.ours.id();
        let info = soon("their identify", pair.ours.node.identify(pair.theirs.id)).await.expect("a message");
        assert_eq!(info.agent.as_deref(), Some(THEIR_AGENT));
        assert_eq!(info.protocol_version.as_deref(), Some("/interop/1.0.0"));
        assert!(info.observed_addr.is_some(), "{info:?}");
        for protocol in [ECHO, "/ipfs/ping/1.0.0", "/ipfs/id/1.0.0"] {
            assert!(info.protocols.iter().any(|p| p == protocol), "{protocol} in {:?}", info.protocols);
        }

        let info = pair.theirs.next("our identify", |event| match event {
            SwarmEvent::Behaviour(interop_rust::Said::Identify(event)) => match *event {
                identify::Event::Received { peer_id, info, .. } if peer_id == us => Some(info),
                identify::Event::Error { error, .. } => panic!("identify failed: {error:?}"),
                _ => None,
            },
            _ => None,
        });
        let info = info.await;
        assert!(info.agent_version.starts_with("sanswarm/"), "{}", info.agent_version);
        assert_eq!(info.public_key.to_peer_id(), us);
        for protocol in [ECHO, "/ipfs/ping/1.0.0", "/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0"] {
            assert!(info.protocols.iter().any(|p| p == &protocol), "{protocol} in {:?}", info.protocols);
        }
    }
}

#[tokio::test]
async fn a_mebibyte_comes_back_when_we_dial() {
    Pair::connect(Dialer::Ours).await.echoes(1, MIB).await;
}

#[tokio::test]
async fn a_mebibyte_comes_back_when_they_dial() {
    Pair::connect(Dialer::Theirs(Version::V1)).await.echoes(1, MIB).await;
}

#[tokio::test]
async fn a_mebibyte_comes_back_when_they_dial_lazily() {
    Pair::connect(Dialer::Theirs(Version::V1Lazy)).await.echoes(1, MIB).await;
}

#[tokio::test]
async fn a_mebibyte_comes_back_over_mplex() {
    for dialer in DIALERS {
        Pair::over(Muxer::Mplex, dialer).await.echoes(1, MIB).await;
    }
}

#[tokio::test]
async fn twenty_streams_at_once_over_mplex() {
    for dialer in DIALERS {
        Pair::over(Muxer::Mplex, dialer).await.echoes(20, MIB).await;
    }
}

#[tokio::test]
async fn twenty_streams_at_once_when_we_dial() {
    Pair::connect(Dialer::Ours).await.echoes(20, MIB).await;
}

#[tokio::test]
async fn twenty_streams_at_once_when_they_dial() {
    Pair::connect(Dialer::Theirs(Version::V1)).await.echoes(20, MIB).await;
}

#[tokio::test]
async fn twenty_streams_at_once_when_they_dial_lazily() {
    Pair::connect(Dialer::Theirs(Version::V1Lazy)).await.echoes(20, MIB).await;
}

/// The side that did not dial may open streams too.
#[tokio::test]
async fn the_listener_of_the_connection_opens_streams() {
    for (muxer, dialer) in all() {
        let mut pair = Pair::over(muxer, dialer).await;
        pair.dialer = match dialer {
            Dialer::Ours => Dialer::Theirs(Version::V1),
            Dialer::Theirs(_) => Dialer::Ours,
        };
        pair.echoes(3, 100_000).await;
    }
}

#[tokio::test]
async fn the_dialer_half_closes_first() {
    for (muxer, dialer) in all() {
        let mut pair = Pair::over(muxer, dialer).await;
        let dialing = async |mut stream: AnyPipe| {
            stream.write_all(b"question").await?;
            stream.shutdown().await?;
            let mut answer = Vec::new();
            stream.read_to_end(&mut answer).await?;
            assert_eq!(answer, payload(300_000, 1));
            Ok(())
        };
        let listening = async |mut stream: AnyPipe| {
            let mut question = Vec::new();
            stream.read_to_end(&mut question).await?;
            assert_eq!(question, b"question");
            // More than one window, after the other side has finished.
            stream.write_all(&payload(300_000, 1)).await?;
            stream.shutdown().await
        };
        pair.on_a_stream(dialing, listening).await;
    }
}

#[tokio::test]
async fn the_listener_half_closes_first() {
    for (muxer, dialer) in all() {
        let mut pair = Pair::over(muxer, dialer).await;
        let dialing = async |mut stream: AnyPipe| {
            let mut greeting = Vec::new();
            stream.read_to_end(&mut greeting).await?;
            assert_eq!(greeting, b"greeting");
            stream.write_all(&payload(300_000, 2)).await?;
            stream.shutdown().await
        };
        let listening = async |mut stream: AnyPipe| {
            stream.write_all(b"greeting").await?;
            stream.shutdown().await?;
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).await?;
            assert_eq!(rest, payload(300_000, 2));
            Ok(())
        };
        pair.on_a_stream(dialing, listening).await;
    }
}

#[tokio::test]
async fn what_they_do_not_speak_is_a_typed_refusal() {
    let mut pair = Pair::connect(Dialer::Ours).await;
    let error = match pair.ours.open(pair.theirs.id, NOPE).await {
        Err(error) => error,
        Ok(_) => panic!("they speak no {NOPE}"),
    };
    let OpenStreamError::Refused(refusal) = &error else { panic!("{error:?}") };
    assert_eq!(refusal.offered, [ProtocolName::from_static(NOPE)]);
    assert_eq!(refusal.cause, RefusalCause::NotSupported);
    assert_eq!(error.code(), "protocol-refused");
    pair.echoes(1, 1000).await;
    let stats = soon("stats", pair.ours.node.stats(pair.theirs.id)).await.expect("the connection lives on");
    assert!(stats.round_trips > 0);
}

#[tokio::test]
async fn what_we_do_not_speak_is_a_refusal_to_them() {
    let mut pair = Pair::connect(Dialer::Theirs(Version::V1)).await;
    match pair.theirs.open(pair.ours.id(), NOPE).await {
        Err(TheirOpenError::UnsupportedProtocol(protocol)) => assert_eq!(protocol.as_ref(), NOPE),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("we speak no {NOPE}"),
    }
    pair.echoes(1, 1000).await;
}

/// A lazy dialer takes the stream for open and writes payload behind its proposal.
#[tokio::test]
async fn what_we_do_not_speak_fails_their_lazy_stream_alone() {
    let mut pair = Pair::connect(Dialer::Theirs(Version::V1Lazy)).await;
    let stream = pair.theirs.open(pair.ours.id(), NOPE).await.expect("it believes so");
    let outcome = soon("the refusal", exchange(stream, &payload(10_000, 3))).await;
    assert!(outcome.is_err(), "{} bytes", outcome.unwrap_or_default().len());
    pair.echoes(1, 1000).await;
}

#[tokio::test]
async fn our_goodbye_is_in_good_order_for_them() {
    for (muxer, dialer) in all() {
        let mut pair = Pair::over(muxer, dialer).await;
        pair.echoes(1, 1000).await;
        assert_eq!(soon("disconnecting", pair.ours.node.disconnect(pair.theirs.id)).await, 1);
        let reason = pair.ours.next("our end", |event| match event {
            Event::Disconnected { reason, .. } => Some(reason),
            _ => None,
        });
        assert_eq!(reason.await, Ok(CloseReason::Local));
        let cause = pair.theirs.next("their end", |event| match event {
            SwarmEvent::ConnectionClosed { cause, .. } => Some(cause),
            _ => None,
        });
        // What their muxer makes of a goodbye; a reset would read otherwise. mplex has none but the end of the bytes.
        let cause = cause.await.map(|cause| cause.to_string());
        let word = if muxer == Muxer::Mplex { "unexpected end of file" } else { "connection is closed" };
        let in_order = cause.as_ref().is_none_or(|cause| cause.contains(word));
        assert!(in_order, "{muxer:?}, {dialer:?} dials: {cause:?}");
    }
}

#[tokio::test]
async fn their_goodbye_is_in_good_order_for_us() {
    for (muxer, dialer) in all() {
        let mut pair = Pair::over(muxer, dialer).await;
        pair.echoes(1, 1000).await;
        pair.theirs.disconnect(pair.ours.id());
        let reason = pair.ours.next("our end", |event| match event {
            Event::Disconnected { reason, .. } => Some(reason),
            _ => None,
        });
        let reason = reason.await;
        assert!(matches!(reason, Ok(CloseReason::Remote(_))), "{muxer:?}, {dialer:?} dials: {reason:?}");
    }
}

/// A lazy dialer writes to a stream while the listener has not even seen the handshake's end.
#[tokio::test]
async fn a_stream_in_the_same_flight_as_the_handshake() {
    for (muxer, _) in all() {
        let (ours, mut theirs) = (Ours::start(muxer).await, Theirs::start(Version::V1Lazy, muxer).await);
        theirs.connect(&ours.address).await;
        let mut pair = Pair { dialer: Dialer::Theirs(Version::V1Lazy), ours, theirs };
        pair.echoes(1, MIB).await;
    }
}
