//! What we encode and decode is what the committed contract speaks.

use std::collections::BTreeSet;

use ethers_core::abi::{ErrorExt as _, Function};
use warren_proto::{Amount, ChannelId, ChannelParams, PayoutAddress, UnixTime, Voucher};

use super::*;
use crate::calls::{Call, Claim};
use crate::error::Revert;
use crate::{event, revert};

fn every_call() -> Vec<Call> {
    let to = PayoutAddress::ZERO;
    let (amount, not_after) = (Amount::ZERO, UnixTime::default());
    let params = ChannelParams {
        payer: to,
        payee: to,
        period_secs: 0,
        salt: 0,
    };
    let signature = [0; 64];
    let channel = ChannelId::from_bytes([0; 32]);
    let voucher = Voucher {
        channel,
        seq: 0,
        base: amount,
        locks: vec![],
        signature,
    };
    let claim = Claim {
        params,
        voucher,
        reveals: vec![],
    };
    vec![
        Call::Approve { amount },
        Call::Deposit { amount },
        Call::Withdraw { to, amount },
        Call::SetBeneficiary { owner: to, to },
        Call::PayOut { owner: to },
        Call::Open { params, amount },
        Call::OpenFromBalance { params, amount },
        Call::TopUp { params, amount },
        Call::TopUpFromBalance { params, amount },
        Call::Claim(claim.clone()),
        Call::ClaimMany(vec![claim]),
        Call::CoopClose {
            params,
            final_amount: amount,
            not_after,
            signature,
        },
        Call::CloseByPayee { params },
        Call::StartClose { params },
        Call::FinishClose { params },
        Call::Mint { to, amount },
        Call::Transfer { to, amount },
    ]
}

#[test]
fn every_call_is_a_function_of_the_contract_or_its_token() {
    let (contract, token) = (Artefact::chain_lock().abi, Artefact::dev_token().abi);
    let known: BTreeSet<[u8; 4]> = contract
        .functions()
        .chain(token.functions())
        .map(Function::short_signature)
        .collect();
    for call in every_call() {
        let signature = call.signature();
        assert!(known.contains(&selector(&signature)), "{signature}");
    }
    for view in [
        "channels(bytes32)",
        "balances(address)",
        "beneficiaries(address)",
        "token()",
        "balanceOf(address)",
    ] {
        assert!(known.contains(&selector(view)), "{view}");
    }
    assert!(known.contains(&selector("allowance(address,address)")));
}

#[test]
fn every_event_of_the_contract_is_read_and_no_other() {
    let abi = Artefact::chain_lock().abi;
    let theirs: BTreeSet<[u8; 32]> = abi
        .events()
        .filter(|it| it.name != "EIP712DomainChanged") // Inherited, never emitted.
        .map(|it| it.signature().0)
        .collect();
    let ours: BTreeSet<[u8; 32]> = event::ALL.iter().map(|it| topic(it)).collect();
    assert_eq!(ours, theirs);
}

#[test]
fn every_error_of_the_contract_is_read() {
    let abi = Artefact::chain_lock().abi;
    let ours: BTreeSet<[u8; 4]> = revert::ALL
        .iter()
        .map(|(name, ..)| selector(name))
        .collect();
    for error in abi.errors() {
        // Of the library's own, only those that can surface are named.
        let inherited = ["InvalidShortString", "StringTooLong"];
        let signature = error.abi_signature();
        let known = ours.contains(&selector(&signature));
        assert!(
            known || inherited.contains(&error.name.as_str()),
            "{signature}"
        );
    }
}

#[test]
fn a_reason_is_read_whatever_the_bytes() {
    assert_eq!(
        Revert::read(&selector("NotOpen(bytes32)")),
        Revert::Unknown {
            data: selector("NotOpen(bytes32)").to_vec()
        }
    );
    assert_eq!(
        Revert::read(&calldata("ZeroAmount()", &[])),
        Revert::ZeroAmount
    );
    let words = calldata("Error(string)", &[Token::String("no".into())]);
    assert_eq!(
        Revert::read(&words),
        Revert::Reason {
            reason: "no".into()
        }
    );
    assert_eq!(Revert::read(&[]), Revert::Unknown { data: vec![] });
    let long = Revert::read(&[0xee; 5000]);
    assert_eq!(
        long,
        Revert::Unknown {
            data: vec![0xee; 256]
        }
    );
}

#[test]
fn code_is_ours_whatever_its_immutables_and_nothing_else_is() {
    let ours = Artefact::chain_lock();
    let mut code = ours.deployed_bytecode.clone();
    assert!(ours.is(&code));
    let hole = ours.immutables[0];
    code[hole.start] = 0xff;
    assert!(ours.is(&code), "an immutable may be anything");
    let outside = (0..code.len())
        .find(|it| {
            ours.immutables
                .iter()
                .all(|hole| !(hole.start..hole.start + hole.length).contains(it))
        })
        .unwrap();
    code[outside] ^= 1;
    assert!(!ours.is(&code));
    assert!(!ours.is(&[]));
    assert!(!ours.is(&ours.deployed_bytecode[1..]));
}
