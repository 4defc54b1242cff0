//! Names: hosts, by the system's resolver. It has no TXT records, so `/dnsaddr` is not supported.

use sanswarm::{Answer, Question, ResolveId, TransportError};
use tokio::sync::mpsc::Sender;

use crate::facts::Fact;

/// Asks and tells what was answered.
pub(crate) async fn resolve(resolve: ResolveId, question: Question, facts: Sender<Fact>) {
    let result = match question {
        Question::Ip(name) | Question::Ip4(name) | Question::Ip6(name) => hosts(name).await,
        _ => Err(TransportError::Unsupported),
    };
    let _ = facts.send(Fact::Resolved { resolve, result }).await;
}

/// The addresses of a host. Which family was asked for, the control sorts out.
async fn hosts(name: String) -> Result<Answer, TransportError> {
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|_| TransportError::NotFound)?;
    Ok(Answer::Ips(found.map(|address| address.ip().to_canonical()).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn hosts_are_found_and_missed() {
        let Ok(Answer::Ips(ips)) = hosts("localhost".to_owned()).await else { panic!() };
        assert!(!ips.is_empty() && ips.iter().all(|ip| ip.is_loopback()), "{ips:?}");
        assert_eq!(hosts("no-such.invalid".to_owned()).await, Err(TransportError::NotFound));
    }
}
