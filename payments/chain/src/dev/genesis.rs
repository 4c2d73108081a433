//! The first block: token and contract deployed, accounts with money.

use ethers_core::abi::{self, Token};
use ethers_core::types::Address;
use ethers_core::utils::keccak256;
use warren_proto::{Amount, ChainRef, PayoutAddress, UnixTime};

use super::engine::{Frame, Run, State};
use super::{DevChain, Mining, owner};
use crate::abi::Artefact;
use crate::calls::Call;

/// Native money of a dev account: 10 000 coins.
const DEV_NATIVE_WEI: u128 = 10_000_000_000_000_000_000_000;
/// Tokens of a dev account: one million, 18 decimals.
const DEV_TOKENS_WEI: u128 = 1_000_000_000_000_000_000_000_000;
/// Dev accounts of the default first block.
const DEV_ACCOUNTS: u32 = 10;
/// Base fee of the default first block: 1 gwei.
const BASE_FEE_WEI: u64 = 1_000_000_000;
/// What the faucet can give.
const FAUCET_NATIVE_WEI: u128 = Amount::MAX.wei() >> 1;

/// What a development chain starts from.
#[derive(Debug, Clone)]
pub struct DevGenesis {
    /// EIP-155 chain id.
    pub chain_id: u64,
    /// The first block's time, to the second.
    pub timestamp: UnixTime,
    /// When blocks are made.
    pub mining: Mining,
    /// Seconds from one block to the next where nobody says otherwise; at least 1.
    pub block_secs: u32,
    /// Burnt per gas.
    pub base_fee: Amount,
    /// Who starts with money.
    pub accounts: Vec<DevAccount>,
}

/// Who starts with money.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DevAccount {
    /// The account.
    pub owner: PayoutAddress,
    /// Its native money, for gas.
    pub native: Amount,
    /// Its tokens.
    pub tokens: Amount,
}

impl Default for DevGenesis {
    /// Chain 7761, ten rich accounts ([`DevChain::secret`]), a block with each transaction.
    fn default() -> Self {
        Self {
            chain_id: 7761,
            timestamp: UnixTime::from_secs(1_750_000_000),
            mining: Mining::Auto,
            block_secs: 1,
            base_fee: Amount::from_wei_u64(BASE_FEE_WEI),
            accounts: (0..DEV_ACCOUNTS).map(DevAccount::rich).collect(),
        }
    }
}

impl DevAccount {
    /// The rich account of this index; its key is [`DevChain::secret`].
    #[must_use]
    pub fn rich(index: u32) -> Self {
        Self {
            owner: owner(&DevChain::secret(index)),
            native: money(DEV_NATIVE_WEI),
            tokens: money(DEV_TOKENS_WEI),
        }
    }
}

impl DevGenesis {
    /// Builds the state of the first block, and says where token and contract lie.
    pub(super) fn state(&self, faucet: PayoutAddress) -> (State, ChainRef) {
        let mut state = State::default();
        let frame = Frame {
            chain_id: self.chain_id,
            number: 0,
            timestamp_secs: self.timestamp.as_secs(),
            base_fee: 0,
        };
        let token = deploy(&mut state, &frame, Artefact::dev_token().bytecode, &[]);
        let argument = [Token::Address(Address::from(token.as_bytes()))];
        let contract = deploy(
            &mut state,
            &frame,
            Artefact::chain_lock().bytecode,
            &argument,
        );
        let pins = ChainRef {
            chain_id: self.chain_id,
            contract,
            token,
        };
        state.endow(faucet, FAUCET_NATIVE_WEI);
        for account in &self.accounts {
            state.endow(account.owner, account.native.wei());
            if account.tokens > Amount::ZERO {
                let mint = Call::Mint {
                    to: account.owner,
                    amount: account.tokens,
                };
                first(&mut state, &frame, Some(token), mint.data(&pins));
            }
        }
        (state, pins)
    }
}

/// Who deploys, at the same addresses on every development chain.
fn deployer() -> PayoutAddress {
    let hash = keccak256("warren/dev/deployer");
    PayoutAddress::from_slice(&hash[12..]).unwrap_or(PayoutAddress::ZERO)
}

fn deploy(
    state: &mut State,
    frame: &Frame,
    mut code: Vec<u8>,
    arguments: &[Token],
) -> PayoutAddress {
    code.extend(abi::encode(arguments));
    first(state, frame, None, code).unwrap_or(PayoutAddress::ZERO)
}

/// Runs a call of the first block.
#[expect(
    clippy::expect_used,
    reason = "our own contracts; every test of the chain runs this"
)]
fn first(
    state: &mut State,
    frame: &Frame,
    to: Option<PayoutAddress>,
    data: Vec<u8>,
) -> Option<PayoutAddress> {
    let run = Run::free(deployer(), to, data);
    let ran = state.execute(frame, &run).expect("a valid call");
    assert!(ran.success, "a call of the first block failed");
    ran.created
}

fn money(wei: u128) -> Amount {
    Amount::from_wei(wei).unwrap_or(Amount::MAX)
}
