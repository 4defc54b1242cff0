//! What the suites' containers meet over: a list in Redis, one end of which pushes and the other pops.
//!
//! Two commands of its protocol, RESP 2 (<https://redis.io/docs/latest/develop/reference/protocol-spec/>): the client
//! libraries bring forty crates and more for them.

use core::{fmt, net::IpAddr, time::Duration};
use std::io;

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpStream, lookup_host},
    time::{Instant, sleep},
};

/// The longest line, and the longest value: addresses are far shorter.
const MAX: usize = 4096;

/// Until Redis is asked again whether it is there.
const AGAIN: Duration = Duration::from_millis(100);

/// A connection to Redis.
#[derive(Debug)]
pub(super) struct Redis {
    socket: BufReader<TcpStream>,
    local_ip: IpAddr,
}

/// What went wrong with Redis.
#[derive(Debug)]
pub(crate) enum RedisError {
    /// It was not to be reached, however often that was tried.
    Connect { address: String, cause: io::Error },
    /// The connection broke.
    Io(io::Error),
    /// It says that something is wrong.
    Refused(String),
    /// It said something that is no answer to what was asked.
    Malformed(String),
    /// Nobody pushed anything.
    Empty { key: String, after: Duration },
}

impl fmt::Display for RedisError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { address, cause } => write!(f, "{address}: {cause}"),
            Self::Io(cause) => cause.fmt(f),
            Self::Refused(text) => write!(f, "it refuses: {text}"),
            Self::Malformed(text) => write!(f, "'{text}' is no answer of Redis"),
            Self::Empty { key, after } => write!(f, "nothing came under {key} within {after:?}"),
        }
    }
}

impl From<io::Error> for RedisError {
    fn from(cause: io::Error) -> Self {
        Self::Io(cause)
    }
}

impl Redis {
    /// Connects, and tries again until the time is up: its container may have been started just now. An address of the
    /// family of `ip` is tried first, since it tells a listener its own.
    pub(super) async fn connect(address: &str, ip: IpAddr, until: Instant) -> Result<Self, RedisError> {
        loop {
            let cause = match connect(address, ip).await {
                Ok(socket) => {
                    let local_ip = socket.local_addr()?.ip();
                    return Ok(Self { socket: BufReader::new(socket), local_ip });
                }
                Err(cause) => cause,
            };
            if Instant::now() + AGAIN >= until {
                return Err(RedisError::Connect { address: address.to_owned(), cause });
            }
            sleep(AGAIN).await;
        }
    }

    /// Our address on the network that Redis is on.
    pub(super) fn local_ip(&self) -> IpAddr {
        self.local_ip
    }

    /// Adds a value to the end of a list.
    pub(super) async fn push(&mut self, key: &str, value: &str) -> Result<(), RedisError> {
        self.send(&["RPUSH", key, value]).await?;
        let line = self.line().await?;
        match line.strip_prefix(':') {
            Some(_) => Ok(()),
            None => Err(unexpected(line)),
        }
    }

    /// Takes the first value of a list, and waits for one for as many whole seconds as there are until then.
    pub(super) async fn pop(&mut self, key: &str, until: Instant) -> Result<String, RedisError> {
        let seconds = until.saturating_duration_since(Instant::now()).as_secs().max(1); // 0 is for ever
        self.send(&["BLPOP", key, &seconds.to_string()]).await?;
        match &*self.line().await? {
            "*2" => {
                self.bulk().await?;
                self.bulk().await
            }
            "*-1" => Err(RedisError::Empty { key: key.to_owned(), after: Duration::from_secs(seconds) }),
            line => Err(unexpected(line.to_owned())),
        }
    }

    async fn send(&mut self, words: &[&str]) -> Result<(), RedisError> {
        let words = words.iter().map(|word| format!("${}\r\n{word}\r\n", word.len()));
        let command: String = core::iter::once(format!("*{}\r\n", words.len())).chain(words).collect();
        Ok(self.socket.write_all(command.as_bytes()).await?)
    }

    /// A line without its end.
    async fn line(&mut self) -> Result<String, RedisError> {
        let mut line = Vec::new();
        (&mut self.socket).take(MAX as u64).read_until(b'\n', &mut line).await?;
        let text = String::from_utf8_lossy(&line);
        match text.strip_suffix("\r\n") {
            Some(text) => Ok(text.to_owned()),
            None if text.is_empty() => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
            None => Err(RedisError::Malformed(text.trim_end().to_owned())),
        }
    }

    /// A string with its length in front.
    async fn bulk(&mut self) -> Result<String, RedisError> {
        let line = self.line().await?;
        let length =
            line.strip_prefix('$').and_then(|digits| digits.parse().ok()).filter(|length: &usize| *length <= MAX);
        let Some(length) = length else { return Err(unexpected(line)) };
        let mut bytes = vec![0; length + 2];
        self.socket.read_exact(&mut bytes).await?;
        match String::from_utf8_lossy(&bytes).strip_suffix("\r\n") {
            Some(text) => Ok(text.to_owned()),
            None => Err(RedisError::Malformed(String::from_utf8_lossy(&bytes).into_owned())),
        }
    }
}

async fn connect(address: &str, ip: IpAddr) -> io::Result<TcpStream> {
    let mut found: Vec<_> = lookup_host(address).await?.collect();
    found.sort_by_key(|socket| socket.is_ipv4() != ip.is_ipv4());
    TcpStream::connect(&*found).await
}

fn unexpected(line: String) -> RedisError {
    match line.strip_prefix('-') {
        Some(text) => RedisError::Refused(text.to_owned()),
        None => RedisError::Malformed(line),
    }
}

#[cfg(test)]
mod tests {
    use core::net::Ipv4Addr;
    use std::net::TcpListener;

    use super::*;

    /// What becomes of a push and of a pop where Redis answers like this.
    async fn answered(answer: &'static [u8]) -> [Result<String, RedisError>; 2] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let server = std::thread::Builder::new().spawn(move || {
            for _ in 0..2 {
                let (mut socket, _) = listener.accept().unwrap();
                let mut command = [0; 512];
                let n = io::Read::read(&mut socket, &mut command).unwrap();
                assert!(command[..n].starts_with(b"*3\r\n$5\r\n"), "{:?}", &command[..n]);
                io::Write::write_all(&mut socket, answer).unwrap();
            }
        });
        let until = Instant::now() + Duration::from_secs(5);
        let ip = Ipv4Addr::UNSPECIFIED.into();
        let mut redis = Redis::connect(&address, ip, until).await.unwrap();
        assert_eq!(redis.local_ip(), Ipv4Addr::LOCALHOST);
        let pushed = redis.push("key", "value").await.map(|()| String::new());
        let mut redis = Redis::connect(&address, ip, until).await.unwrap();
        let popped = redis.pop("key", until).await;
        server.unwrap().join().unwrap();
        [pushed, popped]
    }

    fn text(result: &Result<String, RedisError>) -> String {
        match result {
            Ok(value) => value.clone(),
            Err(error) => error.to_string(),
        }
    }

    #[tokio::test]
    async fn reads_what_redis_answers() {
        let [pushed, popped] = answered(b":1\r\n").await;
        assert_eq!((text(&pushed).as_str(), text(&popped).as_str()), ("", "':1' is no answer of Redis"));
        let [pushed, popped] = answered(b"*2\r\n$3\r\nkey\r\n$7\r\n/ip4/\r\n\r\n").await;
        assert_eq!((text(&pushed).as_str(), text(&popped).as_str()), ("'*2' is no answer of Redis", "/ip4/\r\n"));
        let [_, popped] = answered(b"*-1\r\n").await;
        assert!(matches!(&popped, Err(RedisError::Empty { .. })), "{popped:?}");
        for result in answered(b"-WRONGTYPE that is no list\r\n").await {
            assert_eq!(text(&result), "it refuses: WRONGTYPE that is no list");
        }
    }

    #[tokio::test]
    async fn what_is_no_answer_is_an_error() {
        let long = [b'x'; 2 * MAX].as_slice();
        let answers = [
            &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
            b"*2\r\n$5000\r\n",
            b"*2\r\n$-1\r\n",
            b"*2\r\n$3\r\nkey__",
            b"*2\r\n$3\r\nkeys\r\n",
            b"*3\r\n",
            b"\r\n",
            b"",
        ];
        for answer in answers.into_iter().chain([Box::leak(long.to_vec().into_boxed_slice()) as &[u8]]) {
            for result in answered(answer).await {
                assert!(matches!(&result, Err(RedisError::Malformed(_) | RedisError::Io(_))), "{result:?}");
            }
        }
    }
}
