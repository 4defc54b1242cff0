//! Names in addresses: asked of name servers by hickory, or of the system, which has hosts only.

use core::time::Duration;
use std::sync::Arc;

use sanswarm::{Answer, Question, TransportError};
use sanswarm_host::{NameServers, QUESTIONS_MAX};

use crate::threads::{Kind, Threads};

/// Takes an answer.
pub(crate) type Tell = Box<dyn FnOnce(Result<Answer, TransportError>) + Send>;

pub(crate) use imp::Resolver;

/// One thread for all questions, from the first one on.
#[cfg(feature = "dns")]
mod imp {
    use sanswarm::Instant;
    use sanswarm_host::Dns;
    use tokio::{
        sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        task::JoinSet,
    };

    use super::*;
    use crate::clock::Clock;

    pub(crate) struct Resolver {
        threads: Arc<Threads>,
        servers: NameServers,
        time: Duration,
        asks: Option<UnboundedSender<(Question, Tell)>>,
    }

    impl Resolver {
        pub(crate) fn new(threads: Arc<Threads>, servers: NameServers, time: Duration) -> Self {
            Self { threads, servers, time, asks: None }
        }

        /// Asks. The answer may come before this returns.
        pub(crate) fn ask(&mut self, question: Question, tell: Tell) {
            if self.asks.is_none() {
                self.asks = self.start();
            }
            let unsent = match &self.asks {
                Some(asks) => asks.send((question, tell)).err().map(|error| error.0.1),
                None => Some(tell),
            };
            if let Some(tell) = unsent {
                self.asks = None;
                tell(Err(TransportError::NameService));
            }
        }

        /// It ends when we do.
        fn start(&self) -> Option<UnboundedSender<(Question, Tell)>> {
            let (asks, asked) = unbounded_channel();
            let (servers, time) = (self.servers.clone(), self.time);
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
            let run = move || runtime.block_on(serve(Dns::new(servers, time), asked));
            self.threads.spawn(Kind::Ours, "sanswarm-names", usize::MAX, run).ok()?;
            Some(asks)
        }
    }

    async fn serve(mut dns: Dns, mut asked: UnboundedReceiver<(Question, Tell)>) {
        let clock = Clock::new();
        let mut tasks = JoinSet::new();
        while let Some((question, tell)) = asked.recv().await {
            while tasks.try_join_next().is_some() {}
            if tasks.len() >= QUESTIONS_MAX {
                tell(Err(TransportError::NameService));
                continue;
            }
            let now: Instant = clock.now();
            let answer = dns.ask(now, question);
            tasks.spawn(async move { tell(answer.await) });
        }
    }
}

/// A thread for each question: it lasts for as long as the system takes.
#[cfg(not(feature = "dns"))]
mod imp {
    use std::sync::Mutex;

    use super::*;
    use crate::threads::lock;

    pub(crate) struct Resolver {
        threads: Arc<Threads>,
    }

    impl Resolver {
        pub(crate) fn new(threads: Arc<Threads>, _: NameServers, _: Duration) -> Self {
            Self { threads }
        }

        /// Asks. The answer may come before this returns.
        pub(crate) fn ask(&self, question: Question, tell: Tell) {
            // Whoever takes it first tells.
            let tell = Arc::new(Mutex::new(Some(tell)));
            let told = tell.clone();
            let run = move || {
                let answer = sanswarm_host::lookup(question);
                if let Some(tell) = lock(&told).take() {
                    tell(answer);
                }
            };
            if self.threads.spawn(Kind::Name, "sanswarm-name", QUESTIONS_MAX, run).is_err() {
                if let Some(tell) = lock(&tell).take() {
                    tell(Err(TransportError::NameService));
                }
            }
        }
    }
}
