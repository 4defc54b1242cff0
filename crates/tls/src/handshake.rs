//! From the first record to the keys.

use core::fmt;
use std::sync::Arc;

use bytes::Bytes;
use rustls::{
    client::{ClientConnectionData, UnbufferedClientConnection},
    pki_types::{IpAddr, Ipv4Addr, ServerName},
    server::{Acceptor, ServerConnectionData, UnbufferedServerConnection},
    unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedConnectionCommon, UnbufferedStatus},
};
use sanswarm_wire::{Instant, Role, SendBuf};

use crate::{
    CertificateError, Cipher, Config, Error, HEADER, RECORD_MAX, cipher::Kernel, config::ALPN, x509::Certificate,
};

/// What a peer says of itself, for the caller to verify: `signature` must be that of `identity_key` over `message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The peer's public key, as a `PublicKey` protobuf. Not empty, nothing else is known of it.
    pub identity_key: Bytes,
    /// The signed bytes: `libp2p-tls-handshake:` and the key of the certificate, which the handshake has authenticated.
    pub message: Vec<u8>,
    /// The signature. Not empty.
    pub signature: Bytes,
}

/// What is known of the peer once its claim was found valid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    /// The muxer that both have agreed on, one of [`Config::muxers`](crate::Config::muxers); `None` if it is to be
    /// negotiated by multistream-select.
    pub muxer: Option<Bytes>,
}

/// One end of a handshake.
pub struct Handshake {
    role: Role,
    config: Arc<Config>,
    now: Instant,
    tls: Tls,
    state: State,
    /// Records of which rustls has not used all yet.
    incoming: Vec<u8>,
    /// All bytes that were used so far.
    taken: usize,
    /// The flight that is due.
    due: Vec<u8>,
    /// The dialer's last flight, until the verdict.
    withheld: Vec<u8>,
    expects: usize,
}

/// The machines of rustls.
#[allow(clippy::large_enum_variant, reason = "short-lived, and `Handshake` is boxed by who keeps it")]
enum Tls {
    /// The listener's, until it knows what the client offers.
    Hello(Acceptor),
    Server(UnbufferedServerConnection),
    Client(UnbufferedClientConnection),
}

#[derive(Debug)]
enum State {
    Open,
    Claimed,
    Accepted,
    Failed(Error),
}

impl Handshake {
    /// The dialer's or the listener's end, at the time `now`.
    ///
    /// # Errors
    ///
    /// [`Error::OwnConfig`] if the name of a muxer is not 1 to 255 bytes long, and [`Error::Library`] if the provider
    /// has no random numbers.
    pub fn new(role: Role, config: Arc<Config>, now: Instant) -> Result<Self, Error> {
        if config.names().any(|name| name.is_empty() || name.len() > 255) {
            return Err(Error::OwnConfig);
        }
        let tls = match role {
            Role::Listener => Tls::Hello(Acceptor::default()),
            Role::Dialer => {
                // An address is not sent as a server name: there is none in libp2p.
                let nobody = ServerName::IpAddress(IpAddr::V4(Ipv4Addr::from([0; 4])));
                Tls::Client(UnbufferedClientConnection::new(config.client(now), nobody)?)
            }
        };
        let (incoming, due, withheld) = (Vec::new(), Vec::new(), Vec::new());
        let mut this =
            Self { role, config, now, tls, state: State::Open, incoming, taken: 0, due, withheld, expects: 0 };
        this.pump()?;
        Ok(this)
    }

    /// Takes the bytes that have arrived and were not used yet. Returns how many it used: whole records, and nothing
    /// behind the one that completes the handshake. With a [`Claim`] it waits for
    /// [`handle_verdict`](Self::handle_verdict) and uses nothing until then; afterwards all bytes belong to the
    /// [`Cipher`].
    ///
    /// # Errors
    ///
    /// The peer broke the protocol or a limit. Sticky; an alert for the peer may be due.
    pub fn handle_input(&mut self, input: &[u8]) -> Result<(usize, Option<Claim>), Error> {
        self.read_all(input).map_err(|error| self.fail(error))
    }

    /// Says whether the signature of the [`Claim`] is valid, and, for who has expectations, the identity the right one.
    /// Only then the dialer's last flight is due, with its own certificate, and [`finish`](Self::finish) gives keys.
    ///
    /// # Errors
    ///
    /// [`Error::Signature`] if it is not `valid`, sticky; [`Error::NoClaim`] if nothing was claimed.
    pub fn handle_verdict(&mut self, valid: bool) -> Result<(), Error> {
        match self.state {
            State::Claimed if valid => {
                self.state = State::Accepted;
                self.due.append(&mut self.withheld);
                Ok(())
            }
            State::Claimed => Err(self.fail(Error::Signature)),
            State::Failed(error) => Err(error),
            _ => Err(Error::NoClaim),
        }
    }

    /// Appends the flight that is due, or the alert after an error, if `out` has room for the whole of it. Returns how
    /// many bytes that were. It must not have a framing yet.
    pub fn poll_transmit(&mut self, out: &mut SendBuf) -> usize {
        if self.due.is_empty() || !out.append(&self.due) {
            return 0;
        }
        core::mem::take(&mut self.due).len()
    }

    /// The length of the record that the input begins with, its head included, if that is known from the last
    /// [`handle_input`](Self::handle_input); else 0. For `RecvBuf::announce`, where a buffer is smaller than
    /// [`Limits::handshake_bytes`](crate::Limits::handshake_bytes).
    pub fn expects(&self) -> usize {
        self.expects
    }

    /// Whether [`finish`](Self::finish) will succeed: the claim was valid and the last flight has been taken.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Accepted) && self.due.is_empty()
    }

    /// Turns a done handshake into the cipher of its connection and what is known of the peer.
    ///
    /// # Errors
    ///
    /// [`Error::NotDone`], or the error that ended the handshake.
    pub fn finish(self) -> Result<(Cipher, Remote), Error> {
        match self.state {
            State::Accepted if self.due.is_empty() => {}
            State::Failed(error) => return Err(error),
            _ => return Err(Error::NotDone),
        }
        let (muxer, secrets, kernel) = match self.tls {
            Tls::Hello(_) => return Err(Error::NotDone),
            Tls::Client(tls) => {
                let muxer = tls.alpn_protocol().map(<[u8]>::to_vec);
                let (secrets, kernel) = tls.dangerous_into_kernel_connection()?;
                (muxer, secrets, Kernel::Client(kernel))
            }
            Tls::Server(tls) => {
                let muxer = tls.alpn_protocol().map(<[u8]>::to_vec);
                let (secrets, kernel) = tls.dangerous_into_kernel_connection()?;
                (muxer, secrets, Kernel::Server(kernel))
            }
        };
        let muxer = muxer.filter(|name| name != ALPN).map(Bytes::from);
        Ok((Cipher::new(self.config.provider, &secrets, kernel)?, Remote { muxer }))
    }

    fn read_all(&mut self, input: &[u8]) -> Result<(usize, Option<Claim>), Error> {
        let mut used = 0;
        loop {
            match self.state {
                State::Open => {}
                State::Failed(error) => return Err(error),
                State::Claimed | State::Accepted => return Ok((used, None)),
            }
            let Some(record) = self.whole_record(&input[used..])? else {
                return Ok((used, None));
            };
            used += record.len();
            self.taken += record.len();
            self.incoming.extend_from_slice(record);
            self.read_hello(record)?;
            self.pump()?;
            if let Some(claim) = self.claim()? {
                self.state = State::Claimed;
                return Ok((used, Some(claim)));
            }
        }
    }

    /// The record that `input` begins with, if it is whole. Its head is judged as soon as it is there.
    fn whole_record<'a>(&mut self, input: &'a [u8]) -> Result<Option<&'a [u8]>, Error> {
        self.expects = 0;
        // Types 20 to 23, and a version that begins with 3.
        let [kind, version] = [0, 1].map(|at| input.get(at).copied());
        if kind.is_some_and(|kind| !(20..=23).contains(&kind)) || version.is_some_and(|version| version != 3) {
            return Err(Error::Record);
        }
        let Some(&[_, _, _, high, low]) = input.first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let len = HEADER + usize::from(u16::from_be_bytes([high, low]));
        if len > HEADER + RECORD_MAX {
            return Err(Error::TooLong { limit: RECORD_MAX });
        }
        let limit = self.config.limits.handshake_bytes;
        if len > limit.saturating_sub(self.taken) {
            return Err(Error::TooLong { limit });
        }
        let record = input.get(..len);
        if record.is_none() {
            self.expects = len;
        }
        Ok(record)
    }

    /// Of a listener: looks for the client's protocols, which rustls would else choose from in the server's order. Then
    /// the connection gets all from the first record on, and so judges what is wrong itself.
    fn read_hello(&mut self, mut record: &[u8]) -> Result<(), Error> {
        let Tls::Hello(acceptor) = &mut self.tls else { return Ok(()) };
        acceptor.read_tls(&mut record).map_err(|_| Error::Library)?;
        let config = match acceptor.accept() {
            Ok(None) => return Ok(()),
            Ok(Some(accepted)) => match accepted.client_hello().alpn() {
                Some(theirs) => self.config.server(self.now, theirs),
                None => self.config.server(self.now, core::iter::empty()),
            },
            Err(_) => self.config.server(self.now, core::iter::empty()),
        };
        self.tls = Tls::Server(UnbufferedServerConnection::new(config)?);
        Ok(())
    }

    /// Lets rustls use what has come in, and takes what it wants to send.
    fn pump(&mut self) -> Result<(), Error> {
        let mut out = Vec::new();
        let (result, is_over) = match &mut self.tls {
            Tls::Hello(_) => return Ok(()),
            Tls::Client(tls) => {
                let process = UnbufferedConnectionCommon::<ClientConnectionData>::process_tls_records;
                (pump(tls, process, &mut self.incoming, &mut out), !tls.is_handshaking())
            }
            Tls::Server(tls) => {
                let process = UnbufferedConnectionCommon::<ServerConnectionData>::process_tls_records;
                (pump(tls, process, &mut self.incoming, &mut out), !tls.is_handshaking())
            }
        };
        if result.is_ok() && is_over { &mut self.withheld } else { &mut self.due }.append(&mut out);
        result
    }

    /// What the peer claims, once the handshake has authenticated it.
    fn claim(&self) -> Result<Option<Claim>, Error> {
        let (is_over, chain) = match &self.tls {
            Tls::Hello(_) => return Ok(None),
            Tls::Client(tls) => (!tls.is_handshaking(), tls.peer_certificates()),
            Tls::Server(tls) => (!tls.is_handshaking(), tls.peer_certificates()),
        };
        if !is_over {
            return Ok(None);
        }
        let [der] = chain.unwrap_or_default() else { return Err(Error::Certificate(CertificateError::Missing)) };
        Ok(Some(Certificate::parse(der).map_err(Error::Certificate)?.claim()))
    }

    fn fail(&mut self, error: Error) -> Error {
        if !matches!(self.state, State::Failed(_)) {
            self.state = State::Failed(error);
            (self.incoming, self.withheld, self.expects) = (Vec::new(), Vec::new(), 0);
        }
        error
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake")
            .field("role", &self.role)
            .field("state", &self.state)
            .field("taken", &self.taken)
            .field("due", &self.due.len())
            .finish_non_exhaustive()
    }
}

/// Runs a connection of rustls until it waits. What it wants to send goes to `out`, the alert after an error too.
fn pump<D>(
    tls: &mut UnbufferedConnectionCommon<D>,
    process: for<'c, 'i> fn(&'c mut UnbufferedConnectionCommon<D>, &'i mut [u8]) -> UnbufferedStatus<'c, 'i, D>,
    incoming: &mut Vec<u8>,
    out: &mut Vec<u8>,
) -> Result<(), Error> {
    let mut result = Ok(());
    loop {
        let status = process(tls, incoming);
        let (discard, mut waits) = (status.discard, false);
        match status.state {
            Ok(ConnectionState::EncodeTlsData(data)) => encode(data, out)?,
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            Ok(ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_)) => waits = true,
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => {
                result = result.and(Err(Error::Closed));
                waits = true;
            }
            Ok(_) => return Err(Error::Library), // payload, which comes behind the record that ends the handshake
            // Once more, without input: there may be an alert to send.
            Err(error) if result.is_ok() => result = Err(error.into()),
            Err(_) => waits = true,
        }
        incoming.drain(..discard);
        if result.is_err() {
            incoming.clear();
        }
        if waits {
            return result;
        }
    }
}

fn encode<D>(mut data: EncodeTlsData<'_, D>, out: &mut Vec<u8>) -> Result<(), Error> {
    let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) else { return Err(Error::Library) };
    let at = out.len();
    out.resize(at + size.required_size, 0);
    data.encode(&mut out[at..]).map(|_| ()).map_err(|_| Error::Library)
}
