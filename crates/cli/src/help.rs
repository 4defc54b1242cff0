//! The help texts.

use crate::args::Verb;

pub(crate) fn text(verb: Option<Verb>) -> &'static str {
    match verb {
        None => COMMAND,
        Some(Verb::Demo) => DEMO,
        Some(Verb::Listen) => LISTEN,
        Some(Verb::Ping) => PING,
        Some(Verb::Echo) => ECHO,
        Some(Verb::Perf) => PERF,
        Some(Verb::Identify) => IDENTIFY,
        Some(Verb::Explain) => EXPLAIN,
        Some(Verb::Crowd) => CROWD,
        Some(Verb::Interop) => INTEROP,
        Some(Verb::Keygen) => KEYGEN,
        Some(Verb::Sim) => SIM,
    }
}

const COMMAND: &str = "\
sanswarm: a libp2p node on the command line

usage: sanswarm <verb> [multiaddr] [options]

  demo                 a listener and a dialer in one process: what each step costs
  listen [MULTIADDR]   serve ping, identify and /echo/1.0.0 until killed
  ping MULTIADDR       round-trip times to a peer
  echo MULTIADDR       send bytes, get them back, verify their digest
  perf MULTIADDR       how many bytes a second go up, and down
  identify MULTIADDR   what a peer says of itself
  explain MULTIADDR    everything that is said on a connection, decrypted, by layer
  crowd MULTIADDR      many connections at once, each of a peer of its own: what a listener takes
  interop              one end of a test of libp2p's interop suites, as their containers run it
  keygen               make an identity
  sim                  a network of real nodes in one process, under a seed and with faults

A MULTIADDR to dial ends in the peer's id: /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW...
Several are addresses of one peer, of which one ends in its id: the first that works is used.

options of every verb:
  --json               one JSON object a line on stdout
  --log LEVEL          say on stderr what the node does within: error, warn, info, debug or trace (default: nothing)
  -h, --help           the text for the verb
  -V, --version        the version

Data goes to stdout, diagnostics to stderr.
Exit status: 0 done, 1 failed, 2 not supported or wrong usage.

example:
  sanswarm demo";

/// Options that all verbs with a connection have.
macro_rules! common {
    () => {
        "\
  --security LIST      noise, tls, plaintext (no security at all); a comma list offers them in its order (default noise)
  --muxer LIST         yamux, mplex; offered in the order given (default: yamux)
  --transport LIST     tcp, ws, wss: what to listen on, where no address says it; of a list the first
  --tls-roots FILE     the certificates trusted below /wss, in PEM or DER (default: those of the web)
  --tls-certificate FILE, --tls-key FILE
                       what to listen with on /wss, in PEM or DER
  --key FILE           the identity; made, readable by its owner only, if FILE is missing
                       (default: a new one each time)
  --json               one JSON object a line on stdout
  -v, --verbose        say on stderr what happens
  --log LEVEL          the same in detail: error, warn, info, debug or trace
  -h, --help           this text"
    };
}

const DEMO: &str = concat!(
    "\
sanswarm demo: a listener and a dialer in one process, over TCP on 127.0.0.1

usage: sanswarm demo [options]

Connects, secures, muxes, opens streams, echoes; verifies a SHA-256 digest; prints what each step took in time, round
trips and bytes, then the throughput.

  --bytes N            bytes on all streams together, each way (default 64M; K, M, G are powers of 1024)
  --streams K          streams at once (default 4)
  --half-close WHEN    early: end our side behind the last byte (default); late: once everything has come back
  --port N             the listener's port (default 0: any)
  --timeout S          give up after S seconds (default 60)
",
    common!(),
    "

JSON: one object a step (step, name, at_ms, took_ms, round_trips, bytes_out, bytes_in), then
  {\"ok\":true,\"total_bytes\":N,\"streams\":K,\"sha256\":\"...\",\"seconds\":S,\"mib_per_second\":R}

example:
  sanswarm demo --bytes 256M --streams 16"
);

const LISTEN: &str = concat!(
    "\
sanswarm listen: serve peers until killed

usage: sanswarm listen [MULTIADDR] [options]

Serves /ipfs/ping/1.0.0, /ipfs/id/1.0.0, /ipfs/id/push/1.0.0 and /echo/1.0.0. Prints one address to dial a line.
SIGINT and SIGTERM end it in good order, with status 0.

  MULTIADDR            where (default /ip4/127.0.0.1/tcp/<port>); of /ip4/0.0.0.0 and /ip6/:: the address of each
                       interface is printed
  --port N             the port, where no MULTIADDR is given (default 0: any)
  --timeout S          how long a peer's handshake may take, in seconds (default 15)
  --max-connections N  connections at once (default 1000, of which from 900 on those idle for longest are closed); ends
                       at once if the system does not allow as many descriptors
  --perf               serve /perf/1.0.0 too: whoever asks is sent as many bytes as it likes
  --metrics ADDR       serve the node's counters over HTTP at ADDR (127.0.0.1:9100, say; port 0: any) for Prometheus,
                       and print their URL behind the addresses
",
    common!(),
    "

JSON: {\"address\":\"/ip4/.../p2p/...\"} for each address, {\"metrics\":\"http://.../metrics\"} behind them; with -v
  further objects with an \"event\".

example:
  sanswarm listen /ip4/127.0.0.1/tcp/4001 --key node.key"
);

const PING: &str = concat!(
    "\
sanswarm ping: round-trip times to a peer

usage: sanswarm ping MULTIADDR... [options]

  --count N            how many (default 4), one a second
  --timeout S          give up connecting, or waiting for a reply, after S seconds (default 30)
",
    common!(),
    "

JSON: {\"event\":\"connected\",...}, {\"event\":\"pong\",\"seq\":1,\"ms\":0.2} each, then
  {\"ok\":true,\"peer\":\"...\",\"count\":4,\"min_ms\":...,\"avg_ms\":...,\"max_ms\":...}

example:
  sanswarm ping /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW... --count 10"
);

const ECHO: &str = concat!(
    "\
sanswarm echo: send bytes over /echo/1.0.0, get them back, verify them

usage: sanswarm echo MULTIADDR... [options]

Memory does not grow with the number of bytes: they are made as they are sent, and hashed both ways.

  --bytes N            on each stream (default 1M; K, M, G are powers of 1024)
  --streams K          streams at once, 1 to 1000 (default 1)
  --half-close WHEN    early: end our side behind the last byte (default); late: once everything has come back,
                       and do not wait for the peer's end
  --timeout S          give up after S seconds in all (default 30)
",
    common!(),
    "

The digest is the SHA-256 of the stream; of several streams, the SHA-256 of their digests in order.

JSON: {\"event\":\"connected\",...}, then
  {\"ok\":true,\"peer\":\"...\",\"total_bytes\":N,\"streams\":K,\"sha256\":\"...\",\"seconds\":S,\"mib_per_second\":R}

example:
  sanswarm echo /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW... --bytes 64M --streams 4"
);

const PERF: &str = concat!(
    "\
sanswarm perf: how many bytes a second go up to a peer, and down from it, over /perf/1.0.0

usage: sanswarm perf MULTIADDR... [options]

Uploads, waits until the peer has everything, then downloads: each over streams of its own, all at once, and each timed
from the first byte of its requests to the end of the last answer. The peer has to serve it (sanswarm listen --perf).

  --upload BYTES       on each stream (K, M, G are powers of 1024)
  --download BYTES     the same. Of the two only what is given is measured; if neither is, both
  --bytes N            of both, where neither is given (default 64M)
  --seconds T          end each direction after T seconds, if its bytes have not ended before; without bytes, measure
                       what goes in that time
  --streams N          streams at once, 1 to 1000 (default 1)
  --timeout S          give up after S seconds in all (default 60, and T for each direction)
",
    common!(),
    "

JSON: {\"event\":\"connected\",...}, for each direction
  {\"event\":\"upload\",\"bytes\":N,\"streams\":N,\"seconds\":S,\"mib_per_second\":R}, then
  {\"ok\":true,\"peer\":\"...\",\"security\":\"/noise\",\"muxer\":\"/yamux/1.0.0\",\"uploaded\":N,\"upload_mib_per_second\":R,
  \"downloaded\":N,\"download_mib_per_second\":R}, where what was not measured is null

example:
  sanswarm perf /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW... --seconds 5 --streams 4"
);

const IDENTIFY: &str = concat!(
    "\
sanswarm identify: what a peer says of itself

usage: sanswarm identify MULTIADDR... [options]

  --timeout S          give up after S seconds (default 30)
",
    common!(),
    "

JSON: {\"ok\":true,\"peer\":\"...\",\"agent\":\"...\",\"protocol_version\":\"...\",\"observed\":\"...\",\"addresses\":[...],
  \"protocols\":[...],\"security\":\"/noise\",\"muxer\":\"/yamux/1.0.0\"}

example:
  sanswarm identify /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW..."
);

const EXPLAIN: &str = concat!(
    "\
sanswarm explain: everything that is said on a connection, decrypted, by layer

usage: sanswarm explain MULTIADDR [options]

Dials, asks who the peer is, and pings it once. Each line is a message or a frame: when, after how many round trips, who
(-> we, <- the peer), its layer, the stream's number, its bytes, what it says. There is no payload and no secret in it: it
is fit for a bug report. On failure: the stage, the cause, what we offered and what the peer has.
The peer id at the end of the MULTIADDR may be missing: then whoever answers will do.

  --timeout S          give up after S seconds (default 30)
",
    common!(),
    "

JSON: {\"event\":\"dial\",\"address\":\"...\",\"us\":\"...\",\"security\":[...],\"muxers\":[...]}
  {\"event\":\"said\",\"at_ms\":0.1,\"round_trips\":0,\"direction\":\"out\",\"layer\":\"security\",\"stream\":null,\"what\":\"header\",
  \"text\":\"header\",\"bytes\":20}
  {\"ok\":true,\"peer\":\"...\",\"security\":\"/noise\",\"muxer\":\"/yamux/1.0.0\",\"agent\":\"...\",\"protocols\":[...],\"ping_ms\":0.3,
  \"ready_ms\":0.9,\"ready_round_trips\":1,\"round_trips\":3,\"bytes_out\":500,\"bytes_in\":600}
  {\"ok\":false,\"code\":\"...\",\"error\":\"...\",\"stage\":\"muxer\",\"offered\":[...],\"remote\":[...],\"attempts\":[]}

example:
  sanswarm explain /ip4/127.0.0.1/tcp/4001"
);

const CROWD: &str = concat!(
    "\
sanswarm crowd: many connections to a listener at once, each of a peer of its own

usage: sanswarm crowd MULTIADDR... [options]

Connects one after another, stays, and leaves. One of the peers pings the listener ten times a second meanwhile. Tells
how many came and how many failed, by stage and cause, how long it took, what pings took, and its own memory. Fails if
not all came and stayed. Ends at once if the system does not allow as many descriptors.

  --connections N      how many (default 1000); the listener has to allow as many: sanswarm listen --max-connections N
  --rate R             how many are begun a second, at most (default 500); 64 handshakes are under way at once at most
  --seconds T          how long they stay once all have come (default 10)
  --timeout S          how long each handshake may take, in seconds (default 15)
",
    common!(),
    "

JSON: {\"event\":\"limit\",\"descriptors\":N}, {\"event\":\"failed\",\"stage\":\"...\",\"code\":\"...\",\"count\":N} each,
  {\"event\":\"established\",\"connections\":N,\"failed\":N,\"seconds\":S,\"connect_p50_ms\":...,\"ping_p50_ms\":...}, then
  {\"ok\":true,\"connections\":N,\"lost\":N,\"ping_p50_ms\":...,\"ping_p99_ms\":...,\"resident_bytes\":N,\"bytes_each\":N}

example:
  sanswarm crowd /ip4/127.0.0.1/tcp/4001/p2p/12D3KooW... --connections 10000"
);

const INTEROP: &str = "\
sanswarm interop: one end of a test of libp2p's interop suites, as their containers run it

usage: sanswarm interop [options]

What to do is in the environment: in upper case for libp2p/unified-testing, in lower case for libp2p/test-plans.

  IS_DIALER          is_dialer             true or false
  TRANSPORT          transport             tcp or ws
  SECURE_CHANNEL     security              noise or tls
  MUXER              muxer                 yamux or mplex
  REDIS_ADDR         redis_addr            host and port; in lower case redis:6379 if it is not set
  TEST_KEY                                 the key's name is <TEST_KEY>_listener_multiaddr, in lower case listenerAddr
  LISTENER_IP        ip                    what to listen on (default 0.0.0.0)
  TEST_TIMEOUT_SECS  test_timeout_seconds  give up after so many seconds (default 180)
  DEBUG                                    true says on stderr what happens

The listener pushes its address (RPUSH) and is killed when the test is over. The dialer pops it (BLPOP), connects, pings
once, and prints how many milliseconds both took together, and the ping alone, in the form that the suite reads.

  --key FILE           the identity (default: a new one each time)
  --json               a failure as a JSON object on stdout too
  -v, --verbose        say on stderr what happens
  -h, --help           this text

example:
  sanswarm interop   # with the variables of a test in its environment";

const KEYGEN: &str = "\
sanswarm keygen: make an identity (Ed25519)

usage: sanswarm keygen [--key FILE] [options]

Prints the peer id, and without a FILE the private key in base64 behind it.

  --key FILE           where to keep it, readable by its owner only; a FILE that is there is left as it is
  --json               one JSON object on stdout
  -h, --help           this text

The file, and what the base64 says, is the private key in libp2p's protobuf encoding, as other libp2p's write it.

JSON: {\"ok\":true,\"peer\":\"...\",\"made\":true,\"file\":\"node.key\"}, or with \"private_key\":\"<base64>\" for \"file\"

example:
  sanswarm keygen --key node.key";

const SIM: &str = "\
sanswarm sim: a network of real nodes in one process: one seed, virtual time, every fault

usage: sanswarm sim [options]

Same options and same seed: same run, byte by byte, and the same digest. Checkers look at every event; a run that
breaks a law fails, is cut down to a smaller one, and the command that repeats it is printed.

  --scenario NAME      mixed (default), calm, soak, hostile, storm, visits
  --seed S             default 1
  --seeds N            run N seeds from S on, and close with 'N passed, N failed'
  --fail-fast          of N seeds, run none after the first that fails
  --threads K          on so many threads, one seed on each (default: as many as there are processors)
  --nodes N            hosts, 2 to 100000
  --degree D           connections of each host
  --for SECONDS        how long traffic and faults last, in virtual time
  --faults N           how many faults there are
  --only LIST          of these only the ones with these numbers, or none
  --latency MS         one way, between any two hosts
  --loss PERCENT       segments that are lost and sent again
  --html FILE          write a page that shows the run
  --trace              tell everything that happens on stderr
  --json               one JSON object a line on stdout
  -h, --help           this text

JSON: one object a run: {\"ok\":true,\"scenario\":\"mixed\",\"seed\":1,\"nodes\":100,\"connections\":N,\"streams\":N,
  \"bytes\":N,\"wire_bytes\":N,\"pings\":N,\"faults\":N,\"failed_requests\":N,\"virtual_seconds\":S,\"real_seconds\":S,
  \"events\":N,\"events_per_second\":N,\"digest\":\"...\",\"peak_bytes_per_node\":N,\"violation\":null,\"repeat\":null}

example:
  sanswarm sim --nodes 1000 --seed 7 --html run.html";
