//! Names: hosts by the system's resolver, TXT records (`/dnsaddr`) by hickory, with the feature `dns`.

use sanswarm::{Answer, Question, ResolveId, TransportError};
use tokio::sync::mpsc::Sender;

use crate::facts::Fact;

/// Asks and tells what was answered.
pub(crate) async fn resolve(resolve: ResolveId, question: Question, facts: Sender<Fact>) {
    let result = match question {
        Question::Ip(name) | Question::Ip4(name) | Question::Ip6(name) => hosts(name).await,
        Question::Texts(name) => texts(name).await,
        _ => Err(TransportError::Unsupported),
    };
    let _ = facts.send(Fact::Resolved { resolve, result }).await;
}

/// The addresses of a host. Which family was asked for, the control sorts out.
async fn hosts(name: String) -> Result<Answer, TransportError> {
    let found = tokio::net::lookup_host((name, 0)).await.map_err(|_| TransportError::NotFound)?;
    Ok(Answer::Ips(found.map(|address| address.ip().to_canonical()).collect()))
}

#[cfg(not(feature = "dns"))]
async fn texts(_name: String) -> Result<Answer, TransportError> {
    Err(TransportError::Unsupported)
}

#[cfg(feature = "dns")]
async fn texts(name: String) -> Result<Answer, TransportError> {
    // Made for each question, so that a changed network is seen; such questions are rare.
    let builder = hickory_resolver::TokioResolver::builder_tokio().map_err(|_| TransportError::NotFound)?;
    ask(&builder.build().map_err(|_| TransportError::NotFound)?, name).await
}

#[cfg(feature = "dns")]
async fn ask(resolver: &hickory_resolver::TokioResolver, name: String) -> Result<Answer, TransportError> {
    use hickory_resolver::proto::rr::RData;

    // With a dot at its end no search domain is tried.
    let name = if name.ends_with('.') { name } else { name + "." };
    let found = resolver.txt_lookup(name).await.map_err(|_| TransportError::NotFound)?;
    let text = |data: &RData| match data {
        // What is not UTF-8 is no address.
        RData::TXT(text) => String::from_utf8(text.txt_data.concat()).ok(),
        _ => None,
    };
    Ok(Answer::Texts(found.answers().iter().filter_map(|record| text(&record.data)).collect()))
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

    #[cfg(not(feature = "dns"))]
    #[tokio::test]
    async fn without_the_feature_texts_are_not_supported() {
        assert_eq!(texts("_dnsaddr.localhost".to_owned()).await, Err(TransportError::Unsupported));
    }

    /// A name server that has one name with two records, the second of two strings.
    #[cfg(feature = "dns")]
    async fn name_server(socket: tokio::net::UdpSocket) {
        let mut query = [0; 512];
        while let Ok((n, from)) = socket.recv_from(&mut query).await {
            let asked = &query[..n];
            let end = 12 + asked[12..].iter().position(|byte| *byte == 0).expect("a name") + 5;
            let is_known = asked[12..].starts_with(b"\x08_dnsaddr\x01a\x07example");
            let mut answer = asked[..2].to_vec();
            answer.extend(if is_known { [0x81, 0x80] } else { [0x81, 0x83] });
            answer.extend([0, 1, 0, if is_known { 2 } else { 0 }, 0, 0, 0, 0]);
            answer.extend(&asked[12..end]);
            if is_known {
                for strings in [&[&b"dnsaddr=/ip4/1.2.3.4/tcp/1"[..]][..], &[b"dnsaddr=/ip4/5.6.", b"7.8/tcp/2"]] {
                    let data: Vec<u8> = strings.iter().flat_map(|text| [&[text.len() as u8], *text].concat()).collect();
                    answer.extend([0xc0, 12, 0, 16, 0, 1, 0, 0, 0, 60, 0, data.len() as u8]);
                    answer.extend(data);
                }
            }
            let _ = socket.send_to(&answer, from).await;
        }
    }

    #[cfg(feature = "dns")]
    #[tokio::test]
    async fn texts_are_put_together_and_a_missing_name_is_an_error() {
        use hickory_resolver::{
            TokioResolver,
            config::{ConnectionConfig, NameServerConfig, ResolverConfig},
            net::runtime::TokioRuntimeProvider,
        };

        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap();
        let mut connection = ConnectionConfig::udp();
        connection.port = server.port();
        let server = NameServerConfig::new(server.ip(), true, vec![connection]);
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let resolver = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default()).build().unwrap();
        tokio::spawn(name_server(socket));
        let texts = ["dnsaddr=/ip4/1.2.3.4/tcp/1", "dnsaddr=/ip4/5.6.7.8/tcp/2"].map(str::to_owned).to_vec();
        assert_eq!(ask(&resolver, "_dnsaddr.a.example".to_owned()).await, Ok(Answer::Texts(texts)));
        assert_eq!(ask(&resolver, "_dnsaddr.b.example".to_owned()).await, Err(TransportError::NotFound));
    }
}
