//! What a confirmed transaction cost, kept until whoever keeps the books has written it down.
//!
//! Sans-IO. The record comes in the batch that forgets the transaction, and goes in the one that holds the
//! ledger's entry: whenever the power fails, the cost is written down once.

use warren_proto::{Amount, TxHash};

use super::Done;
use super::event::{Report, TxEffect};
use crate::codec::{CodecError, Reader, Writer};
use crate::store::{Put, Records, Table};

const VERSION: u8 = 1;
/// Of a key; an account's transaction has its address there, and is shorter.
const PREFIX: &[u8] = b"bill";

/// The bills of what `effects` report.
pub(crate) fn puts(effects: &[TxEffect]) -> impl Iterator<Item = Put> {
    let dones = effects.iter().filter_map(|it| match it {
        TxEffect::Report(_, Report::Confirmed(seen)) => Some(Done::from(seen)),
        TxEffect::Report(..)
        | TxEffect::Prepare(_)
        | TxEffect::Sign(_)
        | TxEffect::Broadcast(_) => None,
    });
    let costly = dones.filter(|it| it.cost > Amount::ZERO);
    costly.map(|it| Put::new(Table::Tx, key(it.tx), encode(&it)))
}

/// Takes the bill of `tx` away.
pub(crate) fn paid(tx: TxHash) -> Put {
    Put {
        table: Table::Tx,
        key: key(tx),
        value: None,
    }
}

/// The bills among `records` of the table of transactions.
///
/// # Errors
/// [`CodecError`] for one that [`puts`] does not write.
pub(crate) fn open(records: &Records) -> Result<Vec<Done>, CodecError> {
    let bills = records.iter().filter(|(key, _)| is_bill(key));
    bills.map(|(_, value)| decode(value)).collect()
}

fn is_bill(key: &[u8]) -> bool {
    key.strip_prefix(PREFIX).is_some_and(|it| it.len() == 32)
}

fn key(tx: TxHash) -> Vec<u8> {
    [PREFIX, tx.as_bytes()].concat()
}

fn encode(done: &Done) -> Vec<u8> {
    let mut out = Writer::new(VERSION);
    out.bytes(done.tx.as_bytes());
    out.u64(done.block).u64(done.gas_used).amount(done.cost);
    out.finish()
}

fn decode(bytes: &[u8]) -> Result<Done, CodecError> {
    let mut read = Reader::new(bytes, VERSION)?;
    let done = Done {
        tx: TxHash::from_bytes(read.array()?),
        block: read.u64()?,
        gas_used: read.u64()?,
        cost: read.amount()?,
    };
    read.finish()?;
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::{BlockHash, Outcome};
    use crate::tx::{JobId, Seen, holds_flights};
    use warren_proto::PayoutAddress;

    #[test]
    fn a_bill_survives_the_disk_and_is_no_transaction() {
        let seen = Seen {
            tx: TxHash::from_bytes([5; 32]),
            block: 7,
            block_hash: BlockHash::from_bytes([6; 32]),
            outcome: Outcome::Reverted,
            gas_used: 21_000,
            cost: Amount::from_wei_u64(42_000),
        };
        let free = Seen {
            cost: Amount::ZERO,
            ..seen
        };
        let told = [seen, free].map(|it| TxEffect::Report(JobId([1; 32]), Report::Confirmed(it)));
        let puts: Vec<_> = puts(&told).collect();
        let [put] = puts.as_slice() else {
            panic!("one of them cost something: {puts:?}")
        };
        let row = (put.key.clone(), put.value.clone().unwrap());
        assert!(!holds_flights(PayoutAddress::ZERO, &row.0));
        assert_eq!(open(&vec![row.clone()]), Ok(vec![Done::from(&seen)]));
        assert_eq!(paid(seen.tx).key, row.0);
        for end in 0..row.1.len() {
            let cut = (row.0.clone(), row.1[..end].to_vec());
            assert!(open(&vec![cut]).is_err(), "cut at {end}");
        }
    }
}
