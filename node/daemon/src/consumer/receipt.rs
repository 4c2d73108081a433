//! The receipt of a session that ended: written before the words are folded, then waited for aside.
//!
//! `down`, or the next exit, never waits for it: the session's stream lives on here for a moment.

use warren_proto::{SessionFrame, SessionId, UnixTime};

use super::Shell;
use super::live::{Live, News};
use super::route::take_back;
use super::talk::Talk;
use crate::perform::{Locked, Standing, Way};
use crate::receipt::Counters;
use crate::session::{ConsumerClosing, ConsumerClosingEffect};

/// Sessions in Closing at once; a consumer that hurries through more exits forgets the oldest wait.
const MAX_LEAVING: usize = 4;

/// A session in Closing.
pub(super) struct Leaving {
    session: SessionId,
    core: ConsumerClosing,
    /// Held so that the stream stays open.
    talk: Talk,
    _exchange: crate::receipt::Exchange,
}

impl Shell {
    pub(super) async fn attest(&mut self, counters: Counters) {
        let (Some(live), Some(scribe)) = (&self.live, self.parts.scribe.clone()) else {
            return;
        };
        let (Some(terms), Some(channel)) = (live.machine().terms().cloned(), live.channel) else {
            return;
        };
        let half = scribe.half(&terms, &counters, channel);
        let Some(half) = half.await else { return };
        let kept = half.clone();
        tokio::spawn(async move { scribe.keep(kept).await });
        let frame = SessionFrame::Receipt(Box::new(half.clone()));
        self.send(frame);
        if let Some(live) = &mut self.live {
            live.receipt = Some(half);
        }
    }

    /// The session is over; what it still waits for is waited for aside.
    pub(super) fn leave(&mut self, live: Live) {
        let (Some(half), Some(talk)) = (live.receipt, live.talk) else {
            return;
        };
        let Some(scribe) = &self.parts.scribe else {
            return;
        };
        let now = self.parts.clock.now();
        if self.leaving.len() >= MAX_LEAVING {
            self.leaving.pop_front();
        }
        self.leaving.push_back(Leaving {
            session: half.body().session,
            core: ConsumerClosing::waiting(half, now),
            talk,
            _exchange: scribe.receipts().exchange(),
        });
    }

    pub(super) fn leaving_news(&mut self, session: SessionId, news: News) {
        let leaving = self.leaving.iter().find(|it| it.session == session);
        let effects = match news {
            News::Frame(stream, frame) => {
                let leaving = leaving.filter(|it| it.talk.is(stream));
                leaving.map(|it| it.core.frame(frame))
            }
            News::Broken(stream) => {
                let leaving = leaving.filter(|it| it.talk.is(stream));
                leaving.map(|_| vec![ConsumerClosingEffect::Over])
            }
            News::Routed(routed) => return self.made_for_nobody(routed.way, routed.locked),
            News::Locked(locked) => {
                if let Ok((way, locked)) = *locked {
                    self.made_for_nobody(way, locked);
                }
                return;
            }
            // Of the time before the end.
            News::Stream(_)
            | News::NoStream(_)
            | News::Funded { .. }
            | News::Unfunded(_)
            | News::ToppedUp(_)
            | News::Told(_)
            | News::Rejected { .. } => None,
        };
        self.perform_leaving(session, effects.unwrap_or_default());
    }

    /// Its session was over before the lock was there: nobody was told of it, and what it binds comes free.
    fn made_for_nobody(&self, way: Way, locked: Locked) {
        // One that the exit holds stays good for the next session.
        if locked.offer.is_some() {
            let lock = (locked.made.payment, Standing::Made);
            take_back(&self.parts, way.channel, lock);
        }
    }

    pub(super) fn tick_leaving(&mut self, now: UnixTime) {
        let over = self
            .leaving
            .iter()
            .map(|it| (it.session, it.core.tick(now)));
        for (session, effects) in over.collect::<Vec<_>>() {
            self.perform_leaving(session, effects);
        }
    }

    fn perform_leaving(&mut self, session: SessionId, effects: Vec<ConsumerClosingEffect>) {
        for effect in effects {
            match effect {
                ConsumerClosingEffect::Keep(receipt) => {
                    let Some(scribe) = self.parts.scribe.clone() else {
                        continue;
                    };
                    // The exchange counts as open until it is on disk.
                    let open = scribe.receipts().exchange();
                    tokio::spawn(async move {
                        scribe.keep(*receipt).await;
                        drop(open);
                    });
                }
                ConsumerClosingEffect::Over => {
                    // Its stream ends in good order, aside.
                    self.leaving.retain(|it| it.session != session);
                }
            }
        }
    }
}
