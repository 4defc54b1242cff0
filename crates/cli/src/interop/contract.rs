//! The variables that a container of a test is given.
//!
//! | libp2p/unified-testing | libp2p/test-plans | |
//! |---|---|---|
//! | `IS_DIALER` | `is_dialer` | `true` or `false` |
//! | `TRANSPORT` | `transport` | `tcp` or `ws` |
//! | `SECURE_CHANNEL` | `security` | `noise` or `tls` |
//! | `MUXER` | `muxer` | `yamux` or `mplex` |
//! | `REDIS_ADDR` | `redis_addr`, else `redis:6379` | host and port |
//! | `TEST_KEY` | – | in front of the key's name |
//! | `LISTENER_IP`, else 0.0.0.0 | `ip`, else 0.0.0.0 | what to listen on |
//! | `TEST_TIMEOUT_SECS`, else 180 | `test_timeout_seconds`, else 180 | seconds |
//! | `DEBUG`, else `false` | – | `true` or `false` |

use core::{
    net::{IpAddr, Ipv4Addr},
    time::Duration,
};

use sanswarm::{Muxer, Security};

use crate::{args::Transport, failure::Usage};

/// Which of the two contracts: they differ in names, in Redis' key and in the form of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// libp2p/unified-testing.
    Upper,
    /// libp2p/test-plans.
    Lower,
}

/// A test, as the variables have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Test {
    pub(super) form: Form,
    pub(super) is_dialer: bool,
    pub(super) transport: Transport,
    pub(super) security: Security,
    pub(super) muxer: Muxer,
    pub(super) redis: String,
    pub(super) ip: IpAddr,
    pub(super) timeout: Duration,
    pub(super) debug: bool,
    /// Empty in the lower form.
    key: String,
}

/// The variables' names.
struct Names {
    is_dialer: &'static str,
    transport: &'static str,
    security: &'static str,
    muxer: &'static str,
    redis: &'static str,
    ip: &'static str,
    timeout: &'static str,
}

const UPPER: Names = Names {
    is_dialer: "IS_DIALER",
    transport: "TRANSPORT",
    security: "SECURE_CHANNEL",
    muxer: "MUXER",
    redis: "REDIS_ADDR",
    ip: "LISTENER_IP",
    timeout: "TEST_TIMEOUT_SECS",
};

const LOWER: Names = Names {
    is_dialer: "is_dialer",
    transport: "transport",
    security: "security",
    muxer: "muxer",
    redis: "redis_addr",
    ip: "ip",
    timeout: "test_timeout_seconds",
};

const TIMEOUT: Duration = Duration::from_secs(180);

/// Other transports of the suites. Their tests are not for us.
const TRANSPORTS: [&str; 7] = ["wss", "quic", "quic-v1", "webtransport", "webrtc", "webrtc-direct", "https"];

type Lookup<'a> = &'a dyn Fn(&str) -> Option<String>;

impl Test {
    /// Reads the upper form, and the lower one where nothing of the upper is set.
    pub(super) fn read(variable: Lookup<'_>) -> Result<Self, Usage> {
        let variable: Lookup<'_> = &|name| variable(name).filter(|value| !value.is_empty());
        let is_set =
            |names: &Names| [names.is_dialer, names.transport, names.redis].iter().any(|name| variable(name).is_some());
        let (form, names) = if is_set(&LOWER) && !is_set(&UPPER) { (Form::Lower, LOWER) } else { (Form::Upper, UPPER) };
        let must = |name: &'static str| variable(name).ok_or(Usage::NoVariable(name));
        let transport = transport(names.transport, must(names.transport)?)?;
        let redis = match form {
            Form::Upper => must(names.redis)?,
            Form::Lower => variable(names.redis).unwrap_or_else(|| "redis:6379".to_owned()),
        };
        Ok(Self {
            form,
            transport,
            is_dialer: flag(names.is_dialer, must(names.is_dialer)?)?,
            security: security(names.security, must(names.security)?)?,
            muxer: muxer(names.muxer, must(names.muxer)?)?,
            redis,
            ip: variable(names.ip).map_or(Ok(Ipv4Addr::UNSPECIFIED.into()), |value| ip(names.ip, value))?,
            timeout: variable(names.timeout).map_or(Ok(TIMEOUT), |value| seconds(names.timeout, value))?,
            debug: form == Form::Upper && variable("DEBUG").map_or(Ok(false), |value| flag("DEBUG", value))?,
            key: if form == Form::Upper { must("TEST_KEY")? } else { String::new() },
        })
    }

    /// Where the listener's address is, in Redis.
    pub(super) fn address_key(&self) -> String {
        match self.form {
            Form::Upper => format!("{}_listener_multiaddr", self.key),
            Form::Lower => "listenerAddr".to_owned(),
        }
    }
}

fn wrong<T>(option: &'static str, value: String, wanted: &'static str) -> Result<T, Usage> {
    Err(Usage::Value { option, value, wanted })
}

fn transport(name: &'static str, value: String) -> Result<Transport, Usage> {
    match &*value {
        "tcp" => Ok(Transport::Tcp),
        "ws" => Ok(Transport::WebSocket),
        known if TRANSPORTS.contains(&known) => Err(Usage::NotSupported { option: name, value }),
        _ => wrong(name, value, "a transport such as tcp"),
    }
}

fn security(name: &'static str, value: String) -> Result<Security, Usage> {
    match &*value {
        "noise" => Ok(Security::Noise),
        "tls" => Ok(Security::Tls),
        _ => wrong(name, value, "noise or tls"),
    }
}

fn muxer(name: &'static str, value: String) -> Result<Muxer, Usage> {
    match &*value {
        "yamux" => Ok(Muxer::Yamux),
        "mplex" => Ok(Muxer::Mplex),
        _ => wrong(name, value, "yamux or mplex"),
    }
}

fn flag(name: &'static str, value: String) -> Result<bool, Usage> {
    match &*value {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => wrong(name, value, "true or false"),
    }
}

fn ip(name: &'static str, value: String) -> Result<IpAddr, Usage> {
    value.parse().or_else(|_| wrong(name, value, "an IP address"))
}

fn seconds(name: &'static str, value: String) -> Result<Duration, Usage> {
    // A day is longer than any suite waits.
    match value.parse() {
        Ok(seconds @ 1..=86_400) => Ok(Duration::from_secs(seconds)),
        _ => wrong(name, value, "a number of seconds from 1 to 86400"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UPPER: [(&str, &str); 8] = [
        ("IS_DIALER", "true"),
        ("REDIS_ADDR", "transport-redis:6379"),
        ("TEST_KEY", "a5b50d5e"),
        ("TRANSPORT", "tcp"),
        ("SECURE_CHANNEL", "noise"),
        ("MUXER", "yamux"),
        ("LISTENER_IP", "0.0.0.0"),
        ("DEBUG", "false"),
    ];
    const LOWER: [(&str, &str); 4] =
        [("is_dialer", "false"), ("transport", "tcp"), ("security", "tls"), ("muxer", "mplex")];

    /// Reads `variables`, of which `change` is another or, without a value, missing.
    fn read(variables: &[(&str, &str)], change: (&str, Option<&str>)) -> Result<Test, Usage> {
        let found = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        Test::read(&|name| if name == change.0 { change.1 } else { found(name) }.map(str::to_owned))
    }

    #[test]
    fn reads_both_forms() {
        let test = read(&UPPER, ("TEST_TIMEOUT_SECS", Some("7"))).unwrap();
        assert_eq!((test.form, test.is_dialer, test.debug), (Form::Upper, true, false));
        assert_eq!((test.security, test.muxer), (Security::Noise, Muxer::Yamux));
        assert_eq!(test.transport, Transport::Tcp);
        assert_eq!(read(&UPPER, ("TRANSPORT", Some("ws"))).unwrap().transport, Transport::WebSocket);
        assert_eq!((&*test.redis, test.timeout), ("transport-redis:6379", Duration::from_secs(7)));
        assert_eq!(test.address_key(), "a5b50d5e_listener_multiaddr");
        assert!(read(&UPPER, ("DEBUG", Some("true"))).unwrap().debug);

        let test = read(&LOWER, ("", None)).unwrap();
        assert_eq!((test.form, test.is_dialer, test.security), (Form::Lower, false, Security::Tls));
        assert_eq!((&*test.redis, test.timeout, test.ip), ("redis:6379", Duration::from_secs(180), [0; 4].into()));
        assert_eq!((test.muxer, &*test.address_key()), (Muxer::Mplex, "listenerAddr"));
        let test = read(&LOWER, ("redis_addr", Some("127.0.0.1:1"))).unwrap();
        assert_eq!(test.redis, "127.0.0.1:1");
        // Of a suite's own that happens to be set nothing is taken for the upper form.
        assert_eq!(read(&LOWER, ("DEBUG", Some("yes"))).unwrap().form, Form::Lower);
        assert_eq!(read(&[LOWER.as_slice(), &UPPER].concat(), ("", None)).unwrap().form, Form::Upper);
    }

    #[test]
    fn says_what_is_missing() {
        assert_eq!(Test::read(&|_| None), Err(Usage::NoVariable("TRANSPORT")));
        for name in ["IS_DIALER", "REDIS_ADDR", "TEST_KEY", "TRANSPORT", "SECURE_CHANNEL", "MUXER"] {
            assert_eq!(read(&UPPER, (name, None)), Err(Usage::NoVariable(name)));
            assert_eq!(read(&UPPER, (name, Some(""))), Err(Usage::NoVariable(name)));
        }
        for name in ["is_dialer", "transport", "security", "muxer"] {
            assert_eq!(read(&LOWER, (name, None)), Err(Usage::NoVariable(name)));
        }
    }

    #[test]
    fn says_what_is_wrong() {
        for (name, value) in [
            ("IS_DIALER", "1"),
            ("TRANSPORT", "tcpp"),
            ("SECURE_CHANNEL", "null"),
            ("MUXER", "noise"),
            ("LISTENER_IP", "host"),
            ("TEST_TIMEOUT_SECS", "0"),
            ("TEST_TIMEOUT_SECS", "1s"),
            ("DEBUG", "yes"),
        ] {
            let error = read(&UPPER, (name, Some(value)));
            assert!(matches!(&error, Err(Usage::Value { option, .. }) if *option == name), "{error:?}");
        }
        let error = read(&UPPER, ("TRANSPORT", Some("quic-v1")));
        assert_eq!(error, Err(Usage::NotSupported { option: "TRANSPORT", value: "quic-v1".to_owned() }));
    }
}
