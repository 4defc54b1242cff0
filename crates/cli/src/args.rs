//! The command line as a value.

use core::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};
use std::{ffi::OsString, path::PathBuf};

use lexopt::{Arg, Parser, ValueExt};
use sanswarm::{Multiaddr, Muxer, Security, multiaddr::Protocol};
use tracing::Level;

use crate::{failure::Usage, metrics, sim};

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Request {
    /// Do something.
    Run(Verb, Box<Options>),
    /// Show the help text of a verb, or of the whole command.
    Help(Option<Verb>),
    /// Show the version.
    Version,
}

/// What to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Demo,
    Listen,
    Ping,
    Echo,
    Perf,
    Identify,
    Explain,
    Crowd,
    Interop,
    Keygen,
    Sim,
}

impl Verb {
    pub(crate) const ALL: [Self; 11] = [
        Self::Demo,
        Self::Listen,
        Self::Ping,
        Self::Echo,
        Self::Perf,
        Self::Identify,
        Self::Explain,
        Self::Crowd,
        Self::Interop,
        Self::Keygen,
        Self::Sim,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Demo => "demo",
            Self::Listen => "listen",
            Self::Ping => "ping",
            Self::Echo => "echo",
            Self::Perf => "perf",
            Self::Identify => "identify",
            Self::Explain => "explain",
            Self::Crowd => "crowd",
            Self::Interop => "interop",
            Self::Keygen => "keygen",
            Self::Sim => "sim",
        }
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|verb| verb.name() == name)
    }

    fn needs_address(self) -> bool {
        matches!(self, Self::Ping | Self::Echo | Self::Perf | Self::Identify | Self::Explain | Self::Crowd)
    }

    fn takes_address(self) -> bool {
        self.needs_address() || self == Self::Listen
    }

    /// Whether one peer may have several: they are dialled as its addresses.
    fn takes_addresses(self) -> bool {
        self.needs_address() && self != Self::Explain
    }
}

/// What is used for the TLS below a WebSocket, in PEM or DER.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TlsFiles {
    pub(crate) roots: Option<PathBuf>,
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) key: Option<PathBuf>,
}

/// Who says first that nothing more comes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum HalfClose {
    /// We, right behind the last byte written; then we read to the end.
    #[default]
    Early,
    /// We, once everything was read. The peer's end is not waited for.
    Late,
}

/// What carries the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Transport {
    #[default]
    Tcp,
    WebSocket,
    SecureWebSocket,
}

impl Transport {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::WebSocket => "ws",
            Self::SecureWebSocket => "wss",
        }
    }

    /// An address to listen on.
    pub(crate) fn address(self, ip: IpAddr, port: u16) -> Multiaddr {
        let address = Multiaddr::from(ip).with(Protocol::Tcp(port));
        match self {
            Self::Tcp => address,
            Self::WebSocket => address.with(Protocol::Ws("/".into())),
            Self::SecureWebSocket => address.with(Protocol::Tls).with(Protocol::Ws("/".into())),
        }
    }
}

/// The options of a verb. All dialing verbs take all of them, so that a script can pass what it has.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) address: Option<String>,
    /// Further addresses of the same peer.
    pub(crate) more: Vec<String>,
    /// What to listen on. A dialer's address says it by itself.
    pub(crate) transport: Transport,
    /// To listen on; 0 is any.
    pub(crate) port: u16,
    pub(crate) timeout: Option<Duration>,
    pub(crate) streams: Option<usize>,
    /// On each stream, each way.
    pub(crate) bytes: Option<u64>,
    pub(crate) half_close: HalfClose,
    /// On each stream.
    pub(crate) upload: Option<u64>,
    /// The same.
    pub(crate) download: Option<u64>,
    /// How long each direction is measured, or a crowd stays.
    pub(crate) seconds: Option<Duration>,
    /// Serve the perf protocol too.
    pub(crate) perf: bool,
    /// Where the counters are served.
    pub(crate) metrics: Option<SocketAddr>,
    /// In the order in which they are offered; `None` is the library's choice.
    pub(crate) security: Option<Vec<Security>>,
    /// The same.
    pub(crate) muxers: Option<Vec<Muxer>>,
    pub(crate) key: Option<PathBuf>,
    pub(crate) tls: TlsFiles,
    pub(crate) count: Option<u32>,
    /// At once, of a listener or of a crowd.
    pub(crate) connections: Option<usize>,
    /// Connections that are begun a second.
    pub(crate) rate: Option<u32>,
    pub(crate) json: bool,
    pub(crate) verbose: bool,
    /// What is told of the node's inside.
    pub(crate) log: Option<Level>,
    pub(crate) sim: sim::Options,
}

/// What there is, and what libp2p has beside it.
const SECURITY: (&[&str], &[&str]) = (&["noise", "tls", "plaintext"], &[]);
const MUXERS: (&[&str], &[&str]) = (&["yamux", "mplex"], &[]);
const TRANSPORTS: (&[&str], &[&str]) =
    (&["tcp", "ws", "wss"], &["quic", "quic-v1", "webrtc", "webrtc-direct", "webtransport"]);

/// Streams at once, at most: the connection's own limit.
const STREAMS_MAX: u64 = 1000;

/// Whether `--json` is among the arguments: asked before they are parsed, so that a wrong one is told in JSON too.
pub(crate) fn wants_json(args: &[OsString]) -> bool {
    args.iter().any(|arg| arg == "--json")
}

/// Reads the arguments, without the program's name.
pub(crate) fn parse(args: Vec<OsString>) -> Result<Request, Usage> {
    let mut parser = Parser::from_args(args);
    let mut verb = None;
    let mut options = Options::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Short('h') | Arg::Long("help") => return Ok(Request::Help(verb)),
            Arg::Short('V') | Arg::Long("version") => return Ok(Request::Version),
            Arg::Value(value) => positional(value.string()?, &mut verb, &mut options)?,
            Arg::Long(name) => {
                let name = name.to_owned();
                option(&name, &mut parser, verb, &mut options)?;
            }
            Arg::Short('v') => options.verbose = true,
            Arg::Short(_) => return Err(arg.unexpected().into()),
        }
    }
    let verb = verb.ok_or(Usage::NoVerb)?;
    if verb.needs_address() && options.address.is_none() {
        return Err(Usage::NoAddress(verb));
    }
    Ok(Request::Run(verb, Box::new(options)))
}

fn positional(value: String, verb: &mut Option<Verb>, options: &mut Options) -> Result<(), Usage> {
    let Some(verb) = *verb else {
        *verb = Some(Verb::named(&value).ok_or(Usage::NoSuchVerb(value))?);
        return Ok(());
    };
    match options.address {
        None if verb.takes_address() => options.address = Some(value),
        Some(_) if verb.takes_addresses() => options.more.push(value),
        _ => return Err(Usage::TooMany(value)),
    }
    Ok(())
}

fn option(name: &str, parser: &mut Parser, verb: Option<Verb>, options: &mut Options) -> Result<(), Usage> {
    match name {
        "json" => options.json = true,
        "log" => options.log = Some(level(&parser.value()?.string()?)?),
        _ if verb == Some(Verb::Sim) => sim::option(name, parser, &mut options.sim)?,
        "verbose" => options.verbose = true,
        "security" => options.security = Some(security(&parser.value()?.string()?)?),
        "muxer" => options.muxers = Some(muxers(&parser.value()?.string()?)?),
        "transport" => options.transport = transport(&parser.value()?.string()?)?,
        "port" => options.port = parser.value()?.parse()?,
        "timeout" => options.timeout = Some(seconds("--timeout", &parser.value()?.string()?)?),
        "streams" => options.streams = Some(streams(&parser.value()?.string()?)?),
        "bytes" => options.bytes = Some(bytes("--bytes", &parser.value()?.string()?)?),
        "half-close" => options.half_close = half_close(&parser.value()?.string()?)?,
        "tls-roots" => options.tls.roots = Some(parser.value()?.into()),
        "tls-certificate" => options.tls.certificate = Some(parser.value()?.into()),
        "tls-key" => options.tls.key = Some(parser.value()?.into()),
        "key" => options.key = Some(parser.value()?.into()),
        "count" if verb == Some(Verb::Ping) => options.count = Some(count("--count", &parser.value()?.string()?)?),
        "perf" if verb == Some(Verb::Listen) => options.perf = true,
        "metrics" if verb == Some(Verb::Listen) => options.metrics = Some(socket(&parser.value()?.string()?)?),
        "upload" if verb == Some(Verb::Perf) => {
            options.upload = Some(bytes("--upload", &parser.value()?.string()?)?);
        }
        "download" if verb == Some(Verb::Perf) => {
            options.download = Some(bytes("--download", &parser.value()?.string()?)?);
        }
        "max-connections" if verb == Some(Verb::Listen) => {
            options.connections = Some(count("--max-connections", &parser.value()?.string()?)? as usize);
        }
        "connections" if verb == Some(Verb::Crowd) => {
            options.connections = Some(count("--connections", &parser.value()?.string()?)? as usize);
        }
        "rate" if verb == Some(Verb::Crowd) => options.rate = Some(count("--rate", &parser.value()?.string()?)?),
        "seconds" if matches!(verb, Some(Verb::Perf | Verb::Crowd)) => {
            options.seconds = Some(seconds("--seconds", &parser.value()?.string()?)?);
        }
        _ => return Err(Usage::NoSuchOption { name: name.to_owned(), verb }),
    }
    Ok(())
}

/// Every part of a comma list must be there.
fn check(option: &'static str, list: &str, (have, known): (&[&str], &[&str])) -> Result<(), Usage> {
    for part in list.split(',') {
        if have.contains(&part) {
            continue;
        }
        let value = part.to_owned();
        return Err(if known.contains(&part) {
            Usage::NotSupported { option, value }
        } else {
            Usage::Value { option, value, wanted: "a protocol name such as noise, yamux or tcp" }
        });
    }
    Ok(())
}

/// The first of a comma list.
fn transport(list: &str) -> Result<Transport, Usage> {
    check("--transport", list, TRANSPORTS)?;
    Ok(match list.split(',').next() {
        Some("ws") => Transport::WebSocket,
        Some("wss") => Transport::SecureWebSocket,
        _ => Transport::Tcp,
    })
}

/// Each security protocol of a comma list once.
fn security(list: &str) -> Result<Vec<Security>, Usage> {
    check("--security", list, SECURITY)?;
    let mut security = Vec::new();
    for part in list.split(',') {
        let one = match part {
            "tls" => Security::Tls,
            "plaintext" => Security::Plaintext,
            _ => Security::Noise,
        };
        if !security.contains(&one) {
            security.push(one);
        }
    }
    Ok(security)
}

/// Each muxer of a comma list once.
fn muxers(list: &str) -> Result<Vec<Muxer>, Usage> {
    check("--muxer", list, MUXERS)?;
    let mut muxers = Vec::new();
    for part in list.split(',') {
        let muxer = if part == "mplex" { Muxer::Mplex } else { Muxer::Yamux };
        if !muxers.contains(&muxer) {
            muxers.push(muxer);
        }
    }
    Ok(muxers)
}

fn bytes(option: &'static str, text: &str) -> Result<u64, Usage> {
    let (digits, factor) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 1u64 << 10),
        Some(b'M') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let wanted = "a number of bytes, with K, M or G for powers of 1024";
    digits.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).ok_or_else(|| Usage::Value {
        option,
        value: text.to_owned(),
        wanted,
    })
}

fn streams(text: &str) -> Result<usize, Usage> {
    match bytes("--streams", text) {
        Ok(n @ 1..=STREAMS_MAX) => Ok(n as usize),
        _ => Err(Usage::Value { option: "--streams", value: text.to_owned(), wanted: "a number from 1 to 1000" }),
    }
}

fn count(option: &'static str, text: &str) -> Result<u32, Usage> {
    text.parse().ok().filter(|n| *n > 0).ok_or_else(|| Usage::Value {
        option,
        value: text.to_owned(),
        wanted: "a number above 0",
    })
}

fn seconds(option: &'static str, text: &str) -> Result<Duration, Usage> {
    // A year is longer than anybody waits, and shorter than anything that overflows.
    let range = 0.001..=31_536_000.0;
    text.parse().ok().filter(|s| range.contains(s)).map(Duration::from_secs_f64).ok_or_else(|| Usage::Value {
        option,
        value: text.to_owned(),
        wanted: "a number of seconds above 0",
    })
}

fn level(text: &str) -> Result<Level, Usage> {
    let levels = [Level::ERROR, Level::WARN, Level::INFO, Level::DEBUG, Level::TRACE];
    let found = levels.into_iter().find(|level| level.as_str().eq_ignore_ascii_case(text));
    found.ok_or_else(|| Usage::Value {
        option: "--log",
        value: text.to_owned(),
        wanted: "error, warn, info, debug or trace",
    })
}

fn socket(text: &str) -> Result<SocketAddr, Usage> {
    metrics::address(text).ok_or_else(|| Usage::Value {
        option: "--metrics",
        value: text.to_owned(),
        wanted: "an IP address and a port, such as 127.0.0.1:9100",
    })
}

fn half_close(text: &str) -> Result<HalfClose, Usage> {
    match text {
        "early" => Ok(HalfClose::Early),
        "late" => Ok(HalfClose::Late),
        _ => Err(Usage::Value { option: "--half-close", value: text.to_owned(), wanted: "early or late" }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &str) -> Result<Request, Usage> {
        parse(args.split_whitespace().map(OsString::from).collect())
    }

    fn options(args: &str) -> Options {
        match run(args).unwrap() {
            Request::Run(_, options) => *options,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn reads_every_option() {
        let all = "echo /ip4/127.0.0.1/tcp/1 --security noise,noise --muxer mplex,yamux,mplex --transport=tcp,ws --port 7 \
                   --timeout 1.5 --streams 20 --bytes 64M --half-close late --key a/b --json -v --log debug \
                   --tls-roots r --tls-certificate c --tls-key k";
        let expected = Options {
            address: Some("/ip4/127.0.0.1/tcp/1".to_owned()),
            more: Vec::new(),
            transport: Transport::Tcp,
            port: 7,
            timeout: Some(Duration::from_millis(1500)),
            streams: Some(20),
            bytes: Some(64 << 20),
            half_close: HalfClose::Late,
            upload: None,
            download: None,
            seconds: None,
            perf: false,
            metrics: None,
            security: Some(vec![Security::Noise]),
            muxers: Some(vec![Muxer::Mplex, Muxer::Yamux]),
            key: Some("a/b".into()),
            tls: TlsFiles { roots: Some("r".into()), certificate: Some("c".into()), key: Some("k".into()) },
            count: None,
            connections: None,
            rate: None,
            json: true,
            verbose: true,
            log: Some(Level::DEBUG),
            sim: sim::Options::default(),
        };
        assert_eq!(run(all), Ok(Request::Run(Verb::Echo, Box::new(expected))));
        assert_eq!(options("ping /a --count 9").count, Some(9));
        let perf = options("perf /a --upload 1M --download 0 --seconds 2 --streams 3");
        assert_eq!((perf.upload, perf.download, perf.streams), (Some(1 << 20), Some(0), Some(3)));
        assert_eq!((perf.seconds, perf.perf), (Some(Duration::from_secs(2)), false));
        let crowd = options("crowd /a --connections 10000 --rate 200 --seconds 5");
        assert_eq!((crowd.connections, crowd.rate), (Some(10_000), Some(200)));
        assert_eq!(crowd.seconds, Some(Duration::from_secs(5)));
        assert_eq!(options("listen --max-connections 7").connections, Some(7));
        assert!(options("listen --perf").perf);
        assert_eq!(options("listen --metrics [::1]:0").metrics, Some("[::1]:0".parse().unwrap()));
        assert_eq!(options("listen").address, None);
        assert_eq!(options("listen --transport ws").transport, Transport::WebSocket);
        assert_eq!((options("listen").muxers, options("listen").security), (None, None));
        let all = [Security::Tls, Security::Plaintext, Security::Noise];
        assert_eq!(options("listen --security tls,plaintext,noise,tls").security, Some(all.to_vec()));
        assert_eq!(options("listen --muxer yamux").muxers, Some(vec![Muxer::Yamux]));
        assert_eq!(options("demo --bytes 5").bytes, Some(5));
    }

    #[test]
    fn options_may_come_before_the_address() {
        assert_eq!(options("ping --json /a").address.as_deref(), Some("/a"));
        assert_eq!(options("--log trace demo").log, Some(Level::TRACE));
        assert_eq!(options("sim --log error").log, Some(Level::ERROR));
    }

    #[test]
    fn a_peer_that_is_dialled_may_have_several_addresses() {
        let several = options("ping /a --count 3 /b /c");
        assert_eq!(
            (several.address.as_deref(), &several.more[..]),
            (Some("/a"), &["/b".to_owned(), "/c".to_owned()][..])
        );
        for args in ["listen /a /b", "explain /a /b", "keygen /a"] {
            assert!(matches!(run(args), Err(Usage::TooMany(_))), "{args}");
        }
    }

    #[test]
    fn help_and_version_win_over_what_is_missing() {
        assert_eq!(run("--help"), Ok(Request::Help(None)));
        assert_eq!(run("ping -h"), Ok(Request::Help(Some(Verb::Ping))));
        assert_eq!(run("-V"), Ok(Request::Version));
    }

    #[test]
    fn says_what_is_wrong() {
        assert_eq!(run(""), Err(Usage::NoVerb));
        assert_eq!(run("dance"), Err(Usage::NoSuchVerb("dance".to_owned())));
        assert_eq!(run("ping"), Err(Usage::NoAddress(Verb::Ping)));
        assert_eq!(run("demo x"), Err(Usage::TooMany("x".to_owned())));
        assert_eq!(run("listen a b"), Err(Usage::TooMany("b".to_owned())));
        let name = "count".to_owned();
        assert_eq!(run("echo /a --count 3"), Err(Usage::NoSuchOption { name, verb: Some(Verb::Echo) }));
        for wrong in [
            "demo --streams 0",
            "demo --streams 1001",
            "demo --bytes x",
            "demo --bytes 99999999999999999G",
            "demo --bytes",
            "demo --timeout 0",
            "demo --timeout -1",
            "demo --timeout nan",
            "demo --port 65536",
            "demo --half-close never",
            "demo --security lead",
            "demo --muxer yamux,lead",
            "demo --muxer mplex,",
            "demo --json=yes",
            "demo -x",
            "ping /a --count 0",
            "ping /a --upload 1",
            "perf",
            "perf /a --perf",
            "perf /a --upload much",
            "perf /a --seconds 0",
            "crowd",
            "crowd /a --connections 0",
            "crowd /a --rate x",
            "crowd /a --max-connections 1",
            "listen --connections 1",
            "ping /a --metrics 127.0.0.1:1",
            "listen --metrics",
            "demo --log",
            "demo --log loud",
            "demo --log DEBUG,hyper=info",
            "listen --metrics 9100",
            "listen --metrics localhost:9100",
            "listen --metrics 127.0.0.1:65536",
        ] {
            assert!(run(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_libp2p_has_and_we_have_not_is_not_supported() {
        let args = ["--transport quic", "--transport tcp,webrtc"];
        for args in args {
            assert!(matches!(run(&format!("listen {args}")), Err(Usage::NotSupported { .. })), "{args}");
        }
    }
}
