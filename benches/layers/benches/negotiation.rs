//! One whole negotiation, both ends in memory, on one thread: ours beside the registry's `multistream-select`.
//!
//! Each iteration makes both ends and their buffers, negotiates to the agreement of both, and drops them.

use std::{hint::black_box, sync::Arc, time::Duration};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use futures::{executor::block_on, future::join};
use multistream_select::{Version, dialer_select_proto, listener_select_proto};
use sanswarm_benches_layers::Duplex;
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::{Greeting, Mode, Names, Negotiator, Outcome};
use sanswarm_wire::SendBuf;

/// What the dialer offers and the listener knows.
struct Case {
    label: &'static str,
    offered: Vec<String>,
    known: Vec<String>,
}

fn names(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|i| format!("/bench/protocol-{i:04}/1.0.0")).collect()
}

/// The first proposal is in the middle of what the listener knows; refused names are not known at all.
fn cases() -> Vec<Case> {
    let first = |label, known: usize| Case { label, offered: names(known / 2..known / 2 + 1), known: names(0..known) };
    vec![
        first("first of 1 known", 1),
        first("first of 8 known", 8),
        first("first of 1000 known", 1000),
        Case { label: "third of 3 offered", offered: names(0..3), known: names(2..3) },
        Case { label: "last of 20 offered", offered: names(0..20), known: names(19..20) },
    ]
}

fn ours(offered: &Arc<[ProtocolName]>, known: &Arc<Names>, mode: Mode) -> Outcome {
    let mut dialer = Negotiator::dialer(offered.clone(), mode);
    let mut listener = Negotiator::listener(known.clone(), Greeting::WithReply);
    let (mut there, mut back) = (SendBuf::default(), SendBuf::default());
    loop {
        dialer.poll_transmit(&mut there);
        let (used, _) = listener.handle_input(there.ready()).expect("no fault");
        there.sent(used);
        listener.poll_transmit(&mut back);
        let (used, outcome) = dialer.handle_input(back.ready()).expect("no fault");
        back.sent(used);
        if let Some(outcome) = outcome {
            return outcome;
        }
    }
}

fn theirs(offered: &[String], known: &[String], version: Version) -> usize {
    let (near, far) = Duplex::pair();
    let dialer = async {
        let (name, stream) = dialer_select_proto(near, offered.iter(), version).await.expect("agreed");
        // A lazy dialer has heard nothing yet; only this makes it an agreement.
        stream.complete().await.expect("agreed");
        name
    };
    let listener = async { listener_select_proto(far, known.iter()).await.expect("agreed") };
    let (name, (_, _stream)) = block_on(join(dialer, listener));
    name.len()
}

fn negotiation(c: &mut Criterion) {
    let mut group = c.benchmark_group("negotiation");
    group.warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2));
    for Case { label, offered, known } in cases() {
        let name = |text: &String| ProtocolName::try_from(text.as_str()).expect("a name");
        let our_offer: Arc<[ProtocolName]> = offered.iter().map(name).collect();
        let our_names = Arc::new(known.iter().map(name).collect::<Names>());
        assert!(matches!(ours(&our_offer, &our_names, Mode::Wait), Outcome::Agreed(_)));
        // With several names both stacks wait, so lazy says nothing new.
        for (text, mode, version) in [("wait", Mode::Wait, Version::V1), ("lazy", Mode::Lazy, Version::V1Lazy)] {
            if offered.len() > 1 && mode == Mode::Lazy {
                continue;
            }
            group.bench_function(BenchmarkId::new(format!("sanswarm/{text}"), label), |b| {
                b.iter(|| ours(black_box(&our_offer), &our_names, mode));
            });
            group.bench_function(BenchmarkId::new(format!("multistream-select/{text}"), label), |b| {
                b.iter(|| theirs(black_box(&offered), &known, version));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, negotiation);
criterion_main!(benches);
