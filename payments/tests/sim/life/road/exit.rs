//! The exit: serves for words that a consumer says, asks its router to fold them, and leaves what it holds with
//! a tower.

use warren_payments::calls::{Call, Claim, Reveal};
use warren_payments::channel::event::PayeeEvent;
use warren_payments::channel::{Phase, RoutedNews, Via};
use warren_payments::tower::{self, NONCE_BYTES};
use warren_payments::{Evidence, VerifiedVoucher};
use warren_proto::{ChannelId, Fulfill, LockReady, LockReject, PaymentId, TowerVerdict};

use super::super::host::Act;
use super::super::names::{CREDIT_UNITS, Who, wei};
use super::mail::Note;
use super::node::{Node, STALE_LOOKS};
use super::paper;
use super::perform::Env;

/// How long a tower is asked to keep a put.
const KEEP_SECS: u64 = 30 * 24 * 3600;

impl Node {
    pub(crate) fn hear_as_exit(
        &mut self,
        channel: ChannelId,
        note: Note,
        env: &mut Env<'_>,
    ) -> Act<()> {
        match note {
            Note::Offer(offer) => {
                let payment = offer.payment;
                let news = RoutedNews::Lock {
                    voucher: paper::verified(&offer.voucher),
                    payment,
                    anchor: offer.lock.anchor,
                    unit_price: wei(1),
                };
                let outcome = self.earns(channel, &PayeeEvent::Routed(news), env)?;
                match outcome.refused {
                    None => self.tell_ready(payment, env),
                    Some(code) => {
                        let no = LockReject::of(payment, code, false);
                        self.post(Who::Router, channel, Note::Reject(no), env)
                    }
                }
            }
            Note::Word { payment, k, word } => {
                let news = RoutedNews::Word {
                    payment,
                    k,
                    word,
                    via: Via::Consumer,
                };
                let outcome = self.earns(channel, &PayeeEvent::Routed(news), env)?;
                match outcome.routed {
                    Some(it) => {
                        let heard = Note::Heard {
                            payment,
                            k: it.units,
                        };
                        self.post(Who::Payer, channel, heard, env)
                    }
                    None => Ok(()),
                }
            }
            Note::Voucher(it) => {
                let outcome = self.earns(channel, &PayeeEvent::Voucher(it), env)?;
                match outcome.ack {
                    Some(ack) => self.post(Who::Router, channel, Note::Ack(ack), env),
                    None => Ok(()),
                }
            }
            Note::AskClose { not_after } => {
                let event = PayeeEvent::ConsentAsked { not_after };
                self.earns(channel, &event, env).map(|_| ())
            }
            Note::Answer(it) => {
                if it.verdict == TowerVerdict::Kept {
                    env.truth.kept(it.number, env.chain);
                }
                Ok(())
            }
            Note::Ready(_)
            | Note::Reject(_)
            | Note::Fulfill(_)
            | Note::Ack(_)
            | Note::Heard { .. }
            | Note::Consent(_)
            | Note::Put(_) => Ok(()),
        }
    }

    /// To the router, and end to end to the consumer.
    pub(crate) fn tell_ready(&mut self, payment: PaymentId, env: &mut Env<'_>) -> Act<()> {
        let payee = &self.payees[&paper::down().id];
        let channel = payee.terms().id;
        let (Some(anchor), Some(voucher)) = (payee.routed_anchor(&payment), payee.voucher()) else {
            return Ok(());
        };
        let ready = LockReady {
            payment,
            anchor,
            channel,
            seq: voucher.seq,
            lane: 0,
        };
        self.post(Who::Router, channel, Note::Ready(ready), env)?;
        self.post(Who::Payer, channel, Note::Ready(ready), env)
    }

    /// Serves a unit if it is paid or within the credit.
    pub(crate) fn serve(&mut self, payment: PaymentId, env: &mut Env<'_>) {
        let (payee, now) = (&self.payees[&paper::down().id], self.now(env.chain));
        let usable = payee.phase() == Phase::Open && self.blind_looks < STALE_LOOKS;
        let Some(accepted) = payee.routed(&payment).filter(|_| usable && self.slow == 0) else {
            return;
        };
        let deal = env.truth.deals.get_mut(&payment).unwrap();
        let paid = u64::from(accepted.units);
        if now < accepted.serve_until && deal.served < paid + CREDIT_UNITS {
            deal.served += 1;
        }
    }

    /// The best word, for the router to fold.
    pub(crate) fn ask_fold(&mut self, payment: PaymentId, env: &mut Env<'_>) -> Act<()> {
        let payee = &self.payees[&paper::down().id];
        let channel = payee.terms().id;
        let folded = payee.routed_folded(&payment);
        let best = payee
            .routed_word(&payment)
            .zip(payee.routed_anchor(&payment));
        let Some(((k, word), anchor)) = best.filter(|((k, _), _)| folded.is_some_and(|it| it < *k))
        else {
            return Ok(());
        };
        let shown = Fulfill {
            payment,
            anchor,
            k,
            word,
            last: false,
        };
        self.post(Who::Router, channel, Note::Fulfill(shown), env)
    }

    /// What it holds, sealed, for the tower.
    pub(crate) fn put(&mut self, env: &mut Env<'_>) -> Act<()> {
        let (payee, now) = (&self.payees[&paper::down().id], self.now(env.chain));
        let channel = payee.terms().id;
        let Some(voucher) = payee.voucher().cloned() else {
            return Ok(());
        };
        let value = payee.value(now);
        let evidence = Evidence {
            params: payee.terms().params,
            voucher,
            best: payee.best_words(now),
            value,
            value_before: value,
        };
        let number = env.truth.next_put(evidence.clone());
        let until = env.chain.time + KEEP_SECS;
        let sealed = tower::put(&channel, &evidence, (number, until), [7; NONCE_BYTES]);
        let put = Note::Put(Box::new(sealed.unwrap()));
        self.post(Who::Tower, channel, put, env)
    }

    /// An exit that means harm claims with any voucher it was ever given, and all words it knows.
    pub(crate) fn claim_with(&mut self, old: &VerifiedVoucher, env: &mut Env<'_>) -> Act<()> {
        let voucher = old.get().clone();
        let payee = &self.payees[&voucher.channel];
        let known = env.truth.deals.keys();
        let known: Vec<_> = known.filter_map(|it| payee.routed_word(it)).collect();
        let lanes = (0_u16..).zip(&voucher.locks);
        let reveals = lanes.filter_map(|(index, lock)| {
            let opens = |(_, word): &(u32, _)| {
                let anchor = warren_proto::Preimage::from_bytes(*lock.anchor.as_bytes());
                let steps = warren_payments::channel::routed::steps_to(word, &anchor, lock.units)?;
                Some(Reveal {
                    index,
                    k: steps,
                    word: word.clone(),
                })
            };
            let in_time = lock.expiry > env.chain.time;
            known.iter().find_map(opens).filter(|_| in_time)
        });
        let claim = Claim {
            params: payee.terms().params,
            reveals: reveals.collect(),
            voucher,
        };
        self.host.submit(Call::Claim(claim), env.chain)
    }
}
