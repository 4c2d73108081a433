//! The contract on tokens that misbehave, and decoders on bytes that mean nothing.

use ethers_core::abi::{Token, encode};
use proptest::prelude::*;
use warren_proto::{Amount, ChainRef, ChannelParams, PayoutAddress};

use super::engine::{Frame, Ran, Run, State};
use super::pool::PoolTx;
use crate::abi::{Artefact, uint};
use crate::calls::Call;
use crate::{EventKind, Revert};

const FRAME: Frame = Frame {
    chain_id: 1,
    number: 1,
    timestamp_secs: 1_750_000_000,
    base_fee: 0,
};
const ALICE: PayoutAddress = PayoutAddress::from_bytes([0xa1; 20]);
const BOB: PayoutAddress = PayoutAddress::from_bytes([0xb0; 20]);

/// In the order of the contract's list.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Mute,
    Fee,
    Liar,
    Idle,
    Reentrant,
    Blocked,
}

struct Rig {
    state: State,
    pins: ChainRef,
}

impl Rig {
    fn new(kind: Kind) -> Self {
        let mut state = State::default();
        let weird =
            Artefact::parse(include_str!("../../../contracts/artefacts/WeirdToken.json")).bytecode;
        let token = deploy(&mut state, weird, uint(kind as u8));
        let owner = Token::Address(token.as_bytes().into());
        let contract = deploy(&mut state, Artefact::chain_lock().bytecode, owner);
        let mut rig = Self {
            state,
            pins: ChainRef {
                chain_id: 1,
                contract,
                token,
            },
        };
        rig.run(
            ALICE,
            &Call::Mint {
                to: ALICE,
                amount: wei(1000),
            },
        )
        .unwrap();
        rig
    }

    fn run(&mut self, from: PayoutAddress, call: &Call) -> Result<(), Revert> {
        let ran = run(
            &mut self.state,
            from,
            Some(call.to(&self.pins)),
            call.data(&self.pins),
        );
        if ran.success {
            Ok(())
        } else {
            Err(Revert::read(&ran.output))
        }
    }

    fn deposit(&mut self) -> Result<(), Revert> {
        self.run(ALICE, &Call::Deposit { amount: wei(100) })
    }
}

fn deploy(state: &mut State, mut code: Vec<u8>, argument: Token) -> PayoutAddress {
    code.extend(encode(&[argument]));
    run(state, ALICE, None, code).created.unwrap()
}

fn run(state: &mut State, from: PayoutAddress, to: Option<PayoutAddress>, data: Vec<u8>) -> Ran {
    let run = Run::free(from, to, data);
    state.execute(&FRAME, &run).unwrap()
}

fn wei(wei: u64) -> Amount {
    Amount::from_wei_u64(wei)
}

#[test]
fn a_token_that_says_nothing_is_taken_at_its_deeds() {
    let mut rig = Rig::new(Kind::Mute);
    rig.deposit().unwrap();
    rig.run(
        ALICE,
        &Call::Withdraw {
            to: BOB,
            amount: wei(100),
        },
    )
    .unwrap();
}

#[test]
fn a_token_that_delivers_less_is_refused() {
    let short = Revert::WrongDelta {
        received: wei(99),
        wanted: wei(100),
    };
    assert_eq!(Rig::new(Kind::Fee).deposit(), Err(short));
    let nothing = Revert::WrongDelta {
        received: wei(0),
        wanted: wei(100),
    };
    assert_eq!(Rig::new(Kind::Idle).deposit(), Err(nothing));
    assert_eq!(Rig::new(Kind::Liar).deposit(), Err(Revert::TokenFailed));
}

/// Money that comes in by whichever door is counted by what arrived.
#[test]
fn no_misbehaving_token_fills_a_channel() {
    let params = ChannelParams {
        payer: ALICE,
        payee: BOB,
        period_secs: 3600,
        salt: 1,
    };
    for kind in [Kind::Fee, Kind::Liar, Kind::Idle, Kind::Reentrant] {
        let mut rig = Rig::new(kind);
        let amount = wei(100);
        for call in [
            Call::Open { params, amount },
            Call::Deposit { amount },
            Call::TopUp { params, amount },
        ] {
            assert!(rig.run(ALICE, &call).is_err(), "{kind:?}: {}", call.name());
        }
        // Nor is anything left behind that could be spent.
        for call in [
            Call::OpenFromBalance { params, amount },
            Call::Withdraw { to: ALICE, amount },
        ] {
            assert!(rig.run(ALICE, &call).is_err(), "{kind:?}: {}", call.name());
        }
    }
    let mut mute = Rig::new(Kind::Mute);
    let amount = wei(100);
    mute.run(ALICE, &Call::Open { params, amount }).unwrap();
    mute.run(ALICE, &Call::TopUp { params, amount }).unwrap();
}

#[test]
fn a_token_cannot_reach_back_in() {
    assert_eq!(Rig::new(Kind::Reentrant).deposit(), Err(Revert::Reentered));
    let params = ChannelParams {
        payer: ALICE,
        payee: BOB,
        period_secs: 3600,
        salt: 1,
    };
    for call in [
        Call::Open {
            params,
            amount: wei(5),
        },
        Call::Deposit { amount: wei(5) },
    ] {
        assert_eq!(
            Rig::new(Kind::Reentrant).run(ALICE, &call),
            Err(Revert::Reentered)
        );
    }
}

#[test]
fn a_token_that_pays_nobody_cannot_keep_a_channel_from_closing() {
    let mut rig = Rig::new(Kind::Blocked);
    let params = ChannelParams {
        payer: ALICE,
        payee: BOB,
        period_secs: 3600,
        salt: 1,
    };
    rig.run(
        ALICE,
        &Call::Open {
            params,
            amount: wei(100),
        },
    )
    .unwrap();
    rig.run(BOB, &Call::CloseByPayee { params }).unwrap();
    assert!(
        rig.run(
            ALICE,
            &Call::Withdraw {
                to: ALICE,
                amount: wei(100)
            }
        )
        .is_err()
    );
}

proptest! {
    /// A hostile node or client may send anything; none of it may stop us.
    #[test]
    fn no_bytes_stop_a_decoder(
        mut data in proptest::collection::vec(any::<u8>(), 0..300),
        which in 0..40_usize,
        topics in proptest::collection::vec(any::<[u8; 32]>(), 0..4),
    ) {
        let _any = PoolTx::decode(&data, 1);
        let known = crate::revert::ALL.iter().map(|(name, ..)| *name);
        if let Some(name) = known.into_iter().nth(which) {
            data.splice(0..0, crate::abi::selector(name));
        }
        let _any = Revert::read(&data);
        let mut topics: Vec<_> = topics.into_iter().map(ethers_core::types::H256).collect();
        if let (Some(name), Some(first)) = (crate::event::ALL.get(which), topics.first_mut()) {
            first.0 = crate::abi::topic(name);
        }
        let _any = EventKind::read(&topics, &data);
    }
}
