//! The calls of the swarm layer, as the outline of libp2p names them.

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{ConnId, Denied, Transport};
use sanswarm_wire::{Instant, Role};

use crate::{HandlerId, Node, OpenId, PeerInfo, Protocols, control::Upgrade};

/// What a swarm layer offers: transports, pipes that become connections, dials, handlers. Made by [`Node::swarm`].
#[derive(Debug)]
pub struct SwarmView<'a> {
    pub(crate) node: &'a mut Node,
}

/// There is nothing to upgrade: the pipe is unknown, gone, or a connection already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoPipe(pub ConnId);

impl core::fmt::Display for NoPipe {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} is no pipe that waits to become a connection", self.0)
    }
}

impl core::error::Error for NoPipe {}

impl SwarmView<'_> {
    /// Adds addresses that the driver can dial and listen on, behind those that are known: TCP is from the start.
    pub fn add_transport(&mut self, transport: Transport) {
        self.node.control().add_transport(transport);
    }

    /// Takes in a pipe that the driver has made by its own means, and names it. Nothing happens on it until it is
    /// upgraded.
    ///
    /// # Errors
    /// [`Denied`]: a limit of connections.
    pub fn add_pipe(&mut self, now: Instant, local: Multiaddr, remote: Multiaddr) -> Result<ConnId, Denied> {
        self.node.control().add_pipe(now, local, remote)
    }

    /// Makes a connection of a raw pipe: security, then the muxer. `secret` is 32 random bytes, used for nothing else.
    ///
    /// # Errors
    /// [`NoPipe`].
    pub fn upgrade_connection(
        &mut self,
        now: Instant,
        conn: ConnId,
        role: Role,
        secret: [u8; 32],
    ) -> Result<(), NoPipe> {
        self.upgrade(now, conn, role, Upgrade::Raw(secret))
    }

    /// Makes a connection of a pipe that is secure already and whose other end is known to be `peer`: the muxer only.
    ///
    /// # Errors
    /// [`NoPipe`].
    pub fn upgrade_to_multiplexer(
        &mut self,
        now: Instant,
        conn: ConnId,
        peer: PeerId,
        role: Role,
    ) -> Result<(), NoPipe> {
        self.upgrade(now, conn, role, Upgrade::Secure(peer))
    }

    fn upgrade(&mut self, now: Instant, conn: ConnId, role: Role, how: Upgrade) -> Result<(), NoPipe> {
        let link = self.node.control().upgrade(now, conn, Some(role), how).ok_or(NoPipe(conn))?;
        self.node.add_link(link);
        Ok(())
    }

    /// Connects to a peer over the transport that its addresses call for, and opens a stream for `protocols`.
    /// [`Event::Dialed`](crate::Event::Dialed) and [`Event::Opened`](crate::Event::Opened), or
    /// [`Event::OpenFailed`](crate::Event::OpenFailed) follow.
    pub fn dial(&mut self, now: Instant, protocols: impl Into<Protocols>, peer: impl Into<PeerInfo>) -> OpenId {
        self.node.control().dial(now, protocols.into(), &peer.into())
    }

    /// As [`Node::set_stream_handler`].
    pub fn set_protocol_handler(&mut self, protocols: impl Into<Protocols>) -> HandlerId {
        self.node.set_stream_handler(protocols)
    }
}
