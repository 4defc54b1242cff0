//! The control plane: what a fact or a command costs however many connections and peers there are, and what each holds.
//!
//! No crate of the registry has this layer without its sockets, so there is no peer to stand beside.

use core::hint::black_box;

use libp2p_identity::PeerId;
use multiaddr::Multiaddr;
use sanswarm_swarm::{Action, Identified, Limits, Swarm, Transport};
use sanswarm_wire::Instant;

use crate::{Bench, Held};

const WHO: &str = "sanswarm";
/// How many connections and known peers there are beside.
const SIZES: [usize; 3] = [10, 1000, 100_000];

fn peer(i: usize) -> PeerId {
    // As an Ed25519 identity: an identity hash of 36 bytes. What counts is mixed, so that neighbours are far apart.
    let mut bytes = [0_u8; 38];
    bytes[..6].copy_from_slice(&[0, 36, 8, 1, 18, 32]);
    bytes[6..14].copy_from_slice(&(i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    PeerId::from_bytes(&bytes).expect("an identity hash")
}

fn address(i: usize) -> Multiaddr {
    format!("/ip4/20.{}.{}.{}/tcp/4001", i >> 16 & 0xff, i >> 8 & 0xff, i & 0xff).parse().expect("an address")
}

/// What a peer of our days says that it speaks.
fn protocols() -> Vec<String> {
    ["/ipfs/id/1.0.0", "/ipfs/id/push/1.0.0", "/ipfs/ping/1.0.0", "/meshsub/1.1.0"].map(str::to_owned).to_vec()
}

struct Load {
    swarm: Swarm,
    now: Instant,
    next: usize,
}

impl Load {
    fn new() -> Self {
        let many = usize::MAX / 2;
        let limits = Limits {
            established: many,
            memory: many,
            accepts_per_second: 1_000_000_000,
            accepts_per_prefix: 1_000_000_000,
            book_peers: many,
            pending_inbound: many,
            high_water: many,
            low_water: many,
            ..Limits::default()
        };
        let mut swarm = Swarm::new(peer(usize::MAX), limits);
        swarm.add_transport(Transport::tcp());
        Self { swarm, now: Instant::ZERO, next: 0 }
    }

    fn connect(&mut self, i: usize) -> sanswarm_swarm::ConnId {
        self.connect_at(&address(0), &address(i), peer(i))
    }

    fn connect_at(&mut self, local: &Multiaddr, remote: &Multiaddr, peer: PeerId) -> sanswarm_swarm::ConnId {
        let conn = self.swarm.handle_accepted(self.now, local.clone(), remote.clone()).expect("there is room");
        self.swarm.handle_ready(self.now, conn, peer).expect("there is room");
        while self.swarm.poll_event().is_some() {}
        conn
    }

    fn know(&mut self, i: usize) {
        let (addrs, protocols) = ([address(i), address(i + 1), address(i + 2)], protocols());
        let said = Identified { addrs: &addrs, protocols: &protocols, agent: Some("sanswarm/0.1.0"), record: None };
        self.swarm.handle_identified(self.now, peer(i), said).expect("no record");
    }

    /// So many connections of as many known peers.
    fn with(size: usize) -> Self {
        let mut load = Self::new();
        for i in 0..size {
            load.connect(i);
            load.know(i);
        }
        load.next = size;
        load
    }
}

/// The benches of this layer.
pub fn benches() -> Vec<Bench> {
    SIZES.into_iter().flat_map(|size| [events(size), streams(size), dial(size), timeout(size)]).collect()
}

/// A connection comes, becomes ready and closes: three facts and two events.
fn events(size: usize) -> Bench {
    Bench::new(format!("swarm/connection comes and goes, {size} beside"), WHO, 2000, move || {
        let mut load = Load::with(size);
        let (local, remote, them) = (address(0), address(load.next), peer(load.next));
        move || {
            let conn = load.connect_at(&local, &remote, them);
            load.swarm.handle_closed(load.now, conn);
            while black_box(load.swarm.poll_event()).is_some() {}
        }
    })
}

/// A connection has its first stream, and then none: two facts.
fn streams(size: usize) -> Bench {
    Bench::new(format!("swarm/first and last stream, {size} beside"), WHO, 2000, move || {
        let mut load = Load::with(size);
        let conn = load.connect(load.next);
        move || {
            load.swarm.handle_streams(load.now, conn, 1);
            load.swarm.handle_streams(load.now, conn, 0);
        }
    })
}

/// From the command to dial a peer at four addresses to the action; and the cancellation, since a dial must end.
fn dial(size: usize) -> Bench {
    Bench::new(format!("swarm/dial to action and cancel, {size} beside"), WHO, 2000, move || {
        let mut load = Load::with(size);
        let them = peer(load.next);
        let addrs = [0, 1, 2, 3].map(|i| address(load.next + i));
        move || {
            let dial = load.swarm.dial(load.now, Some(them), &addrs);
            let Some(Action::Dial { .. }) = black_box(load.swarm.poll_action()) else { panic!("no dial") };
            load.swarm.cancel(load.now, dial);
            while load.swarm.poll_action().is_some() {}
            while black_box(load.swarm.poll_event()).is_some() {}
        }
    })
}

/// Time passes and nothing is due.
fn timeout(size: usize) -> Bench {
    Bench::new(format!("swarm/time passes, {size} beside"), WHO, 2000, move || {
        let mut load = Load::with(size);
        load.swarm.dial(load.now, Some(peer(load.next)), &[address(load.next)]);
        move || {
            load.swarm.handle_timeout(load.now);
            black_box(load.swarm.poll_timeout());
        }
    })
}

/// What a swarm holds for each of these.
pub fn held() -> Vec<Held> {
    let of = |case: &str, make: fn(&mut Load, usize)| {
        Held::new(format!("swarm/{case}"), WHO, move |number| {
            let mut load = Load::new();
            (0..number).for_each(|i| make(&mut load, i));
            Box::new(load)
        })
    };
    vec![
        of("connection held", |load, i| _ = load.connect(i)),
        of("known peer held: 3 addresses, 4 protocols", Load::know),
    ]
}
