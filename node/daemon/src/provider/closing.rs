//! The receipts of guests that left: signed aside, sent on the stream that stays open for a moment.

use warren_proto::{ChannelId, Receipt, SessionFrame, SessionId, UnixTime};

use super::Shell;
use super::guest::{Guest, Heard, News, Talk};
use crate::receipt::{Counters, Exchange, Past};
use crate::session::{ProviderClosing, ProviderClosingEffect};

/// Guests in Closing at once; for more than that, this side's half has to do.
const MAX_LEAVING: usize = 64;

/// A guest in Closing.
pub(super) struct Leaving {
    core: ProviderClosing,
    past: Past,
    stream: u64,
    talk: Talk,
    _exchange: Exchange,
}

impl Shell {
    /// Signs in a task of its own; the answer comes back as [`News::Receipt`].
    pub(super) fn countersign(&mut self, session: SessionId, receipt: Receipt, own: Counters) {
        let now = self.parts.clock.now();
        let core = ProviderClosing::signing(own.clone(), now);
        if let Some((past, stream)) = self.closes(session, core, own) {
            self.sign_aside(stream, past, receipt);
        }
    }

    /// The guest of `session` has a receipt before it; by which stream it comes.
    fn closes(
        &mut self,
        session: SessionId,
        core: ProviderClosing,
        own: Counters,
    ) -> Option<(Past, u64)> {
        let past = self.past(session, own)?;
        let guest = self.exit.as_mut()?.guests.get_mut(&session)?;
        guest.closing = Some(Box::new((core, past.clone())));
        Some((past, guest.stream))
    }

    /// Asks what proves the money of the guest's session. `None` if nothing paid for it.
    fn past(&self, session: SessionId, own: Counters) -> Option<Past> {
        let guest = self.guests()?.get(&session)?;
        let channel: ChannelId = guest.channel?;
        let scribe = self.parts.scribe.as_ref()?;
        Some(scribe.past(guest.machine.terms().clone(), own, channel))
    }

    fn sign_aside(&self, stream: u64, past: Past, receipt: Receipt) {
        let Some(scribe) = self.parts.scribe.clone() else {
            return;
        };
        let heard_by = self.heard_by.clone();
        tokio::spawn(async move {
            let signed = scribe.countersign(&past, receipt).await;
            let news = News::Receipt(signed.map(Box::new));
            let session = past.terms().session;
            let _ = heard_by
                .send(Heard::Session {
                    session,
                    stream,
                    news,
                })
                .await;
        });
    }

    /// Waits for the consumer's receipt after the end.
    pub(super) fn await_receipt(&mut self, session: SessionId, own: Counters) {
        let core = ProviderClosing::waiting(own.clone(), self.parts.clock.now());
        let _ = self.closes(session, core, own);
    }

    /// Writes this side's own half in a task of its own.
    pub(super) fn attest(&self, session: SessionId, own: Counters) {
        if let Some(past) = self.past(session, own) {
            self.keep_half(past);
        }
    }

    fn keep_half(&self, past: Past) {
        let Some(scribe) = self.parts.scribe.clone() else {
            return;
        };
        let open = scribe.receipts().exchange();
        tokio::spawn(async move {
            if let Some(half) = scribe.own_half(&past).await {
                scribe.keep(half).await;
            }
            drop(open);
        });
    }

    /// A guest is gone: its stream goes too, unless a receipt is under way.
    pub(super) fn leave(&mut self, session: SessionId, mut guest: Guest) {
        let talk = guest.talk.take();
        if let (Some(closing), Some(scribe)) = (guest.closing.take(), &self.parts.scribe) {
            let (core, past) = *closing;
            if self.leaving.len() < MAX_LEAVING
                && let Some(talk) = talk
            {
                let leaving = Leaving {
                    core,
                    past,
                    stream: guest.stream,
                    talk,
                    _exchange: scribe.receipts().exchange(),
                };
                self.leaving.insert(session, leaving);
                return;
            }
            if core.is_waiting() {
                self.keep_half(past);
            }
        }
    }

    /// Whether `session` is in Closing.
    pub(super) fn is_leaving(&self, session: SessionId) -> bool {
        self.leaving.contains_key(&session)
    }

    pub(super) async fn leaving_news(&mut self, session: SessionId, stream: u64, news: News) {
        let Some(it) = self.leaving.get_mut(&session) else {
            return;
        };
        let effects = match news {
            News::Frame(frame) => it.core.frame(frame).into_iter().collect(),
            News::Broken if it.stream == stream => it.core.lost(),
            News::Broken | News::Money(_) => Vec::new(),
            News::Receipt(signed) => {
                if let Some(receipt) = signed {
                    // Whoever went away has its half.
                    let _ = it.talk.outlet.send(SessionFrame::Receipt(receipt));
                }
                it.core.signed()
            }
        };
        self.perform_leaving(session, effects).await;
    }

    pub(super) async fn tick_leaving(&mut self, now: UnixTime) {
        let ticked = self
            .leaving
            .iter_mut()
            .map(|(id, it)| (*id, it.core.tick(now)));
        let ticked: Vec<_> = ticked.filter(|(_, effects)| !effects.is_empty()).collect();
        for (session, effects) in ticked {
            self.perform_leaving(session, effects).await;
        }
    }

    async fn perform_leaving(&mut self, session: SessionId, effects: Vec<ProviderClosingEffect>) {
        for effect in effects {
            let Some(it) = self.leaving.get(&session) else {
                return;
            };
            match effect {
                ProviderClosingEffect::Countersign(receipt) => {
                    self.sign_aside(it.stream, it.past.clone(), *receipt);
                }
                ProviderClosingEffect::TakeVoucher(voucher) => {
                    if let Some(purse) = self.parts.purse.clone() {
                        // Held for the next session or the claim; nobody waits for the answer.
                        let _ = purse.take_voucher(voucher).await;
                    }
                }
                ProviderClosingEffect::KeepHalf => self.keep_half(it.past.clone()),
                ProviderClosingEffect::Over => {
                    self.leaving.remove(&session);
                }
            }
        }
    }
}
