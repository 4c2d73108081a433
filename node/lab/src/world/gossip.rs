//! How offers travel in the lab: a flood over the graph, and what neighbours tell a newcomer.
//!
//! Not libp2p's gossipsub: each node passes a fresh offer on to all its neighbours but the one it
//! came from. What counts as an offer, and what is passed on, the product's index decides.

use std::rc::Rc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};
use warren_overlay::offers::{Carrier, Verdict, Way};
use warren_proto::{Offer, SignedOffer};

use super::{Event, World};

/// As the product renews (overlay: every 20 minutes).
const RENEW: Duration = Duration::from_secs(20 * 60);

impl World {
    pub(super) fn join(&mut self, node: usize) {
        self.nodes[node].joined = Some(self.now);
        self.note(node, "join", "", 0);
        // A newcomer asks one neighbour that is there what it knows.
        let there = |it: &&usize| self.nodes[**it].joined.is_some();
        if let Some(friend) = self.neighbours[node].iter().find(there).copied() {
            let known: Vec<_> = self.nodes[friend]
                .index
                .living(self.now)
                .map(|(offer, _)| Rc::new(offer.as_bytes().to_vec()))
                .collect();
            for bytes in known {
                let way = self.links.frame(friend, node);
                self.after(
                    way,
                    Event::Offer {
                        from: friend,
                        to: node,
                        bytes,
                    },
                );
            }
        }
        if self.nodes[node].exit().is_some() {
            self.renew(node);
            let pause = Duration::from_secs(self.scenario.chain.claim_every_secs.into());
            self.after(pause, Event::Claim(node));
        } else {
            let pause = u64::from(self.scenario.demand.pause_secs);
            let wait = Duration::from_secs(self.links.within(1, pause));
            self.after(wait, Event::Want(node));
        }
    }

    /// Signs the next offer and tells the neighbours; a liar also tells of somebody else.
    pub(super) fn renew(&mut self, exit: usize) {
        self.after(RENEW, Event::Renew(exit));
        let (now, key) = (self.now, self.nodes[exit].key.clone());
        let Some(it) = self.nodes[exit].exit_mut().filter(|it| it.alive) else {
            return;
        };
        let old = it.offer.offer().clone();
        let life = now.plus(warren_proto::MAX_OFFER_LIFE);
        let next = Offer {
            seq: old.seq + 1,
            issued: now,
            valid_until: life,
            ..old
        };
        let Ok(offer) = next.sign(&key) else { return };
        self.issued.insert(Sha256::digest(offer.as_bytes()).into());
        it.offer = offer.clone();
        it.admission.offered(offer.clone());
        let liar = it.liar;
        self.note(exit, "offer", "renewed", u128::from(offer.offer().seq));
        self.hear_offer(exit, exit, offer.as_bytes());
        if liar {
            self.lie(exit);
        }
    }

    /// Lowers a rival's price by one bit and tells everyone: no signature survives that.
    fn lie(&mut self, exit: usize) {
        let own = self.nodes[exit].id;
        let rival = self.nodes[exit].index.living(self.now).map(|(it, _)| it);
        let Some(mut bytes) = rival
            .filter(|it| it.offer().node != own)
            .map(SignedOffer::as_bytes)
            .map(<[u8]>::to_vec)
            .next()
        else {
            return;
        };
        let at = bytes.len() / 2;
        bytes[at] ^= 1;
        let bytes = Rc::new(bytes);
        for to in self.neighbours[exit].clone() {
            let way = self.links.frame(exit, to);
            self.after(
                way,
                Event::Offer {
                    from: exit,
                    to,
                    bytes: Rc::clone(&bytes),
                },
            );
        }
    }

    pub(super) fn hear_offer(&mut self, from: usize, to: usize, bytes: &[u8]) {
        if self.nodes[to].joined.is_none() || self.nodes[to].exit().is_some_and(|it| !it.alive) {
            return;
        }
        self.tally.gossip_messages += 1;
        let teller = Carrier::Node(self.nodes[from].id);
        let hearing = self.nodes[to]
            .index
            .hear(bytes, Way::Gossip, teller, self.now);
        match &hearing.verdict {
            Verdict::Fresh(offer) => {
                let exit = offer.offer().node;
                let print: [u8; 32] = Sha256::digest(offer.as_bytes()).into();
                self.tally.forgeries += u64::from(!self.issued.contains(&print));
                if self.nodes[to].first_offer.is_none() && exit != self.nodes[to].id {
                    self.nodes[to].first_offer = Some(self.now);
                    let joined = self.nodes[to].joined.unwrap_or(self.now);
                    let millis = u64::try_from(self.now.since(joined).as_millis()).unwrap_or(0);
                    self.tally.first_offer_millis.push(millis);
                }
                self.note(to, "offer_heard", &exit.short(), 0);
            }
            Verdict::Known { .. } => {}
            Verdict::Refused(_) => {
                self.tally.refused_offers += 1;
                self.note(to, "offer_refused", "", from as u128);
            }
        }
        if hearing.pass_on {
            let bytes = Rc::new(bytes.to_vec());
            for next in self.neighbours[to].clone() {
                if next != from
                    && let Some(way) = self.links.datagram(to, next)
                {
                    let bytes = Rc::clone(&bytes);
                    self.after(
                        way,
                        Event::Offer {
                            from: to,
                            to: next,
                            bytes,
                        },
                    );
                }
            }
        }
    }
}
