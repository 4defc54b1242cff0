//! Names in addresses: asked of name servers by hickory, or of the system, which has hosts only.

use core::time::Duration;

use sanswarm::{Answer, Instant, Question, ResolveId, TransportError};
use sanswarm_host::NameServers;
use tokio::sync::mpsc::Sender;

use crate::facts::{Fact, Task};

/// What answers questions.
pub(crate) struct Resolver {
    /// After so long nobody waits for an answer.
    #[cfg(not(feature = "dns"))]
    time: Duration,
    #[cfg(feature = "dns")]
    dns: sanswarm_host::Dns,
}

impl Resolver {
    #[cfg(feature = "dns")]
    pub(crate) fn new(servers: NameServers, time: Duration) -> Self {
        Self { dns: sanswarm_host::Dns::new(servers, time) }
    }

    #[cfg(not(feature = "dns"))]
    pub(crate) fn new(_: NameServers, time: Duration) -> Self {
        Self { time }
    }

    /// Asks, in a task that tells what was answered.
    pub(crate) fn ask(&mut self, now: Instant, resolve: ResolveId, question: Question, tell: Sender<Fact>) -> Task {
        let answer = self.answer(now, question);
        Task::spawn(async move {
            let result = answer.await;
            let _ = tell.send(Fact::Resolved { resolve, result }).await;
        })
    }

    /// Asks.
    #[cfg_attr(
        not(feature = "dns"),
        expect(clippy::needless_pass_by_ref_mut, unused_variables, reason = "with it, it is")
    )]
    pub(crate) fn answer(
        &mut self,
        now: Instant,
        question: Question,
    ) -> impl Future<Output = Result<Answer, TransportError>> + Send + use<> {
        #[cfg(feature = "dns")]
        return self.dns.ask(now, question);
        #[cfg(not(feature = "dns"))]
        {
            let answer = tokio::time::timeout(self.time, hosts(question));
            async move { answer.await.unwrap_or(Err(TransportError::TimedOut)) }
        }
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
