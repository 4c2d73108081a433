//! The claims of a `claimMany`, each as the call it would be by itself.
//!
//! The contract passes over a claim that brings nothing, so that the call as a whole does not say whether it is
//! still worth making; and one claim that it refuses undoes all. Both are found by looking at each alone.

use ethers_core::abi::ParamType;

use super::CLAIM;
use crate::abi::{self, selector};

/// Claims that may be in one transaction; our choice, as are the figures of docs/payments-figures.md.
pub const MAX_TOGETHER: usize = 16;

/// The calldata of each claim in `calldata`, as a call of its own; `None` if it is no `claimMany`.
pub fn claims_in(calldata: &[u8]) -> Option<Vec<Vec<u8>>> {
    let (chosen, arguments) = calldata.split_first_chunk::<4>()?;
    if *chosen != selector(&format!("claimMany({CLAIM}[])")) {
        return None;
    }
    let all = [ParamType::Array(Box::new(claim()))];
    let claims = ethers_core::abi::decode(&all, arguments).ok()?;
    let claims = claims.into_iter().next()?.into_array()?;
    let single = format!("claim({CLAIM})");
    Some(
        claims
            .into_iter()
            .map(|it| abi::calldata(&single, &[it]))
            .collect(),
    )
}

/// The type behind [`CLAIM`].
pub(super) fn claim() -> ParamType {
    let word = || ParamType::FixedBytes(32);
    let list = |fields| ParamType::Array(Box::new(ParamType::Tuple(fields)));
    let (address, uint) = (ParamType::Address, ParamType::Uint);
    let params = vec![address.clone(), address, uint(32), uint(64)];
    ParamType::Tuple(vec![
        ParamType::Tuple(params),
        uint(64),
        uint(96),
        list(vec![word(), uint(96), uint(32), uint(48)]),
        list(vec![uint(16), uint(32), word()]),
        word(),
        word(),
    ])
}

#[cfg(test)]
mod tests {
    use warren_proto::{
        Amount, ChainRef, ChannelId, ChannelParams, HashLock, Lock, PayoutAddress, Preimage,
        Voucher,
    };

    use super::*;
    use crate::calls::{Call, Claim, Reveal};

    const CHAIN: ChainRef = ChainRef {
        chain_id: 1,
        contract: PayoutAddress::from_bytes([7; 20]),
        token: PayoutAddress::ZERO,
    };

    /// As long as a claim can be.
    fn claim(name: u8, locks: u16) -> Claim {
        let lock = |_| Lock {
            anchor: HashLock::from_bytes([name; 32]),
            unit_price: Amount::from_wei_u64(5),
            units: 1024,
            expiry: 9,
        };
        let reveal = |index| Reveal {
            index,
            k: 3,
            word: Preimage::from_bytes([name; 32]),
        };
        Claim {
            params: ChannelParams {
                payer: PayoutAddress::from_bytes([name; 20]),
                payee: PayoutAddress::ZERO,
                period_secs: 3600,
                salt: 4,
            },
            voucher: Voucher {
                channel: ChannelId::from_bytes([0; 32]),
                seq: 2,
                base: Amount::from_wei_u64(1),
                locks: (0..locks).map(lock).collect(),
                signature: [name; 64],
            },
            reveals: (0..locks).map(reveal).collect(),
        }
    }

    #[test]
    fn each_claim_of_many_is_the_claim_by_itself() {
        let claims: Vec<_> = (1..=3).map(|it| claim(it, it.into())).collect();
        let many = Call::ClaimMany(claims.clone()).data(&CHAIN);
        let each: Vec<_> = claims
            .iter()
            .map(|it| Call::Claim(it.clone()).data(&CHAIN))
            .collect();
        assert_eq!(claims_in(&many), Some(each.clone()));
        assert_eq!(claims_in(&each[0]), None);
        assert_eq!(claims_in(&[]), None);
        for end in 0..many.len() {
            let _no_panic = claims_in(&many[..end]);
        }
    }

    #[test]
    fn the_longest_fits_where_nodes_take_no_more_than_128_kib() {
        let claims = vec![claim(1, 16); MAX_TOGETHER];
        let bytes = Call::ClaimMany(claims).data(&CHAIN).len();
        assert!(bytes < 100_000, "{bytes}");
    }
}
