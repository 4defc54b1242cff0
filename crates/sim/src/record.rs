//! What is kept of a run to be looked at.

use core::time::Duration;
use std::collections::BTreeMap;

use sanswarm::Instant;

use crate::{Fault, HostId, book::StreamName};

/// Connections, streams, faults and notes of a run, in the order in which they began.
#[derive(Debug, Default)]
pub struct Record {
    pub(crate) limit: usize,
    /// The connections.
    pub connections: Vec<Connection>,
    /// The streams.
    pub streams: Vec<Stream>,
    /// The faults.
    pub faults: Vec<Happened>,
    /// What applications have noted.
    pub notes: Vec<Note>,
    /// How many entries more there were than were to be kept.
    pub left_out: u64,
    pipes: BTreeMap<u64, usize>,
    open: BTreeMap<(u64, StreamName), usize>,
}

/// A connection between two systems, whether or not it became ready.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// Its number.
    pub serial: u64,
    /// Who dialled.
    pub from: HostId,
    /// Who was dialled.
    pub to: HostId,
    /// When it began.
    pub opened: Instant,
    /// When it had ended at both ends.
    pub closed: Option<Instant>,
}

/// A stream of an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The number of its connection.
    pub connection: u64,
    /// Its id on the wire.
    pub wire_id: u64,
    /// When its first end was open.
    pub opened: Instant,
    /// When both ends were done with it.
    pub ended: Option<Instant>,
    /// Bytes that were read of it, both ways.
    pub bytes: u64,
}

/// A fault that has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Happened {
    /// When.
    pub at: Instant,
    /// For how long.
    pub lasts: Duration,
    /// Which kind.
    pub name: &'static str,
    /// The hosts that it was about.
    pub hosts: Vec<HostId>,
}

/// A line that an application has noted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// When.
    pub at: Instant,
    /// Where.
    pub host: HostId,
    /// What.
    pub text: String,
}

impl Record {
    /// Whether one more entry is kept in a list of this length.
    fn keeps(&mut self, len: usize) -> bool {
        let keeps = len < self.limit;
        self.left_out += u64::from(!keeps && self.limit > 0);
        keeps
    }

    pub(crate) fn pipe_opened(&mut self, now: Instant, serial: u64, from: usize, to: usize) {
        if self.keeps(self.connections.len()) {
            self.pipes.insert(serial, self.connections.len());
            let (from, to) = (HostId::new(from), HostId::new(to));
            self.connections.push(Connection { serial, from, to, opened: now, closed: None });
        }
    }

    pub(crate) fn pipe_closed(&mut self, now: Instant, serial: u64) {
        if let Some(index) = self.pipes.remove(&serial) {
            self.connections[index].closed = Some(now);
        }
        // Its streams end with it, at the latest.
        let of_it = self.open.range((serial, (0, 0))..=(serial, (usize::MAX, u64::MAX)));
        for (name, index) in of_it.map(|(name, index)| (*name, *index)).collect::<Vec<_>>() {
            self.open.remove(&name);
            self.streams[index].ended = Some(now);
        }
    }

    pub(crate) fn stream_opened(&mut self, now: Instant, connection: u64, name: StreamName) {
        if self.keeps(self.streams.len()) {
            self.open.insert((connection, name), self.streams.len());
            self.streams.push(Stream { connection, wire_id: name.1, opened: now, ended: None, bytes: 0 });
        }
    }

    pub(crate) fn stream_ended(&mut self, now: Instant, connection: u64, name: StreamName, bytes: u64) {
        if let Some(index) = self.open.remove(&(connection, name)) {
            self.streams[index].ended = Some(now);
            self.streams[index].bytes = bytes;
        }
    }

    pub(crate) fn fault(&mut self, now: Instant, fault: &Fault) {
        if self.keeps(self.faults.len()) {
            let (lasts, name, hosts) = (fault.lasts(), fault.name(), fault.hosts());
            self.faults.push(Happened { at: now, lasts, name, hosts });
        }
    }

    pub(crate) fn note(&mut self, now: Instant, host: usize, text: &str) {
        if self.keeps(self.notes.len()) {
            self.notes.push(Note { at: now, host: HostId::new(host), text: text.to_owned() });
        }
    }
}
