//! `sanswarm identify`.

use sanswarm::Info;

use crate::{
    args::Options,
    failure::Failure,
    json::Object,
    output::{self, plain},
    session::{self, Connected, Patience},
};

pub(crate) async fn run(options: &Options) -> Result<(), Failure> {
    let target = session::target(options)?;
    let patience = Patience::new(options, 30);
    let node = session::node(options, Some(patience))?;
    let connected = session::connect(&node, target, patience).await?;
    let identify = async { node.identify(connected.peer).await.map_err(Failure::Identify) };
    let info = patience.wait("identify", identify).await?;
    session::leave(&node).await;
    if options.json { json(&connected, info) } else { text(&connected, &info) }
}

fn json(connected: &Connected, info: Info) -> Result<(), Failure> {
    let object = Object::new()
        .flag("ok", true)
        .text("peer", connected.peer)
        .opt_text("agent", info.agent)
        .opt_text("protocol_version", info.protocol_version)
        .opt_text("observed", info.observed_addr)
        .texts("addresses", info.listen_addrs)
        .texts("protocols", info.protocols)
        .text("security", connected.security())
        .text("muxer", connected.muxer);
    output::line(object.end())
}

fn text(connected: &Connected, info: &Info) -> Result<(), Failure> {
    let said = |text: &Option<String>| text.as_deref().map_or_else(|| "-".to_owned(), plain);
    output::line(format_args!("peer              {}", connected.peer))?;
    output::line(format_args!("agent             {}", said(&info.agent)))?;
    output::line(format_args!("protocol version  {}", said(&info.protocol_version)))?;
    let observed = info.observed_addr.as_ref().map(ToString::to_string);
    output::line(format_args!("sees us at        {}", said(&observed)))?;
    output::line(format_args!("connection        {}, {}", connected.security(), connected.muxer))?;
    for address in &info.listen_addrs {
        output::line(format_args!("listens on        {}", plain(&address.to_string())))?;
    }
    for protocol in &info.protocols {
        output::line(format_args!("speaks            {}", plain(protocol)))?;
    }
    Ok(())
}
