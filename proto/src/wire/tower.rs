//! Tower messages to bytes and back.

use prost::Message as _;

use super::parts::{
    Result, decode, fixed, need, params, params_pb, range, voucher, voucher_pb, word_pb, words,
};
use super::{WireError, pb};
use crate::id::ChannelId;
use crate::tower::{
    Locator, MAX_SEALED_BYTES, TowerAnswer, TowerClaim, TowerDeadline, TowerPut, TowerVerdict,
};

pub(super) fn put_pb(it: &TowerPut) -> pb::TowerPut {
    let deadline = |it: &TowerDeadline| pb::TowerDeadline {
        channel: it.channel.as_bytes().to_vec(),
        act_at: it.act_at,
    };
    pb::TowerPut {
        locator: it.locator.as_bytes().to_vec(),
        number: it.number,
        until: it.until,
        sealed: it.sealed.clone(),
        deadline: it.deadline.as_ref().map(deadline),
    }
}

pub(super) fn read_put(it: &pb::TowerPut) -> Result<TowerPut> {
    if it.sealed.len() > MAX_SEALED_BYTES {
        return Err(WireError::Length {
            field: "sealed",
            found: it.sealed.len(),
        });
    }
    let deadline = it.deadline.as_ref().map(|it| {
        Ok(TowerDeadline {
            channel: ChannelId::from_bytes(fixed(&it.channel, "channel")?),
            act_at: it.act_at,
        })
    });
    Ok(TowerPut {
        locator: locator(&it.locator)?,
        number: it.number,
        until: it.until,
        sealed: it.sealed.clone(),
        deadline: deadline.transpose()?,
    })
}

pub(super) fn tower_answer_pb(it: &TowerAnswer) -> pb::TowerAnswer {
    pb::TowerAnswer {
        locator: it.locator.as_bytes().to_vec(),
        verdict: it.verdict.code(),
        number: it.number,
    }
}

pub(super) fn read_tower_answer(it: &pb::TowerAnswer) -> Result<TowerAnswer> {
    Ok(TowerAnswer {
        locator: locator(&it.locator)?,
        verdict: TowerVerdict::from_code(it.verdict).ok_or(range("verdict", it.verdict))?,
        number: it.number,
    })
}

fn locator(bytes: &[u8]) -> Result<Locator> {
    Ok(Locator::from_bytes(fixed(bytes, "locator")?))
}

pub(crate) fn tower_claim_bytes(it: &TowerClaim) -> Vec<u8> {
    let claim = pb::TowerClaim {
        channel: Some(params_pb(&it.params)),
        voucher: Some(voucher_pb(&it.voucher)),
        best: it.best.iter().map(word_pb).collect(),
    };
    claim.encode_to_vec()
}

pub(crate) fn tower_claim_from_bytes(bytes: &[u8]) -> Result<TowerClaim> {
    let it: pb::TowerClaim = decode(bytes, MAX_SEALED_BYTES)?;
    Ok(TowerClaim {
        params: params(need(it.channel.as_ref(), "channel")?)?,
        voucher: voucher(need(it.voucher.as_ref(), "voucher")?)?,
        best: words(&it.best)?,
    })
}
