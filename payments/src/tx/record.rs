//! The bytes a transaction on its way is kept in.
//!
//! Sans-IO. One record per flight, under the account and the nonce.

use warren_proto::{PayoutAddress, TxHash, UnixTime};

use super::SignedTx;
use super::event::{Job, JobId, Stake};
use super::fee::GasPrice;
use super::flight::{Before, Flight, MAX_BEFORE};
use super::manager::{TxManager, TxRules};
use crate::codec::{CodecError, Reader, Writer};
use crate::store::{Put, Records, Table};

const VERSION: u8 = 3;
/// Had one call for each nonce.
const LONE_VERSION: u8 = 2;
/// Did not say what is at stake either.
const OLD_VERSION: u8 = 1;
/// Nothing we send is longer.
const MAX_BYTES: usize = 256 * 1024;

impl TxManager {
    /// Goes on with what `account` had on its way, as `records` of [`Table::Tx`] tell.
    ///
    /// # Errors
    /// [`CodecError`] for a record of this account that [`Self::puts`] does not write.
    pub fn restored(
        rules: TxRules,
        account: PayoutAddress,
        records: &Records,
    ) -> Result<Self, CodecError> {
        let mut manager = Self::new(rules);
        for (key, value) in records {
            if let Some(nonce) = nonce_of(account, key) {
                manager.flights.insert(nonce, decode(value)?);
            }
        }
        Ok(manager)
    }

    /// What must be on disk before a step to `next` is performed: all that is on its way then, and
    /// nothing that is not.
    #[must_use]
    pub fn puts(&self, next: &Self, account: PayoutAddress) -> Vec<Put> {
        let gone = self.flights.keys();
        let gone = gone.filter(|it| !next.flights.contains_key(it));
        let gone = gone.map(|nonce| Put {
            table: Table::Tx,
            key: key(account, *nonce),
            value: None,
        });
        let signed = next.flights.iter();
        let signed = signed.filter(|(_, it)| !it.versions.is_empty());
        let kept = signed.map(|(nonce, it)| Put::new(Table::Tx, key(account, *nonce), encode(it)));
        gone.chain(kept).collect()
    }
}

/// Where a flight is kept.
fn key(account: PayoutAddress, nonce: u64) -> Vec<u8> {
    let mut key = account.as_bytes().to_vec();
    key.extend(nonce.to_be_bytes());
    key
}

/// The nonce of a key, if it is this account's.
pub(crate) fn nonce_of(account: PayoutAddress, key: &[u8]) -> Option<u64> {
    let nonce = key.strip_prefix(account.as_bytes().as_slice())?;
    nonce.try_into().ok().map(u64::from_be_bytes)
}

fn encode(flight: &Flight) -> Vec<u8> {
    let mut writer = Writer::new(VERSION);
    let (price, versions) = (&flight.price, &flight.versions);
    call(
        &mut writer,
        &flight.job,
        flight.gas_limit,
        (price, versions),
    );
    writer.list(&flight.before, |writer, it| {
        call(writer, &it.job, it.gas_limit, (&it.price, &it.versions));
    });
    writer.finish()
}

fn call(
    writer: &mut Writer,
    job: &Job,
    gas_limit: u64,
    (price, versions): (&GasPrice, &[SignedTx]),
) {
    writer
        .bytes(&job.id.0)
        .bytes(job.to.as_bytes())
        .amount(job.value)
        .u64(gas_limit)
        .amount(price.max_fee)
        .amount(price.tip);
    long(writer, &job.data);
    writer.list(versions, |writer, it| {
        writer.bytes(it.hash.as_bytes());
        long(writer, &it.raw);
    });
    writer.option(job.stake.as_ref(), |writer, it| {
        let deadline = it.deadline.map(|it| it.as_secs());
        writer.option(it.worth.as_ref(), |writer, it| {
            writer.amount(*it);
        });
        writer.option(deadline.as_ref(), |writer, it| {
            writer.u64(*it);
        });
    });
}

/// Reads a flight back; where it stands is learnt from the chain.
fn decode(bytes: &[u8]) -> Result<Flight, CodecError> {
    let version = match bytes.first() {
        Some(it @ &(OLD_VERSION | LONE_VERSION)) => *it,
        Some(_) | None => VERSION,
    };
    let mut reader = Reader::new(bytes, version)?;
    let newest = read_call(&mut reader, version)?;
    let before = if version < VERSION {
        Vec::new()
    } else {
        let read = |reader: &mut Reader<'_>| read_call(reader, version);
        reader.list(MAX_BEFORE, "before", read)?
    };
    reader.finish()?;
    Ok(Flight {
        price: newest.price,
        versions: newest.versions,
        before,
        ..Flight::new(newest.job, newest.gas_limit, 0)
    })
}

fn read_call(reader: &mut Reader<'_>, version: u8) -> Result<Before, CodecError> {
    let id = JobId(reader.array()?);
    let to = reader.address()?;
    let value = reader.amount()?;
    let gas_limit = reader.u64()?;
    let price = GasPrice {
        max_fee: reader.amount()?,
        tip: reader.amount()?,
    };
    let data = read_long(reader)?;
    let mut versions = Vec::new();
    for _ in 0..reader.u32()? {
        let hash = TxHash::from_bytes(reader.array()?);
        versions.push(SignedTx {
            hash,
            raw: read_long(reader)?,
        });
    }
    let stake = if version == OLD_VERSION {
        None
    } else {
        read_stake(reader)?
    };
    let job = Job {
        id,
        to,
        value,
        data,
        stake,
    };
    Ok(Before {
        job,
        gas_limit,
        price,
        versions,
    })
}

fn read_stake(reader: &mut Reader<'_>) -> Result<Option<Stake>, CodecError> {
    if !read_flag(reader)? {
        return Ok(None);
    }
    let worth = if read_flag(reader)? {
        Some(reader.amount()?)
    } else {
        None
    };
    let deadline = if read_flag(reader)? {
        Some(UnixTime::from_secs(reader.u64()?))
    } else {
        None
    };
    Ok(Some(Stake { worth, deadline }))
}

fn read_flag(reader: &mut Reader<'_>) -> Result<bool, CodecError> {
    match reader.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(CodecError::Range { field: "flag" }),
    }
}

fn long(writer: &mut Writer, bytes: &[u8]) {
    writer
        .u32(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
        .bytes(bytes);
}

fn read_long(reader: &mut Reader<'_>) -> Result<Vec<u8>, CodecError> {
    let len = usize::try_from(reader.u32()?).unwrap_or(usize::MAX);
    if len > MAX_BYTES {
        return Err(CodecError::Range { field: "bytes" });
    }
    (0..len).map(|_| reader.u8()).collect()
}

#[cfg(test)]
mod tests {
    use warren_proto::Amount;

    use super::*;

    fn flight(stake: Option<Stake>) -> Flight {
        Flight {
            job: Job {
                id: JobId([1; 32]),
                to: PayoutAddress::from_bytes([2; 20]),
                value: Amount::from_wei_u64(8),
                data: vec![3; 700],
                stake,
            },
            gas_limit: 90_000,
            price: GasPrice {
                max_fee: Amount::MAX,
                tip: Amount::from_wei_u64(7),
            },
            versions: vec![
                SignedTx {
                    raw: vec![4; 300],
                    hash: TxHash::from_bytes([5; 32]),
                },
                SignedTx {
                    raw: vec![],
                    hash: TxHash::from_bytes([6; 32]),
                },
            ],
            before: vec![],
            sent_at: 0,
            seen: None,
            lost_at: None,
        }
    }

    fn overtaking(stake: Option<Stake>) -> Flight {
        let (first, second) = (flight(None), flight(stake));
        let before = [first, second].map(|it| Before {
            job: it.job,
            gas_limit: it.gas_limit,
            price: it.price,
            versions: it.versions,
        });
        Flight {
            before: before.into(),
            ..flight(stake)
        }
    }

    #[test]
    fn a_flight_survives_the_disk() {
        let worth = Some(Amount::from_wei_u64(77));
        let deadline = Some(UnixTime::from_secs(99));
        let stakes = [None, Some((worth, deadline)), Some((None, None))];
        for stake in stakes.map(|it| it.map(|(worth, deadline)| Stake { worth, deadline })) {
            let bytes = encode(&flight(stake));
            assert_eq!(decode(&bytes), Ok(flight(stake)));
            for end in 0..bytes.len() {
                assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
            }
            let third = overtaking(stake);
            assert_eq!(decode(&encode(&third)), Ok(third));
        }
    }

    #[test]
    fn flights_of_earlier_versions_are_read() {
        let mut bytes = encode(&flight(None));
        bytes[0] = LONE_VERSION;
        bytes.truncate(bytes.len() - 4); // How many were overtaken.
        assert_eq!(decode(&bytes), Ok(flight(None)));
        bytes[0] = OLD_VERSION;
        bytes.pop(); // The flag that says that nothing is at stake.
        assert_eq!(decode(&bytes), Ok(flight(None)));
    }

    #[test]
    fn a_key_tells_its_account() {
        let (ours, theirs) = (PayoutAddress::from_bytes([1; 20]), PayoutAddress::ZERO);
        assert_eq!(nonce_of(ours, &key(ours, 9)), Some(9));
        assert_eq!(nonce_of(theirs, &key(ours, 9)), None);
    }
}
