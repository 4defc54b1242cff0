//! The message on the wire.

use alloc::vec::Vec;

use bytes::Bytes;

/// The spec's `Identify`. Strings are bytes here: one that is not UTF-8 must not cost the message.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub(crate) struct Message {
    #[prost(bytes = "bytes", optional, tag = "1")]
    pub(crate) public_key: Option<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(crate) listen_addrs: Vec<Bytes>,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(crate) protocols: Vec<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "4")]
    pub(crate) observed_addr: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "5")]
    pub(crate) protocol_version: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "6")]
    pub(crate) agent_version: Option<Bytes>,
    #[prost(bytes = "bytes", optional, tag = "8")]
    pub(crate) signed_peer_record: Option<Bytes>,
}
