//! Which addresses are dialled at all, and when again: names, back-off, black holes, rankers, networks.

use std::sync::Arc;

use super::*;

fn parse(text: &str) -> Multiaddr {
    text.parse().unwrap()
}

/// The one question that is to be asked now, and nothing else is.
fn asked(swarm: &mut Swarm) -> (ResolveId, Question) {
    let actions = swarm.actions();
    let [Action::Resolve { resolve, question }] = &actions[..] else { panic!("{actions:?}") };
    (*resolve, question.clone())
}

fn resolving(limits: Limits) -> Swarm {
    let mut swarm = swarm_with(limits);
    swarm.set_resolves(true);
    swarm
}

fn texts(all: &[&str]) -> Answer {
    Answer::Texts(all.iter().map(|text| format!("dnsaddr={text}")).collect())
}

/// Fails what is dialled until nothing is.
fn fail_all(swarm: &mut Swarm, at: Instant) -> usize {
    let mut n = 0;
    loop {
        let dials = swarm.dialing();
        if dials.is_empty() {
            return n;
        }
        for (conn, _) in dials {
            swarm.handle_dial_failed(at, conn, REFUSED);
            n += 1;
        }
    }
}

#[test]
fn names_are_asked_for_and_their_hosts_ranked_with_the_others() {
    let mut swarm = resolving(Limits::default());
    swarm.dial(ms(0), Some(peer(2)), &[addr(1), parse("/dns/a.b/tcp/4001")]);
    let actions = swarm.actions();
    let [Action::Resolve { resolve, question }, Action::Dial { address, .. }] = &actions[..] else { panic!() };
    assert_eq!((question, address), (&Question::Ip("a.b".to_owned()), &addr(1)), "nobody waits for the name service");
    let ips = Answer::Ips(["20.0.0.2", "20.0.0.1", "2600::1", "224.0.0.1"].map(|ip| ip.parse().unwrap()).to_vec());
    swarm.handle_resolved(ms(20), *resolve, Ok(ips.clone()));
    swarm.handle_resolved(ms(21), *resolve, Ok(ips));
    swarm.check();
    assert_eq!(swarm.dialing(), [], "250 ms behind the one that is tried");
    let mut order = Vec::new();
    for at in [250, 500, 750] {
        swarm.handle_timeout(ms(at));
        order.extend(swarm.dialing().into_iter().map(|(_, address)| address));
    }
    assert_eq!(order, [parse("/ip6/2600::1/tcp/4001"), addr(2)], "IPv6 first, each once, no multicast");
}

#[test]
fn a_driver_that_does_not_resolve_gets_the_name() {
    let mut swarm = swarm();
    swarm.dial(ms(0), Some(peer(2)), &[parse("/dns4/a.b/tcp/4001")]);
    assert_eq!(swarm.dialing()[0].1, parse("/dns4/a.b/tcp/4001"));
}

#[test]
fn names_that_lead_to_names_end() {
    let mut swarm = resolving(Limits::default());
    let dial = swarm.dial(ms(0), Some(peer(2)), &[parse("/dnsaddr/0.x")]);
    for level in 1..=4 {
        let (resolve, question) = asked(&mut swarm);
        assert_eq!(question, Question::Texts(format!("_dnsaddr.{}.x", level - 1)));
        swarm.handle_resolved(ms(0), resolve, Ok(texts(&[&format!("/dnsaddr/{level}.x")])));
    }
    let events = swarm.events();
    assert_eq!(cause(&events[0]), (dial, DialError::AllFailed));
    let limit = AttemptFailure::Limit { name: "resolve_depth", value: 4 };
    assert_eq!(failures(&events[0]), [(limit, Duration::ZERO)]);
    assert!(swarm.is_clean());
}

#[test]
fn a_name_without_an_address_of_the_peer_is_reported() {
    let mut swarm = resolving(Limits { resolves: 2, ..Limits::default() });
    let names: Vec<_> = (0..4).map(|i| parse(&format!("/dnsaddr/{i}.x"))).collect();
    swarm.dial(ms(0), Some(peer(2)), &names);
    let ids: Vec<_> = swarm
        .actions()
        .into_iter()
        .map(|action| match action {
            Action::Resolve { resolve, .. } => resolve,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(ids.len(), 2, "so many at once");
    let other = addr(1).with_p2p(peer(3)).unwrap().to_string();
    swarm.handle_resolved(ms(10), ids[0], Ok(texts(&[&other])));
    assert_eq!(swarm.poll_timeout().map(|deadline| deadline.at), Some(ms(5000)));
    swarm.handle_timeout(ms(5000));
    let limit = AttemptFailure::Limit { name: "resolves", value: 2 };
    let resolve = AttemptFailure::Resolve;
    let millis = Duration::from_millis;
    assert_eq!(
        failures(&swarm.events()[0]),
        [
            (limit, millis(0)),
            (limit, millis(0)),
            (resolve(TransportError::NotFound), millis(10)),
            (resolve(TransportError::TimedOut), millis(5000)),
        ]
    );
    assert!(swarm.is_clean());
}

#[test]
fn an_ended_dial_asks_no_more() {
    let mut swarm = resolving(Limits::default());
    let dial = swarm.dial(ms(0), None, &[parse("/dnsaddr/a.x")]);
    let (resolve, _) = asked(&mut swarm);
    assert!(swarm.cancel(ms(7), dial));
    assert_eq!(failures(&swarm.events()[0]), [(AttemptFailure::Abandoned, Duration::from_millis(7))]);
    swarm.handle_resolved(ms(8), resolve, Ok(texts(&["/ip4/20.0.0.1/tcp/1"])));
    assert!(swarm.is_clean() && swarm.actions().is_empty() && swarm.events().is_empty());
}

#[test]
fn an_unnamed_dial_expects_whom_the_record_names() {
    let mut swarm = resolving(Limits::default());
    swarm.dial(ms(0), None, &[parse("/dnsaddr/a.x")]);
    let (resolve, _) = asked(&mut swarm);
    let record = addr(1).with_p2p(peer(3)).unwrap().to_string();
    swarm.handle_resolved(ms(1), resolve, Ok(texts(&[&record])));
    let conn = swarm.dialing()[0].0;
    assert_eq!(swarm.handle_ready(ms(2), conn, peer(4)), Err(Denied::WrongPeer { expected: peer(3) }));
}

#[test]
fn what_failed_rests_twice_as_long_each_time_until_it_works() {
    let mut swarm = swarm();
    let (mut at, mut rests) = (ms(0), Vec::new());
    for n in 1..=4 {
        swarm.dial(at, Some(peer(2)), &addrs([1]));
        assert_eq!(fail_all(&mut swarm, at), 1, "{n}");
        swarm.events();
        let dial = swarm.dial(at, Some(peer(2)), &addrs([1]));
        let (answered, DialError::BackOff { left }) = cause(&swarm.events()[0]) else { panic!() };
        assert_eq!((answered, swarm.dialing()), (dial, vec![]));
        // Another peer at the same address is another matter.
        let other = swarm.dial(at, Some(peer(3)), &addrs([1]));
        assert_eq!(swarm.dialing().len(), 1);
        assert!(swarm.cancel(at, other));
        swarm.actions();
        swarm.events();
        rests.push(left.as_millis() as f64);
        at = at + left.max(swarm.backoffs.left(at, &backoff::Resting::Address(Some(peer(2)), addr(1))).unwrap().0);
    }
    for (n, rest) in rests.iter().enumerate() {
        let plain = f64::from(1000 << n);
        assert!((0.75 * plain..=1.25 * plain).contains(rest), "{rests:?}");
    }
    swarm.dial(at, Some(peer(2)), &addrs([1]));
    let conn = swarm.dialing()[0].0;
    swarm.handle_ready(at, conn, peer(2)).unwrap();
    swarm.handle_closed(at, conn);
    swarm.events();
    swarm.dial(at, Some(peer(2)), &addrs([1]));
    assert_eq!(fail_all(&mut swarm, at), 1, "success is forgiveness");
    let left = swarm.backoffs.left(at, &backoff::Resting::Peer(peer(2))).unwrap();
    assert!(left.0 <= Duration::from_millis(1250) && left.1 == 1, "{left:?}");
}

#[test]
fn a_new_address_is_tried_while_the_others_rest() {
    let mut swarm = swarm();
    swarm.dial(ms(0), Some(peer(2)), &addrs([1, 2]));
    assert_eq!(fail_all(&mut swarm, ms(0)), 2);
    swarm.events();
    swarm.dial(ms(1), Some(peer(2)), &addrs([1, 2, 3]));
    assert_eq!(swarm.dialing().iter().map(|(_, address)| address.clone()).collect::<Vec<_>>(), addrs([3]));
    let conn = ConnId(swarm.conns.iter().next().unwrap().0);
    swarm.handle_dial_failed(ms(2), conn, REFUSED);
    let events = swarm.events();
    assert!(matches!(failures(&events[0])[0].0, AttemptFailure::BackOff { failures: 1, .. }), "{events:?}");
    swarm.forgive(Some(peer(2)), &addrs([1]));
    swarm.dial(ms(3), Some(peer(2)), &addrs([1, 2]));
    assert_eq!(fail_all(&mut swarm, ms(3)), 1, "the one that was forgiven");
}

#[test]
fn faults_of_ours_are_not_the_addresss() {
    let mut swarm = swarm();
    for cause in [TransportError::NoDescriptors, TransportError::PermissionDenied, TransportError::Unsupported] {
        swarm.dial(ms(0), Some(peer(2)), &addrs([1]));
        let conn = swarm.dialing()[0].0;
        swarm.handle_dial_failed(ms(0), conn, cause);
    }
    let dial = swarm.dial(ms(0), Some(peer(2)), &addrs([1]));
    assert!(swarm.cancel(ms(1), dial));
    swarm.dial(ms(1), Some(peer(2)), &addrs([1]));
    assert_eq!(swarm.backoffs.len(), 0);
}

#[test]
fn a_transport_that_nobody_answers_over_is_left_out_where_there_is_another() {
    let six = |i: u32| parse(&format!("/ip6/2600::{i:x}/tcp/1"));
    let mut swarm = swarm_with(Limits { backoff: Duration::ZERO, ..Limits::default() });
    for i in 0..100 {
        swarm.dial(ms(0), None, &[six(i)]);
        let conn = swarm.dialing()[0].0;
        swarm.handle_dial_failed(ms(0), conn, TransportError::TimedOut);
    }
    swarm.events();
    let dial = swarm.dial(ms(0), None, &[six(1), addr(1)]);
    assert_eq!(swarm.dialing().iter().map(|(_, address)| address.clone()).collect::<Vec<_>>(), addrs([1]));
    swarm.cancel(ms(1), dial);
    assert_eq!(failures(&swarm.events()[0])[0].0, AttemptFailure::BlackHole);
    swarm.actions();
    swarm.dial(ms(1), None, &[six(1)]);
    let conn = swarm.dialing()[0].0;
    swarm.handle_dialed(ms(2), conn);
    swarm.dial(ms(2), None, &[six(2), addr(2)]);
    assert_eq!(swarm.dialing()[0].1, six(2), "somebody has answered");
}

#[test]
fn what_no_host_can_have_is_neither_dialled_nor_advertised() {
    let mut swarm = swarm();
    let bad = ["/ip4/0.0.0.0/tcp/1", "/ip6/::/tcp/1", "/ip4/20.0.0.1/tcp/0", "/ip4/255.255.255.255/tcp/1"].map(parse);
    swarm.dial(ms(0), Some(peer(2)), &bad);
    let failed = failures(&swarm.events()[0]);
    assert_eq!(failed, vec![(AttemptFailure::Unroutable { reach: Reach::Unroutable }, Duration::ZERO); 4]);

    swarm.handle_listening(bad[0].clone());
    swarm.handle_listening(parse("/ip4/127.0.0.1/tcp/9"));
    assert_eq!(swarm.advertised().collect::<Vec<_>>(), [parse("/ip4/127.0.0.1/tcp/9")]);
    swarm.handle_interfaces(&["10.0.0.1", "fd00::1", "20.1.1.1"].map(|ip| ip.parse().unwrap()));
    let all = ["/ip4/10.0.0.1/tcp/1", "/ip4/20.1.1.1/tcp/1", "/ip4/127.0.0.1/tcp/9"].map(parse);
    assert_eq!(swarm.advertised().collect::<Vec<_>>(), all);
    swarm.handle_listening(parse("/ip6/::/tcp/2"));
    swarm.handle_interfaces(&["fe80::1", "::1", "ff02::1", "::"].map(|ip| ip.parse().unwrap()));
    let all = ["/ip4/127.0.0.1/tcp/9", "/ip6/::1/tcp/2"].map(parse);
    assert_eq!(swarm.advertised().collect::<Vec<_>>(), all, "link-local addresses mean nothing to others");

    swarm.events();
    swarm.dial(ms(0), Some(peer(3)), &[parse("/ip4/127.0.0.1/tcp/9")]);
    assert_eq!(failures(&swarm.events()[0])[0].0, AttemptFailure::Ourselves, "our own listener");
}

#[test]
fn private_addresses_are_dialled_from_private_networks_only() {
    let lan = parse("/ip4/192.168.0.9/tcp/1");
    for (interface, dialled) in [("20.1.1.1", false), ("10.0.0.1", true)] {
        let mut swarm = swarm();
        swarm.handle_interfaces(&[interface.parse().unwrap()]);
        swarm.dial(ms(0), Some(peer(2)), core::slice::from_ref(&lan));
        assert_eq!(swarm.dialing().len(), usize::from(dialled));
        let reported = AttemptFailure::Unroutable { reach: Reach::Private };
        assert_eq!(swarm.events().iter().any(|event| failures(event)[0].0 == reported), !dialled);
    }
}

#[test]
fn a_ranker_of_the_callers_takes_the_place_of_ours() {
    let mut swarm = swarm();
    let gap = Duration::from_millis(5);
    // The last first, the first one not at all, nonsense beside it.
    let last_first = move |prospects: &Prospects<'_>| {
        let indices = (1..prospects.addresses.len()).rev().chain([1, 99]);
        indices.map(|index| Start { index, gap }).collect()
    };
    swarm.set_ranker(Arc::new(last_first));
    let dial = swarm.dial(ms(0), Some(peer(2)), &addrs([1, 2, 3]));
    swarm.handle_timeout(ms(5));
    let order: Vec<_> = swarm.dialing().into_iter().map(|(_, address)| address).collect();
    assert_eq!(order, addrs([3, 2]));
    swarm.cancel(ms(6), dial);
    let events = swarm.events();
    let Event::DialFailed { attempts, .. } = &events[0] else { panic!() };
    assert_eq!((&attempts[0].address, attempts[0].failure), (&addr(1), AttemptFailure::LeftOut));
}

#[test]
fn private_and_public_addresses_begin_together_on_a_private_network() {
    let mut swarm = swarm();
    swarm.handle_interfaces(&["10.0.0.1".parse().unwrap()]);
    let lan = ["/ip4/10.0.0.2/tcp/1", "/ip4/10.0.0.3/tcp/1"].map(parse);
    swarm.dial(ms(0), Some(peer(2)), &[addr(1), lan[0].clone(), addr(2), lan[1].clone()]);
    assert_eq!(swarm.dialing().len(), 2, "one of each at once");
    assert_eq!(swarm.poll_timeout().map(|deadline| deadline.at), Some(ms(30)));
}

#[test]
fn a_protected_peer_without_an_address_is_one_without_an_address() {
    let mut swarm = swarm();
    swarm.protect(peer(2), true).unwrap();
    let dial = swarm.dial(ms(0), Some(peer(2)), &[]);
    assert_eq!(cause(&swarm.events()[0]), (dial, DialError::NoAddresses));
}

#[test]
fn a_driver_that_cannot_ask_is_no_fault_of_the_name() {
    let mut swarm = resolving(Limits::default());
    for _ in 0..2 {
        swarm.dial(ms(0), Some(peer(2)), &[parse("/dnsaddr/a.x")]);
        let (resolve, _) = asked(&mut swarm);
        swarm.handle_resolved(ms(0), resolve, Err(TransportError::Unsupported));
        assert_eq!(failures(&swarm.events()[0])[0].0, AttemptFailure::Resolve(TransportError::Unsupported));
    }
}

#[test]
fn one_seed_gives_one_jitter() {
    let run = |seed| {
        let mut swarm = Swarm::seeded(peer(US), Limits::default(), seed);
        swarm.add_transport(Transport::tcp());
        swarm.dial(ms(0), Some(peer(2)), &addrs([1]));
        fail_all(&mut swarm, ms(0));
        swarm.backoffs.left(ms(0), &backoff::Resting::Peer(peer(2)))
    };
    assert_eq!(run(7), run(7));
    assert_ne!(run(7), run(8));
}
