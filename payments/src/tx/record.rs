//! The bytes a transaction on its way is kept in.
//!
//! Sans-IO. One record per flight, under the account and the nonce.

use warren_proto::{PayoutAddress, TxHash, UnixTime};

use super::SignedTx;
use super::event::{Job, JobId, Stake};
use super::fee::GasPrice;
use super::flight::Flight;
use crate::codec::{CodecError, Reader, Writer};

const VERSION: u8 = 2;
/// Did not say what is at stake.
const OLD_VERSION: u8 = 1;
/// Nothing we send is longer.
const MAX_BYTES: usize = 256 * 1024;

/// Where a flight is kept.
pub(crate) fn key(account: PayoutAddress, nonce: u64) -> Vec<u8> {
    let mut key = account.as_bytes().to_vec();
    key.extend(nonce.to_be_bytes());
    key
}

/// The nonce of a key, if it is this account's.
pub(crate) fn nonce_of(account: PayoutAddress, key: &[u8]) -> Option<u64> {
    let nonce = key.strip_prefix(account.as_bytes().as_slice())?;
    nonce.try_into().ok().map(u64::from_be_bytes)
}

pub(crate) fn encode(flight: &Flight) -> Vec<u8> {
    let mut writer = Writer::new(VERSION);
    writer
        .bytes(&flight.job.id.0)
        .bytes(flight.job.to.as_bytes())
        .amount(flight.job.value)
        .u64(flight.gas_limit)
        .amount(flight.price.max_fee)
        .amount(flight.price.tip);
    long(&mut writer, &flight.job.data);
    writer.list(&flight.versions, |writer, it| {
        writer.bytes(it.hash.as_bytes());
        long(writer, &it.raw);
    });
    writer.option(flight.job.stake.as_ref(), |writer, it| {
        let deadline = it.deadline.map(|it| it.as_secs());
        writer.option(it.worth.as_ref(), |writer, it| {
            writer.amount(*it);
        });
        writer.option(deadline.as_ref(), |writer, it| {
            writer.u64(*it);
        });
    });
    writer.finish()
}

/// Reads a flight back; where it stands is learnt from the chain.
pub(crate) fn decode(bytes: &[u8]) -> Result<Flight, CodecError> {
    let is_old = bytes.first() == Some(&OLD_VERSION);
    let mut reader = Reader::new(bytes, if is_old { OLD_VERSION } else { VERSION })?;
    let id = JobId(reader.array()?);
    let to = reader.address()?;
    let value = reader.amount()?;
    let gas_limit = reader.u64()?;
    let price = GasPrice {
        max_fee: reader.amount()?,
        tip: reader.amount()?,
    };
    let data = read_long(&mut reader)?;
    let mut versions = Vec::new();
    for _ in 0..reader.u32()? {
        let hash = TxHash::from_bytes(reader.array()?);
        versions.push(SignedTx {
            hash,
            raw: read_long(&mut reader)?,
        });
    }
    let stake = if is_old {
        None
    } else {
        read_stake(&mut reader)?
    };
    reader.finish()?;
    let job = Job {
        id,
        to,
        value,
        data,
        stake,
    };
    Ok(Flight {
        job,
        gas_limit,
        price,
        versions,
        sent_at: 0,
        seen: None,
        lost_at: None,
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
            sent_at: 0,
            seen: None,
            lost_at: None,
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
        }
    }

    #[test]
    fn a_flight_of_the_version_before_is_read() {
        let mut bytes = encode(&flight(None));
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
