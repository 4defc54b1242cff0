//! From the first byte to the muxer: negotiate security, shake hands, negotiate the muxer.

use std::sync::Arc;

use libp2p_identity::PeerId;
use sanswarm_multistream::ProtocolName;
use sanswarm_multistream_select::{Greeting, Mode, Negotiator, Outcome};
use sanswarm_wire::{Instant, RecvBuf, Role, SendBuf};

use crate::{
    Config, Direction, Error, Muxer, Security, Stage,
    cipher::Cipher,
    config::Offer,
    handshake::{Handshake, Muxers},
    transcript::{Layer, Transcript, What},
};

/// The stages before streams. Dropped when the muxer is agreed on.
#[derive(Debug)]
pub(crate) struct Upgrade {
    role: Role,
    config: Arc<Config>,
    expected: Option<PeerId>,
    secret: [u8; 32],
    start: Instant,
    pub(crate) deadline: Instant,
    stage: Stage,
    /// Of the stage; or of the one before, while it owes its last reply.
    negotiator: Negotiator,
    /// Lives from the first proposal where that is lazy, else from the agreement.
    handshake: Option<Handshake>,
    security: Option<Security>,
    peer: Option<PeerId>,
    /// The muxer, as soon as it is sure or proposed lazily.
    muxer: Option<Muxer>,
}

/// What one step of the upgrade came to.
pub(crate) enum Step {
    /// Nothing can be done with the bytes in hand.
    Idle,
    /// Something was done.
    Progress,
    /// The muxer is agreed on.
    Done,
}

impl Upgrade {
    pub(crate) fn new(
        now: Instant,
        role: Role,
        config: Arc<Config>,
        expected: Option<PeerId>,
        secret: [u8; 32],
    ) -> Self {
        Self {
            role,
            expected,
            secret,
            start: now,
            deadline: now + config.limits.upgrade_timeout,
            stage: Stage::Security,
            negotiator: negotiator(role, &config.security_names),
            handshake: None,
            security: None,
            peer: None,
            muxer: None,
            config,
        }
    }

    /// The upgrade of a pipe that somebody else has secured.
    pub(crate) fn secured(now: Instant, role: Role, config: Arc<Config>, peer: PeerId) -> Self {
        let mut upgrade = Self::new(now, role, config, None, [0; 32]);
        upgrade.peer = Some(peer);
        upgrade.start_muxer();
        upgrade
    }

    pub(crate) fn stage(&self) -> Stage {
        self.stage
    }

    pub(crate) fn peer(&self) -> Option<PeerId> {
        self.peer
    }

    pub(crate) fn security(&self) -> Option<Security> {
        self.security
    }

    /// The muxer that may be used already: agreed on, or proposed so that its first bytes may follow at once.
    pub(crate) fn muxer(&self) -> Option<Muxer> {
        self.muxer
    }

    /// Whether the muxer's bytes may follow what has been sent.
    pub(crate) fn is_settled(&self) -> bool {
        self.muxer.is_some() && self.stage >= Stage::Muxer && !self.negotiator.is_due()
    }

    /// The error for an end of the input at this point; `None` where all that is missing is our own answer.
    pub(crate) fn eof(&self) -> Option<Error> {
        (self.stage < Stage::Streams).then(|| Error::Eof { stage: self.stage, streams: 0, offered: self.offered() })
    }

    /// The handshake that has failed, for its last word.
    pub(crate) fn into_handshake(self) -> Option<Handshake> {
        self.handshake
    }

    /// What we offer at this stage, while it is negotiated.
    pub(crate) fn offered(&self) -> Vec<ProtocolName> {
        match self.stage {
            Stage::Security => self.config.security_names.list.to_vec(),
            Stage::Muxer => self.config.muxer_names.list.to_vec(),
            Stage::Handshake | Stage::Streams => Vec::new(),
        }
    }

    /// Uses what it can of the input.
    pub(crate) fn step(
        &mut self,
        recv: &mut RecvBuf,
        cipher: &mut Cipher,
        transcript: &mut Transcript,
    ) -> Result<Step, Error> {
        match self.stage {
            Stage::Security => self.step_security(recv, transcript),
            Stage::Handshake => self.step_handshake(recv, cipher, transcript),
            Stage::Muxer => self.step_muxer(recv, cipher, transcript),
            // The listener's answer goes before anything of the muxer.
            Stage::Streams if self.negotiator.is_due() => Ok(Step::Idle),
            Stage::Streams => Ok(Step::Done),
        }
    }

    /// Adds what is due, in the order in which the peer expects it.
    pub(crate) fn poll_transmit(
        &mut self,
        send: &mut SendBuf,
        cipher: &mut Cipher,
        transcript: &mut Transcript,
    ) -> Result<(), Error> {
        self.check_built_in()?;
        self.send_negotiation(send, transcript);
        if self.stage >= Stage::Muxer {
            return Ok(());
        }
        if self.stage == Stage::Security && self.handshake.is_none() && self.negotiator.lazy().is_some() {
            self.start_handshake(self.config.security[0])?;
        }
        if let Some(handshake) = self.handshake.as_mut().filter(|_| !self.negotiator.is_due()) {
            transcript.handshake(Direction::Outbound, handshake.poll_transmit(send));
            transcript.skip_sent(send);
        }
        if self.finish_handshake(cipher, transcript)? {
            cipher.frame(send);
            self.send_negotiation(send, transcript);
        }
        Ok(())
    }

    fn send_negotiation(&mut self, send: &mut SendBuf, transcript: &mut Transcript) {
        if self.negotiator.poll_transmit(send) > 0 && transcript.is_on() {
            transcript.sent_lines(Direction::of_dialer(self.role), self.layer(), send);
        }
    }

    /// What is negotiated. A listener's last reply about security may go out when the next stage has begun.
    fn layer(&self) -> Layer {
        if self.stage < Stage::Muxer { Layer::Security } else { Layer::Muxer }
    }

    fn check_built_in(&self) -> Result<(), Error> {
        let missing = match self.stage {
            Stage::Security | Stage::Handshake => self.config.security.is_empty(),
            Stage::Muxer | Stage::Streams => self.config.muxers.is_empty(),
        };
        if missing { Err(Error::NotBuiltIn { stage: self.stage }) } else { Ok(()) }
    }

    fn step_security(&mut self, recv: &mut RecvBuf, transcript: &mut Transcript) -> Result<Step, Error> {
        self.check_built_in()?;
        recv.reveal_all();
        let (progress, agreed) = self.negotiate(recv, transcript)?;
        let Some(index) = agreed else { return Ok(progress) };
        recv.reseal();
        self.stage = Stage::Handshake;
        let security = self.config.security[index];
        self.security = Some(security);
        if self.handshake.is_none() {
            self.start_handshake(security)?;
        }
        Ok(Step::Progress)
    }

    fn step_muxer(
        &mut self,
        recv: &mut RecvBuf,
        cipher: &mut Cipher,
        transcript: &mut Transcript,
    ) -> Result<Step, Error> {
        let (progress, agreed) = self.negotiate(recv, transcript)?;
        if let Some(index) = agreed {
            self.muxer = Some(self.config.muxers[index]);
            self.stage = Stage::Streams;
            return Ok(Step::Progress);
        }
        match progress {
            Step::Idle if cipher.open(recv, transcript).map_err(|error| error.at(Stage::Muxer))? => Ok(Step::Progress),
            step => Ok(step),
        }
    }

    /// Feeds the negotiator. Gives the index of what was agreed on in the offer of the stage.
    fn negotiate(&mut self, recv: &mut RecvBuf, transcript: &mut Transcript) -> Result<(Step, Option<usize>), Error> {
        let config = self.config.clone();
        let offer = match self.stage {
            Stage::Security | Stage::Handshake => &config.security_names,
            Stage::Muxer | Stage::Streams => &config.muxer_names,
        };
        let fault = |cause| Error::Negotiation { stage: self.stage, cause, offered: offer.list.to_vec() };
        let input = recv.plain();
        let result = self.negotiator.handle_input(input);
        // Of what is no message, all is shown.
        let seen = result.as_ref().map_or(input.len(), |(used, _)| *used);
        transcript.lines(
            Direction::Inbound,
            Direction::of_dialer(self.role),
            self.layer(),
            input.get(..seen).unwrap_or_default(),
        );
        let (used, outcome) = result.map_err(fault)?;
        recv.consume(used);
        match outcome {
            Some(Outcome::Agreed(name)) => Ok((Step::Progress, offer.list.iter().position(|n| *n == name))),
            Some(Outcome::Refused) if self.asks() => Ok((Step::Progress, None)),
            Some(outcome) => {
                let remote = match outcome {
                    Outcome::Listed(names) => names.iter().map(|name| name.as_str().to_owned()).collect(),
                    _ => Vec::new(),
                };
                Err(Error::NothingInCommon { stage: self.stage, offered: offer.list.to_vec(), remote })
            }
            None if used > 0 => Ok((Step::Progress, None)),
            None => Ok((Step::Idle, None)),
        }
    }

    /// Asks a peer that refused all muxers for its own, if that is wanted and nothing of a muxer's has been sent.
    fn asks(&mut self) -> bool {
        let asks = self.config.asks && self.stage == Stage::Muxer && self.negotiator.ask();
        if asks {
            self.muxer = None;
        }
        asks
    }

    fn start_handshake(&mut self, security: Security) -> Result<(), Error> {
        let secret = core::mem::take(&mut self.secret);
        self.handshake = Some(Handshake::new(security, self.role, &self.config, secret, self.start)?);
        Ok(())
    }

    fn step_handshake(
        &mut self,
        recv: &mut RecvBuf,
        cipher: &mut Cipher,
        transcript: &mut Transcript,
    ) -> Result<Step, Error> {
        let Some(handshake) = &mut self.handshake else { return Ok(Step::Idle) };
        let (used, claim) = handshake.handle_input(recv)?;
        transcript.handshake(Direction::Inbound, used);
        if let Some(claim) = claim {
            let verdict = claim.verify(self.expected);
            let told = handshake.handle_verdict(verdict.is_ok());
            let peer = verdict?;
            told?;
            self.peer = Some(peer);
            transcript.tell(Direction::Inbound, Layer::Handshake, 0, || What::Identity(peer));
        }
        let done = self.finish_handshake(cipher, transcript)?;
        Ok(if used > 0 || done { Step::Progress } else { Step::Idle })
    }

    /// If the handshake is done: puts its cipher in place and settles on a muxer, or on how to.
    fn finish_handshake(&mut self, cipher: &mut Cipher, transcript: &mut Transcript) -> Result<bool, Error> {
        let Some(handshake) = self.handshake.take_if(|h| h.is_done()) else { return Ok(false) };
        let (made, muxers) = handshake.finish()?;
        *cipher = made;
        self.stage = Stage::Muxer;
        self.check_built_in()?;
        match muxers {
            Muxers::Untold => self.start_muxer(),
            Muxers::Offered(theirs) => {
                transcript.tell(Direction::Inbound, Layer::Handshake, 0, || What::Muxers(texts(&theirs)));
                self.choose_muxer(&theirs)?;
            }
            // A handshake agrees on nothing that was not offered.
            Muxers::Chosen(name) => self.choose_muxer(&[name])?,
        }
        Ok(true)
    }

    /// Both have sent a list: the dialer's order decides, and nothing in common is the end.
    fn choose_muxer(&mut self, theirs: &[bytes::Bytes]) -> Result<(), Error> {
        let ours = &self.config.muxer_names.list;
        let common = match self.role {
            Role::Dialer => ours.iter().position(|name| theirs.iter().any(|n| n == name.as_str().as_bytes())),
            Role::Listener => theirs.iter().find_map(|n| ours.iter().position(|name| name.as_str().as_bytes() == n)),
        };
        let Some(index) = common else {
            return Err(Error::NothingInCommon { stage: Stage::Muxer, offered: ours.to_vec(), remote: texts(theirs) });
        };
        self.muxer = Some(self.config.muxers[index]);
        self.stage = Stage::Streams;
        Ok(())
    }

    /// Goes on to the muxer by multistream-select. One muxer only is proposed so that its bytes may follow at once.
    fn start_muxer(&mut self) {
        self.stage = Stage::Muxer;
        self.negotiator = negotiator(self.role, &self.config.muxer_names);
        if let ([muxer], Role::Dialer) = (&self.config.muxers[..], self.role) {
            self.muxer = Some(*muxer);
        }
    }
}

fn texts(names: &[bytes::Bytes]) -> Vec<String> {
    names.iter().map(|name| String::from_utf8_lossy(name).into_owned()).collect()
}

fn negotiator(role: Role, offer: &Offer) -> Negotiator {
    match role {
        // What follows a lazy proposal here (a Noise length, a yamux version, mplex's head of a first stream) cannot be read as an accepted proposal.
        Role::Dialer => Negotiator::dialer(offer.list.clone(), Mode::Lazy),
        Role::Listener => Negotiator::listener(offer.set.clone(), Greeting::AtOnce),
    }
}
