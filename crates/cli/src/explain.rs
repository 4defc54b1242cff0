//! `sanswarm explain`: dials, asks who the peer is, pings it once, and shows all that was said, decrypted, by layer.

mod list;
mod print;
mod talk;

use std::sync::Arc;

use sanswarm::{ConnectionError, Keypair, Muxer, PeerInfo, Role, Security, Stage};
use sanswarm_connection::{Config, Connection, Limits};
use sanswarm_identify as identify;
use sanswarm_ping as ping;
use sanswarm_tokio::NameServers;

use crate::{
    args::Options,
    failure::Failure,
    key,
    session::{self, Patience},
};
use print::Printer;
use talk::Talk;

pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let address = session::address(options.address.as_deref().unwrap_or_default())?;
    let expected = PeerInfo::try_from(address.clone()).ok().map(|info| info.id);
    let patience = Patience::new(options, 30);
    let (keypair, _) = key::load_or_make(options.key.as_deref())?;
    let config = config(options, &keypair)?;
    let printer = Printer::start(options.json, &address, &config)?;
    let tls = session::tls(options)?;
    let dial =
        async { sanswarm_tokio::connect_with_tls(&address, NameServers::System, tls).await.map_err(Failure::Connect) };
    let socket = patience.wait("connect", dial).await?;
    let mut talk = Talk::new(socket, printer, us(&keypair), |now| {
        let secret = key::secret()?;
        Ok(Connection::new(now, Role::Dialer, config, expected, secret))
    })?;
    let result = patience.wait("explain", talk.run()).await;
    let result = match result {
        Err(Failure::Explain(error)) => {
            Err(Failure::Explain(list::complete(error, &address, session::tls(options)?).await))
        }
        result => result,
    };
    talk.end(result)
}

/// What we offer. A peer that refuses it is asked what it has instead.
fn config(options: &Options, keypair: &Keypair) -> Result<Arc<Config>, Failure> {
    let muxers = options.muxers.clone().unwrap_or_else(Muxer::defaults);
    let mut limits = Limits::default();
    if let Some(after) = options.timeout {
        (limits.upgrade_timeout, limits.negotiation_timeout) = (after, after);
    }
    let security = options.security.clone().unwrap_or_else(Security::defaults);
    let config = Config::new(keypair, key::secret()?, security, muxers, limits);
    Ok(Arc::new(config.map_err(Failure::Signing)?.asking()))
}

/// What we say of ourselves, if we are asked.
fn us(keypair: &Keypair) -> Vec<u8> {
    let info = identify::Info {
        public_key: Some(keypair.public().encode_protobuf().into()),
        protocols: [identify::NAME, ping::NAME].map(Into::into).to_vec(),
        agent_version: Some(concat!("sanswarm/", env!("CARGO_PKG_VERSION")).into()),
        ..identify::Info::default()
    };
    info.encode(&identify::Limits::default())
}

/// Whether the peer has refused all security protocols without saying what it has.
fn is_open_question(error: &ConnectionError) -> bool {
    matches!(error, ConnectionError::NothingInCommon { stage: Stage::Security, remote, .. } if remote.is_empty())
}
