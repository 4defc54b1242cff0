//! Names in addresses: asked of name servers by hickory, or of the system, which has hosts only.

#[cfg(feature = "dns")]
use core::net::SocketAddr;
use core::time::Duration;

#[cfg(not(feature = "dns"))]
use sanswarm::Answer;
use sanswarm::{Instant, Question, ResolveId, TransportError};
use tokio::sync::mpsc::Sender;

#[cfg(feature = "dns")]
use crate::dns;
use crate::facts::{Fact, Task};

/// Questions under way at once, those included that nobody waits for any more; further ones fail.
pub(crate) const QUESTIONS_MAX: usize = 256;

/// Who is asked about the names in addresses. `localhost` and the names of the hosts file need nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum NameServers {
    /// Whom the system asks. Without the feature `dns` it is the system that asks, which cannot tell what a `/dnsaddr`
    /// stands for.
    #[default]
    System,
    /// These, by UDP, and by TCP where an answer is too long for it.
    #[cfg(feature = "dns")]
    At(Vec<SocketAddr>),
}

/// What answers questions.
pub(crate) struct Resolver {
    /// After so long nobody waits for an answer.
    time: Duration,
    #[cfg(feature = "dns")]
    dns: dns::Dns,
}

impl Resolver {
    #[cfg(feature = "dns")]
    pub(crate) fn new(servers: NameServers, time: Duration) -> Self {
        Self { time, dns: dns::Dns::new(servers, time) }
    }

    #[cfg(not(feature = "dns"))]
    pub(crate) fn new(_: NameServers, time: Duration) -> Self {
        Self { time }
    }

    /// Asks, in a task that tells what was answered.
    #[cfg_attr(
        not(feature = "dns"),
        expect(clippy::needless_pass_by_ref_mut, unused_variables, reason = "with it, it is")
    )]
    pub(crate) fn ask(&mut self, now: Instant, resolve: ResolveId, question: Question, tell: Sender<Fact>) -> Task {
        #[cfg(feature = "dns")]
        let answer = dns::answer(self.dns.resolver(now), question);
        #[cfg(not(feature = "dns"))]
        let answer = hosts(question);
        let answer = tokio::time::timeout(self.time, answer);
        Task::spawn(async move {
            let result = answer.await.unwrap_or(Err(TransportError::TimedOut));
            let _ = tell.send(Fact::Resolved { resolve, result }).await;
        })
    }
}

/// The addresses of a host by the system's resolver. Which family was asked for, the control sorts out.
#[cfg(not(feature = "dns"))]
async fn hosts(question: Question) -> Result<Answer, TransportError> {
    let (Question::Ip(name) | Question::Ip4(name) | Question::Ip6(name)) = question else {
        return Err(TransportError::Unsupported);
    };
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|_| TransportError::NotFound)?;
    Ok(Answer::Ips(found.map(|address| address.ip().to_canonical()).collect()))
}
