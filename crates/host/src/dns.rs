//! Names by hickory, of which nothing leaves this file.

use core::{future::poll_fn, net::IpAddr, pin::pin, task::Poll, time::Duration};

use hickory_resolver::{
    TokioResolver,
    config::{NameServerConfig, ResolverConfig},
    net::{DnsError, NetError, runtime::TokioRuntimeProvider},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType},
    },
};
use sanswarm::{Answer, Instant, Question, TransportError};

use crate::names::{NameServers, QUESTIONS_MAX};

/// How old what we know of the system's name servers may be: hosts move to other networks.
const REREAD: Duration = Duration::from_secs(60);

/// How much longer addresses of the one family are waited for when those of the other are there (RFC 8305, section 3).
const OTHER_FAMILY: Duration = Duration::from_millis(50);

/// Answers that are remembered for as long as they say.
const CACHED: u64 = 1024;

/// Who is asked, as it was found last.
#[derive(Debug)]
pub struct Dns {
    servers: NameServers,
    /// How long one question may take.
    time: Duration,
    made: Option<(Instant, Option<TokioResolver>)>,
}

impl Dns {
    /// Asks `servers`; a question may take `time`.
    pub fn new(servers: NameServers, time: Duration) -> Self {
        Self { servers, time, made: None }
    }

    /// Asks, on tokio. The future holds nothing of `self`.
    pub fn ask(
        &mut self,
        now: Instant,
        question: Question,
    ) -> impl Future<Output = Result<Answer, TransportError>> + Send + use<> {
        let (resolver, time) = (self.resolver(now), self.time);
        async move {
            let answer = tokio::time::timeout(time, answer(resolver, question)).await;
            answer.unwrap_or(Err(TransportError::TimedOut))
        }
    }

    /// Whom to ask now.
    fn resolver(&mut self, now: Instant) -> Option<TokioResolver> {
        let is_fixed = self.servers != NameServers::System;
        let known = self.made.as_ref().filter(|(at, _)| is_fixed || now.since(*at) < REREAD);
        match known {
            Some((_, resolver)) => resolver.clone(),
            None => {
                let resolver = self.make();
                self.made = Some((now, resolver.clone()));
                resolver
            }
        }
    }

    fn make(&self) -> Option<TokioResolver> {
        let with = |servers| {
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let mut builder = match &self.servers {
            // A system that names no servers still has its hosts file.
            NameServers::System => TokioResolver::builder_tokio().unwrap_or_else(|_| with(Vec::new())),
            NameServers::At(servers) => with(servers.iter().map(|server| at(server.ip(), server.port())).collect()),
        };
        let options = builder.options_mut();
        // Once and again for each of the retries, within the time of the whole.
        options.timeout = self.time / 4;
        options.attempts = 2;
        options.max_active_requests = 2 * QUESTIONS_MAX;
        options.cache_size = CACHED;
        builder.build().ok()
    }
}

fn at(ip: IpAddr, port: u16) -> NameServerConfig {
    let mut server = NameServerConfig::udp_and_tcp(ip);
    for connection in &mut server.connections {
        connection.port = port;
    }
    server
}

/// Asks.
async fn answer(resolver: Option<TokioResolver>, question: Question) -> Result<Answer, TransportError> {
    let resolver = &resolver.ok_or(TransportError::NameService)?;
    match question {
        Question::Ip4(host) => ips(resolver, &host, RecordType::A).await.map(Answer::Ips),
        Question::Ip6(host) => ips(resolver, &host, RecordType::AAAA).await.map(Answer::Ips),
        Question::Ip(host) => all_ips(resolver, &host).await.map(Answer::Ips),
        Question::Texts(name) => texts(resolver, &name).await.map(Answer::Texts),
        _ => Err(TransportError::Unsupported),
    }
}

type Ips = Result<Vec<IpAddr>, TransportError>;

/// The addresses of one family.
async fn ips(resolver: &TokioResolver, host: &str, kind: RecordType) -> Ips {
    if let Ok(ip) = host.parse() {
        return Ok(vec![ip]);
    }
    let found = resolver.lookup(name(host)?, kind).await.map_err(|error| cause(&error))?;
    let ips: Vec<_> = found.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
    if ips.is_empty() { Err(TransportError::NotFound) } else { Ok(ips) }
}

/// The addresses of both families, or of one if the other is slow.
async fn all_ips(resolver: &TokioResolver, host: &str) -> Ips {
    let mut four = pin!(ips(resolver, host, RecordType::A));
    let mut six = pin!(ips(resolver, host, RecordType::AAAA));
    let (mut fours, mut sixes, mut patience) = (None, None, None);
    poll_fn(|cx| {
        if fours.is_none() {
            fours = ready(four.as_mut().poll(cx));
        }
        if sixes.is_none() {
            sixes = ready(six.as_mut().poll(cx));
        }
        match (&fours, &sixes) {
            (Some(_), Some(_)) => Poll::Ready(()),
            (Some(Ok(_)), None) | (None, Some(Ok(_))) => {
                patience.get_or_insert_with(|| Box::pin(tokio::time::sleep(OTHER_FAMILY))).as_mut().poll(cx)
            }
            _ => Poll::Pending,
        }
    })
    .await;
    match (sixes, fours) {
        (Some(Ok(sixes)), Some(Ok(fours))) => Ok([sixes, fours].concat()),
        (Some(Ok(one)), _) | (_, Some(Ok(one))) => Ok(one),
        (Some(Err(TransportError::NotFound)), Some(Err(cause))) | (Some(Err(cause)), _) => Err(cause),
        _ => Err(TransportError::NotFound),
    }
}

fn ready<T>(poll: Poll<T>) -> Option<T> {
    match poll {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

/// The texts of a name, the strings of each put together.
async fn texts(resolver: &TokioResolver, host: &str) -> Result<Vec<String>, TransportError> {
    let mut name = name(host)?;
    name.set_fqdn(true);
    let found = resolver.lookup(name, RecordType::TXT).await.map_err(|error| cause(&error))?;
    let text = |data: &RData| match data {
        RData::TXT(txt) => String::from_utf8(txt.txt_data.concat()).ok(),
        _ => None,
    };
    Ok(found.answers().iter().filter_map(|record| text(&record.data)).collect())
}

fn name(host: &str) -> Result<Name, TransportError> {
    // What is no name has no address.
    Name::from_utf8(host).map_err(|_| TransportError::NotFound)
}

fn cause(error: &NetError) -> TransportError {
    match error {
        NetError::Timeout => TransportError::TimedOut,
        NetError::Dns(DnsError::NoRecordsFound(none)) => match none.response_code {
            ResponseCode::NXDomain | ResponseCode::NoError => TransportError::NotFound,
            _ => TransportError::NameService,
        },
        _ => TransportError::NameService,
    }
}
