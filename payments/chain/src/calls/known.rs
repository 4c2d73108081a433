//! What calldata alone says of a call: whether it may be made twice, and how much gas it can take at most.
//!
//! Sans-IO. What a node says of either is not believed further than this.

use ethers_core::abi::Token;

use super::gas::gas_of;
use super::many::{claim, claims_in};
use super::{CLAIM, PARAMS};
use crate::abi::selector;

/// Gas of whatever is no claim: openings, closings and transfers take some 120 000 (payments/tests/chain/gas.rs),
/// a token of another's making some more.
const MOST_OTHER_GAS: u64 = 500_000;
/// A lock takes some 5 800 gas beside its words (payments/tests/chain/gas.rs), as much as so many words.
const LOCK_WORDS: u32 = 110;
/// A claim may take so many times what is reckoned: chains differ in what they count.
const SLACK: u64 = 2;

/// Whether what `calldata` asks for does nothing the second time: see [`super::Call::works_once`].
#[must_use]
pub fn works_once(calldata: &[u8]) -> bool {
    let Some((chosen, _)) = calldata.split_first_chunk::<4>() else {
        return false;
    };
    let names = [
        "approve(address,uint256)".to_owned(),
        "setBeneficiary(address,address)".to_owned(),
        format!("open({PARAMS},uint96)"),
        format!("openFromBalance({PARAMS},uint96)"),
        format!("claim({CLAIM})"),
        format!("claimMany({CLAIM}[])"),
        format!("coopClose({PARAMS},uint96,uint48,bytes32,bytes32)"),
        format!("closeByPayee({PARAMS})"),
        format!("startClose({PARAMS})"),
        format!("finishClose({PARAMS})"),
    ];
    names.iter().any(|it| *chosen == selector(it))
}

/// More gas than a call with `calldata` takes.
#[must_use]
pub fn most_gas(calldata: &[u8]) -> u64 {
    let claims = claims_in(calldata).unwrap_or_else(|| vec![calldata.to_vec()]);
    let words: Option<Vec<u32>> = claims.iter().map(|it| words_of(it)).collect();
    words.map_or(MOST_OTHER_GAS, |it| gas_of(&it).saturating_mul(SLACK))
}

/// Hashes that the contract does for a claim, and as many more for each lock as that takes; `None` if it is no
/// claim.
fn words_of(calldata: &[u8]) -> Option<u32> {
    let (chosen, arguments) = calldata.split_first_chunk::<4>()?;
    if *chosen != selector(&format!("claim({CLAIM})")) {
        return None;
    }
    let decoded = ethers_core::abi::decode(&[claim()], arguments).ok()?;
    let fields = decoded.into_iter().next()?.into_tuple()?;
    let mut lists = fields.into_iter().skip(3).map(Token::into_array);
    let (locks, reveals) = (lists.next()??, lists.next()??);
    let locks = u32::try_from(locks.len()).unwrap_or(u32::MAX);
    let words = reveals.into_iter().filter_map(Token::into_tuple);
    let counts = words.filter_map(|it| it.into_iter().nth(1)?.into_uint());
    Some(counts.fold(locks.saturating_mul(LOCK_WORDS), |sum, it| {
        sum.saturating_add(u32::try_from(it).unwrap_or(u32::MAX))
    }))
}

#[cfg(test)]
mod tests {
    use warren_proto::{
        Amount, ChainRef, ChannelId, ChannelParams, PayoutAddress, Preimage, Voucher,
    };

    use super::*;
    use crate::calls::{Call, Claim, Reveal};

    const CHAIN: ChainRef = ChainRef {
        chain_id: 1,
        contract: PayoutAddress::from_bytes([7; 20]),
        token: PayoutAddress::from_bytes([8; 20]),
    };

    fn params() -> ChannelParams {
        ChannelParams {
            payer: PayoutAddress::from_bytes([1; 20]),
            payee: PayoutAddress::from_bytes([2; 20]),
            period_secs: 3600,
            salt: 7,
        }
    }

    fn claim_of(words: u32) -> Claim {
        Claim {
            params: params(),
            voucher: Voucher {
                channel: ChannelId::from_bytes([4; 32]),
                seq: 1,
                base: Amount::from_wei_u64(5),
                locks: Vec::new(),
                signature: [0; 64],
            },
            reveals: vec![Reveal {
                index: 0,
                k: words,
                word: Preimage::from_bytes([3; 32]),
            }],
        }
    }

    #[test]
    fn calldata_says_the_same_as_the_call() {
        let (params, amount) = (params(), Amount::from_wei_u64(3));
        let (owner, to) = (params.payer, params.payee);
        for call in [
            Call::Approve { amount },
            Call::Deposit { amount },
            Call::Withdraw { to, amount },
            Call::SetBeneficiary { owner, to },
            Call::PayOut { owner },
            Call::Open { params, amount },
            Call::OpenFromBalance { params, amount },
            Call::TopUp { params, amount },
            Call::TopUpFromBalance { params, amount },
            Call::Claim(claim_of(1)),
            Call::ClaimMany(vec![claim_of(1)]),
            Call::CoopClose {
                params,
                final_amount: amount,
                not_after: warren_proto::UnixTime::from_secs(9),
                signature: [0; 64],
            },
            Call::CloseByPayee { params },
            Call::StartClose { params },
            Call::FinishClose { params },
            Call::Mint { to, amount },
            Call::SendNative { to, amount },
            Call::Transfer { to, amount },
        ] {
            let data = call.data(&CHAIN);
            assert_eq!(works_once(&data), call.works_once(), "{}", call.name());
        }
    }

    #[test]
    fn a_claims_gas_follows_from_its_words_and_no_other_call_takes_much() {
        let most = |call: Call| most_gas(&call.data(&CHAIN));
        assert_eq!(most(Call::Claim(claim_of(0))), 2 * 62_000);
        assert_eq!(most(Call::Claim(claim_of(1024))), 2 * (62_000 + 55 * 1024));
        let two = vec![claim_of(100), claim_of(28)];
        assert_eq!(
            most(Call::ClaimMany(two)),
            2 * (38_000 + 2 * 24_000 + 55 * 128)
        );
        assert_eq!(most(Call::StartClose { params: params() }), 500_000);
        assert_eq!(most_gas(&[]), 500_000);
    }
}
