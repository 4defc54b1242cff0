//! A name server of the tests' own, on 127.0.0.1.

use core::net::{IpAddr, SocketAddr};
use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    sync::{Arc, Mutex},
    thread,
};

pub(crate) const A: u16 = 1;
pub(crate) const TXT: u16 = 16;
pub(crate) const AAAA: u16 = 28;

/// What is said about a name and a type.
#[derive(Clone, Debug)]
pub(crate) enum Say {
    Ips(Vec<IpAddr>),
    Texts(Vec<String>),
    /// By UDP only that there is more than fits in.
    TooLong(Vec<String>),
    /// The server is in trouble.
    Failure,
    Nothing,
}

type Zone = BTreeMap<(String, u16), Say>;

/// Unknown names do not exist; known ones have nothing of other types. Its threads end with the tests.
pub(crate) struct DnsServer {
    pub(crate) at: SocketAddr,
    asked: Arc<Mutex<Vec<(String, u16)>>>,
}

impl DnsServer {
    pub(crate) fn start(zone: impl IntoIterator<Item = (&'static str, u16, Say)>) -> Self {
        let zone: Zone = zone.into_iter().map(|(name, kind, say)| ((name.to_owned(), kind), say)).collect();
        let (zone, asked) = (Arc::new(zone), Arc::<Mutex<Vec<_>>>::default());
        let (udp, tcp) = loop {
            let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
            if let Ok(tcp) = TcpListener::bind(udp.local_addr().unwrap()) {
                break (udp, tcp);
            }
        };
        let at = udp.local_addr().unwrap();
        let (by_udp, by_tcp, told) = (zone.clone(), zone, asked.clone());
        spawn(move || serve_udp(&udp, &by_udp, &told));
        spawn(move || {
            while let Ok((socket, _)) = tcp.accept() {
                let zone = by_tcp.clone();
                spawn(move || serve_tcp(socket, &zone));
            }
        });
        Self { at, asked }
    }

    /// The names that were asked for by UDP, each once, with their types.
    pub(crate) fn asked(&self) -> Vec<(String, u16)> {
        let mut asked = self.asked.lock().unwrap().clone();
        asked.sort();
        asked.dedup();
        asked
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) {
    thread::Builder::new().spawn(run).unwrap();
}

fn serve_udp(socket: &UdpSocket, zone: &Zone, asked: &Mutex<Vec<(String, u16)>>) {
    let mut block = [0; 1500];
    while let Ok((n, from)) = socket.recv_from(&mut block) {
        let (name, kind, end) = question(&block[..n]);
        asked.lock().unwrap().push((name.clone(), kind));
        if let Some(answer) = answer(zone, &block[..end], &name, kind, true) {
            socket.send_to(&answer, from).unwrap();
        }
    }
}

/// Messages behind their length, as TCP has it.
fn serve_tcp(mut socket: TcpStream, zone: &Zone) {
    let mut len = [0; 2];
    while socket.read_exact(&mut len).is_ok() {
        let mut block = vec![0; usize::from(u16::from_be_bytes(len))];
        socket.read_exact(&mut block).unwrap();
        let (name, kind, end) = question(&block);
        let Some(answer) = answer(zone, &block[..end], &name, kind, false) else { return };
        socket.write_all(&[&u16::try_from(answer.len()).unwrap().to_be_bytes()[..], &answer].concat()).unwrap();
    }
}

/// Name, type, and where the question ends.
fn question(message: &[u8]) -> (String, u16, usize) {
    let (mut at, mut labels) = (12, Vec::new());
    while message[at] > 0 {
        let end = at + 1 + usize::from(message[at]);
        labels.push(String::from_utf8(message[at + 1..end].to_ascii_lowercase()).unwrap());
        at = end;
    }
    (labels.join("."), u16::from_be_bytes([message[at + 1], message[at + 2]]), at + 5)
}

fn answer(zone: &Zone, asked: &[u8], name: &str, kind: u16, udp: bool) -> Option<Vec<u8>> {
    const NO_SUCH_NAME: u16 = 3;
    let texts = |texts: &[String]| texts.iter().map(|text| txt(text)).collect::<Vec<_>>();
    let (code, cut, records) = match zone.get(&(name.to_owned(), kind)) {
        Some(Say::Nothing) => return None,
        Some(Say::Failure) => (2, false, Vec::new()),
        Some(Say::Ips(ips)) => (0, false, ips.iter().map(|ip| octets(*ip)).collect()),
        Some(Say::Texts(all)) => (0, false, texts(all)),
        Some(Say::TooLong(_)) if udp => (0, true, Vec::new()),
        Some(Say::TooLong(all)) => (0, false, texts(all)),
        None => (if zone.keys().any(|(known, _)| known == name) { 0 } else { NO_SUCH_NAME }, false, Vec::new()),
    };
    let flags = 0x8180 | u16::from(cut) << 9 | code;
    let mut out = asked[..2].to_vec();
    for number in [flags, 1, u16::try_from(records.len()).unwrap(), 0, 0] {
        out.extend(number.to_be_bytes());
    }
    out.extend(&asked[12..]);
    for data in records {
        out.extend([0xc0, 12]); // the name asked for
        out.extend(kind.to_be_bytes());
        out.extend([0, 1, 0, 0, 0, 60]); // class, seconds
        out.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
        out.extend(data);
    }
    Some(out)
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    }
}

/// A record of two strings, which belong together.
fn txt(text: &str) -> Vec<u8> {
    let (one, two) = text.as_bytes().split_at(text.len() / 2);
    let string = |part: &[u8]| [&[u8::try_from(part.len()).unwrap()], part].concat();
    [string(one), string(two)].concat()
}
