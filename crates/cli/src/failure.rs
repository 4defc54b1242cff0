//! Why the command failed: one line for people, a code for machines, an exit status for scripts.

use core::{fmt, net::SocketAddr, time::Duration};
use std::{io, path::PathBuf};

use sanswarm::{
    AttemptCause, AttemptFailure, ConnectionError, IdentifyError, NoPeerId, OpenStreamError, PingError, SigningError,
    TransportError, multiaddr,
};
use sanswarm_tokio::{ListenError, WebError};

use crate::{args::Verb, interop::RedisError};

/// The command line is wrong, or asks for what is not there. Exit status 2.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Usage {
    NoVerb,
    NoSuchVerb(String),
    NoSuchOption {
        name: String,
        verb: Option<Verb>,
    },
    NoAddress(Verb),
    TooMany(String),
    /// An environment variable is not set.
    NoVariable(&'static str),
    Value {
        option: &'static str,
        value: String,
        wanted: &'static str,
    },
    /// Two options that are of use together only.
    Half {
        option: &'static str,
        other: &'static str,
    },
    NotSupported {
        option: &'static str,
        value: String,
    },
    /// The parser's own words.
    Parser(String),
}

impl From<lexopt::Error> for Usage {
    fn from(error: lexopt::Error) -> Self {
        Self::Parser(error.to_string())
    }
}

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoVerb => f.write_str("usage: a verb is missing; see sanswarm --help"),
            Self::NoSuchVerb(name) => write!(f, "usage: there is no verb '{name}'; see sanswarm --help"),
            Self::NoSuchOption { name, verb: Some(verb) } => {
                write!(f, "usage: {} has no option --{name}; see sanswarm {} --help", verb.name(), verb.name())
            }
            Self::NoSuchOption { name, verb: None } => {
                write!(f, "usage: no option --{name} before the verb; see sanswarm --help")
            }
            Self::NoAddress(Verb::Explain) => f.write_str("usage: explain needs a multiaddr"),
            Self::NoAddress(verb) => write!(f, "usage: {} needs a multiaddr that ends in /p2p/<peer id>", verb.name()),
            Self::TooMany(value) => write!(f, "usage: '{value}' is one argument too many"),
            Self::NoVariable(name) => {
                write!(f, "usage: the environment variable {name} is not set; see sanswarm interop --help")
            }
            Self::Value { option, value, wanted } => write!(f, "usage: {option} '{value}' is not {wanted}"),
            Self::Half { option, other } => write!(f, "usage: {option} and {other} need each other"),
            Self::NotSupported { option, value } => write!(f, "not supported: {option} {value}"),
            Self::Parser(words) => write!(f, "usage: {words}"),
        }
    }
}

/// Why the command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    Usage(Usage),
    Address {
        text: String,
        cause: multiaddr::Error,
    },
    NoPeerId(NoPeerId),
    Key {
        file: PathBuf,
        cause: KeyError,
    },
    Signing(SigningError),
    Randomness,
    Runtime(io::Error),
    Listen(ListenError),
    /// The socket for metrics.
    Metrics {
        address: SocketAddr,
        cause: io::Error,
    },
    Open(OpenStreamError),
    /// There is no socket.
    Connect(TransportError),
    /// The connection that was to be explained failed.
    Explain(ConnectionError),
    Ping(PingError),
    Identify(IdentifyError),
    /// A stream broke.
    Stream {
        stream: usize,
        cause: io::Error,
    },
    /// What came back is not what went out.
    Digest {
        stream: usize,
    },
    /// The peer ended the stream before it had sent everything back, or sent more.
    Length {
        stream: usize,
        got: u64,
        expected: u64,
    },
    /// An exchange of the perf protocol broke.
    Exchange {
        stream: usize,
        cause: ExchangeError,
    },
    /// What two ends of a test meet over.
    Redis(RedisError),
    /// Not done in time.
    Timeout {
        stage: &'static str,
        after: Duration,
    },
    /// Simulated runs broke a law.
    Violation {
        failed: usize,
        of: usize,
    },
    /// Some of a crowd did not come, or did not stay.
    Crowd {
        wanted: usize,
        failed: usize,
        lost: usize,
        unanswered: usize,
    },
    /// This process may not have as many descriptors as it would need.
    Descriptors {
        limit: u64,
        needed: u64,
        connections: u64,
    },
    /// A file could not be read or written.
    File {
        file: PathBuf,
        cause: io::Error,
    },
    /// A certificate, or the key to it, cannot be used.
    Credentials {
        file: PathBuf,
        cause: WebError,
    },
    /// Nobody reads our output.
    Output(io::Error),
    /// A task of ours is gone.
    Gone,
}

/// What may be wrong with a key file.
#[derive(Debug)]
pub(crate) enum KeyError {
    Io(io::Error),
    Malformed,
}

/// What may go wrong with an exchange of the perf protocol.
#[derive(Debug)]
pub(crate) enum ExchangeError {
    Io(io::Error),
    Perf(sanswarm_perf::Error),
}

impl From<io::Error> for ExchangeError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl Failure {
    /// A name for machines that stays the same over versions.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Usage(Usage::NotSupported { .. }) => "not-supported",
            Self::Usage(_) => "usage",
            Self::Address { .. } | Self::NoPeerId(_) => "address",
            Self::Key { .. } | Self::Signing(_) => "key",
            Self::Randomness | Self::Runtime(_) | Self::Gone => "system",
            Self::Listen(_) | Self::Metrics { .. } => "listen",
            Self::Open(error) => error.code(),
            Self::Connect(_) => "connect",
            Self::Explain(error) => error.code(),
            Self::Ping(_) => "ping",
            Self::Identify(_) => "identify",
            Self::Stream { .. } | Self::Exchange { cause: ExchangeError::Io(_), .. } => "stream",
            Self::Digest { .. } | Self::Length { .. } | Self::Exchange { .. } => "verify",
            Self::Redis(RedisError::Empty { .. }) | Self::Timeout { .. } => "timeout",
            Self::Redis(_) => "redis",
            Self::Violation { .. } => "violation",
            Self::Crowd { .. } => "crowd",
            Self::Descriptors { .. } => "descriptors",
            Self::File { .. } => "file",
            Self::Credentials { .. } => "tls",
            Self::Output(_) => "output",
        }
    }

    /// 1 failed, 2 not supported or wrong usage.
    pub(crate) fn exit(&self) -> u8 {
        match self {
            Self::Connect(TransportError::Unsupported) => 2,
            Self::Usage(_) | Self::Listen(ListenError::Refused(sanswarm::ListenError::NoTransport)) => 2,
            Self::Open(OpenStreamError::Dial(report)) => {
                let unsupported = |cause: &AttemptCause| *cause == AttemptCause::Dial(AttemptFailure::NoTransport);
                let none = report.attempts.iter().all(|attempt| unsupported(&attempt.cause));
                if none && !report.attempts.is_empty() { 2 } else { 1 }
            }
            _ => 1,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(usage) => usage.fmt(f),
            Self::Address { text, cause } => write!(f, "address: '{text}' is no multiaddr: {cause}"),
            Self::NoPeerId(error) => write!(f, "address: {error}"),
            Self::Key { file, cause: KeyError::Io(cause) } => write!(f, "key: {}: {cause}", file.display()),
            Self::Key { file, cause: KeyError::Malformed } => {
                write!(f, "key: {} holds no private key in libp2p's protobuf encoding", file.display())
            }
            Self::Signing(error) => write!(f, "key: {error}"),
            Self::Randomness => f.write_str("system: no randomness"),
            Self::Runtime(cause) => write!(f, "system: {cause}"),
            Self::Listen(error) => write!(f, "listen: {error}"),
            Self::Metrics { address, cause } => write!(f, "metrics: {address}: {cause}"),
            Self::Open(error) => error.fmt(f),
            Self::Connect(error) => write!(f, "connect: {error}"),
            Self::Explain(error) => error.fmt(f),
            Self::Ping(error) => write!(f, "ping: {error}"),
            Self::Identify(error) => write!(f, "identify: {error}"),
            Self::Stream { stream, cause } => write!(f, "echo: stream {stream}: {cause}"),
            Self::Digest { stream } => write!(f, "echo: stream {stream}: other bytes came back than were sent"),
            Self::Length { stream, got, expected } => {
                write!(f, "echo: stream {stream}: {got} bytes came back of {expected}")
            }
            Self::Exchange { stream, cause: ExchangeError::Io(cause) } => write!(f, "perf: stream {stream}: {cause}"),
            Self::Exchange { stream, cause: ExchangeError::Perf(cause) } => write!(f, "perf: stream {stream}: {cause}"),
            Self::Redis(error) => write!(f, "redis: {error}"),
            Self::Timeout { stage, after } => write!(f, "{stage}: not done within {after:?}"),
            Self::Violation { failed, of: 1 } => write!(f, "sim: {failed} run broke a law"),
            Self::Violation { failed, of } => write!(f, "sim: {failed} of {of} runs broke a law"),
            Self::Crowd { wanted, failed, lost, unanswered } => write!(
                f,
                "crowd: of {wanted} connections {failed} failed and {lost} were lost; {unanswered} pings were not answered"
            ),
            Self::Descriptors { limit, needed, connections } => write!(
                f,
                "descriptors: this process may have {limit}, and {connections} connections need {needed}: raise the hard limit (ulimit -Hn)"
            ),
            Self::Credentials { file, cause } => write!(f, "tls: {}: {cause}", file.display()),
            Self::File { file, cause } => write!(f, "{}: {cause}", file.display()),
            Self::Output(cause) => write!(f, "output: {cause}"),
            Self::Gone => f.write_str("system: a task of ours ended early"),
        }
    }
}

impl From<Usage> for Failure {
    fn from(usage: Usage) -> Self {
        Self::Usage(usage)
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<OpenStreamError> for Failure {
    fn from(error: OpenStreamError) -> Self {
        Self::Open(error)
    }
}
