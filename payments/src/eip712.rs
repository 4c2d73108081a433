//! The digests a payer or payee signs: EIP-712, domain "ChainLock" version "1".
//!
//! Sans-IO. The contract computes the same digests; `tests/` compares the two on a chain.

use ethers_core::utils::keccak256;
use warren_proto::{
    Amount, ChainRef, ChannelAsk, ChannelId, Lock, NodeId, PayoutAddress, UnixTime,
};

// Specification: docs/payments.md, "What is signed", and the contract.
const DOMAIN: &[u8] =
    b"EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)";
const NAME: &[u8] = b"ChainLock";
const VERSION: &[u8] = b"1";
const VOUCHER: &[u8] = b"Voucher(bytes32 channelId,uint64 seq,uint96 base,bytes32 locksHash)";
const PAYEE_CLOSE: &[u8] = b"PayeeClose(bytes32 channelId,uint96 finalAmount,uint48 notAfter)";
const PEER_BINDING: &[u8] = b"PeerBinding(bytes32 ed25519Key,uint64 seq,uint64 notAfter)";
const SESSION_AUTH: &[u8] =
    b"SessionAuth(bytes32 channelId,bytes32 payeeNonce,bytes32 payeePeer,uint64 notAfter)";
const CHANNEL_ASK: &[u8] =
    b"ChannelAsk(bytes32 channelId,bytes32 payeePeer,bool close,uint64 notAfter)";

/// What is signed: 32 bytes that commit to chain, contract and content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Digest(pub(crate) [u8; 32]);

impl Digest {
    /// The raw bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of(chain: &ChainRef, content: [u8; 32]) -> Self {
        let mut preimage = [0_u8; 66];
        preimage[..2].copy_from_slice(&[0x19, 0x01]);
        preimage[2..34].copy_from_slice(&domain_separator(chain));
        preimage[34..].copy_from_slice(&content);
        Self(keccak256(preimage))
    }
}

/// The domain separator of the contract `chain` names.
#[must_use]
pub fn domain_separator(chain: &ChainRef) -> [u8; 32] {
    keccak256(
        [
            keccak256(DOMAIN),
            keccak256(NAME),
            keccak256(VERSION),
            uint(u128::from(chain.chain_id)),
            address(&chain.contract),
        ]
        .concat(),
    )
}

/// The digest of a voucher.
#[must_use]
pub fn voucher(
    chain: &ChainRef,
    channel: &ChannelId,
    seq: u64,
    base: Amount,
    locks: &[Lock],
) -> Digest {
    let content = [
        keccak256(VOUCHER),
        *channel.as_bytes(),
        uint(u128::from(seq)),
        uint(base.wei()),
        locks_hash(locks),
    ];
    Digest::of(chain, keccak256(content.concat()))
}

/// The digest by which a payee agrees to close at `final_amount` until `not_after`.
#[must_use]
pub fn payee_close(
    chain: &ChainRef,
    channel: &ChannelId,
    final_amount: Amount,
    not_after: UnixTime,
) -> Digest {
    let content = [
        keccak256(PAYEE_CLOSE),
        *channel.as_bytes(),
        uint(final_amount.wei()),
        uint(u128::from(not_after.as_secs())),
    ];
    Digest::of(chain, keccak256(content.concat()))
}

/// The digest by which an account says which node it belongs to.
#[must_use]
pub fn peer_binding(chain: &ChainRef, node: &NodeId, seq: u64, not_after: UnixTime) -> Digest {
    let content = [
        keccak256(PEER_BINDING),
        *node.as_bytes(),
        uint(u128::from(seq)),
        uint(u128::from(not_after.as_secs())),
    ];
    Digest::of(chain, keccak256(content.concat()))
}

/// What a payer signs to use its channel in one session with one payee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionAuth {
    /// The channel.
    pub channel: ChannelId,
    /// The payee's fresh bytes: they kill replay.
    pub payee_nonce: [u8; 32],
    /// The payee's node.
    pub payee: NodeId,
    /// No longer valid after.
    pub not_after: UnixTime,
}

impl SessionAuth {
    /// The digest the payer signs.
    #[must_use]
    pub fn digest(&self, chain: &ChainRef) -> Digest {
        let content = [
            keccak256(SESSION_AUTH),
            *self.channel.as_bytes(),
            self.payee_nonce,
            *self.payee.as_bytes(),
            uint(u128::from(self.not_after.as_secs())),
        ];
        Digest::of(chain, keccak256(content.concat()))
    }
}

/// The digest by which a payer asks `payee` what it holds of their channel, and maybe to close at
/// that. The signature in `ask` is no part of it.
#[must_use]
pub fn channel_ask(chain: &ChainRef, ask: &ChannelAsk, payee: &NodeId) -> Digest {
    let content = [
        keccak256(CHANNEL_ASK),
        *ask.channel.id(chain).as_bytes(),
        *payee.as_bytes(),
        uint(u128::from(ask.close)),
        uint(u128::from(ask.not_after.as_secs())),
    ];
    Digest::of(chain, keccak256(content.concat()))
}

/// `keccak256(abi.encode(Lock[]))`, or zero if there is none.
#[must_use]
pub fn locks_hash(locks: &[Lock]) -> [u8; 32] {
    if locks.is_empty() {
        return [0; 32];
    }
    let mut words = vec![uint(32), uint(locks.len() as u128)];
    for lock in locks {
        words.push(*lock.anchor.as_bytes());
        words.push(uint(lock.unit_price.wei()));
        words.push(uint(u128::from(lock.units)));
        words.push(uint(u128::from(lock.expiry)));
    }
    keccak256(words.concat())
}

fn uint(value: u128) -> [u8; 32] {
    let mut word = [0; 32];
    word[16..].copy_from_slice(&value.to_be_bytes());
    word
}

fn address(address: &PayoutAddress) -> [u8; 32] {
    let mut word = [0; 32];
    word[12..].copy_from_slice(address.as_bytes());
    word
}
