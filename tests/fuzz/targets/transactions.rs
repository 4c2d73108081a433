//! The transaction manager under a node that answers anything, with its power gone at any moment.

use std::time::Duration;

use warren_payments::chain::{BlockHash, Fees, Outcome};
use warren_payments::store::Put;
use warren_payments::tx::{
    Job, JobId, Seen, SendFailure, SignedTx, Stake, TxEffect, TxEvent, TxManager, TxRules,
    UnsignedTx,
};
use warren_proto::{Amount, PayoutAddress, TxHash, UnixTime};

use super::script::{DAWN, Script, wei};

const RULES: TxRules = TxRules {
    chain_id: 1,
    confirmations: 3,
    bump_after_blocks: 2,
    fee_cap: wei(5000),
    urgent: Duration::from_secs(600),
};

struct Life {
    core: TxManager,
    /// Records by key, as a store keeps them.
    disk: std::collections::BTreeMap<Vec<u8>, Vec<u8>>,
    prepare: Vec<JobId>,
    sign: Vec<UnsignedTx>,
    sent: Vec<SignedTx>,
    signed: u8,
}

fn account() -> PayoutAddress {
    PayoutAddress::from_bytes([1; 20])
}

/// P7: what is sent is on disk. No fee beyond the cap, unless something is at stake.
pub(crate) fn live(bytes: &[u8]) {
    let mut script = Script::new(bytes);
    let mut life = Life {
        core: TxManager::new(RULES),
        disk: std::collections::BTreeMap::new(),
        prepare: Vec::new(),
        sign: Vec::new(),
        sent: Vec::new(),
        signed: 0,
    };
    while !script.is_over() {
        if script.below(16) == 15 {
            life.crash();
            continue;
        }
        if let Some(event) = life.event(&mut script) {
            life.take(&event);
        }
    }
}

fn fees(script: &mut Script<'_>) -> Fees {
    Fees {
        base_fee: script.money(),
        floor: script.money(),
        tip: script.money(),
    }
}

fn time(script: &mut Script<'_>) -> UnixTime {
    UnixTime::from_secs(DAWN + 60 * u64::from(script.byte()))
}

fn in_block(tx: TxHash, script: &mut Script<'_>) -> Seen {
    Seen {
        tx,
        block: u64::from(script.byte()),
        block_hash: BlockHash::from_bytes([script.below(2); 32]),
        outcome: if script.is_set() {
            Outcome::Done
        } else {
            Outcome::Reverted
        },
        gas_used: 50_000,
        cost: wei(1),
    }
}

impl Life {
    fn event(&mut self, script: &mut Script<'_>) -> Option<TxEvent> {
        Some(match script.below(7) {
            0 => TxEvent::Asked(Job {
                id: JobId([script.below(8); 32]),
                to: account(),
                value: Amount::ZERO,
                data: vec![8; 4],
                stake: script.is_set().then(|| Stake {
                    worth: script.is_set().then(|| script.money()),
                    deadline: script.is_set().then(|| time(script)),
                }),
            }),
            1 => TxEvent::Prepared {
                id: self.prepare.pop()?,
                gas_limit: 90_000,
                fees: fees(script),
                nonce: u64::from(script.below(6)),
                time: script.is_set().then(|| time(script)),
            },
            2 => TxEvent::Refused {
                id: self.prepare.pop()?,
            },
            3 => {
                let unsigned = self.sign.pop()?;
                self.signed = self.signed.wrapping_add(1);
                let signed = SignedTx {
                    raw: vec![self.signed; 20],
                    hash: TxHash::from_bytes([self.signed; 32]),
                };
                TxEvent::Signed { unsigned, signed }
            }
            4 => TxEvent::SendFailed {
                tx: self.sent.last()?.hash,
                why: [
                    SendFailure::Retry,
                    SendFailure::NonceTooLow,
                    SendFailure::Underpriced,
                    SendFailure::Final,
                ][usize::from(script.below(4))],
            },
            5 => self.head(script),
            _ => TxEvent::Blind {
                time: time(script),
                fees: fees(script),
                nonces: (0..script.below(3))
                    .map(|_| u64::from(script.below(6)))
                    .collect(),
            },
        })
    }

    fn head(&self, script: &mut Script<'_>) -> TxEvent {
        let number = u64::from(script.byte());
        let watched: Vec<_> = self.core.watched().collect();
        let mut seen = Vec::new();
        for tx in watched {
            if script.is_set() {
                seen.push(in_block(tx, script));
            }
        }
        TxEvent::HeadSeen {
            number,
            time: time(script),
            nonce: u64::from(script.below(6)),
            fees: fees(script),
            seen,
        }
    }

    fn take(&mut self, event: &TxEvent) {
        let step = self.core.handle(event);
        if step.save {
            let puts = self.core.puts(&step.next, account());
            self.write(puts);
        }
        self.core = step.next;
        self.see(step.effects);
    }

    fn write(&mut self, puts: Vec<Put>) {
        for put in puts {
            match put.value {
                Some(value) => drop(self.disk.insert(put.key, value)),
                None => drop(self.disk.remove(&put.key)),
            }
        }
    }

    fn see(&mut self, effects: Vec<TxEffect>) {
        for effect in effects {
            match effect {
                TxEffect::Prepare(job) => self.prepare.push(job.id),
                TxEffect::Sign(unsigned) => {
                    assert!(unsigned.tip <= unsigned.max_fee, "{unsigned:?}");
                    self.sign.push(unsigned);
                }
                TxEffect::Broadcast(signed) => {
                    let holds =
                        |it: &Vec<u8>| it.windows(signed.raw.len()).any(|it| it == signed.raw);
                    assert!(self.disk.values().any(holds), "P7: sent, and not on disk");
                    self.sent.push(signed);
                }
                TxEffect::Report(..) => {}
            }
        }
    }

    fn crash(&mut self) {
        let rows: Vec<_> = self
            .disk
            .iter()
            .map(|(key, it)| (key.clone(), it.clone()))
            .collect();
        self.core = TxManager::restored(RULES, account(), &rows).unwrap();
        (self.prepare, self.sign) = (Vec::new(), Vec::new());
        let step = self.core.resume();
        self.core = step.next;
        self.see(step.effects);
    }
}
