//! The receipts of guests that left: signed aside, sent on the stream that stays open for a moment.

use warren_proto::{ChannelId, Receipt, SessionFrame, SessionId, SessionTerms, Side, UnixTime};

use super::Shell;
use super::guest::{Guest, Heard, News, Talk};
use crate::receipt::{Counters, Exchange};
use crate::session::{ProviderClosing, ProviderClosingEffect};

/// Guests in Closing at once; for more than that, this side's half has to do.
const MAX_LEAVING: usize = 64;

/// A guest in Closing.
pub(super) struct Leaving {
    core: ProviderClosing,
    terms: SessionTerms,
    channel: ChannelId,
    stream: u64,
    talk: Talk,
    _exchange: Exchange,
}

impl Shell {
    /// Signs in a task of its own; the answer comes back as [`News::Receipt`].
    pub(super) fn countersign(&mut self, session: SessionId, receipt: Receipt, own: Counters) {
        let exit = self.exit.as_mut();
        let guest = exit.and_then(|exit| exit.guests.get_mut(&session));
        let Some(guest) = guest else { return };
        let Some(channel) = guest.channel else { return };
        let now = self.parts.clock.now();
        guest.closing = Some(ProviderClosing::signing(own.clone(), now));
        let (terms, stream) = (guest.machine.terms().clone(), guest.stream);
        self.sign_aside(session, stream, (terms, channel), (receipt, own));
    }

    fn sign_aside(
        &self,
        session: SessionId,
        stream: u64,
        (terms, channel): (SessionTerms, ChannelId),
        (receipt, own): (Receipt, Counters),
    ) {
        let Some(scribe) = self.parts.scribe.clone() else {
            return;
        };
        let heard_by = self.heard_by.clone();
        tokio::spawn(async move {
            let signed = scribe.countersign(&terms, &own, channel, receipt).await;
            let news = News::Receipt(signed.map(Box::new));
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
        let now = self.parts.clock.now();
        let exit = self.exit.as_mut();
        if let Some(guest) = exit.and_then(|exit| exit.guests.get_mut(&session)) {
            guest.closing = Some(ProviderClosing::waiting(own, now));
        }
    }

    /// Writes this side's own half in a task of its own.
    pub(super) fn attest(&self, session: SessionId, own: Counters) {
        let guest = self.guests().and_then(|guests| guests.get(&session));
        if let Some((guest, channel)) = guest.and_then(|it| Some((it, it.channel?))) {
            self.keep_half(guest.machine.terms().clone(), channel, own);
        }
    }

    fn keep_half(&self, terms: SessionTerms, channel: ChannelId, own: Counters) {
        let Some(scribe) = self.parts.scribe.clone() else {
            return;
        };
        let open = scribe.receipts().exchange();
        tokio::spawn(async move {
            let half = scribe.half(Side::Provider, &terms, &own, channel).await;
            if let Some(half) = half {
                scribe.keep(half).await;
            }
            drop(open);
        });
    }

    /// A guest is gone: its stream goes too, unless a receipt is under way.
    pub(super) fn leave(&mut self, session: SessionId, mut guest: Guest) {
        let talk = guest.talk.take();
        let waits = guest.closing.take();
        if let (Some(core), Some(channel), Some(scribe)) =
            (waits, guest.channel, &self.parts.scribe)
        {
            let terms = guest.machine.terms().clone();
            if self.leaving.len() < MAX_LEAVING
                && let Some(talk) = talk
            {
                let leaving = Leaving {
                    core,
                    terms,
                    channel,
                    stream: guest.stream,
                    talk,
                    _exchange: scribe.receipts().exchange(),
                };
                self.leaving.insert(session, leaving);
                return;
            }
            if core.is_waiting() {
                self.keep_half(terms, channel, core.counters().clone());
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
            let (terms, channel) = (it.terms.clone(), it.channel);
            let own = it.core.counters().clone();
            match effect {
                ProviderClosingEffect::Countersign(receipt) => {
                    let stream = it.stream;
                    self.sign_aside(session, stream, (terms, channel), (*receipt, own));
                }
                ProviderClosingEffect::TakeVoucher(voucher) => {
                    if let Some(purse) = self.parts.purse.clone() {
                        // Held for the next session or the claim; nobody waits for the answer.
                        let _ = purse.take_voucher(voucher).await;
                    }
                }
                ProviderClosingEffect::KeepHalf => self.keep_half(terms, channel, own),
                ProviderClosingEffect::Over => {
                    self.leaving.remove(&session);
                }
            }
        }
    }
}
